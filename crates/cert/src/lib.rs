//! Client certificates: what one says, whether it is trusted, and how that is told to an origin.
//!
//! Pure: no I/O and no clock; `now` is an argument. A certificate is read once ([`Certificate`], [`PresentedChain`]) and
//! judged by [`Trust`], which is compiled from one hostname's certificate authorities with their revocation lists. The
//! [`Verdict`] says until when it holds. [`Facts`] are the texts that rules and origins read.

mod authority;
mod certificate;
mod chain;
mod crl;
mod der;
mod facts;
mod hex;
mod issuing;
mod key;
#[cfg(test)]
mod limbo;
mod name;
mod ocsp;
mod profile;
mod reason;
mod rfc9440;
mod serial;
mod serials;
mod signature;
mod trust;
mod verdict;

pub use authority::{Authority, AuthorityFault};
pub use certificate::{Certificate, CertificateFault, MAX_CERTIFICATE_BYTES};
pub use chain::{ChainFault, MAX_CHAIN_BYTES, MAX_CHAIN_CERTIFICATES, PresentedChain};
pub use crl::{CrlFault, DeltaList, MAX_CRL_BYTES, RevocationList, list_digest};
pub use facts::Facts;
pub use issuing::{Issued, IssuingCa, IssuingFault, MAX_VALIDITY_DAYS};
pub use key::KeyKind;
pub use name::Name;
pub use ocsp::{MAX_OCSP_BYTES, OcspAnswer, OcspFault, OcspQuestion, OcspStatus};
pub use reason::Reason;
pub use rfc9440::{HeaderValue, MAX_CHAIN_VALUE, MAX_LEAF_VALUE};
pub use serial::Serial;
pub use trust::{ListRule, Member, OcspRule, RevokedCertificates, Trust, TrustDigest, TrustFault};
pub use verdict::{Inquiry, Trusted, Verdict};
