//! A store that breaks where a test tells it to, around any other store: each commit broken both ways (not there; there, but
//! reported failed), a disk without room, a slow disk, a damaged record. For tests only; `serve` never builds one.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use bytes::Bytes;
use liaison_protocol::id::Seq;
use liaison_protocol::tlog::entry::Leaf;
use liaison_protocol::tlog::tile::TileId;
use tokio::sync::{oneshot, watch};

use super::{
    Base, Batch, Below, Claim, CommitError, Head, Known, Name, NewEntry, ReadError, Room, SetId, Store, Stored,
    StoredNote, StoredNotice, Writer, WriterError,
};

/// What happens to one commit.
#[derive(Debug)]
pub enum Fault {
    /// The batch is not written, and this is said.
    NotPersisted(CommitError),
    /// The batch is written whole, and this is said.
    PersistedButReportedFailed(CommitError),
    /// The batch is not written, and success is said: a disk that lies, or a standby that took over too early.
    LostLater,
    /// The batch is written when the other end says so, or is dropped.
    Waits(oneshot::Receiver<()>),
}

/// Another store with a plan of what breaks. A clone is the same store with the same plan.
#[derive(Clone)]
pub struct FaultyStore {
    inner: Arc<dyn Store>,
    plan: Arc<Mutex<Plan>>,
}

#[derive(Default)]
struct Plan {
    faults: BTreeMap<u64, Fault>,
    commits: u64,
    room: Option<usize>,
    room_after_reserve: Option<usize>,
    away: Option<fn() -> WriterError>,
    asked: u64,
    damaged: BTreeSet<Seq>,
}

impl FaultyStore {
    /// Nothing breaks yet.
    pub fn new(inner: Arc<dyn Store>) -> Self {
        Self { inner, plan: Arc::default() }
    }

    /// Breaks the nth commit, counted from 0 over all writers since this store was made. After a failure other than NoRoom the
    /// writer is spent: whatever is tried with it gets Fatal, because trying at all breaks the contract.
    pub fn break_commit(&self, nth: u64, fault: Fault) {
        self.plan().faults.insert(nth, fault);
    }

    /// Commits that were tried so far: the number of the next.
    pub fn commits(&self) -> u64 {
        self.plan().commits
    }

    /// From now on a batch that holds an entry of more bytes finds no room; once the reserve is freed, `after_reserve` counts.
    pub fn room_for(&self, entry_bytes: usize, after_reserve: usize) {
        let mut plan = self.plan();
        plan.room = Some(entry_bytes);
        plan.room_after_reserve = Some(after_reserve);
    }

    /// Space has returned.
    pub fn room_for_all(&self) {
        let mut plan = self.plan();
        plan.room = None;
        plan.room_after_reserve = None;
    }

    /// From now on the store cannot be reached: no name is read, no commit is written but one whose own fault says so, and whoever
    /// wants a writer gets this.
    pub fn goes_away(&self, no_writer: fn() -> WriterError) {
        self.plan().away = Some(no_writer);
    }

    /// It can be reached again.
    pub fn comes_back(&self) {
        self.plan().away = None;
    }

    /// How often somebody has wanted a writer.
    pub fn asked(&self) -> u64 {
        self.plan().asked
    }

    /// From now on reading this entry finds damage.
    pub fn damage(&self, seq: Seq) {
        self.plan().damaged.insert(seq);
    }

    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().expect("nothing panics while it holds the plan")
    }
}

#[async_trait]
impl Store for FaultyStore {
    async fn claim(&self) -> Result<Box<dyn Claim>, WriterError> {
        let away = {
            let mut plan = self.plan();
            plan.asked += 1;
            plan.away
        };
        match away {
            Some(no_writer) => Err(no_writer()),
            None => Ok(Box::new(FaultyClaim { inner: self.inner.claim().await?, store: self.clone() })),
        }
    }

    async fn below(&self) -> Result<Below, ReadError> {
        self.inner.below().await
    }

