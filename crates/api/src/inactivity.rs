//! Service tokens that nobody uses are switched off or deleted, where the organization wants it (access-protocol §8.1).
//!
//! A token is unused when no policy and no group names it, and it was neither let in nor touched by an administrator
//! for the organization's number of days.

use crate::desk::{Desk, by_itself};
use crate::error::ApiError;
use narthex_model::{
    Configuration, InactivityAction, Selector, ServiceToken, ServiceTokenId, Timestamp, UnixSeconds,
};
use narthex_snapshot::LONGEST_TOKEN_SECONDS;
use narthex_store::{Revocation, Revoked, Store, TrafficFilter};
use std::collections::HashSet;
use std::sync::Arc;
use tracing::info;

impl Desk {
    /// Does to unused service tokens what the organization asks for, and answers to how many. Does nothing, and asks the
    /// store nothing, where it asks for nothing.
    ///
    /// # Errors
    /// `Store` when the last uses could not be read or the change could not be kept; it is in force as a whole or
    /// not at all.
    pub async fn retire_unused_service_tokens(&self, now: UnixSeconds) -> Result<usize, ApiError> {
        let standing = self.standing();
        let setting = standing.configuration.organization.as_ref();
        let setting = setting.and_then(|organization| organization.service_token_inactivity);
        let Some(setting) = setting.filter(|setting| setting.enabled) else { return Ok(0) };
        let since = now.plus(-86_400 * i64::from(setting.inactivity_threshold_days));
        let unused = unused(self.store(), &standing.configuration, setting.action, since).await?;
        if unused.is_empty() {
            return Ok(0);
        }
        let deed = match setting.action {
            InactivityAction::Disable => "switched off",
            InactivityAction::Delete => "deleted",
        };
        let audit = by_itself("housekeeping", &format!("{deed} unused service tokens"), now);
        self.change(&audit, |configuration| {
            for token in &unused {
                // Somebody may have been at it meanwhile: then it is not unused.
                if configuration.service_tokens.get(&token.id) == Some(token) {
                    retire(configuration, token, setting.action, now);
                }
            }
            Ok(())
        })
        .await?;
        for token in &unused {
            let what = Revoked::ServiceToken(token.client_id.clone());
            let until = now.plus(LONGEST_TOKEN_SECONDS);
            self.store().put_revocations(&[Revocation { what, at: now, until }]).await?;
            self.live().revocations.revoke_service_token(&token.client_id, now);
            info!(service_token.id = %token.id, "an unused service token was {deed}");
        }
        Ok(unused.len())
    }
}

/// The tokens that were not used at `since` or later and that `action` would change.
async fn unused(
    store: &dyn Store,
    configuration: &Configuration,
    action: InactivityAction,
    since: UnixSeconds,
) -> Result<Vec<Arc<ServiceToken>>, ApiError> {
    let (named, seen) = (named(configuration), store.service_tokens_seen().await?);
    let mut unused = Vec::new();
    for token in configuration.service_tokens.values() {
        let touched = token.created_at.max(token.updated_at);
        let last = seen.get(&token.client_id).map_or(touched, |at| touched.max(*at));
        let changes = action == InactivityAction::Delete || token.enabled;
        if named.contains(&token.id) || last.0 > since || !changes {
            continue;
        }
        // Uses from before their last instant was kept are in the traffic only, to the hour.
        let caller = Some(token.client_id.to_string());
        let since = Some(since);
        let filter = TrafficFilter { since, caller, limit: Some(1), ..TrafficFilter::default() };
        if store.traffic(&filter).await?.is_empty() {
            unused.push(Arc::clone(token));
        }
    }
    Ok(unused)
}

/// The tokens that a policy or a group names.
fn named(configuration: &Configuration) -> HashSet<ServiceTokenId> {
    let policies = configuration.policies.values().map(|policy| &policy.rules);
    let rules = policies.chain(configuration.groups.values().map(|group| &group.rules));
    let one = |selector: &Selector| {
        if let Selector::ServiceToken(id) = selector { Some(*id) } else { None }
    };
    rules.flat_map(|rules| rules.all()).filter_map(|rule| one(rule.selector())).collect()
}

fn retire(
    configuration: &mut Configuration,
    token: &ServiceToken,
    action: InactivityAction,
    now: UnixSeconds,
) {
    match action {
        InactivityAction::Disable => {
            let off = ServiceToken { enabled: false, updated_at: Timestamp(now), ..token.clone() };
            configuration.service_tokens.insert(token.id, Arc::new(off));
        }
        InactivityAction::Delete => drop(configuration.service_tokens.remove(&token.id)),
    }
}
