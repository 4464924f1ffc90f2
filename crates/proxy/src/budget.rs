//! So many a second and no more: for work that a stranger can cause and that costs more than the request.

use std::cell::Cell;
use std::time::Instant;

/// A token bucket of one core. It holds two seconds' worth.
pub(crate) struct Budget {
    per_second: f64,
    left: Cell<f64>,
    filled: Cell<Instant>,
}

impl Budget {
    pub(crate) fn per_second(rate: u32) -> Self {
        let per_second = f64::from(rate);
        Self { per_second, left: Cell::new(2.0 * per_second), filled: Cell::new(Instant::now()) }
    }

    /// Whether there is one left; takes it.
    pub(crate) fn take(&self) -> bool {
        self.take_at(Instant::now())
    }

    fn take_at(&self, now: Instant) -> bool {
        let passed = now.saturating_duration_since(self.filled.replace(now)).as_secs_f64();
        let left = (self.left.get() + passed * self.per_second).min(2.0 * self.per_second);
        let enough = left >= 1.0;
        self.left.set(if enough { left - 1.0 } else { left });
        enough
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_budget_runs_out_and_fills_again() {
        let budget = Budget::per_second(2);
        let now = Instant::now();
        let taken = (0..10).filter(|_| budget.take_at(now)).count();
        assert_eq!(taken, 4);
        assert!(!budget.take_at(now + Duration::from_millis(400)));
        assert!(budget.take_at(now + Duration::from_millis(600)));
        assert!(!budget.take_at(now + Duration::from_millis(600)));
    }
}
