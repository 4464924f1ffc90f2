//! Why a response was refused: a cause for the log and the audit trail, with nothing of the document's content in it.

/// Why a response was refused. What a stranger gets to see is the caller's one generic page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// More bytes than [`crate::MAX_BYTES`], before or after base64.
    #[error("the response is larger than 1 MiB")]
    TooLarge,
    /// The form field is not base64.
    #[error("the response is not base64")]
    NotBase64,
    /// Not well-formed, not UTF-8, or nested too deeply.
    #[error("the response is not well-formed XML in UTF-8, or is nested more than 64 deep")]
    NotXml,
    /// A document type, a comment or a processing instruction.
    #[error("the response contains a document type, a comment or a processing instruction")]
    Markup,
    /// More than [`crate::MAX_ATTRIBUTES`] in one tag or [`crate::MAX_ELEMENTS`] in all.
    #[error("the response has more than 64 attributes in one tag, or more than 16384 elements")]
    TooMany,
    /// A namespace that is not an absolute URI, on which canonicalisers disagree.
    #[error("the response declares a namespace that is not an absolute URI")]
    RelativeNamespace,
    /// Two elements with one identifier, or identifiers by another attribute than `ID`.
    #[error("identifiers in the response are repeated, mixed or missing")]
    Identifiers,
    /// The root is no `samlp:Response` of SAML 2.0.
    #[error("the document is not a SAML 2.0 response")]
    NotAResponse,
    /// The provider answered with an error of its own.
    #[error("the identity provider answered with the status {0}; its own log says why")]
    Status(Status),
    /// Not exactly one assertion, clear or encrypted, directly below the response.
    #[error("the response does not hold exactly one assertion, directly below its root")]
    Assertions,
    /// An element where the schema has none.
    #[error("an element of the response stands where SAML has no place for it, or is missing")]
    Structure,
    /// Neither the assertion nor the response around it is signed.
    #[error("neither the assertion nor the response is signed; let the identity provider sign")]
    Unsigned,
    /// A signature that is not a direct child of what it signs, or there twice.
    #[error("a signature stands where none belongs")]
    SignaturePlace,
    /// A reference to something else, other transforms than the two of SAML, or an object inside.
    #[error(
        "a signature does not cover just the element it stands in, by the two transforms of SAML"
    )]
    SignatureShape,
    /// SHA-1 where it is not allowed, MD5, HMAC, DSA, or something unknown.
    #[error(
        "a signature is made by an algorithm that is not accepted; use RSA or ECDSA with SHA-256"
    )]
    Algorithm,
    /// None of the configured certificates made the signature, or the content was changed.
    #[error("a signature does not verify with any of the provider's configured certificates")]
    Signature,
    /// The assertion is encrypted and there is no key.
    #[error("the assertion is encrypted, and this provider has no decryption key configured")]
    NoDecryptionKey,
    /// An algorithm of encryption that is not accepted (RSA 1.5, Triple DES, …).
    #[error(
        "the assertion is encrypted in a way that is not accepted; use AES-GCM and RSA-OAEP (SHA-1 or SHA-256 for both hashes)"
    )]
    EncryptionAlgorithm,
    /// Anything between the ciphertext and a proved assertion: deliberately one cause.
    #[error("the encrypted assertion could not be opened and proved")]
    Decryption,
    /// Meant for somebody else, or not said for whom.
    #[error("the response's Destination is missing or not this gateway's callback address")]
    Destination,
    /// From somebody else, or not said from whom.
    #[error("an Issuer is missing or not the provider's configured entity ID")]
    Issuer,
    /// Answers another request, or does not say which.
    #[error("InResponseTo is missing or names another login than the one this browser began")]
    InResponseTo,
    /// Claims to answer a request where none was sent.
    #[error("the response answers a request, and none was sent from this browser")]
    Unsolicited,
    /// No subject, or no plain name in it.
    #[error("the assertion has no subject with a plain NameID")]
    Subject,
    /// No confirmation by bearer.
    #[error("the subject is not confirmed by the bearer method")]
    ConfirmationMethod,
    /// For another address, or not said for which.
    #[error("the confirmation's Recipient is missing or not this gateway's callback address")]
    Recipient,
    /// No audience, or another.
    #[error("the assertion's Audience is missing or not this gateway's entity ID")]
    Audience,
    /// Conditions missing, or of a kind that is not understood.
    #[error("the assertion's conditions are missing, or one of them is not understood")]
    Conditions,
    /// A time that is missing or cannot be read.
    #[error(
        "a time that the assertion must carry (NotBefore, NotOnOrAfter, AuthnInstant) is missing or unreadable"
    )]
    Time,
    /// Used too early.
    #[error("the assertion is not valid yet; compare the clocks of both sides")]
    NotYetValid,
    /// Used too late.
    #[error("the assertion has expired; compare the clocks of both sides")]
    Expired,
    /// No statement that somebody was authenticated.
    #[error("the assertion does not say that anybody was authenticated")]
    NoAuthentication,
}

/// The status codes of SAML that a log can do something with (core §3.2.2.2); anything else is `Other`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// The request was at fault.
    Requester,
    /// The provider was at fault.
    Responder,
    /// The provider speaks another version.
    VersionMismatch,
    /// Nobody could be authenticated.
    AuthnFailed,
    /// The provider has no way to authenticate as was asked.
    NoAuthnContext,
    /// A prompt would have been needed.
    NoPassive,
    /// The provider would not answer this.
    RequestDenied,
    /// The provider cannot answer this.
    RequestUnsupported,
    /// The provider cannot name the person in the format that was asked.
    InvalidNameIdPolicy,
    /// The provider does not know the person.
    UnknownPrincipal,
    /// None of the above.
    Other,
}

impl Status {
    /// The status behind a code's URI.
    pub(crate) fn of(code: &str) -> Self {
        match code.strip_prefix("urn:oasis:names:tc:SAML:2.0:status:") {
            Some("Requester") => Self::Requester,
            Some("Responder") => Self::Responder,
            Some("VersionMismatch") => Self::VersionMismatch,
            Some("AuthnFailed") => Self::AuthnFailed,
            Some("NoAuthnContext") => Self::NoAuthnContext,
            Some("NoPassive") => Self::NoPassive,
            Some("RequestDenied") => Self::RequestDenied,
            Some("RequestUnsupported") => Self::RequestUnsupported,
            Some("InvalidNameIDPolicy") => Self::InvalidNameIdPolicy,
            Some("UnknownPrincipal") => Self::UnknownPrincipal,
            Some(_) | None => Self::Other,
        }
    }
}

impl std::fmt::Display for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Debug::fmt(self, f)
    }
}
