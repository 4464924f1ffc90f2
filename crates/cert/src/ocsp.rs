//! OCSP (RFC 6960): the question about one certificate, and what an answer says. Asking is somebody else's: bytes go in
//! and out.

use crate::signature::Signed;
use crate::{Certificate, Serial, der};
use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use narthex_model::UnixSeconds;
use x509_cert::der::asn1::{Null, ObjectIdentifier, OctetString};
use x509_cert::der::{Decode as _, Encode as _};
use x509_cert::ext::Extension;
use x509_cert::serial_number::SerialNumber;
use x509_cert::spki::AlgorithmIdentifierOwned;
use x509_ocsp::{
    BasicOcspResponse, CertId, CertStatus, OcspGeneralizedTime, OcspRequest, OcspResponse,
    OcspResponseStatus, Request, SingleResponse, TbsRequest, Version,
};

/// The largest answer that is read, in bytes.
pub const MAX_OCSP_BYTES: usize = 64 * 1024;

/// Seconds by which a responder's clock may be ahead of ours.
const SKEW_SECONDS: i64 = 60;

/// Seconds for which an answer without `nextUpdate` ("newer information is always available") is used.
const UNDATED_SECONDS: i64 = 300;

const ID_SHA1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.14.3.2.26");
const ID_BASIC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.48.1.1");
const ID_NONCE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.48.1.2");

/// Which certificate is asked about: by issuer and serial number.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OcspQuestion {
    issuer_name_hash: [u8; 20],
    issuer_key_hash: [u8; 20],
    serial: Serial,
}

/// A verified answer to an [`OcspQuestion`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OcspAnswer {
    question: OcspQuestion,
    status: OcspStatus,
    from: UnixSeconds,
    until: UnixSeconds,
}

/// What the responder says about the certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OcspStatus {
    /// Not revoked.
    Good,
    /// Revoked, or on hold.
    Revoked,
    /// The responder does not know it.
    Unknown,
}

/// Why an answer is not believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OcspFault {
    /// Larger than [`MAX_OCSP_BYTES`].
    #[error("an OCSP answer of {0} bytes is larger than the {MAX_OCSP_BYTES} that are read")]
    TooLarge(usize),
    /// Not an OCSP answer.
    #[error("not an OCSP answer: its {0} cannot be read")]
    Malformed(&'static str),
    /// The responder refuses: `tryLater`, `unauthorized` and the like.
    #[error("the responder gave no answer but {0}")]
    Refused(&'static str),
    /// It says nothing about the certificate that was asked about.
    #[error("the answer is about other certificates")]
    OtherCertificate,
    /// It holds another nonce than was sent.
    #[error("the answer is to another request: its nonce differs")]
    Nonce,
    /// It is signed neither by the issuer nor by a responder that the issuer certified for it.
    #[error(
        "the answer is signed neither by the issuer nor by a responder certified by it for OCSP"
    )]
    Signature,
    /// Its time has not come or is over.
    #[error("the answer is in force from {from} to {until}, and it is {now} (Unix seconds)")]
    NotInForce {
        /// `thisUpdate`
        from: UnixSeconds,
        /// `nextUpdate`
        until: UnixSeconds,
        /// When it was read.
        now: UnixSeconds,
    },
}

impl OcspQuestion {
    /// The question about `certificate`, which `issuer` signed.
    #[must_use]
    pub fn new(certificate: &Certificate, issuer: &Certificate) -> Self {
        Self::about(certificate.serial(), issuer)
    }

    fn about(serial: &Serial, issuer: &Certificate) -> Self {
        Self {
            issuer_name_hash: sha1(issuer.subject().der()),
            issuer_key_hash: sha1(key_octets(issuer.spki()).unwrap_or_default()),
            serial: serial.clone(),
        }
    }

    /// The request to send (DER): by POST as `application/ocsp-request`. A nonce (RFC 9654: 32 octets) proves that an
    /// answer is fresh, if the responder supports it; without one, answers may be cached on their way.
    #[must_use]
    pub fn request(&self, nonce: Option<&[u8; 32]>) -> Vec<u8> {
        self.build(nonce).expect("the parts are fixed in kind and small in size")
    }

