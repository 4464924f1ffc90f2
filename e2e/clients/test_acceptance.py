"""The drop-in acceptance checklist (access-protocol §15.11), line by line, as an unmodified consumer would see it."""

import base64
import email.utils
import hashlib
import hmac
import html
import json
import re
import time
import urllib.parse

import jwt
import pytest
from cryptography import x509
from gateway import EVERYONE, policy

ALLOW, BYPASS = policy("allow"), policy("bypass")
ADDRESS = {"ip": {"ip": "127.0.0.1/32"}}
ELSEWHERE = {"ip": {"ip": "192.0.2.0/24"}}

# What no client may claim, in spellings that an origin could read as one name.
FORGED = [
    ("Cf-Access-Jwt-Assertion", "forged"), ("cf_access_jwt_assertion", "forged"), ("CF-Access-Jwt_Assertion", "forged"),
    ("Cf-Access-Authenticated-User-Email", "forged@example.com"), ("Cf-Access-User", "forged"),
    ("Cf-Client-Cert-Der-Base64", "forged"), ("Cf-Client-Cert-Sha256", "forged"), ("cf-cert-presented", "forged"),
    ("Client-Cert", "forged"), ("Client-Cert-Chain", "forged"), ("Cf-Connecting-Ip", "forged"),
    ("X-Forwarded-For", "forged"), ("Cookie", "CF_Binding=forged; mine=1"),
]


def claims(token):
    return jwt.decode(token, options={"verify_signature": False})


def pair(token):
    return {"CF-Access-Client-Id": token["client_id"], "CF-Access-Client-Secret": token["client_secret"]}


def for_machine(token):
    return policy("non_identity", [{"service_token": {"token_id": token["id"]}}])


def expires(cookie):
    return email.utils.parsedate_to_datetime(cookie.attributes["expires"]).timestamp()


@pytest.fixture(scope="module")
def machine(gateway):
    return gateway.service_token()


@pytest.fixture(scope="module")
def wiki(gateway):
    return gateway.protect(ALLOW)


@pytest.fixture(scope="module")
def robots(gateway, machine):
    """An application for machines alone."""
    return gateway.protect(for_machine(machine))


@pytest.fixture(scope="module")
def mixed(gateway, machine):
    """An application for machines and people."""
    return gateway.protect(for_machine(machine), ALLOW)


# 1


@pytest.mark.parametrize("method", ["HEAD", "GET", "POST"])
def test_01_a_stranger_is_sent_to_log_in_byte_for_byte(gateway, wiki, origin, method):
    answer = wiki.request(method, "/x%20z?y=1&r=%2F")
    assert answer.status == 302
    where = urllib.parse.urlsplit(answer["location"])
    assert f"{where.scheme}://{where.netloc}" == gateway.team
    assert where.path == f"/cdn-cgi/access/login/{wiki.authority}"
    names = [one.partition("=")[0] for one in where.query.split("&")]
    assert names == ["kid", "meta", "redirect_url"]
    query = dict(one.split("=", 1) for one in where.query.split("&"))
    assert query["kid"] == wiki.aud
    assert query["redirect_url"] == "%2Fx%2520z%3Fy%3D1%26r%3D%252F"

    session = answer.cookies["CF_AppSession"]
    assert re.fullmatch(r"n[0-9a-f]{16,}", session.value)
    assert session.attributes["path"] == "/" and {"secure", "httponly"} <= session.attributes.keys()
    assert "domain" not in session.attributes
    assert abs(expires(session) - time.time() - 86_400) < 60
    assert list(answer.cookies) == ["CF_AppSession"]

    assert answer["access-control-allow-credentials"] == "true"
    assert answer["cache-control"] == (
        "private, max-age=0, no-store, no-cache, must-revalidate, post-check=0, pre-check=0")
    assert answer["expires"] == "Thu, 01 Jan 1970 00:00:01 GMT"
    assert answer["www-authenticate"] == (
        f'Cloudflare-Access resource_metadata="{wiki.url("/.well-known/cloudflare-access-protected-resource/x%20z")}"')
    assert answer["content-type"] == "text/html"
    assert answer["content-length"] == "143"
    assert len(answer.body) == (0 if method == "HEAD" else 143)

    meta = claims(query["meta"])
    assert (meta["type"], meta["aud"], meta["hostname"]) == ("meta", wiki.aud, wiki.host)
    assert meta["redirect_url"] == "/x%20z?y=1&r=%2F"
    assert meta["exp"] - meta["iat"] == 300
    assert meta["service_token_status"] is False
    assert meta["app_session_hash"] == hashlib.sha256(session.value.encode()).hexdigest()
    assert origin.take() == []


