//! Proofs of the log itself: salted commitments only, so any registered partner may ask.

use std::sync::Arc;

use bytes::Bytes;
use liaison_protocol::id::{Hash, Seq};
use liaison_protocol::reason::{Reason, Refusal};
use liaison_protocol::tlog::proof;

use super::{Exchange, unreadable};
use crate::sequencer::{Published, stored_subtree};

/// That a leaf lies in the tree of a size.
#[derive(Debug)]
pub struct Inclusion {
    /// Leaves of the tree it proves against.
    pub size: u64,
    /// The leaf's data, 33 bytes.
    pub leaf: Bytes,
    /// RFC 6962 section 2.1.1.
    pub path: Vec<Hash>,
    /// The newest checkpoint.
    pub published: Arc<Published>,
}

/// That a tree grew into another.
#[derive(Debug)]
pub struct Consistency {
    /// Leaves of the newer tree.
    pub size: u64,
    /// RFC 6962 section 2.1.2.
    pub path: Vec<Hash>,
    /// The newest checkpoint.
    pub published: Arc<Published>,
}

impl Exchange {
    /// A leaf's inclusion path under a published head.
    pub(super) async fn path(&self, published: &Published, leaf: u64) -> Result<Vec<Hash>, Refusal> {
        match published.tree.inclusion(leaf) {
            Some(path) => Ok(path),
            None => self.subtrees(published, proof::inclusion(leaf, published.size())).await,
        }
    }

    async fn subtrees(
        &self,
        published: &Published,
        ranges: Vec<std::ops::Range<u64>>,
    ) -> Result<Vec<Hash>, Refusal> {
        let mut path = Vec::with_capacity(ranges.len());
        for range in ranges {
            path.push(match published.tree.subtree(&range) {
                Some(hash) => hash,
                None => stored_subtree(&*self.store, published, &range).await.map_err(unreadable)?,
            });
        }
        Ok(path)
    }

    /// Proves a leaf against the tree of a size; 0 for the newest.
    pub async fn inclusion(&self, leaf: u64, size: u64) -> Result<Inclusion, Refusal> {
        let published = self.published();
        let size = if size == 0 { published.size() } else { size };
        if size > published.size() || leaf >= size {
            return Err(out_of_range(format!("leaf {leaf} of size {size}: the log has {}", published.size())));
        }
        let seq = Seq(published.base.0 + leaf);
        let entry = self.store.entries(seq..Seq(seq.0 + 1), 1).await.map_err(unreadable)?;
        let entry = entry.first().ok_or_else(|| Refusal::new(Reason::StoredDamage, "the leaf is missing"))?;
        let data = Bytes::copy_from_slice(&entry.leaf.0);
        let path = self.subtrees(&published, proof::inclusion(leaf, size)).await?;
        Ok(Inclusion { size, leaf: data, path, published })
    }

    /// Proves that the tree of one size grew into that of another; 0 for the newest.
    pub async fn consistency(&self, old: u64, new: u64) -> Result<Consistency, Refusal> {
        let published = self.published();
        let new = if new == 0 { published.size() } else { new };
        if old == 0 || old > new || new > published.size() {
            return Err(out_of_range(format!("sizes {old} and {new}: the log has {}", published.size())));
        }
        let path = self.subtrees(&published, proof::consistency(old, new)).await?;
        Ok(Consistency { size: new, path, published })
    }
}

fn out_of_range(text: String) -> Refusal {
    Refusal::new(Reason::IndexOutOfRange, text)
}
