"""Bytes over TLS to the gateway: a test says exactly what is sent, and reads exactly what comes back."""

import contextlib
import socket
import ssl
from dataclasses import dataclass, field

# Longest wait for anything that must happen, in seconds.
PATIENCE = 10

lookup = socket.getaddrinfo


def is_this_machine(host):
    host = host.decode() if isinstance(host, bytes) else str(host)
    return host == "localhost" or host.endswith(".localhost")


def getaddrinfo(host, *rest, **more):
    """Browsers know that *.localhost is this machine (RFC 6761); the C library's resolver does not."""
    return lookup("127.0.0.1" if is_this_machine(host) else host, *rest, **more)


socket.getaddrinfo = getaddrinfo


@dataclass
class Head:
    """The start line and the fields of a message."""

    raw: bytes
    line: str = ""
    fields: list = field(default_factory=list)

    def __post_init__(self):
        first, *rest = self.raw.decode("latin-1").rstrip("\r\n").split("\r\n")
        self.line = first
        self.fields = [(name.lower(), value.strip()) for name, _, value in (one.partition(":") for one in rest)]

    def all(self, name):
        return [value for key, value in self.fields if key == name.lower()]

    def get(self, name, otherwise=None):
        return next(iter(self.all(name)), otherwise)

    def __contains__(self, name):
        return bool(self.all(name))


@dataclass
class Answer:
    head: Head
    body: bytes

    @property
    def status(self):
        return int(self.head.line.split(" ")[1])

    def __getitem__(self, name):
        return self.head.get(name)

    def all(self, name):
        return self.head.all(name)

    @property
    def text(self):
        return self.body.decode(errors="replace")

    @property
    def cookies(self):
        """The `Set-Cookie` fields by the cookie's name."""
        return {value.split("=", 1)[0]: Cookie(value) for value in self.all("set-cookie")}


class Cookie:
    """One `Set-Cookie`."""

    def __init__(self, text):
        pair, *attributes = [part.strip() for part in text.split(";")]
        self.name, _, self.value = pair.partition("=")
        self.attributes = {name.lower(): value for name, _, value in (one.partition("=") for one in attributes)}


class Closed(Exception):
    """The other side has ended the connection."""


class Reader:
    """Messages out of a socket."""

    def __init__(self, sock):
        self.sock, self.kept = sock, b""

    def more(self):
        try:
            part = self.sock.recv(65536)
        except (ConnectionError, ssl.SSLError) as error:
            raise Closed from error
        if not part:
            raise Closed
        self.kept += part

    def until(self, mark):
        while mark not in self.kept:
            self.more()
        found, _, self.kept = self.kept.partition(mark)
        return found

    def exactly(self, count):
        while len(self.kept) < count:
            self.more()
        found, self.kept = self.kept[:count], self.kept[count:]
        return found

    def head(self):
        return Head(self.until(b"\r\n\r\n"))

    def body(self, head):
        if "chunked" in head.get("transfer-encoding", ""):
            body = b""
            while size := int(self.until(b"\r\n").split(b";")[0], 16):
                body += self.exactly(size)
                self.exactly(2)
            while self.until(b"\r\n"):
                pass
            return body
        return self.exactly(int(head.get("content-length", 0)))


class Wire:
    """A TLS connection to the gateway that negotiated `alpn`; `client` is the certificate that it shows, if any."""

    def __init__(self, gateway, host, alpn="http/1.1", client=None):
        context = ssl.create_default_context(cafile=gateway.ca)
        if client:
            context.load_cert_chain(client.chain, client.key)
        context.set_alpn_protocols([alpn])
        plain = socket.create_connection(("127.0.0.1", gateway.port), PATIENCE)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock = context.wrap_socket(plain, server_hostname=host)
        self.reader = Reader(self.sock)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def send(self, data):
        """Sends; a gateway that has stopped listening is no failure."""
        with contextlib.suppress(ConnectionError, ssl.SSLError, TimeoutError):
            self.sock.sendall(data if isinstance(data, bytes) else data.encode("latin-1"))

    def answer(self, method="GET"):
        """The next answer; `None` when the gateway closes instead."""
        try:
            head = self.reader.head()
            bodiless = method == "HEAD" or head.line.split(" ")[1] in ("204", "304") or head.line.split(" ")[1][0] == "1"
            return Answer(head, b"" if bodiless else self.reader.body(head))
        except Closed:
            return None

    def ask(self, data, method="GET"):
        self.send(data)
        return self.answer(method)

    def is_closed(self):
        """Whether the gateway ends the connection; waits for it."""
        try:
            while True:
                self.reader.more()
        except Closed:
            return True
        except TimeoutError:
            return False
