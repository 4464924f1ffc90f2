//! Proof that the provider said it. The shape of each signature is fixed first: one reference, to the element it stands
//! in, by the two transforms of SAML, by algorithms from a list. Only then is it verified, with configured keys.

use bergshamra_dsig::verify::verify_all_document_with_source;
use bergshamra_dsig::{DsigContext, VerifyResult};
use bergshamra_keys::KeysManager;
use uppsala::dom::NodeId;

use crate::document::Tree;
use crate::message::{Message, Payload};
use crate::names;
use crate::party::IdentityProvider;
use crate::refusal::Refusal;

/// An assertion that the provider signed, itself or by the response around it. Made by [`prove`] alone, so that no
/// other element can be read.
pub(crate) struct Proved<'t, 's> {
    pub(crate) tree: &'t Tree<'s>,
    pub(crate) response: NodeId,
    pub(crate) assertion: NodeId,
}

/// What was proved about the response before its assertion was decrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Envelope {
    /// The response was signed around the ciphertext, so that its content needs no signature of its own.
    Signed,
    Unsigned,
}

/// Proves the assertion of a clear message.
///
/// # Errors
/// `Unsigned` when neither it nor its envelope is signed; every signature that is there must be valid.
pub(crate) fn prove<'t, 's>(
    tree: &'t Tree<'s>,
    message: &Message,
    envelope: Envelope,
    idp: &IdentityProvider,
) -> Result<Proved<'t, 's>, Refusal> {
    let (assertion, own) = match message.payload {
        Payload::Clear { assertion, signature } => (assertion, signature),
        Payload::Encrypted(_) => return Err(Refusal::Assertions),
    };
    let signatures: Vec<NodeId> = own.into_iter().chain(message.response_signature).collect();
    match (signatures.is_empty(), envelope) {
        (true, Envelope::Unsigned) => return Err(Refusal::Unsigned),
        (true, Envelope::Signed) => {}
        (false, Envelope::Signed | Envelope::Unsigned) => verify(tree, &signatures, idp)?,
    }
    Ok(Proved { tree, response: message.response, assertion })
}

/// Proves the response around an encrypted assertion, if it is signed.
///
/// # Errors
/// When there is a signature and it is not valid.
pub(crate) fn prove_envelope(
    tree: &Tree<'_>,
    message: &Message,
    idp: &IdentityProvider,
) -> Result<Envelope, Refusal> {
    let Some(signature) = message.response_signature else { return Ok(Envelope::Unsigned) };
    verify(tree, &[signature], idp)?;
    Ok(Envelope::Signed)
}

/// Verifies all the signatures of the document, which are exactly those in `expected`, and that each covers its parent.
fn verify(tree: &Tree<'_>, expected: &[NodeId], idp: &IdentityProvider) -> Result<(), Refusal> {
    for &signature in expected {
        shape(tree, signature, idp.allow_sha1)?;
    }
    let mut keys = KeysManager::new();
    keys.add_keys(idp.certificates.iter().map(|certificate| certificate.key().clone()));
    let context = DsigContext::new(keys);
    let results = verify_all_document_with_source(&context, tree.document(), Some(tree.source()))
        .map_err(|_| Refusal::Signature)?;
    if results.len() != expected.len() {
        return Err(Refusal::SignaturePlace);
    }
    // The shape has said already what each signature covers. What the verifier hashed must be the same element.
    for result in results {
        let VerifyResult::Valid { signature_node, references, key_info: _ } = result else {
            return Err(Refusal::Signature);
        };
        let covered = match &references[..] {
            [one] if one.digest_verified => one.resolved_node,
            _ => None,
        };
        if !expected.contains(&signature_node)
            || covered.is_none()
            || covered != tree.parent(signature_node)
        {
            return Err(Refusal::SignatureShape);
        }
    }
    Ok(())
}

