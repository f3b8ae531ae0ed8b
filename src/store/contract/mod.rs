//! The contract of `store/mod.rs`, one story a clause, told to every implementation.

mod erasing;
mod noting;
pub(super) mod random;
mod reading;
pub(super) mod samples;
mod writing;

use std::sync::Arc;

use tempfile::TempDir;

<<<<<<< HEAD
use self::samples::{about, accepting, accepting_as, as_stored, batch, name, note, notice_id, set, statement};
use super::memory::MemoryStore;
use super::sqlite::{SqliteOptions, SqliteStore};
use super::{Batch, CommitError, Erased, Head, Known, ReadError, SetId, Store, StoredNotice, Writer, WriterError};
=======
use self::samples::batch;
use super::memory::MemoryStore;
use super::sqlite::{SqliteOptions, SqliteStore};
use super::{Batch, CommitError, NewEntry, Store, Writer};
>>>>>>> h3

/// A place where a store lies; each `open` is another handle to what lies there.
pub(super) struct House {
    open: Box<dyn Fn() -> Arc<dyn Store>>,
    _folder: Option<TempDir>,
}

impl House {
    fn memory() -> Self {
        let store = MemoryStore::new();
        Self { open: Box::new(move || Arc::new(store.clone())), _folder: None }
    }

    fn sqlite() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("store.db");
        Self {
            open: Box::new(move || {
                let store = SqliteStore::open(&path, small());
                Arc::new(store.expect("a store"))
            }),
            _folder: Some(folder),
        }
    }

    fn open(&self) -> Arc<dyn Store> {
        (self.open)()
    }
}

/// Options that make a test quick.
pub(super) fn small() -> SqliteOptions {
    SqliteOptions { readers: 2, reserve_bytes: 4096, pages_max: None }
}

pub(super) async fn writer(store: &Arc<dyn Store>) -> Box<dyn Writer> {
    store.writer().await.expect("nobody else writes")
}

/// Commits what follows the writer's head.
pub(super) async fn append(writer: &mut Box<dyn Writer>, entries: Vec<NewEntry>) -> Batch {
    let batch = batch(writer.head(), entries);
    writer.commit(&batch).await.expect("a sound batch");
    batch
}

fn is_refusal(outcome: Result<(), CommitError>) -> bool {
    matches!(outcome, Err(CommitError::Fatal(why)) if why.contains("refused and nothing"))
}

