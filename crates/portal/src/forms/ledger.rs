//! How much is kept for strangers: so many bytes for each application and in all, within the time that a form is kept.

use super::LIFE_SECONDS;
use narthex_model::{AppId, UnixSeconds};
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

/// Bytes kept for one application.
const MOST_FOR_APP: usize = 16 * 1024 * 1024;
/// Bytes kept in all by this process.
const MOST: usize = 64 * 1024 * 1024;

/// What was kept within the last ten minutes. A form that was sent since still counts: the ledger also bounds how fast
/// the store is written to.
#[derive(Default)]
pub(crate) struct Ledger(Mutex<VecDeque<Entry>>);

struct Entry {
    until: UnixSeconds,
    app: AppId,
    bytes: usize,
}

impl Ledger {
    /// Makes room for a form, unless that would be too much.
    pub(crate) fn take(&self, app: AppId, bytes: usize, now: UnixSeconds) -> bool {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while entries.front().is_some_and(|oldest| oldest.until <= now) {
            entries.pop_front();
        }
        let all: usize = entries.iter().map(|entry| entry.bytes).sum();
        let own = entries.iter().filter(|entry| entry.app == app);
        let own: usize = own.map(|entry| entry.bytes).sum();
        let fits = all.saturating_add(bytes) <= MOST && own.saturating_add(bytes) <= MOST_FOR_APP;
        if fits {
            // An empty form takes its place in the store as well.
            let bytes = bytes.max(1024);
            entries.push_back(Entry { until: now.plus(LIFE_SECONDS), app, bytes });
        }
        fits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_application_has_its_share_and_all_have_one() {
        let ledger = Ledger::default();
        let apps: Vec<AppId> = (0..5).map(|_| AppId::random()).collect();
        let take = |app: usize, bytes, at| ledger.take(apps[app], bytes, UnixSeconds(at));
        assert!(take(0, MOST_FOR_APP - 1024, 100) && take(0, 0, 101));
        assert!(!take(0, 1, 102), "its share is used up");
        assert!((1..4).all(|app| take(app, MOST_FOR_APP, 103)));
        assert!(!take(4, 1, 104), "and that of all");
        assert!(!take(4, 1, 699) && take(4, 1, 700), "until the oldest has expired");
        assert!(!take(0, MOST_FOR_APP - 1023, 700) && take(0, MOST_FOR_APP - 2048, 700));
    }
}
