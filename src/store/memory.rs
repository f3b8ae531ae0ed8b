//! A store that lasts as long as its last handle: for tests and for the simulation, where dropping the writer is the crash and
//! the next handle's writer is the restart. It keeps the whole contract but for the disk.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use bytes::Bytes;
use liaison_protocol::id::Seq;
use liaison_protocol::tlog::entry::Leaf;
use liaison_protocol::tlog::tile::TileId;
use tokio::sync::watch;

use super::check;
use super::{
    Base, Batch, Claim, CommitError, Erased, Head, Known, Name, NewEntry, ReadError, Room, SetId, Store, Stored,
    StoredNote, StoredNotice, Writer, WriterError,
};

/// Everything in memory. A clone is another handle to the same history.
#[derive(Clone)]
pub struct MemoryStore {
    rows: Arc<Mutex<Rows>>,
    noted: watch::Sender<Option<Head>>,
}

#[derive(Default)]
struct Rows {
    held: bool,
    entries: Vec<Stored>,
    notices: BTreeMap<Seq, StoredNotice>,
    names: BTreeMap<Name, Known>,
    about: BTreeSet<(Seq, Seq)>,
    sets: BTreeMap<SetId, Bytes>,
    tiles: BTreeMap<TileId, Bytes>,
    heads: BTreeMap<(u32, u64), Head>,
    notes: BTreeMap<(u32, u64), StoredNote>,
    base: Option<Base>,
}

impl MemoryStore {
    /// A store without a history.
    pub fn new() -> Self {
        Self { rows: Arc::default(), noted: watch::Sender::new(None) }
    }

    fn rows(&self) -> MutexGuard<'_, Rows> {
        self.rows.lock().expect("nothing panics while it holds the rows")
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn claim(&self) -> Result<Box<dyn Claim>, WriterError> {
        let mut rows = self.rows();
        if rows.held {
            return Err(WriterError::Held("another handle of this process".into()));
        }
        rows.held = true;
        Ok(Box::new(MemoryWriter { head: rows.head().copied(), store: self.clone(), reserve: true }))
    }

    async fn head(&self) -> Result<Option<Head>, ReadError> {
        Ok(self.rows().head().copied())
    }

    async fn entries(&self, range: Range<Seq>, bytes_max: usize) -> Result<Vec<Stored>, ReadError> {
        let rows = self.rows();
        let end = (range.end.0 as usize).min(rows.entries.len());
        let start = (range.start.0 as usize).min(end);
        let mut bytes = 0;
        let mut fitting = Vec::new();
        for stored in &rows.entries[start..end] {
            bytes += stored.bytes();
            if bytes > bytes_max && !fitting.is_empty() {
                break;
            }
            check::opens(stored)?;
            fitting.push(stored.clone());
        }
        Ok(fitting)
    }

    async fn notices(&self, of: &[Seq], bytes_max: usize) -> Result<Vec<Option<StoredNotice>>, ReadError> {
        let rows = self.rows();
        check::fitting(of.iter().map(|seq| Ok(rows.notices.get(seq).cloned())), bytes_max)
    }

    async fn named(&self, names: &[Name]) -> Result<Vec<Option<Known>>, ReadError> {
        let rows = self.rows();
        Ok(names.iter().map(|name| rows.names.get(name).copied()).collect())
    }

    async fn notice_near(&self, at: Seq, end: Seq) -> Result<Option<Seq>, ReadError> {
        let rows = self.rows();
        let after = rows.notices.range(at.min(end)..end).next();
        Ok(after.or_else(|| rows.notices.range(..at.min(end)).next_back()).map(|(seq, _)| *seq))
    }

    async fn about(&self, of: Seq, after: Seq, page: usize) -> Result<Vec<Seq>, ReadError> {
        let rows = self.rows();
        let of_it = rows.about.range((of, Seq(after.0.saturating_add(1)))..=(of, Seq(u64::MAX)));
        Ok(of_it.map(|(_, seq)| *seq).take(page).collect())
    }

    async fn sets(&self, ids: &[SetId]) -> Result<Vec<Bytes>, ReadError> {
        let rows = self.rows();
        let set = |id: &SetId| rows.sets.get(id).cloned().ok_or_else(|| check::no_set(id));
        ids.iter().map(set).collect()
    }

    async fn tiles(&self, ids: &[TileId]) -> Result<Vec<Option<Bytes>>, ReadError> {
        let rows = self.rows();
        Ok(ids.iter().map(|id| rows.tiles.get(id).cloned()).collect())
    }

    async fn base(&self) -> Result<Option<Base>, ReadError> {
        Ok(self.rows().base.clone())
    }

    async fn last_note_within(&self, size: u64) -> Result<Option<StoredNote>, ReadError> {
        let rows = self.rows();
        let log = rows.notes.keys().next_back().map_or(0, |(log, _)| *log);
        Ok(rows.notes.range((log, 0)..=(log, size)).next_back().map(|(_, note)| note.clone()))
    }

