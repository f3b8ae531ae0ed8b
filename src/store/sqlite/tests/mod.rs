//! What only a file can suffer: other programs, newer programs, full disks, flipped bits, copies that should be gone.

mod crash;
mod locked;
mod names;
mod notices;
mod room;
mod wal;

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use liaison_protocol::id::Seq;
use rusqlite::Connection;
use tempfile::TempDir;

use super::lock::WriterLock;
use super::notices::FILE_BYTES_MIN;
use super::writer::{SqliteWriter, WAL_BYTES, WAL_BYTES_MAX};
use super::{SqliteOptions, SqliteStore, beside, schema};
use crate::store::contract::samples::{accepting, accepting_as, accepting_bytes, batch, name, note, statement};
use crate::store::contract::{append, small, writer};
use crate::store::{CommitError, Erased, ReadError, Store, StoredNotice, WriterError};

struct Disk {
    folder: TempDir,
}

impl Disk {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("store.db")
    }

    fn open(&self) -> Arc<dyn Store> {
        self.open_with(small())
    }

    fn open_with(&self, options: SqliteOptions) -> Arc<dyn Store> {
        Arc::new(SqliteStore::open(&self.path(), options).expect("a store"))
    }

    /// Another program's way to the same file.
    fn tamper(&self, sql: &str) {
        let connection = Connection::open(self.path()).unwrap();
        connection.execute_batch(sql).unwrap();
    }

    fn notice_file(&self) -> PathBuf {
        beside(&self.path(), ".notices")
    }

    /// How often any of these stands in the database, in its WAL or in the notice file.
    fn occurrences(&self, pieces: &HashSet<Piece>) -> usize {
        let files = [self.path(), beside(&self.path(), "-wal"), self.notice_file()];
        let files = files.map(|file| fs::read(file).unwrap());
        let windows = files.iter().flat_map(|file| file.windows(size_of::<Piece>()));
        let text = windows.filter(|window| window[0] != 0);
        text.filter(|window| pieces.contains(*window)).count()
    }

    fn refused(&self) -> WriterError {
        match SqliteStore::open(&self.path(), small()) {
            Ok(_) => panic!("it was opened"),
            Err(error) => error,
        }
    }
}

#[test]
fn the_writers_connection_synchronises_every_commit_and_overwrites_what_it_removes() {
    let disk = Disk::new();
    let store = SqliteStore::open(&disk.path(), small()).unwrap();
    let lock = WriterLock::take(&disk.path()).unwrap();
    let writer = SqliteWriter::take(lock, Arc::clone(&store.shared)).unwrap();
    let set = |pragma| {
        let found =
            writer.connection.pragma_query_value(None, pragma, |row| row.get::<_, rusqlite::types::Value>(0));
        found.unwrap()
    };
    assert_eq!(set("journal_mode"), "wal".to_owned().into());
    for (pragma, value) in [
        ("synchronous", 2),
        ("secure_delete", 1),
        ("wal_autocheckpoint", 0),
        ("mmap_size", 0),
        ("page_size", i64::from(schema::PAGE_BYTES)),
    ] {
        assert_eq!(set(pragma), value.into(), "{pragma}");
    }
}

#[test]
fn fault_93_a_newer_format_is_left_alone() {
    let disk = Disk::new();
    drop(disk.open());
    disk.tamper("PRAGMA user_version = 4");
    assert!(matches!(disk.refused(), WriterError::NewerFormat { found: 4, known: 3 }));
    disk.tamper("PRAGMA user_version = 2");
    assert!(matches!(disk.refused(), WriterError::Damaged(why) if why.contains("before the first release")));
}

#[test]
fn what_is_not_ours_or_not_a_database_is_damage_and_stays_as_it_is() {
    let disk = Disk::new();
    disk.tamper("CREATE TABLE other (a); INSERT INTO other VALUES (1)");
    let others = fs::read(disk.path()).unwrap();
    let text = b"not a database, but long enough to be taken for one".repeat(99);
    for content in [others, text] {
        fs::write(disk.path(), &content).unwrap();
        assert!(matches!(disk.refused(), WriterError::Damaged(_)));
        assert!(fs::read(disk.path()).unwrap() == content);
    }
}

#[tokio::test]
async fn fault_81_a_creation_that_was_interrupted_is_done_again() {
    let disk = Disk::new();
    fs::write(disk.path(), b"").unwrap();
    drop(writer(&disk.open()).await);
    let disk = Disk::new();
    disk.tamper("PRAGMA page_size = 8192; PRAGMA journal_mode = WAL");
    append(&mut writer(&disk.open()).await, vec![accepting(0)]).await;
}

