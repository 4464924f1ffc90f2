//! Trust material: what is put in force, what is refused, and when the trust of a hostname counts as changed.

mod parts;

use narthex_model::{CertificateAuthority, ClientCertificate, HostnameSetting, ManagedTransforms};
use narthex_snapshot::{Fault, FaultAt, FaultCode, Live, Snapshot};
use parts::{Parts, uuid};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, KeyPair, KeyUsagePurpose};
use serde_json::{Value, json};
use std::sync::Arc;

/// A self-signed certificate.
fn certificate(name: &str, ca: bool) -> String {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    if ca {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    }
    params.self_signed(&KeyPair::generate().expect("a key")).expect("a certificate").pem()
}

fn authority(n: usize, pem: &str, settings: Value) -> CertificateAuthority {
    let mut body = json!({
        "id": uuid("certificate", n), "name": format!("ca{n}"), "kind": "access", "certificates": pem,
        "hostnames": ["app.example.com"], "fingerprint": "", "expires_on": "2040-01-01T00:00:00Z",
        "created_at": format!("2026-01-01T00:00:{n:02}Z"), "updated_at": "2026-01-01T00:00:00Z",
    });
    body.as_object_mut().expect("an object").extend(settings.as_object().expect("one").clone());
    serde_json::from_value(body).expect("an authority")
}

fn with(mut parts: Parts, authority: CertificateAuthority) -> Parts {
    parts.configuration.certificate_authorities.insert(authority.id, Arc::new(authority));
    parts
}

fn setting(mut parts: Parts, host: &str, settings: Value) -> Parts {
    let mut body = json!({"hostname": host, "client_certificate_forwarding": false});
    body.as_object_mut().expect("an object").extend(settings.as_object().expect("one").clone());
    let setting: HostnameSetting = serde_json::from_value(body).expect("a setting");
    parts
        .configuration
        .hostname_settings
        .insert(setting.hostname.host().clone(), Arc::new(setting));
    parts
}

fn fault(parts: &Parts) -> Option<(FaultAt, String, FaultCode)> {
    let told = |f: Fault| {
        assert!(!f.message.is_empty());
        (f.object, f.pointer, f.code)
    };
    parts.compile().err().map(told)
}

#[test]
fn unreadable_trust_material_refuses_the_whole_change() {
    let (ca, leaf) = (certificate("Staff CA", true), certificate("robot", false));
    let damaged = "-----BEGIN CERTIFICATE-----\nMAM=\n-----END CERTIFICATE-----";
    let hosts = |hosts: Value| json!({ "hostnames": hosts });
    let crl = |crl: Value| json!({"revocation": {"crl": crl}});
    let ocsp = |url: &str| json!({"revocation": {"ocsp": {"mode": "hard", "url": url}}});
    for (name, pem, settings, want) in [
        ("a CA", &ca, json!({}), None),
        ("a leaf", &leaf, json!({}), Some("/certificate")),
        ("a CA and a leaf", &format!("{ca}{leaf}"), json!({}), Some("/certificate")),
        ("damage", &damaged.to_owned(), json!({}), Some("/certificate")),
        ("no hostname", &ca, hosts(json!([])), None),
        (
            "another zone",
            &ca,
            hosts(json!(["a.example.com", "a.example.org"])),
            Some("/associated_hostnames/1"),
        ),
        (
            "twice",
            &ca,
            hosts(json!(["a.example.com", "A.example.com"])),
            Some("/associated_hostnames/1"),
        ),
        (
            "the team domain",
            &ca,
            hosts(json!(["access.example.com"])),
            Some("/associated_hostnames/0"),
        ),
        (
            "the admin host",
            &ca,
            hosts(json!(["admin.example.com"])),
            Some("/associated_hostnames/0"),
        ),
        ("a list", &ca, crl(json!({"urls": ["http://ca.example/a.crl"], "refresh": "1m"})), None),
        (
            "a list by ftp",
            &ca,
            crl(json!({"urls": ["ftp://ca.example/a"]})),
            Some("/revocation/crl/urls/0"),
        ),
        (
            "a list with a password",
            &ca,
            crl(json!({"urls": ["http://u:p@ca.example/"]})),
            Some("/revocation/crl/urls/0"),
        ),
        (
            "a list twice",
            &ca,
            crl(json!({"urls": ["http://ca.example/", "http://ca.example"]})),
            Some("/revocation/crl/urls/1"),
        ),
        ("every second", &ca, crl(json!({"refresh": "1s"})), Some("/revocation/crl/refresh")),
        ("a year late", &ca, crl(json!({"grace": "8760h"})), Some("/revocation/crl/grace")),
        ("a responder", &ca, ocsp("http://ca.example/"), None),
        ("a responder in a file", &ca, ocsp("file:///etc/passwd"), Some("/revocation/ocsp/url")),
    ] {
        let one = authority(1, pem, settings);
        let at = FaultAt::CertificateAuthority(one.id);
        let want = want.map(|pointer| (at, pointer.to_owned(), FaultCode::Invalid));
        assert_eq!(fault(&with(Parts::default(), one)), want, "{name}");
    }
}

