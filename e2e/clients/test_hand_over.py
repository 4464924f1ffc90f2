"""One program takes over from another: what is revoked, who logs in and what is changed counts in both at once, and a program
that does not come to serve changes nothing (security §4: R2, R3)."""

import contextlib
import json
import os
import signal
import sqlite3
import stat
import sys
import time

import pytest
from browser import Member
from gateway import BINARY, ApiError, App, policy
from load import Mirror, reflection
from peers import EchoSockets, Provider
from succession import Succession
from test_websocket import dial
from websockets.exceptions import ConnectionClosed
from wire import PATIENCE


class House(Succession):
    """With one identity provider, whose people are everybody."""

    def __init__(self, *ingress):
        self.provider = Provider()
        super().__init__([*ingress, ("*.localhost", Mirror().service, "")])
        self.idp = self.access(
            "POST", "/identity_providers", {"name": "Accounts", "type": "oidc", "config": self.provider.config})

    def of_people(self, **settings):
        return self.protect(policy("allow"), allowed_idps=[self.idp["id"]], auto_redirect_to_identity=True, **settings)

    def log_in(self, app, email):
        return {"Cookie": f"CF_Authorization={Member(self, self.provider, email).log_in(app, '/')}"}


@pytest.fixture
def house():
    started = []

    def start(*ingress):
        started.append(House(*ingress))
        return started[-1]

    yield start
    for one in started:
        logged = one.logged()
        assert one.stop() == 0
        assert "panicked" not in logged, logged


def get(app, headers, path="/"):
    fields = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"GET {path} HTTP/1.1\r\nHost: {app.authority}\r\n{fields}\r\n"


def test_what_is_revoked_afterwards_is_refused_on_connections_of_before(house):
    gateway = house(("socket.localhost", EchoSockets().service, ""))
    wiki, chat = gateway.of_people(), gateway.of_people(host="socket.localhost")
    cookies = {email: (gateway.log_in(wiki, email), gateway.log_in(chat, email)) for email in ("ann@x.test", "bob@x.test")}
    with contextlib.ExitStack() as stack:
        kept, talks = {}, {}
        for email, (to_wiki, to_chat) in cookies.items():
            kept[email] = [stack.enter_context(wiki.open()) for _ in range(2)]
            for wire in kept[email]:
                assert wire.ask(get(wiki, to_wiki)).status == 200
            talks[email] = stack.enter_context(dial(chat, to_chat))
        former = gateway.pid
        gateway.hand_over()
        for talk in talks.values():
            talk.send("still here")
            assert talk.recv(PATIENCE) == "still here"
        gateway.access("POST", "/organizations/revoke_user", {"email": "ann@x.test"})
        answered = time.monotonic()
        # The API has answered: from now on both processes refuse her.
        assert kept["ann@x.test"][0].ask(get(wiki, cookies["ann@x.test"][0])).status == 302
        with pytest.raises(ConnectionClosed) as closed:
            talks["ann@x.test"].recv(PATIENCE)
        assert closed.value.rcvd.code == 1008
        assert time.monotonic() - answered < 1, "at once, and not with the next look at the clock"
        assert kept["bob@x.test"][0].ask(get(wiki, cookies["bob@x.test"][0])).status == 200
        talks["bob@x.test"].send("and I")
        assert talks["bob@x.test"].recv(PATIENCE) == "and I"

        # Who logs in at the new process is known to the old one as well, and so is a changed policy.
        cleo = gateway.log_in(wiki, "cleo@x.test")
        answer = kept["bob@x.test"][1].ask(get(wiki, cleo, "/cleo"))
        assert (answer.status, answer.body) == (200, reflection("/cleo", "cleo@x.test"))
        gateway.access("DELETE", f"/apps/{wiki.id}")
        assert kept["ann@x.test"][1].ask(get(wiki, cleo)).status == 403, "without an application nobody is let in"
        assert gateway.exit_code(former) is None
    gateway.until(lambda: gateway.exit_code(former) is not None)
    assert gateway.exit_code(former) == 0


def test_what_the_gateway_answers_itself_is_answered_over_old_connections_too(house):
    """Pages of the team domain and the paths under `/cdn-cgi/access/` run in the new process, wherever they are asked for."""
    gateway = house()
    app = gateway.of_people()
    cookie = gateway.log_in(app, "ann@x.test")
    team = App(gateway, gateway.team_host, {"id": None, "aud": None})
    with app.open() as to_app, team.open() as to_team:
        for _ in range(2):
            assert json.loads(to_app.ask(get(app, cookie, "/cdn-cgi/access/get-identity")).body)["email"] == "ann@x.test"
            assert to_team.ask(get(team, {}, "/cdn-cgi/access/certs")).status == 200
            if gateway.pid == gateway.process.pid:
                gateway.hand_over()
                gateway.access("POST", "/keys/rotate")
        keys = json.loads(team.request("GET", "/cdn-cgi/access/certs").body)["keys"]
    assert len(keys) >= 3, "the new process has made one more"