#[tokio::test]
async fn fault_84_a_damaged_statement_is_named_and_the_rest_is_served() {
    let damages = [
        "UPDATE entries SET statement = CAST('statement 1: !' AS BLOB) WHERE seq = 1",
        "UPDATE entries SET salt = NULL WHERE seq = 1",
        "UPDATE entries SET salt = x'00' WHERE seq = 1",
        "UPDATE entries SET leaf = x'' WHERE seq = 1",
        "DELETE FROM entries WHERE seq = 1",
    ];
    for damage in damages {
        let disk = Disk::new();
        let given = batch(None, (0..3).map(accepting).collect());
        writer(&disk.open()).await.commit(&given).await.unwrap();
        disk.tamper(damage);

        let store = disk.open();
        let read = store.entries(Seq(0)..Seq(3), 1 << 20).await;
        let named = |why: &str| why.starts_with("statement 1 ");
        assert!(matches!(&read, Err(ReadError::Damaged(why)) if named(why)), "{damage}: {read:?}");
        for seq in [0, 2] {
            let rest = store.entries(Seq(seq)..Seq(seq + 1), 1).await;
            assert_eq!(rest.unwrap().len(), 1, "{damage}");
        }
    }
}

#[tokio::test]
async fn fault_84_a_head_without_its_statements_takes_no_writer() {
    let disk = Disk::new();
    let given = batch(None, (0..3).map(accepting).collect());
    writer(&disk.open()).await.commit(&given).await.unwrap();
    disk.tamper("DELETE FROM entries WHERE seq = 2");
    let refused = disk.open().writer().await.err();
    assert!(matches!(refused, Some(WriterError::Damaged(_))));
}

#[tokio::test]
async fn names_that_do_not_count_upwards_are_found_all_the_same() {
    let disk = Disk::new();
    let store = disk.open();
    let mut writer = writer(&store).await;
    // One originator's, out of order; each is asked for before it is given, as the sequencer does.
    for (seq, nth) in (0..).zip([9, 3, 6, 12, 0]) {
        assert_eq!(writer.named(&[name(nth)]).await.unwrap(), [None], "{nth}");
        append(&mut writer, vec![accepting_as(seq, name(nth))]).await;
        let known = writer.named(&[name(nth)]).await.unwrap().remove(0);
        assert_eq!(known.map(|known| known.seq), Some(Seq(seq)), "{nth}");
    }
    drop((writer, store));
    let store = disk.open();
    let mut writer = self::writer(&store).await;
    let found = writer.named(&[9, 3, 6, 12, 0, 15].map(name)).await.unwrap();
    let seqs: Vec<_> = found.into_iter().map(|known| known.map(|known| known.seq.0)).collect();
    assert_eq!(seqs, [Some(0), Some(1), Some(2), Some(3), Some(4), None]);
}

#[tokio::test]
async fn fault_73_a_writer_whose_lock_file_was_deleted_is_fenced_by_the_next() {
    let disk = Disk::new();
    let (one, other) = (disk.open(), disk.open());
    let mut first = writer(&one).await;
    append(&mut first, vec![statement(0)]).await;
    fs::remove_file(beside(&disk.path(), ".lock")).unwrap();
    let mut second = writer(&other).await;

    let late = batch(first.head(), vec![statement(1)]);
    for _ in 0..2 {
        let outcome = first.commit(&late).await;
        assert!(matches!(outcome, Err(CommitError::Fenced)), "{outcome:?}");
    }
    append(&mut second, vec![statement(1)]).await;
    assert_eq!(one.entries(Seq(0)..Seq(9), 1 << 20).await.unwrap().len(), 2);
}

#[tokio::test]
async fn what_was_erased_occurs_in_no_file_once_the_next_batch_is_written() {
    let disk = Disk::new();
    let store = disk.open();
    let mut writer = writer(&store).await;
    // Parts from nothing to several pages, in batches, with erasures between them that let pages be used again.
    let parts = |seq: u64| [0, 90, 700, 3000, 9000, 30_000][seq as usize % 6];
    let mut erased = Vec::new();
    for round in 0..12_u64 {
        let seqs = round * 25..(round + 1) * 25;
        let entries = seqs.map(|seq| accepting_bytes(seq, name(seq), parts(seq)));
        let mut batch = batch(writer.head(), entries.collect());
        if round > 0 {
            for nth in 0..20 {
                // Every one of the round before but five, in a disorderly order.
                let seq = (round - 1) * 25 + nth * 7 % 25;
                batch.erased.push(Erased::Parts(Seq(seq)));
                batch.erased.push(Erased::Opening(Seq(seq)));
                erased.push(seq);
            }
        }
        writer.commit(&batch).await.unwrap();
    }
    append(&mut writer, vec![statement(300)]).await;

    let content = |seq: &u64| {
        let entry = accepting_bytes(*seq, name(*seq), parts(*seq));
        let parts = entry.notice.unwrap().parts;
        pieces(&[&parts[..], &entry.opening.statement, &entry.detail])
    };
    let gone: HashSet<_> = erased.iter().flat_map(content).collect();
    assert_eq!(disk.occurrences(&gone), 0, "of {}", gone.len());
    let kept: HashSet<_> = (275..300).flat_map(|seq| content(&seq)).collect();
    assert!(disk.occurrences(&kept) >= kept.len(), "the search finds");
}

