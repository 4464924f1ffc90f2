"""Framing and syntax of HTTP/1.1 (security §4, group H), with an application that lets everybody in, so that framing alone
decides. After every attack an honest client elsewhere is served, and its request is the next that the origin sees."""

import pytest
from gateway import policy


@pytest.fixture(scope="module")
def open_app(gateway):
    return gateway.protect(policy("bypass"))


@pytest.fixture
def attack(open_app, origin):
    """Sends bytes over a connection of their own; the answers until the gateway closes, and what the origin saw."""
    return lambda text: attempt(open_app, origin, text)


def filled(app, text):
    """`text` as bytes, with HOST as the application's."""
    return (text.encode("latin-1") if isinstance(text, str) else text).replace(b"HOST", app.authority.encode())


def attempt(app, origin, text, most=1):
    with app.open() as connection:
        connection.send(filled(app, text))
        answers = []
        while len(answers) < most and (answer := connection.answer()):
            answers.append(answer)
        origin_saw(app, origin, answers)
        return answers, connection


def origin_saw(app, origin, answers):
    """An honest client is served, and comes last at the origin."""
    assert app.request(rest="/honest").status == 200
    assert origin.seen[-1].target == "/honest"
    origin.seen.pop()
    return answers


def status(text, app):
    with app.open() as connection:
        answer = connection.ask(filled(app, text))
        return (answer.status if answer else None), (answer is None or connection.is_closed())


def head(line, *fields):
    return "".join(f"{one}\r\n" for one in (line, "Host: HOST", *fields)) + "\r\n"


def post(*fields, body="0\r\n\r\n"):
    return head("POST / HTTP/1.1", *fields) + body


SMUGGLED = "GET /smuggled HTTP/1.1\r\nHost: HOST\r\n\r\n"

