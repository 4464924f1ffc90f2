//! The shape of a response: which element stands where. Decided by place and full name, before any signature is asked.

use std::collections::HashSet;

use uppsala::dom::NodeId;

use crate::document::Tree;
use crate::names::{self, Name};
use crate::{Refusal, Status};

/// A response whose elements stand where SAML has them. Nothing about it is proved yet.
pub(crate) struct Message {
    pub(crate) response: NodeId,
    /// The signature directly below the response.
    pub(crate) response_signature: Option<NodeId>,
    pub(crate) payload: Payload,
}

/// What the response carries.
pub(crate) enum Payload {
    Clear { assertion: NodeId, signature: Option<NodeId> },
    Encrypted(NodeId),
}

impl Message {
    /// Finds the parts of a response.
    ///
    /// # Errors
    /// See the variants of [`Refusal`]; a status other than success is told before anything else is missed.
    pub(crate) fn of(tree: &Tree<'_>) -> Result<Self, Refusal> {
        let response = tree.root();
        if !tree.is(response, names::RESPONSE) || tree.attribute(response, "Version") != Some("2.0")
        {
            return Err(Refusal::NotAResponse);
        }
        identifiers(tree)?;
        status(tree, response)?;
        let payload = payload(tree, response)?;
        let response_signature = signature_of(tree, response)?;
        only(tree, response, &RESPONSE_CHILDREN)?;
        let (payload, signatures) = match payload {
            Found::Clear(assertion) => {
                let signature = signature_of(tree, assertion)?;
                only(tree, assertion, &ASSERTION_CHILDREN)?;
                let found =
                    usize::from(signature.is_some()) + usize::from(response_signature.is_some());
                (Payload::Clear { assertion, signature }, found)
            }
            Found::Encrypted(encrypted) => {
                (Payload::Encrypted(encrypted), usize::from(response_signature.is_some()))
            }
        };
        // A signature anywhere else, by any namespace, is one that some other reader may believe.
        let named = |wanted: &str| {
            tree.elements().iter().filter(|node| tree.local_name(**node) == wanted).count()
        };
        if named("Signature") != signatures {
            return Err(Refusal::SignaturePlace);
        }
        if tree
            .elements()
            .iter()
            .any(|node| tree.namespace(*node) == names::DSIG && tree.local_name(*node) == "Object")
        {
            return Err(Refusal::SignatureShape);
        }
        Ok(Self { response, response_signature, payload })
    }
}

const RESPONSE_CHILDREN: [Name; 6] = [
    names::ISSUER,
    names::SIGNATURE,
    names::EXTENSIONS,
    names::STATUS,
    names::ASSERTION,
    names::ENCRYPTED_ASSERTION,
];

const ASSERTION_CHILDREN: [Name; 7] = [
    names::ISSUER,
    names::SIGNATURE,
    names::SUBJECT,
    names::CONDITIONS,
    names::ADVICE,
    names::AUTHN_STATEMENT,
    names::ATTRIBUTE_STATEMENT,
];

/// Refuses children of other names; the statements may be there several times, the rest once.
fn only(tree: &Tree<'_>, parent: NodeId, allowed: &[Name]) -> Result<(), Refusal> {
    let children = tree.children(parent);
    let known = children.iter().all(|child| allowed.iter().any(|name| tree.is(*child, *name)));
    let repeated = allowed
        .iter()
        .filter(|name| !matches!(name.local, "AuthnStatement" | "AttributeStatement"))
        .any(|name| children.iter().filter(|child| tree.is(**child, *name)).count() > 1);
    if known && !repeated { Ok(()) } else { Err(Refusal::Structure) }
}

/// Identifiers are unique whatever the attribute is called, and those that are referred to are called `ID`.
fn identifiers(tree: &Tree<'_>) -> Result<(), Refusal> {
    let mut seen = HashSet::new();
    for &node in tree.elements() {
        let Some(element) = tree.document().element(node) else { continue };
        let mut own = element.attributes.iter().filter(|attribute| {
            attribute.name.local_name.eq_ignore_ascii_case("id")
                || attribute.name.local_name == "AssertionID"
        });
        let Some(identifier) = own.next() else { continue };
        if own.next().is_some()
            || identifier.name.namespace_uri.is_some()
            || identifier.value.is_empty()
            || !seen.insert(&*identifier.value)
        {
            return Err(Refusal::Identifiers);
        }
    }
    Ok(())
}

fn status(tree: &Tree<'_>, response: NodeId) -> Result<(), Refusal> {
    let status = tree.at_most_one(response, names::STATUS)?.ok_or(Refusal::Structure)?;
    let code = tree.at_most_one(status, names::STATUS_CODE)?.ok_or(Refusal::Structure)?;
    let value = tree.attribute(code, "Value").ok_or(Refusal::Structure)?;
    if value == "urn:oasis:names:tc:SAML:2.0:status:Success" {
        return Ok(());
    }
    // The code below, where there is one, says more than the four of the first level.
    let detail = tree.at_most_one(code, names::STATUS_CODE)?;
    let detail = detail.and_then(|code| tree.attribute(code, "Value")).map(Status::of);
    let said = detail.filter(|status| *status != Status::Other).unwrap_or(Status::of(value));
    Err(Refusal::Status(said))
}

enum Found {
    Clear(NodeId),
    Encrypted(NodeId),
}

/// The one assertion. Any other element of these names, in any namespace and anywhere, is too many.
fn payload(tree: &Tree<'_>, response: NodeId) -> Result<Found, Refusal> {
    let mut found = tree
        .elements()
        .iter()
        .copied()
        .filter(|node| matches!(tree.local_name(*node), "Assertion" | "EncryptedAssertion"));
    let (Some(node), None) = (found.next(), found.next()) else {
        return Err(Refusal::Assertions);
    };
    let responses =
        tree.elements().iter().filter(|node| tree.local_name(**node) == "Response").count();
    if tree.parent(node) != Some(response) || responses != 1 {
        return Err(Refusal::Assertions);
    }
    if tree.is(node, names::ENCRYPTED_ASSERTION) {
        return Ok(Found::Encrypted(node));
    }
    if !tree.is(node, names::ASSERTION) || tree.attribute(node, "Version") != Some("2.0") {
        return Err(Refusal::Assertions);
    }
    if tree.attribute(node, "ID").is_none() {
        return Err(Refusal::Identifiers);
    }
    Ok(Found::Clear(node))
}

/// The signature directly below `parent`, of which there may be one.
fn signature_of(tree: &Tree<'_>, parent: NodeId) -> Result<Option<NodeId>, Refusal> {
    match *tree.named(parent, names::SIGNATURE) {
        [] => Ok(None),
        [only] => Ok(Some(only)),
        [_, _, ..] => Err(Refusal::SignaturePlace),
    }
}
