"""A crowd that uses the gateway without a pause while something is done to it, and that notices every wrong answer."""

import base64
import collections
import contextlib
import json
import threading
import time

import http2
from peers import Origin
from wire import PATIENCE, Closed, Reader


def header(token):
    """The header of a JWT."""
    return part(token, 0)


def part(token, place):
    text = token.split(".")[place]
    return json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))


class Mirror(Origin):
    """An application that answers with what it was asked for and by whom, so that an answer on the wrong road shows."""

    def __init__(self):
        self.kids = collections.Counter()
        super().__init__()

    def converse(self, connection):
        reader = Reader(connection)
        while True:
            head = reader.head()
            reader.body(head)
            assertion, who = head.get("cf-access-jwt-assertion"), ""
            if assertion:
                self.kids[header(assertion)["kid"]] += 1
                claims = part(assertion, 1)
                who = claims.get("email") or claims["common_name"]
            body = reflection(head.line.split(" ")[1], who)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))


def reflection(target, who):
    return f"{target} for {who}".encode()


class Caller(threading.Thread):
    """Asks for one page after the other over a connection that it keeps, as `who` with the headers that prove it."""

    def __init__(self, app, headers, who, alpn="http/1.1", rest=0):
        super().__init__(daemon=True)
        self.rest = rest
        self.app, self.headers, self.who, self.alpn = app, headers, who, alpn
        self.over, self.asked, self.wrong = threading.Event(), 0, []

    def run(self):
        try:
            with self.connected() as ask:
                while not self.over.is_set():
                    target = f"/{self.name}/{self.asked}"
                    begun = time.monotonic()
                    status, body = ask(target)
                    self.asked += 1
                    self.note(status, body, target, begun)
                    if self.rest:
                        self.over.wait(self.rest)
        except Exception as error:  # whatever it is, a request was not answered
            self.wrong.append(f"{self.name} after {self.asked}: {error!r}")

    @contextlib.contextmanager
    def connected(self):
        """A way to ask for a target: its status and body."""
        if self.alpn == "h2":
            with http2.Client(self.app) as client:
                def ask(target):
                    answer = client.ask(client.head(*self.headers.items(), path=target))
                    if answer.status is None:
                        raise Closed(f"goaway {client.goaway}, reset {answer.reset}")
                    return answer.status, answer.body

                yield ask
        else:
            fields = "".join(f"{name}: {value}\r\n" for name, value in self.headers.items())
            with self.app.open() as wire:
                def ask(target):
                    answer = wire.ask(f"GET {target} HTTP/1.1\r\nHost: {self.app.authority}\r\n{fields}\r\n")
                    if answer is None:
                        raise Closed
                    return answer.status, answer.body

                yield ask

    def note(self, status, body, target, begun):
        """Whether that was as it should be."""
        if (status, body) != (200, reflection(target, self.who)):
            self.wrong.append(f"{self.name} asked for {target} as {self.who}: {status} {body[:200]}")
            self.over.set()

    def end(self):
        self.over.set()
        self.join(3 * PATIENCE)


class Traveller(Caller):
    """A caller who may be told to connect again, and does: over HTTP/1.1 by `Connection: close`, over HTTP/2 by GOAWAY. Any
    other end of a connection on which something was asked is a request lost."""

    def __init__(self, *args, **settings):
        super().__init__(*args, **settings)
        self.moves = 0

    @contextlib.contextmanager
    def connected(self):
        way = Http2Way(self) if self.alpn == "h2" else Http1Way(self)
        try:
            yield way.ask
        finally:
            way.close()


class Http1Way:
    def __init__(self, caller):
        self.caller, self.wire = caller, None
        self.fields = "".join(f"{name}: {value}\r\n" for name, value in caller.headers.items())

    def ask(self, target):
        self.wire = self.wire or self.caller.app.open()
        answer = self.wire.ask(f"GET {target} HTTP/1.1\r\nHost: {self.caller.app.authority}\r\n{self.fields}\r\n")
        if answer is None:
            raise Closed("an HTTP/1.1 connection, without a word")
        if answer["connection"] == "close":
            self.close()
            self.caller.moves += 1
        return answer.status, answer.body

    def close(self):
        if self.wire:
            self.wire.sock.close()
            self.wire = None


