//! A disk without room: what is kept for it, what is asked, and what a batch leaves that finds none.

use std::fs;
use std::io::{self, ErrorKind, Read as _};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use liaison_protocol::id::Seq;

use super::Disk as Folder;
use crate::store::contract::samples::{accepting, accepting_bytes, batch, name, statement};
use crate::store::contract::{append, small, writer};
use crate::store::sqlite::reserve::{RESERVE_BYTES, START_BYTES};
use crate::store::sqlite::room::MARGIN_BYTES;
use crate::store::sqlite::{Disk, SqliteOptions, beside, schema};
use crate::store::{CommitError, Room};

/// A disk that has so many bytes free, whatever the reserve takes of it or gives back.
fn disk(free: &Arc<AtomicU64>, kind: ErrorKind) -> Disk {
    let free = free.clone();
    Disk::asked(move |_: &Path, bytes: u64| match bytes <= free.load(Relaxed) {
        true => Ok(()),
        false => Err(io::Error::from(kind)),
    })
}

#[tokio::test]
async fn fault_86_a_batch_without_room_leaves_nothing_and_a_smaller_one_fits() {
    let folder = Folder::new();
    let full = SqliteOptions { pages_max: Some(40), ..small() };
    let store = folder.open_with(full);
    let mut writer = writer(&store).await;
    append(&mut writer, vec![accepting(0)]).await;
    let head = *writer.head().unwrap();
    let page = schema::PAGE_BYTES as usize;
    let large = vec![statement(1), accepting_bytes(2, name(2), 50 * page)];
    let large = batch(Some(&head), large);

    for _ in 0..2 {
        let outcome = writer.commit(&large).await;
        assert!(matches!(outcome, Err(CommitError::NoRoom)), "{outcome:?}");
        assert_eq!(writer.head(), Some(&head));
        assert_eq!(writer.named(&[name(2)]).await.unwrap(), [None]);
        let read = store.entries(Seq(1)..Seq(9), 1).await.unwrap();
        assert_eq!(read, []);
    }
    append(&mut writer, vec![statement(1)]).await;
    drop((writer, store));
    let space_has_returned = folder.open();
    let mut writer = self::writer(&space_has_returned).await;
    assert_eq!(writer.head().map(|head| head.next), Some(Seq(2)));
    append(&mut writer, vec![accepting_bytes(2, name(2), 50 * page)]).await;
}

#[tokio::test]
async fn fault_86_the_reserve_holds_real_room_and_the_wal_gets_it_first() {
    let folder = Folder::new();
    let store = folder.open_with(SqliteOptions::default());
    let file = beside(&folder.path(), ".reserve");
    let mut writer = writer(&store).await;
    assert_eq!(writer.room().await, Room::Enough);
    let content = fs::read(&file).unwrap();
    assert_eq!(content.len() as u64, RESERVE_BYTES);
    assert!(content.iter().filter(|byte| **byte == 0).count() < content.len() / 100);
    append(&mut writer, vec![accepting(0)]).await;
    let wal = || fs::metadata(beside(&folder.path(), "-wal")).unwrap().len();
    assert!(wal() > 0);

    assert!(writer.free_reserve().await);
    assert_eq!(fs::metadata(&file).unwrap().len(), START_BYTES, "a start may need some of it");
    assert_eq!(wal(), 0, "what waited for room has found it");
    assert!(!writer.free_reserve().await, "and gets none of what a start may need");
}

#[tokio::test]
async fn fault_86_room_for_the_reserve_and_a_margin_is_asked_for_and_both_are_there_then() {
    for kind in [ErrorKind::StorageFull, ErrorKind::QuotaExceeded, ErrorKind::PermissionDenied] {
        let folder = Folder::new();
        let free = Arc::new(AtomicU64::new(0));
        let options = SqliteOptions { disk: disk(&free, kind), ..SqliteOptions::default() };
        let store = folder.open_with(options);
        let reserve = || fs::metadata(beside(&folder.path(), ".reserve")).map_or(0, |file| file.len());
        let mut writer = writer(&store).await;
        // (free, found, the reserve then)
        let rows = [
            (0, Room::NoReserve, 0),
            (RESERVE_BYTES, Room::NoReserve, 0),
            (RESERVE_BYTES + MARGIN_BYTES - 1, Room::NoReserve, 0),
            (RESERVE_BYTES + MARGIN_BYTES, Room::Enough, RESERVE_BYTES),
            (MARGIN_BYTES, Room::Enough, RESERVE_BYTES),
            (MARGIN_BYTES - 1, Room::ReserveOnly, RESERVE_BYTES),
        ];
        for (bytes, found, kept) in rows {
            free.store(bytes, Relaxed);
            assert_eq!(writer.room().await, found, "{bytes} free");
            assert_eq!(reserve(), kept, "{bytes} free");
        }
        assert!(writer.free_reserve().await);
        for (bytes, found) in [
            (RESERVE_BYTES, Room::NoReserve),
            (RESERVE_BYTES + MARGIN_BYTES - 1, Room::NoReserve),
            (RESERVE_BYTES + MARGIN_BYTES, Room::Enough),
        ] {
            free.store(bytes, Relaxed);
            assert_eq!(writer.room().await, found, "{bytes} free, after it was given up");
        }
        // One that somebody has deleted or cut is made again.
        fs::remove_file(beside(&folder.path(), ".reserve")).unwrap();
        assert_eq!((writer.room().await, reserve()), (Room::Enough, RESERVE_BYTES));
        fs::write(beside(&folder.path(), ".reserve"), b"cut").unwrap();
        assert_eq!((writer.room().await, reserve()), (Room::Enough, RESERVE_BYTES));
    }
}

