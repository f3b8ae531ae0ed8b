//! Notices of large batches, in a file of their own.

use std::io::Write as _;

use super::*;
use crate::store::NewEntry;

/// Enough for the notice file.
fn large(from: u64, count: u64) -> Vec<NewEntry> {
    let bytes = FILE_BYTES_MIN / count as usize + 1;
    (from..from + count).map(|seq| accepting_bytes(seq, name(seq), bytes)).collect()
}

async fn assert_there(store: &Arc<dyn Store>, given: &[NewEntry], from: u64) {
    let seqs: Vec<_> = (from..from + given.len() as u64).map(Seq).collect();
    let found = store.notices(&seqs, usize::MAX).await.expect("reads");
    for (found, given) in found.into_iter().zip(given) {
        let (found, given) = (found.expect("there"), given.notice.as_ref().expect("accepting"));
        assert_eq!(found.id, given.id);
        assert_eq!(found.envelope, given.envelope);
        assert_eq!(found.parts.as_ref(), Some(&given.parts));
    }
}

#[tokio::test]
async fn notices_of_small_and_large_batches_are_read_as_they_came() {
    let disk = Disk::new();
    let store = disk.open();
    let mut writer = writer(&store).await;
    let batches = [vec![accepting(0)], large(1, 3), vec![accepting(4), statement(5)], large(6, 40)];
    for batch in &batches {
        append(&mut writer, batch.clone()).await;
    }
    let file = fs::metadata(disk.notice_file()).unwrap().len();
    assert!((2 * FILE_BYTES_MIN as u64..2 * FILE_BYTES_MIN as u64 + 20_000).contains(&file), "{file}: once each");
    let given = batches.concat();
    let accepting = |from: usize, to: usize| (from as u64, given[from..to].to_vec());
    for (from, given) in [accepting(0, 5), accepting(6, 46)] {
        assert_there(&store, &given, from).await;
    }
    drop((writer, store));
    let store = disk.open();
    assert_there(&store, &batches[3], 6).await;
    assert_eq!(store.notices(&[Seq(5)], usize::MAX).await.unwrap(), [None]);
}

#[tokio::test]
async fn fault_81_what_a_crash_left_behind_the_history_is_cut_off_by_the_first_commit() {
    let disk = Disk::new();
    let first = large(0, 3);
    append(&mut writer(&disk.open()).await, first.clone()).await;
    let left = b"a notice that nobody was told of";
    let mut file = fs::File::options().append(true).open(disk.notice_file()).unwrap();
    file.write_all(left).unwrap();
    let pieces = HashSet::from_iter(pieces(&[left]));

    let store = disk.open();
    let mut writer = writer(&store).await;
    assert_eq!(disk.occurrences(&pieces), 2, "a start that may yet be refused changes nothing");
    append(&mut writer, vec![statement(3)]).await;
    assert_eq!(disk.occurrences(&pieces), 0);
    append(&mut writer, large(4, 3)).await;
    assert_there(&store, &first, 0).await;
    assert_there(&store, &large(4, 3), 4).await;
}

#[tokio::test]
async fn fault_84_a_notice_file_that_lacks_something_takes_no_writer_and_is_named_by_readers() {
    let disk = Disk::new();
    append(&mut writer(&disk.open()).await, large(0, 3)).await;
    let file = fs::File::options().write(true).open(disk.notice_file()).unwrap();
    file.set_len(FILE_BYTES_MIN as u64 - 1).unwrap();
    let store = disk.open();
    let refused = store.writer().await.err();
    assert!(matches!(&refused, Some(WriterError::Damaged(why)) if why.contains("restore both")), "{refused:?}");
    assert!(store.notices(&[Seq(0)], usize::MAX).await.is_ok(), "the rest is served");
    let read = store.notices(&[Seq(2)], usize::MAX).await;
    assert!(matches!(&read, Err(ReadError::Damaged(why)) if why.starts_with("statement 2 ")), "{read:?}");
}

