//! One certificate, read once.

use crate::{KeyKind, Name, Serial, hex};
use aws_lc_rs::digest;
use narthex_model::UnixSeconds;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{
    DistributionPointName, GeneralName, KeyUsage, ParsedExtension, X509Extension,
};
use x509_parser::oid_registry::OID_PKIX_ACCESS_DESCRIPTOR_OCSP;
use x509_parser::prelude::FromDer as _;

/// The largest certificate that is read, in bytes of DER.
pub const MAX_CERTIFICATE_BYTES: usize = 32 * 1024;

/// Names, links and purposes that are kept of one certificate; what lies behind is ignored.
const MAX_NAMES: usize = 256;

/// Octets of a serial number (RFC 5280 §4.1.2.2), without the one that keeps it from being negative. A longer one could not be named in the
/// API to revoke it.
const MAX_SERIAL_OCTETS: usize = 20;

/// A certificate's fields. Reading it says nothing about trust.
#[derive(Clone, PartialEq, Eq)]
pub struct Certificate {
    der: CertificateDer<'static>,
    subject: Name,
    issuer: Name,
    serial: Serial,
    not_before: UnixSeconds,
    not_after: UnixSeconds,
    spki: Box<[u8]>,
    subject_key_id: Option<Box<[u8]>>,
    authority_key_id: Option<Box<[u8]>>,
    dns_names: Box<[Box<str>]>,
    emails: Box<[Box<str>]>,
    uris: Box<[Box<str>]>,
    crl_urls: Box<[Box<str>]>,
    ocsp_urls: Box<[Box<str>]>,
    pub(crate) uses: Uses,
    /// A rule of RFC 5280 that it breaks and that the library which builds paths does not look at.
    pub(crate) flaw: Option<&'static str>,
}

/// What the certificate's extensions let its key do.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Uses {
    pub(crate) is_ca: bool,
    /// `keyUsage` is absent or holds `digitalSignature`.
    pub(crate) signs: bool,
    /// `keyUsage` is absent or holds `keyCertSign`.
    pub(crate) signs_certificates: bool,
    /// `keyUsage` is absent or holds `cRLSign`.
    pub(crate) signs_lists: bool,
    /// `extendedKeyUsage` names `OCSPSigning`.
    pub(crate) signs_ocsp: bool,
}

/// Why a certificate could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificateFault {
    /// Larger than [`MAX_CERTIFICATE_BYTES`].
    #[error("a certificate of {0} bytes is larger than the {MAX_CERTIFICATE_BYTES} that are read")]
    TooLarge(usize),
    /// No PEM block `CERTIFICATE`.
    #[error("no PEM block of the kind CERTIFICATE was found")]
    NotPem,
    /// The DER, or this part of it, does not follow X.509.
    #[error("not an X.509 certificate: its {0} cannot be read")]
    Malformed(&'static str),
}

