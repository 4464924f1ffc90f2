//! Why a token or a key was refused. None of these texts holds a token, a signature or a key.

use narthex_model::{Kid, UnixSeconds};

/// Why a token was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Longer than any token of ours; it was not read.
    #[error("longer than {} bytes; it was not read", crate::MAX_TOKEN_BYTES)]
    TooLarge,
    /// Not a compact JWS with a header and payload of one spelling.
    #[error("not a compact JWS: {0}")]
    Malformed(&'static str),
    /// Another signature algorithm.
    #[error("signed with {alg:?}; only RS256 is accepted")]
    Algorithm {
        /// What the header says, cut to 16 characters.
        alg: String,
    },
    /// No published key has this id. Tokens of retired keys end here.
    #[error("signed by key {kid}, which is not in the key set")]
    UnknownKey {
        /// What the header says.
        kid: Kid,
    },
    /// The key named in the header did not sign this.
    #[error("the signature does not match")]
    Signature,
    /// Its time is over.
    #[error("expired at {exp}, and it is {now} (Unix seconds)")]
    Expired {
        /// From this instant on the token is refused.
        exp: UnixSeconds,
        /// The instant it was judged at.
        now: UnixSeconds,
    },
    /// Issued, or valid from, further in the future than clocks may differ.
    #[error("valid from {from}, and it is {now} (Unix seconds); compare the nodes' clocks")]
    NotYetValid {
        /// The later of `nbf` and `iat`.
        from: UnixSeconds,
        /// The instant it was judged at.
        now: UnixSeconds,
    },
    /// Minted for something else.
    #[error("its audience is another application")]
    Audience,
    /// Minted by another team.
    #[error("its issuer is another team domain")]
    Issuer,
    /// A token of another kind, such as `org` where `app` is needed.
    #[error("it is another kind of token")]
    Type,
    /// A claim is missing or has the wrong JSON type or form.
    #[error("the claim {0:?} is missing or has the wrong form")]
    Claim(&'static str),
}

/// Why a `certs` document was refused; the keys known before stay in use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertsError {
    /// Longer than such a document ever is; it was not read.
    #[error("longer than {} bytes; is it the team domain that answers?", crate::MAX_CERTS_BYTES)]
    TooLarge,
    /// Not JSON with a list of keys.
    #[error("not a JWK set; is it the team domain that answers?")]
    NotAKeySet,
    /// No key of the kind that signs tokens.
    #[error("no RSA key of 2048 bits for RS256 is among the keys")]
    NoKey,
    /// Two keys with one id.
    #[error("two keys have the id {kid}")]
    Duplicate {
        /// The id.
        kid: Kid,
    },
}

/// Why a key or a set of keys was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The private key does not parse, or its parts do not fit together.
    #[error("signing key {kid} is damaged; restore it from a backup, or delete it and rotate")]
    Damaged {
        /// Which key.
        kid: Kid,
    },
    /// The key is not one that we would make.
    #[error("signing key {kid} is not RSA-2048 with the exponent 65537; delete it and rotate")]
    Unsuitable {
        /// Which key.
        kid: Kid,
    },
    /// The certificate does not belong to the key.
    #[error(
        "the certificate kept with signing key {kid} does not hold that key; delete it and rotate"
    )]
    Certificate {
        /// Which key.
        kid: Kid,
    },
    /// Two keys with one id.
    #[error("two signing keys have the id {kid}; delete one of them")]
    Duplicate {
        /// The id.
        kid: Kid,
    },
    /// Nothing to sign with.
    #[error("none of the signing keys is in use yet; generate one that is active now")]
    NoneActive,
}