/// Demands exactly the elements that SAML's profile of XML Signature has (core §5.4), in their order.
fn shape(tree: &Tree<'_>, signature: NodeId, allow_sha1: bool) -> Result<(), Refusal> {
    let malformed = Refusal::SignatureShape;
    let (info, value) = match *tree.children(signature) {
        [info, value] => (info, value),
        [info, value, key] if tree.is(key, names::KEY_INFO) => (info, value),
        _ => return Err(malformed),
    };
    let [canonicalization, method, reference] = tree.children(info)[..] else {
        return Err(malformed);
    };
    let [transforms, digest, digest_value] = tree.children(reference)[..] else {
        return Err(malformed);
    };
    let [enveloped, exclusive] = tree.children(transforms)[..] else { return Err(malformed) };
    let named = [
        (info, names::SIGNED_INFO),
        (value, names::SIGNATURE_VALUE),
        (canonicalization, names::CANONICALIZATION_METHOD),
        (method, names::SIGNATURE_METHOD),
        (reference, names::REFERENCE),
        (transforms, names::TRANSFORMS),
        (enveloped, names::TRANSFORM),
        (exclusive, names::TRANSFORM),
        (digest, names::DIGEST_METHOD),
        (digest_value, names::DIGEST_VALUE),
    ];
    let algorithm = |node| tree.attribute(node, "Algorithm");
    let empty = |node: NodeId| tree.children(node).is_empty();
    let in_place = named.iter().all(|(node, name)| tree.is(*node, *name))
        && covers_parent(tree, signature, reference)
        && algorithm(enveloped) == Some(names::ENVELOPED)
        && empty(enveloped)
        && is_exclusive(tree, exclusive)
        && is_exclusive(tree, canonicalization)
        && empty(method)
        && empty(digest)
        && tree.is_one_text(value)
        && tree.is_one_text(digest_value);
    if !in_place {
        return Err(malformed);
    }
    let accepted = algorithm(method).is_some_and(|uri| signs(uri, allow_sha1))
        && algorithm(digest).is_some_and(|uri| digests(uri, allow_sha1));
    if accepted { Ok(()) } else { Err(Refusal::Algorithm) }
}

/// Whether the reference names the `ID` of the element that the signature stands in: no empty URI, no XPointer.
fn covers_parent(tree: &Tree<'_>, signature: NodeId, reference: NodeId) -> bool {
    let id = tree.parent(signature).and_then(|parent| tree.attribute(parent, "ID"));
    let named = tree.attribute(reference, "URI").and_then(|uri| uri.strip_prefix('#'));
    id.is_some_and(|id| !id.is_empty() && named == Some(id))
}

/// Prefixes that a signature may have canonicalised inclusively. Every element is compared with each of them.
const MAX_PREFIXES: usize = 16;

/// Exclusive canonicalisation without comments, with at most a short list of inclusive prefixes.
fn is_exclusive(tree: &Tree<'_>, method: NodeId) -> bool {
    tree.attribute(method, "Algorithm") == Some(names::EXCLUSIVE_C14N)
        && match *tree.children(method) {
            [] => true,
            [list] => {
                let prefixes = tree.attribute(list, "PrefixList").unwrap_or_default();
                tree.is(list, names::INCLUSIVE_NAMESPACES)
                    && tree.children(list).is_empty()
                    && prefixes.split_whitespace().count() <= MAX_PREFIXES
            }
            [_, _, ..] => false,
        }
}

fn signs(uri: &str, allow_sha1: bool) -> bool {
    match uri.strip_prefix("http://www.w3.org/2001/04/xmldsig-more#") {
        Some(
            "rsa-sha256" | "rsa-sha384" | "rsa-sha512" | "ecdsa-sha256" | "ecdsa-sha384"
            | "ecdsa-sha512",
        ) => true,
        Some(_) | None => allow_sha1 && uri == "http://www.w3.org/2000/09/xmldsig#rsa-sha1",
    }
}

fn digests(uri: &str, allow_sha1: bool) -> bool {
    match uri {
        "http://www.w3.org/2001/04/xmlenc#sha256"
        | "http://www.w3.org/2001/04/xmldsig-more#sha384"
        | "http://www.w3.org/2001/04/xmlenc#sha512" => true,
        "http://www.w3.org/2000/09/xmldsig#sha1" => allow_sha1,
        _ => false,
    }
}
