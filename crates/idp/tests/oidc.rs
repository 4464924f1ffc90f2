//! What the crate promises of a login at an OpenID Connect provider, played by an honest provider and by one that misbehaves in
//! every way of the checklist (security.md, group O; the numbers stand beside the cases).

#![expect(clippy::unwrap_used, reason = "a test's helpers may panic")]

mod provider;

use narthex_idp::{
    Assertion, CallbackParams, Fence, IdpError, OutboundHttp, OutboundSettings, Outbox,
    PendingOidc, Providers,
};
use narthex_model::{Clock, IdentityProvider};
use provider::{Answer, Manners, NOW, Provider, REDIRECT, Sign, identity_provider};
use serde_json::{Map, Value, json};
use std::sync::Arc;
use std::time::Duration;
use url::Url;

type Claims = Map<String, Value>;

/// The gateway's side.
struct Gateway {
    providers: Providers,
    clock: Clock,
}

impl Gateway {
    fn new() -> Self {
        Self::with(here())
    }

    fn with(settings: OutboundSettings) -> Self {
        let clock = Clock::manual(NOW);
        let http = OutboundHttp::new(settings).unwrap();
        let mailer = Arc::new(Outbox::new(clock.clone()));
        Self { providers: Providers::new(http, mailer, clock.clone()), clock }
    }

    async fn begin(&self, idp: &IdentityProvider) -> Result<(Url, PendingOidc), IdpError> {
        let begun = self.providers.begin_oidc(idp, &redirect(), "state").await?;
        Ok((begun.location, begun.pending))
    }

    async fn finish(
        &self,
        idp: &IdentityProvider,
        pending: &PendingOidc,
        callback: &CallbackParams,
    ) -> Result<Assertion, IdpError> {
        let now = self.clock.now();
        self.providers.finish_oidc(idp, &redirect(), pending, callback, now).await
    }

    /// A whole login.
    async fn log_in(&self, at: &Provider, idp: &IdentityProvider) -> Result<Assertion, IdpError> {
        let (location, pending) = self.begin(idp).await?;
        self.finish(idp, &pending, &at.log_in(&location)).await
    }
}

/// Settings with which providers on this machine may be called.
fn here() -> OutboundSettings {
    OutboundSettings { fence: Fence::open_to_this_machine(), ..OutboundSettings::default() }
}

fn redirect() -> Url {
    REDIRECT.parse().unwrap()
}

/// A whole login of a fresh gateway at a fresh provider.
async fn log_in(manners: Manners, settings: Value) -> Result<Assertion, IdpError> {
    let provider = Provider::start(manners).await;
    Gateway::new().log_in(&provider, &provider.configured(settings)).await
}

/// Asserts that each misbehaviour is refused as a bad answer whose text holds the words.
async fn refused(cases: Vec<(&str, Manners, &str)>) {
    let gateway = Gateway::new();
    for (name, manners, words) in cases {
        let provider = Provider::start(manners).await;
        match gateway.log_in(&provider, &provider.configured(json!({}))).await {
            Err(IdpError::BadAnswer(why)) => assert!(why.contains(words), "{name}: {why}"),
            other => panic!("{name}: {other:?}"),
        }
    }
}

fn claims(claims: fn(&mut Claims)) -> Manners {
    Manners { claims, ..Default::default() }
}

fn sign(sign: Sign) -> Manners {
    Manners { sign, ..Default::default() }
}

#[tokio::test]
async fn an_honest_provider_logs_people_in() {
    let found = log_in(Manners::default(), json!({"claims": ["team", "absent"]})).await.unwrap();
    assert_eq!(found.subject, "subject-1");
    assert_eq!(found.email.as_str(), "user@example.com");
    assert_eq!(found.name, "Ann Lee");
    assert_eq!(found.amr, ["pwd", "otp"]);
    assert_eq!(found.groups.iter().map(|g| g.name.as_str()).collect::<Vec<_>>(), ["staff"]);
    assert_eq!(Value::Object(found.claims.clone()), json!({"team": "blue"}));
    assert_eq!(format!("{found:?}"), "Assertion([redacted])");
}

