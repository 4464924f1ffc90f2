//! Certificates as header values: RFC 9440 structured fields, and plain base64.

use crate::{Certificate, PresentedChain};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The largest value of `Client-Cert`, in bytes (access-protocol §7.8).
pub const MAX_LEAF_VALUE: usize = 10 * 1024;

/// The largest value of `Client-Cert-Chain`, in bytes (access-protocol §7.8).
pub const MAX_CHAIN_VALUE: usize = 16 * 1024;

/// A header value, or that it would be too large.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeaderValue {
    /// The value, visible ASCII.
    Value(String),
    /// Larger than its bound; the header is left out.
    TooLarge,
}

impl HeaderValue {
    /// The value; empty when it is too large.
    #[must_use]
    pub fn text(&self) -> &str {
        match self {
            Self::Value(value) => value,
            Self::TooLarge => "",
        }
    }

    fn within(value: String, bound: usize) -> Self {
        if value.len() <= bound { Self::Value(value) } else { Self::TooLarge }
    }
}

impl Certificate {
    /// The DER in standard, padded base64 on one line: `Cf-Client-Cert-Der-Base64` (access-protocol §7.6).
    #[must_use]
    pub fn der_base64(&self) -> String {
        STANDARD.encode(self.der())
    }
}

impl PresentedChain {
    /// The value of `Client-Cert`: the leaf as a byte sequence (RFC 9440 §2.2).
    #[must_use]
    pub fn client_cert(&self) -> HeaderValue {
        HeaderValue::within(byte_sequence(self.leaf()), MAX_LEAF_VALUE)
    }

    /// The value of `Client-Cert-Chain`: what came behind the leaf, in the client's order, as a list of byte sequences
    /// (RFC 9440 §2.3). `None` when the leaf came alone, for then the header is not sent.
    #[must_use]
    pub fn client_cert_chain(&self) -> Option<HeaderValue> {
        if self.others().is_empty() {
            return None;
        }
        let items: Vec<_> = self.others().iter().map(|other| byte_sequence(other)).collect();
        Some(HeaderValue::within(items.join(", "), MAX_CHAIN_VALUE))
    }
}

/// `:base64:` (RFC 8941 §3.3.5)
fn byte_sequence(certificate: &Certificate) -> String {
    format!(":{}:", certificate.der_base64())
}
