//! Proofs of the log itself: salted commitments only, so any registered partner may ask.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use liaison_protocol::id::{Hash, LeafIndex, Seq};
use liaison_protocol::reason::{Reason, Refusal};
use liaison_protocol::tlog::{hash, proof};

use super::Exchange;
use crate::sequencer::{Published, Tiles, recovering_refusal, stored_subtree};
use crate::store::ReadError;

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
    /// The newest checkpoint, as a signed note.
    pub fn checkpoint(&self) -> Result<Bytes, Refusal> {
        let published = self.published();
        // A node that lost everything has none to show; any other log has its first leaf.
        if published.size() == 0 { Err(recovering_refusal()) } else { Ok(published.checkpoint.clone()) }
    }

    /// The hashes of subtrees, once together they are what `holds` says: from the tree's edge and the stored tiles; where those are
    /// damaged, from tiles made anew, of the entries or of the tiles below. None: neither holds.
    pub(super) async fn sound_path(
        &self,
        published: &Published,
        ranges: &[Range<u64>],
        holds: impl Fn(&[Hash]) -> bool,
    ) -> Result<Option<Vec<Hash>>, Refusal> {
        let mut unavailable = None;
        for tiles in Tiles::ALL {
            match self.subtrees(published, ranges, tiles).await {
                Ok(path) if holds(&path) => return Ok(Some(path)),
                Ok(_) => self.report_tiles(tiles, "a proof from them does not hold"),
                Err(ReadError::Damaged(what)) => self.report_tiles(tiles, &what),
                Err(error) => unavailable = Some(error),
            }
        }
        match unavailable {
            Some(error) => Err(self.unreadable(None, error)),
            None => Ok(None),
        }
    }

    /// Stored tiles that had to be made anew are damage; what could not be made anew is the damage of whoever is asked for.
    fn report_tiles(&self, tiles: Tiles, what: &str) {
        if tiles == Tiles::Stored {
            self.counts
                .integrity
                .report(None, &format!("stored tiles are not used, what they hold is made anew: {what}"));
        }
    }

    async fn subtrees(
        &self,
        published: &Published,
        ranges: &[Range<u64>],
        tiles: Tiles,
    ) -> Result<Vec<Hash>, ReadError> {
        let mut path = Vec::with_capacity(ranges.len());
        for range in ranges {
            path.push(match published.tree.subtree(range) {
                Some(hash) => hash,
                None => stored_subtree(&*self.store, published, range, tiles).await?,
            });
        }
        Ok(path)
    }

    /// Proves a leaf against the tree of a size; 0 for the newest.
    pub async fn inclusion(&self, leaf: u64, size: u64) -> Result<Inclusion, Refusal> {
        let published = self.published();
        let size = if size == 0 { published.size() } else { size };
        if size > published.size() || leaf >= size {
            return Err(self.perhaps_lost(out_of_range(format!(
                "leaf {leaf} of size {size}: the log has {}",
                published.size()
            ))));
        }
        let (seq, index) = (Seq(published.base.0 + leaf), Some(LeafIndex(leaf)));
        let entry = self.store.entries(seq..Seq(seq.0 + 1), 1).await;
        let entry = entry.map_err(|error| self.unreadable(index, error))?.into_iter().next();
        let entry = entry.ok_or_else(|| self.damaged(index, "it is missing"))?;
        // Under an older tree it is believed once that tree has grown into the one that was signed.
        let (inclusion, growth) = (proof::inclusion(leaf, size), proof::consistency(size, published.size()));
        let ranges = [inclusion.as_slice(), growth.as_slice()].concat();
        let holds = |hashes: &[Hash]| {
            let (path, growth) = hashes.split_at(inclusion.len());
            let root = proof::root_of_inclusion(hash::leaf(&entry.leaf.0), leaf, size, path);
            root.is_some_and(|root| grew(&published, size, root, growth))
        };
        let path = self.sound_path(&published, &ranges, holds).await?;
        let mut path = path.ok_or_else(|| self.damaged(index, "it does not lead to the root that was signed"))?;
        path.truncate(inclusion.len());
        Ok(Inclusion { size, leaf: Bytes::copy_from_slice(&entry.leaf.0), path, published })
    }

    /// Proves that the tree of one size grew into that of another; 0 for the newest.
    pub async fn consistency(&self, old: u64, new: u64) -> Result<Consistency, Refusal> {
        let published = self.published();
        let new = if new == 0 { published.size() } else { new };
        if old == 0 || old > new || new > published.size() {
            return Err(
                self.perhaps_lost(out_of_range(format!("sizes {old} and {new}: the log has {}", published.size())))
            );
        }
        let parts = [
            proof::consistency(old, new),
            whole(old),
            proof::consistency(old, published.size()),
            whole(new),
            proof::consistency(new, published.size()),
        ];
        let lengths = parts.each_ref().map(Vec::len);
        let holds = |hashes: &[Hash]| {
            let mut rest = hashes;
            let [path, before, from_before, after, from_after] = lengths.map(|length| {
                let (part, behind) = rest.split_at(length);
                rest = behind;
                part
            });
            let root = |hashes: &[Hash]| proof::fold(hashes.iter().copied());
            let (Some(before), Some(after)) = (root(before), root(after)) else { return false };
            proof::is_consistent(old, before, new, after, path)
                && grew(&published, old, before, from_before)
                && grew(&published, new, after, from_after)
        };
        let path = self.sound_path(&published, &parts.concat(), holds).await?;
        let mut path =
            path.ok_or_else(|| self.damaged(None, &format!("the tree between {old} and {new} leaves")))?;
        path.truncate(lengths[0]);
        Ok(Consistency { size: new, path, published })
    }
}

/// The complete subtrees of the whole tree of a size.
fn whole(size: u64) -> Vec<Range<u64>> {
    let leaves = |node: proof::Node| node.index << node.height..(node.index + 1) << node.height;
    proof::nodes(&(0..size)).map(leaves).collect()
}

/// Whether a tree with this root grew into the one that was signed.
fn grew(published: &Published, size: u64, root: Hash, path: &[Hash]) -> bool {
    proof::is_consistent(size, root, published.size(), published.tree.root(), path)
}

fn out_of_range(text: String) -> Refusal {
    Refusal::new(Reason::IndexOutOfRange, text)
}