#[tokio::test]
async fn o1_claims_that_are_wrong_or_missing() {
    refused(vec![
        ("iss wrong", claims(|c| c["iss"] = json!("https://evil.example")), "issuer"),
        (
            "iss with a slash",
            claims(|c| c["iss"] = json!(format!("{}/", c["iss"].as_str().unwrap()))),
            "issuer",
        ),
        ("iss missing", claims(|c| drop(c.remove("iss"))), "no issuer"),
        ("iss a list", claims(|c| c["iss"] = json!([c["iss"]])), "no issuer"),
        ("aud wrong", claims(|c| c["aud"] = json!("other")), "another client"),
        ("aud missing", claims(|c| drop(c.remove("aud"))), "audience"),
        ("several aud, azp missing", claims(|c| c["aud"] = json!(["narthex", "other"])), "azp"),
        (
            "several aud, azp other",
            claims(|c| {
                c.extend([
                    ("aud".into(), json!(["narthex", "other"])),
                    ("azp".into(), json!("other")),
                ])
            }),
            "azp",
        ),
        ("sub missing", claims(|c| drop(c.remove("sub"))), "sub"),
        ("sub a number", claims(|c| c["sub"] = json!(7)), "sub"),
        ("sub empty", claims(|c| c["sub"] = json!("")), "sub"),
        ("iat missing", claims(|c| drop(c.remove("iat"))), "iat"),
        ("iat in the future", claims(|c| c["iat"] = json!(NOW.0 + 61)), "future"),
        ("iat long ago", claims(|c| c["iat"] = json!(NOW.0 - 3_600)), "older"),
        ("exp missing", claims(|c| drop(c.remove("exp"))), "exp"),
        ("exp now", claims(|c| c["exp"] = json!(NOW.0)), "expired"),
        ("exp a text", claims(|c| c["exp"] = json!("1900000000")), "exp"),
        (
            "nbf in the future",
            claims(|c| drop(c.insert("nbf".into(), json!(NOW.0 + 120)))),
            "not valid yet",
        ),
        ("nonce wrong", claims(|c| c["nonce"] = json!("other")), "nonce"),
        ("nonce missing", claims(|c| drop(c.remove("nonce"))), "nonce"),
        ("nonce of a wrong type", claims(|c| c["nonce"] = json!(5)), "wrong type"),
        ("amr of a wrong type", claims(|c| c["amr"] = json!("pwd")), "wrong type"),
    ])
    .await;
    let several = claims(|c| {
        c.extend([("aud".into(), json!(["other", "narthex"])), ("azp".into(), json!("narthex"))]);
    });
    assert!(log_in(several, json!({})).await.is_ok(), "several audiences, and we asked");
}

#[tokio::test]
async fn o2_every_listed_algorithm_is_read() {
    for alg in [Sign::Rs256, Sign::Rs512, Sign::Ps512, Sign::Es256, Sign::Es384, Sign::Es512] {
        let found = log_in(sign(alg), json!({})).await;
        assert_eq!(found.map(|a| a.subject), Ok("subject-1".to_owned()), "{alg:?}");
    }
}

#[tokio::test]
async fn o2_signatures_that_do_not_count() {
    let no_kid = |header: &mut Claims| drop(header.remove("kid"));
    let two_keys = Manners { header: no_kid, rotated: true, ..Default::default() };
    let confused = Manners { header: |h| h["alg"] = json!("ES256"), ..Default::default() };
    let weak = Manners {
        jwks: |keys| {
            keys[0]["n"] = json!("_".repeat(170) + "8"); // 1024 bits
        },
        ..Default::default()
    };
    let for_encryption =
        Manners { jwks: |keys| keys[0]["use"] = json!("enc"), ..Default::default() };
    let other_algorithm =
        Manners { jwks: |keys| keys[0]["alg"] = json!("PS512"), ..Default::default() };
    refused(vec![
        ("none", sign(Sign::None), "signed with \"none\""),
        ("HS256 with the client secret", sign(Sign::Secret), "signed with \"HS256\""),
        ("RS384 is not listed", sign(Sign::Rs384), "signed with \"RS384\""),
        ("RS256 of another key", sign(Sign::WrongKey), "does not match"),
        ("ES256 of another key", sign(Sign::WrongEcKey), "does not match"),
        ("a key that nobody has", sign(Sign::UnknownKey), "certs_url does not name"),
        ("no kid, two keys", two_keys, "which of several keys"),
        ("RS256 said to be ES256", confused, "certs_url does not name"),
        ("a key of 1024 bits", weak, "at least 2048"),
        ("a key for encryption", for_encryption, "certs_url does not name"),
        ("a key for another algorithm", other_algorithm, "certs_url does not name"),
        (
            "crit",
            Manners {
                header: |h| drop(h.insert("crit".into(), json!(["x"]))),
                ..Default::default()
            },
            "crit",
        ),
        (
            "another type of JWT",
            Manners { header: |h| h["typ"] = json!("at+jwt"), ..Default::default() },
            "not what it has to be",
        ),
    ])
    .await;
    let one_key = Manners { header: no_kid, ..Default::default() };
    assert!(log_in(one_key, json!({})).await.is_ok(), "no kid, and one key fits");
}

