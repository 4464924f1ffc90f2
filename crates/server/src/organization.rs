//! The organisation at start: made from the configuration file the first time, and kept in step with it.

use narthex_model::{
    AudTag, Configuration, KeyRotation, LoginDesign, Organization, Premises, Timestamp, UnixSeconds,
};
use serde_json::Map;
use std::sync::Arc;

/// Gives `configuration` the organisation that the file describes. Everything but the team domain may have been changed
/// through the API since the first start, and stays. Returns whether something changed.
pub(crate) fn settle(
    configuration: &mut Configuration,
    premises: &Premises,
    now: UnixSeconds,
) -> bool {
    let now = Timestamp(now);
    match &configuration.organization {
        Some(kept) if kept.auth_domain == premises.team => false,
        Some(kept) => {
            let moved = Organization {
                auth_domain: premises.team.clone(),
                updated_at: now,
                ..Organization::clone(kept)
            };
            configuration.organization = Some(Arc::new(moved));
            true
        }
        None => {
            configuration.organization = Some(Arc::new(Organization {
                name: premises.account.name.clone(),
                auth_domain: premises.team.clone(),
                aud: AudTag::random(),
                session_duration: None,
                auto_redirect_to_identity: false,
                deny_unmatched_requests: true,
                deny_unmatched_requests_exempted_zone_names: Vec::new(),
                strict_service_token_auth: true,
                login_design: LoginDesign::default(),
                is_ui_read_only: false,
                keys: KeyRotation::default(),
                presentation: Map::new(),
                created_at: now,
                updated_at: now,
            }));
            true
        }
    }
}
