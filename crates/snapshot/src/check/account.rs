//! Objects of the account: organization, identity providers, service tokens, names of policies and groups.

use super::text;
use crate::{Fault, FaultAt};
use narthex_model::{Configuration, IdpConfig, LoginDesign, Organization, Premises, UnixSeconds};
use std::collections::HashMap;

pub(super) fn organization(organization: &Organization, premises: &Premises) -> Result<(), Fault> {
    let invalid = |pointer: &str, message: String| {
        Err(Fault::invalid(FaultAt::Organization, pointer, message))
    };
    if organization.session_duration.as_ref().is_some_and(|d| !text::is_session(d)) {
        return invalid("/session_duration", text::SESSION_RULE.to_owned());
    }
    let days = organization.keys.key_rotation_interval_days;
    if !(21..=365).contains(&days) {
        return invalid(
            "/key_rotation_interval_days",
            format!("keys change every 21 to 365 days, not every {days}"),
        );
    }
    let inactivity = organization.service_token_inactivity.as_ref();
    if let Some(days) = inactivity.map(|inactivity| inactivity.inactivity_threshold_days)
        && !(30..=365).contains(&days)
    {
        return invalid(
            "/service_token_inactivity/inactivity_threshold_days",
            format!("a service token counts as unused after 30 to 365 days, not after {days}"),
        );
    }
    for (at, name) in organization.deny_unmatched_requests_exempted_zone_names.iter().enumerate() {
        if !premises.zones.iter().any(|zone| zone.name.is(name)) {
            return invalid(
                &format!("/deny_unmatched_requests_exempted_zone_names/{at}"),
                format!("there is no zone {name:?}; zones are declared in the configuration file"),
            );
        }
    }
    design(&organization.login_design)
}

fn design(design: &LoginDesign) -> Result<(), Fault> {
    let set = |value: &Option<String>| value.clone().filter(|text| !text.is_empty());
    for (member, value) in
        [("background_color", &design.background_color), ("text_color", &design.text_color)]
    {
        if let Some(colour) = set(value).filter(|colour| !text::is_colour(colour)) {
            return Err(Fault::invalid(
                FaultAt::Organization,
                format!("/login_design/{member}"),
                format!("a colour is #rgb or #rrggbb, not {colour:?}"),
            ));
        }
    }
    if let Some(url) = set(&design.logo_path).filter(|url| !text::is_web_url(url)) {
        return Err(Fault::invalid(
            FaultAt::Organization,
            "/login_design/logo_path",
            format!("the logo is an http or https URL, not {url:?}"),
        ));
    }
    Ok(())
}

pub(super) fn identity_providers(configuration: &Configuration) -> Result<(), Fault> {
    let mut pin: Option<UnixSeconds> = None;
    let mut providers: Vec<_> = configuration.identity_providers.values().collect();
    providers.sort_by_key(|idp| (idp.created_at, idp.id));
    for idp in providers {
        let at = FaultAt::IdentityProvider(idp.id);
        named(at, &idp.name)?;
        match idp.config {
            IdpConfig::OneTimePin if pin.is_some() => {
                return Err(Fault::duplicate(
                    at,
                    "/type",
                    "a onetimepin connection already exists",
                ));
            }
            IdpConfig::OneTimePin => pin = Some(idp.created_at.0),
            IdpConfig::Oidc(_) | IdpConfig::Saml(_) => {}
        }
    }
    Ok(())
}

pub(super) fn service_tokens(configuration: &Configuration) -> Result<(), Fault> {
    let mut known = HashMap::new();
    for token in configuration.service_tokens.values() {
        let at = FaultAt::ServiceToken(token.id);
        named(at, &token.name)?;
        if known.insert(&token.client_id, token.id).is_some() {
            return Err(Fault::duplicate(
                at,
                "/client_id",
                "another service token has this client_id",
            ));
        }
    }
    Ok(())
}

pub(super) fn policies_and_groups(configuration: &Configuration) -> Result<(), Fault> {
    for group in configuration.groups.values() {
        named(FaultAt::Group(group.id), &group.name)?;
    }
    for policy in configuration.policies.values() {
        let at = FaultAt::Policy(policy.id);
        named(at, &policy.name)?;
        if policy.session_duration.as_ref().is_some_and(|d| !text::is_session(d)) {
            return Err(Fault::invalid(at, "/session_duration", text::SESSION_RULE));
        }
        if let Some(app) = policy.app.filter(|app| !configuration.apps.contains_key(app)) {
            return Err(Fault::missing(
                at,
                "/app",
                format!("the policy belongs to application {app}, which does not exist"),
            ));
        }
    }
    Ok(())
}

fn named(object: FaultAt, name: &str) -> Result<(), Fault> {
    if name.trim().is_empty() {
        return Err(Fault::invalid(object, "/name", "give it a name"));
    }
    Ok(())
}
