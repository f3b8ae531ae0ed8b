//! The right edge of a growing tree: enough of it in memory to append, to sign, and to prove what was appended lately.

use std::sync::Arc;

use crate::id::Hash;
use crate::tlog::entry::Leaf;
use crate::tlog::hash;
use crate::tlog::proof::{self, Node};
use crate::tlog::tile::{TILE_HEIGHT, TILE_WIDTH, TileId};

/// The complete nodes from some leaf on, at every height. A copy shares all but the newest of them.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    size: u64,
    levels: Vec<Level>,
}

/// Nodes of one height that are kept together: whoever copies an edge shares them.
const BLOCK: usize = 256;

/// The nodes of one height from `start` on, in full blocks and what comes after those.
#[derive(Clone, Debug, Default)]
struct Level {
    start: u64,
    blocks: Vec<Arc<[Hash]>>,
    last: Vec<Hash>,
}

impl Level {
    fn from(start: u64) -> Self {
        Self { start, ..Self::default() }
    }

    fn at(&self, index: u64) -> Option<Hash> {
        let place = usize::try_from(index.checked_sub(self.start)?).ok()?;
        let block = self.blocks.get(place / BLOCK).map_or(&self.last[..], |block| block);
        // Behind the last full block lies `last`; behind that nothing.
        if place / BLOCK > self.blocks.len() { None } else { block.get(place % BLOCK).copied() }
    }

    /// One behind the last node.
    fn end(&self) -> u64 {
        self.start + (self.blocks.len() * BLOCK + self.last.len()) as u64
    }

    fn push(&mut self, node: Hash) {
        self.last.push(node);
        if self.last.len() == BLOCK {
            self.blocks.push(std::mem::take(&mut self.last).into());
        }
    }

    /// Forgets whole blocks before a node.
    fn forget(&mut self, before: u64) {
        let gone = usize::try_from(before.saturating_sub(self.start)).unwrap_or(usize::MAX) / BLOCK;
        let gone = gone.min(self.blocks.len());
        self.blocks.drain(..gone);
        self.start += (gone * BLOCK) as u64;
    }

    #[cfg(test)]
    fn held(&self) -> usize {
        self.blocks.len() * BLOCK + self.last.len()
    }
}

impl Tree {
    /// Number of leaves.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Appends a leaf's hash.
    pub fn append(&mut self, leaf: Hash) {
        self.push(0, leaf);
        self.size += 1;
    }

    /// Adds a complete node at a height, and every node that it completes.
    fn push(&mut self, height: usize, node: Hash) {
        let (mut height, mut node) = (height, node);
        loop {
            if self.levels.len() <= height {
                self.levels.resize_with(height + 1, Level::default);
            }
            let level = &mut self.levels[height];
            level.push(node);
            let last = level.end() - 1;
            if last & 1 == 0 {
                return;
            }
            let left = level.at(last - 1).expect("a level starts at an even node");
            node = hash::node(&left, &node);
            height += 1;
        }
    }

    /// RFC 6962 root.
    pub fn root(&self) -> Hash {
        self.subtree(&(0..self.size)).unwrap_or_else(hash::empty)
    }

    /// The hashes of the complete subtrees that the whole tree is made of, largest first.
    pub fn peaks(&self) -> Vec<Hash> {
        proof::nodes(&(0..self.size)).map(|node| self.node(node).expect("the edge keeps its peaks")).collect()
    }

    /// A complete node, if the edge still holds it or what it is made of: inside a partial tile only the lowest row is kept whole.
    pub fn node(&self, node: Node) -> Option<Hash> {
        let Node { height, index } = node;
        if let Some(hash) = self.levels.get(height as usize).and_then(|level| level.at(index)) {
            return Some(hash);
        }
        if height.is_multiple_of(TILE_HEIGHT) {
            return None;
        }
        let child = |index| self.node(Node { height: height - 1, index });
        Some(hash::node(&child(2 * index)?, &child(2 * index + 1)?))
    }

    /// The hash of a subtree of a proof, if the edge still holds what it is made of.
    pub fn subtree(&self, range: &std::ops::Range<u64>) -> Option<Hash> {
        let mut whole = true;
        let hashes = proof::nodes(range).map_while(|node| {
            let hash = self.node(node);
            whole &= hash.is_some();
            hash
        });
        proof::fold(hashes).filter(|_| whole)
    }

    /// The inclusion path of a leaf in this tree, if the edge still holds it.
    pub fn inclusion(&self, index: u64) -> Option<Vec<Hash>> {
        if index >= self.size {
            return None;
        }
        let ranges = proof::inclusion(index, self.size);
        let mut path = Vec::with_capacity(ranges.len());
        for range in &ranges {
            path.push(self.subtree(range)?);
        }
        Some(path)
    }

