//! One policy, compiled.

use crate::answer::Answer;
use crate::asked::Asked;
use crate::fault::RuleFault;
use crate::rules::Rules;
use crate::{Facts, Groups, PolicyFault};
use narthex_model::{Decision, GoDuration, Policy, PolicyId};
use std::sync::Arc;

/// A policy whose rules are ready to be asked.
#[derive(Debug)]
pub struct CompiledPolicy {
    source: Arc<Policy>,
    rules: Rules,
    groups: Groups,
}

impl CompiledPolicy {
    /// Compiles `policy` against the account's groups.
    ///
    /// # Errors
    /// [`PolicyFault`] when it includes nothing, refers to a missing group, or is a bypass or Service Auth policy
    /// that asks who somebody is, also through a group (access-protocol §9.2).
    pub fn compile(policy: &Arc<Policy>, groups: &Groups) -> Result<Self, PolicyFault> {
        let in_policy = |fault: RuleFault| fault.in_policy(policy.id);
        let rules = Rules::compile(&policy.rules, groups).map_err(in_policy)?;
        let machine_only = match policy.decision {
            Decision::Bypass | Decision::NonIdentity => true,
            Decision::Allow | Decision::Deny => false,
        };
        if let Some(rule) = rules.asks_identity().filter(|_| machine_only) {
            return Err(in_policy(RuleFault::invalid(
                pointer_to(rule),
                format!(
                    "a {} policy decides before anybody logs in and cannot ask {rule}; remove that rule, or make the \
                     decision allow",
                    policy.decision.as_str()
                ),
            )));
        }
        Ok(Self { source: Arc::clone(policy), rules, groups: groups.clone() })
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

    pub(crate) fn groups(&self) -> &Groups {
        &self.groups
    }

    pub(crate) fn asked<'a>(&self, facts: &'a Facts<'a>, unlearned: Answer) -> Asked<'a> {
        Asked { facts, decision: self.source.decision, unlearned }
    }

    /// Whether the rules hold, where `unlearned` stands for what a login would teach.
    pub(crate) fn answer(&self, facts: &Facts<'_>, unlearned: Answer) -> Answer {
        self.rules.answer(self.asked(facts, unlearned))
    }
}

/// `include[0] …` as a JSON pointer, `/include/0`.
fn pointer_to(rule: &str) -> String {
    let place = rule.split_once(']').map_or("", |(place, _)| place);
    format!("/{}", place.replace('[', "/"))
}
