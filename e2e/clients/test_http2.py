"""HTTP/2 from clients that mean no good, and from those that do (security §4, group N). Loops are bounded: a flood ends
when the gateway has had enough, or the test fails."""

import pytest
from gateway import policy
from hpack import Decoder
from http2 import (
    CONTINUATION, DATA, END_HEADERS, END_STREAM, ENHANCE_YOUR_CALM, HEADERS, PING, RST_STREAM, SETTINGS, WINDOW_UPDATE,
    Client, Frames, frame, hpack, text)

# Bytes that the gateway may grow by under an attack. A debug build is larger in everything.
GROWTH = 48 << 20


@pytest.fixture(scope="module")
def open_app(gateway):
    return gateway.protect(policy("bypass"))


@pytest.fixture(scope="module")
def closed_app(gateway):
    return gateway.protect(policy("allow"))


@pytest.fixture
def unharmed(gateway, open_app):
    """Whatever a test does: an honest client on another connection notices nothing, and memory stays bounded."""
    before = gateway.memory()
    with Client(open_app) as honest:
        assert honest.ask(honest.head()).status == 200
        yield
        assert honest.ask(honest.head(path="/honest")).status == 200
    assert gateway.memory() - before < GROWTH


def gave_up(found):
    return found.goaway is not None


# Floods


def test_n01_rapid_reset_ends_with_goaway(open_app, origin, unharmed):
    with Frames(open_app) as attacker:
        head, calls = hpack(open_app, path="/n01"), 20_000
        for first in range(0, calls, 100):
            burst = b"".join(
                frame(HEADERS, END_HEADERS | END_STREAM, stream, head) + frame(RST_STREAM, 0, stream, b"\0\0\0\10")
                for stream in range(2 * first + 1, 2 * (first + 100), 2))
            if attacker.flood(burst, 1) == 0:
                break
        found = attacker.until(gave_up)
    assert found.goaway == ENHANCE_YOUR_CALM
    assert len([one for one in origin.take() if one.target == "/n01"]) < calls / 10


def test_n02_made_to_reset_ends_with_goaway(open_app, origin, unharmed):
    with Frames(open_app) as attacker:
        head = hpack(open_app, path="/n02")
        for first in range(0, 20_000, 100):
            burst = b"".join(
                frame(HEADERS, END_HEADERS | END_STREAM, stream, head) + frame(WINDOW_UPDATE, 0, stream, b"\x7f\xff\xff\xff")
                for stream in range(2 * first + 1, 2 * (first + 100), 2))
            if attacker.flood(burst, 1) == 0:
                break
        found = attacker.until(gave_up)
    assert found.goaway == ENHANCE_YOUR_CALM
    assert len([one for one in origin.take() if one.target == "/n02"]) < 2_000


@pytest.mark.parametrize("payload", [b"", b"\0" + text("x-filler") + text("y" * 4_000)], ids=["empty", "large"])
def test_n03_a_continuation_flood_ends_with_goaway(open_app, origin, unharmed, payload):
    with Frames(open_app) as attacker:
        attacker.send(frame(HEADERS, END_STREAM, 1, hpack(open_app, path="/n03")))
        attacker.flood(frame(CONTINUATION, 0, 1, payload) * 16, 2_000)
        found = attacker.until(gave_up)
    assert found.goaway == ENHANCE_YOUR_CALM
    assert not [one for one in origin.take() if one.target == "/n03"]


def test_n04_settings_and_ping_floods_end_the_connection(open_app, unharmed):
    with Frames(open_app) as settings, Frames(open_app) as pings:
        settings.flood(frame(SETTINGS) * 500, 200)
        pings.flood(frame(PING, 0, 0, b"12345678") * 500, 200)
        for attacker in (settings, pings):
            found = attacker.until(gave_up)
            assert found.closed or found.goaway is not None, "by the next look at what the connection brings"


def test_n05_a_flood_of_empty_data_ends_with_goaway(open_app, origin, unharmed):
    with Frames(open_app) as attacker:
        attacker.send(frame(HEADERS, END_HEADERS, 1, hpack(open_app, path="/n05")))
        attacker.flood(frame(DATA, 0, 1) * 1_000, 200)
        assert attacker.until(gave_up).goaway == ENHANCE_YOUR_CALM
    assert not [one for one in origin.take() if one.target == "/n05"], "never forwarded as complete"