    async fn leaves(&self, range: Range<Seq>, max: usize) -> Result<Vec<Leaf>, ReadError> {
        let rows = self.rows();
        let end = (range.end.0 as usize).min(rows.entries.len());
        let start = (range.start.0 as usize).min(end);
        Ok(rows.entries[start..end].iter().take(max).map(|entry| entry.leaf).collect())
    }

    fn noted(&self) -> watch::Receiver<Option<Head>> {
        self.noted.subscribe()
    }
}

impl Rows {
    fn head(&self) -> Option<&Head> {
        self.heads.values().next_back()
    }

    /// What only the rows can tell about a batch. Nothing is written before all of it is judged.
    fn judge(&self, batch: &Batch) -> Result<(), CommitError> {
        for note in &batch.notes {
            if !self.heads.contains_key(&(note.log, note.size)) {
                return Err(check::unknown_head(note.log, note.size));
            }
        }
        let mut names = BTreeSet::new();
        for notice in batch.entries.iter().filter_map(|entry| entry.notice.as_ref()) {
            if self.names.contains_key(&notice.name) || !names.insert(&notice.name) {
                return Err(check::name_taken(&notice.name));
            }
        }
        let mut tiles = BTreeSet::new();
        for (id, _) in &batch.tiles {
            if self.tiles.contains_key(id) || !tiles.insert(id) {
                return Err(check::tile_there(id));
            }
        }
        for erased in &batch.erased {
            if matches!(erased, Erased::Parts(seq) if !self.notices.contains_key(seq)) {
                return Err(check::nothing_to_erase(*erased));
            }
        }
        Ok(())
    }

    fn write(&mut self, batch: &Batch) {
        for note in &batch.notes {
            self.notes.insert((note.log, note.size), note.clone());
        }
        for (nth, entry) in (batch.first.0..).zip(&batch.entries) {
            self.append(Seq(nth), entry);
        }
        for (id, set) in &batch.sets {
            self.sets.entry(*id).or_insert_with(|| set.clone());
        }
        self.tiles.extend(batch.tiles.iter().cloned());
        for erased in &batch.erased {
            self.erase(*erased);
        }
        if let Some(base) = &batch.base {
            self.base = Some(base.clone());
        }
        self.heads.insert((batch.head.log, batch.head.size()), batch.head);
    }

    fn append(&mut self, seq: Seq, entry: &NewEntry) {
        self.entries.push(Stored {
            seq,
            leaf: entry.leaf,
            opening: Some(entry.opening.clone()),
            detail: entry.detail.clone(),
        });
        self.about.extend(entry.about.iter().map(|of| (*of, seq)));
        let Some(notice) = &entry.notice else { return };
        self.names.insert(notice.name.clone(), Known { seq, notice: notice.id });
        self.notices.insert(
            seq,
            StoredNotice { id: notice.id, envelope: notice.envelope.clone(), parts: Some(notice.parts.clone()) },
        );
    }

    fn erase(&mut self, erased: Erased) {
        match erased {
            Erased::Parts(seq) => {
                let notice = self.notices.get_mut(&seq);
                notice.expect("judged before").parts = None;
            }
            Erased::Opening(seq) => {
                let entry = &mut self.entries[seq.0 as usize];
                entry.opening = None;
                entry.detail = Bytes::new();
            }
        }
    }
}

struct MemoryWriter {
    store: MemoryStore,
    head: Option<Head>,
    reserve: bool,
}

/// Nothing is written by taking the writer, so a claim is one already.
#[async_trait]
impl Claim for MemoryWriter {
    async fn writer(self: Box<Self>) -> Result<Box<dyn Writer>, WriterError> {
        Ok(self)
    }
}

#[async_trait]
impl Writer for MemoryWriter {
    fn head(&self) -> Option<&Head> {
        self.head.as_ref()
    }

    async fn named(&mut self, names: &[Name]) -> Result<Vec<Option<Known>>, ReadError> {
        self.store.named(names).await
    }

    async fn commit(&mut self, batch: &Batch) -> Result<(), CommitError> {
        check::follows(batch, self.head.as_ref())?;
        let mut rows = self.store.rows();
        rows.judge(batch)?;
        rows.write(batch);
        self.head = Some(batch.head);
        let noted = rows.notes.keys().next_back();
        let noted = noted.and_then(|key| rows.heads.get(key)).copied();
        drop(rows);
        check::publish(&self.store.noted, noted);
        Ok(())
    }

    async fn free_reserve(&mut self) -> bool {
        std::mem::take(&mut self.reserve)
    }

    async fn room(&mut self) -> Room {
        self.reserve = true;
        Room::Enough
    }
}

impl Drop for MemoryWriter {
    fn drop(&mut self) {
        self.store.rows().held = false;
    }
}
