//! The embedded store: one SQLite file in WAL mode, one writer on the sequencer's thread, a few reading threads of its own.
//! `Ok` from a commit means that the file system has synchronised it. Beside the file lie its WAL, the
//! notices of large batches, a lock and a reserve.

mod lock;
mod names;
mod notices;
mod reader;
mod reserve;
mod room;
mod rows;
mod schema;
mod trouble;
mod wal;
mod writer;

#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::io::ErrorKind;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use bytes::Bytes;
use liaison_protocol::id::Seq;
use liaison_protocol::tlog::entry::Leaf;
use liaison_protocol::tlog::tile::TileId;
use rusqlite::ErrorCode;
use tokio::sync::watch;

use self::lock::WriterLock;
use self::notices::NoticeFile;
use self::reader::Readers;
use self::reserve::Reserve;
pub use self::room::Disk;
use self::room::is_no_room;
use self::trouble::{Trouble, is_busy};
use self::wal::Wal;
use self::writer::SqliteClaim;
use super::check;
use super::{
    Base, Below, Claim, Head, Known, Name, ReadError, SetId, Store, Stored, StoredNote, StoredNotice, WriterError,
};

/// What an operator may choose.
#[derive(Clone, Debug)]
pub struct SqliteOptions {
    /// Threads that read, each with a connection and `schema::READER_CACHE_KIB` of its own; at least one.
    pub readers: usize,
    /// The file that is given up when nothing else fits; see `reserve::RESERVE_BYTES`. 0: none is kept.
    pub reserve_bytes: u64,
    /// What must be free beside the reserve before new notices are taken; see `room::MARGIN_BYTES`.
    pub margin_bytes: u64,
    /// Whom to ask for room.
    pub disk: Disk,
    /// The size in pages of `schema::PAGE_BYTES` that the database may reach, and the notice file too, where several share a disk.
    /// None: all of it.
    pub pages_max: Option<u32>,
}

impl Default for SqliteOptions {
    fn default() -> Self {
        Self {
            readers: reader::READERS,
            reserve_bytes: reserve::RESERVE_BYTES,
            margin_bytes: room::MARGIN_BYTES,
            disk: Disk::real(),
            pages_max: None,
        }
    }
}

/// More than the index of a WAL that a node leaves behind.
const INDEX_BYTES: u64 = 256 << 10;

/// A store in one file.
pub struct SqliteStore {
    shared: Arc<Shared>,
    readers: Readers,
}

/// What the store and its writer both need.
struct Shared {
    path: PathBuf,
    options: SqliteOptions,
    noted: watch::Sender<Option<Head>>,
    /// To read what lies in it.
    notices: NoticeFile,
    /// Why the disk is not believed any more.
    failed: OnceLock<String>,
}

impl Shared {
    /// Why SQLite wrote nothing.
    fn trouble(&self, error: &rusqlite::Error) -> Trouble {
        Trouble::of(error, || self.options.disk.holds(&self.path, self.options.margin_bytes))
    }
}

impl SqliteStore {
    /// Opens the file for reading and creates it if there is none. It blocks, so it belongs to the start of a process.
    ///
    /// `noted` starts with what is stored and moves with the commits of this handle's writer.
    pub fn open(path: &Path, options: SqliteOptions) -> Result<Self, WriterError> {
        if schema::is_missing(path)? {
            let _alone = WriterLock::take(path)?;
            schema::create(path)?;
        }
        Self::over(path, options)
    }

    /// Opens a file that is there: nothing is created, and no byte of what is stored changes. None: nothing was ever stored.
    pub fn open_there(path: &Path, options: SqliteOptions) -> Result<Option<Self>, WriterError> {
        let once = || match schema::is_missing(path)? {
            true => Ok(None),
            false => Self::over(path, options.clone()).map(Some),
        };
        match once() {
            Err(WriterError::Unavailable(_)) if Self::gives_room_for_a_start(path, &options) => once(),
            opened => opened,
        }
    }

    /// Where the disk is so full that not even the index of the WAL can be made, without which SQLite reads nothing.
    fn gives_room_for_a_start(path: &Path, options: &SqliteOptions) -> bool {
        let full = options.disk.holds(path, INDEX_BYTES).is_err_and(|error| is_no_room(&error));
        full && WriterLock::take(path).is_ok_and(|_alone| {
            let reserve = Reserve::beside(path, options.reserve_bytes);
            reserve.free() || reserve.free_all()
        })
    }

    /// Opens a file that is there, to look at it. None: nothing was ever stored.
    pub fn look(path: &Path) -> Result<Option<Self>, WriterError> {
        match std::fs::metadata(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
            Ok(file) if file.len() == 0 => Ok(None),
            Ok(_) => Self::over(path, SqliteOptions { readers: 1, ..SqliteOptions::default() }).map(Some),
        }
    }

    /// Which process may write to it now, as it says itself. None: nobody does.
    pub fn holder(path: &Path) -> std::io::Result<Option<String>> {
        WriterLock::holder(path)
    }

    /// Whether the file that is given up on a full disk is all there.
    pub fn reserve_is_whole(path: &Path, options: &SqliteOptions) -> bool {
        Reserve::beside(path, options.reserve_bytes).is_whole()
    }

    fn over(path: &Path, options: SqliteOptions) -> Result<Self, WriterError> {
        Self::read_by(path, options).map_err(|error| match error {
            WriterError::Damaged(how) => WriterError::Damaged(format!("{}: {how}", path.display())),
            other => other,
        })
    }

