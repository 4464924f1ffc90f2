//! Claims on their way into a token.

/// A compact JWS of ours is at most this long, because browsers keep cookies of about 4096 bytes including name
/// and attributes (access-protocol §5.4).
pub const MAX_MINTED_BYTES: usize = 3800;

/// What a [`crate::KeyRing`] can sign. Sealed: the tokens of this crate are all there are.
pub trait Claims: sealed::Claims {}

/// A token, and what did not fit into it.
#[derive(Clone, PartialEq, Eq)]
pub struct Minted {
    /// The compact JWS.
    pub jwt: String,
    /// Names of the `custom` members left out because the token would have been longer than
    /// [`MAX_MINTED_BYTES`], the largest first.
    pub dropped: Vec<String>,
}

pub(crate) mod sealed {
    /// The claims as JSON, in the order of the contract.
    pub trait Claims {
        #[doc(hidden)]
        fn payload(&self, issuer: &str) -> super::Payload;
    }
}

/// Claims as JSON text.
#[doc(hidden)]
#[derive(Debug)]
#[expect(dead_code, reason = "read by the ring, whose body follows")]
pub struct Payload {
    pub(crate) json: Vec<u8>,
    pub(crate) dropped: Vec<String>,
}

macro_rules! later {
    ($($token:ty),*) => { $(
        impl Claims for $token {}
        impl sealed::Claims for $token {
            fn payload(&self, _issuer: &str) -> Payload {
                Payload { json: Vec::new(), dropped: Vec::new() }
            }
        }
    )* };
}
later!(
    crate::PersonToken,
    crate::MachineToken,
    crate::OrgToken,
    crate::MetaToken,
    crate::MatchToken
);
