"""Changes under load: the configuration, the certificates and the whole program are exchanged, each while HTTP/1.1 clients,
HTTP/2 clients and WebSockets are at work, and nobody loses an answer or gets a wrong one (security §4: R1, R2).

A client counts a wrong status, a wrong body, a reset and a refused connection, and ends at the first. Sizes: CHANGES_CLIENTS
clients of each protocol, CHANGES_SOCKETS WebSockets, CHANGES_TIMES changes, CHANGES_HAND_OVERS programs. Between two requests a
client rests for CHANGES_REST seconds, so that what is told to idle connections is tried as well.
"""

import datetime
import itertools
import json
import os
import signal
import threading

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from gateway import policy
from load import Crowd, Mirror, Talker, Traveller, reflection
from peers import EchoSockets
from succession import Succession
from test_load import pair
from test_websocket import dial
from wire import Wire

CLIENTS = int(os.environ.get("CHANGES_CLIENTS", "64"))
SOCKETS = int(os.environ.get("CHANGES_SOCKETS", "100"))
TIMES = int(os.environ.get("CHANGES_TIMES", "50"))
HAND_OVERS = int(os.environ.get("CHANGES_HAND_OVERS", "3"))

REST = float(os.environ.get("CHANGES_REST", "0.3"))

HOST = "shown.localhost"
EC_KEY = ec.generate_private_key(ec.SECP256R1())


def write(path, *parts):
    """Replaces a file as a whole."""
    with open(path + ".new", "wb") as file:
        file.write(b"".join(parts))
    os.rename(path + ".new", path)


class Certificates:
    """An authority of our own, and the certificate that the gateway shows for `HOST`."""

    def __init__(self, folder):
        self.chain, self.key = os.path.join(folder, "shown.pem"), os.path.join(folder, "shown.key")
        private = EC_KEY.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        write(self.key, private)
        self.renew()

    def renew(self):
        """Another certificate with another number, which is answered."""
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)])
        now, number = datetime.datetime.now(datetime.UTC), x509.random_serial_number()
        builder = x509.CertificateBuilder(name, name, EC_KEY.public_key(), number, now - datetime.timedelta(days=1),
                                          now + datetime.timedelta(days=90))
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
        made = builder.sign(EC_KEY, hashes.SHA256())
        write(self.chain, made.public_bytes(serialization.Encoding.PEM))
        return number


class Clerk(threading.Thread):
    """Writes to the API without a pause, over one connection as long as it may; what it was told is done."""

    def __init__(self, gateway):
        super().__init__(daemon=True)
        self.gateway, self.over, self.wrong, self.made = gateway, threading.Event(), [], []

    @property
    def asked(self):
        return len(self.made)

    def run(self):
        wire = None
        for number in itertools.count():
            if self.over.is_set():
                return
            name = f"{self.name} {number}"
            body = json.dumps({"name": name, "include": [{"email": {"email": "a@example.com"}}]})
            host = f"admin.localhost:{self.gateway.port}"
            try:
                wire = wire or Wire(self.gateway, "admin.localhost")
                answer = wire.ask(
                    f"POST /client/v4/accounts/{self.gateway.account}/access/groups HTTP/1.1\r\nHost: {host}\r\n"
                    f"Authorization: Bearer {self.gateway.token}\r\nContent-Type: application/json\r\n"
                    f"Content-Length: {len(body)}\r\n\r\n{body}", "POST")
                assert answer is not None, "no answer"
                assert answer.status in (200, 201), f"{answer.status} {answer.text}"
                if answer["connection"] == "close":
                    wire.sock.close()
                    wire = None
            except Exception as error:
                self.wrong.append(f"{name}: {error!r}")
                return
            self.made.append(name)
            self.over.wait(REST / 3)

    def end(self):
        self.over.set()
        self.join(30)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return Certificates(str(tmp_path_factory.mktemp("shown")))


@pytest.fixture(scope="module")
def gateway(place):
    mirror, sockets = Mirror(), EchoSockets()
    shown = f'[[tls.certificate]]\ncert = "{place.chain}"\nkey = "{place.key}"\n'
    gateway = Succession([("socket.localhost", sockets.service, ""), ("*.localhost", mirror.service, "")], more=shown)
    yield gateway
    logged = gateway.logged()
    assert gateway.stop() == 0
    assert "panicked" not in logged, logged


