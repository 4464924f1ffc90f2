//! Admission control: what a core does when more is asked of it than it can do (security rule 19, checklist R8).
//!
//! The sign of overload is how long work waits for its turn. One timer of the core is due every few milliseconds; by how
//! much it comes late is the time that a request which arrives now waits before anybody looks at it. A queue that is
//! long for a moment is what queues are for; one that does not get shorter is overload (as in CoDel, RFC 8289). Then the
//! core turns away as much as it takes to get the wait down again (as PIE does, RFC 8033), the dearest and the least
//! known first:
//!
//! 1. new connections are left in the system's queue and taken at a slow pace: a handshake costs what many requests do;
//! 2. requests of strangers, and of those whose token would have to be verified first, are answered 503;
//! 3. requests of those who are known are answered 503.
//!
//! What comes over a connection that was made for the admin host is never turned away, so that somebody can be revoked.

use crate::meters::{LaneMeters, Meters};
use crate::peer::Peer;
use crate::settings::{Lateness, Limits};
use crate::world::World;
use http::HeaderMap;
use http::header::COOKIE;
use narthex_token::cookie;
use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;
use tracing::{info, warn};

/// How often a core looks how late it is.
const TICK: Duration = Duration::from_millis(10);

/// For how long the queue must have been too long, and at how many looks in a row: a process that was stopped for a
/// moment finds itself late once.
const SUSTAINED: Duration = Duration::from_millis(200);
const LOOKS: u32 = 3;

/// Pieces of work that must have come meanwhile. With fewer it is not what is asked of this core that makes it late but
/// others on the same machine, and to turn anybody away would not help.
const ENOUGH_WORK: u32 = 64;

/// Looks without work after which a core stops looking until there is some.
const DROWSY: u32 = 100;

/// How fast the pressure follows the wait: stages a second for a wait of twice the aim.
const GAIN: f32 = 4.0;
/// How much it follows the wait's trend: stages for a wait that has grown by as much as the aim.
const TREND: f32 = 0.3;
/// The most that a wait counts as, in multiples of the aim above it.
const WORST: f32 = 3.0;
/// The longest time between two looks that counts in full, in seconds.
const LONGEST_STEP: f32 = 0.25;
/// Where the pressure begins: new connections wait, strangers are next.
const FIRST: f32 = 1.0;
/// All three stages.
const FULL: f32 = 3.0;

/// Connections a second that are taken when the pressure on them has just begun or is almost gone.
const BRISK: f32 = 20_000.0;
/// Seconds' worth of them that may be taken at once.
const BURST: f32 = 0.05;

/// Who asks, as far as it can be told before anything was worked out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asker {
    /// Nobody we know, or somebody about whom it would cost much to find out.
    Stranger,
    /// Somebody with a credential.
    Known,
}

/// The admission control of one core.
pub(crate) struct Overload {
    meters: Arc<Meters>,
    lane: usize,
    /// The wait beyond which the core is overloaded, in seconds. Under pressure the aim is half of it.
    most: f32,
    /// Connections a second that are taken under pressure.
    pace: f32,
    /// 0 when all is well; each of the three stages adds up to 1.
    pressure: Cell<f32>,
    /// The last wait, in seconds.
    waited: Cell<f32>,
    late: Cell<Late>,
    /// What is owed of turning away, by [`Asker`], so that a share of them is turned away evenly.
    owed: [Cell<f32>; 2],
    /// Connections that may be taken until the next look.
    places: Cell<f32>,
    /// Requests and connections since the last look.
    work: Cell<u32>,
    asleep: Cell<bool>,
    woken: Notify,
    looked: Notify,
}

/// For how long the queue has been too long.
#[derive(Clone, Copy, Default)]
struct Late {
    time: Duration,
    looks: u32,
    work: u32,
}

impl Overload {
    /// The admission control of the core `lane`. Must be called where tasks of this core can be spawned.
    pub(crate) fn start(
        limits: &Limits,
        lateness: Lateness,
        meters: Arc<Meters>,
        lane: usize,
    ) -> Rc<Self> {
        let overload = Rc::new(Self::new(limits, meters, lane));
        tokio::task::spawn_local(Rc::clone(&overload).keep(lateness));
        overload
    }

