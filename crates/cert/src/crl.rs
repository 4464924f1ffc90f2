//! Revocation lists (RFC 5280 §5): full lists, and deltas that are merged onto them.
//!
//! The library that builds paths knows no deltas and keeps nothing when a list is past its time, so lists are read
//! here. A list comes to be only with a signature of its authority.

mod read;

use crate::serials::SerialSet;
use crate::signature::Signed;
use crate::{Authority, Certificate, Name, certificate};
use narthex_model::UnixSeconds;
use read::{Number, Raw, Scope};
use rustls_pki_types::CertificateRevocationListDer;
use rustls_pki_types::pem::PemObject as _;

/// The largest list that is read, in bytes of DER: about half a million entries.
pub const MAX_CRL_BYTES: usize = 20 * 1024 * 1024;

/// A full list, signed by a certificate of its authority.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevocationList {
    issuer: Name,
    scope: Scope,
    number: Option<Number>,
    this_update: UnixSeconds,
    next_update: Option<UnixSeconds>,
    revoked: SerialSet,
    digest: [u8; 32],
}

/// What happened since a full list, signed by a certificate of its authority. By itself it says nothing.
#[derive(Clone, Debug)]
pub struct DeltaList {
    issuer: Name,
    scope: Scope,
    number: Number,
    base: Number,
    this_update: UnixSeconds,
    next_update: Option<UnixSeconds>,
    revoked: SerialSet,
    restored: SerialSet,
    digest: [u8; 32],
}

/// Why a list is refused. The list that was in force stays (security.md T14, T15).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CrlFault {
    /// Larger than [`MAX_CRL_BYTES`].
    #[error("a revocation list of {0} bytes is larger than the {MAX_CRL_BYTES} that are read")]
    TooLarge(usize),
    /// Neither DER nor a PEM block `X509 CRL`.
    #[error("no revocation list: DER, or a PEM block of the kind X509 CRL, is expected")]
    NotACrl,
    /// This part does not follow RFC 5280.
    #[error("not a revocation list: its {0} cannot be read")]
    Malformed(&'static str),
    /// It needs something that is not supported.
    #[error("this kind of revocation list is not supported: {0}")]
    Unsupported(&'static str),
    /// A delta where a full list is expected.
    #[error("this is a delta list; upload the full list first, then the delta")]
    IsDelta,
    /// A full list where a delta is expected.
    #[error("this is a full list, not a delta")]
    IsFull,
    /// No certificate of the authority has the list's issuer as its subject.
    #[error(
        "the list was issued by {issuer}, which is not among the certificates of this authority"
    )]
    UnknownIssuer {
        /// The list's issuer.
        issuer: String,
    },
    /// The certificate of that name may not sign lists (its key usage lacks `cRLSign`).
    #[error("{issuer} may not sign revocation lists: its key usage lacks cRLSign")]
    MayNotSign {
        /// The list's issuer.
        issuer: String,
    },
    /// The signature is wrong, or of an algorithm that is not accepted.
    #[error(
        "the signature of the list does not match the key of {issuer}, or uses an algorithm that is not accepted"
    )]
    Signature {
        /// The list's issuer.
        issuer: String,
    },
    /// A delta that does not fit onto the full list: another issuer or scope, a base that is newer than the list, or
    /// no news.
    #[error("the delta does not fit onto the full list: {0}")]
    NoFit(&'static str),
    /// An older list than the one in force.
    #[error("the list is older than the one in force")]
    Older,
}

impl RevocationList {
    /// Reads a full list (DER or PEM) and checks that a certificate of `authority` signed it. Whether its time is over is
    /// for the rule of the CA to judge, when a certificate is verified.
    ///
    /// # Errors
    /// See [`CrlFault`].
    pub fn open(bytes: &[u8], authority: &Authority) -> Result<Self, CrlFault> {
        let der = to_der(bytes)?;
        let raw = checked(&der, authority)?;
        if raw.base.is_some() {
            return Err(CrlFault::IsDelta);
        }
        if !raw.restored.is_empty() {
            return Err(CrlFault::Malformed("entry removeFromCRL, which only a delta may hold"));
        }
        Ok(Self {
            issuer: raw.issuer,
            scope: raw.scope,
            number: raw.number,
            this_update: raw.this_update,
            next_update: raw.next_update,
            revoked: SerialSet::of(raw.revoked.into_iter()),
            digest: certificate::sha256(&der),
        })
    }

    /// This list brought up to date by `delta` (RFC 5280 §5.2.4): same issuer, same scope, a base no newer than this
    /// list, and a number above it.
    ///
    /// # Errors
    /// [`CrlFault::NoFit`].
    pub fn with_delta(&self, delta: &DeltaList) -> Result<Self, CrlFault> {
        let number = self.number.as_ref().ok_or(CrlFault::NoFit("the full list has no number"))?;
        if delta.issuer != self.issuer {
            return Err(CrlFault::NoFit("another issuer"));
        }
        if delta.scope != self.scope {
            return Err(CrlFault::NoFit("another scope (issuing distribution point)"));
        }
        if *number < delta.base {
            return Err(CrlFault::NoFit("the full list is older than the delta's base"));
        }
        if delta.number <= *number {
            return Err(CrlFault::NoFit("it holds no news"));
        }
        let stays = self.revoked.iter().filter(|serial| !delta.restored.holds(serial));
        let mut digest = self.digest.to_vec();
        digest.extend_from_slice(&delta.digest);
        Ok(Self {
            issuer: self.issuer.clone(),
            scope: self.scope.clone(),
            number: Some(delta.number.clone()),
            this_update: delta.this_update,
            next_update: delta.next_update,
            revoked: SerialSet::of(stays.chain(delta.revoked.iter())),
            digest: certificate::sha256(&digest),
        })
    }

