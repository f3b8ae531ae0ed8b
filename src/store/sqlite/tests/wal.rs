//! What a write-ahead log comes to, on logs that SQLite wrote and somebody changed.

use std::fs;
use std::path::PathBuf;

use crate::store::contract::samples::accepting;
use crate::store::contract::{append, small, writer};
use crate::store::sqlite::wal::{Wal, judge};
use crate::store::sqlite::{SqliteStore, beside};
use crate::store::{ReadError, Store};

const HEADER: usize = 32;
const FRAME: usize = 24 + 4096;

/// A store that was killed after so many commits, none of them copied into the database.
struct Killed {
    _folder: tempfile::TempDir,
    database: PathBuf,
    log: Vec<u8>,
    /// Frames up to the end of each commit.
    ends: Vec<usize>,
}

impl Killed {
    async fn after(commits: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (living, database) = (folder.path().join("living.db"), folder.path().join("killed.db"));
        let store: std::sync::Arc<dyn Store> = std::sync::Arc::new(SqliteStore::open(&living, small()).unwrap());
        let mut writer = writer(&store).await;
        let (mut log, mut ends) = (Vec::new(), Vec::new());
        for seq in 0..commits {
            append(&mut writer, vec![accepting(seq)]).await;
            log = fs::read(beside(&living, "-wal")).unwrap();
            ends.push((log.len() - HEADER) / FRAME);
        }
        for suffix in ["", ".notices"] {
            fs::copy(beside(&living, suffix), beside(&database, suffix)).unwrap();
        }
        Self { _folder: folder, database, log, ends }
    }

    fn judged(&self, log: &[u8]) -> Wal {
        let path = beside(&self.database, "-wal");
        fs::write(&path, log).unwrap();
        judge(&path).unwrap()
    }

    fn with(&self, change: impl FnOnce(&mut Vec<u8>)) -> Wal {
        let mut log = self.log.clone();
        change(&mut log);
        self.judged(&log)
    }

    fn frame(&self, nth: usize) -> usize {
        HEADER + nth * FRAME
    }
}

#[tokio::test]
async fn fault_76_one_bit_in_any_commit_but_the_last_is_damage_and_in_the_last_it_is_cut() {
    let killed = Killed::after(4).await;
    assert_eq!(killed.judged(&killed.log), Wal::Whole { cut: 0 });
    let last = killed.ends[2];
    let frames = killed.ends[3];
    for nth in 0..frames {
        // In each field of the header, and in the page.
        for at in [0, 5, 9, 13, 17, 21, 24, 2_000, FRAME - 1] {
            let found = killed.with(|log| log[killed.frame(nth) + at] ^= 0x10);
            match found {
                Wal::Damaged(how) => {
                    // A frame of the last commit that says to be its last cannot be what a power cut leaves.
                    assert!(nth < last || at == 5, "{nth} {at}: {how}");
                    assert!(how.contains(&format!("frame {nth} ")), "{nth} {at}: {how}");
                }
                Wal::Whole { cut } => {
                    assert!(nth >= last, "a bit at {at} of frame {nth} took back synchronised commits");
                    assert!((1..=(frames - last) as u64).contains(&cut), "{nth} {at}: {cut}");
                }
            }
        }
    }
}

#[tokio::test]
async fn fault_76_a_damaged_header_is_damage_as_long_as_frames_follow_it() {
    let killed = Killed::after(2).await;
    for at in 0..HEADER {
        let found = killed.with(|log| log[at] ^= 1);
        assert!(matches!(found, Wal::Damaged(_)), "byte {at}: {found:?}");
    }
    assert_eq!(killed.with(|log| log.truncate(HEADER)), Wal::Whole { cut: 0 });
    assert_eq!(killed.with(|log| log.truncate(HEADER - 1)), Wal::Whole { cut: 0 });
    assert_eq!(killed.with(Vec::clear), Wal::Whole { cut: 0 });
}

#[tokio::test]
async fn fault_83_an_unfinished_commit_is_counted_and_what_lies_behind_from_an_older_log_is_not() {
    let killed = Killed::after(3).await;
    let (whole, all) = (killed.ends[1], killed.ends[2]);
    for kept in whole..all {
        let found = killed.with(|log| log.truncate(killed.frame(kept) + 100));
        assert_eq!(found, Wal::Whole { cut: (kept - whole) as u64 }, "{kept} frames kept");
    }
    // An older log has other salts, both of them.
    let found = killed.with(|log| {
        for nth in whole..all {
            let at = killed.frame(nth);
            log[at + 8..at + 16].iter_mut().for_each(|byte| *byte ^= 0x5a);
        }
    });
    assert_eq!(found, Wal::Whole { cut: 0 });
}

#[tokio::test]
async fn fault_76_swapped_blocks_of_a_log_are_damage() {
    let killed = Killed::after(6).await;
    let blocks = killed.log.len() / 4096;
    for (one, other) in [(0, 1), (1, 3), (2, blocks - 2)] {
        let found = killed.with(|log| {
            let (low, high) = log.split_at_mut(other * 4096);
            low[one * 4096..][..4096].swap_with_slice(&mut high[..4096]);
        });
        assert!(matches!(found, Wal::Damaged(_)), "{one} and {other}: {found:?}");
    }
}

#[tokio::test]
async fn fault_76_the_damaged_file_is_named_before_anything_is_written() {
    let killed = Killed::after(4).await;
    killed.with(|log| log[killed.frame(0) + 30] ^= 1);
    let store = SqliteStore::open_there(&killed.database, small()).unwrap().expect("there");
    match store.below().await {
        Err(ReadError::Damaged(how)) => assert!(how.contains("killed.db-wal: frame 0 is damaged"), "{how}"),
        other => panic!("{other:?}"),
    }
}
