//! The organisation at start: made from the configuration file the first time, and kept in step with it.

use narthex_model::{Configuration, Organization, Premises, Timestamp, UnixSeconds};
use std::sync::Arc;

/// Gives `configuration` the organisation that the file describes. Everything but the team domain may have been changed
/// through the API since the first start, and stays. Returns whether something changed.
pub(crate) fn settle(
    configuration: &mut Configuration,
    premises: &Premises,
    now: UnixSeconds,
) -> bool {
    match &configuration.organization {
        Some(kept) if kept.auth_domain == premises.team => false,
        Some(kept) => {
            let moved = Organization {
                auth_domain: premises.team.clone(),
                updated_at: Timestamp(now),
                ..Organization::clone(kept)
            };
            configuration.organization = Some(Arc::new(moved));
            true
        }
        None => {
            let (name, team) = (premises.account.name.clone(), premises.team.clone());
            configuration.organization = Some(Arc::new(Organization::new(name, team, now)));
            true
        }
    }
}
