//! Objects of the configuration as rows: JSON, and the one secret that some have sealed beside it.

use super::fault::damaged;
use super::row::{from_json, to_json};
use crate::{Change, StoreError};
use narthex_model::{
    CertificateAuthorityId, Configuration, IdentityProvider, IdpConfig, IdpId, MasterKey,
    ScimConfig, Secret, Timestamp, ZoneId,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;

/// `kind`, `id`, `body`, `sealed` of the table `object`.
pub(super) type Row = (String, String, String, Option<Vec<u8>>);

/// What a [`Change`] does to the table.
pub(super) enum Edit {
    Put(Row),
    Delete { kind: &'static str, id: String },
}

const ORGANIZATION: &str = "organization";
const APP: &str = "app";
const POLICY: &str = "policy";
const GROUP: &str = "group";
const IDP: &str = "identity_provider";
const SERVICE_TOKEN: &str = "service_token";
pub(super) const AUTHORITY: &str = "certificate_authority";
const HOSTNAME_SETTING: &str = "hostname_setting";
const CLIENT_CERTIFICATE: &str = "client_certificate";
const MANAGED_TRANSFORMS: &str = "managed_transforms";

/// What `change` writes, secrets sealed for their place.
pub(super) fn edit(master: &MasterKey, change: &Change) -> Edit {
    let put = |kind: &str, id: String, body| Edit::Put((kind.to_owned(), id, body, None));
    let delete = |kind, id| Edit::Delete { kind, id };
    match change {
        Change::PutOrganization(it) => put(ORGANIZATION, ORGANIZATION.to_owned(), to_json(it)),
        Change::PutApp(it) => put(APP, it.id.to_string(), to_json(it)),
        Change::PutPolicy(it) => put(POLICY, it.id.to_string(), to_json(it)),
        Change::PutGroup(it) => put(GROUP, it.id.to_string(), to_json(it)),
        Change::PutServiceToken(it) => put(SERVICE_TOKEN, it.id.to_string(), to_json(it)),
        Change::PutIdp(it) => {
            let sealed = seal(master, it.config.secret(), &place(it.id));
            let body = to_json(&IdpBody::of(it));
            Edit::Put((IDP.to_owned(), it.id.to_string(), body, sealed))
        }
        Change::PutCertificateAuthority(it) => {
            let sealed = seal(master, it.key.as_ref(), &key_place(it.id));
            Edit::Put((AUTHORITY.to_owned(), it.id.to_string(), to_json(it), sealed))
        }
        Change::PutHostnameSetting(it) => {
            put(HOSTNAME_SETTING, it.hostname.host().to_string(), to_json(it))
        }
        Change::PutClientCertificate(it) => put(CLIENT_CERTIFICATE, it.id.to_string(), to_json(it)),
        Change::PutManagedTransforms(it) => {
            put(MANAGED_TRANSFORMS, it.zone.to_string(), to_json(it))
        }
        Change::DeleteApp(id) => delete(APP, id.to_string()),
        Change::DeletePolicy(id) => delete(POLICY, id.to_string()),
        Change::DeleteGroup(id) => delete(GROUP, id.to_string()),
        Change::DeleteIdp(id) => delete(IDP, id.to_string()),
        Change::DeleteServiceToken(id) => delete(SERVICE_TOKEN, id.to_string()),
        Change::DeleteCertificateAuthority(id) => delete(AUTHORITY, id.to_string()),
        Change::DeleteHostnameSetting(host) => delete(HOSTNAME_SETTING, host.to_string()),
        Change::DeleteClientCertificate(id) => delete(CLIENT_CERTIFICATE, id.to_string()),
        Change::DeleteManagedTransforms(zone) => delete(MANAGED_TRANSFORMS, zone.to_string()),
    }
}

/// Adds the object of a row to `configuration`.
///
/// # Errors
/// [`StoreError::Damaged`] when the row does not hold an object that this program writes.
pub(super) fn read(
    configuration: &mut Configuration,
    master: &MasterKey,
    (kind, id, body, sealed): &Row,
) -> Result<(), StoreError> {
    let place = format!("object {kind} {id}");
    match kind.as_str() {
        ORGANIZATION => configuration.organization = Some(Arc::new(from_json(&place, body)?)),
        APP => {
            let it: narthex_model::Application = from_json(&place, body)?;
            configuration.apps.insert(it.id, Arc::new(it));
        }
        POLICY => {
            let it: narthex_model::Policy = from_json(&place, body)?;
            configuration.policies.insert(it.id, Arc::new(it));
        }
        GROUP => {
            let it: narthex_model::Group = from_json(&place, body)?;
            configuration.groups.insert(it.id, Arc::new(it));
        }
        SERVICE_TOKEN => {
            let it: narthex_model::ServiceToken = from_json(&place, body)?;
            configuration.service_tokens.insert(it.id, Arc::new(it));
        }
        IDP => {
            let it = from_json::<IdpBody>(&place, body)?.provider(master, sealed.as_deref())?;
            configuration.identity_providers.insert(it.id, Arc::new(it));
        }
        AUTHORITY => {
            let mut it: narthex_model::CertificateAuthority = from_json(&place, body)?;
            it.key = unseal(master, sealed.as_deref(), &key_place(it.id), &place)?;
            configuration.certificate_authorities.insert(it.id, Arc::new(it));
        }
        HOSTNAME_SETTING => {
            let it: narthex_model::HostnameSetting = from_json(&place, body)?;
            configuration.hostname_settings.insert(it.hostname.host().clone(), Arc::new(it));
        }
        CLIENT_CERTIFICATE => {
            let it: narthex_model::ClientCertificate = from_json(&place, body)?;
            configuration.client_certificates.insert(it.id, Arc::new(it));
        }
        MANAGED_TRANSFORMS => {
            let it: narthex_model::ManagedTransforms = from_json(&place, body)?;
            configuration.managed_transforms.insert(it.zone.clone(), Arc::new(it));
        }
        other => return Err(damaged(place, format!("objects of kind {other:?} are unknown"))),
    }
    Ok(())
}

/// An identity provider without its secret.
#[derive(Serialize, Deserialize)]
struct IdpBody {
    id: IdpId,
    name: String,
    #[serde(rename = "type")]
    kind: String,
    config: Value,
    #[serde(default)]
    scim: ScimConfig,
    #[serde(default)]
    zone: Option<ZoneId>,
    created_at: Timestamp,
    updated_at: Timestamp,
}

fn seal(master: &MasterKey, secret: Option<&Secret>, place: &str) -> Option<Vec<u8>> {
    secret.map(|secret| master.seal(secret.expose().as_bytes(), place))
}

fn unseal(
    master: &MasterKey,
    sealed: Option<&[u8]>,
    place: &str,
    object: &str,
) -> Result<Option<Secret>, StoreError> {
    let Some(sealed) = sealed else { return Ok(None) };
    let plain = master.open(sealed, place).map_err(|e| damaged(object, e))?;
    let text = String::from_utf8(plain.to_vec()).map_err(|_| damaged(object, "not text"))?;
    Ok(Some(Secret::from(text)))
}

/// Where the key of the gateway's own authority is sealed.
fn key_place(id: CertificateAuthorityId) -> String {
    format!("certificate_authority/{id}/key")
}

/// Where the client secret of a provider is sealed.
fn place(id: IdpId) -> String {
    format!("identity_provider/{id}/client_secret")
}

impl IdpBody {
    fn of(it: &IdentityProvider) -> Self {
        Self {
            id: it.id,
            name: it.name.clone(),
            kind: it.config.kind().to_owned(),
            config: it.config.to_json(),
            scim: it.scim.clone(),
            zone: it.zone.clone(),
            created_at: it.created_at,
            updated_at: it.updated_at,
        }
    }

    fn provider(
        self,
        master: &MasterKey,
        sealed: Option<&[u8]>,
    ) -> Result<IdentityProvider, StoreError> {
        let at = || format!("object {IDP} {}", self.id);
        let secret = unseal(master, sealed, &place(self.id), &at())?;
        let config = IdpConfig::parse(&self.kind, self.config).map_err(|e| damaged(at(), e))?;
        Ok(IdentityProvider {
            id: self.id,
            name: self.name,
            config: config.with_secret(secret),
            scim: self.scim,
            zone: self.zone,
            created_at: self.created_at,
            updated_at: self.updated_at,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn oidc(secret: Option<&str>) -> IdentityProvider {
        let config = IdpConfig::parse(
            "oidc",
            json!({"client_id": "c", "auth_url": "https://idp.example/a",
                "token_url": "https://idp.example/t", "certs_url": "https://idp.example/k"}),
        );
        IdentityProvider {
            id: IdpId::random(),
            name: "Staff".to_owned(),
            config: config.unwrap().with_secret(secret.map(|s| Secret::from(s.to_owned()))),
            scim: ScimConfig::default(),
            zone: None,
            created_at: Timestamp::default(),
            updated_at: Timestamp::default(),
        }
    }

    fn row(master: &MasterKey, idp: IdentityProvider) -> Row {
        match edit(master, &Change::PutIdp(Arc::new(idp))) {
            Edit::Put(row) => row,
            Edit::Delete { kind, id } => panic!("delete {kind} {id}"),
        }
    }

    #[test]
    fn a_client_secret_is_sealed_for_its_own_row() {
        let (master, _) = MasterKey::generate();
        let idp = oidc(Some("hunter2"));
        let id = idp.id;
        let row = row(&master, idp);
        assert!(!row.2.contains("hunter2") && !row.2.contains("client_secret"), "{}", row.2);
        assert!(!row.3.as_ref().unwrap().windows(7).any(|bytes| bytes == b"hunter2"));
        let mut back = Configuration::default();
        read(&mut back, &master, &row).unwrap();
        let secret = back.identity_providers[&id].config.secret().unwrap();
        assert_eq!(secret.expose(), "hunter2");

        let other = super::tests::row(&master, oidc(None));
        let moved = (other.0, other.1, other.2, row.3.clone());
        let refused = read(&mut Configuration::default(), &master, &moved).unwrap_err();
        assert!(matches!(refused, StoreError::Damaged(_)), "a secret moved to another row");
        let (stranger, _) = MasterKey::generate();
        assert!(read(&mut Configuration::default(), &stranger, &row).is_err());
    }

    #[test]
    fn rows_of_unknown_kinds_are_refused_by_name() {
        let (master, _) = MasterKey::generate();
        let odd = |kind: &str, body: &str| (kind.to_owned(), "7".to_owned(), body.to_owned(), None);
        for (row, want) in [
            (odd("tunnel", "{}"), "object tunnel 7: objects of kind \"tunnel\" are unknown"),
            (odd("app", "{}"), "object app 7: missing field"),
            (odd("app", "{"), "object app 7: EOF"),
        ] {
            let refused = read(&mut Configuration::default(), &master, &row).unwrap_err();
            assert!(refused.to_string().contains(want), "{refused}");
        }
    }
}
