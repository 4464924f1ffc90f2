//! The team's keys as an origin knows them: fetched when they are first needed, again when a token names a key that is
//! not among them or when they have grown old, by one call at a time, and not too often. While the team domain cannot
//! be reached, what is known stays in use.

use super::{FetchCerts, FetchError};
use crate::KeySet;
use narthex_model::{Clock, TeamDomain, UnixSeconds};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// After a fetch the next waits this long, whatever tokens name: 30 s.
pub const SECONDS_BETWEEN_FETCHES: i64 = 30;

/// After a fetch that failed the next waits only this long: 5 s.
pub const SECONDS_AFTER_A_FAILURE: i64 = 5;

/// Keys that were fetched longer ago are fetched again, beside the request that finds them old: 10 minutes, for which
/// the team domain also lets caches keep them. So long a key lives on here that the team has withdrawn.
pub const FRESH_SECONDS: i64 = 600;

/// A fetch takes no longer than this: 10 s (access-protocol §5.6).
pub const FETCH_SECONDS: u64 = 10;

/// Shared by all requests.
pub(crate) struct TeamKeys {
    issuer: TeamDomain,
    source: Box<dyn FetchCerts>,
    clock: Clock,
    known: watch::Sender<Known>,
}

/// What is known at one instant.
#[derive(Clone)]
pub(crate) struct Known {
    /// The keys that were fetched last; none before the first fetch.
    pub(crate) keys: Arc<KeySet>,
    fetched_at: Option<UnixSeconds>,
    fetch: Fetch,
}

/// How the newest fetch stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fetch {
    NeverTried,
    UnderWay,
    Succeeded { at: UnixSeconds },
    Failed { at: UnixSeconds },
}

impl Fetch {
    /// Whether another may begin.
    fn is_due(self, now: UnixSeconds) -> bool {
        let (at, pause) = match self {
            Self::NeverTried => return true,
            Self::UnderWay => return false,
            Self::Succeeded { at } => (at, SECONDS_BETWEEN_FETCHES),
            Self::Failed { at } => (at, SECONDS_AFTER_A_FAILURE),
        };
        !(0..pause).contains(&now.since(at)) // a clock that was set back does not hold it up
    }
}

impl Known {
    /// Whether a key that is not among these may yet exist: the newest fetch did not succeed.
    pub(crate) fn may_lack_keys(&self) -> bool {
        match self.fetch {
            Fetch::Succeeded { .. } => false,
            Fetch::NeverTried | Fetch::UnderWay | Fetch::Failed { .. } => true,
        }
    }

    fn is_old(&self, now: UnixSeconds) -> bool {
        self.fetched_at.is_none_or(|at| !(0..FRESH_SECONDS).contains(&now.since(at)))
    }
}

impl TeamKeys {
    pub(crate) fn new(issuer: TeamDomain, source: Box<dyn FetchCerts>, clock: Clock) -> Self {
        let keys = Arc::new(KeySet::empty(&issuer));
        let known = Known { keys, fetched_at: None, fetch: Fetch::NeverTried };
        Self { issuer, source, clock, known: watch::Sender::new(known) }
    }

    pub(crate) fn now(&self) -> UnixSeconds {
        self.clock.now()
    }

    /// What is known now.
    pub(crate) fn known(&self) -> Known {
        self.known.borrow().clone()
    }

    /// What is known once the fetch is over that is under way, or that is due and begins now. Nothing is waited for
    /// when the last one was just now.
    pub(crate) async fn refreshed(self: &Arc<Self>) -> Known {
        let mut watch = self.known.subscribe();
        self.begin();
        let landed = watch.wait_for(|known| known.fetch != Fetch::UnderWay).await;
        landed.expect("the sender lives as long as self").clone()
    }

    /// Has keys that have grown old fetched again, without waiting for them.
    pub(crate) fn keep_fresh(self: &Arc<Self>, known: &Known) {
        if known.is_old(self.now()) {
            self.begin();
        }
    }

    /// Begins a fetch if one is due. It is a task of its own, so that it outlives the request that began it: a client that
    /// hangs up must not be able to keep new keys from everybody else.
    fn begin(self: &Arc<Self>) {
        let now = self.now();
        let begun = self.known.send_if_modified(|known| {
            let due = known.fetch.is_due(now);
            if due {
                known.fetch = Fetch::UnderWay;
            }
            due
        });
        if begun {
            tokio::spawn(Flight { team: Arc::clone(self), landed: false }.run());
        }
    }

    async fn fetch(&self) -> Result<KeySet, FetchError> {
        let limit = Duration::from_secs(FETCH_SECONDS);
        let body = tokio::time::timeout(limit, self.source.fetch()).await;
        let body = body.map_err(|_| FetchError::TooSlow)??;
        Ok(KeySet::read(&self.issuer, &body)?)
    }
}

/// The one fetch under way. However it ends, nobody goes on waiting for it.
struct Flight {
    team: Arc<TeamKeys>,
    landed: bool,
}

impl Flight {
    async fn run(mut self) {
        match self.team.fetch().await {
            Ok(keys) => {
                tracing::debug!(
                    team = self.team.issuer.issuer(),
                    ?keys,
                    "the team's keys were fetched"
                );
                self.land(Some(keys));
            }
            Err(error) => {
                let team = self.team.issuer.issuer();
                tracing::warn!(team, %error, "the team's keys could not be fetched; those known stay in use");
                self.land(None);
            }
        }
    }

    fn land(&mut self, keys: Option<KeySet>) {
        self.landed = true;
        let at = self.team.now();
        self.team.known.send_modify(|known| match keys {
            Some(keys) => {
                let keys = Arc::new(keys);
                *known = Known { keys, fetched_at: Some(at), fetch: Fetch::Succeeded { at } };
            }
            None => known.fetch = Fetch::Failed { at },
        });
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        if !self.landed {
            self.land(None); // the source panicked, or the runtime went away
        }
    }
}