def test_c16_every_answer_that_sets_a_cookie_says_what_time_it_is(wiki):
    """Browsers whose clock is wrong count `Expires` from `Date`; and nothing that they send is taken for the time."""
    for date in [None, "Thu, 01 Jan 1970 00:00:00 GMT", "Fri, 31 Dec 9999 23:59:59 GMT"]:
        answer = wiki.request(headers={"Date": date, "If-Modified-Since": date} if date else None)
        said = email.utils.parsedate_to_datetime(answer["date"]).timestamp()
        assert abs(said - time.time()) < 60
        assert abs(expires(answer.cookies["CF_AppSession"]) - said - 86_400) <= 1


def test_01_what_the_redirect_names_as_metadata_is_there(wiki, origin):
    metadata = wiki.request(rest="/.well-known/cloudflare-access-protected-resource/x")
    assert metadata.status == 200
    document = json.loads(metadata.body)
    assert document["resource"] == wiki.url("/x")
    assert document["authorization_servers"] == [wiki.gateway.team]
    assert document["authentication_methods"] == ["cloudflared"]
    assert origin.take() == []


# 2


def test_02_a_script_in_a_page_gets_401(wiki, origin):
    answer = wiki.request(rest="/x?y=1", headers={"X-Requested-With": "XMLHttpRequest"})
    assert answer.status == 401
    assert answer["content-type"].startswith("text/html")
    assert answer["cf-access-aud"] == wiki.aud
    assert answer["cf-access-domain"] == wiki.host
    assert answer["www-authenticate"].startswith('Cloudflare-Access resource_metadata="https://')
    assert "location" not in answer.head
    assert origin.take() == []


@pytest.mark.parametrize("header", [{"Accept": "application/json"}, {"Sec-Fetch-Mode": "cors"}])
def test_02_near_misses_are_redirected_all_the_same(wiki, header):
    assert wiki.request(headers=header).status == 302


# 3


@pytest.mark.parametrize("header", [{}, {"X-Requested-With": "XMLHttpRequest"}])
def test_03_an_application_for_machines_refuses_people_with_403(robots, origin, header):
    answer = robots.request(rest="/x", headers=header)
    assert answer.status == 403
    assert answer["cf-access-aud"] == robots.aud
    assert answer["cf-access-domain"] == robots.host
    assert "location" not in answer.head and "set-cookie" not in answer.head
    data = re.search(r'<input[^>]*(?:name|id)="json_data"[^>]*>', answer.text).group(0)
    data = json.loads(html.unescape(re.search(r'value="([^"]*)"', data).group(1)))
    assert data["message"].startswith("Forbidden. You don't have permission to view this.")
    assert (data["status_code"], data["aud"]) == (403, robots.aud)
    assert data["ray_id"] == answer["cf-ray"].split("-")[0]
    assert origin.take() == []


def test_03_and_programs_get_the_same_as_json(robots):
    answer = robots.request(headers={"Accept": "application/json"})
    assert (answer.status, answer["content-type"]) == (403, "application/json")
    body = json.loads(answer.body)
    assert body["message"].startswith("Forbidden. You don't have permission to view this.")
    assert (body["status_code"], body["aud"]) == (403, robots.aud)
    assert re.fullmatch(r"[0-9a-f]{16}", body["ray_id"])
    assert answer["cf-access-aud"] == robots.aud


def test_03_so_does_an_application_that_no_stranger_here_could_enter(gateway, origin):
    app = gateway.protect(policy("allow", EVERYONE, require=[ELSEWHERE]))
    assert app.request().status == 403
    assert origin.take() == []


# 4: strict


@pytest.mark.parametrize("which", ["robots", "mixed"])
def test_04_strict_a_service_token_is_admitted_and_the_origin_sees_its_jwt(request, which, machine, origin):
    app = request.getfixturevalue(which)
    answer = app.request(headers=pair(machine))
    assert answer.status == 200 and "set-cookie" not in answer.head
    seen = origin.one()
    token = claims(seen.get("cf-access-jwt-assertion"))
    assert (token["common_name"], token["sub"], token["aud"]) == (machine["client_id"], "", [app.aud])
    assert not {"email", "identity_nonce", "nbf"} & token.keys()
    assert seen.cookies["CF_Authorization"] == seen.get("cf-access-jwt-assertion")
    assert seen.get("cf-access-authenticated-user-email") is None
    text = seen.head.raw.decode().lower()
    assert "cf-access-client" not in text and machine["client_secret"].lower() not in text


