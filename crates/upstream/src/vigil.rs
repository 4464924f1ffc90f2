//! One vigil per core watches every exchange under way: it ends those that stand still for too long and those
//! whose caller was revoked. One timer serves them all, so that a request needs none of its own.

use crate::leash::Leash;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::panic::AssertUnwindSafe;
use std::rc::{Rc, Weak};
use std::task::{Context, Waker};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

/// Why an exchange was ended from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Cut {
    /// Nothing moved for as long as is allowed.
    #[error("nothing moved for too long")]
    Idle,
    /// Its caller is not admitted any more.
    #[error("the caller's admission was revoked")]
    Revoked,
    /// Its other half is gone.
    #[error("the client is gone")]
    Gone,
}

/// The watch over one core's exchanges. Time is counted in ticks, so a limit is kept to a tick's exactness.
pub(crate) struct Vigil {
    tick: Duration,
    recheck: Duration,
    now: Cell<u32>,
    watched: RefCell<Vec<Rc<Exchange>>>,
}

/// One exchange under way, shared by its two directions.
pub(crate) struct Exchange {
    place: Cell<usize>,
    moved: Cell<u32>,
    patience: Cell<u32>,
    waiting: Cell<bool>,
    cut: Cell<Option<Cut>>,
    leash: Leash,
    answer: Cell<Option<Waker>>,
    upload: Cell<Option<Waker>>,
    vigil: Weak<Vigil>,
}

/// Keeps an exchange under watch; dropping it ends the exchange's other half too.
pub(crate) struct Watch(Rc<Exchange>);

impl Vigil {
    /// A vigil that looks around every `tick`; [`Vigil::keep`] is its heart.
    /// Callers are asked about again after `recheck` even when nothing was revoked.
    pub(crate) fn new(tick: Duration, recheck: Duration) -> Rc<Self> {
        Rc::new(Self { tick, recheck, now: Cell::new(0), watched: RefCell::default() })
    }

    /// Looks around at every tick and whenever `revocations` moves, until the vigil is dropped. `each_tick` runs at
    /// every tick with its number.
    pub(crate) async fn keep(
        vigil: Weak<Self>,
        mut revocations: watch::Receiver<u64>,
        each_tick: impl Fn(u32),
    ) {
        let Some((tick, recheck)) = vigil.upgrade().map(|vigil| (vigil.tick, vigil.recheck)) else {
            return;
        };
        let recheck = ticks(recheck, tick);
        let mut clock = tokio::time::interval(tick);
        clock.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut revocable = true;
        loop {
            let ticked = tokio::select! {
                biased;
                changed = revocations.changed(), if revocable => {
                    revocable = changed.is_ok();
                    false
                }
                _ = clock.tick() => true,
            };
            let Some(vigil) = vigil.upgrade() else { return };
            if ticked {
                vigil.now.set(vigil.now.get().wrapping_add(1));
                each_tick(vigil.now.get());
            }
            vigil.look_around(!ticked || vigil.now.get().is_multiple_of(recheck));
        }
    }

    fn look_around(&self, ask_leashes: bool) {
        let now = self.now.get();
        let verdict = |exchange: &Exchange| {
            if ask_leashes && !still_admitted(&exchange.leash) {
                return Some(Cut::Revoked);
            }
            let still = now.wrapping_sub(exchange.moved.get());
            (exchange.waiting.get() && still > exchange.patience.get()).then_some(Cut::Idle)
        };
        let watched = self.watched.borrow();
        let found: Vec<_> =
            watched.iter().filter_map(|e| Some((Rc::clone(e), verdict(e)?))).collect();
        drop(watched); // what is woken may come back here
        for (exchange, cut) in found {
            exchange.end(cut);
        }
    }

    /// The number of the current tick.
    pub(crate) fn now(&self) -> u32 {
        self.now.get()
    }

    /// How many ticks make at least `time`.
    pub(crate) fn ticks(&self, time: Duration) -> u32 {
        ticks(time, self.tick)
    }

