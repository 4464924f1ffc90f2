"""What docs/first-application.md tells a newcomer to type, typed."""

import json
import os
import re
import subprocess

import pytest
from browser import Browser
from gateway import BINARY, ROOT, App, Gateway


@pytest.fixture
def fresh(neighbour, mailbox):
    """A gateway on which nobody has done anything."""
    gateway = Gateway([("wiki.localhost", neighbour.service, "")], mailbox.port)
    yield gateway
    gateway.stop()


def commands(document):
    """The commands of a document, in its order."""
    with open(os.path.join(ROOT, "docs", document)) as file:
        return re.findall(r"^```sh\n(.*?)^```$", file.read(), re.M | re.S)


def test_the_first_application(fresh, mailbox, neighbour):
    blocks = commands("first-application.md")
    for written, ours in [
        ("https://admin.example.com", f"https://admin.localhost:{fresh.port}"),
        ("https://wiki.example.com", f"https://wiki.localhost:{fresh.port}"),
        ("wiki.example.com", "wiki.localhost"),
        ("narthex.toml", os.path.join(fresh.dir, "narthex.toml")),
    ]:
        assert any(written in block for block in blocks), f"{written} is not in the document any more"
        blocks = [block.replace(written, ours) for block in blocks]
    environment = {**os.environ, "CURL_CA_BUNDLE": fresh.ca, "PATH": f"{os.path.dirname(BINARY)}:{os.environ['PATH']}"}
    typed = "\necho\n".join(blocks)
    done = subprocess.run(["bash", "-euo", "pipefail", "-c", typed], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    said = [line for line in done.stdout.splitlines() if line.strip()]
    provider, made = (json.loads(line) for line in said[:2])
    assert provider["success"] and made["success"], done.stdout
    assert said[2].split(" ")[1] == "302"
    assert any(line.lower().startswith(f"location: {fresh.team}/cdn-cgi/access/login/") for line in said), done.stdout

    app = App(fresh, "wiki.localhost", made["result"])
    neighbour.take()
    Browser(fresh, mailbox, "ann@example.com").log_in(app)
    assert neighbour.take()[-1].get("cf-access-authenticated-user-email") == "ann@example.com"
