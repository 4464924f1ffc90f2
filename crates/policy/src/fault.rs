//! What is wrong with a set of policies, and where.

use narthex_model::{GroupId, PolicyId};

/// What kind of mistake it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PolicyFaultKind {
    /// The rules themselves are not allowed.
    Invalid,
    /// They refer to a group that is not there.
    MissingGroup,
}

/// Why policies or groups did not compile.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct PolicyFault {
    /// The policy at fault; `None` when a group is.
    pub policy: Option<PolicyId>,
    /// The group at fault; `None` when a policy is.
    pub group: Option<GroupId>,
    /// The kind of mistake.
    pub kind: PolicyFaultKind,
    /// Where in that object, as a JSON pointer (RFC 6901), such as `/include/0/group/id`.
    pub pointer: String,
    /// What is wrong and what would be right.
    pub message: String,
}

/// A fault before it is known whose rules they are.
#[derive(Debug)]
pub(crate) struct RuleFault {
    pub(crate) kind: PolicyFaultKind,
    pub(crate) pointer: String,
    pub(crate) message: String,
}

impl RuleFault {
    pub(crate) fn invalid(pointer: impl Into<String>, message: impl Into<String>) -> Self {
        let kind = PolicyFaultKind::Invalid;
        Self { kind, pointer: pointer.into(), message: message.into() }
    }

    pub(crate) fn in_group(self, group: GroupId) -> PolicyFault {
        let Self { kind, pointer, message } = self;
        PolicyFault { policy: None, group: Some(group), kind, pointer, message }
    }

    pub(crate) fn in_policy(self, policy: PolicyId) -> PolicyFault {
        let Self { kind, pointer, message } = self;
        PolicyFault { policy: Some(policy), group: None, kind, pointer, message }
    }
}
