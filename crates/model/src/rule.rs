//! Rules of policies and groups. Each keeps the JSON it was written as, so that the API echoes it exactly.

use crate::{
    CertificateQuestion, CertificateSelector, CountryCode, EmailAddress, GroupId, IdpId,
    ServiceTokenId,
};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fmt;
use std::net::IpAddr;

/// JSON that is not a rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRule {
    /// Not an object with exactly one key.
    #[error(
        "a rule is an object with exactly one selector, as in {{\"email\": {{\"email\": \"a@example.com\"}}}}"
    )]
    Shape,
    /// A selector that nobody knows.
    #[error("unknown selector {0:?}")]
    Unknown(String),
    /// A selector of the contract that is not built yet.
    #[error("the selector {0:?} is not supported yet")]
    NotYet(&'static str),
    /// A known selector with a wrong or missing member.
    #[error("selector {selector:?}: {why}")]
    Member {
        /// The selector's name in JSON.
        selector: &'static str,
        /// What is wrong with its members.
        why: String,
    },
}

/// What a rule asks about a request and the person behind it (access-protocol §9.4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selector {
    /// Anyone who can log in; in a bypass policy, the whole world.
    Everyone,
    /// One address.
    Email(EmailAddress),
    /// Every address of one domain, compared in lower case.
    EmailDomain(Box<str>),
    /// The rules of a group, as one boolean.
    Group(GroupId),
    /// The client's address lies in this network.
    Ip(IpNet),
    /// The client's address is in this country.
    Geo(CountryCode),
    /// One service token.
    ServiceToken(ServiceTokenId),
    /// Any valid service token of the account.
    AnyValidServiceToken,
    /// Something about the trusted client certificate.
    Certificate(CertificateSelector),
    /// Logged in through this identity provider.
    LoginMethod(IdpId),
    /// The identity provider reported this authentication method (RFC 8176).
    AuthMethod(Box<str>),
    /// The identity provider said this claim has, or contains, this value.
    OidcClaim {
        /// Whose claims.
        idp: IdpId,
        /// The claim's name.
        name: Box<str>,
        /// The value to find.
        value: Box<str>,
    },
    /// The SAML provider said this attribute has, or contains, this value.
    SamlAttribute {
        /// Whose attributes.
        idp: IdpId,
        /// The attribute's name.
        name: Box<str>,
        /// The value to find.
        value: Box<str>,
    },
}

impl Selector {
    /// The group that is referred to, if this is a reference.
    #[must_use]
    pub fn group(&self) -> Option<GroupId> {
        match self {
            Self::Group(id) => Some(*id),
            Self::Everyone
            | Self::Email(_)
            | Self::EmailDomain(_)
            | Self::Ip(_)
            | Self::Geo(_)
            | Self::ServiceToken(_)
            | Self::AnyValidServiceToken
            | Self::Certificate(_)
            | Self::LoginMethod(_)
            | Self::AuthMethod(_)
            | Self::OidcClaim { .. }
            | Self::SamlAttribute { .. } => None,
        }
    }

    /// Whether the answer depends on who logged in; such selectors may not stand in bypass and service-auth
    /// policies (access-protocol §9.2). `Everyone` counts as not: it is allowed in a bypass policy.
    #[must_use]
    pub fn needs_identity(&self) -> bool {
        match self {
            Self::Email(_)
            | Self::EmailDomain(_)
            | Self::LoginMethod(_)
            | Self::AuthMethod(_)
            | Self::OidcClaim { .. }
            | Self::SamlAttribute { .. } => true,
            Self::Everyone
            | Self::Group(_)
            | Self::Ip(_)
            | Self::Geo(_)
            | Self::ServiceToken(_)
            | Self::AnyValidServiceToken
            | Self::Certificate(_) => false,
        }
    }
}

/// A selector together with the JSON it was read from.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Value", into = "Value")]
pub struct Rule {
    written: Value,
    selector: Selector,
}

impl Rule {
    /// What the rule asks.
    #[must_use]
    pub fn selector(&self) -> &Selector {
        &self.selector
    }
}

/// Selectors of the contract that the gateway refuses for now, instead of ignoring them.
const NOT_YET: [&str; 12] = [
    "email_list",
    "ip_list",
    "auth_context",
    "azureAD",
    "github-organization",
    "gsuite",
    "okta",
    "device_posture",
    "external_evaluation",
    "linked_app_token",
    "user_risk_score",
    "cloudflare_account_member",
];

