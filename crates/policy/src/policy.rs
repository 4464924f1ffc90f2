//! One policy, compiled.

use crate::{Groups, PolicyFault};
use narthex_model::{Decision, GoDuration, Policy, PolicyId};
use std::sync::Arc;

/// A policy whose rules are ready to be asked.
#[derive(Debug)]
pub struct CompiledPolicy {
    source: Arc<Policy>,
}

impl CompiledPolicy {
    /// Compiles `policy` against the account's groups.
    ///
    /// # Errors
    /// [`PolicyFault`] when it includes nothing, refers to a missing group, or is a bypass or Service Auth policy
    /// that asks who somebody is, also through a group (access-protocol §9.2).
    pub fn compile(policy: &Arc<Policy>, groups: &Groups) -> Result<Self, PolicyFault> {
        let _ = (policy, groups);
        unimplemented!()
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> PolicyId {
        self.source.id
    }

    /// The name people read.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.source.name
    }

    /// What it does when it matches.
    #[must_use]
    pub fn decision(&self) -> Decision {
        self.source.decision
    }

    /// Life of a token it admits; `None` takes the application's.
    #[must_use]
    pub fn session_duration(&self) -> Option<&GoDuration> {
        self.source.session_duration.as_ref()
    }

    /// The policy as it was written.
    #[must_use]
    pub fn source(&self) -> &Arc<Policy> {
        &self.source
    }
}
