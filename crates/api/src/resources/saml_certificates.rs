//! The certificates that SAML providers may encrypt assertions for. A set belongs to one provider, is sealed with it, and
//! goes with it; private keys never come out.

use crate::answer::Answer;
use crate::call::Call;
use crate::error::{ApiError, Kind};
use crate::resources::found;
use narthex_idp::encryption_key;
use narthex_model::{
    CertificateSet, CertificateSetId, EncryptionKey, IdentityProvider, IdpConfig, IdpId, SamlConfig,
};
use narthex_snapshot::FaultAt;
use serde_json::{Value, json};
use std::sync::Arc;

/// What the API shows of a set.
pub(super) fn document(set: &CertificateSet) -> Value {
    let certificate = |key: &EncryptionKey, is_current: bool| {
        json!({
            "uid": key.uid, "public_certificate": key.certificate_pem, "not_after": key.not_after,
            "is_current": is_current,
        })
    };
    json!({
        "uid": set.uid, "created_at": set.created_at, "updated_at": set.updated_at,
        "current_certificate": certificate(&set.current, true),
        "previous_certificate": set.previous.as_ref().map(|key| certificate(key, false)),
    })
}

/// The provider's settings, if it is of this type.
pub(super) fn saml(idp: &IdentityProvider) -> Option<&SamlConfig> {
    match &idp.config {
        IdpConfig::Saml(config) => Some(config),
        IdpConfig::Oidc(_) | IdpConfig::OneTimePin => None,
    }
}

/// Every set that the caller may see, with its provider, the oldest first.
fn sets(call: &Call) -> Vec<(Arc<IdentityProvider>, CertificateSet)> {
    let standing = call.standing();
    let idps = standing.configuration.identity_providers.values();
    let idps = idps.filter(|idp| call.scope.sees(idp.zone.as_ref()));
    let set = |idp: &Arc<IdentityProvider>| Some((idp.clone(), saml(idp)?.certificate_set()?));
    let mut sets: Vec<_> = idps.filter_map(set).collect();
    sets.sort_by_key(|(_, set)| (set.created_at, set.uid));
    sets
}

fn set_of(call: &Call) -> Result<(Arc<IdentityProvider>, CertificateSet), ApiError> {
    let id: CertificateSetId = call.id(0, Kind::SamlCertificateSet)?;
    let set = sets(call).into_iter().find(|(_, set)| set.uid == id);
    set.ok_or(ApiError::Missing(Kind::SamlCertificateSet))
}

fn new_key(call: &Call) -> EncryptionKey {
    let team = call.parts.live.snapshot.load().premises.team.authority().host.to_string();
    encryption_key(&team, call.now)
}

/// Gives a provider the set that `make` makes of the one it has, and answers what it then has.
async fn put(
    call: &Call,
    id: IdpId,
    mut make: impl FnMut(Option<CertificateSet>) -> Result<CertificateSet, ApiError> + Send,
) -> Result<Answer, ApiError> {
    let places = [(FaultAt::IdentityProvider(id), String::new())];
    let set = call
        .change(&places, |configuration| {
            let seen = |idp: &IdentityProvider| call.scope.sees(idp.zone.as_ref());
            let idps = &configuration.identity_providers;
            let old = found(idps, id, seen, Kind::IdentityProvider)?;
            let config = saml(&old).ok_or_else(|| {
                ApiError::invalid("", "only providers of the type saml encrypt for a certificate")
            })?;
            let set = make(config.certificate_set())?;
            let config = config.clone().with_certificate_set(&set);
            let idp = Arc::new(IdentityProvider {
                config: IdpConfig::Saml(Box::new(config)),
                updated_at: call.stamp(),
                ..IdentityProvider::clone(&old)
            });
            configuration.identity_providers.insert(id, idp);
            Ok(set)
        })
        .await?;
    Ok(Answer::ok(document(&set)))
}

pub(crate) async fn create(call: Call) -> Result<Answer, ApiError> {
    let id: IdpId = call.id(0, Kind::IdentityProvider)?;
    let there = sets(&call).into_iter().find(|(idp, _)| idp.id == id);
    if let Some((_, set)) = there {
        return Ok(Answer::ok(document(&set)));
    }
    let new = CertificateSet::of(new_key(&call), call.stamp());
    put(&call, id, |old| Ok(old.unwrap_or_else(|| new.clone()))).await
}

pub(crate) async fn list(call: Call) -> Result<Answer, ApiError> {
    let page = call.page()?;
    let mut all = sets(&call);
    if let Some(wanted) = call.query.text("id") {
        all.retain(|(_, set)| wanted.split(',').any(|id| id.trim() == set.uid.to_string()));
    }
    Ok(Answer::page_of(page, all, |(_, set)| document(set)))
}

pub(crate) async fn get(call: Call) -> Result<Answer, ApiError> {
    Ok(Answer::ok(document(&set_of(&call)?.1)))
}

pub(crate) async fn pem(call: Call) -> Result<Answer, ApiError> {
    let (_, set) = set_of(&call)?;
    Ok(Answer::document("application/x-pem-file", set.current.certificate_pem))
}

pub(crate) async fn rotate(call: Call) -> Result<Answer, ApiError> {
    let (idp, set) = set_of(&call)?;
    let (key, now) = (new_key(&call), call.stamp());
    let gone = || ApiError::Missing(Kind::SamlCertificateSet);
    put(&call, idp.id, |old| {
        let old = old.filter(|old| old.uid == set.uid).ok_or_else(gone)?;
        Ok(old.rotated(key.clone(), now))
    })
    .await
}
