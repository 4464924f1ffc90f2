//! Where the team's keys come from.

use crate::CertsError;
use async_trait::async_trait;

/// Gets the body of `/cdn-cgi/access/certs`.
///
/// Whoever answers here decides who may enter: it must be the team domain, over TLS, or something as well guarded.
/// [`Verifier`](super::Verifier) sees to it that calls do not overlap, come seldom, and end in time; an implementation
/// bounds what it reads ([`crate::MAX_CERTS_BYTES`]) and follows no redirect.
#[async_trait]
pub trait FetchCerts: Send + Sync + 'static {
    /// One attempt. It may be dropped at any point.
    async fn fetch(&self) -> Result<Vec<u8>, FetchError>;
}

/// Why the keys could not be had; written to the log, never shown to whoever asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// The settings do not make a client.
    #[error("the client that fetches keys cannot be built: {0}")]
    Setting(String),
    /// Nobody answered, or not to the end.
    #[error("{0}")]
    Unreachable(String),
    /// Not within [`FETCH_SECONDS`](super::FETCH_SECONDS).
    #[error("there was no whole answer within {} s", super::FETCH_SECONDS)]
    TooSlow,
    /// Something else than 200; a redirect counts as such.
    #[error("the answer was {0} and not 200; is it the team domain that answers?")]
    Status(u16),
    /// The answer is no document with keys.
    #[error(transparent)]
    Certs(#[from] CertsError),
}