@pytest.mark.parametrize("which", ["robots", "mixed"])
def test_04_strict_what_does_not_authenticate_gets_401(request, which, gateway, machine, origin):
    app = request.getfixturevalue(which)
    good = pair(machine)
    identifier, secret = good.items()
    wrong = machine["client_secret"][:-1] + ("0" if machine["client_secret"][-1] != "0" else "1")
    disabled = gateway.service_token("disabled")
    gateway.access("PUT", f"/service_tokens/{disabled['id']}", {"name": "disabled", "enabled": False})
    deleted = gateway.service_token("deleted")
    gateway.access("DELETE", f"/service_tokens/{deleted['id']}")
    for why, fields in [
        ("wrong secret", [identifier, (secret[0], wrong)]),
        ("secret of another", [identifier, (secret[0], disabled["client_secret"])]),
        ("empty secret", [identifier, (secret[0], "")]),
        ("half: id", [identifier]),
        ("half: secret", [secret]),
        ("id twice", [identifier, identifier, secret]),
        ("secret twice", [identifier, secret, secret]),
        ("unknown id", [(identifier[0], "0" * 32 + ".access"), secret]),
        ("disabled", pair(disabled).items()),
        ("deleted", pair(deleted).items()),
    ]:
        answer = app.request(headers=list(fields))
        assert answer.status == 401, why
        assert (answer["cf-access-aud"], answer["cf-access-domain"]) == (app.aud, app.host), why
        assert "set-cookie" not in answer.head, why
        assert machine["client_secret"] not in answer.text, why
    assert origin.take() == []


def test_04_strict_a_machine_that_no_policy_names_gets_403(gateway, robots, mixed, origin):
    stranger = gateway.service_token("stranger")
    for app in (robots, mixed):
        answer = app.request(headers=pair(stranger))
        assert (answer.status, answer["cf-access-aud"]) == (403, app.aud)
    assert origin.take() == []


def test_04_strict_a_cookie_does_not_help_a_bad_service_token(mixed, log_in, machine, origin):
    token = log_in(mixed)
    origin.take()
    fields = {**pair(machine), "CF-Access-Client-Secret": "wrong", "Cookie": f"CF_Authorization={token}"}
    assert mixed.request(headers=fields).status == 401
    assert origin.take() == []


def test_04_a_single_header_carries_both_halves(gateway, machine, origin):
    app = gateway.protect(for_machine(machine), read_service_tokens_from_header="Authorization")
    both = {name.lower(): value for name, value in pair(machine).items()}
    assert app.request(headers={"authorization": json.dumps(both)}).status == 200
    seen = origin.one()
    assert "authorization" not in seen.head
    assert claims(seen.get("cf-access-jwt-assertion"))["common_name"] == machine["client_id"]
    assert app.request(headers={"authorization": "Bearer something"}).status == 403, "not a service token at all"
    assert app.request(headers={"authorization": json.dumps({**both, "cf-access-client-secret": "x"})}).status == 401
    assert app.request(headers={"authorization": json.dumps(both), **pair(machine)}).status == 401
    assert origin.take() == []


def test_04_service_auth_401_redirect_turns_a_block_into_401(gateway, machine):
    app = gateway.protect(for_machine(machine), service_auth_401_redirect=True)
    assert app.request().status == 401
    assert app.request(headers=pair(machine)).status == 200


# 4: the matrix of legacy mode (access-protocol §8.3)


@pytest.mark.parametrize("upgrade", [False, True], ids=["request", "upgrade"])
@pytest.mark.parametrize("which, nothing, wrong, cookie", [("robots", 403, 403, 403), ("mixed", 302, 302, 200)])
def test_04_legacy_matrix(request, legacy, machine, origin, which, nothing, wrong, cookie, upgrade):
    app = request.getfixturevalue(which)
    # The origin answers 200 to an upgrade; what matters is whether it was asked.
    extra = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
             "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="} if upgrade else {}
    kept = {302: ["CF_AppSession"], 403: []}

    answer = app.request(headers=extra)
    assert (answer.status, list(answer.cookies)) == (nothing, kept[nothing])
    answer = app.request(headers={**extra, **pair(machine), "CF-Access-Client-Secret": "wrong"})
    assert (answer.status, list(answer.cookies)) == (wrong, kept[wrong])
    assert origin.take() == []

    answer = app.request(headers={**extra, **pair(machine)})
    assert origin.one().get("cf-access-jwt-assertion")
    assert answer.status == 200
    given = answer.cookies["CF_Authorization"]
    assert {"expires", "path", "secure", "samesite"} <= given.attributes.keys()
    assert given.attributes["samesite"] == "none" and given.attributes["path"] == "/"
    assert expires(given) > time.time()
    assert claims(given.value)["common_name"] == machine["client_id"]

    answer = app.request(headers={**extra, "Cookie": f"CF_Authorization={given.value}"})
    assert answer.status == cookie
    assert len(origin.take()) == (cookie == 200)


