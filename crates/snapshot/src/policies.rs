//! Compiles groups and policies once, and puts the list of each application together from them.

use crate::{Fault, FaultAt, FaultCode};
use hashbrown::HashMap;
use narthex_model::{Application, Configuration, PolicyId};
use narthex_policy::{CompiledPolicy, Groups, PolicyFault, PolicyFaultKind, PolicyList};
use std::sync::Arc;

/// Every policy of the account, compiled.
pub(crate) struct Policies {
    by_id: HashMap<PolicyId, Arc<CompiledPolicy>>,
}

impl Policies {
    pub(crate) fn compile(configuration: &Configuration) -> Result<Self, Fault> {
        let groups = Groups::compile(&configuration.groups).map_err(fault)?;
        let compiled = configuration.policies.iter().map(|(id, policy)| {
            Ok((*id, Arc::new(CompiledPolicy::compile(policy, &groups).map_err(fault)?)))
        });
        Ok(Self { by_id: compiled.collect::<Result<_, Fault>>()? })
    }

    /// The policies that `app` links to, in the order of their precedence.
    pub(crate) fn list_of(&self, app: &Application) -> PolicyList {
        let mut links: Vec<_> = app.policies.iter().collect();
        links.sort_by_key(|link| link.precedence);
        PolicyList::of(links.iter().filter_map(|link| self.by_id.get(&link.id).cloned()).collect())
    }
}

fn fault(fault: PolicyFault) -> Fault {
    let PolicyFault { policy, group, kind, pointer, message } = fault;
    let object = match (policy, group) {
        (Some(policy), _) => FaultAt::Policy(policy),
        (None, Some(group)) => FaultAt::Group(group),
        (None, None) => FaultAt::Organization,
    };
    let code = match kind {
        PolicyFaultKind::Invalid => FaultCode::Invalid,
        PolicyFaultKind::MissingGroup => FaultCode::Missing,
    };
    Fault { object, pointer, code, message }
}
