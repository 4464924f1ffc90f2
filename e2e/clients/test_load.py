"""Keys rotated, credentials revoked and the configuration changed while people and machines use the gateway without a
pause over HTTP/1.1, HTTP/2 and WebSockets (security §4: C11, J16, J18, R1).

Nobody with a good credential is ever refused or gets another's answer, and nobody without one is let in by a request that
was sent after the API had answered. How long it took is printed with NARTHEX_FIGURES=1, and is no part of a test's verdict.
"""

import itertools
import json
import os
import statistics
import threading
import time

import jwt
import pytest
from browser import Member
from gateway import Gateway, policy
from load import Caller, Crowd, Doomed, Mirror, Talker, header, reflection
from peers import EchoSockets, Provider
from test_websocket import dial

TIMES = int(os.environ.get("NARTHEX_LOAD_TIMES", "50"))
numbers = itertools.count(1)


def figures(capsys, what, seconds):
    """A line about durations, for who wants to know."""
    if os.environ.get("NARTHEX_FIGURES") and seconds:
        worst, middle = max(seconds) * 1000, statistics.median(seconds) * 1000
        with capsys.disabled():
            print(f"\n{what}: {len(seconds)} times, median {middle:.1f} ms, worst {worst:.1f} ms")


def pair(token):
    return {"cf-access-client-id": token["client_id"], "cf-access-client-secret": token["client_secret"]}


def cookie(token):
    return {"cookie": f"CF_Authorization={token}"}


class House:
    """A gateway of its own with one identity provider, and what this file does with it."""

    def __init__(self):
        self.provider, self.mirror = Provider(), Mirror()
        self.gateway = Gateway([("socket.localhost", EchoSockets().service, ""), ("*.localhost", self.mirror.service, "")], 25)
        self.idp = self.gateway.access(
            "POST", "/identity_providers", {"name": "Accounts", "type": "oidc", "config": self.provider.config})

    def protect(self, *policies, **settings):
        at_once = {"allowed_idps": [self.idp["id"]], "auto_redirect_to_identity": True}
        return self.gateway.protect(*policies, **at_once, **settings)

    def somebody(self, app):
        """A new person's address and token for an application."""
        email = f"person{next(numbers)}@example.com"
        return email, Member(self.gateway, self.provider, email).log_in(app, f"/{next(numbers)}")

    def certs(self):
        return json.loads(self.gateway.request("GET", f"{self.gateway.team}/cdn-cgi/access/certs").body)


@pytest.fixture(scope="module")
def house():
    house = House()
    yield house
    alive, logged = house.gateway.process.poll() is None, house.gateway.logged()
    assert house.gateway.stop() == 0
    assert alive and "panicked" not in logged, logged


@pytest.fixture(scope="module")
def wiki(house):
    """For every person and every machine. Nobody who comes here ever loses a credential."""
    return house.protect(policy("non_identity", [{"any_valid_service_token": {}}]), policy("allow"))


@pytest.fixture(scope="module")
def crowd(house, wiki):
    chat = house.protect(policy("allow"), host="socket.localhost")
    machine = house.gateway.service_token("steady")
    members = [Caller(wiki, pair(machine), machine["client_id"], alpn) for alpn in ("http/1.1", "h2")]
    for alpn in ("http/1.1", "http/1.1", "h2"):
        email, token = house.somebody(wiki)
        members.append(Caller(wiki, cookie(token), email, alpn))
    for _ in range(2):
        _, token = house.somebody(chat)
        members.append(Talker(lambda token=token: dial(chat, {"Cf-Access-Token": token})))
    crowd = Crowd(members)
    yield crowd
    crowd.end()


ODD = [
    {}, {"Accept": "text/html;q=1, application/json;q=0"}, {"Accept": "\"", "Accept-Encoding": "br, gzip, zstd"},
    {"Origin": "https://evil.example", "Cookie": "CF_Authorization=x"}, {"Origin": "null"},
    {"If-None-Match": "*"}, {"If-None-Match": 'W/"x", "y", z'}, {"If-None-Match": '"' * 99}, {"If-None-Match": "THE TAG"},
    {"If-Modified-Since": "yesterday", "Range": "bytes=0-1"}, {"Accept": "*/*," * 1000},
]


