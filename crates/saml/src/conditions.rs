//! Whether a proved assertion is meant for this gateway, this browser and this moment (profiles §4.1.4.2 and §4.1.4.3).
//!
//! Every condition must be there: one that is missing is refused like one that is wrong.

use uppsala::dom::NodeId;

use crate::consume::Expectation;
use crate::document::Tree;
use crate::names;
use crate::signature::Proved;
use crate::{Refusal, UnixSeconds};

/// What the conditions leave: how long, by whom, and the statement of authentication.
pub(crate) struct Judged {
    pub(crate) issuer: String,
    /// The earliest end of all; the allowance for clocks is in it.
    pub(crate) not_on_or_after: UnixSeconds,
    pub(crate) authn: Authentication,
}

/// What an `AuthnStatement` says.
pub(crate) struct Authentication {
    pub(crate) instant: UnixSeconds,
    pub(crate) session_index: Option<String>,
    pub(crate) context: Option<String>,
    pub(crate) session_end: Option<UnixSeconds>,
}

/// Judges a proved assertion and the response around it.
///
/// # Errors
/// The first condition that is missing or does not hold.
pub(crate) fn judge(
    proved: &Proved<'_, '_>,
    expected: &Expectation<'_>,
) -> Result<Judged, Refusal> {
    let (tree, assertion) = (proved.tree, proved.assertion);
    let clock = Clock { now: expected.now, skew: i64::from(expected.skew_seconds) };

    let acs = expected.sp.acs_url.as_str();
    if tree.attribute(proved.response, "Destination") != Some(acs) {
        return Err(Refusal::Destination);
    }
    answers(tree, proved.response, expected)?;
    let issuer = issuers(proved, expected)?;
    clock.has_come(instant(tree, assertion, "IssueInstant")?)?;

    let confirmed = confirmation(proved, expected, clock)?;
    let conditions = tree.at_most_one(assertion, names::CONDITIONS)?.ok_or(Refusal::Conditions)?;
    clock.has_come(instant(tree, conditions, "NotBefore")?)?;
    let end = instant(tree, conditions, "NotOnOrAfter")?;
    clock.has_not_passed(end)?;
    audience(tree, conditions, expected)?;
    let authn = authentication(proved, clock)?;

    Ok(Judged { issuer, not_on_or_after: end.min(confirmed).plus(clock.skew), authn })
}

/// The moment, and how far the clocks of both sides may be apart, in seconds.
#[derive(Clone, Copy)]
struct Clock {
    now: UnixSeconds,
    skew: i64,
}

impl Clock {
    fn has_come(self, start: UnixSeconds) -> Result<(), Refusal> {
        if start > self.now.plus(self.skew) { Err(Refusal::NotYetValid) } else { Ok(()) }
    }

    fn has_not_passed(self, end: UnixSeconds) -> Result<(), Refusal> {
        if self.now >= end.plus(self.skew) { Err(Refusal::Expired) } else { Ok(()) }
    }
}

/// A time that must be there.
fn instant(tree: &Tree<'_>, node: NodeId, name: &str) -> Result<UnixSeconds, Refusal> {
    tree.attribute(node, name).and_then(UnixSeconds::read).ok_or(Refusal::Time)
}

/// Whether `InResponseTo` names the request of this browser; where none was sent, it must not be there.
fn answers(tree: &Tree<'_>, node: NodeId, expected: &Expectation<'_>) -> Result<(), Refusal> {
    match (expected.in_response_to, tree.attribute(node, "InResponseTo")) {
        (Some(sent), Some(named)) if sent.as_str() == named => Ok(()),
        (Some(_), Some(_) | None) => Err(Refusal::InResponseTo),
        (None, None) => Ok(()),
        (None, Some(_)) => Err(Refusal::Unsolicited),
    }
}

/// The assertion's issuer, who is also that of the response where it names one.
fn issuers(proved: &Proved<'_, '_>, expected: &Expectation<'_>) -> Result<String, Refusal> {
    let tree = proved.tree;
    let read = |parent| -> Result<Option<String>, Refusal> {
        let Some(issuer) = tree.at_most_one(parent, names::ISSUER)? else { return Ok(None) };
        let entity =
            tree.attribute(issuer, "Format").is_none_or(|format| format == names::ENTITY_FORMAT);
        let text = tree.text(issuer);
        if entity && !text.is_empty() { Ok(Some(text)) } else { Err(Refusal::Issuer) }
    };
    let issuer = read(proved.assertion)?.ok_or(Refusal::Issuer)?;
    let around = read(proved.response)?;
    let configured = expected.idp.entity_id.as_ref().is_none_or(|id| id.as_str() == issuer);
    if configured && around.is_none_or(|around| around == issuer) {
        Ok(issuer)
    } else {
        Err(Refusal::Issuer)
    }
}

