//! The keys in force: mints, opens, and publishes itself.
#![expect(clippy::unimplemented, reason = "the interface comes first; the bodies follow")]

use crate::{
    AppToken, Claims, KeyError, MetaToken, Minted, OrgToken, PersonToken, SigningKey, TokenError,
};
use narthex_model::{AudTag, Kid, TeamDomain, UnixSeconds};
use std::sync::Arc;

/// The team's published keys at one instant; immutable. Make a new one when a key is added, retired or takes over.
pub struct KeyRing {
    certs: String,
}

impl KeyRing {
    /// The ring of `keys` at `now`: all of them verify and are published, the youngest that is active signs.
    ///
    /// # Errors
    /// `NoneActive` when no key may sign yet, `Duplicate` when two have one id.
    pub fn of(
        keys: Vec<Arc<SigningKey>>,
        issuer: &TeamDomain,
        now: UnixSeconds,
    ) -> Result<Self, KeyError> {
        let _ = (keys, issuer, now);
        unimplemented!()
    }

    /// Signs `claims`, with `iss` (except where a stranger gets the token) and `type` added.
    #[must_use]
    pub fn mint<C: Claims>(&self, claims: &C) -> String {
        let _ = claims;
        unimplemented!()
    }

    /// Signs a person's token and tells which `custom` members did not fit into [`crate::MAX_MINTED_BYTES`].
    #[must_use]
    pub fn mint_person(&self, token: &PersonToken) -> Minted {
        let _ = token;
        unimplemented!()
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
        let _ = (jwt, aud, now);
        unimplemented!()
    }

    /// Opens a token of any application: for get-identity and logout on the team domain.
    ///
    /// # Errors
    /// As [`KeyRing::open_app`], without `Audience`.
    pub fn open_any_app(&self, jwt: &str, now: UnixSeconds) -> Result<AppToken, TokenError> {
        let _ = (jwt, now);
        unimplemented!()
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
        let _ = (jwt, aud, now);
        unimplemented!()
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
        let _ = (jwt, aud, now);
        unimplemented!()
    }

    /// The body of `/cdn-cgi/access/certs` (access-protocol §5.6).
    #[must_use]
    pub fn certs_json(&self) -> &str {
        &self.certs
    }

    /// The `iss` of every token.
    #[must_use]
    pub fn issuer(&self) -> &str {
        unimplemented!()
    }

    /// The key that signs.
    #[must_use]
    pub fn signer_kid(&self) -> &Kid {
        unimplemented!()
    }

    /// Since when it signs: `last_key_rotation_at` of the API.
    #[must_use]
    pub fn signing_since(&self) -> UnixSeconds {
        unimplemented!()
    }

    /// When the next published key takes over; make a new ring then. `None` while no next key is published.
    #[must_use]
    pub fn next_rotation(&self) -> Option<UnixSeconds> {
        unimplemented!()
    }
}
