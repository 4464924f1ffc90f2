//! Identity providers: secrets go in and do not come out.

use crate::gateway::{Gateway, STAMP};
use http::Method;
use narthex_model::{IdpId, Secret};
use serde_json::{Value, json};

fn oidc() -> Value {
    json!({"config": {"client_id": "cid", "client_secret": "sec", "auth_url": "https://idp.example.com/auth",
            "token_url": "https://IdP.example.com", "certs_url": "https://idp.example.com/certs",
            "scopes": ["openid", "email", "profile"], "claims": ["groups"], "email_claim_name": "email",
            "pkce_enabled": true}, "name": "Keycloak", "type": "oidc"})
}

async fn secret(gateway: &Gateway, id: &str) -> Option<String> {
    let id: IdpId = id.parse().unwrap();
    let (_, stored) = gateway.store.load().await.unwrap();
    stored.identity_providers[&id].config.secret().map(Secret::expose).map(str::to_owned)
}

/// Observed call 4a.
#[tokio::test]
async fn an_oidc_provider_keeps_its_secret_to_itself() {
    let gateway = Gateway::new().await;
    let made = gateway.result(Method::POST, "{A}/access/identity_providers", oidc(), 201).await;
    let id = made["id"].as_str().unwrap();
    let mut config = oidc()["config"].clone();
    config.as_object_mut().unwrap().remove("client_secret");
    let want = json!({
        "id": id, "uid": id, "name": "Keycloak", "type": "oidc", "config": config, "read_only": false,
        "scim_config": {"enabled": false, "seat_deprovision": false, "user_deprovision": false,
                        "identity_update_behavior": "no_action", "scim_base_url": null, "secret": null},
        "created_at": STAMP, "updated_at": STAMP,
    });
    assert_eq!(made, want);
    assert_eq!(secret(&gateway, id).await.as_deref(), Some("sec"));
    let path = format!("{{A}}/access/identity_providers/{id}");
    assert_eq!(gateway.result(Method::GET, &path, "", 200).await, want);

    let mut without = want.clone();
    without["name"] = json!("Renamed");
    without["scim_config"]["identity_update_behavior"] = json!("reauth");
    let replaced = gateway.result(Method::PUT, &path, &without, 200).await;
    assert_eq!(replaced, without, "what was read can be written back");
    assert_eq!(secret(&gateway, id).await.as_deref(), Some("sec"), "and keeps the secret");
    let mut changed = oidc();
    changed["config"]["client_secret"] = json!("new");
    gateway.result(Method::PUT, &path, changed, 200).await;
    assert_eq!(secret(&gateway, id).await.as_deref(), Some("new"));
    assert_eq!(gateway.result(Method::DELETE, &path, "", 202).await, json!({"id": id}));
}

/// Observed call 4c.
#[tokio::test]
async fn there_is_one_provider_of_pins() {
    let gateway = Gateway::new().await;
    let body = json!({"config": {}, "name": "One-time PIN", "type": "onetimepin"});
    let made = gateway.result(Method::POST, "{A}/access/identity_providers", &body, 201).await;
    let callback = "https://access.example.com:8443/cdn-cgi/access/callback";
    assert_eq!(made["config"], json!({"redirect_url": callback}));
    let (status, answer) = gateway.post("{A}/access/identity_providers", &body).await;
    assert_eq!(status, 409);
    let error = &answer["errors"][0];
    assert_eq!(error["code"], 12_132);
    assert_eq!(
        error["message"],
        "access.api.error.conflict: a onetimepin connection already exists"
    );
    let path = format!("{{A}}/access/identity_providers/{}", made["id"].as_str().unwrap());
    gateway.result(Method::PUT, &path, &made, 200).await;
    let mut other = oidc();
    other["name"] = json!("x");
    assert_eq!(gateway.refusal(Method::PUT, &path, other).await.3, "/type");
}

