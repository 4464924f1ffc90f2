//! The worked examples of access-protocol §9.8 and the measured matrix of §8.3, and what is said about them.

use narthex_model::{
    CertificateHolder, Decision, Group, GroupId, Identity, Policy, ServiceTokenId,
};
use narthex_policy::{
    Admission, Admitted, CertificateFact, Facts, Outcome, Person, PolicyFaultKind, PolicyList,
    Reason, Refusal,
};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

const IDP: &str = "7335d417-61da-459d-899c-0a01c76a2f94";
const TOKEN: &str = "8335d417-61da-459d-899c-0a01c76a2f94";
const GROUP: &str = "9335d417-61da-459d-899c-0a01c76a2f94";

fn policy(name: &str, decision: &str, rules: Value) -> Arc<Policy> {
    let mut body = rules;
    let object = body.as_object_mut().expect("an object");
    let number = name.bytes().fold(0_u64, |sum, byte| sum * 31 + u64::from(byte)) % 0xffff_ffff;
    object.insert("id".into(), format!("00000000-0000-4000-8000-{number:012x}").into());
    object.insert("name".into(), name.into());
    object.insert("decision".into(), decision.into());
    object.insert("created_at".into(), "2026-01-01T00:00:00Z".into());
    object.insert("updated_at".into(), "2026-01-01T00:00:00Z".into());
    Arc::new(serde_json::from_value(body).expect("an object of the model"))
}

fn identity(email: &str) -> Identity {
    serde_json::from_value(json!({
        "id": "1", "email": email, "amr": ["pwd"], "idp": {"id": IDP, "type": "oidc"},
        "geo": {"country": "US"}, "user_uuid": "1335d417-61da-459d-899c-0a01c76a2f94",
        "account_id": "0123456789abcdef0123456789abcdef", "iat": 1, "ip": "192.0.2.1",
    }))
    .expect("an identity")
}

fn list(policies: &[Arc<Policy>]) -> PolicyList {
    PolicyList::compile(policies, &BTreeMap::new()).expect("sound policies")
}

/// What becomes of a request, in the words of the protocol's table.
fn fate(list: &PolicyList, facts: &Facts<'_>) -> &'static str {
    if let Some(Admission { how, .. }) = list.before_login(facts) {
        return match how {
            Admitted::Bypass => "bypassed",
            Admitted::ServiceAuth => "admitted as a machine",
            Admitted::Allow => "impossible",
        };
    }
    match facts.person {
        Person::Anybody | Person::Nobody if list.could_admit(facts) => "302",
        Person::Anybody | Person::Nobody => "403",
        Person::Claims { .. } | Person::Known(_) => match list.after_login(facts) {
            Outcome::Admit(_) => "admitted",
            Outcome::Refuse(Refusal::DeniedBy(_)) => "denied",
            Outcome::Refuse(Refusal::NothingMatches) => "refused",
        },
    }
}

fn stranger(country: &str) -> Facts<'static> {
    Facts {
        ip: [192, 0, 2, 1].into(),
        country: country.parse().ok(),
        service_token: None,
        certificate: CertificateFact::Absent,
        person: Person::Anybody,
    }
}

