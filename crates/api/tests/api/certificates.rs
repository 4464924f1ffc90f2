//! Client certificates: authorities, what origins are told, certificates that the gateway issues, revocation.

use crate::gateway::{ACCOUNT, Gateway, NOW, STAMP, TOKEN, ZONE, full};
use bytes::Bytes;
use http::{Method, Request};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, IsCa, Issuer,
    KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SerialNumber,
};
use serde_json::{Value, json};

const CERTIFICATES: &str = "{A}/access/certificates";
const SETTINGS: &str = "{Z}/access/certificates/settings";

/// An authority that a customer runs, with its key.
struct Ca {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Ca {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.not_before = date(0);
        params.not_after = date(365);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { pem, issuer: Issuer::new(params, key) }
    }

    /// A list that revokes these serial numbers.
    fn list(&self, number: u64, revoked: &[u64]) -> String {
        let revoked = revoked.iter().map(|serial| RevokedCertParams {
            serial_number: SerialNumber::from(*serial),
            revocation_time: date(1),
            reason_code: None,
            invalidity_date: None,
        });
        let params = CertificateRevocationListParams {
            this_update: date(i64::try_from(number).unwrap()),
            next_update: date(30),
            crl_number: SerialNumber::from(number),
            issuing_distribution_point: None,
            revoked_certs: revoked.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(&self.issuer).unwrap().pem().unwrap()
    }
}

/// So many days after the day of the tests.
fn date(days: i64) -> time::OffsetDateTime {
    time::OffsetDateTime::from_unix_timestamp(NOW.0 + days * 86_400).unwrap()
}

fn id(object: &Value) -> &str {
    object["id"].as_str().unwrap()
}

async fn upload(gateway: &Gateway, ca: &Ca, hosts: Value) -> Value {
    let body = json!({"certificate": ca.pem, "name": "Allow devs", "associated_hostnames": hosts});
    gateway.result(Method::POST, CERTIFICATES, body, 201).await
}

/// The trust of a hostname: how many authorities, and which state.
fn trust(gateway: &Gateway, host: &str) -> Option<(usize, [u8; 32])> {
    let snapshot = gateway.live.snapshot.load();
    let rule = snapshot.certificate_rule(&host.parse().unwrap())?;
    Some((rule.authorities.len(), *rule.trust.digest().octets()))
}

/// Observed call 5, and what becomes of the object.
#[tokio::test]
async fn an_authority_is_uploaded_associated_and_deleted() {
    let gateway = Gateway::new().await;
    let ca = Ca::new("Staff CA");
    let made = upload(&gateway, &ca, json!(["admin.example.com"])).await;
    let print = made["fingerprint"].as_str().unwrap();
    assert!(print.starts_with("MD5 Fingerprint=") && print.len() == 16 + 47, "{print}");
    let want = json!({
        "id": id(&made), "name": "Allow devs", "fingerprint": print, "expires_on": "2027-09-21T14:13:20Z",
        "associated_hostnames": ["admin.example.com"], "expires_soon": false, "created_at": STAMP, "updated_at": STAMP,
    });
    assert_eq!(made, want);
    let path = format!("{CERTIFICATES}/{}", id(&made));
    assert_eq!(gateway.result(Method::GET, &path, "", 200).await, want);
    assert_eq!(gateway.get(CERTIFICATES).await.1["result"], json!([want]));
    assert_eq!(trust(&gateway, "admin.example.com").map(|(n, _)| n), Some(1));

    let in_use = gateway.refusal(Method::DELETE, &path, "").await;
    let text = "access.api.error.conflict: certificate has active associations".to_owned();
    assert_eq!(in_use, (409, 12_132, text, String::new()));
    let renamed =
        json!({"name": "Devs", "associated_hostnames": ["a.example.com", "b.example.org"]});
    let renamed = gateway.result(Method::PUT, &path, renamed, 200).await;
    assert_eq!(renamed["associated_hostnames"], json!(["a.example.com", "b.example.org"]));
    assert_eq!(trust(&gateway, "admin.example.com"), None);
    let emptied = gateway.result(Method::PUT, &path, "{}", 200).await;
    assert_eq!((&emptied["name"], &emptied["associated_hostnames"]), (&json!("Devs"), &json!([])));
    assert_eq!(gateway.result(Method::DELETE, &path, "", 202).await, json!({"id": id(&made)}));
    assert_eq!(gateway.refusal(Method::GET, &path, "").await.0, 404);
}

#[tokio::test]
async fn hostnames_come_back_as_they_were_written_and_are_one_however_they_are() {
    let gateway = Gateway::new().await;
    let ca = Ca::new("Staff CA");
    let hosts = json!(["App.Example.COM", "wiki.example.com"]);
    let made = upload(&gateway, &ca, hosts.clone()).await;
    let one = format!("{CERTIFICATES}/{}", id(&made));
    assert_eq!(made["associated_hostnames"], hosts);
    assert_eq!(gateway.result(Method::GET, &one, "", 200).await["associated_hostnames"], hosts);
    assert_eq!(trust(&gateway, "app.example.com").map(|(count, _)| count), Some(1));
    let respelled = json!({"name": "Staff", "associated_hostnames": ["app.example.com."]});
    let changed = gateway.result(Method::PUT, &one, &respelled, 200).await;
    assert_eq!(changed["associated_hostnames"], respelled["associated_hostnames"]);
    assert_eq!(trust(&gateway, "app.example.com").map(|(count, _)| count), Some(1));
    let twice = json!({"associated_hostnames": ["app.example.com", "APP.example.com"]});
    assert_eq!(gateway.refusal(Method::PUT, &one, &twice).await.0, 400);

    let associations = "{Z}/certificate_authorities/hostname_associations";
    let body = json!({"hostnames": ["API.example.com"]});
    assert_eq!(gateway.result(Method::PUT, associations, &body, 200).await, body);
    assert_eq!(gateway.result(Method::GET, associations, "", 200).await, body);
    let twice = json!({"hostnames": ["API.example.com", "api.example.com"]});
    assert_eq!(gateway.refusal(Method::PUT, associations, &twice).await.0, 400);

    let settings = format!("{CERTIFICATES}/settings");
    let setting = |hostname: &str| json!({"hostname": hostname, "china_network": false, "client_certificate_forwarding": true});
    for spelling in ["APP.example.com", "App.example.com"] {
        let body = json!({"settings": [setting(spelling)]});
        let all = gateway.result(Method::PUT, &settings, &body, 202).await;
        let names: Vec<_> = all.as_array().unwrap().iter().map(|it| &it["hostname"]).collect();
        assert_eq!(names, [spelling], "one setting, as it was written last");
    }
}

#[tokio::test]
async fn what_is_no_authority_of_ours_is_refused_with_its_place() {
    let gateway = Gateway::new().await;
    let ca = Ca::new("Staff CA");
    let leaf =
        CertificateParams::default().self_signed(&KeyPair::generate().unwrap()).unwrap().pem();
    let with = |name: &str, value: Value| {
        let mut body = json!({"certificate": ca.pem, "name": "CA"});
        body[name] = value;
        body
    };
    let key = KeyPair::generate().unwrap().serialize_pem();
    for (body, pointer) in [
        (with("certificate", json!(leaf)), "/certificate"),
        (with("certificate", json!(key)), "/certificate"),
        (with("certificate", json!("MIIC")), "/certificate"),
        (with("certificate", Value::Null), "/certificate"),
        (with("name", json!("")), "/name"),
        (
            with("associated_hostnames", json!(["a.example.com", "10.0.0.1"])),
            "/associated_hostnames/1",
        ),
        (with("associated_hostnames", json!(["a.example.net"])), "/associated_hostnames/0"),
        (with("associated_hostnames", json!(["access.example.com"])), "/associated_hostnames/0"),
        (with("revocation", json!({"crl": {"urls": ["ftp://x/"]}})), "/revocation/crl/urls/0"),
        (with("revocation", json!({"ocsp": {"mode": "perhaps"}})), "/revocation/ocsp/mode"),
    ] {
        let (status, code, message, at) = gateway.refusal(Method::POST, CERTIFICATES, &body).await;
        assert_eq!((status, code, at.as_str()), (400, 12_130, pointer), "{message}");
    }
    assert_eq!(gateway.get(CERTIFICATES).await.1["result"], json!([]), "nothing was changed");
    let escaped = with("certificate", json!(ca.pem.replace('\n', "\\n")));
    gateway.result(Method::POST, CERTIFICATES, escaped, 201).await;
    gateway.clock.advance(1);
    let again = gateway.refusal(Method::POST, CERTIFICATES, with("name", json!("again"))).await;
    assert_eq!((again.0, again.1, again.3.as_str()), (409, 12_132, "/certificate"));
}

#[tokio::test]
async fn a_zone_sees_its_own() {
    let gateway = Gateway::new().await;
    let (one, two) = (Ca::new("one"), Ca::new("two"));
    upload(&gateway, &one, json!([])).await;
    let body =
        json!({"certificate": two.pem, "name": "two", "associated_hostnames": ["a.example.com"]});
    let made = gateway.result(Method::POST, "{Z}/access/certificates", &body, 201).await;
    let names = |answer: Value| {
        let names = answer["result"].as_array().unwrap().iter().map(|it| it["name"].to_string());
        let mut names: Vec<String> = names.collect();
        names.sort();
        format!("[{}]", names.join(","))
    };
    assert_eq!(names(gateway.get(CERTIFICATES).await.1), r#"["Allow devs","two"]"#);
    assert_eq!(names(gateway.get("{Z}/access/certificates").await.1), r#"["two"]"#);
    assert_eq!(names(gateway.get("{Y}/access/certificates").await.1), "[]");
    assert_eq!(names(gateway.get(&format!("{CERTIFICATES}?page=2")).await.1), "[]");
    let elsewhere = format!("{{Y}}/access/certificates/{}", id(&made));
    assert_eq!(gateway.refusal(Method::PUT, &elsewhere, "{}").await.0, 404);
    let foreign =
        json!({"certificate": one.pem, "name": "x", "associated_hostnames": ["a.example.org"]});
    let (status, _, _, at) =
        gateway.refusal(Method::POST, "{Z}/access/certificates", foreign).await;
    assert_eq!((status, at.as_str()), (400, "/associated_hostnames/0"));
}

/// The request of seed 000, as its curl command sends it.
#[tokio::test]
async fn the_request_of_the_seed_works_as_it_stands() {
    let gateway = Gateway::new().await;
    let body = "{\n\"settings\": [\n{\n\"hostname\": \"admin.example.com\",\n\"china_network\": false,\n\"client_certificate_forwarding\": true\n}\n]\n}";
    let request = Request::builder()
        .method(Method::PUT)
        .uri(full(SETTINGS))
        .header("x-auth-email", "someone@example.com")
        .header("x-auth-key", TOKEN)
        .header("content-type", "application/json")
        .body(Bytes::from(body))
        .unwrap();
    let response = gateway.send(request).await;
    assert_eq!(response.status(), 202);
    let answer: Value = serde_json::from_slice(response.body()).unwrap();
    let want = json!([{
        "hostname": "admin.example.com", "china_network": false, "client_certificate_forwarding": true,
        "forwarded_requests": "first", "forwarded_form": "cloudflare", "request_headers": {},
    }]);
    assert_eq!((&answer["success"], &answer["result"]), (&json!(true), &want));
    for (path, want) in [
        (SETTINGS, &want),
        ("{A}/access/certificates/settings", &want),
        ("{Y}/access/certificates/settings", &json!([])),
    ] {
        assert_eq!(gateway.get(path).await.1["result"], *want, "{path}");
    }
    assert_eq!(trust(&gateway, "admin.example.com").map(|(n, _)| n), Some(0), "asked for");
    let snapshot = gateway.live.snapshot.load();
    let rule = snapshot.certificate_rule(&"admin.example.com".parse().unwrap()).unwrap();
    assert!(rule.setting.as_ref().unwrap().client_certificate_forwarding);
}

#[tokio::test]
async fn settings_replace_what_they_name_and_keep_what_they_do_not_know() {
    let gateway = Gateway::new().await;
    let entry = |host: &str, on: bool| json!({"hostname": host, "china_network": false, "client_certificate_forwarding": on});
    let mut ours = entry("a.example.com", true);
    ours["forwarded_requests"] = "every".into();
    ours["forwarded_form"] = "both".into();
    ours["request_headers"] =
        json!({"X-CERT-SERIAL": {"field": "certSerial"}, "X-Env": {"value": "prod"}});
    let set = |settings: Value| json!({ "settings": settings });
    let first = gateway.result(Method::PUT, SETTINGS, set(json!([ours])), 202).await;
    assert_eq!(first, json!([ours]));
    let plain = set(json!([entry("a.example.com", false), entry("b.example.com", true)]));
    let second = gateway.result(Method::PUT, SETTINGS, plain, 202).await;
    assert_eq!(second.as_array().unwrap().len(), 2);
    assert_eq!(second[0]["client_certificate_forwarding"], false);
    for kept in ["forwarded_requests", "forwarded_form", "request_headers"] {
        assert_eq!(second[0][kept], ours[kept], "{kept}");
    }
    let mut reset = entry("a.example.com", false);
    reset["request_headers"] = Value::Null;
    let third = gateway.result(Method::PUT, SETTINGS, set(json!([reset])), 202).await;
    assert_eq!(
        (&third[0]["request_headers"], &third[0]["forwarded_form"]),
        (&json!({}), &json!("both"))
    );
    assert_eq!(third[1]["client_certificate_forwarding"], true, "a hostname that was not named");

    let mut china = entry("a.example.com", true);
    china["china_network"] = true.into();
    let mut half = entry("a.example.com", true);
    half.as_object_mut().unwrap().remove("china_network");
    let mut reserved = entry("a.example.com", true);
    reserved["request_headers"] = json!({"Cf-Access-Jwt-Assertion": {"value": "x"}});
    for (settings, code, pointer) in [
        (
            json!([entry("b.example.com", true), entry("a.example.org", true)]),
            12_036,
            "/settings/1/hostname",
        ),
        (json!([entry("access.example.com", true)]), 12_130, "/settings/0/hostname"),
        (
            json!([entry("a.example.com", true), entry("A.example.com", false)]),
            12_130,
            "/settings/1/hostname",
        ),
        (json!([china]), 12_130, "/settings/0/china_network"),
        (json!([half]), 12_130, "/settings/0/china_network"),
        (json!([reserved]), 12_130, "/settings/0/request_headers/Cf-Access-Jwt-Assertion"),
        (json!({}), 12_130, "/settings"),
    ] {
        let refused = gateway.refusal(Method::PUT, SETTINGS, set(settings.clone())).await;
        assert_eq!(
            (refused.0, refused.1, refused.3.as_str()),
            (400, code, pointer),
            "{settings} {}",
            refused.2
        );
    }
    let foreign =
        gateway.refusal(Method::PUT, SETTINGS, set(json!([entry("a.example.net", true)]))).await;
    assert!(
        foreign.2.starts_with("access.api.error.hostnames_must_belong_to_your_domain"),
        "{}",
        foreign.2
    );
}

/// Observed call 13.
#[tokio::test]
async fn managed_transforms_are_switched_one_by_one() {
    let gateway = Gateway::new().await;
    let path = "{Z}/managed_headers";
    let shown = |request: bool, response: bool| {
        let entry = |on: bool| json!([{"id": "add_client_certificate_headers", "enabled": on, "has_conflict": false, "conflicts_with": []}]);
        json!({"managed_request_headers": entry(request), "managed_response_headers": entry(response)})
    };
    assert_eq!(gateway.result(Method::GET, path, "", 200).await, shown(false, false));
    let on = json!([{"id": "add_client_certificate_headers", "enabled": true}]);
    let observed = json!({"managed_request_headers": on, "managed_response_headers": []});
    assert_eq!(gateway.result(Method::PATCH, path, observed, 200).await, shown(true, false));
    let response = json!({"managed_response_headers": on});
    assert_eq!(gateway.result(Method::PATCH, path, response, 200).await, shown(true, true));
    let managed = |host: &str| gateway.live.snapshot.load().managed_headers(&host.parse().unwrap());
    assert!(managed("a.example.com").on_requests && managed("a.example.com").on_responses);
    assert!(!managed("a.example.org").on_requests, "another zone");
    for (id, enabled, status) in [
        ("add_security_headers", false, 200),
        ("add_security_headers", true, 400),
        ("add_everything", false, 400),
    ] {
        let body = json!({"managed_request_headers": [{"id": id, "enabled": enabled}]});
        assert_eq!(gateway.call(Method::PATCH, path, body).await.0, status, "{id} {enabled}");
    }
    assert_eq!(gateway.result(Method::DELETE, path, "", 200).await, Value::Null);
    assert_eq!(gateway.result(Method::GET, path, "", 200).await, shown(false, false));
}

#[tokio::test]
async fn authorities_of_the_account_are_put_to_use_zone_by_zone() {
    let gateway = Gateway::new().await;
    let ca = Ca::new("Staff CA");
    let (path, put) =
        ("{A}/mtls_certificates", "{Z}/certificate_authorities/hostname_associations");
    let body = json!({"ca": true, "certificates": ca.pem, "name": "example_ca_cert"});
    let made = gateway.result(Method::POST, path, &body, 200).await;
    assert_eq!(
        (&made["ca"], &made["type"], &made["issuer"]),
        (&json!(true), &json!("custom"), &json!("CN=Staff CA"))
    );
    assert_eq!(
        (&made["signature"], &made["certificates"]),
        (&json!("ECDSAWithSHA256"), &json!(ca.pem))
    );
    assert!(made["serial_number"].as_str().unwrap().bytes().all(|b| b.is_ascii_digit()), "{made}");
    assert_eq!(gateway.get(path).await.1["result"], json!([made]));
    assert_eq!(gateway.get(&format!("{path}?type=gateway_managed")).await.1["result"], json!([]));
    assert_eq!(gateway.get(CERTIFICATES).await.1["result"], json!([]), "not one of Access");
    let one = format!("{path}/{}", id(&made));
    let associations = format!("{one}/associations");
    assert_eq!(gateway.result(Method::GET, &associations, "", 200).await, json!([]));

    let hosts = |zone: &str, hosts: Value| {
        let body = json!({"hostnames": hosts, "mtls_certificate_id": id(&made)});
        (put.replace("{Z}", zone), body)
    };
    let (at, body) = hosts("{Z}", json!(["api.example.com"]));
    assert_eq!(
        gateway.result(Method::PUT, &at, body, 200).await,
        json!({"hostnames": ["api.example.com"]})
    );
    let (at, body) = hosts("{Y}", json!(["api.example.org"]));
    assert_eq!(
        gateway.result(Method::PUT, &at, body, 200).await,
        json!({"hostnames": ["api.example.org"]})
    );
    let asked = format!("{put}?mtls_certificate_id={}", id(&made));
    assert_eq!(
        gateway.result(Method::GET, &asked, "", 200).await,
        json!({"hostnames": ["api.example.com"]})
    );
    assert_eq!(trust(&gateway, "api.example.com").map(|(n, _)| n), Some(1));
    assert_eq!(
        gateway.result(Method::GET, &associations, "", 200).await,
        json!([{"service": "access", "status": "active"}])
    );
    assert_eq!(gateway.refusal(Method::DELETE, &one, "").await.0, 409);
    let (at, body) = hosts("{Z}", json!(["api.example.org"]));
    assert_eq!(gateway.refusal(Method::PUT, &at, body).await.3, "/hostnames/0", "another zone");
    for zone in ["{Z}", "{Y}"] {
        let (at, body) = hosts(zone, json!([]));
        gateway.result(Method::PUT, &at, body, 200).await;
    }
    assert_eq!(gateway.result(Method::DELETE, &one, "", 200).await["id"], made["id"]);
    for (name, value) in
        [("ca", json!(false)), ("private_key", json!("-----BEGIN")), ("certificates", json!("x"))]
    {
        let mut body = json!({"ca": true, "certificates": ca.pem});
        body[name] = value;
        assert_eq!(gateway.refusal(Method::POST, path, body).await.3, format!("/{name}"));
    }
}

/// Observed call 14, and the certificates that the gateway's own authority signs.
#[tokio::test]
async fn the_gateway_issues_revokes_and_reactivates() {
    let gateway = Gateway::new().await;
    let associations = "{Z}/certificate_authorities/hostname_associations";
    assert_eq!(gateway.result(Method::GET, associations, "", 200).await, json!({"hostnames": []}));
    let hosts = json!({"hostnames": ["api.example.com"]});
    assert_eq!(gateway.result(Method::PUT, associations, &hosts, 200).await, hosts);
    let before = trust(&gateway, "api.example.com").unwrap();

    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    for (kind, text) in [
        (DnType::CountryName, "JP"),
        (DnType::OrganizationName, "Acme"),
        (DnType::CommonName, "robot"),
    ] {
        params.distinguished_name.push(kind, text);
    }
    let csr = params.serialize_request(&key).unwrap().pem().unwrap();
    let path = "{Z}/client_certificates";
    let made =
        gateway.result(Method::POST, path, json!({"csr": csr, "validity_days": 90}), 200).await;
    assert_eq!(
        (&made["common_name"], &made["organization"], &made["country"], &made["state"]),
        (&json!("robot"), &json!("Acme"), &json!("JP"), &json!(""))
    );
    assert_eq!(
        (&made["status"], &made["validity_days"], &made["csr"]),
        (&json!("active"), &json!(90), &json!(csr))
    );
    assert_eq!(made["expires_on"], "2026-12-20T14:13:20Z");
    assert!(made.get("private_key").is_none());
    let ca = &made["certificate_authority"]["name"];
    assert_eq!(*ca, format!("Narthex Managed CA for account {ACCOUNT}"));
    let read = narthex_cert::Certificate::from_pem(made["certificate"].as_str().unwrap()).unwrap();
    assert_eq!(made["serial_number"], read.serial().hex().to_ascii_lowercase());
    let chain = narthex_cert::PresentedChain::parse(&[read.der().clone()]).unwrap();
    let judged = || {
        let snapshot = gateway.live.snapshot.load();
        let rule = snapshot.certificate_rule(&"api.example.com".parse().unwrap()).unwrap();
        rule.trust.verify(&chain, &[], gateway.clock.now()).verified()
    };
    assert_eq!(judged(), "SUCCESS");
    assert_eq!(trust(&gateway, "api.example.com").unwrap(), before, "issuing changes no trust");

    let one = format!("{path}/{}", id(&made));
    let revoked = gateway.result(Method::DELETE, &one, "", 200).await;
    assert_eq!((&revoked["status"], &revoked["revoked_at"]), (&json!("revoked"), &json!(STAMP)));
    assert!(judged().starts_with("FAILED"), "{}", judged());
    assert_ne!(trust(&gateway, "api.example.com").unwrap(), before);
    for (status, count) in [("all", 1), ("active", 0), ("revoked", 1), ("pending_revocation", 0)] {
        let (_, answer) = gateway.get(&format!("{path}?status={status}")).await;
        assert_eq!(answer["result_info"]["total_count"], count, "{status}");
    }
    let again = gateway.result(Method::PATCH, &one, json!({"reactivate": true}), 200).await;
    assert_eq!((&again["status"], &again["revoked_at"]), (&json!("active"), &Value::Null));
    assert_eq!(judged(), "SUCCESS");
    assert_eq!(
        gateway.refusal(Method::GET, &one.replace("{Z}", "{Y}"), "").await.0,
        404,
        "another zone"
    );

    let ours = gateway
        .result(Method::POST, path, json!({"common_name": "laptop", "validity_days": 10}), 200)
        .await;
    assert!(ours["private_key"].as_str().unwrap().contains("PRIVATE KEY"), "a key, once");
    assert_eq!((&ours["common_name"], &ours["expires_soon"]), (&json!("laptop"), &json!(true)));
    let shown = gateway.result(Method::GET, &format!("{path}/{}", id(&ours)), "", 200).await;
    assert!(shown.get("private_key").is_none());
    assert_eq!(
        shown["certificate_authority"]["id"], made["certificate_authority"]["id"],
        "one authority"
    );
    let kept = format!("{:?}", gateway.store.load().await.unwrap());
    assert!(!kept.contains("PRIVATE KEY") && !kept.contains(ours["private_key"].as_str().unwrap()));

    for (body, pointer) in [
        (json!({}), "/csr"),
        (json!({"csr": "no request"}), "/csr"),
        (json!({"csr": csr, "validity_days": 0}), "/validity_days"),
        (json!({"csr": csr, "validity_days": 4000}), "/validity_days"),
        (json!({"csr": csr, "common_name": "x"}), "/common_name"),
        (json!({"common_name": ""}), "/common_name"),
    ] {
        let (status, _, message, at) = gateway.refusal(Method::POST, path, &body).await;
        assert_eq!((status, at.as_str()), (400, pointer), "{message}");
    }
    assert_eq!(gateway.get("{Z}/client_certificates").await.1["result_info"]["per_page"], 20);
    assert!(full("{Z}").ends_with(ZONE));
}

/// The verdict on a certificate at a host, in the words of the contract.
fn verified(gateway: &Gateway, certificate: &Value, host: &str) -> String {
    let read = narthex_cert::Certificate::from_pem(certificate.as_str().unwrap()).unwrap();
    let chain = narthex_cert::PresentedChain::parse(&[read.der().clone()]).unwrap();
    let snapshot = gateway.live.snapshot.load();
    let rule = snapshot.certificate_rule(&host.parse().unwrap()).unwrap();
    rule.trust.verify(&chain, &[], gateway.clock.now()).verified()
}

#[tokio::test]
async fn a_new_key_of_the_gateways_authority_stands_beside_the_old_one() {
    const HOST: &str = "api.example.com";
    let gateway = Gateway::new().await;
    let (keys, certificates) = ("{A}/certificate_authorities", "{Z}/client_certificates");
    let associations = "{Z}/certificate_authorities/hostname_associations";
    let hosts = json!({"hostnames": [HOST]});
    assert_eq!(gateway.result(Method::GET, keys, "", 200).await, json!([]), "none is needed yet");
    gateway.result(Method::PUT, associations, &hosts, 200).await;
    let issue = async |name: &str, days: u32| {
        let body = json!({"common_name": name, "validity_days": days});
        gateway.result(Method::POST, certificates, body, 200).await
    };
    let before = issue("before", 400).await;

    let made = gateway.result(Method::POST, keys, json!({}), 201).await;
    assert_eq!((&made["signs"], &made["hostnames"]), (&json!(true), &hosts["hostnames"]));
    let after = issue("after", 400).await; // in the same second
    assert_eq!(after["certificate_authority"]["id"], made["id"]);
    let old = before["certificate_authority"]["id"].as_str().unwrap();
    for certificate in [&before, &after] {
        assert_eq!(verified(&gateway, &certificate["certificate"], HOST), "SUCCESS");
    }
    let more = json!({"hostnames": [HOST, "more.example.com"]});
    assert_eq!(gateway.result(Method::PUT, associations, &more, 200).await, more);
    assert_eq!(trust(&gateway, "more.example.com").map(|(count, _)| count), Some(2), "both keys");
    let all = gateway.result(Method::GET, keys, "", 200).await;
    let told = |at: usize| {
        let it = &all[at];
        (it["id"].as_str().unwrap(), &it["signs"], &it["active_certificates"], &it["hostnames"])
    };
    let (yes, no, one) = (json!(true), json!(false), json!(1));
    assert_eq!(told(0), (id(&made), &yes, &one, &more["hostnames"]), "the newest first");
    assert_eq!(told(1), (old, &no, &one, &more["hostnames"]));
    assert!(!all.to_string().contains("PRIVATE KEY"));

    let path = |id: &str| format!("{keys}/{id}");
    for (case, which) in [("it signs", id(&made)), ("a certificate of it is active", old)] {
        assert_eq!(gateway.refusal(Method::DELETE, &path(which), "").await.0, 409, "{case}");
    }
    let certificate = format!("{certificates}/{}", id(&before));
    gateway.result(Method::DELETE, &certificate, "", 200).await;
    gateway.result(Method::DELETE, &path(old), "", 202).await;
    assert_eq!(gateway.refusal(Method::DELETE, &path(old), "").await.0, 404);
    assert!(verified(&gateway, &before["certificate"], HOST).starts_with("FAILED"));
    assert_eq!(verified(&gateway, &after["certificate"], HOST), "SUCCESS");
    let back = gateway.refusal(Method::PATCH, &certificate, json!({"reactivate": true})).await;
    assert_eq!(back.0, 409, "{}", back.2);

    // Uploaded authorities are none of its keys.
    let ca = Ca::new("Staff CA");
    let uploaded = upload(&gateway, &ca, json!([])).await;
    assert_eq!(gateway.refusal(Method::DELETE, &path(id(&uploaded)), "").await.0, 404);
}

#[tokio::test]
async fn the_gateways_authority_gets_a_new_key_before_it_would_cut_certificates_short() {
    const HOST: &str = "api.example.com";
    const YEAR: i64 = 365 * 86_400;
    let gateway = Gateway::new().await;
    let keys = "{A}/certificate_authorities";
    let hosts = json!({"hostnames": [HOST]});
    let associations = "{Z}/certificate_authorities/hostname_associations";
    gateway.result(Method::PUT, associations, &hosts, 200).await;
    let issue = async |days: u32| {
        let body = json!({"common_name": "robot", "validity_days": days});
        gateway.result(Method::POST, "{Z}/client_certificates", body, 200).await
    };
    gateway.clock.advance(8 * YEAR);
    let last = issue(729).await;
    let count = async || gateway.result(Method::GET, keys, "", 200).await.as_array().unwrap().len();
    assert_eq!(count().await, 1, "two years are left");
    gateway.clock.advance(1);
    let first = issue(3650).await;
    assert_eq!(count().await, 2);
    assert_ne!(first["certificate_authority"]["id"], last["certificate_authority"]["id"]);
    for certificate in [&last, &first] {
        assert_eq!(verified(&gateway, &certificate["certificate"], HOST), "SUCCESS");
    }
    issue(10).await;
    assert_eq!(count().await, 2, "once");
}

#[tokio::test]
async fn revocation_lists_are_uploaded_and_never_go_back() {
    let gateway = Gateway::new().await;
    let (ca, stranger) = (Ca::new("Staff CA"), Ca::new("Another CA"));
    let made = upload(&gateway, &ca, json!(["a.example.com"])).await;
    let path = format!("{CERTIFICATES}/{}/crls", id(&made));
    let before = trust(&gateway, "a.example.com");
    let (five, six) = (ca.list(5, &[7]), ca.list(6, &[7, 8]));
    let first = gateway.result(Method::POST, &path, json!({"crl": five}), 201).await;
    assert_eq!(
        (&first["issuer"], &first["number"], &first["revoked"], &first["kind"]),
        (&json!("CN=Staff CA"), &json!("05"), &json!(1), &json!("full"))
    );
    let after = trust(&gateway, "a.example.com");
    assert_ne!(before, after, "in force before the answer");
    gateway.result(Method::POST, &path, json!({"crl": six}), 201).await;
    assert_ne!(after, trust(&gateway, "a.example.com"));
    let second = trust(&gateway, "a.example.com");
    for (crl, why) in [
        (five, "older"),
        (stranger.list(9, &[]), "another issuer"),
        ("-----BEGIN X509 CRL-----\nMAM=\n-----END X509 CRL-----".to_owned(), "damaged"),
        ("MAM=".to_owned(), "no list"),
        ("%".to_owned(), "no base64"),
        (ca.pem.clone(), "a certificate"),
    ] {
        let (status, code, message, at) =
            gateway.refusal(Method::POST, &path, json!({"crl": crl})).await;
        assert_eq!((status, code, at.as_str()), (400, 12_130, "/crl"), "{why}: {message}");
    }
    assert_eq!(trust(&gateway, "a.example.com"), second, "the last good list stays");
    let lists = gateway.result(Method::GET, &path, "", 200).await;
    assert_eq!(
        (lists.as_array().unwrap().len(), &lists[0]["revoked"], &lists[0]["overdue"]),
        (1, &json!(2), &json!(false))
    );
    gateway.clock.advance(31 * 86_400);
    assert_eq!(gateway.result(Method::GET, &path, "", 200).await[0]["overdue"], true);
    let one = format!("{path}/{}", id(&lists[0]));
    gateway.result(Method::DELETE, &one, "", 202).await;
    assert_eq!(trust(&gateway, "a.example.com"), before, "as if it had never been");
    assert_eq!(gateway.refusal(Method::DELETE, &one, "").await.0, 404);
}

#[tokio::test]
async fn serial_numbers_are_revoked_at_once_and_lists_of_dropped_addresses_forgotten() {
    let gateway = Gateway::new().await;
    let ca = Ca::new("Staff CA");
    let made = upload(&gateway, &ca, json!(["a.example.com"])).await;
    let path = format!("{CERTIFICATES}/{}/revocation", id(&made));
    let defaults = json!({
        "crl": {"mode": "hard", "urls": [], "refresh": "1h", "grace": "24h"},
        "ocsp": {"mode": "off", "url": null, "intermediates": null}, "serial_numbers": [],
    });
    assert_eq!(gateway.result(Method::GET, &path, "", 200).await, defaults);
    let before = trust(&gateway, "a.example.com");
    let url = "http://ca.example/staff.crl";
    let body = json!({"serial_numbers": ["0a:1b"], "crl": {"mode": "soft", "urls": [url]}});
    let set = gateway.result(Method::PUT, &path, body, 200).await;
    assert_eq!((&set["serial_numbers"], &set["crl"]["refresh"]), (&json!(["0A1B"]), &json!("1h")));
    assert_ne!(trust(&gateway, "a.example.com"), before);
    for (body, pointer) in [
        (json!({"crl": {"urls": ["file:///etc/passwd"]}}), "/crl/urls/0"),
        (json!({"crl": {"refresh": "1s"}}), "/crl/refresh"),
        (json!({"serial_numbers": ["x"]}), "/serial_numbers/0"),
    ] {
        let (status, _, message, at) = gateway.refusal(Method::PUT, &path, &body).await;
        assert_eq!((status, at.as_str()), (400, pointer), "{message}");
    }

    let (desk, now) = (&gateway.desk, gateway.clock.now());
    let authority = id(&made).parse().unwrap();
    let source = || narthex_model::CrlSource::Url(url.into());
    let list = ca.list(1, &[7]).into_bytes();
    desk.take_list(None, authority, source(), &list, now).await.unwrap().unwrap();
    let in_force = trust(&gateway, "a.example.com");
    desk.miss_list(authority, source(), "no answer".to_owned(), now).await.unwrap();
    let spoiled = desk.take_list(None, authority, source(), b"<html>", now).await.unwrap();
    assert!(spoiled.is_err(), "{spoiled:?}");
    assert_eq!(
        trust(&gateway, "a.example.com"),
        in_force,
        "the last good list stays while the source is down"
    );
    let kept = gateway.store.crls().await.unwrap();
    assert!(kept[0].der.is_some() && kept[0].failure.is_some(), "{kept:?}");
    let lists = gateway.result(Method::GET, &path.replace("revocation", "crls"), "", 200).await;
    assert_eq!(lists[0]["url"], url);
    assert!(id(&lists[0]).bytes().all(|octet| octet.is_ascii_hexdigit()), "fits into a path");
    let gone = json!({"serial_numbers": ["0a1b"], "crl": {"mode": "soft"}});
    gateway.result(Method::PUT, &path, gone, 200).await;
    assert_eq!(gateway.store.crls().await.unwrap(), []);
    assert_ne!(trust(&gateway, "a.example.com"), in_force);
}

#[tokio::test]
async fn an_authority_that_a_rule_names_stays() {
    let gateway = Gateway::new().await;
    let made = upload(&gateway, &Ca::new("Staff CA"), json!([])).await;
    let rule = json!({"certificate": {"certificate_id": id(&made)}});
    let policy = json!({"name": "robots", "decision": "non_identity", "include": [rule]});
    gateway.result(Method::POST, "{A}/access/policies", policy, 201).await;
    let (status, code, _, _) =
        gateway.refusal(Method::DELETE, &format!("{CERTIFICATES}/{}", id(&made)), "").await;
    assert_eq!((status, code), (409, 12_132));
    let unknown = json!({"common_name": {"common_name": "x", "certificate_id": "7335d417-61da-459d-899c-0a01c76a2f94"}});
    let policy = json!({"name": "x", "decision": "non_identity", "include": [{"certificate": {}}], "require": [unknown]});
    let (status, _, _, at) = gateway.refusal(Method::POST, "{A}/access/policies", policy).await;
    assert_eq!((status, at.as_str()), (400, "/require/0"));
}