# (name, request, accepted statuses). `None`: closed without an answer.
REFUSED = [
    ("h01_no_host", "GET / HTTP/1.1\r\n\r\n", [400]),
    ("h01_no_host_in_1_0", "GET / HTTP/1.0\r\n\r\n", [400]),
    ("h02_the_host_twice", "GET / HTTP/1.1\r\nHost: HOST\r\nHost: HOST\r\n\r\n", [400]),
    ("h02_two_hosts", "GET / HTTP/1.1\r\nHost: HOST\r\nHost: other.localhost\r\n\r\n", [400]),
    *[(f"h03_host_{name}", f"GET / HTTP/1.1\r\nHost: {value}\r\n\r\n", [400]) for name, value in [
        ("empty", ""), ("list", "HOST, other.localhost"), ("userinfo", "user@HOST"), ("path", "HOST/x"),
        ("percent", "app%31.localhost"), ("bad_port", "HOST:x"), ("large_port", "app1.localhost:65536"),
        ("space", "app1 .localhost"), ("fragment", "HOST#x"), ("query", "HOST?x"), ("backslash", "app1.localhost\\@x")]],
    ("h04_absolute_form_for_another", head("GET https://other.localhost/ HTTP/1.1"), [400]),
    ("h04_absolute_form_http", head("GET http://HOST/ HTTP/1.1"), [400]),
    ("h05_absolute_form_with_userinfo", head("GET https://user:x@HOST/ HTTP/1.1"), [400]),
    ("h06_authority_form", head("GET HOST HTTP/1.1"), [400]),
    ("h06_no_leading_slash", head("GET foo HTTP/1.1"), [400]),
    ("h07_get_asterisk", head("GET * HTTP/1.1"), [400]),
    *[(f"h09_target_{name}", head(f"GET /a{byte}b HTTP/1.1"), [400]) for name, byte in [
        ("space", " "), ("tab", "\t"), ("nul", "\0"), ("control", "\x01"), ("delete", "\x7f"), ("not_ascii", "\xe9"),
        ("nul_in_query", "?\0"), ("not_ascii_in_query", "?\xe9")]],
    *[(f"h11_value_{name}", head("GET / HTTP/1.1", f"X: a{byte}b"), [400]) for name, byte in [
        ("bare_cr", "\r"), ("cr_cr_lf", "\r\r\nY: "), ("nul", "\0"), ("control", "\x01"), ("delete", "\x7f")]],
    ("h12_folded_line", head("GET / HTTP/1.1", "X: a", " b"), [400]),
    ("h12_folded_transfer_encoding", post("Transfer-Encoding:", " chunked"), [400]),
    ("h13_space_before_colon", post("Transfer-Encoding : chunked"), [400]),
    ("h13_no_colon", head("GET / HTTP/1.1", "X"), [400]),
    ("h13_empty_name", head("GET / HTTP/1.1", ": x"), [400]),
    ("h13_brackets_in_name", head("GET / HTTP/1.1", "X[y]: z"), [400]),
    ("h13_space_before_first_field", "GET / HTTP/1.1\r\n X: y\r\nHost: HOST\r\n\r\n", [400]),
    *[(f"h14_{name}", head(line), [400, 505]) for name, line in [
        ("http_0_9", "GET / HTTP/0.9"), ("http_1_2", "GET / HTTP/1.2"), ("http_2_0", "GET / HTTP/2.0"), ("no_version", "GET /"),
        ("lower_case", "GET / http/1.1"), ("two_spaces", "GET  / HTTP/1.1"), ("trailing_space", "GET / HTTP/1.1 "),
        ("leading_space", " GET / HTTP/1.1")]],
    ("h16_trace", head("TRACE / HTTP/1.1"), [405]),
    ("h16_connect", "CONNECT HOST HTTP/1.1\r\nHost: HOST\r\n\r\n", [405, 501]),
    *[(f"h18_length_{name}", post(f"Content-Length: {value}", body="x"), [400]) for name, value in [
        ("plus", "+1"), ("minus", "-1"), ("hex", "0x1"), ("underscore", "1_0"), ("exponent", "1e1"), ("empty", ""),
        ("list", "1, 1"), ("beyond_u64", "18446744073709551616"), ("space", "1 1")]],
    ("h18_two_lengths", post("Content-Length: 1", "Content-Length: 2", body="x"), [400]),
    *[(f"h20_coding_{name}", post(f"Transfer-Encoding: {value}"), [400, 501]) for name, value in [
        ("twice", "chunked, chunked"), ("cow", "cow, chunked"), ("gzip_first", "gzip, chunked"), ("gzip_last", "chunked, gzip"),
        ("identity", "identity"), ("quoted", '"chunked"'), ("parameter", "chunked;x=y"), ("trailing_comma", "chunked,"),
        ("vertical_tab", "\x0bchunked"), ("empty", ""), ("nearly", "xchunked"), ("nearly_too", "chunked\x00")]],
    ("h20_two_codings", post("Transfer-Encoding: chunked", "Transfer-Encoding: chunked"), [400]),
    ("h21_coding_in_1_0", head("POST / HTTP/1.0", "Transfer-Encoding: chunked") + "0\r\n\r\n", [400]),
    *[(f"h23_size_{name}", post("Transfer-Encoding: chunked", body=f"{size}\r\na\r\n0\r\n\r\n"), [400, None]) for name, size in [
        ("hex_mark", "0x1"), ("plus", "+1"), ("minus", "-1"), ("underscore", "1_0"), ("leading_space", " 1"),
        ("17_digits", "f" * 17), ("empty", "")]],
    *[(f"h24_extension_{name}", post("Transfer-Encoding: chunked", body=f"1;{text}\r\na\r\n0\r\n\r\n" + SMUGGLED), [400, None])
      for name, text in [("bare_lf", "a\nb"), ("bare_cr", "a\rb"), ("64_kib", "x" * 65_536)]],
    *[(f"h25_{name}", post("Transfer-Encoding: chunked", body=body), [400, None]) for name, body in [
        ("no_end_of_data", "1\r\nab\r\n0\r\n\r\n"), ("data_ended_by_lf", "1\r\na\n0\r\n\r\n"),
        ("last_chunk_ended_by_lf", "1\r\na\r\n0\n\n" + "X" * 8)]],
    ("h26_malformed_trailer", post("Transfer-Encoding: chunked", body="0\r\nX y\r\n\r\n"), [400, None]),
    ("h26_5000_trailers", post("Transfer-Encoding: chunked", body="0\r\n" + "X: y\r\n" * 5000 + "\r\n"), [400, 431, None]),
    ("h29_strange_expectation", post("Expect: y 100-continue", "Content-Length: 1", body="x"), [417]),
    ("h31_101_fields", head("GET / HTTP/1.1", *["X: y"] * 101), [431]),
    ("h31_head_of_80_kib", head("GET / HTTP/1.1", *["X: " + "y" * 9000] * 9), [431]),
    ("h31_target_of_17_kib", head("GET /" + "a" * 17_000 + " HTTP/1.1"), [414]),
    ("h31_field_of_33_kib", head("GET / HTTP/1.1", "X: " + "y" * 33_000), [431]),
    ("p03_encoded_slash", head("GET /a%2fb HTTP/1.1"), [400]),
    ("p03_backslash", head("GET /a\\b HTTP/1.1"), [400]),
    ("p03_semicolon", head("GET /..;/x HTTP/1.1"), [400]),
    ("p03_bad_escape", head("GET /%zz HTTP/1.1"), [400]),
    ("p03_encoded_nul", head("GET /%00 HTTP/1.1"), [400]),
]


