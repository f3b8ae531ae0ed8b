//! What everyone may see: a signed checkpoint, and the tree's edge under it, from which each task builds its own proofs.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use liaison_protocol::id::{Hash, LeafIndex, Seq};
use liaison_protocol::proto;
use liaison_protocol::tlog::entry::Opening;
use liaison_protocol::tlog::tree::Tree;

/// A head that is durable and signed.
#[derive(Debug)]
pub struct Published {
    /// The signed note.
    pub checkpoint: Bytes,
    /// The first statement of the log.
    pub base: Seq,
    /// The next statement to come.
    pub next: Seq,
    /// The tree under the checkpoint, whole for its newest leaves.
    pub tree: Arc<Tree>,
}

impl Published {
    pub(super) fn nothing() -> Self {
        Self { checkpoint: Bytes::new(), base: Seq(0), next: Seq(0), tree: Arc::default() }
    }

    /// Number of leaves under the checkpoint.
    pub fn size(&self) -> u64 {
        self.tree.size()
    }

    /// Where a statement lies in the log.
    pub fn leaf(&self, seq: Seq) -> LeafIndex {
        LeafIndex(seq.0 - self.base.0)
    }
}

/// A statement made just now.
#[derive(Clone, Debug)]
pub struct Stated {
    /// Its place in history.
    pub seq: Seq,
    /// Statement and salt.
    pub opening: Opening,
    /// The checkpoint that first covers it.
    pub published: Arc<Published>,
}

/// One receipt to be pooled.
pub struct Pooled {
    /// Place in the log.
    pub leaf: LeafIndex,
    /// Statement and salt.
    pub opening: Opening,
    /// Its inclusion path under the pool's checkpoint.
    pub path: Vec<Hash>,
    /// Items that the caller may see.
    pub items: Vec<proto::ItemProof>,
}

/// A hasher of hashes: their first bytes are spread evenly as they are. What is looked up is few and comes from this log's tree.
#[derive(Default)]
struct AsItIs(u64);

impl Hasher for AsItIs {
    fn write(&mut self, bytes: &[u8]) {
        if let Some(first) = bytes.first_chunk() {
            self.0 = u64::from_le_bytes(*first);
        }
    }

    fn write_usize(&mut self, _: usize) {}

    fn finish(&self) -> u64 {
        self.0
    }
}

/// Puts receipts under one checkpoint, each hash of their paths once.
pub fn pool(checkpoint: Bytes, receipts: Vec<Pooled>) -> proto::Receipts {
    // Leaves that follow one another bring two new hashes each, or fewer.
    let about = receipts.first().map_or(0, |receipt| receipt.path.len()) + 2 * receipts.len();
    let mut places =
        HashMap::<Hash, u32, BuildHasherDefault<AsItIs>>::with_capacity_and_hasher(about, Default::default());
    let mut hashes = BytesMut::with_capacity(about * 32);
    let receipts = receipts
        .into_iter()
        .map(|receipt| proto::Receipt {
            leaf_index: receipt.leaf.0,
            statement: receipt.opening.statement,
            salt: receipt.opening.salt.to_bytes(),
            path: receipt
                .path
                .iter()
                .map(|hash| {
                    let next = places.len() as u32;
                    *places.entry(*hash).or_insert_with(|| {
                        hashes.extend_from_slice(&hash.0);
                        next
                    })
                })
                .collect(),
            items: receipt.items,
            shared_items: Vec::new(),
        })
        .collect();
    proto::Receipts { checkpoint, hashes: hashes.freeze(), receipts, items: Vec::new() }
}