#[test]
fn the_worked_examples() {
    let nameless = CertificateHolder::default();
    let (a, x) = (identity("a@b.com"), identity("x@b.com"));
    let (ann, xeno) = (Person::Known(&a), Person::Known(&x));
    let token: Option<ServiceTokenId> = TOKEN.parse().ok();
    let us_staff = || {
        policy(
            "staff",
            "allow",
            json!({"include": [{"email_domain": {"domain": "b.com"}}], "require": [{"geo": {"country_code": "US"}}]}),
        )
    };
    let everyone = || policy("everyone", "allow", json!({"include": [{"everyone": {}}]}));
    let block_x = || policy("block", "deny", json!({"include": [{"email": {"email": "x@b.com"}}]}));
    let office =
        || policy("office", "bypass", json!({"include": [{"ip": {"ip": "192.0.2.0/24"}}]}));
    let machines = || {
        policy(
            "machines",
            "non_identity",
            json!({"include": [{"any_valid_service_token": {}}], "require": [{"ip": {"ip": "10.0.0.0/8"}}]}),
        )
    };
    let robots = || policy("robots", "non_identity", json!({"include": [{"certificate": {}}]}));
    let carded = || {
        policy(
            "carded",
            "allow",
            json!({"include": [{"everyone": {}}], "require": [{"certificate": {}}]}),
        )
    };
    let (us, de) = (stranger("US"), stranger("DE"));
    for (name, policies, facts, want) in [
        ("anonymous from DE", vec![us_staff()], de, "403"),
        ("anonymous from US", vec![us_staff()], us, "302"),
        ("anonymous from nowhere", vec![us_staff()], stranger("?"), "403"),
        ("logged in", vec![us_staff()], Facts { person: ann, ..us }, "admitted"),
        ("logged in, moved to DE", vec![us_staff()], Facts { person: ann, ..de }, "refused"),
        (
            "logged in, nobody knows where",
            vec![us_staff()],
            Facts { person: ann, ..stranger("?") },
            "refused",
        ),
        ("allow first", vec![everyone(), block_x()], Facts { person: xeno, ..us }, "admitted"),
        ("block first", vec![block_x(), everyone()], Facts { person: xeno, ..us }, "denied"),
        (
            "block first, another",
            vec![block_x(), everyone()],
            Facts { person: ann, ..us },
            "admitted",
        ),
        ("block first, a stranger", vec![block_x(), everyone()], us, "302"),
        ("bypass listed second", vec![everyone(), office()], us, "bypassed"),
        (
            "bypass listed second, from elsewhere",
            vec![everyone(), office()],
            Facts { ip: [203, 0, 113, 1].into(), ..us },
            "302",
        ),
        ("a token from elsewhere", vec![machines()], Facts { service_token: token, ..us }, "403"),
        (
            "a token from the data centre",
            vec![machines()],
            Facts { service_token: token, ip: [10, 1, 1, 1].into(), ..us },
            "admitted as a machine",
        ),
        ("no token, service only", vec![machines()], us, "403"),
        ("a browser without certificate", vec![robots(), everyone()], us, "302"),
        (
            "a certificate alone",
            vec![robots(), everyone()],
            Facts { certificate: CertificateFact::Valid(&nameless), ..us },
            "admitted as a machine",
        ),
        ("logged in without certificate", vec![carded()], Facts { person: ann, ..us }, "refused"),
        ("nothing at all", vec![], Facts { person: ann, ..us }, "refused"),
        ("nothing at all, a stranger", vec![], us, "403"),
        (
            "a machine at a door for people",
            vec![everyone()],
            Facts { person: Person::Nobody, ..us },
            "403",
        ),
    ] {
        assert_eq!(fate(&list(&policies), &facts), want, "{name}");
    }
}

#[test]
fn an_allow_policy_needs_a_person_whatever_it_asks() {
    let by_ip =
        list(&[policy("office", "allow", json!({"include": [{"ip": {"ip": "192.0.2.0/24"}}]}))]);
    let ann = identity("a@b.com");
    for (person, want) in
        [(Person::Nobody, "403"), (Person::Anybody, "302"), (Person::Known(&ann), "admitted")]
    {
        assert_eq!(fate(&by_ip, &Facts { person, ..stranger("US") }), want, "{person:?}");
    }
}

#[test]
fn a_session_that_is_not_at_hand_fails_closed() {
    let email = "a@b.com".parse().unwrap();
    let claims = Facts { person: Person::Claims { email: &email }, ..stranger("US") };
    let include = |rule: Value| json!({"include": [rule]});
    let method = json!({"login_method": {"id": IDP}});
    let everyone = json!({"everyone": {}});
    let staff = json!({"email_domain": {"domain": "b.com"}});
    for (name, policies, want) in [
        ("the address suffices", vec![policy("p", "allow", include(staff.clone()))], "admitted"),
        ("everyone suffices", vec![policy("p", "allow", include(everyone.clone()))], "admitted"),
        (
            "a login method is not known",
            vec![policy("p", "allow", include(method.clone()))],
            "refused",
        ),
        (
            "an exclude may hold",
            vec![policy("p", "allow", json!({"include": [everyone], "exclude": [method]}))],
            "refused",
        ),
        (
            "a deny may hold",
            vec![
                policy("d", "deny", include(method.clone())),
                policy("p", "allow", include(staff.clone())),
            ],
            "denied",
        ),
        (
            "a deny that cannot hold",
            vec![
                policy(
                    "d",
                    "deny",
                    json!({"include": [method], "require": [{"geo": {"country_code": "DE"}}]}),
                ),
                policy("p", "allow", include(staff)),
            ],
            "admitted",
        ),
    ] {
        assert_eq!(fate(&list(&policies), &claims), want, "{name}");
    }
}

