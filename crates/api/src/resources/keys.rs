//! Signing keys: the rotation interval and rotating now.

use crate::answer::Answer;
use crate::call::Call;
use crate::error::ApiError;
use narthex_model::{KeyRotation, Organization, Timestamp};
use narthex_snapshot::FaultAt;
use serde_json::{Value, json};
use std::sync::Arc;

const DAY: i64 = 86_400;

fn document(call: &Call) -> Value {
    let snapshot = call.parts.live.snapshot.load();
    let days = snapshot.organization.keys.key_rotation_interval_days;
    let last = snapshot.keys.signing_since();
    let due = snapshot.keys.next_rotation().unwrap_or(last.plus(i64::from(days) * DAY));
    json!({
        "key_rotation_interval_days": days, "last_key_rotation_at": Timestamp(last),
        "days_until_next_rotation": (due.since(call.now).max(0) + DAY - 1) / DAY,
    })
}

pub(crate) async fn get(call: Call) -> Result<Answer, ApiError> {
    Ok(Answer::ok(document(&call)))
}

pub(crate) async fn update(call: Call) -> Result<Answer, ApiError> {
    let fields = call.fields()?;
    let days: u16 = fields.need("key_rotation_interval_days")?;
    if !(21..=365).contains(&days) {
        return Err(fields.refuse("key_rotation_interval_days", "the interval is 21 to 365 days"));
    }
    call.change(&[(FaultAt::Organization, String::new())], |configuration| {
        let old = configuration.organization.as_ref().ok_or(ApiError::NoOrganization)?;
        let organization = Organization {
            keys: KeyRotation { key_rotation_interval_days: days },
            updated_at: call.stamp(),
            ..Organization::clone(old)
        };
        configuration.organization = Some(Arc::new(organization));
        Ok(())
    })
    .await?;
    call.parts.desk.tick(call.now).await?;
    Ok(Answer::ok(document(&call)))
}

pub(crate) async fn rotate(call: Call) -> Result<Answer, ApiError> {
    call.parts.desk.rotate_keys(&call.audit(), call.now).await?;
    Ok(Answer::ok(document(&call)))
}