#[tokio::test]
async fn o2_a_rotated_key_is_fetched_once() {
    let provider = Provider::start(Manners::default()).await;
    let (gateway, idp) = (Gateway::new(), provider.configured(json!({})));
    assert!(gateway.log_in(&provider, &idp).await.is_ok());
    assert_eq!(provider.calls("/tenant/keys"), 1);

    provider.behave(|m| (m.sign, m.rotated) = (Sign::NextKey, true));
    assert!(gateway.log_in(&provider, &idp).await.is_ok(), "fetched again and accepted");
    assert!(gateway.log_in(&provider, &idp).await.is_ok());
    assert_eq!(provider.calls("/tenant/keys"), 2, "and then known");

    provider.behave(|m| m.sign = Sign::UnknownKey);
    for _ in 0..20 {
        assert!(gateway.log_in(&provider, &idp).await.is_err());
    }
    assert_eq!(provider.calls("/tenant/keys"), 2, "not again within a minute");
    gateway.clock.advance(60);
    provider.behave(|m| {
        m.claims = |c| {
            c.extend([("iat".into(), json!(NOW.0 + 60)), ("exp".into(), json!(NOW.0 + 360))]);
        }
    });
    assert!(gateway.log_in(&provider, &idp).await.is_err());
    assert_eq!(provider.calls("/tenant/keys"), 3, "once a minute");
}

#[tokio::test]
async fn o3_hashes_of_token_and_code() {
    refused(vec![
        ("at_hash wrong", claims(|c| c["at_hash"] = json!("AAAAAAAAAAAAAAAAAAAAAA")), "at_hash"),
        ("at_hash of a wrong type", claims(|c| c["at_hash"] = json!(1)), "wrong type"),
        (
            "another access token",
            Manners { tokens: |t| t["access_token"] = json!("other"), ..Default::default() },
            "at_hash",
        ),
        ("c_hash wrong", claims(|c| c["c_hash"] = json!("AAAAAAAAAAAAAAAAAAAAAA")), "c_hash"),
    ])
    .await;
    let without = claims(|c| c.retain(|name, _| name != "at_hash" && name != "c_hash"));
    assert!(log_in(without, json!({})).await.is_ok(), "optional in the code flow");
}

#[tokio::test]
async fn o4_discovery_and_keys_are_fenced() {
    let other = Manners {
        discovery: |d| d["issuer"] = json!("https://evil.example"),
        ..Default::default()
    };
    let found = log_in(other, json!({})).await;
    assert!(
        matches!(&found, Err(IdpError::Misconfigured(why)) if why.contains("another issuer")),
        "{found:?}"
    );

    let at_jwks = |at_jwks| Manners { at_jwks, ..Default::default() };
    for (answer, want) in [
        (Answer::Huge, "more than 1048576 bytes"),
        (Answer::HugeStream, "more than 1048576 bytes"),
        (Answer::Gzip, "compressed"),
        (Answer::Html, "JSON"),
        (Answer::Redirect, "redirects (302)"),
        (Answer::Missing, "certs_url answered 404"),
        (Answer::Down, "certs_url answered 503"),
    ] {
        let error = log_in(at_jwks(answer), json!({})).await.unwrap_err();
        assert!(error.to_string().contains(want), "{answer:?}: {error}");
    }
    let none = Manners { jwks: Vec::clear, ..Default::default() };
    assert!(matches!(log_in(none, json!({})).await, Err(IdpError::BadAnswer(_))));

    let provider = Provider::start(at_jwks(Answer::Drip)).await;
    let timeout = Duration::from_millis(200);
    let gateway = Gateway::with(OutboundSettings { timeout, ..here() });
    let error = gateway.begin(&provider.configured(json!({}))).await.unwrap_err();
    assert!(
        matches!(&error, IdpError::Unreachable(why) if why.contains("within 200ms")),
        "{error}"
    );
}

