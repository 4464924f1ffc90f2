//! Rules about the connection, asked anew on every request: network, country, service token, certificate.

use crate::answer::Answer;
use crate::selector::{Told, Wish};
use crate::{CertificateFact, Facts};
use ipnet::IpNet;
use narthex_model::{CountryCode, ServiceTokenId};
use std::net::IpAddr;

/// Whether the client's address lies in `network`. An IPv4-mapped IPv6 address is the IPv4 address, on either side
/// (checklist P16).
pub(crate) fn in_network(network: &IpNet, facts: &Facts<'_>) -> Answer {
    let inside = match (network, facts.ip.to_canonical()) {
        (IpNet::V4(network), IpAddr::V4(address)) => network.contains(&address),
        (IpNet::V6(network), IpAddr::V6(address)) => network.contains(&address),
        // A network such as ::ffff:10.0.0.0/104 is written for IPv4 clients; ::/0 is not.
        (IpNet::V6(network), IpAddr::V4(address)) => {
            network.prefix_len() >= 96 && network.contains(&address.to_ipv6_mapped())
        }
        (IpNet::V4(_), IpAddr::V6(_)) => false,
    };
    inside.into()
}

/// Whether the client is in `country`. Without a database, or for an address that it does not know, nobody can say
/// (checklist P17).
pub(crate) fn in_country(country: CountryCode, facts: &Facts<'_>) -> Answer {
    facts.country.map_or(Answer::Unknown, |known| (known == country).into())
}

/// Whether this service token was presented and is in force.
pub(crate) fn has_token(id: ServiceTokenId, facts: &Facts<'_>) -> Answer {
    (facts.service_token == Some(id)).into()
}

/// Whether any service token was presented and is in force.
pub(crate) fn has_any_token(facts: &Facts<'_>) -> Answer {
    facts.service_token.is_some().into()
}

/// Whether a trusted client certificate was presented.
pub(crate) fn has_certificate(facts: &Facts<'_>) -> Answer {
    match facts.certificate {
        CertificateFact::Absent => Answer::No,
        CertificateFact::Valid { common_name: _ } => Answer::Yes,
    }
}

/// Whether a trusted client certificate has exactly this common name.
pub(crate) fn has_common_name(name: &str, facts: &Facts<'_>) -> Answer {
    match facts.certificate {
        CertificateFact::Valid { common_name: Some(shown) } => (shown == name).into(),
        CertificateFact::Valid { common_name: None } | CertificateFact::Absent => Answer::No,
    }
}

/// Whether the request proved to come from a machine.
pub(crate) fn is_machine(facts: &Facts<'_>) -> Answer {
    has_any_token(facts).max(has_certificate(facts))
}

pub(crate) fn tell_address(facts: &Facts<'_>, wish: Wish) -> Told {
    let ip = facts.ip.to_canonical();
    Told {
        fact: format!("ip is {ip}"),
        circumstance: format!("your address is {ip}"),
        remedy: match wish {
            Wish::Asked => {
                "Connect through a network that the policy names, such as your company's VPN."
            }
            Wish::RuledOut => "Connect through another network.",
        }
        .to_owned(),
    }
}

pub(crate) fn tell_country(country: CountryCode, facts: &Facts<'_>, wish: Wish) -> Told {
    let Some(known) = facts.country else {
        return Told {
            fact: "country is unknown".to_owned(),
            circumstance: "the gateway cannot tell which country your connection comes from".to_owned(),
            remedy: "Connect without a VPN or private network; if that does not help, ask the administrator whether \
                     the gateway's country database is in place."
                .to_owned(),
        };
    };
    Told {
        fact: format!("country is {known}"),
        circumstance: format!("your connection comes from {known}"),
        remedy: match wish {
            Wish::Asked => format!("Connect from {country}."),
            Wish::RuledOut => "Connect from another country.".to_owned(),
        },
    }
}

pub(crate) fn tell_token(facts: &Facts<'_>, wish: Wish) -> Told {
    let (fact, circumstance) = match facts.service_token {
        Some(id) => (
            format!("service token is {id}"),
            "a valid service token came with the request".to_owned(),
        ),
        None => (
            "there is no valid service token".to_owned(),
            "no valid service token came with the request".to_owned(),
        ),
    };
    let remedy = match wish {
        Wish::Asked => {
            "Send CF-Access-Client-Id and CF-Access-Client-Secret of a service token that the policy names and that \
             is enabled and not expired."
        }
        Wish::RuledOut => "Use another service token, or none.",
    };
    Told { fact, circumstance, remedy: remedy.to_owned() }
}

