"""Client certificates through the official Python client: authorities, settings, associations, certificates that the
gateway issues, managed transforms, and the curl call of seed 000.
"""

import base64
import datetime
import secrets
import subprocess

import cloudflare
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

MANAGED = "add_client_certificate_headers"


def fresh(what):
    return f"{what} {secrets.token_hex(6)}"


def named(text):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def pem(certificate):
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


@pytest.fixture
def ca():
    """A new authority: its certificate as PEM."""
    key, name, now = ec.generate_private_key(ec.SECP256R1()), named(fresh("CA")), datetime.datetime.now(datetime.UTC)
    usage = dict.fromkeys(["digital_signature", "content_commitment", "key_encipherment", "data_encipherment",
                           "key_agreement", "encipher_only", "decipher_only"], False)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now,
                                      now + datetime.timedelta(days=365))
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    builder = builder.add_extension(x509.KeyUsage(key_cert_sign=True, crl_sign=True, **usage), critical=True)
    return pem(builder.sign(key, hashes.SHA256()))


@pytest.fixture(params=["account", "zone"])
def door(request, account, zone):
    return account if request.param == "account" else zone


def test_an_authority_of_access(client, door, host, ca):
    certificates, (one, two) = client.zero_trust.access.certificates, (host(), host())
    made = certificates.create(**door, certificate=ca, name="Allow devs", associated_hostnames=[one])
    assert made.fingerprint.startswith("MD5 Fingerprint=")
    assert made.expires_on > datetime.datetime.now(datetime.UTC)
    assert certificates.get(made.id, **door).associated_hostnames == [one]
    assert made.id in [it.id for it in certificates.list(**door)]
    assert certificates.update(made.id, **door, associated_hostnames=[one, two]).associated_hostnames == [one, two]
    with pytest.raises(cloudflare.ConflictError) as caught:
        certificates.delete(made.id, **door)
    assert "certificate has active associations" in str(caught.value)
    assert certificates.update(made.id, **door, associated_hostnames=[]).associated_hostnames == []
    assert certificates.delete(made.id, **door).id == made.id
    with pytest.raises(cloudflare.NotFoundError):
        certificates.get(made.id, **door)


def test_settings_of_a_hostname(client, door, host):
    settings, name = client.zero_trust.access.certificates.settings, host()
    wanted = {"hostname": name, "china_network": False, "client_certificate_forwarding": True}
    [entry] = [it for it in settings.update(**door, settings=[wanted]) if it.hostname == name]
    assert (entry.china_network, entry.client_certificate_forwarding) == (False, True)
    assert name in [it.hostname for it in settings.get(**door)]
    settings.update(**door, settings=[wanted | {"client_certificate_forwarding": False}])


def test_the_curl_call_of_the_seed(administered, host):
    name = host()
    body = f'{{\n"settings": [\n{{\n"hostname": "{name}",\n"china_network": false,\n"client_certificate_forwarding": true\n}}\n]\n}}'
    trust = ["--cacert", administered.ca] if administered.ca else []
    answer = subprocess.run(
        ["curl", "--silent", "--fail-with-body", *trust, "--request", "PUT",
         f"{administered.base_url}/zones/{administered.zone_id}/access/certificates/settings",
         "--header", "X-Auth-Email: someone@example.com", "--header", f"X-Auth-Key: {administered.token}",
         "--header", "Content-Type: application/json", "--data", body],
        capture_output=True, text=True, timeout=30)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert f'"hostname":"{name}"' in answer.stdout and '"success":true' in answer.stdout


def test_an_authority_of_the_account(client, account, zone, host, ca):
    certificates, name = client.mtls_certificates, host()
    made = certificates.create(**account, ca=True, certificates=ca, name="example_ca_cert")
    assert (made.ca, made.certificates, made.type) == (True, ca, "custom")
    assert made.id in [it.id for it in certificates.list(**account)]
    associations = client.certificate_authorities.hostname_associations
    assert associations.update(**zone, hostnames=[name], mtls_certificate_id=made.id).hostnames == [name]
    assert associations.get(**zone, mtls_certificate_id=made.id).hostnames == [name]
    assert [it.service for it in certificates.associations.get(made.id, **account)] == ["access"]
    with pytest.raises(cloudflare.ConflictError):
        certificates.delete(made.id, **account)
    assert associations.update(**zone, hostnames=[], mtls_certificate_id=made.id).hostnames == []
    assert certificates.delete(made.id, **account).id == made.id


def test_certificates_that_the_gateway_issues(client, zone, host):
    associations, certificates, name = client.certificate_authorities.hostname_associations, client.client_certificates, host()
    before = associations.get(**zone).hostnames or []
    assert set(associations.update(**zone, hostnames=[*before, name]).hostnames) == {*before, name}
    key = ec.generate_private_key(ec.SECP256R1())
    request = x509.CertificateSigningRequestBuilder(named("robot")).sign(key, hashes.SHA256())
    made = certificates.create(**zone, csr=pem(request), validity_days=90)
    issued = x509.load_pem_x509_certificate(made.certificate.encode())
    assert issued.subject == named("robot") and issued.public_key() == key.public_key()
    assert (made.status, made.common_name, made.validity_days) == ("active", "robot", 90)
    assert made.fingerprint_sha256 == issued.fingerprint(hashes.SHA256()).hex()
    assert int(made.serial_number, 16) == issued.serial_number
    assert made.certificate_authority.name
    assert made.id in [it.id for it in certificates.list(**zone, status="active")]
    assert certificates.get(made.id, **zone).certificate == made.certificate
    assert certificates.delete(made.id, **zone).status == "revoked"
    assert made.id not in [it.id for it in certificates.list(**zone, status="active")]
    assert certificates.edit(made.id, **zone, reactivate=True).status == "active"
    certificates.delete(made.id, **zone)
    associations.update(**zone, hostnames=before)


def test_managed_transforms(client, zone):
    transforms = client.managed_transforms
    on = [{"id": MANAGED, "enabled": True}]
    changed = transforms.edit(**zone, managed_request_headers=on, managed_response_headers=[])
    assert [(it.id, it.enabled) for it in changed.managed_request_headers] == [(MANAGED, True)]
    assert [(it.id, it.enabled) for it in transforms.list(**zone).managed_response_headers] == [(MANAGED, False)]
    transforms.delete(**zone)
    assert not transforms.list(**zone).managed_request_headers[0].enabled


def test_errors_say_what_is_wrong(client, account, zone, host):
    with pytest.raises(cloudflare.BadRequestError) as caught:
        client.zero_trust.access.certificates.create(**account, certificate=base64.b64encode(b"x" * 99).decode(), name="x")
    assert caught.value.body["errors"][0]["source"]["pointer"] == "/certificate"
    with pytest.raises(cloudflare.BadRequestError) as caught:
        client.zero_trust.access.certificates.settings.update(**zone, settings=[
            {"hostname": "elsewhere.invalid", "china_network": False, "client_certificate_forwarding": True}])
    assert caught.value.body["errors"][0]["code"] == 12036
    with pytest.raises(cloudflare.BadRequestError):
        client.client_certificates.create(**zone, csr="no request", validity_days=1)
