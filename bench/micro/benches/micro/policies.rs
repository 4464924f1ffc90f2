//! Policies: one request decided by as many rules as there are, the last of which is the one that holds.

use divan::{Bencher, black_box};
use narthex_bench::{address, object};
use narthex_model::{Group, GroupId, Identity, Policy};
use narthex_policy::{CertificateFact, Facts, Outcome, Person, PolicyList};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

fn policy(number: usize, include: &Value) -> Arc<Policy> {
    let id = format!("00000000-0000-4000-8000-{number:012}");
    object(json!({"id": id, "name": "p", "decision": "allow", "include": include}))
}

/// A rule for each of so many addresses, the last of which is Ann's.
fn addresses(rules: usize) -> Value {
    let others = (1..rules).map(|n| json!({"email": {"email": address(n)}}));
    others.chain([json!({"email": {"email": "ann@example.com"}})]).collect()
}

fn ann() -> Identity {
    serde_json::from_value(json!({
        "id": "1", "email": "ann@example.com", "amr": ["pwd"], "geo": {"country": "US"},
        "idp": {"id": "7335d417-61da-459d-899c-0a01c76a2f94", "type": "oidc"},
        "user_uuid": "1335d417-61da-459d-899c-0a01c76a2f94",
        "account_id": "0123456789abcdef0123456789abcdef", "iat": 1, "ip": "192.0.2.1",
    }))
    .expect("an identity")
}

fn decide(bencher: Bencher<'_, '_>, list: &PolicyList) {
    let ann = ann();
    let facts = Facts {
        ip: "192.0.2.1".parse().expect("an address"),
        country: None,
        service_token: None,
        certificate: CertificateFact::Absent,
        person: Person::Known(&ann),
    };
    assert!(matches!(list.after_login(&facts), Outcome::Admit(_)));
    bencher.bench(|| {
        let facts = black_box(&facts);
        (list.before_login(facts), list.after_login(facts))
    });
}

#[divan::bench(args = [1, 10, 1_000])]
fn rules_of_one_policy(bencher: Bencher<'_, '_>, rules: usize) {
    let list = PolicyList::compile(&[policy(1, &addresses(rules))], &BTreeMap::new());
    decide(bencher, &list.expect("sound rules"));
}

#[divan::bench(args = [1, 10, 1_000])]
fn policies_of_one_rule(bencher: Bencher<'_, '_>, policies: usize) {
    let rules = addresses(policies);
    let rules = rules.as_array().expect("rules").iter().enumerate();
    let policies: Vec<_> = rules.map(|(number, rule)| policy(number, &json!([rule]))).collect();
    decide(bencher, &PolicyList::compile(&policies, &BTreeMap::new()).expect("sound rules"));
}

#[divan::bench(args = [1, 10, 1_000])]
fn rules_of_a_group(bencher: Bencher<'_, '_>, rules: usize) {
    let id = "9335d417-61da-459d-899c-0a01c76a2f94";
    let group: Arc<Group> = object(json!({"id": id, "name": "g", "include": addresses(rules)}));
    let groups: BTreeMap<GroupId, Arc<Group>> = BTreeMap::from([(group.id, group)]);
    let policy = policy(1, &json!([{"group": {"id": id}}]));
    decide(bencher, &PolicyList::compile(&[policy], &groups).expect("sound rules"));
}