macro_rules! contract {
    ($($part:ident { $($clause:ident)* })*) => {
        mod memory {
            use super::*;
            $($(#[tokio::test] async fn $clause() { $part::$clause(House::memory()).await; })*)*
        }
        mod sqlite {
            use super::*;
            $($(#[tokio::test] async fn $clause() { $part::$clause(House::sqlite()).await; })*)*
        }
    };
}

contract! {
<<<<<<< HEAD
    an_empty_store_answers_every_read_with_nothing
    a_batch_is_read_back_as_it_was_given
    a_batch_that_contradicts_the_history_or_itself_is_refused_and_changes_nothing
    a_taken_name_refuses_the_whole_batch
    a_tile_is_written_once
    a_set_already_there_is_left_as_it_is
    fault_73_a_second_writer_is_held_until_the_first_is_gone
    a_reopened_store_continues_at_its_head
    statements_about_one_come_in_pages
    entries_come_as_many_as_fit_but_at_least_one
    answers_come_in_the_order_asked
    a_set_that_is_not_there_is_damage
    erased_parts_are_gone_and_the_envelope_stays
    an_erased_opening_is_gone_and_the_leaf_stays
    erasing_what_is_not_there_is_refused
    a_note_never_runs_ahead_of_the_head_it_covers
    the_newest_head_with_a_note_is_what_may_be_shown
    a_new_log_begins_where_the_old_one_ended
    a_batch_of_notes_alone_moves_nothing
    a_reader_never_sees_part_of_a_commit
    the_reserve_is_freed_once
}

async fn an_empty_store_answers_every_read_with_nothing(house: House) {
    let store = house.open();
    assert_eq!(store.entries(Seq(0)..Seq(u64::MAX), 1).await.unwrap(), []);
    assert_eq!(store.notices(&[Seq(0)]).await.unwrap(), [None]);
    assert_eq!(store.named(&[name(0)]).await.unwrap(), [None]);
    assert_eq!(store.about(Seq(0), Seq(0), 9).await.unwrap(), []);
    let tile = TileId::Entries { index: 0 };
    assert_eq!(store.tiles(&[tile]).await.unwrap(), [None]);
    assert_eq!(store.last_note().await.unwrap(), None);
    assert_eq!(*store.noted().borrow(), None);
    assert_eq!(writer(&store).await.head(), None);
}

async fn a_batch_is_read_back_as_it_was_given(house: House) {
    let store = house.open();
    let mut writer = writer(&store).await;
    let entries = vec![statement(0), accepting(1), about(2, &[0, 1])];
    let mut given = batch(None, entries.clone());
    let tiles = [
        TileId::Hashes { level: 0, index: 0 },
        TileId::Hashes { level: 1, index: 0 },
        TileId::Entries { index: 0 },
    ];
    given.tiles = tiles.map(|id| (id, format!("{id:?}").into())).into();
    given.sets = vec![set(0), set(1)];

    writer.commit(&given).await.unwrap();

    let expected: Vec<_> = (0..).zip(&entries).map(|(seq, entry)| as_stored(seq, entry)).collect();
    let read = store.entries(Seq(0)..Seq(9), 1 << 20).await.unwrap();
    assert_eq!(read, expected);
    let notice = entries[1].notice.clone().unwrap();
    let stored = StoredNotice { id: notice.id, envelope: notice.envelope, parts: Some(notice.parts) };
    assert_eq!(store.notices(&[Seq(1)]).await.unwrap(), [Some(stored)]);
    let known = Known { seq: Seq(1), notice: notice_id(1) };
    assert_eq!(writer.named(&[name(1)]).await.unwrap(), [Some(known)]);
    assert_eq!(store.about(Seq(1), Seq(1), 9).await.unwrap(), [Seq(2)]);
    let read: Vec<Bytes> = store.sets(&[set(0).0, set(1).0]).await.unwrap();
    assert_eq!(read, [set(0).1, set(1).1]);
    let read = store.tiles(&tiles).await.unwrap();
    assert_eq!(read, tiles.map(|id| Some(format!("{id:?}").into())));
    assert_eq!(writer.head(), Some(&given.head));
}

async fn a_batch_that_contradicts_the_history_or_itself_is_refused_and_changes_nothing(house: House) {
    let store = house.open();
    let mut writer = writer(&store).await;
    append(&mut writer, vec![accepting(0), statement(1)]).await;
    let head = *writer.head().unwrap();
    let good = batch(Some(&head), vec![accepting(2), statement(3)]);
    type Spoil = fn(&mut Batch);
    let ways: [(&str, Spoil); 12] = [
        ("begins early", |batch| batch.first = Seq(1)),
        ("begins late", |batch| batch.first = Seq(3)),
        ("head too low", |batch| batch.head.next = Seq(3)),
        ("head too high", |batch| batch.head.next = Seq(5)),
        ("other base", |batch| batch.head.base = Seq(1)),
        ("new log begins in the past", |batch| batch.head.log = 1),
        ("head without entries", |batch| batch.entries.clear()),
        ("leaf of another", |batch| {
            batch.entries[0].leaf = statement(9).leaf;
        }),
        ("about itself", |batch| batch.entries[0].about = vec![Seq(2)]),
        ("about one twice", |batch| {
            batch.entries[0].about = vec![Seq(1), Seq(1)];
        }),
        ("about in disorder", |batch| {
            batch.entries[0].about = vec![Seq(1), Seq(0)];
        }),
        ("erases itself", |batch| {
            batch.erased = vec![Erased::Opening(Seq(2))];
        }),
    ];
    for (way, spoil) in ways {
        let mut bad = good.clone();
        spoil(&mut bad);
        assert!(is_refusal(writer.commit(&bad).await), "{way}");
        assert_eq!(writer.head(), Some(&head), "{way}");
        let read = store.entries(Seq(2)..Seq(9), 1 << 20).await.unwrap();
        assert_eq!(read, [], "{way}");
    }
    writer.commit(&good).await.unwrap();
}

async fn a_taken_name_refuses_the_whole_batch(house: House) {
    let store = house.open();
    let mut writer = writer(&store).await;
    append(&mut writer, vec![accepting_as(0, name(7))]).await;
    let head = *writer.head().unwrap();
    let twice_over_time = vec![statement(1), accepting_as(2, name(7))];
    let twice_at_once = vec![accepting_as(1, name(8)), accepting_as(2, name(8))];

    for entries in [twice_over_time, twice_at_once] {
        assert!(is_refusal(writer.commit(&batch(Some(&head), entries)).await));
        assert_eq!(writer.head(), Some(&head));
        let read = store.entries(Seq(1)..Seq(9), 1 << 20).await.unwrap();
        assert_eq!(read, []);
        assert_eq!(writer.named(&[name(8)]).await.unwrap(), [None]);
    }
    let known = Known { seq: Seq(0), notice: notice_id(0) };
    assert_eq!(store.named(&[name(7)]).await.unwrap(), [Some(known)]);
}

async fn a_tile_is_written_once(house: House) {
    let store = house.open();
    let mut writer = writer(&store).await;
    let id = TileId::Hashes { level: 0, index: 4 };
    let mut first = batch(None, vec![statement(0)]);
    first.tiles = vec![(id, "first".into())];
    writer.commit(&first).await.unwrap();
    let mut again = batch(writer.head(), vec![statement(1)]);
    again.tiles = vec![(id, "again".into())];

    assert!(is_refusal(writer.commit(&again).await));

    assert_eq!(store.tiles(&[id]).await.unwrap(), [Some("first".into())]);
    assert_eq!(writer.head(), Some(&first.head));
}

async fn a_set_already_there_is_left_as_it_is(house: House) {
    let store = house.open();
    let mut writer = writer(&store).await;
    for (seq, members) in [(0, "first"), (1, "again")] {
        let mut batch = batch(writer.head(), vec![statement(seq)]);
        batch.sets = vec![(set(0).0, members.into()), (set(0).0, "twice".into())];
        writer.commit(&batch).await.unwrap();
    }
    let read = store.sets(&[set(0).0]).await.unwrap();
    assert_eq!(read, [Bytes::from("first")]);
}

async fn fault_73_a_second_writer_is_held_until_the_first_is_gone(house: House) {
    let (one, other) = (house.open(), house.open());
    let first = writer(&one).await;
    for store in [&one, &other] {
        assert!(matches!(store.writer().await, Err(WriterError::Held(_))));
    }
    drop(first);
    drop(writer(&other).await);
    drop(writer(&one).await);
}

async fn a_reopened_store_continues_at_its_head(house: House) {
    let mut head = None;
    for round in 0..4 {
        let store = house.open();
        let mut writer = writer(&store).await;
        assert_eq!(writer.head().copied(), head);
        let entries = vec![accepting(round * 2), statement(round * 2 + 1)];
        head = Some(append(&mut writer, entries).await.head);
    }
    let entries = house.open().entries(Seq(0)..Seq(99), 1 << 20).await;
    assert_eq!(entries.unwrap().len(), 8);
}

async fn statements_about_one_come_in_pages(house: House) {
    let store = house.open();
    let mut writer = writer(&store).await;
    append(&mut writer, vec![statement(0), statement(1)]).await;
    append(&mut writer, (2..7).map(|seq| about(seq, &[0])).collect()).await;
    append(&mut writer, vec![about(7, &[1]), about(8, &[0, 1])]).await;

    let page = store.about(Seq(0), Seq(0), 3).await.unwrap();
    assert_eq!(page, [2, 3, 4].map(Seq));
    let page = store.about(Seq(0), Seq(4), 3).await.unwrap();
    assert_eq!(page, [5, 6, 8].map(Seq));
    assert_eq!(store.about(Seq(0), Seq(8), 3).await.unwrap(), []);
    assert_eq!(store.about(Seq(0), Seq(u64::MAX), 3).await.unwrap(), []);
    assert_eq!(store.about(Seq(1), Seq(1), 3).await.unwrap(), [7, 8].map(Seq));
}

async fn entries_come_as_many_as_fit_but_at_least_one(house: House) {
    let store = house.open();
    let mut writer = writer(&store).await;
    append(&mut writer, (0..10).map(statement).collect()).await;
    let one = as_stored(0, &statement(0)).bytes();
    let read = async |range: std::ops::Range<u64>, bytes| {
        let range = Seq(range.start)..Seq(range.end);
        let entries = store.entries(range, bytes).await.unwrap();
        entries.iter().map(|entry| entry.seq.0).collect::<Vec<_>>()
    };
    assert_eq!(read(0..10, 0).await, [0]);
    assert_eq!(read(0..10, 3 * one - 1).await, [0, 1]);
    assert_eq!(read(0..10, 3 * one).await, [0, 1, 2]);
    assert_eq!(read(4..6, usize::MAX).await, [4, 5]);
    assert_eq!(read(8..u64::MAX, usize::MAX).await, [8, 9]);
    assert_eq!(read(10..20, usize::MAX).await, [0; 0]);
    assert_eq!(read(u64::MAX - 1..u64::MAX, usize::MAX).await, [0; 0]);
}

async fn answers_come_in_the_order_asked(house: House) {
    let store = house.open();
    let mut writer = writer(&store).await;
    append(&mut writer, vec![accepting(0), statement(1), accepting(2)]).await;

    let notices = store.notices(&[2, 1, 0, 9, 2].map(Seq)).await.unwrap();
    let ids: Vec<_> = notices.iter().map(|notice| notice.as_ref().map(|notice| notice.id)).collect();
    let id = |seq| Some(notice_id(seq));
    assert_eq!(ids, [id(2), None, id(0), None, id(2)]);
    let asked = [name(2), name(1), name(0)];
    let names = store.named(&asked).await.unwrap();
    let seqs: Vec<_> = names.iter().map(|known| known.map(|known| known.seq.0)).collect();
    assert_eq!(seqs, [Some(2), None, Some(0)]);
    assert_eq!(writer.named(&asked).await.unwrap(), names);
}

async fn a_set_that_is_not_there_is_damage(house: House) {
    let store = house.open();
    let mut writer = writer(&store).await;
    let mut given = batch(None, vec![statement(0)]);
    given.sets = vec![set(0)];
    writer.commit(&given).await.unwrap();
    let missing = SetId(Hash::of(&[b"nobody"]));
    let read = store.sets(&[set(0).0, missing]).await;
    assert!(matches!(read, Err(ReadError::Damaged(_))));
}

async fn erased_parts_are_gone_and_the_envelope_stays(house: House) {
    let store = house.open();
    let mut writer = writer(&store).await;
    append(&mut writer, vec![accepting(0), accepting(1)]).await;
    let before = store.notices(&[Seq(0), Seq(1)]).await.unwrap();
    // The second time it is gone already, and that is fine.
    for seq in [2, 3] {
        let mut erasing = batch(writer.head(), vec![statement(seq)]);
        erasing.erased = vec![Erased::Parts(Seq(0))];
        writer.commit(&erasing).await.unwrap();
    }
    let after = store.notices(&[Seq(0), Seq(1)]).await.unwrap();
    let stripped = before[0].clone().map(|notice| StoredNotice { parts: None, ..notice });
    assert_eq!(after, [stripped, before[1].clone()]);
    let entries = store.entries(Seq(0)..Seq(1), 1).await.unwrap();
    assert_eq!(entries, [as_stored(0, &accepting(0))]);
}

async fn an_erased_opening_is_gone_and_the_leaf_stays(house: House) {
    let store = house.open();
    let mut writer = writer(&store).await;
    append(&mut writer, vec![accepting(0), accepting(1)]).await;
    let notices = store.notices(&[Seq(0)]).await.unwrap();
    let mut erasing = batch(writer.head(), Vec::new());
    erasing.erased = vec![Erased::Opening(Seq(0))];

    writer.commit(&erasing).await.unwrap();

    let mut expected = [0, 1].map(|seq| as_stored(seq, &accepting(seq)));
    expected[0].opening = None;
    expected[0].detail = Bytes::new();
    let read = store.entries(Seq(0)..Seq(2), 1 << 20).await.unwrap();
    assert_eq!(read, expected);
    assert_eq!(store.notices(&[Seq(0)]).await.unwrap(), notices);
}

async fn erasing_what_is_not_there_is_refused(house: House) {
    let store = house.open();
    let mut writer = writer(&store).await;
    append(&mut writer, vec![statement(0), accepting(1)]).await;
    for nothing in [Erased::Parts(Seq(0)), Erased::Parts(Seq(2)), Erased::Opening(Seq(2))] {
        let mut erasing = batch(writer.head(), vec![statement(2)]);
        erasing.erased = vec![Erased::Opening(Seq(0)), nothing];
        assert!(is_refusal(writer.commit(&erasing).await), "{nothing:?}");
        let entries = store.entries(Seq(0)..Seq(1), 1).await.unwrap();
        assert!(entries[0].opening.is_some(), "{nothing:?}");
    }
}

async fn a_note_never_runs_ahead_of_the_head_it_covers(house: House) {
    let store = house.open();
    let mut writer = writer(&store).await;
    append(&mut writer, vec![statement(0), statement(1)]).await;
    let mut ahead = batch(writer.head(), vec![statement(2)]);
    ahead.notes = vec![note(&ahead.head)];
    let mut between = batch(writer.head(), vec![statement(2)]);
    between.notes = vec![note(&Head { next: Seq(1), ..between.head })];
    let mut elsewhere = batch(writer.head(), vec![statement(2)]);
    elsewhere.notes = vec![note(&Head { log: 1, ..*writer.head().unwrap() })];
    for bad in [ahead, between, elsewhere] {
        assert!(is_refusal(writer.commit(&bad).await));
    }
    assert_eq!(store.last_note().await.unwrap(), None);
    assert_eq!(writer.head().unwrap().next, Seq(2));
}

async fn the_newest_head_with_a_note_is_what_may_be_shown(house: House) {
    let store = house.open();
    let mut noted = store.noted();
    let mut writer = writer(&store).await;
    let first = append(&mut writer, vec![statement(0)]).await.head;
    assert!(!noted.has_changed().unwrap(), "no note yet");

    let mut second = batch(Some(&first), vec![statement(1)]);
    second.notes = vec![note(&first)];
    writer.commit(&second).await.unwrap();
    assert_eq!(*noted.borrow_and_update(), Some(first));

    let mut third = batch(Some(&second.head), vec![statement(2)]);
    third.notes = vec![note(&second.head)];
    writer.commit(&third).await.unwrap();
    assert_eq!(*noted.borrow_and_update(), Some(second.head));

    let mut late = batch(Some(&third.head), Vec::new());
    late.notes = vec![note(&first)];
    writer.commit(&late).await.unwrap();
    assert!(!noted.has_changed().unwrap(), "a late cosignature");
    let last = store.last_note().await.unwrap();
    assert_eq!(last, Some(note(&second.head)));

    let mut again = late;
    again.notes = vec![super::StoredNote { note: "with another signature".into(), ..note(&second.head) }];
    writer.commit(&again).await.unwrap();
    let last = store.last_note().await.unwrap();
    assert_eq!(last, Some(again.notes[0].clone()));
    drop(writer);
    assert_eq!(*house.open().noted().borrow(), Some(second.head));
}

async fn a_new_log_begins_where_the_old_one_ended(house: House) {
    let store = house.open();
    let mut writer = writer(&store).await;
    let old = append(&mut writer, vec![statement(0), statement(1)]).await.head;
    let mut opening = batch(Some(&old), vec![statement(2)]);
    opening.head.log = 1;
    opening.head.base = Seq(2);
    opening.notes = vec![note(&old)];
    writer.commit(&opening).await.unwrap();
    let mut back = batch(Some(&old), vec![statement(3)]);
    (back.first, back.head.next) = (Seq(3), Seq(4));
    assert!(is_refusal(writer.commit(&back).await), "back to the old log");
    let mut noting = batch(Some(&opening.head), Vec::new());
    noting.notes = vec![note(&opening.head)];
    writer.commit(&noting).await.unwrap();

    assert_eq!(*store.noted().borrow(), Some(opening.head));
    drop(writer);
    let store = house.open();
    let writer = self::writer(&store).await;
    assert_eq!(writer.head(), Some(&opening.head));
    let last = store.last_note().await.unwrap();
    assert_eq!(last, Some(note(&opening.head)));
}

async fn a_batch_of_notes_alone_moves_nothing(house: House) {
    let store = house.open();
    let mut writer = writer(&store).await;
    assert!(is_refusal(writer.commit(&batch(None, Vec::new())).await));
    let head = append(&mut writer, vec![statement(0)]).await.head;
    let mut notes = batch(Some(&head), Vec::new());
    notes.notes = vec![note(&head)];
    writer.commit(&notes).await.unwrap();
    assert_eq!(writer.head(), Some(&head));
}

async fn a_reader_never_sees_part_of_a_commit(house: House) {
    const BATCHES: u64 = 30;
    const WIDTH: u64 = 8;
    let store = house.open();
    let mut writer = writer(&store).await;
    let write = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        runtime.unwrap().block_on(async {
            for nth in 0..BATCHES {
                let seqs = nth * WIDTH..(nth + 1) * WIDTH;
                append(&mut writer, seqs.map(accepting).collect()).await;
            }
        });
    };
    let writing = std::thread::spawn(write);
    for nth in 0..BATCHES {
        let seqs: Vec<_> = (nth * WIDTH..(nth + 1) * WIDTH).map(Seq).collect();
        loop {
            let finished = writing.is_finished();
            let notices = store.notices(&seqs).await.unwrap();
            let there = notices.iter().flatten().count() as u64;
            assert!(there == 0 || there == WIDTH, "{there} of {WIDTH}");
            if there == WIDTH || finished {
                break;
            }
        }
    }
    writing.join().unwrap();
}

async fn the_reserve_is_freed_once(house: House) {
    let store = house.open();
    let mut first = writer(&store).await;
    assert!(first.free_reserve().await);
    assert!(!first.free_reserve().await);
    drop(first);
    assert!(writer(&store).await.free_reserve().await, "made again at the next start");
}
=======
    reading {
        an_empty_store_answers_every_read_with_nothing
        a_batch_is_read_back_as_it_was_given
        statements_about_one_come_in_pages
        entries_come_as_many_as_fit_but_at_least_one
        answers_come_in_the_order_asked
        a_set_that_is_not_there_is_damage
        a_reader_never_sees_part_of_a_commit
    }
    writing {
        a_batch_that_contradicts_the_history_or_itself_is_refused_and_changes_nothing
        a_taken_name_refuses_the_whole_batch
        a_tile_is_written_once
        a_set_already_there_is_left_as_it_is
        fault_73_a_second_writer_is_held_until_the_first_is_gone
        a_reopened_store_continues_at_its_head
        a_new_log_begins_where_the_old_one_ended
        the_reserve_is_freed_once
    }
    noting {
        a_note_never_runs_ahead_of_the_head_it_covers
        the_newest_head_with_a_note_is_what_may_be_shown
        a_batch_of_notes_alone_moves_nothing
    }
    erasing {
        erased_parts_are_gone_and_the_envelope_stays
        an_erased_opening_is_gone_and_the_leaf_stays
        erasing_what_is_not_there_is_refused
    }
}
>>>>>>> h3
