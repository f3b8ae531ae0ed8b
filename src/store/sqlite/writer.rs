//! The one writer: it commits on the thread that calls it. What the disk does to a commit is told here in the three words that
//! the sequencer knows: there, no room and nothing written, or the end.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use liaison_protocol::id::Seq;
use rusqlite::{Connection, ErrorCode, Transaction, TransactionBehavior, params};

use super::super::check;
use super::super::{
    Batch, CommitError, Erased, Head, Known, Name, NewEntry, NewNotice, ReadError, SetId, StoredNote, Writer,
    WriterError,
};
use super::lock::WriterLock;
use super::reserve::Reserve;
use super::{Shared, beside, rows, schema};

/// The WAL is copied into the database when it has grown to this: long enough that a page written by many batches is copied
/// once, short enough that the copy keeps no caller waiting much longer than a slow synchronisation does.
pub(super) const WAL_BYTES: u64 = 16 << 20;

/// The right to append to one file. Fields are dropped in this order: the connection is closed before the lock goes.
pub(super) struct SqliteWriter {
    pub(super) connection: Connection,
    _lock: WriterLock,
    shared: Arc<Shared>,
    wal: PathBuf,
    reserve: Reserve,
    epoch: i64,
    head: Option<Head>,
    /// Something was erased since the WAL was last emptied, and still stands in it.
    erased: bool,
}

/// Why a transaction was rolled back.
enum Failure {
    /// Not the disk's fault.
    Refused(CommitError),
    /// SQLite's word for it.
    Sqlite(rusqlite::Error),
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl SqliteWriter {
    /// Lock, epoch, head: in this order, so that nobody else's commit can lie between them.
    pub(super) fn take(shared: Arc<Shared>) -> Result<Self, WriterError> {
        if let Some(why) = shared.failed.get() {
            return Err(WriterError::Unavailable(why.clone()));
        }
        let path = &shared.path;
        let lock = WriterLock::take(path)?;
        let reserve = Reserve::beside(path, shared.options.reserve_bytes);
        let mut connection = schema::open_to_write(path, &shared.options)?;
        let epoch = match next_epoch(&mut connection) {
            // Nothing was written; a node that was stopped by a full disk must be able to start on it.
            Err(error) if is_full(&error) && reserve.free() => next_epoch(&mut connection)?,
            other => other?,
        };
        let mut writer = Self {
            head: rows::head(&connection)?,
            wal: beside(path, "-wal"),
            connection,
            _lock: lock,
            reserve,
            epoch,
            // Perhaps: the writer before this one may have died between an erasure and its end.
            erased: true,
            shared: Arc::clone(&shared),
        };
        writer.empty_wal().map_err(WriterError::from)?;
        writer.reserve.restore();
        Ok(writer)
    }

    /// Copies the WAL into the database and cuts it to nothing, as far as no reader still needs it; then it is tried again before
    /// the next batch. No room is no failure here, because everything is in the WAL.
    fn empty_wal(&mut self) -> rusqlite::Result<()> {
        self.connection.busy_timeout(Duration::ZERO)?;
        let tried = self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, bool>(0));
        self.connection.busy_timeout(schema::BUSY_WAIT)?;
        match tried {
            Ok(false) => self.erased = false,
            Ok(true) => {}
            Err(error) if is_full(&error) || is_busy(&error) => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn keep_wal_short(&mut self) -> rusqlite::Result<()> {
        let long = fs::metadata(&self.wal).is_ok_and(|wal| wal.len() >= WAL_BYTES);
        if !long && !self.erased {
            return Ok(());
        }
        self.empty_wal()?;
        if long {
            // So much was written since the last time that there may be room again. Not sooner: a reserve that was just given
            // up must not come back before it was of use.
            self.reserve.restore();
        }
        Ok(())
    }

    /// One transaction; whatever goes wrong in it, nothing of it stays.
    fn write(&mut self, batch: &Batch) -> Result<(), Failure> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        still_holds(&transaction, self.epoch)?;
        for note in &batch.notes {
            write_note(&transaction, note)?;
        }
        for (nth, entry) in (batch.first.0..).zip(&batch.entries) {
            write_entry(&transaction, Seq(nth), entry)?;
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
        if !batch.entries.is_empty() {
            write_head(&transaction, &batch.head)?;
        }
        Ok(transaction.commit()?)
    }

    /// From here on nothing is written through this handle of the store, by this writer or another.
    fn fail(&self, error: &rusqlite::Error) -> CommitError {
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
        let named = |name| rows::named(&self.connection, name);
        names.iter().map(named).collect()
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
        match written {
            Ok(()) => {}
            Err(Failure::Refused(error)) if settled => return Err(error),
            Err(Failure::Sqlite(error)) if settled && is_full(&error) => {
                return Err(CommitError::NoRoom);
            }
            Err(Failure::Sqlite(error)) => return Err(self.fail(&error)),
            Err(Failure::Refused(_)) => return Err(self.fail(&rusqlite::Error::InvalidQuery)),
        }
        // Durable from here: SQLite has synchronised the WAL. A crash now loses nothing but the news of it.
        self.head = Some(batch.head);
        self.erased |= !batch.erased.is_empty();
        if !batch.notes.is_empty() {
            let noted = rows::noted(&self.connection);
            let noted = noted.map_err(|error| CommitError::Unknown(error.to_string()))?;
            check::publish(&self.shared.noted, noted);
        }
        Ok(())
    }

    async fn free_reserve(&mut self) -> bool {
        if !self.reserve.free() {
            return false;
        }
        // The WAL first, or it would take the room piece by piece and give none back.
        if let Err(error) = self.empty_wal() {
            self.fail(&error);
        }
        true
    }
}

impl Drop for SqliteWriter {
    /// Leaves one file that holds everything, where that is possible. A failure is kept for whoever takes the writer next.
    fn drop(&mut self) {
        if self.shared.failed.get().is_none()
            && let Err(error) = self.empty_wal()
        {
            self.fail(&error);
        }
    }
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

fn write_entry(transaction: &Transaction<'_>, seq: Seq, entry: &NewEntry) -> Result<(), Failure> {
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
        Some(notice) => write_notice(transaction, number, notice),
        None => Ok(()),
    }
}

fn write_notice(transaction: &Transaction<'_>, seq: i64, notice: &NewNotice) -> Result<(), Failure> {
    let (originator, reference) = &notice.name;
    let id = notice.id.0.0;
    transaction
        .prepare_cached("INSERT INTO names VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![originator.0, reference.as_str(), seq, id])
        .map_err(|error| unless_there(error, || check::name_taken(&notice.name)))?;
    transaction.prepare_cached("INSERT INTO notices VALUES (?1, ?2, ?3, ?4)")?.execute(params![
        seq,
        id,
        &notice.envelope[..],
        &notice.parts[..]
    ])?;
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

/// `secure_delete` overwrites what was there, and the WAL is emptied before the next batch.
fn erase(transaction: &Transaction<'_>, erased: Erased) -> Result<(), Failure> {
    let sql = match erased {
        Erased::Parts(_) => "UPDATE notices SET parts = NULL WHERE seq = ?1",
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

fn is_full(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::DiskFull)
}

fn is_busy(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
}
