//! Everything that the API may change, as one value.

use crate::{
    AppId, Application, CertificateAuthority, CertificateAuthorityId, ClientCertificate,
    ClientCertificateId, Group, GroupId, Hostname, HostnameSetting, IdentityProvider, IdpId,
    ManagedTransforms, Organization, Policy, PolicyId, ServiceToken, ServiceTokenId, ZoneId,
};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The number of a configuration: rises by one with every committed change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision(pub i64);

/// The objects of one account. Cloning is cheap: the objects are shared.
#[derive(Clone, Debug, Default)]
pub struct Configuration {
    /// The team; absent only before the first start has finished.
    pub organization: Option<Arc<Organization>>,
    /// Applications.
    pub apps: BTreeMap<AppId, Arc<Application>>,
    /// Policies, reusable and scoped.
    pub policies: BTreeMap<PolicyId, Arc<Policy>>,
    /// Rule groups.
    pub groups: BTreeMap<GroupId, Arc<Group>>,
    /// Identity providers.
    pub identity_providers: BTreeMap<IdpId, Arc<IdentityProvider>>,
    /// Service tokens.
    pub service_tokens: BTreeMap<ServiceTokenId, Arc<ServiceToken>>,
    /// Authorities of client certificates.
    pub certificate_authorities: BTreeMap<CertificateAuthorityId, Arc<CertificateAuthority>>,
    /// What origins are told about client certificates.
    pub hostname_settings: BTreeMap<Hostname, Arc<HostnameSetting>>,
    /// Client certificates that the gateway issued.
    pub client_certificates: BTreeMap<ClientCertificateId, Arc<ClientCertificate>>,
    /// Managed transforms of zones.
    pub managed_transforms: BTreeMap<ZoneId, Arc<ManagedTransforms>>,
}
