//! Zones: the domains of the configuration file, so that clients can turn a name into an id.

use crate::answer::Answer;
use crate::call::{Call, Scope};
use crate::error::ApiError;
use crate::paging::{self, Page};
use narthex_model::{Account, Timestamp, Zone};
use serde_json::{Value, json};

fn document(zone: &Zone, account: &Account, created: Timestamp) -> Value {
    let account = json!({"id": account.id, "name": account.name});
    json!({
        "id": zone.id, "name": zone.name, "status": "active", "type": "full", "paused": false,
        "account": account, "owner": {"id": account["id"], "name": account["name"], "type": "organization"},
        "created_on": created, "activated_on": created, "modified_on": created, "development_mode": 0,
        "name_servers": [], "original_name_servers": [], "original_dnshost": null, "original_registrar": null,
        "meta": {}, "plan": {"id": "self_hosted", "name": "Self-hosted", "legacy_id": "self_hosted"},
        "permissions": ["#access:edit", "#access:read"],
    })
}

pub(crate) async fn list(call: Call) -> Result<Answer, ApiError> {
    let page = Page::of(&call.query, paging::ACCOUNT)?;
    let snapshot = call.parts.live.snapshot.load();
    let (premises, created) = (&snapshot.premises, snapshot.organization.created_at);
    let ours = |asked: &str| asked == premises.account.id.as_str();
    let zones: Vec<&Zone> = premises
        .zones
        .iter()
        .filter(|zone| call.query.text("name").is_none_or(|name| zone.name.is(name)))
        .filter(|_| call.query.text("account.id").is_none_or(ours))
        .filter(|_| call.query.text("status").is_none_or(|status| status == "active"))
        .collect();
    Ok(Answer::page_of(page, zones, |zone| document(zone, &premises.account, created)))
}

pub(crate) async fn get(call: Call) -> Result<Answer, ApiError> {
    let snapshot = call.parts.live.snapshot.load();
    let premises = &snapshot.premises;
    let here = |zone: &&Zone| call.scope == Scope::Zone(zone.id.clone());
    let zone = premises.zones.iter().find(here);
    let zone =
        zone.ok_or_else(|| ApiError::NotAllowed("the account has no such zone".to_owned()))?;
    Ok(Answer::ok(document(zone, &premises.account, snapshot.organization.created_at)))
}
