//! What happens next: chosen by the seed, one thing after the other, or one thing in the middle of another.

use crate::beliefs::{APPS, Belief, MACHINES, PEOPLE};
use crate::browser::Browser;
use crate::chance::Chance;
use crate::gateway::Ground;
use crate::office::{Office, machine_calls};
use crate::town::{Ending, Town};
use crate::weather::Side;
use narthex_model::{Clock, UnixSeconds};
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::{Pin, pin};
use std::rc::Rc;

const BROWSERS: usize = 6;

pub(crate) struct Play {
    chance: Chance,
    town: Town,
    office: Office,
    browsers: Vec<Browser>,
}

/// Something that somebody does.
#[derive(Clone, Copy, Debug)]
enum Deed {
    Visit { browser: usize, app: usize, person: usize },
    LogOut { browser: usize, app: Option<usize> },
    MachineCalls { machine: usize },
    RevokePerson { person: usize },
    DeletePerson { person: usize },
    RevokeApp { app: usize },
    ChangeList { listed: [bool; PEOPLE] },
    MakeMachine,
    RotateSecret { machine: usize },
    DeleteMachine { machine: usize },
    RotateKeys,
}

impl Deed {
    /// Whether the office does it. It does one thing at a time.
    fn is_of_the_office(self) -> bool {
        match self {
            Self::Visit { .. } | Self::LogOut { .. } | Self::MachineCalls { .. } => false,
            Self::RevokePerson { .. }
            | Self::DeletePerson { .. }
            | Self::RevokeApp { .. }
            | Self::ChangeList { .. }
            | Self::MakeMachine
            | Self::RotateSecret { .. }
            | Self::DeleteMachine { .. }
            | Self::RotateKeys => true,
        }
    }

    fn browser(self) -> Option<usize> {
        match self {
            Self::Visit { browser, .. } | Self::LogOut { browser, .. } => Some(browser),
            Self::MachineCalls { .. }
            | Self::RevokePerson { .. }
            | Self::DeletePerson { .. }
            | Self::RevokeApp { .. }
            | Self::ChangeList { .. }
            | Self::MakeMachine
            | Self::RotateSecret { .. }
            | Self::DeleteMachine { .. }
            | Self::RotateKeys => None,
        }
    }
}

impl Play {
    pub(crate) async fn begin(seed: u64) -> Self {
        let clock = Clock::manual(UnixSeconds(1_800_000_000));
        let ground = Ground::new(clock).await;
        let gateway = ground.start().await;
        let town = Town::new(ground, gateway);
        let office = Office::open(&town).await;
        let browsers = (0..BROWSERS).map(Browser::new).collect();
        Self { chance: Chance::new(seed), town, office, browsers }
    }

