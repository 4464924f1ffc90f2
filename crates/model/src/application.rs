//! Applications: what is protected, how its cookies look and which policies decide.

use crate::{
    AppId, AudTag, Destination, GoDuration, HostPattern, IdpId, PolicyId, Timestamp, ZoneId,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// An application type of the contract that is not served (yet).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("application type {0:?} is not supported yet; use self_hosted")]
pub struct UnknownAppKind(pub String);

/// Which kind of application it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum AppKind {
    /// A web application behind this gateway.
    #[default]
    SelfHosted,
}

impl TryFrom<String> for AppKind {
    type Error = UnknownAppKind;
    fn try_from(raw: String) -> Result<Self, UnknownAppKind> {
        match raw.as_str() {
            "self_hosted" => Ok(Self::SelfHosted),
            _ => Err(UnknownAppKind(raw.chars().take(40).collect())),
        }
    }
}

impl From<AppKind> for String {
    fn from(kind: AppKind) -> Self {
        match kind {
            AppKind::SelfHosted => "self_hosted".to_owned(),
        }
    }
}

/// The `SameSite` attribute of the application's cookie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SameSite {
    /// Sent in every context.
    None,
    /// Sent on top-level navigations.
    Lax,
    /// Sent in first-party contexts only.
    Strict,
}

/// How the application's `CF_Authorization` cookie is set (access-protocol §4.3).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "these are the switches of the contract")]
pub struct CookieSettings {
    /// `SameSite`; unset is sent as `none`.
    #[serde(default)]
    pub same_site_cookie_attribute: Option<SameSite>,
    /// `HttpOnly`; on unless switched off (seed 004).
    #[serde(default = "on")]
    pub http_only_cookie_attribute: bool,
    /// Whether a `CF_Binding` cookie must come with the token.
    #[serde(default)]
    pub enable_binding_cookie: bool,
    /// Whether the cookie is limited to the application's path.
    #[serde(default)]
    pub path_cookie_attribute: bool,
    /// Whether the cookies of all hosts are set at login when there are five or fewer (seed 004).
    #[serde(default)]
    pub eager_redirect_cookie_setting: Option<bool>,
    /// Whether a page on one host of the application may get a `Partitioned` cookie for another of its hosts, which
    /// browsers send that block third-party cookies. An extension of ours.
    #[serde(default, skip_serializing_if = "is_off")]
    pub partitioned_cookie_handoff: bool,
}

fn on() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_off(setting: &bool) -> bool {
    !*setting
}

impl Default for CookieSettings {
    fn default() -> Self {
        Self {
            same_site_cookie_attribute: None,
            http_only_cookie_attribute: true,
            enable_binding_cookie: false,
            path_cookie_attribute: false,
            eager_redirect_cookie_setting: None,
            partitioned_cookie_handoff: false,
        }
    }
}

/// How the gateway answers CORS preflights for the application (access-protocol §11.6).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "these are the switches of the contract")]
pub struct CorsHeaders {
    /// Any request header is allowed.
    #[serde(default)]
    pub allow_all_headers: bool,
    /// Any method is allowed.
    #[serde(default)]
    pub allow_all_methods: bool,
    /// Any origin is allowed.
    #[serde(default)]
    pub allow_all_origins: bool,
    /// Cookies may be sent.
    #[serde(default)]
    pub allow_credentials: bool,
    /// Allowed request headers.
    #[serde(default, deserialize_with = "crate::rule::null_as_default")]
    pub allowed_headers: Vec<String>,
    /// Allowed methods.
    #[serde(default, deserialize_with = "crate::rule::null_as_default")]
    pub allowed_methods: Vec<String>,
    /// Allowed origins.
    #[serde(default, deserialize_with = "crate::rule::null_as_default")]
    pub allowed_origins: Vec<String>,
    /// Seconds a browser may remember the answer; -1 to 86,400.
    #[serde(default)]
    pub max_age: Option<i32>,
}

impl CorsHeaders {
    /// Whether pages of `origin`, as browsers write it (`https://app.example.com`), may call the application.
    #[must_use]
    pub fn allows(&self, origin: &[u8]) -> bool {
        let named = |allowed: &String| allowed.as_bytes().eq_ignore_ascii_case(origin);
        self.allows_everybody() || self.allowed_origins.iter().any(named)
    }

    /// Whether pages of every origin may.
    #[must_use]
    pub fn allows_everybody(&self) -> bool {
        self.allow_all_origins || self.allowed_origins.iter().any(|allowed| allowed == "*")
    }
}

/// A policy's place in an application.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyLink {
    /// Which policy.
    pub id: PolicyId,
    /// Its place in the order, from 1.
    pub precedence: u32,
}

/// A protected application.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "these are the switches of the contract")]
pub struct Application {
    /// Its id.
    pub id: AppId,
    /// Its audience tag, the `aud` of tokens minted for it.
    pub aud: AudTag,
    /// The name people see when they log in.
    pub name: String,
    /// The kind.
    #[serde(rename = "type", default)]
    pub kind: AppKind,
    /// Where it lives; the first is its `domain`.
    pub destinations: Vec<Destination>,
    /// Life of its tokens.
    pub session_duration: GoDuration,
    /// Which identity providers may be used; empty means all.
    #[serde(default)]
    pub allowed_idps: Vec<IdpId>,
    /// Skip the choice of provider when there is only one.
    #[serde(default)]
    pub auto_redirect_to_identity: bool,
    /// Cookie settings.
    #[serde(flatten)]
    pub cookie: CookieSettings,
    /// CORS settings.
    #[serde(default)]
    pub cors_headers: Option<CorsHeaders>,
    /// Preflights go to the origin unchecked.
    #[serde(default)]
    pub options_preflight_bypass: bool,
    /// 401 instead of 403 where a Service Auth policy refused.
    #[serde(default)]
    pub service_auth_401_redirect: bool,
    /// Name of the one header that carries both halves of a service token as JSON.
    #[serde(default)]
    pub read_service_tokens_from_header: Option<String>,
    /// Text of the page for people whom the policies refuse.
    #[serde(default)]
    pub custom_deny_message: Option<String>,
    /// Where people whom the policies refuse are sent instead of to a page.
    #[serde(default)]
    pub custom_deny_url: Option<String>,
    /// The same for refusals before a login.
    #[serde(default)]
    pub custom_non_identity_deny_url: Option<String>,
    /// Whether a form that is posted without a session is kept, and sent again after the login. An extension of ours.
    #[serde(default, skip_serializing_if = "is_off")]
    pub replay_post_after_login: bool,
    /// Its policies.
    #[serde(default)]
    pub policies: Vec<PolicyLink>,
    /// Settings that are kept and echoed but change nothing here: `logo_url`, `tags`, `app_launcher_visible` ….
    #[serde(default)]
    pub presentation: Map<String, Value>,
    /// The zone through which it was made, if any.
    #[serde(default)]
    pub zone: Option<ZoneId>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

impl Application {
    /// The first destination as it was written: `domain` of the API, `cf-access-domain` on the wire.
    #[must_use]
    pub fn domain(&self) -> &str {
        self.destinations.first().map_or("", Destination::as_str)
    }

    /// The concrete hosts among the destinations, each once, in order; wildcards are left out.
    pub fn exact_hosts(&self) -> impl Iterator<Item = &crate::Hostname> {
        let hosts = self.destinations.iter().map(|d| &d.host);
        let mut seen = Vec::new();
        hosts.filter_map(HostPattern::exact).filter(move |host| {
            let new = !seen.contains(host);
            seen.push(*host);
            new
        })
    }
}
