//! What lies on disk, and the one way to change it. A store never decides: it keeps what it is given, whole or not at all, and
//! says truly what became of a commit.
//!
//! The contract, which `contract/` tests on every implementation:
//!
//! - A batch is there whole or not at all. After `Ok` it survives whatever this store promises to survive.
//! - `Batch::first` continues the head; anything else is refused and changes nothing. So is a name or a tile that is there
//!   already, a note of a head that was never committed, an opening that does not open its leaf. A refusal is
//!   [`CommitError::Fatal`], because the caller has a bug, but the store itself goes on.
//! - There is one writer at a time. A second is refused with [`WriterError::Held`].
//! - Nothing already written changes, but for the base, of which there is one. Only what [`Erased`] names is ever removed, and
//!   never its leaf.
//! - Readers see a commit once it has returned, and never part of one.
//! - An opening that does not open its leaf, and a place that is empty below the head, is [`ReadError::Damaged`] by its number.
//! - A failed synchronisation is [`CommitError::Fatal`] and is never tried again: this handle gives out no writer any more.

pub mod faulty;
pub mod memory;
pub mod sqlite;

mod check;
#[cfg(test)]
mod contract;

use std::ops::Range;

use async_trait::async_trait;
use bytes::Bytes;
use liaison_protocol::id::{Hash, NoticeId, PartnerNumber, Reference, Seq};
use liaison_protocol::tlog::entry::{Leaf, Opening};
use liaison_protocol::tlog::tile::TileId;
use tokio::sync::watch;

/// Where the history stands: everything before `next` is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Which of this node's logs, from 0.
    pub log: u32,
    /// The first statement of that log.
    pub base: Seq,
    /// The next statement to come.
    pub next: Seq,
    /// RFC 6962 root over the leaves from `base` to before `next`.
    pub root: Hash,
}

impl Head {
    /// The number of leaves of its log: what a checkpoint of this head says.
    pub fn size(&self) -> u64 {
        self.next.0.saturating_sub(self.base.0)
    }
}

/// A notice's name at its home: the originator's reference.
pub type Name = (PartnerNumber, Reference);

/// What a name was given to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// The statement that accepted it.
    pub seq: Seq,
    /// The notice that has the name.
    pub notice: NoticeId,
}

/// A recipient set with its salts, named by its salted root.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SetId(pub Hash);

/// A checkpoint or cosignature as a C2SP signed note.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredNote {
    /// The number of leaves it covers.
    pub size: u64,
    /// Which of this node's logs.
    pub log: u32,
    /// The note, as signed.
    pub note: Bytes,
}

/// What somebody has folded from the beginning, so that whoever starts need not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Base {
    /// The last statement that it follows from.
    pub through: Seq,
    /// Its bytes, in pieces whose bounds mean nothing; at least one.
    pub pieces: Vec<Bytes>,
}

/// One atomic change. Rows are only added; what `erased` names is the only thing that ever goes.
#[derive(Clone, Debug)]
pub struct Batch {
    /// Sequence of the first entry; equals the head's `next`.
    pub first: Seq,
    /// In order; may be empty when only notes travel.
    pub entries: Vec<NewEntry>,
    /// Recipient sets that entries of this batch name; one already there is left as it is.
    pub sets: Vec<(SetId, Bytes)>,
    /// Tiles that became full.
    pub tiles: Vec<(TileId, Bytes)>,
    /// Never above what the fold's base covers.
    pub erased: Vec<Erased>,
    /// Checkpoints of heads committed before this batch.
    pub notes: Vec<StoredNote>,
    /// Takes the place of the base before it; it ends where this batch begins.
    pub base: Option<Base>,
    /// Where the history stands after it.
    pub head: Head,
}

/// One statement and everything that belongs to it.
#[derive(Clone, Debug)]
pub struct NewEntry {
    /// Public for ever.
    pub leaf: Leaf,
    /// What opens it.
    pub opening: Opening,
    /// What the fold needs and the parties must not all see; empty for none.
    pub detail: Bytes,
    /// The notice that this statement accepted.
    pub notice: Option<NewNotice>,
    /// Earlier statements that this one is about, ascending.
    pub about: Vec<Seq>,
}

