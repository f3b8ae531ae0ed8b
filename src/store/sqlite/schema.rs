//! The file's format: its tables, its numbers, and how a connection to it is set up.

use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::notices::NoticeFile;
use super::{SqliteOptions, WriterError};

/// "Liai": says to `file` and to us whose database this is.
const APPLICATION_ID: i64 = 0x4c69_6169;
/// The highest format known here; a higher one is left alone.
pub(super) const FORMAT: i64 = 3;
/// Ten statements a page, or two notices of 1 KiB: larger pages write more around each batch, smaller ones send a notice's parts into
/// overflow chains.
pub(super) const PAGE_BYTES: u32 = 4 << 10;
/// The writer touches the right edge of each table and the leaf of each originator's last name; 16 MiB hold thousands of those.
const WRITER_CACHE_KIB: i64 = 16 << 10;
/// Inner pages of a store of many millions; the leaves are the operating system's to cache.
pub(super) const READER_CACHE_KIB: i64 = 4 << 10;
/// Nobody but an operator's own tool may hold the database's lock, and for this long we wait for him.
pub(super) const BUSY_WAIT: Duration = Duration::from_secs(5);
/// Whoever takes the writer waits this long for the lock, and then lets the caller decide: a node that starts says so and asks again,
/// one that runs answers its callers in between.
const TAKE_WAIT: Duration = Duration::from_millis(250);
/// More than all the statements there are, so that none is prepared twice.
const STATEMENTS: usize = 48;

/// Keys only ascend, so pages fill one after another and no insert rewrites an old one. Nothing is one row per recipient.
///
/// Erasable values are set to NULL where they lie and no row is ever deleted: SQLite then never moves a neighbour's cell into
/// another page, and no copy outlives the row that `secure_delete` overwrites.
const TABLES: &str = "
CREATE TABLE entries (
    seq INTEGER PRIMARY KEY, leaf BLOB NOT NULL, statement BLOB, salt BLOB, detail BLOB NOT NULL
) STRICT;
-- Envelope and parts lie here, or in the notice file from byte `place` on: then `envelope_bytes` and `parts_bytes` say how long they
-- are. Erased parts have neither bytes nor a length.
CREATE TABLE notices (
    seq INTEGER PRIMARY KEY, id BLOB NOT NULL, originator INTEGER NOT NULL, reference TEXT NOT NULL,
    envelope BLOB, parts BLOB, place INTEGER, envelope_bytes INTEGER, parts_bytes INTEGER,
    CHECK ((envelope IS NULL) = (place IS NOT NULL) AND (place IS NULL) = (envelope_bytes IS NULL))
) STRICT;
-- Pieces of the notice file that are erased and perhaps not overwritten yet.
CREATE TABLE wipes (
    place INTEGER PRIMARY KEY, bytes INTEGER NOT NULL
) STRICT;
-- Names of the notices before the writer's `names_before`; later ones stand in `notices` alone.
CREATE TABLE names (
    originator INTEGER NOT NULL, reference TEXT NOT NULL, seq INTEGER NOT NULL,
    PRIMARY KEY (originator, reference)
) STRICT, WITHOUT ROWID;
-- Which of 64 statements that follow one another a later one is about, a bit for each: an acknowledgement is about hundreds.
CREATE TABLE about (
    block INTEGER NOT NULL, seq INTEGER NOT NULL, which INTEGER NOT NULL, PRIMARY KEY (block, seq)
) STRICT, WITHOUT ROWID;
CREATE TABLE sets (
    id BLOB PRIMARY KEY NOT NULL, members BLOB NOT NULL
) STRICT;
-- Level -1 holds the entry bundles.
CREATE TABLE tiles (
    level INTEGER NOT NULL, nth INTEGER NOT NULL, bytes BLOB NOT NULL, PRIMARY KEY (level, nth)
) STRICT;
CREATE TABLE heads (
    log INTEGER NOT NULL, size INTEGER NOT NULL, base INTEGER NOT NULL, root BLOB NOT NULL,
    PRIMARY KEY (log, size)
) STRICT, WITHOUT ROWID;
-- A head may get more than one note: signed again at a start, or with more cosignatures. The last is the fullest.
CREATE TABLE notes (
    log INTEGER NOT NULL, size INTEGER NOT NULL, nth INTEGER NOT NULL, note BLOB NOT NULL,
    PRIMARY KEY (log, size, nth)
) STRICT, WITHOUT ROWID;
-- One base, in pieces; a piece with another `through` than the first is left over from a longer one, and empty.
CREATE TABLE base (
    nth INTEGER PRIMARY KEY, through INTEGER NOT NULL, piece BLOB NOT NULL
) STRICT;
-- One row: how often the writer was taken (who finds another number than his own has been succeeded), how many bytes of the
-- notice file belong to the history, and before which statement every notice's name is in its table.
CREATE TABLE writer (
    one INTEGER PRIMARY KEY CHECK (one = 1), epoch INTEGER NOT NULL, notice_file_bytes INTEGER NOT NULL,
    names_before INTEGER NOT NULL
) STRICT;
INSERT INTO writer VALUES (1, 0, 0, 0);
";

