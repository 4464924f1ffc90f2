"""Twice as much is asked of a gateway as it can do, by clients who do not wait for each other (security §4, R8).

What it cannot serve it answers 503 at once, on connections that stay open; health, metrics and the administration API are
heard meanwhile, a revocation takes effect, and afterwards everything is as before. How much was served is printed with
NARTHEX_FIGURES=1, and is no part of the verdict.
"""

import os
import re
import selectors
import socket
import ssl
import threading
import time
import urllib.request

import pytest
from gateway import EVERYONE, Gateway, free_port, policy
from wire import PATIENCE

CONNECTIONS = 150
SECONDS = float(os.environ.get("NARTHEX_OVERLOAD_SECONDS", "4"))
STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) ")


class Crowd:
    """Connections over which requests are sent at a rate, whether or not what was asked before has been answered."""

    def __init__(self, app, headers, count):
        fields = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        self.request = f"GET / HTTP/1.1\r\nHost: {app.authority}\r\n{fields}\r\n".encode()
        context = ssl.create_default_context(cafile=app.gateway.ca)
        self.all = []
        for _ in range(count):
            plain = socket.create_connection(("127.0.0.1", app.gateway.port), PATIENCE)
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.all.append(context.wrap_socket(plain, server_hostname=app.host))
        self.selector = selectors.DefaultSelector()
        for connection in self.all:
            connection.setblocking(False)
            self.selector.register(connection, selectors.EVENT_READ, {"rest": b""})
        self.sent, self.statuses, self.broken = 0, {}, 0

    @property
    def answered(self):
        return sum(self.statuses.values())

    def read(self, patience):
        for key, _ in self.selector.select(patience):
            while True:
                try:
                    got = key.fileobj.recv(65536)
                except (ssl.SSLWantReadError, BlockingIOError):
                    break
                except OSError:
                    got = b""
                if not got:
                    self.broken += 1
                    self.selector.unregister(key.fileobj)
                    break
                text = key.data["rest"] + got
                for found in STATUS.finditer(text):
                    status = int(found.group(1))
                    self.statuses[status] = self.statuses.get(status, 0) + 1
                # A status line may be cut in two by the end of what was read.
                key.data["rest"] = text[-12:] if not STATUS.search(text[-12:]) else b""

    def ask(self, count):
        for _ in range(count):
            connection = self.all[self.sent % len(self.all)]
            try:
                connection.send(self.request)
            except (ssl.SSLWantWriteError, BlockingIOError):
                return  # the gateway does not read it: it has been told to wait
            except OSError:
                return  # counted when it is read
            self.sent += 1

    def at_once(self, seconds):
        """Requests a second when each connection asks again as soon as it has its answer."""
        before, begun = self.answered, time.monotonic()
        self.ask(len(self.all))
        while time.monotonic() - begun < seconds:
            self.read(0.01)
            self.ask(len(self.all) - (self.sent - self.answered))
        rate = (self.answered - before) / (time.monotonic() - begun)
        self.settle()
        return rate

    def at_rate(self, rate, seconds):
        begun, sent = time.monotonic(), 0
        while (passed := time.monotonic() - begun) < seconds:
            due = int(rate * passed) - sent
            self.ask(due)
            sent += due
            self.read(0.002)

    def settle(self):
        deadline = time.monotonic() + 3 * PATIENCE
        while self.answered < self.sent and time.monotonic() < deadline:
            self.read(0.05)

    def end(self):
        for connection in self.all:
            connection.close()


class Watcher(threading.Thread):
    """Asks for something again and again; keeps how long each answer took, and what went wrong."""

    def __init__(self, ask):
        super().__init__(daemon=True)
        self.ask, self.over, self.took, self.wrong = ask, threading.Event(), [], []

    def run(self):
        while not self.over.is_set():
            begun = time.monotonic()
            try:
                self.ask()
                self.took.append(time.monotonic() - begun)
            except Exception as error:
                self.wrong.append(repr(error))
            self.over.wait(0.1)


@pytest.fixture
def house():
    port = free_port()
    gateway = Gateway([("*.localhost", "http_status:200", "")], free_port(), f'metrics = "127.0.0.1:{port}"',
                      '[limits]\nqueue_delay = "30ms"')
    gateway.metrics = f"http://127.0.0.1:{port}"
    yield gateway
    gateway.stop()


def page(gateway, path):
    with urllib.request.urlopen(gateway.metrics + path, timeout=PATIENCE) as answer:
        return answer.read().decode()


def test_r08_at_twice_the_load_the_excess_is_answered_503_and_administrators_are_heard(house, capsys):
    token = house.service_token("busy")
    pair = {"CF-Access-Client-Id": token["client_id"], "CF-Access-Client-Secret": token["client_secret"]}
    app = house.protect(policy("non_identity", [{"service_token": {"token_id": token["id"]}}]))
    open_app = house.protect(policy("bypass", EVERYONE))
    few = Crowd(app, pair, 8)
    capacity = few.at_once(1.5)
    assert set(few.statuses) == {200}, "a few clients who wait for their answers are never turned away"
    few.end()

    known, strangers = Crowd(app, pair, CONNECTIONS), Crowd(open_app, {}, CONNECTIONS)
    watchers = {
        "administration": Watcher(lambda: house.access("GET", "/service_tokens")),
        "health": Watcher(lambda: page(house, "/healthz")),
        "readiness": Watcher(lambda: page(house, "/readyz")),
        "metrics": Watcher(lambda: page(house, "/metrics")),
    }
    for watcher in watchers.values():
        watcher.start()
    loads = [threading.Thread(target=crowd.at_rate, args=(capacity, SECONDS)) for crowd in (known, strangers)]
    for load in loads:
        load.start()
    for load in loads:
        load.join()
    during = page(house, "/metrics")
    for crowd in (known, strangers):
        crowd.settle()
    for watcher in watchers.values():
        watcher.over.set()
        watcher.join(3 * PATIENCE)

    for crowd in (known, strangers):
        assert crowd.broken == 0, "nobody is cut off"
        assert crowd.answered == crowd.sent, "everybody is answered"
        assert set(crowd.statuses) <= {200, 503}, crowd.statuses
    assert known.statuses.get(200), "those who are known are served meanwhile"
    for name, watcher in watchers.items():
        assert not watcher.wrong and watcher.took, f"{name}: {watcher.wrong[:3]}"
    for name in ("overloaded_cores", "queue_delay_microseconds", "shed_requests_total", "connections_delayed_total"):
        assert f"narthex_{name}" in during

    house.access("DELETE", f"/service_tokens/{token['id']}")
    refused = Crowd(app, pair, 1)
    refused.at_once(0.3)
    assert 200 not in refused.statuses, "revoked"
    deadline = time.monotonic() + PATIENCE
    while open_app.request().status != 200:
        assert time.monotonic() < deadline, "it is over when the load is"
    if os.environ.get("NARTHEX_FIGURES"):
        with capsys.disabled():
            print(f"\ncapacity {capacity:.0f}/s; asked for twice that, {SECONDS:.0f} s:")
            for name, crowd in (("known", known), ("strangers", strangers)):
                print(f"  {name}: sent {crowd.sent}, {dict(sorted(crowd.statuses.items()))}")
            for name, watcher in watchers.items():
                took = sorted(watcher.took)
                print(f"  {name}: {len(took)} answers, median {took[len(took) // 2] * 1000:.0f} ms, longest {took[-1] * 1000:.0f} ms")
            print("\n".join(line for line in during.splitlines() if re.match("narthex_(shed|overloaded|queue_delay|connections_delayed)", line)))
    for crowd in (known, strangers, refused):
        crowd.end()
