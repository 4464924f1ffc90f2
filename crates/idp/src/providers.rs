//! All identity providers of one gateway: what is remembered about each, and the way out to them.

use crate::assertion::Assertion;
use crate::error::IdpError;
use crate::mail::{Mail, Mailer};
use crate::oidc::{Begun, CallbackParams, PendingOidc};
use crate::outbound::OutboundHttp;
use crate::pin_limits::PinLimits;
use narthex_model::{Clock, IdentityProvider, UnixSeconds};
use std::fmt;
use std::sync::Arc;
use url::Url;

/// Begins and finishes logins. One for the process, shared by reference.
pub struct Providers {
    mailer: Arc<dyn Mailer>,
    limits: PinLimits,
}

impl Providers {
    /// Puts the parts together; nothing is called yet.
    #[must_use]
    pub fn new(_http: OutboundHttp, mailer: Arc<dyn Mailer>, clock: Clock) -> Self {
        Self { mailer, limits: PinLimits::new(clock) }
    }

    /// Begins a login at an OpenID Connect provider. `state` is the portal's random value that ties the answer to the
    /// browser; it goes into the URL and is not kept here.
    ///
    /// # Errors
    /// `Unreachable` while the provider's keys cannot be had; `Misconfigured` for a provider of another type or settings
    /// that cannot work.
    #[expect(
        clippy::unimplemented,
        clippy::unused_async,
        reason = "the interface is published first"
    )]
    pub async fn begin_oidc(
        &self,
        _idp: &IdentityProvider,
        _redirect_uri: &Url,
        _state: &str,
    ) -> Result<Begun, IdpError> {
        unimplemented!()
    }

    /// Finishes a login: redeems the code, checks every token, reads the claims. `redirect_uri` is the one it was begun with.
    ///
    /// # Errors
    /// Every [`IdpError`].
    #[expect(
        clippy::unimplemented,
        clippy::unused_async,
        reason = "the interface is published first"
    )]
    pub async fn finish_oidc(
        &self,
        _idp: &IdentityProvider,
        _redirect_uri: &Url,
        _pending: &PendingOidc,
        _callback: &CallbackParams,
        _now: UnixSeconds,
    ) -> Result<Assertion, IdpError> {
        unimplemented!()
    }

    /// The way out for mail.
    #[must_use]
    pub fn mailer(&self) -> &Arc<dyn Mailer> {
        &self.mailer
    }

    /// How often a PIN may be asked for and tried.
    #[must_use]
    pub fn pin_limits(&self) -> &PinLimits {
        &self.limits
    }

    /// Sends `mail` without making the caller wait, so that an answer takes the same time whether or not mail goes out.
    /// A failure is logged; at most 256 messages wait, more are dropped and logged.
    ///
    /// Must be called within a tokio runtime.
    #[expect(clippy::unimplemented, reason = "the interface is published first")]
    pub fn mail_later(&self, _mail: Mail) {
        unimplemented!()
    }
}

impl fmt::Debug for Providers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Providers")
    }
}
