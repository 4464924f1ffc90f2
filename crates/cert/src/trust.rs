//! The certificate authorities of one hostname, compiled, and the judging of what a client presents.

use crate::certificate::sha256;
use crate::profile::{self, Standing};
use crate::signature::ALGORITHMS;
use crate::{
    Authority, Certificate, Name, OcspAnswer, PresentedChain, Reason, RevocationList, Serial,
    Verdict,
};
use narthex_model::UnixSeconds;
use rustls_pki_types::{CertificateDer, TrustAnchor, UnixTime};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use webpki::{EndEntityCert, KeyUsage, VerifiedPath};

/// One certificate authority of a hostname, with what decides on revocation.
#[derive(Clone, Debug)]
pub struct Member {
    /// Whose signatures count.
    pub authority: Arc<Authority>,
    /// Its revocation lists in force, deltas merged: at most one for each issuer and scope is useful.
    pub lists: Vec<Arc<RevocationList>>,
    /// What a list that is missing or late means.
    pub list_rule: ListRule,
    /// Certificates revoked through the API.
    pub revoked: Arc<RevokedCertificates>,
    /// Whether a responder is asked about the client's certificate.
    pub ocsp: OcspRule,
    /// Whether a responder is asked about the CAs between it and the anchor: those that name one.
    pub ocsp_intermediates: OcspRule,
}

impl Member {
    /// An authority without lists, revocations or OCSP.
    #[must_use]
    pub fn new(authority: Arc<Authority>) -> Self {
        Self {
            authority,
            lists: Vec::new(),
            list_rule: ListRule::default(),
            revoked: Arc::default(),
            ocsp: OcspRule::default(),
            ocsp_intermediates: OcspRule::default(),
        }
    }
}

/// What a revocation list that is missing or late means. A list that is late still revokes what it names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListRule {
    /// Whether a client's certificate that no list covers is refused.
    pub required: bool,
    /// Seconds for which a list is still enough after its `nextUpdate`; after that, certificates that it covers are
    /// refused.
    pub grace_seconds: i64,
}

/// A list is not required; one that is there may be a day late.
impl Default for ListRule {
    fn default() -> Self {
        Self { required: false, grace_seconds: 86_400 }
    }
}

/// Whether OCSP responders are asked about the certificates of a chain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OcspRule {
    /// It is not asked.
    #[default]
    Off,
    /// It is asked; only the answer `revoked` refuses.
    Soft,
    /// It is asked; only the answer `good`, in force, admits.
    Hard,
}

/// Certificates that an administrator revoked, by issuer and serial number. (Not by fingerprint: whoever holds a
/// certificate can write its signature in a second way, which has another fingerprint.)
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RevokedCertificates(BTreeMap<Name, BTreeSet<Serial>>);

impl RevokedCertificates {
    /// Revokes the certificate with this number of this issuer.
    pub fn insert(&mut self, issuer: &Name, serial: Serial) {
        self.0.entry(issuer.clone()).or_default().insert(serial);
    }

    /// Whether this certificate is revoked.
    #[must_use]
    pub fn contains(&self, certificate: &Certificate) -> bool {
        let serials = self.0.get(certificate.issuer());
        serials.is_some_and(|serials| serials.contains(certificate.serial()))
    }
}

/// Tells two states of trust apart: the same digest means the same authorities, lists, revocations and rules, so
/// that a verdict and a TLS session made under one are valid under the other (security.md rule 11).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TrustDigest([u8; 32]);

impl TrustDigest {
    /// The digest's octets, to scope session stores and tickets by.
    #[must_use]
    pub fn octets(&self) -> &[u8; 32] {
        &self.0
    }
}

impl std::fmt::Debug for TrustDigest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TrustDigest({})", crate::hex::lower(&self.0[..8]))
    }
}

/// Why authorities and lists do not make a trust.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TrustFault {
    /// A list whose issuer is not among the certificates of its member.
    #[error(
        "the revocation list of {issuer} is by none of the certificates of the authority that it is kept with"
    )]
    ForeignList {
        /// Place of the member.
        member: usize,
        /// The list's issuer.
        issuer: String,
    },
    /// An anchor that the library does not take.
    #[error("{subject} cannot be a trust anchor: {cause}")]
    NotAnAnchor {
        /// Place of the member.
        member: usize,
        /// The certificate's subject.
        subject: String,
        /// In the library's words.
        cause: String,
    },
}

/// Whom a hostname trusts: never the system's roots, only what is compiled into it. Immutable; a change makes another.
pub struct Trust {
    members: Vec<Member>,
    anchors: Vec<TrustAnchor<'static>>,
    /// For each of `anchors`, its member and its certificate.
    origins: Vec<(usize, Arc<Certificate>)>,
    intermediates: Vec<Arc<Certificate>>,
    hints: Vec<Name>,
    digest: TrustDigest,
    authorities: TrustDigest,
}

