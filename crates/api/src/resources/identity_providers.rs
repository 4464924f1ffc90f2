//! Identity providers. Secrets go in and never come out; a replace without them keeps the stored ones.

use crate::answer::Answer;
use crate::call::Call;
use crate::error::{ApiError, Kind};
use crate::fields::Fields;
use crate::resources::found;
use crate::resources::saml_certificates::{self, saml};
use narthex_idp::{Fence, check_saml};
use narthex_model::{
    CertificateSetId, IdentityProvider, IdpConfig, IdpId, InvalidIdpConfig, SamlConfig, ScimConfig,
    TeamDomain,
};
use narthex_snapshot::FaultAt;
use serde_json::{Value, json};
use std::sync::Arc;

fn document(idp: &IdentityProvider, team: &TeamDomain) -> Value {
    let mut config = idp.config.to_json();
    if matches!(idp.config, IdpConfig::OneTimePin) {
        config["redirect_url"] = format!("{}/cdn-cgi/access/callback", team.issuer()).into();
    }
    let scim = &idp.scim;
    let mut document = json!({
        "id": idp.id, "uid": idp.id, "name": idp.name, "type": idp.config.kind(), "config": config,
        "scim_config": {
            "enabled": scim.enabled, "seat_deprovision": scim.seat_deprovision,
            "user_deprovision": scim.user_deprovision,
            "identity_update_behavior": scim.identity_update_behavior, "scim_base_url": null, "secret": null,
        },
        "read_only": false, "created_at": idp.created_at, "updated_at": idp.updated_at,
    });
    if let Some(set) = saml(idp).and_then(SamlConfig::certificate_set) {
        document["saml_certificate_set_id"] = json!(set.uid);
        document["saml_certificate_set"] = saml_certificates::document(&set);
    }
    document
}

/// Refuses to switch encryption on without the certificate set that it needs, or with another provider's.
fn encrypts_for(fields: &Fields, config: &IdpConfig) -> Result<(), ApiError> {
    let IdpConfig::Saml(config) = config else { return Ok(()) };
    let set = config.certificate_set();
    if config.enable_encryption && set.is_none() {
        return Err(ApiError::invalid(
            "/config/enable_encryption",
            "make a certificate set first: create the provider without encryption, POST to its saml_certificate, and then \
             switch encryption on",
        ));
    }
    let named: Option<CertificateSetId> = fields.read("saml_certificate_set_id")?;
    if named.is_some() && named != set.map(|set| set.uid) {
        return Err(fields.refuse(
            "saml_certificate_set_id",
            "this is not the provider's own certificate set; POST to its saml_certificate makes it",
        ));
    }
    Ok(())
}

/// What a create or replace says.
struct Form {
    name: String,
    config: IdpConfig,
    scim: ScimConfig,
}

impl Form {
    /// Reads a body. An address that `fence` keeps the gateway from calling is refused at once, and not at somebody's
    /// first login (security A8).
    fn read(fields: &Fields, fence: &Fence) -> Result<Self, ApiError> {
        let name = fields.name()?.ok_or_else(|| fields.refuse("name", "name is required"))?;
        let kind: String = fields.need("type")?;
        let mut config = fields.raw("config").cloned().unwrap_or_else(|| json!({}));
        let members = config.as_object_mut();
        let members = members.ok_or_else(|| fields.refuse("config", "config must be an object"))?;
        members.retain(|_, value| !value.is_null());
        let config = IdpConfig::parse(&kind, config).map_err(|error| match error {
            InvalidIdpConfig::NotYet(_) => fields.refuse("type", error.to_string()),
            InvalidIdpConfig::Member(_) => fields.refuse("config", error.to_string()),
            InvalidIdpConfig::At { ref pointer, .. } => {
                ApiError::invalid(format!("/config{pointer}"), error.to_string())
            }
        })?;
        fence.admits_provider(&config).map_err(|(member, why)| {
            ApiError::invalid(format!("/config/{member}"), format!("config: {member}: {why}"))
        })?;
        if let IdpConfig::Saml(saml) = &config {
            check_saml(saml).map_err(|(place, why)| {
                ApiError::invalid(format!("/config{place}"), format!("config{place}: {why}"))
            })?;
        }
        let scim: ScimConfig = fields.or_default("scim_config")?;
        if scim.enabled {
            return Err(ApiError::invalid(
                "/scim_config/enabled",
                "provisioning over SCIM is not supported yet; leave it off",
            ));
        }
        Ok(Self { name, config, scim })
    }
}

