//! Coming back: the edge of the tree is rebuilt from what is stored and checked twice against what was signed, the view is folded
//! anew, and what a crash left unsigned is signed. Nothing is signed over data that fails its hash.

use std::sync::{Arc, RwLock};

use liaison_protocol::id::{Hash, Seq};
use liaison_protocol::tlog::checkpoint::{Checkpoint, SignedNote};
use liaison_protocol::tlog::entry::{LEAF_BYTES, Leaf};
use liaison_protocol::tlog::hash;
use liaison_protocol::tlog::tile::{TILE_HEIGHT, TILE_WIDTH, TileId};
use liaison_protocol::tlog::tree::Tree;

use super::Parts;
use super::anchor::Anchor;
use super::fold::{self, Folded};
use super::inbox::Inbox;
use super::recent::Publisher;
use super::run::{self, Run};
use crate::state::{Diverged, View};
use crate::store::{Head, ReadError, Store, WriterError};

/// Bytes of entries read at a time.
const READ_BYTES_MAX: usize = 8 << 20;

/// What a start found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recovered {
    /// Statements of the history.
    pub statements: u64,
    /// Of these, how many this start folded: those after the base.
    pub folded: u64,
    /// Whether the log was opened by this start.
    pub new: bool,
    /// Leaves that a crash had left without a stored checkpoint.
    pub unsigned: u64,
}

/// Why the node does not start. It signs nothing that it cannot vouch for.
#[derive(Debug, thiserror::Error)]
pub enum CannotStart {
    /// No writer.
    #[error(transparent)]
    Writer(#[from] WriterError),
    /// Cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// History is broken.
    #[error(transparent)]
    Diverged(#[from] Diverged),
    /// What is stored is not what was signed.
    #[error(
        "the log is not what was signed: {0}; keep the store and the checkpoint file, and nothing will be signed"
    )]
    Evidence(String),
    /// The store is older than the last signed checkpoint.
    #[error(
        "the store holds {found} leaves, but a checkpoint over {signed} was signed: it was restored from an older backup, and \
         signing on would fork the log"
    )]
    RolledBack {
        /// In the store.
        found: u64,
        /// Signed.
        signed: u64,
    },
    /// The anchor file.
    #[error("checkpoint file: {0}")]
    Anchor(#[from] std::io::Error),
    /// The first commit or checkpoint failed.
    #[error("the first statement could not be made: {0}")]
    First(String),
    /// No thread.
    #[error("the sequencer's thread: {0}")]
    Thread(String),
}

pub(super) async fn start(parts: Parts, inbox: Inbox, publish: Publisher) -> Result<(Run, Recovered), CannotStart> {
    let writer = run::first_writer(&parts).await?;
    let mut anchor = parts.anchor.clone().map(Anchor::at);
    let anchored = match &anchor {
        Some(anchor) => anchor.read()?,
        None => None,
    };
    let Some(head) = writer.head().copied() else {
        if let Some(note) = &anchored {
            let signed = checked(&parts, note)?.size;
            return Err(CannotStart::RolledBack { found: 0, signed });
        }
        let mut run = Run::new(parts, writer, inbox, publish, Tree::default(), View::default(), anchor.take());
        run.open_log().await.map_err(CannotStart::First)?;
        return Ok((run, Recovered { statements: 1, folded: 1, new: true, unsigned: 0 }));
    };
    let (tree, signed) = edge(&parts, &head).await?;
    if let Some(note) = &anchored {
        against(&parts, &head, note).await?;
    }
    let Folded { view, statements: folded } = fold::newest(&*parts.store, &head).await?;
    let mut run = Run::new(parts, writer, inbox, publish, tree, view, anchor.take());
    run.rebased(Seq(head.next.0 - folded));
    run.resume(head).await.map_err(CannotStart::First)?;
    let size = head.next.0 - head.base.0;
    Ok((run, Recovered { statements: head.next.0, folded, new: false, unsigned: size - signed }))
}

/// A note that must be one of ours.
fn checked(parts: &Parts, note: &[u8]) -> Result<Checkpoint, CannotStart> {
    let evidence = |bad: liaison_protocol::tlog::checkpoint::BadNote| CannotStart::Evidence(bad.to_string());
    let note = SignedNote::parse(note).map_err(evidence)?;
    note.verify(parts.key.verifier()).map_err(evidence)?;
    let checkpoint = Checkpoint::parse(note.text()).map_err(evidence)?;
    if checkpoint.origin != parts.origin {
        return Err(CannotStart::Evidence(format!("a checkpoint of {}", checkpoint.origin)));
    }
    Ok(checkpoint)
}

