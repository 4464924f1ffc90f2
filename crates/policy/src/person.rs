//! Rules about the person, answered by what was learned at login and is frozen since (access-protocol §9.3).

use crate::Person;
use crate::answer::Answer;
use crate::asked::{Asked, Told, Wish};
use crate::connection::is_machine;
use narthex_model::{Decision, EmailAddress, Identity, IdpId};
use serde_json::Value;

/// `everyone`. In a bypass policy that is the whole world. In a Service Auth policy it is every machine that proved
/// to be one, never an empty-handed stranger: the product forbids the rule there, and letting it open the door would
/// turn the policy into a bypass. Elsewhere it is everyone who has logged in.
pub(crate) fn is_anyone(asked: Asked<'_>) -> Answer {
    match asked.decision {
        Decision::Bypass => Answer::Yes,
        Decision::NonIdentity => is_machine(asked.facts),
        Decision::Allow | Decision::Deny => is_present(asked),
    }
}

/// Whether a person has logged in.
pub(crate) fn is_present(asked: Asked<'_>) -> Answer {
    by_address(asked, |_| true)
}

/// An answer that the address suffices for.
pub(crate) fn by_address(asked: Asked<'_>, holds: impl FnOnce(&EmailAddress) -> bool) -> Answer {
    match asked.facts.person {
        Person::Nobody => Answer::No,
        Person::Anybody => asked.unlearned,
        Person::Claims { email } => holds(email).into(),
        Person::Known(identity) => holds(&identity.email).into(),
    }
}

/// An answer that needs the login session.
fn by_identity(asked: Asked<'_>, holds: impl FnOnce(&Identity) -> bool) -> Answer {
    match asked.facts.person {
        Person::Nobody => Answer::No,
        Person::Anybody | Person::Claims { .. } => asked.unlearned,
        Person::Known(identity) => holds(identity).into(),
    }
}

/// Whether this provider vouched.
pub(crate) fn came_through(idp: IdpId, asked: Asked<'_>) -> Answer {
    by_identity(asked, |identity| identity.idp.id == idp)
}

/// Whether the provider reported this authentication method. One that reports none has reported none: the answer is
/// no, as in the product (access-protocol §9.7).
pub(crate) fn used_method(method: &str, asked: Asked<'_>) -> Answer {
    by_identity(asked, |identity| identity.amr.iter().any(|m| m == method))
}

/// Whether a claim is the string `value`, or a list that holds it; anything else is not it. Another provider's
/// claims never count (access-protocol §9.4).
pub(crate) fn has_claim(idp: IdpId, name: &str, value: &str, asked: Asked<'_>) -> Answer {
    by_identity(asked, |identity| {
        identity.idp.id == idp && holds(identity.oidc_fields.get(name), value)
    })
}

/// The same of an attribute that a SAML provider gave.
pub(crate) fn has_attribute(idp: IdpId, name: &str, value: &str, asked: Asked<'_>) -> Answer {
    by_identity(asked, |identity| {
        identity.idp.id == idp && holds(identity.saml_attributes.get(name), value)
    })
}

fn holds(found: Option<&Value>, value: &str) -> bool {
    match found {
        Some(Value::String(text)) => text == value,
        Some(Value::Array(list)) => list.iter().any(|v| v.as_str() == Some(value)),
        Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_)) | None => false,
    }
}

pub(crate) fn tell_anyone(asked: Asked<'_>, wish: Wish) -> Told {
    match asked.decision {
        Decision::Bypass => Told {
            fact: "it is for everyone".to_owned(),
            circumstance: "it is for everyone".to_owned(),
            remedy: String::new(),
        },
        Decision::NonIdentity => match is_machine(asked.facts) {
            Answer::Yes => Told {
                fact: "a machine proved who it is".to_owned(),
                circumstance: "your client proved to be a known machine".to_owned(),
                remedy: "Use another service token or certificate.".to_owned(),
            },
            Answer::No | Answer::Unknown => Told {
                fact: "there is no valid service token and no trusted client certificate"
                    .to_owned(),
                circumstance: "no valid service token or client certificate came with the request"
                    .to_owned(),
                remedy: "Send CF-Access-Client-Id and CF-Access-Client-Secret of a service token."
                    .to_owned(),
            },
        },
        Decision::Allow | Decision::Deny => tell_address(asked, wish),
    }
}

pub(crate) fn tell_address(asked: Asked<'_>, wish: Wish) -> Told {
    let email = match asked.facts.person {
        Person::Nobody | Person::Anybody => return tell_absence(asked),
        Person::Claims { email } => email,
        Person::Known(identity) => &identity.email,
    };
    Told {
        fact: format!("email is {email}"),
        circumstance: format!("you are logged in as {email}"),
        remedy: match wish {
            Wish::Asked => {
                "Log in with another account, or ask the administrator to add your address."
            }
            Wish::RuledOut => "Log in with another account, or ask the administrator.",
        }
        .to_owned(),
    }
}

