//! The contract of the base: there is one, whole, and it comes with its batch or not at all.

use liaison_protocol::id::Seq;

use super::samples::{batch, statement};
use super::{House, append, is_refusal, writer};
use crate::store::Base;

/// A base of so many pieces after a statement.
fn base(through: u64, pieces: u64) -> Base {
    let piece = |nth| format!("piece {nth} through {through}").into();
    Base { through: Seq(through), pieces: (0..pieces).map(piece).collect() }
}

pub(super) async fn the_base_committed_last_is_the_one_that_is_read(house: House) {
    let store = house.open();
    let mut writer = writer(&store).await;
    assert_eq!(store.base().await.unwrap(), None);
    append(&mut writer, vec![statement(0)]).await;
    // Shorter and longer ones in turn: nothing of the one before stays.
    for (through, pieces) in [(0, 3), (1, 1), (2, 2), (3, 4)] {
        let mut moving = batch(writer.head(), vec![statement(through + 1)]);
        moving.base = Some(base(through, pieces));
        writer.commit(&moving).await.unwrap();
        append(&mut writer, Vec::new()).await;
        assert_eq!(store.base().await.unwrap(), moving.base);
    }
    drop(writer);
    assert_eq!(house.open().base().await.unwrap(), Some(base(3, 4)));
}

pub(super) async fn a_base_that_does_not_end_where_its_batch_begins_is_refused(house: House) {
    let store = house.open();
    let mut writer = writer(&store).await;
    append(&mut writer, vec![statement(0), statement(1)]).await;
    for bad in [base(0, 1), base(2, 1), base(1, 0)] {
        let mut moving = batch(writer.head(), vec![statement(2)]);
        moving.base = Some(bad);
        assert!(is_refusal(writer.commit(&moving).await));
    }
    assert_eq!(store.base().await.unwrap(), None);
    assert_eq!(writer.head().unwrap().next, Seq(2));
}
