"""What stands around the gateway: applications that keep what they are sent, a mail server, an identity provider."""

import contextlib
import json
import re
import socket
import threading
import time
import urllib.parse
from dataclasses import dataclass

import h2.config
import h2.connection
import h2.events
import jwt
import websockets.sync.server
from cryptography.hazmat.primitives.asymmetric import rsa
from wire import PATIENCE, Closed, Head, Reader

HELLO = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 6\r\n\r\nhello\n"


def serve(listener, converse):
    """Accepts for ever, one thread for each connection."""
    def one(connection):
        with connection, contextlib.suppress(Closed, OSError, ValueError):
            converse(connection)

    def accept():
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                threading.Thread(target=one, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()


@dataclass
class Seen:
    """A request as it arrived, byte for byte."""

    head: Head
    body: bytes

    @property
    def method(self):
        return self.head.line.split(" ")[0]

    @property
    def target(self):
        return self.head.line.split(" ")[1]

    @property
    def cookies(self):
        pairs = (pair.strip().partition("=") for field in self.head.all("cookie") for pair in field.split(";"))
        return {name: value for name, _, value in pairs}

    def get(self, name):
        return self.head.get(name)


class Origin:
    """An HTTP/1.1 application. `answers` maps paths to whole answers; any other path is greeted."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.service = f"http://127.0.0.1:{self.port}"
        self.seen, self.answers = [], {}
        serve(self.listener, self.converse)

    def converse(self, connection):
        reader = Reader(connection)
        while True:
            head = reader.head()
            seen = Seen(head, reader.body(head))
            self.seen.append(seen)
            answer = self.answers.get(seen.target.split("?")[0], HELLO)
            if seen.method == "HEAD":
                answer = answer.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
            connection.sendall(answer)

    def take(self):
        """What has arrived since the last time."""
        seen, self.seen = self.seen, []
        return seen

    def one(self):
        """The one request that has arrived."""
        seen = self.take()
        assert len(seen) == 1, seen
        return seen[0]


class Mailbox:
    """An SMTP server that keeps what it is given."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.mails = []
        self.arrived = threading.Condition()
        serve(self.listener, self.converse)

    def converse(self, connection):
        lines = connection.makefile("rwb")

        def say(text):
            lines.write(text.encode() + b"\r\n")
            lines.flush()

        say("220 sink")
        while line := lines.readline():
            verb = line.split()[0].upper() if line.split() else b""
            if verb == b"DATA":
                say("354 go on")
                mail = b""
                while (part := lines.readline()) not in (b".\r\n", b""):
                    mail += part
                with self.arrived:
                    self.mails.append(mail.decode(errors="replace"))
                    self.arrived.notify_all()
                say("250 kept")
            elif verb == b"QUIT":
                return say("221 bye")
            else:
                say("250 ok")

    def code_for(self, address):
        """The login code in the newest mail to `address`, which is taken out; waits for it."""
        def found():
            return next((mail for mail in reversed(self.mails) if address in mail), None)

        with self.arrived:
            assert self.arrived.wait_for(found, PATIENCE), f"no mail to {address}"
            mail = found()
            self.mails.remove(mail)
            return re.search(r"\b(\d{6})\b", mail.partition("\n\r\n")[2] or mail).group(1)


class Http2Origin:
    """An HTTP/2 application without TLS that echoes bodies and ends every answer with trailers, as gRPC does."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.service = f"http://127.0.0.1:{self.port}"
        self.seen = []
        serve(self.listener, self.converse)

    def converse(self, sock):
        connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding="utf-8"))
        connection.initiate_connection()
        heads, bodies = {}, {}
        sock.sendall(connection.data_to_send())
        while data := sock.recv(65536):
            for event in connection.receive_data(data):
                match event:
                    case h2.events.RequestReceived():
                        heads[event.stream_id], bodies[event.stream_id] = event.headers, b""
                    case h2.events.DataReceived():
                        bodies[event.stream_id] += event.data
                        connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                    case h2.events.StreamEnded():
                        stream = event.stream_id
                        self.seen.append((heads[stream], bodies[stream]))
                        connection.send_headers(stream, [(":status", "200"), ("content-type", "application/grpc")])
                        connection.send_data(stream, bodies[stream])
                        trailers = [("grpc-status", "0"), ("x-trailer", "kept")]
                        connection.send_headers(stream, trailers, end_stream=True)
            sock.sendall(connection.data_to_send())

    def take(self):
        """What has arrived since the last time."""
        seen, self.seen = self.seen, []
        return seen


class EchoSockets:
    """A WebSocket application that echoes; by the `websockets` library."""

    def __init__(self):
        self.seen = []
        self.server = websockets.sync.server.serve(self.echo, "127.0.0.1", 0, process_request=self.note)
        self.port = self.server.socket.getsockname()[1]
        self.service = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def note(self, connection, request):
        self.seen.append(request.headers)

    def echo(self, connection):
        for message in connection:
            connection.send(message)

    def take(self):
        """The heads of the handshakes since the last time."""
        seen, self.seen = self.seen, []
        return seen


class Provider:
    """An honest OpenID Connect provider on this machine. A code is the nonce and the address, so nothing is kept."""

    def __init__(self):
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.issuer = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        serve(self.listener, self.converse)

    @property
    def config(self):
        """As an administrator writes it down."""
        return {"client_id": "narthex", "client_secret": "sec", "issuer": self.issuer, "auth_url": f"{self.issuer}/auth",
                "token_url": f"{self.issuer}/token", "certs_url": f"{self.issuer}/keys"}

    def vouch(self, location, email):
        """Where somebody with this address is sent who was sent here."""
        asked = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(location).query))
        code = jwt.utils.base64url_encode(json.dumps([asked["nonce"], email]).encode()).decode()
        return f"{asked['redirect_uri']}?{urllib.parse.urlencode({'code': code, 'state': asked['state']})}"

    def converse(self, connection):
        reader = Reader(connection)
        while True:
            head = reader.head()
            path, body = head.line.split(" ")[1], reader.body(head).decode()
            found = {"/keys": self.keys, "/token": self.token}.get(path)
            answer = json.dumps(found(body)).encode() if found else b"{}"
            status = b"200 OK" if found else b"404 Not Found"
            connection.sendall(b"HTTP/1.1 %b\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (
                status, len(answer), answer))

    def keys(self, _body):
        public = jwt.algorithms.RSAAlgorithm.to_jwk(self.key.public_key(), as_dict=True)
        return {"keys": [{**public, "kid": "1", "use": "sig", "alg": "RS256"}]}

    def token(self, body):
        nonce, email = json.loads(jwt.utils.base64url_decode(dict(urllib.parse.parse_qsl(body))["code"]))
        now = int(time.time())
        claims = {"iss": self.issuer, "aud": "narthex", "sub": email, "nonce": nonce, "iat": now, "exp": now + 600,
                  "email": email, "email_verified": True}
        signed = jwt.encode(claims, self.key, "RS256", {"kid": "1"})
        return {"access_token": "a", "token_type": "Bearer", "id_token": signed}
