//! What ties a stream that outlives its decision to the caller it was opened for (security rules 13, 34).

use std::fmt;

/// Answers whether the caller of a stream under way would still be let in. It is asked again whenever something
/// was revoked, and every 30 s besides, until the stream ends.
pub struct Leash(Option<Box<dyn Fn() -> bool>>);

impl Leash {
    /// For callers whom nobody can revoke: those of a bypass policy.
    #[must_use]
    pub fn loose() -> Self {
        Self(None)
    }

    /// Holds as long as `still_admitted` says so. It is asked on the core's own thread and must not wait.
    #[must_use]
    pub fn held_by(still_admitted: impl Fn() -> bool + 'static) -> Self {
        Self(Some(Box::new(still_admitted)))
    }

    /// Whether the stream may go on.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.0.as_ref().is_none_or(|still_admitted| still_admitted())
    }
}

impl fmt::Debug for Leash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Leash(held)" } else { "Leash(loose)" })
    }
}
