//! Everything that one core's thread holds. Nothing of it is shared with other cores but what the settings and the
//! world hold, so nothing on the road takes a lock.

use crate::balance::Door;
use crate::bearer::Bearers;
use crate::budget::Budget;
use crate::dates::Dates;
use crate::errand::Control;
use crate::first_uses::FirstUses;
use crate::forms::Allowance;
use crate::handshakes::Handshakes;
use crate::machines::Machines;
use crate::meters::{LaneMeters, Meters};
use crate::overload::Overload;
use crate::ray::Rays;
use crate::recorder::Recorder;
use crate::road::Road;
use crate::settings::{Lateness, Limits, LogRequests};
use crate::slots::Slots;
use crate::source::TrustedProxies;
use crate::stage::Stage;
use crate::tls::Certificates;
use crate::traffic::Traffic;
use crate::world::World;
use arc_swap::ArcSwap;
use narthex_model::Clock;
use narthex_snapshot::Live;
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use tokio::sync::watch;

/// What all lanes are made from.
pub(crate) struct Common {
    pub(crate) live: Arc<Live>,
    pub(crate) clock: Clock,
    pub(crate) certificates: Arc<ArcSwap<Certificates>>,
    pub(crate) limits: Limits,
    pub(crate) trusted: TrustedProxies,
    pub(crate) log: LogRequests,
    pub(crate) lateness: Lateness,
    pub(crate) control: Control,
    pub(crate) meters: Arc<Meters>,
    pub(crate) first_uses: FirstUses,
    /// Changes once the proxy is leaving, and is never marked as seen here.
    pub(crate) leaving: watch::Receiver<Stage>,
    /// The port of https as clients see it, if it is not the team domain's.
    pub(crate) https_port: Option<u16>,
    /// The way into each lane; limits for the whole process are shared out among them.
    pub(crate) doors: Box<[Door]>,
}

impl Common {
    /// How many lanes there are.
    pub(crate) fn lanes(&self) -> usize {
        self.doors.len()
    }
}

/// One core.
pub(crate) struct Lane {
    pub(crate) common: Arc<Common>,
    pub(crate) live: Arc<Live>,
    pub(crate) clock: Clock,
    pub(crate) bearers: Bearers,
    pub(crate) machines: Machines,
    pub(crate) traffic: Traffic,
    pub(crate) road: Road,
    pub(crate) recorder: Recorder,
    pub(crate) rays: Rays,
    pub(crate) dates: Dates,
    pub(crate) slots: Arc<Slots>,
    pub(crate) overload: Rc<Overload>,
    /// Handshakes under way.
    pub(crate) handshakes: Handshakes,
    /// Signatures for strangers.
    pub(crate) signatures: Budget,
    /// Forms of strangers.
    pub(crate) forms: Allowance,
    world: RefCell<Rc<World>>,
    /// Its place among the lanes.
    pub(crate) index: usize,
}

impl Lane {
    pub(crate) fn new(common: Arc<Common>, index: usize, recorder: Recorder) -> Rc<Self> {
        let limits = &common.limits;
        let share = |whole: usize| share(whole, common.lanes());
        let slots = Arc::clone(&common.doors[index].slots);
        let snapshot = common.live.snapshot.load_full();
        Rc::new(Self {
            live: Arc::clone(&common.live),
            clock: common.clock.clone(),
            bearers: Bearers::new(share(limits.tokens)),
            machines: Machines::default(),
            traffic: Traffic::default(),
            road: Road::open(
                common.live.revocations.watch(),
                Arc::clone(&common.meters),
                index,
                limits,
            ),
            recorder,
            rays: Rays::new(),
            dates: Dates::default(),
            slots,
            overload: Overload::start(
                limits,
                common.lateness.clone(),
                Arc::clone(&common.meters),
                index,
            ),
            handshakes: Handshakes::default(),
            signatures: Budget::per_second(limits.signatures_per_second),
            forms: Allowance::new(share(limits.forms_at_once), share(limits.forms_per_minute)),
            world: RefCell::new(Rc::new(World { snapshot, number: 0 })),
            index,
            common,
        })
    }

    /// The configuration in force, kept by the caller to the end of what it does.
    pub(crate) fn world(&self) -> Rc<World> {
        let newest = self.live.snapshot.load();
        let known = Rc::clone(&self.world.borrow());
        if Arc::ptr_eq(&newest, &known.snapshot) {
            return known;
        }
        let snapshot = Arc::clone(&newest);
        if !Arc::ptr_eq(&snapshot.keys, &known.snapshot.keys) {
            self.bearers.clear();
        }
        self.machines.clear();
        let world = Rc::new(World { snapshot, number: known.number + 1 });
        *self.world.borrow_mut() = Rc::clone(&world);
        world
    }

    /// Where this core counts.
    pub(crate) fn meters(&self) -> &LaneMeters {
        self.common.meters.lane(self.index)
    }

    /// Whether whoever is connected should be told to leave. Takes no lock.
    pub(crate) fn is_leaving(&self) -> bool {
        self.common.leaving.has_changed().unwrap_or(true)
    }

    /// The certificates in force.
    pub(crate) fn certificates(&self) -> Arc<Certificates> {
        self.common.certificates.load_full()
    }

    /// Handshakes that may be under way at once on this core.
    pub(crate) fn most_handshakes(&self) -> usize {
        share(self.common.limits.handshakes, self.common.lanes())
    }
}

/// One lane's share of a limit for the whole process.
pub(crate) fn share(whole: usize, lanes: usize) -> usize {
    whole.div_ceil(lanes.max(1)).max(1)
}