pub(crate) fn tell_login_method(asked: Asked<'_>, wish: Wish) -> Told {
    with_identity(asked, |identity| Told {
        fact: format!("login method is {} {}", identity.idp.kind, identity.idp.id),
        circumstance: match wish {
            Wish::Asked => "you did not log in through the identity provider it asks for",
            Wish::RuledOut => "it matters through which identity provider you logged in",
        }
        .to_owned(),
        remedy: match wish {
            Wish::Asked => {
                "Log out, and log in through the identity provider that the policy asks for."
            }
            Wish::RuledOut => "Log out, and log in through another identity provider.",
        }
        .to_owned(),
    })
}

pub(crate) fn tell_auth_method(method: &str, asked: Asked<'_>, wish: Wish) -> Told {
    with_identity(asked, |identity| {
        let used = shortened(&identity.amr.join(", "));
        Told {
            fact: format!("authentication methods are [{used}]"),
            circumstance: if used.is_empty() {
                "your identity provider did not say how you proved who you are".to_owned()
            } else {
                format!("you proved who you are by {used}")
            },
            remedy: match wish {
                Wish::Asked => format!(
                    "Log out, and log in with a method that your identity provider reports as {method:?}."
                ),
                Wish::RuledOut => "Log out, and log in by another method.".to_owned(),
            },
        }
    })
}

pub(crate) fn tell_claim(idp: IdpId, name: &str, asked: Asked<'_>, wish: Wish) -> Told {
    tell_said("claim", idp, name, |identity| identity.oidc_fields.get(name), asked, wish)
}

pub(crate) fn tell_attribute(idp: IdpId, name: &str, asked: Asked<'_>, wish: Wish) -> Told {
    tell_said("attribute", idp, name, |identity| identity.saml_attributes.get(name), asked, wish)
}

fn tell_said(
    kind: &str,
    idp: IdpId,
    name: &str,
    said: impl FnOnce(&Identity) -> Option<&Value>,
    asked: Asked<'_>,
    wish: Wish,
) -> Told {
    with_identity(asked, |identity| {
        if identity.idp.id != idp {
            return tell_login_method(asked, wish);
        }
        Told {
            fact: match said(identity) {
                Some(value) => format!("{kind} {name} is {}", shortened(&value.to_string())),
                None => format!("there is no {kind} {name}"),
            },
            circumstance: format!(
                "it depends on what your identity provider says of you under {name:?}"
            ),
            remedy: match wish {
                Wish::Asked => {
                    "Ask the administrator of your identity provider for the role or group, then log out and log in \
                     again."
                }
                Wish::RuledOut => "Log in with another account, or ask the administrator.",
            }
            .to_owned(),
        }
    })
}

/// What is said where the login session matters.
fn with_identity(asked: Asked<'_>, tell: impl FnOnce(&Identity) -> Told) -> Told {
    match asked.facts.person {
        Person::Nobody | Person::Anybody => tell_absence(asked),
        Person::Claims { .. } => Told {
            fact: "the login session is not known here".to_owned(),
            circumstance: "your login is not known to this gateway any more".to_owned(),
            remedy: "Log out and log in again.".to_owned(),
        },
        Person::Known(identity) => tell(identity),
    }
}

fn tell_absence(asked: Asked<'_>) -> Told {
    let fact = "nobody has logged in".to_owned();
    match is_machine(asked.facts) {
        Answer::Yes => Told {
            fact,
            circumstance: "it is for people who log in, and the request comes from a machine".to_owned(),
            remedy: "Ask the administrator for a Service Auth policy that names this service token or certificate."
                .to_owned(),
        },
        Answer::No | Answer::Unknown => {
            Told { fact, circumstance: "you have not logged in".to_owned(), remedy: "Log in.".to_owned() }
        }
    }
}