def test_n06_an_hpack_bomb_is_not_unpacked(open_app, origin, unharmed):
    entry = b"\x40" + text("x-bomb") + text("y" * 4_000)  # goes into the dynamic table, as entry 62
    with Frames(open_app) as attacker:
        block = hpack(open_app, path="/n06") + entry + b"\xbe" * 12_000
        attacker.send(frame(HEADERS, END_HEADERS | END_STREAM, 1, block))
        found = attacker.until(lambda found: gave_up(found) or found.resets or found.answers)
    assert found.resets or found.goaway is not None or refused(found.answers[1])
    assert not [one for one in origin.take() if one.target == "/n06"]


def refused(block):
    """Whether a block of fields begins with a status 4xx."""
    return block is not None and dict(Decoder().decode(block)).get(":status", "")[:1] == "4"


def test_n07_streams_above_the_limit_are_refused(open_app, origin, unharmed):
    with Frames(open_app) as attacker:
        attacker.send(frame(SETTINGS, 0, 0, b"\0\4\0\0\0\0"))  # a window of nothing, so that no answer ever ends
        head = hpack(open_app, path="/n07")
        attacker.send(b"".join(frame(HEADERS, END_HEADERS, stream, head) for stream in range(1, 600, 2)))
        found = attacker.until(lambda found: gave_up(found) or len(found.resets) >= 300 - 128)
    assert found.goaway is not None or len(found.resets) >= 300 - 128


# Fields


@pytest.mark.parametrize("name, value", [
    ("x", "a\r\nb: c"), ("x", "a\nb"), ("x", "a\0b"), ("x", "a\rb"), ("X-Upper", "y"), ("x y", "z"), ("x:y", "z"), ("", "z"),
    ("x\r\ny", "z")])
def test_n08_illegal_bytes_in_fields_never_reach_the_origin(open_app, origin, unharmed, name, value):
    with Frames(open_app) as attacker:
        attacker.send(frame(HEADERS, END_HEADERS | END_STREAM, 1, hpack(open_app, (name, value), path="/n08")))
        found = attacker.until(lambda found: gave_up(found) or found.resets or found.answers)
    assert found.goaway is not None or found.resets or refused(found.answers[1])
    assert not [one for one in origin.take() if one.target == "/n08"]


@pytest.mark.parametrize("value", [" a", "a ", "\ta\t"])
def test_n08_spaces_around_a_value_are_trimmed_or_refused(open_app, origin, unharmed, value):
    with Frames(open_app) as attacker:
        attacker.send(frame(HEADERS, END_HEADERS | END_STREAM, 1, hpack(open_app, ("x-mine", value), path="/n08")))
        attacker.until(lambda found: gave_up(found) or found.resets or found.answers)
    assert [one.get("x-mine") for one in origin.take() if one.target == "/n08"] in ([], ["a"])


@pytest.mark.parametrize("field", [
    ("transfer-encoding", "chunked"), ("connection", "close"), ("te", "gzip"), ("upgrade", "websocket"),
    ("keep-alive", "timeout=5"), ("proxy-connection", "keep-alive")])
def test_n09_fields_of_one_connection_are_refused(open_app, origin, unharmed, field):
    with Client(open_app) as client:
        answer = client.ask(client.head(field, path="/n09"))
        assert answer.status == 400 or answer.reset is not None or client.goaway is not None
    assert not [one for one in origin.take() if one.target == "/n09"]


def test_n09_te_trailers_is_the_one_that_may_stand_there(open_app):
    with Client(open_app) as client:
        assert client.ask(client.head(("te", "trailers"))).status == 200


