//! Whether the disk has room, asked by taking it: only the file system knows what its quotas, its reserved blocks and its other users
//! leave.

use std::fs::File;
use std::io::{self, ErrorKind, Write as _};
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{FallocateFlags, fallocate};
use rustix::io::Errno;

use super::{beside, schema};

/// What must be free beside the reserve before submissions are taken again: a batch of the largest kind with its WAL, so that a disk
/// that was just given some room is not full again at once.
pub(super) const MARGIN_BYTES: u64 = 16 << 20;

/// Answers whether so many bytes more would fit beside a database.
type Ask = dyn Fn(&Path, u64) -> io::Result<()> + Send + Sync;

/// The disk that a database lies on, as far as its room goes.
#[derive(Clone)]
pub struct Disk(Arc<Ask>);

impl Disk {
    /// The disk as it is.
    pub fn real() -> Self {
        Self(Arc::new(take_and_give_back))
    }

    /// A disk whose room somebody else decides.
    pub fn asked(ask: impl Fn(&Path, u64) -> io::Result<()> + Send + Sync + 'static) -> Self {
        Self(Arc::new(ask))
    }

    /// Whether so many bytes more fit beside a database. An error that has another reason than room is one, too.
    pub(super) fn holds(&self, database: &Path, bytes: u64) -> io::Result<()> {
        (self.0)(database, bytes)
    }
}

impl std::fmt::Debug for Disk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Disk")
    }
}

/// The error of a write that found the disk full, or its writer's quota used up.
pub(super) fn is_no_room(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
}

/// Takes the room for a moment, in a file of its own.
fn take_and_give_back(database: &Path, bytes: u64) -> io::Result<()> {
    let path = beside(database, ".room");
    let file = schema::owners_only().create(true).truncate(true).open(&path);
    let taken = file.and_then(|file| take(&file, bytes));
    let _ = std::fs::remove_file(&path);
    taken
}

/// Blocks are set aside without being written, where the file system can do that.
fn take(file: &File, bytes: u64) -> io::Result<()> {
    match fallocate(file, FallocateFlags::empty(), 0, bytes) {
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => fill(file, bytes),
        taken => Ok(taken?),
    }
}

/// Writes real bytes: a hole or a run of zeros may take no room at all on some file systems.
pub(super) fn fill(file: &File, bytes: u64) -> io::Result<()> {
    let mut filled = io::BufWriter::with_capacity(1 << 16, file);
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for _ in 0..bytes.div_ceil(8) {
        // Xorshift: nothing can compress it, and it need not be secret.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        filled.write_all(&state.to_le_bytes())?;
    }
    filled.flush()?;
    drop(filled);
    file.set_len(bytes)
}