impl Certificate {
    /// Reads the DER of one certificate.
    ///
    /// # Errors
    /// See [`CertificateFault`]; bytes behind the certificate and an extension that stands twice are faults too.
    pub fn parse(der: &[u8]) -> Result<Self, CertificateFault> {
        use CertificateFault::Malformed;
        if der.len() > MAX_CERTIFICATE_BYTES {
            return Err(CertificateFault::TooLarge(der.len()));
        }
        let (rest, parsed) =
            X509Certificate::from_der(der).map_err(|_| Malformed("outer structure"))?;
        if !rest.is_empty() {
            return Err(Malformed("end"));
        }
        if parsed.raw_serial().is_empty() {
            return Err(Malformed("serial number")); // an INTEGER has an octet (X.690 §8.3.1): no list could name this one
        }
        parsed.extensions_map().map_err(|_| Malformed("list of extensions"))?;
        let found = Extensions::read(parsed.extensions())?;
        let subject = Name::parse(parsed.subject().as_raw()).ok_or(Malformed("subject"))?;
        let nameless = found.uses.is_ca && subject.is_empty();
        let serial = parsed.raw_serial();
        let long = serial.strip_prefix(&[0]).unwrap_or(serial).len() > MAX_SERIAL_OCTETS;
        let flaw = found.flaw.or_else(|| nameless.then_some("it is a CA and has no name"));
        let flaw = flaw.or_else(|| long.then_some("its serial number has more than 20 octets"));
        Ok(Self {
            subject,
            flaw,
            issuer: Name::parse(parsed.issuer().as_raw()).ok_or(Malformed("issuer"))?,
            serial: Serial::new(parsed.raw_serial()),
            not_before: UnixSeconds(parsed.validity().not_before.timestamp()),
            not_after: UnixSeconds(parsed.validity().not_after.timestamp()),
            spki: parsed.public_key().raw.into(),
            subject_key_id: found.subject_key_id,
            authority_key_id: found.authority_key_id,
            dns_names: found.dns_names.into(),
            emails: found.emails.into(),
            uris: found.uris.into(),
            crl_urls: found.crl_urls.into(),
            ocsp_urls: found.ocsp_urls.into(),
            uses: found.uses,
            der: CertificateDer::from(der.to_vec()),
        })
    }

    /// Reads the first PEM block `CERTIFICATE`.
    ///
    /// # Errors
    /// See [`CertificateFault`].
    pub fn from_pem(pem: &str) -> Result<Self, CertificateFault> {
        let der =
            CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|_| CertificateFault::NotPem)?;
        Self::parse(&der)
    }

    /// The DER as it came.
    #[must_use]
    pub fn der(&self) -> &CertificateDer<'static> {
        &self.der
    }

    /// PEM, lines of 64 characters.
    #[must_use]
    pub fn pem(&self) -> String {
        use base64::Engine as _;
        let body = base64::engine::general_purpose::STANDARD.encode(&self.der);
        let mut pem = String::from("-----BEGIN CERTIFICATE-----\n");
        let mut rest = body.as_str();
        while !rest.is_empty() {
            let (line, after) = rest.split_at(rest.len().min(64));
            pem.push_str(line);
            pem.push('\n');
            rest = after;
        }
        pem.push_str("-----END CERTIFICATE-----\n");
        pem
    }

    /// Whom it names.
    #[must_use]
    pub fn subject(&self) -> &Name {
        &self.subject
    }

    /// Who signed it, by its own word.
    #[must_use]
    pub fn issuer(&self) -> &Name {
        &self.issuer
    }

    /// Its number within the issuer.
    #[must_use]
    pub fn serial(&self) -> &Serial {
        &self.serial
    }

    /// The first second of its validity.
    #[must_use]
    pub fn not_before(&self) -> UnixSeconds {
        self.not_before
    }

    /// The last second of its validity.
    #[must_use]
    pub fn not_after(&self) -> UnixSeconds {
        self.not_after
    }

    /// The one common name of the subject; see [`Name::common_name`] for the rule.
    #[must_use]
    pub fn common_name(&self) -> Option<&str> {
        self.subject.common_name()
    }

    /// DNS names of the subject alternative name, as they are written (at most 256, as for the next two).
    #[must_use]
    pub fn dns_names(&self) -> &[Box<str>] {
        &self.dns_names
    }

    /// E-mail addresses of the subject alternative name (`rfc822Name`).
    #[must_use]
    pub fn emails(&self) -> &[Box<str>] {
        &self.emails
    }

    /// URIs of the subject alternative name, a SPIFFE ID for example.
    #[must_use]
    pub fn uris(&self) -> &[Box<str>] {
        &self.uris
    }

    /// Where it says its CA's revocation list is (`cRLDistributionPoints`). Chosen by whoever made the certificate.
    #[must_use]
    pub fn crl_urls(&self) -> &[Box<str>] {
        &self.crl_urls
    }

    /// Where it says its OCSP responder is. Chosen by whoever made the certificate: fetch only behind the fence.
    #[must_use]
    pub fn ocsp_urls(&self) -> &[Box<str>] {
        &self.ocsp_urls
    }

    /// The subject key identifier.
    #[must_use]
    pub fn subject_key_id(&self) -> Option<&[u8]> {
        self.subject_key_id.as_deref()
    }

    /// The issuer's key identifier, by this certificate's own word.
    #[must_use]
    pub fn authority_key_id(&self) -> Option<&[u8]> {
        self.authority_key_id.as_deref()
    }

    /// The SubjectPublicKeyInfo (DER).
    #[must_use]
    pub fn spki(&self) -> &[u8] {
        &self.spki
    }

    /// Kind and strength of the public key.
    #[must_use]
    pub fn key(&self) -> KeyKind {
        KeyKind::of(&self.spki)
    }

    /// Whether `basicConstraints` say that it is a certificate authority.
    #[must_use]
    pub fn is_ca(&self) -> bool {
        self.uses.is_ca
    }

    /// SHA-256 over the DER.
    #[must_use]
    pub fn sha256(&self) -> [u8; 32] {
        sha256(&self.der)
    }

    /// SHA-256 over the public key (SPKI), lower-case hex: what a pin names.
    #[must_use]
    pub fn spki_sha256_hex(&self) -> String {
        hex::lower(&sha256(&self.spki))
    }

    /// SHA-256 fingerprint, lower-case hex.
    #[must_use]
    pub fn sha256_hex(&self) -> String {
        hex::lower(&self.sha256())
    }

    /// SHA-1 fingerprint, lower-case hex. For people and logs that know it by that; it decides nothing.
    #[must_use]
    pub fn sha1_hex(&self) -> String {
        hex::lower(digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, &self.der).as_ref())
    }

    /// MD5 fingerprint, upper-case hex with colons: the `fingerprint` of the API's certificate objects
    /// (access-protocol §7.2). It decides nothing.
    #[must_use]
    pub fn md5_fingerprint(&self) -> String {
        use md5::Digest as _;
        let digest = md5::Md5::digest(&self.der);
        digest.iter().map(|octet| format!("{octet:02X}")).collect::<Vec<_>>().join(":")
    }
}

