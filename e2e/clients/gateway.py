"""One narthexd for the tests: a data directory of its own, free ports, and its administration API."""

import json
import os
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.parse

import wire

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TARGET = os.environ.get("CARGO_TARGET_DIR", os.path.join(ROOT, "target"))
BINARY = os.environ.get("NARTHEXD", os.path.join(TARGET, "debug", "narthexd"))

# Everybody, as a policy's include list.
EVERYONE = [{"everyone": {}}]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def policy(decision, include=EVERYONE, **settings):
    return {"name": decision, "decision": decision, "include": include, **settings}


def small_disk(size):
    """What a command is put behind so that `data` is a file system of this size for it; nobody has to be root for that."""
    mount = f'mount -t tmpfs -o mode=700,size={size} data data && exec "$@"'
    return ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", mount, "sh"]


def can_mount():
    """Whether this machine lets its users have mount namespaces."""
    with tempfile.TemporaryDirectory() as place:
        os.mkdir(os.path.join(place, "data"))
        return subprocess.run([*small_disk("1m"), "true"], cwd=place, capture_output=True).returncode == 0


class ApiError(Exception):
    """The API said no."""

    def __init__(self, what, status, errors):
        super().__init__(f"{what}: {status} {errors}")
        self.status, self.errors = status, errors


class App:
    """An application and the host that it is on."""

    def __init__(self, gateway, host, made):
        self.gateway, self.host, self.id, self.aud = gateway, host, made["id"], made["aud"]

    @property
    def authority(self):
        return f"{self.host}:{self.gateway.port}"

    def url(self, rest="/"):
        return f"https://{self.authority}{rest}"

    def request(self, method="GET", rest="/", headers=None, body=b""):
        return self.gateway.request(method, self.url(rest), headers, body)

    def open(self, alpn="http/1.1", client=None):
        return wire.Wire(self.gateway, self.host, alpn, client)


class Gateway:
    """narthexd, running. `ingress` is a list of (hostname, service, further TOML lines). `listen` is added to that section,
    `more` are other sections; `command` runs the program, if something else than the system is to; `doors` are further ports. With `disk`, a size as in
    `8m`, its data lies on a file system of its own, in a mount namespace of its own."""

    def __init__(self, ingress, smtp_port, listen="", more="", command=(), stderr=None, disk=None, doors=()):
        self.port, self.http_port = free_port(), free_port()
        self.dir = tempfile.mkdtemp(prefix="narthex-clients-")
        self.token = "clients-" + secrets.token_hex(16)
        self.hosts = 0
        with open(os.path.join(self.dir, "token"), "w") as file:
            file.write(self.token)
        entries = "".join(
            f'[[ingress]]\nhostname = "{hostname}"\nservice = "{service}"\n{more}\n' for hostname, service, more in ingress)
        # A busy machine must not make a debug build turn anybody away, but where that is what a test is about.
        limits = "" if "[limits]" in more else '[limits]\nqueue_delay = "10s"'
        with open(os.path.join(self.dir, "narthex.toml"), "w") as file:
            file.write(f"""
data_dir = "data"
[listen]
https = [{", ".join(f'"127.0.0.1:{port}"' for port in [self.port, *doors])}]
http = ["127.0.0.1:{self.http_port}"]
cores = 2
{listen}
[team]
name = "Acme"
domain = "{self.team_host}:{self.port}"
[admin]
host = "admin.localhost:{self.port}"
token = {{ file = "token" }}
[[zone]]
name = "localhost"
[outbound]
private_networks = ["127.0.0.0/8", "::1/128"]
[mail]
from = "Acme login <no-reply@acme.test>"
smtp = "smtp://127.0.0.1:{smtp_port}"
{more}
{limits}
{entries}""")
        self.log = open(os.path.join(self.dir, "log"), "w+")
        os.mkdir(os.path.join(self.dir, "data"), 0o700)
        around = small_disk(disk) if disk else []
        self.started = ([*command, *around, BINARY, "serve", "--config", os.path.join(self.dir, "narthex.toml")], stderr or self.log)
        self.process = self.start()
        self.data = os.path.join(f"/proc/{self.process.pid}/root{self.dir}" if disk else self.dir, "data")
        self.wait()
        self.account = self.api("GET", "/accounts")[0]["id"]

    team_host = "team.localhost"

    @property
    def team(self):
        """The issuer of all tokens, where people log in."""
        return f"https://{self.team_host}:{self.port}"

    @property
    def ca(self):
        return os.path.join(self.data, "local-ca.pem")

    @property
    def api_base(self):
        return f"https://admin.localhost:{self.port}/client/v4"

    def start(self):
        command, stderr = self.started
        return subprocess.Popen(command, stdout=self.log, stderr=stderr, cwd=self.dir)

    def crash(self):
        """kill -9, and a new process on the same data; not with `disk`, which ends with its namespace."""
        self.process.kill()
        self.process.wait(40)
        self.process = self.start()
        self.wait()

    def wait(self):
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                return socket.create_connection(("127.0.0.1", self.port), 1).close()
            except OSError:
                time.sleep(0.02)
        raise RuntimeError(f"narthexd does not serve:\n{self.logged()}")

    def logged(self):
        with open(os.path.join(self.dir, "log")) as file:
            return file.read()

    def stop(self):
        """Ends narthexd as an operator does; the exit code."""
        self.process.terminate()
        try:
            return self.process.wait(40)
        finally:
            self.process.kill()
            self.log.close()
            shutil.rmtree(self.dir, ignore_errors=True)

    def memory(self):
        """Resident bytes."""
        with open(f"/proc/{self.process.pid}/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")

    def request(self, method, url, headers=None, body=b""):
        """One HTTP/1.1 request over a connection of its own; redirects are not followed."""
        parts = urllib.parse.urlsplit(url)
        body = body.encode() if isinstance(body, str) else body
        target = urllib.parse.urlunsplit(("", "", parts.path or "/", parts.query, ""))
        fields = [("Host", parts.netloc), *(headers.items() if isinstance(headers, dict) else headers or [])]
        if body or method in ("POST", "PUT", "PATCH"):
            fields.append(("Content-Length", str(len(body))))
        head = "".join(f"{name}: {value}\r\n" for name, value in fields)
        with wire.Wire(self, parts.hostname) as connection:
            answer = connection.ask(f"{method} {target} HTTP/1.1\r\n{head}\r\n".encode("latin-1") + body, method)
        assert answer is not None, f"no answer to {method} {url}"
        return answer

    def api(self, method, path, body=None):
        """The result of an API call; [`ApiError`] when it is refused."""
        answer = self.request(
            method, self.api_base + path,
            {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"},
            b"" if body is None else json.dumps(body).encode())
        envelope = json.loads(answer.body)
        if not envelope["success"]:
            raise ApiError(f"{method} {path}", answer.status, envelope["errors"])
        return envelope["result"]

    def access(self, method, path, body=None):
        return self.api(method, f"/accounts/{self.account}/access{path}", body)

    def organization(self, **settings):
        """Changes settings of the organisation."""
        return self.access("PUT", "/organizations", settings)

    def protect(self, *policies, host=None, path="", **settings):
        """A new application, on a host that nothing else is on."""
        self.hosts += 1
        host = host or f"app{self.hosts}.localhost"
        made = self.access("POST", "/apps", {
            "type": "self_hosted", "name": f"{host}{path}", "domain": host + path, **settings,
            "policies": [{"precedence": place, **one} for place, one in enumerate(policies, 1)]})
        return App(self, host, made)

    def service_token(self, name="machine"):
        return self.access("POST", "/service_tokens", {"name": name})
