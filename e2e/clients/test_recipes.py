"""The recipes of docs/verify-the-token.md as origins of a real gateway, and as origins of a team that forges tokens."""

import itertools
import json
import time
import urllib.parse

import pytest
from browser import Browser
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from forger import AUD, Forger, claims, decode, encode, unsigned, with_secret
from gateway import Gateway, free_port, policy
from recipes import HEADER, LANGUAGES, Nginx, Recipe

ORIGINS = LANGUAGES + [f"nginx-{language}" for language in LANGUAGES]
REFUSED = (401, 403)
numbers = itertools.count(1)


class AtLocalhost(Gateway):
    """A gateway whose team domain every resolver knows, since each library asks its own."""

    team_host = "localhost"


@pytest.fixture(scope="module")
def forger():
    forger = Forger()
    yield forger
    forger.stop()


@pytest.fixture(scope="module")
def ports():
    return {name: free_port() for name in ORIGINS}


@pytest.fixture(scope="module")
def team(ports, mailbox):
    """A gateway with every recipe behind it."""
    gateway = AtLocalhost(
        [(f"{name}.localhost", f"http://127.0.0.1:{port}", "") for name, port in ports.items()], mailbox.port)
    gateway.access("POST", "/identity_providers", {"name": "Code by mail", "type": "onetimepin", "config": {}})
    yield gateway
    assert gateway.process.poll() is None, gateway.logged()
    gateway.stop()


@pytest.fixture(scope="module")
def machine(team):
    return team.service_token()


@pytest.fixture(scope="module")
def browser(team, mailbox):
    return Browser(team, mailbox, "ann@example.com")


@pytest.fixture(scope="module")
def app(request, team, machine):
    """The application that the recipe verifies for."""
    listed = policy("non_identity", [{"service_token": {"token_id": machine["id"]}}])
    return team.protect(listed, policy("allow"), host=f"{request.param}.localhost")


@pytest.fixture(scope="module")
def recipe(request, app, team, ports):
    """One recipe, running behind the gateway."""
    name = app.host.removesuffix(".localhost")
    kind, _, language = name.rpartition("-")
    domain = team.team.removeprefix("https://")
    server = Recipe(language, domain, app.aud, team.ca, None if kind else ports[name])
    if kind:
        server = Nginx(server, ports[name])
    yield server
    server.stop()


behind_the_gateway = pytest.mark.parametrize("app", ORIGINS, indirect=True, scope="module")


def log_in(browser, app):
    """A new token for Ann, minted now."""
    browser.jar(app.url()).pop("CF_Authorization", None)
    return browser.log_in(app, f"/hello/{next(numbers)}")


def by_machine(app, machine):
    pair = {"CF-Access-Client-Id": machine["client_id"], "CF-Access-Client-Secret": machine["client_secret"]}
    return app.request(headers={**pair, "X-User": "admin@example.com"})


@behind_the_gateway
def test_people_and_machines_are_let_in_as_who_they_are(app, recipe, browser, machine):
    token = log_in(browser, app)
    if isinstance(recipe, Nginx):
        recipe.application.take()
    answer = browser.send("GET", app.url("/"), {"X-User": "admin@example.com"})
    assert (answer.status, recipe.caller(answer.text)) == (200, "ann@example.com"), answer.text
    answer = by_machine(app, machine)
    assert (answer.status, recipe.caller(answer.text)) == (200, f"service:{machine['client_id']}"), answer.text
    status, text = recipe.get({HEADER: token})
    assert (status, recipe.caller(text)) == (200, "ann@example.com"), "it is the token alone that counts"


@behind_the_gateway
def test_who_goes_past_the_gateway_is_refused(app, recipe, team, browser, forger):
    token = log_in(browser, app)
    header, payload, signature = token.split(".")
    foreign = token_for_another_application(team, browser)
    meta = urllib.parse.parse_qs(urllib.parse.urlsplit(app.request()["location"]).query)["meta"][0]
    certificate, jwk = keys_of(team, token)
    named = {"alg": "RS256", "kid": jwk["kid"], "typ": "JWT"}
    changed = encode(decode(payload).replace(b"ann@example.com", b"eve@example.com"))
    if isinstance(recipe, Nginx):
        recipe.application.take()
    for why, headers in {
        "no header": {},
        "an empty header": {HEADER: ""},
        "garbage": {HEADER: "garbage"},
        "three parts of garbage": {HEADER: "a.b.c"},
        "the token in a cookie": {"Cookie": f"CF_Authorization={token}"},
        "the token as a bearer": {"Authorization": f"Bearer {token}"},
        "an address in a header": {"Cf-Access-Authenticated-User-Email": "ann@example.com", "X-User": "ann@example.com"},
        "a token for another application": {HEADER: foreign},
        "a token for the team domain": {HEADER: browser.org_token},
        "the meta token that every stranger gets": {HEADER: meta},
        "a token of another team": {HEADER: forger.sign(forger.person(aud=[app.aud], iss=team.team))},
        "another team's signature under our key's name": {HEADER: forger.sign(claims(token), kid=jwk["kid"])},
        "another address": {HEADER: f"{header}.{changed}.{signature}"},
        "no signature": {HEADER: f"{header}.{payload}."},
        "alg none": {HEADER: f"{encode(decode(header).replace(b'RS256', b'none'))}.{payload}."},
        "HS256 with the certificate": {HEADER: with_secret(named, claims(token), certificate.encode())},
        "HS256 with the modulus": {HEADER: with_secret(named, claims(token), decode(jwk["n"]))},
    }.items():
        status, text = recipe.get(headers)
        assert status in REFUSED, f"{why}: {status} {text}"
    if isinstance(recipe, Nginx):
        assert recipe.application.take() == [], "the application saw none of them"
    assert recipe.verdict(token) == 200


