#!/usr/bin/env python3
"""TLS 1.3 connections with a client certificate, each with one request, as fast as a few threads make them.

usage: bench/handshakes.py PORT HOST SECONDS THREADS CHAIN KEY full|resumed

Prints `begin` once every thread has connected, and after SECONDS how many connections were made and in how many seconds.
`resumed`: every connection takes up the session of the one before it in its thread (a ticket); one that the server does not
resume ends the program, as does one that is resumed in `full`.
"""

import socket
import ssl
import sys
import threading
import time

from rig import GREETING

END = GREETING.encode()


class Client:
    """Connects again and again. `session` is what the last connection left."""

    def __init__(self, port, host, chain, key, resumes):
        self.port, self.host, self.resumes = port, host, resumes
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self.tls.check_hostname, self.tls.verify_mode = False, ssl.CERT_NONE  # the peer was checked before; this is a load
        self.tls.minimum_version = ssl.TLSVersion.TLSv1_3
        self.tls.set_alpn_protocols(["http/1.1"])
        self.tls.load_cert_chain(chain, key)
        self.session = None
        self.request = f"GET / HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode()

    def once(self):
        plain = socket.create_connection(("127.0.0.1", self.port), 20)
        with self.tls.wrap_socket(plain, server_hostname=self.host, session=self.session) as connection:
            if connection.session_reused != (self.session is not None):
                raise SystemExit("the server did not resume a session" if self.session else "a session was resumed")
            connection.sendall(self.request)
            answer = b""
            while not answer.endswith(END):
                part = connection.recv(65536)
                if not part:
                    raise SystemExit(f"closed after {answer[:80]!r}")
                answer += part
            if not answer.startswith(b"HTTP/1.1 200 "):
                raise SystemExit(f"answered with {answer[:80]!r}")
            if self.resumes:
                self.session = connection.session


def main():
    port, host, seconds, threads, chain, key, kind = sys.argv[1:]
    clients = [Client(int(port), host, chain, key, kind == "resumed") for _ in range(int(threads))]
    made, trouble, stop = [0] * len(clients), [], threading.Event()

    def work(number):
        try:
            while not stop.is_set():
                clients[number].once()
                made[number] += 1
        except (OSError, SystemExit) as error:
            trouble.append(str(error))

    for client in clients:
        client.once()
    print("begin", flush=True)
    begun = time.monotonic()
    workers = [threading.Thread(target=work, args=(number,)) for number in range(len(clients))]
    for worker in workers:
        worker.start()
    time.sleep(float(seconds))
    stop.set()
    for worker in workers:
        worker.join()
    if trouble:
        sys.exit(trouble[0])
    print(sum(made), time.monotonic() - begun, flush=True)


if __name__ == "__main__":
    main()
