//! The one writer: it commits on the thread that calls it. What the disk does to a commit is told here in the three words that
//! the sequencer knows: there; nothing written, for want of room or of the lock; or the end.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use liaison_protocol::id::Seq;
use rusqlite::{Connection, ErrorCode, Transaction, TransactionBehavior, params};

use super::super::check;
use super::super::{
    Base, Batch, Claim, CommitError, Erased, Head, Known, Name, NewEntry, NewNotice, ReadError, Room, SetId,
    StoredNote, Writer, WriterError,
};
use super::lock::WriterLock;
use super::names::{Free, Names};
use super::notices::{FILE_BYTES_MIN, NoticeFile, Place};
use super::reserve::Reserve;
use super::room::is_no_room;
use super::trouble::Trouble;
use super::{Shared, beside, rows, schema};

/// The WAL is copied into the database when about this much has been written to it, and then written over from its start: long
/// enough that a page written by many batches is copied once, short enough that the copy keeps no caller waiting much longer than
/// a slow synchronisation does. What is written over needs no new room, and is synchronised in half the time.
pub(super) const WAL_BYTES: u64 = 16 << 20;
/// A WAL that has become longer all the same, because a reader held it back, is cut to nothing.
pub(super) const WAL_BYTES_MAX: u64 = 2 * WAL_BYTES;
/// Pages that a batch touches however little it holds: the right edge of every table.
const BATCH_PAGES: u64 = 12;

/// The right to append to one file. Fields are dropped in this order: the connection is closed before the lock goes.
pub(super) struct SqliteWriter {
    pub(super) connection: Connection,
    _lock: WriterLock,
    shared: Arc<Shared>,
    wal: PathBuf,
    /// About what has been written to the WAL since it was last begun anew.
    wal_bytes: u64,
    reserve: Reserve,
    epoch: i64,
    head: Option<Head>,
    notices: NoticeFile,
    /// Bytes of the notice file that belong to the history; what lies behind them nobody counts on.
    notices_end: u64,
    names: Names,
    /// Something was erased since the WAL was last emptied, and still stands in it or in the notice file.
    erased: bool,
    /// Behind the history there may lie what a crash or a batch without room has left in the notice file.
    left: bool,
}

/// Pieces of the notice file overwritten before they are struck off the list.
const WIPES: usize = 256;

/// Why a transaction was rolled back.
enum Failure {
    /// Not the disk's fault.
    Refused(CommitError),
    /// No room in the notice file.
    NoRoom,
    /// The notice file's disk failed.
    NoticeFile(std::io::Error),
    /// What is there could not be read.
    Read(ReadError),
    /// SQLite's word for it.
    Sqlite(rusqlite::Error),
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl From<ReadError> for Failure {
    fn from(error: ReadError) -> Self {
        Self::Read(error)
    }
}

/// The lock, and nothing written: whoever holds it can judge what is there while nobody changes it.
pub(super) struct SqliteClaim {
    lock: WriterLock,
    shared: Arc<Shared>,
}

impl SqliteClaim {
    pub(super) fn take(shared: Arc<Shared>) -> Result<Self, WriterError> {
        if let Some(why) = shared.failed.get() {
            return Err(WriterError::Failed(why.clone()));
        }
        let lock = WriterLock::take(&shared.path)?;
        Ok(Self { lock, shared })
    }
}

#[async_trait]
impl Claim for SqliteClaim {
    async fn writer(self: Box<Self>) -> Result<Box<dyn Writer>, WriterError> {
        Ok(Box::new(SqliteWriter::take(self.lock, self.shared)?))
    }
}

impl SqliteWriter {
    /// Lock, epoch, head: in this order, so that nobody else's commit can lie between them.
    pub(super) fn take(lock: WriterLock, shared: Arc<Shared>) -> Result<Self, WriterError> {
        let path = &shared.path;
        lock.sign();
        let reserve = Reserve::beside(path, shared.options.reserve_bytes);
        let mut connection = schema::open_to_write(path, &shared.options)?;
        let epoch = match next_epoch(&mut connection) {
            // Nothing was written; a node that was stopped by a full disk must be able to start on it.
            Err(error) if shared.trouble(&error) == Trouble::NoRoom && (reserve.free() || reserve.free_all()) => {
                next_epoch(&mut connection)?
            }
            other => other?,
        };
        let (notices, notices_end) = (NoticeFile::open_to_write(path)?, rows::notice_file_bytes(&connection)?);
        notices.holds(notices_end)?;
        let mut writer = Self {
            head: rows::head(&connection)?,
            notices,
            notices_end,
            names: Names::load(&connection)?,
            left: true,
            wal: beside(path, "-wal"),
            wal_bytes: 0,
            connection,
            _lock: lock,
            reserve,
            epoch,
            // Perhaps: the writer before this one may have died between an erasure and its end.
            erased: true,
            shared: Arc::clone(&shared),
        };
        writer.empty_wal(After::CutToNothing).map_err(WriterError::from)?;
        Ok(writer)
    }

