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

/// The hash of a subtree from those of its complete subtrees, largest first; None for no hash at all.
pub fn fold(hashes: impl DoubleEndedIterator<Item = Hash>) -> Option<Hash> {
    hashes.rev().reduce(|right, left| hash::node(&left, &right))
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
