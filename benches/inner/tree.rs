//! The tree's edge: growing, proving, and pooling proofs.

use std::hint::black_box;

use bytes::Bytes;
use criterion::{BatchSize, Criterion, Throughput};
use liaison::sequencer::{Pooled, pool};
use liaison_protocol::id::{Hash, LeafIndex};
use liaison_protocol::tlog::entry::{Opening, Salt};
use liaison_protocol::tlog::tree::{Tree, recompute_root};

use crate::statement;
use crate::traffic;

/// A log with a history: 17 levels high, and at an odd place.
const LEAVES: u64 = 100_003;
/// As many leaves as the node keeps whole.
const EDGE: u64 = 4_096;
/// Leaves of one batch.
const BATCH: u64 = 256;
/// Receipts of one chunk.
const CHUNK: u64 = 16;

fn leaf(nth: u64) -> Hash {
    Hash::of(&[&nth.to_be_bytes()])
}

fn grown() -> Tree {
    let mut tree = Tree::default();
    for nth in 0..LEAVES {
        tree.append(leaf(nth));
        if nth.is_multiple_of(EDGE) {
            tree.prune(nth.saturating_sub(EDGE));
        }
    }
    tree.prune(LEAVES - EDGE);
    tree
}

pub(crate) fn all(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("tree");
    let tree = grown();
    let leaves: Vec<_> = (LEAVES..LEAVES + BATCH).map(leaf).collect();

    group.throughput(Throughput::Elements(BATCH));
    group.bench_function(format!("clone the edge, append {BATCH}, root"), |bencher| {
        bencher.iter(|| {
            let mut tree = black_box(&tree).clone();
            leaves.iter().for_each(|leaf| tree.append(*leaf));
            tree.root()
        });
    });
    let entries: Vec<_> =
        (0..BATCH).map(|nth| Opening { statement: Bytes::new(), salt: Salt(leaf(nth).0) }.leaf()).collect();
    group.bench_function(format!("recompute the root behind {BATCH}"), |bencher| {
        let peaks = tree.peaks();
        bencher.iter(|| recompute_root(tree.size(), black_box(&peaks), black_box(&entries)).expect("its peaks"));
    });
    group.throughput(Throughput::Elements(1));
    group.bench_function("prove inclusion", |bencher| {
        let mut places = (LEAVES - BATCH..LEAVES).cycle();
        bencher.iter(|| tree.inclusion(places.next().expect("they never end")).expect("in the edge"));
    });
    group.throughput(Throughput::Elements(CHUNK));
    group.bench_function(format!("pool {CHUNK} receipts"), |bencher| {
        let (_, drafts) = statement::accepted(&traffic::world(), 1);
        let opening = Opening { statement: drafts[0].statement.encode(), salt: Salt([7; 32]) };
        let pooled = |place| Pooled {
            leaf: LeafIndex(place),
            opening: opening.clone(),
            path: tree.inclusion(place).expect("in the edge"),
            items: Vec::new(),
        };
        bencher.iter_batched(
            || (LEAVES - CHUNK..LEAVES).map(pooled).collect::<Vec<_>>(),
            |receipts| pool(Bytes::new(), receipts),
            BatchSize::SmallInput,
        );
    });
    group.finish();
}