    async fn head(&self) -> Result<Option<Head>, ReadError> {
        self.inner.head().await
    }

    async fn entries(&self, range: Range<Seq>, bytes_max: usize) -> Result<Vec<Stored>, ReadError> {
        let entries = self.inner.entries(range, bytes_max).await?;
        let plan = self.plan();
        match entries.iter().find(|entry| plan.damaged.contains(&entry.seq)) {
            Some(entry) => Err(ReadError::Damaged(format!("statement {} does not open its leaf", entry.seq.0))),
            None => Ok(entries),
        }
    }

    async fn notices(&self, of: &[Seq], bytes_max: usize) -> Result<Vec<Option<StoredNotice>>, ReadError> {
        self.inner.notices(of, bytes_max).await
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
        self.inner.tiles(ids).await
    }

    async fn base(&self) -> Result<Option<Base>, ReadError> {
        self.inner.base().await
    }

    async fn last_note_within(&self, size: u64) -> Result<Option<StoredNote>, ReadError> {
        self.inner.last_note_within(size).await
    }

    async fn leaves(&self, range: Range<Seq>, max: usize) -> Result<Vec<Leaf>, ReadError> {
        self.inner.leaves(range, max).await
    }

    fn noted(&self) -> watch::Receiver<Option<Head>> {
        self.inner.noted()
    }
}

struct FaultyClaim {
    inner: Box<dyn Claim>,
    store: FaultyStore,
}

#[async_trait]
impl Claim for FaultyClaim {
    async fn writer(self: Box<Self>) -> Result<Box<dyn Writer>, WriterError> {
        Ok(Box::new(FaultyWriter {
            inner: self.inner.writer().await?,
            store: self.store,
            spent: false,
            reserve: true,
        }))
    }
}

struct FaultyWriter {
    inner: Box<dyn Writer>,
    store: FaultyStore,
    spent: bool,
    reserve: bool,
}

impl FaultyWriter {
    /// The fault of this commit, and whether there is room for it.
    fn next(&self, batch: &Batch) -> (Option<Fault>, bool) {
        let mut plan = self.store.plan();
        let nth = plan.commits;
        plan.commits += 1;
        let largest = batch.entries.iter().map(entry_bytes).max();
        let fits = plan.room.is_none_or(|room| largest.unwrap_or(0) <= room);
        (plan.faults.remove(&nth), fits)
    }
}

#[async_trait]
impl Writer for FaultyWriter {
    fn head(&self) -> Option<&Head> {
        self.inner.head()
    }

    async fn named(&mut self, names: &[Name]) -> Result<Vec<Option<Known>>, ReadError> {
        if self.store.plan().away.is_some() {
            return Err(ReadError::Unavailable("away".into()));
        }
        self.inner.named(names).await
    }

    async fn commit(&mut self, batch: &Batch) -> Result<(), CommitError> {
        if self.spent {
            let why = "a commit was tried on a writer that had failed";
            return Err(CommitError::Fatal(why.into()));
        }
        let (fault, fits) = self.next(batch);
        let away = self.store.plan().away.is_some();
        let outcome = match fault {
            Some(Fault::NotPersisted(error)) => Err(error),
            Some(Fault::LostLater) => Ok(()),
            _ if !fits => Err(CommitError::NoRoom),
            Some(Fault::PersistedButReportedFailed(error)) => {
                self.inner.commit(batch).await?;
                Err(error)
            }
            _ if away => Err(CommitError::Unavailable("away".into())),
            Some(Fault::Waits(told)) => {
                let _ = told.await;
                self.inner.commit(batch).await
            }
            None => self.inner.commit(batch).await,
        };
        self.spent = matches!(&outcome, Err(error) if !matches!(error, CommitError::NoRoom));
        outcome
    }

    async fn free_reserve(&mut self) -> bool {
        let freed = self.inner.free_reserve().await;
        let mut plan = self.store.plan();
        if freed && let Some(room) = plan.room_after_reserve.take() {
            plan.room = Some(room);
        }
        self.reserve = false;
        freed
    }