    fn new(limits: &Limits, meters: Arc<Meters>, lane: usize) -> Self {
        Self {
            meters,
            lane,
            most: limits.queue_delay.as_secs_f32(),
            pace: limits.overload_connections as f32,
            pressure: Cell::default(),
            waited: Cell::default(),
            late: Cell::default(),
            owed: Default::default(),
            places: Cell::default(),
            work: Cell::default(),
            asleep: Cell::default(),
            woken: Notify::new(),
            looked: Notify::new(),
        }
    }

    /// Looks how late the core is, again and again while there is work.
    async fn keep(self: Rc<Self>, lateness: Lateness) {
        loop {
            self.asleep.set(true);
            self.woken.notified().await;
            let (mut last, mut idle) = (Instant::now(), 0);
            while idle < DROWSY {
                let due = last + TICK;
                tokio::time::sleep_until(due).await;
                let now = Instant::now();
                let work = self.work.take();
                let (late, counted) = match &lateness {
                    Lateness::Measured => (now.saturating_duration_since(due), work),
                    Lateness::Told(late) => (late.get(), ENOUGH_WORK),
                };
                self.look(late, now - last, counted);
                let at_rest = work == 0 && self.pressure.get() == 0.0;
                idle = if at_rest { idle + 1 } else { 0 };
                last = now;
            }
        }
    }

    /// The core was `late`, `passed` after the last look; `work` came meanwhile.
    fn look(&self, late: Duration, passed: Duration, work: u32) {
        self.meters.waits(self.lane, late);
        let wait = late.as_secs_f32();
        let before = self.waited.replace(wait);
        if self.pressure.get() > 0.0 {
            self.press(wait, wait - before, passed);
        } else {
            self.consider(wait, passed, work);
        }
        let (pace, more) = (self.pace_now(), passed.as_secs_f32());
        let kept = (pace * BURST).max(1.0);
        self.places.set((self.places.get() + pace * more).min(kept));
        self.looked.notify_waiters();
    }

    /// Whether it is time to begin.
    fn consider(&self, wait: f32, passed: Duration, work: u32) {
        if wait < self.most {
            self.late.set(Late::default());
            return;
        }
        let Late { time, looks, work: before } = self.late.get();
        let late =
            Late { time: time + passed, looks: looks + 1, work: before.saturating_add(work) };
        self.late.set(late);
        if late.time >= SUSTAINED && late.looks >= LOOKS && late.work >= ENOUGH_WORK {
            self.pressure.set(FIRST);
            self.meters().overloaded.set(1);
            warn!(core = self.lane, "overloaded: requests wait {wait:.3} s; turning some away");
        }
    }

    /// Follows the wait.
    fn press(&self, wait: f32, grown: f32, passed: Duration) {
        let aim = self.most / 2.0;
        let error = ((wait - aim) / aim).clamp(-1.0, WORST);
        let trend = (grown / aim).clamp(-WORST, WORST);
        let change = GAIN * error * passed.as_secs_f32().min(LONGEST_STEP) + TREND * trend;
        let pressure = (self.pressure.get() + change).clamp(0.0, FULL);
        self.pressure.set(pressure);
        if pressure == 0.0 {
            self.late.set(Late::default());
            self.owed.iter().for_each(|owed| owed.set(0.0));
            self.meters().overloaded.set(0);
            info!(core = self.lane, "no longer overloaded");
        }
    }

    /// Something came that costs work.
    pub(crate) fn arrived(&self) {
        self.work.set(self.work.get().saturating_add(1));
        if self.asleep.replace(false) {
            self.woken.notify_one();
        }
    }

    /// Whether a request is turned away at the door.
    pub(crate) fn turns_away(&self, world: &World, peer: &Peer, headers: &HeaderMap) -> bool {
        self.arrived();
        if self.pressure.get() == 0.0 {
            return false;
        }
        let admin = world.snapshot.premises.admin.as_ref();
        admin.is_none_or(|admin| admin.host != peer.sni) && self.sheds(Asker::of(peer, headers))
    }

