//! The public keys of one team, ready to open tokens: at the gateway as part of its [`crate::KeyRing`], at an origin
//! read from the `certs` document. There is one verification, and this is it.

use crate::certs;
use crate::members::Members;
use crate::standing::Expected;
use crate::verify::{PublicKey, Requirements, signed};
use crate::{AppToken, CertsError, MAX_TOKEN_BYTES, TokenError, header};
use narthex_model::{AudTag, Kid, TeamDomain, UnixSeconds};
use std::fmt;

/// The keys that a team publishes, and the issuer that their tokens name; immutable.
pub struct KeySet {
    issuer: Box<str>,
    published: Box<[Published]>,
    with_issuer: Requirements,
}

/// A key as verification needs it.
struct Published {
    kid: Kid,
    /// How every token signed by it begins: the header in base64url and a dot.
    start: Box<str>,
    key: PublicKey,
}

impl KeySet {
    /// A team of which no key is known: every token that is well formed meets `UnknownKey`.
    #[must_use]
    pub fn empty(issuer: &TeamDomain) -> Self {
        Self::of(issuer, std::iter::empty())
    }

    /// The keys in `certs`, the body of `/cdn-cgi/access/certs` (access-protocol §5.6). What is not an RSA key of
    /// 2048 bits for RS256 under an id of 64 hexadecimal digits is passed over (RFC 7517 §5).
    ///
    /// # Errors
    /// [`CertsError`] when it is too long, not such a document, or without a key to use.
    pub fn read(issuer: &TeamDomain, certs: &[u8]) -> Result<Self, CertsError> {
        let keys = certs::read(certs)?;
        Ok(Self::of(issuer, keys.iter().map(|(kid, der)| (kid, &**der))))
    }

    /// The set of these keys: their ids, and each as `RSAPublicKey` in DER.
    pub(crate) fn of<'a>(
        issuer: &TeamDomain,
        keys: impl Iterator<Item = (&'a Kid, &'a [u8])>,
    ) -> Self {
        Self {
            issuer: issuer.issuer().into(),
            published: keys.map(|(kid, der)| Published::of(kid, der)).collect(),
            with_issuer: Requirements::issued_by(issuer.issuer()),
        }
    }

    /// Opens an application token minted for `aud`.
    ///
    /// # Errors
    /// [`TokenError`] says what is wrong with it; a refused token counts as no token.
    pub fn open_app(
        &self,
        jwt: &str,
        aud: &AudTag,
        now: UnixSeconds,
    ) -> Result<AppToken, TokenError> {
        self.app(jwt, Some(aud), now)
    }

    /// Opens a token of any application.
    ///
    /// # Errors
    /// As [`KeySet::open_app`], without `Audience`.
    pub fn open_any_app(&self, jwt: &str, now: UnixSeconds) -> Result<AppToken, TokenError> {
        self.app(jwt, None, now)
    }

    /// The `iss` of every token.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The claims of a token that names the issuer, once its signature is checked; they are still to be judged.
    pub(crate) fn signed(&self, jwt: &str) -> Result<Members, TokenError> {
        signed(jwt, self.key_of(jwt)?, &self.with_issuer)
    }

    /// The key that a token says it was signed with, once its length, parts and header are in order.
    ///
    /// Nothing is fetched: a key that is not in the set does not exist.
    pub(crate) fn key_of(&self, jwt: &str) -> Result<&PublicKey, TokenError> {
        if jwt.len() > MAX_TOKEN_BYTES {
            return Err(TokenError::TooLarge);
        }
        let mut dots = memchr::memchr_iter(b'.', jwt.as_bytes());
        let (Some(first), Some(_), None) = (dots.next(), dots.next(), dots.next()) else {
            return Err(TokenError::Malformed("not three parts"));
        };
        if let Some(published) = self.published.iter().find(|p| jwt.starts_with(&*p.start)) {
            return Ok(&published.key);
        }
        let kid = header::kid(&jwt.as_bytes()[..first])?;
        let published = self.published.iter().find(|p| p.kid == kid);
        published.map(|p| &p.key).ok_or(TokenError::UnknownKey { kid })
    }

    /// How tokens signed by the first key begin; `None` without keys.
    pub(crate) fn first_start(&self) -> Option<&str> {
        self.published.first().map(|p| &*p.start)
    }

    fn app(
        &self,
        jwt: &str,
        aud: Option<&AudTag>,
        now: UnixSeconds,
    ) -> Result<AppToken, TokenError> {
        let members = self.signed(jwt)?;
        let issuer = Some(&*self.issuer);
        AppToken::read(members, &Expected { kind: "app", issuer, aud, now })
    }
}

impl Published {
    fn of(kid: &Kid, der: &[u8]) -> Self {
        let start = format!("{}.", header::written(kid)).into();
        Self { kid: kid.clone(), start, key: PublicKey::of(der) }
    }
}

impl fmt::Debug for KeySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kids: Vec<&Kid> = self.published.iter().map(|p| &p.kid).collect();
        f.debug_struct("KeySet")
            .field("issuer", &self.issuer)
            .field("published", &kids)
            .finish_non_exhaustive()
    }
}