#[tokio::test]
async fn fault_86_a_reserve_that_finds_no_room_after_all_leaves_nothing_of_itself() {
    let folder = Folder::new();
    let store = folder.open_with(SqliteOptions { reserve_bytes: 1 << 20, ..small() });
    let mut writer = writer(&store).await;
    let reserve = beside(&folder.path(), ".reserve");
    std::os::unix::fs::symlink("/dev/full", &reserve).unwrap();
    assert_eq!(writer.room().await, Room::NoReserve);
    assert!(!reserve.exists());
    assert_eq!(writer.room().await, Room::Enough);
}

#[tokio::test]
async fn fault_86_where_no_reserve_is_wanted_a_full_disk_stops_recipients_too_and_that_is_said() {
    let folder = Folder::new();
    let free = Arc::new(AtomicU64::new(0));
    let options = SqliteOptions { reserve_bytes: 0, disk: disk(&free, ErrorKind::StorageFull), ..small() };
    let store = folder.open_with(options);
    let mut writer = writer(&store).await;
    assert_eq!(writer.room().await, Room::NoReserve);
    assert!(!writer.free_reserve().await);
    free.store(1 << 20, Relaxed);
    assert_eq!(writer.room().await, Room::Enough);
}

#[tokio::test]
async fn fault_86_what_an_operator_allots_is_room_as_a_disk_is() {
    let folder = Folder::new();
    let page = schema::PAGE_BYTES as usize;
    let store = folder.open_with(SqliteOptions { pages_max: Some(60), margin_bytes: 10 * page as u64, ..small() });
    let mut writer = writer(&store).await;
    assert_eq!(writer.room().await, Room::Enough);
    // In the notice file the first just leaves the margin, and the second does not.
    append(&mut writer, vec![accepting_bytes(0, name(0), 30 * page)]).await;
    assert_eq!(writer.room().await, Room::Enough);
    append(&mut writer, vec![accepting_bytes(1, name(1), 21 * page), accepting_bytes(2, name(2), page)]).await;
    assert_eq!(writer.room().await, Room::ReserveOnly);
    assert!(writer.free_reserve().await);
    assert_eq!(writer.room().await, Room::NoReserve);
}

/// The room of a disk that is really full, which only root can make: `mount -t tmpfs -o size=3m tmpfs DIR`, then with
/// `LIAISON_TEST_SMALL_DISK=DIR`.
#[allow(clippy::disallowed_methods, reason = "where a small disk is, the environment says")]
#[tokio::test]
async fn fault_86_a_start_on_a_disk_that_is_full_to_the_last_byte_finds_its_room_in_the_reserve() {
    let Some(place) = std::env::var_os("LIAISON_TEST_SMALL_DISK") else { return };
    let path = Path::new(&place).join("store.db");
    let options = SqliteOptions { reserve_bytes: START_BYTES + (1 << 20), margin_bytes: 64 << 10, ..small() };
    let open = || Arc::new(crate::store::sqlite::SqliteStore::open(&path, options.clone()).expect("a store"));
    let store: Arc<dyn crate::store::Store> = open();
    let mut first = writer(&store).await;
    assert_eq!(first.room().await, Room::Enough);
    append(&mut first, vec![accepting(0)]).await;
    drop((first, store));
    // Twice: the second finds only what the first has left.
    for round in 0..2 {
        fs::remove_file(beside(&path, "-shm")).unwrap();
        let filler = fs::File::create(Path::new(&place).join(format!("filler-{round}"))).unwrap();
        while io::copy(&mut io::repeat(7).take(512), &mut &filler).is_ok() {}
        let store: Arc<dyn crate::store::Store> = open();
        let mut writer = writer(&store).await;
        assert_eq!(writer.room().await, Room::NoReserve);
        append(&mut writer, vec![statement(1 + round)]).await;
    }
}
