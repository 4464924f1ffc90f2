//! Places for connections: how many may be open on one core, in all and from one address.

use crate::meters::{LaneMeters, Meters};
use hashbrown::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Notify;

/// The places of one core. The core that accepts a connection takes the place, also on another core's behalf that is to
/// serve it; it is given back where the connection ends. Two cores that take at once may exceed a bound by one.
pub(crate) struct Slots {
    most: usize,
    most_per_address: usize,
    open: AtomicUsize,
    by_address: Mutex<HashMap<IpAddr, usize>>,
    meters: Arc<Meters>,
    lane: usize,
    /// Told when the last place is given back.
    empty: Notify,
}

/// A place taken. Dropping it gives it back.
pub(crate) struct Slot {
    slots: Arc<Slots>,
    /// The address it counts against; `None` for trusted proxies.
    address: Option<IpAddr>,
}

impl Slots {
    pub(crate) fn new(
        most: usize,
        most_per_address: usize,
        meters: Arc<Meters>,
        lane: usize,
    ) -> Arc<Self> {
        let (open, by_address, empty) = Default::default();
        Arc::new(Self { most, most_per_address, open, by_address, meters, lane, empty })
    }

    /// A place for a connection from `address`, which counts against that address unless it is a trusted proxy's.
    /// `None` when there are too many already.
    pub(crate) fn take(self: &Arc<Self>, address: IpAddr, trusted: bool) -> Option<Slot> {
        let address = (!trusted).then_some(address);
        if self.open.load(Ordering::Relaxed) >= self.most {
            return None;
        }
        if let Some(address) = address {
            let mut by_address = self.by_address.lock().unwrap_or_else(PoisonError::into_inner);
            let count = by_address.entry(address).or_insert(0);
            if *count >= self.most_per_address {
                return None;
            }
            *count += 1;
        }
        self.open.fetch_add(1, Ordering::Relaxed);
        self.meters().connections_open.add();
        Some(Slot { slots: Arc::clone(self), address })
    }

    /// How many places are taken.
    pub(crate) fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// Returns once every place has been given back.
    pub(crate) async fn until_empty(&self) {
        while self.open.load(Ordering::Acquire) > 0 {
            self.empty.notified().await;
        }
    }

    fn meters(&self) -> &LaneMeters {
        self.meters.lane(self.lane)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let slots = &self.slots;
        if let Some(address) = self.address {
            let mut by_address = slots.by_address.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(count) = by_address.get_mut(&address) {
                *count -= 1;
                if *count == 0 {
                    by_address.remove(&address);
                }
            }
        }
        slots.meters().connections_open.sub();
        if slots.open.fetch_sub(1, Ordering::AcqRel) == 1 {
            slots.empty.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_bounded_in_all_and_by_address() {
        let slots = Slots::new(3, 2, Arc::new(Meters::new(1)), 0);
        let (a, b): (IpAddr, IpAddr) = ("10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap());
        let first = slots.take(a, false);
        let second = slots.take(a, false);
        assert!(first.is_some() && second.is_some());
        assert!(slots.take(a, false).is_none(), "two from one address");
        let third = slots.take(b, false);
        assert!(third.is_some());
        assert!(slots.take(b, true).is_none(), "three in all");
        drop((first, third));
        assert!(slots.take(a, false).is_some(), "a place was given back");
        drop(second);
        assert!(slots.by_address.lock().unwrap().is_empty());
    }
}