impl Trust {
    /// Compiles the authorities of one hostname. None at all is a valid trust, under which every certificate fails:
    /// it is for hostnames that ask for a certificate only to forward it.
    ///
    /// # Errors
    /// See [`TrustFault`].
    pub fn compile(members: Vec<Member>) -> Result<Self, TrustFault> {
        let mut anchors = Vec::new();
        let mut origins = Vec::new();
        let mut intermediates: Vec<Arc<Certificate>> = Vec::new();
        let mut hints: Vec<Name> = Vec::new();
        for (at, member) in members.iter().enumerate() {
            let certificates = member.authority.certificates();
            for list in &member.lists {
                if !certificates.iter().any(|signer| signer.subject() == list.issuer()) {
                    let issuer = list.issuer().rfc2253();
                    return Err(TrustFault::ForeignList { member: at, issuer });
                }
            }
            for anchor in member.authority.anchors() {
                let read = webpki::anchor_from_trusted_cert(anchor.der());
                let read = read.map_err(|error| TrustFault::NotAnAnchor {
                    member: at,
                    subject: anchor.subject().rfc2253(),
                    cause: error.to_string(),
                })?;
                anchors.push(read.to_owned());
                origins.push((at, Arc::clone(anchor)));
            }
            intermediates.extend(member.authority.intermediates().iter().cloned());
            for certificate in certificates {
                if !hints.contains(certificate.subject()) {
                    hints.push(certificate.subject().clone());
                }
            }
        }
        let (digest, authorities) = (digest(&members), authorities(&members));
        Ok(Self { members, anchors, origins, intermediates, hints, digest, authorities })
    }

    /// The names of its CAs, for the hint in the `CertificateRequest` (RFC 8446 §4.2.4).
    #[must_use]
    pub fn hints(&self) -> &[Name] {
        &self.hints
    }

    /// Tells this trust from others.
    #[must_use]
    pub fn digest(&self) -> TrustDigest {
        self.digest
    }

    /// Tells whose certificates count from others, whatever is revoked: it changes when a client may have to show another
    /// certificate than it was asked for.
    #[must_use]
    pub fn authorities_digest(&self) -> TrustDigest {
        self.authorities
    }

    /// What it was compiled from.
    #[must_use]
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// Judges a chain whose leaf's private key the client has proved to hold: path, validity, purpose, strength,
    /// names, revocation. `ocsp` are the answers to the questions of an earlier verdict on the same chain, as far as they were
    /// asked.
    ///
    /// The cost is bounded whatever the client sends: the library that builds the path limits depth, signatures and
    /// comparisons, and [`PresentedChain`] limits count and bytes (security.md T18, T19).
    #[must_use]
    pub fn verify(
        &self,
        chain: &PresentedChain,
        ocsp: &[Arc<OcspAnswer>],
        now: UnixSeconds,
    ) -> Verdict {
        self.verify_for(KeyUsage::client_auth(), chain, ocsp, now)
    }

    /// As [`Self::verify`], for another purpose than a client's: public test vectors are mostly about servers.
    pub(crate) fn verify_for(
        &self,
        purpose: KeyUsage,
        chain: &PresentedChain,
        ocsp: &[Arc<OcspAnswer>],
        now: UnixSeconds,
    ) -> Verdict {
        let standing = RefCell::new(None);
        let ended = self.build_path(purpose, chain, now, &|path| {
            let found = self.path_standing(chain, path, ocsp, now);
            let outcome = match found.reason {
                None => Ok(()),
                Some(_) => Err(webpki::Error::CertRevoked), // stands for our reason, which is kept beside it
            };
            standing.replace(Some(found));
            outcome
        });
        match (ended, standing.into_inner()) {
            (Ok(()), Some(found)) => found.verdict(),
            (Err(webpki::Error::CertRevoked), Some(found)) if found.reason.is_some() => {
                found.verdict()
            }
            (Ok(()), None) => self.refusal(chain, Reason::Malformed, now), // the library always asks
            (Err(error), _) => self.refusal(chain, profile::reason(&error, chain), now),
        }
    }

