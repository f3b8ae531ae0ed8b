//! Random histories, written to both stores: whatever one says to a batch or a read, the other says too.

use std::ops::Range;
use std::sync::Arc;

use liaison_protocol::id::Seq;
use liaison_protocol::tlog::tile::TileId;
use proptest::prelude::*;

use super::samples::{about, accepting_as, accepting_bytes, batch, name, note, set, statement};
use super::{House, writer};
use crate::store::{Batch, Erased, Head, NewEntry, Store};

/// One batch to be: numbers that are taken modulo what there is, so that most batches are sound and some are not.
#[derive(Clone, Debug)]
struct Plan {
    entries: Vec<(u8, u16, u16)>,
    sets: Vec<u8>,
    tiles: Vec<u8>,
    erased: Vec<(bool, u16)>,
    noted: Option<u16>,
    reopen: bool,
}

fn plan() -> impl Strategy<Value = Plan> {
    (
        prop::collection::vec((0..6_u8, any::<u16>(), any::<u16>()), 0..6),
        prop::collection::vec(0..5_u8, 0..2),
        prop::collection::vec(0..40_u8, 0..2),
        prop::collection::vec((any::<bool>(), any::<u16>()), 0..2),
        prop::option::of(any::<u16>()),
        prop::bool::weighted(0.15),
    )
        .prop_map(|(entries, sets, tiles, erased, noted, reopen)| Plan {
            entries,
            sets,
            tiles,
            erased,
            noted,
            reopen,
        })
}

impl Plan {
    fn batch(&self, heads: &[Head]) -> Batch {
        let first = heads.last().map_or(0, |head| head.next.0);
        let entries = (first..).zip(&self.entries);
        let entries = entries.map(|(seq, draw)| entry(seq, *draw)).collect();
        let mut batch = batch(heads.last(), entries);
        batch.sets = self.sets.iter().map(|nth| set(u64::from(*nth))).collect();
        batch.tiles = self.tiles.iter().map(|nth| tile(*nth)).collect();
        let erased = self.erased.iter().map(|(parts, draw)| {
            let seq = Seq(u64::from(*draw) % (first + 1));
            if *parts { Erased::Parts(seq) } else { Erased::Opening(seq) }
        });
        batch.erased = erased.collect();
        let noted = self.noted.filter(|_| !heads.is_empty());
        let noted = noted.map(|draw| note(&heads[usize::from(draw) % heads.len()]));
        batch.notes = noted.into_iter().collect();
        batch
    }
}

fn entry(seq: u64, (kind, draw, other): (u8, u16, u16)) -> NewEntry {
    let earlier = |draw: u16| u64::from(draw) % seq.max(1);
    match kind {
        0 => statement(seq),
        1 if seq > 0 => about(seq, &[earlier(draw)]),
        2 if seq > 0 => {
            let mut of = vec![earlier(draw), earlier(other)];
            of.sort_unstable();
            of.dedup();
            about(seq, &of)
        }
        // Sometimes the name of another.
        3 => accepting_as(seq, name(u64::from(draw % 60))),
        _ => accepting_bytes(seq, name(1000 + seq), usize::from(draw) % 20_000),
    }
}

fn tile(nth: u8) -> (TileId, bytes::Bytes) {
    let index = u64::from(nth / 4);
    let id = match nth % 4 {
        3 => TileId::Entries { index },
        level => TileId::Hashes { level, index },
    };
    (id, format!("{id:?}").into())
}

/// Everything that can be read about a part of the history and what has no place in it, in words.
pub(in crate::store) async fn everything(store: &Arc<dyn Store>, part: Range<u64>) -> Vec<String> {
    let seqs: Vec<_> = part.clone().map(Seq).collect();
    let middle = Seq(part.start.midpoint(part.end));
    let names = (0..60).chain(part.start..part.end + 1060);
    let names: Vec<_> = names.map(name).collect();
    let tiles: Vec<_> = (0..40).map(|nth| tile(nth).0).collect();
    let range = Seq(part.start)..Seq(part.end);
    let mut said = vec![
        format!("{:?}", store.entries(range, usize::MAX).await),
        format!("{:?}", store.entries(middle..Seq(u64::MAX), 700).await),
        format!("{:?}", store.notices(&seqs, usize::MAX).await),
        format!("{:?}", store.named(&names).await),
        format!("{:?}", store.tiles(&tiles).await),
        format!("{:?}", store.last_note().await),
        format!("{:?}", *store.noted().borrow()),
    ];
    for seq in seqs {
        said.push(format!("{:?}", store.about(seq, Seq(0), 3).await));
        said.push(format!("{:?}", store.about(seq, middle, 99).await));
    }
    for nth in 0..5 {
        said.push(format!("{:?}", store.sets(&[set(nth).0]).await));
    }
    said
}

async fn told_alike(plans: &[Plan]) {
    let houses = [House::memory(), House::sqlite()];
    let mut stores = houses.each_ref().map(House::open);
    let mut writers = [writer(&stores[0]).await, writer(&stores[1]).await];
    let mut heads = Vec::new();
    for plan in plans {
        let batch = plan.batch(&heads);
        let one = writers[0].commit(&batch).await;
        let other = writers[1].commit(&batch).await;
        assert_eq!(format!("{one:?}"), format!("{other:?}"));
        assert_eq!(writers[0].head(), writers[1].head());
        if one.is_ok() && !batch.entries.is_empty() {
            heads.push(batch.head);
        }
        if plan.reopen {
            drop(writers);
            stores = houses.each_ref().map(House::open);
            writers = [writer(&stores[0]).await, writer(&stores[1]).await];
            assert_eq!(writers[0].head(), heads.last());
            assert_eq!(writers[1].head(), heads.last());
        }
        let all = 0..heads.last().map_or(0, |head| head.next.0) + 2;
        assert_eq!(everything(&stores[0], all.clone()).await, everything(&stores[1], all).await);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(32) })]

    #[test]
    fn any_history_reads_the_same_from_every_store(plans in prop::collection::vec(plan(), 1..16)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(told_alike(&plans));
    }
}
