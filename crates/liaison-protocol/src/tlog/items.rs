//! Small salted trees: a statement about many holds their root, and each party is shown its own item and path.

use bytes::Bytes;

use crate::id::{Hash, LeafIndex, NoticeId, PartnerNumber};
use crate::proto::{ExpiredOutcome, Verdict};
use crate::tlog::entry::Salt;
use crate::tlog::tree::Tree;
use crate::tlog::{hash, proof};

/// An RFC 6962 tree over leaf data of 32 bytes each, whole in memory.
#[derive(Clone, Debug)]
pub struct ItemTree(Tree);

impl ItemTree {
    /// Over items in order.
    pub fn over(items: impl IntoIterator<Item = Hash>) -> Self {
        let mut tree = Tree::default();
        items.into_iter().for_each(|item| tree.append(hash::leaf(&item.0)));
        Self(tree)
    }

    /// The root that a statement holds.
    pub fn root(&self) -> Hash {
        self.0.root()
    }

    /// The path of one item. None: there is no such item.
    pub fn path(&self, index: u64) -> Option<Vec<Hash>> {
        self.0.inclusion(index)
    }
}

/// The root that an item and its path lead to; None if the path cannot be one of this place and count.
pub fn root_of(item: Hash, index: u64, count: u64, path: &[Hash]) -> Option<Hash> {
    proof::root_of_inclusion(hash::leaf(&item.0), index, count, path)
}

/// Hashes of 32 bytes each, as they stand in a repeated field.
pub fn hashes(path: &[Bytes]) -> Option<Vec<Hash>> {
    path.iter().map(|bytes| Hash::from_slice(bytes)).collect()
}

/// Leaf data of a recipient of an accepted notice.
pub fn recipient(salt: &Salt, number: PartnerNumber) -> Hash {
    Hash::of(&[b"liaison-recipient-v1", &salt.0, &number.0.to_be_bytes()])
}

/// Leaf data of an acknowledged notice. The reason has at most 256 bytes.
pub fn acknowledged(salt: &Salt, leaf: LeafIndex, notice: &NoticeId, verdict: Verdict, reason: &str) -> Hash {
    let length = u16::try_from(reason.len()).unwrap_or(u16::MAX).to_be_bytes();
    Hash::of(&[
        b"liaison-acknowledged-item-v1",
        &salt.0,
        &leaf.0.to_be_bytes(),
        notice.0.as_ref(),
        &[verdict as u8],
        &length,
        reason.as_bytes(),
    ])
}

/// Leaf data of a recipient whose time ran out.
pub fn expired(
    salt: &Salt,
    leaf: LeafIndex,
    notice: &NoticeId,
    number: PartnerNumber,
    outcome: ExpiredOutcome,
) -> Hash {
    Hash::of(&[
        b"liaison-expired-item-v1",
        &salt.0,
        &leaf.0.to_be_bytes(),
        notice.0.as_ref(),
        &number.0.to_be_bytes(),
        &[outcome as u8],
    ])
}

/// Leaf data of a directory record.
pub fn record(salt: &Salt, record: &[u8]) -> Hash {
    Hash::of(&[b"liaison-record-v1", &salt.0, record])
}
