//! A sequencer on a store that can be broken, spied on and tampered with, started as often as a test crashes it.

use std::ops::Range;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use liaison_protocol::id::{LeafIndex, Origin, Seq};
use liaison_protocol::keyring::PublicKey;
use liaison_protocol::signer::{Ed25519Signer, SignError, Signer};
use liaison_protocol::tlog::checkpoint::{Checkpoint, LogKey, SignedNote};
use liaison_protocol::tlog::entry::Leaf;
use liaison_protocol::tlog::hash;
use liaison_protocol::tlog::proof;
use liaison_protocol::tlog::tile::TileId;
use tokio::sync::watch;

use super::{PlayedClock, PlayedEntropy, World, log_signer};
use crate::anchor::Anchored;
use crate::counts::Counts;
use crate::sequencer::{self, Answer, CannotStart, Parts, Published, Running, Sequencer, Stated, Transmitted};
use crate::state::Proposal;
use crate::store::faulty::FaultyStore;
use crate::store::memory::MemoryStore;
use crate::store::{
    Base, Batch, Claim, CommitError, Head, Known, Name, ReadError, Room, SetId, Store, Stored, StoredNote,
    StoredNotice, Writer, WriterError,
};

/// What has been called, in order.
pub(crate) type Calls = Arc<Mutex<Vec<String>>>;

/// Everything that outlives a crash, and the clock.
pub(crate) struct Rig {
    pub(crate) world: World,
    pub(crate) clock: Arc<PlayedClock>,
    pub(crate) memory: MemoryStore,
    pub(crate) store: FaultyStore,
    pub(crate) tamper: Tamper,
    pub(crate) transmitted: Arc<Transmitted>,
    pub(crate) calls: Calls,
    pub(crate) anchor: Anchored,
    pub(crate) counts: Arc<Counts>,
    /// Statements after which the base is moved.
    pub(crate) rebase_after: u64,
    starts: std::sync::atomic::AtomicU64,
}

impl Rig {
    pub(crate) fn new(world: World) -> Self {
        let memory = MemoryStore::new();
        let calls = Calls::default();
        let tamper = Tamper { inner: Arc::new(memory.clone()), calls: calls.clone(), change: Arc::default() };
        let store = FaultyStore::new(Arc::new(tamper.clone()));
        Self {
            world,
            clock: PlayedClock::new(),
            memory,
            store,
            tamper,
            transmitted: Arc::default(),
            calls,
            anchor: Anchored::Nowhere,
            counts: Arc::default(),
            rebase_after: sequencer::REBASE_AFTER,
            starts: Default::default(),
        }
    }

    pub(crate) fn parts(&self) -> Parts {
        self.parts_signed_by(log_signer())
    }

    pub(crate) fn parts_signed_by(&self, key: Ed25519Signer) -> Parts {
        let start = self.starts.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let signer = SpiedSigner { inner: key, calls: self.calls.clone() };
        Parts {
            store: Arc::new(self.store.clone()),
            origin: self.world.origin.clone(),
            key: LogKey::new(&self.world.origin, Arc::new(signer)).expect("Ed25519"),
            clock: self.clock.clone(),
            entropy: Box::new(PlayedEntropy::seeded(start)),
            transmitted: self.transmitted.clone(),
            counts: self.counts.clone(),
            anchor: self.anchor.clone(),
            rebase_after: self.rebase_after,
        }
    }

    pub(crate) async fn try_start(&self) -> Result<Running, CannotStart> {
        sequencer::start(self.parts()).await
    }

    /// Starts, and brings the world's directory into force.
    pub(crate) async fn start(&self) -> Running {
        let running = self.try_start().await.expect("starts");
        let adopted = one(&running.sequencer, Proposal::Adopt(self.world.head())).await;
        assert!(matches!(adopted, Answer::Stated(_) | Answer::Already(_)), "{adopted:?}");
        running
    }

    /// Asks it to stop, and waits until it has.
    pub(crate) async fn stop(running: Running) -> sequencer::Stopped {
        drop(running.sequencer);
        running.stopped.await.expect("it says how it ended")
    }

    /// The checkpoint of a published head, read as a stranger would.
    pub(crate) fn checkpoint(&self, note: &[u8]) -> Checkpoint {
        read(&self.world.origin, note)
    }

