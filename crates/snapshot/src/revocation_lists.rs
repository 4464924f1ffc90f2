//! The revocation lists of certificate authorities, read from what is kept of them.

use narthex_cert::{Authority, CrlFault, DeltaList, RevocationList, list_digest};
use narthex_model::{CertificateAuthorityId, Configuration, CrlSource, StoredCrl};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The lists in force, deltas merged, by authority.
#[derive(Clone, Debug, Default)]
pub struct RevocationLists {
    by_authority: BTreeMap<CertificateAuthorityId, Lists>,
}

/// The lists of one authority.
#[derive(Clone, Debug, Default)]
struct Lists {
    /// As they came. A long list is not read again because another one changed.
    read: Vec<ReadList>,
    /// Each full list, brought up to date by deltas.
    merged: Vec<Arc<RevocationList>>,
}

/// A list whose signature was found to be right.
#[derive(Clone, Debug)]
pub enum ReadList {
    /// A full list.
    Full(Arc<RevocationList>),
    /// What happened since one.
    Delta(Arc<DeltaList>),
}

impl ReadList {
    /// Reads a list of either kind, DER or PEM, and checks that a certificate of `authority` signed it.
    ///
    /// # Errors
    /// See [`CrlFault`].
    pub fn open(bytes: &[u8], authority: &Authority) -> Result<Self, CrlFault> {
        match RevocationList::open(bytes, authority) {
            Ok(list) => Ok(Self::Full(Arc::new(list))),
            Err(CrlFault::IsDelta) => {
                DeltaList::open(bytes, authority).map(|delta| Self::Delta(Arc::new(delta)))
            }
            Err(fault) => Err(fault),
        }
    }

    fn digest(&self) -> &[u8; 32] {
        match self {
            Self::Full(list) => list.digest(),
            Self::Delta(delta) => delta.digest(),
        }
    }
}

/// A kept list that cannot be used any more, such as after a downgrade.
#[derive(Debug)]
pub struct UnusableList {
    /// Whose it was.
    pub authority: CertificateAuthorityId,
    /// Where it came from.
    pub source: CrlSource,
    /// What is wrong with it.
    pub fault: CrlFault,
}

impl RevocationLists {
    /// Reads everything that is kept. Lists of authorities that are not there are left out.
    #[must_use]
    pub fn read(configuration: &Configuration, kept: &[StoredCrl]) -> (Self, Vec<UnusableList>) {
        let (mut lists, mut unusable) = (Self::default(), Vec::new());
        for said in configuration.certificate_authorities.values() {
            let Ok(authority) = Authority::parse(said.certificates.as_str()) else { continue };
            let ours = kept.iter().filter(|list| list.authority == said.id);
            lists.replace(said.id, read(&[], &authority, ours, &mut unusable));
        }
        (lists, unusable)
    }

    /// The same lists but for one authority, whose lists are now those that are `kept`. Of these, only what is new is read, and
    /// `fresh` is one that was read just now.
    #[must_use]
    pub fn with(
        &self,
        id: CertificateAuthorityId,
        authority: &Authority,
        kept: &[StoredCrl],
        fresh: Option<ReadList>,
    ) -> (Self, Vec<UnusableList>) {
        let (mut lists, mut unusable) = (self.clone(), Vec::new());
        let mut known = lists.by_authority.remove(&id).unwrap_or_default().read;
        known.extend(fresh);
        let ours = kept.iter().filter(|list| list.authority == id);
        lists.replace(id, read(&known, authority, ours, &mut unusable));
        (lists, unusable)
    }

    fn replace(&mut self, id: CertificateAuthorityId, read: Vec<ReadList>) {
        if read.is_empty() {
            self.by_authority.remove(&id);
        } else {
            let merged = merged(&read);
            self.by_authority.insert(id, Lists { read, merged });
        }
    }

