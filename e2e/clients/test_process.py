"""narthexd as a process: signals, stops, file descriptors, memory and a log that nobody reads (security §4, groups R and W)."""

import contextlib
import os
import signal
import socket
import ssl
import threading
import time

import pytest
import wire
from gateway import Gateway, free_port, policy
from peers import HELLO, Origin, serve
from test_conformance import BYE, TEXT, frame, switch

PLAIN = "GET / HTTP/1.1\r\nHost: {}\r\n\r\n"


class Narthexd(Gateway):
    """One that a test has for itself; `command` is put before it, `more` into its file."""

    def __init__(self, ingress, command=(), more="", stderr=None):
        self.metrics_port = free_port()
        super().__init__(ingress, free_port(), f'metrics = "127.0.0.1:{self.metrics_port}"', more, command, stderr)

    def figures(self, connection=None):
        """What `/metrics` says, by series."""
        with connection or self.private() as plain:
            plain.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            reader = wire.Reader(plain)
            page = reader.body(reader.head()).decode()
        samples = (line.rsplit(" ", 1) for line in page.splitlines() if not line.startswith("#"))
        return {series: float(value) for series, value in samples}

    def private(self):
        return socket.create_connection(("127.0.0.1", self.metrics_port), wire.PATIENCE)

    def cpu(self):
        """Seconds of processor time so far."""
        with open(f"/proc/{self.process.pid}/stat") as file:
            user, system = file.read().rpartition(")")[2].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


@pytest.fixture(scope="module")
def plain_origin():
    return Origin()


@pytest.fixture
def started(plain_origin):
    """Starts gateways of a test's own and ends them."""
    running = []

    def start(*ingress, **settings):
        running.append(Narthexd([*ingress, ("*.localhost", plain_origin.service, "")], **settings))
        return running[-1]

    yield start
    for one in running:
        assert one.process.poll() is None, one.logged()
        assert one.stop() == 0


def until(enough, what):
    """Waits for a condition."""
    deadline = time.monotonic() + wire.PATIENCE
    while not (found := enough()):
        assert time.monotonic() < deadline, what
        time.sleep(0.01)
    return found


def test_r05_signals_do_what_is_written_or_nothing(started):
    gateway = started()
    app = gateway.protect(policy("bypass"))
    with app.open() as kept:
        request = PLAIN.format(app.authority)
        for name in ["USR1", "PIPE", "CHLD", "ALRM", "HUP", "WINCH", "URG", "CONT", "USR1", "HUP"] * 3:
            gateway.process.send_signal(getattr(signal, f"SIG{name}"))
            assert kept.ask(request).status == 200, name
    until(lambda: "read the configuration again" in gateway.logged(), "SIGHUP has its meaning")


def test_r10_without_file_descriptors_it_waits_and_recovers(started, plain_origin):
    gateway = started(command=("prlimit", "--nofile=256:256"))
    app = gateway.protect(policy("bypass"))
    request = PLAIN.format(app.authority)
    private = gateway.private()  # accepted while there is room
    with app.open() as kept:
        assert kept.ask(request).status == 200
        crowd = [socket.create_connection(("127.0.0.1", gateway.port), wire.PATIENCE) for _ in range(400)]
        try:
            until(lambda: len(os.listdir(f"/proc/{gateway.process.pid}/fd")) >= 255, "every descriptor is taken")
            before = gateway.cpu()
            time.sleep(2)  # how it spends a time without descriptors is what this is about
            assert gateway.cpu() - before < 0.5, "it does not try in a circle"
            assert kept.ask(request).status == 200, "who is in is answered"
        finally:
            for one in crowd:
                one.close()
        figures = gateway.figures(private)
        failed = figures['narthex_connections_total{outcome="accept_failed"}']
        assert 1 <= failed <= 60, "a few attempts, each after a longer pause"
        assert kept.ask(request).status == 200
    assert app.request().status == 200, "there is room again"


def test_r12_a_pause_of_the_whole_process_loses_nothing(started, sockets):
    held = threading.Event()

    def slow(connection):
        reader = wire.Reader(connection)
        while True:
            reader.head()
            arrived.set()
            held.wait(wire.PATIENCE)
            connection.sendall(HELLO)

    arrived, listener = threading.Event(), socket.create_server(("127.0.0.1", 0))
    serve(listener, slow)
    gateway = started(("slow.localhost", f"http://127.0.0.1:{listener.getsockname()[1]}", ""),
                      ("socket.localhost", sockets.service, ""))
    app, lazy = gateway.protect(policy("bypass")), gateway.protect(policy("bypass"), host="slow.localhost")
    chat = gateway.protect(policy("bypass"), host="socket.localhost")
    request = PLAIN.format(app.authority)
    with app.open() as kept, lazy.open() as waiting, chat.open() as talking:
        assert kept.ask(request).status == 200
        reader = switch(talking.sock, chat.authority)
        waiting.send(PLAIN.format(lazy.authority))
        assert arrived.wait(wire.PATIENCE)
        for _ in range(3):
            gateway.process.send_signal(signal.SIGSTOP)
            time.sleep(0.5)  # the pause of the case
            gateway.process.send_signal(signal.SIGCONT)
            assert kept.ask(request).status == 200
            talking.send(frame(TEXT, b"hi"))
            assert reader.exactly(4) == b"\x81\x02hi"
        held.set()
        assert waiting.answer().status == 200
        talking.send(BYE)
    assert gateway.api("GET", "/accounts")[0]["id"] == gateway.account, "and the store is not locked"