    /// Copies the WAL into the database, as far as no reader still needs it; then it is tried again before the next batch. No room
    /// is no failure here, because everything is in the WAL.
    fn empty_wal(&mut self, after: After) -> rusqlite::Result<()> {
        let copy = match after {
            After::CutToNothing => "PRAGMA wal_checkpoint(TRUNCATE)",
            After::WrittenOver => "PRAGMA wal_checkpoint(RESTART)",
        };
        self.connection.busy_timeout(Duration::ZERO)?;
        let tried = self.connection.query_row(copy, [], |row| row.get::<_, bool>(0));
        self.connection.busy_timeout(schema::BUSY_WAIT)?;
        if let Ok(false) = tried {
            self.wal_bytes = 0;
        }
        let wiped = match tried {
            // No snapshot is left that shows what was erased.
            Ok(false) if self.erased && after == After::CutToNothing => self.wipe(),
            tried => tried.map(drop),
        };
        match wiped {
            Err(error) if self.shared.trouble(&error) != Trouble::Broken => Ok(()),
            wiped => wiped,
        }
    }

    /// Overwrites what was erased in the notice file. A crash before the list is cleared does it once more.
    fn wipe(&mut self) -> rusqlite::Result<()> {
        let failed = |code: i32, error: std::io::Error| {
            let what = Some(format!("erasing from the notice file: {error}"));
            rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(code), what)
        };
        let written = |error| match is_no_room(&error) {
            true => failed(rusqlite::ffi::SQLITE_FULL, error),
            false => failed(rusqlite::ffi::SQLITE_IOERR, error),
        };
        let pieces = rows::wipes(&self.connection, WIPES)?;
        for (at, bytes) in &pieces {
            self.notices.wipe(*at, *bytes).map_err(written)?;
        }
        if !pieces.is_empty() {
            self.notices.synchronise().map_err(|error| failed(rusqlite::ffi::SQLITE_IOERR, error))?;
            let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            for (at, _) in &pieces {
                transaction.prepare_cached("DELETE FROM wipes WHERE place = ?1")?.execute([rows::integer(*at)])?;
            }
            transaction.commit()?;
        }
        self.erased = pieces.len() == WIPES;
        Ok(())
    }

    fn keep_wal_short(&mut self) -> rusqlite::Result<()> {
        let full = self.wal_bytes >= WAL_BYTES;
        // Whatever was estimated: a longer one is cut as soon as no reader holds it back.
        let too_long = fs::metadata(&self.wal).is_ok_and(|wal| wal.len() >= WAL_BYTES_MAX);
        if self.erased || too_long {
            self.empty_wal(After::CutToNothing)?;
        } else if full {
            self.empty_wal(After::WrittenOver)?;
        }
        Ok(())
    }