def test_04_legacy_the_redirect_says_what_became_of_the_service_token(gateway, legacy, mixed, machine):
    def meta(fields):
        query = urllib.parse.urlsplit(mixed.request(headers=fields)["location"]).query
        return claims(urllib.parse.parse_qs(query)["meta"][0])

    assert meta(pair(gateway.service_token("unlisted")))["service_token_status"] is True
    assert meta({**pair(machine), "CF-Access-Client-Secret": "wrong"})["service_token_status"] is False


# 5, 6


@pytest.fixture
def visit(wiki, log_in, origin):
    """A request by somebody who is logged in: the cookie, the header, and the claims of both."""
    token = log_in(wiki)
    return token, origin.take()[-1].get("cf-access-jwt-assertion")


def test_05_pyjwt_accepts_cookie_and_header_by_the_key_set(gateway, wiki, visit):
    keys = jwt.PyJWKClient(f"{gateway.team}/cdn-cgi/access/certs")
    for token in visit:
        key = keys.get_signing_key_from_jwt(token).key
        found = jwt.decode(token, key, algorithms=["RS256"], audience=wiki.aud, issuer=gateway.team, options={
            "require": ["aud", "email", "exp", "iat", "nbf", "iss", "type", "identity_nonce", "sub"]})
        assert found["type"] == "app" and found["aud"] == [wiki.aud] and found["exp"] - found["iat"] == 86_400
    header = base64.urlsafe_b64decode(visit[0].split(".")[0] + "==")
    kid = json.loads(header)["kid"]
    assert header == f'{{"alg":"RS256","kid":"{kid}","typ":"JWT"}}'.encode()
    assert re.fullmatch(r"[0-9a-f]{64}", kid)


def test_05_the_key_set_has_two_keys_and_their_certificates(gateway):
    answer = gateway.request("GET", f"{gateway.team}/cdn-cgi/access/certs")
    assert answer.status == 200 and len(answer.body) < 1 << 20
    document = json.loads(answer.body)
    assert {key["kid"] for key in document["keys"]} == {one["kid"] for one in document["public_certs"]}
    assert len(document["keys"]) == len(document["public_certs"]) == 2
    for key in document["keys"]:
        assert (key["kty"], key["alg"], key["use"], key["e"]) == ("RSA", "RS256", "sig", "AQAB")
    assert document["public_cert"] in document["public_certs"]


def test_06_the_certificates_verify_where_key_sets_are_unknown(gateway, wiki, visit):
    document = json.loads(gateway.request("GET", f"{gateway.team}/cdn-cgi/access/certs").body)
    pems = {one["kid"]: one["cert"] for one in document["public_certs"]}
    for token in visit:
        pem = pems[jwt.get_unverified_header(token)["kid"]]
        key = x509.load_pem_x509_certificate(pem.encode()).public_key()
        assert jwt.decode(token, key, algorithms=["RS256"], audience=wiki.aud)["email"].endswith("@example.com")
    assert jwt.get_unverified_header(visit[0])["kid"] == document["public_cert"]["kid"], "the current one"


# 7


def test_07_get_identity_knows_both_tokens(gateway, wiki, ann, log_in):
    token = log_in(wiki)
    found = []
    for url, cookie in [
        (f"{gateway.team}/cdn-cgi/access/get-identity", token),
        (f"{gateway.team}/cdn-cgi/access/get-identity", ann.org_token),
        (wiki.url("/cdn-cgi/access/get-identity"), token),
    ]:
        answer = gateway.request("GET", url, {"Cookie": f"CF_Authorization={cookie}"})
        assert (answer.status, answer["content-type"].split(";")[0]) == (200, "application/json"), url
        found.append(json.loads(answer.body))
    identity = found[0]
    assert identity == found[1] == found[2]
    assert identity["email"] == claims(token)["email"]
    assert identity["user_uuid"] == claims(token)["sub"]
    assert identity["idp"]["type"] == "onetimepin"
    assert identity["account_id"] == gateway.account
    assert identity["ip"] == "127.0.0.1"
    assert (identity["auth_status"], identity["common_name"], identity["service_token_status"]) == ("NONE", "", False)
    assert (identity["is_warp"], identity["is_gateway"]) == (False, False)
    assert abs(identity["iat"] - time.time()) < 60
    assert {"id", "name", "geo", "version", "devicePosture", "device_sessions", "mtls_auth"} <= identity.keys()


