//! Access records on their way to the control side: never waited for, bounded in rate, drops counted (security
//! rules 37 and 39).

use crate::budget::Budget;
use crate::meters::Meters;
use narthex_model::AccessRecord;
use std::sync::Arc;
use tokio::sync::mpsc;

/// Records a second from one core; a stranger can cause refusals as fast as requests.
const PER_SECOND: u32 = 100;

/// One core's way to the records.
pub(crate) struct Recorder {
    records: mpsc::Sender<AccessRecord>,
    budget: Budget,
    meters: Arc<Meters>,
    lane: usize,
}

impl Recorder {
    pub(crate) fn new(
        records: mpsc::Sender<AccessRecord>,
        meters: Arc<Meters>,
        lane: usize,
    ) -> Self {
        Self { records, budget: Budget::per_second(PER_SECOND), meters, lane }
    }

    /// Hands a record over, or counts it as dropped. It is made only if there is room for it.
    pub(crate) fn record(&self, make: impl FnOnce() -> AccessRecord) {
        let kept = self.budget.take()
            && self.records.try_reserve().map(|place| place.send(make())).is_ok();
        if !kept {
            self.meters.lane(self.lane).records_dropped.add();
        }
    }
}
