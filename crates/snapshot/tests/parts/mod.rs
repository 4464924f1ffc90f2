//! Small configurations, put together by number: `app(0, …)` has the id `uuid("app", 0)`.

#![allow(dead_code, reason = "each suite uses a part of it")]

use narthex_model::{
    Application, Configuration, Group, IdentityProvider, IdpConfig, IngressRule, Policy, Premises,
    Revision, ScimConfig, ServiceToken, Timestamp, UnixSeconds, Zone, ZoneId,
};
use narthex_snapshot::{Fault, Materials, Snapshot};
use narthex_token::{KeyRing, SigningKey};
use serde_json::{Value, json};
use std::sync::{Arc, OnceLock};

const MADE: &str = "2026-01-01T00:00:00Z";

/// The id of the `n`th object of a kind.
pub(crate) fn uuid(kind: &str, n: usize) -> String {
    let kind = ["app", "policy", "group", "idp", "token", "certificate", "issued"]
        .iter()
        .position(|k| *k == kind);
    format!("{:08}-0000-4000-8000-{n:012}", kind.unwrap_or(9))
}

/// A configuration file with two zones and one origin.
pub(crate) fn premises() -> Premises {
    let zone = |name: &str| Zone { id: ZoneId::random(), name: name.parse().expect("a name") };
    let ingress = IngressRule {
        hostname: IngressRule::hostname("origin.example.com").expect("a name"),
        path: None,
        service: "http://127.0.0.1:9000".parse().expect("a service"),
        origin_request: narthex_model::OriginRequest::default(),
    };
    Premises {
        account: narthex_model::Account {
            id: "0123456789abcdef0123456789abcdef".parse().expect("an id"),
            name: "acme".to_owned(),
        },
        zones: vec![zone("example.com"), zone("lab.example.com")],
        team: "access.example.com:8443".parse().expect("a domain"),
        admin: "admin.example.com".parse().ok(),
        ingress: vec![ingress],
    }
}

/// What those premises are compiled with.
pub(crate) fn materials(premises: Premises) -> Materials {
    static KEY: OnceLock<Arc<SigningKey>> = OnceLock::new();
    let now = UnixSeconds(1_000);
    let key = KEY.get_or_init(|| Arc::new(SigningKey::generate(now, now)));
    let keys = KeyRing::of(vec![Arc::clone(key)], &premises.team, now).expect("a key ring");
    Materials {
        premises: Arc::new(premises),
        keys: Arc::new(keys),
        countries: None,
        revocation_lists: Arc::default(),
    }
}

pub(crate) struct Parts {
    pub(crate) premises: Premises,
    pub(crate) configuration: Configuration,
}

impl Default for Parts {
    fn default() -> Self {
        let parts = Self { premises: premises(), configuration: Configuration::default() };
        parts.organization(json!({}))
    }
}

fn whole(mut body: Value, settings: Value) -> Value {
    let object = body.as_object_mut().expect("an object");
    object.insert("created_at".into(), MADE.into());
    object.insert("updated_at".into(), MADE.into());
    object.extend(settings.as_object().expect("an object").clone());
    body
}

impl Parts {
    pub(crate) fn organization(mut self, settings: Value) -> Self {
        let body = json!({"name": "acme", "auth_domain": "access.example.com:8443", "aud": "f".repeat(64)});
        self.configuration.organization =
            Some(Arc::new(serde_json::from_value(whole(body, settings)).expect("settings")));
        self
    }

    pub(crate) fn app(mut self, n: usize, destinations: &[&str], settings: Value) -> Self {
        let body = json!({"id": uuid("app", n), "aud": format!("{n:064x}"), "name": format!("app{n}"),
            "destinations": destinations, "session_duration": "24h"});
        let app: Application =
            serde_json::from_value(whole(body, settings)).expect("an application");
        self.configuration.apps.insert(app.id, Arc::new(app));
        self
    }

    pub(crate) fn policy(mut self, n: usize, decision: &str, rules: Value) -> Self {
        let body =
            json!({"id": uuid("policy", n), "name": format!("policy{n}"), "decision": decision});
        let policy: Policy = serde_json::from_value(whole(body, rules)).expect("a policy");
        self.configuration.policies.insert(policy.id, Arc::new(policy));
        self
    }

    pub(crate) fn scoped_policy(
        self,
        n: usize,
        decision: &str,
        mut rules: Value,
        app: usize,
    ) -> Self {
        rules["app"] = uuid("app", app).into();
        self.policy(n, decision, rules)
    }

    pub(crate) fn group(mut self, n: usize, rules: Value) -> Self {
        let body = json!({"id": uuid("group", n), "name": format!("group{n}")});
        let group: Group = serde_json::from_value(whole(body, rules)).expect("a group");
        self.configuration.groups.insert(group.id, Arc::new(group));
        self
    }

    pub(crate) fn idp(mut self, n: usize, kind: &str) -> Self {
        let config = json!({"client_id": "c", "auth_url": "https://idp.example/a",
            "token_url": "https://idp.example/t", "certs_url": "https://idp.example/c"});
        let made = Timestamp(UnixSeconds(i64::try_from(n).expect("a small number")));
        let idp = IdentityProvider {
            id: uuid("idp", n).parse().expect("an id"),
            name: format!("idp{n}"),
            config: IdpConfig::parse(kind, config).expect("a configuration"),
            scim: ScimConfig::default(),
            zone: None,
            created_at: made,
            updated_at: made,
        };
        self.configuration.identity_providers.insert(idp.id, Arc::new(idp));
        self
    }

    pub(crate) fn token(mut self, n: usize, digit: &str) -> Self {
        let token = ServiceToken {
            id: uuid("token", n).parse().expect("an id"),
            name: format!("token{n}"),
            client_id: format!("{}.access", digit.repeat(32)).parse().expect("a client id"),
            secret: narthex_model::SecretHash::of("secret"),
            previous_secret: None,
            client_secret_version: 1,
            duration: "8760h".to_owned(),
            enabled: true,
            expires_at: None,
            zone: None,
            created_at: Timestamp::default(),
            updated_at: Timestamp::default(),
        };
        self.configuration.service_tokens.insert(token.id, Arc::new(token));
        self
    }

    pub(crate) fn compile(&self) -> Result<Snapshot, Fault> {
        Snapshot::compile(&materials(self.premises.clone()), &self.configuration, Revision(1))
    }
}
