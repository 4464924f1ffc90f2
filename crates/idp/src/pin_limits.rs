//! How often PINs may be asked for and tried, per address and per network.
//!
//! The counters are this node's own and start anew with it. They count requests whether or not a mail goes out, so that
//! they say nothing about who may enter.

use governor::clock::Clock as _;
use governor::middleware::NoOpMiddleware;
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};
use narthex_model::{Clock, EmailAddress};
use std::fmt;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Requests for one address: this many at once, then one every three minutes.
const ASKS_PER_ADDRESS: u32 = 5;
const ADDRESS_REFILL: Duration = Duration::from_secs(180);
/// Requests from one network: this many at once, then one every 30 seconds.
const ASKS_PER_NETWORK: u32 = 20;
const NETWORK_REFILL: Duration = Duration::from_secs(30);
/// Entries from one network: this many at once, then one every 10 seconds.
const ATTEMPTS_PER_NETWORK: u32 = 30;
const ATTEMPT_REFILL: Duration = Duration::from_secs(10);
/// How many keys one counter remembers at most. Beyond it strangers are refused until old keys have run out.
const KEYS: usize = 50_000;
/// Counters that have run out are dropped once in so many calls.
const SWEEP_EVERY: u32 = 256;

/// Too many requests; the same for every address, known or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many login codes were asked for or tried; wait {retry_after_seconds} s")]
pub struct TooMany {
    /// Seconds until one more is allowed; at least 1.
    pub retry_after_seconds: u64,
}

/// The counters of one gateway.
pub struct PinLimits {
    asks_per_address: Counter<EmailAddress>,
    asks_per_network: Counter<IpAddr>,
    attempts_per_network: Counter<IpAddr>,
}

impl PinLimits {
    /// Fresh counters. They follow the machine's monotonic clock, or `clock` when a test sets it.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self {
            asks_per_address: Counter::new(ASKS_PER_ADDRESS, ADDRESS_REFILL, KEYS, &clock),
            asks_per_network: Counter::new(ASKS_PER_NETWORK, NETWORK_REFILL, KEYS, &clock),
            attempts_per_network: Counter::new(ATTEMPTS_PER_NETWORK, ATTEMPT_REFILL, KEYS, &clock),
        }
    }

    /// Counts a request for a PIN, whether or not a mail goes out.
    ///
    /// # Errors
    /// [`TooMany`] when the network or the address asked too often. The network is counted first, so that one network
    /// cannot fill the table of addresses.
    pub fn ask(&self, email: &EmailAddress, ip: IpAddr) -> Result<(), TooMany> {
        self.asks_per_network.count(&network(ip))?;
        self.asks_per_address.count(email)
    }

    /// Counts an entered PIN.
    ///
    /// # Errors
    /// [`TooMany`] when the network tried too often.
    pub fn attempt(&self, ip: IpAddr) -> Result<(), TooMany> {
        self.attempts_per_network.count(&network(ip))
    }
}

impl fmt::Debug for PinLimits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PinLimits")
    }
}

/// What counts as one network: an IPv4 address, or the /64 that one household gets of IPv6.
fn network(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V4(v4) => IpAddr::V4(v4),
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 64))),
    }
}

/// One keyed counter of bounded size.
struct Counter<K: Hash + Eq + Clone> {
    limiter: RateLimiter<K, HashMapStateStore<K>, Pace, NoOpMiddleware<Duration>>,
    pace: Pace,
    keys: usize,
    calls: AtomicU32,
}

impl<K: Hash + Eq + Clone> Counter<K> {
    fn new(burst: u32, refill: Duration, keys: usize, clock: &Clock) -> Self {
        let quota = Quota::with_period(refill).expect("the refill times above are not zero");
        let quota = quota.allow_burst(NonZeroU32::new(burst).expect("the bursts above are not 0"));
        let pace = Pace::of(clock);
        let limiter = RateLimiter::new(quota, HashMapStateStore::default(), pace.clone());
        Self { limiter, pace, keys, calls: AtomicU32::new(0) }
    }