    fn build(&self, nonce: Option<&[u8; 32]>) -> Result<Vec<u8>, x509_cert::der::Error> {
        let hash_algorithm =
            AlgorithmIdentifierOwned { oid: ID_SHA1, parameters: Some(Null.into()) };
        let req_cert = CertId {
            hash_algorithm,
            issuer_name_hash: OctetString::new(self.issuer_name_hash)?,
            issuer_key_hash: OctetString::new(self.issuer_key_hash)?,
            serial_number: SerialNumber::new(self.serial.octets())?,
        };
        let request_extensions = match nonce {
            None => None,
            Some(nonce) => {
                let value = OctetString::new(nonce.as_slice())?.to_der()?;
                let extn_value = OctetString::new(value)?;
                Some(vec![Extension { extn_id: ID_NONCE, critical: false, extn_value }])
            }
        };
        OcspRequest {
            tbs_request: TbsRequest {
                version: Version::V1,
                requestor_name: None,
                request_list: vec![Request { req_cert, single_request_extensions: None }],
                request_extensions,
            },
            optional_signature: None,
        }
        .to_der()
    }

    /// Reads the responder's answer. `issuer` is the certificate that the question was made with. An answer without a
    /// nonce is taken (most responders prepare their answers ahead); one with another nonce than was sent is not.
    ///
    /// Signed by the issuer itself, or by a responder whose certificate in the answer the issuer signed for
    /// `OCSPSigning` (RFC 6960 §4.2.2.2). Such a certificate is short-lived and is not itself checked for revocation.
    ///
    /// # Errors
    /// See [`OcspFault`].
    pub fn read(
        &self,
        answer: &[u8],
        issuer: &Certificate,
        nonce: Option<&[u8; 32]>,
        now: UnixSeconds,
    ) -> Result<OcspAnswer, OcspFault> {
        use OcspFault::Malformed;
        if answer.len() > MAX_OCSP_BYTES {
            return Err(OcspFault::TooLarge(answer.len()));
        }
        let outer = OcspResponse::from_der(answer).map_err(|_| Malformed("outer structure"))?;
        refusal(outer.response_status).map_or(Ok(()), |why| Err(OcspFault::Refused(why)))?;
        let inner = outer.response_bytes.ok_or(Malformed("content"))?;
        if inner.response_type != ID_BASIC {
            return Err(Malformed("type, which is not basic,"));
        }
        let raw = inner.response.as_bytes();
        let basic = BasicOcspResponse::from_der(raw).map_err(|_| Malformed("content"))?;
        if !self.is_signed(raw, &basic, issuer, now)? {
            return Err(OcspFault::Signature);
        }
        if let (Some(sent), Some(came)) = (nonce, nonce_of(&basic)) {
            let came = OctetString::from_der(&came).map_err(|_| Malformed("nonce"))?;
            if came.as_bytes() != sent {
                return Err(OcspFault::Nonce);
            }
        }
        let mut about = basic.tbs_response_data.responses.iter().filter(|one| self.is_asked(one));
        let single = about.next().ok_or(OcspFault::OtherCertificate)?;
        if about.next().is_some() {
            return Err(Malformed("list of answers, which holds two about one certificate,"));
        }
        self.in_force(single, now)
    }

    fn in_force(&self, single: &SingleResponse, now: UnixSeconds) -> Result<OcspAnswer, OcspFault> {
        let from = seconds(single.this_update);
        let until = single.next_update.map_or(from.plus(UNDATED_SECONDS), seconds);
        if from > now.plus(SKEW_SECONDS) || until < now || until < from {
            return Err(OcspFault::NotInForce { from, until, now });
        }
        let status = match single.cert_status {
            CertStatus::Good(_) => OcspStatus::Good,
            CertStatus::Revoked(_) => OcspStatus::Revoked,
            CertStatus::Unknown(_) => OcspStatus::Unknown,
        };
        Ok(OcspAnswer { question: self.clone(), status, from, until })
    }

    fn is_asked(&self, single: &SingleResponse) -> bool {
        let id = &single.cert_id;
        id.hash_algorithm.oid == ID_SHA1
            && id.issuer_name_hash.as_bytes() == self.issuer_name_hash
            && id.issuer_key_hash.as_bytes() == self.issuer_key_hash
            && Serial::new(id.serial_number.as_bytes()) == self.serial
    }

