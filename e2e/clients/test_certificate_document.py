"""What docs/client-certificates.md tells its readers to type and to send, done as it stands there."""

import base64
import json
import os
import re
import subprocess
import textwrap

import pytest
from gateway import ROOT, ApiError, policy
from openssl import USAGE, Authority, openssl, read
from test_client_certificates import associate, curl, fingerprint, forget


@pytest.fixture(scope="module")
def document():
    return read(os.path.join(ROOT, "docs", "client-certificates.md"))


@pytest.fixture(scope="module")
def zone_id(gateway):
    return next(zone["id"] for zone in gateway.api("GET", "/zones") if zone["name"] == "localhost")


def blocks(document, language):
    found = re.findall(rf"^( *)```{language}\n(.*?)^\1```$", document, re.M | re.S)
    return [textwrap.dedent(body) for _, body in found]


def test_the_commands_make_an_authority_and_a_certificate_that_lets_in(gateway, zone_id, document, origin, tmp_path):
    [rule] = re.findall(r"`(\{\"certificate\": .*?)` in a Service Auth policy", document)
    app = gateway.protect(policy("non_identity", [json.loads(rule)]))
    environment = {
        **os.environ, "CURL_CA_BUNDLE": gateway.ca, "TOKEN": gateway.token, "ADMIN": f"admin.localhost:{gateway.port}",
        "ACCOUNT": gateway.account, "ZONE": zone_id}
    typed = "\necho\n".join(blocks(document, "sh"))
    for written, ours in [("https://wiki.example.com", f"https://{app.authority}"), ("wiki.example.com", app.host)]:
        assert written in typed, f"{written} is not in the document any more"
        typed = typed.replace(written, ours)
    done = subprocess.run(["bash", "-euo", "pipefail", "-c", typed], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    said = [line for line in done.stdout.splitlines() if line.strip()]
    uploaded, settings = json.loads(said[0]), json.loads(said[-1])
    assert uploaded["success"] and uploaded["result"]["associated_hostnames"] == [app.host], said
    assert settings["success"], said
    assert said[1] == "hello", said

    # The file for browsers.
    [export] = re.findall(r"`(openssl pkcs12 [^`]*)`", document)
    subprocess.run([*export.split(), "-passout", "pass:secret"], cwd=tmp_path, check=True)
    assert curl(app, "--cert", f"{tmp_path}/robot.p12:secret", "--cert-type", "P12")[0] == 200

    # "Keep ca.key off the gateway: narthex refuses an upload with a private key in it."
    with pytest.raises(ApiError) as caught:
        both = read(tmp_path / "ca.pem") + read(tmp_path / "ca.key")
        gateway.access("POST", "/certificates", {"name": "x", "certificate": both, "associated_hostnames": []})
    assert "private key" in str(caught.value)
    forget(gateway, uploaded["result"]["id"])


def test_each_rule_of_the_table_matches_what_it_says(gateway, document, origin, tmp_path):
    ca = Authority(tmp_path)
    robot = ca.issue("/O=Acme/CN=robot", extensions=f"{USAGE}\nsubjectAltName=DNS:Robot.Example.com,email:Ann@Example.com,"
                     "URI:spiffe://acme/robot")
    other = ca.issue("/O=Acme/CN=other")
    key = subprocess.run(f"openssl x509 -in {robot.pem} -noout -pubkey | openssl pkey -pubin -outform DER | sha256sum",
                         shell=True, capture_output=True, text=True, check=True).stdout.split()[0]
    values = {"certificate_public_key": key, "certificate_fingerprint": fingerprint(robot, "-sha256")}
    rules = [json.loads(row) for row in re.findall(r"^\| `(\{.*?\})` \|", document, re.M)]
    assert len(rules) == 7, rules
    authority = associate(gateway, ca)
    apps = []
    for rule in rules:
        [kind] = rule
        if kind in values:
            rule[kind]["sha256"] = values[kind]
        rule[kind]["certificate_id"] = authority
        app = gateway.protect(policy("non_identity", [rule]))
        apps.append(app)
        gateway.access("PUT", f"/certificates/{authority}", {"associated_hostnames": [it.host for it in apps]})
        assert curl(app, client=robot)[0] == 200, rule
        assert curl(app, client=other)[0] == (200 if kind == "certificate" else 403), rule
    with pytest.raises(ApiError) as caught:
        forget(gateway, authority)
    assert "it is in use: policy" in str(caught.value), "first the rules have to let go of it"
    for app in apps:
        gateway.access("DELETE", f"/apps/{app.id}")
    forget(gateway, authority)


def test_the_documented_bodies_are_taken(gateway, zone_id, document, tmp_path):
    ca = Authority(tmp_path)
    [_, rules, revocation] = map(json.loads, blocks(document, "json"))
    app = gateway.protect(policy("bypass"))
    authority = associate(gateway, ca)
    setting = {"hostname": app.host, "china_network": False, "client_certificate_forwarding": False}
    kept = gateway.access("PUT", "/certificates/settings", {"settings": [{**setting, "request_headers": rules}]})
    [kept] = [it["request_headers"] for it in kept if it["hostname"] == app.host]
    assert {name.lower(): value for name, value in kept.items()} == {name.lower(): value for name, value in rules.items()}
    gateway.access("PUT", "/certificates/settings", {"settings": [{**setting, "request_headers": None}]})

    place = f"/certificates/{authority}"
    assert gateway.access("PUT", f"{place}/revocation", revocation) == gateway.access("GET", f"{place}/revocation") == revocation
    gateway.access("PUT", f"{place}/revocation", {**revocation, "crl": {**revocation["crl"], "urls": []}})
    pem = ca.revocation_list()
    der = base64.b64encode(base64.b64decode("".join(pem.strip().splitlines()[1:-1]))).decode()
    gateway.access("POST", f"{place}/crls", {"crl": pem})
    [taken] = gateway.access("GET", f"{place}/crls")
    gateway.access("DELETE", f"{place}/crls/{taken['id']}")
    assert gateway.access("GET", f"{place}/crls") == []
    gateway.access("POST", f"{place}/crls", {"crl": der})
    with pytest.raises(ApiError) as caught:
        gateway.access("POST", f"{place}/crls", {"crl": Authority(tmp_path / "other", "Other").revocation_list()})
    assert caught.value.status == 400
    forget(gateway, authority)

    # Certificates that the gateway issues: key and certificate in one answer, and what ends soon.
    [body] = re.findall(r"the same with `(\{\"common_name\".*?\})`", document)
    made = gateway.api("POST", f"/zones/{zone_id}/client_certificates", {**json.loads(body), "validity_days": 7})
    assert made["private_key"].startswith("-----BEGIN"), made
    listed = gateway.api("GET", f"/zones/{zone_id}/client_certificates?status=active")
    assert [it.get("expires_soon") for it in listed if it["id"] == made["id"]] == [True]
    assert not any("private_key" in it for it in listed)
    for name, secret in [("laptop.pem", made["certificate"]), ("laptop.key", made["private_key"])]:
        with open(tmp_path / name, "w") as file:
            file.write(secret)
    own = openssl("pkey", "-in", str(tmp_path / "laptop.key"), "-pubout")
    assert openssl("x509", "-in", str(tmp_path / "laptop.pem"), "-noout", "-pubkey") == own


def test_an_authority_is_changed_without_a_gap(gateway, origin, tmp_path):
    """The new one has the name of the old one, as renewed authorities do."""
    old, new = Authority(tmp_path / "old"), Authority(tmp_path / "new")
    app = gateway.protect(policy("non_identity", [{"common_name": {"common_name": "robot"}}]))
    before, after = old.issue(), new.issue()
    first = associate(gateway, old, app.host)
    assert [curl(app, client=it)[0] for it in [before, after]] == [200, 403]
    second = associate(gateway, new, app.host)
    assert [curl(app, client=it)[0] for it in [before, after]] == [200, 200]
    forget(gateway, first)
    assert [curl(app, client=it)[0] for it in [before, after]] == [403, 200]
    forget(gateway, second)
