//! What an origin is told about client certificates, hostname by hostname (access-protocol §7.3, §7.6).

use super::HeaderRules;
use crate::WrittenHostname;
use serde::{Deserialize, Serialize};

/// On which requests of a connection the certificate is forwarded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ForwardedRequests {
    /// The first that is proxied on the connection, as seed 000 says.
    #[default]
    First,
    /// Every request.
    Every,
}

/// In which headers the certificate is forwarded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ForwardedForm {
    /// `Cf-Client-Cert-Der-Base64` and `Cf-Client-Cert-Sha256`.
    #[default]
    Cloudflare,
    /// `Client-Cert` and `Client-Cert-Chain` (RFC 9440).
    Rfc9440,
    /// All four.
    Both,
}

impl ForwardedForm {
    /// Whether the two headers of seed 000 are written.
    #[must_use]
    pub fn has_cloudflare(self) -> bool {
        match self {
            Self::Cloudflare | Self::Both => true,
            Self::Rfc9440 => false,
        }
    }

    /// Whether the two headers of RFC 9440 are written.
    #[must_use]
    pub fn has_rfc9440(self) -> bool {
        match self {
            Self::Rfc9440 | Self::Both => true,
            Self::Cloudflare => false,
        }
    }
}

/// The certificate settings of one hostname.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostnameSetting {
    /// The hostname.
    pub hostname: WrittenHostname,
    /// Whether the certificate is forwarded to the origin; a certificate is then asked for.
    pub client_certificate_forwarding: bool,
    /// On which requests (ours, not the contract's).
    #[serde(default)]
    pub forwarded_requests: ForwardedRequests,
    /// In which headers (ours, not the contract's).
    #[serde(default)]
    pub forwarded_form: ForwardedForm,
    /// Headers of requests to the origin that are filled in from the certificate (ours, not the contract's).
    #[serde(default)]
    pub request_headers: HeaderRules,
}