class Patient(http2.Client):
    """A client that reads on after GOAWAY, which the `h2` library does not: it is given every frame but that one."""

    last, rest = None, b""

    def read(self, enough):
        while not enough() and not self.closed:
            try:
                data = self.wire.sock.recv(65536)
            except ConnectionError:
                data = b""
            self.closed = not data
            self.rest += data
            while len(self.rest) >= 9 and len(self.rest) >= 9 + (size := int.from_bytes(self.rest[:3], "big")):
                frame, self.rest = self.rest[:9 + size], self.rest[9 + size:]
                if frame[3] == http2.GOAWAY:
                    self.last, self.goaway = (int.from_bytes(frame[place:place + 4], "big") for place in (9, 13))
                else:
                    for event in self.h2.receive_data(frame):
                        self.note(event)
            self.flush()


class Http2Way:
    def __init__(self, caller):
        self.caller, self.client = caller, None

    def ask(self, target):
        while True:
            if self.client is None or self.client.last is not None:
                self.close()
                self.client = Patient(self.caller.app)
            head = self.client.head(*self.caller.headers.items(), path=target)
            stream = self.client.send(head)
            answer = self.client.answer(stream)
            if answer.status is not None and answer.ended and answer.reset is None:
                return answer.status, answer.body
            # RFC 9113, section 6.8: streams above the last one named were not acted upon, and may be tried again.
            if self.client.goaway != http2.NO_ERROR or stream <= self.client.last:
                raise Closed(f"stream {stream}: goaway {self.client.goaway} up to {self.client.last}, reset {answer.reset}")

    def close(self):
        if self.client:
            self.client.wire.sock.close()
            self.caller.moves += self.client.last is not None
            self.client = None


class Doomed(Caller):
    """Whose credential is about to be taken away: keeps when it was let in last, and ends when it is refused."""

    def __init__(self, *args, **settings):
        super().__init__(*args, **settings)
        self.let_in, self.refused, self.status = threading.Event(), None, None
        self.last_begun = None

    def note(self, status, body, target, begun):
        if status == 200:
            super().note(status, body, target, begun)
            self.last_begun = begun
            self.let_in.set()
        else:
            self.refused, self.status = time.monotonic(), status
            self.over.set()


class Talker(threading.Thread):
    """A WebSocket on which something is said, and comes back, again and again."""

    def __init__(self, dial, rest=0):
        super().__init__(daemon=True)
        self.rest = rest
        self.dial, self.over, self.asked, self.wrong = dial, threading.Event(), 0, []

    def run(self):
        try:
            with self.dial() as connection:
                while not self.over.is_set():
                    said = f"{self.name} {self.asked}"
                    connection.send(said)
                    if (heard := connection.recv(PATIENCE)) != said:
                        self.wrong.append(f"{said!r} came back as {heard!r}")
                    self.asked += 1
                    if self.rest:
                        self.over.wait(self.rest)
        except Exception as error:
            self.wrong.append(f"{self.name} after {self.asked}: {error!r}")

    def end(self):
        self.over.set()
        self.join(3 * PATIENCE)


class Crowd:
    """All who use the gateway meanwhile."""

    def __init__(self, members):
        self.members = members
        for member in members:
            member.start()

    @contextlib.contextmanager
    def unharmed(self):
        """What is done within harms none of them, and each gets answers meanwhile."""
        before = [member.asked for member in self.members]
        yield
        self.wait(lambda: all(member.asked > asked or member.wrong for member, asked in zip(self.members, before)))
        wrong = [what for member in self.members for what in member.wrong]
        assert not wrong, f"{len(wrong)} wrong answers among {self.asked}: {wrong[:5]}"

    @staticmethod
    def wait(enough):
        deadline = time.monotonic() + 3 * PATIENCE
        while not enough():
            assert time.monotonic() < deadline, "the crowd stands still"
            time.sleep(0.01)

    @property
    def asked(self):
        return sum(member.asked for member in self.members)

    def end(self):
        for member in self.members:
            member.end()
