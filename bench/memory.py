"""Memory of a peer when nobody asks anything, and when many clients keep a connection open and say nothing."""

import contextlib
import os
import socket
import ssl
import struct
import time

import machine
from rig import HOST

CONNECTIONS = 1000
SETTLE = 8  # seconds: longer than the five after which a peer may put an idle connection away

# RFC 9113 §3.4, §6: what opens a connection, and the kinds of frames met here.
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEADERS, SETTINGS, END_STREAM, END_HEADERS, ACK = 1, 4, 1, 4, 1


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes((kind, flags)) + struct.pack(">I", stream) + payload


def literal(name, value):
    """A field that goes into no table, nothing compressed (RFC 7541 §6.2.2); lengths of 127 bytes and more in continued form."""
    def text(raw):
        length, rest = len(raw), b""
        if length < 127:
            return bytes((length,)) + raw
        length -= 127
        while length >= 128:
            rest += bytes((length % 128 + 128,))
            length //= 128
        return bytes((127,)) + rest + bytes((length,)) + raw

    return b"\x00" + text(name.encode()) + text(value.encode())


def ask_http1(peer, connection):
    extra = f"{peer.header}\r\n" if peer.header else ""
    connection.sendall(f"GET / HTTP/1.1\r\nHost: {HOST}:{peer.port}\r\n{extra}\r\n".encode())
    answer = connection.recv(65536)
    return b" 200 " in answer.split(b"\r\n")[0], answer


def ask_nothing(peer, connection):
    return True, b""


def ask_http2(peer, connection):
    fields = [(":method", "GET"), (":scheme", "https"), (":authority", f"{HOST}:{peer.port}"), (":path", "/")]
    if peer.header:
        name, _, value = peer.header.partition(": ")
        fields.append((name.lower(), value))
    block = b"".join(literal(*field) for field in fields)
    connection.sendall(PREFACE + frame(SETTINGS, 0, 0) + frame(HEADERS, END_STREAM | END_HEADERS, 1, block))
    received = b""
    while True:
        while len(received) >= 9 and len(received) >= 9 + (length := int.from_bytes(received[:3], "big")):
            kind, flags, stream, payload = received[3], received[4], int.from_bytes(received[5:9], "big"), received[9:9 + length]
            received = received[9 + length:]
            if kind == SETTINGS and not flags & ACK:
                connection.sendall(frame(SETTINGS, ACK, 0))
            if stream == 1 and kind == HEADERS:  # the first field is the status: 200 is entry 8 of the static table (RFC 7541 §A)
                return payload[:1] == b"\x88", payload
        part = connection.recv(65536)
        if not part:
            return False, received
        received += part


PROTOCOLS = {"HTTP/1.1": ("http/1.1", ask_http1), "HTTP/2": ("h2", ask_http2)}


def connect(peer, tls, ask):
    """A TLS connection that has asked once, with the session, and been answered."""
    connection = tls.wrap_socket(socket.create_connection(("127.0.0.1", peer.port), 30), server_hostname=HOST)
    fine, answer = ask(peer, connection)
    if not fine:
        raise SystemExit(f"{peer.name} answered an idle client with {answer[:80]!r}")
    connection.setblocking(False)
    return connection


def still_open(connection):
    """Reads what was left to read (the rest of the answer, tickets); no when the peer has closed."""
    with contextlib.suppress(ssl.SSLWantReadError):
        while connection.recv(65536):
            pass
        return False
    return True


def idle(peer, many=CONNECTIONS, protocol="HTTP/1.1"):
    """One round, in KiB: `idle`, `idle_resident`, `with_connections`, `per_connection`; `open` of the many at the end."""
    alpn, ask = PROTOCOLS[protocol]
    os.sched_setaffinity(0, {peer.rig.cores.load})
    time.sleep(1)
    before, resident = machine.memory_kib(peer.pids())
    tls = ssl.create_default_context(cafile=peer.rig.cert)
    tls.set_alpn_protocols([alpn])
    connections = []
    try:
        for _ in range(many):
            connections.append(connect(peer, tls, ask))
        time.sleep(SETTLE)
        after, _ = machine.memory_kib(peer.pids())
        open_ones = sum(map(still_open, connections))
    finally:
        for connection in connections:
            connection.close()
    return {"idle": before, "idle_resident": resident, "with_connections": after,
            "per_connection": (after - before) / max(1, open_ones), "open": open_ones}