class Verifier(threading.Thread):
    """Reads the key set again and again, with fields of every kind (J18)."""

    def __init__(self, house, url):
        super().__init__(daemon=True)
        self.house, self.url, self.over = house, url, threading.Event()
        self.asked, self.wrong, self.unchanged = 0, [], 0

    def run(self):
        tag = '""'
        for fields in itertools.cycle(ODD):
            if self.over.is_set():
                return
            sent = {name: value.replace("THE TAG", tag) for name, value in fields.items()}
            try:
                answer = self.house.gateway.request("GET", self.url, sent)
                self.check(answer, sent.get("If-None-Match", ""))
                tag = answer["etag"]
            except Exception as error:
                self.wrong.append(f"{self.url} with {sent}: {error!r}")
                return
            self.asked += 1

    def check(self, answer, condition):
        assert answer["cache-control"] == "public, max-age=600", answer
        assert answer["access-control-allow-origin"] == "*", answer
        for absent in ("access-control-allow-credentials", "set-cookie", "content-encoding"):
            assert answer[absent] is None, answer
        if answer.status == 304:
            self.unchanged += 1
            assert condition in ("*", answer["etag"]) and answer.body == b"", answer
        else:
            assert answer.status == 200 and condition not in ("*", answer["etag"]), answer
            assert answer["content-type"] == "application/json", answer
            document = json.loads(answer.body)
            kids = [key["kid"] for key in document["keys"]]
            assert len(set(kids)) == len(kids) >= 2 and document["public_cert"]["kid"] in kids, answer
            assert len(document["public_certs"]) == len(kids), answer

    def end(self):
        self.over.set()
        self.join(30)


def test_j16_j18_keys_are_rotated_and_every_token_stays_good(house, wiki, crowd, capsys):
    verifiers = [Verifier(house, f"{house.gateway.team}/cdn-cgi/access/certs") for _ in range(2)]
    taken, signers = [], []
    with crowd.unharmed():
        for verifier in verifiers:
            verifier.start()
        for _ in range(TIMES):
            before = house.certs()
            begun = time.monotonic()
            house.gateway.access("POST", "/keys/rotate")
            taken.append(time.monotonic() - begun)
            after = house.certs()
            signer = after["public_cert"]["kid"]
            known = {key["kid"] for key in before["keys"]}
            assert signer != before["public_cert"]["kid"] and signer in known, "verifiers knew it before its first use"
            assert known < {key["kid"] for key in after["keys"]}, "the old ones still verify, and there is a next one"
            # What is minted from now on is signed by it, and verifies with what a verifier fetched before.
            email, token = house.somebody(wiki)
            assert header(token)["kid"] == signer
            keys = jwt.PyJWKSet.from_dict(before)
            claims = jwt.decode(token, keys[signer], ["RS256"], audience=wiki.aud, issuer=house.gateway.team)
            assert claims["email"] == email
            signers.append(signer)
        crowd.wait(lambda: all(verifier.asked >= len(ODD) or verifier.wrong for verifier in verifiers))
        for verifier in verifiers:
            verifier.end()
            assert not verifier.wrong, verifier.wrong
            assert verifier.unchanged > 0
    assert len(set(signers)) == TIMES
    assert set(signers) <= set(house.mirror.kids), "each of them signed what the origin was shown"
    figures(capsys, "rotations", taken)


def revoke_person(house):
    app = house.doors["people"]
    email, token = house.somebody(app)
    return app, cookie(token), email, lambda: house.gateway.access("POST", "/organizations/revoke_user", {"email": email})


def revoke_applications_tokens(house):
    app = house.protect(policy("allow"))
    email, token = house.somebody(app)
    return app, cookie(token), email, lambda: house.gateway.access("POST", f"/apps/{app.id}/revoke_tokens")


def disable_service_token(house):
    token = house.gateway.service_token("doomed")
    off = {"name": "doomed", "enabled": False}
    return (house.doors["machines"], pair(token), token["client_id"],
            lambda: house.gateway.access("PUT", f"/service_tokens/{token['id']}", off))


def delete_service_token(house):
    token = house.gateway.service_token("doomed")
    return (house.doors["machines"], pair(token), token["client_id"],
            lambda: house.gateway.access("DELETE", f"/service_tokens/{token['id']}"))


