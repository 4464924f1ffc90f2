//! Why an exchange did not end well.

use std::io;

/// Why there is no answer, or not the whole of it. `E` is the error of the request's own body.
#[derive(Debug, thiserror::Error)]
pub enum Fault<E> {
    /// The connection ended before a byte of the answer came. A request without a body that may be repeated can be
    /// sent again over another connection (RFC 9110 §9.2.2).
    #[error("the origin closed the connection before it answered")]
    Closed(#[source] Option<io::Error>),
    /// The answer stopped in the middle.
    #[error("the answer broke off")]
    BrokeOff(#[source] Option<io::Error>),
    /// The answer has no meaning, or two.
    #[error("the answer is not HTTP with one meaning: {0}")]
    Bad(&'static str),
    /// The head, or the trailers, are larger than is taken.
    #[error("the answer's head is larger than {} KiB or has more than {} fields", super::HEAD_BYTES / 1024, super::HEAD_FIELDS)]
    TooBig,
    /// The request's own body failed, or was not as long as it said.
    #[error("the request's body broke off")]
    Upload(#[source] Option<E>),
}

impl<E> Fault<E> {
    /// Whether the connection was given up without a word, as happens when an origin closes one at the moment of
    /// reuse.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        match self {
            Self::Closed(_) => true,
            Self::BrokeOff(_) | Self::Bad(_) | Self::TooBig | Self::Upload(_) => false,
        }
    }
}
