//! The contract of writing: one writer, one history, and nothing of a batch that is refused.

use bytes::Bytes;
use liaison_protocol::id::Seq;
use liaison_protocol::tlog::tile::TileId;

use super::samples::{accepting, accepting_as, batch, name, note, notice_id, set, statement};
use super::{House, append, is_refusal, writer};
use crate::store::{Batch, Erased, Known, Room, WriterError};

pub(super) async fn a_batch_that_contradicts_the_history_or_itself_is_refused_and_changes_nothing(house: House) {
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

pub(super) async fn a_taken_name_refuses_the_whole_batch(house: House) {
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

pub(super) async fn a_tile_is_written_once(house: House) {
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

pub(super) async fn a_set_already_there_is_left_as_it_is(house: House) {
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

pub(super) async fn fault_73_a_second_writer_is_held_until_the_first_is_gone(house: House) {
    let (one, other) = (house.open(), house.open());
    let first = writer(&one).await;
    for store in [&one, &other] {
        assert!(matches!(store.writer().await, Err(WriterError::Held(_))));
    }
    drop(first);
    drop(writer(&other).await);
    drop(writer(&one).await);
}

pub(super) async fn a_reopened_store_continues_at_its_head(house: House) {
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

pub(super) async fn a_new_log_begins_where_the_old_one_ended(house: House) {
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
    let writer = super::writer(&store).await;
    assert_eq!(writer.head(), Some(&opening.head));
    let last = store.last_note().await.unwrap();
    assert_eq!(last, Some(note(&opening.head)));
}

pub(super) async fn the_reserve_is_freed_once_and_made_again_when_room_is_asked_for(house: House) {
    let store = house.open();
    let mut first = writer(&store).await;
    for _ in 0..2 {
        assert_eq!(first.room().await, Room::Enough, "and the reserve is made");
        assert_eq!(first.room().await, Room::Enough);
        assert!(first.free_reserve().await);
        assert!(!first.free_reserve().await);
    }
}
