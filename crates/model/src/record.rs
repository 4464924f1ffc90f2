//! Access records: one for everything that changes something for a person or a machine (design §3).

use crate::{
    AppId, ClientId, CountryCode, EmailAddress, IdpId, PolicyId, RayId, Timestamp, UnixSeconds,
    UserId,
};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// What was attempted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// A person logged in, or tried to.
    Login,
    /// A person logged out.
    Logout,
    /// A request was refused.
    Request,
    /// A credential was used at an application for the first time.
    FirstUse,
    /// Sessions or tokens were revoked.
    Revoke,
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Admitted.
    Allowed,
    /// Refused.
    Refused,
}

/// One durable record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AccessRecord {
    /// The request it belongs to.
    pub ray_id: RayId,
    /// When.
    pub created_at: Timestamp,
    /// What was attempted.
    pub action: Action,
    /// How it ended.
    pub verdict: Verdict,
    /// Why, in a sentence for the operator; never a secret.
    pub reason: String,
    /// The application.
    #[serde(default)]
    pub app: Option<AppId>,
    /// The application's domain as configured, or the host that was asked for.
    #[serde(default)]
    pub app_domain: String,
    /// The person.
    #[serde(default)]
    pub user: Option<UserId>,
    /// The person's address.
    #[serde(default)]
    pub user_email: Option<EmailAddress>,
    /// The service token.
    #[serde(default)]
    pub service_token: Option<ClientId>,
    /// The identity provider that vouched, or was asked to.
    #[serde(default)]
    pub idp: Option<IdpId>,
    /// Its type; `nonidentity` where nobody logged in.
    #[serde(default)]
    pub connection: String,
    /// The client's address.
    pub ip_address: Option<IpAddr>,
    /// The client's country.
    #[serde(default)]
    pub country: Option<CountryCode>,
    /// The policy that decided.
    #[serde(default)]
    pub policy: Option<PolicyId>,
    /// The rule of it that decided, as JSON text, such as `include[0] {"everyone":{}}`.
    #[serde(default)]
    pub rule: String,
}

impl AccessRecord {
    /// What happened at `at`, in the request `ray`, and why. About whom and where is the caller's to fill in.
    #[must_use]
    pub fn new(
        ray: RayId,
        at: UnixSeconds,
        action: Action,
        verdict: Verdict,
        reason: impl Into<String>,
    ) -> Self {
        Self {
            ray_id: ray,
            created_at: Timestamp(at),
            action,
            verdict,
            reason: reason.into(),
            app: None,
            app_domain: String::new(),
            user: None,
            user_email: None,
            service_token: None,
            idp: None,
            connection: String::new(),
            ip_address: None,
            country: None,
            policy: None,
            rule: String::new(),
        }
    }
}

/// Who asked for what, and what let them: requests admitted again are counted under this key, not recorded.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TrafficKey {
    /// The application.
    pub app: AppId,
    /// `sub` of a person, Client ID of a machine, or empty for a bypass.
    pub caller: String,
    /// The policy that admitted.
    pub policy: Option<PolicyId>,
    /// The network asked from: /24 of an IPv4 address, /48 of an IPv6 address.
    pub network: String,
    /// The country asked from.
    pub country: Option<CountryCode>,
}

/// Requests admitted under one key since the last fold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrafficCount {
    /// Under which circumstances.
    pub key: TrafficKey,
    /// How many.
    pub requests: u64,
    /// The first of them.
    pub first: Timestamp,
    /// The last of them.
    pub last: Timestamp,
}
