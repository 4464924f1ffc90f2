//! The compiled configuration.

use crate::{App, Countries, Fault, Origin};
use narthex_model::{
    AppId, AudTag, CanonicalPath, Configuration, CountryCode, Hostname, IdentityProvider, IdpId,
    Organization, Premises, Revision, ServiceToken, ServiceTokenId,
};
use narthex_token::KeyRing;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

/// What a configuration is compiled with: everything that the API does not change.
#[derive(Clone)]
pub struct Materials {
    /// The configuration file.
    pub premises: Arc<Premises>,
    /// The signing keys in force.
    pub keys: Arc<KeyRing>,
    /// The country database, if there is one.
    pub countries: Option<Arc<Countries>>,
}

/// One immutable view of the whole configuration.
pub struct Snapshot {
    /// The configuration's number.
    pub revision: Revision,
    /// The configuration file.
    pub premises: Arc<Premises>,
    /// The organization's settings.
    pub organization: Arc<Organization>,
    /// The signing keys in force.
    pub keys: Arc<KeyRing>,
    /// The country database, if there is one.
    pub countries: Option<Arc<Countries>>,
}

impl fmt::Debug for Materials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Materials").finish_non_exhaustive()
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot").field("revision", &self.revision).finish_non_exhaustive()
    }
}

impl Snapshot {
    /// Checks `configuration` and builds the tables.
    ///
    /// # Errors
    /// The first [`Fault`] found.
    pub fn compile(
        materials: &Materials,
        configuration: &Configuration,
        revision: Revision,
    ) -> Result<Self, Fault> {
        let _ = (materials, configuration, revision);
        unimplemented!()
    }

    /// The application that a request belongs to: the most specific destination wins (access-protocol §11.2).
    #[must_use]
    pub fn app(&self, host: &Hostname, path: &CanonicalPath<'_>) -> Option<&Arc<App>> {
        let _ = (host, path);
        unimplemented!()
    }

    /// The application with this audience tag.
    #[must_use]
    pub fn app_by_aud(&self, aud: &AudTag) -> Option<&Arc<App>> {
        let _ = aud;
        unimplemented!()
    }

    /// The application with this id.
    #[must_use]
    pub fn app_by_id(&self, id: AppId) -> Option<&Arc<App>> {
        let _ = id;
        unimplemented!()
    }

    /// Every application, by id.
    pub fn apps(&self) -> impl ExactSizeIterator<Item = &Arc<App>> {
        [].iter()
    }

    /// Whether this gateway answers for `host`: the team domain, the admin host, an application or an ingress entry.
    #[must_use]
    pub fn knows_host(&self, host: &Hostname) -> bool {
        let _ = host;
        unimplemented!()
    }

    /// Whether a request that belongs to no application is proxied all the same: `deny_unmatched_requests` is off,
    /// or the host lies in an exempted zone.
    #[must_use]
    pub fn admits_unmatched(&self, host: &Hostname) -> bool {
        let _ = host;
        unimplemented!()
    }

    /// The origin of a request: the first ingress entry whose hostname and path match.
    #[must_use]
    pub fn origin(&self, host: &Hostname, path: &CanonicalPath<'_>) -> Option<&Arc<Origin>> {
        let _ = (host, path);
        unimplemented!()
    }

    /// The service token with this Client ID, in force or not.
    #[must_use]
    pub fn service_token(&self, client_id: &str) -> Option<&Arc<ServiceToken>> {
        let _ = client_id;
        unimplemented!()
    }

    /// The service token with this id, in force or not.
    #[must_use]
    pub fn service_token_by_id(&self, id: ServiceTokenId) -> Option<&Arc<ServiceToken>> {
        let _ = id;
        unimplemented!()
    }

    /// The identity provider with this id.
    #[must_use]
    pub fn identity_provider(&self, id: IdpId) -> Option<&Arc<IdentityProvider>> {
        let _ = id;
        unimplemented!()
    }

    /// Every identity provider, the oldest first.
    pub fn identity_providers(&self) -> impl ExactSizeIterator<Item = &Arc<IdentityProvider>> {
        [].iter()
    }

    /// The identity providers through which one may log in to `app`, the oldest first.
    #[must_use]
    pub fn allowed_idps(&self, app: &App) -> Vec<Arc<IdentityProvider>> {
        let _ = app;
        unimplemented!()
    }

    /// The country of an address; `None` without a database or when it does not say.
    #[must_use]
    pub fn country(&self, ip: IpAddr) -> Option<CountryCode> {
        let _ = ip;
        unimplemented!()
    }
}