    fn count(&self, key: &K) -> Result<(), TooMany> {
        let calls = self.calls.fetch_add(1, Ordering::Relaxed);
        if calls % SWEEP_EVERY == SWEEP_EVERY - 1 || self.limiter.len() > self.keys {
            self.limiter.retain_recent();
        }
        if self.limiter.len() > self.keys {
            return Err(TooMany { retry_after_seconds: 60 });
        }
        self.limiter.check_key(key).map_err(|until| {
            let wait = until.wait_time_from(self.pace.now());
            TooMany { retry_after_seconds: wait.as_secs() + 1 }
        })
    }
}

/// The clock of the counters: time since they were made.
#[derive(Clone)]
enum Pace {
    Monotonic(Instant),
    Manual(Clock),
}

impl Pace {
    fn of(clock: &Clock) -> Self {
        match clock {
            Clock::System => Self::Monotonic(Instant::now()),
            Clock::Manual(_) => Self::Manual(clock.clone()),
        }
    }
}

impl governor::clock::Clock for Pace {
    type Instant = Duration;

    fn now(&self) -> Duration {
        match self {
            Self::Monotonic(start) => start.elapsed(),
            Self::Manual(clock) => {
                Duration::from_secs(u64::try_from(clock.now().0).unwrap_or_default())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use narthex_model::UnixSeconds;

    fn clock() -> Clock {
        Clock::manual(UnixSeconds(1_800_000_000))
    }

    #[test]
    fn an_address_is_asked_for_five_times_and_then_slowly() {
        let clock = clock();
        let limits = PinLimits::new(clock.clone());
        let [one, other]: [EmailAddress; 2] = ["a@b.c", "x@b.c"].map(|e| e.parse().unwrap());
        for network in 1..=5 {
            assert_eq!(limits.ask(&one, IpAddr::from([192, 0, 2, network])), Ok(()));
        }
        let refused = limits.ask(&one, IpAddr::from([192, 0, 2, 6]));
        assert!(refused.is_err_and(|e| (100..=181).contains(&e.retry_after_seconds)));
        assert_eq!(limits.ask(&other, IpAddr::from([192, 0, 2, 6])), Ok(()), "somebody else");
        clock.advance(181);
        assert_eq!(limits.ask(&one, IpAddr::from([192, 0, 2, 7])), Ok(()), "three minutes later");
        assert!(limits.ask(&one, IpAddr::from([192, 0, 2, 8])).is_err());
    }

    #[test]
    fn a_network_asks_for_twenty_and_tries_thirty() {
        let limits = PinLimits::new(clock());
        let ip = IpAddr::from([192, 0, 2, 1]);
        let asked = (0..100).filter(|i| {
            let email: EmailAddress = format!("user{i}@example.com").parse().unwrap();
            limits.ask(&email, ip).is_ok()
        });
        assert_eq!(asked.count(), 20);
        assert_eq!((0..10_000).filter(|_| limits.attempt(ip).is_ok()).count(), 30);
    }

    #[test]
    fn one_household_is_one_network() {
        let ip = |raw: &str| network(raw.parse().unwrap());
        assert_eq!(ip("2001:db8::1"), ip("2001:db8::ffff:1"));
        assert_ne!(ip("2001:db8::1"), ip("2001:db8:0:1::1"));
        assert_eq!(ip("::ffff:192.0.2.1"), ip("192.0.2.1"));
    }

    #[test]
    fn the_table_stays_small_and_empties_itself() {
        let clock = clock();
        let counter = Counter::new(1, Duration::from_secs(30), 100, &clock);
        let admitted = (0u32..1_000).filter(|key| counter.count(key).is_ok()).count();
        assert!((100..=101).contains(&admitted), "{admitted}");
        assert!(counter.limiter.len() <= 101);
        clock.advance(120);
        assert_eq!(counter.count(&5_000), Ok(()), "old keys have gone");
        assert!(counter.limiter.len() < 10);
    }
}
