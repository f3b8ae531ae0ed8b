//! What things cost: the node's CPU time, and here and now without a node one verification and one synchronised write, which make
//! figures of different machines comparable.

use std::fs::File;
use std::hint::black_box;
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use liaison_protocol::envelope::{Envelope, MANIFEST_TYPE, pre_authentication_encoding};
use liaison_protocol::signer::Signer as _;

use super::load::Originator;
use crate::cli::Failure;
use crate::clock::{Clock as _, SystemClock};

/// Batches of verifications; each gives one figure, so that an interruption spoils one and not the median.
const VERIFY_BATCHES: usize = 15;
/// Verifications in a batch.
const VERIFY_BATCH: u32 = 64;
/// Synchronised writes: enough for a p99.
const DISK_WRITES: usize = 200;
/// About what a batch of few notices writes.
const DISK_WRITE_BYTES: usize = 4 << 10;

/// Linux counts CPU time for user space in hundredths of a second on every architecture (`USER_HZ`).
const TICK: Duration = Duration::from_millis(10);

/// CPU time of all threads of a process so far, in user space and in the kernel: fields 14 and 15 of proc(5)'s `stat`.
pub(super) fn cpu(process: Option<u32>) -> Result<Duration, Failure> {
    let process = process.ok_or_else(|| Failure::failed("the node has ended"))?;
    let path = format!("/proc/{process}/stat");
    let stat = std::fs::read_to_string(&path).map_err(|error| Failure::failed(format!("{path}: {error}")))?;
    // The second field is the program's name in brackets, and may hold anything.
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks = after_name.split_whitespace().skip(11).take(2).map(str::parse::<u32>);
    let ticks = ticks.sum::<Result<u32, _>>().map_err(|_| Failure::failed(format!("{path} cannot be read")))?;
    Ok(TICK * ticks)
}

/// What a process holds in memory now, in KiB: `VmRSS` of proc(5)'s `status`.
pub(super) fn resident_kib(process: Option<u32>) -> Result<u64, Failure> {
    let process = process.ok_or_else(|| Failure::failed("the node has ended"))?;
    let path = format!("/proc/{process}/status");
    let status = std::fs::read_to_string(&path).map_err(|error| Failure::failed(format!("{path}: {error}")))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok());
    kib.ok_or_else(|| Failure::failed(format!("{path} cannot be read")))
}

/// Microseconds of one strict verification of a notice's own signature, one figure for each batch.
pub(super) fn verify_us(originator: &Originator) -> Result<Vec<f64>, Failure> {
    let failed = |error: &dyn std::fmt::Display| Failure::failed(format!("verification: {error}"));
    let (key, notice) = originator.signed().ok_or_else(|| failed(&"no notice was signed"))?;
    let envelope = Envelope::parse(notice.envelope.clone()).map_err(|error| failed(&error))?;
    let message = pre_authentication_encoding(MANIFEST_TYPE, envelope.payload());
    let signature = key.sign(&message).map_err(|error| failed(&error))?;
    let (public, clock) = (key.public(), SystemClock::new());
    (0..VERIFY_BATCHES)
        .map(|_| {
            let began = clock.monotonic();
            for _ in 0..VERIFY_BATCH {
                let verified = black_box(public).verify(black_box(&message), black_box(&signature));
                verified.map_err(|_| failed(&"a signature made here is not believed"))?;
            }
            Ok((clock.monotonic() - began).as_secs_f64() * 1e6 / f64::from(VERIFY_BATCH))
        })
        .collect()
}

/// p50 and p99 in microseconds of a small write to this folder's disk that has been synchronised.
pub(super) fn disk_us(folder: &Path) -> Result<[u32; 2], Failure> {
    let path = folder.join("disk");
    let failed = |error: std::io::Error| Failure::failed(format!("{}: {error}", path.display()));
    let mut file = File::create(&path).map_err(failed)?;
    let (clock, bytes) = (SystemClock::new(), [7; DISK_WRITE_BYTES]);
    let mut latencies = Vec::with_capacity(DISK_WRITES);
    for _ in 0..DISK_WRITES {
        let began = clock.monotonic();
        file.write_all(&bytes).and_then(|()| file.sync_data()).map_err(failed)?;
        latencies.push(u32::try_from((clock.monotonic() - began).as_micros()).unwrap_or(u32::MAX));
    }
    std::fs::remove_file(&path).map_err(failed)?;
    Ok([percentile(latencies.clone(), 0.50), percentile(latencies, 0.99)])
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