/// Enough to recognise, short enough for a record.
fn shortened(text: &str) -> String {
    match text.char_indices().nth(200) {
        None => text.to_owned(),
        Some((at, _)) => format!("{}…", &text[..at]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer::Answer::{No, Unknown, Yes};
    use crate::{CertificateFact, Facts, selector};
    use narthex_model::Rule;
    use serde_json::json;

    const HERE: &str = "7335d417-61da-459d-899c-0a01c76a2f94";
    const ELSEWHERE: &str = "7335d417-61da-459d-899c-0a01c76a2f95";

    fn identity() -> Identity {
        serde_json::from_value(json!({
            "id": "1", "email": "Ada@Staff.example.com", "amr": ["pwd", "mfa"],
            "idp": {"id": HERE, "type": "oidc"}, "geo": {"country": "GB"},
            "user_uuid": "1335d417-61da-459d-899c-0a01c76a2f94",
            "account_id": "0123456789abcdef0123456789abcdef", "iat": 1, "ip": "192.0.2.1",
            "oidc_fields": {
                "role": "admin", "groups": ["eng", 7, null, ["ops"]], "level": 3, "root": true,
                "nested": {"admin": "admin"}, "none": null,
            },
            "saml_attributes": {"dept": "it", "member": ["eng", "ops"]},
        }))
        .unwrap()
    }

    fn ask(rule: Value, person: Person<'_>, decision: Decision) -> Answer {
        let rule: Rule = serde_json::from_value(rule).unwrap();
        let facts = Facts {
            ip: [192, 0, 2, 1].into(),
            country: None,
            service_token: None,
            certificate: CertificateFact::Absent,
            person,
        };
        let asked = Asked { facts: &facts, decision, unlearned: Unknown };
        selector::answer(rule.selector(), asked)
    }

    #[test]
    fn a_known_person_is_compared_exactly() {
        let identity = identity();
        let claim = |idp: &str, name: &str, value: &str| json!({"oidc": {"claim_name": name, "claim_value": value, "identity_provider_id": idp}});
        let attribute = |idp: &str, name: &str, value: &str| json!({"saml": {"attribute_name": name, "attribute_value": value, "identity_provider_id": idp}});
        for (rule, want) in [
            (attribute(HERE, "dept", "it"), Yes),
            (attribute(HERE, "dept", "IT"), No),
            (attribute(ELSEWHERE, "dept", "it"), No),
            (attribute(HERE, "member", "ops"), Yes),
            (attribute(HERE, "member", "op"), No),
            (attribute(HERE, "role", "admin"), No),
            (claim(HERE, "dept", "it"), No),
            (json!({"email": {"email": "ADA@staff.EXAMPLE.com"}}), Yes),
            (json!({"email": {"email": "ada@example.com"}}), No),
            (json!({"email_domain": {"domain": "Staff.example.com"}}), Yes),
            (json!({"email_domain": {"domain": "@staff.example.com"}}), Yes),
            (json!({"email_domain": {"domain": "example.com"}}), No),
            (json!({"email_domain": {"domain": "taff.example.com"}}), No),
            (json!({"login_method": {"id": HERE}}), Yes),
            (json!({"login_method": {"id": ELSEWHERE}}), No),
            (json!({"auth_method": {"auth_method": "mfa"}}), Yes),
            (json!({"auth_method": {"auth_method": "MFA"}}), No),
            (json!({"auth_method": {"auth_method": "otp"}}), No),
            (claim(HERE, "role", "admin"), Yes),
            (claim(HERE, "role", "Admin"), No),
            (claim(HERE, "role", "adm"), No),
            (claim(ELSEWHERE, "role", "admin"), No),
            (claim(HERE, "groups", "eng"), Yes),
            (claim(HERE, "groups", "ops"), No),
            (claim(HERE, "groups", "7"), No),
            (claim(HERE, "groups", "[\"eng\"]"), No),
            (claim(HERE, "level", "3"), No),
            (claim(HERE, "root", "true"), No),
            (claim(HERE, "nested", "admin"), No),
            (claim(HERE, "none", "null"), No),
            (claim(HERE, "absent", ""), No),
            (json!({"everyone": {}}), Yes),
        ] {
            assert_eq!(
                ask(rule.clone(), Person::Known(&identity), Decision::Allow),
                want,
                "{rule}"
            );
        }
    }

    #[test]
    fn less_is_known_of_others() {
        let email: EmailAddress = "ada@example.com".parse().unwrap();
        let claims = Person::Claims { email: &email };
        let (nobody, anybody) = (Person::Nobody, Person::Anybody);
        for (rule, person, want) in [
            (json!({"email": {"email": "ada@example.com"}}), claims, Yes),
            (json!({"email": {"email": "bob@example.com"}}), claims, No),
            (json!({"email": {"email": "ada@example.com"}}), anybody, Unknown),
            (json!({"email": {"email": "ada@example.com"}}), nobody, No),
            (json!({"email_domain": {"domain": "example.com"}}), claims, Yes),
            (json!({"email_domain": {"domain": "example.com"}}), anybody, Unknown),
            (json!({"login_method": {"id": HERE}}), claims, Unknown),
            (json!({"login_method": {"id": HERE}}), anybody, Unknown),
            (json!({"login_method": {"id": HERE}}), nobody, No),
            (json!({"auth_method": {"auth_method": "mfa"}}), claims, Unknown),
            (json!({"everyone": {}}), claims, Yes),
            (json!({"everyone": {}}), anybody, Unknown),
            (json!({"everyone": {}}), nobody, No),
        ] {
            assert_eq!(ask(rule.clone(), person, Decision::Allow), want, "{rule} {person:?}");
        }
    }

    #[test]
    fn everyone_depends_on_who_is_asked_for() {
        for (decision, want) in [
            (Decision::Bypass, Yes),
            (Decision::NonIdentity, No),
            (Decision::Allow, No),
            (Decision::Deny, No),
        ] {
            assert_eq!(ask(json!({"everyone": {}}), Person::Nobody, decision), want);
        }
    }
}
