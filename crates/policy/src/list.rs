//! The policies of one application, in order, and the decision they take (access-protocol §9.3).

use crate::answer::Answer;
use crate::person::is_present;
use crate::{CompiledPolicy, Facts, Groups, PolicyFault};
use narthex_model::{Decision, Group, GroupId, Policy};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Policies in the order in which they are asked.
#[derive(Clone, Debug, Default)]
pub struct PolicyList {
    policies: Box<[Arc<CompiledPolicy>]>,
}

/// By what kind of policy a request was admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Admitted {
    /// The gateway stands aside: no token, no record.
    Bypass,
    /// A machine, by service token, certificate or network.
    ServiceAuth,
    /// A person.
    Allow,
}

/// A request was let in, and by which policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Admission {
    /// By what kind of policy.
    pub how: Admitted,
    /// Its place in the list, for [`PolicyList::policy`].
    pub policy: usize,
}

/// Why a request was not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// The Deny policy at this place matched, or could not be shown not to match.
    DeniedBy(usize),
    /// No policy admitted, and the default is to refuse.
    NothingMatches,
}

/// The decision about a person's request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Let in.
    Admit(Admission),
    /// Kept out.
    Refuse(Refusal),
}

impl PolicyList {
    /// Compiles policies in their order. To compile many lists, compile [`Groups`] and the policies once and put
    /// the lists together with [`PolicyList::of`].
    ///
    /// # Errors
    /// [`PolicyFault`], see [`Groups::compile`] and [`CompiledPolicy::compile`].
    pub fn compile(
        policies: &[Arc<Policy>],
        groups: &BTreeMap<GroupId, Arc<Group>>,
    ) -> Result<Self, PolicyFault> {
        let groups = Groups::compile(groups)?;
        let compiled = policies.iter().map(|p| CompiledPolicy::compile(p, &groups).map(Arc::new));
        Ok(Self::of(compiled.collect::<Result<_, _>>()?))
    }

    /// The list of these policies in this order.
    #[must_use]
    pub fn of(policies: Vec<Arc<CompiledPolicy>>) -> Self {
        Self { policies: policies.into() }
    }

    /// The first Bypass or Service Auth policy that matches, in list order. Who asks does not matter here.
    #[must_use]
    pub fn before_login(&self, facts: &Facts<'_>) -> Option<Admission> {
        self.policies.iter().enumerate().find_map(|(place, policy)| {
            let how = match policy.decision() {
                Decision::Bypass => Admitted::Bypass,
                Decision::NonIdentity => Admitted::ServiceAuth,
                Decision::Allow | Decision::Deny => return None,
            };
            let holds = policy.answer(facts, Answer::Unknown) == Answer::Yes;
            holds.then_some(Admission { how, policy: place })
        })
    }

    /// The first Allow or Deny policy that matches, in list order; a refusal when none does. An Allow policy admits
    /// only somebody who has logged in, whatever its rules ask.
    #[must_use]
    pub fn after_login(&self, facts: &Facts<'_>) -> Outcome {
        for (place, policy) in self.policies.iter().enumerate() {
            match policy.decision() {
                Decision::Allow => {
                    if allows(policy, facts, Answer::Unknown) == Answer::Yes {
                        return Outcome::Admit(Admission { how: Admitted::Allow, policy: place });
                    }
                }
                Decision::Deny => {
                    if policy.answer(facts, Answer::Unknown) != Answer::No {
                        return Outcome::Refuse(Refusal::DeniedBy(place));
                    }
                }
                Decision::Bypass | Decision::NonIdentity => {}
            }
        }
        Outcome::Refuse(Refusal::NothingMatches)
    }

    /// Whether a login could still lead to an admission: some Allow policy could match once more is known of the
    /// person, and no Deny policy before it is certain to match. Facts of the connection stay as they are; an
    /// unknown country stays unknown, since no login tells it (access-protocol §3.1 row 9).
    #[must_use]
    pub fn could_admit(&self, facts: &Facts<'_>) -> bool {
        for policy in &self.policies {
            match policy.decision() {
                Decision::Allow => {
                    if allows(policy, facts, Answer::Yes) == Answer::Yes {
                        return true;
                    }
                }
                Decision::Deny => {
                    if policy.answer(facts, Answer::No) != Answer::No {
                        return false;
                    }
                }
                Decision::Bypass | Decision::NonIdentity => {}
            }
        }
        false
    }

    /// Whether there is an Allow policy at all.
    #[must_use]
    pub fn has_allow(&self) -> bool {
        self.policies.iter().any(|p| p.decision() == Decision::Allow)
    }

    /// Whether there is a Service Auth policy.
    #[must_use]
    pub fn has_service_auth(&self) -> bool {
        self.policies.iter().any(|p| p.decision() == Decision::NonIdentity)
    }

    /// Whether there is a Bypass policy.
    #[must_use]
    pub fn has_bypass(&self) -> bool {
        self.policies.iter().any(|p| p.decision() == Decision::Bypass)
    }

    /// The policy at `index`, as [`Admission`] and [`Refusal`] name it.
    #[must_use]
    pub fn policy(&self, index: usize) -> Option<&Arc<CompiledPolicy>> {
        self.policies.get(index)
    }

    /// All policies in order.
    pub fn policies(&self) -> impl ExactSizeIterator<Item = &Arc<CompiledPolicy>> {
        self.policies.iter()
    }
}

/// Whether an Allow policy admits: its rules hold and somebody has logged in.
pub(crate) fn allows(policy: &CompiledPolicy, facts: &Facts<'_>, unlearned: Answer) -> Answer {
    is_present(policy.asked(facts, unlearned)).min(policy.answer(facts, unlearned))
}
