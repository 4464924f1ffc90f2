"""WebSockets through the gateway (security §4, group W; access-protocol §6.5), by the `websockets` library on both ends."""

import asyncio
import ssl

import jwt
import pytest
from gateway import policy
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from wire import PATIENCE


@pytest.fixture(scope="module")
def machine(gateway):
    return gateway.service_token("websocket")


@pytest.fixture
def chat(gateway, machine):
    """An application of WebSockets for people and machines."""
    listed = policy("non_identity", [{"service_token": {"token_id": machine["id"]}}])
    app = gateway.protect(policy("allow"), listed, host="socket.localhost")
    yield app
    gateway.access("DELETE", f"/apps/{app.id}")


@pytest.fixture(autouse=True)
def forgotten(sockets):
    sockets.take()


class Connect(connect):
    """The library's client, but that it follows no redirects."""

    def process_redirect(self, error):
        return error


class Dialled:
    """A WebSocket to the gateway. All of it runs in one thread: the library's own threaded client reads and writes one TLS
    connection in two, which CPython's `ssl` does not bear, and now and then hangs in its handshake."""

    def __init__(self, app, headers, client=None, **settings):
        self.loop = asyncio.new_event_loop()
        context = ssl.create_default_context(cafile=app.gateway.ca)
        if client:
            context.load_cert_chain(client.chain, client.key)
        try:
            self.connection = self.run(Connect(
                app.url("/chat").replace("https:", "wss:"), ssl=context, additional_headers=headers, open_timeout=PATIENCE,
                proxy=None, **settings))
        except BaseException:
            self.loop.close()
            raise
        self.response, self.subprotocol = self.connection.response, self.connection.subprotocol

    def run(self, what, patience=PATIENCE):
        async def in_time():
            return await asyncio.wait_for(what, patience)

        return self.loop.run_until_complete(in_time())

    def send(self, message):
        self.run(self.connection.send(message))

    def recv(self, patience):
        return self.run(self.connection.recv(), patience)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.run(self.connection.close())
        self.loop.close()


def dial(app, headers=None, **settings):
    return Dialled(app, headers, **settings)


def refused(app, headers=None):
    """The answer to an upgrade that must not succeed."""
    with pytest.raises(InvalidStatus) as caught, dial(app, headers):
        pass
    return caught.value.response


def test_w01_a_stranger_is_sent_to_log_in_and_never_gets_101(gateway, chat, sockets):
    answer = refused(chat)
    assert answer.status_code == 302
    assert answer.headers["location"].startswith(f"{gateway.team}/cdn-cgi/access/login/{chat.authority}?kid={chat.aud}&")
    assert "CF_AppSession=" in answer.headers["set-cookie"]
    assert refused(chat, {"Cf-Access-Token": "garbage"}).status_code == 302
    assert refused(chat, {"Cookie": "CF_Authorization=a.b.c"}).status_code == 302
    assert sockets.take() == []


def test_w01_where_only_machines_are_let_in_a_stranger_gets_403(gateway, machine, sockets):
    app = gateway.protect(policy("non_identity", [{"service_token": {"token_id": machine["id"]}}]), host="socket.localhost")
    try:
        answer = refused(app)
        assert (answer.status_code, answer.headers["cf-access-aud"]) == (403, app.aud)
    finally:
        gateway.access("DELETE", f"/apps/{app.id}")
    assert sockets.take() == []


@pytest.mark.parametrize("carrier", ["Cookie", "Cf-Access-Token"])
def test_11_somebody_logged_in_talks_and_the_origin_gets_the_token(chat, log_in, sockets, carrier):
    token = log_in(chat)
    sockets.take()
    value = f"CF_Authorization={token}" if carrier == "Cookie" else token
    with dial(chat, {carrier: value, "Cf-Access-Authenticated-User-Email": "forged@example.com"}) as connection:
        for message in ("hello", b"\0\1\2", "x" * 100_000):
            connection.send(message)
            assert connection.recv(PATIENCE) == message
    [head] = sockets.take()
    assert head["Cf-Access-Jwt-Assertion"] == token
    assert head.get_all("Cf-Access-Authenticated-User-Email") == ["ann@example.com"]
    assert f"CF_Authorization={token}" in head["Cookie"]
    assert "Cf-Access-Token" not in head


def test_11_a_machine_talks_with_its_pair(chat, machine, sockets):
    pair = {"CF-Access-Client-Id": machine["client_id"], "CF-Access-Client-Secret": machine["client_secret"]}
    with dial(chat, pair) as connection:
        assert "set-cookie" not in connection.response.headers, "strict mode gives no cookie"
        connection.send("hello")
        assert connection.recv(PATIENCE) == "hello"
    [head] = sockets.take()
    claims = jwt.decode(head["Cf-Access-Jwt-Assertion"], options={"verify_signature": False})
    assert claims["common_name"] == machine["client_id"]
    assert "Cf-Access-Client-Secret" not in head