    /// One transaction; whatever goes wrong in it, nothing of it stays.
    fn write<'a>(&mut self, batch: &'a Batch) -> Result<Written<'a>, Failure> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        // From here to the commit nobody can succeed this writer; before, the notice file may be another's already.
        still_holds(&transaction, self.epoch)?;
        let free = self.names.of(&transaction, batch)?.map_err(|name| Failure::Refused(check::name_taken(name)))?;
        if self.left {
            self.notices.cut(self.notices_end).map_err(Failure::NoticeFile)?;
            self.left = false;
        }
        // The notices first. A crash before the commit leaves them behind the end of the history, where nobody looks.
        let in_file = write_notices(&self.notices, self.notices_end, self.shared.options.pages_max, batch)?;
        for note in &batch.notes {
            write_note(&transaction, note)?;
        }
        let noted = if batch.notes.is_empty() { None } else { rows::noted(&transaction)? };
        let mut places = in_file.as_ref().map_or(&[][..], |(_, places)| places).iter();
        for (nth, entry) in (batch.first.0..).zip(&batch.entries) {
            write_entry(&transaction, Seq(nth), entry, &mut places)?;
        }
        if let Some((end, _)) = &in_file {
            let mut row = transaction.prepare_cached("UPDATE writer SET notice_file_bytes = ?1")?;
            row.execute([rows::integer(*end)])?;
        }
        for (SetId(id), members) in &batch.sets {
            let mut row = transaction.prepare_cached("INSERT OR IGNORE INTO sets VALUES (?1, ?2)")?;
            row.execute(params![id.0, &members[..]])?;
        }
        for (id, bytes) in &batch.tiles {
            let (level, nth) = rows::tile_key(*id);
            let mut row = transaction.prepare_cached("INSERT INTO tiles VALUES (?1, ?2, ?3)")?;
            row.execute(params![level, nth, &bytes[..]])
                .map_err(|error| unless_there(error, || check::tile_there(id)))?;
        }
        for erased in &batch.erased {
            erase(&transaction, *erased)?;
        }
        if let Some(base) = &batch.base {
            write_base(&transaction, base)?;
        }
        if !batch.entries.is_empty() {
            write_head(&transaction, &batch.head)?;
        }
        let names = self.names.write(&transaction, &free, batch.head.next)?;
        transaction.commit()?;
        Ok(Written { notices_end: in_file.map(|(end, _)| end), noted, free, names })
    }

    /// Whether so many bytes more fit into what the operator allots.
    fn pages_hold(&self, bytes: u64) -> bool {
        let Some(pages) = self.shared.options.pages_max else { return true };
        let number = |pragma| self.connection.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
        let used = number("page_count").and_then(|all| Ok(all - number("freelist_count")?));
        let page = u64::from(schema::PAGE_BYTES);
        let used = used.map(|pages| (pages.unsigned_abs() * page).max(self.notices_end));
        used.is_ok_and(|used| used + bytes <= u64::from(pages) * page)
    }

    /// Nothing of the batch is there; what it left in the notice file takes room that others need now, and the next batch cuts it off.
    fn without_room(&mut self) -> CommitError {
        self.left = true;
        CommitError::NoRoom
    }

    /// From here on nothing is written through this handle of the store, by this writer or another.
    fn fail(&self, error: &dyn std::error::Error) -> CommitError {
        let why = format!("{error}; whether the last batch is there shows at the next start");
        tracing::error!(%error, "the store failed");
        CommitError::Fatal(self.shared.failed.get_or_init(|| why).clone())
    }
}

#[async_trait]
impl Writer for SqliteWriter {
    fn head(&self) -> Option<&Head> {
        self.head.as_ref()
    }

    async fn named(&mut self, names: &[Name]) -> Result<Vec<Option<Known>>, ReadError> {
        names.iter().map(|name| self.names.find(&self.connection, name)).collect()
    }

