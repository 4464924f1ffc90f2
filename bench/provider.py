"""An OpenID Connect provider that lets everybody in at once, for the peers that need one to give out a session.

It speaks the code flow (OpenID Connect Core 1.0 §3.1) over plain HTTP on loopback and asks nothing: it is a part of the
bench, not of what is measured, and has nothing to do while a peer is under load.
"""

import base64
import http.server
import json
import os
import subprocess
import threading
import time
import urllib.parse

CLIENT, SECRET = "bench", "bench-secret"
EMAIL = "ann@example.com"


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Provider:
    """`issuer` is its address; it serves until the program ends."""

    def __init__(self, rig):
        self.key = rig.path("provider.pem")
        self.nonces = {}
        subprocess.run(["openssl", "genrsa", "-out", self.key, "2048"], check=True, capture_output=True)
        modulus = subprocess.run(["openssl", "rsa", "-in", self.key, "-noout", "-modulus"], check=True, capture_output=True, text=True)
        self.modulus = base64url(bytes.fromhex(modulus.stdout.strip().partition("=")[2]))
        provider = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                provider.answer(self, urllib.parse.urlsplit(self.path))

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
                provider.token(self, dict(urllib.parse.parse_qsl(body)))

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.issuer = f"http://127.0.0.1:{server.server_address[1]}"
        threading.Thread(target=server.serve_forever, daemon=True).start()

    def answer(self, request, target):
        asked = dict(urllib.parse.parse_qsl(target.query))
        if target.path == "/authorize":
            code = base64url(os.urandom(12))
            self.nonces[code] = asked.get("nonce")
            back = urllib.parse.urlencode({"code": code, "state": asked.get("state", "")})
            request.send_response(302)
            request.send_header("Location", f"{asked['redirect_uri']}?{back}")
            request.send_header("Content-Length", "0")
            request.end_headers()
        elif target.path == "/keys":
            self.say(request, {"keys": [{"kty": "RSA", "use": "sig", "alg": "RS256", "kid": "bench", "n": self.modulus, "e": "AQAB"}]})
        elif target.path == "/.well-known/openid-configuration":
            self.say(request, {
                "issuer": self.issuer, "authorization_endpoint": f"{self.issuer}/authorize",
                "token_endpoint": f"{self.issuer}/token", "jwks_uri": f"{self.issuer}/keys",
                "response_types_supported": ["code"], "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["RS256"],
                "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
                "scopes_supported": ["openid", "email", "profile"]})
        else:
            request.send_error(404)

    def token(self, request, form):
        if form.get("code") not in self.nonces:
            request.send_error(400)
            return
        now = int(time.time())
        claims = {"iss": self.issuer, "aud": CLIENT, "sub": "ann", "email": EMAIL, "email_verified": True, "iat": now, "exp": now + 86400}
        if nonce := self.nonces.pop(form["code"]):
            claims["nonce"] = nonce
        self.say(request, {"access_token": base64url(os.urandom(24)), "token_type": "Bearer", "expires_in": 86400, "id_token": self.sign(claims)})

    def sign(self, claims):
        head = {"alg": "RS256", "typ": "JWT", "kid": "bench"}
        text = ".".join(base64url(json.dumps(part).encode()) for part in (head, claims))
        signed = subprocess.run(["openssl", "dgst", "-sha256", "-sign", self.key], input=text.encode(), check=True, capture_output=True)
        return f"{text}.{base64url(signed.stdout)}"

    def say(self, request, value):
        body = json.dumps(value).encode()
        request.send_response(200)
        request.send_header("Content-Type", "application/json")
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)
