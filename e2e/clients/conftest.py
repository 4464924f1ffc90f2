"""One gateway for the official clients: the one that the environment names, or one started here.

NARTHEX_API_BASE, NARTHEX_API_TOKEN, NARTHEX_ACCOUNT_ID, NARTHEX_ZONE_ID and, for a private CA, NARTHEX_CA name a
gateway that is running. Without NARTHEX_API_BASE, narthexd ($NARTHEXD, else target/debug/narthexd) is started on a
fresh data directory.
"""

import dataclasses
import os
import pathlib
import secrets
import socket
import ssl
import subprocess
import time

import cloudflare
import pytest

ROOT = pathlib.Path(__file__).parents[2]

lookup = socket.getaddrinfo
# Browsers know that *.localhost is this machine (RFC 6761); the C library's resolver does not.
socket.getaddrinfo = lambda host, *rest, **more: lookup(
    "127.0.0.1" if str(host).endswith(".localhost") else host, *rest, **more)


@dataclasses.dataclass
class Gateway:
    base_url: str
    token: str
    account_id: str = ""
    zone_id: str = ""
    ca: str | None = None

    def client(self, **options):
        """The official client with nothing changed but its base URL, and the CA that its platform has to know."""
        verify = ssl.create_default_context(cafile=self.ca) if self.ca else True
        options = {"api_token": self.token, "max_retries": 0} | options
        http_client = cloudflare.DefaultHttpxClient(verify=verify)
        return cloudflare.Cloudflare(base_url=self.base_url, http_client=http_client, **options)


@pytest.fixture(scope="session")
def gateway(tmp_path_factory):
    if base_url := os.environ.get("NARTHEX_API_BASE"):
        yield Gateway(base_url, os.environ["NARTHEX_API_TOKEN"], os.environ["NARTHEX_ACCOUNT_ID"],
                      os.environ["NARTHEX_ZONE_ID"], os.environ.get("NARTHEX_CA"))
        return
    directory = tmp_path_factory.mktemp("gateway")
    process, port, token = start(directory)
    try:
        gateway = Gateway(f"https://admin.localhost:{port}/client/v4", token, ca=str(directory / "data/local-ca.pem"))
        client = gateway.client()
        gateway.account_id = next(iter(client.accounts.list())).id
        gateway.zone_id = next(iter(client.zones.list(name="localhost"))).id
        yield gateway
    finally:
        process.terminate()
        process.wait(timeout=30)


def start(directory):
    """narthexd on a free port, once it accepts connections."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    token = secrets.token_hex(32)
    (directory / "token").write_text(token)
    (directory / "narthex.toml").write_text(f"""
data_dir = "data"
[listen]
https = ["127.0.0.1:{port}"]
cores = 1
[team]
name = "Acme"
domain = "team.localhost:{port}"
[admin]
host = "admin.localhost:{port}"
token = {{ file = "{directory}/token" }}
[[zone]]
name = "localhost"
[mail]
from = "Acme login <no-reply@acme.test>"
smtp = "smtp://127.0.0.1:1"
""")
    binary = os.environ.get("NARTHEXD", ROOT / "target/debug/narthexd")
    log = (directory / "log").open("w")
    process = subprocess.Popen([binary, "serve", "--config", directory / "narthex.toml"], stdout=log, stderr=log)
    for _ in range(400):
        if process.poll() is not None:
            break
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return process, port, token
        except OSError:
            time.sleep(0.025)  # until it listens
    process.kill()
    raise RuntimeError(f"narthexd did not start:\n{(directory / 'log').read_text()}")


@pytest.fixture
def client(gateway):
    return gateway.client()


@pytest.fixture
def account(gateway):
    return {"account_id": gateway.account_id}


@pytest.fixture
def zone(gateway):
    return {"zone_id": gateway.zone_id}


@pytest.fixture
def host(client, gateway):
    """Makes hostnames in the zone that nobody has used."""
    name = client.zones.get(zone_id=gateway.zone_id).name
    return lambda: f"t-{secrets.token_hex(6)}.{name}"