#[test]
fn an_unknown_country_counts_against_the_caller() {
    let ann = identity("a@b.com");
    let facts = Facts { person: Person::Known(&ann), ..stranger("?") };
    let us = json!({"geo": {"country_code": "US"}});
    let everyone = json!({"everyone": {}});
    for (name, policies, want) in [
        ("include", vec![policy("p", "allow", json!({"include": [us]}))], "refused"),
        (
            "require",
            vec![policy("p", "allow", json!({"include": [everyone], "require": [us]}))],
            "refused",
        ),
        (
            "exclude",
            vec![policy("p", "allow", json!({"include": [everyone], "exclude": [us]}))],
            "refused",
        ),
        (
            "deny",
            vec![
                policy("d", "deny", json!({"include": [us]})),
                policy("p", "allow", json!({"include": [everyone]})),
            ],
            "denied",
        ),
        (
            "another include",
            vec![policy("p", "allow", json!({"include": [us, everyone]}))],
            "admitted",
        ),
        ("bypass", vec![policy("p", "bypass", json!({"include": [us]}))], "refused"),
    ] {
        assert_eq!(fate(&list(&policies), &facts), want, "{name}");
        let anybody = Facts { person: Person::Anybody, ..facts };
        let login_helps = want == "admitted";
        assert_eq!(list(&policies).could_admit(&anybody), login_helps, "{name}, before a login");
    }
}

#[test]
fn everyone_does_not_turn_service_auth_into_a_bypass() {
    let machines = list(&[policy("p", "non_identity", json!({"include": [{"everyone": {}}]}))]);
    let robot = CertificateHolder { common_name: Some("robot".into()), ..<_>::default() };
    let valid = CertificateFact::Valid(&robot);
    for (facts, want) in [
        (stranger("US"), "403"),
        (Facts { service_token: TOKEN.parse().ok(), ..stranger("US") }, "admitted as a machine"),
        (Facts { certificate: valid, ..stranger("US") }, "admitted as a machine"),
    ] {
        assert_eq!(fate(&machines, &facts), want);
    }
}

fn groups(rules: Value) -> BTreeMap<GroupId, Arc<Group>> {
    let mut body = rules;
    let object = body.as_object_mut().expect("an object");
    object.insert("id".into(), GROUP.into());
    object.insert("name".into(), "Abroad".into());
    object.insert("created_at".into(), "2026-01-01T00:00:00Z".into());
    object.insert("updated_at".into(), "2026-01-01T00:00:00Z".into());
    let group: Group = serde_json::from_value(body).expect("an object of the model");
    BTreeMap::from([(group.id, Arc::new(group))])
}

#[test]
fn policies_that_decide_before_a_login_may_not_ask_who_it_is() {
    let to_group = json!({"group": {"id": GROUP}});
    let group = groups(
        json!({"include": [{"certificate": {}}], "exclude": [{"email": {"email": "a@b.com"}}]}),
    );
    let everyone = json!({"everyone": {}});
    for (decision, rules, want) in [
        ("bypass", json!({"include": [everyone]}), None),
        ("bypass", json!({"include": [{"email": {"email": "a@b.com"}}]}), Some("/include/0")),
        (
            "bypass",
            json!({"include": [everyone], "require": [{"login_method": {"id": IDP}}]}),
            Some("/require/0"),
        ),
        (
            "bypass",
            json!({"include": [everyone], "exclude": [everyone, to_group]}),
            Some("/exclude/1"),
        ),
        ("non_identity", json!({"include": [{"certificate": {}}, to_group]}), Some("/include/1")),
        (
            "non_identity",
            json!({"include": [{"auth_method": {"auth_method": "mfa"}}]}),
            Some("/include/0"),
        ),
        ("allow", json!({"include": [to_group]}), None),
        ("deny", json!({"include": [to_group]}), None),
    ] {
        let fault = PolicyList::compile(&[policy("p", decision, rules.clone())], &group).err();
        assert_eq!(fault.as_ref().map(|f| &*f.pointer), want, "{decision} {rules}");
        assert!(fault.is_none_or(|f| f.policy.is_some() && f.kind == PolicyFaultKind::Invalid));
    }
    let missing = policy("p", "allow", json!({"include": [to_group]}));
    let fault = PolicyList::compile(&[missing], &BTreeMap::new()).unwrap_err();
    assert_eq!(
        (fault.kind, &*fault.pointer),
        (PolicyFaultKind::MissingGroup, "/include/0/group/id")
    );
    let empty =
        PolicyList::compile(&[policy("p", "allow", json!({"include": []}))], &BTreeMap::new());
    assert_eq!(empty.unwrap_err().pointer, "/include");
}

