//! Real deaths: a child process writes to a file and is killed, or its disk breaks under it. What it acknowledged must be there
//! whole, what it did not must be there whole or not at all, and the next writer must go on without anybody's help.

use std::ffi::OsString;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use liaison_protocol::id::{Hash, Seq};
use liaison_protocol::tlog::tile::TileId;
use rusqlite::Connection;

use crate::store::contract::random::everything;
use crate::store::contract::samples::{about, accepting_bytes, batch, name, note, set};
use crate::store::contract::{small, writer};
use crate::store::memory::MemoryStore;
use crate::store::sqlite::notices::FILE_BYTES_MIN;
use crate::store::sqlite::{SqliteStore, beside};
use crate::store::{Batch, CommitError, Erased, Head, Store, Writer};

/// Tells the child where to write; without it the child is a test that does nothing.
const PLACE: &str = "LIAISON_TEST_CRASH_PLACE";
/// What the child says before the number of statements that were acknowledged.
const ACKNOWLEDGED: &str = "acknowledged ";
/// Deaths of one database.
const KILLS: u64 = 24;

/// The one batch that follows a head: the child writes it, the parent knows it.
fn next(head: Option<&Head>) -> Batch {
    let first = head.map_or(0, |head| head.next.0);
    let accepts = |seq: u64| seq == 0 || !seq.is_multiple_of(3);
    // Some fill the notice file too.
    let parts = if first.is_multiple_of(4) { FILE_BYTES_MIN } else { 200 };
    let entries = (first..first + 1 + first % 7).map(|seq| match accepts(seq) {
        true => accepting_bytes(seq, name(seq), parts),
        false => about(seq, &[seq / 2, seq - 1]),
    });
    let mut batch = batch(head, entries.collect());
    batch.sets = vec![set(first % 5)];
    batch.tiles = vec![(TileId::Entries { index: first }, "a bundle".into())];
    batch.notes = head.map(note).into_iter().collect();
    if let Some(last) = first.checked_sub(1).filter(|last| last.is_multiple_of(2)) {
        // An erasure also empties the WAL before the next batch, so that deaths fall into that, too.
        batch.erased.push(Erased::Opening(Seq(last)));
        if accepts(last) {
            batch.erased.push(Erased::Parts(Seq(last)));
        }
    }
    batch
}

#[allow(clippy::disallowed_methods, reason = "how a test speaks to its child")]
fn place() -> Option<PathBuf> {
    std::env::var_os(PLACE).map(PathBuf::from)
}

/// Not a test of its own: what the children run. It writes until it dies, or until the disk does.
#[tokio::test]
async fn child() {
    let Some(path) = place() else { return };
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(&path, small()).expect("a store"));
    let mut writer = writer(&store).await;
    loop {
        let batch = next(writer.head());
        match writer.commit(&batch).await {
            Ok(()) => println!("{ACKNOWLEDGED}{}", batch.head.next.0),
            Err(error) => return after_failure(&store, writer, &batch, error).await,
        }
    }
}

/// A disk that failed once is never tried again, not by this writer and not by another.
async fn after_failure(store: &Arc<dyn Store>, mut writer: Box<dyn Writer>, batch: &Batch, error: CommitError) {
    assert!(matches!(error, CommitError::Fatal(_)), "{error}");
    let again = writer.commit(batch).await;
    assert!(matches!(again, Err(CommitError::Fatal(_))), "{again:?}");
    drop(writer);
    assert!(store.writer().await.is_err(), "no writer on a failed disk");
    println!("failed once and for all");
}

fn child_at(path: &Path, limits: &str) -> Child {
    let (_, module) = module_path!().split_once("::").expect("a crate");
    let program = std::env::current_exe().expect("this test");
    let script: OsString = format!("{limits} exec \"$0\" \"$@\"").into();
    Command::new("sh")
        .arg("-c")
        .arg(script)
        .arg(program)
        .arg(format!("{module}::child"))
        .args(["--exact", "--nocapture", "--test-threads=1"])
        .env(PLACE, path)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("a child")
}

/// The highest number in whole lines that a child has said.
fn acknowledged(said: &str) -> u64 {
    let whole = said.rsplit_once('\n').map_or("", |(whole, _)| whole);
    let mut numbers = whole.lines().rev().filter_map(|line| {
        let (_, number) = line.rsplit_once(ACKNOWLEDGED)?;
        number.parse().ok()
    });
    numbers.next().unwrap_or(0)
}

