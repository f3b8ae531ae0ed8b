//! Hashes of subtrees that the edge has forgotten: from stored tiles, or from what the tiles were made of.

use std::ops::Range;

use liaison_protocol::id::{Hash, Seq};
use liaison_protocol::tlog::hash;
use liaison_protocol::tlog::proof::{self, Node};
use liaison_protocol::tlog::tile::{TILE_HEIGHT, TILE_WIDTH, TileId};
use liaison_protocol::tlog::tree::Tree;

use super::Published;
use crate::store::{ReadError, Store};

/// Bytes of entries read at a time.
const READ_BYTES_MAX: usize = 2 << 20;

/// Which tiles are believed. A tile is derived from the entries, so a damaged one costs time and no proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tiles {
    /// As they are stored.
    Stored,
    /// Those of the lowest level made anew from the entries, the others as they are stored.
    LowestAnew,
    /// Those of the higher levels made anew from the stored tiles just below them, the others as they are stored.
    HigherAnew,
}

impl Tiles {
    /// In the order in which they are tried. Each reads at most 256 tiles or entries for one tile, so that nobody who asks for proofs
    /// of damaged leaves costs more than that; damage at two levels of one proof is left to whoever mends the store.
    pub const ALL: [Self; 3] = [Self::Stored, Self::LowestAnew, Self::HigherAnew];

    fn anew(self, level: u8) -> bool {
        match self {
            Self::Stored => false,
            Self::LowestAnew => level == 0,
            Self::HigherAnew => level > 0,
        }
    }
}

/// The hash of a subtree from tiles, for proofs of leaves that the edge has forgotten. It is believed once a proof with it holds.
pub async fn stored_subtree(
    store: &dyn Store,
    published: &Published,
    range: &Range<u64>,
    tiles: Tiles,
) -> Result<Hash, ReadError> {
    let mut hashes = Vec::new();
    for node in proof::nodes(range) {
        if let Some(hash) = published.tree.node(node) {
            hashes.push(hash);
            continue;
        }
        let level = u8::try_from(node.height / TILE_HEIGHT).unwrap_or(u8::MAX);
        let within = node.height % TILE_HEIGHT;
        let first = node.index << within;
        let mut tree = Tree::default();
        // A tile that is not full yet lies in the edge, whatever has been forgotten above it.
        let bottom = |index| published.tree.node(Node { height: node.height - within, index });
        if let Some(held) = (first..first + (1 << within)).map(bottom).collect::<Option<Vec<_>>>() {
            held.into_iter().for_each(|hash| tree.append(hash));
        } else {
            let tile = tile(store, published.base, level, first / TILE_WIDTH, tiles).await?;
            let start = usize::try_from(first % TILE_WIDTH).unwrap_or(usize::MAX);
            tile[start..start + (1 << within)].iter().for_each(|hash| tree.append(*hash));
        }
        hashes.push(tree.root());
    }
    proof::fold(hashes.into_iter()).ok_or_else(|| ReadError::Damaged("an empty subtree".into()))
}

/// The hashes of a full tile.
async fn tile(store: &dyn Store, base: Seq, level: u8, index: u64, tiles: Tiles) -> Result<Vec<Hash>, ReadError> {
    if !tiles.anew(level) {
        let id = TileId::Hashes { level, index };
        let tile = store.tiles(&[id]).await?.pop().flatten().filter(|tile| tile.len() as u64 == 32 * TILE_WIDTH);
        let tile = tile.ok_or_else(|| ReadError::Damaged(format!("{id:?} is missing or has another length")))?;
        return Ok(tile.chunks_exact(32).filter_map(Hash::from_slice).collect());
    }
    let range = index * TILE_WIDTH..(index + 1) * TILE_WIDTH;
    if level == 0 {
        return leaf_hashes(store, base, range).await;
    }
    let mut roots = Vec::with_capacity(TILE_WIDTH as usize);
    for below in range {
        let mut tree = Tree::default();
        let below = Box::pin(tile(store, base, level - 1, below, Tiles::Stored)).await?;
        below.into_iter().for_each(|hash| tree.append(hash));
        roots.push(tree.root());
    }
    Ok(roots)
}

/// The leaf hashes of a range of leaves, from the entries.
async fn leaf_hashes(store: &dyn Store, base: Seq, range: Range<u64>) -> Result<Vec<Hash>, ReadError> {
    let mut hashes = Vec::new();
    while range.start + (hashes.len() as u64) < range.end {
        let next = Seq(base.0 + range.start + hashes.len() as u64);
        let entries = store.entries(next..Seq(base.0 + range.end), READ_BYTES_MAX).await?;
        if entries.is_empty() {
            return Err(ReadError::Damaged(format!("statement {} is missing", next.0)));
        }
        hashes.extend(entries.iter().map(|entry| hash::leaf(&entry.leaf.0)));
    }
    Ok(hashes)
}