    /// Forgets what is needed neither to append nor to prove leaves from `keep` on.
    pub fn prune(&mut self, keep: u64) {
        let tile = TILE_WIDTH - 1;
        for (height, level) in self.levels.iter_mut().enumerate() {
            let count = level.end();
            // A partial tile stays whole until it is full and stored; a peak stays until it has a parent.
            let in_tile = (height as u32).is_multiple_of(TILE_HEIGHT);
            let needed = if in_tile { count & !tile } else { count.saturating_sub(1) & !1 };
            level.forget(((keep >> height) & !1).min(needed));
        }
    }

    /// The hash tiles that became full since the tree had `before` leaves. Call it before `prune`.
    pub fn tiles_since(&self, before: u64) -> Vec<(TileId, Vec<u8>)> {
        let mut tiles = Vec::new();
        for level in 0..=u8::MAX {
            let height = u32::from(level) * TILE_HEIGHT;
            if height >= 64 || self.size >> height < TILE_WIDTH {
                break;
            }
            for index in (before >> height) / TILE_WIDTH..(self.size >> height) / TILE_WIDTH {
                let nodes = index * TILE_WIDTH..(index + 1) * TILE_WIDTH;
                let bytes = nodes
                    .flat_map(|index| self.node(Node { height, index }).expect("a tile is whole until stored").0)
                    .collect();
                tiles.push((TileId::Hashes { level, index }, bytes));
            }
        }
        tiles
    }

    /// Rebuilds an edge from the partial tiles of each level, level 0 first: for each the nodes after its full tiles.
    /// Whoever calls this checks the root against a signed checkpoint.
    pub fn from_partial_tiles(size: u64, partial: &[Vec<Hash>]) -> Option<Self> {
        let mut tree = Self { size, levels: Vec::new() };
        for (level, hashes) in partial.iter().enumerate() {
            let height = level as u32 * TILE_HEIGHT;
            let count = size.checked_shr(height).unwrap_or(0);
            let first = count / TILE_WIDTH * TILE_WIDTH;
            if hashes.len() as u64 != count - first {
                return None;
            }
            for within in 0..TILE_HEIGHT {
                let start = first.checked_shr(within).unwrap_or(0);
                tree.levels.push(Level::from(start));
            }
        }
        for (level, hashes) in partial.iter().enumerate() {
            for hash in hashes {
                tree.push(level * TILE_HEIGHT as usize, *hash);
            }
        }
        Some(tree)
    }
}

/// The root of a tree that grew by `leaves`, computed by RFC 6962's definition from its former peaks: a second routine beside
/// [`Tree::append`], so that one bit gone wrong in memory is seen before anything is signed.
pub fn recompute_root(before: u64, peaks: &[Hash], leaves: &[Leaf]) -> Option<Hash> {
    let peaks: Vec<_> = proof::nodes(&(0..before)).zip(peaks.iter().copied()).collect();
    let growth = Growth { before, peaks, leaves };
    match before + leaves.len() as u64 {
        0 => Some(hash::empty()),
        size => growth.root(0, size),
    }
}

struct Growth<'a> {
    before: u64,
    peaks: Vec<(Node, Hash)>,
    leaves: &'a [Leaf],
}

