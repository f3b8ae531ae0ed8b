//! The contract of reads: what was given comes back, in the order asked, within the bounds asked, and never half a commit.

use bytes::Bytes;
use liaison_protocol::id::{Hash, Seq};
use liaison_protocol::tlog::tile::TileId;

use super::samples::{about, accepting, as_stored, batch, name, notice_id, set, statement};
use super::{House, append, writer};
use crate::store::{Known, ReadError, SetId, StoredNotice};

pub(super) async fn an_empty_store_answers_every_read_with_nothing(house: House) {
    let store = house.open();
    assert_eq!(store.entries(Seq(0)..Seq(u64::MAX), 1).await.unwrap(), []);
    assert_eq!(store.notices(&[Seq(0)], usize::MAX).await.unwrap(), [None]);
    assert_eq!(store.named(&[name(0)]).await.unwrap(), [None]);
    assert_eq!(store.notice_near(Seq(0), Seq(9)).await.unwrap(), None);
    assert_eq!(store.about(Seq(0), Seq(0), 9).await.unwrap(), []);
    let tile = TileId::Entries { index: 0 };
    assert_eq!(store.tiles(&[tile]).await.unwrap(), [None]);
    assert_eq!(store.last_note().await.unwrap(), None);
    assert_eq!(*store.noted().borrow(), None);
    assert_eq!(writer(&store).await.head(), None);
}

pub(super) async fn a_batch_is_read_back_as_it_was_given(house: House) {
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
    assert_eq!(store.notices(&[Seq(1)], usize::MAX).await.unwrap(), [Some(stored)]);
    let known = Known { seq: Seq(1), notice: notice_id(1) };
    assert_eq!(writer.named(&[name(1)]).await.unwrap(), [Some(known)]);
    assert_eq!(store.about(Seq(1), Seq(1), 9).await.unwrap(), [Seq(2)]);
    let read: Vec<Bytes> = store.sets(&[set(0).0, set(1).0]).await.unwrap();
    assert_eq!(read, [set(0).1, set(1).1]);
    let read = store.tiles(&tiles).await.unwrap();
    assert_eq!(read, tiles.map(|id| Some(format!("{id:?}").into())));
    assert_eq!(writer.head(), Some(&given.head));
}

pub(super) async fn a_notice_near_a_place_is_the_next_one_or_the_last(house: House) {
    let store = house.open();
    let mut writer = writer(&store).await;
    append(&mut writer, vec![statement(0), accepting(1), statement(2), accepting(3)]).await;
    append(&mut writer, vec![statement(4), accepting(5), statement(6)]).await;
    for (at, end, near) in [
        (0, 7, Some(1)),
        (1, 7, Some(1)),
        (2, 7, Some(3)),
        (4, 7, Some(5)),
        (6, 7, Some(5)),
        (u64::MAX, u64::MAX, Some(5)),
        (4, 5, Some(3)),
        (5, 5, Some(3)),
        (9, 5, Some(3)),
        (3, 2, Some(1)),
        (0, 1, None),
        (0, 0, None),
    ] {
        let found = store.notice_near(Seq(at), Seq(end)).await.unwrap();
        assert_eq!(found, near.map(Seq), "near {at}, before {end}");
    }
}

pub(super) async fn statements_about_one_come_in_pages(house: House) {
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

pub(super) async fn entries_come_as_many_as_fit_but_at_least_one(house: House) {
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

pub(super) async fn answers_come_in_the_order_asked(house: House) {
    let store = house.open();
    let mut writer = writer(&store).await;
    append(&mut writer, vec![accepting(0), statement(1), accepting(2)]).await;

    let notices = store.notices(&[2, 1, 0, 9, 2].map(Seq), usize::MAX).await.unwrap();
    let ids: Vec<_> = notices.iter().map(|notice| notice.as_ref().map(|notice| notice.id)).collect();
    let id = |seq| Some(notice_id(seq));
    assert_eq!(ids, [id(2), None, id(0), None, id(2)]);
    let one = notices[0].as_ref().unwrap().bytes();
    for (bytes_max, expected) in [(0, 1), (one, 2), (2 * one - 1, 2), (2 * one, 4), (usize::MAX, 5)] {
        let fitting = store.notices(&[2, 1, 0, 9, 2].map(Seq), bytes_max).await.unwrap();
        assert_eq!(fitting, notices[..expected], "{bytes_max} bytes: as many as fit, at least one");
    }
    let asked = [name(2), name(1), name(0)];
    let names = store.named(&asked).await.unwrap();
    let seqs: Vec<_> = names.iter().map(|known| known.map(|known| known.seq.0)).collect();
    assert_eq!(seqs, [Some(2), None, Some(0)]);
    assert_eq!(writer.named(&asked).await.unwrap(), names);
}

pub(super) async fn a_set_that_is_not_there_is_damage(house: House) {
    let store = house.open();
    let mut writer = writer(&store).await;
    let mut given = batch(None, vec![statement(0)]);
    given.sets = vec![set(0)];
    writer.commit(&given).await.unwrap();
    let missing = SetId(Hash::of(&[b"nobody"]));
    let read = store.sets(&[set(0).0, missing]).await;
    assert!(matches!(read, Err(ReadError::Damaged(_))));
}

pub(super) async fn a_reader_never_sees_part_of_a_commit(house: House) {
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
            let notices = store.notices(&seqs, usize::MAX).await.unwrap();
            let there = notices.iter().flatten().count() as u64;
            assert!(there == 0 || there == WIDTH, "{there} of {WIDTH}");
            if there == WIDTH || finished {
                break;
            }
        }
    }
    writing.join().unwrap();
}
