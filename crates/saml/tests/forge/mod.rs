//! Forges responses, honest and hostile, with throw-away keys.
//!
//! Its documents are written in canonical form (exclusive, without comments) to begin with: what is signed is the text
//! itself, and no canonicaliser, least of all the one under test, has a part in making them.

#![allow(dead_code, reason = "each test binary uses its share")]
#![allow(unreachable_pub, clippy::unwrap_used, reason = "part of the tests")]

use std::sync::LazyLock;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use narthex_saml::{
    Assertion, Certificate, DecryptionKey, Endpoint, EntityId, Expectation, IdentityProvider,
    Refusal, RequestId, ServiceProvider, SigningKey, UnixSeconds, consume,
};
use rcgen::{CertificateParams, KeyPair, PKCS_RSA_SHA256};

pub const ACS: &str = "https://team.example.com/cdn-cgi/access/callback";
pub const IDP: &str = "https://idp.example.net/metadata";
pub const SSO: &str = "https://idp.example.net/sso?tenant=7";
pub const REQUEST: &str = "_request-1";
/// 2026-11-22T21:00:00Z, when the forged assertions are one minute old and good for four more.
pub const NOW: UnixSeconds = UnixSeconds(1_795_381_200);
/// Where [`sign`] puts the signature.
pub const HERE: &str = "@signature@";

/// A key pair with its certificate.
pub struct Signer {
    pkcs8: Vec<u8>,
    pair: RsaKeyPair,
    der: Vec<u8>,
}

impl Signer {
    fn new() -> Self {
        let key = KeyPair::generate_for(&PKCS_RSA_SHA256).unwrap();
        let certificate = CertificateParams::default().self_signed(&key).unwrap();
        let pkcs8 = key.serialize_der();
        let pair = RsaKeyPair::from_pkcs8(&pkcs8).unwrap();
        Self { pkcs8, pair, der: certificate.der().to_vec() }
    }

    pub fn certificate(&self) -> Certificate {
        Certificate::from_der(&self.der).unwrap()
    }

    pub fn base64(&self) -> String {
        STANDARD.encode(&self.der)
    }

    pub fn signing_key(&self) -> SigningKey {
        SigningKey::from_pkcs8(&self.pkcs8).unwrap()
    }

    pub fn decryption_key(&self) -> DecryptionKey {
        DecryptionKey::from_pkcs8(&self.pkcs8).unwrap()
    }

    /// The public key, as `SubjectPublicKeyInfo`.
    pub fn public_key(&self) -> Vec<u8> {
        let der: PublicKeyX509Der<'_> = self.pair.public_key().as_der().unwrap();
        der.as_ref().to_vec()
    }

    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        let mut signature = vec![0; self.pair.public_modulus_len()];
        self.pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature).unwrap();
        signature
    }

    /// What a confused verifier would compute with the public key as a shared secret.
    pub fn hmac(&self, message: &[u8]) -> Vec<u8> {
        hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &self.der), message).as_ref().to_vec()
    }
}

/// The provider's key, which is configured.
pub static PROVIDER: LazyLock<Signer> = LazyLock::new(Signer::new);
/// Somebody else's key, which is not.
pub static STRANGER: LazyLock<Signer> = LazyLock::new(Signer::new);

/// How [`sign`] signs; [`Plan::default`] is the honest way.
pub struct Plan {
    pub signer: &'static Signer,
    pub method: &'static str,
    pub digest: &'static str,
    pub canonicalization: &'static str,
    pub transforms: String,
    /// The reference's URI; that of the element when it is not given.
    pub uri: Option<String>,
    /// What is hashed; the element without its signature when it is not given.
    pub hashed: Option<String>,
    pub hmac: bool,
    /// After the signature's value: `KeyInfo`, `Object`.
    pub rest: String,
    /// A second reference.
    pub more: String,
}

pub const ENVELOPED: &str = r#"<ds:Transform Algorithm="http://www.w3.org/2000/09/xmldsig#enveloped-signature"></ds:Transform>"#;
pub const EXCLUSIVE: &str =
    r#"<ds:Transform Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"></ds:Transform>"#;

impl Default for Plan {
    fn default() -> Self {
        Self {
            signer: &PROVIDER,
            method: "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256",
            digest: "http://www.w3.org/2001/04/xmlenc#sha256",
            canonicalization: "http://www.w3.org/2001/10/xml-exc-c14n#",
            transforms: format!("{ENVELOPED}{EXCLUSIVE}"),
            uri: None,
            hashed: None,
            hmac: false,
            rest: String::new(),
            more: String::new(),
        }
    }
}

/// The value of the first attribute `ID` in `element`.
pub fn id_of(element: &str) -> &str {
    element.split_once(" ID=\"").unwrap().1.split_once('"').unwrap().0
}

/// The signature of `element`, which has [`HERE`] where it will stand.
pub fn signature(element: &str, plan: &Plan) -> String {
    let hashed = plan.hashed.clone().unwrap_or_else(|| element.replace(HERE, ""));
    let uri = plan.uri.clone().unwrap_or_else(|| format!("#{}", id_of(element)));
    let (method, digest_method, c14n) = (plan.method, plan.digest, plan.canonicalization);
    let (transforms, more, rest) = (&plan.transforms, &plan.more, &plan.rest);
    let digest = STANDARD.encode(digest(&SHA256, hashed.as_bytes()));
    let body = format!(
        "<ds:CanonicalizationMethod Algorithm=\"{c14n}\"></ds:CanonicalizationMethod>\
         <ds:SignatureMethod Algorithm=\"{method}\"></ds:SignatureMethod>\
         <ds:Reference URI=\"{uri}\"><ds:Transforms>{transforms}</ds:Transforms>\
         <ds:DigestMethod Algorithm=\"{digest_method}\"></ds:DigestMethod>\
         <ds:DigestValue>{digest}</ds:DigestValue></ds:Reference>{more}</ds:SignedInfo>"
    );
    let dsig = "xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\"";
    let message = format!("<ds:SignedInfo {dsig}>{body}");
    let value = match plan.hmac {
        true => plan.signer.hmac(message.as_bytes()),
        false => plan.signer.sign(message.as_bytes()),
    };
    format!(
        "<ds:Signature {dsig}><ds:SignedInfo>{body}<ds:SignatureValue>{}</ds:SignatureValue>{rest}</ds:Signature>",
        STANDARD.encode(value)
    )
}

