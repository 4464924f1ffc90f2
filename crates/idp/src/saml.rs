//! A login at a SAML 2.0 provider: web browser single sign-on, our request by redirect, the response by POST
//! (access-protocol §12.3).
//!
//! What ties the response to the browser, the `RelayState`, is the portal's; what ties it to this login and this provider
//! is here and in `narthex-saml`, which reads nothing but what was signed. That an assertion is used once is the store's to
//! say: [`Vouched::once`] names it.

mod attributes;
mod request_key;

pub use request_key::{RequestKey, encryption_key};

use crate::assertion::Assertion;
use crate::error::IdpError;
use attributes::Told;
use narthex_model::{CertificateSet, IdpId, SamlConfig, UnixSeconds};
use narthex_saml::{
    Certificate, DecryptionKey, Endpoint, EntityId, Expectation, Refusal, RelayState, RequestId,
    ServiceProvider, authn_request, consume,
};
use serde::{Deserialize, Serialize};
use std::fmt;
use url::Url;

/// A login takes no longer than this, in seconds (security rule 24).
const LOGIN_SECONDS: i64 = 600;
/// How far the provider's clock may be from ours, in seconds.
const SKEW_SECONDS: u8 = 60;

/// A login that was begun: where the browser goes, and what must be kept until it returns.
#[derive(Debug)]
pub struct BegunSaml {
    /// The provider's single sign-on address with our request.
    pub location: Url,
    /// To be kept under the `RelayState`.
    pub pending: PendingSaml,
}

/// What is kept of a login between leaving and returning.
#[derive(Clone, Serialize, Deserialize)]
pub struct PendingSaml {
    idp: IdpId,
    request: String,
    started: UnixSeconds,
}

impl PendingSaml {
    /// The provider that the person was sent to: the only one whose response finishes this login.
    #[must_use]
    pub fn idp(&self) -> IdpId {
        self.idp
    }
}

impl fmt::Debug for PendingSaml {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingSaml").field("idp", &self.idp).finish_non_exhaustive()
    }
}

/// What a response vouched for, and what has to be done about it.
#[derive(Debug)]
pub struct Vouched {
    /// Who logged in.
    pub assertion: Assertion,
    /// The assertion may be accepted once: to be remembered before anything else is done.
    pub once: Once,
    /// Header fields that the configuration asks for, one for each value; the values are the provider's words.
    pub headers: Vec<(String, String)>,
}

/// Names an assertion for as long as it could be presented again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Once {
    /// Its id, unique at its provider (SAML core §1.3.4).
    pub id: String,
    /// From then on it is refused anyhow.
    pub until: UnixSeconds,
}

/// Whether a configuration can be used: addresses, names and certificates, as far as that can be said without a login.
///
/// # Errors
/// JSON pointer below `config`, and what is wrong there.
pub fn check_saml(config: &SamlConfig) -> Result<(), (String, String)> {
    let at = |place: &str, why: String| (place.to_owned(), why);
    Endpoint::try_from(config.sso_target_url.as_str())
        .map_err(|why| at("/sso_target_url", why.to_string()))?;
    EntityId::try_from(config.issuer_url.as_str())
        .map_err(|why| at("/issuer_url", why.to_string()))?;
    for (place, der) in &config.certificates {
        Certificate::from_der(der)
            .map_err(|why| at(&format!("/idp_public_certs/{place}"), why.to_string()))?;
    }
    Ok(())
}

/// Our metadata for providers to read. With a `key`, it says that requests are signed by that; for one provider (`config`)
/// also for which certificate assertions may be encrypted.
#[must_use]
pub fn saml_metadata(
    callback: &Url,
    key: Option<&RequestKey>,
    config: Option<&SamlConfig>,
) -> Option<String> {
    let us = us(callback, None).ok()?;
    let signing: Vec<_> = key.map(RequestKey::certificate).into_iter().cloned().collect();
    let set = config.and_then(SamlConfig::certificate_set);
    let encryption = set.and_then(|set| Certificate::parse(&set.current.certificate_pem).ok());
    Some(narthex_saml::metadata(&us, &signing, &Vec::from_iter(encryption)))
}