impl Growth<'_> {
    fn root(&self, low: u64, high: u64) -> Option<Hash> {
        let count = high - low;
        if high <= self.before && count.is_power_of_two() {
            let height = count.trailing_zeros();
            let node = Node { height, index: low >> height };
            return self.peaks.iter().find(|(peak, _)| *peak == node).map(|(_, hash)| *hash);
        }
        if count == 1 {
            let nth = usize::try_from(low - self.before).ok()?;
            return self.leaves.get(nth).map(|leaf| hash::leaf(&leaf.0));
        }
        let middle = low + (1 << (63 - (count - 1).leading_zeros()));
        Some(hash::node(&self.root(low, middle)?, &self.root(middle, high)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaf(n: u64) -> Leaf {
        let mut leaf = [1; 33];
        leaf[1..].copy_from_slice(Hash::of(&[&n.to_be_bytes()]).as_ref());
        Leaf(leaf)
    }

    fn grown(size: u64) -> Tree {
        let mut tree = Tree::default();
        (0..size).for_each(|n| tree.append(hash::leaf(&leaf(n).0)));
        tree
    }

    #[test]
    fn every_leaf_of_every_small_tree_is_proved_and_no_other() {
        for size in 1..=130 {
            let tree = grown(size);
            for index in 0..size {
                let path = tree.inclusion(index).expect("whole tree");
                let found = |leaf| proof::root_of_inclusion(leaf, index, size, &path);
                assert_eq!(found(hash::leaf(&leaf(index).0)), Some(tree.root()));
                assert_ne!(found(hash::leaf(&leaf(index + 1).0)), Some(tree.root()));
            }
            assert_eq!(tree.inclusion(size), None);
        }
    }

    #[test]
    fn every_growth_of_a_small_tree_is_proved_and_no_fork_is() {
        for new in 1..=70 {
            let tree = grown(new);
            for old in 1..=new {
                let before = grown(old).root();
                let path: Vec<_> =
                    proof::consistency(old, new).iter().filter_map(|range| tree.subtree(range)).collect();
                assert!(proof::is_consistent(old, before, new, tree.root(), &path), "{old} {new}");
                assert!(!proof::is_consistent(old, leaf_hash(7), new, tree.root(), &path));
                assert!(old == new || !proof::is_consistent(old, before, new, leaf_hash(7), &path));
            }
        }
    }

    fn leaf_hash(n: u64) -> Hash {
        hash::leaf(&leaf(n).0)
    }

    #[test]
    fn a_pruned_edge_grows_proves_and_gives_its_tiles_like_a_whole_tree() {
        let (mut edge, mut whole) = (Tree::default(), Tree::default());
        let mut tiles = Vec::new();
        for round in 0..900_u64 {
            let before = edge.size();
            for n in before..before + 1 + round % 97 {
                edge.append(leaf_hash(n));
                whole.append(leaf_hash(n));
            }
            tiles.extend(edge.tiles_since(before));
            edge.prune(before);
            assert_eq!(edge.root(), whole.root());
            for index in [before, edge.size() - 1] {
                assert_eq!(edge.inclusion(index), whole.inclusion(index));
            }
        }
        let held: usize = edge.levels.iter().map(Level::held).sum();
        assert!(held < 5_000, "the edge holds {held} hashes of {}", edge.size());
        // They came as they filled; a whole tree gives them by level.
        tiles.sort();
        let mut expected = whole.tiles_since(0);
        expected.sort();
        assert_eq!(tiles, expected);
    }

    #[test]
    fn what_no_full_tile_holds_the_pruned_edge_still_knows() {
        for size in [255, 513, 5_000, 70_001] {
            let whole = grown(size);
            let mut edge = whole.clone();
            edge.prune(size - 10);
            for index in (0..size).step_by(89) {
                for node in proof::inclusion(index, size).iter().flat_map(proof::nodes) {
                    let tiles = size >> (node.height / TILE_HEIGHT * TILE_HEIGHT) >> TILE_HEIGHT;
                    let stored = node.index >> (TILE_HEIGHT - node.height % TILE_HEIGHT) < tiles;
                    assert!(stored || edge.node(node) == whole.node(node), "{node:?} of {size}");
                }
            }
        }
    }

    #[test]
    fn of_a_subtree_that_it_holds_the_first_part_of_a_pruned_edge_says_nothing() {
        let mut tree = grown(2 * TILE_WIDTH + 8);
        let range = 0..TILE_WIDTH + 1;
        assert!(tree.subtree(&range).is_some());
        tree.prune(tree.size());
        assert!(tree.node(Node { height: TILE_HEIGHT, index: 0 }).is_some(), "it is in a tile that is not full");
        assert_eq!(tree.subtree(&range), None);
    }

    #[test]
    fn an_edge_is_rebuilt_from_partial_tiles() {
        for size in [1, 255, 256, 257, 65_535, 65_536, 66_000, 70_001] {
            let whole = grown(size);
            let partial: Vec<Vec<Hash>> = (0..3_u32)
                .map(|level| {
                    let count = size >> (8 * level);
                    (count / 256 * 256..count)
                        .map(|index| whole.node(Node { height: 8 * level, index }).expect("whole"))
                        .collect()
                })
                .collect();
            let mut edge = Tree::from_partial_tiles(size, &partial).expect("fits");
            assert_eq!(edge.root(), whole.root(), "{size}");
            let mut whole = whole;
            for n in size..size + 300 {
                edge.append(leaf_hash(n));
                whole.append(leaf_hash(n));
                assert_eq!(edge.root(), whole.root());
            }
        }
    }

    #[test]
    fn the_second_routine_agrees_and_sees_one_flipped_bit() {
        for before in 0..40_u64 {
            for more in 0..20 {
                let leaves: Vec<_> = (before..before + more).map(leaf).collect();
                let old = grown(before);
                let root = recompute_root(before, &old.peaks(), &leaves);
                assert_eq!(root, Some(grown(before + more).root()));
                if let Some(mut flipped) = (more > 0).then(|| leaves.clone()) {
                    flipped[0].0[9] ^= 4;
                    assert_ne!(recompute_root(before, &old.peaks(), &flipped), root);
                }
            }
        }
    }
}
