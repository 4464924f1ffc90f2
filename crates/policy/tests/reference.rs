//! The engine beside a plain two-valued interpreter of access-protocol §9.3, on random policies.

use narthex_model::{
    CertificateHolder, CertificateQuestion, Decision, Group, GroupId, Identity, Policy, Rule,
    RuleSet, Selector, ServiceTokenId,
};
use narthex_policy::{
    Admission, Admitted, CertificateFact, Facts, Outcome, Person, PolicyList, Refusal,
};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

fn uuid(kind: u8, n: usize) -> String {
    format!("{kind:08}-0000-4000-8000-{n:012}")
}

const IDP: u8 = 1;
const TOKEN: u8 = 2;
const GROUP: u8 = 3;
const POLICY: u8 = 4;
const AUTHORITY: u8 = 5;
/// Groups below this number ask nothing about people; the others may.
const FIRST_PERSONAL: usize = 2;
const GROUPS: usize = 4;

// ---- the plain interpreter: everything is known, a rule holds or does not

struct World<'a> {
    policies: &'a [Arc<Policy>],
    groups: &'a BTreeMap<GroupId, Arc<Group>>,
    facts: &'a Facts<'a>,
}

impl World<'_> {
    fn decide(&self, early: bool) -> Option<(usize, Decision)> {
        let mut turn = self.policies.iter().enumerate().filter(|(_, policy)| {
            matches!(policy.decision, Decision::Bypass | Decision::NonIdentity) == early
        });
        let (place, policy) = turn.find(|(_, policy)| self.set(&policy.rules, policy.decision))?;
        Some((place, policy.decision))
    }

    fn set(&self, set: &RuleSet, decision: Decision) -> bool {
        set.include.iter().any(|rule| self.rule(rule, decision))
            && set.require.iter().all(|rule| self.rule(rule, decision))
            && !set.exclude.iter().any(|rule| self.rule(rule, decision))
    }

    fn rule(&self, rule: &Rule, decision: Decision) -> bool {
        let facts = self.facts;
        let identity = match facts.person {
            Person::Known(identity) => Some(identity),
            Person::Nobody | Person::Anybody | Person::Claims { .. } => None,
        };
        let (certificate, holder) = match facts.certificate {
            CertificateFact::Absent => (false, None),
            CertificateFact::Valid(holder) => (true, Some(holder)),
        };
        match rule.selector() {
            Selector::Everyone => match decision {
                Decision::Bypass => true,
                Decision::NonIdentity => facts.service_token.is_some() || certificate,
                Decision::Allow | Decision::Deny => identity.is_some(),
            },
            Selector::Email(address) => identity.is_some_and(|i| i.email == *address),
            Selector::EmailDomain(domain) => {
                identity.is_some_and(|i| i.email.as_str().rsplit('@').next() == Some(domain))
            }
            Selector::Group(id) => self.set(&self.groups[id].rules, decision),
            Selector::Ip(network) => network.contains(&facts.ip),
            Selector::Geo(country) => facts.country == Some(*country),
            Selector::ServiceToken(id) => facts.service_token == Some(*id),
            Selector::AnyValidServiceToken => facts.service_token.is_some(),
            Selector::Certificate(wanted) => holder.is_some_and(|holder| {
                let issued = wanted.authority.is_none_or(|id| holder.certificate_id == Some(id));
                let said = |names: &[Box<str>], name: &str| {
                    let name = name.to_ascii_lowercase();
                    names.iter().any(|other| other.to_ascii_lowercase() == name)
                };
                issued
                    && match &wanted.asks {
                        CertificateQuestion::Any => true,
                        CertificateQuestion::CommonName(name) => {
                            holder.common_name.as_deref() == Some(&**name)
                        }
                        CertificateQuestion::DnsName(name) => said(&holder.dns_names, name),
                        CertificateQuestion::Email(name) => said(&holder.emails, name),
                        CertificateQuestion::Uri(uri) => holder.uris.iter().any(|u| u == uri),
                        CertificateQuestion::PublicKey(hash) => holder.spki_sha256 == *hash,
                        CertificateQuestion::Fingerprint(hash) => {
                            holder.fingerprint_sha256 == *hash
                        }
                    }
            }),
            Selector::LoginMethod(idp) => identity.is_some_and(|i| i.idp.id == *idp),
            Selector::AuthMethod(method) => {
                identity.is_some_and(|i| i.amr.contains(&method.to_string()))
            }
            Selector::OidcClaim { idp, name, value } => identity.is_some_and(|i| {
                let claim = i.oidc_fields.get(&**name).cloned().unwrap_or_default();
                let values = claim.as_array().cloned().unwrap_or(vec![claim]);
                i.idp.id == *idp && values.contains(&json!(value))
            }),
            Selector::SamlAttribute { idp, name, value } => identity.is_some_and(|i| {
                let claim = i.saml_attributes.get(&**name).cloned().unwrap_or_default();
                let values = claim.as_array().cloned().unwrap_or(vec![claim]);
                i.idp.id == *idp && values.contains(&json!(value))
            }),
        }
    }
}