def rotate_service_token(house):
    token = house.gateway.service_token("doomed")
    return (house.doors["machines"], pair(token), token["client_id"],
            lambda: house.gateway.access("POST", f"/service_tokens/{token['id']}/rotate"))


WAYS = {revoke_person: 302, revoke_applications_tokens: 302, disable_service_token: 401, delete_service_token: 401,
        rotate_service_token: 401}


def test_c11_what_is_revoked_is_refused_as_soon_as_the_api_has_answered(house, crowd, capsys):
    house.doors = {"people": house.protect(policy("allow")),
                   "machines": house.protect(policy("non_identity", [{"any_valid_service_token": {}}]))}
    since_call, since_answer = [], []
    with crowd.unharmed():
        for way, _ in zip(itertools.cycle(WAYS), range(TIMES)):
            app, headers, who, revoke = way(house)
            doomed = [Doomed(app, headers, who, alpn) for alpn in ("http/1.1", "h2")]
            for one in doomed:
                one.start()
            for one in doomed:
                assert one.let_in.wait(30), one.wrong
            called = time.monotonic()
            revoke()
            answered = time.monotonic()
            for one in doomed:
                one.join(30)
                assert not one.wrong and not one.is_alive(), (way.__name__, one.wrong)
                # 403 is what a request gets that the origin was working on at that moment.
                assert one.status in (WAYS[way], 403), (way.__name__, one.status)
                assert one.last_begun <= answered, f"{way.__name__}: let in {one.last_begun - answered:.3f} s after the answer"
                since_call.append(one.refused - called)
                since_answer.append(max(0.0, one.refused - answered))
            status, _ = ask_once(app, headers)
            assert status == WAYS[way], f"{way.__name__}, over a new connection"
    figures(capsys, "revocations, from the call to the first refusal seen", since_call)
    figures(capsys, "revocations, from the API's answer to the first refusal seen", since_answer)


def ask_once(app, headers, target="/"):
    answer = app.request("GET", target, headers)
    return answer.status, answer.body


def test_r1_a_change_is_in_force_when_the_api_has_answered(house, crowd, capsys):
    machine = house.gateway.service_token("probe")
    rule = {"name": "probe", "decision": "non_identity"}
    this, nobody = {"service_token": {"token_id": machine["id"]}}, {"ip": {"ip": "192.0.2.0/24"}}
    shared = house.gateway.access("POST", "/policies", {**rule, "include": [this]})
    app = house.gateway.access("POST", "/apps", {
        "type": "self_hosted", "name": "probe", "domain": "probe.localhost", "policies": [shared["id"]]})
    probe = type(house.gateway.protect(policy("bypass"), host="other.localhost"))(house.gateway, "probe.localhost", app)
    taken = []

    def change(method, path, body=None):
        begun = time.monotonic()
        made = house.gateway.access(method, path, body)
        taken.append(time.monotonic() - begun)
        return made

    with crowd.unharmed(), probe.open() as warm:
        fields = "".join(f"{name}: {value}\r\n" for name, value in pair(machine).items())

        def statuses():
            over_warm = warm.ask(f"GET / HTTP/1.1\r\nHost: {probe.authority}\r\n{fields}\r\n").status
            return over_warm, ask_once(probe, pair(machine))[0]

        for place in range((TIMES + 3) // 4):
            for include, want in ((nobody, 403), (this, 200)):
                change("PUT", f"/policies/{shared['id']}", {**rule, "include": [include]})
                assert statuses() == (want, want), f"after edit {place} of the policy"
            host = f"fleeting{place}.localhost"
            made = change("POST", "/apps", {
                "type": "self_hosted", "name": host, "domain": host, "policies": [{**policy("bypass"), "precedence": 1}]})
            fleeting = type(probe)(house.gateway, host, made)
            assert ask_once(fleeting, {}, "/here") == (200, reflection("/here", "")), "made"
            change("DELETE", f"/apps/{made['id']}")
            assert ask_once(fleeting, {})[0] == 403, "deleted: a host without an application is refused"
    figures(capsys, "changes of the configuration, from the call to the answer", taken)
