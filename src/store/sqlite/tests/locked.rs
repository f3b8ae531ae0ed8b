//! Other programs' locks, and a store that was copied with SQLite's own tools.

use crate::store::sqlite::lock::WriterLock;
use std::fs;
use std::sync::Arc;

use rusqlite::Connection;

use super::Disk;
use crate::store::contract::samples::{accepting, batch, statement};
use crate::store::contract::{append, small, writer};
use crate::store::sqlite::writer::SqliteWriter;
use crate::store::sqlite::{SqliteStore, beside};
use crate::store::{CommitError, Erased, WriterError};
use liaison_protocol::id::Seq;

/// Another program on the same file, in the middle of what it was told.
fn holder(disk: &Disk, sql: &str) -> Connection {
    let connection = Connection::open(disk.path()).unwrap();
    connection.execute_batch(sql).unwrap();
    connection
}

#[tokio::test]
async fn fault_89_a_commit_under_another_programs_lock_writes_nothing_and_the_same_batch_fits_after_it() {
    for lock in ["BEGIN IMMEDIATE", "BEGIN EXCLUSIVE", "BEGIN IMMEDIATE; DELETE FROM heads"] {
        let disk = Disk::new();
        let store = disk.open();
        let mut ours = writer(&store).await;
        append(&mut ours, vec![accepting(0)]).await;
        // An erasure empties the WAL before the next batch, which the lock prevents, too.
        let mut next = batch(ours.head(), vec![accepting(1)]);
        next.erased = vec![Erased::Parts(Seq(0))];
        ours.commit(&next).await.unwrap();
        let head = *ours.head().unwrap();
        let other = holder(&disk, lock);
        let next = batch(Some(&head), vec![accepting(2)]);
        let outcome = ours.commit(&next).await;
        assert!(matches!(outcome, Err(CommitError::Unavailable(_))), "{lock}: {outcome:?}");
        assert_eq!(ours.head(), Some(&head));
        // What is stored is served meanwhile, names are known, and nobody gets a writer.
        assert_eq!(store.entries(Seq(0)..Seq(9), 1 << 20).await.unwrap().len(), 2);
        assert!(ours.named(&[crate::store::contract::samples::name(1)]).await.unwrap()[0].is_some());
        drop(ours);
        for _ in 0..2 {
            let refused = store.writer().await.err();
            assert!(matches!(refused, Some(WriterError::Busy(_))), "{lock}: {refused:?}");
        }
        drop(other);
        let mut ours = writer(&store).await;
        assert_eq!(ours.head(), Some(&head), "{lock}");
        ours.commit(&next).await.unwrap();
    }
}

#[tokio::test]
async fn fault_89_a_node_that_stops_or_starts_beside_another_program_loses_nothing() {
    let disk = Disk::new();
    let store = disk.open();
    let mut ours = writer(&store).await;
    append(&mut ours, vec![accepting(0)]).await;
    // One reads the past, one is about to write: neither lets the WAL be emptied.
    let reader = holder(&disk, "BEGIN; SELECT count(*) FROM entries");
    let other = holder(&disk, "BEGIN IMMEDIATE");
    drop((ours, store));
    let store = disk.open();
    assert!(matches!(store.writer().await, Err(WriterError::Busy(_))));
    drop(other);
    let mut ours = writer(&store).await;
    append(&mut ours, vec![statement(1)]).await;
    drop(reader);
    append(&mut ours, vec![statement(2)]).await;
}

#[tokio::test]
async fn fault_89_a_tool_that_keeps_the_whole_file_to_itself_is_told_from_a_broken_disk() {
    let disk = Disk::new();
    append(&mut writer(&disk.open()).await, vec![accepting(0)]).await;
    let other = holder(&disk, "PRAGMA locking_mode = EXCLUSIVE; BEGIN IMMEDIATE; DELETE FROM wipes");
    assert!(matches!(disk.refused(), WriterError::Busy(_)));
    drop(other);
    let store = disk.open();
    append(&mut writer(&store).await, vec![statement(1)]).await;
}

