//! Authorities: whose client certificates are trusted, and for which hostnames (access-protocol §7.2).

use super::{CertificatePem, RevocationChecks};
use crate::{CertificateAuthorityId, Secret, Timestamp, WrittenHostname, ZoneId};
use serde::{Deserialize, Serialize};

/// Through which part of the contract an authority came. All three are trusted alike for their hostnames.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuthorityKind {
    /// `access/certificates`: a root certificate of Access.
    Access,
    /// `mtls_certificates`: an authority of the account, associated per zone.
    Account,
    /// The gateway's own: it signs what `client_certificates` asks for.
    Managed,
}

/// An authority whose client certificates count for some hostnames.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CertificateAuthority {
    /// Its id.
    pub id: CertificateAuthorityId,
    /// A name for people.
    pub name: String,
    /// Through which door it came.
    pub kind: AuthorityKind,
    /// Its certificate; with an intermediate, that one first and then what issued it.
    pub certificates: CertificatePem,
    /// The key of [`AuthorityKind::Managed`], PKCS#8 PEM; kept sealed, apart from the rest.
    #[serde(skip)]
    pub key: Option<Secret>,
    /// The hostnames on which its certificates are asked for and trusted, in the order they were written.
    #[serde(default)]
    pub hostnames: Vec<WrittenHostname>,
    /// How it is found out that a certificate was revoked.
    #[serde(default)]
    pub revocation: RevocationChecks,
    /// MD5 of the certificate nearest to the clients, as the contract shows it: sixteen pairs of upper-case hexadecimal
    /// digits with colons. A label, not a proof.
    pub fingerprint: String,
    /// When the first of its certificates expires.
    pub expires_on: Timestamp,
    /// The zone through which it was made, if any.
    #[serde(default)]
    pub zone: Option<ZoneId>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

impl PartialEq for CertificateAuthority {
    /// The key belongs to the certificate, so that comparing certificates is comparing keys.
    fn eq(&self, other: &Self) -> bool {
        let Self { id, name, kind, certificates, hostnames, revocation, .. } = self;
        (id, name, kind, certificates) == (&other.id, &other.name, &other.kind, &other.certificates)
            && (hostnames, revocation) == (&other.hostnames, &other.revocation)
            && (&self.fingerprint, self.expires_on) == (&other.fingerprint, other.expires_on)
            && (&self.zone, self.created_at, self.updated_at)
                == (&other.zone, other.created_at, other.updated_at)
    }
}
