"""A disk that takes nothing more: writes are refused and say why, what is in force goes on, and when there is room again
everything works without a restart (security A10)."""

import contextlib
import json
import os
import resource
import sqlite3
import tempfile
import time
import urllib.request

import pytest
from gateway import ApiError, Gateway, can_mount, free_port, policy
from load import Caller, Crowd, Mirror

# What may be said of a write that could not be kept: 507 where the system says that the disk is full, else 503.
REFUSED = (503, 507)


class Place:
    """A gateway with an application for machines and one for everybody, and who uses them."""

    def __init__(self, disk=None, metrics=False):
        self.mirror = Mirror()
        self.metrics = free_port() if metrics else None
        listen = f'metrics = "127.0.0.1:{self.metrics}"' if metrics else ""
        self.gateway = Gateway([("*.localhost", self.mirror.service, "")], 25, disk=disk, listen=listen)
        self.machine = self.gateway.service_token("steady")
        self.pair = {"cf-access-client-id": self.machine["client_id"], "cf-access-client-secret": self.machine["client_secret"]}
        self.app = self.gateway.protect(policy("non_identity", [{"service_token": {"token_id": self.machine["id"]}}]))
        self.gateway.organization(strict_service_token_auth=False)
        self.doomed = self.gateway.protect(
            policy("non_identity", [{"service_token": {"token_id": self.machine["id"]}}]), policy("allow", [{"everyone": {}}]))
        self.token = self.doomed.request("GET", "/", self.pair).cookies["CF_Authorization"].value
        assert self.opens()
        self.kept, self.rays = set(), []
        self.crowd = Crowd([Caller(self.app, self.pair, self.machine["client_id"], alpn) for alpn in ("http/1.1", "h2")])

    def end(self):
        self.crowd.end()
        alive, logged = self.gateway.process.poll() is None, self.gateway.logged()
        assert self.gateway.stop() == 0
        assert alive and "panicked" not in logged, logged

    def figure(self, name):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics}/metrics") as page:
            lines = page.read().decode().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(f"narthex_{name} "))

    def write(self, name):
        """Makes a policy that fills a few pages."""
        include = [{"email": {"email": f"{number}.{'x' * 40}@example.com"}} for number in range(200)]
        made = self.gateway.access("POST", "/policies", {"name": name, "decision": "allow", "include": include})
        self.kept.add(made["id"])

    def write_until_refused(self):
        """The log of the database is written again from its beginning now and then, so that a few writes more may fit."""
        for number in range(2000):
            try:
                self.write(f"filling {number}")
            except ApiError as refused:
                return refused
        raise AssertionError("2000 writes found room on a full disk")

    def listed(self):
        found, page = set(), 1
        while part := self.gateway.access("GET", f"/policies?per_page=100&page={page}"):
            found |= {one["id"] for one in part}
            page += 1
        return found

    def refuses_writes(self, kinds):
        """Writes of so many kinds are refused, and what is there stays as it is."""
        refused = self.write_until_refused()
        assert refused.status in REFUSED, refused
        [error] = refused.errors
        assert error["code"] == 10001 and self.gateway.dir not in error["message"], "no path of this machine"
        signer = self.signer()
        for method, path, body in [
                ("DELETE", f"/service_tokens/{self.machine['id']}", None), ("POST", "/keys/rotate", None),
                ("POST", "/apps", {"type": "self_hosted", "domain": "new.localhost"}),
                ("POST", "/service_tokens", {"name": "new"}), ("PUT", f"/apps/{self.app.id}", {
                    "type": "self_hosted", "domain": self.app.host, "policies": []})][:kinds]:
            with pytest.raises(ApiError) as caught:
                self.gateway.access(method, path, body)
            assert caught.value.status in REFUSED, caught.value
        assert self.signer() == signer
        assert self.listed() == self.kept, "what was acknowledged, and nothing else"

    def signer(self):
        answer = self.gateway.request("GET", f"{self.gateway.team}/cdn-cgi/access/certs")
        return json.loads(answer.body)["public_cert"]["kid"]

    def opens(self):
        """Whether the token that will be revoked is good."""
        return self.doomed.request("GET", "/", {"Cookie": f"CF_Authorization={self.token}"}).status == 200

    def refused(self):
        """Asks as a stranger, and remembers by which Ray ID that is recorded."""
        answer = self.app.request("GET", "/", {**self.pair, "cf-access-client-secret": "0" * 64})
        assert answer.status == 403, "nobody gets in who did not before"
        self.rays.append(answer["cf-ray"].split("-")[0])

    def recorded(self):
        """Which of those requests the records name; each once."""
        found, page = [], 1
        while part := self.gateway.access("GET", f"/logs/access_requests?limit=1000&page={page}"):
            found += [one["ray_id"] for one in part if one["ray_id"] in self.rays]
            page += 1
        return found

    def revokes(self):
        """Nobody waits for room on the disk to lock somebody out."""
        assert self.opens()
        try:
            self.gateway.access("POST", f"/apps/{self.doomed.id}/revoke_tokens")
        except ApiError as refused:
            [error] = refused.errors
            assert refused.status == 507 and "refused by this gateway from now on" in error["message"], refused
        assert not self.opens()

    def accepts_writes(self):
        """At the first try, with all that depends on it."""
        self.write("after")
        signer = self.signer()
        self.gateway.access("POST", "/keys/rotate")
        assert self.signer() != signer
        assert self.listed() == self.kept
        fresh = self.gateway.protect(policy("bypass"))
        assert fresh.request("GET", "/x").body == b"/x for "
        for name in ("narthex.db", "records.db"):
            assert self.integrity(name) == [("ok",)]

    def integrity(self, name):
        """What SQLite says of a copy, with its log: it does not open files of another mount namespace."""
        with tempfile.TemporaryDirectory() as place:
            for part in (name, f"{name}-wal"):
                with open(os.path.join(self.gateway.data, part), "rb") as file, open(os.path.join(place, part), "wb") as copy:
                    copy.write(file.read())
            with contextlib.closing(sqlite3.connect(os.path.join(place, name))) as database:
                return database.execute("PRAGMA integrity_check").fetchall()