#[tokio::test]
async fn fault_86_a_large_batch_without_room_leaves_nothing_in_the_notice_file() {
    let disk = Disk::new();
    let store = disk.open_with(SqliteOptions { pages_max: Some(40), ..small() });
    let mut writer = writer(&store).await;
    append(&mut writer, large(0, 3)).await;
    let before = fs::metadata(disk.notice_file()).unwrap().len();
    let head = *writer.head().unwrap();
    // There is room for these notices in their file, and none in the database for so many other things.
    let mut without = large(3, 3);
    without.extend((6..4_000).map(statement));
    let outcome = writer.commit(&batch(Some(&head), without)).await;
    assert!(matches!(outcome, Err(CommitError::NoRoom)), "{outcome:?}");
    let length = || fs::metadata(disk.notice_file()).unwrap().len();
    append(&mut writer, vec![statement(3)]).await;
    assert_eq!(length(), before, "what the batch left took room that others need");
    append(&mut writer, large(4, 3)).await;
    assert_there(&store, &large(4, 3), 4).await;
    assert_eq!(length(), 2 * before);
}

#[tokio::test]
async fn fault_73_a_fenced_writer_touches_no_notice_of_the_one_that_succeeded_it() {
    for fresh in [true, false] {
        let disk = Disk::new();
        let (one, other) = (disk.open(), disk.open());
        let mut first = writer(&one).await;
        if !fresh {
            append(&mut first, vec![statement(0)]).await;
        }
        let from = u64::from(!fresh);
        fs::remove_file(beside(&disk.path(), ".lock")).unwrap();
        let mut second = writer(&other).await;
        append(&mut second, large(from, 3)).await;

        let late =
            batch(first.head(), (0..3).map(|nth| accepting_bytes(from + nth, name(900 + nth), 40_000)).collect());
        for late in [batch(first.head(), vec![statement(from)]), late] {
            let outcome = first.commit(&late).await;
            assert!(matches!(outcome, Err(CommitError::Fenced)), "{outcome:?}");
        }
        assert_there(&other, &large(from, 3), from).await;
    }
}

#[tokio::test]
async fn erased_parts_in_the_notice_file_are_overwritten_also_after_a_crash() {
    let disk = Disk::new();
    let store = disk.open();
    let mut writer = writer(&store).await;
    let given = large(0, 3);
    append(&mut writer, given.clone()).await;
    let parts = |nth: usize| HashSet::from_iter(pieces(&[&given[nth].notice.as_ref().unwrap().parts]));
    let mut erasing = batch(writer.head(), Vec::new());
    erasing.erased = vec![Erased::Parts(Seq(1))];
    writer.commit(&erasing).await.unwrap();
    let found = store.notices(&[Seq(1)], usize::MAX).await.unwrap().remove(0).expect("the envelope stays");
    assert_eq!((found.envelope, found.parts), (given[1].notice.as_ref().unwrap().envelope.clone(), None));
    assert!(disk.occurrences(&parts(1)) > 0, "not overwritten yet");
    // The process ends here, with no chance to finish anything.
    let copy = Disk::new();
    fs::copy(disk.path(), copy.path()).unwrap();
    fs::copy(disk.notice_file(), copy.notice_file()).unwrap();
    fs::copy(beside(&disk.path(), "-wal"), beside(&copy.path(), "-wal")).unwrap();

    let store = copy.open();
    let writer = self::writer(&store).await;
    assert_eq!(copy.occurrences(&parts(1)), 0);
    assert!(copy.occurrences(&parts(2)) > 0 && copy.occurrences(&parts(0)) > 0, "its neighbours stay");
    drop(writer);
}

#[tokio::test]
async fn a_database_without_its_notice_file_is_not_opened() {
    let disk = Disk::new();
    drop(disk.open());
    fs::remove_file(disk.notice_file()).unwrap();
    let refused = disk.refused();
    assert!(matches!(&refused, WriterError::Damaged(why) if why.contains("one backup")), "{refused:?}");
}