#[tokio::test]
async fn what_is_no_provider_is_refused_with_its_place() {
    let gateway = Gateway::new().await;
    let with = |pointer: &str, value: Value| {
        let mut body = oidc();
        *body.pointer_mut(pointer).unwrap() = value;
        body
    };
    for (body, pointer) in [
        (json!({"name": "x", "config": {}}), "/type"),
        (json!({"type": "oidc", "config": {}}), "/name"),
        (json!({"name": "x", "type": "oidc"}), "/config"),
        (json!({"name": "x", "type": "oidc", "config": []}), "/config"),
        (with("/type", json!("github")), "/type"),
        (with("/type", json!("carrier-pigeon")), "/type"),
        (with("/config/auth_url", json!("file:///etc/passwd")), "/config"),
        (with("/config/certs_url", json!("http://idp.example.com/certs")), "/config"),
        (with("/config/client_id", Value::Null), "/config"),
        (
            json!({"name": "x", "type": "onetimepin", "config": {}, "scim_config": {"enabled": true}}),
            "/scim_config/enabled",
        ),
        (
            json!({"name": "x", "type": "onetimepin", "scim_config": {"identity_update_behavior": "maybe"}}),
            "/scim_config/identity_update_behavior",
        ),
    ] {
        let got = gateway.refusal(Method::POST, "{A}/access/identity_providers", &body).await;
        assert_eq!((got.0, got.1, got.3.as_str()), (400, 12_130, pointer), "{body}: {}", got.2);
        assert!(!got.2.contains("sec"), "no secret in an error: {}", got.2);
    }
}

/// A certificate with a key of its own, as a provider would give it.
fn certificate() -> String {
    let key = rcgen::KeyPair::generate().unwrap();
    rcgen::CertificateParams::default().self_signed(&key).unwrap().pem()
}

/// Observed call 4b.
#[tokio::test]
async fn a_saml_provider_is_what_was_written() {
    let gateway = Gateway::new().await;
    let bare: String = certificate().lines().filter(|line| !line.starts_with('-')).collect();
    let config = json!({
        "issuer_url": "https://idp.example.com/metadata", "sso_target_url": "https://idp.example.com/sso",
        "idp_public_certs": [certificate(), bare], "attributes": ["group"], "sign_request": false,
        "email_attribute_name": "email", "enable_encryption": false,
        "header_attributes": [{"attribute_name": "g", "header_name": "X-G"}],
    });
    let body = json!({"config": config, "name": "SAML", "type": "saml"});
    let made = gateway.result(Method::POST, "{A}/access/identity_providers", &body, 201).await;
    assert_eq!((&made["config"], &made["type"]), (&config, &json!("saml")));
    let path = format!("{{A}}/access/identity_providers/{}", made["id"].as_str().unwrap());
    assert_eq!(gateway.result(Method::GET, &path, "", 200).await, made);
    let mut changed = made.clone();
    changed["config"]["attributes"] = json!(["group", "dept"]);
    let replaced = gateway.result(Method::PUT, &path, &changed, 200).await;
    assert_eq!(replaced["config"], changed["config"], "what was read can be written back");
    let (_, stored) = gateway.store.load().await.unwrap();
    let id: IdpId = made["id"].as_str().unwrap().parse().unwrap();
    assert_eq!(stored.identity_providers[&id].config.to_json(), changed["config"]);

    let weak = include_str!("rsa1024.pem");
    for (member, value, place) in [
        ("sso_target_url", json!("http://idp.example.com/"), "/config/sso_target_url"),
        ("sso_target_url", json!("https://user@idp.example.com/"), "/config/sso_target_url"),
        ("sso_target_url", Value::Null, "/config/sso_target_url"),
        ("issuer_url", json!("two words"), "/config/issuer_url"),
        ("idp_public_certs", json!([]), "/config/idp_public_certs"),
        ("idp_public_certs", json!([certificate(), weak]), "/config/idp_public_certs/1"),
        ("idp_public_certs", json!([certificate(), "%"]), "/config/idp_public_certs/1"),
        ("attributes", json!([""]), "/config/attributes/0"),
        (
            "header_attributes",
            json!([{"attribute_name": "g", "header_name": "Set-Cookie"}]),
            "/config/header_attributes/0/header_name",
        ),
        ("enable_encryption", json!(true), "/config/enable_encryption"), // there is no certificate set yet
    ] {
        let mut body = body.clone();
        body["config"][member] = value;
        for (method, path) in
            [(Method::POST, "{A}/access/identity_providers"), (Method::PUT, path.as_str())]
        {
            let got = gateway.refusal(method, path, &body).await;
            assert_eq!((got.0, got.1, got.3.as_str()), (400, 12_130, place), "{}", got.2);
        }
    }
    assert_eq!(gateway.result(Method::GET, &path, "", 200).await["config"], changed["config"]);
    gateway.result(Method::DELETE, &path, "", 202).await;
}