#[test]
fn the_same_certificate_is_not_uploaded_twice_and_not_for_ever_more() {
    let ca = certificate("Staff CA", true);
    let two =
        with(with(Parts::default(), authority(1, &ca, json!({}))), authority(2, &ca, json!({})));
    let at = FaultAt::CertificateAuthority(uuid("certificate", 2).parse().expect("an id"));
    assert_eq!(fault(&two), Some((at, "/certificate".to_owned(), FaultCode::Duplicate)));
    let kinds = authority(2, &ca, json!({"kind": "account"}));
    assert_eq!(fault(&with(with(Parts::default(), authority(1, &ca, json!({}))), kinds)), None);

    let mut many = Parts::default();
    for n in 0..50 {
        many = with(many, authority(n, &certificate("Staff CA", true), json!({})));
    }
    assert_eq!(fault(&many), None, "fifty");
    let many = with(many, authority(50, &ca, json!({})));
    let at = FaultAt::CertificateAuthority(uuid("certificate", 50).parse().expect("an id"));
    assert_eq!(fault(&many), Some((at, String::new(), FaultCode::Invalid)), "fifty-one");
}

#[test]
fn a_rule_names_an_authority_that_is_there() {
    let rules = |id: &str| json!({"include": [{"everyone": {}}], "require": [{"certificate": {"certificate_id": id}}]});
    let ca = authority(1, &certificate("Staff CA", true), json!({}));
    let sound = Parts::default().policy(0, "allow", rules(&uuid("certificate", 1)));
    assert_eq!(fault(&with(sound, ca)), None);
    let gone = Parts::default().policy(0, "allow", rules(&uuid("certificate", 1)));
    let at = FaultAt::Policy(uuid("policy", 0).parse().expect("an id"));
    assert_eq!(fault(&gone), Some((at, "/require/0".to_owned(), FaultCode::Missing)));
    let gone = Parts::default().group(0, rules(&uuid("certificate", 1)));
    let at = FaultAt::Group(uuid("group", 0).parse().expect("an id"));
    assert_eq!(fault(&gone), Some((at, "/require/0".to_owned(), FaultCode::Missing)));
}

fn trust(snapshot: &Snapshot, host: &str) -> Option<(usize, [u8; 32])> {
    let rule = snapshot.certificate_rule(&host.parse().expect("a name"))?;
    assert_eq!(rule.authorities.len(), rule.trust.members().len());
    Some((rule.authorities.len(), *rule.trust.digest().octets()))
}

#[test]
fn a_certificate_is_asked_for_where_something_wants_one() {
    let ca = certificate("Staff CA", true);
    let parts = with(
        Parts::default(),
        authority(1, &ca, json!({"hostnames": ["a.example.com", "b.example.com"]})),
    );
    let parts = with(
        parts,
        authority(2, &certificate("New CA", true), json!({"hostnames": ["b.example.com"]})),
    );
    let parts = setting(parts, "c.example.com", json!({"client_certificate_forwarding": true}));
    let parts = setting(
        parts,
        "d.example.com",
        json!({"request_headers": {"X-A": {"field": "certSerial"}}}),
    );
    let parts = setting(parts, "e.example.com", json!({}));
    let snapshot = parts.compile().expect("a snapshot");
    for (host, authorities) in [
        ("a.example.com", Some(1)),
        ("b.example.com", Some(2)),
        ("c.example.com", Some(0)),
        ("d.example.com", Some(0)),
        ("e.example.com", None),
        ("sub.a.example.com", None),
    ] {
        assert_eq!(trust(&snapshot, host).map(|(n, _)| n), authorities, "{host}");
    }
    let outside = setting(Parts::default(), "a.example.org", json!({}));
    let pointer = "/a.example.org/hostname".to_owned();
    assert_eq!(fault(&outside), Some((FaultAt::HostnameSettings, pointer, FaultCode::Invalid)));
}