/// A notice as it came.
#[derive(Clone, Debug)]
pub struct NewNotice {
    /// Its name here, which must be free.
    pub name: Name,
    /// Its name everywhere.
    pub id: NoticeId,
    /// The envelope, exactly as it came.
    pub envelope: Bytes,
    /// The parts with their salts, serialized; erasable.
    pub parts: Bytes,
}

/// What is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Erased {
    /// A notice's parts; the envelope stays.
    Parts(Seq),
    /// A statement's opening with its detail; the leaf stays.
    Opening(Seq),
}

/// An entry as it lies in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Its place.
    pub seq: Seq,
    /// Its leaf.
    pub leaf: Leaf,
    /// None: erased.
    pub opening: Option<Opening>,
    /// Empty for none, or erased with the opening.
    pub detail: Bytes,
}

impl Stored {
    /// What it counts towards a `bytes_max`: everything it holds.
    pub fn bytes(&self) -> usize {
        let opening = self.opening.as_ref();
        let opening = opening.map_or(0, |opening| opening.statement.len() + opening.salt.0.len());
        self.leaf.0.len() + opening + self.detail.len()
    }
}

/// A notice as it lies in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredNotice {
    /// Its name everywhere.
    pub id: NoticeId,
    /// Exactly as it came.
    pub envelope: Bytes,
    /// None: erased.
    pub parts: Option<Bytes>,
}

impl StoredNotice {
    /// What it counts towards a `bytes_max`.
    pub fn bytes(&self) -> usize {
        self.envelope.len() + self.parts.as_ref().map_or(0, Bytes::len)
    }
}

/// Why there is no writer.
#[derive(Debug, thiserror::Error)]
pub enum WriterError {
    /// Another process or handle has it.
    #[error("the store is held by another process: {0}")]
    Held(String),
    /// Written by a newer program.
    #[error("the store has format {found}, this program knows {known}: use a newer program")]
    NewerFormat {
        /// In the store.
        found: i64,
        /// The highest known here.
        known: i64,
    },
    /// What is there contradicts itself.
    #[error("the store is damaged: {0}")]
    Damaged(String),
    /// Another program has the lock of the database, and gives it back sooner or later: asking again helps.
    #[error("another program holds the store's lock: {0}")]
    Busy(String),
    /// Cannot be reached now.
    #[error("the store cannot be opened: {0}")]
    Unavailable(String),
    /// The disk failed or lied before, and this handle gives out no writer any more.
    #[error("the store failed: {0}")]
    Failed(String),
}

impl WriterError {
    /// Whether a node that runs asks again. Busy and Held end with another process, Unavailable with whatever is in the way.
    pub fn passes(&self) -> bool {
        matches!(self, Self::Busy(_) | Self::Held(_) | Self::Unavailable(_))
    }
}

/// Why a read gave nothing.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ReadError {
    /// What is there contradicts itself.
    #[error("the store is damaged: {0}")]
    Damaged(String),
    /// Another program holds a lock that it gives back sooner or later.
    #[error("the store is locked by another program: {0}")]
    Busy(String),
    /// Cannot be reached now.
    #[error("the store cannot be read: {0}")]
    Unavailable(String),
}

/// What became of a commit that is not `Ok`.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// Nothing was written; give up the submissions and try the rest from the reserve.
    #[error("no room in the store")]
    NoRoom,
    /// Nothing was written, and the store cannot be reached now: drop this writer, take a new one later.
    #[error("the store cannot be reached: {0}")]
    Unavailable(String),
    /// May or may not be there: drop this writer, take a new one, read its head, fold the difference.
    #[error("it is not known whether the batch was written: {0}")]
    Unknown(String),
    /// Someone holds a newer epoch: stop writing, follow.
    #[error("another writer has taken over")]
    Fenced,
    /// The disk failed or lied: stop the process, never try again.
    #[error("the store failed: {0}")]
    Fatal(String),
}

/// What room a writer has beside what it has written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// The reserve is whole, and there is a margin beside it: new notices may come.
    Enough,
    /// The reserve is whole, and there is not much beside it: acknowledgements fit, whatever happens.
    ReserveOnly,
    /// The reserve has been given up, or there is no room to make it: acknowledgements fit for as long as they do.
    NoReserve,
}

/// What lies below the rows and is whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Below {
    /// The unfinished end of a commit that nobody was told of, cut off by whoever reads; in the store's own units (for SQLite,
    /// frames of the write-ahead log). 0: none.
    pub cut_frames: u64,
}