@pytest.fixture(scope="module")
def crowd(gateway):
    app = gateway.protect(policy("non_identity", [{"any_valid_service_token": {}}]))
    chat = gateway.protect(policy("bypass"), host="socket.localhost")
    machine = gateway.service_token("steady")
    callers = [Traveller(app, pair(machine), machine["client_id"], alpn, rest=REST)
               for _ in range(CLIENTS) for alpn in ("http/1.1", "h2")]
    crowd = Crowd([*callers, *(Talker(lambda: dial(chat), rest=REST) for _ in range(SOCKETS)), Clerk(gateway)])
    crowd.wait(lambda: all(member.asked or member.wrong for member in crowd.members))
    yield crowd
    crowd.end()


def moves(crowd):
    return [member.moves for member in crowd.members if isinstance(member, Traveller)]


def test_r01_changes_of_the_configuration_harm_nobody(gateway, crowd):
    probe = {"name": "probe", "decision": "bypass"}
    nobody, everybody = [{"ip": {"ip": "192.0.2.0/24"}}], [{"everyone": {}}]
    shared = gateway.access("POST", "/policies", {**probe, "include": nobody})
    made = gateway.access("POST", "/apps", {
        "type": "self_hosted", "name": "probe", "domain": "probe.localhost", "policies": [shared["id"]]})
    url = f"https://probe.localhost:{gateway.port}/x"
    with crowd.unharmed():
        for number in range(TIMES):
            open_now = number % 2 == 0
            gateway.access("PUT", f"/policies/{shared['id']}", {**probe, "include": everybody if open_now else nobody})
            answer = gateway.request("GET", url)
            assert answer.status == (200 if open_now else 403), number
    assert sum(moves(crowd)) == 0, "nobody had to connect again"
    gateway.access("DELETE", f"/apps/{made['id']}")


def test_r01_reloads_of_certificates_harm_nobody(gateway, place, crowd):
    gateway.protect(policy("bypass"), host=HOST)
    own = type("Trust", (), {"ca": place.chain, "port": gateway.port})
    with crowd.unharmed():
        for _ in range(TIMES):
            number = place.renew()
            os.kill(gateway.pid, signal.SIGHUP)

            def shown():
                try:
                    with Wire(own, HOST) as wire:
                        found = x509.load_der_x509_certificate(wire.sock.getpeercert(binary_form=True))
                        return found.serial_number == number
                except OSError:
                    return False  # our own trust is in the new one already

            gateway.until(shown)
            with Wire(own, HOST) as wire:
                answer = wire.ask(f"GET /y HTTP/1.1\r\nHost: {HOST}:{gateway.port}\r\n\r\n")
            assert (answer.status, answer.body) == (200, reflection("/y", ""))
    assert sum(moves(crowd)) == 0, "nobody had to connect again"


def test_r02_other_programs_take_over_and_nothing_is_lost(gateway, crowd):
    before = [gateway.pid]
    for _ in range(HAND_OVERS):
        moved = moves(crowd)
        with crowd.unharmed():
            before.append(gateway.hand_over())
        crowd.wait(lambda: all(now > then for now, then in zip(moves(crowd), moved)) or any(m.wrong for m in crowd.members))
        wrong = [what for member in crowd.members for what in member.wrong]
        assert not wrong, wrong[:5]
        assert gateway.exit_code(before[0]) is None, "the WebSockets live on where they began"
    assert len(set(before)) == HAND_OVERS + 1
    crowd.end()
    clerk = crowd.members[-1]
    pages = (gateway.access("GET", f"/groups?per_page=500&page={page}") for page in itertools.count(1))
    kept = {group["name"] for page in itertools.takewhile(bool, pages) for group in page}
    assert not clerk.wrong and set(clerk.made) <= kept, "what was acknowledged is there"
    for pid in before[:-1]:
        gateway.until(lambda: gateway.exit_code(pid) is not None)
        assert gateway.exit_code(pid) == 0
    print(f"{crowd.asked} answers, {sum(moves(crowd))} connections made again")
