//! `tokens/verify`: what a token is told about itself.

use crate::answer::Answer;
use crate::call::Call;
use crate::error::ApiError;
use serde_json::json;

/// A token that is not in force never comes this far, so the status is always `active`.
pub(crate) async fn verify(call: Call) -> Result<Answer, ApiError> {
    let mut result = json!({"id": call.actor.id, "status": "active"});
    if let Some(from) = call.actor.not_before {
        result["not_before"] = json!(from);
    }
    if let Some(until) = call.actor.expires_at {
        result["expires_on"] = json!(until);
    }
    Ok(Answer::ok(result).remarking("This API Token is valid and active"))
}