    /// Whether this one of such askers is turned away.
    pub(crate) fn sheds(&self, asker: Asker) -> bool {
        let (stage, meter) = match asker {
            Asker::Stranger => (1.0, &self.meters().shed_strangers),
            Asker::Known => (2.0, &self.meters().shed_known),
        };
        let share = (self.pressure.get() - stage).clamp(0.0, 1.0);
        let owed = &self.owed[asker as usize];
        let sum = owed.get() + share;
        let sheds = sum >= 1.0;
        owed.set(if sheds { sum - 1.0 } else { sum });
        if sheds {
            meter.add();
        }
        sheds
    }

    /// Returns when another connection may be taken.
    pub(crate) async fn turn(&self) {
        if self.takes_connection() {
            return;
        }
        self.meters().connections_delayed.add();
        loop {
            self.looked.notified().await;
            if self.takes_connection() {
                return;
            }
        }
    }

    fn takes_connection(&self) -> bool {
        if self.pressure.get() == 0.0 {
            return true;
        }
        let places = self.places.get();
        self.places.set(places - 1.0);
        if places >= 1.0 {
            return true;
        }
        self.places.set(places);
        false
    }

    /// Connections a second that are taken now.
    fn pace_now(&self) -> f32 {
        let open = 1.0 - self.pressure.get().min(1.0);
        self.pace + open * open * BRISK
    }

    fn meters(&self) -> &LaneMeters {
        self.meters.lane(self.lane)
    }
}

