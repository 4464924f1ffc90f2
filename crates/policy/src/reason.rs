//! Why a decision was what it was, for the person, the operator and the record.

use crate::answer::Answer;
use crate::asked::Wish;
use crate::connection::is_machine;
use crate::finding::{self, Finding, List};
use crate::list::allows;
use crate::list::{Admission, Outcome, Refusal};
use crate::selector;
use crate::{CompiledPolicy, Facts, Person, PolicyList};
use narthex_model::{Decision, PolicyId, Selector};

/// The reason for a decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// The policy that decided; on a refusal because nothing matched, the one that came nearest.
    pub policy: Option<PolicyId>,
    /// Its name; empty without a policy.
    pub policy_name: String,
    /// The rule that decided, such as `include[0] {"everyone":{}}`, with the way through groups; empty when no rule
    /// did. For the operator and the record: it may name other people.
    pub rule: String,
    /// The fact that the rule was asked about, such as `country is DE`. For the operator and the record.
    pub fact: String,
    /// For the person: what happened and what would help. Names nobody but the person.
    pub sentence: String,
    /// Whether the rule asks who somebody is, so that another login could change the outcome; otherwise it asks
    /// about the connection (access-protocol §3.8: which denial page is shown).
    pub about_identity: bool,
}

impl PolicyList {
    /// Why the decision was what it was. Allocates; for refusals, logins and records.
    ///
    /// `outcome` is what [`Self::before_login`] or [`Self::after_login`] answered for the same facts. Where nobody
    /// has logged in and [`Self::could_admit`] said no, pass `Outcome::Refuse(Refusal::NothingMatches)`.
    #[must_use]
    pub fn explain(&self, facts: &Facts<'_>, outcome: &Outcome) -> Reason {
        match outcome {
            Outcome::Admit(Admission { how: _, policy }) => admitted(self, *policy, facts),
            Outcome::Refuse(Refusal::DeniedBy(policy)) => denied(self, *policy, facts),
            Outcome::Refuse(Refusal::NothingMatches) => nothing_matches(self, facts),
        }
    }
}

/// Why the policy at `place` let the request in.
fn admitted(list: &PolicyList, place: usize, facts: &Facts<'_>) -> Reason {
    let Some(policy) = list.policy(place) else { return no_policy() };
    let asked = policy.asked(facts, Answer::Unknown);
    let found = finding::why(&policy.source().rules, policy.groups(), asked);
    told(policy, found.as_ref(), |circumstance, _| {
        format!("Policy {:?} admits the request: {circumstance}.", policy.name())
    })
}

/// Why the Deny policy at `place` kept the request out.
fn denied(list: &PolicyList, place: usize, facts: &Facts<'_>) -> Reason {
    let Some(policy) = list.policy(place) else { return no_policy() };
    denied_by(policy, facts, Answer::Unknown)
}

fn denied_by(policy: &CompiledPolicy, facts: &Facts<'_>, unlearned: Answer) -> Reason {
    let asked = policy.asked(facts, unlearned);
    let found = finding::why(&policy.source().rules, policy.groups(), asked);
    told(policy, found.as_ref(), |circumstance, remedy| {
        format!("Policy {:?} refuses the request: {circumstance}. {remedy}", policy.name())
    })
}

/// Why no policy let the request in: what kept the nearest one from it.
fn nothing_matches(list: &PolicyList, facts: &Facts<'_>) -> Reason {
    // Before a login the question was whether one could help; say what stands in the way of that.
    let unlearned = match facts.person {
        Person::Anybody | Person::Claims { .. } if !list.could_admit(facts) => Answer::Yes,
        Person::Anybody | Person::Claims { .. } | Person::Nobody | Person::Known(_) => {
            Answer::Unknown
        }
    };
    let Some(policy) = nearest(list, facts, unlearned) else { return no_policy() };
    let sure = |p: &&CompiledPolicy| p.answer(facts, unlearned.not()) != Answer::No;
    let hopeful =
        policy.decision() == Decision::Allow && allows(policy, facts, unlearned) == Answer::Yes;
    let denies = list
        .policies()
        .map(AsRef::as_ref)
        .filter(|p: &&CompiledPolicy| p.decision() == Decision::Deny);
    if let Some(deny) = denies.into_iter().find(sure).filter(|_| hopeful) {
        return denied_by(deny, facts, unlearned.not());
    }
    let asked = policy.asked(facts, unlearned);
    let found = finding::why_not(&policy.source().rules, policy.groups(), asked);
    let nobody_there = Finding {
        list: List::Require,
        rule: String::new(),
        selector: &Selector::Everyone,
        asked,
        wish: Wish::Asked,
    };
    told(policy, Some(&found.unwrap_or(nobody_there)), |circumstance, remedy| {
        format!("Policy {:?} does not admit the request: {circumstance}. {remedy}", policy.name())
    })
}

/// The policy that came nearest to letting the request in: of those meant for this kind of caller, the first whose
/// rules failed last.
fn nearest<'l>(
    list: &'l PolicyList,
    facts: &Facts<'_>,
    unlearned: Answer,
) -> Option<&'l CompiledPolicy> {
    let logged_in = match facts.person {
        Person::Nobody | Person::Anybody => false,
        Person::Claims { .. } | Person::Known(_) => true,
    };
    let machine = !logged_in && is_machine(facts) == Answer::Yes;
    let first = if machine && list.has_service_auth() || !list.has_allow() {
        Decision::NonIdentity
    } else {
        Decision::Allow
    };
    // `None`, the rules hold and only a person is missing, is nearer than any list.
    let failed = |policy: &CompiledPolicy| {
        let asked = policy.asked(facts, unlearned);
        finding::why_not(&policy.source().rules, policy.groups(), asked).map(|found| found.list)
    };
    let mut best: Option<(&CompiledPolicy, Option<List>)> = None;
    for policy in list.policies().filter(|p| p.decision() == first) {
        let now = failed(policy);
        let nearer = |before: Option<List>| before.is_some_and(|b| now.is_none_or(|n| n > b));
        if best.is_none_or(|(_, before)| nearer(before)) {
            best = Some((policy, now));
        }
    }
    let bypass = || list.policies().find(|p| p.decision() == Decision::Bypass).map(AsRef::as_ref);
    best.map(|(policy, _)| policy).or_else(bypass)
}

fn told(
    policy: &CompiledPolicy,
    found: Option<&Finding<'_>>,
    sentence: impl FnOnce(&str, &str) -> String,
) -> Reason {
    let words = found.map(|f| selector::tell(f.selector, f.asked, f.wish));
    let (fact, circumstance, remedy) =
        words.map_or_else(Default::default, |w| (w.fact, w.circumstance, w.remedy));
    Reason {
        policy: Some(policy.id()),
        policy_name: policy.name().to_owned(),
        rule: found.map(|f| f.rule.clone()).unwrap_or_default(),
        fact,
        sentence: sentence(&circumstance, &remedy).trim_end().to_owned(),
        about_identity: found.is_some_and(|f| selector::is_about_identity(f.selector)),
    }
}

fn no_policy() -> Reason {
    Reason {
        policy: None,
        policy_name: String::new(),
        rule: String::new(),
        fact: String::new(),
        sentence:
            "This application has no policy that admits anyone. Ask the administrator to add one."
                .to_owned(),
        about_identity: false,
    }
}
