//! What a node counts, as plain numbers that anyone may add to at the price of one atomic addition. How they are shown, and to whom,
//! is nobody's business here: `http` reads them when it is asked.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use liaison_protocol::reason::Reason;

use crate::integrity::Integrity;

/// Upper bounds of the numbers of statements in a batch.
const BATCH_BOUNDS: &[u64] = &[1, 4, 16, 64, 256, 1_024, 4_096];
/// Upper bounds of times, in microseconds: from what a signature costs to a disk that everybody waits for (FAULTS 88).
const TIME_BOUNDS_US: &[u64] =
    &[100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 1_000_000, 5_000_000];

/// What partners may call, as the end of a call's path. Everything else (health, reflection, what does not exist) is counted as
/// [`OTHER_METHOD`], so that nobody makes the metrics grow by what he calls.
pub const METHODS: [&str; 12] = [
    "ExchangeService/Submit",
    "ExchangeService/SubmitStream",
    "ExchangeService/Collect",
    "ExchangeService/Acknowledge",
    "ExchangeService/GetNotice",
    "ExchangeService/ListEvidence",
    "ExchangeService/GetMailbox",
    "LogService/GetCheckpoint",
    "LogService/GetInclusionProof",
    "LogService/GetConsistencyProof",
    "DirectoryService/GetHead",
    "DirectoryService/ListRecords",
];
/// Calls of anything else.
pub const OTHER_METHOD: &str = "other";
/// Before the methods' names.
const PACKAGE: &str = "/liaison.v1.";

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
    /// How long calls took, by method.
    pub calls: Calls,
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
    /// The node came up without a writer and signs nothing.
    pub recovering: Flag,
    /// Wall clock and monotonic clock have come apart.
    pub clocks_apart: Flag,
    /// A file that is watched cannot be looked at: the file system does not answer.
    pub files_stalled: Flag,
    /// Stored bytes that are not what was written.
    pub integrity: Integrity,
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
            calls: Calls::default(),
            batch: Histogram::new(BATCH_BOUNDS),
            commit_us: Histogram::new(TIME_BOUNDS_US),
            sign_us: Histogram::new(TIME_BOUNDS_US),
            signed: Moment::default(),
            turned: Moment::default(),
            store_full: Flag::default(),
            no_reserve: Flag::default(),
            store_away: Flag::default(),
            recovering: Flag::default(),
            clocks_apart: Flag::default(),
            files_stalled: Flag::default(),
            integrity: Integrity::default(),
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

/// How long calls took until they were answered, microseconds, by method.
#[derive(Debug)]
pub struct Calls([Histogram; METHODS.len() + 1]);

impl Default for Calls {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Histogram::new(TIME_BOUNDS_US)))
    }
}

impl Calls {
    /// The place of the method that a call's path names; that of all others, where it is none of [`METHODS`].
    pub fn method(path: &str) -> usize {
        let name = path.strip_prefix(PACKAGE);
        name.and_then(|name| METHODS.iter().position(|method| *method == name)).unwrap_or(METHODS.len())
    }

    /// A call of the method at this place was answered.
    pub fn answered(&self, method: usize, took: Duration) {
        if let Some(times) = self.0.get(method) {
            times.observe_time(took);
        }
    }

    /// The times of each method that was called, by its name.
    pub fn times(&self) -> impl Iterator<Item = (&'static str, &Histogram)> {
        let names = METHODS.into_iter().chain([OTHER_METHOD]);
        names.zip(&self.0).filter(|(_, times)| times.buckets().any(|(_, count)| count > 0))
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
    fn a_call_is_counted_under_its_method_and_what_nobody_serves_under_one_name() {
        let calls = Calls::default();
        for path in ["/liaison.v1.ExchangeService/Submit", "/liaison.v1.LogService/GetCheckpoint"] {
            calls.answered(Calls::method(path), Duration::from_micros(300));
        }
        for path in
            ["/liaison.v1.ExchangeService/Submit2", "/liaison.v1.", "", "/grpc.health.v1.Health/Check", "/x/Submit"]
        {
            calls.answered(Calls::method(path), Duration::from_micros(1));
        }
        calls.answered(usize::MAX, Duration::ZERO);
        let counted: Vec<_> = calls
            .times()
            .map(|(method, times)| (method, times.buckets().map(|(_, count)| count).sum::<u64>(), times.sum()))
            .collect();
        let expected =
            [("ExchangeService/Submit", 1, 300), ("LogService/GetCheckpoint", 1, 300), (OTHER_METHOD, 5, 5)];
        assert_eq!(counted, expected);
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