/// Makes the request for the browser.
///
/// # Errors
/// `Misconfigured` when the settings cannot work.
pub(crate) fn begin(
    idp: IdpId,
    config: &SamlConfig,
    callback: &Url,
    relay_state: &str,
    key: Option<&RequestKey>,
    now: UnixSeconds,
) -> Result<BegunSaml, IdpError> {
    let (us, them, id) = (us(callback, None)?, them(config)?, RequestId::random());
    let state = RelayState::try_from(relay_state).map_err(misconfigured)?;
    let (at, key) = (narthex_saml::UnixSeconds(now.0), key.map(|key| &key.signing));
    let location = authn_request(&us, &them, at, &id, Some(&state), key).map_err(misconfigured)?;
    let pending = PendingSaml { idp, request: id.as_str().to_owned(), started: now };
    Ok(BegunSaml { location, pending })
}

/// Judges a response to a request of ours, and reads who logged in.
///
/// # Errors
/// `Stale`, `Denied`, `BadAnswer`, `Misconfigured`.
pub(crate) fn finish(
    idp: IdpId,
    config: &SamlConfig,
    callback: &Url,
    pending: &PendingSaml,
    response: &str,
    now: UnixSeconds,
) -> Result<Vouched, IdpError> {
    if pending.idp != idp || !(0..=LOGIN_SECONDS).contains(&now.since(pending.started)) {
        return Err(IdpError::Stale);
    }
    let (us, them) = (us(callback, Some(config))?, them(config)?);
    let id = RequestId::try_from(pending.request.as_str()).map_err(misconfigured)?;
    let expectation = Expectation {
        sp: &us,
        idp: &them,
        in_response_to: Some(&id),
        now: narthex_saml::UnixSeconds(now.0),
        skew_seconds: SKEW_SECONDS,
    };
    let proved = consume(response, &expectation).map_err(refused)?;
    let told = Told {
        subject: &proved.name_id,
        format: proved.name_id_format.as_deref(),
        context: proved.authn_context.as_deref(),
        attributes: proved.attributes.iter().map(|a| (&*a.name, &*a.values)).collect(),
    };
    let (assertion, headers) = (told.read(config)?, told.headers(config)?);
    let until = UnixSeconds(proved.not_on_or_after.0);
    Ok(Vouched { assertion, once: Once { id: proved.id, until }, headers })
}

/// Who we are; towards a provider that may encrypt, with the keys to open what it sends.
fn us(callback: &Url, config: Option<&SamlConfig>) -> Result<ServiceProvider, IdpError> {
    let set =
        config.filter(|config| config.enable_encryption).and_then(SamlConfig::certificate_set);
    let keys = set.iter().flat_map(CertificateSet::keys);
    let keys = keys.map(|key| DecryptionKey::from_pkcs8(&key.pkcs8()));
    Ok(ServiceProvider {
        entity_id: EntityId::try_from(callback.as_str()).map_err(misconfigured)?,
        acs_url: Endpoint::try_from(callback.as_str()).map_err(misconfigured)?,
        decryption_keys: keys.collect::<Result<_, _>>().map_err(misconfigured)?,
    })
}

fn them(config: &SamlConfig) -> Result<narthex_saml::IdentityProvider, IdpError> {
    let certificates = config.certificates.iter().map(|(_, der)| Certificate::from_der(der));
    Ok(narthex_saml::IdentityProvider {
        sso_url: Endpoint::try_from(config.sso_target_url.as_str()).map_err(misconfigured)?,
        entity_id: Some(EntityId::try_from(config.issuer_url.as_str()).map_err(misconfigured)?),
        certificates: certificates.collect::<Result<_, _>>().map_err(misconfigured)?,
        allow_sha1: false,
        force_authn: config.force_authn,
    })
}

fn misconfigured(why: impl fmt::Display) -> IdpError {
    IdpError::Misconfigured(why.to_string())
}

/// The provider's own "no" is one thing, a response that proves nothing another.
fn refused(refusal: Refusal) -> IdpError {
    let Refusal::Status(status) = refusal else { return IdpError::BadAnswer(refusal.to_string()) };
    let description = "the provider's own log says why".to_owned();
    IdpError::Denied { error: status.to_string(), description }
}
