//! Places for connections: how many may be open on one core, in all and from one address.

use crate::meters::{LaneMeters, Meters};
use hashbrown::HashMap;
use std::cell::{Cell, RefCell};
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use tokio::sync::Notify;

/// The places of one core.
pub(crate) struct Slots {
    most: usize,
    most_per_address: usize,
    open: Cell<usize>,
    by_address: RefCell<HashMap<IpAddr, usize>>,
    meters: Arc<Meters>,
    lane: usize,
    /// Told when the last place is given back.
    empty: Notify,
}

/// A place taken. Dropping it gives it back.
pub(crate) struct Slot {
    slots: Rc<Slots>,
    /// The address it counts against; `None` for trusted proxies.
    address: Option<IpAddr>,
}

impl Slots {
    pub(crate) fn new(
        most: usize,
        most_per_address: usize,
        meters: Arc<Meters>,
        lane: usize,
    ) -> Rc<Self> {
        let (open, by_address, empty) = Default::default();
        Rc::new(Self { most, most_per_address, open, by_address, meters, lane, empty })
    }

    /// A place for a connection from `address`, which counts against that address unless it is a trusted proxy's.
    /// `None` when there are too many already.
    pub(crate) fn take(self: &Rc<Self>, address: IpAddr, trusted: bool) -> Option<Slot> {
        let address = (!trusted).then_some(address);
        if self.open.get() >= self.most {
            return None;
        }
        if let Some(address) = address {
            let mut by_address = self.by_address.borrow_mut();
            let count = by_address.entry(address).or_insert(0);
            if *count >= self.most_per_address {
                return None;
            }
            *count += 1;
        }
        self.open.set(self.open.get() + 1);
        self.meters().connections_open.add();
        Some(Slot { slots: Rc::clone(self), address })
    }

    /// Returns once every place has been given back.
    pub(crate) async fn until_empty(&self) {
        while self.open.get() > 0 {
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
            let mut by_address = slots.by_address.borrow_mut();
            if let Some(count) = by_address.get_mut(&address) {
                *count -= 1;
                if *count == 0 {
                    by_address.remove(&address);
                }
            }
        }
        slots.meters().connections_open.sub();
        slots.open.set(slots.open.get() - 1);
        if slots.open.get() == 0 {
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
        assert!(slots.by_address.borrow().is_empty());
    }
}
