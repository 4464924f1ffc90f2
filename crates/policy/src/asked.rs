//! A question put to a selector, and what is said about its answer. Below the selectors and all who ask them.

use crate::Facts;
use crate::answer::Answer;
use narthex_model::Decision;

/// The circumstances in which rules are asked.
#[derive(Clone, Copy)]
pub(crate) struct Asked<'a> {
    /// What is known.
    pub(crate) facts: &'a Facts<'a>,
    /// The decision of the policy that asks: `everyone` means something else in each.
    pub(crate) decision: Decision,
    /// The answer for what a login would teach. [`Answer::Unknown`] decides a request; [`Answer::Yes`] asks whether
    /// a login could make the rules hold, [`Answer::No`] whether it could keep them from holding.
    pub(crate) unlearned: Answer,
}

impl Asked<'_> {
    /// The same circumstances on the other side of a "not".
    pub(crate) fn inverted(self) -> Self {
        Self { unlearned: self.unlearned.not(), ..self }
    }
}

/// Whether something is asked for or ruled out; what helps differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    /// The rule should hold and does not.
    Asked,
    /// The rule should not hold and does, or may.
    RuledOut,
}

/// What is said about an answer.
pub(crate) struct Told {
    /// What is known, for the operator: `country is DE`.
    pub(crate) fact: String,
    /// The same for the person: `your connection comes from DE`.
    pub(crate) circumstance: String,
    /// What the person can do.
    pub(crate) remedy: String,
}
