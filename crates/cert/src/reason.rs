//! Why a presented certificate is not trusted.

/// Why a presented certificate is not trusted. The text is OpenSSL's for the same finding, because that is what the
/// documented field `certVerified` holds behind `FAILED:` (access-protocol §7.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// It signed itself and is no CA of the hostname.
    SelfSigned,
    /// Its issuer is no CA of the hostname, and it came without a certificate of that issuer.
    UnverifiedLeaf,
    /// The chain that it came with does not lead to a CA of the hostname.
    UnknownIssuer,
    /// Its time, or that of a CA above it, has not come.
    NotYetValid,
    /// Its time, or that of a CA above it, is over.
    Expired,
    /// Revoked: by a list, by OCSP, or through the API.
    Revoked,
    /// Its CA demands that the status be known, and no list covers it.
    NoList,
    /// The list that covers it is older than its CA's rule allows.
    ListTooOld,
    /// Its CA demands an OCSP answer, and none in force says `good`.
    NoOcspAnswer,
    /// It is not made for client authentication (extended key usage) or for signing (key usage), or it is a CA.
    Purpose,
    /// Signed with SHA-1, MD5 or another algorithm that is not accepted.
    WeakSignature,
    /// A key that is too weak or of a kind that is not accepted.
    WeakKey,
    /// A signature in the chain is wrong.
    BadSignature,
    /// A certificate above it is no CA or may not sign certificates.
    InvalidCa,
    /// Longer than a CA above it, or our own limit, allows.
    PathTooLong,
    /// It holds a name that a CA above it may not certify.
    NameConstraint,
    /// It, or a CA above it, holds a critical extension that nobody here understands.
    CriticalExtension,
    /// It, or a CA above it, does not follow X.509.
    Malformed,
}

impl Reason {
    /// Whether the certificate may be trusted later as it is: its time comes, a list or an answer about it arrives.
    #[must_use]
    pub fn passes_by_itself(self) -> bool {
        match self {
            Self::NotYetValid | Self::NoList | Self::ListTooOld | Self::NoOcspAnswer => true,
            Self::SelfSigned
            | Self::UnverifiedLeaf
            | Self::UnknownIssuer
            | Self::Expired
            | Self::Revoked
            | Self::Purpose
            | Self::WeakSignature
            | Self::WeakKey
            | Self::BadSignature
            | Self::InvalidCa
            | Self::PathTooLong
            | Self::NameConstraint
            | Self::CriticalExtension
            | Self::Malformed => false,
        }
    }

    /// Every reason.
    pub const ALL: [Self; 18] = [
        Self::SelfSigned,
        Self::UnverifiedLeaf,
        Self::UnknownIssuer,
        Self::NotYetValid,
        Self::Expired,
        Self::Revoked,
        Self::NoList,
        Self::ListTooOld,
        Self::NoOcspAnswer,
        Self::Purpose,
        Self::WeakSignature,
        Self::WeakKey,
        Self::BadSignature,
        Self::InvalidCa,
        Self::PathTooLong,
        Self::NameConstraint,
        Self::CriticalExtension,
        Self::Malformed,
    ];

    /// OpenSSL's text (`X509_verify_cert_error_string`). The five documented ones are spelt as documented: "self
    /// signed", where OpenSSL since 3.0 writes "self-signed".
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::SelfSigned => "self signed certificate",
            Self::UnverifiedLeaf => "unable to verify the first certificate",
            Self::UnknownIssuer => "unable to get local issuer certificate",
            Self::NotYetValid => "certificate is not yet valid",
            Self::Expired => "certificate has expired",
            Self::Revoked => "certificate revoked",
            Self::NoList => "unable to get certificate CRL",
            Self::ListTooOld => "CRL has expired",
            Self::NoOcspAnswer => "OCSP verification needed",
            Self::Purpose => "unsuitable certificate purpose",
            Self::WeakSignature => "CA signature digest algorithm too weak",
            Self::WeakKey => "EE certificate key too weak",
            Self::BadSignature => "certificate signature failure",
            Self::InvalidCa => "invalid CA certificate",
            Self::PathTooLong => "path length constraint exceeded",
            Self::NameConstraint => "permitted subtree violation",
            Self::CriticalExtension => "unhandled critical extension",
            Self::Malformed => "unspecified certificate verification error",
        }
    }
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.text())
    }
}
