//! When keys come and go (access-protocol §5.6): pure functions of the keys, the interval and `now`.
//!
//! A key is *next* (published, not yet signing), then it *signs*, then it is *kept* for the overlap so that what it
//! signed still verifies, then it is *over*. One key signs, one is next; during an overlap there is a third.

use crate::SigningKey;
use narthex_model::{Kid, UnixSeconds};
use std::sync::Arc;

/// A key is published at least this long before it signs, because clients keep the certs document for 24 h.
pub const PUBLISHED_BEFORE_USE_SECONDS: i64 = 24 * 3600;

/// A key verifies for this long after its successor began to sign: 7 days.
pub const OVERLAP_SECONDS: i64 = 7 * 24 * 3600;

/// The one thing to do next. Do it, keep it, and ask again until there is nothing; then make a new ring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyAction {
    /// All is as it should be.
    Nothing,
    /// Make a key that signs from this instant on.
    Generate {
        /// Its first use.
        active_from: UnixSeconds,
    },
    /// Give a published key another instant of first use ([`SigningKey::rescheduled`]).
    Reschedule {
        /// Which key.
        kid: Kid,
        /// Its first use from now on.
        active_from: UnixSeconds,
    },
    /// Delete a key: nothing it signed is accepted any more.
    Retire(Kid),
}

/// What the schedule asks for at `now`, with a rotation every `interval_days`.
///
/// Ask at start, after every change of keys or interval, and from time to time (hourly is plenty).
#[must_use]
pub fn next_action(keys: &[Arc<SigningKey>], interval_days: u16, now: UnixSeconds) -> KeyAction {
    let keys: Vec<&Arc<SigningKey>> = keys.iter().collect();
    decide(&keys, interval_days, now)
}

/// When the key that [`KeyAction::Generate`] asks for counts as made: `now`, and after all other keys. Of two keys with one
/// instant of first use the younger one signs, and two rotations within a second must not leave that to chance.
#[must_use]
pub fn made_at(keys: &[Arc<SigningKey>], now: UnixSeconds) -> UnixSeconds {
    keys.iter().map(|key| key.created_at().plus(1)).fold(now, UnixSeconds::max)
}

/// What "rotate now" of the administration API asks for: the key that is published takes over at once.
#[must_use]
pub fn rotate_now(keys: &[Arc<SigningKey>], now: UnixSeconds) -> KeyAction {
    let keys: Vec<&Arc<SigningKey>> = keys.iter().collect();
    match Stages::of(&keys, now).next.first() {
        Some(next) => KeyAction::Reschedule { kid: next.kid().clone(), active_from: now },
        None => KeyAction::Generate { active_from: now },
    }
}

/// What the schedule needs to know of a key.
pub(crate) trait Dated {
    fn kid(&self) -> &Kid;
    fn created_at(&self) -> UnixSeconds;
    fn active_from(&self) -> UnixSeconds;
}

impl Dated for Arc<SigningKey> {
    fn kid(&self) -> &Kid {
        SigningKey::kid(self)
    }

    fn created_at(&self) -> UnixSeconds {
        SigningKey::created_at(self)
    }

    fn active_from(&self) -> UnixSeconds {
        SigningKey::active_from(self)
    }
}

/// Keys by what they are at one instant.
pub(crate) struct Stages<'a, K> {
    /// Not signing yet, the first to sign first.
    pub(crate) next: Vec<&'a K>,
    /// The youngest of those that may sign.
    pub(crate) signer: Option<&'a K>,
    /// Predecessors of the signer whose tokens still verify, and until when; the youngest first.
    pub(crate) kept: Vec<(&'a K, UnixSeconds)>,
    /// Predecessors whose overlap has ended.
    pub(crate) over: Vec<&'a K>,
}