/// A life that ends at a moment nobody chose: some before the first commit, some in the middle of things.
#[allow(clippy::disallowed_methods, reason = "the moment of death is drawn, not waited for")]
fn live_and_be_killed(path: &Path, round: u64) -> u64 {
    let mut child = child_at(path, "");
    let mut said = String::new();
    let mut out = BufReader::new(child.stdout.take().expect("a pipe"));
    let draw = Hash::of(&[b"moment", &round.to_be_bytes()]).0;
    for _ in 0..draw[0] % 8 {
        out.read_line(&mut said).expect("a line");
    }
    std::thread::sleep(Duration::from_micros(u64::from(u16::from_be_bytes([draw[1], draw[2]])) / 2));
    child.kill().expect("it lives until it is killed");
    child.wait().expect("it is dead");
    out.read_to_string(&mut said).expect("the rest");
    acknowledged(&said)
}

/// What the file should hold, kept in memory, and how much of it was compared.
struct Model {
    store: Arc<dyn Store>,
    head: Option<Head>,
}

impl Model {
    fn new() -> Self {
        Self { store: Arc::new(MemoryStore::new()), head: None }
    }

    /// Brings the model to the file's head, which must lie between two batches, and compares what came since the last time.
    async fn must_equal(&mut self, path: &Path, at_least: u64) {
        let store: Arc<dyn Store> = Arc::new(SqliteStore::open(path, small()).expect("a store"));
        let writer = writer(&store).await;
        let found = writer.head().copied();
        let before = self.head.map_or(0, |head| head.next.0);
        let until = found.map_or(0, |head| head.next.0);
        assert!(until >= at_least, "{at_least} acknowledged, {until} there");
        let mut model = self::writer(&self.store).await;
        while model.head().map_or(0, |head| head.next.0) < until {
            let batch = next(model.head());
            model.commit(&batch).await.expect("the model is sound");
        }
        self.head = model.head().copied();
        assert_eq!(self.head, found, "a head between two batches");
        // The batch before may have lost an opening since.
        let part = before.saturating_sub(8)..until + 2;
        let expected = everything(&self.store, part.clone()).await;
        assert_eq!(everything(&store, part).await, expected);
        self.nothing_beyond(path);
    }

    fn nothing_beyond(&self, path: &Path) {
        let until = self.head.map_or(0, |head| head.next.0 as i64);
        let connection = Connection::open(path).unwrap();
        let value = |sql: &str| {
            let value = connection.query_row(sql, [], |row| row.get::<_, i64>(0));
            value.unwrap()
        };
        for table in ["entries", "notices", "names", "about"] {
            let sql = format!("SELECT coalesce(max(seq), -1) FROM {table}");
            assert!(value(&sql) < until, "{table}");
        }
        assert_eq!(value("SELECT count(*) FROM heads"), value("SELECT count(*) FROM tiles"), "one bundle a batch");
        let sound: String = connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!(sound, "ok");
    }
}

#[tokio::test]
async fn fault_71_and_81_a_killed_node_keeps_every_acknowledged_batch_and_no_half_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let mut model = Model::new();
    let mut total = 0;
    for round in 0..KILLS {
        total = live_and_be_killed(&path, round).max(total);
        model.must_equal(&path, total).await;
    }
    assert!(total > KILLS, "the children did write: {total}");
}

#[tokio::test]
async fn fault_83_a_torn_end_of_the_wal_is_cut_back_to_a_whole_batch() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(&path, small()).unwrap());
    let mut writer = writer(&store).await;
    for _ in 0..12 {
        let batch = next(writer.head());
        writer.commit(&batch).await.unwrap();
        let wal = fs::read(beside(&path, "-wal")).unwrap();
        for cut in [1, wal.len() / 3, wal.len() / 2, wal.len() - 1] {
            let copy = folder.path().join("copy.db");
            fs::copy(&path, &copy).unwrap();
            fs::write(beside(&copy, "-wal"), &wal[..cut]).unwrap();
            fs::copy(beside(&path, ".notices"), beside(&copy, ".notices")).unwrap();
            Model::new().must_equal(&copy, 0).await;
            fs::remove_file(beside(&copy, "-shm")).unwrap();
        }
    }
}

/// A file size limit whose signal is ignored makes a write fail as a broken disk does, after a short write.
#[cfg(unix)]
#[tokio::test]
async fn fault_85_and_87_after_a_failed_write_nothing_more_is_acknowledged() {
    for blocks in [300, 500, 700] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.db");
        let child = child_at(&path, &format!("trap '' XFSZ; ulimit -f {blocks};"));
        let ended = child.wait_with_output().expect("it ends by itself");
        let said = String::from_utf8_lossy(&ended.stdout);
        let complaint = String::from_utf8_lossy(&ended.stderr);
        assert!(ended.status.success(), "{complaint}");
        assert!(said.contains("failed once and for all"), "{said}");

        let mut model = Model::new();
        model.must_equal(&path, acknowledged(&said).max(1)).await;
    }
}
