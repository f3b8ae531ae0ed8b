//! Coming back: what is stored is judged by reading alone; only then the writer is taken, and what a crash left unsigned is signed.
//! Nothing is signed over data that fails its hash, and a start that signs nothing changes nothing.

use std::sync::{Arc, RwLock};

use liaison_protocol::id::{Hash, Origin, Seq};
use liaison_protocol::tlog::checkpoint::{Checkpoint, SignedNote, VerifierKey};
use liaison_protocol::tlog::entry::{LEAF_BYTES, Leaf};
use liaison_protocol::tlog::hash;
use liaison_protocol::tlog::tile::{TILE_HEIGHT, TILE_WIDTH, TileId};
use liaison_protocol::tlog::tree::Tree;

use super::Parts;
use super::fold::{self, Folded};
use super::inbox::Inbox;
use super::recent::Publisher;
use super::recovering::{self, Recovering};
use super::run::{Locked, Run};
use crate::anchor::{Anchor, Anchored};
use crate::state::{Diverged, View};
use crate::store::{Below, Claim, Head, ReadError, Store, Writer, WriterError};

/// Bytes of entries read at a time.
const READ_BYTES_MAX: usize = 8 << 20;
/// Leaves read at a time.
const READ_LEAVES_MAX: usize = 65_536;

/// What a start found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovered {
    /// Statements of the history.
    pub statements: u64,
    /// Of these, how many this start folded: those after the base.
    pub folded: u64,
    /// Whether the log was opened by this start.
    pub new: bool,
    /// Leaves that a crash had left without a stored checkpoint.
    pub unsigned: u64,
    /// Why nothing can be written or signed. None: everything can.
    pub recovering: Option<String>,
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
    #[error("the log is not what was signed: {0}")]
    Evidence(String),
    /// The store or the anchor belongs to another log, or was signed with another key.
    #[error("the log is another: {0}")]
    Foreign(String),
    /// The store is older than the last signed checkpoint.
    #[error(
        "the store holds {found} leaves and a checkpoint over {signed} was signed: signing on would fork the log"
    )]
    RolledBack {
        /// In the store.
        found: u64,
        /// Signed.
        signed: u64,
    },
    /// The first commit or checkpoint failed.
    #[error("the first statement could not be made: {0}")]
    First(String),
    /// No thread.
    #[error("the sequencer's thread: {0}")]
    Thread(String),
}

impl CannotStart {
    /// Whether what is stored contradicts itself or what was signed. Then a node comes up without a writer and serves what is
    /// whole; everything else is put right before a start.
    fn is_damage(&self) -> bool {
        match self {
            Self::Read(ReadError::Damaged(_)) | Self::Diverged(_) | Self::Evidence(_) | Self::RolledBack { .. } => {
                true
            }
            Self::Writer(WriterError::Damaged(_)) => true,
            Self::Writer(_) | Self::Read(ReadError::Busy(_) | ReadError::Unavailable(_)) => false,
            Self::Foreign(_) | Self::First(_) | Self::Thread(_) => false,
        }
    }
}

/// What a history is judged by.
pub struct Evidence<'a> {
    /// Where it lies.
    pub store: &'a dyn Store,
    /// The log it must be.
    pub origin: &'a Origin,
    /// Who must have signed it.
    pub key: &'a VerifierKey,
    /// How far it was signed, as kept apart from the store.
    pub anchor: &'a Anchored,
}

/// What reading alone says of a history.
pub enum Judgement {
    /// Nothing is stored, and nothing was ever signed.
    Fresh,
    /// It is what was signed, and goes on.
    Sound(Box<Sound>),
    /// It is not, and why. Nothing may be signed on.
    Broken(CannotStart),
}

/// A history that may be signed on.
pub struct Sound {
    /// Where it stands.
    pub head: Head,
    /// Leaves that a stored checkpoint covers.
    pub signed: u64,
    /// What lies below the rows.
    pub below: Below,
    tree: Tree,
    folded: Folded,
}

/// Judges what is stored, and changes nothing. What `liaison serve --check` and `liaison doctor` say is what a start goes by.
///
/// Errors are those that a start must be refused for: what cannot be reached, and what is another log's.
pub async fn judge(evidence: &Evidence<'_>) -> Result<Judgement, CannotStart> {
    match sound(evidence).await {
        Ok(Some(sound)) => Ok(Judgement::Sound(Box::new(sound))),
        Ok(None) => Ok(Judgement::Fresh),
        Err(why) if why.is_damage() => Ok(Judgement::Broken(why)),
        Err(why) => Err(why),
    }
}

