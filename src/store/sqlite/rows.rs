//! What is read, row by row, on whatever connection is at hand. A row that cannot be what was written is damage, never skipped.

use std::ops::Range;

use bytes::Bytes;
use liaison_protocol::id::{Hash, NoticeId, PartnerNumber, Reference, Seq};
use liaison_protocol::tlog::entry::{Leaf, Opening, Salt};
use liaison_protocol::tlog::tile::TileId;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::super::check;
use super::super::{Base, Head, Known, Name, ReadError, SetId, Stored, StoredNote, StoredNotice};
use super::notices::NoticeFile;

/// A number as SQLite keeps it. What does not fit is beyond every row, and is looked for in vain.
pub(super) fn integer(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A tile's key: its level, -1 for entry bundles, and its place.
pub(super) fn tile_key(id: TileId) -> (i64, i64) {
    match id {
        TileId::Hashes { level, index } => (i64::from(level), integer(index)),
        TileId::Entries { index } => (-1, integer(index)),
    }
}

/// The last head, checked against the last entry.
pub(super) fn head(rows: &Connection) -> Result<Option<Head>, ReadError> {
    let head = last_head(rows)?;
    let next: i64 =
        rows.prepare_cached("SELECT coalesce(max(seq) + 1, 0) FROM entries")?.query_row([], |row| row.get(0))?;
    let said = head.map_or(0, |head| integer(head.next.0));
    if next == said {
        Ok(head)
    } else {
        Err(ReadError::Damaged(format!("the head says {said} statements and {next} are here")))
    }
}

/// The newest head that has a note.
pub(super) fn noted(rows: &Connection) -> Result<Option<Head>, ReadError> {
    one_head(
        rows,
        "SELECT log, size, base, root FROM notes JOIN heads USING (log, size)
         ORDER BY log DESC, size DESC LIMIT 1",
    )
}

/// The entries of a range, as many as fit.
pub(super) fn entries(rows: &Connection, range: Range<Seq>, bytes_max: usize) -> Result<Vec<Stored>, ReadError> {
    let end = last_head(rows)?.map_or(Seq(0), |head| head.next.min(range.end));
    let mut found = rows.prepare_cached(
        "SELECT seq, leaf, statement, salt, detail FROM entries
         WHERE seq >= ?1 AND seq < ?2 ORDER BY seq",
    )?;
    let mut found = found.query([integer(range.start.0), integer(end.0)])?;
    let (mut fitting, mut bytes) = (Vec::new(), 0);
    for expected in range.start.0..end.0 {
        let stored = match found.next()? {
            Some(row) => stored(row)?,
            None => return Err(damaged(expected, "is not there")),
        };
        if stored.seq.0 != expected {
            return Err(damaged(expected, "is not there"));
        }
        bytes += stored.bytes();
        if bytes > bytes_max && !fitting.is_empty() {
            break;
        }
        check::opens(&stored)?;
        fitting.push(stored);
    }
    Ok(fitting)
}

/// The notice that a statement accepted, from the database or from the notice file.
pub(super) fn notice(rows: &Connection, file: &NoticeFile, of: Seq) -> Result<Option<StoredNotice>, ReadError> {
    let mut found = rows.prepare_cached(
        "SELECT id, envelope, parts, place, envelope_bytes, parts_bytes FROM notices WHERE seq = ?1",
    )?;
    let mut found = found.query([integer(of.0)])?;
    let Some(row) = found.next()? else {
        return Ok(None);
    };
    let id = notice_id(row, 0, of)?;
    if row.get_ref(3)? == ValueRef::Null {
        let parts = row.get::<_, Option<Vec<u8>>>(2)?.map(Bytes::from);
        return Ok(Some(StoredNotice { id, envelope: bytes(row, 1)?, parts }));
    }
    let (at, envelope_bytes) = (number(row, 3)?, number(row, 4)?);
    let parts_bytes = row.get::<_, Option<i64>>(5)?.map(|_| number(row, 5)).transpose()?;
    let whole = envelope_bytes.checked_add(parts_bytes.unwrap_or(0));
    let read = whole.ok_or(std::io::ErrorKind::UnexpectedEof.into()).and_then(|whole| file.read(at, whole));
    let mut parts = Bytes::from(read.map_err(|error| match error.kind() {
        std::io::ErrorKind::UnexpectedEof => damaged(of.0, "has its notice beyond the end of the notice file"),
        _ => ReadError::Unavailable(format!("the notice file: {error}")),
    })?);
    let envelope = parts.split_to(usize::try_from(envelope_bytes).unwrap_or(usize::MAX));
    Ok(Some(StoredNotice { id, envelope, parts: parts_bytes.map(|_| parts) }))
}

/// Pieces of the notice file to be overwritten, at most so many.
pub(super) fn wipes(rows: &Connection, max: usize) -> rusqlite::Result<Vec<(u64, u64)>> {
    let mut found = rows.prepare_cached("SELECT place, bytes FROM wipes ORDER BY place LIMIT ?1")?;
    let found = found.query_map([integer(max as u64)], |row| Ok((number(row, 0)?, number(row, 1)?)))?;
    found.collect()
}

/// How many bytes of the notice file belong to the history.
pub(super) fn notice_file_bytes(rows: &Connection) -> Result<u64, ReadError> {
    Ok(rows.query_row("SELECT notice_file_bytes FROM writer", [], |row| number(row, 0))?)
}

/// What a name was given to.
pub(super) fn named(rows: &Connection, name: &Name) -> Result<Option<Known>, ReadError> {
    let aside = "SELECT seq, id, originator, reference FROM notices
         WHERE seq >= (SELECT names_before FROM writer) AND originator = ?1 AND reference = ?2";
    // Both are asked, whatever the first one says: the second looks through a thousand notices, which whoever asks could measure.
    let in_table = named_in_table(rows, name)?;
    let aside = known(rows, aside, name)?;
    Ok(in_table.or(aside))
}

/// The same, where the name is in its table.
pub(super) fn named_in_table(rows: &Connection, name: &Name) -> Result<Option<Known>, ReadError> {
    let in_table = "SELECT seq, id, notices.originator, notices.reference FROM names LEFT JOIN notices USING (seq)
         WHERE names.originator = ?1 AND names.reference = ?2";
    known(rows, in_table, name)
}

fn known(rows: &Connection, sql: &str, (originator, reference): &Name) -> Result<Option<Known>, ReadError> {
    let mut found = rows.prepare_cached(sql)?;
    let mut found = found.query(params![originator.0, reference.as_str()])?;
    let mut known = None;
    // To the end, though there is one at most: who looks through rows must not be done sooner where it finds something.
    while let Some(row) = found.next()? {
        let seq = seq(row, 0)?;
        let notice = notice_id(row, 1, seq)?;
        // A name is derived from its notice, which has the last word: one that leads to another notice is damaged.
        if row.get_ref(2)?.as_i64() != Ok(i64::from(originator.0))
            || row.get_ref(3)?.as_str() != Ok(reference.as_str())
        {
            return Err(damaged(seq.0, "accepted a notice of another name"));
        }
        known = Some(Known { seq, notice });
    }
    Ok(known)
}

/// The first statement at or after `at` that accepted a notice, or else the last one before; of those before `end`.
pub(super) fn notice_near(rows: &Connection, at: Seq, end: Seq) -> Result<Option<Seq>, ReadError> {
    let one = |sql: &str, bounds: [i64; 2]| -> Result<Option<Seq>, ReadError> {
        let mut found = rows.prepare_cached(sql)?;
        Ok(found.query_row(bounds, |row| seq(row, 0)).optional()?)
    };
    let (at, end) = (integer(at.min(end).0), integer(end.0));
    let after = one("SELECT seq FROM notices WHERE seq >= ?1 AND seq < ?2 ORDER BY seq LIMIT 1", [at, end])?;
    match after {
        None => one("SELECT seq FROM notices WHERE seq < ?1 AND seq < ?2 ORDER BY seq DESC LIMIT 1", [at, end]),
        after => Ok(after),
    }
}

/// The names that stand beside their notices alone.
pub(super) fn names_aside(rows: &Connection) -> Result<Vec<(Name, Known)>, ReadError> {
    let mut found = rows.prepare_cached(
        "SELECT seq, id, originator, reference FROM notices WHERE seq >= (SELECT names_before FROM writer)",
    )?;
    let (mut found, mut names) = (found.query([])?, Vec::new());
    while let Some(row) = found.next()? {
        let seq = seq(row, 0)?;
        let (originator, reference) = (PartnerNumber(row.get(2)?), row.get::<_, String>(3)?);
        names.push(((originator, name(originator, &reference)?), Known { seq, notice: notice_id(row, 1, seq)? }));
    }
    Ok(names)
}

/// The last name of an originator that is in the table, in the order of their bytes.
pub(super) fn last_name(rows: &Connection, originator: PartnerNumber) -> Result<Option<Reference>, ReadError> {
    let mut found = rows.prepare_cached("SELECT max(reference) FROM names WHERE originator = ?1")?;
    let last: Option<String> = found.query_row([originator.0], |row| row.get(0))?;
    last.map(|last| name(originator, &last)).transpose()
}

fn name(originator: PartnerNumber, reference: &str) -> Result<Reference, ReadError> {
    let unreadable = |_| ReadError::Damaged(format!("partner {} has given a name that is none", originator.0));
    reference.parse().map_err(unreadable)
}

/// The block that a statement lies in, and its bit there.
pub(super) fn about_key(of: Seq) -> (i64, i64) {
    (integer(of.0 >> 6), 1 << (of.0 & 63))
}

/// Statements about one, a page of them.
pub(super) fn about(rows: &Connection, of: Seq, after: Seq, page: usize) -> Result<Vec<Seq>, ReadError> {
    let mut found = rows.prepare_cached(
        "SELECT seq FROM about WHERE block = ?1 AND seq > ?2 AND which & ?3 != 0 ORDER BY seq LIMIT ?4",
    )?;
    let ((block, bit), page) = (about_key(of), integer(page as u64));
    let found = found.query_map([block, integer(after.0), bit, page], |row| seq(row, 0))?;
    Ok(found.collect::<Result<_, _>>()?)
}

/// A recipient set.
pub(super) fn set(rows: &Connection, id: &SetId) -> Result<Bytes, ReadError> {
    let mut found = rows.prepare_cached("SELECT members FROM sets WHERE id = ?1")?;
    let found = found.query_row([&id.0.0], |row| bytes(row, 0)).optional()?;
    found.ok_or_else(|| check::no_set(id))
}

/// A full tile.
pub(super) fn tile(rows: &Connection, id: TileId) -> Result<Option<Bytes>, ReadError> {
    let mut found = rows.prepare_cached("SELECT bytes FROM tiles WHERE level = ?1 AND nth = ?2")?;
    Ok(found.query_row(tile_key(id), |row| bytes(row, 0)).optional()?)
}

/// The base, piece by piece.
pub(super) fn base(rows: &Connection) -> Result<Option<Base>, ReadError> {
    let mut found = rows.prepare_cached(
        "SELECT through, piece FROM base
         WHERE through = (SELECT through FROM base WHERE nth = 0) ORDER BY nth",
    )?;
    let mut found = found.query([])?;
    let mut base: Option<Base> = None;
    while let Some(row) = found.next()? {
        let (through, piece) = (seq(row, 0)?, bytes(row, 1)?);
        base.get_or_insert_with(|| Base { through, pieces: Vec::new() }).pieces.push(piece);
    }
    Ok(base)
}

/// The newest note of the highest head of the newest log that has one and at most so many leaves.
pub(super) fn last_note_within(rows: &Connection, size: u64) -> Result<Option<StoredNote>, ReadError> {
    let mut found = rows.prepare_cached(
        "SELECT log, size, note FROM notes
         WHERE log = (SELECT max(log) FROM notes) AND size <= ?1 ORDER BY size DESC, nth DESC LIMIT 1",
    )?;
    let note = |row: &Row<'_>| Ok(StoredNote { log: row.get(0)?, size: number(row, 1)?, note: bytes(row, 2)? });
    Ok(found.query_row([integer(size)], note).optional()?)
}

/// The leaves of a range, at most so many, up to the first that is not there.
pub(super) fn leaves(rows: &Connection, range: Range<Seq>, max: usize) -> Result<Vec<Leaf>, ReadError> {
    let end = range.end.0.min(range.start.0.saturating_add(max as u64));
    let mut found =
        rows.prepare_cached("SELECT seq, leaf FROM entries WHERE seq >= ?1 AND seq < ?2 ORDER BY seq")?;
    let mut found = found.query([integer(range.start.0), integer(end)])?;
    let mut leaves = Vec::new();
    for expected in range.start.0..end {
        let Some(row) = found.next()?.filter(|row| number(row, 0).is_ok_and(|seq| seq == expected)) else { break };
        match Leaf::from_slice(row.get_ref(1)?.as_blob().unwrap_or_default()) {
            Some(leaf) => leaves.push(leaf),
            None => break,
        }
    }
    Ok(leaves)
}

fn last_head(rows: &Connection) -> Result<Option<Head>, ReadError> {
    one_head(rows, "SELECT log, size, base, root FROM heads ORDER BY log DESC, size DESC LIMIT 1")
}

fn one_head(rows: &Connection, sql: &str) -> Result<Option<Head>, ReadError> {
    let mut found = rows.prepare_cached(sql)?;
    let mut found = found.query([])?;
    let Some(row) = found.next()? else {
        return Ok(None);
    };
    let (size, base) = (number(row, 1)?, number(row, 2)?);
    let root = Hash::from_slice(row.get_ref(3)?.as_blob().unwrap_or_default());
    let next = base.checked_add(size).map(Seq);
    let unreadable = || ReadError::Damaged("a head is not one".into());
    Ok(Some(Head {
        log: row.get(0)?,
        base: Seq(base),
        next: next.ok_or_else(unreadable)?,
        root: root.ok_or_else(unreadable)?,
    }))
}

fn stored(row: &Row<'_>) -> Result<Stored, ReadError> {
    let seq = seq(row, 0)?;
    let leaf = Leaf::from_slice(row.get_ref(1)?.as_blob().unwrap_or_default());
    let statement: Option<Vec<u8>> = row.get(2)?;
    let salt: Option<Vec<u8>> = row.get(3)?;
    let opening = match (statement, salt.as_deref().map(Salt::from_slice)) {
        (Some(statement), Some(Some(salt))) => Some(Opening { statement: statement.into(), salt }),
        (None, None) => None,
        _ => return Err(damaged(seq.0, "has half an opening")),
    };
    Ok(Stored { seq, leaf: leaf.ok_or_else(|| damaged(seq.0, "has no leaf"))?, opening, detail: bytes(row, 4)? })
}

fn damaged(seq: u64, how: &str) -> ReadError {
    ReadError::Damaged(format!("statement {seq} {how}"))
}

fn notice_id(row: &Row<'_>, column: usize, of: Seq) -> Result<NoticeId, ReadError> {
    let id = NoticeId::from_slice(row.get_ref(column)?.as_blob().unwrap_or_default());
    id.ok_or_else(|| damaged(of.0, "accepted a notice without an id"))
}

fn bytes(row: &Row<'_>, column: usize) -> rusqlite::Result<Bytes> {
    row.get::<_, Vec<u8>>(column).map(Bytes::from)
}

fn seq(row: &Row<'_>, column: usize) -> rusqlite::Result<Seq> {
    number(row, column).map(Seq)
}

fn number(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    let number: i64 = row.get(column)?;
    u64::try_from(number).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(column, number))
}