#[tokio::test]
async fn a_saml_provider_encrypts_for_a_certificate_of_its_own() {
    let gateway = Gateway::new().await;
    let idps = "{A}/access/identity_providers";
    let config = json!({"issuer_url": "urn:idp", "sso_target_url": "https://idp.example.com/sso",
        "idp_public_certs": [certificate()]});
    let body = json!({"config": config, "name": "SAML", "type": "saml"});
    let made = gateway.result(Method::POST, idps, &body, 201).await;
    assert_eq!(made.get("saml_certificate_set_id"), None);
    let path = format!("{idps}/{}", made["id"].as_str().unwrap());
    let door = format!("{path}/saml_certificate");
    let set = gateway.result(Method::POST, &door, "", 200).await;
    assert_eq!(gateway.result(Method::POST, &door, "", 200).await, set, "it is made once");
    let uid = set["uid"].as_str().unwrap();
    let certificate = &set["current_certificate"];
    assert_eq!(
        (&certificate["is_current"], &set["previous_certificate"]),
        (&json!(true), &Value::Null)
    );
    assert!(certificate["public_certificate"].as_str().unwrap().contains("BEGIN CERTIFICATE"));
    assert!(!set.to_string().contains("pkcs8"), "no private key comes out");

    let mut on = gateway.result(Method::GET, &path, "", 200).await;
    assert_eq!((&on["saml_certificate_set_id"], &on["saml_certificate_set"]), (&json!(uid), &set));
    on["config"]["enable_encryption"] = json!(true);
    assert_eq!(gateway.result(Method::PUT, &path, &on, 200).await["saml_certificate_set"], set);
    on["saml_certificate_set_id"] = json!("44444444-4444-4444-8444-444444444444");
    let refused = gateway.refusal(Method::PUT, &path, &on).await;
    assert_eq!((refused.0, refused.3.as_str()), (400, "/saml_certificate_set_id"));

    let at = format!("{{A}}/access/saml_certificates/{uid}");
    assert_eq!(gateway.result(Method::GET, &at, "", 200).await, set);
    assert_eq!(gateway.get("{A}/access/saml_certificates").await.1["result"], json!([set]));
    let other = "{A}/access/saml_certificates?id=44444444-4444-4444-8444-444444444444";
    assert_eq!(gateway.get(other).await.1["result"], json!([]));
    let rotated = gateway.result(Method::POST, &format!("{at}/rotate"), "", 200).await;
    assert_eq!(rotated["uid"], set["uid"]);
    assert_eq!(rotated["previous_certificate"]["uid"], certificate["uid"]);
    assert_ne!(rotated["current_certificate"]["uid"], certificate["uid"]);
    let (_, stored) = gateway.store.load().await.unwrap();
    let id: IdpId = made["id"].as_str().unwrap().parse().unwrap();
    let stored = &stored.identity_providers[&id].config;
    assert!(stored.secret().is_some() && !stored.to_json().to_string().contains("pkcs8"));

    let pin = json!({"config": {}, "name": "x", "type": "onetimepin"});
    let pin = gateway.result(Method::POST, idps, pin, 201).await;
    let door = format!("{idps}/{}/saml_certificate", pin["id"].as_str().unwrap());
    assert_eq!(gateway.refusal(Method::POST, &door, "").await.0, 400);
    gateway.result(Method::DELETE, &path, "", 202).await;
    assert_eq!(gateway.refusal(Method::GET, &at, "").await.0, 404, "it goes with its provider");
}

