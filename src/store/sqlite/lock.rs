//! The lock that makes the writer one across processes: the operating system gives it up when its holder dies, however it dies.

use std::fs::{File, TryLockError};
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use super::{WriterError, beside, schema};

/// A lock just given up is still held for a moment where its process is starting another: the child shares the descriptor until it
/// runs its own program. Whoever truly holds it does so for longer than this.
const GIVEN_UP_WITHIN: Duration = Duration::from_millis(200);
const ASK_EVERY: Duration = Duration::from_millis(5);

/// Held for as long as it lives.
pub(super) struct WriterLock(File);

impl WriterLock {
    /// Takes the lock on `<path>.lock`, or says who has it. The file stays when the lock goes: it holds nothing but a number.
    pub(super) fn take(path: &Path) -> Result<Self, WriterError> {
        let beside = beside(path, ".lock");
        let file = schema::owners_only().read(true).create(true).truncate(false).open(&beside)?;
        match ask(&file) {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let holder = std::fs::read_to_string(&beside).unwrap_or_default();
                return Err(WriterError::Held(format!("process {}, says {}", holder.trim(), beside.display())));
            }
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
        Ok(Self(file))
    }

    /// Writes down which process has it, for whoever is refused. On a full disk an older number stays, or none.
    pub(super) fn sign(&self) {
        let mut file = &self.0;
        let _ = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
    }
}

impl WriterLock {
    /// Who has the lock on `<path>.lock`; None: nobody. Whoever asks takes it for a moment, shared.
    pub(super) fn holder(path: &Path) -> std::io::Result<Option<String>> {
        let beside = beside(path, ".lock");
        let file = match File::open(&beside) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        match file.try_lock_shared() {
            Ok(()) => Ok(None),
            Err(TryLockError::WouldBlock) => {
                Ok(Some(std::fs::read_to_string(&beside).unwrap_or_default().trim().into()))
            }
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

/// Asks until the lock is there or somebody truly holds it.
#[allow(clippy::disallowed_methods, reason = "a bounded wait on the operating system, before anything runs")]
fn ask(file: &File) -> Result<(), TryLockError> {
    let mut left = GIVEN_UP_WITHIN;
    loop {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) if !left.is_zero() => {
                std::thread::sleep(ASK_EVERY);
                left = left.saturating_sub(ASK_EVERY);
            }
            settled => return settled,
        }
    }
}