    /// Puts an exchange under watch. It may stand still for `patience`.
    pub(crate) fn watch(self: &Rc<Self>, leash: Leash, patience: Duration) -> Watch {
        let mut watched = self.watched.borrow_mut();
        let exchange = Rc::new(Exchange {
            place: Cell::new(watched.len()),
            moved: Cell::new(self.now.get()),
            patience: Cell::new(self.ticks(patience)),
            waiting: Cell::new(false),
            cut: Cell::new(None),
            leash,
            answer: Cell::new(None),
            upload: Cell::new(None),
            vigil: Rc::downgrade(self),
        });
        watched.push(Rc::clone(&exchange));
        Watch(exchange)
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.watched.borrow().len()
    }
}

/// What a leash says. One that cannot be asked without a panic does not hold, and costs its own exchange only
/// (security rules 1 and 40).
fn still_admitted(leash: &Leash) -> bool {
    std::panic::catch_unwind(AssertUnwindSafe(|| leash.holds())).unwrap_or(false)
}

fn ticks(time: Duration, tick: Duration) -> u32 {
    let count = time.as_nanos().div_ceil(tick.as_nanos().max(1)).max(1);
    u32::try_from(count).unwrap_or(u32::MAX)
}

impl Exchange {
    fn end(&self, cut: Cut) {
        if self.cut.get().is_none() {
            self.cut.set(Some(cut));
        }
        for waker in [self.answer.take(), self.upload.take()].into_iter().flatten() {
            waker.wake();
        }
    }

    /// Something moved: the time of standing still begins anew.
    pub(crate) fn moved(&self) {
        if let Some(vigil) = self.vigil.upgrade() {
            self.moved.set(vigil.now.get());
        }
    }

    /// Registers the direction towards the origin to be woken when the exchange is ended.
    ///
    /// # Errors
    /// The [`Cut`] when it has been.
    pub(crate) fn attend_upload(&self, cx: &Context<'_>) -> Result<(), Cut> {
        attend(&self.cut, &self.upload, cx)
    }
}

fn attend(
    cut: &Cell<Option<Cut>>,
    place: &Cell<Option<Waker>>,
    cx: &Context<'_>,
) -> Result<(), Cut> {
    if let Some(cut) = cut.get() {
        return Err(cut);
    }
    let waker = place.take().filter(|waker| waker.will_wake(cx.waker()));
    place.set(Some(waker.unwrap_or_else(|| cx.waker().clone())));
    Ok(())
}

impl Watch {
    /// The exchange, for its other half.
    pub(crate) fn exchange(&self) -> &Rc<Exchange> {
        &self.0
    }

    /// The direction towards the client waits for the origin: from now on standing still counts.
    ///
    /// # Errors
    /// The [`Cut`] when the exchange was ended.
    pub(crate) fn wait(&self, cx: &Context<'_>) -> Result<(), Cut> {
        if !self.0.waiting.replace(true) {
            self.0.moved();
        }
        attend(&self.0.cut, &self.0.answer, cx)
    }

    /// Something arrived from the origin: until the next wait, standing still is the client's affair.
    ///
    /// # Errors
    /// The [`Cut`] when the exchange was ended.
    pub(crate) fn arrived(&self) -> Result<(), Cut> {
        self.0.waiting.set(false);
        self.0.cut.get().map_or(Ok(()), Err)
    }

    /// The number of the current tick.
    pub(crate) fn now(&self) -> u32 {
        self.0.vigil.upgrade().map_or(0, |vigil| vigil.now.get())
    }

    /// Allows another time of standing still, counted from when something last moved.
    pub(crate) fn limit(&self, patience: Duration) {
        if let Some(vigil) = self.0.vigil.upgrade() {
            self.0.patience.set(vigil.ticks(patience));
        }
    }

