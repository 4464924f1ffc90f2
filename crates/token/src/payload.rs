//! Claims on their way into a token.

use crate::header::HEADER_CHARS;
use serde::Serialize;
use std::fmt;

/// A compact JWS of a person is at most this long, because browsers keep cookies of about 4096 bytes including
/// name and attributes (access-protocol §5.4).
pub const MAX_MINTED_BYTES: usize = 3800;

/// Characters of a signature by a key of 2048 bits.
pub(crate) const SIGNATURE_CHARS: usize = 342;

/// What the JSON of a payload may take so that the whole stays within [`MAX_MINTED_BYTES`].
pub(crate) const PAYLOAD_BUDGET: usize =
    (MAX_MINTED_BYTES - HEADER_CHARS - SIGNATURE_CHARS - 2) * 3 / 4;

/// What a [`crate::KeyRing`] can sign. Sealed: the tokens of this crate are all there are.
pub trait Claims: sealed::Claims {}

impl<C: sealed::Claims> Claims for C {}

pub(crate) mod sealed {
    /// The claims as JSON, in the order of the contract.
    pub trait Claims {
        #[doc(hidden)]
        fn payload(&self, issuer: &str) -> super::Payload;
    }
}

/// A token, and what did not fit into it.
#[derive(Clone, PartialEq, Eq)]
pub struct Minted {
    /// The compact JWS.
    pub jwt: String,
    /// Names of the `custom` members left out because the token would have been longer than
    /// [`MAX_MINTED_BYTES`], the largest first. get-identity still has them.
    pub dropped: Vec<String>,
}

impl fmt::Debug for Minted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { jwt: _, dropped } = self;
        f.debug_struct("Minted").field("dropped", dropped).finish_non_exhaustive()
    }
}

/// Claims as JSON text.
#[doc(hidden)]
pub struct Payload {
    pub(crate) json: Vec<u8>,
    pub(crate) dropped: Vec<String>,
}

impl Payload {
    /// Claims that are never too long.
    pub(crate) fn whole(claims: &impl Serialize) -> Self {
        Self { json: json(claims), dropped: Vec::new() }
    }
}

/// Claims as JSON without white space.
pub(crate) fn json(claims: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(claims).expect("texts, numbers and JSON values always have a JSON form")
}
