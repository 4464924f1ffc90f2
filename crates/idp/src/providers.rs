//! All identity providers of one gateway, and the way out to them.

use crate::assertion::Assertion;
use crate::error::IdpError;
use crate::known::Known;
use crate::mail::{Mail, Mailer};
use crate::oidc::{self, Begun, CallbackParams, PendingOidc};
use crate::outbound::OutboundHttp;
use crate::pin_limits::PinLimits;
use crate::saml::{self, BegunSaml, PendingSaml, RequestKey, Vouched};
use narthex_model::{Clock, IdentityProvider, IdpConfig, OidcConfig, SamlConfig, UnixSeconds};
use std::fmt;
use std::sync::Arc;
use tokio::sync::Semaphore;
use tracing::{Instrument, info_span, warn};
use url::Url;

/// How many messages may be on their way to the mail server at once.
const MAILS: usize = 256;

/// Begins and finishes logins. One for the process, shared by reference.
pub struct Providers {
    http: OutboundHttp,
    mailer: Arc<dyn Mailer>,
    clock: Clock,
    known: Known,
    limits: PinLimits,
    mails: Arc<Semaphore>,
}

impl Providers {
    /// Puts the parts together; nothing is called yet.
    #[must_use]
    pub fn new(http: OutboundHttp, mailer: Arc<dyn Mailer>, clock: Clock) -> Self {
        let limits = PinLimits::new(clock.clone());
        let mails = Arc::new(Semaphore::new(MAILS));
        Self { http, mailer, clock, known: Known::default(), limits, mails }
    }

    /// Begins a login at an OpenID Connect provider. `state` is the portal's random value that ties the answer to the
    /// browser; it goes into the URL and is not kept here.
    ///
    /// The provider's keys are fetched first unless they are known, so that nobody is sent to a provider that is down.
    ///
    /// # Errors
    /// `Unreachable` while the provider's keys cannot be had; `Misconfigured` or `BadAnswer` when what it says about itself
    /// cannot work with the settings; `Misconfigured` for a provider of another type.
    pub async fn begin_oidc(
        &self,
        idp: &IdentityProvider,
        redirect_uri: &Url,
        state: &str,
    ) -> Result<Begun, IdpError> {
        let (config, now) = (oidc_config(idp)?, self.clock.now());
        let provider = self.known.provider(idp.id, config);
        provider.know(&self.http, config, now).await?;
        provider.circuit.look(now)?;
        Ok(oidc::begin(idp.id, config, redirect_uri, state, now))
    }

    /// Finishes a login: redeems the code, checks every token, reads the claims. `redirect_uri` is the one it was begun with.
    ///
    /// The pending login must be taken out of the store before, so that it is finished once.
    ///
    /// # Errors
    /// Every [`IdpError`].
    pub async fn finish_oidc(
        &self,
        idp: &IdentityProvider,
        redirect_uri: &Url,
        pending: &PendingOidc,
        callback: &CallbackParams,
        now: UnixSeconds,
    ) -> Result<Assertion, IdpError> {
        let config = oidc_config(idp)?;
        let code = oidc::read_callback(idp.id, config, pending, callback, now)?;
        let provider = self.known.provider(idp.id, config);
        let login = oidc::Login { config, redirect_uri, pending, code, callback, now };
        let span = info_span!("finish_oidc", idp.id = %idp.id);
        let known = provider.know(&self.http, config, now).await?;
        provider.circuit.admit(now)?;
        let finished = oidc::finish(&self.http, &provider, known, login).instrument(span).await;
        provider.circuit.record(&finished, self.clock.now());
        finished
    }

    /// Begins a login at a SAML provider. `relay_state` is the portal's random value that ties the response to the
    /// browser; `key` signs the request where the configuration asks for that.
    ///
    /// # Errors
    /// `Misconfigured` when the settings cannot work, and for a provider of another type.
    pub fn begin_saml(
        &self,
        idp: &IdentityProvider,
        callback: &Url,
        relay_state: &str,
        key: Option<&RequestKey>,
    ) -> Result<BegunSaml, IdpError> {
        saml::begin(idp.id, saml_config(idp)?, callback, relay_state, key, self.clock.now())
    }

    /// Finishes a login at a SAML provider: `response` is the form's field as it came.
    ///
    /// The pending login must be taken out of the store before, so that it is finished once; [`Vouched::once`] must be
    /// remembered before the person is let in.
    ///
    /// # Errors
    /// `Stale`, `Denied`, `BadAnswer`, `Misconfigured`.
    pub fn finish_saml(
        &self,
        idp: &IdentityProvider,
        callback: &Url,
        pending: &PendingSaml,
        response: &str,
        now: UnixSeconds,
    ) -> Result<Vouched, IdpError> {
        saml::finish(idp.id, saml_config(idp)?, callback, pending, response, now)
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
    /// A failure is logged; at most 256 messages are on their way at once, more are dropped and logged.
    ///
    /// Must be called within a tokio runtime.
    pub fn mail_later(&self, mail: Mail) {
        let Ok(place) = self.mails.clone().try_acquire_owned() else {
            warn!("a login code was not sent: too many messages wait for the mail server");
            return;
        };
        let mailer = self.mailer.clone();
        tokio::spawn(async move {
            if let Err(error) = mailer.send(mail).await {
                warn!(%error, "a login code was not sent: {error}");
            }
            drop(place);
        });
    }
}

impl fmt::Debug for Providers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Providers")
    }
}

fn oidc_config(idp: &IdentityProvider) -> Result<&OidcConfig, IdpError> {
    match &idp.config {
        IdpConfig::Oidc(config) => Ok(config),
        IdpConfig::Saml(_) | IdpConfig::OneTimePin => Err(of_another_type()),
    }
}

fn saml_config(idp: &IdentityProvider) -> Result<&SamlConfig, IdpError> {
    match &idp.config {
        IdpConfig::Saml(config) => Ok(config),
        IdpConfig::Oidc(_) | IdpConfig::OneTimePin => Err(of_another_type()),
    }
}

fn of_another_type() -> IdpError {
    IdpError::Misconfigured("this identity provider is of another type".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outbound::OutboundSettings;
    use crate::outbox::Outbox;

    #[tokio::test]
    async fn mail_goes_out_behind_the_callers_back() {
        let clock = Clock::manual(UnixSeconds(1));
        let outbox = Arc::new(Outbox::new(clock.clone()));
        let http = OutboundHttp::new(OutboundSettings::default()).unwrap();
        let providers = Providers::new(http, outbox.clone(), clock);
        let to: narthex_model::EmailAddress = "user@example.com".parse().unwrap();
        let mail = |n: usize| {
            let (text, html) = (String::new(), String::new());
            Mail { to: to.clone(), subject: n.to_string(), text, html }
        };
        for n in 1..=MAILS + 10 {
            providers.mail_later(mail(n)); // nothing runs before the first await below
        }
        assert!(outbox.list().is_empty());
        outbox.next_for(&to, MAILS as u64 - 1).await;
        let posted = outbox.list().last().map(|m| m.mail.subject.clone());
        assert_eq!(posted, Some(MAILS.to_string()), "what was too much is dropped");
    }
}