@pytest.mark.parametrize("lengths, body", [(["5"], b"abc"), (["2"], b"abc"), (["3", "4"], b"abc"), (["+3"], b"abc"), (["3"], b"")])
def test_n10_a_length_that_is_not_the_bodys_completes_nothing(open_app, origin, unharmed, lengths, body):
    fields = [("content-length", length) for length in lengths]
    with Frames(open_app) as attacker:
        head = hpack(open_app, *fields, path="/n10").replace(b"\x03GET", b"\x04POST", 1)
        attacker.send(frame(HEADERS, END_HEADERS, 1, head) + frame(DATA, END_STREAM, 1, body))
        found = attacker.until(lambda found: gave_up(found) or found.resets or found.answers)
    assert found.goaway is not None or found.resets or refused(found.answers[1])
    assert not [one for one in origin.take() if one.target == "/n10"]


# Pseudo-header fields


def bad(client, answer):
    return answer.status in (400, 405) or answer.reset is not None or client.goaway is not None


def test_n11_authority_and_host_differ(open_app, origin, unharmed):
    with Client(open_app) as client:
        assert client.ask(client.head(("host", "other.localhost"), path="/n11")).status == 400
        assert client.ask(client.head(("host", open_app.authority), path="/same")).status == 200
    assert [one.target for one in origin.take() if one.target in ("/n11", "/same")] == ["/same"]


CASES = [
    ("n12_no_authority", {"authority": None}), ("n12_userinfo", {"authority": "user@app1.localhost"}),
    ("n12_empty", {"authority": ""}),
    *[(f"n13_path_{name}", {"path": path}) for name, path in [
        ("space", "/n 13"), ("crlf", "/n13\r\nx: y"), ("absolute", "https://app1.localhost/n13"), ("empty", ""),
        ("no_slash", "n13"), ("absent", None)]],
    ("n14_asterisk_with_get", {"path": "*"}),
    ("n15_scheme_http", {"scheme": "http"}), ("n15_scheme_file", {"scheme": "file"}), ("n15_no_scheme", {"scheme": None}),
    ("n16_method_with_space", {"method": "GET /x"}), ("n16_no_method", {"method": None}),
    ("n16_unknown", {"protocol2": "x"}),
    ("n17_connect", {"method": "CONNECT"}),
    ("n17_connect_as_rfc_9113_wants_it", {"method": "CONNECT", "scheme": None, "path": None}),
    ("n18_grpc_without_slash", {"method": "POST", "path": "package.Service/Call"}),
]


@pytest.mark.parametrize("pseudo", [case[1] for case in CASES], ids=[case[0] for case in CASES])
def test_n12_to_n18_a_head_that_names_no_one_target_is_refused(open_app, origin, unharmed, pseudo):
    with Client(open_app) as client:
        answer = client.ask(client.head(("x-attack", "1"), **pseudo))
        assert bad(client, answer), answer.status
    assert not [one for one in origin.take() if one.get("x-attack")]


def test_n13_a_fragment_is_no_part_of_the_path(open_app, origin, unharmed):
    with Client(open_app) as client:
        answer = client.ask(client.head(("x-attack", "1"), path="/n13#/x"))
        assert bad(client, answer) or answer.status == 200
    assert [one.target for one in origin.take() if one.get("x-attack")] in ([], ["/n13"])


@pytest.mark.parametrize("extra", [(":path", "/other"), (":method", "POST"), (":authority", "other.localhost"), (":unknown", "x")])
def test_n16_pseudo_header_fields_stand_once_and_first(open_app, origin, unharmed, extra):
    for late in (False, True):
        with Client(open_app) as client:
            head = client.head(path="/n16")
            head = [*head, ("x", "y"), extra] if late else [*head, extra]
            assert bad(client, client.ask(head))
    assert not [one for one in origin.take() if one.target in ("/n16", "/other")]


# WebSockets and gRPC


def upgrade(client, *fields, **pseudo):
    return client.head(("sec-websocket-version", "13"), *fields, method="CONNECT", protocol="websocket", **pseudo)


