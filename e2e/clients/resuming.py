"""Clients that come back with the TLS session of their last visit: OpenSSL's `s_client`, Python's `ssl` and curl.

Each visits twice. In between a test may change what it likes; the second visit offers the session of the first. None of
them is ours.
"""

import contextlib
import os
import re
import signal
import socket
import ssl
import subprocess
from dataclasses import dataclass

import h2.config
import h2.connection
import h2.events
from wire import PATIENCE

ID, TICKET, TLS13 = "a session id of TLS 1.2", "a ticket of TLS 1.2", "a ticket of TLS 1.3"
KINDS = [ID, TICKET, TLS13]
PROTOCOLS = ["http/1.1", "h2"]


@dataclass
class Visit:
    """How a visit went. `offered`: the client asked to resume; `resumed`: the gateway agreed, else both sides shook hands in
    full."""

    status: int
    offered: bool
    resumed: bool


class Question:
    """One GET, as bytes; and the status in what comes back."""

    def __init__(self, alpn, authority):
        self.kept, self.h2 = b"", None
        if alpn == "h2":
            self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True, header_encoding="utf-8"))
            self.h2.initiate_connection()
            self.h2.send_headers(1, [
                (":method", "GET"), (":scheme", "https"), (":authority", authority), (":path", "/")], end_stream=True)
            self.bytes = self.h2.data_to_send()
        else:
            self.bytes = f"GET / HTTP/1.1\r\nHost: {authority}\r\n\r\n".encode()

    def status(self, data):
        """The status, once it has come."""
        if self.h2:
            heads = [it for it in self.h2.receive_data(data) if isinstance(it, h2.events.ResponseReceived)]
            return int(dict(heads[0].headers)[":status"]) if heads else None
        self.kept += data
        return int(self.kept.split()[1]) if b"\r\n\r\n" in self.kept else None

    def ask(self, send, receive):
        """The status of the answer."""
        send(self.bytes)
        while data := receive():
            if status := self.status(data):
                return status
        raise AssertionError("the gateway closed instead of an answer")


class OpenSsl:
    """`openssl s_client`, with the session in a file."""

    kinds, keeps_session = KINDS, True

    def __init__(self, kind, alpn, client, place):
        self.kind, self.alpn, self.client = kind, alpn, client
        self.session, self.messages = (os.path.join(place, name) for name in ["session", "messages"])

    def first(self, app):
        with contextlib.suppress(FileNotFoundError):
            os.remove(self.session)
        if self.kind == ID:
            self.visit(app, "-tls1_2", "-no_ticket", "-sess_out", self.session)
            assert not os.path.exists(self.session), "the gateway gives nobody an id to resume by"
            # So a client makes one up: it offers the one under which OpenSSL files the session of a ticket.
        return self.visit(app, self.version, "-sess_out", self.session)

    def second(self, app):
        assert os.path.exists(self.session), "a session was kept"
        return self.visit(app, self.version, *(["-no_ticket"] if self.kind == ID else []), "-sess_in", self.session)

    @property
    def version(self):
        return "-tls1_3" if self.kind == TLS13 else "-tls1_2"

    def visit(self, app, *options):
        question = Question(self.alpn, app.authority)
        shown = ["-cert", self.client.pem, "-key", self.client.key] if self.client else []
        with subprocess.Popen(
                ["openssl", "s_client", "-quiet", "-no_ign_eof", "-msg", "-msgfile", self.messages, "-alpn", self.alpn,
                 "-connect", f"127.0.0.1:{app.gateway.port}", "-servername", app.host, "-CAfile", app.gateway.ca, *shown, *options],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0) as process:
            status = question.ask(process.stdin.write, lambda: process.stdout.read(65536))
            process.stdin.close()  # which ends it in good order
            process.wait(PATIENCE)
        return Visit(status, *self.read_messages())

    def read_messages(self):
        """Whether the session was offered, and taken up, by the handshake's messages. After one in full, the client has
        proved anew that it holds its key, if it was asked to."""
        with open(self.messages) as file:
            messages = re.findall(r"([<>]{3}) .*, Handshake \[length [0-9a-f]+\], (\w+)\n((?: {4}.*\n)+)", file.read())
        full = ("<<<", "Certificate") in [message[:2] for message in messages]
        if ("<<<", "CertificateRequest") in [message[:2] for message in messages] and self.client:
            assert (">>>", "CertificateVerify") in [message[:2] for message in messages]
        hello = next(bytes.fromhex(octets) for _, name, octets in messages if name == "ClientHello")
        return self.offers(hello), not full

    def offers(self, hello):
        """Whether a ClientHello asks to resume by the way that this client stands for (RFC 5246 §7.4.1.2, RFC 5077 §3.2, RFC
        8446 §4.2.11)."""
        at = 4 + 2 + 32
        session_id, at = hello[at], at + 1 + hello[at]
        at += 2 + int.from_bytes(hello[at:at + 2], "big")  # cipher suites
        at += 1 + hello[at] + 2  # compression methods, and the length of the extensions
        extensions = {}
        while at < len(hello):
            kind, length = (int.from_bytes(hello[place:place + 2], "big") for place in (at, at + 2))
            extensions[kind], at = length, at + 4 + length
        session_ticket, pre_shared_key = extensions.get(35, 0) > 0, 41 in extensions
        return {ID: session_id > 0 and not session_ticket, TICKET: session_ticket, TLS13: pre_shared_key}[self.kind]


