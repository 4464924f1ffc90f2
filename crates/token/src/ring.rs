//! The keys in force: mints, opens, and publishes itself.

use crate::payload::{SIGNATURE_CHARS, sealed};
use crate::schedule::Stages;
use crate::standing::Expected;
use crate::verify::{Requirements, signed};
use crate::{
    AppToken, Claims, KeyError, KeySet, MetaToken, Minted, OrgToken, PersonToken, SigningKey,
    TokenError, certs,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use narthex_model::{AudTag, Kid, TeamDomain, UnixSeconds};
use std::fmt;
use std::sync::Arc;

/// The team's published keys at one instant; immutable. Make a new one when a key is added, retired or takes over.
pub struct KeyRing {
    signer: Arc<SigningKey>,
    /// The signer first, then the others from young to old.
    keys: KeySet,
    certs: String,
    without_issuer: Requirements,
    next_rotation: Option<UnixSeconds>,
    changes_at: Option<UnixSeconds>,
}

impl KeyRing {
    /// The ring of `keys` at `now`: the youngest that is active signs. All are published and verify, except those
    /// whose overlap is over ([`crate::OVERLAP_SECONDS`]): a deletion that comes late lets nobody in.
    ///
    /// # Errors
    /// `NoneActive` when no key may sign yet, `Duplicate` when two have one id.
    pub fn of(
        keys: Vec<Arc<SigningKey>>,
        issuer: &TeamDomain,
        now: UnixSeconds,
    ) -> Result<Self, KeyError> {
        for (at, key) in keys.iter().enumerate() {
            if keys[..at].iter().any(|other| other.kid() == key.kid()) {
                return Err(KeyError::Duplicate { kid: key.kid().clone() });
            }
        }
        let all: Vec<&Arc<SigningKey>> = keys.iter().collect();
        let stages = Stages::of(&all, now);
        let signer = Arc::clone(stages.signer.ok_or(KeyError::NoneActive)?);
        let next = stages.next.iter().rev().map(|key| Arc::clone(key));
        let others = next.chain(stages.kept.iter().map(|(key, _)| Arc::clone(key)));
        let others: Vec<Arc<SigningKey>> = others.collect();
        let next_rotation = stages.next.first().map(|key| key.active_from());
        let first_retirement = stages.kept.iter().map(|(_, until)| *until).min();
        let published = std::iter::once(&signer).chain(&others);
        Ok(Self {
            keys: KeySet::of(issuer, published.map(|key| (key.kid(), key.public_der()))),
            certs: certs::document(&signer, &others),
            without_issuer: Requirements::without_issuer(),
            next_rotation,
            changes_at: next_rotation.into_iter().chain(first_retirement).min(),
            signer,
        })
    }

    /// Signs `claims`, with their `type` and, except where a stranger gets the token, `iss` added.
    #[must_use]
    pub fn mint<C: Claims>(&self, claims: &C) -> String {
        self.sign(&sealed::Claims::payload(claims, self.issuer()).json)
    }

    /// Signs a person's token and tells which `custom` members did not fit into [`crate::MAX_MINTED_BYTES`].
    #[must_use]
    pub fn mint_person(&self, token: &PersonToken) -> Minted {
        let payload = sealed::Claims::payload(token, self.issuer());
        Minted { jwt: self.sign(&payload.json), dropped: payload.dropped }
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
        self.keys.open_app(jwt, aud, now)
    }

    /// Opens a token of any application: for get-identity and logout on the team domain.
    ///
    /// # Errors
    /// As [`KeyRing::open_app`], without `Audience`.
    pub fn open_any_app(&self, jwt: &str, now: UnixSeconds) -> Result<AppToken, TokenError> {
        self.keys.open_any_app(jwt, now)
    }

    /// Opens a global session token of the organization `aud`.
    ///
    /// # Errors
    /// As [`KeyRing::open_app`].
    pub fn open_org(
        &self,
        jwt: &str,
        aud: &AudTag,
        now: UnixSeconds,
    ) -> Result<OrgToken, TokenError> {
        let members = self.keys.signed(jwt)?;
        let issuer = Some(self.issuer());
        OrgToken::read(members, &Expected { kind: "org", issuer, aud: Some(aud), now })
    }

    /// Opens a meta token about the application `aud`.
    ///
    /// # Errors
    /// As [`KeyRing::open_app`].
    pub fn open_meta(
        &self,
        jwt: &str,
        aud: &AudTag,
        now: UnixSeconds,
    ) -> Result<MetaToken, TokenError> {
        let members = signed(jwt, self.keys.key_of(jwt)?, &self.without_issuer)?;
        MetaToken::read(members, &Expected { kind: "meta", issuer: None, aud: Some(aud), now })
    }

    /// The body of `/cdn-cgi/access/certs` (access-protocol §5.6).
    #[must_use]
    pub fn certs_json(&self) -> &str {
        &self.certs
    }

    /// The `iss` of every token.
    #[must_use]
    pub fn issuer(&self) -> &str {
        self.keys.issuer()
    }

    /// The key that signs.
    #[must_use]
    pub fn signer_kid(&self) -> &Kid {
        self.signer.kid()
    }

    /// Since when it signs: `last_key_rotation_at` of the API.
    #[must_use]
    pub fn signing_since(&self) -> UnixSeconds {
        self.signer.active_from()
    }

    /// When the next published key takes over; `None` while none is published.
    #[must_use]
    pub fn next_rotation(&self) -> Option<UnixSeconds> {
        self.next_rotation
    }

    /// When [`KeyRing::of`] with the same keys would give another ring: a key takes over, or an overlap ends.
    #[must_use]
    pub fn changes_at(&self) -> Option<UnixSeconds> {
        self.changes_at
    }

    fn sign(&self, payload: &[u8]) -> String {
        let start = self.keys.first_start().expect("a ring has a signer");
        let room = start.len() + payload.len().div_ceil(3) * 4 + 1 + SIGNATURE_CHARS;
        let mut jwt = String::with_capacity(room);
        jwt.push_str(start);
        URL_SAFE_NO_PAD.encode_string(payload, &mut jwt);
        let signature = self.signer.sign(jwt.as_bytes());
        jwt.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut jwt);
        jwt
    }
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyRing").field("keys", &self.keys).finish_non_exhaustive()
    }
}
