"""The gateway and its neighbours, started once for all tests; what a test needs of them, as fixtures."""

import itertools
import os
import secrets

import pytest
from administered import Administered
from browser import Browser
from gateway import Gateway
from peers import EchoSockets, Http2Origin, Mailbox, Origin

numbers = itertools.count(1)


@pytest.fixture(scope="session")
def neighbour():
    return Origin()


@pytest.fixture(scope="session")
def mailbox():
    return Mailbox()


@pytest.fixture(scope="session")
def grpc_origin():
    """The application behind grpc.localhost."""
    return Http2Origin()


@pytest.fixture(scope="session")
def sockets():
    """The application behind socket.localhost."""
    return EchoSockets()


@pytest.fixture(scope="session")
def gateway(neighbour, grpc_origin, sockets, mailbox):
    """narthexd, with an application behind every host and people who log in by codes from the mail."""
    gateway = Gateway([
        ("grpc.localhost", grpc_origin.service, "origin_request = { http2_origin = true }"),
        ("socket.localhost", sockets.service, ""),
        ("*.localhost", neighbour.service, ""),
    ], mailbox.port)
    gateway.access("POST", "/identity_providers", {"name": "Code by mail", "type": "onetimepin", "config": {}})
    os.environ["SSL_CERT_FILE"] = gateway.ca  # for libraries that fetch keys by themselves
    yield gateway
    alive, logged = gateway.process.poll() is None, gateway.logged()
    ended = gateway.stop()
    assert alive, f"narthexd ended during the tests:\n{logged}"
    assert "panicked" not in logged, logged
    assert ended == 0, "narthexd drains and exits with 0"


@pytest.fixture
def api(gateway):
    return gateway.api


@pytest.fixture
def origin(neighbour):
    """The application behind every host, having seen nothing yet."""
    neighbour.take()
    neighbour.answers.clear()
    return neighbour


@pytest.fixture
def browser(gateway, mailbox):
    """The browser of somebody whom nobody knows yet. A network may ask for a few codes only: see `ann` first."""
    return Browser(gateway, mailbox, f"somebody{next(numbers)}@example.com")


@pytest.fixture(scope="session")
def ann(gateway, mailbox):
    """The browser of Ann, who logs in once and stays logged in."""
    return Browser(gateway, mailbox, "ann@example.com")


@pytest.fixture
def log_in(ann):
    """Ann's token for an application. Each time at a page of its own: who comes back to the same one is in a loop."""
    return lambda app: ann.log_in(app, f"/hello/{next(numbers)}")


@pytest.fixture
def legacy(gateway):
    """Service tokens as before strict mode (access-protocol §8.3)."""
    gateway.organization(strict_service_token_auth=False)
    yield
    gateway.organization(strict_service_token_auth=True)


@pytest.fixture(scope="session")
def administered(request):
    """The gateway that the official clients administer: the one that the environment names, or the one started here."""
    return Administered.named() or Administered.of(request.getfixturevalue("gateway"))


@pytest.fixture
def client(administered):
    return administered.client()


@pytest.fixture
def account(administered):
    return {"account_id": administered.account_id}


@pytest.fixture
def zone(administered):
    return {"zone_id": administered.zone_id}


@pytest.fixture
def host(client, administered):
    """Makes hostnames in the zone that nobody has used."""
    name = client.zones.get(zone_id=administered.zone_id).name
    return lambda: f"t-{secrets.token_hex(6)}.{name}"