/// Names and times only: a certificate is long, and logs are read by people.
impl std::fmt::Debug for Certificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Certificate")
            .field("subject", &self.subject)
            .field("issuer", &self.issuer)
            .field("serial", &self.serial)
            .field("not_after", &self.not_after)
            .finish_non_exhaustive()
    }
}

pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut sum = [0; 32];
    sum.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
    sum
}

struct Extensions {
    subject_key_id: Option<Box<[u8]>>,
    authority_key_id: Option<Box<[u8]>>,
    dns_names: Vec<Box<str>>,
    emails: Vec<Box<str>>,
    uris: Vec<Box<str>>,
    crl_urls: Vec<Box<str>>,
    ocsp_urls: Vec<Box<str>>,
    uses: Uses,
    flaw: Option<&'static str>,
}

/// Extensions that may be critical, because the library or we obey them: key usage, alternative name, basic
/// constraints, name constraints, distribution points, extended key usage.
const OBEYED: [&str; 6] =
    ["2.5.29.15", "2.5.29.17", "2.5.29.19", "2.5.29.30", "2.5.29.31", "2.5.29.37"];

impl Extensions {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the library's list of extensions; the rest carry no fact"
    )]
    fn read(extensions: &[X509Extension<'_>]) -> Result<Self, CertificateFault> {
        let mut found = Self {
            subject_key_id: None,
            authority_key_id: None,
            dns_names: Vec::new(),
            emails: Vec::new(),
            uris: Vec::new(),
            crl_urls: Vec::new(),
            ocsp_urls: Vec::new(),
            uses: Uses {
                is_ca: false,
                signs: true,
                signs_certificates: true,
                signs_lists: true,
                signs_ocsp: false,
            },
            flaw: None,
        };
        let (mut constraints, mut usage_of_ca) = (None, false);
        for extension in extensions {
            if extension.critical && !OBEYED.contains(&extension.oid.to_id_string().as_str()) {
                found.flaw = Some("it holds a critical extension that is not understood here");
            }
            match extension.parsed_extension() {
                ParsedExtension::ParseError { .. } => {
                    return Err(CertificateFault::Malformed("list of extensions"));
                }
                ParsedExtension::SubjectKeyIdentifier(id) => {
                    found.subject_key_id = Some(id.0.into());
                }
                ParsedExtension::AuthorityKeyIdentifier(id) => {
                    found.authority_key_id = id.key_identifier.as_ref().map(|id| id.0.into());
                }
                ParsedExtension::SubjectAlternativeName(names) => {
                    for name in names.general_names.iter().take(MAX_NAMES) {
                        match name {
                            GeneralName::DNSName(name) => found.dns_names.push((*name).into()),
                            GeneralName::RFC822Name(name) => found.emails.push((*name).into()),
                            GeneralName::URI(name) => found.uris.push((*name).into()),
                            _ => {}
                        }
                    }
                }
                ParsedExtension::NameConstraints(names) => {
                    let empty = |trees: &Option<Vec<_>>| trees.as_ref().is_none_or(Vec::is_empty);
                    constraints =
                        Some(empty(&names.permitted_subtrees) && empty(&names.excluded_subtrees));
                }
                ParsedExtension::BasicConstraints(basic) => found.uses.is_ca = basic.ca,
                ParsedExtension::KeyUsage(usage) => {
                    usage_of_ca = usage.key_cert_sign();
                    found.uses.set(usage);
                }
                // RFC 5280 §6.1 demands that they be processed, whether or not the issuer marked them as critical.
                ParsedExtension::PolicyConstraints(_) => {
                    found.flaw = Some("it holds policy constraints, which are not evaluated here");
                }
                ParsedExtension::ExtendedKeyUsage(usage) => {
                    found.uses.signs_ocsp = usage.ocsp_signing;
                }
                ParsedExtension::CRLDistributionPoints(points) => {
                    let names = points.iter().filter_map(|point| point.distribution_point.as_ref());
                    found.crl_urls.extend(names.flat_map(point_urls).take(MAX_NAMES));
                }
                ParsedExtension::AuthorityInfoAccess(access) => {
                    let ocsp = access
                        .iter()
                        .filter(|entry| entry.access_method == OID_PKIX_ACCESS_DESCRIPTOR_OCSP);
                    let urls = ocsp.filter_map(|entry| url(&entry.access_location));
                    found.ocsp_urls.extend(urls.take(MAX_NAMES));
                }
                _ => {}
            }
        }
        if usage_of_ca && !found.uses.is_ca {
            found.flaw = Some("it is no CA and its key usage holds keyCertSign"); // RFC 5280 §4.2.1.9
        }
        match constraints {
            None => {}
            Some(_) if !found.uses.is_ca => {
                found.flaw = Some("it holds name constraints and is no CA");
            }
            Some(true) => found.flaw = Some("its name constraints constrain nothing"),
            Some(false) => {}
        }
        Ok(found)
    }
}

impl Uses {
    fn set(&mut self, usage: &KeyUsage) {
        self.signs = usage.digital_signature();
        self.signs_certificates = usage.key_cert_sign();
        self.signs_lists = usage.crl_sign();
    }
}

/// The URIs of a distribution point.
fn point_urls(point: &DistributionPointName<'_>) -> Vec<Box<str>> {
    match point {
        DistributionPointName::FullName(names) => names.iter().filter_map(url).collect(),
        DistributionPointName::NameRelativeToCRLIssuer(_) => Vec::new(),
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "only a URI is a URI")]
fn url(name: &GeneralName<'_>) -> Option<Box<str>> {
    match name {
        GeneralName::URI(url) => Some((*url).into()),
        _ => None,
    }
}