/// Nothing was ever written there: no file, an empty one, or one that a creation was interrupted on.
pub(super) fn is_missing(path: &Path) -> Result<bool, WriterError> {
    match std::fs::metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(true),
        Err(error) => return Err(error.into()),
        Ok(file) if file.len() == 0 => return Ok(true),
        Ok(_) => {}
    }
    let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    let number = |sql| connection.query_row(sql, [], |row| row.get::<_, i64>(0));
    Ok(number("PRAGMA application_id")? == 0
        && number("PRAGMA user_version")? == 0
        && number("SELECT count(*) FROM sqlite_schema")? == 0)
}

/// Makes the file with all its tables in one commit, readable by its owner only; its WAL gets the same rights from SQLite.
pub(super) fn create(path: &Path) -> Result<(), WriterError> {
    if !is_missing(path)? {
        return Ok(());
    }
    NoticeFile::create(path)?;
    owners_only().create(true).truncate(false).open(path)?;
    let mut connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    connection.pragma_update(None, "page_size", PAGE_BYTES)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    let transaction = connection.transaction()?;
    transaction.execute_batch(TABLES)?;
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", FORMAT)?;
    Ok(transaction.commit()?)
}

/// Is it ours, and not newer than this program?
pub(super) fn judge(connection: &Connection) -> Result<(), WriterError> {
    let number = |pragma| connection.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
    if number("application_id")? != APPLICATION_ID {
        return Err(WriterError::Damaged("the file is another program's database".into()));
    }
    match number("user_version")? {
        FORMAT => Ok(()),
        found if found > FORMAT => Err(WriterError::NewerFormat { found, known: FORMAT }),
        found => Err(WriterError::Damaged(format!(
            "the store has format {found}, of a build before the first release, which is not read any more"
        ))),
    }
}

/// A connection that changes nothing.
pub(super) fn open_to_read(path: &Path) -> Result<Connection, WriterError> {
    let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    connection.pragma_update(None, "query_only", true)?;
    connection.pragma_update(None, "cache_size", -READER_CACHE_KIB)?;
    Ok(connection)
}

/// The writer's connection. It checkpoints when it decides to, so that no failure on the way goes unseen.
pub(super) fn open_to_write(path: &Path, options: &SqliteOptions) -> Result<Connection, WriterError> {
    let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    connection.busy_timeout(TAKE_WAIT)?;
    judge(&connection)?;
    write_ahead(&connection)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "secure_delete", true)?;
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    connection.pragma_update(None, "cache_size", -WRITER_CACHE_KIB)?;
    if let Some(pages) = options.pages_max {
        connection.pragma_update(None, "max_page_count", pages)?;
    }
    Ok(connection)
}

/// A copy that `VACUUM INTO` made keeps a rollback journal: every commit would synchronise more files and keep readers out.
fn write_ahead(connection: &Connection) -> Result<(), WriterError> {
    let mode = |sql| connection.query_row(sql, [], |row| row.get::<_, String>(0));
    let found = mode("PRAGMA journal_mode")?;
    if found == "wal" {
        return Ok(());
    }
    match mode("PRAGMA journal_mode = WAL")? {
        set if set == "wal" => {
            tracing::warn!(found, "the store was in another journal mode, as a copy by VACUUM INTO is: set to WAL");
            Ok(())
        }
        kept => Err(WriterError::Failed(format!(
            "it is in journal mode {kept} and cannot be set to WAL: its file system has no shared memory for SQLite; \
             move node.data to a local disk"
        ))),
    }
}

/// Opens a file for writing that nobody but its owner may read.
pub(super) fn owners_only() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Memory-mapped reading stays off: there a failing disk is a signal, not an error. Temporary data stays in memory.
fn connect(path: &Path, access: OpenFlags) -> Result<Connection, WriterError> {
    let connection = Connection::open_with_flags(path, access | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(BUSY_WAIT)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    // What is bound decides no plan; otherwise a statement would be prepared again for each value.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    Ok(connection)
}
