//! What things cost here and now without a node: one verification, as many as all cores do, and one synchronised write. They make
//! figures of different machines comparable.

mod disk;

use std::hint::black_box;
use std::time::Duration;

use liaison_protocol::envelope::{Envelope, MANIFEST_TYPE, pre_authentication_encoding};
use liaison_protocol::keyring::PublicKey;
use liaison_protocol::signer::Signer as _;
use rustix::time::{ClockId, clock_gettime};

use super::load::Originator;
use crate::cli::Failure;
use crate::clock::{Clock as _, SystemClock};
pub(super) use disk::Disk;

/// Batches of verifications; each gives one figure, so that an interruption spoils one and not the median.
const VERIFY_BATCHES: usize = 15;
/// Verifications in a batch.
const VERIFY_BATCH: u32 = 64;
/// How long all cores verify, each time they are asked.
const RATE_TIME: Duration = Duration::from_millis(250);

/// A notice's own signature, as the library verifies it strictly.
pub(super) struct Verification {
    public: PublicKey,
    message: Vec<u8>,
    signature: Vec<u8>,
}

impl Verification {
    /// Of the last notice that an originator signed.
    pub(super) fn of(originator: &Originator) -> Result<Self, Failure> {
        let failed = |error: &dyn std::fmt::Display| Failure::failed(format!("verification: {error}"));
        let (key, notice) = originator.signed().ok_or_else(|| failed(&"no notice was signed"))?;
        let envelope = Envelope::parse(notice.envelope.clone()).map_err(|error| failed(&error))?;
        let message = pre_authentication_encoding(MANIFEST_TYPE, envelope.payload());
        let signature = key.sign(&message).map_err(|error| failed(&error))?;
        Ok(Self { public: key.public().clone(), message, signature })
    }

    fn batch(&self) -> Result<(), Failure> {
        for _ in 0..VERIFY_BATCH {
            let verified = black_box(&self.public).verify(black_box(&self.message), black_box(&self.signature));
            verified.map_err(|_| Failure::failed("a signature made here is not believed"))?;
        }
        Ok(())
    }

    /// Microseconds of CPU time of one on one core, a figure for each batch.
    pub(super) fn us(&self) -> Result<Vec<f64>, Failure> {
        let one = |_| {
            let began = cpu_of_this_thread();
            self.batch()?;
            Ok(cpu_of_this_thread().saturating_sub(began).as_secs_f64() * 1e6 / f64::from(VERIFY_BATCH))
        };
        (0..VERIFY_BATCHES).map(one).collect()
    }

    /// All cores verify together for a moment and do nothing else.
    pub(super) fn alone(&self, clock: &SystemClock) -> Result<Alone, Failure> {
        let core = || {
            let (began, cpu, mut done) = (clock.monotonic(), cpu_of_this_thread(), 0);
            loop {
                self.batch()?;
                done += u64::from(VERIFY_BATCH);
                let elapsed = clock.monotonic() - began;
                if elapsed >= RATE_TIME {
                    return Ok::<_, Failure>(Alone {
                        done,
                        cpu: cpu_of_this_thread().saturating_sub(cpu),
                        elapsed,
                    });
                }
            }
        };
        std::thread::scope(|scope| {
            let cores: Vec<_> = (0..cores()).map(|_| scope.spawn(core)).collect();
            let each = cores.into_iter().map(|core| core.join().unwrap_or_else(|_| Err(Failure::failed("a core"))));
            each.reduce(|all, core| Ok(all?.and(core?))).unwrap_or_else(|| Err(Failure::failed("no core")))
        })
    }
}

/// What all cores verified when they did nothing else. Times are of all of them together.
#[derive(Clone, Copy, Debug)]
pub(super) struct Alone {
    done: u64,
    cpu: Duration,
    elapsed: Duration,
}

impl Alone {
    /// Both together.
    pub(super) fn and(self, other: Self) -> Self {
        Self { done: self.done + other.done, cpu: self.cpu + other.cpu, elapsed: self.elapsed + other.elapsed }
    }

    /// How many a second. What others took of the cores meanwhile does not make it fewer: it would make the node look better.
    pub(super) fn per_s(&self) -> f64 {
        self.done as f64 / self.cpu.as_secs_f64() * cores() as f64
    }

    /// The part of the cores that was there for it: 1 on a machine that has nothing else to do.
    pub(super) fn core_share(&self) -> f64 {
        self.cpu.as_secs_f64() / self.elapsed.as_secs_f64()
    }
}

/// As the node is measured: by the time on a core, in which waiting for one does not count.
fn cpu_of_this_thread() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}

/// Cores that this process may use.
pub(super) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// The value that this share of all stays within; 0 of none.
pub(super) fn percentile(mut values: Vec<u32>, share: f64) -> u32 {
    values.sort_unstable();
    let place = (values.len() as f64 * share).ceil() as usize;
    values.get(place.saturating_sub(1)).copied().unwrap_or(0)
}

/// The middle one, or halfway between the two in the middle: the upper alone would favour one side; 0 of none.
pub(super) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let (lower, upper) = (values.len().saturating_sub(1) / 2, values.len() / 2);
    match (values.get(lower), values.get(upper)) {
        (Some(lower), Some(upper)) => f64::midpoint(*lower, *upper),
        _ => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_a_value_that_was_seen() {
        let cases =
            [(vec![], 0.5, 0), (vec![7], 0.99, 7), (vec![3, 1, 2], 0.5, 2), ((1..=200).collect(), 0.99, 198)];
        for (values, share, expected) in cases {
            assert_eq!(percentile(values.clone(), share), expected, "{share} of {values:?}");
        }
    }

    #[test]
    fn a_median_favours_neither_half() {
        for (values, expected) in
            [(vec![], 0.0), (vec![3.0, 1.0, 2.0], 2.0), (vec![40.0, 100.0, 40.0, 100.0], 70.0)]
        {
            assert_eq!(median(values.clone()).to_bits(), f64::to_bits(expected), "{values:?}");
        }
    }

    #[test]
    fn what_others_take_of_the_cores_shows_and_makes_verification_no_slower() {
        let seconds = Duration::from_secs;
        let quiet = Alone { done: 50_000, cpu: seconds(2), elapsed: seconds(2) };
        let disturbed = Alone { done: 25_000, cpu: seconds(1), elapsed: seconds(2) };
        assert_eq!(quiet.per_s().to_bits(), disturbed.per_s().to_bits());
        assert_eq!((quiet.core_share(), disturbed.core_share()), (1.0, 0.5));
        assert_eq!(quiet.and(disturbed).core_share().to_bits(), 0.75_f64.to_bits());
    }
}
