//! The organization: settings of the whole team.

use crate::{AudTag, GoDuration, TeamDomain, Timestamp, UnixSeconds};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// How the login pages look.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoginDesign {
    /// URL of a logo.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logo_path: Option<String>,
    /// CSS colour `#rgb` or `#rrggbb`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub background_color: Option<String>,
    /// CSS colour `#rgb` or `#rrggbb`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text_color: Option<String>,
    /// Text above the form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header_text: Option<String>,
    /// Text below the form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub footer_text: Option<String>,
}

/// How often signing keys change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRotation {
    /// Days from one key to the next; 21 to 365.
    pub key_rotation_interval_days: u16,
}

impl Default for KeyRotation {
    fn default() -> Self {
        Self { key_rotation_interval_days: 42 }
    }
}

/// What happens to a service token that nobody uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InactivityAction {
    /// It is switched off; it can be switched on again.
    Disable,
    /// It is deleted.
    Delete,
}

/// What happens to service tokens that nobody uses (access-protocol §8.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceTokenInactivity {
    /// Whether anything happens.
    pub enabled: bool,
    /// Days without use after which a token that no policy names counts as unused; 30 to 365.
    pub inactivity_threshold_days: u16,
    /// What happens then.
    pub action: InactivityAction,
}

/// The team and its settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "these are the switches of the contract")]
pub struct Organization {
    /// The team's name.
    pub name: String,
    /// The team domain; fixed by the configuration file.
    pub auth_domain: TeamDomain,
    /// The `aud` of global session tokens.
    pub aud: AudTag,
    /// Life of the global session; `None`: as long as the application's, else 24 h.
    #[serde(default)]
    pub session_duration: Option<GoDuration>,
    /// Skip the choice of provider when there is only one.
    #[serde(default)]
    pub auto_redirect_to_identity: bool,
    /// Refuse hostnames that have an origin and no application. On by default here (design §4).
    #[serde(default = "on")]
    pub deny_unmatched_requests: bool,
    /// Zones exempt from the refusal.
    #[serde(default)]
    pub deny_unmatched_requests_exempted_zone_names: Vec<String>,
    /// Service-token requests get 401 and 403, never a redirect or a cookie (access-protocol §8.4).
    #[serde(default = "on")]
    pub strict_service_token_auth: bool,
    /// What happens to service tokens that nobody uses; `None`: nothing.
    #[serde(default)]
    pub service_token_inactivity: Option<ServiceTokenInactivity>,
    /// How the login pages look.
    #[serde(default)]
    pub login_design: LoginDesign,
    /// The dashboard may not change anything.
    #[serde(default)]
    pub is_ui_read_only: bool,
    /// Signing-key rotation.
    #[serde(default)]
    pub keys: KeyRotation,
    /// Settings that are kept and echoed but change nothing here.
    #[serde(default)]
    pub presentation: Map<String, Value>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

impl Organization {
    /// A team called `name` at `team`, made at `now`, with a tag of its own and every setting at its default.
    #[must_use]
    pub fn new(name: impl Into<String>, team: TeamDomain, now: UnixSeconds) -> Self {
        Self {
            name: name.into(),
            auth_domain: team,
            aud: AudTag::random(),
            session_duration: None,
            auto_redirect_to_identity: false,
            deny_unmatched_requests: on(),
            deny_unmatched_requests_exempted_zone_names: Vec::new(),
            strict_service_token_auth: on(),
            service_token_inactivity: None,
            login_design: LoginDesign::default(),
            is_ui_read_only: false,
            keys: KeyRotation::default(),
            presentation: Map::new(),
            created_at: Timestamp(now),
            updated_at: Timestamp(now),
        }
    }
}

fn on() -> bool {
    true
}