/// Pieces of a text, one of which is whole in whatever longer part of the text remains anywhere.
type Piece = [u8; 16];

fn pieces(texts: &[&[u8]]) -> Vec<Piece> {
    let pieces = texts.iter().flat_map(|text| text.as_chunks().0);
    pieces.copied().collect()
}

#[tokio::test]
async fn an_erasure_that_a_reader_still_holds_back_is_finished_after_him() {
    let disk = Disk::new();
    let store = disk.open();
    let mut writer = writer(&store).await;
    append(&mut writer, vec![accepting(0)]).await;
    let parts = pieces(&[&accepting(0).notice.unwrap().parts]);
    let parts = HashSet::from_iter(parts);
    let remains = || disk.occurrences(&parts) > 0;
    let reader = Connection::open(disk.path()).unwrap();
    reader.execute_batch("BEGIN; SELECT * FROM entries").unwrap();
    let mut erasing = batch(writer.head(), Vec::new());
    erasing.erased = vec![Erased::Parts(Seq(0))];
    writer.commit(&erasing).await.unwrap();
    append(&mut writer, vec![statement(1)]).await;
    assert!(remains(), "the reader sees the past");

    reader.execute_batch("COMMIT").unwrap();
    append(&mut writer, vec![statement(2)]).await;
    assert!(!remains());
}

#[tokio::test]
async fn the_wal_is_written_over_again_and_again_and_stays_bounded() {
    let disk = Disk::new();
    let store = disk.open();
    let mut writer = writer(&store).await;
    let wal = || fs::metadata(beside(&disk.path(), "-wal")).unwrap().len();
    let (mut lengths, mut seqs) = (Vec::new(), 0..);
    for _ in 0..4 {
        for seq in seqs.by_ref().take(320) {
            append(&mut writer, vec![accepting_bytes(seq, name(seq), FILE_BYTES_MIN - 4096)]).await;
        }
        lengths.push(wal());
    }
    assert!(lengths[0] > WAL_BYTES / 2 && lengths[3] < WAL_BYTES * 5 / 4, "{lengths:?}");

    // A reader keeps it from being begun anew, and then it is cut.
    let reader = Connection::open(disk.path()).unwrap();
    reader.execute_batch("BEGIN; SELECT * FROM entries").unwrap();
    for seq in seqs.by_ref().take(640) {
        append(&mut writer, vec![accepting_bytes(seq, name(seq), FILE_BYTES_MIN - 4096)]).await;
    }
    assert!(wal() > WAL_BYTES_MAX);
    reader.execute_batch("COMMIT").unwrap();
    append(&mut writer, vec![statement(seqs.start)]).await;
    assert!(wal() < WAL_BYTES / 2, "{}", wal());
}

#[tokio::test]
async fn a_store_that_was_closed_is_its_database_and_its_notice_file() {
    let disk = Disk::new();
    let store = disk.open();
    let mut writer = writer(&store).await;
    let mut given = append(&mut writer, vec![accepting(0)]).await;
    given.notes = vec![note(&given.head)];
    (given.first, given.entries) = (Seq(1), Vec::new());
    writer.commit(&given).await.unwrap();
    drop((writer, store));

    let copy = Disk::new();
    fs::copy(disk.path(), copy.path()).unwrap();
    fs::copy(disk.notice_file(), copy.notice_file()).unwrap();
    let store = copy.open();
    assert_eq!(*store.noted().borrow(), Some(given.head));
    assert_eq!(self::writer(&store).await.head(), Some(&given.head));
}

#[tokio::test]
async fn more_readers_than_the_queue_holds_are_all_answered() {
    let disk = Disk::new();
    let store = disk.open();
    append(&mut writer(&store).await, (0..9).map(accepting).collect()).await;
    let asked = [Seq(3), Seq(5)];
    let reads = (0..500).map(|_| store.notices(&asked, usize::MAX));
    for read in futures_util::future::join_all(reads).await {
        let ids = read.unwrap().into_iter().flatten();
        let expected = [3, 5].map(|seq| accepting(seq).notice.unwrap().id);
        assert_eq!(ids.map(|StoredNotice { id, .. }| id).collect::<Vec<_>>(), expected);
    }
}

#[cfg(unix)]
#[tokio::test]
async fn nobody_but_the_owner_may_read_any_of_the_files() {
    use std::os::unix::fs::PermissionsExt as _;
    let disk = Disk::new();
    let store = disk.open();
    let mut writer = writer(&store).await;
    append(&mut writer, vec![accepting(0)]).await;
    writer.room().await;
    let folder: &Path = disk.folder.path();
    let files: Vec<_> = fs::read_dir(folder).unwrap().map(Result::unwrap).collect();
    assert_eq!(files.len(), 6, "database, WAL, its index, notices, lock, reserve");
    for file in files {
        let mode = file.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{:?}", file.path());
    }
}