impl<'a, K: Dated> Stages<'a, K> {
    pub(crate) fn of(keys: &[&'a K], now: UnixSeconds) -> Self {
        let mut keys = keys.to_vec();
        keys.sort_by_key(|key| (key.active_from(), key.created_at(), key.kid().clone()));
        let next = keys.split_off(keys.partition_point(|key| key.active_from() <= now));
        let signer = keys.last().copied();
        let (mut kept, mut over) = (Vec::new(), Vec::new());
        for (key, successor) in keys.iter().zip(keys.iter().skip(1)).rev() {
            let until = successor.active_from().plus(OVERLAP_SECONDS);
            if now < until { kept.push((*key, until)) } else { over.push(*key) }
        }
        Self { next, signer, kept, over }
    }
}

fn decide<K: Dated>(keys: &[&K], interval_days: u16, now: UnixSeconds) -> KeyAction {
    let stages = Stages::of(keys, now);
    let Some(signer) = stages.signer else { return KeyAction::Generate { active_from: now } };
    let due = signer.active_from().plus(i64::from(interval_days) * 24 * 3600);
    let Some(next) = stages.next.first() else {
        let active_from = due.max(now.plus(PUBLISHED_BEFORE_USE_SECONDS));
        return KeyAction::Generate { active_from };
    };
    let known = next.created_at().plus(PUBLISHED_BEFORE_USE_SECONDS);
    let active_from = due.max(known).max(now);
    if next.active_from() != active_from {
        return KeyAction::Reschedule { kid: next.kid().clone(), active_from };
    }
    match stages.over.first() {
        Some(key) => KeyAction::Retire(key.kid().clone()),
        None => KeyAction::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3600;
    const DAY: i64 = 24 * HOUR;

    #[derive(Clone, Debug)]
    struct Dates {
        kid: Kid,
        created_at: UnixSeconds,
        active_from: UnixSeconds,
    }

    impl Dated for Dates {
        fn kid(&self) -> &Kid {
            &self.kid
        }

        fn created_at(&self) -> UnixSeconds {
            self.created_at
        }

        fn active_from(&self) -> UnixSeconds {
            self.active_from
        }
    }

    fn key(name: char, created_days: i64, active_days: i64) -> Dates {
        Dates {
            kid: name.to_string().repeat(64).parse().unwrap(),
            created_at: UnixSeconds(created_days * DAY),
            active_from: UnixSeconds(active_days * DAY),
        }
    }

    fn act(keys: &mut Vec<Dates>, interval_days: u16, now: UnixSeconds) -> Vec<KeyAction> {
        let mut done = Vec::new();
        loop {
            let action = decide(&keys.iter().collect::<Vec<_>>(), interval_days, now);
            match &action {
                KeyAction::Nothing => return done,
                KeyAction::Generate { active_from } => keys.push(Dates {
                    kid: Kid::random(),
                    created_at: now,
                    active_from: *active_from,
                }),
                KeyAction::Reschedule { kid, active_from } => {
                    let key = keys.iter_mut().find(|key| key.kid == *kid);
                    key.unwrap().active_from = *active_from;
                }
                KeyAction::Retire(kid) => keys.retain(|key| key.kid != *kid),
            }
            done.push(action);
            assert!(done.len() < 10, "the schedule comes to rest: {done:?}");
        }
    }

    #[test]
    fn one_step_at_a_time() {
        let day = |days: i64| UnixSeconds(days * DAY);
        let (a, b, c) = (key('a', 0, 0), key('b', 0, 42), key('c', 42, 84));
        let reschedule = |key: &Dates, days: i64| KeyAction::Reschedule {
            kid: key.kid.clone(),
            active_from: day(days),
        };
        for (name, keys, interval, now, want) in [
            ("first start", vec![], 42, 100, KeyAction::Generate { active_from: day(100) }),
            ("the second", vec![&a], 42, 0, KeyAction::Generate { active_from: day(42) }),
            ("no next, late", vec![&a], 42, 60, KeyAction::Generate { active_from: day(61) }),
            ("at rest", vec![&a, &b], 42, 1, KeyAction::Nothing),
            ("taken over", vec![&a, &b], 42, 42, KeyAction::Generate { active_from: day(84) }),
            ("overlap", vec![&a, &b, &c], 42, 48, KeyAction::Nothing),
            ("overlap over", vec![&a, &b, &c], 42, 49, KeyAction::Retire(a.kid.clone())),
            ("a new key first", vec![&a, &b], 42, 49, KeyAction::Generate { active_from: day(84) }),
            ("longer", vec![&a, &b], 365, 10, reschedule(&b, 365)),
            ("shorter", vec![&a, &b], 21, 10, reschedule(&b, 21)),
            ("shorter than its age", vec![&a, &b], 21, 30, reschedule(&b, 30)),
        ] {
            assert_eq!(decide(&keys, interval, day(now)), want, "{name}");
        }
    }

    /// Three years, hour by hour, with the interval changed on the way.
    #[test]
    fn what_the_schedule_promises_at_every_hour() {
        let mut keys = Vec::new();
        let mut seen: Vec<Dates> = Vec::new();
        for hour in 0..3 * 365 * 24 {
            let now = UnixSeconds(1_800_000_000 + hour * HOUR);
            let interval = if hour < 400 * 24 { 42 } else { 21 };
            act(&mut keys, interval, now);
            let all: Vec<&Dates> = keys.iter().collect();
            let stages = Stages::of(&all, now);
            assert!(stages.signer.is_some() && !stages.next.is_empty() && keys.len() <= 3);
            assert!(stages.over.is_empty());
            for key in &stages.next {
                let notice = key.active_from.since(key.created_at);
                assert!(notice >= PUBLISHED_BEFORE_USE_SECONDS, "published long before");
            }
            for old in &seen {
                let successor = seen.iter().find(|key| key.active_from > old.active_from);
                let until = successor.map(|key| key.active_from.plus(OVERLAP_SECONDS));
                let there = keys.iter().any(|key| key.kid == old.kid);
                assert_eq!(there, until.is_none_or(|until| now < until), "kept for seven days");
            }
            seen.retain(|old| now.since(old.active_from) < 100 * DAY);
            let signer = stages.signer.unwrap();
            if seen.iter().all(|known| known.kid != signer.kid) {
                seen.push(signer.clone());
            }
        }
    }

    #[test]
    fn a_long_absence_ends_with_two_sound_keys() {
        let mut keys = vec![key('a', 0, 0), key('b', 0, 42)];
        let now = UnixSeconds(200 * DAY);
        let done = act(&mut keys, 42, now);
        assert_eq!(done.len(), 2, "a new key, and the oldest retired: {done:?}");
        assert_eq!(keys[0].kid, key('b', 0, 42).kid);
        assert_eq!(keys[1].active_from, now.plus(DAY));
    }

    #[test]
    fn rotating_now_promotes_the_published_key() {
        let now = UnixSeconds(1_800_000_000);
        assert_eq!(rotate_now(&[], now), KeyAction::Generate { active_from: now });
        let first = SigningKey::generate(now, now);
        let second = SigningKey::generate(now, now.plus(42 * DAY));
        let keys = [Arc::new(first), Arc::new(second)];
        let kid = keys[1].kid().clone();
        let later = now.plus(10 * DAY);
        assert_eq!(rotate_now(&keys, later), KeyAction::Reschedule { kid, active_from: later });
        let keys = [Arc::clone(&keys[0]), Arc::new(keys[1].rescheduled(later))];
        let active_from = later.plus(42 * DAY);
        assert_eq!(next_action(&keys, 42, later), KeyAction::Generate { active_from });
    }
}
