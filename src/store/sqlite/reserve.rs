//! Room that is kept so that it can be given up: when the disk is full, acknowledgements and expiries still fit.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use super::writer::WAL_BYTES;
use super::{beside, schema};

/// Half of it lets a full-grown WAL be copied into the database, which is the first thing that needs room on a full disk; the
/// other half holds tens of thousands of acknowledged notices.
pub(super) const RESERVE_BYTES: u64 = 2 * WAL_BYTES;

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

    /// Makes it whole if there is room. Without one the node works all the same, until the disk is full.
    pub(super) fn restore(&self) {
        let whole = || std::fs::metadata(&self.file).is_ok_and(|file| file.len() == self.bytes);
        if self.bytes == 0 || whole() {
            return;
        }
        if let Err(error) = self.write() {
            tracing::warn!(%error, "there is no room to keep a reserve");
            self.free();
        }
    }

    /// Gives it up. False: there was none, or it could not be given up.
    pub(super) fn free(&self) -> bool {
        std::fs::remove_file(&self.file).is_ok()
    }

    /// Real bytes: a hole or a run of zeros may take no room at all on some file systems.
    fn write(&self) -> io::Result<()> {
        let mut fresh = schema::owners_only();
        let file = fresh.create(true).truncate(true).open(&self.file)?;
        let mut filled = io::BufWriter::with_capacity(1 << 16, &file);
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        for _ in 0..self.bytes.div_ceil(8) {
            // Xorshift: nothing can compress it, and it need not be secret.
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            filled.write_all(&state.to_le_bytes())?;
        }
        filled.flush()?;
        drop(filled);
        file.set_len(self.bytes)?;
        File::sync_all(&file)
    }
}