impl Asker {
    /// A credential is not looked into here; one that has to be verified is asked about again.
    fn of(peer: &Peer, headers: &HeaderMap) -> Self {
        let has_cookie = || {
            let fields = headers.get_all(COOKIE).iter().map(http::HeaderValue::as_bytes);
            cookie::token_candidates(fields).next().is_some()
        };
        let has_header = || headers.keys().any(|name| name.as_str().starts_with("cf-access-"));
        if has_cookie() || has_header() || peer.certificate.was_shown() {
            Self::Known
        } else {
            Self::Stranger
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;

    fn overload() -> Overload {
        Overload::new(&Limits::default(), Arc::new(Meters::new(1)), 0)
    }

    fn most() -> Duration {
        Limits::default().queue_delay
    }

    #[test]
    fn a_long_queue_is_overload_only_when_it_stays_and_there_is_work() {
        let late = most() + Duration::from_millis(1);
        for (case, looks, want) in [
            ("for long enough", vec![(late, 20, 10); 21], true),
            ("not long enough", vec![(late, 20, 9); 10], false),
            ("never quite too long", vec![(most() - Duration::from_millis(1), 20, 9); 100], false),
            ("hardly any work", vec![(late, 2, 10); 30], false),
            ("stopped for a second, once", vec![(Duration::from_secs(1), 1000, 1000)], false),
            (
                "shorter now and then",
                [vec![(late, 20, 10); 15], vec![(Duration::ZERO, 20, 10)]].concat().repeat(5),
                false,
            ),
        ] {
            let overload = overload();
            for (late, work, passed) in looks {
                overload.look(late, Duration::from_millis(passed), work);
            }
            assert_eq!(overload.pressure.get() > 0.0, want, "{case}");
            assert_eq!(overload.meters.read().overloaded, u64::from(want), "{case}");
        }
    }

    #[test]
    fn a_share_is_turned_away_evenly_and_strangers_first() {
        let overload = overload();
        let shed = |asker| (0..1000).filter(|_| overload.sheds(asker)).count();
        for (pressure, strangers, known) in [
            (0.0, 0, 0),
            (1.0, 0, 0),
            (1.5, 500, 0),
            (2.0, 1000, 0),
            (2.25, 1000, 250),
            (3.0, 1000, 1000),
        ] {
            overload.pressure.set(pressure);
            assert_eq!(
                (shed(Asker::Stranger), shed(Asker::Known)),
                (strangers, known),
                "{pressure}"
            );
        }
        overload.pressure.set(1.5);
        let mut in_a_row = 0;
        for _ in 0..100 {
            in_a_row = if overload.sheds(Asker::Stranger) { in_a_row + 1 } else { 0 };
            assert!(in_a_row <= 1, "every second one");
        }
    }

    /// A core with a queue. Times are in microseconds.
    #[derive(Default)]
    struct Core {
        now: u64,
        queue: VecDeque<(Item, u64)>,
        looked: u64,
        looking: bool,
        served: [u32; 2],
        longest: u64,
    }

    enum Item {
        Asked(Asker),
        Look,
    }

    const COST: u64 = 100;
    const TURNED_AWAY: u64 = COST / 5;

    impl Core {
        /// Lives until `end`; so many requests of each kind come every millisecond.
        fn live(&mut self, overload: &Overload, end: u64, strangers: usize, known: usize) {
            let mut come = self.now;
            while self.now < end {
                while come <= self.now {
                    let asked = |asker, count| std::iter::repeat_n(asker, count);
                    let both = asked(Asker::Stranger, strangers).chain(asked(Asker::Known, known));
                    self.queue.extend(both.map(|asker| (Item::Asked(asker), come)));
                    come += 1000;
                }
                let due = self.looked + 10_000;
                if self.now >= due && !self.looking {
                    self.queue.push_back((Item::Look, due));
                    self.looking = true;
                }
                match self.queue.pop_front() {
                    None => self.now = come.min(due.max(self.now + 1)),
                    Some((Item::Look, due)) => {
                        let (late, passed) = (self.now - due, self.now - self.looked);
                        let [late, passed] = [late, passed].map(Duration::from_micros);
                        overload.look(late, passed, ENOUGH_WORK);
                        (self.looked, self.looking) = (self.now, false);
                    }
                    Some((Item::Asked(asker), came)) => {
                        self.longest = self.longest.max(self.now - came);
                        let shed = overload.sheds(asker);
                        self.now += if shed { TURNED_AWAY } else { COST };
                        self.served[asker as usize] += u32::from(!shed);
                    }
                }
            }
        }
    }

    #[test]
    fn r08_at_twice_the_load_most_of_it_is_served_the_wait_is_bounded_and_it_ends() {
        // Of what the core can do a quarter goes into turning away as much again and a quarter more.
        let best = 0.75 * 5_000_000.0 / COST as f32;
        for (case, strangers, known) in
            [("all known", 0, 20), ("all strangers", 20, 0), ("half of each", 10, 10)]
        {
            let (overload, mut core) = (overload(), Core::default());
            core.live(&overload, 5_000_000, strangers, known); // finds its balance
            (core.served, core.longest) = Default::default();
            core.live(&overload, 10_000_000, strangers, known);
            let longest = Duration::from_micros(core.longest);
            assert!(longest < most(), "{case}: somebody waited {longest:?}");
            let [by_strangers, by_known] = core.served.map(|count| count as f32);
            assert!(by_strangers + by_known > 0.95 * best, "{case}: {:?}", core.served);
            if known > 0 {
                assert!(by_known > 0.95 * best, "{case}: those who are known first");
            }
            core.live(&overload, 15_000_000, strangers / 4, known / 4);
            assert_eq!(overload.pressure.get(), 0.0, "{case}: over within five seconds");
            core.longest = 0;
            core.live(&overload, 20_000_000, strangers / 4, known / 4);
            assert!(core.longest < 10_000, "{case}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn new_connections_are_taken_at_a_slow_pace_under_pressure() {
        let overload = overload();
        for _ in 0..10_000 {
            overload.turn().await; // without pressure nobody waits
        }
        overload.pressure.set(FULL);
        let mut taken = 0;
        for _ in 0..100 {
            overload.look(most(), TICK, 1);
            while overload.takes_connection() {
                taken += 1;
            }
        }
        let pace = Limits::default().overload_connections;
        assert!(taken <= pace && taken > pace / 2, "{taken} in a second");
        assert_eq!(overload.meters.read().connections_delayed, 0);
    }
}
