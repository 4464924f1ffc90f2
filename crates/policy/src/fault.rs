//! What is wrong with a set of policies, and where.

use narthex_model::{GroupId, PolicyId};

/// Why policies or groups did not compile.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct PolicyFault {
    /// The policy at fault; `None` when a group is.
    pub policy: Option<PolicyId>,
    /// The group at fault; `None` when a policy is.
    pub group: Option<GroupId>,
    /// Where in that object, as a JSON pointer (RFC 6901), such as `/include/0/group/id`.
    pub pointer: String,
    /// What is wrong and what would be right.
    pub message: String,
}