@pytest.mark.parametrize("text, statuses", [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED])
def test_what_could_be_read_two_ways_is_refused_and_reaches_no_origin(open_app, origin, text, statuses):
    found, closed = status(text, open_app)
    assert found in statuses
    assert closed, "the rest of the connection is not read"
    origin_saw(open_app, origin, None)
    assert origin.take() == []


def test_h07_options_asterisk_is_answered_here(attack, origin):
    answers, _ = attack(head("OPTIONS * HTTP/1.1"))
    assert answers[0].status in (200, 204)
    assert origin.take() == []


def test_h08_a_fragment_is_no_part_of_the_path(attack, origin):
    answers, _ = attack(head("GET /a#/b HTTP/1.1"))
    seen = origin.take()
    assert (answers[0].status, seen) == (400, []) or [one.target for one in seen] == ["/a"]


@pytest.mark.parametrize("text", [
    "GET /lf HTTP/1.1\nHost: HOST\n\n", "GET /lf HTTP/1.1\r\nHost: HOST\nX: y\r\n\r\n", "GET /lf HTTP/1.1\nHost: HOST\r\n\r\n"])
def test_h10_bare_line_feeds_make_one_clean_request_or_none(attack, origin, text):
    answers, _ = attack(text)
    seen = origin.take()
    if answers[0].status == 400:
        assert seen == []
    else:
        assert [one.target for one in seen] == ["/lf"]
        assert b"\n" not in seen[0].head.raw.replace(b"\r\n", b"")


@pytest.mark.parametrize("method", ["get", "PURGE", "PROPFIND", "GETS"])
def test_h15_a_method_is_passed_on_as_it_is(attack, origin, method):
    answers, _ = attack(head(f"{method} / HTTP/1.1"))
    seen = origin.take()
    assert [one.method for one in seen] == [method] if answers[0].status == 200 else answers[0].status in (405, 501)


@pytest.mark.parametrize("fields", [
    ("Content-Length: 4", "Transfer-Encoding: chunked"), ("Transfer-Encoding: chunked", "Content-Length: 4"),
    ("Content-Length: 45", "Transfer-Encoding: chunked"), ("content-length: 0", "transfer-encoding: Chunked")])
def test_h17_cl_and_te(open_app, origin, fields):
    answers, connection = attempt(open_app, origin, head("POST /one HTTP/1.1", *fields) + "0\r\n\r\n" + SMUGGLED, most=3)
    assert [answer.status for answer in answers] in ([400], [200])
    assert [one.target for one in origin.take()] in ([], ["/one"])


