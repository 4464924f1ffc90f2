//! Who calls: an API token, sent one way or another (api/README "Authentication"). Cookies never count.

use crate::error::ApiError;
use crate::permission::Permission;
use aws_lc_rs::{constant_time, digest};
use http::{HeaderMap, header};
use narthex_model::{Timestamp, UnixSeconds};
use narthex_store::{ApiToken, Store};

/// The id that the bootstrap token goes by.
pub(crate) const BOOTSTRAP_ID: &str = "00000000000000000000000000000000";

/// What a token may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rights {
    /// Everything.
    All,
    /// Reading, of whatever kind.
    ReadOnly,
}

/// The holder of an API token that is in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Actor {
    rights: Rights,
    /// The token's id.
    pub(crate) id: String,
    /// The token's name.
    pub(crate) name: String,
    pub(crate) not_before: Option<Timestamp>,
    pub(crate) expires_at: Option<Timestamp>,
}

impl Actor {
    fn bootstrap() -> Self {
        let (id, name) = (BOOTSTRAP_ID.to_owned(), "bootstrap".to_owned());
        Self { rights: Rights::All, id, name, not_before: None, expires_at: None }
    }

    fn of(token: ApiToken) -> Self {
        let rights = if token.read_only { Rights::ReadOnly } else { Rights::All };
        Self {
            rights,
            id: token.id.to_string(),
            name: token.name,
            not_before: token.not_before,
            expires_at: token.expires_at,
        }
    }

    /// Whether the token may do what an operation needs.
    ///
    /// # Errors
    /// `NotAllowed` with the permission that is missing.
    pub(crate) fn may(&self, needs: Permission) -> Result<(), ApiError> {
        match (self.rights, needs) {
            (Rights::All, _) | (Rights::ReadOnly, Permission::Own | Permission::Read(_)) => Ok(()),
            (Rights::ReadOnly, Permission::Write(area)) => Err(ApiError::NotAllowed(format!(
                "the token may only read; this writes {}",
                area.name()
            ))),
        }
    }
}

/// Finds the token that `headers` carry. A bearer token wins over the legacy pair, whose key is a token as well.
///
/// # Errors
/// `NoCredentials` and `AuthorizationFormat` (400), `UnknownToken` and `TokenNotInForce` (401), `UnknownKey` (403).
pub(crate) async fn authenticate(
    headers: &HeaderMap,
    bootstrap: Option<&[u8; 32]>,
    store: &dyn Store,
    now: UnixSeconds,
) -> Result<Actor, ApiError> {
    let (presented, unknown) = match headers.get(header::AUTHORIZATION) {
        Some(value) => {
            let bearer = value.to_str().ok().and_then(bearer);
            (bearer.ok_or(ApiError::AuthorizationFormat)?, ApiError::UnknownToken)
        }
        None => (legacy_key(headers).ok_or(ApiError::NoCredentials)?, ApiError::UnknownKey),
    };
    let hash = sha256(presented);
    let same = |known: &[u8; 32]| constant_time::verify_slices_are_equal(known, &hash).is_ok();
    if bootstrap.is_some_and(same) {
        return Ok(Actor::bootstrap());
    }
    match store.api_token_by_hash(&hash).await? {
        Some(token) if same(&token.hash) && token.is_live(now) => Ok(Actor::of(token)),
        Some(token) if same(&token.hash) => Err(ApiError::TokenNotInForce(reason(&token, now))),
        Some(_) | None => Err(unknown),
    }
}

/// SHA-256 of a token: what the store and the settings keep of it.
#[must_use]
pub fn sha256(token: &str) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest::digest(&digest::SHA256, token.as_bytes()).as_ref());
    hash
}

/// The token of `Bearer <token>` (RFC 6750 §2.1).
fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.trim().split_once(' ')?;
    let token = token.trim();
    let sound = |b: u8| b.is_ascii_alphanumeric() || b"-._~+/=".contains(&b);
    let is_token = (1..=512).contains(&token.len()) && token.bytes().all(sound);
    (scheme.eq_ignore_ascii_case("bearer") && is_token).then_some(token)
}

fn legacy_key(headers: &HeaderMap) -> Option<&str> {
    let text = |name: &str| headers.get(name).and_then(|v| v.to_str().ok()).map(str::trim);
    text("x-auth-email").filter(|email| !email.is_empty())?;
    text("x-auth-key").filter(|key| (1..=512).contains(&key.len()))
}

/// Only the holder of the token reads this.
fn reason(token: &ApiToken, now: UnixSeconds) -> String {
    match (token.disabled, token.not_before, token.expires_at) {
        (true, _, _) => "it is switched off".to_owned(),
        (false, Some(from), _) if now < from.0 => format!("it works from {from}"),
        (false, _, Some(until)) => format!("it expired at {until}"),
        (false, _, None) => "it is not in force".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_bearer_token_is_a_bearer_token() {
        for (value, token) in [
            ("Bearer abc", Some("abc")),
            ("bearer  a.b-c_d~e+f/g= ", Some("a.b-c_d~e+f/g=")),
            ("Bearer", None),
            ("Bearer ", None),
            ("Basic abc", None),
            ("Bearer a b", None),
            ("Bearer a\u{e9}", None),
            ("abc", None),
        ] {
            assert_eq!(bearer(value), token, "{value:?}");
        }
        assert_eq!(bearer(&format!("Bearer {}", "a".repeat(513))), None);
    }

    #[test]
    fn the_legacy_pair_needs_both_halves() {
        let headers = |pairs: &[(&'static str, &'static str)]| {
            let pairs = pairs.iter().map(|(n, v)| (n.parse().unwrap(), v.parse().unwrap()));
            pairs.collect::<HeaderMap>()
        };
        let (email, key) = (("x-auth-email", "a@example.com"), ("x-auth-key", "k"));
        assert_eq!(legacy_key(&headers(&[email, key])), Some("k"));
        assert_eq!(legacy_key(&headers(&[key])), None);
        assert_eq!(legacy_key(&headers(&[email])), None);
        assert_eq!(legacy_key(&headers(&[("x-auth-email", ""), key])), None);
        assert_eq!(legacy_key(&headers(&[("cookie", "CF_Authorization=k")])), None);
    }
}