#[tokio::test]
async fn a8_nor_is_this_machine_unless_that_is_open() {
    let provider = Provider::start(Manners::default()).await;
    let closed = Gateway::with(OutboundSettings::default());
    let error = closed.begin(&provider.configured(json!({}))).await.unwrap_err();
    assert!(
        matches!(&error, IdpError::Misconfigured(why) if why.contains("[outbound] private_networks")),
        "{error}"
    );
    assert!(Gateway::new().begin(&provider.configured(json!({}))).await.is_ok());
}

#[tokio::test]
async fn o4_private_addresses_are_not_called() {
    for host in ["10.0.0.1", "192.168.1.1", "169.254.169.254", "[fd00::1]", "[::ffff:127.0.0.1]"] {
        let url = |path: &str| format!("https://{host}/{path}");
        let config = json!({"client_id": "c", "auth_url": url("auth"), "token_url": url("token"), "certs_url": url("keys")});
        let closed = Gateway::with(OutboundSettings::default());
        let error = closed.begin(&identity_provider(config)).await.unwrap_err();
        assert!(
            matches!(&error, IdpError::Misconfigured(why) if why.contains("private")),
            "{error}"
        );
    }
}

#[tokio::test]
async fn o4_an_issuer_is_learned_only_from_the_providers_own_document() {
    let learned = |manners| log_in(manners, json!({"issuer": null}));
    assert!(learned(Manners::default()).await.is_ok(), "found down the path");
    let none = Manners { at_discovery: Answer::Missing, ..Default::default() };
    assert!(learned(none.clone()).await.is_ok(), "the issuer has the origin of certs_url");
    let foreign = Manners { claims: |c| c["iss"] = json!("https://idp.example"), ..none };
    let refused = learned(foreign).await;
    assert!(
        matches!(&refused, Err(IdpError::BadAnswer(why)) if why.contains("another origin")),
        "{refused:?}"
    );

    // A document for other endpoints does not count: its userinfo endpoint is never asked.
    let provider = Provider::start(Manners {
        discovery: |d| d["jwks_uri"] = json!("https://evil.example/keys"),
        claims: |c| drop(c.remove("email")),
        ..Default::default()
    })
    .await;
    let found =
        Gateway::new().log_in(&provider, &provider.configured(json!({"issuer": null}))).await;
    assert!(matches!(found, Err(IdpError::BadAnswer(_))));
    assert_eq!(provider.calls("/tenant/userinfo"), 0);
}

#[tokio::test]
async fn o5_answers_of_another_provider() {
    let [honest, evil] =
        [Provider::start(Manners::default()).await, Provider::start(Manners::default()).await];
    let gateway = Gateway::new();
    let [at_honest, at_evil] = [honest.configured(json!({})), evil.configured(json!({}))];
    let (location, pending) = gateway.begin(&at_honest).await.unwrap();
    let callback = honest.log_in(&location);
    assert_eq!(gateway.finish(&at_evil, &pending, &callback).await, Err(IdpError::Stale));
    assert_eq!(evil.calls("/tenant/token"), 0, "the code never reaches the other provider");

    let from_evil = CallbackParams { iss: Some(evil.issuer()), ..callback.clone() };
    let refused = gateway.finish(&at_honest, &pending, &from_evil).await;
    assert!(matches!(refused, Err(IdpError::BadAnswer(_))), "{refused:?}");
    assert_eq!(honest.calls("/tenant/token"), 0);
    let unsigned = CallbackParams { iss: None, ..callback };
    assert!(gateway.finish(&at_honest, &pending, &unsigned).await.is_ok(), "it never promised iss");
}