class Python:
    """Python's `ssl`, with the session as an object."""

    kinds, keeps_session = KINDS, True

    def __init__(self, kind, alpn, client, ca):
        self.kind, self.alpn, self.session = kind, alpn, None
        self.context = ssl.create_default_context(cafile=ca)
        if client:
            self.context.load_cert_chain(client.chain, client.key)
        self.context.set_alpn_protocols([alpn])
        version = ssl.TLSVersion.TLSv1_3 if kind == TLS13 else ssl.TLSVersion.TLSv1_2
        self.context.minimum_version = self.context.maximum_version = version

    def first(self, app):
        self.session = None
        self.context.options &= ~ssl.OP_NO_TICKET
        return self.visit(app)

    def second(self, app):
        assert self.session and (self.session.id or self.kind == TLS13), "a session was kept"
        if self.kind == ID:
            self.context.options |= ssl.OP_NO_TICKET
        return self.visit(app)

    def visit(self, app):
        plain = socket.create_connection(("127.0.0.1", app.gateway.port), PATIENCE)
        with self.context.wrap_socket(plain, server_hostname=app.host, session=self.session) as secured:
            status = Question(self.alpn, app.authority).ask(secured.sendall, lambda: secured.recv(65536))
            offered, self.session = self.session is not None, secured.session
            return Visit(status, offered, secured.session_reused)


class Curl:
    """curl, which keeps sessions for as long as it runs: between its visits it calls on somebody who keeps it waiting. It
    asks for no tickets of TLS 1.2; as the gateway gives out no ids, it has nothing to offer then."""

    kinds = [ID, TLS13]

    def __init__(self, kind, alpn, client, place):
        self.client, self.said, self.keeps_session = client, os.path.join(place, "curl.said"), kind != ID
        self.options = ["--tlsv1.3"] if kind == TLS13 else ["--tls-max", "1.2"]
        self.options += ["--http2" if alpn == "h2" else "--http1.1"]
        self.door = socket.create_server(("127.0.0.1", 0))
        self.door.settimeout(PATIENCE)

    def first(self, app):
        shown = ["--cert", self.client.chain, "--key", self.client.key] if self.client else []
        both = ["--silent", "--verbose", "--cacert", app.gateway.ca, "--output", "/dev/null", "--write-out",
                "%{stderr}ANSWERED %{http_code}\n", *shown, *self.options, app.url()]
        waiting = ["--next", "--silent", "--output", "/dev/null", f"http://127.0.0.1:{self.door.getsockname()[1]}/"]
        # Another interface is another connection, so that it does not just go on with the first.
        again = ["--next", "--interface", "127.0.0.1", *both]
        with open(self.said, "w") as said:
            self.process = subprocess.Popen(["curl", *both, *waiting, *again], stderr=said)
        self.waiting, _ = self.door.accept()
        return self.visits()[0]

    def second(self, app):
        self.waiting.recv(65536)
        self.waiting.sendall(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
        assert self.process.wait(PATIENCE) == 0
        return self.visits()[1]

    def visits(self):
        with open(self.said) as said:
            *parts, _ = re.split(r"(?<=ANSWERED ...)\n", said.read())
        read = [Visit(int(part[-3:]), "SSL re-using session ID" in part, "(IN), TLS handshake, Certificate (11)" not in part)
                for part in parts]
        assert all("TLS handshake, Finished" in part for part in parts), "each visit is a connection"
        return read

    def close(self):
        """Leaves nobody waiting."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.waiting.close()
        self.door.close()
