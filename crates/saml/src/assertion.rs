//! What is left of a response once it was believed: who, what about them, until when.

use uppsala::dom::NodeId;

use crate::document::Tree;
use crate::names;
use crate::signature::Proved;
use crate::{Refusal, UnixSeconds};

/// What the provider said about a person, proved and judged.
///
/// **Good for one login.** The caller keeps `id` until `not_on_or_after`, for every node and across restarts, and
/// refuses an `id` that it holds already: this crate has no memory.
#[derive(Clone, PartialEq, Eq)]
pub struct Assertion {
    /// The assertion's own name, at most as long as the response.
    pub id: String,
    /// Who the assertion comes from; equal to the configured entity ID where there is one.
    pub issuer: String,
    /// Who the person is, by the provider's name for them; never empty, without white space around it.
    pub name_id: String,
    /// How `name_id` is to be understood (a URI), if the provider says so.
    pub name_id_format: Option<String>,
    /// What else is said, in the document's order. Values of the same name in two elements are not merged: see
    /// [`Assertion::attribute`].
    pub attributes: Vec<Attribute>,
    /// The provider's name for its session with the person.
    pub session_index: Option<String>,
    /// When the person was authenticated.
    pub authn_instant: UnixSeconds,
    /// How the person was authenticated (a URI), if the provider says so.
    pub authn_context: Option<String>,
    /// When the provider wants its session with the person to be over; in the future.
    pub session_not_on_or_after: Option<UnixSeconds>,
    /// From this instant on [`crate::consume`] refuses the assertion as expired; the allowance for clocks is in it.
    pub not_on_or_after: UnixSeconds,
}

/// One attribute of a person.
#[derive(Clone, PartialEq, Eq)]
pub struct Attribute {
    /// Its name, never empty: a URI or a plain word.
    pub name: String,
    /// Its name for people.
    pub friendly_name: Option<String>,
    /// Its values, in order; each is the whole text of its element, without white space around it.
    pub values: Vec<String>,
}

impl Assertion {
    /// The values of the first attribute of this name. A second one of the same name is not heard, so that nobody who
    /// can add attributes at the provider adds to `groups` (let the provider write all values into one attribute).
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&[String]> {
        self.attributes.iter().find(|held| held.name == name).map(|held| &held.values[..])
    }
}

/// Shows that there is something, not what it is.
impl std::fmt::Debug for Assertion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Assertion")
            .field("id", &self.id)
            .field("attributes", &self.attributes.len())
            .field("authn_instant", &self.authn_instant)
            .field("not_on_or_after", &self.not_on_or_after)
            .finish_non_exhaustive()
    }
}

/// Shows how much there is, not what it is.
impl std::fmt::Debug for Attribute {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Attribute").field("values", &self.values.len()).finish_non_exhaustive()
    }
}

/// The person's name and its format, from the subject of a proved assertion.
pub(crate) fn name_id(proved: &Proved<'_, '_>) -> Result<(String, Option<String>), Refusal> {
    let tree = proved.tree;
    let subject = tree.at_most_one(proved.assertion, names::SUBJECT)?.ok_or(Refusal::Subject)?;
    let name = tree.at_most_one(subject, names::NAME_ID)?.ok_or(Refusal::Subject)?;
    let text = tree.text(name);
    if text.is_empty() || !tree.children(name).is_empty() {
        return Err(Refusal::Subject);
    }
    Ok((text, tree.attribute(name, "Format").map(str::to_owned)))
}

/// The attributes of a proved assertion, in order.
pub(crate) fn attributes(proved: &Proved<'_, '_>) -> Result<Vec<Attribute>, Refusal> {
    let tree = proved.tree;
    let mut attributes = Vec::new();
    for statement in tree.named(proved.assertion, names::ATTRIBUTE_STATEMENT) {
        for node in tree.children(statement) {
            attributes.push(attribute(tree, node)?);
        }
    }
    Ok(attributes)
}

fn attribute(tree: &Tree<'_>, node: NodeId) -> Result<Attribute, Refusal> {
    let name = tree.attribute(node, "Name").map(str::trim).filter(|name| !name.is_empty());
    let (true, Some(name)) = (tree.is(node, names::ATTRIBUTE), name) else {
        return Err(Refusal::Structure);
    };
    let values = tree.children(node);
    if !values.iter().all(|value| tree.is(*value, names::ATTRIBUTE_VALUE)) {
        return Err(Refusal::Structure);
    }
    Ok(Attribute {
        name: name.to_owned(),
        friendly_name: tree.attribute(node, "FriendlyName").map(str::to_owned),
        values: values.iter().map(|value| tree.text(*value)).collect(),
    })
}