    /// Every list, by authority.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<RevocationList>> {
        self.by_authority.values().flat_map(|lists| &lists.merged)
    }

    /// The lists of one authority.
    #[must_use]
    pub fn of(&self, id: CertificateAuthorityId) -> &[Arc<RevocationList>] {
        self.by_authority.get(&id).map(|lists| &*lists.merged).unwrap_or_default()
    }

    /// The full list of an authority that was read from this DER, if there is one.
    #[must_use]
    pub fn full(&self, id: CertificateAuthorityId, der: &[u8]) -> Option<&Arc<RevocationList>> {
        let digest = list_digest(der);
        self.by_authority.get(&id)?.read.iter().find_map(|list| match list {
            ReadList::Full(list) if *list.digest() == digest => Some(list),
            ReadList::Full(_) | ReadList::Delta(_) => None,
        })
    }
}

/// The kept lists of an authority: those that are `known` as they are, the others read.
fn read<'a>(
    known: &[ReadList],
    authority: &Authority,
    kept: impl Iterator<Item = &'a StoredCrl>,
    unusable: &mut Vec<UnusableList>,
) -> Vec<ReadList> {
    let mut lists = Vec::new();
    for list in kept {
        let Some(der) = &list.der else { continue };
        let digest = list_digest(der);
        if let Some(known) = known.iter().find(|known| *known.digest() == digest) {
            lists.push(known.clone());
            continue;
        }
        match ReadList::open(der, authority) {
            Ok(read) => lists.push(read),
            Err(fault) => {
                let (authority, source) = (list.authority, list.source.clone());
                unusable.push(UnusableList { authority, source, fault });
            }
        }
    }
    lists
}

/// The full lists, each brought up to date by the deltas that fit onto it. A delta that fits onto none yet waits for
/// the full list that it needs.
fn merged(read: &[ReadList]) -> Vec<Arc<RevocationList>> {
    let mut current = Vec::new();
    for list in read {
        let ReadList::Full(list) = list else { continue };
        let updated = read.iter().filter_map(|other| match other {
            ReadList::Delta(delta) => list.with_delta(delta).ok(),
            ReadList::Full(_) => None,
        });
        let newest = updated.max_by_key(|list| list.this_update());
        current.push(newest.map_or_else(|| Arc::clone(list), Arc::new));
    }
    current
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{
        BasicConstraints, CertificateParams, CertificateRevocationListParams, IsCa, Issuer,
        KeyIdMethod, KeyPair, KeyUsagePurpose, SerialNumber, date_time_ymd,
    };

    #[test]
    fn only_what_is_new_is_read() {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().unwrap();
        let authority = Authority::parse(&params.self_signed(&key).unwrap().pem()).unwrap();
        let issuer = Issuer::new(params, key);
        let id = CertificateAuthorityId::random();
        let list = |source: &str, number: u64| StoredCrl {
            authority: id,
            source: CrlSource::Upload(source.into()),
            der: Some({
                let list = CertificateRevocationListParams {
                    this_update: date_time_ymd(2026, 1, 1),
                    next_update: date_time_ymd(2027, 1, 1),
                    crl_number: SerialNumber::from(number),
                    issuing_distribution_point: None,
                    revoked_certs: Vec::new(),
                    key_identifier_method: KeyIdMethod::Sha256,
                };
                list.signed_by(&issuer).unwrap().der().to_vec().into()
            }),
            taken_at: None,
            failure: None,
        };
        let mut kept = vec![list("a", 1), list("b", 1)];
        let (first, unusable) = RevocationLists::default().with(id, &authority, &kept, None);
        assert!(unusable.is_empty());
        kept[1] = list("b", 2);
        let fresh = ReadList::open(kept[1].der.as_ref().unwrap(), &authority).unwrap();
        let ReadList::Full(read) = &fresh else { panic!("a full list") };
        let (second, _) = first.with(id, &authority, &kept, Some(fresh.clone()));
        assert!(Arc::ptr_eq(&first.of(id)[0], &second.of(id)[0]), "the one that stayed");
        assert!(Arc::ptr_eq(read, &second.of(id)[1]), "the one that was read already");
        assert_eq!(second.of(id).len(), 2, "what is kept no longer is forgotten");
        let der = |at: usize| kept[at].der.as_deref().unwrap();
        assert!(Arc::ptr_eq(second.full(id, der(1)).unwrap(), read));
        assert!(first.full(id, der(1)).is_none());
        let (none, _) = second.with(id, &authority, &[], None);
        assert!(none.of(id).is_empty());
    }
}