    /// Checks that this list may follow `current`: it is not older. A source that goes back in time would bring
    /// revoked certificates back to life.
    ///
    /// # Errors
    /// [`CrlFault::Older`].
    pub fn after(&self, current: &Self) -> Result<(), CrlFault> {
        let number_falls = match (&self.number, &current.number) {
            (Some(new), Some(old)) => new < old,
            (None, Some(_)) => true,
            (Some(_) | None, None) => false,
        };
        if number_falls || self.this_update < current.this_update {
            return Err(CrlFault::Older);
        }
        Ok(())
    }

    /// Who issued it.
    #[must_use]
    pub fn issuer(&self) -> &Name {
        &self.issuer
    }

    /// Its number in upper-case hex, if it has one.
    #[must_use]
    pub fn number(&self) -> Option<String> {
        self.number.as_ref().map(Number::hex)
    }

    /// When it was issued.
    #[must_use]
    pub fn this_update(&self) -> UnixSeconds {
        self.this_update
    }

    /// When the next one is promised.
    #[must_use]
    pub fn next_update(&self) -> Option<UnixSeconds> {
        self.next_update
    }

    /// Whether the next list should have come by `now`: what an alarm reports.
    #[must_use]
    pub fn is_overdue(&self, now: UnixSeconds) -> bool {
        self.next_update.is_some_and(|next| next < now)
    }

    /// How many certificates it revokes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.revoked.len()
    }

    /// Whether it revokes none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether it names this certificate as revoked.
    #[must_use]
    pub fn revokes(&self, certificate: &Certificate) -> bool {
        certificate.issuer() == &self.issuer && self.revoked.contains(certificate.serial())
    }

    /// Whether a certificate that it does not name is thereby known to be good: it is by the certificate's issuer and
    /// its scope includes the certificate.
    pub(crate) fn covers(&self, certificate: &Certificate) -> bool {
        certificate.issuer() == &self.issuer && self.scope.includes(certificate)
    }

    /// Tells two contents apart: SHA-256 of the DER, or of what a delta was merged onto.
    #[must_use]
    pub fn digest(&self) -> &[u8; 32] {
        &self.digest
    }
}

/// What stands for the DER of a list: see [`RevocationList::digest`].
#[must_use]
pub fn list_digest(der: &[u8]) -> [u8; 32] {
    certificate::sha256(der)
}

impl DeltaList {
    /// SHA-256 of the DER.
    #[must_use]
    pub fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    /// Reads a delta (DER or PEM) and checks that a certificate of `authority` signed it.
    ///
    /// # Errors
    /// See [`CrlFault`].
    pub fn open(bytes: &[u8], authority: &Authority) -> Result<Self, CrlFault> {
        let der = to_der(bytes)?;
        let raw = checked(&der, authority)?;
        Ok(Self {
            base: raw.base.ok_or(CrlFault::IsFull)?,
            number: raw.number.ok_or(CrlFault::Malformed("number, which a delta must have"))?,
            issuer: raw.issuer,
            scope: raw.scope,
            this_update: raw.this_update,
            next_update: raw.next_update,
            revoked: SerialSet::of(raw.revoked.into_iter()),
            restored: SerialSet::of(raw.restored.into_iter()),
            digest: certificate::sha256(&der),
        })
    }
}

fn to_der(bytes: &[u8]) -> Result<Vec<u8>, CrlFault> {
    if bytes.len() > MAX_CRL_BYTES / 2 * 3 {
        return Err(CrlFault::TooLarge(bytes.len()));
    }
    let der = if bytes.first() == Some(&crate::der::SEQUENCE) {
        bytes.to_vec()
    } else {
        let pem = CertificateRevocationListDer::from_pem_slice(bytes);
        pem.map_err(|_| CrlFault::NotACrl)?.to_vec()
    };
    if der.len() > MAX_CRL_BYTES {
        return Err(CrlFault::TooLarge(der.len()));
    }
    Ok(der)
}

/// Reads the list after its signature was found to be right.
fn checked<'a>(der: &'a [u8], authority: &Authority) -> Result<Raw<'a>, CrlFault> {
    let signed = Signed::read(der).ok_or(CrlFault::Malformed("outer structure"))?;
    let issuer = read::issuer(signed.message)?;
    let named = || issuer.rfc2253();
    let mut signers = authority.certificates().iter().filter(|c| *c.subject() == issuer).peekable();
    if signers.peek().is_none() {
        return Err(CrlFault::UnknownIssuer { issuer: named() });
    }
    let mut able = signers.filter(|signer| signer.uses.signs_lists).peekable();
    if able.peek().is_none() {
        return Err(CrlFault::MayNotSign { issuer: named() });
    }
    if !able.any(|signer| signed.is_by(signer.spki())) {
        return Err(CrlFault::Signature { issuer: named() });
    }
    Raw::read(der, signed.message)
}