def test_07_get_identity_without_a_token_is_400(gateway, wiki):
    for url in (f"{gateway.team}/cdn-cgi/access/get-identity", wiki.url("/cdn-cgi/access/get-identity")):
        answer = gateway.request("GET", url)
        assert (answer.status, json.loads(answer.body)) == (400, {"err": "no app token set"})


# 8


def test_08_an_org_token_becomes_an_app_token_by_head_alone(gateway, mixed, wiki, ann, log_in, origin):
    log_in(wiki)
    origin.take()
    first = mixed.request("HEAD", "/deep?x=1")
    assert first.status == 302 and first["location"].startswith(f"{gateway.team}/cdn-cgi/access/login/")
    session = first.cookies["CF_AppSession"].value

    second = gateway.request("HEAD", first["location"], {"Cookie": f"CF_Authorization={ann.org_token}"})
    assert second.status == 302
    assert second["location"].startswith(mixed.url("/cdn-cgi/access/authorized?"))

    third = gateway.request("HEAD", second["location"], {"Cookie": f"CF_AppSession={session}"})
    assert (third.status, third["location"]) == (302, mixed.url("/deep?x=1"))
    given = third.cookies["CF_Authorization"]
    assert expires(given) > time.time()
    assert mixed.request(headers={"Cf-Access-Token": given.value}).status == 200
    assert origin.one().get("cf-access-token") is None

    again = gateway.request("HEAD", second["location"], {"Cookie": f"CF_AppSession={session}"})
    assert again.status == 400 and "CF_Authorization" not in again.cookies, "a nonce is used once"


# 10


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_10_a_token_check_never_reaches_the_origin(wiki, log_in, origin, method):
    token = log_in(wiki)
    origin.take()
    good = wiki.request(method, "/x?cloudflared_token_check=true", {"Cf-Access-Token": token})
    assert good.status == 200
    for bad in ("", "garbage", token[:-8] + "AAAAAAAA"):
        answer = wiki.request(method, "/x?cloudflared_token_check=true", {"Cf-Access-Token": bad})
        assert answer.status == 302 and urllib.parse.urlsplit(answer["location"]).path.startswith("/cdn-cgi/access/login")
    assert origin.take() == []


def test_10_the_metadata_probe_is_answered_before_any_policy(gateway, wiki, robots, origin):
    bypassed = gateway.protect(BYPASS)
    keys = jwt.PyJWKClient(f"{gateway.team}/cdn-cgi/access/certs")
    for app in (wiki, robots, bypassed):
        answer = app.request("HEAD", headers={"cf-access-metadata-request": "true"})
        assert answer.status == 200
        token = answer["cf-access-metadata"]
        found = jwt.decode(token, keys.get_signing_key_from_jwt(token).key, algorithms=["RS256"], audience=app.aud)
        assert (found["type"], found["hostname"], found["app_hostname"]) == ("match", app.host, app.host)
        assert gateway.team_host in found["auth_domain"]
        assert abs(found["iat"] - time.time()) < 60
    assert origin.take() == []


def test_10_older_clients_discover_by_the_login_page(gateway, wiki):
    login = wiki.request("HEAD", "/")["location"]
    page = gateway.request("HEAD", login)
    assert (page.status, page["cf-access-domain"]) == (200, wiki.host)


# 12


def test_12_a_token_of_another_application_is_none(wiki, mixed, log_in, origin):
    token = log_in(wiki)
    origin.take()
    for fields in ({"Cookie": f"CF_Authorization={token}"}, {"Cf-Access-Token": token},
                   {"Cf-Access-Jwt-Assertion": token}, {"Authorization": f"Bearer {token}"}):
        assert mixed.request(headers=fields).status == 302, fields
    assert wiki.request(headers={"Cf-Access-Jwt-Assertion": token}).status == 302, "never a credential"
    assert origin.take() == []


# 14


def check_clean(seen):
    text = seen.head.raw.decode("latin-1").lower()
    assert "forged" not in text, text
    assert seen.cookies.get("mine") == "1", "other cookies pass"