    /// A statement made just now is where its receipt says it is.
    pub(crate) fn assert_proven(&self, stated: &Stated) -> LeafIndex {
        let published = &stated.published;
        let leaf = published.leaf(stated.seq);
        let checkpoint = self.checkpoint(&published.checkpoint);
        let path = published.tree.inclusion(leaf.0).expect("its own tree holds it");
        let found = proof::root_of_inclusion(hash::leaf(&stated.opening.leaf().0), leaf.0, checkpoint.size, &path);
        assert_eq!(found, Some(checkpoint.root), "the receipt of leaf {} leads elsewhere", leaf.0);
        leaf
    }

    /// Every leaf in the store lies under the checkpoint, computed from the leaves alone.
    pub(crate) async fn assert_log_is_sound(&self, published: &Published) {
        let checkpoint = self.checkpoint(&published.checkpoint);
        let mut tree = liaison_protocol::tlog::tree::Tree::default();
        for entry in self.all().await.iter().take(usize::try_from(checkpoint.size).expect("small")) {
            assert_eq!(entry.opening.as_ref().map(|opening| opening.leaf()), Some(entry.leaf));
            tree.append(hash::leaf(&entry.leaf.0));
        }
        assert_eq!((tree.size(), tree.root()), (checkpoint.size, checkpoint.root));
    }

    /// All that is stored.
    pub(crate) async fn all(&self) -> Vec<Stored> {
        self.memory.entries(Seq(0)..Seq(u64::MAX >> 1), usize::MAX).await.expect("memory is read")
    }
}

fn read(origin: &Origin, note: &[u8]) -> Checkpoint {
    let note = SignedNote::parse(note).expect("a note");
    let key = LogKey::new(origin, Arc::new(log_signer())).expect("Ed25519");
    note.verify(key.verifier()).expect("signed by the log");
    Checkpoint::parse(note.text()).expect("a checkpoint")
}

/// One proposal, one answer.
pub(crate) async fn one(sequencer: &Sequencer, proposal: Proposal) -> Answer {
    sequencer.append(vec![proposal]).await.expect("running").pop().expect("one answer")
}

/// Signs, and says so.
struct SpiedSigner {
    inner: Ed25519Signer,
    calls: Calls,
}

impl Signer for SpiedSigner {
    fn public(&self) -> &PublicKey {
        self.inner.public()
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        let text = String::from_utf8_lossy(message);
        let size = text.lines().nth(1).unwrap_or("?").to_owned();
        self.calls.lock().expect("no panic").push(format!("sign {size}"));
        self.inner.sign(message)
    }
}

/// A store that says what is done with it, and in which somebody changes what is read.
#[derive(Clone)]
pub(crate) struct Tamper {
    inner: Arc<dyn Store>,
    calls: Calls,
    change: Arc<Mutex<Changes>>,
}

type EntryChange = Box<dyn Fn(&mut Stored) + Send>;
type NoticeChange = Box<dyn Fn(Seq, &mut StoredNotice) + Send>;
type BaseChange = Box<dyn Fn(&mut Vec<u8>) + Send>;
type TileChange = Box<dyn Fn(TileId, &mut Vec<u8>) + Send>;

#[derive(Default)]
struct Changes {
    entry: Option<EntryChange>,
    notice: Option<NoticeChange>,
    tile: Option<TileChange>,
    base: Option<BaseChange>,
    damaged_name: Option<String>,
}

impl Tamper {
    pub(crate) fn entries(&self, change: impl Fn(&mut Stored) + Send + 'static) {
        self.change.lock().expect("no panic").entry = Some(Box::new(change));
    }

    pub(crate) fn notices(&self, change: impl Fn(Seq, &mut StoredNotice) + Send + 'static) {
        self.change.lock().expect("no panic").notice = Some(Box::new(change));
    }

    /// From now on the writer finds damage where it looks for a name with this reference.
    pub(crate) fn damage_name(&self, reference: &str) {
        self.change.lock().expect("no panic").damaged_name = Some(reference.into());
    }

    pub(crate) fn base(&self, change: impl Fn(&mut Vec<u8>) + Send + 'static) {
        self.change.lock().expect("no panic").base = Some(Box::new(change));
    }

    pub(crate) fn tiles(&self, change: impl Fn(TileId, &mut Vec<u8>) + Send + 'static) {
        self.change.lock().expect("no panic").tile = Some(Box::new(change));
    }
}

#[async_trait]
impl Store for Tamper {
    async fn claim(&self) -> Result<Box<dyn Claim>, WriterError> {
        let (inner, calls, change) = (self.inner.claim().await?, self.calls.clone(), self.change.clone());
        Ok(Box::new(SpiedClaim { inner, calls, change }))
    }

    async fn head(&self) -> Result<Option<Head>, ReadError> {
        self.inner.head().await
    }