// ---- random policies over a small world, so that rules often hold

fn connection_rule() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(json!({"everyone": {}})),
        Just(json!({"ip": {"ip": "10.0.0.0/8"}})),
        Just(json!({"ip": {"ip": "192.0.2.1"}})),
        Just(json!({"geo": {"country_code": "US"}})),
        Just(json!({"geo": {"country_code": "DE"}})),
        (0..2_usize).prop_map(|n| json!({"service_token": {"token_id": uuid(TOKEN, n)}})),
        Just(json!({"any_valid_service_token": {}})),
        Just(json!({"certificate": {}})),
        Just(json!({"certificate": {"certificate_id": uuid(AUTHORITY, 0)}})),
        Just(json!({"common_name": {"common_name": "robot"}})),
        Just(
            json!({"common_name": {"common_name": "robot", "certificate_id": uuid(AUTHORITY, 1)}})
        ),
        Just(json!({"certificate_dns_name": {"dns_name": "Robot.example.com"}})),
        Just(json!({"certificate_email": {"email": "robot@example.com"}})),
        Just(json!({"certificate_uri": {"uri": "spiffe://example.com/robot"}})),
        Just(json!({"certificate_public_key": {"sha256": "ab".repeat(32)}})),
        Just(json!({"certificate_fingerprint": {"sha256": "cd".repeat(32)}})),
    ]
}

fn personal_rule() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(json!({"email": {"email": "a@x.com"}})),
        Just(json!({"email": {"email": "B@x.com"}})),
        Just(json!({"email": {"email": "c@y.com"}})),
        Just(json!({"email_domain": {"domain": "x.com"}})),
        Just(json!({"email_domain": {"domain": "sub.x.com"}})),
        (0..2_usize).prop_map(|n| json!({"login_method": {"id": uuid(IDP, n)}})),
        Just(json!({"auth_method": {"auth_method": "mfa"}})),
        (0..2_usize).prop_map(|n| json!({"oidc": {
            "claim_name": "role", "claim_value": "admin", "identity_provider_id": uuid(IDP, n)}})),
        (0..2_usize).prop_map(|n| json!({"saml": {
            "attribute_name": "role", "attribute_value": "admin", "identity_provider_id": uuid(IDP, n)}})),
    ]
}

/// A rule that refers to none but the groups from `first` to `last`.
fn rule(personal: bool, first: usize, last: usize) -> BoxedStrategy<Value> {
    let plain = if personal {
        prop_oneof![connection_rule(), personal_rule(), personal_rule()].boxed()
    } else {
        connection_rule().boxed()
    };
    if first >= last {
        return plain;
    }
    let group = (first..last).prop_map(|n| json!({"group": {"id": uuid(GROUP, n)}}));
    prop_oneof![4 => plain, 1 => group].boxed()
}

fn rules(personal: bool, first: usize, last: usize) -> impl Strategy<Value = Value> {
    let some = |from| prop::collection::vec(rule(personal, first, last), from..4_usize);
    (some(1), some(0), some(0))
        .prop_map(|(i, r, e)| json!({"include": i, "require": r, "exclude": e}))
}

