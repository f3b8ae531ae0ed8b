//! The lock that makes the writer one across processes: the operating system gives it up when its holder dies, however it dies.

use std::fs::{File, TryLockError};
use std::io::Write as _;
use std::path::Path;

use super::{WriterError, beside, schema};

/// Held for as long as it lives.
pub(super) struct WriterLock(#[expect(dead_code, reason = "closing it is what gives it up")] File);

impl WriterLock {
    /// Takes the lock on `<path>.lock`, or says who has it. The file stays when the lock goes: it holds nothing but a number.
    pub(super) fn take(path: &Path) -> Result<Self, WriterError> {
        let beside = beside(path, ".lock");
        let mut file = schema::owners_only().read(true).create(true).truncate(false).open(&beside)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let holder = std::fs::read_to_string(&beside).unwrap_or_default();
                return Err(WriterError::Held(format!("process {}, says {}", holder.trim(), beside.display())));
            }
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
        // Only for whoever is refused; on a full disk he reads an older number or none.
        let _ = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
        Ok(Self(file))
    }
}
