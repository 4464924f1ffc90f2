//! What the data path reads: one of these for the process.

use crate::{OcspAnswers, Revocations, Sessions, Snapshot};
use arc_swap::ArcSwap;
use narthex_cert::{OcspAnswer, OcspQuestion};
use narthex_model::UnixSeconds;
use std::sync::Arc;

/// The configuration in force, the sessions and the revocations.
#[derive(Debug)]
pub struct Live {
    /// The table compiled last.
    pub snapshot: ArcSwap<Snapshot>,
    /// Login sessions in force.
    pub sessions: Sessions,
    /// Revocations in force.
    pub revocations: Revocations,
    /// What OCSP responders said about client certificates.
    pub ocsp: OcspAnswers,
}

impl Live {
    /// Starts with this snapshot, no sessions and no revocations.
    #[must_use]
    pub fn new(snapshot: Snapshot) -> Self {
        let sessions = Sessions::new();
        Self {
            snapshot: ArcSwap::from_pointee(snapshot),
            revocations: Revocations::new(sessions.clone()),
            sessions,
            ocsp: OcspAnswers::default(),
        }
    }

    /// Puts a new snapshot in force; requests under way keep the one they began with. When other client certificates count
    /// than before, that is a revocation too: streams that stay open are asked about at once.
    pub fn publish(&self, snapshot: Snapshot) {
        let snapshot = Arc::new(snapshot);
        let before = self.snapshot.swap(Arc::clone(&snapshot));
        if !snapshot.trusts_as(&before) {
            self.revocations.ring();
        }
    }

    /// Takes what came of a question to an OCSP responder; `None` when it gave no answer that can be believed. When
    /// a certificate is good no longer, that is a revocation: streams that stay open are asked about at once.
    pub fn ocsp_settled(
        &self,
        question: &OcspQuestion,
        answer: Option<OcspAnswer>,
        now: UnixSeconds,
    ) {
        if self.ocsp.settle(question, answer, now) {
            self.revocations.ring();
        }
    }

    /// Forgets sessions and revocations that no token in force can refer to any more. To be called now and then.
    pub fn forget_expired(&self, now: UnixSeconds) {
        self.sessions.forget_expired(now);
        self.revocations.forget_expired(now);
        self.ocsp.forget_expired(now);
    }
}