async fn sound(evidence: &Evidence<'_>) -> Result<Option<Sound>, CannotStart> {
    if let Anchored::Damaged(how) = evidence.anchor {
        return Err(CannotStart::Evidence(how.clone()));
    }
    let anchored = evidence.anchor.whole().and_then(|anchor| anchor.content().checkpoint);
    let anchored = anchored.map(|note| checked(evidence, &note)).transpose()?;
    let below = evidence.store.below().await?;
    let head = evidence.store.head().await?;
    if let Some(signed) = &anchored {
        let found = head.map_or(0, |head| head.size());
        if signed.size > found {
            return Err(CannotStart::RolledBack { found, signed: signed.size });
        }
    }
    let Some(head) = head else { return Ok(None) };
    let (tree, signed) = edge(evidence, &head).await?;
    if let Some(signed) = &anchored {
        agrees(evidence, &head, signed).await?;
    }
    let folded = fold::newest(evidence.store, &head).await?;
    Ok(Some(Sound { head, signed, below, tree, folded }))
}

/// What comes of a start.
pub(super) enum Started {
    /// The writer is taken, and everything goes on.
    Writing(Box<Run>),
    /// There is no writer, and nothing is signed.
    Recovering(Recovering),
}

pub(super) async fn start(
    parts: Parts,
    inbox: Inbox,
    publish: Publisher,
) -> Result<(Started, SharedView, Recovered), CannotStart> {
    match take(&parts).await? {
        Taken::Broken(claim, why) => Ok(recovering::start(parts, claim, inbox, publish, why).await),
        Taken::Fresh(writer) => {
            let mut run = Run::new(parts, writer, inbox, publish, Tree::default(), View::default());
            run.open_log().await.map_err(CannotStart::First)?;
            let view = run.view();
            let recovered = Recovered { statements: 1, folded: 1, new: true, unsigned: 0, recovering: None };
            Ok((Started::Writing(Box::new(run)), view, recovered))
        }
        Taken::Sound(writer, sound) => {
            let Sound { head, signed, below, tree, folded } = *sound;
            if below.cut_frames > 0 {
                let (what, frames) = ("an unfinished end was cut off the write-ahead log", below.cut_frames);
                tracing::error!(target: "audit", event = "integrity", what, frames);
            }
            let Folded { view, statements: folded } = folded;
            let mut run = Run::new(parts, writer, inbox, publish, tree, view);
            run.rebased(Seq(head.next.0 - folded));
            run.resume(head).await.map_err(CannotStart::First)?;
            let (view, unsigned) = (run.view(), head.size() - signed);
            let recovered = Recovered { statements: head.next.0, folded, new: false, unsigned, recovering: None };
            Ok((Started::Writing(Box::new(run)), view, recovered))
        }
    }
}

/// What is in hand after judging.
enum Taken {
    Fresh(Box<dyn Writer>),
    Sound(Box<dyn Writer>, Box<Sound>),
    Broken(Box<dyn Claim>, CannotStart),
}

/// Judges under the claim to write, and then takes the writer. A store that another program keeps locked is waited for.
async fn take(parts: &Parts) -> Result<Taken, CannotStart> {
    let mut locked = Locked::of(parts);
    let taken = loop {
        // The right to write first, or another process could change what is judged.
        let claim = match parts.store.claim().await {
            Err(WriterError::Busy(why)) => {
                locked.wait(&why).await;
                continue;
            }
            claimed => claimed?,
        };
        let judged = match judge(&parts.evidence()).await {
            Err(CannotStart::Read(ReadError::Busy(why))) => {
                locked.wait(&why).await;
                continue;
            }
            Ok(Judgement::Broken(why)) => break Taken::Broken(claim, why),
            judged => judged?,
        };
        // From here on bytes change: the writer's first act is a commit. A crash now leaves what was judged.
        let writer = match claim.writer().await {
            Err(WriterError::Busy(why)) => {
                locked.wait(&why).await;
                continue;
            }
            taken => taken?,
        };
        if let Some(anchor) = parts.anchor.whole() {
            mend(anchor);
        }
        break match judged {
            Judgement::Sound(sound) => Taken::Sound(writer, sound),
            _ => Taken::Fresh(writer),
        };
    };
    locked.given_back();
    Ok(taken)
}

