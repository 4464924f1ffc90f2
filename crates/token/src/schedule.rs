//! When keys come and go (access-protocol §5.6): pure functions of the keys, the interval and `now`.
#![expect(clippy::unimplemented, reason = "the interface comes first; the bodies follow")]

use crate::SigningKey;
use narthex_model::{Kid, UnixSeconds};
use std::sync::Arc;

/// A key is published at least this long before it signs, because clients keep the certs document for 24 h.
pub const PUBLISHED_BEFORE_USE_SECONDS: i64 = 24 * 3600;

/// A key verifies for this long after its successor began to sign: 7 days.
pub const OVERLAP_SECONDS: i64 = 7 * 24 * 3600;

/// The one thing to do next. Do it, keep it, make a new ring, and ask again until there is nothing.
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
#[must_use]
pub fn next_action(keys: &[Arc<SigningKey>], interval_days: u16, now: UnixSeconds) -> KeyAction {
    let _ = (keys, interval_days, now);
    unimplemented!()
}

/// What "rotate now" of the administration API asks for: the key that is published takes over at once.
#[must_use]
pub fn rotate_now(keys: &[Arc<SigningKey>], now: UnixSeconds) -> KeyAction {
    let _ = (keys, now);
    unimplemented!()
}
