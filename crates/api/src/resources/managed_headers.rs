//! `managed_headers`: the managed transforms of a zone. This gateway has one, the set of TLS client-auth headers: on
//! requests, as the contract says, and on responses, as seed 000 says.

use crate::answer::Answer;
use crate::call::{Call, Scope};
use crate::error::ApiError;
use crate::fields::Fields;
use narthex_model::{ManagedTransforms, ZoneId};
use serde_json::{Value, json};
use std::sync::Arc;

/// The transform that this gateway has, in both lists.
const CLIENT_CERTIFICATE: &str = "add_client_certificate_headers";

/// Transforms of the contract that may be named, but not switched on.
const OTHERS: [&str; 7] = [
    "add_bot_protection_headers",
    "add_visitor_location_headers",
    "add_true_client_ip_headers",
    "remove_visitor_ip_headers",
    "add_waf_credential_check_status_header",
    "remove_x-powered-by_header",
    "add_security_headers",
];

fn document(transforms: &ManagedTransforms) -> Value {
    let entry = |enabled: bool| json!([{"id": CLIENT_CERTIFICATE, "enabled": enabled, "has_conflict": false, "conflicts_with": []}]);
    json!({
        "managed_request_headers": entry(transforms.client_certificate_request_headers),
        "managed_response_headers": entry(transforms.client_certificate_response_headers),
    })
}

impl Call {
    fn zone(&self) -> Result<ZoneId, ApiError> {
        match &self.scope {
            Scope::Zone(zone) => Ok(zone.clone()),
            Scope::Account => Err(ApiError::Internal("the operation belongs to a zone".to_owned())),
        }
    }

    fn transforms(&self) -> Result<ManagedTransforms, ApiError> {
        let zone = self.zone()?;
        let standing = self.standing();
        let known = standing.configuration.managed_transforms.get(&zone);
        Ok(known.map_or_else(|| off(zone.clone()), |known| ManagedTransforms::clone(known)))
    }
}

fn off(zone: ZoneId) -> ManagedTransforms {
    ManagedTransforms {
        zone,
        client_certificate_request_headers: false,
        client_certificate_response_headers: false,
    }
}

/// What one list of the body says about our transform; `None` when it does not name it.
fn switch(fields: &Fields, list: &str) -> Result<Option<bool>, ApiError> {
    let entries: Vec<Value> = fields.or_default(list)?;
    let mut switched = None;
    for (place, entry) in entries.into_iter().enumerate() {
        let entry = Fields::within(format!("/{list}/{place}"), entry)?;
        let (id, enabled): (String, bool) = (entry.need("id")?, entry.need("enabled")?);
        match id.as_str() {
            CLIENT_CERTIFICATE => switched = Some(enabled),
            known if OTHERS.contains(&known) && !enabled => {}
            known if OTHERS.contains(&known) => {
                return Err(
                    entry.refuse("enabled", format!("{known} is not supported by this gateway"))
                );
            }
            _ => return Err(entry.refuse("id", format!("there is no managed transform {id:?}"))),
        }
    }
    Ok(switched)
}

pub(crate) async fn list(call: Call) -> Result<Answer, ApiError> {
    Ok(Answer::ok(document(&call.transforms()?)))
}

/// Switches what the body names.
pub(crate) async fn update(call: Call) -> Result<Answer, ApiError> {
    let fields = call.fields()?;
    let on_requests = switch(&fields, "managed_request_headers")?;
    let on_responses = switch(&fields, "managed_response_headers")?;
    let zone = call.zone()?;
    call.change(&[], |configuration| {
        let all = &mut configuration.managed_transforms;
        let old =
            all.get(&zone).map_or_else(|| off(zone.clone()), |old| ManagedTransforms::clone(old));
        let new = ManagedTransforms {
            client_certificate_request_headers: on_requests
                .unwrap_or(old.client_certificate_request_headers),
            client_certificate_response_headers: on_responses
                .unwrap_or(old.client_certificate_response_headers),
            zone: zone.clone(),
        };
        if all.get(&zone).is_none_or(|old| **old != new) {
            all.insert(zone.clone(), Arc::new(new));
        }
        Ok(())
    })
    .await?;
    Ok(Answer::ok(document(&call.transforms()?)))
}

/// Switches everything off. Clients expect no result.
pub(crate) async fn delete(call: Call) -> Result<Answer, ApiError> {
    let zone = call.zone()?;
    call.change(&[], |configuration| {
        configuration.managed_transforms.remove(&zone);
        Ok(())
    })
    .await?;
    Ok(Answer::ok(Value::Null))
}
