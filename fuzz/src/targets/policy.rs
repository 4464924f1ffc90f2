//! Policies and groups as one JSON document: `{"policies": [...], "groups": [...]}`.

use crate::Target;
use narthex_model::{
    CertificateHolder, EmailAddress, Group, GroupId, Identity, Policy, ServiceTokenId,
};
use narthex_policy::{CertificateFact, Facts, Outcome, Person, PolicyList, Refusal};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

pub(crate) const TARGET: Target = Target {
    name: "policy",
    run,
    words: &[
        "policies",
        "groups",
        "include",
        "require",
        "exclude",
        "decision",
        "allow",
        "deny",
        "bypass",
        "non_identity",
        "everyone",
        "email",
        "email_domain",
        "domain",
        "group",
        "id",
        "ip",
        "ip_list",
        "geo",
        "country_code",
        "US",
        "DE",
        "service_token",
        "token_id",
        "any_valid_service_token",
        "certificate",
        "common_name",
        "login_method",
        "auth_method",
        "auth_context",
        "oidc",
        "claim_name",
        "claim_value",
        "saml",
        "ann@example.com",
        "example.com",
        "10.0.0.0/8",
        "2001:db8::/32",
        "0.0.0.0/0",
        "00000003-0000-4000-8000-000000000001",
        "session_duration",
        "24h",
    ],
    rounds: 8_000,
};

#[derive(Deserialize)]
struct Document {
    policies: Vec<Policy>,
    #[serde(default)]
    groups: Vec<Group>,
}

static ANN: LazyLock<Identity> = LazyLock::new(|| {
    serde_json::from_value(json!({
        "id": "1", "email": "ann@example.com", "amr": ["pwd", "mfa"],
        "idp": {"id": "00000001-0000-4000-8000-000000000001", "type": "oidc"}, "geo": {"country": "US"},
        "user_uuid": "00000009-0000-4000-8000-000000000001", "account_id": "0123456789abcdef0123456789abcdef",
        "iat": 1, "ip": "192.0.2.1", "oidc_fields": {"role": ["eng", "admin"]},
    }))
    .unwrap()
});

static HOLDER: LazyLock<CertificateHolder> = LazyLock::new(|| CertificateHolder {
    common_name: Some("robot".into()),
    dns_names: Box::new(["robot.example.com".into()]),
    ..CertificateHolder::default()
});

fn run(data: &[u8]) {
    let Ok(document) = serde_json::from_slice::<Document>(data) else { return };
    let groups: BTreeMap<GroupId, Arc<Group>> =
        document.groups.into_iter().map(|group| (group.id, Arc::new(group))).collect();
    let policies: Vec<_> = document.policies.into_iter().map(Arc::new).collect();
    let list = match PolicyList::compile(&policies, &groups) {
        Ok(list) => list,
        Err(fault) => {
            assert!(!fault.to_string().is_empty());
            return;
        }
    };
    let written = |policies: &[Arc<Policy>]| -> Vec<Value> {
        policies.iter().map(|policy| serde_json::to_value(&**policy).unwrap()).collect()
    };
    let read = written(&policies)
        .into_iter()
        .map(|value| Arc::new(serde_json::from_value(value).unwrap()));
    let again: Vec<Arc<Policy>> = read.collect();
    assert_eq!(written(&again), written(&policies), "written, read and written");
    let second = PolicyList::compile(&again, &groups).expect("what compiled once compiles again");
    // Whoever is shut out of every policy is not let in.
    let nobody = policies.iter().map(|policy| {
        let mut closed = serde_json::to_value(&**policy).unwrap();
        closed["exclude"] = json!([{"everyone": {}}]);
        Arc::new(serde_json::from_value(closed).unwrap())
    });
    let nobody: Vec<Arc<Policy>> = nobody.collect();
    let nobody = PolicyList::compile(&nobody, &groups).expect("everyone may be excluded");

    let email: &EmailAddress = &ANN.email;
    let token: ServiceTokenId = "00000002-0000-4000-8000-000000000001".parse().unwrap();
    for ip in ["10.1.2.3", "192.0.2.1", "2001:db8::1"] {
        for (token, certificate) in [
            (None, CertificateFact::Absent),
            (Some(token), CertificateFact::Absent),
            (None, CertificateFact::Valid(&HOLDER)),
        ] {
            for country in [None, "US".parse().ok()] {
                let ip = ip.parse().unwrap();
                let facts =
                    |person| Facts { ip, country, service_token: token, certificate, person };
                let whole = facts(Person::Known(&ANN));
                let part = facts(Person::Claims { email });
                check(&list, &whole, &part, &facts(Person::Anybody), &facts(Person::Nobody));
                assert_eq!(list.after_login(&whole), second.after_login(&whole));
                assert_eq!(list.before_login(&part), second.before_login(&part));
                assert!(!admits(&nobody, &whole) && nobody.before_login(&whole).is_none());
            }
        }
    }
}

fn admits(list: &PolicyList, facts: &Facts<'_>) -> bool {
    matches!(list.after_login(facts), Outcome::Admit(_))
}

fn check(
    list: &PolicyList,
    whole: &Facts<'_>,
    part: &Facts<'_>,
    anybody: &Facts<'_>,
    nobody: &Facts<'_>,
) {
    assert!(!admits(list, nobody), "an Allow policy is for people");
    assert!(!admits(list, part) || admits(list, whole), "knowing less never lets more in");
    assert!(list.before_login(nobody).is_none() || list.before_login(whole).is_some());
    if admits(list, whole) {
        assert!(
            list.could_admit(anybody) && list.could_admit(part),
            "a login that helps is offered"
        );
    }
    for facts in [whole, part, nobody] {
        let early = list.before_login(facts).map(Outcome::Admit);
        for outcome in
            [early, Some(list.after_login(facts)), Some(Outcome::Refuse(Refusal::NothingMatches))]
        {
            let reason = outcome.map(|outcome| list.explain(facts, &outcome));
            assert!(reason.is_none_or(|reason| !reason.sentence.is_empty()));
        }
    }
}
