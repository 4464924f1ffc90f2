//! The application token of a person who logged in (seed 003, access-protocol §5.3).

use crate::TokenError;
use crate::digest::{Sha256Hex, hashes_to};
use crate::members::Members;
use crate::payload::{PAYLOAD_BUDGET, Payload, json, sealed};
use crate::standing::Standing;
use narthex_model::{AudTag, CountryCode, EmailAddress, IdentityNonce, UnixSeconds, UserId};
use serde::Serialize;
use serde_json::{Map, Value};

/// Type `app`: admits a person to one application.
#[derive(Clone, Debug, PartialEq)]
pub struct PersonToken {
    /// The application.
    pub aud: AudTag,
    /// The address that the identity provider confirmed.
    pub email: EmailAddress,
    /// The person.
    pub sub: UserId,
    /// The login session.
    pub identity_nonce: IdentityNonce,
    /// Where the person logged in; left out of the token when unknown.
    pub country: Option<CountryCode>,
    /// Configured attributes of the identity; left out of the token when empty.
    pub custom: Map<String, Value>,
    /// When it was issued; also its `nbf`.
    pub iat: UnixSeconds,
    /// From this instant on it is refused.
    pub exp: UnixSeconds,
    /// Private claim `bnd`: SHA-256 of the `CF_Binding` cookie that must come along, in hexadecimal digits
    /// (access-protocol §4.4).
    pub binding: Option<String>,
}

impl PersonToken {
    /// Whether the token needs no `CF_Binding` cookie, or `cookie` is the one it needs; in constant time.
    #[must_use]
    pub fn is_bound_to(&self, cookie: Option<&str>) -> bool {
        match (&self.binding, cookie) {
            (None, _) => true,
            (Some(hash), Some(cookie)) => hashes_to(cookie, hash),
            (Some(_), None) => false,
        }
    }

    /// Reads the claims that are a person's own; `sub` has been taken already.
    pub(crate) fn read(
        mut members: Members,
        standing: Standing,
        sub: String,
    ) -> Result<Self, TokenError> {
        let Standing { aud, iat, exp, .. } = standing.with_nbf()?;
        let custom = if members.has("custom") { members.object("custom")? } else { Map::new() };
        Ok(Self {
            aud,
            email: members.parsed("email")?,
            sub: sub.parse().map_err(|_| TokenError::Claim("sub"))?,
            identity_nonce: members.parsed("identity_nonce")?,
            country: members.optional("country")?,
            custom,
            iat,
            exp,
            binding: members.optional::<Sha256Hex>("bnd")?.map(|hash| hash.0),
        })
    }

    fn json(&self, issuer: &str, custom: &Map<String, Value>) -> Vec<u8> {
        json(&Wire {
            aud: [self.aud.as_str()],
            email: self.email.as_str(),
            exp: self.exp,
            iat: self.iat,
            nbf: self.iat,
            iss: issuer,
            kind: "app",
            identity_nonce: self.identity_nonce.as_str(),
            sub: self.sub,
            country: self.country,
            custom: (!custom.is_empty()).then_some(custom),
            bnd: self.binding.as_deref(),
        })
    }
}

/// The claims in the order of seed 003.
#[derive(Serialize)]
struct Wire<'a> {
    aud: [&'a str; 1],
    email: &'a str,
    exp: UnixSeconds,
    iat: UnixSeconds,
    nbf: UnixSeconds,
    iss: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    identity_nonce: &'a str,
    sub: UserId,
    #[serde(skip_serializing_if = "Option::is_none")]
    country: Option<CountryCode>,
    #[serde(skip_serializing_if = "Option::is_none")]
    custom: Option<&'a Map<String, Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bnd: Option<&'a str>,
}

impl sealed::Claims for PersonToken {
    fn payload(&self, issuer: &str) -> Payload {
        let whole = self.json(issuer, &self.custom);
        let excess = whole.len().saturating_sub(PAYLOAD_BUDGET);
        if excess == 0 {
            return Payload { json: whole, dropped: Vec::new() };
        }
        let dropped = largest(&self.custom, excess);
        let mut custom = self.custom.clone();
        custom.retain(|name, _| !dropped.contains(name));
        Payload { json: self.json(issuer, &custom), dropped }
    }
}

