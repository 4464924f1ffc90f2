"""HAProxy, bare and with a check of our own token in its configuration language."""

import base64
import json
import subprocess

import machine
from rig import free_port

from .peer import Peer, lacks


class HAProxy(Peer):
    key = "haproxy"
    name = "HAProxy, bare"
    checks = False
    rules = ""

    def __init__(self, rig, bench):
        super().__init__(rig, bench)
        self.certificates_port = free_port()

    @classmethod
    def missing(cls, options):
        return lacks("haproxy", "haproxy")

    def version(self):
        return machine.said_by("haproxy", "-v").partition(" - ")[0]

    def launch(self):
        conf = self.rig.write(f"{self.key}.cfg", f"""
global
  nbthread 1
  maxconn 8192
  ssl-default-bind-options ssl-min-ver TLSv1.3
defaults
  mode http
  timeout connect 5s
  timeout client 1h
  timeout server 1h
  timeout tunnel 1h
  timeout http-keep-alive 1h
  http-reuse always
frontend public
  bind 127.0.0.1:{self.port} ssl crt {self.rig.both} alpn h2,http/1.1 backlog 4096
  {self.rules}
  use_backend echo if {{ path /echo }}
  default_backend origin
{self.certificates()}
backend origin
  server origin 127.0.0.1:{self.rig.origin_port}
backend echo
  server echo 127.0.0.1:{self.rig.echo_port}
""")
        return [self.rig.start(self.rig.cores.proxy, "haproxy", "-db", "-f", conf, port=self.port)]

    def certificates(self):
        """The door where client certificates are asked for, if there is one."""
        return self.certificates_port and f"""
frontend certificates
  bind 127.0.0.1:{self.certificates_port} ssl crt {self.rig.both} alpn h2,http/1.1 backlog 4096 ca-file {self.rig.clients.ca} verify optional
  http-request deny unless {{ ssl_c_used }} {{ ssl_c_verify 0 }}
  default_backend origin
""" or ""


class HAProxyJwt(HAProxy):
    """Verifies the cookie `CF_Authorization` as an origin would: algorithm, signature, issuer, audience and times; and tells
    the origin who it is. It knows nothing of sessions, revocations or policies."""

    key = "haproxy-jwt"
    name = "HAProxy with `jwt_verify`"

    def __init__(self, rig, bench):
        super().__init__(rig, bench)
        self.certificates_port = None
        narthex = bench.narthex
        token = narthex.header.partition("CF_Authorization=")[2]
        head, claims = (json.loads(base64.urlsafe_b64decode(part + "==")) for part in token.split(".")[:2])
        certificate = next(key["cert"] for key in narthex.certs["public_certs"] if key["kid"] == head["kid"])
        public = subprocess.run(["openssl", "x509", "-pubkey", "-noout"], input=certificate, check=True, capture_output=True, text=True)
        path = rig.write("narthex-public.pem", public.stdout)
        self.header = narthex.header
        self.rules = f"""
  http-request del-header Cf-Access-Authenticated-User-Email
  http-request set-var(txn.token) req.cook(CF_Authorization)
  http-request set-var(txn.alg) var(txn.token),jwt_header_query('$.alg')
  http-request set-var(txn.iss) var(txn.token),jwt_payload_query('$.iss')
  http-request set-var(txn.aud) var(txn.token),jwt_payload_query('$.aud[0]')
  http-request set-var(txn.exp) var(txn.token),jwt_payload_query('$.exp','int')
  http-request set-var(txn.now) date()
  http-request deny unless {{ var(txn.alg) -m str RS256 }}
  http-request deny unless {{ var(txn.token),jwt_verify(txn.alg,"{path}") -m int 1 }}
  http-request deny unless {{ var(txn.iss) -m str {claims["iss"]} }}
  http-request deny unless {{ var(txn.aud) -m str {claims["aud"][0]} }}
  http-request deny if {{ var(txn.exp),sub(txn.now) -m int le 0 }}
  http-request set-header Cf-Access-Authenticated-User-Email %[var(txn.token),jwt_payload_query('$.email')]
"""

    def log_in(self):
        return self.header