pub(crate) fn tell_certificate(facts: &Facts<'_>, wish: Wish) -> Told {
    let (fact, circumstance) = match facts.certificate {
        CertificateFact::Valid { common_name: Some(name) } => {
            (format!("common name is {name:?}"), format!("your client certificate is for {name:?}"))
        }
        CertificateFact::Valid { common_name: None } => (
            "the certificate has no common name".to_owned(),
            "your client certificate names nobody".to_owned(),
        ),
        CertificateFact::Absent => (
            "there is no trusted client certificate".to_owned(),
            "no trusted client certificate was presented".to_owned(),
        ),
    };
    let remedy = match wish {
        Wish::Asked => {
            "Install the client certificate that your administrator issued, and choose it when the browser asks."
        }
        Wish::RuledOut => "Connect without this client certificate.",
    };
    Told { fact, circumstance, remedy: remedy.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Person;
    use crate::answer::Answer::{No, Unknown, Yes};
    use crate::selector::{self, Asked};
    use narthex_model::{Decision, Rule, ServiceTokenId};
    use serde_json::{Value, json};

    fn facts(ip: &str) -> Facts<'static> {
        Facts {
            ip: ip.parse().unwrap(),
            country: None,
            service_token: None,
            certificate: CertificateFact::Absent,
            person: Person::Nobody,
        }
    }

    fn ask(rule: Value, facts: &Facts<'_>) -> Answer {
        let rule: Rule = serde_json::from_value(rule).unwrap();
        let (decision, unlearned) = (Decision::Allow, Unknown);
        selector::answer(rule.selector(), Asked { facts, decision, unlearned })
    }

    #[test]
    fn networks_hold_their_edges_and_mapped_addresses() {
        for (network, ip, want) in [
            ("203.0.113.0/24", "203.0.113.0", Yes),
            ("203.0.113.0/24", "203.0.113.255", Yes),
            ("203.0.113.0/24", "203.0.112.255", No),
            ("203.0.113.0/24", "203.0.114.0", No),
            ("203.0.113.0/24", "::ffff:203.0.113.7", Yes),
            ("203.0.113.0/24", "::203.0.113.7", No),
            ("203.0.113.7", "203.0.113.7", Yes),
            ("203.0.113.7", "203.0.113.8", No),
            ("203.0.113.99/24", "203.0.113.7", Yes),
            ("::ffff:10.0.0.1", "10.0.0.1", Yes),
            ("::ffff:10.0.0.0/104", "10.255.255.255", Yes),
            ("::ffff:10.0.0.0/104", "11.0.0.0", No),
            ("::ffff:10.0.0.0/104", "::ffff:10.1.2.3", Yes),
            ("0.0.0.0/0", "198.51.100.1", Yes),
            ("0.0.0.0/0", "2001:db8::1", No),
            ("::/0", "198.51.100.1", No),
            ("::/0", "2001:db8::1", Yes),
            ("2001:db8::/32", "2001:db8:ffff::", Yes),
            ("2001:db8::/32", "2001:db9::", No),
        ] {
            assert_eq!(ask(json!({"ip": {"ip": network}}), &facts(ip)), want, "{network} {ip}");
        }
    }

    #[test]
    fn a_country_is_equal_other_or_unknown() {
        let rule = json!({"geo": {"country_code": "JP"}});
        for (country, want) in [(Some("JP"), Yes), (Some("DE"), No), (None, Unknown)] {
            let country = country.map(|c| c.parse().unwrap());
            assert_eq!(ask(rule.clone(), &Facts { country, ..facts("127.0.0.1") }), want);
        }
    }

    #[test]
    fn service_tokens_are_told_apart() {
        let (one, other) = (ServiceTokenId::random(), ServiceTokenId::random());
        let this = json!({"service_token": {"token_id": one.to_string()}});
        let any = json!({"any_valid_service_token": {}});
        for (presented, want_this, want_any) in
            [(Some(one), Yes, Yes), (Some(other), No, Yes), (None, No, No)]
        {
            let facts = Facts { service_token: presented, ..facts("127.0.0.1") };
            assert_eq!(ask(this.clone(), &facts), want_this);
            assert_eq!(ask(any.clone(), &facts), want_any);
        }
    }

    #[test]
    fn common_names_are_compared_exactly() {
        let valid = |name| CertificateFact::Valid { common_name: name };
        for (certificate, want_any, want_name) in [
            (CertificateFact::Absent, No, No),
            (valid(None), Yes, No),
            (valid(Some("robot")), Yes, Yes),
            (valid(Some("Robot")), Yes, No),
            (valid(Some("robot2")), Yes, No),
            (valid(Some("")), Yes, No),
        ] {
            let facts = Facts { certificate, ..facts("127.0.0.1") };
            assert_eq!(ask(json!({"certificate": {}}), &facts), want_any, "{certificate:?}");
            let named = json!({"common_name": {"common_name": "robot"}});
            assert_eq!(ask(named, &facts), want_name, "{certificate:?}");
        }
    }
}
