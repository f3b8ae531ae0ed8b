//! Looks at files, each on a thread of its own and bounded in time: a mount that is gone can hold up whoever asks it anything, for ever.
//! A look that hangs is left behind, one at a time, and what it finds counts when it comes back after all.

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;

/// Looks are awaited for so long, all of one round together. A disk under load answers within it, and a round must leave time for
/// what else is to happen within the 5 seconds that a revocation may take (FAULTS 20).
pub(in crate::app) const LOOK_MAX: Duration = Duration::from_secs(1);

/// Looking at one thing again and again.
pub(in crate::app) struct Look<Found> {
    /// Where it looks, for the audit.
    path: PathBuf,
    out: Option<Receiver<Found>>,
    stalled: bool,
}

/// Why there is nothing to be had from a look.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: the file system does not answer; look at the mount", path.display())]
pub(in crate::app) struct Stalled {
    path: PathBuf,
}

impl<Found: Send + 'static> Look<Found> {
    pub(in crate::app) fn at(path: PathBuf) -> Self {
        Self { path, out: None, stalled: false }
    }

    /// Begins to look, unless the last look has not come back: it is not given another thread.
    pub(in crate::app) fn begin(&mut self, look: impl FnOnce() -> Found + Send + 'static) {
        if self.out.is_some() {
            return;
        }
        let (found, out) = sync_channel(1);
        let spawned = std::thread::Builder::new().name("look".into()).spawn(move || {
            // Nobody waits any more when the process ends.
            let _ = found.send(look());
        });
        match spawned {
            Ok(_) => self.out = Some(out),
            Err(error) => tracing::error!(%error, path = %self.path.display(), "no thread to look at a file with"),
        }
    }

    /// What was found, if that is known within `wait`. Err: not yet; the audit says so once.
    pub(in crate::app) fn end(&mut self, wait: Duration) -> Result<Found, Stalled> {
        let stalled = || Stalled { path: self.path.clone() };
        let found = match &self.out {
            // Who is known to hang is not waited for again and again.
            Some(out) => out.recv_timeout(if self.stalled { Duration::ZERO } else { wait }),
            None => Err(RecvTimeoutError::Disconnected),
        };
        match found {
            Ok(found) => {
                (self.out, self.stalled) = (None, false);
                Ok(found)
            }
            Err(RecvTimeoutError::Timeout) => {
                let stalled = stalled();
                if !std::mem::replace(&mut self.stalled, true) {
                    let path = self.path.display();
                    tracing::error!(target: "audit", event = "files_stalled", path = %path);
                }
                Err(stalled)
            }
            Err(RecvTimeoutError::Disconnected) => {
                let stalled = stalled();
                // Its thread could not be started, or panicked: the next round tries again.
                self.out = None;
                Err(stalled)
            }
        }
    }

    /// Whether the last look has not come back.
    pub(in crate::app) fn is_stalled(&self) -> bool {
        self.stalled
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
    use std::sync::mpsc::channel;

    const LONG: Duration = Duration::from_secs(30);

    #[test]
    fn a_look_that_hangs_is_left_alone_and_counts_when_it_comes_back() {
        let (release, gate) = channel::<()>();
        let begun = Arc::new(AtomicUsize::new(0));
        let mut look = Look::at("/mnt/gone".into());
        let counted = begun.clone();
        look.begin(move || {
            counted.fetch_add(1, SeqCst);
            let _ = gate.recv();
            "late"
        });
        assert!(look.end(Duration::from_millis(1)).unwrap_err().to_string().starts_with("/mnt/gone: "));
        for _ in 0..100 {
            let counted = begun.clone();
            look.begin(move || {
                counted.fetch_add(1, SeqCst);
                "another"
            });
            assert!(look.end(LONG).is_err() && look.is_stalled(), "it is not waited for");
        }
        drop(release);
        let late = std::iter::from_fn(|| Some(look.end(LONG))).find_map(Result::ok);
        assert_eq!((late, look.is_stalled(), begun.load(SeqCst)), (Some("late"), false, 1));
        look.begin(|| "next");
        assert_eq!(look.end(LONG), Ok("next"));
    }

    #[test]
    fn a_look_that_panics_is_tried_again() {
        let mut look = Look::<u8>::at("/tmp/odd".into());
        look.begin(|| panic!("on purpose"));
        assert!(look.end(LONG).is_err() && !look.is_stalled());
        look.begin(|| 7);
        assert_eq!(look.end(LONG), Ok(7));
    }
}
