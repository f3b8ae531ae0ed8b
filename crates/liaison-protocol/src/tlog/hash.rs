//! RFC 6962 section 2.1: how leaves and nodes are hashed.

use crate::id::Hash;

/// Hash of a leaf: `SHA-256(0x00 | data)`.
pub fn leaf(data: &[u8]) -> Hash {
    Hash::of(&[&[0], data])
}

/// Hash of an inner node: `SHA-256(0x01 | left | right)`.
pub fn node(left: &Hash, right: &Hash) -> Hash {
    Hash::of(&[&[1], &left.0, &right.0])
}

/// Hash of the empty tree: `SHA-256("")`.
pub fn empty() -> Hash {
    Hash::of(&[])
}
