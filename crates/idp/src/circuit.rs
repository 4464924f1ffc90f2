//! Stops asking a provider that does not answer, so that every login does not wait ten seconds to learn it again.

use crate::error::IdpError;
use narthex_model::UnixSeconds;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// So many unreachable answers in a row open the circuit.
const FAILURES: u32 = 3;
/// For so long it answers at once; then one caller may try.
const OPEN_SECONDS: i64 = 10;

/// The circuit to one provider.
#[derive(Debug, Default)]
pub(crate) struct Circuit(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    failures: u32,
    open_until: UnixSeconds,
}

impl Circuit {
    /// Answers for a provider that did not answer lately; for somebody who does not call it now.
    ///
    /// # Errors
    /// `Unreachable` while the circuit is open.
    pub(crate) fn look(&self, now: UnixSeconds) -> Result<(), IdpError> {
        self.lock().look(now)
    }

    /// The same for somebody who is about to call it and will [`Circuit::record`] how that went: when the time is over one
    /// caller is let through, and the rest wait for what that one finds.
    ///
    /// # Errors
    /// `Unreachable` while the circuit is open.
    pub(crate) fn admit(&self, now: UnixSeconds) -> Result<(), IdpError> {
        let mut state = self.lock();
        state.look(now)?;
        state.open_until = now.plus(OPEN_SECONDS);
        Ok(())
    }

    /// Remembers how a call went. Every answer but `Unreachable` shows that somebody is there.
    pub(crate) fn record<T>(&self, result: &Result<T, IdpError>, now: UnixSeconds) {
        let mut state = self.lock();
        if matches!(result, Err(IdpError::Unreachable(_))) {
            state.failures = state.failures.saturating_add(1);
            state.open_until = now.plus(OPEN_SECONDS);
        } else {
            state.failures = 0;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn look(&self, now: UnixSeconds) -> Result<(), IdpError> {
        if self.failures >= FAILURES && now < self.open_until {
            let why = "it did not answer lately and is left alone for a few seconds; retry then";
            return Err(IdpError::Unreachable(why.to_owned()));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opens_after_three_and_lets_one_try_after_ten_seconds() {
        let circuit = Circuit::default();
        let start = UnixSeconds(1_000);
        let down: Result<(), _> = Err(IdpError::Unreachable(String::new()));
        let other: Result<(), _> = Err(IdpError::BadAnswer(String::new()));
        for result in [&down, &down, &other, &down, &down, &Ok(()), &down, &down] {
            assert_eq!(circuit.admit(start), Ok(()), "never three in a row");
            circuit.record(result, start);
        }
        circuit.record(&down, start);
        assert!(circuit.admit(start).is_err());
        assert!(circuit.admit(start.plus(9)).is_err());
        assert_eq!(circuit.look(start.plus(10)), Ok(()), "looking is not trying");
        assert_eq!(circuit.admit(start.plus(10)), Ok(()), "one may try");
        assert!(circuit.admit(start.plus(10)).is_err(), "and only one");
        circuit.record(&down, start.plus(11));
        assert!(circuit.admit(start.plus(20)).is_err());
        assert_eq!(circuit.admit(start.plus(21)), Ok(()));
        circuit.record(&Ok(()), start.plus(21));
        assert_eq!(circuit.admit(start.plus(21)), Ok(()));
        assert_eq!(circuit.admit(start.plus(21)), Ok(()));
    }
}
