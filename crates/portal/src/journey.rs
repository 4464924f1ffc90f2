//! Where somebody wants to go: an application, the host of it that the browser used, and the page to return to.

use crate::redirect::{AppOrigin, ReturnPath};
use crate::trouble::Trouble;
use crate::visit::Visit;
use narthex_model::{AudTag, Authority, CanonicalPath, CertificateHolder, Hostname, UnixSeconds};
use narthex_policy::{CertificateFact, Facts, Person};
use narthex_snapshot::{App, Snapshot};
use narthex_token::{MetaToken, TokenError};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A login's destination, checked against the configuration in force.
#[derive(Clone, Debug)]
pub(crate) struct Journey {
    pub(crate) app: Arc<App>,
    pub(crate) origin: AppOrigin,
    pub(crate) path: ReturnPath,
    pub(crate) seen: Seen,
}

/// What the data path saw of the browser when it sent it here, as the meta token tells (access-protocol §3.3).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Seen {
    /// SHA-256 of the browser's `CF_AppSession`, in hexadecimal digits; `None` when the login began at the team
    /// domain, without a visit to the application.
    pub(crate) app_session: Option<String>,
    /// The client certificate that was presented and trusted.
    pub(crate) certificate: Option<Box<CertificateHolder>>,
}

/// A journey as it is kept in the store between two requests.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Packed {
    aud: AudTag,
    host: Hostname,
    path: String,
    seen: Seen,
}

/// The parameter by which the data path names the browser's `CF_AppSession` when it has no time to sign a meta token.
/// It needs no signature: whoever writes a hash of another cookie into it only keeps the login from succeeding.
pub(crate) const APP_SESSION_HASH: &str = "app_session_hash";

impl Seen {
    /// What is seen without a meta token: at most the hash of a cookie.
    pub(crate) fn bound_to(app_session_hash: Option<&str>) -> Self {
        Self { app_session: app_session_hash.map(str::to_owned), certificate: None }
    }
}

/// Seconds for which an outdated meta token still leads back to the application instead of to an error: as long as a
/// login page may stay open (access-protocol §4.1, `CF_Session`).
pub(crate) const PATIENCE_SECONDS: i64 = 4 * 3600;

impl Journey {
    /// The journey to `redirect_url` at the application `kid` on `host`; nothing is known of the browser yet.
    ///
    /// # Errors
    /// `UnknownApp` unless the application lives on that host; `ForeignRedirect` when the page is not the
    /// application's.
    pub(crate) fn to(
        snapshot: &Snapshot,
        kid: &str,
        host: Hostname,
        redirect_url: Option<&str>,
    ) -> Result<Self, Trouble> {
        let aud: AudTag = kid.parse().map_err(|_| Trouble::UnknownApp)?;
        let app = snapshot.app_by_aud(&aud).ok_or(Trouble::UnknownApp)?;
        let mut here = app.spec.destinations.iter().filter(|d| d.host.matches(&host));
        let first = here.next().ok_or(Trouble::UnknownApp)?;
        let origin = AppOrigin::of(host, snapshot.premises.team.authority());
        let raw = redirect_url.unwrap_or(first.path.literal_prefix());
        let path = ReturnPath::parse(raw, &origin).map_err(|_| Trouble::ForeignRedirect)?;
        let canonical = CanonicalPath::of(path.path()).map_err(|_| Trouble::ForeignRedirect)?;
        let there = snapshot.app(&origin.host, &canonical);
        if there.is_none_or(|there| there.id() != app.id()) {
            return Err(Trouble::ForeignRedirect);
        }
        Ok(Self { app: app.clone(), origin, path, seen: Seen::default() })
    }

    /// The page to return to, as a URL.
    pub(crate) fn url(&self) -> String {
        format!("{}{}", self.origin, self.path)
    }

    /// The facts of this request about `person`. The connection's facts are those of the visit to the team domain;
    /// the certificate's were seen at the application, which asks for certificates.
    pub(crate) fn facts<'a>(&'a self, visit: &Visit, person: Person<'a>) -> Facts<'a> {
        let certificate = self.seen.certificate.as_deref();
        Facts {
            ip: visit.ip,
            country: visit.country,
            service_token: None,
            certificate: certificate.map_or(CertificateFact::Absent, CertificateFact::Valid),
            person,
        }
    }

    pub(crate) fn pack(&self) -> Packed {
        Packed {
            aud: self.app.aud().clone(),
            host: self.origin.host.clone(),
            path: self.path.to_string(),
            seen: self.seen.clone(),
        }
    }

    /// The journey that was packed, checked again: the configuration may have changed.
    pub(crate) fn unpack(packed: Packed, snapshot: &Snapshot) -> Result<Self, Trouble> {
        let journey = Self::to(snapshot, packed.aud.as_str(), packed.host, Some(&packed.path))?;
        Ok(Self { seen: packed.seen, ..journey })
    }
}

/// What a meta token is worth.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Meta {
    /// It tells what was seen.
    Fresh(Seen),
    /// It was good not long ago: the application gives a new one.
    Outdated,
    /// It was not made for this journey, or long ago, or by nobody we know.
    Worthless,
}

/// Reads the meta token of a journey, as of `at`.
pub(crate) fn read_meta(
    snapshot: &Snapshot,
    journey: &Journey,
    raw: &str,
    at: UnixSeconds,
) -> Meta {
    match snapshot.keys.open_meta(raw, journey.app.aud(), at) {
        Ok(token) if token.hostname == journey.origin.host => Meta::Fresh(seen(token)),
        Err(TokenError::Expired { exp, now }) if now.since(exp) <= PATIENCE_SECONDS => {
            Meta::Outdated
        }
        Ok(_)
        | Err(
            TokenError::TooLarge
            | TokenError::Malformed(_)
            | TokenError::Algorithm { .. }
            | TokenError::UnknownKey { .. }
            | TokenError::Signature
            | TokenError::Expired { .. }
            | TokenError::NotYetValid { .. }
            | TokenError::Audience
            | TokenError::Issuer
            | TokenError::Type
            | TokenError::Claim(_),
        ) => Meta::Worthless,
    }
}

fn seen(token: MetaToken) -> Seen {
    Seen {
        app_session: Some(token.app_session_hash.clone()).filter(|hash| !hash.is_empty()),
        certificate: CertificateHolder::of_mtls_auth(&token.mtls_auth).map(Box::new),
    }
}

/// The host that a login path names: `wiki.example.com`, with or without a port, which changes nothing.
pub(crate) fn host_of(segment: &str) -> Result<Hostname, Trouble> {
    let named = segment.replace("%3A", ":").parse::<Authority>();
    named.map(|authority| authority.host).map_err(|_| Trouble::UnknownApp)
}
