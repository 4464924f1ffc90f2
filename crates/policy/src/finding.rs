//! The one rule that made a set of rules hold, or kept it from holding.

use crate::answer::Answer;
use crate::asked::{Asked, Wish};
use crate::rules::Groups;
use crate::selector;
use narthex_model::{Rule, RuleSet, Selector};

/// The three lists of a set of rules, from the one whose failing leaves a policy farthest from matching to the
/// nearest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum List {
    Include,
    Exclude,
    Require,
}

impl List {
    fn of(self, set: &RuleSet) -> &[Rule] {
        match self {
            Self::Include => &set.include,
            Self::Exclude => &set.exclude,
            Self::Require => &set.require,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Include => "include",
            Self::Exclude => "exclude",
            Self::Require => "require",
        }
    }
}

/// What decided.
#[derive(Clone)]
pub(crate) struct Finding<'a> {
    /// In which of the lists.
    pub(crate) list: List,
    /// Where it stands and what it says, such as `require[0] {"geo":{"country_code":"US"}}`; the way through groups
    /// is joined by ` > `.
    pub(crate) rule: String,
    /// What it asks.
    pub(crate) selector: &'a Selector,
    /// In which circumstances.
    pub(crate) asked: Asked<'a>,
    /// What would have been better.
    pub(crate) wish: Wish,
}

/// What `rule` says, groups resolved.
fn answer(rule: &Rule, groups: &Groups, asked: Asked<'_>) -> Answer {
    match rule.selector().group() {
        Some(id) => groups.get(id).map_or(Answer::Unknown, |group| group.rules.answer(asked)),
        None => selector::answer(rule.selector(), asked),
    }
}

/// Why `set` holds, or cannot be shown not to. `None` only when nothing is included.
pub(crate) fn why<'a>(
    set: &'a RuleSet,
    groups: &'a Groups,
    asked: Asked<'a>,
) -> Option<Finding<'a>> {
    let doubtful = |rule: &Rule, asked| answer(rule, groups, asked) == Answer::Unknown;
    let inverted = asked.inverted();
    if let Some(at) = set.require.iter().position(|rule| doubtful(rule, asked)) {
        return follow_why(List::Require, at, set, groups, asked);
    }
    if let Some(at) = set.exclude.iter().position(|rule| doubtful(rule, inverted)) {
        return follow_why_not(List::Exclude, at, set, groups, inverted, Wish::RuledOut);
    }
    let best = best_of(&set.include, groups, asked)?;
    follow_why(List::Include, best, set, groups, asked)
}

/// Why `set` does not hold. `None` when it does.
pub(crate) fn why_not<'a>(
    set: &'a RuleSet,
    groups: &'a Groups,
    asked: Asked<'a>,
) -> Option<Finding<'a>> {
    let inverted = asked.inverted();
    let best = best_of(&set.include, groups, asked)?;
    if answer(set.include.get(best)?, groups, asked) != Answer::Yes {
        let found = follow_why_not(List::Include, best, set, groups, asked, Wish::Asked)?;
        let rule = match set.include.len() {
            1 => found.rule,
            many => format!("none of include[0] to include[{}]", many - 1),
        };
        return Some(Finding { rule, ..found });
    }
    let excludes = |rule: &Rule| answer(rule, groups, inverted) != Answer::No;
    if let Some(at) = set.exclude.iter().position(excludes) {
        let found = follow_why(List::Exclude, at, set, groups, inverted)?;
        return Some(Finding { wish: Wish::RuledOut, ..found });
    }
    let at = set.require.iter().position(|rule| answer(rule, groups, asked) != Answer::Yes)?;
    follow_why_not(List::Require, at, set, groups, asked, Wish::Asked)
}

/// The first of the rules with the best answer.
fn best_of(rules: &[Rule], groups: &Groups, asked: Asked<'_>) -> Option<usize> {
    let mut best: Option<(usize, Answer)> = None;
    for (at, rule) in rules.iter().enumerate() {
        let answer = answer(rule, groups, asked);
        if best.is_none_or(|(_, so_far)| answer > so_far) {
            best = Some((at, answer));
        }
    }
    best.map(|(at, _)| at)
}

/// Why a rule holds: itself, or what is decisive in its group.
fn follow_why<'a>(
    list: List,
    at: usize,
    set: &'a RuleSet,
    groups: &'a Groups,
    asked: Asked<'a>,
) -> Option<Finding<'a>> {
    let rule = list.of(set).get(at)?;
    let inner = group_of(rule, groups).and_then(|set| why(set, groups, asked));
    Some(joined((list, at), rule, inner, asked, Wish::RuledOut))
}

/// Why a rule does not hold: itself, or what is decisive in its group.
fn follow_why_not<'a>(
    list: List,
    at: usize,
    set: &'a RuleSet,
    groups: &'a Groups,
    asked: Asked<'a>,
    wish: Wish,
) -> Option<Finding<'a>> {
    let rule = list.of(set).get(at)?;
    let inner = group_of(rule, groups).and_then(|set| why_not(set, groups, asked));
    Some(joined((list, at), rule, inner, asked, wish))
}

fn group_of<'a>(rule: &Rule, groups: &'a Groups) -> Option<&'a RuleSet> {
    groups.get(rule.selector().group()?).map(|group| &group.source.rules)
}

fn joined<'a>(
    (list, at): (List, usize),
    rule: &'a Rule,
    inner: Option<Finding<'a>>,
    asked: Asked<'a>,
    wish: Wish,
) -> Finding<'a> {
    let here = format!("{}[{at}] {rule:?}", list.name());
    match inner {
        Some(inner) => Finding { list, rule: format!("{here} > {}", inner.rule), ..inner },
        None => Finding { list, rule: here, selector: rule.selector(), asked, wish },
    }
}