    async fn room(&mut self) -> Room {
        let full = self.store.plan().room.is_some();
        match (full, self.reserve) {
            (true, true) => Room::ReserveOnly,
            (true, false) => Room::NoReserve,
            (false, _) => {
                self.reserve = true;
                self.inner.room().await
            }
        }
    }
}

/// What the content of an entry weighs; keys and leaves are left out.
fn entry_bytes(entry: &NewEntry) -> usize {
    let notice = entry.notice.as_ref();
    let notice = notice.map_or(0, |notice| notice.envelope.len() + notice.parts.len());
    entry.opening.statement.len() + entry.detail.len() + notice
}

#[cfg(test)]
mod tests {
    use super::super::contract::samples::{accepting_bytes, batch, name, statement};
    use super::super::contract::writer;
    use super::super::memory::MemoryStore;
    use super::*;

    fn faulty() -> (FaultyStore, Arc<dyn Store>) {
        let store = FaultyStore::new(Arc::new(MemoryStore::new()));
        (store.clone(), Arc::new(store))
    }

    #[tokio::test]
    async fn a_commit_breaks_both_ways_and_the_next_writer_sees_which() {
        let unknown = || CommitError::Unknown("lost the connection".into());
        let (plan, store) = faulty();
        plan.break_commit(0, Fault::NotPersisted(unknown()));
        plan.break_commit(1, Fault::PersistedButReportedFailed(unknown()));
        let given = batch(None, vec![statement(0)]);
        for there in [None, Some(given.head)] {
            let mut spent = writer(&store).await;
            let outcome = spent.commit(&given).await;
            assert!(matches!(outcome, Err(CommitError::Unknown(_))));
            let again = spent.commit(&given).await;
            assert!(matches!(again, Err(CommitError::Fatal(_))), "spent");
            drop(spent);
            assert_eq!(writer(&store).await.head().copied(), there);
        }
        assert_eq!(plan.commits(), 2);
    }

    #[tokio::test]
    async fn where_no_submission_fits_small_ones_do_after_the_reserve_is_freed() {
        let (plan, store) = faulty();
        plan.room_for(0, 500);
        let mut writer = writer(&store).await;
        let large = batch(None, vec![accepting_bytes(0, name(0), 1000)]);
        let small = batch(None, vec![statement(0)]);
        let full = |outcome| matches!(outcome, Err(CommitError::NoRoom));

        assert!(full(writer.commit(&small).await));
        assert!(writer.free_reserve().await);
        assert!(full(writer.commit(&large).await));
        writer.commit(&small).await.unwrap();
        plan.room_for_all();
        let large = batch(writer.head(), vec![accepting_bytes(1, name(1), 1000)]);
        writer.commit(&large).await.unwrap();
    }

    #[tokio::test]
    async fn a_slow_commit_is_there_once_it_is_let_go() {
        let (plan, store) = faulty();
        let (go, told) = oneshot::channel();
        plan.break_commit(0, Fault::Waits(told));
        let mut writer = writer(&store).await;
        let given = batch(None, vec![statement(0)]);
        let mut commit = writer.commit(&given);
        assert!(futures_util::poll!(&mut commit).is_pending());
        go.send(()).unwrap();
        commit.await.unwrap();
    }

    #[tokio::test]
    async fn a_damaged_entry_is_named_and_the_rest_is_served() {
        let (plan, store) = faulty();
        let given = batch(None, vec![statement(0), statement(1)]);
        writer(&store).await.commit(&given).await.unwrap();
        plan.damage(Seq(1));
        let read = store.entries(Seq(0)..Seq(2), 1 << 20).await;
        assert!(matches!(read, Err(ReadError::Damaged(why)) if why.contains("statement 1")));
        assert_eq!(store.entries(Seq(0)..Seq(1), 1).await.unwrap().len(), 1);
    }
}
