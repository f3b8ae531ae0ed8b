//! The notice file beside the database: what large batches bring is written there once, one after another, and the database keeps
//! its place. In the database it would be written twice, into the WAL and out of it again.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use super::super::{NewNotice, WriterError};
use super::{beside, schema};

/// A batch with fewer bytes of notices lies whole in the database: a second synchronisation would cost more than it saves, and
/// whoever sends one notice at a time would wait for it.
pub(super) const FILE_BYTES_MIN: usize = 64 << 10;
/// Zeros written at a time over what is erased.
const ZEROS: usize = 64 << 10;

/// Where a notice's bytes lie in the file: the envelope, and its parts right behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) at: u64,
    pub(super) envelope_bytes: u64,
    pub(super) parts_bytes: u64,
}

/// The file `<path>.notices`, open for whoever may do what its opener may.
pub(super) struct NoticeFile {
    file: File,
    path: PathBuf,
}

impl NoticeFile {
    fn path(database: &Path) -> PathBuf {
        beside(database, ".notices")
    }

    /// Makes an empty one, durably, before there is a database that could name it.
    pub(super) fn create(database: &Path) -> io::Result<()> {
        let path = Self::path(database);
        schema::owners_only().create(true).truncate(false).open(&path)?.sync_all()?;
        let folder = path.parent().filter(|folder| *folder != Path::new(""));
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
    }

    pub(super) fn open_to_read(database: &Path) -> Result<Self, WriterError> {
        Self::open(database, File::options().read(true))
    }

    pub(super) fn open_to_write(database: &Path) -> Result<Self, WriterError> {
        Self::open(database, schema::owners_only().read(true))
    }

    fn open(database: &Path, options: &OpenOptions) -> Result<Self, WriterError> {
        let path = Self::path(database);
        match options.open(&path) {
            Ok(file) => Ok(Self { file, path }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(WriterError::Damaged(format!(
                "{} is missing: restore it and the database from one backup",
                path.display()
            ))),
            Err(error) => Err(WriterError::Unavailable(format!("{}: {error}", path.display()))),
        }
    }

    /// The file must hold at least what the database counts on.
    pub(super) fn holds(&self, bytes: u64) -> Result<(), WriterError> {
        match self.file.metadata()?.len() {
            found if found >= bytes => Ok(()),
            found => Err(WriterError::Damaged(format!(
                "{} has {found} bytes and the database counts on {bytes}: restore both from one backup",
                self.path.display()
            ))),
        }
    }

    /// Cuts off what no commit ever came to count on.
    pub(super) fn cut(&self, bytes: u64) -> io::Result<()> {
        if self.file.metadata()?.len() > bytes {
            self.file.set_len(bytes)?;
        }
        Ok(())
    }

    /// Appends notices of `bytes` in all behind the first `end` bytes; the new end, and each one's place. Nobody counts on them before
    /// they are synchronised and a commit says so, so what fails half way is written over by the next.
    pub(super) fn append<'n>(
        &self,
        end: u64,
        bytes: usize,
        notices: impl Iterator<Item = &'n NewNotice>,
    ) -> io::Result<(u64, Vec<Place>)> {
        let (mut all, mut places) = (Vec::with_capacity(bytes), Vec::new());
        for notice in notices {
            places.push(Place {
                at: end + all.len() as u64,
                envelope_bytes: notice.envelope.len() as u64,
                parts_bytes: notice.parts.len() as u64,
            });
            all.extend_from_slice(&notice.envelope);
            all.extend_from_slice(&notice.parts);
        }
        self.file.write_all_at(&all, end)?;
        Ok((end + all.len() as u64, places))
    }

    /// Synchronises what was written. After a failure nothing is known of it, and it must not be tried again.
    pub(super) fn synchronise(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    /// Overwrites a piece with zeros.
    pub(super) fn wipe(&self, at: u64, bytes: u64) -> io::Result<()> {
        let (zeros, end) = ([0; ZEROS], at.saturating_add(bytes));
        let mut at = at;
        while at < end {
            let piece = usize::try_from(end - at).unwrap_or(ZEROS).min(ZEROS);
            self.file.write_all_at(&zeros[..piece], at)?;
            at += piece as u64;
        }
        Ok(())
    }

    /// A piece of the file; an error if any of it is beyond its end.
    pub(super) fn read(&self, at: u64, bytes: u64) -> io::Result<Vec<u8>> {
        let too_long = || io::Error::from(io::ErrorKind::UnexpectedEof);
        // No more is asked of memory than lies on disk.
        if at.checked_add(bytes).is_none_or(|end| self.file.metadata().is_ok_and(|file| file.len() < end)) {
            return Err(too_long());
        }
        let mut piece = vec![0; usize::try_from(bytes).map_err(|_| too_long())?];
        self.file.read_exact_at(&mut piece, at)?;
        Ok(piece)
    }
}
