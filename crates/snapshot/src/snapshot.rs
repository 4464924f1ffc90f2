//! The compiled configuration.

use crate::certificates::{CertificateRule, Certificates, ManagedHeaders};
use crate::ingress::Origins;
use crate::places::Places;
use crate::policies::Policies;
use crate::{App, Countries, Fault, FaultAt, RevocationLists, check};
use hashbrown::HashMap;
use narthex_cert::RevocationList;
use narthex_model::{
    AppId, AudTag, CanonicalPath, Configuration, CountryCode, Hostname, IdentityProvider, IdpId,
    IngressRule, Organization, Premises, Revision, ServiceToken, ServiceTokenId,
};
use narthex_token::KeyRing;
use std::collections::BTreeMap;
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
    /// The revocation lists of certificate authorities.
    pub revocation_lists: Arc<RevocationLists>,
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
    apps: BTreeMap<AppId, Arc<App>>,
    apps_by_aud: HashMap<AudTag, Arc<App>>,
    places: Places,
    origins: Origins,
    certificates: Certificates,
    revocation_lists: Arc<RevocationLists>,
    /// The oldest first.
    identity_providers: Vec<Arc<IdentityProvider>>,
    service_tokens: BTreeMap<ServiceTokenId, Arc<ServiceToken>>,
    service_tokens_by_client: HashMap<Box<str>, Arc<ServiceToken>>,
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
    /// Checks what the configuration file says, as far as that goes without a stored configuration. The pointers of
    /// faults follow the file: `/zone/0/name`.
    ///
    /// # Errors
    /// The first [`Fault`] found.
    pub fn check_premises(premises: &Premises) -> Result<(), Fault> {
        check::premises(premises)?;
        Origins::compile(&premises.ingress).map(drop)
    }

    /// Checks `configuration` and builds the tables.
    ///
    /// # Errors
    /// The first [`Fault`] found.
    pub fn compile(
        materials: &Materials,
        configuration: &Configuration,
        revision: Revision,
    ) -> Result<Self, Fault> {
        let Materials { premises, keys, countries, revocation_lists } = materials;
        check::everything(premises, configuration)?;
        let organization = configuration.organization.clone().ok_or_else(|| {
            Fault::missing(
                FaultAt::Organization,
                "",
                "there is no organization yet; create it first",
            )
        })?;
        let policies = Policies::compile(configuration)?;
        let apps = configuration
            .apps
            .iter()
            .map(|(id, spec)| (*id, Arc::new(App::new(Arc::clone(spec), policies.list_of(spec)))));
        let apps: BTreeMap<AppId, Arc<App>> = apps.collect();
        let mut identity_providers: Vec<_> =
            configuration.identity_providers.values().cloned().collect();
        identity_providers.sort_by_key(|idp| (idp.created_at, idp.id));
        let tokens = configuration.service_tokens.values();
        Ok(Self {
            revision,
            organization,
            origins: Origins::compile(&premises.ingress)?,
            certificates: Certificates::compile(premises, configuration, revocation_lists)?,
            revocation_lists: Arc::clone(revocation_lists),
            premises: Arc::clone(premises),
            keys: Arc::clone(keys),
            countries: countries.clone(),
            apps_by_aud: apps.values().map(|a| (a.aud().clone(), Arc::clone(a))).collect(),
            places: Places::of(apps.values()),
            apps,
            identity_providers,
            service_tokens_by_client: tokens
                .map(|token| (token.client_id.as_str().into(), Arc::clone(token)))
                .collect(),
            service_tokens: configuration.service_tokens.clone(),
        })
    }

    /// The application that a request belongs to: the most specific destination wins (access-protocol §11.2).
    #[must_use]
    pub fn app(&self, host: &Hostname, path: &CanonicalPath<'_>) -> Option<&Arc<App>> {
        self.places.find(host, path)
    }

    /// The application with this audience tag.
    #[must_use]
    pub fn app_by_aud(&self, aud: &AudTag) -> Option<&Arc<App>> {
        self.apps_by_aud.get(aud)
    }

    /// The application with this id.
    #[must_use]
    pub fn app_by_id(&self, id: AppId) -> Option<&Arc<App>> {
        self.apps.get(&id)
    }

    /// Every application, by id.
    pub fn apps(&self) -> impl ExactSizeIterator<Item = &Arc<App>> {
        self.apps.values()
    }

    /// Whether this gateway answers for `host`: the team domain, the admin host, an application or an ingress entry.
    #[must_use]
    pub fn knows_host(&self, host: &Hostname) -> bool {
        let admin = self.premises.admin.as_ref();
        host == self.premises.team.host()
            || admin.is_some_and(|admin| admin.host == *host)
            || self.places.knows(host)
            || self.origins.knows(host)
    }

    /// Whether a request that belongs to no application is proxied all the same: `deny_unmatched_requests` is off,
    /// or the host lies in an exempted zone.
    #[must_use]
    pub fn admits_unmatched(&self, host: &Hostname) -> bool {
        let exempted = &self.organization.deny_unmatched_requests_exempted_zone_names;
        let in_exempted = |zone: &narthex_model::Zone| exempted.iter().any(|e| zone.name.is(e));
        !self.organization.deny_unmatched_requests
            || self.premises.zone_of(host).is_some_and(in_exempted)
    }

    /// The origin of a request: the first ingress entry whose hostname and path match.
    #[must_use]
    pub fn origin(&self, host: &Hostname, path: &CanonicalPath<'_>) -> Option<&Arc<IngressRule>> {
        self.origins.find(host, path)
    }

    /// What is asked and told about client certificates on `host`; `None` where none is asked for.
    #[must_use]
    pub fn certificate_rule(&self, host: &Hostname) -> Option<&Arc<CertificateRule>> {
        self.certificates.rule(host)
    }

    /// Every hostname on which a client certificate is asked for, in no order.
    pub fn certificate_rules(&self) -> impl Iterator<Item = (&Hostname, &Arc<CertificateRule>)> {
        self.certificates.rules()
    }

    /// Whether the same client certificates count on every host as in `other`.
    pub(crate) fn trusts_as(&self, other: &Self) -> bool {
        let digest = |rule: &Arc<CertificateRule>| rule.trust.digest();
        let same = |(host, rule): (&Hostname, &Arc<CertificateRule>)| {
            other.certificate_rule(host).map(digest) == Some(digest(rule))
        };
        self.certificate_rules().count() == other.certificate_rules().count()
            && self.certificate_rules().all(same)
    }

    /// Every revocation list in force.
    pub fn revocation_lists(&self) -> impl Iterator<Item = &Arc<RevocationList>> {
        self.revocation_lists.all()
    }

    /// The managed headers of the zone of `host`, whether or not a certificate is asked for there.
    #[must_use]
    pub fn managed_headers(&self, host: &Hostname) -> ManagedHeaders {
        self.certificates.managed_headers(&self.premises, host)
    }

    /// The service token with this Client ID, in force or not.
    #[must_use]
    pub fn service_token(&self, client_id: &str) -> Option<&Arc<ServiceToken>> {
        self.service_tokens_by_client.get(client_id)
    }

    /// The service token with this id, in force or not.
    #[must_use]
    pub fn service_token_by_id(&self, id: ServiceTokenId) -> Option<&Arc<ServiceToken>> {
        self.service_tokens.get(&id)
    }

    /// The identity provider with this id.
    #[must_use]
    pub fn identity_provider(&self, id: IdpId) -> Option<&Arc<IdentityProvider>> {
        self.identity_providers.iter().find(|idp| idp.id == id)
    }

    /// Every identity provider, the oldest first.
    pub fn identity_providers(&self) -> impl ExactSizeIterator<Item = &Arc<IdentityProvider>> {
        self.identity_providers.iter()
    }

    /// The identity providers through which one may log in to `app`, the oldest first.
    #[must_use]
    pub fn allowed_idps(&self, app: &App) -> Vec<Arc<IdentityProvider>> {
        let allowed = &app.spec.allowed_idps;
        let usable = |idp: &&Arc<IdentityProvider>| allowed.is_empty() || allowed.contains(&idp.id);
        self.identity_providers.iter().filter(usable).cloned().collect()
    }

    /// The country of an address; `None` without a database or when it does not say.
    #[must_use]
    pub fn country(&self, ip: IpAddr) -> Option<CountryCode> {
        self.countries.as_ref()?.lookup(ip)
    }
}
