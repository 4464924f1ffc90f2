"""What the bench asks of every proxy."""

import contextlib
import http.client
import os
import re
import shutil
import socket
import ssl
import subprocess

import machine
import websocket
from rig import CERTIFICATES_HOST, GREETING, HOST, MEBIBYTE, Clients, free_port

CERTIFICATES = "mTLS"  # what a peer speaks that asks for client certificates, beside its protocols of HTTP


class Peer:
    """A proxy before the origin: how it is started, how a session is had, and whether it works.

    A subclass says `key`, `name`, whether it `checks` who is asking, and defines `launch`; where a session is needed also
    `log_in`. Where it asks for client certificates, it does so on `certificates_port` for the host of that purpose, and lets
    only those in that come with one of `rig.clients`. It is started afresh for each measurement, always on the same ports."""

    key = name = None
    checks = True
    certificates_port = None

    def __init__(self, rig, bench):
        self.rig, self.bench = rig, bench
        self.port = free_port()
        self.processes = []
        self.header = None

    @classmethod
    def missing(cls, options):
        """Why this peer cannot be measured here, with the remedy; None if it can."""
        return None

    def version(self):
        raise NotImplementedError

    def launch(self):
        """Starts the processes and returns them once they accept connections."""
        raise NotImplementedError

    def log_in(self):
        """The request header that carries a session; called after every start."""
        return None

    @property
    def url(self):
        return f"https://{HOST}:{self.port}"

    @contextlib.contextmanager
    def running(self):
        self.processes = self.launch()
        try:
            self.header = self.log_in()
            yield self
        finally:
            for process in reversed(self.processes):
                self.rig.stop(process)
            self.processes = []

    def pids(self):
        return [pid for process in self.processes for pid in machine.family(process.pid)]

    def cpu(self):
        """Nanoseconds of CPU used so far."""
        return machine.cpu_nanoseconds(self.pids())

    def ask(self, path="/", header=None, method="GET", body=None, host=HOST, port=None, clients=None):
        """One HTTP/1.1 request on a connection of its own: (status, body). `clients`: whose certificate is shown."""
        port = port or self.port
        tls = ssl.create_default_context(cafile=self.rig.cert)
        tls.minimum_version = ssl.TLSVersion.TLSv1_3
        if clients:
            tls.load_cert_chain(clients.chain, clients.key)
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        connection.sock = tls.wrap_socket(socket.create_connection(("127.0.0.1", port), 20), server_hostname=host)
        headers = {"Host": f"{host}:{port}"}
        if header:
            name, _, value = header.partition(": ")
            headers[name] = value
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        got = answer.status, answer.read()
        connection.close()
        return got

    def speaks_http2(self):
        """Whether it picks `h2` by ALPN."""
        tls = ssl.create_default_context(cafile=self.rig.cert)
        tls.set_alpn_protocols(["h2", "http/1.1"])
        with tls.wrap_socket(socket.create_connection(("127.0.0.1", self.port), 20), server_hostname=HOST) as s:
            return s.selected_alpn_protocol() == "h2"

    def over_http2(self, header):
        """The status classes of one HTTP/2 request: (2xx, others)."""
        extra = ["-H", header] if header else []
        text = subprocess.run(["h2load", "-n1", "-c1", *extra, f"{self.url}/"], capture_output=True, text=True, timeout=30).stdout
        if "Application protocol: h2" not in text:
            raise SystemExit(f"{self.name} does not speak HTTP/2 with h2load:\n{text}")
        found = re.search(r"status codes: (\d+) 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx", text)
        fine, *others = map(int, found.groups())
        return fine, sum(others)

    def check(self):
        """Ends the bench unless the peer does what is measured: the session is let in, a stranger (where it checks) is not.
        Returns the protocols it speaks."""

        def expect(what, holds, got):
            if not holds:
                raise SystemExit(f"{self.name} does not work: {what}; got {got!r}")

        with_session = self.ask(header=self.header)
        expect("GET / with the session", with_session == (200, GREETING.encode()), with_session)
        status, body = self.ask("/big", self.header)
        expect("GET /big is 1 MiB", status == 200 and len(body) == MEBIBYTE, (status, len(body)))
        posted = self.ask("/upload", self.header, "POST", bytes(MEBIBYTE))
        expect("POST /upload of 1 MiB", posted == (200, GREETING.encode()), posted)
        connection, line = websocket.dial(self.port, self.header)
        expect("a WebSocket with the session", connection is not None, line)
        connection.close()
        protocols = ["HTTP/1.1"] + (["HTTP/2"] if self.speaks_http2() else [])
        if "HTTP/2" in protocols:
            expect("HTTP/2 with the session", (got := self.over_http2(self.header)) == (1, 0), got)
        if self.certificates_port:
            protocols.append(CERTIFICATES)
            self.check_certificates(expect)
        if not self.checks:
            return protocols

        forged = self.header[:-8] + "AAAAAAAA" if self.header else None
        for who, header in (("a stranger", None), ("a forged session", forged)):
            before = self.rig.origin_requests()
            status, body = self.ask(header=header)
            expect(f"{who} is refused", status in (302, 401, 403) and GREETING.encode() not in body, (status, body[:80]))
            connection, line = websocket.dial(self.port, header)
            expect(f"no WebSocket for {who}", connection is None, line)
            if "HTTP/2" in protocols:
                expect(f"{who} is refused over HTTP/2", (got := self.over_http2(header)) == (0, 1), got)
            seen = self.rig.origin_requests() - before - 1
            expect(f"nothing of {who} reaches the origin", seen == 0, seen)
        return protocols

    def check_certificates(self, expect):
        """The client certificate that counts is let in; none, and one of a stranger's authority, are not."""
        def ask(clients):
            try:
                return self.ask(host=CERTIFICATES_HOST, port=self.certificates_port, clients=clients)
            except OSError as refused:  # some refuse in the handshake already
                return 403, str(refused).encode()

        got = ask(self.rig.clients)
        expect("a client certificate", got == (200, GREETING.encode()), got)
        for who, clients in (("nobody's certificate", None), ("a stranger's certificate", Clients(self.rig, f"stranger-{self.key}"))):
            before = self.rig.origin_requests()
            status, body = ask(clients)
            expect(f"{who} is refused", status in (400, 403, 496) and GREETING.encode() not in body, (status, body[:80]))
            seen = self.rig.origin_requests() - before - 1
            expect(f"nothing with {who} reaches the origin", seen == 0, seen)


def lacks(command, package):
    """Why a peer whose program is missing is left out; None if the program is there."""
    if shutil.which(command) or os.path.exists(f"/usr/sbin/{command}"):
        return None
    return f"{command} is not installed; `deploy/prepare bench` installs it (Debian: {package})"