/// Until when the subject is confirmed: one confirmation by bearer must hold (profiles §4.1.4.3).
fn confirmation(
    proved: &Proved<'_, '_>,
    expected: &Expectation<'_>,
    clock: Clock,
) -> Result<UnixSeconds, Refusal> {
    let tree = proved.tree;
    let subject = tree.at_most_one(proved.assertion, names::SUBJECT)?.ok_or(Refusal::Subject)?;
    let mut refusal = Refusal::ConfirmationMethod;
    for candidate in tree.named(subject, names::SUBJECT_CONFIRMATION) {
        if tree.attribute(candidate, "Method") != Some(names::BEARER) {
            continue;
        }
        match bearer(tree, candidate, expected, clock) {
            Ok(end) => return Ok(end),
            Err(why) => refusal = why,
        }
    }
    Err(refusal)
}

fn bearer(
    tree: &Tree<'_>,
    confirmation: NodeId,
    expected: &Expectation<'_>,
    clock: Clock,
) -> Result<UnixSeconds, Refusal> {
    let data = tree
        .at_most_one(confirmation, names::SUBJECT_CONFIRMATION_DATA)?
        .ok_or(Refusal::Recipient)?;
    if tree.attribute(data, "Recipient") != Some(expected.sp.acs_url.as_str()) {
        return Err(Refusal::Recipient);
    }
    answers(tree, data, expected)?;
    if tree.attribute(data, "NotBefore").is_some() {
        clock.has_come(instant(tree, data, "NotBefore")?)?;
    }
    let end = instant(tree, data, "NotOnOrAfter")?;
    clock.has_not_passed(end)?;
    Ok(end)
}

/// Every restriction must name this gateway (core §2.5.1.4); a condition that is not understood makes the assertion
/// worthless (core §2.5.1.1).
fn audience(
    tree: &Tree<'_>,
    conditions: NodeId,
    expected: &Expectation<'_>,
) -> Result<(), Refusal> {
    let mut restricted = false;
    for condition in tree.children(conditions) {
        if tree.is(condition, names::AUDIENCE_RESTRICTION) {
            let named = tree
                .named(condition, names::AUDIENCE)
                .into_iter()
                .any(|audience| tree.text(audience) == expected.sp.entity_id.as_str());
            if !named {
                return Err(Refusal::Audience);
            }
            restricted = true;
        } else if !tree.is(condition, names::ONE_TIME_USE)
            && !tree.is(condition, names::PROXY_RESTRICTION)
        {
            return Err(Refusal::Conditions);
        }
    }
    if restricted { Ok(()) } else { Err(Refusal::Audience) }
}

/// The first statement that somebody was authenticated; the session it speaks of must not be over.
fn authentication(proved: &Proved<'_, '_>, clock: Clock) -> Result<Authentication, Refusal> {
    let tree = proved.tree;
    let statements = tree.named(proved.assertion, names::AUTHN_STATEMENT);
    let statement = *statements.first().ok_or(Refusal::NoAuthentication)?;
    let authn_instant = instant(tree, statement, "AuthnInstant")?;
    clock.has_come(authn_instant)?;
    let session_end = match tree.attribute(statement, "SessionNotOnOrAfter") {
        Some(end) => Some(UnixSeconds::read(end).ok_or(Refusal::Time)?),
        None => None,
    };
    if let Some(end) = session_end {
        clock.has_not_passed(end)?;
    }
    let context = match tree.at_most_one(statement, names::AUTHN_CONTEXT)? {
        Some(context) => tree.at_most_one(context, names::AUTHN_CONTEXT_CLASS)?,
        None => None,
    };
    Ok(Authentication {
        instant: authn_instant,
        session_index: tree.attribute(statement, "SessionIndex").map(str::to_owned),
        context: context.map(|class| tree.text(class)),
        session_end,
    })
}