    fn is_signed(
        &self,
        raw: &[u8],
        basic: &BasicOcspResponse,
        issuer: &Certificate,
        now: UnixSeconds,
    ) -> Result<bool, OcspFault> {
        let signed = Signed::read(raw).ok_or(OcspFault::Malformed("signature"))?;
        if Self::about(&self.serial, issuer) != *self {
            return Ok(false);
        }
        if signed.is_by(issuer.spki()) {
            return Ok(true);
        }
        for certificate in basic.certs.iter().flatten().take(8) {
            let der = certificate.to_der().map_err(|_| OcspFault::Malformed("certificate"))?;
            let Ok(responder) = Certificate::parse(&der) else { continue };
            if may_answer(&responder, issuer, now) && signed.is_by(responder.spki()) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Whether `issuer` certified this responder for OCSP, and it is in force.
fn may_answer(responder: &Certificate, issuer: &Certificate, now: UnixSeconds) -> bool {
    responder.issuer() == issuer.subject()
        && responder.uses.signs_ocsp
        && responder.key().is_strong()
        && responder.not_before() <= now
        && now <= responder.not_after()
        && Signed::read(responder.der()).is_some_and(|signed| signed.is_by(issuer.spki()))
}

impl OcspAnswer {
    /// What the responder says.
    #[must_use]
    pub fn status(&self) -> OcspStatus {
        self.status
    }

    /// The last second for which it speaks.
    #[must_use]
    pub fn until(&self) -> UnixSeconds {
        self.until
    }

    /// When it was issued (`thisUpdate`).
    #[must_use]
    pub fn issued(&self) -> UnixSeconds {
        self.from
    }

    /// Whether it speaks for this instant.
    #[must_use]
    pub fn holds(&self, now: UnixSeconds) -> bool {
        self.from <= now.plus(SKEW_SECONDS) && now <= self.until
    }

    /// Whether a certificate is judged by it at this instant: while it [holds](Self::holds). What is revoked stays so until a
    /// newer answer says otherwise; or else silencing the responder would bring it back.
    #[must_use]
    pub fn counts(&self, now: UnixSeconds) -> bool {
        self.status == OcspStatus::Revoked || self.holds(now)
    }

    /// Whether it answers this question.
    #[must_use]
    pub fn answers(&self, question: &OcspQuestion) -> bool {
        self.question == *question
    }
}

fn refusal(status: OcspResponseStatus) -> Option<&'static str> {
    match status {
        OcspResponseStatus::Successful => None,
        OcspResponseStatus::MalformedRequest => Some("malformedRequest"),
        OcspResponseStatus::InternalError => Some("internalError"),
        OcspResponseStatus::TryLater => Some("tryLater"),
        OcspResponseStatus::SigRequired => Some("sigRequired"),
        OcspResponseStatus::Unauthorized => Some("unauthorized"),
    }
}

/// The DER inside the nonce extension.
fn nonce_of(basic: &BasicOcspResponse) -> Option<Vec<u8>> {
    let mut extensions = basic.tbs_response_data.response_extensions.iter().flatten();
    let nonce = extensions.find(|extension| extension.extn_id == ID_NONCE)?;
    Some(nonce.extn_value.as_bytes().to_vec())
}

fn seconds(time: OcspGeneralizedTime) -> UnixSeconds {
    let since = time.0.to_unix_duration().as_secs();
    UnixSeconds(i64::try_from(since).unwrap_or(i64::MAX))
}

/// RFC 6960 §4.1.1: over the key's octets, without tag, length and unused bits.
fn key_octets(spki: &[u8]) -> Option<&[u8]> {
    let mut info = der::only(spki, der::SEQUENCE)?.content;
    der::take(&mut info)?;
    der::only(info, der::BIT_STRING)?.content.strip_prefix(&[0])
}

/// CertIDs are hashed with SHA-1 everywhere; it names, it does not prove.
fn sha1(bytes: &[u8]) -> [u8; 20] {
    let mut sum = [0; 20];
    sum.copy_from_slice(digest(&SHA1_FOR_LEGACY_USE_ONLY, bytes).as_ref());
    sum
}