def test_records_and_counts_of_the_old_process_are_kept_by_the_new_one(house):
    gateway = house()
    app, closed = gateway.of_people(), gateway.protect(policy("deny"))
    cookie = gateway.log_in(app, "ann@x.test")
    with contextlib.ExitStack() as stack:
        kept = [stack.enter_context(app.open()) for _ in range(6)]
        refused = stack.enter_context(closed.open())
        for wire in kept:
            assert wire.ask(get(app, cookie)).status == 200
        assert refused.ask(get(closed, {})).status == 403
        former = gateway.pid
        gateway.hand_over()
        for wire in kept:
            assert wire.ask(get(app, cookie)).status == 200
        answer = refused.ask(get(closed, {}))
        assert answer.status == 403
        ray = answer["cf-ray"].split("-")[0]
    gateway.until(lambda: gateway.exit_code(former) is not None)
    assert gateway.exit_code(former) == 0
    with contextlib.closing(sqlite3.connect(os.path.join(gateway.data, "records.db"))) as records:
        counted = records.execute("SELECT sum(requests) FROM traffic").fetchone()[0]
        refusals = records.execute("SELECT count(*) FROM access_record WHERE ray_id = ?", [ray]).fetchone()[0]
    assert counted == 13, "six before, six after, and the one at the end of the login"
    assert refusals == 1


def script(gateway, text):
    path = os.path.join(gateway.dir, "wrong")
    with open(path, "w") as file:
        file.write(text)
    os.chmod(path, stat.S_IRWXU)
    return path


ENDS = "#!/bin/sh\nexit 3\n"

# Asks for the right to write as a new program does, and ends.
TAKES_THE_PEN = f"""#!{sys.executable}
import json, os, socket, sqlite3
line = socket.socket(fileno=0)
while not line.recv(65536).endswith(b"\\n"):
    pass
line.sendall(b'{{"ask":[0,"pen"]}}\\n')
assert json.loads(line.makefile().readline()) == {{"reply": [0, "done"]}}
SCHEMA
os._exit(3)
"""

NEWER = """
database = sqlite3.connect("data/narthex.db")
database.execute("UPDATE schema_version SET version = version + 1")
database.commit()
"""


@pytest.mark.parametrize("program", ["missing", "not executable", "ends at once", "ends with the pen", "bad configuration"])
def test_r03_a_program_that_does_not_serve_changes_nothing(house, program):
    gateway = house()
    app = gateway.of_people()
    cookie = gateway.log_in(app, "ann@x.test")
    if program == "bad configuration":
        with open(os.path.join(gateway.dir, "narthex.toml"), "a") as file:
            file.write("\n[nonsense]\n")
    else:
        texts = {"ends at once": ENDS, "ends with the pen": TAKES_THE_PEN.replace("SCHEMA", ""), "not executable": "?"}
        wrong = script(gateway, texts.get(program, ""))
        if program == "not executable":
            os.chmod(wrong, 0o600)
        gateway.install("/nowhere/narthexd" if program == "missing" else wrong)
    pid = gateway.pid
    with app.open() as kept:
        os.kill(pid, signal.SIGUSR2)
        made = gateway.access("POST", "/groups", {"name": "meanwhile", "include": [{"everyone": {}}]})
        gateway.until(lambda: "this process goes on" in gateway.logged())
        answer = kept.ask(get(app, cookie))
        assert (answer.status, answer["connection"]) == (200, None), "nobody is sent away"
    assert gateway.holder() == pid and gateway.exit_code(pid) is None
    assert gateway.access("GET", f"/groups/{made['id']}")["name"] == "meanwhile"
    gateway.access("DELETE", f"/groups/{made['id']}")
    # The right program is taken all the same, afterwards.
    with open(os.path.join(gateway.dir, "narthex.toml")) as file:
        good = file.read().replace("\n[nonsense]\n", "")
    with open(os.path.join(gateway.dir, "narthex.toml"), "w") as file:
        file.write(good)
    gateway.install(BINARY)
    assert gateway.hand_over() != pid
    assert app.request("GET", "/", cookie).status == 200


def test_r03_a_program_that_ends_after_it_changed_the_schema_leaves_the_old_one_reading(house):
    gateway = house()
    app = gateway.of_people()
    cookie = gateway.log_in(app, "ann@x.test")
    gateway.install(script(gateway, TAKES_THE_PEN.replace("SCHEMA", NEWER)))
    os.kill(gateway.pid, signal.SIGUSR2)
    gateway.until(lambda: "this process goes on" in gateway.logged())
    assert app.request("GET", "/", cookie).status == 200, "whoever is let in goes on"
    with pytest.raises(ApiError) as refused:
        gateway.access("POST", "/groups", {"name": "late", "include": [{"everyone": {}}]})
    assert refused.value.status == 503
    assert "schema" in gateway.logged()


def test_a_stop_meanwhile_ends_both(house):
    gateway = house()
    gateway.install(script(gateway, "#!/bin/sh\nsleep 100\n"))
    os.kill(gateway.pid, signal.SIGUSR2)
    gateway.until(lambda: "handing over to a new process" in gateway.logged())
    started = time.monotonic()
    gateway.process.terminate()
    assert gateway.process.wait(PATIENCE) == 0
    assert time.monotonic() - started < PATIENCE
    assert '"message":"stopped"' in gateway.logged()
