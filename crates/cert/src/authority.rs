//! A certificate authority as an administrator uploads it: one PEM text.

use crate::signature::Signed;
use crate::{Certificate, CertificateFault};
use narthex_model::UnixSeconds;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use std::sync::Arc;

/// Certificates in one upload: roots while one takes over from another, and their intermediates.
const MAX_CERTIFICATES: usize = 32;

/// Bytes of one upload.
const MAX_BYTES: usize = 256 * 1024;

/// One or more CA certificates that were uploaded together. Those whose issuer is not among them are trust anchors
/// (usually one root); the rest are intermediates, which help where a client does not send its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authority {
    certificates: Vec<Arc<Certificate>>,
    anchors: usize,
}

/// Why an upload is refused. It is refused as a whole (security.md rule 15).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthorityFault {
    /// There is no certificate in it, or the PEM is broken.
    #[error("no certificate was found: upload one or more PEM blocks of the kind CERTIFICATE")]
    NotPem,
    /// It holds a private key, which must stay with the CA.
    #[error(
        "this text holds a private key: upload certificates alone, and replace the key, which has been shown"
    )]
    PrivateKey,
    /// More than 32 certificates or 256 KiB.
    #[error(
        "too large: at most {MAX_CERTIFICATES} certificates and {MAX_BYTES} bytes in one upload"
    )]
    TooLarge,
    /// One of them cannot be read.
    #[error("certificate {position}: {fault}")]
    Certificate {
        /// Counted from 1.
        position: usize,
        /// What is wrong with it.
        fault: CertificateFault,
    },
    /// One of them is no CA: a server's or client's own certificate.
    #[error(
        "certificate {position} ({subject}) is not a certificate authority (basicConstraints CA:TRUE); upload the CA that signs the clients"
    )]
    NotCa {
        /// Counted from 1.
        position: usize,
        /// Its subject.
        subject: String,
    },
    /// A CA that may not sign certificates (its key usage lacks `keyCertSign`).
    #[error(
        "certificate {position} ({subject}) may not sign certificates: its key usage lacks keyCertSign"
    )]
    MayNotSign {
        /// Counted from 1.
        position: usize,
        /// Its subject.
        subject: String,
    },
    /// A CA whose key is too weak or of an unknown kind.
    #[error(
        "certificate {position} ({subject}) has a key that is not accepted: use RSA of 2048 bits or more, a NIST curve, or Ed25519"
    )]
    WeakKey {
        /// Counted from 1.
        position: usize,
        /// Its subject.
        subject: String,
    },
    /// A CA that breaks a rule of RFC 5280, so that nothing under it would be trusted.
    #[error("certificate {position} ({subject}) does not follow RFC 5280: {flaw}")]
    Flawed {
        /// Counted from 1.
        position: usize,
        /// Its subject.
        subject: String,
        /// The rule.
        flaw: &'static str,
    },
    /// An intermediate that none of the others with its issuer's name has signed with an accepted algorithm.
    #[error(
        "certificate {position} ({subject}) names an issuer that is here too but did not sign it with an accepted algorithm (SHA-256 or better)"
    )]
    NotSignedByIssuer {
        /// Counted from 1.
        position: usize,
        /// Its subject.
        subject: String,
    },
    /// Each of them names another as its issuer, so that none is a trust anchor.
    #[error("these certificates sign each other in a circle: add the root")]
    NoAnchor,
    /// The library that builds paths does not take it as an anchor (X.509 version 1, broken name constraints, …).
    #[error("certificate {position} ({subject}) cannot be a trust anchor: {cause}")]
    NotAnAnchor {
        /// Counted from 1.
        position: usize,
        /// Its subject.
        subject: String,
        /// In the library's words.
        cause: String,
    },
}

