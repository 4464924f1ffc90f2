//! Changes of the configuration, object by object, and the record of who made them.

use narthex_model::{
    AppId, Application, CertificateAuthority, CertificateAuthorityId, ClientCertificate,
    ClientCertificateId, Configuration, Group, GroupId, Hostname, HostnameSetting,
    IdentityProvider, IdpId, ManagedTransforms, Organization, Policy, PolicyId, RayId, Revision,
    ServiceToken, ServiceTokenId, Timestamp, ZoneId,
};
use serde_json::Value;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

/// One object written or removed.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the names say it: the object is put whole, or removed by its id")]
pub enum Change {
    PutOrganization(Arc<Organization>),
    PutApp(Arc<Application>),
    DeleteApp(AppId),
    PutPolicy(Arc<Policy>),
    DeletePolicy(PolicyId),
    PutGroup(Arc<Group>),
    DeleteGroup(GroupId),
    PutIdp(Arc<IdentityProvider>),
    DeleteIdp(IdpId),
    PutServiceToken(Arc<ServiceToken>),
    DeleteServiceToken(ServiceTokenId),
    PutCertificateAuthority(Arc<CertificateAuthority>),
    DeleteCertificateAuthority(CertificateAuthorityId),
    PutHostnameSetting(Arc<HostnameSetting>),
    DeleteHostnameSetting(Hostname),
    PutClientCertificate(Arc<ClientCertificate>),
    DeleteClientCertificate(ClientCertificateId),
    PutManagedTransforms(Arc<ManagedTransforms>),
    DeleteManagedTransforms(ZoneId),
}

impl Change {
    /// What leads from `before` to `after`. Objects that both share (the same `Arc`) are unchanged; every other
    /// object of `after` is put, every object that only `before` has is deleted.
    #[must_use]
    pub fn between(before: &Configuration, after: &Configuration) -> Vec<Self> {
        let mut changes = Vec::new();
        if let Some(new) = &after.organization
            && !before.organization.as_ref().is_some_and(|old| Arc::ptr_eq(old, new))
        {
            changes.push(Self::PutOrganization(Arc::clone(new)));
        }
        differences(&mut changes, &before.apps, &after.apps, Self::PutApp, Self::DeleteApp);
        differences(
            &mut changes,
            &before.policies,
            &after.policies,
            Self::PutPolicy,
            Self::DeletePolicy,
        );
        differences(&mut changes, &before.groups, &after.groups, Self::PutGroup, Self::DeleteGroup);
        differences(
            &mut changes,
            &before.identity_providers,
            &after.identity_providers,
            Self::PutIdp,
            Self::DeleteIdp,
        );
        differences(
            &mut changes,
            &before.service_tokens,
            &after.service_tokens,
            Self::PutServiceToken,
            Self::DeleteServiceToken,
        );
        differences(
            &mut changes,
            &before.certificate_authorities,
            &after.certificate_authorities,
            Self::PutCertificateAuthority,
            Self::DeleteCertificateAuthority,
        );
        differences(
            &mut changes,
            &before.hostname_settings,
            &after.hostname_settings,
            Self::PutHostnameSetting,
            Self::DeleteHostnameSetting,
        );
        differences(
            &mut changes,
            &before.client_certificates,
            &after.client_certificates,
            Self::PutClientCertificate,
            Self::DeleteClientCertificate,
        );
        differences(
            &mut changes,
            &before.managed_transforms,
            &after.managed_transforms,
            Self::PutManagedTransforms,
            Self::DeleteManagedTransforms,
        );
        changes
    }

    /// The change in three words for the audit: `put app 7335d417-…`.
    #[must_use]
    pub fn summary(&self) -> String {
        match self {
            Self::PutOrganization(_) => "put organization".to_owned(),
            Self::PutApp(app) => format!("put app {}", app.id),
            Self::DeleteApp(id) => format!("delete app {id}"),
            Self::PutPolicy(policy) => format!("put policy {}", policy.id),
            Self::DeletePolicy(id) => format!("delete policy {id}"),
            Self::PutGroup(group) => format!("put group {}", group.id),
            Self::DeleteGroup(id) => format!("delete group {id}"),
            Self::PutIdp(idp) => format!("put identity_provider {}", idp.id),
            Self::DeleteIdp(id) => format!("delete identity_provider {id}"),
            Self::PutServiceToken(token) => format!("put service_token {}", token.id),
            Self::DeleteServiceToken(id) => format!("delete service_token {id}"),
            Self::PutCertificateAuthority(authority) => {
                format!("put certificate_authority {}", authority.id)
            }
            Self::DeleteCertificateAuthority(id) => format!("delete certificate_authority {id}"),
            Self::PutHostnameSetting(setting) => {
                format!("put hostname_setting {}", setting.hostname.host())
            }
            Self::DeleteHostnameSetting(host) => format!("delete hostname_setting {host}"),
            Self::PutClientCertificate(it) => format!("put client_certificate {}", it.id),
            Self::DeleteClientCertificate(id) => format!("delete client_certificate {id}"),
            Self::PutManagedTransforms(it) => format!("put managed_transforms {}", it.zone),
            Self::DeleteManagedTransforms(zone) => format!("delete managed_transforms {zone}"),
        }
    }
}

fn differences<K: Clone + Ord, V>(
    changes: &mut Vec<Change>,
    before: &BTreeMap<K, Arc<V>>,
    after: &BTreeMap<K, Arc<V>>,
    put: fn(Arc<V>) -> Change,
    delete: fn(K) -> Change,
) {
    let same = |key, new| before.get(key).is_some_and(|old| Arc::ptr_eq(old, new));
    changes.extend(
        before.keys().filter(|key| !after.contains_key(key)).map(|key| delete(key.clone())),
    );
    changes.extend(
        after.iter().filter(|(key, new)| !same(key, new)).map(|(_, new)| put(Arc::clone(new))),
    );
}

/// Who changed the configuration, and how they described it; written with the change or not at all.
#[derive(Clone, Debug, PartialEq)]
pub struct AdminRecord {
    /// When.
    pub at: Timestamp,
    /// Who: the name of an API token, or of the part of the program that acted by itself.
    pub actor: String,
    /// From where, when it came over the network.
    pub ip_address: Option<IpAddr>,
    /// The request, when there was one.
    pub ray_id: Option<RayId>,
    /// What was asked for, such as method and path; never a secret.
    pub summary: Value,
}

/// A change of the configuration as the audit remembers it.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordedChange {
    /// The revision that it made.
    pub revision: Revision,
    /// Who and why.
    pub record: AdminRecord,
    /// Every object that was touched, as [`Change::summary`] writes it.
    pub objects: Vec<String>,
}
