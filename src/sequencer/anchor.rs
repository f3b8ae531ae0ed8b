//! When the anchor follows the log: the newest signed checkpoint is kept apart from the store.

use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::anchor::Anchor;

/// Written at most this often while checkpoints come, and at stop.
const INTERVAL: Duration = Duration::from_secs(1);

/// The anchor, and what waits to be written to it.
pub(super) struct Following {
    anchor: Arc<Anchor>,
    waiting: Option<Bytes>,
    /// When it was last written or tried, by the monotonic clock. None: not since the start.
    tried: Option<Duration>,
    /// The last try found no room.
    behind: bool,
}

impl Following {
    pub(super) fn of(anchor: Arc<Anchor>) -> Self {
        Self { anchor, waiting: None, tried: None, behind: false }
    }

    /// A newer checkpoint has been signed.
    pub(super) fn keep(&mut self, checkpoint: Bytes) {
        self.waiting = Some(checkpoint);
    }

    /// Whether the anchor could not follow for want of room. No further head is given out then: a store restored from a backup
    /// could no longer be told from one that is up to date.
    pub(super) fn is_behind(&self) -> bool {
        self.behind
    }

    /// Writes what waits, if it is time.
    pub(super) fn tick(&mut self, monotonic: Duration) -> io::Result<()> {
        let due = self.tried.is_none_or(|tried| monotonic.saturating_sub(tried) >= INTERVAL);
        if self.waiting.is_some() && due {
            self.tried = Some(monotonic);
            self.flush()?;
        }
        Ok(())
    }

    /// Writes what waits. It lies over its older self, so a full disk has room for it; where it has none all the same (a copying
    /// file system, a quota), it is behind until a later try succeeds.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        let Some(checkpoint) = self.waiting.take() else {
            return Ok(());
        };
        match self.anchor.keep_checkpoint(checkpoint.clone()) {
            Err(error) if matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded) => {
                if !std::mem::replace(&mut self.behind, true) {
                    let file = self.anchor.path().display();
                    tracing::error!(target: "audit", event = "anchor_behind", %file, %error);
                }
                self.waiting = Some(checkpoint);
                Ok(())
            }
            written => {
                self.behind = false;
                written
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use liaison_protocol::id::Origin;

    use super::*;
    use crate::anchor::files;

    #[cfg(target_os = "linux")]
    #[test]
    fn fault_86_an_anchor_without_room_is_behind_until_there_is_some() {
        let folder = tempfile::tempdir().expect("a folder");
        let origin: Origin = "hub-1.example/log".parse().expect("an origin");
        let anchor = Arc::new(Anchor::create(folder.path(), &origin, None).expect("makes it"));
        let [file, _] = files(folder.path(), &origin);
        std::fs::remove_file(&file).expect("there");
        std::os::unix::fs::symlink("/dev/full", &file).expect("a disk without room");
        let mut following = Following::of(anchor.clone());
        following.keep(Bytes::from_static(b"signed"));
        following.tick(Duration::ZERO).expect("it waits for room");
        assert!(following.is_behind());
        assert_eq!(anchor.content().checkpoint, None);
        std::fs::remove_file(&file).expect("room again");
        following.tick(INTERVAL / 2).expect("not yet");
        assert!(following.is_behind());
        following.tick(INTERVAL).expect("writes");
        assert!(!following.is_behind());
        assert_eq!(anchor.content().checkpoint.as_deref(), Some(b"signed".as_slice()));
    }
}