impl TryFrom<Value> for Rule {
    type Error = InvalidRule;
    fn try_from(written: Value) -> Result<Self, InvalidRule> {
        let object = written.as_object().filter(|o| o.len() == 1).ok_or(InvalidRule::Shape)?;
        let (name, members) = object.iter().next().ok_or(InvalidRule::Shape)?;
        let selector = match name.as_str() {
            "everyone" => Selector::Everyone,
            "email" => Selector::Email(member("email", members, "email")?),
            "email_domain" => {
                let domain: String = member("email_domain", members, "domain")?;
                let bare = domain.strip_prefix('@').unwrap_or(&domain).to_ascii_lowercase();
                let probe: Result<EmailAddress, _> = format!("x@{bare}").parse();
                probe.map_err(|_| wrong("email_domain", format!("{domain:?} is not a domain")))?;
                Selector::EmailDomain(bare.into())
            }
            "group" => Selector::Group(member("group", members, "id")?),
            "ip" => {
                let text: String = member("ip", members, "ip")?;
                Selector::Ip(network(&text).ok_or_else(|| {
                    wrong(
                        "ip",
                        format!("{text:?} is not an address or network such as 203.0.113.0/24"),
                    )
                })?)
            }
            "geo" => Selector::Geo(member("geo", members, "country_code")?),
            "service_token" => {
                Selector::ServiceToken(member("service_token", members, "token_id")?)
            }
            "any_valid_service_token" => Selector::AnyValidServiceToken,
            "certificate" => certificate("certificate", members, |_| Ok(CertificateQuestion::Any))?,
            "common_name" => certificate("common_name", members, |name| {
                Ok(CertificateQuestion::CommonName(member(name, members, "common_name")?))
            })?,
            "certificate_dns_name" => certificate("certificate_dns_name", members, |name| {
                Ok(CertificateQuestion::DnsName(text(name, members, "dns_name")?))
            })?,
            "certificate_email" => certificate("certificate_email", members, |name| {
                Ok(CertificateQuestion::Email(text(name, members, "email")?))
            })?,
            "certificate_uri" => certificate("certificate_uri", members, |name| {
                Ok(CertificateQuestion::Uri(text(name, members, "uri")?))
            })?,
            "certificate_public_key" => certificate("certificate_public_key", members, |name| {
                Ok(CertificateQuestion::PublicKey(digest(name, members)?))
            })?,
            "certificate_fingerprint" => certificate("certificate_fingerprint", members, |name| {
                Ok(CertificateQuestion::Fingerprint(digest(name, members)?))
            })?,
            "login_method" => Selector::LoginMethod(member("login_method", members, "id")?),
            "auth_method" => Selector::AuthMethod(member("auth_method", members, "auth_method")?),
            "oidc" => Selector::OidcClaim {
                idp: member("oidc", members, "identity_provider_id")
                    .or_else(|e| member("oidc", members, "connection_id").map_err(|_| e))?,
                name: member("oidc", members, "claim_name")?,
                value: member("oidc", members, "claim_value")?,
            },
            "saml" => Selector::SamlAttribute {
                idp: member("saml", members, "identity_provider_id")?,
                name: text("saml", members, "attribute_name")?,
                value: member("saml", members, "attribute_value")?,
            },
            other => match NOT_YET.iter().find(|known| **known == other) {
                Some(known) => return Err(InvalidRule::NotYet(known)),
                None => return Err(InvalidRule::Unknown(other.chars().take(60).collect())),
            },
        };
        Ok(Self { written, selector })
    }
}

fn wrong(selector: &'static str, why: String) -> InvalidRule {
    InvalidRule::Member { selector, why }
}

fn member<T: serde::de::DeserializeOwned>(
    selector: &'static str,
    members: &Value,
    name: &str,
) -> Result<T, InvalidRule> {
    let value = members.get(name).ok_or_else(|| wrong(selector, format!("{name} is missing")))?;
    serde_json::from_value(value.clone()).map_err(|e| wrong(selector, format!("{name}: {e}")))
}

/// A question about the client certificate, with the authority that may be named beside it.
fn certificate(
    name: &'static str,
    members: &Value,
    asks: impl FnOnce(&'static str) -> Result<CertificateQuestion, InvalidRule>,
) -> Result<Selector, InvalidRule> {
    let named = members.get("certificate_id").is_some_and(|id| !id.is_null());
    let authority = named.then(|| member(name, members, "certificate_id")).transpose()?;
    Ok(Selector::Certificate(CertificateSelector { authority, asks: asks(name)? }))
}

/// A text that is not empty.
fn text(selector: &'static str, members: &Value, name: &str) -> Result<Box<str>, InvalidRule> {
    let text: Box<str> = member(selector, members, name)?;
    if text.is_empty() {
        return Err(wrong(selector, format!("{name} is empty")));
    }
    Ok(text)
}

/// `sha256`: hexadecimal digits in any case, with or without colons, as `openssl` prints them.
fn digest(selector: &'static str, members: &Value) -> Result<Box<str>, InvalidRule> {
    let text: String = member(selector, members, "sha256")?;
    let digits = text.replace(':', "").to_ascii_lowercase();
    if digits.len() != 64 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(wrong(selector, format!("sha256: {text:?} is not 64 hexadecimal digits")));
    }
    Ok(digits.into())
}

