"""A team domain whose signing key is ours, so that tokens can be made that no gateway would make."""

import base64
import datetime
import hashlib
import hmac
import http.server
import json
import os
import ssl
import tempfile
import threading
import time

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

AUD = "32eafc7626e974616deaf0dc3ce63d7bcbed58a2731e84d06bc3cdf1b53c4228"


def encode(data):
    return base64.urlsafe_b64encode(data if isinstance(data, bytes) else data.encode()).rstrip(b"=").decode()


def decode(part):
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def claims(token):
    return json.loads(decode(token.split(".")[1]))


def unsigned(header, payload):
    return f"{encode(json.dumps(header))}.{encode(json.dumps(payload))}"


def with_secret(header, payload, secret):
    """A token whose "signature" is an HMAC with a text that everybody can read."""
    message = unsigned({**header, "alg": "HS256"}, payload)
    return f"{message}.{encode(hmac.new(secret, message.encode(), hashlib.sha256).digest())}"


class Forger:
    """`https://localhost:<port>`, its certificate, and the documents it has been asked for."""

    def __init__(self):
        self.key, self.kid, self.fetches = rsa.generate_private_key(65537, 2048), "f" * 64, 0
        self.dir = tempfile.TemporaryDirectory(prefix="narthex-forger-")
        self.ca = os.path.join(self.dir.name, "ca.pem")
        forger = self

        class Certs(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                forger.fetches += 1
                body = json.dumps({"keys": [forger.jwk()]}).encode()
                self.send_response(200 if self.path == "/cdn-cgi/access/certs" else 404)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Certs)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate(), self.ca + ".key")
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.team = f"localhost:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def certificate(self):
        """Writes a key and a certificate for localhost that vouches for itself."""
        key, now = rsa.generate_private_key(65537, 2048), datetime.datetime.now(datetime.UTC)
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
        certificate = (
            x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1)).not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
            .sign(key, hashes.SHA256()))
        with open(self.ca, "wb") as file:
            file.write(certificate.public_bytes(serialization.Encoding.PEM))
        with open(self.ca + ".key", "wb") as file:
            file.write(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                         serialization.NoEncryption()))
        return self.ca

    def jwk(self):
        numbers = self.key.public_key().public_numbers()
        return {"kid": self.kid, "kty": "RSA", "alg": "RS256", "use": "sig", "e": "AQAB",
                "n": encode(numbers.n.to_bytes(256, "big"))}

    def pem(self):
        """The public key, as anybody could have it."""
        return self.key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)

    @property
    def header(self):
        return {"alg": "RS256", "kid": self.kid, "typ": "JWT"}

    def person(self, **changes):
        """The claims of a person's token (access-protocol §5.3); `None` takes a claim away."""
        now = int(time.time())
        made = {"aud": [AUD], "email": "ann@example.com", "exp": now + 3600, "iat": now, "nbf": now,
                "iss": f"https://{self.team}", "type": "app", "identity_nonce": "6ei69kawdKzMIAPF",
                "sub": "7335d417-61da-459d-899c-0a01c76a2f94", "country": "US", **changes}
        return {name: value for name, value in made.items() if value is not None}

    def machine(self, **changes):
        now = int(time.time())
        return {"type": "app", "aud": [AUD], "exp": now + 3600, "iss": f"https://{self.team}",
                "common_name": "e367826f93b8d71185e03fe518aff3b4.access", "iat": now, "sub": "", **changes}

    def sign(self, payload, key=None, pad=padding.PKCS1v15, **header):
        message = unsigned({**self.header, **header}, payload)
        scheme = pad() if pad is padding.PKCS1v15 else pad(padding.MGF1(hashes.SHA256()), 32)
        return f"{message}.{encode((key or self.key).sign(message.encode(), scheme, hashes.SHA256()))}"

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
        self.dir.cleanup()
