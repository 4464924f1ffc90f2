//! `include`, `require` and `exclude`, compiled: groups resolved, addresses sorted.

use crate::answer::Answer;
use crate::asked::Asked;
use crate::fault::{PolicyFaultKind, RuleFault};
use crate::person;
use crate::selector;
use narthex_model::{EmailAddress, Group, GroupId, Rule, RuleSet, Selector};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Groups nest at most this deep.
pub(crate) const DEEPEST: usize = 16;

/// Answering one policy asks at most this many rules, those of its groups counted wherever they are used. Addresses
/// in `include` and `exclude` count once per list, however many there are.
pub(crate) const MOST_RULES: usize = 10_000;

/// Every group of the account, compiled. A clone is another handle to the same groups.
#[derive(Clone, Debug, Default)]
pub struct Groups {
    pub(crate) by_id: Arc<BTreeMap<GroupId, Arc<CompiledGroup>>>,
}

/// A group whose rules are ready to be asked.
#[derive(Debug)]
pub(crate) struct CompiledGroup {
    pub(crate) source: Arc<Group>,
    pub(crate) rules: Rules,
}

impl Groups {
    pub(crate) fn get(&self, id: GroupId) -> Option<&Arc<CompiledGroup>> {
        self.by_id.get(&id)
    }
}

/// Rules ready to be asked.
#[derive(Debug)]
pub(crate) struct Rules {
    include: AnyOf,
    require: Box<[Check]>,
    exclude: AnyOf,
    /// How many rules are asked in the worst case.
    weight: usize,
    /// How deep groups nest in these rules; 0 without any.
    depth: usize,
    /// The first rule that asks who somebody is, such as `include[0] {"email":…}`.
    identity: Option<Box<str>>,
}

/// Rules of which one suffices.
#[derive(Debug)]
struct AnyOf {
    /// The e-mail rules, sorted: lists of people are long.
    addresses: Box<[EmailAddress]>,
    others: Box<[Check]>,
}

#[derive(Debug)]
enum Check {
    Fact(Selector),
    Group(Arc<CompiledGroup>),
}

impl Rules {
    /// Compiles `set` against groups that are compiled already.
    pub(crate) fn compile(set: &RuleSet, groups: &Groups) -> Result<Self, RuleFault> {
        if set.include.is_empty() {
            return Err(RuleFault::invalid(
                "/include",
                "include holds no rule, so nobody could match; name at least one, such as {\"everyone\": {}}",
            ));
        }
        let require = checks("require", &set.require, groups)?;
        let (include, exclude) =
            (AnyOf::compile("include", set, groups)?, AnyOf::compile("exclude", set, groups)?);
        let used = || include.others.iter().chain(&require).chain(&exclude.others);
        let weight = used().fold(2, |sum: usize, check| sum.saturating_add(check.weight()));
        let depth = used().map(Check::depth).max().unwrap_or(0);
        let identity = first_about_identity(set, groups).map(Into::into);
        if weight > MOST_RULES {
            return Err(RuleFault::invalid(
                "",
                format!(
                    "with the rules of its groups this is more than {MOST_RULES} rules; use fewer or smaller groups"
                ),
            ));
        }
        Ok(Self { include, require: require.into(), exclude, weight, depth, identity })
    }

    /// Whether the rules hold: some `include`, every `require`, no `exclude` (access-protocol §9.3).
    pub(crate) fn answer(&self, asked: Asked<'_>) -> Answer {
        let mut answer = self.include.answer(asked);
        if answer != Answer::No && !self.require.is_empty() {
            answer = answer.min(Answer::all(self.require.iter().map(|check| check.answer(asked))));
        }
        if answer != Answer::No {
            answer = answer.min(self.exclude.answer(asked.inverted()).not());
        }
        answer
    }

    pub(crate) fn depth(&self) -> usize {
        self.depth
    }

    /// The first rule that asks who somebody is, groups searched.
    pub(crate) fn asks_identity(&self) -> Option<&str> {
        self.identity.as_deref()
    }
}

impl AnyOf {
    fn compile(list: &str, set: &RuleSet, groups: &Groups) -> Result<Self, RuleFault> {
        let rules = if list == "include" { &set.include } else { &set.exclude };
        let mut others = checks(list, rules, groups)?;
        let mut addresses = Vec::new();
        others.retain(|check| match check {
            Check::Fact(Selector::Email(address)) => {
                addresses.push(address.clone());
                false
            }
            Check::Fact(_) | Check::Group(_) => true,
        });
        addresses.sort_unstable();
        addresses.dedup();
        Ok(Self { addresses: addresses.into(), others: others.into() })
    }

    fn answer(&self, asked: Asked<'_>) -> Answer {
        let listed = if self.addresses.is_empty() {
            Answer::No
        } else {
            person::by_address(asked, |known| self.addresses.binary_search(known).is_ok())
        };
        match listed {
            Answer::Yes => Answer::Yes,
            Answer::No | Answer::Unknown => {
                listed.max(Answer::any(self.others.iter().map(|check| check.answer(asked))))
            }
        }
    }
}

impl Check {
    fn answer(&self, asked: Asked<'_>) -> Answer {
        match self {
            Self::Fact(selector) => selector::answer(selector, asked),
            Self::Group(group) => group.rules.answer(asked),
        }
    }

    fn weight(&self) -> usize {
        match self {
            Self::Fact(_) => 1,
            Self::Group(group) => group.rules.weight,
        }
    }

    fn depth(&self) -> usize {
        match self {
            Self::Fact(_) => 0,
            Self::Group(group) => group.rules.depth + 1,
        }
    }
}

fn checks(list: &str, rules: &[Rule], groups: &Groups) -> Result<Vec<Check>, RuleFault> {
    let compiled = rules.iter().enumerate().map(|(at, rule)| {
        let Some(id) = rule.selector().group() else {
            return Ok(Check::Fact(rule.selector().clone()));
        };
        groups.get(id).cloned().map(Check::Group).ok_or_else(|| RuleFault {
            kind: PolicyFaultKind::MissingGroup,
            pointer: format!("/{list}/{at}/group/id"),
            message: format!("there is no group {id}; create it first, or remove this rule"),
        })
    });
    compiled.collect()
}

/// Where the first rule stands that asks who somebody is, and what it says.
fn first_about_identity(set: &RuleSet, groups: &Groups) -> Option<String> {
    let lists = [("include", &set.include), ("require", &set.require), ("exclude", &set.exclude)];
    let rules = lists
        .into_iter()
        .flat_map(|(name, rules)| rules.iter().enumerate().map(move |(at, rule)| (name, at, rule)));
    for (name, at, rule) in rules {
        if let Some(id) = rule.selector().group() {
            let group = groups.get(id)?;
            if let Some(inner) = group.rules.asks_identity() {
                return Some(format!("{name}[{at}], group {:?}: {inner}", group.source.name));
            }
        } else if rule.selector().needs_identity() {
            return Some(format!("{name}[{at}] {rule:?}"));
        }
    }
    None
}