    async fn commit(&mut self, batch: &Batch) -> Result<(), CommitError> {
        if let Some(why) = self.shared.failed.get() {
            return Err(CommitError::Fatal(why.clone()));
        }
        check::follows(batch, self.head.as_ref())?;
        // Before the batch, not after it: a copy that fails must not follow a commit that was fine.
        self.keep_wal_short().map_err(|error| self.fail(&error))?;
        let written = self.write(batch);
        // The transaction was rolled back when it was dropped. If even that failed, it is not known what the file holds.
        let settled = self.connection.is_autocommit();
        let Written { notices_end, noted, free, names } = match written {
            Ok(written) => written,
            Err(Failure::Refused(error)) if settled => return Err(error),
            Err(Failure::NoRoom) if settled => return Err(self.without_room()),
            Err(Failure::Sqlite(error)) if settled => match self.shared.trouble(&error) {
                Trouble::NoRoom => return Err(self.without_room()),
                Trouble::Busy => return Err(CommitError::Unavailable(error.to_string())),
                Trouble::Broken => return Err(self.fail(&error)),
            },
            Err(Failure::Sqlite(error)) => return Err(self.fail(&error)),
            Err(Failure::Read(error)) => return Err(self.fail(&error)),
            Err(Failure::NoticeFile(error)) => return Err(self.fail(&error)),
            Err(Failure::Refused(_) | Failure::NoRoom) => return Err(self.fail(&rusqlite::Error::InvalidQuery)),
        };
        // Durable from here: SQLite has synchronised the WAL. A crash now loses nothing but the news of it.
        self.head = Some(batch.head);
        self.wal_bytes += wal_bytes(batch, notices_end.is_some()) + self.names.committed(free, names);
        self.notices_end = notices_end.unwrap_or(self.notices_end);
        self.erased |= !batch.erased.is_empty();
        if noted.is_some() {
            check::publish(&self.shared.noted, noted);
        }
        Ok(())
    }

    async fn free_reserve(&mut self) -> bool {
        if !self.reserve.free() {
            return false;
        }
        // The WAL first, or it would take the room piece by piece and give none back.
        if let Err(error) = self.empty_wal(After::CutToNothing) {
            self.fail(&error);
        }
        true
    }

    async fn room(&mut self) -> Room {
        let (shared, margin) = (&self.shared, self.shared.options.margin_bytes);
        let whole = self.reserve.is_whole();
        let wanted = if whole { margin } else { margin + self.reserve.bytes() };
        let there = match shared.options.disk.holds(&shared.path, wanted) {
            Ok(()) => self.pages_hold(margin),
            Err(error) => {
                if !is_no_room(&error) {
                    tracing::warn!(%error, "no room could be taken beside the store");
                }
                false
            }
        };
        match (whole, there) {
            (true, true) => Room::Enough,
            (true, false) if self.reserve.bytes() > 0 => Room::ReserveOnly,
            (false, true) => match self.reserve.restore() {
                Ok(()) => Room::Enough,
                Err(error) => {
                    tracing::warn!(%error, "there is no room to keep a reserve");
                    Room::NoReserve
                }
            },
            (_, false) => Room::NoReserve,
        }
    }
}

impl Drop for SqliteWriter {
    /// Leaves one file that holds everything, where that is possible. A failure is kept for whoever takes the writer next.
    fn drop(&mut self) {
        if self.shared.failed.get().is_none()
            && let Err(error) = self.empty_wal(After::CutToNothing)
        {
            self.fail(&error);
        }
    }
}

/// A batch that is committed.
struct Written<'a> {
    /// Where the notice file ends now, if any notice went there.
    notices_end: Option<u64>,
    /// The newest head with a note, if a note was written.
    noted: Option<Head>,
    free: Free<'a>,
    /// The names that stood aside are in the table.
    names: bool,
}

/// What becomes of a WAL that has been copied.
#[derive(Clone, Copy, PartialEq, Eq)]
enum After {
    /// Nothing of what stood in it remains, and its room is given back.
    CutToNothing,
    /// The next batch begins at its start.
    WrittenOver,
}

