//! Rule groups, each compiled once and shared by all that refer to it.

use crate::PolicyFault;
use narthex_model::{Group, GroupId};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Every group of the account, compiled. Cheap to refer to from any number of policies.
#[derive(Clone, Debug, Default)]
pub struct Groups {}

impl Groups {
    /// Compiles all groups.
    ///
    /// # Errors
    /// [`PolicyFault`] when a group refers to itself, directly or through others, or to a group that does not
    /// exist, or includes nothing.
    pub fn compile(groups: &BTreeMap<GroupId, Arc<Group>>) -> Result<Self, PolicyFault> {
        let _ = groups;
        unimplemented!()
    }
}
