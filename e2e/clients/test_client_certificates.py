"""Client certificates as curl and OpenSSL present them: who is let in, what the application is told, and how a revocation
takes hold (docs/client-certificates.md; access-protocol §7)."""

import base64
import hashlib
import json
import socket
import ssl
import subprocess
import time

import pytest
from gateway import Gateway, free_port, policy
from hpack import Decoder
from http2 import END_HEADERS, END_STREAM, HEADERS, NO_ERROR, Frames, frame, hpack
from openssl import USAGE, Authority, openssl, read
from test_websocket import closed_with, dial
from wire import PATIENCE, Wire

CERTIFICATE = [{"certificate": {}}]
# The nine of the vendor's documented sample.
SAMPLE = {
    "X-CERT-ISSUER-DN": "certIssuerDN", "X-CERT-SUBJECT-DN": "certSubjectDN", "X-CERT-ISSUER-DN-L": "certIssuerDNLegacy",
    "X-CERT-SUBJECT-DN-L": "certSubjectDNLegacy", "X-CERT-SERIAL": "certSerial", "X-CERT-FINGER": "certFingerprintSHA1",
    "X-CERT-VERIFY": "certVerify", "X-CERT-NOTBE": "certNotBefore", "X-CERT-NOTAF": "certNotAfter"}
MANAGED = "add_client_certificate_headers"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("authorities")


@pytest.fixture(scope="module")
def ca(place):
    return Authority(place / "root")


@pytest.fixture(scope="module")
def deep(place, ca):
    """Three authorities below the root."""
    authority = ca
    for depth in ["one", "two", "three"]:
        authority = Authority(place / depth, f"Acme {depth}", authority)
    return authority


@pytest.fixture(scope="module")
def zone_id(gateway):
    return next(zone["id"] for zone in gateway.api("GET", "/zones") if zone["name"] == "localhost")


def associate(gateway, ca, *hosts):
    """The identifier of `ca` at the gateway, which counts on these hosts from now on."""
    return gateway.access("POST", "/certificates", {
        "name": "Staff", "certificate": read(ca.pem), "associated_hostnames": list(hosts)})["id"]


def forget(gateway, authority):
    gateway.access("PUT", f"/certificates/{authority}", {"associated_hostnames": []})
    gateway.access("DELETE", f"/certificates/{authority}")


@pytest.fixture(scope="module")
def app(gateway, ca):
    """An application for whoever has a certificate of `ca`, that is told all that there is to tell."""
    app = gateway.protect(policy("non_identity", CERTIFICATE))
    authority = associate(gateway, ca, app.host)
    gateway.access("PUT", "/certificates/settings", {"settings": [{
        "hostname": app.host, "china_network": False, "client_certificate_forwarding": True, "forwarded_form": "both",
        "request_headers": {name: {"field": field} for name, field in SAMPLE.items()}}]})
    yield app
    gateway.access("PUT", "/certificates/settings", {"settings": [{
        "hostname": app.host, "china_network": False, "client_certificate_forwarding": False, "request_headers": None}]})
    forget(gateway, authority)


@pytest.fixture(scope="module")
def managed(gateway, zone_id):
    """The vendor's managed set, on for the zone."""
    for on in [True, False]:
        gateway.api("PATCH", f"/zones/{zone_id}/managed_headers", {
            "managed_request_headers": [{"id": MANAGED, "enabled": on}], "managed_response_headers": []})
        if on:
            yield