#[test]
fn the_digest_changes_exactly_when_the_trust_of_the_hostname_does() {
    let (one, two) = (certificate("Staff CA", true), certificate("New CA", true));
    let base = || {
        let parts =
            with(Parts::default(), authority(1, &one, json!({"hostnames": ["a.example.com"]})));
        with(parts, authority(2, &two, json!({"hostnames": ["b.example.com"]})))
    };
    let digest = |parts: Parts| {
        trust(&parts.compile().expect("a snapshot"), "a.example.com").map(|(_, d)| d)
    };
    let before = digest(base());
    let on_a = |settings: Value| {
        let mut settings = settings;
        settings["hostnames"] = json!(["a.example.com"]);
        with(base(), authority(1, &one, settings))
    };
    let issued = |status: &str, n: usize| {
        let certificate: ClientCertificate = serde_json::from_value(json!({
            "id": uuid("issued", 0), "authority": uuid("certificate", n), "certificate": one, "csr": "",
            "status": status, "serial_number": "0A1B", "fingerprint_sha256": "", "ski": "", "signature": "",
            "subject": {"common_name": "", "country": "", "state": "", "location": "", "organization": "",
                "organizational_unit": ""},
            "validity_days": 1, "issued_on": "2026-01-01T00:00:00Z", "expires_on": "2027-01-01T00:00:00Z",
            "zone": "ab".repeat(16),
        }))
        .expect("a certificate");
        let mut parts = base();
        parts.configuration.client_certificates.insert(certificate.id, Arc::new(certificate));
        parts
    };
    for (name, parts, changes) in [
        ("nothing", base(), false),
        ("a new name for people", on_a(json!({"name": "renamed"})), false),
        (
            "another hostname's CA",
            with(base(), authority(2, &two, json!({"hostnames": []}))),
            false,
        ),
        (
            "what the origin is told",
            setting(base(), "a.example.com", json!({"client_certificate_forwarding": true})),
            false,
        ),
        (
            "another CA beside it",
            with(base(), authority(2, &two, json!({"hostnames": ["a.example.com"]}))),
            true,
        ),
        (
            "another CA in its place",
            with(
                base(),
                authority(
                    1,
                    &two.clone(),
                    json!({"hostnames": ["a.example.com"], "kind": "account"}),
                ),
            ),
            true,
        ),
        ("a serial number revoked", on_a(json!({"revocation": {"serial_numbers": ["A1B"]}})), true),
        (
            "a list is required",
            on_a(json!({"revocation": {"crl": {"urls": ["http://ca.example/"]}}})),
            true,
        ),
        ("its responder is asked", on_a(json!({"revocation": {"ocsp": {"mode": "soft"}}})), true),
        ("an issued certificate", issued("active", 1), false),
        ("an issued certificate, revoked", issued("revoked", 1), true),
        ("one of another CA, revoked", issued("revoked", 2), false),
    ] {
        assert_eq!(digest(parts) != before, changes, "{name}");
    }
    assert_ne!(
        digest(issued("revoked", 1)),
        digest(on_a(json!({"revocation": {"serial_numbers": ["A1C"]}})))
    );
}

#[test]
fn streams_are_asked_anew_when_a_trust_changes() {
    let ca = certificate("Staff CA", true);
    let with_hosts = |hosts: Value| {
        with(Parts::default(), authority(1, &ca, json!({ "hostnames": hosts })))
            .compile()
            .expect("a snapshot")
    };
    let live = Live::new(with_hosts(json!(["a.example.com"])));
    for (name, hosts, rings) in [
        ("nothing new", json!(["a.example.com"]), false),
        ("another hostname beside it", json!(["a.example.com", "b.example.com"]), true),
        ("one of them no more", json!(["a.example.com"]), true),
        ("none any more", json!([]), true),
    ] {
        let before = live.revocations.generation();
        live.publish(with_hosts(hosts));
        assert_eq!(live.revocations.generation() != before, rings, "{name}");
    }
}

#[test]
fn managed_headers_are_switched_by_zone() {
    let mut parts = with(
        Parts::default(),
        authority(
            1,
            &certificate("Staff CA", true),
            json!({"hostnames": ["a.example.com", "a.lab.example.com"]}),
        ),
    );
    let zone = parts.premises.zones[0].id.clone();
    let transforms: ManagedTransforms =
        serde_json::from_value(json!({"zone": zone, "client_certificate_request_headers": true}))
            .expect("switches");
    parts.configuration.managed_transforms.insert(zone, Arc::new(transforms));
    let snapshot = parts.compile().expect("a snapshot");
    for (host, on) in [
        ("a.example.com", true),
        ("example.com", true),
        ("a.lab.example.com", false),
        ("example.org", false),
    ] {
        let host = host.parse().expect("a name");
        let managed = snapshot.managed_headers(&host);
        assert_eq!((managed.on_requests, managed.on_responses), (on, false), "{host}");
        if let Some(rule) = snapshot.certificate_rule(&host) {
            assert_eq!(rule.managed, managed, "{host}");
        }
    }
}
