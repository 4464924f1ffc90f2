//! What the benchmarks stand on: a team with a key, people with tokens, and as many applications as are asked for.

use narthex_model::{
    Account, Application, AudTag, Configuration, Identity, IdentityNonce, IngressRule,
    OriginRequest, Policy, Premises, Revision, Session, UnixSeconds, UserId,
};
use narthex_snapshot::{Materials, Snapshot};
use narthex_token::{KeyRing, PersonToken, SigningKey};
use serde_json::{Map, Value, json};
use std::sync::{Arc, LazyLock};

/// The time at which everything here is in force.
pub const NOW: UnixSeconds = UnixSeconds(1_780_000_000);

/// The team's keys: one.
pub static KEYS: LazyLock<Arc<KeyRing>> = LazyLock::new(|| {
    let team = "access.example.com".parse().expect("a team domain");
    let key = Arc::new(SigningKey::generate(NOW, NOW));
    Arc::new(KeyRing::of(vec![key], &team, NOW).expect("a key ring"))
});

/// The address whose policy admits it at the application of number `n`.
#[must_use]
pub fn address(n: usize) -> String {
    format!("person{n}@example.com")
}

/// The audience tag of the application of number `n`.
///
/// # Panics
/// Never: so many digits are a tag.
#[must_use]
pub fn aud(n: usize) -> AudTag {
    format!("{n:064x}").try_into().expect("a tag")
}

/// A token for person and application of number `n`, of a session of its own.
///
/// # Panics
/// Never: [`address`] is an address.
#[must_use]
pub fn token(n: usize) -> PersonToken {
    PersonToken {
        aud: aud(n),
        email: address(n).parse().expect("an address"),
        sub: UserId::random(),
        identity_nonce: IdentityNonce::random(),
        country: None,
        custom: Map::new(),
        iat: NOW,
        exp: UnixSeconds(NOW.0 + 86_400),
        binding: None,
    }
}

/// What is known of the person in a token.
///
/// # Panics
/// Never: it is an identity.
#[must_use]
pub fn identity(token: &PersonToken) -> Identity {
    serde_json::from_value(json!({
        "id": "1", "email": token.email, "amr": ["pwd"], "geo": {"country": "US"},
        "idp": {"id": "7335d417-61da-459d-899c-0a01c76a2f94", "type": "oidc"}, "user_uuid": token.sub,
        "account_id": "0123456789abcdef0123456789abcdef", "iat": NOW, "ip": "192.0.2.1",
    }))
    .expect("an identity")
}

/// The session that a token was issued under.
#[must_use]
pub fn session(token: &PersonToken) -> Session {
    Session {
        nonce: token.identity_nonce.clone(),
        identity: identity(token),
        expires_at: token.exp,
        tokens_until: token.exp,
        apps: std::iter::empty().collect(),
    }
}

/// An object as the API shows it, with the dates that all of them have.
///
/// # Panics
/// When it is no such object.
#[must_use]
pub fn object<T: serde::de::DeserializeOwned>(mut body: Value) -> Arc<T> {
    body["created_at"] = "2026-01-01T00:00:00Z".into();
    body["updated_at"] = "2026-01-01T00:00:00Z".into();
    Arc::new(serde_json::from_value(body).expect("an object of the model"))
}

/// What is compiled beside the configuration; everything below `example.com` leads to the origin at this port.
///
/// # Panics
/// Never: its names are names.
#[must_use]
pub fn materials(origin: u16) -> Materials {
    let service = format!("http://127.0.0.1:{origin}");
    let premises = Premises {
        account: Account {
            id: "0123456789abcdef0123456789abcdef".parse().expect("an id"),
            name: "acme".to_owned(),
        },
        zones: Vec::new(),
        team: "access.example.com".parse().expect("a domain"),
        admin: "admin.example.com".parse().ok(),
        ingress: vec![IngressRule {
            hostname: IngressRule::hostname("*.example.com").expect("a name"),
            path: None,
            service: service.parse().expect("a service"),
            origin_request: OriginRequest::default(),
        }],
    };
    Materials {
        premises: Arc::new(premises),
        keys: Arc::clone(&KEYS),
        countries: None,
        revocation_lists: Arc::default(),
    }
}

/// So many applications with a policy each. Nine of ten have a host of their own, the others share one with nine more, by path.
#[must_use]
pub fn configuration(many: usize) -> Configuration {
    let uuid = |kind: u8, n: usize| format!("{kind:08}-0000-4000-8000-{n:012}");
    let organization =
        object(json!({"name": "acme", "auth_domain": "access.example.com", "aud": "f".repeat(64)}));
    let mut configuration =
        Configuration { organization: Some(organization), ..Default::default() };
    for n in 0..many {
        let destination = match n % 10 {
            0 => format!("shared{}.example.com/app{n}", n / 100),
            _ => format!("app{n}.example.com"),
        };
        let policy: Arc<Policy> =
            object(json!({"id": uuid(1, n), "name": format!("policy{n}"), "decision": "allow",
            "include": [{"email": {"email": address(n)}}]}));
        let app: Arc<Application> = object(
            json!({"id": uuid(2, n), "aud": aud(n).as_str(), "name": format!("app{n}"),
            "destinations": [destination], "session_duration": "24h", "policies": [{"id": uuid(1, n), "precedence": 1}]}),
        );
        configuration.policies.insert(policy.id, policy);
        configuration.apps.insert(app.id, app);
    }
    configuration
}

/// A configuration compiled.
///
/// # Panics
/// When it is not sound.
#[must_use]
pub fn compiled(materials: &Materials, configuration: &Configuration) -> Snapshot {
    Snapshot::compile(materials, configuration, Revision(1)).expect("a sound configuration")
}
