//! The outcome of judging a presented chain, and how long it holds.

use crate::{Certificate, OcspQuestion, Reason};
use narthex_model::UnixSeconds;
use std::sync::Arc;

/// What [`Trust::verify`](crate::Trust::verify) found.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// Trusted, or why not.
    pub outcome: Result<Trusted, Reason>,
    /// The last second at which the outcome stands if nothing but time changes: a validity or a list ends, a
    /// certificate's time comes. After it, judge again.
    pub until: UnixSeconds,
    /// The CA that the chain leads to, as its place in the list that the trust was compiled from; none when it leads nowhere.
    pub member: Option<usize>,
    /// The certificate above the leaf: from the path that was built, else by its word from what is at hand.
    pub issuer: Option<Arc<Certificate>>,
    /// What to ask OCSP responders, when the CA's rule is to ask and the chain is otherwise trusted: about the leaf first, if
    /// at all. Judge again with the answers.
    pub ocsp: Box<[Inquiry]>,
}

/// A certificate of a chain that a responder is to be asked about.
#[derive(Clone, Debug)]
pub struct Inquiry {
    /// What to ask.
    pub question: OcspQuestion,
    /// About which certificate; it may name the responder.
    pub certificate: Arc<Certificate>,
    /// The certificate that issued it, which the answer is checked with.
    pub issuer: Arc<Certificate>,
}

/// A chain that leads to a CA of the hostname, in force, for client authentication, not revoked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trusted {
    /// The CA that it leads to, as its place in the list that the trust was compiled from.
    pub member: usize,
}

impl Verdict {
    /// Whether the certificate is trusted at `now`. A verdict whose time is over says no; judge again then.
    #[must_use]
    pub fn is_trusted(&self, now: UnixSeconds) -> bool {
        self.outcome.is_ok() && self.holds(now)
    }

    /// Whether the outcome may still be used at `now`.
    #[must_use]
    pub fn holds(&self, now: UnixSeconds) -> bool {
        now <= self.until
    }

    /// The value of `certVerified`: `SUCCESS` or `FAILED:<reason>` (access-protocol §7.8).
    #[must_use]
    pub fn verified(&self) -> String {
        match &self.outcome {
            Ok(_) => "SUCCESS".into(),
            Err(reason) => format!("FAILED:{reason}"),
        }
    }

    /// Whether it was found revoked.
    #[must_use]
    pub fn is_revoked(&self) -> bool {
        self.outcome == Err(Reason::Revoked)
    }
}
