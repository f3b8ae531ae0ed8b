//! What a node counts, as plain numbers that anyone may add to at the price of one atomic addition. How they are shown, and to whom,
//! is nobody's business here: `http` reads them when it is asked.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use liaison_protocol::reason::Reason;

/// Upper bounds of the numbers of statements in a batch.
const BATCH_BOUNDS: &[u64] = &[1, 4, 16, 64, 256, 1_024, 4_096];
/// Upper bounds of times, in microseconds: from what a signature costs to a disk that everybody waits for (FAULTS 88).
const TIME_BOUNDS_US: &[u64] =
    &[100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 1_000_000, 5_000_000];

/// Everything a node counts since its start.
#[derive(Debug)]
pub struct Counts {
    /// What became of notices that partners submitted.
    pub submitted: Answered,
    /// What became of items that recipients acknowledged.
    pub acknowledged: Answered,
    /// Notices whose audience was known from an earlier one of the same kind.
    pub audiences_remembered: Counter,
    /// Notices whose audience had to be resolved from the directory.
    pub audiences_resolved: Counter,
    /// Deliveries put on the wire; one sent again counts again.
    pub delivered: Counter,
    /// Lines that came through the door.
    pub lines: Counter,
    /// Statements in a batch that was committed.
    pub batch: Histogram,
    /// From handing a batch to the store until it is on disk, microseconds.
    pub commit_us: Histogram,
    /// Signing one checkpoint, microseconds.
    pub sign_us: Histogram,
    /// When the newest checkpoint was signed, on the monotonic clock.
    pub signed: Moment,
    /// When the sequencer last came round, on the monotonic clock.
    pub turned: Moment,
    /// The store has no room for notices: submissions are refused.
    pub store_full: Flag,
    /// The store's reserve is given up, or could not be made.
    pub no_reserve: Flag,
    /// The store cannot be reached: nothing is taken.
    pub store_away: Flag,
    /// Wall clock and monotonic clock have come apart.
    pub clocks_apart: Flag,
    /// A file that is watched cannot be looked at: the file system does not answer.
    pub files_stalled: Flag,
}

impl Default for Counts {
    fn default() -> Self {
        Self {
            submitted: Answered::default(),
            acknowledged: Answered::default(),
            audiences_remembered: Counter::default(),
            audiences_resolved: Counter::default(),
            delivered: Counter::default(),
            lines: Counter::default(),
            batch: Histogram::new(BATCH_BOUNDS),
            commit_us: Histogram::new(TIME_BOUNDS_US),
            sign_us: Histogram::new(TIME_BOUNDS_US),
            signed: Moment::default(),
            turned: Moment::default(),
            store_full: Flag::default(),
            no_reserve: Flag::default(),
            store_away: Flag::default(),
            clocks_apart: Flag::default(),
            files_stalled: Flag::default(),
        }
    }
}

/// Only ever grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds.
    pub fn add(&self, more: u64) {
        self.0.fetch_add(more, Relaxed);
    }

    /// So many.
    pub fn count(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// True or false.
#[derive(Debug, Default)]
pub struct Flag(AtomicBool);

impl Flag {
    /// It is so now.
    pub fn set(&self, so: bool) {
        self.0.store(so, Relaxed);
    }

    /// Whether it is so.
    pub fn is_set(&self) -> bool {
        self.0.load(Relaxed)
    }
}

/// When something happened last, on the monotonic clock.
#[derive(Debug, Default)]
pub struct Moment(AtomicU64);

impl Moment {
    /// It happened now.
    pub fn happened(&self, now: Duration) {
        self.0.store(u64::try_from(now.as_micros()).unwrap_or(u64::MAX), Relaxed);
    }

    /// How long ago that is.
    pub fn age(&self, now: Duration) -> Duration {
        now.saturating_sub(Duration::from_micros(self.0.load(Relaxed)))
    }
}

/// How calls for many things were answered, each by itself.
#[derive(Debug)]
pub struct Answered {
    /// Taken, for the first time.
    pub taken: Counter,
    /// Taken before.
    pub duplicate: Counter,
    refused: [Counter; Reason::ALL.len()],
}

impl Default for Answered {
    fn default() -> Self {
        Self {
            taken: Counter::default(),
            duplicate: Counter::default(),
            refused: std::array::from_fn(|_| Counter::default()),
        }
    }
}

impl Answered {
    /// One was refused.
    pub fn refuse(&self, reason: Reason) {
        self.refused[reason as usize].add(1);
    }

    /// How many were refused, by reason; those that never were are left out.
    pub fn refused(&self) -> impl Iterator<Item = (Reason, u64)> {
        let counted = Reason::ALL.iter().map(|reason| (*reason, self.refused[*reason as usize].count()));
        counted.filter(|(_, count)| *count > 0)
    }
}

/// How often a value fell between which bounds.
#[derive(Debug)]
pub struct Histogram {
    bounds: &'static [u64],
    /// One more than bounds: what lies beyond the last.
    buckets: Box<[AtomicU64]>,
    sum: AtomicU64,
}

impl Histogram {
    fn new(bounds: &'static [u64]) -> Self {
        Self { bounds, buckets: (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect(), sum: AtomicU64::new(0) }
    }

    /// Counts a value.
    pub fn observe(&self, value: u64) {
        let bucket = self.bounds.partition_point(|bound| *bound < value);
        self.buckets[bucket].fetch_add(1, Relaxed);
        self.sum.fetch_add(value, Relaxed);
    }

    /// Counts a time, in microseconds.
    pub fn observe_time(&self, time: Duration) {
        self.observe(u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
    }

    /// Each bound with what lies at most there and above the bound before; None: beyond the last.
    pub fn buckets(&self) -> impl Iterator<Item = (Option<u64>, u64)> {
        let bounds = self.bounds.iter().copied().map(Some).chain([None]);
        bounds.zip(self.buckets.iter().map(|bucket| bucket.load(Relaxed)))
    }

    /// All values together.
    pub fn sum(&self) -> u64 {
        self.sum.load(Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_counted_under_its_own_name() {
        let answered = Answered::default();
        for (nth, reason) in Reason::ALL.iter().enumerate() {
            assert_eq!(*reason as usize, nth, "{reason}: the catalogue's order is the counters' order");
            answered.refuse(*reason);
        }
        answered.refuse(Reason::Busy);
        let refused: Vec<_> = answered.refused().collect();
        assert_eq!(refused.len(), Reason::ALL.len());
        assert!(refused.iter().all(|(reason, count)| *count == if *reason == Reason::Busy { 2 } else { 1 }));
    }

    #[test]
    fn a_value_falls_into_the_first_bucket_whose_bound_it_does_not_exceed() {
        let histogram = Histogram::new(BATCH_BOUNDS);
        [1, 2, 4, 5, 4_096, 4_097].into_iter().for_each(|value| histogram.observe(value));
        let filled: Vec<_> = histogram.buckets().filter(|(_, count)| *count > 0).collect();
        assert_eq!(filled, [(Some(1), 1), (Some(4), 2), (Some(16), 1), (Some(4_096), 1), (None, 1)]);
        assert_eq!(histogram.sum(), 8_205);
    }
}
