//! RFC 6962 section 2.1: which nodes a proof is made of, and what it shows. Making a proof and checking one share nothing but the
//! hash, so that a mistake in one is seen by the other.

use std::ops::Range;

use crate::id::Hash;
use crate::tlog::hash;

/// A complete subtree: the leaves from `index << height` on, `1 << height` of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Node {
    /// 0 for a leaf.
    pub height: u32,
    /// Place among the nodes of its height, from 0.
    pub index: u64,
}

/// The largest power of two below `n`, which is at least 2.
fn split(n: u64) -> u64 {
    1 << (63 - (n - 1).leading_zeros())
}

/// The subtrees whose hashes prove that leaf `index` lies in the tree of `size`, leaf's sibling first (section 2.1.1).
/// `index` is below `size`.
pub fn inclusion(index: u64, size: u64) -> Vec<Range<u64>> {
    debug_assert!(index < size);
    let mut path = Vec::with_capacity(64 - size.leading_zeros() as usize);
    let (mut low, mut high) = (0, size);
    while high - low > 1 {
        let middle = low + split(high - low);
        if index < middle {
            path.push(middle..high);
            high = middle;
        } else {
            path.push(low..middle);
            low = middle;
        }
    }
    path.reverse();
    path
}

/// The subtrees whose hashes prove that the tree of `new` grew out of that of `old` (section 2.1.2). `1 <= old <= new`.
pub fn consistency(old: u64, new: u64) -> Vec<Range<u64>> {
    debug_assert!(1 <= old && old <= new);
    let mut path = Vec::new();
    let (mut low, mut high, mut whole) = (0, new, true);
    while old < high {
        let middle = low + split(high - low);
        if old <= middle {
            path.push(middle..high);
            high = middle;
        } else {
            path.push(low..middle);
            low = middle;
            whole = false;
        }
    }
    if !whole {
        path.push(low..high);
    }
    path.reverse();
    path
}

/// The complete subtrees that a subtree of a proof is made of, largest first.
pub fn nodes(range: &Range<u64>) -> impl Iterator<Item = Node> + use<> {
    let (mut low, high) = (range.start, range.end);
    std::iter::from_fn(move || {
        let left = high - low;
        (left > 0).then(|| {
            let height = 63 - left.leading_zeros();
            let node = Node { height, index: low >> height };
            low += 1 << height;
            node
        })
    })
}

/// The hash of a subtree from those of its complete subtrees, at most 64, largest first; None for no hash at all.
pub fn fold(mut hashes: impl Iterator<Item = Hash>) -> Option<Hash> {
    let largest = hashes.next()?;
    Some(joined(largest, &mut hashes))
}

fn joined(left: Hash, smaller: &mut impl Iterator<Item = Hash>) -> Hash {
    match smaller.next() {
        None => left,
        Some(next) => hash::node(&left, &joined(next, smaller)),
    }
}

