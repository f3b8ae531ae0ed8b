//! The contract of erasing: what is named goes, and nothing else ever does.

use bytes::Bytes;
use liaison_protocol::id::Seq;

use super::samples::{accepting, as_stored, batch, statement};
use super::{House, append, is_refusal, writer};
use crate::store::{Erased, StoredNotice};

pub(super) async fn erased_parts_are_gone_and_the_envelope_stays(house: House) {
    let store = house.open();
    let mut writer = writer(&store).await;
    append(&mut writer, vec![accepting(0), accepting(1)]).await;
    let before = store.notices(&[Seq(0), Seq(1)], usize::MAX).await.unwrap();
    // The second time it is gone already, and that is fine.
    for seq in [2, 3] {
        let mut erasing = batch(writer.head(), vec![statement(seq)]);
        erasing.erased = vec![Erased::Parts(Seq(0))];
        writer.commit(&erasing).await.unwrap();
    }
    let after = store.notices(&[Seq(0), Seq(1)], usize::MAX).await.unwrap();
    let stripped = before[0].clone().map(|notice| StoredNotice { parts: None, ..notice });
    assert_eq!(after, [stripped, before[1].clone()]);
    let entries = store.entries(Seq(0)..Seq(1), 1).await.unwrap();
    assert_eq!(entries, [as_stored(0, &accepting(0))]);
}

pub(super) async fn an_erased_opening_is_gone_and_the_leaf_stays(house: House) {
    let store = house.open();
    let mut writer = writer(&store).await;
    append(&mut writer, vec![accepting(0), accepting(1)]).await;
    let notices = store.notices(&[Seq(0)], usize::MAX).await.unwrap();
    let mut erasing = batch(writer.head(), Vec::new());
    erasing.erased = vec![Erased::Opening(Seq(0))];

    writer.commit(&erasing).await.unwrap();

    let mut expected = [0, 1].map(|seq| as_stored(seq, &accepting(seq)));
    expected[0].opening = None;
    expected[0].detail = Bytes::new();
    let read = store.entries(Seq(0)..Seq(2), 1 << 20).await.unwrap();
    assert_eq!(read, expected);
    assert_eq!(store.notices(&[Seq(0)], usize::MAX).await.unwrap(), notices);
}

pub(super) async fn erasing_what_is_not_there_is_refused(house: House) {
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