#[tokio::test]
async fn fault_73_another_nodes_lock_is_told_from_another_programs() {
    let disk = Disk::new();
    let (one, other) = (disk.open(), disk.open());
    let _writer = writer(&one).await;
    let _locked = holder(&disk, "BEGIN IMMEDIATE");
    assert!(matches!(other.writer().await, Err(WriterError::Held(_))));
}

/// Puts a copy by `VACUUM INTO` in the place of the store.
fn vacuumed(disk: &Disk) {
    let copy = beside(&disk.path(), ".copy");
    let connection = Connection::open(disk.path()).unwrap();
    connection.execute("VACUUM INTO ?1", [copy.to_str().unwrap()]).unwrap();
    drop(connection);
    for suffix in ["-wal", "-shm"] {
        let _ = fs::remove_file(beside(&disk.path(), suffix));
    }
    fs::rename(copy, disk.path()).unwrap();
}

fn journal_mode(disk: &Disk) -> String {
    let connection = Connection::open(disk.path()).unwrap();
    connection.query_row("PRAGMA journal_mode", [], |row| row.get(0)).unwrap()
}

#[tokio::test]
async fn a_copy_that_keeps_a_rollback_journal_is_set_to_wal_before_anything_is_written() {
    type Copied = fn(&Disk);
    let rows: [(&str, Copied); 4] = [
        ("delete", vacuumed),
        ("delete", |disk| disk.tamper("PRAGMA journal_mode = DELETE")),
        ("delete", |disk| disk.tamper("PRAGMA journal_mode = PERSIST")),
        ("delete", |disk| disk.tamper("PRAGMA journal_mode = TRUNCATE")),
    ];
    for (mode, copied) in rows {
        let disk = Disk::new();
        append(&mut writer(&disk.open()).await, (0..3).map(accepting).collect()).await;
        copied(&disk);
        assert_eq!(journal_mode(&disk), mode);
        // Reading changes nothing.
        drop(SqliteStore::look(&disk.path()).unwrap().unwrap());
        assert_eq!(journal_mode(&disk), mode);
        let store = SqliteStore::open(&disk.path(), small()).unwrap();
        let taken =
            SqliteWriter::take(WriterLock::take(&store.shared.path).unwrap(), Arc::clone(&store.shared)).unwrap();
        let found: String = taken.connection.pragma_query_value(None, "journal_mode", |row| row.get(0)).unwrap();
        assert_eq!(found, "wal");
        drop((taken, store));
        assert_eq!(journal_mode(&disk), "wal");
        let store = disk.open();
        append(&mut writer(&store).await, vec![statement(3)]).await;
        assert_eq!(store.entries(Seq(0)..Seq(9), 1 << 20).await.unwrap().len(), 4);
    }
}

#[tokio::test]
async fn fault_89_a_copy_that_somebody_reads_is_waited_for_before_its_mode_is_set() {
    for lock in ["BEGIN; SELECT count(*) FROM entries", "BEGIN IMMEDIATE", "BEGIN EXCLUSIVE"] {
        let disk = Disk::new();
        append(&mut writer(&disk.open()).await, vec![accepting(0)]).await;
        vacuumed(&disk);
        let other = holder(&disk, lock);
        let busy = match SqliteStore::open(&disk.path(), small()) {
            Ok(store) => {
                let lock = WriterLock::take(&store.shared.path).unwrap();
                SqliteWriter::take(lock, Arc::clone(&store.shared)).err()
            }
            Err(error) => Some(error),
        };
        assert!(matches!(busy, Some(WriterError::Busy(_))), "{lock}: {busy:?}");
        drop(other);
        append(&mut writer(&disk.open()).await, vec![statement(1)]).await;
        assert_eq!(journal_mode(&disk), "wal");
    }
}
