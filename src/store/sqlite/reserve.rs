//! Room that is kept so that it can be given up: when the disk is full, acknowledgements and expiries still fit, and so does a start.

use std::fs::{File, metadata, remove_file};
use std::io;
use std::path::{Path, PathBuf};

use super::room::fill;
use super::writer::WAL_BYTES;
use super::{beside, schema};

/// Half of it lets a full-grown WAL be copied into the database, which is the first thing that needs room on a full disk; the
/// other half holds tens of thousands of acknowledged notices.
pub(super) const RESERVE_BYTES: u64 = 2 * WAL_BYTES;
/// What is left of it when it is given up. SQLite cannot even read a store without room for the index of its WAL, so a start on a
/// disk that is full to the last byte needs this.
pub(super) const START_BYTES: u64 = 1 << 20;

/// The file `<path>.reserve`.
pub(super) struct Reserve {
    file: PathBuf,
    bytes: u64,
}

impl Reserve {
    /// The reserve beside a database; nothing is touched yet.
    pub(super) fn beside(path: &Path, bytes: u64) -> Self {
        Self { file: beside(path, ".reserve"), bytes }
    }

    /// How many bytes are to be kept; 0: none.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// All of it is there.
    pub(super) fn is_whole(&self) -> bool {
        self.bytes == 0 || metadata(&self.file).is_ok_and(|file| file.len() == self.bytes)
    }

    /// Makes it whole. Where that fails nothing of it stays.
    pub(super) fn restore(&self) -> io::Result<()> {
        let mut fresh = schema::owners_only();
        let made = fresh.create(true).truncate(true).open(&self.file).and_then(|file| {
            fill(&file, self.bytes)?;
            File::sync_all(&file)
        });
        if made.is_err() {
            self.free_all();
        }
        made
    }

    /// Gives it up, but for what a start may need. False: there was no more than that, or it could not be given up.
    pub(super) fn free(&self) -> bool {
        if self.bytes <= START_BYTES {
            return self.free_all();
        }
        let left = |file: &Path| metadata(file).is_ok_and(|file| file.len() > START_BYTES);
        left(&self.file)
            && schema::owners_only().open(&self.file).is_ok_and(|file| file.set_len(START_BYTES).is_ok())
    }

    /// Gives up what a start may need, too. False: there was nothing.
    pub(super) fn free_all(&self) -> bool {
        remove_file(&self.file).is_ok()
    }
}
