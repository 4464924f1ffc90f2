//! What the data path counts. Each core writes its own atomics, and only it, so that counting is an addition;
//! reading sums them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A number that one core writes and anybody reads.
#[derive(Debug, Default)]
pub(crate) struct Meter(AtomicU64);

impl Meter {
    /// Adds one. Not atomic as a whole: a meter has one writer.
    pub(crate) fn add(&self) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
    }

    /// Takes one off, for numbers that say how many there are now.
    pub(crate) fn sub(&self) {
        self.0.store(self.0.load(Ordering::Relaxed).saturating_sub(1), Ordering::Relaxed);
    }

    /// Sets it, for numbers that say how things are now.
    pub(crate) fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    fn read(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

macro_rules! meters {
    ($($(#[$doc:meta])* $name:ident,)+) => {
        /// The meters of one core, alone on its cache lines.
        #[derive(Debug, Default)]
        #[repr(align(128))]
        pub(crate) struct LaneMeters {
            $(pub(crate) $name: Meter,)+
        }

        /// The sum over all cores at one instant.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct Reading {
            $($(#[$doc])* pub $name: u64,)+
        }

        impl Meters {
            /// Adds up what the cores have counted.
            #[must_use]
            pub fn read(&self) -> Reading {
                let mut sum = Reading::default();
                for lane in &self.lanes {
                    $(sum.$name = sum.$name.wrapping_add(lane.$name.read());)+
                }
                sum
            }
        }
    };
}

meters! {
    /// TCP connections accepted.
    connections_accepted,
    /// Connections open now, upgraded ones included.
    connections_open,
    /// Connections turned away because of a limit.
    connections_refused,
    /// Times that accepting failed for want of a resource, such as file descriptors.
    accept_failures,
    /// HTTP/2 streams and whole connections ended because the client did not take what was sent.
    write_stalls,
    /// Cores that are overloaded now.
    overloaded,
    /// Requests of strangers that were turned away because of overload.
    shed_strangers,
    /// The same of those who sent a credential.
    shed_known,
    /// Times that accepting connections had to wait because of overload.
    connections_delayed,
    /// TLS handshakes completed.
    handshakes,
    /// TLS handshakes that failed or took too long.
    handshakes_failed,
    /// TLS handshakes for a name that this gateway does not answer for, or without a name.
    handshakes_unknown_name,
    /// Requests for an application that were let in for a person.
    admitted_person,
    /// Requests for an application that were let in for a machine.
    admitted_machine,
    /// Requests that a bypass let in, or that no application covers.
    admitted_bypass,
    /// Requests sent to log in.
    sent_to_login,
    /// Requests answered 401.
    unauthenticated,
    /// Requests answered 403.
    forbidden,
    /// Requests that were malformed, too large or for another host.
    malformed,
    /// Requests that the HTTP library answered itself, 400 or 431: no HTTP, or a head that is too large.
    unreadable,
    /// Requests for a host or path that is not there.
    not_found,
    /// Requests for the team domain, the admin host and the reserved paths.
    control,
    /// Of these, requests turned away because the control side was busy or did not answer.
    control_busy,
    /// Requests that an origin failed to answer.
    upstream_failures,
    /// Requests that were sent to an origin a second time.
    upstream_retries,
    /// Addresses of origins that did not answer and were passed over from then on, on each core.
    upstream_ejections,
    /// Addresses of origins that were passed over and answered again.
    upstream_returns,
    /// Answers in which an origin spoke in the gateway's name, and that was removed.
    impostors,
    /// Requests during which the gateway itself failed.
    panics,
    /// Decisions taken from a connection's memo.
    memo_hits,
    /// Requests with cookies only for which the memo did not hold.
    memo_misses,
    /// Tokens found among those verified before.
    token_hits,
    /// Tokens that had to be verified.
    token_misses,
    /// Access records that could not be handed to the control side, or were over the rate.
    records_dropped,
}

impl LaneMeters {
    pub(crate) fn memo(&self, hit: bool) {
        if hit { self.memo_hits.add() } else { self.memo_misses.add() }
    }

    pub(crate) fn bearer(&self, hit: bool) {
        if hit { self.token_hits.add() } else { self.token_misses.add() }
    }
}

/// The meters of every core.
#[derive(Debug)]
pub struct Meters {
    lanes: Box<[LaneMeters]>,
    none: LaneMeters,
    /// How long work waits on each core, in microseconds.
    waits: Box<[AtomicU64]>,
}

impl Meters {
    /// Meters for this many cores.
    #[must_use]
    pub fn new(cores: usize) -> Self {
        let lanes = std::iter::repeat_with(LaneMeters::default).take(cores.max(1)).collect();
        let waits = std::iter::repeat_with(AtomicU64::default).take(cores.max(1)).collect();
        Self { lanes, none: LaneMeters::default(), waits }
    }

    /// How long work waited on each core when it looked last.
    pub fn queue_delays(&self) -> impl Iterator<Item = Duration> + '_ {
        self.waits.iter().map(|wait| Duration::from_micros(wait.load(Ordering::Relaxed)))
    }

    pub(crate) fn waits(&self, lane: usize, delay: Duration) {
        let microseconds = u64::try_from(delay.as_micros()).unwrap_or(u64::MAX);
        if let Some(wait) = self.waits.get(lane) {
            wait.store(microseconds, Ordering::Relaxed);
        }
    }

    /// How many cores there are meters for.
    #[must_use]
    pub fn cores(&self) -> usize {
        self.lanes.len()
    }

    /// The meters of one core.
    pub(crate) fn lane(&self, index: usize) -> &LaneMeters {
        self.lanes.get(index).unwrap_or(&self.none)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reading_adds_up_the_cores() {
        let meters = Meters::new(2);
        meters.lane(0).handshakes.add();
        meters.lane(1).handshakes.add();
        meters.lane(1).connections_open.add();
        meters.lane(1).connections_open.sub();
        meters.lane(7).handshakes.add();
        let want = Reading { handshakes: 2, ..Reading::default() };
        assert_eq!(meters.read(), want);
    }
}
