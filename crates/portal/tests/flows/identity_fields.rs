//! Every field of get-identity by name, for everybody who can ask (seed 003, access-protocol §5.7).

use crate::browser::Browser;
use crate::house::{House, PIN_IDP, robot};
use crate::provider::Provider;
use http::Method;
use narthex_model::ClientId;
use narthex_token::MachineToken;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

const IDP: &str = "22222222-2222-4222-8222-222222222222";
const AT: &str = "https://auth.example.com/cdn-cgi/access/get-identity";

async fn identity(house: &House, jwt: &str) -> Map<String, Value> {
    let cookie = format!("CF_Authorization={jwt}");
    let page = Browser::new().send(house, Method::GET, AT, &[("cookie", &cookie)], "").await;
    assert_eq!(page.status, 200, "{}", page.body);
    serde_json::from_str(&page.body).unwrap()
}

#[tokio::test]
async fn every_field_is_there_and_true() {
    let provider = Provider::start().await;
    let client = ClientId::random();
    let robot = robot(&client);
    let mut house = House::with(|plan| {
        plan.provider(provider.configured(IDP, "Staff login"));
        let at_once = json!({"allowed_idps": [IDP], "auto_redirect_to_identity": true});
        plan.app("instant", &["instant.example.com"], at_once);
        plan.service_token(robot);
    })
    .await;
    house.country = Some("JP".parse().unwrap());

    // Ann logs in at the provider, and with a second browser half a minute later; Bea by a code.
    let claims = json!({
        "email": "ann@example.com", "name": "Ann Lee", "groups": ["staff"], "team": "blue", "amr": ["pwd", "mfa"],
    });
    let mut tokens = Vec::new();
    for ip in ["203.0.113.7", "203.0.113.8"] {
        let mut browser = Browser::at(ip);
        let url = browser.visit(&house, "instant", "instant.example.com", "/");
        let there = browser.get(&house, &url).await.location().to_owned();
        let onwards = browser.get(&house, &provider.log_in(&there, claims.clone())).await;
        let onwards = onwards.location().to_owned();
        browser.get(&house, &onwards).await;
        tokens.push(browser.cookie("instant.example.com", "CF_Authorization").unwrap().to_owned());
        house.clock.advance(30);
    }
    let mut bea = Browser::at("203.0.113.9");
    bea.arrive(&house, "wiki", "app.example.com", "/", "bea@example.com").await;
    let by_code = bea.cookie("app.example.com", "CF_Authorization").unwrap().to_owned();
    let machine = house.keys().mint(&MachineToken {
        aud: house.app("wiki").aud.clone(),
        common_name: client.to_string(),
        certificate: None,
        iat: house.now(),
        exp: house.now().plus(60),
    });

    let (ann, second) =
        (house.open_app_token("instant", &tokens[0]), house.open_app_token("instant", &tokens[1]));
    let code = house.open_app_token("wiki", &by_code);
    let session = |nonce| house.live.sessions.get(nonce).unwrap();
    let (ann_session, second_session, code_session) = (
        session(&ann.identity_nonce),
        session(&second.identity_nonce),
        session(&code.identity_nonce),
    );
    let account = ann_session.identity.account_id.as_str();
    let of_person = identity(&house, &tokens[0]).await;
    let of_code = identity(&house, &by_code).await;
    let of_machine = identity(&house, &machine).await;

    let no_certificate = json!({
        "auth_status": "NONE", "cert_issuer_dn": "", "cert_issuer_ski": "", "cert_presented": false, "cert_serial": "",
    });
    let devices = json!({
        ann_session.device().to_string(): {"last_authenticated": ann.iat.0},
        second_session.device().to_string(): {"last_authenticated": second.iat.0},
    });
    let device = json!({code_session.device().to_string(): {"last_authenticated": code.iat.0}});
    let same = |value: Value| [value.clone(), value.clone(), value];
    let table = [
        // Facts of a login: of a person at a provider, of a person by code, and of a service token.
        ("id", [json!("subject"), json!("bea@example.com"), json!("")]),
        ("name", [json!("Ann Lee"), json!(""), json!("")]),
        ("email", [json!("ann@example.com"), json!("bea@example.com"), json!("")]),
        ("amr", [json!(["pwd", "mfa"]), json!([]), json!([])]),
        (
            "idp",
            [
                json!({"id": IDP, "type": "oidc"}),
                json!({"id": PIN_IDP, "type": "onetimepin"}),
                json!({"id": "", "type": ""}),
            ],
        ),
        ("geo", [json!({"country": "JP"}), json!({"country": "JP"}), json!({"country": null})]),
        ("user_uuid", [json!(ann.sub), json!(code.sub), json!("")]),
        ("account_id", same(json!(account))),
        ("iat", [json!(ann.iat.0), json!(code.iat.0), json!(house.now().0)]),
        ("ip", [json!("203.0.113.7"), json!("203.0.113.9"), json!("")]),
        ("groups", [json!([{"id": "staff", "name": "staff"}]), json!([]), json!([])]),
        ("oidc_fields", [json!({"team": "blue"}), json!({}), json!({})]),
        ("custom", [json!({"team": "blue"}), json!({}), json!({})]),
        ("device_sessions", [devices, device, json!({})]),
        // A service token vouches for itself.
        ("service_token_id", [json!(""), json!(""), json!(client.as_str())]),
        ("service_token_status", [json!(false), json!(false), json!(true)]),
        // No client certificate was shown.
        ("auth_status", same(json!("NONE"))),
        ("common_name", same(json!(""))),
        ("mtls_auth", same(no_certificate)),
        // No device client exists here, and no SAML provider.
        ("is_warp", same(json!(false))),
        ("is_gateway", same(json!(false))),
        ("gateway_account_id", same(json!(""))),
        ("device_id", same(json!(""))),
        ("devicePosture", same(json!({}))),
        ("saml_attributes", same(json!({}))),
        ("version", same(json!(2))),
    ];
    let told = [&of_person, &of_code, &of_machine];
    for (field, wants) in &table {
        for (told, want) in told.iter().zip(wants) {
            assert_eq!(told.get(*field), Some(want), "{field}");
        }
    }
    let named: BTreeSet<&str> = table.iter().map(|(field, _)| *field).collect();
    for told in told {
        let fields: BTreeSet<&str> = told.keys().map(String::as_str).collect();
        assert_eq!(fields, named, "no field that is not in the table");
    }
    assert!(
        !json!(of_person).to_string().contains(second.identity_nonce.as_str()),
        "no handle of another session"
    );

    // The second session ends, and the first no longer names it; then the first expires.
    house.live.revocations.end_session(&second.identity_nonce, house.now().plus(60));
    let left = identity(&house, &tokens[0]).await;
    let only = json!({ann_session.device().to_string(): {"last_authenticated": ann.iat.0}});
    assert_eq!(left["device_sessions"], only);
    house.clock.advance(86_400);
    for (name, jwt, error) in [
        ("a person", &tokens[0], "the token has expired"),
        ("a person whose session was ended", &tokens[1], "the token has expired"),
        ("a service token", &machine, "the token has expired"),
    ] {
        let cookie = format!("CF_Authorization={jwt}");
        let page = Browser::new().send(&house, Method::GET, AT, &[("cookie", &cookie)], "").await;
        let body: Value = serde_json::from_str(&page.body).unwrap();
        assert_eq!((page.status.as_u16(), body), (401, json!({"err": error})), "{name}");
    }
}