#[tokio::test]
async fn o5_a_promised_issuer_is_required() {
    let promises = Manners {
        discovery: |d| {
            d.insert("authorization_response_iss_parameter_supported".into(), json!(true));
        },
        ..Default::default()
    };
    for settings in [json!({}), json!({"issuer": null})] {
        let provider = Provider::start(promises.clone()).await;
        let (gateway, idp) = (Gateway::new(), provider.configured(settings));
        assert!(gateway.log_in(&provider, &idp).await.is_ok());
        let (location, pending) = gateway.begin(&idp).await.unwrap();
        for iss in [None, Some("https://evil.example".to_owned())] {
            let callback = CallbackParams { iss, ..provider.log_in(&location) };
            let refused = gateway.finish(&idp, &pending, &callback).await;
            assert!(
                matches!(&refused, Err(IdpError::BadAnswer(why)) if why.contains("iss")),
                "{refused:?}"
            );
        }
        assert_eq!(provider.calls("/tenant/token"), 1, "refused before the code is sent");
    }
}

#[tokio::test]
async fn o5_an_unknown_issuer_in_the_callback_is_the_id_tokens() {
    let provider =
        Provider::start(Manners { at_discovery: Answer::Missing, ..Default::default() }).await;
    let (gateway, idp) = (Gateway::new(), provider.configured(json!({"issuer": null})));
    let (location, pending) = gateway.begin(&idp).await.unwrap();
    let callback = CallbackParams {
        iss: Some("https://evil.example".to_owned()),
        ..provider.log_in(&location)
    };
    let refused = gateway.finish(&idp, &pending, &callback).await;
    assert!(
        matches!(&refused, Err(IdpError::BadAnswer(why)) if why.contains("another issuer")),
        "{refused:?}"
    );
}

#[tokio::test]
async fn o6_a_code_is_for_one_login() {
    let denied = |result: Result<Assertion, IdpError>| matches!(result, Err(IdpError::Denied { error, .. }) if error == "invalid_grant");
    let provider = Provider::start(Manners::default()).await;
    let (gateway, idp) = (Gateway::new(), provider.configured(json!({})));
    let (location, pending) = gateway.begin(&idp).await.unwrap();
    let callback = provider.log_in(&location);
    assert!(gateway.finish(&idp, &pending, &callback).await.is_ok());
    assert!(denied(gateway.finish(&idp, &pending, &callback).await), "the same code again");

    let [mine, theirs] = [gateway.begin(&idp).await.unwrap(), gateway.begin(&idp).await.unwrap()];
    let injected = provider.log_in(&theirs.0);
    assert!(denied(gateway.finish(&idp, &mine.1, &injected).await), "PKCE stops a foreign code");

    provider.behave(|m| m.careless = true);
    let injected = provider.log_in(&theirs.0);
    let refused = gateway.finish(&idp, &mine.1, &injected).await;
    assert!(
        matches!(&refused, Err(IdpError::BadAnswer(why)) if why.contains("nonce")),
        "and so does the nonce: {refused:?}"
    );
}

