//! The last signed checkpoint, kept in a file apart from the store: it guards against a store restored from an older backup.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;

/// Written at most this often while checkpoints come, and at stop.
const INTERVAL: Duration = Duration::from_secs(1);

/// The file, and what waits to be written to it.
pub(super) struct Anchor {
    path: PathBuf,
    waiting: Option<Bytes>,
    written: Duration,
}

impl Anchor {
    pub(super) fn at(path: PathBuf) -> Self {
        Self { path, waiting: None, written: Duration::ZERO }
    }

    /// The checkpoint in the file. None: there is no file yet.
    pub(super) fn read(&self) -> io::Result<Option<Vec<u8>>> {
        match std::fs::read(&self.path) {
            Ok(note) => Ok(Some(note)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A newer checkpoint has been signed.
    pub(super) fn keep(&mut self, checkpoint: Bytes) {
        self.waiting = Some(checkpoint);
    }

    /// Writes what waits, if it is time.
    pub(super) fn tick(&mut self, monotonic: Duration) -> io::Result<()> {
        if self.waiting.is_some() && monotonic.saturating_sub(self.written) >= INTERVAL {
            self.written = monotonic;
            self.flush()?;
        }
        Ok(())
    }

    /// Writes what waits: beside the file, synced, then renamed over it, so that one of the two is always whole.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        let Some(checkpoint) = self.waiting.take() else {
            return Ok(());
        };
        let beside = self.path.with_extension("new");
        let mut file = File::create(&beside)?;
        file.write_all(&checkpoint)?;
        file.sync_all()?;
        std::fs::rename(&beside, &self.path)?;
        File::open(self.path.parent().unwrap_or(Path::new(".")))?.sync_all()
    }
}
