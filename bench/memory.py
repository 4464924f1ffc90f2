"""Memory of a peer when nobody asks anything, and when a thousand clients keep a connection open and say nothing."""

import contextlib
import os
import socket
import ssl
import time

import machine
from rig import HOST

CONNECTIONS = 1000
SETTLE = 8  # seconds: longer than the five after which a peer may put an idle connection away


def connect(peer, tls):
    """A TLS connection that has asked once, with the session, and been answered."""
    connection = tls.wrap_socket(socket.create_connection(("127.0.0.1", peer.port), 30), server_hostname=HOST)
    extra = f"{peer.header}\r\n" if peer.header else ""
    connection.sendall(f"GET / HTTP/1.1\r\nHost: {HOST}:{peer.port}\r\n{extra}\r\n".encode())
    answer = connection.recv(65536)
    if b" 200 " not in answer.split(b"\r\n")[0]:
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


def idle(peer):
    """One round, in KiB: `idle`, `idle_resident`, `with_connections`, `per_connection`; `open` of the thousand at the end."""
    os.sched_setaffinity(0, {peer.rig.cores.load})
    time.sleep(1)
    before, resident = machine.memory_kib(peer.pids())
    tls = ssl.create_default_context(cafile=peer.rig.cert)
    tls.set_alpn_protocols(["http/1.1"])
    connections = []
    try:
        for _ in range(CONNECTIONS):
            connections.append(connect(peer, tls))
        time.sleep(SETTLE)
        after, _ = machine.memory_kib(peer.pids())
        open_ones = sum(map(still_open, connections))
    finally:
        for connection in connections:
            connection.close()
    return {"idle": before, "idle_resident": resident, "with_connections": after,
            "per_connection": (after - before) / CONNECTIONS, "open": open_ones}
