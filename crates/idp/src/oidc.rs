//! OpenID Connect, authorization code flow with PKCE (access-protocol §12.2).

use narthex_model::{IdpId, UnixSeconds};
use serde::{Deserialize, Serialize};
use std::fmt;
use url::Url;

/// A login that was begun: where the browser goes, and what must be kept until it returns.
#[derive(Debug)]
pub struct Begun {
    /// The provider's authorization endpoint with our request.
    pub location: Url,
    /// To be kept under the state, never shown.
    pub pending: PendingOidc,
}

/// What is kept of a login between leaving and returning. Keep it sealed or server-side: it holds the PKCE verifier.
#[derive(Clone, Serialize, Deserialize)]
pub struct PendingOidc {
    pub(crate) idp: IdpId,
    pub(crate) nonce: String,
    pub(crate) verifier: String,
    pub(crate) started: UnixSeconds,
}

impl PendingOidc {
    /// The provider that the person was sent to: the only one whose answer finishes this login.
    #[must_use]
    pub fn idp(&self) -> IdpId {
        self.idp
    }
}

impl fmt::Debug for PendingOidc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingOidc").field("idp", &self.idp).finish_non_exhaustive()
    }
}

/// The query of the callback, after the portal has found the login by its `state`. A parameter that stood there twice is
/// the portal's to refuse.
#[derive(Clone, Default)]
pub struct CallbackParams {
    /// `code`.
    pub code: Option<String>,
    /// `iss` (RFC 9207).
    pub iss: Option<String>,
    /// `error`.
    pub error: Option<String>,
    /// `error_description`.
    pub error_description: Option<String>,
}

impl fmt::Debug for CallbackParams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CallbackParams([redacted])")
    }
}
