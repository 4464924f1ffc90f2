//! The story of one response, from the form field to an assertion that may log somebody in.

use crate::assertion::{Assertion, attributes, name_id};
use crate::document::{Tree, decode};
use crate::message::{Message, Payload};
use crate::party::{IdentityProvider, ServiceProvider};
use crate::request::RequestId;
use crate::signature::{Envelope, Proved, prove, prove_envelope};
use crate::{Refusal, UnixSeconds, conditions, encryption};

/// What a response must fit.
#[derive(Clone, Copy, Debug)]
pub struct Expectation<'a> {
    /// For whom it must be.
    pub sp: &'a ServiceProvider,
    /// From whom it must be.
    pub idp: &'a IdentityProvider,
    /// The request that this very browser was sent away with. `None` only where logins that begin at the provider are
    /// allowed: then the response must not answer any request.
    pub in_response_to: Option<&'a RequestId>,
    /// The moment.
    pub now: UnixSeconds,
    /// How far the clocks of both sides may be apart, in seconds.
    pub skew_seconds: u8,
}

/// Judges the `SAMLResponse` field of a POST to the callback (profiles §4.1.4).
///
/// The caller binds `in_response_to` to the browser, and uses each assertion **once**: see [`Assertion`]. Nothing is
/// fetched and nothing is kept. A genuine response costs some tens of microseconds, a hostile one of full size some tens
/// of milliseconds: count the tries of an address.
///
/// # Errors
/// The first thing that is wrong. Nothing of a refused response may be used.
pub fn consume(response: &str, expected: &Expectation<'_>) -> Result<Assertion, Refusal> {
    let source = decode(response)?;
    let tree = Tree::parse(&source)?;
    let message = Message::of(&tree)?;
    match message.payload {
        Payload::Clear { .. } => {
            assertion(&prove(&tree, &message, Envelope::Unsigned, expected.idp)?, expected)
        }
        Payload::Encrypted(encrypted) => {
            let envelope = prove_envelope(&tree, &message, expected.idp)?;
            let keys = &expected.sp.decryption_keys;
            let opened = encryption::open(&tree, encrypted, message.response_signature, keys)?;
            // The same road again. Until the content is proved, every fault of it is the one fault of decryption.
            let tree = Tree::parse(&opened).map_err(|_| Refusal::Decryption)?;
            let message = Message::of(&tree).map_err(|_| Refusal::Decryption)?;
            let proved =
                prove(&tree, &message, envelope, expected.idp).map_err(|_| Refusal::Decryption)?;
            assertion(&proved, expected)
        }
    }
}

/// Reads a proved assertion that fits.
fn assertion(proved: &Proved<'_, '_>, expected: &Expectation<'_>) -> Result<Assertion, Refusal> {
    let judged = conditions::judge(proved, expected)?;
    let (name_id, name_id_format) = name_id(proved)?;
    let id = proved.tree.attribute(proved.assertion, "ID").ok_or(Refusal::Identifiers)?;
    Ok(Assertion {
        id: id.to_owned(),
        issuer: judged.issuer,
        name_id,
        name_id_format,
        attributes: attributes(proved)?,
        session_index: judged.authn.session_index,
        authn_instant: judged.authn.instant,
        authn_context: judged.authn.context,
        session_not_on_or_after: judged.authn.session_end,
        not_on_or_after: judged.not_on_or_after,
    })
}
