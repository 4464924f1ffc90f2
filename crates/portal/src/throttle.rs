//! How often one network may begin or finish a login: a bounded table of leaky buckets in memory.

use narthex_model::UnixSeconds;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

/// Lets each key through `burst` times at once and then once every `millis` milliseconds.
pub(crate) struct Throttle {
    burst: i64,
    millis: i64,
    /// For each key the instant, in milliseconds, at which its bucket will be empty again.
    empty_at: Mutex<HashMap<String, i64>>,
}

/// Keys remembered at once; when all of them are busy, new ones are turned away.
const MOST_KEYS: usize = 50_000;

/// The key had too many tries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooOften {
    /// Seconds.
    pub(crate) retry_after: i64,
}

impl Throttle {
    /// For logins: 600 at once, then ten in a second. A whole office comes from one address on Monday morning; a flood
    /// that writes a pending login with every request must not.
    pub(crate) fn of_logins() -> Self {
        Self::new(600, 100)
    }

    fn new(burst: i64, millis: i64) -> Self {
        Self { burst, millis, empty_at: Mutex::default() }
    }

    /// Counts one try from the network of `ip`.
    ///
    /// # Errors
    /// [`TooOften`] when its bucket is full, or the table is full of busy networks.
    pub(crate) fn count(&self, ip: IpAddr, now: UnixSeconds) -> Result<(), TooOften> {
        self.take(network(ip), now)
    }

    fn take(&self, key: String, now: UnixSeconds) -> Result<(), TooOften> {
        let now = now.0.saturating_mul(1_000);
        let mut table = self.empty_at.lock().unwrap_or_else(PoisonError::into_inner);
        if table.len() >= MOST_KEYS && !table.contains_key(&key) {
            table.retain(|_, empty_at| *empty_at > now);
            if table.len() >= MOST_KEYS {
                return Err(TooOften { retry_after: 1 });
            }
        }
        let empty_at = table.entry(key).or_insert(now);
        let filled = (*empty_at).max(now).saturating_add(self.millis);
        let over = filled.saturating_sub(now) - self.burst * self.millis;
        if over > 0 {
            return Err(TooOften { retry_after: (over + 999) / 1_000 });
        }
        *empty_at = filled;
        Ok(())
    }
}

/// What counts as one asker: an IPv4 address, or the /64 of an IPv6 address.
fn network(ip: IpAddr) -> String {
    match ip.to_canonical() {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_then_a_steady_drip() {
        let throttle = Throttle::new(3, 10_000);
        let at = |second| throttle.take("key".to_owned(), UnixSeconds(second));
        assert_eq!([at(100), at(100), at(101)], [Ok(()); 3]);
        assert_eq!(at(101), Err(TooOften { retry_after: 9 }));
        assert_eq!(at(109), Err(TooOften { retry_after: 1 }));
        assert_eq!(at(110), Ok(()));
        assert!(at(110).is_err());
        assert_eq!([at(1000), at(1000), at(1000)], [Ok(()); 3], "full again after a rest");
        assert_eq!(throttle.take("other".to_owned(), UnixSeconds(101)), Ok(()), "keys are apart");
    }

    #[test]
    fn the_table_is_bounded() {
        let throttle = Throttle::new(1, 60_000);
        let take = |key: usize, at| throttle.take(key.to_string(), UnixSeconds(at));
        assert!((0..MOST_KEYS).all(|key| take(key, 0).is_ok()));
        assert!(take(MOST_KEYS, 1).is_err(), "all keys are busy");
        assert!(take(MOST_KEYS, 61).is_ok(), "idle keys make room");
    }

    #[test]
    fn one_household_is_one_asker() {
        let key = |ip: &str| network(ip.parse().unwrap());
        assert_eq!(key("2001:db8:1:2:3::4"), key("2001:db8:1:2:ffff::1"));
        assert_ne!(key("2001:db8:1:2::1"), key("2001:db8:1:3::1"));
        assert_eq!(key("::ffff:203.0.113.7"), key("203.0.113.7"));
    }
}