/// The root that an inclusion path leads to; None if it has another length than this index and size need.
pub fn root_of_inclusion(leaf: Hash, index: u64, size: u64, path: &[Hash]) -> Option<Hash> {
    if index >= size {
        return None;
    }
    // RFC 9162 section 2.1.3.2.
    let (mut node, mut last, mut root) = (index, size - 1, leaf);
    for sibling in path {
        if last == 0 {
            return None;
        }
        if node & 1 == 1 || node == last {
            root = hash::node(sibling, &root);
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            root = hash::node(&root, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    (last == 0).then_some(root)
}

/// Inclusion of many leaves in one tree: what the path before has shown is not hashed again. Each verdict is the one that
/// [`root_of_inclusion`] leads to; leaves that ascend cost each node of their paths once.
#[derive(Clone, Debug)]
pub struct Inclusions {
    size: u64,
    root: Hash,
    /// What the last path that held was climbed by: the hash at each node before its next sibling.
    rungs: Vec<(Node, Hash)>,
    path: Vec<Hash>,
    /// Room for those of the next.
    climbed: Vec<(Node, Hash)>,
}

impl Inclusions {
    /// In the tree of a size with this root.
    pub fn of(size: u64, root: Hash) -> Self {
        Self { size, root, rungs: Vec::new(), path: Vec::new(), climbed: Vec::new() }
    }

    /// Whether a path shows that the leaf with this hash lies at `index`.
    pub fn hold(&mut self, leaf: Hash, index: u64, path: &[Hash]) -> bool {
        if index >= self.size {
            return false;
        }
        let (mut node, mut last, mut hash) = (Node { height: 0, index }, self.size - 1, leaf);
        let mut met = 0;
        self.climbed.clear();
        for (nth, sibling) in path.iter().enumerate() {
            while self.rungs.get(met).is_some_and(|(known, _)| known.height < node.height) {
                met += 1;
            }
            if let Some((_, shown)) = self.rungs.get(met).filter(|(known, _)| *known == node) {
                // From here on both climb the same way, and there is one hash at each place.
                let holds = *shown == hash && path[nth..] == self.path[met..];
                if holds {
                    self.rungs.splice(..met, self.climbed.drain(..));
                    self.path.splice(..met, path[..nth].iter().copied());
                }
                return holds;
            }
            if last == 0 {
                return false;
            }
            self.climbed.push((node, hash));
            let up = |node: &mut Node, last: &mut u64| {
                (node.height, node.index, *last) = (node.height + 1, node.index >> 1, *last >> 1);
            };
            if node.index & 1 == 1 || node.index == last {
                hash = hash::node(sibling, &hash);
                while node.index & 1 == 0 && node.index != 0 {
                    up(&mut node, &mut last);
                }
            } else {
                hash = hash::node(&hash, sibling);
            }
            up(&mut node, &mut last);
        }
        let holds = last == 0 && hash == self.root;
        if holds {
            std::mem::swap(&mut self.rungs, &mut self.climbed);
            self.path.clear();
            self.path.extend_from_slice(path);
        }
        holds
    }
}

/// Whether a path shows that the tree of `new` and its root grew out of that of `old` and its root.
pub fn is_consistent(old: u64, old_root: Hash, new: u64, new_root: Hash, path: &[Hash]) -> bool {
    // RFC 9162 section 2.1.4.2.
    if old == 0 || old > new {
        return false;
    }
    if old == new {
        return path.is_empty() && old_root == new_root;
    }
    let (first, rest) = if old.is_power_of_two() {
        (old_root, path)
    } else {
        match path.split_first() {
            Some((first, rest)) => (*first, rest),
            None => return false,
        }
    };
    let (mut node, mut last) = (old - 1, new - 1);
    while node & 1 == 1 {
        node >>= 1;
        last >>= 1;
    }
    let (mut old_found, mut new_found) = (first, first);
    for sibling in rest {
        if last == 0 {
            return false;
        }
        if node & 1 == 1 || node == last {
            old_found = hash::node(sibling, &old_found);
            new_found = hash::node(sibling, &new_found);
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            new_found = hash::node(&new_found, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    last == 0 && old_found == old_root && new_found == new_root
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tlog::tree::Tree;

    #[test]
    fn paths_checked_one_after_the_other_get_the_verdict_that_each_gets_alone() {
        let leaf = |n: u64| hash::leaf(&n.to_be_bytes());
        let mut chance = 7_u64;
        let mut below = |bound: u64| {
            chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (chance >> 33) % bound
        };
        for size in 1..=67 {
            let mut tree = Tree::default();
            (0..size).for_each(|n| tree.append(leaf(n)));
            let mut inclusions = Inclusions::of(size, tree.root());
            for _ in 0..200 {
                let mut index = below(size);
                let (mut hash, mut path) = (index, tree.inclusion(index).expect("a whole tree"));
                match below(8) {
                    0 => index = below(size + 3),
                    1 => hash = below(size),
                    2 => drop(path.pop()),
                    3 => path.push(leaf(below(size))),
                    what @ (4 | 5) if !path.is_empty() => {
                        let place = below(path.len() as u64) as usize;
                        if what == 4 { path[place] = leaf(below(size)) } else { path.swap(0, place) }
                    }
                    _ => {}
                }
                let alone = root_of_inclusion(leaf(hash), index, size, &path) == Some(tree.root());
                assert_eq!(inclusions.hold(leaf(hash), index, &path), alone, "leaf {hash} at {index} of {size}");
            }
        }
    }
}