MODES = ["allow", "non_identity", "bypass", "preflight"]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("upgrade", [False, True], ids=["request", "upgrade"])
@pytest.mark.parametrize("drop", [False, True], ids=["plain", "named-in-connection"])
def test_14_forged_headers_never_reach_the_origin(gateway, machine, mode, upgrade, drop, log_in, origin):
    app = gateway.protect({"allow": ALLOW, "non_identity": for_machine(machine), "bypass": BYPASS, "preflight": ALLOW}[mode],
                          **({"options_preflight_bypass": True} if mode == "preflight" else {}))
    fields, method = list(FORGED), "GET"
    if mode == "allow":
        token = log_in(app)
        origin.take()
        fields += [("Cookie", f"CF_Authorization={token}")]
    if mode == "non_identity":
        fields += pair(machine).items()
    if mode == "preflight":
        method = "OPTIONS"
        fields += [("Origin", "https://elsewhere.test"), ("Access-Control-Request-Method", "PUT")]
    tokens = ["Cf-Access-Jwt-Assertion", "Cf-Access-Authenticated-User-Email"] if drop else []
    if upgrade:
        tokens.append("Upgrade")
        fields += [("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13"), ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")]
    if tokens:
        fields.append(("Connection", ", ".join(tokens)))
    answer = app.request(method, headers=fields)
    seen = origin.take()
    if upgrade and mode == "preflight":
        assert (answer.status, seen) == (400, []), "a WebSocket begins with GET"
        return
    assert len(seen) == 1 and answer.status == 200
    check_clean(seen[0])
    assertion = seen[0].get("cf-access-jwt-assertion")
    email_field = seen[0].get("cf-access-authenticated-user-email")
    if mode == "allow":
        assert (assertion, email_field) == (token, claims(token)["email"])
        assert seen[0].cookies["CF_Authorization"] == token
    elif mode == "non_identity":
        assert claims(assertion)["common_name"] == machine["client_id"] and email_field is None
    else:
        assert assertion is None and email_field is None and "CF_Authorization" not in seen[0].cookies


def test_14_a_bypassed_application_does_not_get_the_token_of_another(gateway, wiki, log_in, origin):
    app = gateway.protect(BYPASS)
    token = log_in(wiki)
    origin.take()
    assert app.request(headers={"Cookie": f"a=1; CF_Authorization={token}; b=2"}).status == 200
    assert origin.one().get("cookie") == "a=1; b=2"


def test_14_an_origin_cannot_set_our_cookies_or_speak_in_our_name(gateway, origin):
    app = gateway.protect(BYPASS)
    origin.answers["/evil"] = (
        b"HTTP/1.1 200 OK\r\nSet-Cookie: CF_Authorization=evil; Path=/\r\nSet-Cookie: CF_Session=evil\r\n"
        b"Set-Cookie: __Host-CF_Authorization=evil; Path=/; Secure\r\nSet-Cookie: mine=1\r\nCf-Access-Aud: evil\r\n"
        b"Cf-Access-Domain: evil\r\nWww-Authenticate: Cloudflare-Access resource_metadata=\"https://evil\"\r\n"
        b"Content-Length: 0\r\n\r\n")
    answer = app.request(rest="/evil")
    assert answer.status == 200
    assert b"evil" not in answer.head.raw, answer.head.raw
    assert list(answer.cookies) == ["mine"]


def test_14_preflights_are_refused_answered_or_passed_on(gateway, wiki, log_in, origin):
    ask = {"Origin": "https://elsewhere.test", "Access-Control-Request-Method": "PUT"}
    assert wiki.request("OPTIONS", headers=ask).status == 403
    cors = gateway.protect(ALLOW, cors_headers={
        "allowed_origins": ["https://elsewhere.test"], "allowed_methods": ["PUT"], "allow_credentials": True})
    answer = cors.request("OPTIONS", headers=ask)
    assert (answer.status, answer["access-control-allow-origin"]) == (200, "https://elsewhere.test")
    assert answer["access-control-allow-credentials"] == "true" and answer["access-control-allow-methods"] == "PUT"
    assert "Origin" in answer["vary"]
    assert cors.request("OPTIONS").status == 302, "OPTIONS alone is no preflight"
    assert origin.take() == []


# 15, 17, 18


def chain(browser, app):
    """The hosts whose `/authorized` a login passes, in their order, and the cookies that they set."""
    url, hosts = app.url("/hello"), []
    for _ in range(16):
        answer = browser.send("GET", url, {"Sec-Fetch-Mode": "navigate"})
        if "CF_Authorization" in answer.cookies and "/cdn-cgi/access/authorized" in url:
            hosts.append(urllib.parse.urlsplit(url).hostname)
        if answer.status != 302:
            return hosts, url
        url = urllib.parse.urljoin(url, answer["location"])
    raise AssertionError(url)


@pytest.mark.parametrize("count, cookies", [(4, 4), (5, 5), (6, 1)])
def test_15_a_login_covers_up_to_five_hosts(gateway, wiki, ann, log_in, count, cookies):
    log_in(wiki)
    hosts = [f"many{count}-{place}.localhost" for place in range(count)]
    wildcard = {"type": "public", "uri": f"*.many{count}.localhost"}
    app = gateway.protect(
        ALLOW, host=hosts[0], destinations=[*({"type": "public", "uri": host} for host in hosts), *([wildcard] if count == 4 else [])])
    passed, end = chain(ann, app)
    assert end == app.url("/hello")
    assert len(passed) == cookies and set(passed) <= set(hosts)
    assert passed[-1] == hosts[0], "the starting host comes last"


def test_17_tokens_outlive_the_rotation_of_their_key(gateway, wiki, log_in):
    token = log_in(wiki)
    gateway.access("POST", "/keys/rotate")
    document = json.loads(gateway.request("GET", f"{gateway.team}/cdn-cgi/access/certs").body)
    assert jwt.get_unverified_header(token)["kid"] in {key["kid"] for key in document["keys"]}
    assert len(document["keys"]) >= 2
    assert wiki.request(headers={"Cookie": f"CF_Authorization={token}"}).status == 200


def test_18_the_most_special_application_decides(gateway, origin):
    host = "special.localhost"
    gateway.protect(BYPASS, host=host, path="/open")
    gateway.protect(policy("deny"), host=host, path="/open/secret")
    whole = gateway.protect(ALLOW, host=host)
    gateway.protect(BYPASS, host="*.below.localhost")
    for path, status in [
        ("/", 302), ("/open", 200), ("/open/", 200), ("/open/x", 200), ("/openx", 302), ("/OPEN", 302),
        ("/open/secret", 403), ("/open/secret/x", 403), ("/open/../x", 302), ("/open/x/../secret", 403),
        ("/x?/open", 302), ("/%6fpen", 200),
    ]:
        assert whole.request(rest=path).status == status, path


# 16


@pytest.mark.parametrize("where", ["app", "other app", "team"])
def test_16_a_logout_anywhere_ends_the_session_everywhere(gateway, wiki, mixed, browser, origin, where):
    browser.log_in(wiki)
    assert browser.visit(mixed.url("/"))[1].status == 200, "no second prompt"
    tokens = [(wiki, browser.token(wiki)), (mixed, browser.token(mixed))]
    org = browser.org_token
    place = {"app": wiki.url(), "other app": mixed.url(), "team": gateway.team + "/"}[where]
    answer = browser.send("GET", f"{place}cdn-cgi/access/logout")
    if where == "team":
        assert answer.status == 200
    else:
        assert (answer.status, answer["location"]) == (302, f"{place}?__cf_access_message=logged_out")
        removed = answer.cookies["CF_Authorization"]
        assert expires(removed) < time.time()
    origin.take()
    for app, token in tokens:
        for fields in ({"Cookie": f"CF_Authorization={token}"}, {"Cf-Access-Token": token}):
            assert app.request(headers=fields).status == 302, "at once, not within 30 s"
        identity = gateway.request("GET", f"{gateway.team}/cdn-cgi/access/get-identity", {"Cookie": f"CF_Authorization={token}"})
        assert identity.status in (400, 401)
    assert origin.take() == []
    login = wiki.request()["location"]
    page = gateway.request("GET", login, {"Cookie": f"CF_Authorization={org}"})
    assert page.status == 200, "the global session is over: no silent renewal"


def test_16_a_revoked_user_cannot_renew_silently(gateway, wiki, browser, origin):
    token = browser.log_in(wiki)
    org = browser.org_token
    gateway.access("POST", "/organizations/revoke_user", {"email": claims(token)["email"]})
    origin.take()
    assert wiki.request(headers={"Cookie": f"CF_Authorization={token}"}).status == 302
    page = gateway.request("GET", wiki.request()["location"], {"Cookie": f"CF_Authorization={org}"})
    assert page.status == 200, "asked to log in"
    assert origin.take() == []


def test_16_revoking_an_applications_tokens_leaves_other_applications_alone(gateway, mixed, log_in):
    app = gateway.protect(ALLOW)
    token, other = log_in(mixed), log_in(app)
    assert app.request(headers={"Cookie": f"CF_Authorization={other}"}).status == 200
    gateway.access("POST", f"/apps/{app.id}/revoke_tokens")
    assert app.request(headers={"Cookie": f"CF_Authorization={other}"}).status == 302
    assert mixed.request(headers={"Cookie": f"CF_Authorization={token}"}).status == 200


def test_16_returnTo_leads_to_known_hosts_only(gateway, wiki, mixed):
    for back, fine in [
        (mixed.url("/x"), True), (gateway.team + "/", True), ("https://elsewhere.test/", False),
        (f"https://{mixed.host}.elsewhere.test/", False), ("javascript:alert(1)", False), ("//elsewhere.test", False),
        (f"https://elsewhere.test@{mixed.authority}/", False),
    ]:
        quoted = urllib.parse.quote(back, safe="")
        answer = gateway.request("GET", f"{gateway.team}/cdn-cgi/access/logout?returnTo={quoted}")
        if fine:
            assert (answer.status, answer["location"]) == (302, back)
        else:
            assert "location" not in answer.head, back
            assert "Invalid redirect URL" in answer.text


# J: tokens that prove nothing


def test_j01_to_j14_a_token_that_is_not_exactly_ours_is_none(gateway, wiki, log_in, origin):
    token = log_in(wiki)
    origin.take()
    head, body, signature = token.split(".")
    document = json.loads(gateway.request("GET", f"{gateway.team}/cdn-cgi/access/certs").body)
    facts, kid = claims(token), jwt.get_unverified_header(token)["kid"]

    def part(value):
        return base64.urlsafe_b64encode(json.dumps(value, separators=(",", ":")).encode()).decode().rstrip("=")

    def hs256(secret):
        text = f'{part({"alg": "HS256", "kid": kid, "typ": "JWT"})}.{body}'
        mac = hmac.digest(secret, text.encode(), "sha256")
        return f"{text}.{base64.urlsafe_b64encode(mac).decode().rstrip('=')}"

    bad = {
        "j1 none": f'{part({"alg": "none", "typ": "JWT"})}.{body}.',
        "j1 nOnE": f'{part({"alg": "nOnE", "kid": kid})}.{body}.{signature}',
        "j1 two segments": f"{head}.{body}", "j1 trailing dot": token + ".", "j1 empty signature": f"{head}.{body}.",
        "j2 public key as secret": hs256(document["public_cert"]["cert"].encode()),
        "j3 other algorithm": f'{part({"alg": "PS256", "kid": kid, "typ": "JWT"})}.{body}.{signature}',
        "j4 jku": f'{part({"alg": "RS256", "kid": kid, "jku": gateway.team, "typ": "JWT"})}.{body}.{signature}',
        "j5 crit": f'{part({"alg": "RS256", "kid": kid, "crit": ["exp"], "typ": "JWT"})}.{body}.{signature}',
        "j6 unknown kid": f'{part({"alg": "RS256", "kid": "0" * 64, "typ": "JWT"})}.{body}.{signature}',
        "j8 padding": f"{head}.{body}.{signature}==", "j8 space": f"{head}. {body}.{signature}",
        "j9 longer life": f'{head}.{part({**facts, "exp": facts["exp"] + 1})}.{signature}',
        "j13 large": head + "." + "A" * 20_000 + "." + signature,
    }
    last = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    bad["j8 last bits"] = token[:-1] + last[last.index(token[-1]) ^ 1]
    for at in range(0, len(token), 29):
        other = "A" if token[at] != "A" else "B"
        bad[f"j14 letter {at}"] = token[:at] + other + token[at + 1:]
    with wiki.open() as connection:
        for why, forged in bad.items():
            for field in (f"Cookie: CF_Authorization={forged}", f"Cf-Access-Token: {forged}"):
                answer = connection.ask(f"GET / HTTP/1.1\r\nHost: {wiki.authority}\r\n{field}\r\n\r\n")
                assert answer.status == 302, f"{why}: {field[:14]}"
        assert origin.take() == []
        good = connection.ask(f"GET / HTTP/1.1\r\nHost: {wiki.authority}\r\nCookie: CF_Authorization={token}\r\n\r\n")
    assert good.status == 200


def test_j12_an_org_token_opens_no_application(wiki, ann, log_in, origin):
    log_in(wiki)
    origin.take()
    assert wiki.request(headers={"Cookie": f"CF_Authorization={ann.org_token}"}).status == 302
    assert wiki.request(headers={"Cf-Access-Token": ann.org_token}).status == 302
    assert origin.take() == []


def test_c01_a_planted_cookie_neither_logs_out_nor_in(wiki, mixed, log_in, origin):
    token, other = log_in(wiki), "x.y.z"
    origin.take()
    for field in (f"CF_Authorization={other}; CF_Authorization={token}", f"CF_Authorization={token}; CF_Authorization={other}"):
        assert wiki.request(headers={"Cookie": field}).status == 200
        assert origin.one().get("cookie") == f"CF_Authorization={token}"