def test_r11_bodies_in_both_directions_are_never_kept(started):
    """Sixty bodies that nobody takes cost what is under way, not what was sent."""
    def deaf(connection):
        reader = wire.Reader(connection)
        if "/down" in reader.head().line:
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
            with contextlib.suppress(OSError):
                while True:
                    connection.sendall(b"x" * 65536)
        connection.settimeout(None)
        over.wait()

    over, listener = threading.Event(), socket.create_server(("127.0.0.1", 0), backlog=256)
    serve(listener, deaf)
    gateway = started(("deaf.localhost", f"http://127.0.0.1:{listener.getsockname()[1]}", ""))
    app = gateway.protect(policy("bypass"), host="deaf.localhost")
    try:
        with contextlib.ExitStack() as stack:
            up = [stack.enter_context(app.open()) for _ in range(30)]
            down = [stack.enter_context(app.open()) for _ in range(30)]
            before = gateway.memory()
            sent = 0
            for one in down:
                one.send(PLAIN.format(app.authority).replace("GET /", "GET /down"))
            for one in up:
                one.send(f"POST /up HTTP/1.1\r\nHost: {app.authority}\r\nContent-Length: 1000000000\r\n\r\n")
                one.sock.settimeout(0.1)  # until everything on the way is full
                with contextlib.suppress(OSError):
                    while True:
                        one.sock.sendall(b"x" * 65536)
                        sent += 65536
            grown = gateway.memory() - before
        print(f"{grown} bytes more for {sent} sent")
        assert sent > 40 * 1024 * 1024, "much more was sent than may be kept"
        assert grown < 60 * 1024 * 1024, f"{grown} bytes for {sent} and as much in the other direction"
        assert app.gateway.api("GET", "/accounts"), "the gateway lives"
    finally:
        over.set()


def test_r19_a_log_that_nobody_reads_costs_lines_and_no_requests(started):
    nobody, pipe = os.pipe()
    try:
        gateway = started(("quick.localhost", "http_status:200", ""), stderr=pipe, more='[log]\nrequests = "all"\n')
        app = gateway.protect(policy("bypass"), host="quick.localhost")
        request, times = PLAIN.format(app.authority).replace("GET /", f"GET /{'x' * 300}"), 100
        answered = 0
        with app.open() as connection:
            # The queue holds 8,192 lines, the pipe some hundred.
            while answered < 10_000:
                connection.send(request * times)
                for _ in range(times):
                    assert connection.answer().status == 200
                answered += times
        figures = gateway.figures()
        assert figures["narthex_log_lines_dropped_total"] > 500
        assert figures['narthex_requests_total{verdict="admitted_bypass"}'] == answered
        assert figures["narthex_records_dropped_total"] == 0, "records have a way of their own"
    finally:
        os.close(pipe)
        threading.Thread(target=drain, args=(nobody,), daemon=True).start()


def drain(pipe):
    """Reads what is left, so that the process can say its last words."""
    while os.read(pipe, 65536):
        pass
    os.close(pipe)


IDLE = int(os.environ.get("IDLE_WEBSOCKETS", "500"))


def test_w06_idle_websockets_cost_little(started):
    """Five hundred WebSockets on which nothing happens; IDLE_WEBSOCKETS asks for more."""
    def idle(connection):
        wire.Reader(connection).head()
        connection.sendall(
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Accept: fQ3o+jvWDUlmTKhqvCVM0B9D/fo=\r\n\r\n")  # for the key of `switch`
        while said := connection.recv(1024):
            connection.sendall(said)

    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    serve(listener, idle)
    gateway = started(("idle.localhost", f"http://127.0.0.1:{listener.getsockname()[1]}", ""))
    app = gateway.protect(policy("bypass"), host="idle.localhost")
    context = ssl.create_default_context(cafile=gateway.ca)
    with contextlib.ExitStack() as stack:
        def one():
            plain = socket.create_connection(("127.0.0.1", gateway.port), wire.PATIENCE)
            connection = stack.enter_context(context.wrap_socket(plain, server_hostname=app.host))
            switch(connection, app.authority)
            return connection

        for _ in range(50):
            one()  # so that what is made once is made
        before = gateway.memory()
        connections = [one() for _ in range(IDLE)]
        each = (gateway.memory() - before) / IDLE
        print(f"{IDLE} WebSockets: {each:.0f} bytes each")
        spent = gateway.cpu()
        time.sleep(2)  # the idleness that is measured
        spent = gateway.cpu() - spent
        for connection in connections[:: max(1, IDLE // 50)]:
            connection.sendall(b"\x81\x80\0\0\0\0")
            assert connection.recv(16) == b"\x81\x80\0\0\0\0", "it lives"
    assert each < 32 * 1024
    assert spent < 0.3, f"{spent} s of processor time in two idle seconds"
