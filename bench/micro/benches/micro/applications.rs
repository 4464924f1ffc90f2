//! Applications: the one of a request found among many, and all of them compiled, as after each change.

use divan::{Bencher, black_box};
use narthex_model::{
    Account, Application, CanonicalPath, Configuration, Hostname, IngressRule, OriginRequest,
    Policy, Premises, Revision, UnixSeconds,
};
use narthex_snapshot::{Materials, Snapshot};
use narthex_token::{KeyRing, SigningKey};
use serde_json::{Value, json};
use std::sync::{Arc, LazyLock};

fn made(mut body: Value) -> Value {
    body["created_at"] = "2026-01-01T00:00:00Z".into();
    body["updated_at"] = "2026-01-01T00:00:00Z".into();
    body
}

fn uuid(kind: u8, n: usize) -> String {
    format!("{kind:08}-0000-4000-8000-{n:012}")
}

static MATERIALS: LazyLock<Materials> = LazyLock::new(|| {
    let ingress = IngressRule {
        hostname: IngressRule::hostname("*.example.com").expect("a name"),
        path: None,
        service: "http://127.0.0.1:9000".parse().expect("a service"),
        origin_request: OriginRequest::default(),
    };
    let premises = Premises {
        account: Account {
            id: "0123456789abcdef0123456789abcdef".parse().expect("an id"),
            name: "acme".to_owned(),
        },
        zones: Vec::new(),
        team: "access.example.com".parse().expect("a domain"),
        admin: "admin.example.com".parse().ok(),
        ingress: vec![ingress],
    };
    let now = UnixSeconds(1_000);
    let key = Arc::new(SigningKey::generate(now, now));
    let keys = KeyRing::of(vec![key], &premises.team, now).expect("a key ring");
    Materials {
        premises: Arc::new(premises),
        keys: Arc::new(keys),
        countries: None,
        revocation_lists: Arc::default(),
    }
});

/// So many applications, each with a host and a policy of its own; every tenth shares its host with nine others, by path.
fn configuration(many: usize) -> Configuration {
    let mut configuration = Configuration::default();
    let organization =
        json!({"name": "acme", "auth_domain": "access.example.com", "aud": "f".repeat(64)});
    let organization = serde_json::from_value(made(organization)).expect("an organisation");
    configuration.organization = Some(Arc::new(organization));
    for n in 0..many {
        let destination = match n % 10 {
            0 => format!("shared{}.example.com/app{n}", n / 100),
            _ => format!("app{n}.example.com"),
        };
        let policy: Policy = serde_json::from_value(made(json!({"id": uuid(1, n), "name": format!("policy{n}"),
            "decision": "allow", "include": [{"email": {"email": format!("person{n}@example.com")}}]})))
        .expect("a policy");
        let app: Application =
            serde_json::from_value(made(json!({"id": uuid(2, n), "aud": format!("{n:064x}"),
            "name": format!("app{n}"), "destinations": [destination], "session_duration": "24h",
            "policies": [{"id": uuid(1, n), "precedence": 1}]})))
            .expect("an application");
        configuration.policies.insert(policy.id, Arc::new(policy));
        configuration.apps.insert(app.id, Arc::new(app));
    }
    configuration
}

fn compiled(configuration: &Configuration) -> Snapshot {
    Snapshot::compile(&MATERIALS, configuration, Revision(1)).expect("a sound configuration")
}

#[divan::bench(args = [10, 1_000, 10_000], sample_count = 10)]
fn compile(bencher: Bencher<'_, '_>, many: usize) {
    let configuration = configuration(many);
    bencher.bench(|| compiled(black_box(&configuration)));
}

/// What each write of the API does before it compiles.
#[divan::bench(args = [10, 10_000])]
fn clone_configuration(bencher: Bencher<'_, '_>, many: usize) {
    let configuration = configuration(many);
    bencher.bench(|| black_box(&configuration).clone());
}

fn find(bencher: Bencher<'_, '_>, many: usize, host: &str, path: &str, found: bool) {
    let snapshot = compiled(&configuration(many));
    let (host, path): (Hostname, _) =
        (host.parse().expect("a name"), CanonicalPath::of(path).expect("a path"));
    assert_eq!(snapshot.app(&host, &path).is_some(), found);
    bencher.bench(|| snapshot.app(black_box(&host), black_box(&path)).is_some());
}

#[divan::bench(args = [10, 10_000])]
fn find_by_host(bencher: Bencher<'_, '_>, many: usize) {
    find(bencher, many, "app7.example.com", "/a/b/c", true);
}

#[divan::bench(args = [10, 10_000])]
fn find_by_path(bencher: Bencher<'_, '_>, many: usize) {
    find(bencher, many, "shared0.example.com", "/app0/b/c", true);
}

#[divan::bench(args = [10, 10_000])]
fn find_none(bencher: Bencher<'_, '_>, many: usize) {
    find(bencher, many, "nobody.example.com", "/a/b/c", false);
}
