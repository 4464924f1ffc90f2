#!/usr/bin/env python3
"""WebSocket messages: an origin that echoes them, and a client that sends them through a peer (RFC 6455).

usage: bench/websocket.py origin PORT
       bench/websocket.py client PORT SECONDS CONNECTIONS HEADER
"""

import asyncio
import base64
import hashlib
import os
import re
import socket
import ssl
import sys
import time

HOST = "localhost"
PATH = "/echo"
MESSAGE = b"x" * 64


def accept_key(key):
    return base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()).decode()


class Echo(asyncio.Protocol):
    """Answers every message of a client, unmasked, as a server must."""

    def connection_made(self, transport):
        self.transport, self.received, self.open = transport, b"", False

    def data_received(self, data):
        self.received += data
        if not self.open:
            head, end, rest = self.received.partition(b"\r\n\r\n")
            if not end:
                return
            key = re.search(rb"(?im)^sec-websocket-key:\s*(\S+)", head)
            if not key:
                self.transport.close()
                return
            self.transport.write((
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                f"Sec-WebSocket-Accept: {accept_key(key.group(1))}\r\n\r\n").encode())
            self.received, self.open = rest, True
        answers = []
        while len(self.received) >= 6:
            length = self.received[1] & 127  # short messages only: nobody sends others here
            if len(self.received) < 6 + length:
                break
            mask = int.from_bytes((self.received[2:6] * (length // 4 + 1))[:length], "big")
            payload = (int.from_bytes(self.received[6:6 + length], "big") ^ mask).to_bytes(length, "big")
            answers.append(bytes((self.received[0], length)) + payload)
            self.received = self.received[6 + length:]
        if answers:
            self.transport.write(b"".join(answers))


async def serve(port):
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Echo, "127.0.0.1", port, backlog=1024)
    await server.serve_forever()


def dial(port, header):
    """An open WebSocket, or the status line of the refusal."""
    tls = ssl.create_default_context()
    tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
    tls.set_alpn_protocols(["http/1.1"])
    connection = tls.wrap_socket(socket.create_connection(("127.0.0.1", port), 10), server_hostname=HOST)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    key = base64.b64encode(os.urandom(16))
    extra = f"{header}\r\n" if header else ""
    connection.sendall((
        f"GET {PATH} HTTP/1.1\r\nHost: {HOST}:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Origin: https://{HOST}:{port}\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key.decode()}\r\n{extra}\r\n").encode())
    head = b""
    while b"\r\n\r\n" not in head:
        part = connection.recv(65536)
        if not part:
            break
        head += part
    status = head.split(b"\r\n")[0].decode()
    if " 101 " not in status + " " or accept_key(key).encode() not in head:
        connection.close()
        return None, status
    return connection, status


def converse(port, seconds, count, header):
    """Prints `begin`, and after `seconds` how many messages came back and in how many seconds."""
    connections = []
    for _ in range(count):
        connection, status = dial(port, header)
        if connection is None:
            sys.exit(f"the WebSocket was refused: {status}")
        connections.append(connection)
    mask = os.urandom(4)
    masked = bytes(b ^ mask[i % 4] for i, b in enumerate(MESSAGE))
    message = bytes((0x82, 0x80 | len(MESSAGE))) + mask + masked
    answer = bytes((0x82, len(MESSAGE))) + MESSAGE

    def once():
        for connection in connections:
            connection.sendall(message)
        for connection in connections:
            got = b""
            while len(got) < len(answer):
                part = connection.recv(len(answer) - len(got))
                if not part:
                    sys.exit("a WebSocket was closed")
                got += part
            if got != answer:
                sys.exit("a message came back changed")

    for _ in range(20):
        once()
    print("begin", flush=True)
    begun, echoed = time.monotonic(), 0
    while time.monotonic() - begun < seconds:
        once()
        echoed += count
    print(echoed, time.monotonic() - begun, flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["origin"]:
        asyncio.run(serve(int(sys.argv[2])))
    else:
        converse(int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4]), sys.argv[5])