def curl(app, *options, client=None):
    """Status and body of one call."""
    certificate = ["--cert", client.chain, "--key", client.key] if client else []
    done = subprocess.run(
        ["curl", "--silent", "--show-error", "--cacert", app.gateway.ca, "--write-out", "%{stderr}%{http_code}", *certificate,
         *options, app.url()], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    return int(done.stderr), done.stdout


@pytest.mark.parametrize("version", ["--http1.1", "--http2"])
@pytest.mark.parametrize("tls", [["--tls-max", "1.2"], ["--tlsv1.3"]])
def test_curl_is_let_in_with_a_certificate_and_not_without(app, ca, origin, version, tls):
    assert curl(app, version, *tls, client=ca.issue()) == (200, "hello\n")
    seen = origin.one()
    assert seen.head.all("cf-client-cert-sha256"), "its first request"
    status, body = curl(app, version, *tls)
    assert status == 403 and "asks for a client certificate, and none was presented" in body
    assert origin.take() == []


def test_curl_takes_the_file_that_browsers_take(app, ca, origin):
    robot = ca.issue()
    file = ca.file("robot.p12")
    openssl("pkcs12", "-export", "-in", robot.pem, "-inkey", robot.key, "-certfile", ca.pem, "-out", file,
            "-passout", "pass:secret")
    assert curl(app, "--cert", f"{file}:secret", "--cert-type", "P12")[0] == 200
    assert origin.one().get("cf-client-cert-sha256") == fingerprint(robot, "-sha256")


def test_what_is_wrong_with_a_certificate_is_said(app, ca, origin, place):
    stranger = Authority(place / "stranger", "Other CA").issue("/O=Acme/CN=robot")
    server = ca.issue("/O=Acme/CN=server", extensions=USAGE.replace("clientAuth", "serverAuth"))
    for client, why in [
        (ca.expired(), "has expired"),
        (stranger, "was not issued for this address"),
        (server, "cannot be accepted"),
    ]:
        status, body = curl(app, client=client)
        assert status == 403 and f"The client certificate that was presented {why}." in body, body
    assert origin.take() == []


def rsa(bits):
    return [f"rsa:{bits}"]


def curve(name):
    return ["ec", "-pkeyopt", f"ec_paramgen_curve:{name}"]


ORDINARY = "/C=US/ST=Texas/O=Acme/CN=robot"
ANONYMOUS = USAGE + "\nsubjectAltName=critical,URI:spiffe://acme/robot"
# What is asked of `issue`, by what is special about it.
CERTIFICATES = {
    "RSA 2048": {"key": rsa(2048)},
    "RSA 3072": {"key": rsa(3072)},
    "P-256": {},
    "P-384": {"key": curve("P-384")},
    "P-521": {"key": curve("P-521")},
    "Ed25519": {"key": ["ed25519"]},
    "UTF-8": {"subject": "/O=Müller & Söhne/CN=Zoë 東京 🔑"},
    "Teletex": {"subject": "/O=Acme/CN=Müller", "strings": "default"},
    "multi-valued": {"subject": "/O=Acme/CN=robot+UID=42+OU=R\\+D"},
    "several common names": {"subject": "/CN=first/CN=second"},
    "no common name": {"subject": "/C=US/O=Acme/OU=Robots"},
    "no name": {"subject": "/", "extensions": ANONYMOUS},
    "another header": {"subject": "/CN=robot\r\nX-Admin: yes\r\n\r\nGET \\/admin HTTP\\/1.1"},
    "separators": {"subject": '/CN=robot,O=Other\\+OU="x"\\\\;<y>='},
    "slashes": {"subject": "/CN=robot\\/CN=root"},
    "spaces and a hash": {"subject": "/O= # /CN=#robot "},
    "controls": {"subject": "/CN=a\tb\x1b[2Jc\x7f"},
    "rare types": {"subject": "/DC=com/DC=example/emailAddress=a@b.c/serialNumber=7/street=x/title=Dr/1.2.3.4.5=odd/CN=robot"},
    "after 2050": {"sign": ["-days", "12000", "-set_serial", "0x0102"]},
    "long chain": {"deep": True},
}


def fingerprint(client, digest):
    return client.says("-fingerprint", digest).replace(":", "").lower()


def key_id(pem, extension):
    lines = openssl("x509", "-in", pem, "-noout", "-ext", extension).splitlines()
    return lines[1].strip().removeprefix("keyid:").replace(":", "") if len(lines) > 1 else ""


@pytest.mark.parametrize("special", CERTIFICATES)
def test_the_application_reads_what_openssl_reads(app, managed, ca, deep, origin, special):
    wanted = {"subject": ORDINARY} | CERTIFICATES[special]
    authority = deep if wanted.pop("deep", False) else ca
    client = authority.issue(**wanted)
    forged = [word for name in [*SAMPLE, "Cf-Cert-Subject-Dn", "Cf-Client-Cert-Sha256"] for word in ["--header", f"{name}: forged"]]
    assert curl(app, "--http1.1", *forged, client=client)[0] == 200
    head = origin.one().head

    issuer, subject = client.says("-issuer", "-nameopt", "RFC2253"), client.says("-subject", "-nameopt", "RFC2253")
    issuer_l, subject_l = client.says("-issuer", "-nameopt", "compat"), client.says("-subject", "-nameopt", "compat")
    begins, ends = client.says("-startdate"), client.says("-enddate")
    der = base64.b64encode(subprocess.run(
        ["openssl", "x509", "-in", client.pem, "-outform", "DER"], capture_output=True, check=True).stdout).decode()
    expected = {
        "x-cert-issuer-dn": issuer, "x-cert-subject-dn": subject, "x-cert-issuer-dn-l": issuer_l,
        "x-cert-subject-dn-l": subject_l, "x-cert-serial": client.serial, "x-cert-finger": fingerprint(client, "-sha1"),
        "x-cert-verify": "SUCCESS", "x-cert-notbe": begins, "x-cert-notaf": ends,
        "cf-client-cert-der-base64": der, "cf-client-cert-sha256": hashlib.sha256(base64.b64decode(der)).hexdigest(),
        "client-cert": f":{der}:",
        "cf-cert-presented": "true", "cf-cert-verified": "true", "cf-cert-revoked": "false",
        "cf-cert-issuer-dn": issuer, "cf-cert-issuer-dn-rfc2253": issuer, "cf-cert-issuer-dn-legacy": issuer_l,
        "cf-cert-subject-dn": subject, "cf-cert-subject-dn-rfc2253": subject, "cf-cert-subject-dn-legacy": subject_l,
        "cf-cert-serial": client.serial, "cf-cert-fingerprint-sha256": fingerprint(client, "-sha256"),
        "cf-cert-fingerprint-sha1": fingerprint(client, "-sha1"), "cf-cert-not-before": begins, "cf-cert-not-after": ends,
        "cf-cert-ski": key_id(client.pem, "subjectKeyIdentifier"),
        "cf-cert-issuer-ski": key_id(authority.pem, "subjectKeyIdentifier"),
        "cf-cert-issuer-serial": openssl("x509", "-in", authority.pem, "-noout", "-serial").strip().removeprefix("serial="),
    }
    # A field value has no spaces at its ends (RFC 9110 §5.5), and none at all is no field.
    told = {name: head.all(name) for name in expected}
    assert told == {name: [value.strip(" ")] if value else told[name] and [""] for name, value in expected.items()}
    assert head.all("x-admin") == [] and len(head.fields) == len(head.raw.decode("latin-1").strip().split("\r\n")) - 1
    chain = [] if authority is ca else read(client.chain).split("-----BEGIN")[2:]
    assert head.get("client-cert-chain", "").count(":") == 2 * len(chain)


# Revoking, as one does it.


def asked(connection, app):
    return connection.ask(f"GET / HTTP/1.1\r\nHost: {app.authority}\r\n\r\n")


def refused_as_revoked(connection, app):
    answer = asked(connection, app)
    return answer.status == 403 and "has been revoked" in answer.text


def test_what_the_gateway_issued_is_revoked_at_once_on_an_open_connection(gateway, zone_id, ca, origin):
    app = gateway.protect(policy("non_identity", CERTIFICATE))
    place, path = f"/zones/{zone_id}", f"/zones/{zone_id}/certificate_authorities/hostname_associations"
    before = gateway.api("GET", path)["hostnames"] or []
    gateway.api("PUT", path, {"hostnames": [*before, app.host]})
    robot, other = ca.issue(), ca.issue()
    for client in [robot, other]:
        made = gateway.api("POST", f"{place}/client_certificates", {
            "csr": read(client.pem.replace(".pem", ".csr")), "validity_days": 30})
        client.id = made["id"]
        for file in [client.pem, client.chain]:
            with open(file, "w") as kept:
                kept.write(made["certificate"])
    with Wire(gateway, app.host, client=robot) as one, Wire(gateway, app.host, client=other) as two:
        assert [asked(it, app).status for it in [one, two, one, two]] == [200] * 4
        origin.take()
        gateway.api("DELETE", f"{place}/client_certificates/{robot.id}")
        assert refused_as_revoked(one, app) and one.is_closed()
        assert origin.take() == []
        assert asked(two, app).status == 200, "another one is untouched"
        gateway.api("PATCH", f"{place}/client_certificates/{robot.id}", {"reactivate": True})
        with Wire(gateway, app.host, client=robot) as again:
            assert asked(again, app).status == 200
    gateway.api("PUT", path, {"hostnames": before})


def test_a_connection_ends_when_another_certificate_must_be_shown(gateway, place):
    app = gateway.protect(policy("non_identity", CERTIFICATE))
    ours, other = Authority(place / "before", "Our CA"), Authority(place / "after", "Other CA")
    old, new = associate(gateway, ours, app.host), associate(gateway, other)
    try:
        with Frames(app, ours.issue()) as http2, Wire(gateway, app.host, client=ours.issue()) as http1:
            statuses, decoder = [asked(http1, app).status], Decoder()
            for stream in [1, 3]:
                http2.send(frame(HEADERS, END_STREAM | END_HEADERS, stream, hpack(app)))
                found = http2.until(lambda found: found.answers)
                statuses.append(int(dict(decoder.decode(found.answers[stream]))[":status"]))
                if stream == 1:
                    gateway.access("PUT", f"/certificates/{old}", {"associated_hostnames": []})
                    gateway.access("PUT", f"/certificates/{new}", {"associated_hostnames": [app.host]})
            assert statuses == [200, 200, 403]
            assert http2.until(lambda found: found.goaway is not None).goaway == NO_ERROR
            answer = asked(http1, app)
            assert (answer.status, answer["connection"]) == (403, "close") and http1.is_closed()
        assert curl(app, client=other.issue())[0] == 200
    finally:
        for authority in [old, new]:
            forget(gateway, authority)


@pytest.fixture
def staff(gateway, place, request):
    """An authority of its own, an application for its certificates, and its identifier at the gateway."""
    ca, app = Authority(place / request.node.name), gateway.protect(policy("non_identity", CERTIFICATE))
    ca.id = associate(gateway, ca, app.host)
    yield ca, app
    forget(gateway, ca.id)


def test_a_list_that_is_uploaded_is_in_force_with_the_answer(gateway, staff):
    ca, app = staff
    robot, other = ca.issue(), ca.issue()
    with Wire(gateway, app.host, client=robot) as one, Wire(gateway, app.host, client=other) as two:
        assert [asked(one, app).status, asked(two, app).status] == [200, 200]
        gateway.access("POST", f"/certificates/{ca.id}/crls", {"crl": ca.revocation_list()})
        assert asked(one, app).status == 200, "a list without it"
        gateway.access("POST", f"/certificates/{ca.id}/crls", {"crl": ca.revocation_list(robot)})
        assert refused_as_revoked(one, app)
        assert asked(two, app).status == 200
    status, body = curl(app, client=robot)
    assert status == 403 and "has been revoked" in body


def test_so_is_a_serial_number_as_openssl_prints_it(gateway, staff):
    ca, app = staff
    robot = ca.issue()
    with Wire(gateway, app.host, client=robot) as connection:
        assert asked(connection, app).status == 200
        gateway.access("PUT", f"/certificates/{ca.id}/revocation", {"serial_numbers": [robot.serial]})
        assert refused_as_revoked(connection, app)


def served(pem):
    """The answer of a server that has this list, in DER."""
    der = base64.b64decode("".join(pem.strip().splitlines()[1:-1]))
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/pkix-crl\r\nContent-Length: {len(der)}\r\n\r\n"
    return head.encode() + der


def test_a_list_is_fetched_from_the_address_that_was_named(gateway, staff, origin):
    ca, app = staff
    robot = ca.issue()
    origin.answers["/staff.crl"] = served(ca.revocation_list(robot))
    with Wire(gateway, app.host, client=robot) as connection:
        assert asked(connection, app).status == 200
        gateway.access("PUT", f"/certificates/{ca.id}/revocation", {
            "crl": {"mode": "hard", "urls": [f"{origin.service}/staff.crl"], "refresh": "1m", "grace": "24h"}})
        deadline = time.monotonic() + 3 * PATIENCE
        while not (lists := gateway.access("GET", f"/certificates/{ca.id}/crls")):
            assert time.monotonic() < deadline, "it was not fetched"
            time.sleep(0.2)
        assert not lists[0].get("failure"), lists
        assert refused_as_revoked(connection, app)
        gateway.access("DELETE", f"/certificates/{ca.id}/crls/{lists[0]['id']}")
        assert gateway.access("GET", f"/certificates/{ca.id}/crls") == []


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_t13_a_session_that_another_listener_resumes_gets_the_verdict_of_today(origin, ca, version):
    door = free_port()
    gateway = Gateway([("*.localhost", origin.service, "")], free_port(), doors=[door])
    try:
        app = gateway.protect(policy("non_identity", CERTIFICATE))
        authority, robot = associate(gateway, ca, app.host), ca.issue()
        context = ssl.create_default_context(cafile=gateway.ca)
        context.minimum_version = context.maximum_version = version
        context.load_cert_chain(robot.chain, robot.key)

        def status(port, session=None):
            plain = socket.create_connection(("127.0.0.1", port), PATIENCE)
            with context.wrap_socket(plain, server_hostname=app.host, session=session) as secured:
                secured.sendall(f"GET / HTTP/1.1\r\nHost: {app.authority}\r\nConnection: close\r\n\r\n".encode())
                said = secured.recv(12)
                while secured.recv(4096):
                    pass
                return int(said.split()[1]), secured.session_reused, secured.session

        before, reused, session = status(gateway.port)
        assert (before, reused) == (200, False)
        assert status(door, session)[:2] == (200, True), "both listeners know the ticket"
        session = status(gateway.port)[2]
        gateway.access("PUT", f"/certificates/{authority}/revocation", {"serial_numbers": [robot.serial]})
        assert status(door, session)[0] == 403
        assert status(gateway.port, session)[0] == 403
    finally:
        gateway.stop()


def test_a_websocket_ends_when_the_certificate_it_relied_on_is_revoked(gateway, ca, place, sockets):
    app = gateway.protect(policy("non_identity", CERTIFICATE), host="socket.localhost")
    own = Authority(place / "sockets")
    authority, robot = associate(gateway, own, app.host), own.issue()
    try:
        with dial(app, client=robot) as connection:
            connection.send("hello")
            assert connection.recv(PATIENCE) == "hello"
            gateway.access("POST", f"/certificates/{authority}/crls", {"crl": own.revocation_list(robot)})
            assert closed_with(connection) == 1008
    finally:
        forget(gateway, authority)
        gateway.access("DELETE", f"/apps/{app.id}")


def test_the_call_of_the_documented_sample_asks_for_no_more_than_it_says(gateway, zone_id, place, origin):
    """Forwarding is on, and nothing else: later requests of the connection are not told, and who has none is not refused."""
    app, ca = gateway.protect(policy("bypass")), Authority(place / "sample")
    authority = associate(gateway, ca, app.host)
    body = {"settings": [{"hostname": app.host, "china_network": False, "client_certificate_forwarding": True}]}
    done = subprocess.run(
        ["curl", "--silent", "--cacert", gateway.ca, "--request", "PUT",
         f"{gateway.api_base}/zones/{zone_id}/access/certificates/settings", "--header", "X-Auth-Email: someone@example.com",
         "--header", f"X-Auth-Key: {gateway.token}", "--header", "Content-Type: application/json", "--data", json.dumps(body)],
        capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["success"], done.stdout
    robot = ca.issue()
    curl(app, "--http1.1", app.url("/first"), client=robot)
    told = {it.target: it.get("cf-client-cert-sha256") for it in origin.take()}
    assert told == {"/first": fingerprint(robot, "-sha256"), "/": None}
    assert curl(app)[0] == 200
    assert origin.one().get("cf-client-cert-sha256") is None
    forget(gateway, authority)