/// Policy, rule, fact and sentence for the decision about `facts`.
fn reason(list: &PolicyList, facts: &Facts<'_>) -> Reason {
    let early = list.before_login(facts).map(Outcome::Admit);
    let outcome = early.unwrap_or_else(|| match facts.person {
        Person::Anybody | Person::Nobody => Outcome::Refuse(Refusal::NothingMatches),
        Person::Claims { .. } | Person::Known(_) => list.after_login(facts),
    });
    list.explain(facts, &outcome)
}

#[test]
fn every_decision_is_explained() {
    let ann = identity("a@b.com");
    let known = |country| Facts { person: Person::Known(&ann), ..stranger(country) };
    let abroad = groups(
        json!({"include": [{"everyone": {}}], "exclude": [{"geo": {"country_code": "US"}}]}),
    );
    let staff = json!({"email_domain": {"domain": "b.com"}});
    for (name, policies, facts, (rule, fact, sentence, about_identity)) in [
        (
            "the wrong country, before a login",
            vec![policy(
                "Staff",
                "allow",
                json!({"include": [staff], "require": [{"geo": {"country_code": "US"}}]}),
            )],
            stranger("DE"),
            (
                r#"require[0] {"geo":{"country_code":"US"}}"#,
                "country is DE",
                r#"Policy "Staff" does not admit the request: your connection comes from DE. Connect from US."#,
                false,
            ),
        ),
        (
            "not on the list",
            vec![policy(
                "Board",
                "allow",
                json!({"include": [{"email": {"email": "boss@b.com"}}]}),
            )],
            known("US"),
            (
                r#"include[0] {"email":{"email":"boss@b.com"}}"#,
                "email is a@b.com",
                r#"Policy "Board" does not admit the request: you are logged in as a@b.com. Log in with another account, or ask the administrator to add your address."#,
                true,
            ),
        ),
        (
            "on neither list",
            vec![policy(
                "Board",
                "allow",
                json!({"include": [{"email": {"email": "boss@b.com"}}, {"email": {"email": "c@b.com"}}]}),
            )],
            known("US"),
            (
                "none of include[0] to include[1]",
                "email is a@b.com",
                r#"Policy "Board" does not admit the request: you are logged in as a@b.com. Log in with another account, or ask the administrator to add your address."#,
                true,
            ),
        ),
        (
            "the nearer of two policies",
            vec![
                policy("Board", "allow", json!({"include": [{"email": {"email": "boss@b.com"}}]})),
                policy(
                    "Carded",
                    "allow",
                    json!({"include": [staff], "require": [{"certificate": {}}]}),
                ),
            ],
            known("US"),
            (
                r#"require[0] {"certificate":{}}"#,
                "there is no trusted client certificate",
                r#"Policy "Carded" does not admit the request: no trusted client certificate was presented. It takes one that your administrator issued."#,
                false,
            ),
        ),
        (
            "blocked",
            vec![
                policy("Block", "deny", json!({"include": [staff]})),
                policy("All", "allow", json!({"include": [{"everyone": {}}]})),
            ],
            known("US"),
            (
                r#"include[0] {"email_domain":{"domain":"b.com"}}"#,
                "email is a@b.com",
                r#"Policy "Block" refuses the request: you are logged in as a@b.com. Log in with another account, or ask the administrator."#,
                true,
            ),
        ),
        (
            "certain to be blocked, before a login",
            vec![
                policy("Block", "deny", json!({"include": [{"ip": {"ip": "192.0.2.0/24"}}]})),
                policy("All", "allow", json!({"include": [{"everyone": {}}]})),
            ],
            stranger("US"),
            (
                r#"include[0] {"ip":{"ip":"192.0.2.0/24"}}"#,
                "ip is 192.0.2.1",
                r#"Policy "Block" refuses the request: your address is 192.0.2.1. Connect through another network."#,
                false,
            ),
        ),
        (
            "admitted",
            vec![policy(
                "Staff",
                "allow",
                json!({"include": [{"email": {"email": "c@b.com"}}, staff]}),
            )],
            known("US"),
            (
                r#"include[1] {"email_domain":{"domain":"b.com"}}"#,
                "email is a@b.com",
                r#"Policy "Staff" admits the request: you are logged in as a@b.com."#,
                true,
            ),
        ),
        (
            "through a group",
            vec![policy("Travel", "allow", json!({"include": [{"group": {"id": GROUP}}]}))],
            known("US"),
            (
                r#"include[0] {"group":{"id":"9335d417-61da-459d-899c-0a01c76a2f94"}} > exclude[0] {"geo":{"country_code":"US"}}"#,
                "country is US",
                r#"Policy "Travel" does not admit the request: your connection comes from US. Connect from another country."#,
                false,
            ),
        ),
        (
            "a method that the provider did not report",
            vec![policy(
                "Strong",
                "allow",
                json!({"include": [staff], "require": [{"auth_method": {"auth_method": "mfa"}}]}),
            )],
            known("US"),
            (
                r#"require[0] {"auth_method":{"auth_method":"mfa"}}"#,
                "authentication methods are [pwd]",
                r#"Policy "Strong" does not admit the request: you proved who you are by pwd. Log out, and log in with a method that your identity provider reports as "mfa"."#,
                true,
            ),
        ),
        (
            "for machines only",
            vec![policy(
                "Machines",
                "non_identity",
                json!({"include": [{"any_valid_service_token": {}}]}),
            )],
            stranger("US"),
            (
                r#"include[0] {"any_valid_service_token":{}}"#,
                "there is no valid service token",
                r#"Policy "Machines" does not admit the request: no valid service token came with the request. Send CF-Access-Client-Id and CF-Access-Client-Secret of a service token that the policy names and that is enabled and not expired."#,
                false,
            ),
        ),
        (
            "for people only",
            vec![policy("Office", "allow", json!({"include": [{"ip": {"ip": "192.0.2.0/24"}}]}))],
            Facts { person: Person::Nobody, service_token: TOKEN.parse().ok(), ..stranger("US") },
            (
                "",
                "nobody has logged in",
                r#"Policy "Office" does not admit the request: it is for people who log in, and the request comes from a machine. Ask the administrator for a Service Auth policy that names this service token or certificate."#,
                true,
            ),
        ),
        (
            "no policy at all",
            vec![],
            known("US"),
            (
                "",
                "",
                "This application has no policy that admits anyone. Ask the administrator to add one.",
                false,
            ),
        ),
    ] {
        let list = PolicyList::compile(&policies, &abroad).unwrap();
        let got = reason(&list, &facts);
        assert_eq!(
            (&*got.rule, &*got.fact, &*got.sentence, got.about_identity),
            (rule, fact, sentence, about_identity),
            "{name}"
        );
    }
}

#[test]
fn what_a_list_holds_can_be_asked() {
    let one =
        |decision: &str| list(&[policy("p", decision, json!({"include": [{"certificate": {}}]}))]);
    for (decision, allow, service_auth, bypass) in [
        ("allow", true, false, false),
        ("deny", false, false, false),
        ("bypass", false, false, true),
        ("non_identity", false, true, false),
    ] {
        let list = one(decision);
        assert_eq!(
            (list.has_allow(), list.has_service_auth(), list.has_bypass()),
            (allow, service_auth, bypass)
        );
        assert_eq!(list.policy(0).map(|p| p.decision().as_str()), Some(decision));
        assert!(list.policy(1).is_none());
    }
    assert_eq!(list(&[]).policies().len(), 0);
    assert!(one("allow").policies().all(|p| p.decision() == Decision::Allow));
}
