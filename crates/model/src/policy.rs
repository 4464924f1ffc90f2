//! Policies: a decision and the rules under which it is taken.

use crate::{AppId, GoDuration, PolicyId, RuleSet, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What a matching policy does (access-protocol §9.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// Admits a person who has logged in.
    Allow,
    /// Refuses a person who has logged in.
    Deny,
    /// Takes the gateway out of the way for this request.
    Bypass,
    /// Service Auth: admits without a person, by service token or certificate.
    NonIdentity,
}

impl Decision {
    /// The word in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::Bypass => "bypass",
            Self::NonIdentity => "non_identity",
        }
    }
}

/// A policy, reusable by every application of the account or belonging to one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Policy {
    /// Its id.
    pub id: PolicyId,
    /// The name people read in refusals.
    pub name: String,
    /// What happens when the rules match.
    pub decision: Decision,
    /// When they match.
    #[serde(flatten)]
    pub rules: RuleSet,
    /// Life of a token admitted by this policy; `None` takes the application's.
    #[serde(default)]
    pub session_duration: Option<GoDuration>,
    /// The application it belongs to; `None` for a reusable policy.
    #[serde(default)]
    pub app: Option<AppId>,
    /// Settings that are kept and echoed but change nothing here, such as `purpose_justification_prompt`.
    #[serde(default)]
    pub presentation: Map<String, Value>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}