def until(what, holds):
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def story(place, fill, free, kinds=5, again=None):
    """The same for everything that keeps a disk from taking more; writes of so many `kinds` are tried. `again` is what
    comes after it."""
    try:
        place.write("before")
        with place.crowd.unharmed():
            undo = fill(place.gateway)
            place.refuses_writes(kinds)
            place.revokes()
            for _ in range(100):
                place.refused()
        with place.crowd.unharmed():
            free(undo)
            place.accepts_writes()
            assert not place.opens(), "what was revoked stays revoked"
            until("every refusal is recorded", lambda: len(place.recorded()) >= len(place.rays))
            assert sorted(place.recorded()) == sorted(place.rays), "and each once"
        if again:
            again(place)
    finally:
        place.end()


@pytest.mark.skipif(not can_mount(), reason="this machine lets its users mount nothing")
def test_a10_a_disk_that_is_full():
    def fill(gateway):
        filler = os.path.join(gateway.data, "filler")
        with open(filler, "wb", buffering=0) as file:
            size = 1 << 20
            while size:
                try:
                    file.write(b"x" * size)
                except OSError:
                    size //= 2
        return filler

    story(Place(disk="12m"), fill, os.remove)


def test_a10_a_limit_of_the_file_size():
    """`ulimit -f`, or LimitFSIZE= of systemd: the signal that comes with it ends nobody, and neither does a log that is full."""
    def fill(gateway):
        resource.prlimit(gateway.process.pid, resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
        return gateway

    def free(gateway):
        resource.prlimit(gateway.process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

    def again(place):
        """What could not be written while the disk was full was written later, without another call."""
        until("the revocation is durable", lambda: "had refused are durable now" in place.gateway.logged())
        place.gateway.crash()
        assert not place.opens()

    story(Place(), fill, free, again=again)


def test_a10_somebody_else_holds_the_database():
    def fill(gateway):
        other = sqlite3.connect(os.path.join(gateway.data, "narthex.db"), isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        return other

    def free(other):
        other.rollback()
        other.close()

    story(Place(), fill, free, kinds=1)  # each is refused after five seconds of patience


@pytest.mark.parametrize("how", ["killed", "stopped"])
def test_records_that_the_store_does_not_take_survive_the_process(how):
    """Somebody holds `records.db`; the records are spilled beside it, the process is stopped, or killed in the middle of a
    line, and the next one reads them into their chain."""
    place = Place(metrics=True)
    try:
        other = sqlite3.connect(os.path.join(place.gateway.data, "records.db"), isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        for _ in range(50):
            place.refused()
        if how == "killed":
            until("they are spilled", lambda: place.figure("records_waiting") >= 50)
            place.gateway.process.kill()
        else:
            place.gateway.process.terminate()
        assert place.gateway.process.wait(60) == (-9 if how == "killed" else 0)
        other.rollback()
        other.close()
        spilled = os.path.join(place.gateway.data, "records.spill")
        if how == "killed":
            with open(spilled, "ab") as file:
                file.write(b"dG9ybg")  # a line without its end
        place.gateway.crash()
        until("they are in the store", lambda: len(place.recorded()) >= 50)
        assert sorted(place.recorded()) == sorted(place.rays)
        assert place.figure("records_waiting") == 0 and not os.path.exists(spilled)
        assert ("was torn by a crash or a full disk" in place.gateway.logged()) == (how == "killed")
    finally:
        place.end()
