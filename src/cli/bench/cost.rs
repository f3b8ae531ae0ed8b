//! What things cost here and now without a node: one verification, as many as all cores do, and one synchronised write. They make
//! figures of different machines comparable.

mod disk;

use std::hint::black_box;
use std::time::Duration;

use liaison_protocol::envelope::{Envelope, MANIFEST_TYPE, pre_authentication_encoding};
use liaison_protocol::keyring::PublicKey;
use liaison_protocol::signer::Signer as _;

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

    /// Microseconds of one on one core, a figure for each batch.
    pub(super) fn us(&self, clock: &SystemClock) -> Result<Vec<f64>, Failure> {
        let one = |_| {
            let began = clock.monotonic();
            self.batch()?;
            Ok((clock.monotonic() - began).as_secs_f64() * 1e6 / f64::from(VERIFY_BATCH))
        };
        (0..VERIFY_BATCHES).map(one).collect()
    }

    /// How many a second all cores do together when they do nothing else.
    pub(super) fn per_s(&self, clock: &SystemClock) -> Result<f64, Failure> {
        let core = || {
            let (began, mut done) = (clock.monotonic(), 0.0);
            loop {
                self.batch()?;
                done += f64::from(VERIFY_BATCH);
                let elapsed = clock.monotonic() - began;
                if elapsed >= RATE_TIME {
                    return Ok::<_, Failure>(done / elapsed.as_secs_f64());
                }
            }
        };
        std::thread::scope(|scope| {
            let cores: Vec<_> = (0..cores()).map(|_| scope.spawn(core)).collect();
            let rates =
                cores.into_iter().map(|core| core.join().unwrap_or_else(|_| Err(Failure::failed("a core"))));
            rates.sum()
        })
    }
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

/// The middle one; 0 of none.
pub(super) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
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
        assert_eq!(median(vec![3.0, 1.0, 2.0]).to_bits(), 2.0_f64.to_bits());
    }
}