/// `element` with its signature.
pub fn sign(element: &str, plan: &Plan) -> String {
    element.replace(HERE, &signature(element, plan))
}

pub const STATEMENT: &str = "<saml:AttributeStatement>\
     <saml:Attribute FriendlyName=\"mail\" Name=\"email\"><saml:AttributeValue>ada@example.com</saml:AttributeValue></saml:Attribute>\
     <saml:Attribute Name=\"groups\"><saml:AttributeValue>staff</saml:AttributeValue><saml:AttributeValue>chess</saml:AttributeValue></saml:Attribute>\
     </saml:AttributeStatement>";

/// An honest assertion, not signed yet.
pub fn assertion() -> String {
    format!(
        "<saml:Assertion xmlns:saml=\"urn:oasis:names:tc:SAML:2.0:assertion\" ID=\"_assertion-1\" IssueInstant=\"2026-11-22T20:59:00Z\" Version=\"2.0\">\
         <saml:Issuer>{IDP}</saml:Issuer>{HERE}\
         <saml:Subject><saml:NameID Format=\"urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress\">ada@example.com</saml:NameID>\
         <saml:SubjectConfirmation Method=\"urn:oasis:names:tc:SAML:2.0:cm:bearer\">\
         <saml:SubjectConfirmationData InResponseTo=\"{REQUEST}\" NotOnOrAfter=\"2026-11-22T21:04:00Z\" Recipient=\"{ACS}\"></saml:SubjectConfirmationData>\
         </saml:SubjectConfirmation></saml:Subject>\
         <saml:Conditions NotBefore=\"2026-11-22T20:59:00Z\" NotOnOrAfter=\"2026-11-22T21:05:00Z\">\
         <saml:AudienceRestriction><saml:Audience>{ACS}</saml:Audience></saml:AudienceRestriction></saml:Conditions>\
         <saml:AuthnStatement AuthnInstant=\"2026-11-22T20:58:00Z\" SessionIndex=\"_session-1\"><saml:AuthnContext>\
         <saml:AuthnContextClassRef>urn:oasis:names:tc:SAML:2.0:ac:classes:Password</saml:AuthnContextClassRef></saml:AuthnContext></saml:AuthnStatement>\
         {STATEMENT}</saml:Assertion>"
    )
}

pub const SUCCESS: &str = "<samlp:Status><samlp:StatusCode Value=\"urn:oasis:names:tc:SAML:2.0:status:Success\"></samlp:StatusCode></samlp:Status>";

/// A response around `payload`, not signed.
pub fn response(payload: &str) -> String {
    format!(
        "<samlp:Response xmlns:samlp=\"urn:oasis:names:tc:SAML:2.0:protocol\" Destination=\"{ACS}\" ID=\"_response-1\" InResponseTo=\"{REQUEST}\" IssueInstant=\"2026-11-22T20:59:00Z\" Version=\"2.0\">\
         <saml:Issuer xmlns:saml=\"urn:oasis:names:tc:SAML:2.0:assertion\">{IDP}</saml:Issuer>{HERE}{SUCCESS}{payload}</samlp:Response>"
    )
}

/// `text` as if nobody had ever meant to sign it.
pub fn unsigned(text: &str) -> String {
    text.replace(HERE, "")
}

/// An honest response whose assertion is signed.
pub fn genuine() -> String {
    unsigned(&response(&sign(&assertion(), &Plan::default())))
}

/// Both sides as they are configured, for a test to change.
pub struct Scene {
    pub sp: ServiceProvider,
    pub idp: IdentityProvider,
    pub in_response_to: Option<RequestId>,
    pub now: UnixSeconds,
}

impl Default for Scene {
    fn default() -> Self {
        Self {
            sp: ServiceProvider {
                entity_id: EntityId::try_from(ACS).unwrap(),
                acs_url: Endpoint::try_from(ACS).unwrap(),
                decryption_keys: Vec::new(),
            },
            idp: IdentityProvider {
                sso_url: Endpoint::try_from(SSO).unwrap(),
                entity_id: Some(EntityId::try_from(IDP).unwrap()),
                certificates: vec![PROVIDER.certificate()],
                allow_sha1: false,
                force_authn: false,
            },
            in_response_to: Some(RequestId::try_from(REQUEST).unwrap()),
            now: NOW,
        }
    }
}

impl Scene {
    /// What is made of `document` here.
    pub fn consume(&self, document: &str) -> Result<Assertion, Refusal> {
        self.consume_field(&STANDARD.encode(document))
    }

    pub fn consume_field(&self, field: &str) -> Result<Assertion, Refusal> {
        let expectation = Expectation {
            sp: &self.sp,
            idp: &self.idp,
            in_response_to: self.in_response_to.as_ref(),
            now: self.now,
            skew_seconds: 30,
        };
        consume(field, &expectation)
    }
}
