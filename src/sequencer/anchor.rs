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
    /// When it was last written, by the monotonic clock. None: not since the start.
    written: Option<Duration>,
}

impl Anchor {
    pub(super) fn at(path: PathBuf) -> Self {
        Self { path, waiting: None, written: None }
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
        let due = self.written.is_none_or(|written| monotonic.saturating_sub(written) >= INTERVAL);
        if self.waiting.is_some() && due {
            self.written = Some(monotonic);
            self.flush()?;
        }
        Ok(())
    }

    /// Writes what waits. Where there is no room it goes on waiting: a full disk must not keep recipients from signing.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        let Some(checkpoint) = self.waiting.take() else {
            return Ok(());
        };
        match self.write(&checkpoint) {
            Err(error) if matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) => {
                tracing::warn!(%error, "no room for the checkpoint file: it stays as it was");
                self.waiting = Some(checkpoint);
                Ok(())
            }
            written => written,
        }
    }

    /// Beside the file, synced, then renamed over it, so that one of the two is always whole.
    fn write(&self, checkpoint: &[u8]) -> io::Result<()> {
        let beside = self.path.with_extension("new");
        let mut file = File::create(&beside)?;
        file.write_all(checkpoint)?;
        file.sync_all()?;
        std::fs::rename(&beside, &self.path)?;
        let folder = self.path.parent().filter(|folder| *folder != Path::new(""));
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn fault_86_a_checkpoint_waits_for_room_and_is_written_when_there_is_some() {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, beside) = (folder.path().join("checkpoint"), folder.path().join("checkpoint.new"));
        std::os::unix::fs::symlink("/dev/full", &beside).expect("a disk without room");
        let mut anchor = Anchor::at(path);
        anchor.keep(Bytes::from_static(b"signed"));
        anchor.tick(Duration::ZERO).expect("the first is written at once, and goes on");
        assert_eq!(anchor.read().expect("reads"), None);
        std::fs::remove_file(&beside).expect("room again");
        anchor.tick(INTERVAL / 2).expect("not yet");
        assert_eq!(anchor.read().expect("reads"), None);
        anchor.tick(INTERVAL).expect("writes");
        assert_eq!(anchor.read().expect("reads").as_deref(), Some(b"signed".as_slice()));
    }
}
