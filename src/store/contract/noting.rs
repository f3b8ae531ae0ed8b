//! The contract of notes: they follow the disk, and the newest head that has one is what may be shown.

use liaison_protocol::id::Seq;

use super::samples::{batch, note, statement};
use super::{House, append, is_refusal, writer};
use crate::store::{Head, StoredNote};

pub(super) async fn a_note_never_runs_ahead_of_the_head_it_covers(house: House) {
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

pub(super) async fn the_newest_head_with_a_note_is_what_may_be_shown(house: House) {
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
    again.notes = vec![StoredNote { note: "with another signature".into(), ..note(&second.head) }];
    writer.commit(&again).await.unwrap();
    let last = store.last_note().await.unwrap();
    assert_eq!(last, Some(again.notes[0].clone()));
    drop(writer);
    assert_eq!(*house.open().noted().borrow(), Some(second.head));
}

pub(super) async fn a_batch_of_notes_alone_moves_nothing(house: House) {
    let store = house.open();
    let mut writer = writer(&store).await;
    assert!(is_refusal(writer.commit(&batch(None, Vec::new())).await));
    let head = append(&mut writer, vec![statement(0)]).await.head;
    let mut notes = batch(Some(&head), Vec::new());
    notes.notes = vec![note(&head)];
    writer.commit(&notes).await.unwrap();
    assert_eq!(writer.head(), Some(&head));
}