@pytest.mark.parametrize("fields", [("Content-Length: 3", "Content-Length: 3"), ("Content-Length: 003",)])
def test_h19_one_length_goes_on(attack, origin, fields):
    answers, _ = attack(head("POST /one HTTP/1.1", *fields) + "abc")
    seen = origin.take()
    if answers[0].status == 400:
        assert seen == []
    else:
        assert [one.body for one in seen] == [b"abc"]
        assert seen[0].head.all("content-length") == ["3"]


def test_h21_a_body_is_never_delimited_by_the_end_of_the_connection(attack, origin):
    answers, connection = attack(head("POST /old HTTP/1.0") + "GET /smuggled HTTP/1.1\r\nHost: HOST\r\n\r\n")
    seen = origin.take()
    assert [one.target for one in seen] in ([], ["/old"])
    assert all(one.body == b"" for one in seen)


@pytest.mark.parametrize("name", ["Transfer_Encoding: chunked", "Content_Length: 60", "Transfer.Encoding: chunked"])
def test_h22_a_second_spelling_of_a_length_is_dropped(attack, origin, name):
    answers, _ = attack(head("POST /one HTTP/1.1", name, "Content-Length: 3") + "abc")
    assert answers[0].status == 200
    seen = origin.one()
    assert seen.body == b"abc"
    assert name.split(":")[0].lower() not in seen.head


def test_h23_leading_zeros_have_a_limit(attack, origin):
    answers, _ = attack(post("Transfer-Encoding: chunked", body="0" * 300 + "1\r\na\r\n0\r\n\r\n"))
    assert [one.body for one in origin.take()] in ([], [b"a"])
    assert not answers or answers[0].status in (200, 400)


@pytest.mark.parametrize("body", ["5\r\nab", "5\r\nabcde\r\n", "2\r\nab\r\n0\r\n"], ids=["data", "end", "last_line"])
def test_h25_a_body_cut_short_is_never_forwarded_as_complete(open_app, origin, body):
    with open_app.open() as connection:
        connection.send(filled(open_app, post("Transfer-Encoding: chunked", body=body)))
        connection.sock.close()
    origin_saw(open_app, origin, None)
    assert origin.take() == []


def test_h26_trailers_are_dropped(attack, origin):
    trailers = "Cf-Access-Jwt-Assertion: evil\r\nCookie: evil=1\r\nContent-Length: 9\r\nHost: evil\r\nAuthorization: evil\r\n"
    answers, _ = attack(post("Transfer-Encoding: chunked", "Trailer: Cookie", body=f"3;x=y\r\nabc\r\n0\r\n{trailers}\r\n"))
    assert answers[0].status == 200
    seen = origin.one()
    assert seen.body == b"abc" and b"evil" not in seen.head.raw


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_h27_a_body_where_none_is_usual_stays_one(open_app, origin, method):
    body = "GET /smuggled HTTP/1.1\r\n\r\n"
    text = head(f"{method} /1 HTTP/1.1", f"Content-Length: {len(body)}") + body + head("GET /2 HTTP/1.1")
    with open_app.open() as connection:
        connection.send(filled(open_app, text))
        assert connection.answer(method).status == 200 and connection.answer().status == 200
    assert [(one.target, one.body) for one in origin.take()] == [("/1", body.encode()), ("/2", b"")]


def test_h28_nothing_after_a_malformed_request_is_forwarded(open_app, origin):
    texts = [head(f"GET /{n} HTTP/1.1") for n in range(1, 21)]
    texts[2] = "GET /3 HTTP/1.1\r\nHost : HOST\r\n\r\n"
    answers, _ = attempt(open_app, origin, "".join(texts), most=20)
    assert [answer.status for answer in answers] == [200, 200, 400]
    assert [one.target for one in origin.take()] == ["/1", "/2"]


