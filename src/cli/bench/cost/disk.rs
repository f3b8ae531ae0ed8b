//! The disk as it is while the node works on it: a small write of our own, synchronised, now and then.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tempfile::NamedTempFile;

use super::percentile;
use crate::cli::Failure;
use crate::clock::{Clock as _, SystemClock};

/// About what a batch of few notices writes.
const WRITE_BYTES: usize = 4 << 10;
/// Often enough for a p99 within seconds, and a hundredth of what a disk does.
const EVERY: Duration = Duration::from_millis(20);

/// Writes of our own, between those of the node.
pub(in crate::cli::bench) struct Disk {
    folder: PathBuf,
    clock: Arc<SystemClock>,
    latencies_us: Vec<u32>,
}

impl Disk {
    /// The disk under a folder.
    pub(in crate::cli::bench) fn of(folder: &Path, clock: Arc<SystemClock>) -> Self {
        Self { folder: folder.into(), clock, latencies_us: Vec::new() }
    }

    /// Writes until it is dropped; ends by itself only in a failure.
    pub(in crate::cli::bench) async fn write(&mut self) -> Failure {
        let folder = self.folder.clone();
        let failed = |problem: &dyn std::fmt::Display| Failure::failed(format!("{}: {problem}", folder.display()));
        // It goes with its handle: a network that is kept keeps nothing of this.
        let mut file = match NamedTempFile::new_in(&folder) {
            Ok(file) => file,
            Err(error) => return failed(&error),
        };
        loop {
            let clock = self.clock.clone();
            let began = clock.monotonic();
            let written = tokio::task::spawn_blocking(move || {
                let began = clock.monotonic();
                file.write_all(&[7; WRITE_BYTES]).and_then(|()| file.as_file().sync_data())?;
                Ok::<_, std::io::Error>((file, clock.monotonic() - began))
            });
            let took = match written.await {
                Ok(Ok((back, took))) => {
                    file = back;
                    took
                }
                Ok(Err(error)) => return failed(&error),
                Err(error) => return failed(&error),
            };
            self.latencies_us.push(u32::try_from(took.as_micros()).unwrap_or(u32::MAX));
            self.clock.until(began + EVERY).await;
        }
    }

    /// What this share of the writes took at most, microseconds; 0 if there was none.
    pub(in crate::cli::bench) fn latency_us(&self, share: f64) -> u32 {
        percentile(self.latencies_us.clone(), share)
    }
}
