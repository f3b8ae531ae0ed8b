//! A store that counts what is read from it, for those who test what an answer costs.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use liaison_protocol::id::Seq;
use liaison_protocol::tlog::entry::Leaf;
use liaison_protocol::tlog::tile::TileId;
use tokio::sync::watch;

use crate::store::{
    Base, Claim, Head, Known, Name, ReadError, SetId, Store, Stored, StoredNote, StoredNotice, WriterError,
};

/// What was read since it was asked last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reads {
    /// How often, by method.
    pub(crate) calls: BTreeMap<&'static str, usize>,
    /// Bytes of entries.
    pub(crate) entry_bytes: usize,
}

/// Counts on the way to another store.
#[derive(Clone)]
pub(crate) struct Counted {
    inner: Arc<dyn Store>,
    reads: Arc<Mutex<Reads>>,
}

impl Counted {
    pub(crate) fn over(inner: Arc<dyn Store>) -> Self {
        Self { inner, reads: Arc::default() }
    }

    /// What was read since the last call.
    pub(crate) fn take(&self) -> Reads {
        std::mem::take(&mut *self.reads.lock().expect("no panic"))
    }

    fn count(&self, method: &'static str) {
        *self.reads.lock().expect("no panic").calls.entry(method).or_default() += 1;
    }
}

#[async_trait]
impl Store for Counted {
    async fn claim(&self) -> Result<Box<dyn Claim>, WriterError> {
        self.inner.claim().await
    }

    async fn head(&self) -> Result<Option<Head>, ReadError> {
        self.count("head");
        self.inner.head().await
    }

    async fn entries(&self, range: Range<Seq>, bytes_max: usize) -> Result<Vec<Stored>, ReadError> {
        self.count("entries");
        let entries = self.inner.entries(range, bytes_max).await?;
        self.reads.lock().expect("no panic").entry_bytes += entries.iter().map(Stored::bytes).sum::<usize>();
        Ok(entries)
    }

    async fn notices(&self, of: &[Seq], bytes_max: usize) -> Result<Vec<Option<StoredNotice>>, ReadError> {
        self.count("notices");
        self.inner.notices(of, bytes_max).await
    }

    async fn named(&self, names: &[Name]) -> Result<Vec<Option<Known>>, ReadError> {
        self.count("named");
        self.inner.named(names).await
    }

    async fn notice_near(&self, at: Seq, end: Seq) -> Result<Option<Seq>, ReadError> {
        self.count("notice_near");
        self.inner.notice_near(at, end).await
    }

    async fn about(&self, of: Seq, after: Seq, page: usize) -> Result<Vec<Seq>, ReadError> {
        self.count("about");
        self.inner.about(of, after, page).await
    }

    async fn sets(&self, ids: &[SetId]) -> Result<Vec<Bytes>, ReadError> {
        self.count("sets");
        self.inner.sets(ids).await
    }

    async fn tiles(&self, ids: &[TileId]) -> Result<Vec<Option<Bytes>>, ReadError> {
        self.count("tiles");
        self.inner.tiles(ids).await
    }

    async fn base(&self) -> Result<Option<Base>, ReadError> {
        self.inner.base().await
    }

    async fn last_note_within(&self, size: u64) -> Result<Option<StoredNote>, ReadError> {
        self.count("last_note_within");
        self.inner.last_note_within(size).await
    }

    async fn leaves(&self, range: Range<Seq>, max: usize) -> Result<Vec<Leaf>, ReadError> {
        self.count("leaves");
        self.inner.leaves(range, max).await
    }

    fn noted(&self) -> watch::Receiver<Option<Head>> {
        self.inner.noted()
    }
}
