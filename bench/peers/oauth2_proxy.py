"""oauth2-proxy 7, which checks its session cookie on each request and proxies it itself."""

import os
import secrets

import machine
from browser import Browser
from provider import CLIENT, SECRET
from rig import HOST

from .peer import Peer


def binary_missing(options):
    if options.oauth2_proxy is None:
        return "oauth2-proxy is in no package of Debian; name its binary (7.x) with --oauth2-proxy PATH"
    if not os.access(options.oauth2_proxy, os.X_OK):
        return f"--oauth2-proxy {options.oauth2_proxy} is no program"
    return None


def arguments(provider, cookie_secret, redirect):
    """The settings that both ways of using oauth2-proxy share: OpenID Connect, the session in the cookie, no logs."""
    return [
        "--provider=oidc", f"--oidc-issuer-url={provider.issuer}", f"--client-id={CLIENT}", f"--client-secret={SECRET}",
        f"--cookie-secret={cookie_secret}", f"--redirect-url={redirect}", "--email-domain=example.com", "--skip-provider-button",
        "--request-logging=false", "--auth-logging=false", "--standard-logging=false"]


class OAuth2Proxy(Peer):
    key = "oauth2-proxy"
    name = "oauth2-proxy"

    def __init__(self, rig, bench):
        super().__init__(rig, bench)
        self.cookie_secret = secrets.token_hex(16)

    @classmethod
    def missing(cls, options):
        return binary_missing(options)

    def version(self):
        return machine.said_by(self.bench.options.oauth2_proxy, "--version")

    def launch(self):
        return [self.rig.start(
            self.rig.cores.proxy, self.bench.options.oauth2_proxy,
            *arguments(self.bench.provider, self.cookie_secret, f"{self.url}/oauth2/callback"),
            f"--https-address=127.0.0.1:{self.port}", "--http-address=", f"--tls-cert-file={self.rig.cert}",
            f"--tls-key-file={self.rig.key}", "--tls-min-version=TLS1.3",
            f"--upstream=http://127.0.0.1:{self.rig.origin_port}/", f"--upstream=http://127.0.0.1:{self.rig.echo_port}/echo",
            port=self.port)]

    def log_in(self):
        if self.header:
            return self.header  # the session is in the cookie, and outlives a restart
        browser = Browser(self.rig.cert)
        url, status, _ = browser.request("GET", f"{self.url}/")
        header = browser.cookie_header(f"{HOST}:{self.port}", "_oauth2_proxy")
        if status != 200 or not header:
            raise SystemExit(f"the login at {self.name} ended with {status} at {url}")
        return header
