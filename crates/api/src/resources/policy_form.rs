//! What the body of a policy says, be it reusable, of one application, or written inside an application.

use crate::error::ApiError;
use crate::fields::Fields;
use crate::resources::groups::rules;
use narthex_model::{AppId, Decision, GoDuration, Policy, PolicyId, RuleSet, Timestamp};
use serde_json::{Map, Value};

/// What is kept and echoed but changes nothing as long as its switch is off.
const KEPT: [&str; 2] = ["purpose_justification_prompt", "approval_groups"];

/// Switches that would have to change what happens at a login.
const NOT_BUILT: [(&str, &str); 5] = [
    ("isolation_required", "browser isolation"),
    ("purpose_justification_required", "asking for a purpose"),
    ("approval_required", "temporary approval"),
    ("mfa_config", "a second factor at the gateway"),
    ("connection_rules", "connection rules"),
];

/// The body of a policy, checked as far as it can be by itself.
#[derive(Clone)]
pub(super) struct PolicyForm {
    name: String,
    decision: Decision,
    rules: RuleSet,
    session_duration: Option<GoDuration>,
    presentation: Map<String, Value>,
    /// Its place in the application, where it has one.
    pub(super) precedence: Option<u32>,
}

impl PolicyForm {
    /// # Errors
    /// `Invalid` with the place of what is missing, wrong, or not built.
    pub(super) fn read(fields: &Fields) -> Result<Self, ApiError> {
        for (name, what) in NOT_BUILT {
            fields.off(name, what)?;
        }
        let mut presentation = Map::new();
        fields.keep(&KEPT, &mut presentation);
        Ok(Self {
            name: fields.name()?.ok_or_else(|| fields.refuse("name", "name is required"))?,
            decision: fields.need("decision")?,
            rules: rules(fields)?,
            session_duration: fields.read("session_duration")?,
            presentation,
            precedence: precedence(fields)?,
        })
    }

    /// A new policy of this form.
    pub(super) fn made(&self, id: PolicyId, app: Option<AppId>, now: Timestamp) -> Policy {
        Policy {
            id,
            name: self.name.clone(),
            decision: self.decision,
            rules: self.rules.clone(),
            session_duration: self.session_duration.clone(),
            app,
            presentation: self.presentation.clone(),
            created_at: now,
            updated_at: now,
        }
    }

    /// The policy `old` with what the form says.
    pub(super) fn replaced(&self, old: &Policy, now: Timestamp) -> Policy {
        Policy { created_at: old.created_at, ..self.made(old.id, old.app, now) }
    }
}

/// `precedence`, from 1.
pub(super) fn precedence(fields: &Fields) -> Result<Option<u32>, ApiError> {
    match fields.read::<u32>("precedence")? {
        Some(0) => Err(fields.refuse("precedence", "precedence counts from 1")),
        place => Ok(place),
    }
}