/// About what a batch writes to the WAL: its rows in pages that are not quite full, and the edges of the tables.
fn wal_bytes(batch: &Batch, in_file: bool) -> u64 {
    let name = |notice: &NewNotice| notice.name.1.as_str().len();
    let notice = |notice: &NewNotice| match in_file {
        true => 96 + name(notice),
        false => 96 + name(notice) + notice.envelope.len() + notice.parts.len(),
    };
    let entry = |entry: &NewEntry| {
        let opening = entry.opening.statement.len() + entry.detail.len() + 128;
        opening + entry.notice.as_ref().map_or(0, notice) + 16 * entry.about.len()
    };
    let rows: usize = batch.entries.iter().map(entry).sum();
    let tiles: usize = batch.tiles.iter().map(|(_, bytes)| bytes.len()).sum();
    let sets: usize = batch.sets.iter().map(|(_, bytes)| bytes.len()).sum();
    let base: usize = batch.base.iter().flat_map(|base| &base.pieces).map(|piece| piece.len()).sum();
    ((rows + tiles + sets + base) * 5 / 4) as u64 + BATCH_PAGES * u64::from(schema::PAGE_BYTES)
}

/// The first act of every writer. A transaction of a writer before it can no longer be committed.
fn next_epoch(connection: &mut Connection) -> rusqlite::Result<i64> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let epoch =
        transaction.query_row("UPDATE writer SET epoch = epoch + 1 RETURNING epoch", [], |row| row.get(0))?;
    transaction.commit()?;
    Ok(epoch)
}

/// Guards against a lock file that was deleted, and a file system whose locks do nothing.
fn still_holds(transaction: &Transaction<'_>, epoch: i64) -> Result<(), Failure> {
    let mut row = transaction.prepare_cached("SELECT epoch FROM writer")?;
    let newest: i64 = row.query_row([], |row| row.get(0))?;
    if newest == epoch { Ok(()) } else { Err(Failure::Refused(CommitError::Fenced)) }
}

/// Where a batch's notices lie in the notice file, synchronised, and its new end. None: they are few, and lie in the database.
fn write_notices(
    file: &NoticeFile,
    end: u64,
    pages_max: Option<u32>,
    batch: &Batch,
) -> Result<Option<(u64, Vec<Place>)>, Failure> {
    let notices = || batch.entries.iter().filter_map(|entry| entry.notice.as_ref());
    let bytes: usize = notices().map(|notice| notice.envelope.len() + notice.parts.len()).sum();
    if bytes < FILE_BYTES_MIN {
        return Ok(None);
    }
    let most = pages_max.map(|pages| u64::from(pages) * u64::from(schema::PAGE_BYTES));
    if most.is_some_and(|most| end + bytes as u64 > most) {
        return Err(Failure::NoRoom);
    }
    let written = file.append(end, bytes, notices()).map_err(|error| match is_no_room(&error) {
        true => Failure::NoRoom,
        false => Failure::NoticeFile(error),
    })?;
    // Only a write may find no room; a synchronisation that failed says nothing of what is there, whatever its reason.
    file.synchronise().map_err(Failure::NoticeFile)?;
    Ok(Some(written))
}

fn write_entry(
    transaction: &Transaction<'_>,
    seq: Seq,
    entry: &NewEntry,
    places: &mut std::slice::Iter<'_, Place>,
) -> Result<(), Failure> {
    let number = rows::integer(seq.0);
    let opening = &entry.opening;
    transaction.prepare_cached("INSERT INTO entries VALUES (?1, ?2, ?3, ?4, ?5)")?.execute(params![
        number,
        entry.leaf.0,
        &opening.statement[..],
        opening.salt.0,
        &entry.detail[..]
    ])?;
    for block in entry.about.chunk_by(|of, next| rows::about_key(*of).0 == rows::about_key(*next).0) {
        let (key, _) = rows::about_key(block[0]);
        let which = block.iter().fold(0, |which, of| which | rows::about_key(*of).1);
        transaction.prepare_cached("INSERT INTO about VALUES (?1, ?2, ?3)")?.execute([key, number, which])?;
    }
    match &entry.notice {
        Some(notice) => write_notice(transaction, number, notice, places.next()),
        None => Ok(()),
    }
}

