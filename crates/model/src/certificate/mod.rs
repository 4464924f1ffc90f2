//! Client certificates: who may issue them, for which hostnames they are asked, what is told about them, and those
//! that the gateway issued itself (access-protocol §7).
//!
//! Nothing here reads X.509: what a certificate says is found out where it is uploaded, and judged where the
//! configuration is compiled.

mod authority;
mod headers;
mod holder;
mod hostname_setting;
mod issued;
mod pem;
mod revocation;
mod selector;
mod serial;

pub use authority::{AuthorityKind, CertificateAuthority};
pub use headers::{
    ClientAuthField, HeaderRules, HeaderSource, InvalidHeaderRule, ManagedTransforms, RuleHeader,
};
pub use holder::CertificateHolder;
pub use hostname_setting::{ForwardedForm, ForwardedRequests, HostnameSetting};
pub use issued::{ClientCertificate, ClientCertificateStatus, IssuedSubject};
pub use pem::{CertificatePem, InvalidPem, blocks as pem_blocks};
pub use revocation::{
    CheckMode, CrlChecks, CrlFailure, CrlSource, OcspChecks, RevocationChecks, StoredCrl,
};
pub use selector::{CertificateQuestion, CertificateSelector};
pub use serial::{InvalidSerial, SerialNumber};