/// Reads, for everyone; hands out the one writer. The contract stands above.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Takes the one right to append, and writes nothing: what is stored can be judged while nobody changes it.
    async fn claim(&self) -> Result<Box<dyn Claim>, WriterError>;
    /// Claims, and goes on to write at once.
    async fn writer(&self) -> Result<Box<dyn Writer>, WriterError> {
        self.claim().await?.writer().await
    }
    /// Judges what lies below the rows, by reading alone. Damage there is [`ReadError::Damaged`] and names its file. The answer
    /// holds while nobody writes.
    async fn below(&self) -> Result<Below, ReadError> {
        Ok(Below::default())
    }
    /// Where the history stands, whether or not a note of it is stored; None before the first batch.
    async fn head(&self) -> Result<Option<Head>, ReadError>;
    /// The entries of a range, ascending, as many as fit into `bytes_max` but at least one if there is any.
    async fn entries(&self, range: Range<Seq>, bytes_max: usize) -> Result<Vec<Stored>, ReadError>;
    /// The notices that these statements accepted, in the order asked, as many as fit into `bytes_max` but at least one; None where
    /// there is none.
    async fn notices(&self, of: &[Seq], bytes_max: usize) -> Result<Vec<Option<StoredNotice>>, ReadError>;
    /// What these names were given to, in the order asked. A name that nobody has costs the same to look for as one that somebody
    /// has: strangers must not tell them apart by the time.
    async fn named(&self, names: &[Name]) -> Result<Vec<Option<Known>>, ReadError>;
    /// The first statement at or after `at` that accepted a notice, or else the last one before; of those before `end`.
    async fn notice_near(&self, at: Seq, end: Seq) -> Result<Option<Seq>, ReadError>;
    /// Statements about one, ascending, after `after`, at most `page`.
    async fn about(&self, of: Seq, after: Seq, page: usize) -> Result<Vec<Seq>, ReadError>;
    /// Recipient sets, in the order asked; asking for one that is not there is damage.
    async fn sets(&self, ids: &[SetId]) -> Result<Vec<Bytes>, ReadError>;
    /// Full tiles, in the order asked; None where it is not full yet.
    async fn tiles(&self, ids: &[TileId]) -> Result<Vec<Option<Bytes>>, ReadError>;
    /// The base committed last.
    async fn base(&self) -> Result<Option<Base>, ReadError>;
    /// The checkpoint of the highest head whose note is stored.
    async fn last_note(&self) -> Result<Option<StoredNote>, ReadError> {
        self.last_note_within(u64::MAX).await
    }
    /// The checkpoint of the highest head of the newest log whose note is stored and that has at most `size` leaves.
    async fn last_note_within(&self, size: u64) -> Result<Option<StoredNote>, ReadError>;
    /// The leaves of a range, ascending, at most `max`, without a look at what opens them. It ends before the first that is not
    /// there.
    async fn leaves(&self, range: Range<Seq>, max: usize) -> Result<Vec<Leaf>, ReadError>;
    /// The newest head whose note is stored: what may be shown by those who do not write.
    fn noted(&self) -> watch::Receiver<Option<Head>>;
}

/// The right to become the writer. Dropping it gives the right back.
#[async_trait]
pub trait Claim: Send {
    /// Begins to write. Its first act is a commit of its own.
    async fn writer(self: Box<Self>) -> Result<Box<dyn Writer>, WriterError>;
}

/// The one right to append. Dropping it gives the right back.
#[async_trait]
pub trait Writer: Send {
    /// Where the history stands; None before the first batch.
    fn head(&self) -> Option<&Head>;
    /// As [`Store::named`], and sees its own commits.
    async fn named(&mut self, names: &[Name]) -> Result<Vec<Option<Known>>, ReadError>;
    /// Writes a batch. May block its thread; never cancelled, never retried.
    async fn commit(&mut self, batch: &Batch) -> Result<(), CommitError>;
    /// Frees the reserve, so that acknowledgements fit where nothing else does. False: there is none now.
    async fn free_reserve(&mut self) -> bool;
    /// Asks for room, and makes the reserve where there is enough for it and the margin.
    async fn room(&mut self) -> Room;
}
