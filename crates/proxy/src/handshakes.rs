//! The TLS handshakes under way on one core. There is room for a number of them; who comes when all are taken displaces
//! the one that has waited longest, so that clients which never finish keep nobody out (security §3, checklist T26).

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use tokio::sync::Notify;

/// Those under way, the oldest first.
#[derive(Default)]
pub(crate) struct Handshakes {
    open: RefCell<BTreeMap<u64, Rc<Notify>>>,
    begun: Cell<u64>,
}

/// One of them, until it is dropped.
pub(crate) struct UnderWay<'a> {
    all: &'a Handshakes,
    number: u64,
    displaced: Rc<Notify>,
}

impl Handshakes {
    /// One more begins; if there are `most` already, the oldest is displaced.
    pub(crate) fn begin(&self, most: usize) -> UnderWay<'_> {
        let mut open = self.open.borrow_mut();
        if open.len() >= most
            && let Some((_, oldest)) = open.pop_first()
        {
            oldest.notify_one();
        }
        let number = self.begun.get();
        self.begun.set(number.wrapping_add(1));
        let displaced = Rc::new(Notify::new());
        open.insert(number, Rc::clone(&displaced));
        UnderWay { all: self, number, displaced }
    }
}

impl UnderWay<'_> {
    /// Waits until somebody else needs the place.
    pub(crate) async fn displaced(&self) {
        self.displaced.notified().await;
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.all.open.borrow_mut().remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    #[test]
    fn the_oldest_makes_room() {
        let handshakes = Handshakes::default();
        let is_displaced = |it: &UnderWay<'_>| it.displaced().now_or_never().is_some();
        let first = handshakes.begin(2);
        let second = handshakes.begin(2);
        assert!(!is_displaced(&first) && !is_displaced(&second));
        let third = handshakes.begin(2);
        assert!(is_displaced(&first) && !is_displaced(&second) && !is_displaced(&third));
        drop((first, third));
        let fourth = handshakes.begin(2);
        assert!(!is_displaced(&second), "there was room");
        drop((second, fourth));
        assert!(handshakes.open.borrow().is_empty());
    }
}