impl Authority {
    /// Reads an upload: CA certificates in any order. The same certificate twice counts once.
    ///
    /// # Errors
    /// See [`AuthorityFault`]. A certificate that has expired is no fault: it is trusted for nothing, and
    /// [`Self::expires_on`] says so.
    pub fn parse(pem: &str) -> Result<Self, AuthorityFault> {
        if pem.len() > MAX_BYTES {
            return Err(AuthorityFault::TooLarge);
        }
        if pem.contains("PRIVATE KEY-----") {
            return Err(AuthorityFault::PrivateKey);
        }
        let mut certificates: Vec<Arc<Certificate>> = Vec::new();
        for (index, der) in CertificateDer::pem_slice_iter(pem.as_bytes()).enumerate() {
            if index == MAX_CERTIFICATES {
                return Err(AuthorityFault::TooLarge);
            }
            let position = index + 1;
            let der = der.map_err(|_| AuthorityFault::NotPem)?;
            let certificate = Certificate::parse(&der)
                .map_err(|fault| AuthorityFault::Certificate { position, fault })?;
            check(position, &certificate)?;
            if !certificates.iter().any(|known| known.der() == certificate.der()) {
                certificates.push(Arc::new(certificate));
            }
        }
        Self::of(certificates)
    }

    /// The account's own CA, or another that is at hand already.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn of(certificates: Vec<Arc<Certificate>>) -> Result<Self, AuthorityFault> {
        if certificates.is_empty() {
            return Err(AuthorityFault::NotPem);
        }
        for (index, certificate) in certificates.iter().enumerate() {
            check(index + 1, certificate)?;
        }
        let (mut sorted, mut intermediates) = (Vec::new(), Vec::new());
        for (index, certificate) in certificates.iter().enumerate() {
            let fault = |cause: String| AuthorityFault::NotAnAnchor {
                position: index + 1,
                subject: certificate.subject().rfc2253(),
                cause,
            };
            let mut issuers = certificates
                .iter()
                .filter(|other| other.subject() == certificate.issuer())
                .peekable();
            let by_itself = certificate.subject() == certificate.issuer();
            if by_itself || issuers.peek().is_none() {
                webpki::anchor_from_trusted_cert(certificate.der())
                    .map_err(|error| fault(error.to_string()))?;
                sorted.push(Arc::clone(certificate));
                continue;
            }
            let signed = Signed::read(certificate.der());
            if !signed.is_some_and(|signed| issuers.any(|issuer| signed.is_by(issuer.spki()))) {
                return Err(AuthorityFault::NotSignedByIssuer {
                    position: index + 1,
                    subject: certificate.subject().rfc2253(),
                });
            }
            intermediates.push(Arc::clone(certificate));
        }
        let anchors = sorted.len();
        if anchors == 0 {
            return Err(AuthorityFault::NoAnchor);
        }
        sorted.append(&mut intermediates);
        Ok(Self { certificates: sorted, anchors })
    }

    /// The trust anchors.
    #[must_use]
    pub fn anchors(&self) -> &[Arc<Certificate>] {
        &self.certificates[..self.anchors]
    }

    /// The intermediates that were uploaded with them.
    #[must_use]
    pub fn intermediates(&self) -> &[Arc<Certificate>] {
        &self.certificates[self.anchors..]
    }

    /// All of them, anchors first.
    #[must_use]
    pub fn certificates(&self) -> &[Arc<Certificate>] {
        &self.certificates
    }

    /// The certificate that stands for the upload in the API (`fingerprint`, `expires_on`): the one nearest to the
    /// clients, an intermediate if there is one.
    #[must_use]
    pub fn principal(&self) -> &Arc<Certificate> {
        self.intermediates().first().unwrap_or(&self.certificates[0])
    }

    /// When the first of them expires.
    #[must_use]
    pub fn expires_on(&self) -> UnixSeconds {
        let ends = self.certificates.iter().map(|certificate| certificate.not_after());
        ends.min().unwrap_or_default()
    }
}

fn check(position: usize, certificate: &Certificate) -> Result<(), AuthorityFault> {
    let subject = || certificate.subject().rfc2253();
    if !certificate.is_ca() {
        return Err(AuthorityFault::NotCa { position, subject: subject() });
    }
    if !certificate.uses.signs_certificates {
        return Err(AuthorityFault::MayNotSign { position, subject: subject() });
    }
    if !certificate.key().is_strong() {
        return Err(AuthorityFault::WeakKey { position, subject: subject() });
    }
    if let Some(flaw) = certificate.flaw {
        return Err(AuthorityFault::Flawed { position, subject: subject(), flaw });
    }
    Ok(())
}