def test_h29_a_body_is_asked_for_after_the_decision(gateway, open_app, origin):
    expecting = head("POST /e HTTP/1.1", "Expect: 100-continue", "Content-Length: 3")
    with open_app.open() as connection:
        assert connection.ask(filled(open_app, expecting)).status == 100
        assert connection.ask("abc").status == 200
    assert origin.one().body == b"abc"
    closed = gateway.protect(policy("allow"))
    with closed.open() as connection:
        assert connection.ask(filled(closed, expecting)).status == 302
    assert origin.take() == []


def test_h30_a_refused_upload_is_answered_at_once_and_not_read(gateway, origin):
    closed = gateway.protect(policy("allow"))
    with closed.open() as connection:
        connection.send(filled(closed, head("POST / HTTP/1.1", "Content-Length: 1000000000")))
        connection.send(b"x" * 10_000)
        assert connection.answer().status == 302
        for _ in range(64):
            connection.send(b"x" * 65_536)
        assert connection.is_closed()
    assert origin.take() == []


def test_h33_h2c_is_not_granted(attack, origin):
    answers, _ = attack(head("GET /h2c HTTP/1.1", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk"))
    assert answers[0].status == 200
    seen = origin.one()
    assert "upgrade" not in seen.head and "http2-settings" not in seen.head


def test_h34_another_protocol_than_was_agreed_is_refused(attack, origin):
    answers, _ = attack("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0")
    assert not answers or answers[0].status in (400, 505)
    assert origin.take() == []


@pytest.mark.parametrize("target, want", [
    ("/a/../b", "/b"), ("/a/./b", "/a/b"), ("//b", "/b"), ("/a//b", "/a/b"), ("/%2e%2e/b", "/b"), ("/%2E./b", "/b"),
    ("/%252e%252e/b", "/%252e%252e/b"), ("/%61", "/a"), ("/a?x=/../%2f", "/a?x=/../%2f"), ("/../../a", "/a")])
def test_p01_p02_what_is_judged_is_what_is_sent(attack, origin, target, want):
    answers, _ = attack(head(f"GET {target} HTTP/1.1"))
    assert answers[0].status == 200
    assert origin.one().target == want


@pytest.mark.parametrize("path", ["/cdn-cgi/x", "/CDN-CGI/access/certs", "//cdn-cgi/x", "/x/../cdn-cgi/x", "/cdn-cgi/access/../x"])
def test_p11_the_gateways_own_paths_reach_no_origin(attack, origin, path):
    answers, _ = attack(head(f"GET {path} HTTP/1.1"))
    assert answers[0].status in (400, 404)
    assert origin.take() == []


@pytest.mark.parametrize("answer", [
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc",
    b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nX: " + b"y" * 1_000_000 + b"\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n", b"garbage\r\n\r\n", b"HTTP/1.1 200 OK\r\nX\0: y\r\n\r\n",
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n",
], ids=["two_lengths", "cl_and_te", "head_of_1_mb", "status", "garbage", "nul", "unasked_101"])
def test_i08_a_hostile_answer_is_a_502_and_its_connection_is_not_used_again(open_app, origin, answer):
    origin.answers["/hostile"] = answer
    with open_app.open() as connection:
        found = connection.ask(filled(open_app, head("GET /hostile HTTP/1.1")))
        assert found.status == 502
    origin_saw(open_app, origin, None)


def test_t03_another_host_than_the_handshakes_needs_the_same_rule(open_app, origin):
    with open_app.open() as connection:
        answer = connection.ask(f"GET / HTTP/1.1\r\nHost: nobody.elsewhere.test:{open_app.gateway.port}\r\n\r\n")
        assert answer.status == 421
        answer = connection.ask("GET / HTTP/1.1\r\nHost: app1.localhost:9\r\n\r\n")
        assert answer is None or answer.status == 421
    assert origin.take() == []


def test_an_honest_client_keeps_its_connection(open_app, origin):
    with open_app.open() as connection:
        for place in range(3):
            assert connection.ask(filled(open_app, head(f"GET /{place} HTTP/1.1"))).body == b"hello\n"
    assert [one.target for one in origin.take()] == ["/0", "/1", "/2"]