def test_n17_a_websocket_over_http2_is_decided_like_any_request(gateway, closed_app, log_in, sockets, origin):
    sockets.take()
    socket_app = gateway.protect(policy("allow"), host="socket.localhost")
    try:
        with Client(socket_app) as client:
            answer = client.ask(upgrade(client))
            assert answer.status == 302
            assert answer["location"].startswith(f"{gateway.team}/cdn-cgi/access/login/")
            assert sockets.take() == []

            # A page of the application first: the echo server answers it with 426, and the login is done all the same.
            token = log_in(socket_app)
            sockets.take()
            stream = client.send(upgrade(client, ("cookie", f"CF_Authorization={token}")), end=False)
            client.read(lambda: client.answers[stream].fields)
            assert client.answers[stream].status == 200
            client.h2.send_data(stream, b"\x81\x85" + b"\0\0\0\0" + b"hello")  # a text frame, masked with nothing
            client.flush()
            client.read(lambda: client.answers[stream].body)
            assert client.answers[stream].body == b"\x81\x05hello"
            assert [head["cf-access-jwt-assertion"] for head in sockets.take()] == [token]
    finally:
        gateway.access("DELETE", f"/apps/{socket_app.id}")


def test_n17_other_protocols_than_websocket_are_refused(open_app, origin, unharmed):
    with Client(open_app) as client:
        head = client.head(("x-attack", "1"), method="CONNECT", protocol="connect-udp")
        assert bad(client, client.ask(head))
    assert not [one for one in origin.take() if one.get("x-attack")]


def call(client, *fields, path="/package.Service/Call"):
    return client.head(("content-type", "application/grpc"), ("te", "trailers"), *fields, method="POST", path=path)


MESSAGE = b"\0\0\0\0\5hello"


@pytest.fixture(scope="module")
def machine(gateway):
    return gateway.service_token("grpc")


@pytest.fixture(scope="module")
def grpc_app(gateway, machine):
    return gateway.protect(
        policy("non_identity", [{"service_token": {"token_id": machine["id"]}}]), policy("allow"), host="grpc.localhost")


def test_n18_grpc_without_credentials_is_unauthenticated(grpc_app, grpc_origin):
    with Client(grpc_app) as client:
        answer = client.ask(call(client), MESSAGE)
        assert (answer.status, answer["content-type"], answer["grpc-status"]) == (200, "application/grpc", "16")
        assert answer.body == b""
        wrong = [("cf-access-client-id", "0" * 32 + ".access"), ("cf-access-client-secret", "wrong")]
        assert client.ask(call(client, *wrong), MESSAGE)["grpc-status"] == "16"
    assert grpc_origin.take() == []


def test_n18_grpc_by_a_machine_that_no_policy_names_is_denied(gateway, grpc_app, grpc_origin):
    stranger = gateway.service_token("grpc stranger")
    fields = [("cf-access-client-id", stranger["client_id"]), ("cf-access-client-secret", stranger["client_secret"])]
    with Client(grpc_app) as client:
        answer = client.ask(call(client, *fields), MESSAGE)
        assert (answer.status, answer["grpc-status"]) == (200, "7")
    assert grpc_origin.take() == []


@pytest.mark.parametrize("by", ["service token", "person"])
def test_n18_grpc_with_credentials_reaches_the_origin_and_its_trailers_come_back(grpc_app, grpc_origin, machine, log_in, by):
    if by == "person":
        fields = [("cf-access-token", log_in(grpc_app))]
        grpc_origin.take()
    else:
        fields = [("cf-access-client-id", machine["client_id"]), ("cf-access-client-secret", machine["client_secret"])]
    with Client(grpc_app) as client:
        answer = client.ask(call(client, *fields), MESSAGE)
    assert (answer.status, answer.body) == (200, MESSAGE)
    assert dict(answer.trailers) == {"grpc-status": "0", "x-trailer": "kept"}
    [(head, body)] = grpc_origin.take()
    head = dict(head)
    assert (head[":path"], head["te"], body) == ("/package.Service/Call", "trailers", MESSAGE)
    assert head["cf-access-jwt-assertion"]
    assert "cf-access-client-secret" not in head and "cf-access-token" not in head


def test_an_honest_client_has_many_answers_at_once(open_app, origin):
    with Client(open_app) as client:
        streams = [client.send(client.head(path=f"/{place}")) for place in range(50)]
        answers = [client.answer(stream) for stream in streams]
    assert [answer.body for answer in answers] == [b"hello\n"] * 50
    assert sorted(one.target for one in origin.take()) == sorted(f"/{place}" for place in range(50))