/// An address or a network; an IPv4-mapped IPv6 address is the IPv4 address.
fn network(text: &str) -> Option<IpNet> {
    match text.parse::<IpAddr>() {
        Ok(address) => Some(IpNet::from(address.to_canonical())),
        Err(_) => text.parse::<IpNet>().ok().map(|net| net.trunc()),
    }
}

impl From<Rule> for Value {
    fn from(rule: Rule) -> Self {
        rule.written
    }
}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.written)
    }
}

/// `include` (any), `require` (all) and `exclude` (none): the three lists of a policy or group.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleSet {
    /// At least one of these holds.
    #[serde(default, deserialize_with = "crate::rule::null_as_default")]
    pub include: Vec<Rule>,
    /// None of these holds.
    #[serde(default, deserialize_with = "crate::rule::null_as_default")]
    pub exclude: Vec<Rule>,
    /// All of these hold.
    #[serde(default, deserialize_with = "crate::rule::null_as_default")]
    pub require: Vec<Rule>,
}

impl RuleSet {
    /// Every rule of the three lists.
    pub fn all(&self) -> impl Iterator<Item = &Rule> {
        self.include.iter().chain(&self.require).chain(&self.exclude)
    }
}

/// `null` means unset everywhere in the API (api/README "Write semantics").
pub(crate) fn null_as_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn rules_echo_what_was_written() {
        for written in [
            json!({"everyone": {}}),
            json!({"email": {"email": "Someone@Example.com"}}),
            json!({"email_domain": {"domain": "Example.com"}}),
            json!({"ip": {"ip": "203.0.113.7"}}),
            json!({"ip": {"ip": "2001:db8::/32"}}),
            json!({"geo": {"country_code": "jp"}}),
            json!({"certificate": {}}),
            json!({"certificate": null}),
            json!({"certificate": {"certificate_id": "7335d417-61da-459d-899c-0a01c76a2f94"}}),
            json!({"common_name": {"common_name": "", "certificate_id": null}}),
            json!({"certificate_dns_name": {"dns_name": "*.Example.com"}}),
            json!({"certificate_email": {"email": "a@example.com"}}),
            json!({"certificate_uri": {"uri": "spiffe://example.com/robot"}}),
            json!({"certificate_public_key": {"sha256": "AB".repeat(32)}}),
            json!({"certificate_fingerprint": {"sha256": vec!["Ab"; 32].join(":")}}),
            json!({"saml": {"attribute_name": "g", "attribute_value": "v", "identity_provider_id": "7335d417-61da-459d-899c-0a01c76a2f94"}}),
            json!({"oidc": {"claim_name": "g", "claim_value": "v", "identity_provider_id": "7335d417-61da-459d-899c-0a01c76a2f94"}}),
        ] {
            let rule: Rule = serde_json::from_value(written.clone()).expect("a rule");
            assert_eq!(serde_json::to_value(&rule).unwrap(), written);
        }
    }

    #[test]
    fn near_misses_are_errors_not_rules() {
        for written in [
            json!({}),
            json!("everyone"),
            json!({"everyone": {}, "email": {"email": "a@b.c"}}),
            json!({"emial": {"email": "a@b.c"}}),
            json!({"email": {"email": "not an address"}}),
            json!({"email": {}}),
            json!({"ip": {"ip": "0x0a000001"}}),
            json!({"ip": {"ip": "010.0.0.1"}}),
            json!({"ip": {"ip": "fe80::1%eth0"}}),
            json!({"ip": {"ip": "10.0.0.0/33"}}),
            json!({"geo": {"country_code": "Japan"}}),
            json!({"common_name": {"common_name": null}}),
            json!({"certificate": {"certificate_id": "all"}}),
            json!({"certificate_dns_name": {"dns_name": ""}}),
            json!({"certificate_uri": {}}),
            json!({"certificate_fingerprint": {"sha256": "ab"}}),
            json!({"certificate_fingerprint": {"sha256": "g".repeat(64)}}),
            json!({"device_posture": {"integration_uid": "x"}}),
            json!({"saml": {"attribute_name": "g", "attribute_value": "v"}}),
            json!({"saml": {"attribute_name": "", "attribute_value": "v", "identity_provider_id": "7335d417-61da-459d-899c-0a01c76a2f94"}}),
        ] {
            assert!(serde_json::from_value::<Rule>(written.clone()).is_err(), "{written}");
        }
    }
}