fn named(mut body: Value, kind: u8, n: usize) -> Value {
    body["id"] = uuid(kind, n).into();
    body["name"] = format!("p{n}").into();
    body["created_at"] = "2026-01-01T00:00:00Z".into();
    body["updated_at"] = "2026-01-01T00:00:00Z".into();
    body
}

/// Groups refer to groups of a lower number; those without people to others without people.
fn groups() -> impl Strategy<Value = BTreeMap<GroupId, Arc<Group>>> {
    let each: Vec<_> = (0..GROUPS).map(|n| rules(n >= FIRST_PERSONAL, 0, n).boxed()).collect();
    each.prop_map(|bodies| {
        let made = bodies.into_iter().enumerate().map(|(n, body)| {
            let group: Group = serde_json::from_value(named(body, GROUP, n)).expect("a group");
            (group.id, Arc::new(group))
        });
        made.collect()
    })
}

fn policies() -> impl Strategy<Value = Vec<Arc<Policy>>> {
    let decided = |decision: &'static str, personal: bool| {
        let last = if personal { GROUPS } else { FIRST_PERSONAL };
        rules(personal, 0, last).prop_map(move |mut body| {
            body["decision"] = decision.into();
            body
        })
    };
    let one = prop_oneof![
        3 => decided("allow", true),
        2 => decided("deny", true),
        1 => decided("bypass", false),
        1 => decided("non_identity", false),
    ];
    prop::collection::vec(one, 0..5).prop_map(|bodies| {
        let made = bodies.into_iter().enumerate().map(|(n, body)| {
            Arc::new(serde_json::from_value(named(body, POLICY, n)).expect("a policy"))
        });
        made.collect()
    })
}

fn identity() -> impl Strategy<Value = Identity> {
    let email = prop::sample::select(vec!["a@x.com", "b@x.com", "c@y.com", "d@sub.x.com"]);
    let amr = prop::sample::select(vec![json!([]), json!(["pwd"]), json!(["pwd", "mfa"])]);
    let role =
        prop::sample::select(vec![json!("admin"), json!(["eng", "admin"]), json!(3), json!(null)]);
    (email, amr, role, 0..2_usize).prop_map(|(email, amr, role, idp)| {
        let body = json!({
            "id": "1", "email": email, "amr": amr, "idp": {"id": uuid(IDP, idp), "type": "oidc"},
            "geo": {"country": "US"}, "user_uuid": uuid(9, 0),
            "account_id": "0123456789abcdef0123456789abcdef", "iat": 1, "ip": "192.0.2.1",
            "oidc_fields": {"role": role}, "saml_attributes": {"role": role},
        });
        serde_json::from_value(body).expect("an identity")
    })
}

#[derive(Clone, Debug)]
struct Connection {
    ip: IpAddr,
    country: &'static str,
    token: Option<usize>,
    certificate: Option<CertificateHolder>,
}

impl Connection {
    fn facts<'a>(&'a self, person: Person<'a>) -> Facts<'a> {
        let id = |n: usize| uuid(TOKEN, n).parse::<ServiceTokenId>().expect("a UUID");
        Facts {
            ip: self.ip,
            country: self.country.parse().ok(),
            service_token: self.token.map(id),
            certificate: match &self.certificate {
                None => CertificateFact::Absent,
                Some(holder) => CertificateFact::Valid(holder),
            },
            person,
        }
    }
}

/// A certificate of one of two authorities that says any part of what rules ask.
fn holder() -> impl Strategy<Value = CertificateHolder> {
    (0..2_usize, any::<[bool; 6]>()).prop_map(|(authority, says)| {
        let named = |at: usize, text: &str| says[at].then(|| text.into());
        CertificateHolder {
            certificate_id: uuid(AUTHORITY, authority).parse().ok(),
            common_name: named(0, "robot"),
            dns_names: named(1, "robot.EXAMPLE.com").into_iter().collect(),
            emails: named(2, "robot@example.com").into_iter().collect(),
            uris: named(3, "spiffe://example.com/robot").into_iter().collect(),
            spki_sha256: if says[4] { "ab".repeat(32) } else { "00".repeat(32) }.into(),
            fingerprint_sha256: if says[5] { "cd".repeat(32) } else { "00".repeat(32) }.into(),
            ..CertificateHolder::default()
        }
    })
}

