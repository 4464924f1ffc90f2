//! How much one core reads for strangers: so many forms at once, and so many a minute from one network.

use hashbrown::HashMap;
use narthex_model::UnixSeconds;
use std::cell::{Cell, RefCell};
use std::net::IpAddr;

/// Networks remembered at once; when all of them are busy, new ones are refused.
const MOST_NETWORKS: usize = 4096;
/// Seconds in which a network's bucket empties.
const MINUTE: i64 = 60;

/// What may be read on one core.
pub(crate) struct Allowance {
    at_once: usize,
    per_minute: i64,
    under_way: Cell<usize>,
    /// For each network the second at which its bucket will be empty, in 1/`per_minute` of a minute.
    networks: RefCell<HashMap<Network, i64>>,
}

/// Leave to read one form; dropping it makes room for another.
pub(crate) struct Leave<'a>(&'a Allowance);

/// What counts as one sender: an IPv4 address, or the /64 of an IPv6 address.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Network {
    V4([u8; 4]),
    V6([u16; 4]),
}

impl Allowance {
    pub(crate) fn new(at_once: usize, per_minute: usize) -> Self {
        let per_minute = i64::try_from(per_minute).unwrap_or(i64::MAX).max(1);
        let (under_way, networks) = Default::default();
        Self { at_once, per_minute, under_way, networks }
    }

    /// Leave to read a form from `ip`, unless too many are being read or came from there.
    pub(crate) fn ask(&self, ip: IpAddr, now: UnixSeconds) -> Option<Leave<'_>> {
        if self.under_way.get() >= self.at_once || !self.count(network(ip), now) {
            return None;
        }
        self.under_way.set(self.under_way.get() + 1);
        Some(Leave(self))
    }

    /// A leaky bucket: a form fills one part of `per_minute`, and the whole empties in a minute.
    fn count(&self, network: Network, now: UnixSeconds) -> bool {
        let now = now.0.saturating_mul(self.per_minute);
        let full = MINUTE.saturating_mul(self.per_minute);
        let mut networks = self.networks.borrow_mut();
        if networks.len() >= MOST_NETWORKS && !networks.contains_key(&network) {
            networks.retain(|_, empty_at| *empty_at > now);
            if networks.len() >= MOST_NETWORKS {
                return false;
            }
        }
        let empty_at = networks.entry(network).or_insert(now);
        let filled = (*empty_at).max(now).saturating_add(MINUTE);
        let fits = filled.saturating_sub(now) <= full;
        if fits {
            *empty_at = filled;
        }
        fits
    }
}

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        self.0.under_way.set(self.0.under_way.get().saturating_sub(1));
    }
}

fn network(ip: IpAddr) -> Network {
    match ip.to_canonical() {
        IpAddr::V4(v4) => Network::V4(v4.octets()),
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            Network::V6([a, b, c, d])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn so_many_at_once() {
        let allowance = Allowance::new(2, 100);
        let now = UnixSeconds(1_000);
        let first = allowance.ask(ip("203.0.113.1"), now);
        let second = allowance.ask(ip("203.0.113.2"), now);
        assert!(first.is_some() && second.is_some());
        assert!(allowance.ask(ip("203.0.113.3"), now).is_none());
        drop(first);
        assert!(allowance.ask(ip("203.0.113.3"), now).is_some());
    }

    #[test]
    fn so_many_a_minute_from_one_network() {
        let allowance = Allowance::new(100, 3);
        let ask = |from: &str, at: i64| allowance.ask(ip(from), UnixSeconds(at)).is_some();
        assert_eq!([0; 4].map(|_| ask("203.0.113.1", 1_000)), [true, true, true, false]);
        assert!(ask("203.0.113.2", 1_000), "somebody else");
        assert!(!ask("::ffff:203.0.113.1", 1_019), "the same address in other clothes");
        assert!(ask("203.0.113.1", 1_020));
        assert!(!ask("203.0.113.1", 1_020));
        assert_eq!([0; 4].map(|_| ask("203.0.113.1", 9_000)), [true, true, true, false]);
        let of_64 =
            ["2001:db8:1:2::1", "2001:db8:1:2::2", "2001:db8:1:2:ffff::", "2001:db8:1:2::9"];
        assert_eq!(of_64.map(|from| ask(from, 9_000)), [true, true, true, false]);
        assert!(ask("2001:db8:1:3::1", 9_000));
    }

    #[test]
    fn the_table_is_bounded() {
        let allowance = Allowance::new(100, 1);
        let from = |n: u32| IpAddr::from(n.to_be_bytes());
        let most = u32::try_from(MOST_NETWORKS).unwrap();
        assert!((0..most).all(|n| allowance.ask(from(n), UnixSeconds(0)).is_some()));
        assert!(allowance.ask(from(most), UnixSeconds(1)).is_none(), "all are busy");
        assert!(allowance.ask(from(most), UnixSeconds(60)).is_some(), "idle ones make room");
    }
}