/// Rebuilds the edge and checks it against the head and the last stored checkpoint.
pub(super) async fn edge(parts: &Parts, head: &Head) -> Result<(Tree, u64), CannotStart> {
    let tree = tree_of(&*parts.store, head, head.next.0 - head.base.0).await?;
    if tree.root() != head.root {
        return Err(CannotStart::Evidence(format!(
            "the head says root {}, the leaves have {}",
            head.root.to_hex(),
            tree.root().to_hex()
        )));
    }
    let signed = match parts.store.last_note().await? {
        Some(note) => against(parts, head, &note.note).await?,
        None => 0,
    };
    Ok((tree, signed))
}

/// Checks what is stored against one signed checkpoint, and says how many leaves that covers.
pub(super) async fn against(parts: &Parts, head: &Head, note: &[u8]) -> Result<u64, CannotStart> {
    let checkpoint = checked(parts, note)?;
    let found = head.next.0 - head.base.0;
    if checkpoint.size > found {
        return Err(CannotStart::RolledBack { found, signed: checkpoint.size });
    }
    let then = tree_of(&*parts.store, head, checkpoint.size).await?;
    if then.root() != checkpoint.root {
        return Err(CannotStart::Evidence(format!(
            "at size {} root {} was signed, the leaves have {}",
            checkpoint.size,
            checkpoint.root.to_hex(),
            then.root().to_hex()
        )));
    }
    Ok(checkpoint.size)
}

/// The edge of the tree at a size, from full tiles and the entries after them. Each tile is read once and hashed up again.
pub async fn tree_of(store: &dyn Store, head: &Head, size: u64) -> Result<Tree, CannotStart> {
    let mut partial = vec![leaf_hashes(store, head, size / TILE_WIDTH * TILE_WIDTH, size).await?];
    for level in 1_u8.. {
        let count = size.checked_shr(u32::from(level) * TILE_HEIGHT).unwrap_or(0);
        if count == 0 {
            break;
        }
        let mut roots = Vec::new();
        for index in count / TILE_WIDTH * TILE_WIDTH..count {
            roots.push(tile_root(store, TileId::Hashes { level: level - 1, index }).await?);
        }
        partial.push(roots);
    }
    Tree::from_partial_tiles(size, &partial).ok_or_else(|| CannotStart::Evidence("tiles are missing".into()))
}

async fn tile_root(store: &dyn Store, id: TileId) -> Result<Hash, CannotStart> {
    let tile = store.tiles(&[id]).await?.pop().flatten();
    let tile = tile.filter(|tile| tile.len() as u64 == 32 * TILE_WIDTH);
    let tile = tile.ok_or_else(|| CannotStart::Evidence(format!("{id:?} is missing or has another length")))?;
    let mut tree = Tree::default();
    // The tile's hashes are nodes of some height; what is above them hashes up the same.
    tile.chunks_exact(32).filter_map(Hash::from_slice).for_each(|hash| tree.append(hash));
    Ok(tree.root())
}

async fn leaf_hashes(store: &dyn Store, head: &Head, from: u64, to: u64) -> Result<Vec<Hash>, CannotStart> {
    let mut hashes = Vec::new();
    while from + (hashes.len() as u64) < to {
        let next = Seq(head.base.0 + from + hashes.len() as u64);
        let entries = store.entries(next..Seq(head.base.0 + to), READ_BYTES_MAX).await?;
        if entries.is_empty() {
            return Err(CannotStart::Evidence(format!("statement {} is missing", next.0)));
        }
        hashes.extend(entries.iter().map(|entry| hash::leaf(&entry.leaf.0)));
    }
    Ok(hashes)
}

/// The leaves of the bundle that is not full yet.
pub(super) async fn partial_bundle(store: &dyn Store, head: &Head) -> Result<Vec<Leaf>, ReadError> {
    let size = head.next.0 - head.base.0;
    let (mut leaves, from) = (Vec::new(), size / TILE_WIDTH * TILE_WIDTH);
    while from + (leaves.len() as u64) < size {
        let next = Seq(head.base.0 + from + leaves.len() as u64);
        let entries = store.entries(next..head.next, READ_BYTES_MAX).await?;
        if entries.is_empty() {
            return Err(ReadError::Damaged(format!("statement {} is missing", next.0)));
        }
        leaves.extend(entries.iter().map(|entry| entry.leaf));
    }
    Ok(leaves)
}

/// A full entry bundle (C2SP tlog-tiles): each entry with its length before it.
pub(super) fn bundle(leaves: &[Leaf]) -> Vec<u8> {
    leaves.iter().flat_map(|leaf| (LEAF_BYTES as u16).to_be_bytes().into_iter().chain(leaf.0)).collect()
}

pub(super) type SharedView = Arc<RwLock<View>>;
