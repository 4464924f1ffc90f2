"""A TLS session that is resumed carries no verdict (security rules 10 and 11): what changed since the last visit counts, for
clients that we did not write. A row of the matrix is a test; in it come every kind of session, both versions of HTTP and
every client."""

import contextlib
import time

import pytest
from gateway import policy
from openssl import Authority, read
from resuming import ID, PROTOCOLS, Curl, OpenSsl, Python


class Stage:
    """Two hosts and their authorities: `ours` counts on `app`, `theirs` on `other`."""

    def __init__(self, gateway, place):
        self.gateway, self.place = gateway, place
        self.ours, self.theirs = Authority(place / "ours", "Our CA"), Authority(place / "theirs", "Their CA")
        self.app, self.other = (gateway.protect(policy("non_identity", [{"certificate": {}}])) for _ in range(2))
        self.robot, self.witness = self.ours.issue(), self.ours.issue("/O=Acme/CN=witness")
        self.ends_at = None
        self.known = {self.ours: None, self.theirs: None}
        self.associate(self.theirs, self.other)

    def associate(self, ca, *apps):
        hosts = [app.host for app in apps]
        if self.known[ca]:
            self.gateway.access("PUT", f"/certificates/{self.known[ca]}", {"associated_hostnames": hosts})
        else:
            self.known[ca] = self.gateway.access("POST", "/certificates", {
                "name": ca.place, "certificate": read(ca.pem), "associated_hostnames": hosts})["id"]

    def swap(self):
        self.associate(self.ours)
        self.associate(self.theirs, self.app, self.other)

    def revoke(self, client):
        self.gateway.access("PUT", f"/certificates/{self.known[self.ours]}/revocation", {"serial_numbers": [client.serial]})

    def wait_until_it_ends(self):
        while time.time() < self.ends_at + 1:
            time.sleep(0.1)

    def end(self):
        for authority in filter(None, self.known.values()):
            self.gateway.access("PUT", f"/certificates/{authority}", {"associated_hostnames": []})
            self.gateway.access("DELETE", f"/certificates/{authority}")
        for app in [self.app, self.other]:
            self.gateway.access("DELETE", f"/apps/{app.id}")


@pytest.fixture
def stage(gateway, tmp_path, origin):
    stage = Stage(gateway, tmp_path)
    yield stage
    stage.end()


@pytest.fixture
def visitors(stage, tmp_path):
    """Makes a visitor of each kind, protocol and program, who shows this certificate."""
    with contextlib.ExitStack() as leaving:
        def made(client, programs=(OpenSsl, Python, Curl)):
            for program in programs:
                for kind in program.kinds:
                    for alpn in PROTOCOLS:
                        place = tmp_path / f"{program.__name__} {kind} {alpn} {client and client.serial}".replace("/", "-")
                        place.mkdir(exist_ok=True)
                        visitor = program(kind, alpn, client, stage.gateway.ca if program is Python else str(place))
                        if program is Curl:
                            leaving.callback(visitor.close)
                        yield f"{program.__name__}, {kind}, {alpn}", kind, visitor

        yield lambda *asked: list(made(*asked))


def first_visits(visitors, app, status):
    for name, _, visitor in visitors:
        visit = visitor.first(app)
        assert (visit.status, visit.resumed) == (status, False), name


def second_visits(visitors, app, status, resumed):
    """`resumed`: whether a ticket is taken up. An id never is."""
    for name, kind, visitor in visitors:
        visit = visitor.second(app)
        assert visit.offered == visitor.keeps_session, name
        assert (visit.status, visit.resumed) == (status, resumed and kind != ID), name


def nothing(stage):
    stage.associate(stage.ours, stage.app)


# What happens between the visits: the statuses of the robot's two visits, whether a ticket is taken up then, and the status
# of another certificate of the same authority.
CHANGES = {
    "nothing": (nothing, lambda stage: None, 200, 200, True, 200),
    "none to required": (lambda stage: None, nothing, 403, 200, False, 200),
    "CA swapped": (nothing, Stage.swap, 200, 403, False, 403),
    "CA removed": (nothing, lambda stage: stage.associate(stage.ours), 200, 403, False, 403),
    "revoked": (nothing, lambda stage: stage.revoke(stage.robot), 200, 403, False, 200),
}


@pytest.mark.parametrize("change", CHANGES)
def test_t10_t11_a_second_visit_is_judged_by_what_is_in_force_then(stage, visitors, origin, change):
    before, between, first, second, resumed, other = CHANGES[change]
    before(stage)
    robots, witnesses = visitors(stage.robot), visitors(stage.witness, [Python])
    first_visits(robots, stage.app, first)
    first_visits(witnesses, stage.app, first)
    origin.take()
    between(stage)
    second_visits(robots, stage.app, second, resumed)
    assert (origin.take() == []) == (second == 403), "the application sees those who are let in, and nobody else"
    second_visits(witnesses, stage.app, other, resumed)
    if change == "CA swapped":
        first_visits(visitors(stage.theirs.issue(), [Python]), stage.app, 200)


def test_t10_a_certificate_that_ended_in_between_is_refused_though_its_session_is_resumed(stage, visitors):
    stage.associate(stage.ours, stage.app)
    witnesses = visitors(stage.witness, [Python])
    first_visits(witnesses, stage.app, 200)
    for seconds in [15, 60, 240]:  # the more the slower the machine
        stage.ends_at = int(time.time()) + seconds
        robots = visitors(stage.ours.ending(stage.ends_at))
        first_visits(robots, stage.app, 200)
        if time.time() < stage.ends_at:
            break
    stage.wait_until_it_ends()
    second_visits(robots, stage.app, 403, resumed=True)
    second_visits(witnesses, stage.app, 200, resumed=True)


def test_t12_a_session_is_worth_nothing_on_another_host(stage, visitors):
    stage.associate(stage.ours, stage.app)
    robots = visitors(stage.robot, [OpenSsl, Python])  # curl keeps sessions by host
    first_visits(robots, stage.app, 200)
    second_visits(robots, stage.other, 403, resumed=False)
    stage.associate(stage.ours, stage.app, stage.other)
    first_visits(robots, stage.app, 200)
    second_visits(robots, stage.other, 200, resumed=False)


def test_a_session_without_a_certificate_stays_without_one(stage, visitors):
    stage.associate(stage.ours, stage.app)
    strangers = visitors(None)
    first_visits(strangers, stage.app, 403)
    second_visits(strangers, stage.app, 403, resumed=True)