    /// So many things happen; then everything that was ever given out is tried once more, before and after a restart.
    pub(crate) async fn run(self, steps: u64) -> BTreeMap<&'static str, u64> {
        for step in 0..steps {
            let of = self.chance.below(100);
            match of {
                0..58 => {
                    let deed = self.deed();
                    println!("{step}: {deed:?}");
                    self.act(deed).await;
                }
                58..80 => self.amid(step).await,
                80..88 => self.in_bad_weather(step).await,
                88..94 => self.time_passes(step),
                94..96 => {
                    println!("{step}: the house is kept");
                    self.town.gateway().keep_house(&self.town.ground.clock).await;
                }
                96 => self.time_is_set_back(step),
                _ => self.restart(step, of == 99).await,
            }
            self.town
                .ground
                .clock
                .advance(i64::try_from(self.chance.below(3) * self.chance.below(20)).unwrap());
        }
        self.town.try_all_tokens().await;
        self.restart(steps, self.chance.percent(50)).await;
        self.town.try_all_tokens().await;
        let gateway = self.town.gateway.borrow_mut().take().unwrap();
        gateway.check_audit().await;
        Rc::into_inner(gateway).expect("nobody uses it").end(false).await;
        self.town.deeds.into_inner()
    }

    fn deed(&self) -> Deed {
        let (chance, of) = (&self.chance, self.chance.below(100));
        let (browser, app, person) =
            (chance.below(BROWSERS), chance.below(APPS), chance.below(PEOPLE));
        let machines = self.town.beliefs.borrow().machines.len();
        let machine = chance.below(machines);
        match of {
            0..55 => Deed::Visit { browser, app, person },
            55..63 => Deed::LogOut { browser, app: Some(app).filter(|_| chance.percent(50)) },
            63..70 => Deed::RevokePerson { person: self.somebody(person) },
            70..73 => Deed::DeletePerson { person: self.somebody(person) },
            73..78 => Deed::RevokeApp { app },
            78..83 => Deed::ChangeList { listed: std::array::from_fn(|_| chance.percent(70)) },
            83 => Deed::RotateKeys,
            84..88 if machines < MACHINES => Deed::MakeMachine,
            84..90 if machines > 0 => Deed::RotateSecret { machine },
            90 if machines > 0 => Deed::DeleteMachine { machine },
            _ if machines > 0 => Deed::MachineCalls { machine },
            _ => Deed::MakeMachine,
        }
    }

    /// Somebody with a session, if there is one.
    fn somebody(&self, otherwise: usize) -> usize {
        let beliefs = self.town.beliefs.borrow();
        let alive = beliefs.sessions.iter().filter(|session| session.lives != Belief::No);
        let alive: Vec<usize> = alive.map(|session| session.person).collect();
        if alive.is_empty() { otherwise } else { alive[self.chance.below(alive.len())] }
    }

    async fn act(&self, deed: Deed) {
        let (town, office) = (&self.town, &self.office);
        match deed {
            Deed::Visit { browser, app, person } => {
                self.visit(&self.browsers[browser], app, person).await
            }
            Deed::LogOut { browser, app } => town.log_out(&self.browsers[browser], app).await,
            Deed::MachineCalls { machine } => machine_calls(town, machine).await,
            Deed::RevokePerson { person } => office.revoke_person(town, person).await,
            Deed::DeletePerson { person } => office.delete_person(town, person).await,
            Deed::RevokeApp { app } => office.revoke_app(town, app).await,
            Deed::ChangeList { listed } => office.change_list(town, &listed).await,
            Deed::MakeMachine => office.make_machine(town).await,
            Deed::RotateSecret { machine } => office.rotate_secret(town, machine).await,
            Deed::DeleteMachine { machine } => office.delete_machine(town, machine).await,
            Deed::RotateKeys => office.rotate_keys(town).await,
        }
    }

    /// Opens an application, and logs in when asked. Now and then a code is used twice, or shown to another browser first.
    async fn visit(&self, browser: &Browser, app: usize, person: usize) {
        let town = &self.town;
        let Ending::Asked(form) = town.visit(browser, app).await else { return };
        let before = (
            town.rough.get(),
            town.beliefs.borrow().turns_of(person),
            town.beliefs.borrow().turns_at(app),
        );
        let Some(code) = town.ask_for_code(browser, &form, person).await else { return };
        let entered = if self.chance.percent(15) {
            let (one, two) = self
                .both(
                    town.enter_code(browser, &code, person),
                    town.enter_code(browser, &code, person),
                )
                .await;
            one.or(two)
        } else {
            town.enter_code(browser, &code, person).await
        };
        let Some(onwards) = entered else {
            let after = (
                town.rough.get(),
                town.beliefs.borrow().turns_of(person),
                town.beliefs.borrow().turns_at(app),
            );
            let sane = town.now() >= town.beliefs.borrow().newest;
            let welcome = town.beliefs.borrow().admits(app, person) == Belief::Yes;
            assert!(
                before != after || before.0 || !sane || !welcome,
                "a good code was refused to {person}"
            );
            return;
        };
        if self.chance.percent(10) {
            // Somebody looked over the shoulder and is quicker: they get nothing, and it is used up.
            let thief = &self.browsers[(browser.number + 1) % BROWSERS];
            town.redeem(thief, app, &onwards).await;
        }
        if self.chance.percent(20) {
            self.both(town.redeem(browser, app, &onwards), town.redeem(browser, app, &onwards))
                .await;
            town.redeem(browser, app, &onwards).await;
            town.visit(browser, app).await;
        } else {
            town.follow(browser, app, onwards).await;
        }
    }

    /// Two things at once, unless something is held up already: the second within the first.
    async fn both<T>(&self, one: impl Future<Output = T>, two: impl Future<Output = T>) -> (T, T) {
        if self.town.rough.get() {
            return (one.await, two.await);
        }
        self.within(one, two).await
    }

    /// Begins `outer`, holds it up in the middle of one of its calls to the store, does `inner`, and lets it go on.
    async fn within<A, B>(
        &self,
        outer: impl Future<Output = A>,
        inner: impl Future<Output = B>,
    ) -> (A, B) {
        let gateway = self.town.gateway();
        let side = if self.chance.percent(50) { Side::Before } else { Side::After };
        gateway.weather.hold_up(self.chance.below(7), side);
        self.town.rough.set(true);
        let mut outer = pin!(outer);
        let held = self.until_held(outer.as_mut()).await;
        gateway.weather.clear();
        let done = match held {
            Some(done) => (done, inner.await),
            None => {
                self.town.count("held up");
                let inner = inner.await;
                gateway.weather.release();
                (outer.await, inner)
            }
        };
        self.town.rough.set(false);
        done
    }

    /// What `deed` came to, or nothing when it is held up.
    async fn until_held<T>(&self, deed: Pin<&mut impl Future<Output = T>>) -> Option<T> {
        let gateway = self.town.gateway();
        tokio::select! {
            biased; // else chance would have a hand in it that no seed knows
            done = deed => Some(done),
            () = gateway.weather.held() => None,
        }
    }

    async fn amid(&self, step: u64) {
        let outer = self.deed();
        let mut inner = self.deed();
        // The office does one thing at a time, and a browser goes to one place at a time.
        while inner.is_of_the_office() && outer.is_of_the_office()
            || inner.browser().is_some() && inner.browser() == outer.browser()
        {
            inner = self.deed();
        }
        let leaves = outer.browser().filter(|_| self.chance.percent(25));
        println!(
            "{step}: {inner:?} amid {outer:?}{}",
            if leaves.is_some() { ", who leaves" } else { "" }
        );
        match leaves {
            None => drop(self.within(self.act(outer), self.act(inner)).await),
            Some(_) => self.leaves_in_the_middle(outer, inner).await,
        }
    }

    /// The browser's connection is lost in the middle: nobody hears what became of it.
    async fn leaves_in_the_middle(&self, outer: Deed, inner: Deed) {
        let gateway = self.town.gateway();
        gateway.weather.hold_up(self.chance.below(7), Side::After);
        self.town.rough.set(true);
        let held = {
            let mut outer = Box::pin(self.act(outer));
            self.until_held(outer.as_mut()).await.is_none()
        };
        gateway.weather.clear();
        self.act(inner).await;
        if held {
            self.town.count("left");
            gateway.weather.release();
        }
        self.town.rough.set(false);
    }

    async fn in_bad_weather(&self, step: u64) {
        let deed = self.deed();
        println!("{step}: {deed:?} while the store fails");
        let gateway = self.town.gateway();
        gateway.weather.spoil(self.chance.below(7), Side::Before, self.chance.below(3));
        self.town.rough.set(true);
        self.act(deed).await;
        if gateway.weather.clear() > 0 {
            self.town.count("failed");
        }
        self.town.rough.set(false);
    }

    fn time_passes(&self, step: u64) {
        let seconds =
            [60, 1_000, 1_799, 3_600, 7_200, 30_000, 90_000, 700_000][self.chance.below(8)];
        println!("{step}: {seconds} s pass");
        self.town.ground.clock.advance(seconds);
        self.town.count("time passed");
    }

    fn time_is_set_back(&self, step: u64) {
        let seconds = [1, 50, 500][self.chance.below(3)];
        println!("{step}: the clock is set back by {seconds} s");
        self.town.ground.clock.advance(-seconds);
    }

    async fn restart(&self, step: u64, by_force: bool) {
        println!("{step}: a restart{}", if by_force { " after the power was cut" } else { "" });
        let gateway = self.town.gateway.borrow_mut().take().unwrap();
        self.browsers.iter().for_each(Browser::hang_up);
        self.office.hang_up();
        Rc::into_inner(gateway).expect("nobody uses it").end(by_force).await;
        let gateway = self.town.ground.start().await;
        *self.town.gateway.borrow_mut() = Some(Rc::new(gateway));
        self.town.beliefs.borrow_mut().restarted();
        self.town.count("restarted");
    }
}
