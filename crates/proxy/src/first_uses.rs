//! Which credentials were used at which application since the start: shared by all cores, so that a first use is
//! recorded once. Asked only when a core meets a credential for the first time.

use narthex_model::AppId;
use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::sync::Mutex;

/// Credentials remembered at most; the older half is forgotten first and may be recorded again.
const MOST: usize = 1 << 20;

/// Remembers hashes only.
#[derive(Default)]
pub(crate) struct FirstUses {
    hasher: RandomState,
    seen: Mutex<[HashSet<u64>; 2]>,
}

impl FirstUses {
    /// Whether `credential`, a session's nonce or a machine's name, was not seen at `app` before. It is seen now.
    pub(crate) fn is_first(&self, app: AppId, credential: &str) -> bool {
        let hash = self.hasher.hash_one((app, credential));
        let mut seen = self.seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let [young, old] = &mut *seen;
        if young.contains(&hash) || old.contains(&hash) {
            return false;
        }
        if young.len() >= MOST / 2 {
            *old = std::mem::take(young);
        }
        young.insert(hash)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_is_new_once_at_each_application() {
        let (uses, wiki, mail) = (FirstUses::default(), AppId::random(), AppId::random());
        assert!(uses.is_first(wiki, "a"));
        assert!(!uses.is_first(wiki, "a"));
        assert!(uses.is_first(mail, "a") && uses.is_first(wiki, "b"));
    }
}
