"""narthex: session, revocations and policy checked, headers cleaned, identity written, on every request."""

import http.client
import json
import os
import socket
import ssl

import machine
from browser import Browser, Mailbox, form_with
from rig import CERTIFICATES_HOST, HOST

from .peer import Peer


class Narthex(Peer):
    key = "narthex"
    name = "narthex, full check"

    def __init__(self, rig, bench, cores=1, settings=""):
        """`cores`: how many it serves on; `settings`: more lines of its configuration."""
        super().__init__(rig, bench)
        self.certificates_port = self.port
        self.mailbox = Mailbox()
        self.token = "bench-" + os.urandom(16).hex()
        self.data = rig.path(f"narthex-data-{self.port}")
        self.config = rig.write(f"narthex-{self.port}.toml", f"""
data_dir = "{self.data}"
[listen]
https = ["127.0.0.1:{self.port}"]
cores = {cores}
[team]
name = "bench"
domain = "team.{HOST}:{self.port}"
[admin]
host = "admin.{HOST}:{self.port}"
token = {{ file = "{rig.write('narthex-token', self.token)}" }}
[[zone]]
name = "{HOST}"
[[tls.certificate]]
cert = "{rig.cert}"
key = "{rig.key}"
[mail]
from = "bench@example.com"
smtp = "smtp://127.0.0.1:{self.mailbox.port}"
[[ingress]]
hostname = "{HOST}"
path = "^/echo$"
service = "http://127.0.0.1:{rig.echo_port}"
[[ingress]]
hostname = "{HOST}"
service = "http://127.0.0.1:{rig.origin_port}"
[[ingress]]
hostname = "{CERTIFICATES_HOST}"
service = "http://127.0.0.1:{rig.origin_port}"
{settings}
""")
        self.certs = None
        with self.running():
            self.certs = json.loads(Browser(rig.cert).once("GET", f"https://team.{HOST}:{self.port}/cdn-cgi/access/certs")[2])

    def version(self):
        binary = self.bench.options.binary
        how = os.path.join(os.path.dirname(binary), "BUILD")  # beside what deploy/release made
        if not os.path.exists(how):
            return machine.said_by(binary, "--version")
        with open(how) as f:
            return f"{machine.said_by(binary, '--version')} ({f.read().strip()})"

    def launch(self):
        return [self.rig.start(self.rig.cores.proxy, self.bench.options.binary, "serve", "--config", self.config, port=self.port)]

    def api(self, method, path, body=None):
        tls = ssl.create_default_context(cafile=self.rig.cert)
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        connection.sock = tls.wrap_socket(socket.create_connection(("127.0.0.1", self.port), 20), server_hostname=f"admin.{HOST}")
        connection.request(method, "/client/v4" + path, json.dumps(body) if body else None, {
            "Host": f"admin.{HOST}:{self.port}", "Authorization": f"Bearer {self.token}", "Content-Type": "application/json"})
        answer = json.load(connection.getresponse())
        connection.close()
        if not answer["success"]:
            raise SystemExit(f"{method} {path}: {answer['errors']}")
        return answer["result"]

    def log_in(self):
        if self.header:
            return self.header  # sessions and keys are kept in the data directory
        account = self.api("GET", "/accounts")[0]["id"]
        self.api("POST", f"/accounts/{account}/access/identity_providers", {"name": "code", "type": "onetimepin", "config": {}})
        self.api("POST", f"/accounts/{account}/access/apps", {
            "name": "bench", "type": "self_hosted", "domain": HOST,
            "policies": [{"name": "staff", "decision": "allow", "precedence": 1,
                          "include": [{"email_domain": {"domain": "example.com"}}]}]})
        with open(self.rig.clients.ca) as f:
            self.api("POST", f"/accounts/{account}/access/certificates", {
                "name": "robots", "certificate": f.read(), "associated_hostnames": [CERTIFICATES_HOST]})
        self.api("POST", f"/accounts/{account}/access/apps", {
            "name": "robots", "type": "self_hosted", "domain": CERTIFICATES_HOST,
            "policies": [{"name": "robots", "decision": "non_identity", "precedence": 1, "include": [{"certificate": {}}]}]})
        browser = Browser(self.rig.cert)
        url, _, page = browser.request("GET", f"{self.url}/")
        url, fields = form_with("email", page, url)
        url, _, page = browser.request("POST", url, {**fields, "email": "ann@example.com"})
        action, fields = form_with("code", page, url)
        url, status, _ = browser.request("POST", action, {**fields, "code": self.mailbox.code()})
        header = browser.cookie_header(f"{HOST}:{self.port}", "CF_Authorization")
        if status != 200 or not header:
            raise SystemExit(f"the login at {self.name} ended with {status} at {url}")
        return header