    /// Allows another time of standing still from now on.
    pub(crate) fn allow(&self, patience: Duration) {
        if let Some(vigil) = self.0.vigil.upgrade() {
            self.0.patience.set(vigil.ticks(patience));
            self.0.moved.set(vigil.now.get());
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.0.end(Cut::Gone);
        let Some(vigil) = self.0.vigil.upgrade() else { return };
        let mut watched = vigil.watched.borrow_mut();
        let place = self.0.place.get();
        if place < watched.len() {
            watched.swap_remove(place);
        }
        if let Some(other) = watched.get(place) {
            other.place.set(place);
        }
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Watch({})", self.0.place.get())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use std::task::Poll;
    use tokio::task::{LocalSet, yield_now};

    const TICK: Duration = Duration::from_secs(1);
    const RECHECK: Duration = Duration::from_secs(30);

    async fn ended(watch: &Watch) -> Cut {
        poll_fn(|cx| watch.wait(cx).map_or_else(Poll::Ready, |()| Poll::Pending)).await
    }

    /// Runs `story` beside a vigil, with time that stands still until everybody waits.
    fn with_vigil(story: impl AsyncFnOnce(Rc<Vigil>, watch::Sender<u64>)) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        LocalSet::new().block_on(&runtime, async {
            let vigil = Vigil::new(TICK, RECHECK);
            let (sender, revocations) = watch::channel(0);
            tokio::task::spawn_local(Vigil::keep(Rc::downgrade(&vigil), revocations, |_| {}));
            story(vigil, sender).await;
        });
    }

    #[test]
    fn what_stands_still_is_ended_and_what_moves_is_not() {
        with_vigil(async |vigil, _revocations| {
            let began = tokio::time::Instant::now();
            let still = vigil.watch(Leash::loose(), 5 * TICK);
            let moving = vigil.watch(Leash::loose(), 5 * TICK);
            moving.arrived().unwrap(); // the client's turn
            assert_eq!(ended(&still).await, Cut::Idle);
            assert!((5 * TICK..=7 * TICK).contains(&began.elapsed()), "{:?}", began.elapsed());
            assert_eq!(moving.arrived(), Ok(()));

            let again = tokio::time::Instant::now();
            assert_eq!(ended(&moving).await, Cut::Idle);
            assert!(again.elapsed() >= 5 * TICK, "waiting is counted from when it begins");
        });
    }

    #[test]
    fn a_revocation_ends_its_own_streams_at_once() {
        with_vigil(async |vigil, revocations| {
            let admitted = Rc::new(Cell::new(true));
            let asked = Rc::clone(&admitted);
            let held = vigil.watch(Leash::held_by(move || asked.get()), 3600 * TICK);
            let other = vigil.watch(Leash::held_by(|| true), 3600 * TICK);
            yield_now().await;
            let before = tokio::time::Instant::now();
            admitted.set(false);
            revocations.send_replace(1);
            assert_eq!(ended(&held).await, Cut::Revoked);
            assert_eq!(before.elapsed(), Duration::ZERO, "no tick was waited for");
            assert_eq!(other.arrived(), Ok(()));
        });
    }

    #[test]
    fn r18_a_leash_that_panics_costs_its_own_stream_only() {
        with_vigil(async |vigil, revocations| {
            let broken = vigil.watch(Leash::held_by(|| panic!("asked")), 3600 * TICK);
            let other = vigil.watch(Leash::held_by(|| true), 5 * TICK);
            yield_now().await;
            revocations.send_replace(1);
            assert_eq!(ended(&broken).await, Cut::Revoked, "in doubt it does not hold");
            assert_eq!(ended(&other).await, Cut::Idle, "the vigil goes on");
        });
    }

    #[test]
    fn an_expiry_is_noticed_within_thirty_seconds() {
        with_vigil(async |vigil, _revocations| {
            let began = tokio::time::Instant::now();
            let leash = Leash::held_by(move || began.elapsed() < 10 * TICK);
            let held = vigil.watch(leash, 3600 * TICK);
            assert_eq!(ended(&held).await, Cut::Revoked);
            assert!(began.elapsed() <= RECHECK + TICK);
        });
    }

    #[test]
    fn nobody_is_watched_after_the_end() {
        with_vigil(async |vigil, _revocations| {
            let mut watches: Vec<Watch> =
                (0..5).map(|_| vigil.watch(Leash::loose(), TICK)).collect();
            let upload = Rc::clone(watches[1].exchange());
            for at in [1, 3, 0, 1, 0] {
                drop(watches.swap_remove(at.min(watches.len() - 1)));
                assert_eq!(vigil.len(), watches.len());
            }
            let gone = poll_fn(|cx| Poll::Ready(upload.attend_upload(cx))).await;
            assert_eq!(gone, Err(Cut::Gone), "the other half hears of it");
        });
    }
}
