//! The one HTTP client for calls to addresses that an administrator typed in.

use std::fmt;
use std::time::Duration;

/// How calls are fenced.
#[derive(Clone)]
pub struct OutboundSettings {
    /// Whether private, loopback and link-local addresses may be called. Off by default.
    pub allow_private: bool,
    /// Certificate authorities trusted besides the system's, each file PEM.
    pub extra_roots_pem: Vec<Vec<u8>>,
    /// Total time of one call, from resolving to the last byte of the answer: 10 s by default.
    pub timeout: Duration,
    /// The longest answer, in bytes: 1 MiB by default.
    pub max_answer: usize,
}

impl Default for OutboundSettings {
    fn default() -> Self {
        Self {
            allow_private: false,
            extra_roots_pem: Vec::new(),
            timeout: Duration::from_secs(10),
            max_answer: 1024 * 1024,
        }
    }
}

/// Why a call failed, or why the client could not be built.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OutboundError {
    /// The settings do not make a client.
    #[error("the HTTP client cannot be built: {0}")]
    Setting(String),
    /// The address is fenced off.
    #[error("{0}")]
    Fenced(String),
    /// No connection, or no whole answer in time.
    #[error("{0}")]
    Unreachable(String),
    /// The answer is larger than allowed, compressed, or not HTTP.
    #[error("{0}")]
    Answer(String),
}

/// A fenced HTTP client: no redirects, bounded answers, bounded time, no private addresses.
#[derive(Clone)]
pub struct OutboundHttp {}

impl OutboundHttp {
    /// Builds the client.
    ///
    /// # Errors
    /// [`OutboundError::Setting`] when a root certificate does not parse or TLS cannot be set up.
    #[expect(clippy::unimplemented, reason = "the interface is published first")]
    pub fn new(_settings: OutboundSettings) -> Result<Self, OutboundError> {
        unimplemented!()
    }
}

impl fmt::Debug for OutboundHttp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OutboundHttp")
    }
}