/// What the gateway would never call is refused when it is written, with its place. What a name leads to is only known
/// when it is called, and judged then (`idp/src/outbound.rs`).
#[tokio::test]
async fn a8_no_provider_leads_into_the_private_network() {
    let gateway = Gateway::new().await;
    let made = gateway.result(Method::POST, "{A}/access/identity_providers", oidc(), 201).await;
    let path = format!("{{A}}/access/identity_providers/{}", made["id"].as_str().unwrap());
    let before = gateway.result(Method::GET, &path, "", 200).await;
    for url in [
        "http://localhost:9464/metrics",
        "https://localhost/",
        "https://idp.localhost/",
        "https://LOCALHOST./",
        "http://127.0.0.1/",
        "https://127.0.0.1/",
        "https://127.1/",
        "https://0x7f000001/",
        "https://2130706433/",
        "https://017700000001/",
        "https://[::1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://[::ffff:a00:1]/",
        "https://[64:ff9b::a00:1]/",
        "https://[2002:a00:1::]/",
        "https://0.0.0.0/",
        "https://10.0.0.1/",
        "https://172.16.0.1/",
        "https://192.168.0.1/",
        "https://100.64.0.1/",
        "https://169.254.169.254/latest/meta-data/",
        "https://[fe80::1]/",
        "https://[fd00:ec2::254]/",
        "https://\u{ff11}\u{ff10}.0.0.1/", // full-width digits
        "file:///etc/passwd",
        "gopher://idp.example.com/",
        "unix:/run/docker.sock",
        "http://idp.example.com/",
    ] {
        for member in ["token_url", "certs_url", "userinfo_url", "issuer"] {
            let mut body = oidc();
            body["config"][member] = json!(url);
            for (method, path) in
                [(Method::POST, "{A}/access/identity_providers"), (Method::PUT, path.as_str())]
            {
                let (status, code, why, place) = gateway.refusal(method, path, &body).await;
                assert_eq!((status, code), (400, 12_130), "{member} {url}: {why}");
                assert!(place.starts_with("/config"), "{member} {url}: {place}");
                assert!(why.contains(member), "{url}: {why}");
            }
        }
    }
    assert_eq!(gateway.result(Method::GET, &path, "", 200).await, before, "nothing was written");
    // Where people log in is for their browsers to reach, not for the gateway.
    let mut body = oidc();
    body["config"]["auth_url"] = json!("https://10.0.0.1/auth");
    gateway.result(Method::PUT, &path, &body, 200).await;
}

#[tokio::test]
async fn a_provider_that_an_application_names_stays() {
    let gateway = Gateway::new().await;
    let idp = gateway.result(Method::POST, "{Z}/access/identity_providers", oidc(), 201).await;
    let idp = idp["id"].as_str().unwrap();
    let app = json!({"domain": "a.example.com", "allowed_idps": [idp], "auto_redirect_to_identity": true});
    let app = gateway.result(Method::POST, "{A}/access/apps", app, 201).await;
    let path = format!("{{Z}}/access/identity_providers/{idp}");
    let got = gateway.refusal(Method::DELETE, &path, "").await;
    assert_eq!((got.0, got.1), (409, 12_132), "{}", got.2);
    gateway
        .result(
            Method::DELETE,
            &format!("{{A}}/access/apps/{}", app["id"].as_str().unwrap()),
            "",
            202,
        )
        .await;
    assert_eq!(gateway.get("{Y}/access/identity_providers").await.1["result"], json!([]));
    assert_eq!(
        gateway.get("{A}/access/identity_providers?scim_enabled=true").await.1["result"],
        json!([])
    );
    gateway.result(Method::DELETE, &path, "", 202).await;
}
