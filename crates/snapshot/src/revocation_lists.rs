//! The revocation lists of certificate authorities, read from what is kept of them.

use narthex_cert::{Authority, CrlFault, DeltaList, RevocationList};
use narthex_model::{CertificateAuthorityId, Configuration, CrlSource, StoredCrl};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The lists in force, deltas merged, by authority.
#[derive(Clone, Debug, Default)]
pub struct RevocationLists {
    by_authority: BTreeMap<CertificateAuthorityId, Vec<Arc<RevocationList>>>,
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
            lists.replace(said.id, merged(&authority, ours, &mut unusable));
        }
        (lists, unusable)
    }

    /// The same lists but for one authority, whose lists are read anew.
    #[must_use]
    pub fn with(
        &self,
        id: CertificateAuthorityId,
        authority: &Authority,
        kept: &[StoredCrl],
    ) -> (Self, Vec<UnusableList>) {
        let (mut lists, mut unusable) = (self.clone(), Vec::new());
        let ours = kept.iter().filter(|list| list.authority == id);
        lists.replace(id, merged(authority, ours, &mut unusable));
        (lists, unusable)
    }

    fn replace(&mut self, id: CertificateAuthorityId, lists: Vec<Arc<RevocationList>>) {
        if lists.is_empty() {
            self.by_authority.remove(&id);
        } else {
            self.by_authority.insert(id, lists);
        }
    }

    /// Every list, by authority.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<RevocationList>> {
        self.by_authority.values().flatten()
    }

    /// The lists of one authority.
    #[must_use]
    pub fn of(&self, id: CertificateAuthorityId) -> &[Arc<RevocationList>] {
        self.by_authority.get(&id).map(Vec::as_slice).unwrap_or_default()
    }
}

/// The full lists, each brought up to date by the deltas that fit onto it. A delta that fits onto none yet waits for
/// the full list that it needs.
fn merged<'a>(
    authority: &Authority,
    kept: impl Iterator<Item = &'a StoredCrl>,
    unusable: &mut Vec<UnusableList>,
) -> Vec<Arc<RevocationList>> {
    let (mut full, mut deltas) = (Vec::new(), Vec::new());
    for list in kept {
        let Some(der) = &list.der else { continue };
        let fault = match RevocationList::open(der, authority) {
            Ok(read) => {
                full.push(read);
                continue;
            }
            Err(CrlFault::IsDelta) => match DeltaList::open(der, authority) {
                Ok(delta) => {
                    deltas.push(delta);
                    continue;
                }
                Err(fault) => fault,
            },
            Err(fault) => fault,
        };
        let (authority, source) = (list.authority, list.source.clone());
        unusable.push(UnusableList { authority, source, fault });
    }
    let mut current: Vec<RevocationList> = Vec::new();
    for list in full {
        let updated = deltas.iter().filter_map(|delta| list.with_delta(delta).ok());
        let newest = updated.max_by_key(|list| list.this_update());
        current.push(newest.unwrap_or(list));
    }
    current.into_iter().map(Arc::new).collect()
}
