//! The edge of the log: what the next batch is built on, and how it moves once that batch is durable.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;
use liaison_protocol::id::{Hash, Seq};
use liaison_protocol::tlog::entry::{Leaf, Opening, Salt};
use liaison_protocol::tlog::hash;
use liaison_protocol::tlog::tile::{TILE_WIDTH, TileId};
use liaison_protocol::tlog::tree::{Tree, recompute_root};
use prost::Message as _;

use super::startup;
use crate::clock::Entropy;
use crate::state::{Detail, Draft};
use crate::store::{Batch, Head, NewEntry, NewNotice, SetId, StoredNote};

/// Recipient sets remembered as stored; forgetting one only writes it again, which changes nothing.
const SETS_REMEMBERED_MAX: usize = 65_536;

/// How many newest leaves the edge can prove beside those of the last batch.
const EDGE_LEAVES: u64 = 4_096;

/// A parts blob as it lies in the store.
#[derive(Clone, PartialEq, prost::Message)]
pub struct StoredParts {
    /// In the manifest's order.
    #[prost(message, repeated, tag = "1")]
    pub parts: Vec<liaison_protocol::proto::Part>,
    /// The hint beside the envelope's signature: the one thing in an envelope that neither the notice's name nor the signature's
    /// digest is over.
    #[prost(string, tag = "2")]
    pub keyid: String,
}

/// What the next batch is built on.
pub(super) struct Edge {
    pub(super) tree: Arc<Tree>,
    /// The root of `tree` as it was committed, apart from it.
    pub(super) root: Hash,
    /// Leaves of the entry bundle that is not full yet.
    pub(super) bundle: Vec<Leaf>,
    pub(super) log: u32,
    pub(super) base: Seq,
    sets_stored: HashSet<Hash>,
}

/// A batch and what follows from it if it commits.
pub(super) struct Built {
    pub(super) batch: Batch,
    pub(super) tree: Arc<Tree>,
    pub(super) bundle: Vec<Leaf>,
    pub(super) openings: Vec<Opening>,
    pub(super) drafts: Vec<Draft>,
}

impl Edge {
    /// Behind the last leaf of a tree.
    pub(super) fn of(tree: Tree) -> Self {
        let root = tree.root();
        Self { tree: Arc::new(tree), root, bundle: Vec::new(), log: 0, base: Seq(0), sets_stored: HashSet::new() }
    }

    /// Where the history stands that it is the edge of.
    pub(super) fn head(&self) -> Head {
        Head { log: self.log, base: self.base, next: Seq(self.base.0 + self.tree.size()), root: self.root }
    }

    /// The batch that would state these drafts. Nothing has moved yet.
    pub(super) fn build(
        &self,
        first: Seq,
        drafts: Vec<Draft>,
        note: Option<StoredNote>,
        entropy: &mut dyn Entropy,
    ) -> Built {
        let (mut tree, mut bundle) = (Tree::clone(&self.tree), self.bundle.clone());
        let before = tree.size();
        let (mut entries, mut openings) = (Vec::with_capacity(drafts.len()), Vec::with_capacity(drafts.len()));
        let (mut sets, mut tiles) = (Vec::new(), Vec::new());
        let mut sets_seen = HashSet::new();
        // All at once: the operating system is asked once a batch.
        let mut salts = vec![[0; 32]; drafts.len()];
        entropy.fill(salts.as_flattened_mut());
        for (draft, salt) in drafts.iter().zip(salts) {
            let opening = Opening { statement: draft.statement.encode(), salt: Salt(salt) };
            let leaf = opening.leaf();
            tree.append(hash::leaf(&leaf.0));
            bundle.push(leaf);
            if bundle.len() as u64 == TILE_WIDTH {
                let index = tree.size() / TILE_WIDTH - 1;
                tiles.push((TileId::Entries { index }, Bytes::from(startup::bundle(&bundle))));
                bundle.clear();
            }
            if let Detail::Audience(set) = &draft.detail {
                let root = set.root();
                if !self.sets_stored.contains(&root) && sets_seen.insert(root) {
                    sets.push((SetId(root), set.encode()));
                }
            }
            let notice = draft.notice.as_ref().map(|permit| NewNotice {
                name: (permit.originator(), permit.manifest().manifest().reference.clone()),
                id: permit.manifest().id(),
                envelope: permit.manifest().envelope().clone(),
                parts: StoredParts {
                    parts: permit.parts().as_slice().to_vec(),
                    keyid: permit.manifest().keyid().into(),
                }
                .encode_to_vec()
                .into(),
            });
            let detail = draft.detail.encode();
            entries.push(NewEntry { leaf, opening: opening.clone(), detail, notice, about: draft.about.clone() });
            openings.push(opening);
        }
        tiles.extend(tree.tiles_since(before).into_iter().map(|(id, bytes)| (id, bytes.into())));
        tree.prune(before.saturating_sub(EDGE_LEAVES));
        let next = Seq(first.0 + drafts.len() as u64);
        let head = Head { log: self.log, base: self.base, next, root: tree.root() };
        let notes = note.into_iter().collect();
        let batch = Batch { first, entries, sets, tiles, erased: Vec::new(), notes, base: None, head };
        Built { batch, tree: Arc::new(tree), bundle, openings, drafts }
    }

    /// Moves behind a batch that has been committed. The root by the second routine first: one bit gone wrong in memory must not be
    /// signed, and what the new root is built on must still be what was signed last.
    pub(super) fn advance(&mut self, batch: &Batch, tree: Arc<Tree>, bundle: Vec<Leaf>) -> Result<(), String> {
        let leaves: Vec<_> = batch.entries.iter().map(|entry| entry.leaf).collect();
        let peaks = self.tree.peaks();
        let before = recompute_root(self.tree.size(), &peaks, &[]);
        let second = recompute_root(self.tree.size(), &peaks, &leaves);
        if before != Some(self.root) || second != Some(batch.head.root) {
            return Err(format!("two computations of one root differ at size {}", tree.size()));
        }
        (self.tree, self.root, self.bundle) = (tree, batch.head.root, bundle);
        self.sets_stored.extend(batch.sets.iter().map(|(id, _)| id.0));
        if self.sets_stored.len() > SETS_REMEMBERED_MAX {
            self.sets_stored.clear();
        }
        Ok(())
    }
}