fn places(id: IdpId) -> [(FaultAt, String); 1] {
    [(FaultAt::IdentityProvider(id), String::new())]
}

fn answer(call: &Call, idp: &IdentityProvider) -> Value {
    document(idp, &call.parts.live.snapshot.load().premises.team)
}

pub(crate) async fn list(call: Call) -> Result<Answer, ApiError> {
    let page = call.page()?;
    let scim = call.query.flag("scim_enabled")?;
    let standing = call.standing();
    let mut idps: Vec<&Arc<IdentityProvider>> = standing
        .configuration
        .identity_providers
        .values()
        .filter(|idp| call.scope.sees(idp.zone.as_ref()))
        .filter(|idp| scim.is_none_or(|on| idp.scim.enabled == on))
        .collect();
    idps.sort_by_key(|idp| (idp.created_at, idp.id));
    Ok(Answer::page_of(page, idps, |idp| answer(&call, idp)))
}

pub(crate) async fn get(call: Call) -> Result<Answer, ApiError> {
    let id = call.id(0, Kind::IdentityProvider)?;
    let standing = call.standing();
    let seen = |idp: &IdentityProvider| call.scope.sees(idp.zone.as_ref());
    let idps = &standing.configuration.identity_providers;
    let idp = found(idps, id, seen, Kind::IdentityProvider)?;
    Ok(Answer::ok(answer(&call, &idp)))
}

pub(crate) async fn create(call: Call) -> Result<Answer, ApiError> {
    let fields = call.fields()?;
    let Form { name, config, scim } = Form::read(&fields, &call.parts.fence)?;
    encrypts_for(&fields, &config)?;
    let (id, zone, now) = (IdpId::random(), call.scope.zone(), call.stamp());
    let (created_at, updated_at) = (now, now);
    let idp = Arc::new(IdentityProvider { id, name, config, scim, zone, created_at, updated_at });
    call.change(&places(id), |configuration| {
        configuration.identity_providers.insert(id, Arc::clone(&idp));
        Ok(())
    })
    .await?;
    Ok(Answer::created(answer(&call, &idp)))
}

pub(crate) async fn update(call: Call) -> Result<Answer, ApiError> {
    let id = call.id(0, Kind::IdentityProvider)?;
    let fields = call.fields()?;
    let form = Form::read(&fields, &call.parts.fence)?;
    let idp = call
        .change(&places(id), |configuration| {
            let seen = |idp: &IdentityProvider| call.scope.sees(idp.zone.as_ref());
            let idps = &configuration.identity_providers;
            let old = found(idps, id, seen, Kind::IdentityProvider)?;
            if old.config.kind() != form.config.kind() {
                return Err(fields.refuse("type", "the type of an identity provider is fixed"));
            }
            let secret = form.config.secret().or(old.config.secret()).cloned();
            let config = form.config.clone().with_secret(secret);
            encrypts_for(&fields, &config)?;
            let idp = Arc::new(IdentityProvider {
                name: form.name.clone(),
                config,
                scim: form.scim.clone(),
                updated_at: call.stamp(),
                ..IdentityProvider::clone(&old)
            });
            configuration.identity_providers.insert(id, Arc::clone(&idp));
            Ok(idp)
        })
        .await?;
    Ok(Answer::ok(answer(&call, &idp)))
}

pub(crate) async fn delete(call: Call) -> Result<Answer, ApiError> {
    let id: IdpId = call.id(0, Kind::IdentityProvider)?;
    call.change(&[], |configuration| {
        let seen = |idp: &IdentityProvider| call.scope.sees(idp.zone.as_ref());
        found(&configuration.identity_providers, id, seen, Kind::IdentityProvider)?;
        configuration.identity_providers.remove(&id);
        Ok(())
    })
    .await?;
    Ok(Answer::accepted(json!({ "id": id })))
}