    fn read_by(path: &Path, options: SqliteOptions) -> Result<Self, WriterError> {
        let connections = (0..options.readers.max(1)).map(|_| schema::open_to_read(path));
        let connections = connections.collect::<Result<Vec<_>, _>>()?;
        schema::judge(&connections[0])?;
        let noted = rows::noted(&connections[0])?;
        Ok(Self {
            readers: Readers::start(connections)?,
            shared: Arc::new(Shared {
                path: path.to_owned(),
                options,
                noted: watch::Sender::new(noted),
                notices: NoticeFile::open_to_read(path)?,
                failed: OnceLock::new(),
            }),
        })
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn claim(&self) -> Result<Box<dyn Claim>, WriterError> {
        Ok(Box::new(SqliteClaim::take(Arc::clone(&self.shared))?))
    }

    async fn below(&self) -> Result<Below, ReadError> {
        let named = |file: &Path, how: &dyn std::fmt::Display| format!("{}: {how}", file.display());
        let log = beside(&self.shared.path, "-wal");
        let cut_frames = match wal::judge(&log) {
            Ok(Wal::Whole { cut }) => cut,
            Ok(Wal::Damaged(how)) => return Err(ReadError::Damaged(named(&log, &how))),
            Err(error) => return Err(ReadError::Unavailable(named(&log, &error))),
        };
        let counted = self.readers.read(rows::notice_file_bytes).await?;
        match self.shared.notices.holds(counted) {
            Ok(()) => Ok(Below { cut_frames }),
            Err(WriterError::Damaged(how)) => Err(ReadError::Damaged(how)),
            Err(other) => Err(ReadError::Unavailable(other.to_string())),
        }
    }

    async fn head(&self) -> Result<Option<Head>, ReadError> {
        self.readers.read(rows::head).await
    }

    async fn entries(&self, range: Range<Seq>, bytes_max: usize) -> Result<Vec<Stored>, ReadError> {
        let read = move |rows: &_| rows::entries(rows, range, bytes_max);
        self.readers.read(read).await
    }

    async fn notices(&self, of: &[Seq], bytes_max: usize) -> Result<Vec<Option<StoredNotice>>, ReadError> {
        let (of, shared) = (of.to_vec(), self.shared.clone());
        // In one snapshot: what it shows is not overwritten before it is given up.
        let read = move |rows: &_| {
            check::fitting(of.iter().map(|seq| rows::notice(rows, &shared.notices, *seq)), bytes_max)
        };
        self.readers.read(read).await
    }

    async fn named(&self, names: &[Name]) -> Result<Vec<Option<Known>>, ReadError> {
        let names = names.to_vec();
        let read = move |rows: &_| names.iter().map(|name| rows::named(rows, name)).collect();
        self.readers.read(read).await
    }

    async fn notice_near(&self, at: Seq, end: Seq) -> Result<Option<Seq>, ReadError> {
        let read = move |rows: &_| rows::notice_near(rows, at, end);
        self.readers.read(read).await
    }

    async fn about(&self, of: Seq, after: Seq, page: usize) -> Result<Vec<Seq>, ReadError> {
        let read = move |rows: &_| rows::about(rows, of, after, page);
        self.readers.read(read).await
    }

    async fn sets(&self, ids: &[SetId]) -> Result<Vec<Bytes>, ReadError> {
        let ids = ids.to_vec();
        let read = move |rows: &_| ids.iter().map(|id| rows::set(rows, id)).collect();
        self.readers.read(read).await
    }

    async fn tiles(&self, ids: &[TileId]) -> Result<Vec<Option<Bytes>>, ReadError> {
        let ids = ids.to_vec();
        let read = move |rows: &_| ids.iter().map(|id| rows::tile(rows, *id)).collect();
        self.readers.read(read).await
    }

    async fn base(&self) -> Result<Option<Base>, ReadError> {
        self.readers.read(rows::base).await
    }

    async fn last_note_within(&self, size: u64) -> Result<Option<StoredNote>, ReadError> {
        self.readers.read(move |rows: &_| rows::last_note_within(rows, size)).await
    }

    async fn leaves(&self, range: Range<Seq>, max: usize) -> Result<Vec<Leaf>, ReadError> {
        self.readers.read(move |rows: &_| rows::leaves(rows, range, max)).await
    }

    fn noted(&self) -> watch::Receiver<Option<Head>> {
        self.shared.noted.subscribe()
    }
}

/// The file that lies beside the database under its name and `suffix`.
fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    PathBuf::from(name)
}

/// SQLite says that the file contradicts itself, or is none of its own.
fn is_damage(error: &rusqlite::Error) -> bool {
    use rusqlite::Error::{FromSqlConversionFailure, IntegralValueOutOfRange, InvalidColumnType, Utf8Error};
    let code = error.sqlite_error_code();
    matches!(code, Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
        || matches!(
            error,
            FromSqlConversionFailure(..) | IntegralValueOutOfRange(..) | InvalidColumnType(..) | Utf8Error(..)
        )
}

impl From<rusqlite::Error> for ReadError {
    fn from(error: rusqlite::Error) -> Self {
        match () {
            () if is_busy(&error) => Self::Busy(error.to_string()),
            () if is_damage(&error) => Self::Damaged(error.to_string()),
            () => Self::Unavailable(error.to_string()),
        }
    }
}

impl From<rusqlite::Error> for WriterError {
    fn from(error: rusqlite::Error) -> Self {
        ReadError::from(error).into()
    }
}

impl From<ReadError> for WriterError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Damaged(why) => Self::Damaged(why),
            ReadError::Busy(why) => Self::Busy(why),
            ReadError::Unavailable(why) => Self::Unavailable(why),
        }
    }
}

impl From<std::io::Error> for WriterError {
    fn from(error: std::io::Error) -> Self {
        Self::Unavailable(error.to_string())
    }
}
