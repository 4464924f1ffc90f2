//! Why an origin gave no answer that can be passed on.

use crate::body::BodyError;
use crate::carrier::Loss;
use crate::transform::Loop;
use crate::vigil::Cut;
use narthex_http1::Fault;
use std::io;
use std::time::Duration;

/// Why there is no answer from an origin. `Display` is for the operator's log, not for strangers: it names
/// internal addresses.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    /// The ingress rule cannot be obeyed as it is written.
    #[error("the ingress rule for {origin} cannot be obeyed: {reason}")]
    Misconfigured {
        /// The service as configured.
        origin: String,
        /// What to correct.
        reason: String,
    },
    /// The origin's name has no address.
    #[error("the name of {origin} does not resolve")]
    Resolve {
        /// The service as configured.
        origin: String,
        /// What the resolver said.
        source: io::Error,
    },
    /// Nobody listens there, or the network says no.
    #[error("cannot connect to {origin}; is it running?")]
    Connect {
        /// The service as configured.
        origin: String,
        /// What the system said about the last address.
        source: io::Error,
    },
    /// No address of the origin answered a moment ago, and somebody else is trying again.
    #[error("no address of {origin} answered a moment ago; is it running?")]
    Down {
        /// The service as configured.
        origin: String,
        /// When the next attempt is made.
        retry_after: Duration,
    },
    /// The origin's certificate or handshake is not acceptable.
    #[error("TLS with {origin} failed; check its certificate, origin_server_name and ca_pool")]
    Tls {
        /// The service as configured.
        origin: String,
        /// What the TLS library said.
        source: io::Error,
    },
    /// A step took too long.
    #[error("{step} took longer than {limit:?}")]
    Timeout {
        /// Which step.
        step: Step,
        /// Its limit.
        limit: Duration,
    },
    /// The origin closed the connection before it answered.
    #[error("the origin closed the connection before it answered")]
    Closed(#[source] Option<Loss>),
    /// What the origin sent is not an HTTP answer that has one meaning.
    #[error("the origin's answer is not acceptable: {reason}")]
    BadAnswer {
        /// What is wrong with it.
        reason: &'static str,
        /// What the HTTP library said, if it was the one who minded.
        source: Option<Loss>,
    },
    /// The head of the answer is larger than is taken.
    #[error("the head of the origin's answer is larger than {} KiB or has more than {} fields", super::HEAD_BYTES / 1024, super::HEAD_FIELDS)]
    TooBig,
    /// The request's own body failed; the client's half knows what to say to that.
    #[error("the request's body ended early")]
    RequestBody(#[source] BodyError),
    /// The request asks for an upgrade that is not made as its RFC says.
    #[error("not a proper upgrade request: {0}")]
    BadUpgrade(&'static str),
    /// The request runs in a circle.
    #[error(transparent)]
    Loop(#[from] Loop),
    /// The caller was revoked while the origin was being asked.
    #[error("the caller was revoked while the origin was being asked")]
    Revoked,
    /// The client went away.
    #[error("the client went away")]
    Cancelled,
}

/// A step that has a time limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Name, TCP and TLS together.
    Connect,
    /// From the last byte of the request to the first of the answer.
    FirstByte,
}

impl std::fmt::Display for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Connect => "connecting to the origin",
            Self::FirstByte => "the first byte of the origin's answer",
        })
    }
}

impl UpstreamError {
    /// An answer that this program, not the HTTP library, does not accept.
    pub(crate) fn bad_answer(reason: &'static str) -> Self {
        Self::BadAnswer { reason, source: None }
    }

    /// What ended an exchange before its answer began.
    pub(super) fn of_cut(cut: Cut, first_byte: Duration) -> Self {
        match cut {
            Cut::Idle => Self::Timeout { step: Step::FirstByte, limit: first_byte },
            Cut::Revoked => Self::Revoked,
            Cut::Gone => Self::Cancelled,
        }
    }

    /// What came of a request that was sent.
    pub(super) fn of_loss(loss: Loss) -> Self {
        let bad = |reason, loss| Self::BadAnswer { reason, source: Some(loss) };
        match &loss {
            Loss::Line(Fault::TooBig) => Self::TooBig,
            Loss::Line(Fault::Bad(reason)) => bad(reason, loss),
            Loss::Line(Fault::BrokeOff(_)) => bad("it broke off in the middle of its head", loss),
            Loss::Line(Fault::Closed(_) | Fault::Upload(_)) => Self::Closed(Some(loss)),
            Loss::Shared(error) if error.is_parse_too_large() => Self::TooBig,
            Loss::Shared(error) if error.is_parse() => bad("it breaks HTTP's syntax", loss),
            Loss::Shared(error) => {
                let h2 = std::error::Error::source(error).is_some_and(|e| e.is::<h2::Error>());
                if h2 && !super::retry::was_dropped(&loss) {
                    return bad("it broke off in HTTP/2", loss);
                }
                Self::Closed(Some(loss))
            }
        }
    }
}
