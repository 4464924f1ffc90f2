"""The recipes of docs/verify-the-token.md, as files that run: each an application that verifies its callers itself."""

import functools
import http.client
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time

import pytest
from gateway import ROOT, TARGET, free_port
from peers import Origin

RECIPES = os.path.join(ROOT, "docs", "recipes")
LANGUAGES = ["rust", "node", "python", "go"]
HEADER = "Cf-Access-Jwt-Assertion"
AS_CALLED = dict(os.environ)  # before the tests name a private CA in it, which knows no registry of modules


def command(language, workspace):
    """What starts a recipe; `workspace` is a directory for what that needs."""
    match language:
        case "rust":
            binary = os.path.join(TARGET, "debug", "examples", "verify")
            assert os.path.exists(binary), f"{binary} is missing: cargo build --package narthex-token --example verify"
            return [binary]
        case "node":
            os.symlink(os.path.join(ROOT, "e2e", "node_modules"), os.path.join(workspace, "node_modules"))
            return ["node", shutil.copy(os.path.join(RECIPES, "verify.mjs"), workspace)]
        case "python":
            return [sys.executable, os.path.join(RECIPES, "verify.py")]
        case "go":
            return [os.path.join(go_workspace().name, "verify")]
    raise ValueError(language)


@functools.cache
def go_workspace():
    """A directory with the Go recipe, built; its modules are those that Debian's Go can build, too."""
    if not shutil.which("go"):
        pytest.skip("the Go recipe is not tried: go is missing, and deploy/prepare test could not install it")
    workspace = tempfile.TemporaryDirectory(prefix="narthex-recipe-go-")
    here = os.path.join(ROOT, "e2e", "clients", "go")
    for file in [f"{here}/go.mod", f"{here}/go.sum", f"{RECIPES}/verify.go"]:
        shutil.copy(file, workspace.name)
    subprocess.run(["go", "build", "-o", "verify", "."], cwd=workspace.name, env=AS_CALLED, check=True)
    return workspace


class Server:
    """A process that listens on a port of its own."""

    def __init__(self, port):
        self.port, self.dir = port or free_port(), tempfile.mkdtemp(prefix="narthex-recipe-")

    def start(self, arguments, **environment):
        self.log = open(os.path.join(self.dir, "log"), "w+")
        self.process = subprocess.Popen(
            arguments, stdout=self.log, stderr=self.log, cwd=self.dir, env={**os.environ, **environment})
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                return socket.create_connection(("127.0.0.1", self.port), 1).close()
            except OSError:
                time.sleep(0.02)
        raise RuntimeError(f"{arguments[0]} does not serve:\n{self.logged()}")

    def logged(self):
        with open(os.path.join(self.dir, "log")) as file:
            return file.read()

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.log.close()
        shutil.rmtree(self.dir, ignore_errors=True)

    def get(self, headers=()):
        """Status and text of a request that goes past the gateway."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request("GET", "/", headers=dict(headers))
        answer = connection.getresponse()
        found = answer.status, answer.read().decode()
        connection.close()
        return found

    def verdict(self, token):
        return self.get({HEADER: token})[0]

    def users(self, token):
        """The `X-User` fields of the answer to a token."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request("GET", "/", headers={HEADER: token})
        fields = connection.getresponse().headers.get_all("X-User", [])
        connection.close()
        return fields


class Recipe(Server):
    """The recipe in one language, verifying for the application `aud` of the team whose CA is `ca`."""

    def __init__(self, language, team, aud, ca, port=None):
        super().__init__(port)
        self.start(command(language, self.dir), TEAM=team, AUD=aud, PORT=str(self.port),
                   SSL_CERT_FILE=ca, NODE_EXTRA_CA_CERTS=ca)

    def caller(self, answered):
        """Whom the application has seen, by its answer."""
        return answered.removeprefix("Hello, ").rstrip("\n")


class Nginx(Server):
    """The recipe for nginx, with an application that verifies nothing behind it and `verifier` beside it."""

    def __init__(self, verifier, port=None):
        super().__init__(port)
        self.verifier, self.application = verifier, Origin()
        with open(os.path.join(RECIPES, "nginx.conf")) as file:
            site = file.read()
        for written, ours in [("8000", self.port), ("9000", verifier.port), ("3000", self.application.port)]:
            assert site.count(f"127.0.0.1:{written};") == 1
            site = site.replace(f"127.0.0.1:{written};", f"127.0.0.1:{ours};")
        kinds = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        places = "\n".join(f"{kind}_temp_path {self.dir}/{kind};" for kind in kinds)
        with open(os.path.join(self.dir, "nginx.conf"), "w") as file:
            file.write(f"daemon off;\nerror_log stderr;\npid {self.dir}/pid;\nevents {{}}\n"
                       f"http {{\naccess_log off;\n{places}\n{site}\n}}\n")
        nginx = shutil.which("nginx") or "/usr/sbin/nginx"
        self.start([nginx, "-e", "stderr", "-p", self.dir, "-c", os.path.join(self.dir, "nginx.conf")])

    def stop(self):
        self.process.terminate()  # the master ends its workers
        self.process.wait()
        super().stop()
        self.verifier.stop()

    def caller(self, answered):
        """Whom the application has seen, by what nginx has told it."""
        seen = self.application.one()
        assert len(seen.head.all("x-user")) == 1 and HEADER not in seen.head
        return seen.get("x-user")
