//! The names that SAML, XML Signature and XML Encryption give their elements and algorithms.

/// An element's name: namespace and local part, compared as a pair, never by prefix.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Name {
    pub(crate) namespace: &'static str,
    pub(crate) local: &'static str,
}

pub(crate) const PROTOCOL: &str = "urn:oasis:names:tc:SAML:2.0:protocol";
pub(crate) const ASSERTIONS: &str = "urn:oasis:names:tc:SAML:2.0:assertion";
pub(crate) const METADATA: &str = "urn:oasis:names:tc:SAML:2.0:metadata";
pub(crate) const DSIG: &str = "http://www.w3.org/2000/09/xmldsig#";
pub(crate) const XENC: &str = "http://www.w3.org/2001/04/xmlenc#";
pub(crate) const XENC11: &str = "http://www.w3.org/2009/xmlenc11#";

/// Exclusive canonicalisation, and at the same time the namespace of its `InclusiveNamespaces`.
pub(crate) const EXCLUSIVE_C14N: &str = "http://www.w3.org/2001/10/xml-exc-c14n#";
pub(crate) const ENVELOPED: &str = "http://www.w3.org/2000/09/xmldsig#enveloped-signature";
pub(crate) const RSA_SHA256: &str = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256";
pub(crate) const POST_BINDING: &str = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST";
pub(crate) const BEARER: &str = "urn:oasis:names:tc:SAML:2.0:cm:bearer";
pub(crate) const ENTITY_FORMAT: &str = "urn:oasis:names:tc:SAML:2.0:nameid-format:entity";

const fn protocol(local: &'static str) -> Name {
    Name { namespace: PROTOCOL, local }
}

const fn assertion(local: &'static str) -> Name {
    Name { namespace: ASSERTIONS, local }
}

const fn dsig(local: &'static str) -> Name {
    Name { namespace: DSIG, local }
}

const fn xenc(local: &'static str) -> Name {
    Name { namespace: XENC, local }
}

pub(crate) const RESPONSE: Name = protocol("Response");
pub(crate) const STATUS: Name = protocol("Status");
pub(crate) const STATUS_CODE: Name = protocol("StatusCode");
pub(crate) const EXTENSIONS: Name = protocol("Extensions");

pub(crate) const ASSERTION: Name = assertion("Assertion");
pub(crate) const ENCRYPTED_ASSERTION: Name = assertion("EncryptedAssertion");
pub(crate) const ISSUER: Name = assertion("Issuer");
pub(crate) const SUBJECT: Name = assertion("Subject");
pub(crate) const NAME_ID: Name = assertion("NameID");
pub(crate) const SUBJECT_CONFIRMATION: Name = assertion("SubjectConfirmation");
pub(crate) const SUBJECT_CONFIRMATION_DATA: Name = assertion("SubjectConfirmationData");
pub(crate) const CONDITIONS: Name = assertion("Conditions");
pub(crate) const AUDIENCE_RESTRICTION: Name = assertion("AudienceRestriction");
pub(crate) const AUDIENCE: Name = assertion("Audience");
pub(crate) const ONE_TIME_USE: Name = assertion("OneTimeUse");
pub(crate) const PROXY_RESTRICTION: Name = assertion("ProxyRestriction");
pub(crate) const ADVICE: Name = assertion("Advice");
pub(crate) const AUTHN_STATEMENT: Name = assertion("AuthnStatement");
pub(crate) const AUTHN_CONTEXT: Name = assertion("AuthnContext");
pub(crate) const AUTHN_CONTEXT_CLASS: Name = assertion("AuthnContextClassRef");
pub(crate) const ATTRIBUTE_STATEMENT: Name = assertion("AttributeStatement");
pub(crate) const ATTRIBUTE: Name = assertion("Attribute");
pub(crate) const ATTRIBUTE_VALUE: Name = assertion("AttributeValue");

pub(crate) const SIGNATURE: Name = dsig("Signature");
pub(crate) const SIGNED_INFO: Name = dsig("SignedInfo");
pub(crate) const SIGNATURE_VALUE: Name = dsig("SignatureValue");
pub(crate) const KEY_INFO: Name = dsig("KeyInfo");
pub(crate) const CANONICALIZATION_METHOD: Name = dsig("CanonicalizationMethod");
pub(crate) const SIGNATURE_METHOD: Name = dsig("SignatureMethod");
pub(crate) const REFERENCE: Name = dsig("Reference");
pub(crate) const TRANSFORMS: Name = dsig("Transforms");
pub(crate) const TRANSFORM: Name = dsig("Transform");
pub(crate) const DIGEST_METHOD: Name = dsig("DigestMethod");
pub(crate) const DIGEST_VALUE: Name = dsig("DigestValue");
pub(crate) const INCLUSIVE_NAMESPACES: Name =
    Name { namespace: EXCLUSIVE_C14N, local: "InclusiveNamespaces" };

pub(crate) const ENCRYPTED_DATA: Name = xenc("EncryptedData");
pub(crate) const ENCRYPTED_KEY: Name = xenc("EncryptedKey");
pub(crate) const ENCRYPTION_METHOD: Name = xenc("EncryptionMethod");
pub(crate) const CIPHER_DATA: Name = xenc("CipherData");
pub(crate) const CIPHER_VALUE: Name = xenc("CipherValue");
pub(crate) const OAEP_PARAMS: Name = xenc("OAEPparams");
pub(crate) const MASK_GENERATION: Name = Name { namespace: XENC11, local: "MGF" };
