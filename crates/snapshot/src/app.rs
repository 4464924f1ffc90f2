//! One application as the data path wants it.

use narthex_model::{AppId, Application, AudTag, CanonicalPath, CorsHeaders, Hostname};
use narthex_policy::PolicyList;
use std::sync::Arc;

/// A compiled application.
#[derive(Debug)]
pub struct App {
    /// The application as it was configured.
    pub spec: Arc<Application>,
    /// Its policies in order.
    pub policies: PolicyList,
    has_allow: bool,
    has_service_auth: bool,
}

impl App {
    pub(crate) fn new(spec: Arc<Application>, policies: PolicyList) -> Self {
        let (has_allow, has_service_auth) = (policies.has_allow(), policies.has_service_auth());
        Self { spec, policies, has_allow, has_service_auth }
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> AppId {
        self.spec.id
    }

    /// Its audience tag; as text, the value of `cf-access-aud`.
    #[must_use]
    pub fn aud(&self) -> &AudTag {
        &self.spec.aud
    }

    /// Its first destination as it was written: the value of `cf-access-domain`.
    #[must_use]
    pub fn domain(&self) -> &str {
        self.spec.domain()
    }

    /// How preflights are answered, if the gateway answers them.
    #[must_use]
    pub fn cors(&self) -> Option<&CorsHeaders> {
        self.spec.cors_headers.as_ref()
    }

    /// Whether a person can be let in at all.
    #[must_use]
    pub fn has_allow(&self) -> bool {
        self.has_allow
    }

    /// Whether a machine can be let in.
    #[must_use]
    pub fn has_service_auth(&self) -> bool {
        self.has_service_auth
    }

    /// Life of a token in seconds, by the policy at this place in [`Self::policies`], else by the application.
    /// A duration of zero gives 10 s (access-protocol §10.2).
    #[must_use]
    pub fn session_seconds(&self, policy: Option<usize>) -> i64 {
        let by_policy = policy.and_then(|at| self.policies.policy(at));
        let duration = by_policy.and_then(|p| p.session_duration());
        match duration.unwrap_or(&self.spec.session_duration) {
            zero if zero.is_zero() => 10,
            some => some.seconds().max(1),
        }
    }

    /// `Path` of the application's cookie for a request: `/`, or with `path_cookie_attribute` the literal part of
    /// the destination that the request belongs to (access-protocol §4.3).
    #[must_use]
    pub fn cookie_path(&self, host: &Hostname, path: &CanonicalPath<'_>) -> &str {
        if !self.spec.cookie.path_cookie_attribute {
            return "/";
        }
        let matching = self.spec.destinations.iter().filter(|d| d.matches(host, path));
        matching.max_by_key(|d| d.specificity()).map_or("/", |d| d.path.literal_prefix())
    }
}