    async fn entries(&self, range: Range<Seq>, bytes_max: usize) -> Result<Vec<Stored>, ReadError> {
        let mut entries = self.inner.entries(range, bytes_max).await?;
        if let Some(change) = &self.change.lock().expect("no panic").entry {
            entries.iter_mut().for_each(change);
        }
        Ok(entries)
    }

    async fn notices(&self, of: &[Seq], bytes_max: usize) -> Result<Vec<Option<StoredNotice>>, ReadError> {
        let mut notices = self.inner.notices(of, bytes_max).await?;
        if let Some(change) = &self.change.lock().expect("no panic").notice {
            for (seq, notice) in of.iter().zip(&mut notices) {
                notice.iter_mut().for_each(|notice| change(*seq, notice));
            }
        }
        Ok(notices)
    }

    async fn named(&self, names: &[Name]) -> Result<Vec<Option<Known>>, ReadError> {
        self.inner.named(names).await
    }

    async fn notice_near(&self, at: Seq, end: Seq) -> Result<Option<Seq>, ReadError> {
        self.inner.notice_near(at, end).await
    }

    async fn about(&self, of: Seq, after: Seq, page: usize) -> Result<Vec<Seq>, ReadError> {
        self.inner.about(of, after, page).await
    }

    async fn sets(&self, ids: &[SetId]) -> Result<Vec<Bytes>, ReadError> {
        self.inner.sets(ids).await
    }

    async fn tiles(&self, ids: &[TileId]) -> Result<Vec<Option<Bytes>>, ReadError> {
        let mut tiles = self.inner.tiles(ids).await?;
        if let Some(change) = &self.change.lock().expect("no panic").tile {
            for (id, tile) in ids.iter().zip(&mut tiles) {
                let mut bytes = tile.take().map(|tile| tile.to_vec()).unwrap_or_default();
                change(*id, &mut bytes);
                *tile = (!bytes.is_empty()).then(|| bytes.into());
            }
        }
        Ok(tiles)
    }

    async fn base(&self) -> Result<Option<Base>, ReadError> {
        let mut base = self.inner.base().await?;
        if let (Some(change), Some(base)) = (&self.change.lock().expect("no panic").base, &mut base) {
            let mut bytes = base.pieces.concat();
            change(&mut bytes);
            base.pieces = vec![bytes.into()];
        }
        Ok(base)
    }

    async fn last_note_within(&self, size: u64) -> Result<Option<StoredNote>, ReadError> {
        self.inner.last_note_within(size).await
    }

    async fn leaves(&self, range: Range<Seq>, max: usize) -> Result<Vec<Leaf>, ReadError> {
        let entries = Store::entries(self, range, usize::MAX).await?;
        Ok(entries.iter().take(max).map(|entry| entry.leaf).collect())
    }

    fn noted(&self) -> watch::Receiver<Option<Head>> {
        self.inner.noted()
    }
}

struct SpiedClaim {
    inner: Box<dyn Claim>,
    calls: Calls,
    change: Arc<Mutex<Changes>>,
}

#[async_trait]
impl Claim for SpiedClaim {
    async fn writer(self: Box<Self>) -> Result<Box<dyn Writer>, WriterError> {
        Ok(Box::new(SpiedWriter { inner: self.inner.writer().await?, calls: self.calls, change: self.change }))
    }
}

struct SpiedWriter {
    inner: Box<dyn Writer>,
    calls: Calls,
    change: Arc<Mutex<Changes>>,
}

#[async_trait]
impl Writer for SpiedWriter {
    fn head(&self) -> Option<&Head> {
        self.inner.head()
    }
    async fn named(&mut self, names: &[Name]) -> Result<Vec<Option<Known>>, ReadError> {
        let damaged = self.change.lock().expect("no panic").damaged_name.clone();
        if names.iter().any(|(_, reference)| Some(reference.as_str()) == damaged.as_deref()) {
            return Err(ReadError::Damaged("a name".into()));
        }
        self.inner.named(names).await
    }
    async fn commit(&mut self, batch: &Batch) -> Result<(), CommitError> {
        self.inner.commit(batch).await?;
        let notes: Vec<_> = batch.notes.iter().map(|note| note.size.to_string()).collect();
        let mut calls = self.calls.lock().expect("no panic");
        calls.push(format!("committed {} with notes [{}]", batch.head.size(), notes.join(",")));
        Ok(())
    }
    async fn free_reserve(&mut self) -> bool {
        self.inner.free_reserve().await
    }
    async fn room(&mut self) -> Room {
        self.inner.room().await
    }
}
