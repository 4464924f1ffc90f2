//! Policies: one request decided by as many rules as there are, the last of which is the one that holds.

use divan::{Bencher, black_box};
use narthex_bench::{address, identity, object, token};
use narthex_model::{Group, GroupId, Policy};
use narthex_policy::{CertificateFact, Facts, Outcome, Person, PolicyList};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

fn policy(number: usize, include: &Value) -> Arc<Policy> {
    let id = format!("00000000-0000-4000-8000-{number:012}");
    object(json!({"id": id, "name": "p", "decision": "allow", "include": include}))
}

/// A rule for each of so many addresses, numbered from 1.
fn addresses(rules: usize) -> Value {
    (1..=rules).map(|n| json!({"email": {"email": address(n)}})).collect()
}

fn decide(bencher: Bencher<'_, '_>, list: &PolicyList, last: usize) {
    let person = identity(&token(last));
    let facts = Facts {
        ip: "192.0.2.1".parse().expect("an address"),
        country: None,
        service_token: None,
        certificate: CertificateFact::Absent,
        person: Person::Known(&person),
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
    decide(bencher, &list.expect("sound rules"), rules);
}

#[divan::bench(args = [1, 10, 1_000])]
fn policies_of_one_rule(bencher: Bencher<'_, '_>, policies: usize) {
    let (last, rules) = (policies, addresses(policies));
    let rules = rules.as_array().expect("rules").iter().enumerate();
    let policies: Vec<_> = rules.map(|(number, rule)| policy(number, &json!([rule]))).collect();
    decide(bencher, &PolicyList::compile(&policies, &BTreeMap::new()).expect("sound rules"), last);
}

#[divan::bench(args = [1, 10, 1_000])]
fn rules_of_a_group(bencher: Bencher<'_, '_>, rules: usize) {
    let id = "9335d417-61da-459d-899c-0a01c76a2f94";
    let group: Arc<Group> = object(json!({"id": id, "name": "g", "include": addresses(rules)}));
    let groups: BTreeMap<GroupId, Arc<Group>> = BTreeMap::from([(group.id, group)]);
    let policy = policy(1, &json!([{"group": {"id": id}}]));
    decide(bencher, &PolicyList::compile(&[policy], &groups).expect("sound rules"), rules);
}