fn write_notice(
    transaction: &Transaction<'_>,
    seq: i64,
    notice: &NewNotice,
    place: Option<&Place>,
) -> Result<(), Failure> {
    let (originator, reference) = &notice.name;
    let (id, originator, reference) = (notice.id.0.0, originator.0, reference.as_str());
    match place {
        None => transaction
            .prepare_cached(
                "INSERT INTO notices (seq, id, originator, reference, envelope, parts)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?
            .execute(params![seq, id, originator, reference, &notice.envelope[..], &notice.parts[..]])?,
        Some(Place { at, envelope_bytes, parts_bytes }) => {
            let [at, envelope_bytes, parts_bytes] =
                [at, envelope_bytes, parts_bytes].map(|number| rows::integer(*number));
            transaction
                .prepare_cached(
                    "INSERT INTO notices (seq, id, originator, reference, place, envelope_bytes, parts_bytes)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                )?
                .execute(params![seq, id, originator, reference, at, envelope_bytes, parts_bytes])?
        }
    };
    Ok(())
}

fn write_note(transaction: &Transaction<'_>, note: &StoredNote) -> Result<(), Failure> {
    // The heads of this batch are not there yet: a note never runs ahead of the disk.
    let written = transaction
        .prepare_cached(
            "INSERT INTO notes SELECT log, size,
                 (SELECT count(*) FROM notes WHERE log = ?1 AND size = ?2), ?3
             FROM heads WHERE log = ?1 AND size = ?2",
        )?
        .execute(params![note.log, rows::integer(note.size), &note.note[..]])?;
    match written {
        0 => Err(Failure::Refused(check::unknown_head(note.log, note.size))),
        _ => Ok(()),
    }
}

fn write_head(transaction: &Transaction<'_>, head: &Head) -> Result<(), Failure> {
    transaction.prepare_cached("INSERT INTO heads VALUES (?1, ?2, ?3, ?4)")?.execute(params![
        head.log,
        rows::integer(head.size()),
        rows::integer(head.base.0),
        head.root.0
    ])?;
    Ok(())
}

/// Over the pieces of the base before, so that no row is deleted.
fn write_base(transaction: &Transaction<'_>, base: &Base) -> Result<(), Failure> {
    let through = rows::integer(base.through.0);
    for (nth, piece) in (0_i64..).zip(&base.pieces) {
        transaction
            .prepare_cached(
                "INSERT INTO base VALUES (?1, ?2, ?3)
                 ON CONFLICT (nth) DO UPDATE SET through = ?2, piece = ?3",
            )?
            .execute(params![nth, through, &piece[..]])?;
    }
    transaction
        .prepare_cached("UPDATE base SET piece = x'' WHERE through <> ?1 AND piece <> x''")?
        .execute([through])?;
    Ok(())
}

/// `secure_delete` overwrites what was there, and the WAL is emptied before the next batch. What lies in the notice file is listed,
/// and overwritten then.
fn erase(transaction: &Transaction<'_>, erased: Erased) -> Result<(), Failure> {
    if let Erased::Parts(seq) = erased {
        let list = "INSERT OR IGNORE INTO wipes SELECT place + envelope_bytes, parts_bytes FROM notices
             WHERE seq = ?1 AND place IS NOT NULL AND parts_bytes > 0";
        transaction.prepare_cached(list)?.execute([rows::integer(seq.0)])?;
    }
    let sql = match erased {
        Erased::Parts(_) => "UPDATE notices SET parts = NULL, parts_bytes = NULL WHERE seq = ?1",
        Erased::Opening(_) => "UPDATE entries SET statement = NULL, salt = NULL, detail = x'' WHERE seq = ?1",
    };
    let mut row = transaction.prepare_cached(sql)?;
    match row.execute([rows::integer(erased.seq().0)])? {
        0 => Err(Failure::Refused(check::nothing_to_erase(erased))),
        _ => Ok(()),
    }
}

/// A row that is there already is the caller's bug; everything else is SQLite's to explain.
fn unless_there(error: rusqlite::Error, refused: impl FnOnce() -> CommitError) -> Failure {
    match error.sqlite_error_code() {
        Some(ErrorCode::ConstraintViolation) => Failure::Refused(refused()),
        _ => Failure::Sqlite(error),
    }
}