#[tokio::test]
async fn o7_error_answers_are_data() {
    let provider = Provider::start(Manners::default()).await;
    let (gateway, idp) = (Gateway::new(), provider.configured(json!({})));
    let (_, pending) = gateway.begin(&idp).await.unwrap();
    let callback = CallbackParams {
        error: Some("access_denied".to_owned()),
        error_description: Some(format!("<img src=x onerror=alert(1)>\r\n{}", "x".repeat(10_000))),
        ..Default::default()
    };
    match gateway.finish(&idp, &pending, &callback).await {
        Err(IdpError::Denied { error, description }) => {
            assert_eq!(error, "access_denied");
            assert!(description.starts_with("<img src=x onerror=alert(1)>xxx"), "{description}");
            assert_eq!(description.len(), 200);
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(provider.calls("/tenant/token"), 0);
}

#[tokio::test]
async fn o8_userinfo_fills_what_the_id_token_lacks() {
    let lacking = claims(|c| {
        c.remove("email");
        c.remove("email_verified");
        c.remove("team");
    });
    let settings = || json!({"claims": ["team"]});
    let found = log_in(lacking.clone(), settings()).await.unwrap();
    assert_eq!(found.email.as_str(), "userinfo@example.com");
    assert_eq!(found.claims["team"], json!("green"));

    let cases: [(&str, Manners, &str); 8] = [
        (
            "sub differs",
            Manners { userinfo: |u| u["sub"] = json!("subject-2"), ..lacking.clone() },
            "another person",
        ),
        (
            "sub missing",
            Manners { userinfo: |u| drop(u.remove("sub")), ..lacking.clone() },
            "another person",
        ),
        (
            "sub of a wrong type",
            Manners { userinfo: |u| u["sub"] = json!(["subject-1"]), ..lacking.clone() },
            "another person",
        ),
        (
            "signed",
            Manners { userinfo_type: "application/jwt", ..lacking.clone() },
            "signed answer",
        ),
        (
            "a member twice",
            Manners {
                userinfo_body: Some(r#"{"sub":"subject-1","email":"a@b.c","email":"x@b.c"}"#),
                ..lacking.clone()
            },
            "two members",
        ),
        ("HTML", Manners { at_userinfo: Answer::Html, ..lacking.clone() }, "JSON"),
        ("404", Manners { at_userinfo: Answer::Missing, ..lacking.clone() }, "404"),
        ("huge", Manners { at_userinfo: Answer::HugeStream, ..lacking }, "more than"),
    ];
    for (name, manners, words) in cases {
        let refused = log_in(manners, settings()).await;
        assert!(
            matches!(&refused, Err(IdpError::BadAnswer(why)) if why.contains(words)),
            "{name}: {refused:?}"
        );
    }

    let provider = Provider::start(Manners::default()).await;
    Gateway::new().log_in(&provider, &provider.configured(settings())).await.unwrap();
    assert_eq!(provider.calls("/tenant/userinfo"), 0, "nothing is missing");
}

#[tokio::test]
async fn o11_addresses() {
    for (name, claims, want) in [
        ("mixed case", claims(|c| c["email"] = json!("USER@EXAMPLE.com")), Ok("user@example.com")),
        (
            "nothing said about it",
            claims(|c| drop(c.remove("email_verified"))),
            Ok("user@example.com"),
        ),
        (
            "not verified",
            claims(|c| c["email_verified"] = json!(false)),
            Err(IdpError::EmailNotVerified),
        ),
        (
            "not verified, as text",
            claims(|c| c["email_verified"] = json!("false")),
            Err(IdpError::EmailNotVerified),
        ),
    ] {
        let found = log_in(claims, json!({})).await.map(|a| a.email.to_string());
        assert_eq!(found, want.map(str::to_owned), "{name}");
    }
    refused(vec![
        ("spaces", claims(|c| c["email"] = json!("us er@example.com")), "e-mail"),
        ("quotes", claims(|c| c["email"] = json!("\"user\"@example.com")), "e-mail"),
        ("no domain", claims(|c| c["email"] = json!("user@")), "e-mail"),
        ("a header", claims(|c| c["email"] = json!("user@example.com\r\nBcc: x@y.z")), "e-mail"),
    ])
    .await;
}

#[tokio::test]
async fn o12_two_providers_give_two_subjects_for_one_address() {
    let one = log_in(Manners::default(), json!({})).await.unwrap();
    let other = log_in(claims(|c| c["sub"] = json!("subject-2")), json!({})).await.unwrap();
    assert_eq!(one.email, other.email);
    assert_ne!(one.subject, other.subject);
}

#[tokio::test]
async fn o13_groups_are_bounded() {
    let groups = |claims| async { log_in(claims, json!({})).await.map(|a| a.groups.len()) };
    assert_eq!(groups(claims(|c| c["groups"] = json!("staff"))).await, Ok(0), "wrong type");
    assert_eq!(groups(claims(|c| c["groups"] = json!([1, "staff", null]))).await, Ok(1));
    let elsewhere = claims(|c| {
        c.remove("groups");
        c.insert("_claim_names".into(), json!({"groups": "far"}));
        c.insert("_claim_sources".into(), json!({"far": {"endpoint": "http://169.254.169.254/"}}));
    });
    assert_eq!(groups(elsewhere).await, Ok(0), "distributed claims are not fetched");
    refused(vec![
        ("5,000", claims(|c| c["groups"] = json!(vec!["g"; 5_000])), "groups"),
        ("200 KB", claims(|c| c["groups"] = json!(["g".repeat(200_000)])), "groups"),
        (
            "1 MB",
            claims(|c| c["groups"] = json!(["g".repeat(1_000_000)])),
            "more than 1048576 bytes",
        ),
    ])
    .await;
}

#[tokio::test]
async fn o14_token_endpoints_that_do_not_work() {
    let at_token = |at_token| Manners { at_token, ..Default::default() };
    let body = |body| Manners { token_body: Some(body), ..Default::default() };
    let bearer = "token_url did not send an access token of type Bearer and an ID token";
    for (name, manners, want) in [
        ("503", at_token(Answer::Down), "token_url answered 503"),
        ("redirect", at_token(Answer::Redirect), "redirects (302)"),
        ("HTML", at_token(Answer::Html), "JSON"),
        ("404 page", at_token(Answer::Missing), bearer),
        ("gzip", at_token(Answer::Gzip), "compressed"),
        ("huge", at_token(Answer::Huge), "more than 1048576 bytes"),
        ("no ID token", body(r#"{"access_token":"a","token_type":"Bearer"}"#), bearer),
        ("no access token", body(r#"{"id_token":"a.b.c","token_type":"Bearer"}"#), bearer),
        (
            "another type",
            body(r#"{"access_token":"a","id_token":"a.b.c","token_type":"mac"}"#),
            bearer,
        ),
        (
            "ID token a list",
            body(r#"{"access_token":"a","id_token":["a.b.c"],"token_type":"Bearer"}"#),
            bearer,
        ),
        (
            "a member twice",
            body(
                r#"{"access_token":"a","id_token":"a.b.c","id_token":"d.e.f","token_type":"Bearer"}"#,
            ),
            "two members",
        ),
        (
            "not a JWT",
            body(r#"{"access_token":"a","id_token":"a","token_type":"Bearer"}"#),
            "three parts",
        ),
    ] {
        let error = log_in(manners, json!({})).await.unwrap_err();
        assert!(error.to_string().contains(want), "{name}: {error}");
    }
    let wrong_secret = log_in(Manners::default(), json!({"client_secret": "wrong"})).await;
    let want = "token_url answered invalid_client: no <b>luck</b>".to_owned();
    assert_eq!(wrong_secret, Err(IdpError::Misconfigured(want)));
}

#[tokio::test]
async fn o14_tls_errors_and_closed_ports_are_unreachable() {
    let provider = Provider::start(Manners::default()).await;
    let tls = |path: &str| format!("{}/{path}", provider.issuer().replace("http:", "https:"));
    let config = json!({"client_id": "c", "auth_url": tls("auth"), "token_url": tls("token"), "certs_url": tls("keys")});
    let error = Gateway::new().begin(&identity_provider(config)).await.unwrap_err();
    assert!(matches!(error, IdpError::Unreachable(_)), "{error}");

    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let url = |path: &str| format!("http://localhost:{port}/{path}");
    let config = json!({"client_id": "c", "auth_url": url("auth"), "token_url": url("token"), "certs_url": url("keys")});
    let error = Gateway::new().begin(&identity_provider(config)).await.unwrap_err();
    assert!(matches!(error, IdpError::Unreachable(_)), "{error}");
}

#[tokio::test]
async fn o15_a_provider_that_is_down_is_left_alone_for_ten_seconds() {
    let provider = Provider::start(Manners { at_jwks: Answer::Down, ..Default::default() }).await;
    let (gateway, idp) = (Gateway::new(), provider.configured(json!({})));
    for _ in 0..20 {
        assert!(matches!(gateway.begin(&idp).await, Err(IdpError::Unreachable(_))));
    }
    assert_eq!(provider.calls("/tenant/keys"), 3, "then it answers at once");
    let other = Provider::start(Manners::default()).await;
    assert!(gateway.log_in(&other, &other.configured(json!({}))).await.is_ok(), "others go on");

    provider.behave(|m| m.at_jwks = Answer::Right);
    gateway.clock.advance(9);
    assert!(gateway.begin(&idp).await.is_err());
    gateway.clock.advance(1);
    assert!(gateway.begin(&idp).await.is_ok(), "back again");

    provider.behave(|m| m.at_token = Answer::Down);
    for _ in 0..3 {
        assert!(matches!(gateway.log_in(&provider, &idp).await, Err(IdpError::Unreachable(_))));
    }
    assert!(gateway.begin(&idp).await.is_err(), "the token endpoint counts too");
    provider.behave(|m| m.at_token = Answer::Right);
    gateway.clock.advance(10);
    assert!(gateway.log_in(&provider, &idp).await.is_ok(), "back again");
}

#[tokio::test]
async fn o15_keys_are_trusted_for_an_hour() {
    let provider = Provider::start(Manners::default()).await;
    let (gateway, idp) = (Gateway::new(), provider.configured(json!({})));
    gateway.begin(&idp).await.unwrap();
    provider.behave(|m| m.at_jwks = Answer::Down);
    gateway.clock.advance(3_599);
    assert!(gateway.begin(&idp).await.is_ok());
    gateway.clock.advance(1);
    assert!(matches!(gateway.begin(&idp).await, Err(IdpError::Unreachable(_))));

    // Another key set is another provider: nothing that was learned is carried over.
    let mut moved =
        provider.configured(json!({"certs_url": format!("{}/other", provider.issuer())}));
    moved.id = idp.id;
    assert!(matches!(gateway.begin(&moved).await, Err(IdpError::Misconfigured(_))));
}

#[tokio::test]
async fn o16_a_callback_after_an_hour_is_stale() {
    let provider = Provider::start(Manners::default()).await;
    let (gateway, idp) = (Gateway::new(), provider.configured(json!({})));
    let (location, pending) = gateway.begin(&idp).await.unwrap();
    let callback = provider.log_in(&location);
    gateway.clock.advance(3_600);
    assert_eq!(gateway.finish(&idp, &pending, &callback).await, Err(IdpError::Stale));
    assert_eq!(provider.calls("/tenant/token"), 0);
}

#[tokio::test]
async fn a_client_shows_itself_as_the_provider_wants() {
    let in_body = Manners { secret_in_body: true, ..Default::default() };
    assert!(log_in(in_body.clone(), json!({})).await.is_ok());
    assert!(log_in(in_body, json!({"issuer": null})).await.is_ok());
}

#[tokio::test]
async fn many_logins_at_once_fetch_once() {
    let provider = Provider::start(Manners::default()).await;
    let (gateway, idp) = (Gateway::new(), provider.configured(json!({})));
    let begun = futures_util::future::join_all((0..50).map(|_| gateway.begin(&idp))).await;
    assert!(begun.iter().all(Result::is_ok));
    assert_eq!(provider.calls("/tenant/keys"), 1);

    let down = Provider::start(Manners { at_jwks: Answer::Down, ..Default::default() }).await;
    let idp = down.configured(json!({}));
    let begun = futures_util::future::join_all((0..50).map(|_| gateway.begin(&idp))).await;
    assert!(begun.iter().all(|b| matches!(b, Err(IdpError::Unreachable(_)))));
    assert_eq!(down.calls("/tenant/keys"), 1, "and learn of a failure together");
}

#[test]
fn logins_may_move_between_threads() {
    fn movable<T: Send>(_: &T) {}
    let gateway = Gateway::new();
    let idp = identity_provider(json!({"client_id": "c", "auth_url": "https://a.example/a",
        "token_url": "https://a.example/t", "certs_url": "https://a.example/k"}));
    movable(&gateway.begin(&idp));
    let pending: PendingOidc =
        serde_json::from_value(json!({"idp": idp.id, "nonce": "n", "verifier": "v", "started": 0}))
            .unwrap();
    movable(&gateway.finish(&idp, &pending, &CallbackParams::default()));
}