fn connection() -> impl Strategy<Value = Connection> {
    let ip = prop::sample::select(vec!["10.1.2.3", "192.0.2.1", "2001:db8::1"]);
    let country = prop::sample::select(vec!["US", "DE"]);
    let certificate = prop::option::of(holder());
    (ip, country, prop::option::of(0..3_usize), certificate).prop_map(
        |(ip, country, token, certificate)| Connection {
            ip: ip.parse().expect("an address"),
            country,
            token,
            certificate,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// When everything is known, the engine decides as §9.3 reads.
    #[test]
    fn known_facts_are_decided_as_written(
        groups in groups(), policies in policies(), who in prop::option::of(identity()), from in connection(),
    ) {
        let list = PolicyList::compile(&policies, &groups).expect("sound policies");
        let facts = from.facts(who.as_ref().map_or(Person::Nobody, Person::Known));
        let world = World { policies: &policies, groups: &groups, facts: &facts };

        let early = world.decide(true).map(|(policy, decision)| {
            let how = if decision == Decision::Bypass { Admitted::Bypass } else { Admitted::ServiceAuth };
            Admission { how, policy }
        });
        prop_assert_eq!(list.before_login(&facts), early);

        // An Allow policy is for people; a machine is told apart by hand, since §9.3 never gets there without one.
        let late = match world.decide(false) {
            Some((policy, Decision::Allow)) => Outcome::Admit(Admission { how: Admitted::Allow, policy }),
            Some((policy, _)) => Outcome::Refuse(Refusal::DeniedBy(policy)),
            None => Outcome::Refuse(Refusal::NothingMatches),
        };
        if who.is_some() {
            prop_assert_eq!(list.after_login(&facts), late);
            prop_assert_eq!(list.could_admit(&facts), matches!(late, Outcome::Admit(_)));
        } else {
            prop_assert!(matches!(list.after_login(&facts), Outcome::Refuse(_)));
            prop_assert!(!list.could_admit(&facts));
        }
        let outcome = early.map_or(late, Outcome::Admit);
        prop_assert!(policies.is_empty() || !list.explain(&facts, &outcome).sentence.is_empty());
    }

    /// Knowing less never lets more in: what is admitted with a fact missing is admitted whatever the fact is.
    #[test]
    fn what_is_unknown_never_admits(
        groups in groups(), policies in policies(), who in identity(), from in connection(),
        know_country: bool, know_session: bool,
    ) {
        let list = PolicyList::compile(&policies, &groups).expect("sound policies");
        let whole = from.facts(Person::Known(&who));
        let person = if know_session { whole.person } else { Person::Claims { email: &who.email } };
        let country = whole.country.filter(|_| know_country);
        let part = Facts { country, person, ..whole };
        if matches!(list.after_login(&part), Outcome::Admit(_)) {
            prop_assert!(matches!(list.after_login(&whole), Outcome::Admit(_)));
        }
        if list.before_login(&part).is_some() {
            prop_assert!(list.before_login(&whole).is_some());
        }
        prop_assert!(policies.is_empty() || !list.explain(&part, &list.after_login(&part)).sentence.is_empty());
    }

    /// Nobody is turned away before a login who would be let in after it.
    #[test]
    fn a_login_that_could_help_is_offered(
        groups in groups(), policies in policies(), who in identity(), from in connection(), know_country: bool,
    ) {
        let list = PolicyList::compile(&policies, &groups).expect("sound policies");
        let after = from.facts(Person::Known(&who));
        let after = Facts { country: after.country.filter(|_| know_country), ..after };
        if matches!(list.after_login(&after), Outcome::Admit(_)) {
            for person in [Person::Anybody, Person::Claims { email: &who.email }] {
                let before = Facts { person, ..after };
                prop_assert!(list.could_admit(&before));
            }
        }
    }
}
