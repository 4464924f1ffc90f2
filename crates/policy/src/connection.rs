//! Rules about the connection, asked anew on every request: network, country, service token, certificate.

use crate::answer::Answer;
use crate::asked::{Told, Wish};
use crate::{CertificateFact, Facts};
use ipnet::IpNet;
use narthex_model::{
    CertificateHolder, CertificateQuestion, CertificateSelector, CountryCode, ServiceTokenId,
};
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

/// Whether a trusted client certificate was presented that is the `wanted` one.
pub(crate) fn shows_certificate(wanted: &CertificateSelector, facts: &Facts<'_>) -> Answer {
    match facts.certificate {
        CertificateFact::Absent => Answer::No,
        CertificateFact::Valid(holder) => wanted.holds_for(holder).into(),
    }
}

/// Whether any trusted client certificate was presented.
pub(crate) fn has_certificate(facts: &Facts<'_>) -> Answer {
    match facts.certificate {
        CertificateFact::Absent => Answer::No,
        CertificateFact::Valid(_) => Answer::Yes,
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

pub(crate) fn tell_certificate(
    wanted: &CertificateSelector,
    facts: &Facts<'_>,
    wish: Wish,
) -> Told {
    let (fact, circumstance) = match facts.certificate {
        CertificateFact::Valid(holder) => shown(wanted, holder),
        CertificateFact::Absent => (
            "there is no trusted client certificate".to_owned(),
            "no trusted client certificate was presented".to_owned(),
        ),
    };
    // Why one that was presented is not trusted is known to whoever shows this, and is told behind it.
    let remedy = match (wish, facts.certificate) {
        (Wish::Asked, CertificateFact::Absent) => "It takes one that your administrator issued.",
        (Wish::Asked, CertificateFact::Valid(_)) => {
            "Install the client certificate that your administrator issued, and choose it when the browser asks."
        }
        (Wish::RuledOut, CertificateFact::Absent | CertificateFact::Valid(_)) => {
            "Connect without this client certificate."
        }
    };
    Told { fact, circumstance, remedy: remedy.to_owned() }
}

/// What a certificate says where the rule looks, for the operator and for its holder. The operator also reads which
/// authority and which certificate it is: two authorities may have issued the same name (checklist T22).
fn shown(wanted: &CertificateSelector, holder: &CertificateHolder) -> (String, String) {
    let listed = |names: &[Box<str>]| match names {
        [] => "none".to_owned(),
        [first] => format!("{first:?}"),
        [first, rest @ ..] => format!("{first:?} and {} more", rest.len()),
    };
    let fact = match &wanted.asks {
        CertificateQuestion::Any | CertificateQuestion::CommonName(_) => {
            match holder.common_name.as_deref() {
                Some(name) => format!("common name is {name:?}"),
                None => "the certificate has no common name, or several".to_owned(),
            }
        }
        CertificateQuestion::DnsName(_) => format!("DNS name is {}", listed(&holder.dns_names)),
        CertificateQuestion::Email(_) => format!("address is {}", listed(&holder.emails)),
        CertificateQuestion::Uri(_) => format!("URI is {}", listed(&holder.uris)),
        CertificateQuestion::PublicKey(_) => {
            format!("SHA-256 of the public key is {}", holder.spki_sha256)
        }
        CertificateQuestion::Fingerprint(_) => "it is another certificate".to_owned(),
    };
    let fact = format!(
        "{fact}; the certificate is {} by {:?}",
        holder.fingerprint_sha256, holder.cert_issuer_dn
    );
    let circumstance = match holder.common_name.as_deref() {
        Some(name) => format!("your client certificate is for {name:?}"),
        None => "your client certificate names nobody".to_owned(),
    };
    (fact, circumstance)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Person;
    use crate::answer::Answer::{No, Unknown, Yes};
    use crate::asked::Asked;
    use crate::selector;
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

    fn holder() -> CertificateHolder {
        CertificateHolder {
            certificate_id: OURS.parse().ok(),
            common_name: Some("robot".into()),
            dns_names: ["a.example.com".into(), "*.example.com".into()].into(),
            emails: ["Robot@example.com".into()].into(),
            uris: ["spiffe://example.com/Robot".into()].into(),
            spki_sha256: "ab".repeat(32).into(),
            fingerprint_sha256: "cd".repeat(32).into(),
            ..CertificateHolder::default()
        }
    }

    const OURS: &str = "7335d417-61da-459d-899c-0a01c76a2f94";
    const THEIRS: &str = "8335d417-61da-459d-899c-0a01c76a2f94";

    #[test]
    fn a_certificate_is_asked_for_the_whole_of_a_value() {
        let (holder, nobody) = (holder(), CertificateHolder::default());
        for (rule, want) in [
            (json!({"certificate": {}}), Yes),
            (json!({"certificate": {"certificate_id": OURS}}), Yes),
            (json!({"certificate": {"certificate_id": THEIRS}}), No),
            (json!({"common_name": {"common_name": "robot"}}), Yes),
            (json!({"common_name": {"common_name": "robot", "certificate_id": OURS}}), Yes),
            (json!({"common_name": {"common_name": "robot", "certificate_id": THEIRS}}), No),
            (json!({"common_name": {"common_name": "Robot"}}), No),
            (json!({"common_name": {"common_name": "robot "}}), No),
            (json!({"common_name": {"common_name": "robot2"}}), No),
            (json!({"common_name": {"common_name": ""}}), No),
            (json!({"certificate_dns_name": {"dns_name": "A.example.COM"}}), Yes),
            (json!({"certificate_dns_name": {"dns_name": "b.example.com"}}), No),
            (json!({"certificate_dns_name": {"dns_name": "*.example.com"}}), Yes),
            (json!({"certificate_dns_name": {"dns_name": "robot"}}), No),
            (json!({"certificate_email": {"email": "robot@example.com"}}), Yes),
            (json!({"certificate_email": {"email": "robot@example.com.evil.example"}}), No),
            (json!({"certificate_uri": {"uri": "spiffe://example.com/Robot"}}), Yes),
            (json!({"certificate_uri": {"uri": "spiffe://example.com/robot"}}), No),
            (json!({"certificate_uri": {"uri": "spiffe://example.com/"}}), No),
            (json!({"certificate_public_key": {"sha256": "AB".repeat(32)}}), Yes),
            (json!({"certificate_public_key": {"sha256": "cd".repeat(32)}}), No),
            (json!({"certificate_fingerprint": {"sha256": vec!["CD"; 32].join(":")}}), Yes),
            (json!({"certificate_fingerprint": {"sha256": "ab".repeat(32)}}), No),
        ] {
            let asked =
                |certificate| ask(rule.clone(), &Facts { certificate, ..facts("127.0.0.1") });
            assert_eq!(asked(CertificateFact::Valid(&holder)), want, "{rule}");
            assert_eq!(asked(CertificateFact::Absent), No, "{rule}, none presented");
            let any = rule == json!({"certificate": {}});
            let want = if any { Yes } else { No };
            assert_eq!(
                asked(CertificateFact::Valid(&nobody)),
                want,
                "{rule}, one that says nothing"
            );
        }
    }
}
