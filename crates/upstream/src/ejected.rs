//! Addresses that did not answer, passed over for a short time (checklist R7). One request in each period tries such
//! an address again; the others go to the next one, or are told at once that nobody is there.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::time::Instant;

/// How long an address is passed over. One that refuses costs nothing to find out about, so it is asked again after
/// this time; one that says nothing is passed over twice as long each time, up to [`LONGEST`].
const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(16);

/// Addresses remembered at most.
const MOST: usize = 64;

/// How an attempt to connect failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// Somebody said no.
    Refused,
    /// Nobody said anything.
    Silent,
}

/// The addresses of one origin that are passed over.
#[derive(Debug, Default)]
pub(super) struct Ejected(RefCell<Vec<Entry>>);

#[derive(Debug)]
struct Entry {
    address: SocketAddr,
    until: Instant,
    period: Duration,
}

impl Ejected {
    /// Whether `address` may be tried at `now`. If its time is over, whoever is told so is the one who tries it;
    /// the others wait for another period.
    pub(super) fn may_try(&self, address: SocketAddr, now: Instant) -> bool {
        let mut entries = self.0.borrow_mut();
        let Some(entry) = entries.iter_mut().find(|entry| entry.address == address) else {
            return true;
        };
        let over = entry.until <= now;
        if over {
            entry.until = now + entry.period;
        }
        over
    }

    /// Nobody answered at `address`. Whether it is passed over from now on and was not before.
    pub(super) fn failed(&self, address: SocketAddr, failure: Failure, now: Instant) -> bool {
        let mut entries = self.0.borrow_mut();
        let before = entries.iter().position(|entry| entry.address == address);
        let before = before.map(|at| entries.swap_remove(at).period);
        let period = match (failure, before) {
            (Failure::Refused, _) | (Failure::Silent, None) => FIRST,
            (Failure::Silent, Some(period)) => (period * 2).min(LONGEST),
        };
        if entries.len() >= MOST {
            entries.remove(0); // of a name that moved; to forget one is harmless
        }
        entries.push(Entry { address, until: now + period, period });
        before.is_none()
    }

    /// Somebody answered there. Whether it was passed over until now.
    pub(super) fn works(&self, address: SocketAddr) -> bool {
        let mut entries = self.0.borrow_mut();
        let before = entries.len();
        entries.retain(|entry| entry.address != address);
        entries.len() < before
    }

    /// When the first of `addresses` may be tried again, from `now` on.
    pub(super) fn next_try(&self, addresses: &[SocketAddr], now: Instant) -> Duration {
        let entries = self.0.borrow();
        let theirs = entries.iter().filter(|entry| addresses.contains(&entry.address));
        let until = theirs.map(|entry| entry.until.saturating_duration_since(now)).min();
        until.unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, last], 80))
    }

    #[test]
    fn r07_one_request_in_each_period_tries_an_address_that_is_dead() {
        let (ejected, began) = (Ejected::default(), Instant::now());
        ejected.failed(address(1), Failure::Refused, began);
        assert_eq!(ejected.next_try(&[address(1)], began), FIRST);
        let mut tried = 0;
        for tenth in 0..100 {
            let now = began + FIRST / 10 * tenth;
            assert!(ejected.may_try(address(2), now), "others are not passed over");
            for _ in 0..50 {
                if ejected.may_try(address(1), now) {
                    tried += 1;
                    ejected.failed(address(1), Failure::Refused, now);
                }
            }
        }
        assert_eq!(tried, 9, "5,000 requests in ten periods");
        ejected.works(address(1));
        assert!(ejected.may_try(address(1), began) && ejected.may_try(address(1), began));
    }

    #[test]
    fn r07_an_address_that_flaps_is_never_asked_by_all_at_once() {
        let (ejected, mut now) = (Ejected::default(), Instant::now());
        for _ in 0..10 {
            assert!(ejected.failed(address(1), Failure::Silent, now), "passed over from now on");
            assert!(!ejected.failed(address(1), Failure::Refused, now), "it was already");
            assert!(!ejected.may_try(address(1), now));
            now += FIRST;
            assert!(ejected.may_try(address(1), now), "one is let through");
            assert!(!ejected.may_try(address(1), now), "and nobody else until it is back");
            assert!(ejected.works(address(1)), "back");
            assert!(!ejected.works(address(1)), "it was already");
        }
    }

    #[test]
    fn silence_is_waited_for_less_and_less_often() {
        let (ejected, mut now) = (Ejected::default(), Instant::now());
        let mut waits = Vec::new();
        for _ in 0..6 {
            ejected.failed(address(1), Failure::Silent, now);
            let wait = ejected.next_try(&[address(1), address(2)], now);
            waits.push(wait.as_secs());
            now += wait;
            assert!(ejected.may_try(address(1), now));
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 16]);
        ejected.failed(address(1), Failure::Refused, now);
        assert_eq!(ejected.next_try(&[address(1)], now), FIRST, "somebody said no: it is alive");
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let (ejected, now) = (Ejected::default(), Instant::now());
        for port in 1..1000 {
            ejected.failed(SocketAddr::from(([192, 0, 2, 1], port)), Failure::Refused, now);
        }
        assert_eq!(ejected.0.borrow().len(), MOST);
    }
}