/// Names of the largest members, until they make up `excess` bytes.
fn largest(custom: &Map<String, Value>, excess: usize) -> Vec<String> {
    let size = |(name, value): (&String, &Value)| {
        let separators = 2; // the colon, and a comma before or after
        (json(name).len() + json(value).len() + separators, name.clone())
    };
    let mut sizes: Vec<(usize, String)> = custom.iter().map(size).collect();
    sizes.sort_by(|(a, a_name), (b, b_name)| b.cmp(a).then_with(|| a_name.cmp(b_name)));
    let mut left = excess;
    let mut dropped = Vec::new();
    for (size, name) in sizes {
        if left == 0 {
            break;
        }
        left = left.saturating_sub(size);
        dropped.push(name);
    }
    dropped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::sha256_hex;
    use crate::payload::sealed::Claims;
    use serde_json::json;

    fn seed() -> PersonToken {
        PersonToken {
            aud: "32eafc7626e974616deaf0dc3ce63d7bcbed58a2731e84d06bc3cdf1b53c4228"
                .parse()
                .unwrap(),
            email: "user@example.com".parse().unwrap(),
            sub: "7335d417-61da-459d-899c-0a01c76a2f94".parse().unwrap(),
            identity_nonce: "6ei69kawdKzMIAPF".parse().unwrap(),
            country: Some("US".parse().unwrap()),
            custom: Map::new(),
            iat: UnixSeconds(1_659_474_397),
            exp: UnixSeconds(1_659_474_457),
            binding: None,
        }
    }

    fn text(token: &PersonToken) -> String {
        String::from_utf8(token.payload("https://yourteam.cloudflareaccess.com").json).unwrap()
    }

    #[test]
    fn the_claims_are_those_of_seed_003() {
        let want = r#"{"aud":["32eafc7626e974616deaf0dc3ce63d7bcbed58a2731e84d06bc3cdf1b53c4228"],"email":"user@example.com","exp":1659474457,"iat":1659474397,"nbf":1659474397,"iss":"https://yourteam.cloudflareaccess.com","type":"app","identity_nonce":"6ei69kawdKzMIAPF","sub":"7335d417-61da-459d-899c-0a01c76a2f94","country":"US"}"#;
        assert_eq!(text(&seed()), want);
    }

    #[test]
    fn what_is_unknown_is_left_out() {
        let bare = PersonToken { country: None, ..seed() };
        assert_eq!(text(&bare), text(&seed()).replace(r#","country":"US""#, ""));
        let mut full = PersonToken { binding: Some(sha256_hex("b")), ..bare.clone() };
        full.custom.insert("dept".to_owned(), json!(["a", "b"]));
        let more = format!(r#","custom":{{"dept":["a","b"]}},"bnd":"{}"}}"#, sha256_hex("b"));
        assert_eq!(text(&full), text(&bare).replace('}', &more));
    }

    #[test]
    fn the_largest_attributes_go_first() {
        let mut token = seed();
        for (name, length) in [("small", 100), ("large", 2000), ("largest", 2100), ("tiny", 1)] {
            token.custom.insert(name.to_owned(), json!("x".repeat(length)));
        }
        let payload = token.payload("https://a");
        assert_eq!(payload.dropped, ["largest"]);
        assert!(payload.json.len() <= PAYLOAD_BUDGET);
        token.custom.insert("small".to_owned(), json!("x".repeat(700)));
        assert_eq!(token.payload("https://a").dropped, ["largest", "large"]);
    }

    #[test]
    fn a_token_of_exactly_the_budget_keeps_everything() {
        let mut token = seed();
        token.custom.insert("a".to_owned(), json!(""));
        let room = PAYLOAD_BUDGET - token.payload("https://a").json.len();
        for (length, dropped) in [(room, vec![]), (room + 1, vec!["a".to_owned()])] {
            token.custom.insert("a".to_owned(), json!("x".repeat(length)));
            assert_eq!(token.payload("https://a").dropped, dropped, "{length}");
        }
    }

    #[test]
    fn a_bound_token_needs_its_cookie() {
        let free = seed();
        let bound = PersonToken { binding: Some(sha256_hex("secret")), ..seed() };
        assert!(free.is_bound_to(None) && free.is_bound_to(Some("x")));
        assert!(bound.is_bound_to(Some("secret")));
        assert!(!bound.is_bound_to(None) && !bound.is_bound_to(Some("secret2")));
    }
}