/// A copy of the anchor that is missing or damaged is written anew from the other.
fn mend(anchor: &Anchor) {
    let Some((path, how)) = anchor.bad_copy() else { return };
    let what = format!("{} {how}; it is written anew from the other copy", path.display());
    tracing::error!(target: "audit", event = "integrity", what);
    if let Err(error) = anchor.mend() {
        tracing::error!(%error, "the copy of the anchor could not be written anew");
    }
}

/// A note that must be one of ours.
pub(super) fn checked(evidence: &Evidence<'_>, note: &[u8]) -> Result<Checkpoint, CannotStart> {
    let foreign = |bad: liaison_protocol::tlog::checkpoint::BadNote| CannotStart::Foreign(bad.to_string());
    let note = SignedNote::parse(note).map_err(foreign)?;
    note.verify(evidence.key).map_err(foreign)?;
    let checkpoint = Checkpoint::parse(note.text()).map_err(foreign)?;
    if checkpoint.origin != *evidence.origin {
        return Err(CannotStart::Foreign(format!("a checkpoint of {}", checkpoint.origin)));
    }
    Ok(checkpoint)
}

/// Rebuilds the edge and checks it against the head and the last stored checkpoint.
pub(super) async fn edge(evidence: &Evidence<'_>, head: &Head) -> Result<(Tree, u64), CannotStart> {
    let tree = tree_at(evidence.store, head, head.size(), head.root).await?;
    let signed = match evidence.store.last_note().await? {
        Some(note) => against(evidence, head, &note.note).await?,
        None => 0,
    };
    Ok((tree, signed))
}

/// Checks what is stored against one signed checkpoint, and says how many leaves that covers.
pub(super) async fn against(evidence: &Evidence<'_>, head: &Head, note: &[u8]) -> Result<u64, CannotStart> {
    let checkpoint = checked(evidence, note)?;
    if checkpoint.size > head.size() {
        return Err(CannotStart::RolledBack { found: head.size(), signed: checkpoint.size });
    }
    agrees(evidence, head, &checkpoint).await?;
    Ok(checkpoint.size)
}

async fn agrees(evidence: &Evidence<'_>, head: &Head, signed: &Checkpoint) -> Result<(), CannotStart> {
    tree_at(evidence.store, head, signed.size, signed.root).await.map(drop)
}

/// The tree at a size, which must have this root. Tiles are made from the leaves: where they do not lead to the root, all the
/// leaves are asked, and what they say counts.
async fn tree_at(store: &dyn Store, head: &Head, size: u64, root: Hash) -> Result<Tree, CannotStart> {
    let what = match tree_of(store, head, size).await {
        Ok(tree) if tree.root() == root => return Ok(tree),
        Ok(_) => "they lead to another root".into(),
        Err(why) if why.is_damage() => why.to_string(),
        Err(why) => return Err(why),
    };
    let tree = tree_of_leaves(store, head, size).await?;
    if tree.root() != root {
        let (root, found) = (root.to_hex(), tree.root().to_hex());
        return Err(CannotStart::Evidence(format!(
            "at size {size} the root is {root}, and the leaves have {found}"
        )));
    }
    let what = format!("tiles are damaged and not used, the leaves are whole: {what}");
    tracing::error!(target: "audit", event = "integrity", what);
    Ok(tree)
}

/// The same from the leaves alone; no tile is believed.
async fn tree_of_leaves(store: &dyn Store, head: &Head, size: u64) -> Result<Tree, CannotStart> {
    let mut tree = Tree::default();
    grow(store, head, &mut tree, size).await?;
    Ok(tree)
}

/// Appends leaves until the tree has this size.
pub(super) async fn grow(store: &dyn Store, head: &Head, tree: &mut Tree, size: u64) -> Result<(), CannotStart> {
    while tree.size() < size {
        let next = Seq(head.base.0 + tree.size());
        let leaves = store.leaves(next..Seq(head.base.0 + size), READ_LEAVES_MAX).await?;
        if leaves.is_empty() {
            return Err(CannotStart::Evidence(format!("the leaf of statement {} is missing", next.0)));
        }
        leaves.iter().for_each(|leaf| tree.append(hash::leaf(&leaf.0)));
        tree.prune(tree.size());
    }
    Ok(())
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