def test_11_legacy_a_101_brings_the_cookie(chat, machine, legacy):
    pair = {"CF-Access-Client-Id": machine["client_id"], "CF-Access-Client-Secret": machine["client_secret"]}
    with dial(chat, pair) as connection:
        assert connection.response.headers["set-cookie"].startswith("CF_Authorization=")


def test_subprotocols_are_between_client_and_origin(chat, log_in, sockets):
    token = log_in(chat)
    sockets.take()
    with dial(chat, {"Cf-Access-Token": token}, subprotocols=["chat"]) as connection:
        assert connection.subprotocol is None, "the echo server knows none"
    assert sockets.take()[0]["Sec-WebSocket-Protocol"] == "chat"


def closed_with(connection):
    """The code that ends a connection on which nobody speaks."""
    with pytest.raises(ConnectionClosed) as caught:
        connection.recv(35)  # a re-check comes within 30 s at the latest (security §3)
    return caught.value.rcvd and caught.value.rcvd.code


def test_w05_a_logout_closes_what_is_open_with_1008(chat, browser):
    token = browser.log_in(chat)
    with dial(chat, {"Cf-Access-Token": token}) as connection:
        connection.send("hello")
        assert connection.recv(PATIENCE) == "hello"
        browser.send("GET", chat.url("/cdn-cgi/access/logout"))
        assert closed_with(connection) == 1008


def test_w05_so_does_revoking_the_applications_tokens(gateway, chat, log_in):
    with dial(chat, {"Cf-Access-Token": log_in(chat)}) as connection:
        gateway.access("POST", f"/apps/{chat.id}/revoke_tokens")
        assert closed_with(connection) == 1008


def test_w05_and_switching_a_service_token_off(gateway, chat):
    machine = gateway.service_token("short-lived")
    listed = policy("non_identity", [{"service_token": {"token_id": machine["id"]}}])
    gateway.access("POST", f"/apps/{chat.id}/policies", {**listed, "precedence": 3})
    pair = {"CF-Access-Client-Id": machine["client_id"], "CF-Access-Client-Secret": machine["client_secret"]}
    with dial(chat, pair) as connection:
        connection.send("hello")
        assert connection.recv(PATIENCE) == "hello"
        gateway.access("PUT", f"/service_tokens/{machine['id']}", {"name": "short-lived", "enabled": False})
        assert closed_with(connection) == 1008


# What the origin does with the handshake.


@pytest.fixture(scope="module")
def open_app(gateway):
    return gateway.protect(policy("bypass"))


KEY = "dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="  # RFC 6455 §1.3


def handshake(app, path):
    return (f"GET {path} HTTP/1.1\r\nHost: {app.authority}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n\r\n")


def switching(*fields):
    return b"".join(line + b"\r\n" for line in (
        b"HTTP/1.1 101 Switching Protocols", b"Connection: Upgrade", b"Upgrade: websocket", *fields)) + b"\r\n"


def test_w02_what_a_client_says_before_the_101_is_held_back(open_app, origin):
    with open_app.open() as connection:
        early = "GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
        answer = connection.ask(handshake(open_app, "/says-200") + early)
        assert answer.status == 200, "the origin does not switch"
        following = connection.answer()
    seen = origin.take()
    assert following is None or following.status in (400, 421), "the rest is not for the origin"
    assert [one.target for one in seen] == ["/says-200"]


@pytest.mark.parametrize("answer", [
    switching(b"Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA="), switching(),
    switching(b"Sec-WebSocket-Accept: " + ACCEPT, b"Sec-WebSocket-Accept: " + ACCEPT),
    switching(b"Sec-WebSocket-Accept: " + ACCEPT).replace(b"Upgrade: websocket", b"Upgrade: other"),
], ids=["wrong", "absent", "twice", "another_protocol"])
def test_w03_a_101_that_does_not_belong_to_the_key_is_a_502(open_app, origin, answer):
    origin.answers["/switch"] = answer
    with open_app.open() as connection:
        assert connection.ask(handshake(open_app, "/switch")).status == 502


def test_w03_the_one_that_does_is_passed_on(open_app, origin):
    origin.answers["/switch"] = switching(b"Sec-WebSocket-Accept: " + ACCEPT) + b"\x81\x02hi"
    with open_app.open() as connection:
        assert connection.ask(handshake(open_app, "/switch")).status == 101
        assert connection.reader.exactly(4) == b"\x81\x02hi"