    fn build_path(
        &self,
        purpose: KeyUsage,
        chain: &PresentedChain,
        now: UnixSeconds,
        examine: &dyn Fn(&VerifiedPath<'_>) -> Result<(), webpki::Error>,
    ) -> Result<(), webpki::Error> {
        let leaf = EndEntityCert::try_from(chain.leaf().der())?;
        let others: Vec<CertificateDer<'_>> = chain
            .others()
            .iter()
            .chain(&self.intermediates)
            .map(|certificate| CertificateDer::from(certificate.der().as_ref()))
            .collect();
        let seconds = u64::try_from(now.0).unwrap_or(0);
        leaf.verify_for_usage(
            ALGORITHMS,
            &self.anchors,
            &others,
            UnixTime::since_unix_epoch(Duration::from_secs(seconds)),
            purpose,
            None, // revocation is judged on the finished path
            Some(examine),
        )?;
        Ok(())
    }

    /// What we say about a path that the library found.
    fn path_standing(
        &self,
        chain: &PresentedChain,
        path: &VerifiedPath<'_>,
        ocsp: &[Arc<OcspAnswer>],
        now: UnixSeconds,
    ) -> Standing {
        let anchor = path.anchor();
        let mut origins = self.anchors.iter().zip(&self.origins).filter(|(candidate, _)| {
            candidate.subject == anchor.subject
                && candidate.subject_public_key_info == anchor.subject_public_key_info
        });
        // The same anchor may stand in several members. All their rules apply, and the first names the CA.
        let Some((_, (first, root))) = origins.next() else { return Standing::lost() };
        let members = std::iter::once(*first).chain(origins.map(|(_, (member, _))| *member));
        let members: BTreeSet<usize> = members.collect();
        let mut certificates = vec![Arc::clone(chain.leaf())];
        for step in path.intermediate_certificates() {
            let der = step.der();
            let known = chain.others().iter().chain(&self.intermediates).find(|c| *c.der() == der);
            let Some(known) = known else { return Standing::lost() };
            certificates.push(Arc::clone(known));
        }
        certificates.push(Arc::clone(root));
        let members = members.into_iter().map(|at| &self.members[at]).collect::<Vec<_>>();
        profile::judge(*first, &members, &certificates, ocsp, now)
    }

    fn refusal(&self, chain: &PresentedChain, reason: Reason, now: UnixSeconds) -> Verdict {
        let leaf = chain.leaf();
        // Only time makes a certificate valid by itself; all else needs another trust.
        let until = match reason {
            Reason::NotYetValid if leaf.not_before() > now => leaf.not_before().plus(-1),
            Reason::NotYetValid => now,
            Reason::SelfSigned
            | Reason::UnverifiedLeaf
            | Reason::UnknownIssuer
            | Reason::Expired
            | Reason::Revoked
            | Reason::NoList
            | Reason::ListTooOld
            | Reason::NoOcspAnswer
            | Reason::Purpose
            | Reason::WeakSignature
            | Reason::WeakKey
            | Reason::BadSignature
            | Reason::InvalidCa
            | Reason::PathTooLong
            | Reason::NameConstraint
            | Reason::CriticalExtension
            | Reason::Malformed => UnixSeconds(i64::MAX),
        };
        let known = self.members.iter().flat_map(|member| member.authority.certificates());
        let issuer = chain.others().iter().chain(known).find(|c| c.subject() == leaf.issuer());
        Verdict {
            outcome: Err(reason),
            until,
            member: None,
            issuer: issuer.cloned(),
            ocsp: Box::default(),
        }
    }
}

/// Counts only: a trust is large.
impl std::fmt::Debug for Trust {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Trust")
            .field("members", &self.members.len())
            .field("digest", &self.digest)
            .finish_non_exhaustive()
    }
}

fn authorities(members: &[Member]) -> TrustDigest {
    let certificates = members.iter().flat_map(|member| member.authority.certificates());
    let mut each: Vec<_> = certificates.map(|certificate| certificate.sha256()).collect();
    each.sort_unstable();
    TrustDigest(sha256(&each.concat()))
}

fn digest(members: &[Member]) -> TrustDigest {
    let mut text = Vec::new();
    let put = |text: &mut Vec<u8>, part: &[u8]| {
        text.extend_from_slice(&(part.len() as u64).to_be_bytes());
        text.extend_from_slice(part);
    };
    for member in members {
        put(&mut text, b"member");
        for certificate in member.authority.certificates() {
            put(&mut text, &certificate.sha256());
        }
        put(&mut text, b"lists");
        for list in &member.lists {
            put(&mut text, list.digest());
        }
        put(&mut text, &[u8::from(member.list_rule.required)]);
        put(&mut text, &member.list_rule.grace_seconds.to_be_bytes());
        for rule in [member.ocsp, member.ocsp_intermediates] {
            put(
                &mut text,
                match rule {
                    OcspRule::Off => b"off",
                    OcspRule::Soft => b"soft",
                    OcspRule::Hard => b"hard",
                },
            );
        }
        for (issuer, serials) in &member.revoked.0 {
            put(&mut text, issuer.der());
            for serial in serials {
                put(&mut text, serial.octets());
            }
        }
    }
    TrustDigest(sha256(&text))
}