@behind_the_gateway
def test_a_rotation_of_the_keys_goes_unnoticed(app, recipe, team, browser):
    old = log_in(browser, app)
    assert recipe.verdict(old) == 200
    team.access("POST", "/keys/rotate")
    new = log_in(browser, app)
    kids = [keys_of(team, token)[1]["kid"] for token in (old, new)]
    assert kids[0] != kids[1]
    assert [recipe.verdict(token) for token in (new, old, new)] == [200, 200, 200]


def token_for_another_application(team, browser):
    """Ann's. Nobody serves that application, but the token is minted before that shows."""
    app = team.protect(policy("allow"), host=f"other-{next(numbers)}.localhost")
    browser.visit(app.url(f"/hello/{next(numbers)}"))
    return browser.token(app)


def keys_of(team, token):
    """The certificate and the JWK of the key that signed a token."""
    kid = json.loads(decode(token.split(".")[0]))["kid"]
    document = json.loads(team.request("GET", f"{team.team}/cdn-cgi/access/certs").body)
    certificate = next(one["cert"] for one in document["public_certs"] if one["kid"] == kid)
    return certificate, next(key for key in document["keys"] if key["kid"] == kid)


# What no gateway mints


@pytest.fixture(scope="module", params=LANGUAGES)
def deceived(request, forger):
    """A recipe whose team is the forger's."""
    forger.fetches = 0
    recipe = Recipe(request.param, forger.team, AUD, forger.ca)
    recipe.language = request.param
    yield recipe
    recipe.stop()


def test_what_the_right_key_has_signed_must_also_say_the_right_things(deceived, forger):
    now, stranger = int(time.time()), rsa.generate_private_key(65537, 2048)
    assert deceived.get({HEADER: forger.sign(forger.person())}) == (200, "Hello, ann@example.com\n")
    assert deceived.get({HEADER: forger.sign(forger.machine())})[0] == 200
    assert deceived.verdict(forger.sign(forger.person(aud=AUD))) == 200, "an audience may be a string"
    for why, token in {
        "expired": forger.sign(forger.person(exp=now - 1)),
        "a machine's, expired": forger.sign(forger.machine(exp=now - 1)),
        "expired for years": forger.sign(forger.person(exp=1, iat=0, nbf=0)),
        "without an expiry": forger.sign(forger.person(exp=None)),
        "not valid for another hour": forger.sign(forger.person(iat=now + 3600, nbf=now + 3600, exp=now + 7200)),
        "another application": forger.sign(forger.person(aud=["0" * 64])),
        "a part of the audience": forger.sign(forger.person(aud=[AUD[:63]])),
        "no audience": forger.sign(forger.person(aud=None)),
        "an empty list of audiences": forger.sign(forger.person(aud=[])),
        "another team": forger.sign(forger.person(iss="https://access.example.org")),
        "the issuer with a slash": forger.sign(forger.person(iss=f"https://{forger.team}/")),
        "no issuer": forger.sign(forger.person(iss=None)),
        "another key under the known name": forger.sign(forger.person(), stranger),
        "PSS": forger.sign(forger.person(), pad=padding.PSS),
        "PSS, and it says so": forger.sign(forger.person(), pad=padding.PSS, alg="PS256"),
        "HS256 with the public key": with_secret(forger.header, forger.person(), forger.pem()),
        "alg none": unsigned({"alg": "none", "kid": forger.kid}, forger.person()) + ".",
        "alg none, signed": forger.sign(forger.person(), alg="none"),
        "a critical header that nobody knows": forger.sign(forger.person(), crit=["exp2"], exp2=1),
        "no kid and a key of its own": forger.sign(forger.person(), stranger, kid="0" * 64, jwk={"kty": "RSA"}),
    }.items():
        status, text = deceived.get({HEADER: token})
        assert status in REFUSED, f"{why}: {status} {text}"
        assert token not in text


def test_a_machine_is_never_taken_for_a_person(deceived, forger):
    by_certificate = {"cnf": {"x5t#S256": "q6urq6urq6urq6urq6urq6urq6urq6urq6urq6urq6s"}}
    for kind, more in [("service", {}), ("certificate", by_certificate)]:
        token = forger.sign(forger.machine(common_name="ann@example.com", **more))
        assert deceived.get({HEADER: token}) == (200, f"Hello, {kind}:ann@example.com\n")
        for name in ["robot\r\nX-User: ann@example.com", "robot\nX-User: ann@example.com", "r\u00f6bot\u2028"]:
            users = deceived.users(forger.sign(forger.machine(common_name=name, **more)))
            assert len(users) <= 1 and users != ["ann@example.com"], repr(name)


def test_how_often_a_flood_of_unknown_keys_has_the_keys_fetched(deceived, forger):
    assert deceived.verdict(forger.sign(forger.person())) == 200
    forger.fetches, strangers = 0, 20
    for number in range(strangers):
        assert deceived.verdict(forger.sign(forger.person(), kid=f"{number:064x}")) in REFUSED
    if deceived.language == "go":
        assert forger.fetches >= strangers, "as docs/verify-the-token.md says"
    else:
        assert forger.fetches <= 1, "none for half a minute, which may just have passed"
