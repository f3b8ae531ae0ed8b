//! What SQLite's errors mean for whoever wanted to write and wrote nothing.

use std::io;

use rusqlite::ErrorCode;
use rusqlite::ffi::{SQLITE_CANTOPEN, SQLITE_IOERR_SHMSIZE, SQLITE_IOERR_TRUNCATE, SQLITE_IOERR_WRITE};

use super::room::is_no_room;

/// Why nothing was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// The disk is full, or a quota is used up.
    NoRoom,
    /// Another program holds the database's lock.
    Busy,
    /// The disk failed, or the file is not what it was.
    Broken,
}

impl Trouble {
    /// `room` asks the disk: SQLite has a word of its own for a full disk only. A quota, and the index of the WAL on a full disk, it
    /// reports as failed writes. A synchronisation that failed is never a matter of room, whatever its reason.
    pub(super) fn of(error: &rusqlite::Error, room: impl FnOnce() -> io::Result<()>) -> Self {
        if is_busy(error) {
            return Self::Busy;
        }
        if error.sqlite_error_code() == Some(ErrorCode::DiskFull) {
            return Self::NoRoom;
        }
        let code = error.sqlite_error().map(|error| error.extended_code);
        // The lowest byte is the plain code: a file that cannot be made is reported in many ways.
        let maybe = code.is_some_and(|code| {
            [SQLITE_IOERR_WRITE, SQLITE_IOERR_SHMSIZE, SQLITE_IOERR_TRUNCATE].contains(&code)
                || code & 0xff == SQLITE_CANTOPEN
        });
        match maybe && room().is_err_and(|error| is_no_room(&error)) {
            true => Self::NoRoom,
            false => Self::Broken,
        }
    }
}

/// Somebody else has a lock that is given back sooner or later.
pub(super) fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::FileLockingProtocolFailed))
}

#[cfg(test)]
mod tests {
    use rusqlite::ffi::{self, Error};

    use super::*;

    fn failure(code: i32) -> rusqlite::Error {
        rusqlite::Error::SqliteFailure(Error::new(code), None)
    }

    #[test]
    fn fault_86_and_89_what_sqlite_says_is_room_a_lock_or_a_broken_disk() {
        let (room, full, quota) = (None, Some(io::ErrorKind::StorageFull), Some(io::ErrorKind::QuotaExceeded));
        let denied = Some(io::ErrorKind::PermissionDenied);
        let rows = [
            (ffi::SQLITE_FULL, room, Trouble::NoRoom),
            (ffi::SQLITE_IOERR_WRITE, quota, Trouble::NoRoom),
            (ffi::SQLITE_IOERR_WRITE, full, Trouble::NoRoom),
            (ffi::SQLITE_IOERR_WRITE, room, Trouble::Broken),
            (ffi::SQLITE_IOERR_WRITE, denied, Trouble::Broken),
            (ffi::SQLITE_IOERR_SHMSIZE, full, Trouble::NoRoom),
            (ffi::SQLITE_IOERR_TRUNCATE, quota, Trouble::NoRoom),
            (ffi::SQLITE_CANTOPEN, full, Trouble::NoRoom),
            (ffi::SQLITE_CANTOPEN_FULLPATH, quota, Trouble::NoRoom),
            (ffi::SQLITE_CANTOPEN, room, Trouble::Broken),
            (ffi::SQLITE_IOERR_FSYNC, full, Trouble::Broken),
            (ffi::SQLITE_IOERR_DIR_FSYNC, quota, Trouble::Broken),
            (ffi::SQLITE_IOERR_READ, full, Trouble::Broken),
            (ffi::SQLITE_CORRUPT, full, Trouble::Broken),
            (ffi::SQLITE_READONLY, room, Trouble::Broken),
            (ffi::SQLITE_BUSY, room, Trouble::Busy),
            (ffi::SQLITE_BUSY_RECOVERY, full, Trouble::Busy),
            (ffi::SQLITE_BUSY_SNAPSHOT, room, Trouble::Busy),
            (ffi::SQLITE_PROTOCOL, room, Trouble::Busy),
        ];
        for (code, room, expected) in rows {
            let asked = || room.map_or(Ok(()), |kind| Err(kind.into()));
            assert_eq!(Trouble::of(&failure(code), asked), expected, "code {code}, room {room:?}");
        }
    }
}
