//! The lock over a network's folder: while one command changes directory.toml and signs it, no other one does. The operating system gives
//! it up when its holder dies, however it dies.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Duration;

use super::failed;
use crate::authority::files::AGREEMENTS;
use crate::cli::{Exit, Failure};

/// A command that changes a network is done within this, also when it enrols many; whoever holds the lock longer waits for something.
pub(super) const WAIT_MAX: Duration = Duration::from_secs(30);
const ASK_EVERY: Duration = Duration::from_millis(20);

/// Held for as long as it lives.
pub(super) struct FolderLock(#[expect(dead_code, reason = "closing it is what gives it up")] File);

impl FolderLock {
    /// Takes the lock, waiting for up to `wait`. The file stays when the lock goes: it holds nothing but a number.
    pub(super) fn take(folder: &Path, wait: Duration) -> Result<Self, Failure> {
        let path = folder.join("directory.toml.lock");
        let bad = failed(&path);
        let opened =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(AGREEMENTS).open(&path);
        let mut file = opened.map_err(|error| bad(&error))?;
        match ask(&file, wait) {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let holder = std::fs::read_to_string(&path).unwrap_or_default();
                let text = format!(
                    "{}: another command changes this network, process {}",
                    folder.display(),
                    holder.trim()
                );
                return Err(Failure::new(Exit::Conflict, text).next("wait until it has ended, then try again"));
            }
            Err(TryLockError::Error(error)) => return Err(bad(&error)),
        }
        // Only for whoever is refused; on a full disk he reads an older number or none.
        let _ = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
        Ok(Self(file))
    }
}

/// Asks until the lock is there or the wait is over.
#[allow(
    clippy::disallowed_methods,
    reason = "a bounded wait on the operating system, in a command that does nothing else"
)]
fn ask(file: &File, wait: Duration) -> Result<(), TryLockError> {
    let mut left = wait;
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
