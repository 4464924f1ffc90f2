//! Background work that survives its own mistakes: a panic is logged, counted, and the work begun again (security
//! rule 40, checklist R18).

use futures_util::FutureExt;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// How long work that failed rests before it is begun again, so that a fault that stays does not burn a core.
const REST: Duration = Duration::from_secs(1);

/// What is done in the background.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// Access records on their way to the store.
    Records,
    /// Revocations that the store did not take at once.
    Revocations,
    /// What happens once a minute.
    Housekeeping,
    /// Another reading of the configuration file.
    Reload,
    /// Fetching the revocation lists of certificate authorities.
    RevocationLists,
    /// Questions to OCSP responders.
    Responders,
}

impl Work {
    const ALL: [Self; 6] = [
        Self::Records,
        Self::Revocations,
        Self::Housekeeping,
        Self::Reload,
        Self::RevocationLists,
        Self::Responders,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Records => "records",
            Self::Revocations => "revocations",
            Self::Housekeeping => "housekeeping",
            Self::Reload => "reload",
            Self::RevocationLists => "revocation_lists",
            Self::Responders => "responders",
        }
    }
}

/// How often each kind of work panicked.
#[derive(Debug, Default)]
pub(crate) struct Restarts([AtomicU64; Work::ALL.len()]);

/// The work panicked; that is logged and counted already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is a bug in the gateway; what was in force before stays in force")]
pub struct Panicked;

impl Restarts {
    /// Does `work` to its end.
    ///
    /// # Errors
    /// [`Panicked`] when it panics. What it worked on must be fit for another attempt.
    pub(crate) async fn guard<T>(
        &self,
        what: Work,
        work: impl Future<Output = T>,
    ) -> Result<T, Panicked> {
        AssertUnwindSafe(work).catch_unwind().await.map_err(|_| {
            if let Some(count) = self.0.get(what as usize) {
                count.fetch_add(1, Ordering::Relaxed);
            }
            tracing::error!(work = what.name(), "a panic in background work; this is a bug");
            Panicked
        })
    }

    /// Does `work`. Whether it should be begun again: it panicked, and a rest was taken.
    pub(crate) async fn again(&self, what: Work, work: impl Future<Output = ()>) -> bool {
        let panicked = self.guard(what, work).await.is_err();
        if panicked {
            tokio::time::sleep(REST).await;
        }
        panicked
    }

    /// Each kind of work, and how often it panicked.
    pub(crate) fn read(&self) -> [(&'static str, u64); Work::ALL.len()] {
        let count = |what: Work| self.0.get(what as usize).map_or(0, |n| n.load(Ordering::Relaxed));
        Work::ALL.map(|what| (what.name(), count(what)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn r18_work_that_panics_is_begun_again_and_counted() {
        let restarts = Restarts::default();
        let mut attempts = 1;
        let work = async |attempts| assert!(attempts > 2, "this panic is part of a test");
        while restarts.again(Work::Housekeeping, work(attempts)).await {
            attempts += 1;
        }
        assert_eq!(attempts, 3);
        let failed = restarts.guard(Work::Reload, async { panic!("this panic is part of a test") });
        assert_eq!(failed.await.map(|(): ()| ()), Err(Panicked));
        assert_eq!(restarts.guard(Work::Reload, async { 7 }).await, Ok(7));
        assert_eq!(
            restarts.read(),
            [
                ("records", 0),
                ("revocations", 0),
                ("housekeeping", 2),
                ("reload", 1),
                ("revocation_lists", 0),
                ("responders", 0)
            ]
        );
    }
}
