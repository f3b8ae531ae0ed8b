//! What was accepted lately, as it is delivered: whoever collects while it happens is served without a look at the store.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;
use liaison_protocol::id::Seq;
use liaison_protocol::proto;
use liaison_protocol::tlog::entry::Opening;
use prost::Message as _;
use tokio::sync::watch;

use super::Published;
use crate::state::Draft;
use crate::store::{Batch, Erased};

/// Bytes of notices kept: what a node takes in a few seconds at full load. A reader that is further behind asks the store.
const BYTES_MAX: usize = 64 << 20;

/// One notice, ready to be sent.
#[derive(Clone, Debug)]
pub struct Ready {
    /// A serialized `Delivery`.
    pub delivery: Bytes,
    /// Statement and salt of its acceptance.
    pub opening: Opening,
}

impl Ready {
    /// Serializes a notice once for all who will be sent it.
    pub(super) fn of(envelope: Bytes, parts: Vec<proto::Part>, opening: Opening) -> Self {
        Self { delivery: proto::Delivery { envelope, parts }.encode_to_vec().into(), opening }
    }

    fn bytes(&self) -> usize {
        self.delivery.len() + self.opening.statement.len() + size_of::<Self>()
    }
}

/// The newest notices, oldest first. Empty while nobody collects.
#[derive(Debug)]
pub struct Recent {
    kept: RwLock<Kept>,
    readers: AtomicUsize,
    /// The statement after the last published one that accepted a notice.
    consigned: watch::Receiver<Seq>,
}

#[derive(Debug, Default)]
struct Kept {
    notices: VecDeque<(Seq, Ready)>,
    bytes: usize,
}

/// Someone who collects: as long as there is one, what is accepted is kept.
#[derive(Debug)]
pub struct Reader {
    recent: Arc<Recent>,
    consigned: watch::Receiver<Seq>,
}

/// Where the sequencer makes known what is durable and signed.
pub(super) struct Publisher {
    heads: watch::Sender<Arc<Published>>,
    consigned: watch::Sender<Seq>,
    recent: Arc<Recent>,
}

/// The sequencer's end, and those that everyone may hold.
pub(super) fn publisher() -> (Publisher, watch::Receiver<Arc<Published>>, Arc<Recent>) {
    let (heads, published) = watch::channel(Arc::new(Published::nothing()));
    let (consigned, seen) = watch::channel(Seq(0));
    let recent = Arc::new(Recent { kept: RwLock::default(), readers: AtomicUsize::new(0), consigned: seen });
    (Publisher { heads, consigned, recent: recent.clone() }, published, recent)
}

impl Publisher {
    /// The newest head made known.
    pub(super) fn newest(&self) -> Arc<Published> {
        self.heads.borrow().clone()
    }

    /// Makes a head known.
    pub(super) fn publish(&self, published: Arc<Published>) {
        self.heads.send_replace(published);
    }

    /// Wakes those who collect, if a published batch accepted anything; what it accepted is at hand when they look.
    pub(super) fn consign(&self, batch: &Batch, drafts: &[Draft]) {
        self.recent.keep(batch, drafts);
        if drafts.iter().any(|draft| draft.notice.is_some()) {
            self.wake(batch.head.next);
        }
    }

    /// Wakes those who collect: before this statement may lie a notice that they have not looked for.
    pub(super) fn wake(&self, next: Seq) {
        self.consigned.send_replace(next);
    }
}

impl Recent {
    /// Begins to collect.
    pub fn reader(self: &Arc<Self>) -> Reader {
        self.readers.fetch_add(1, Ordering::Relaxed);
        Reader { recent: self.clone(), consigned: self.consigned.clone() }
    }

    /// The notice that a statement accepted. None: not among the newest.
    pub fn notice(&self, seq: Seq) -> Option<Ready> {
        let kept = self.kept.read().unwrap_or_else(PoisonError::into_inner);
        let place = kept.notices.binary_search_by_key(&seq, |(seq, _)| *seq).ok()?;
        Some(kept.notices[place].1.clone())
    }

    fn keep(&self, batch: &Batch, drafts: &[Draft]) {
        if self.readers.load(Ordering::Relaxed) == 0 {
            return;
        }
        let seqs = (batch.first.0..).map(Seq);
        let accepted = seqs.zip(drafts.iter().zip(&batch.entries)).filter_map(|(seq, (draft, entry))| {
            let permit = draft.notice.as_ref()?;
            let envelope = permit.manifest().envelope().clone();
            Some((seq, Ready::of(envelope, permit.parts().as_slice().to_vec(), entry.opening.clone())))
        });
        let accepted: Vec<_> = accepted.collect();
        let mut kept = self.kept.write().unwrap_or_else(PoisonError::into_inner);
        if self.readers.load(Ordering::Relaxed) == 0 {
            // The last of them went meanwhile, and has cleared what was kept.
            return;
        }
        for erased in &batch.erased {
            let (Erased::Parts(seq) | Erased::Opening(seq)) = erased;
            kept.forget(*seq);
        }
        for (seq, ready) in accepted {
            kept.bytes += ready.bytes();
            kept.notices.push_back((seq, ready));
        }
        kept.shrink_to(BYTES_MAX);
    }
}

impl Kept {
    fn forget(&mut self, seq: Seq) {
        if let Ok(place) = self.notices.binary_search_by_key(&seq, |(seq, _)| *seq)
            && let Some((_, gone)) = self.notices.remove(place)
        {
            self.bytes -= gone.bytes();
        }
    }

    fn shrink_to(&mut self, bytes_max: usize) {
        while self.bytes > bytes_max
            && let Some((_, gone)) = self.notices.pop_front()
        {
            self.bytes -= gone.bytes();
        }
    }
}

impl Reader {
    /// How many collect now.
    pub fn count(&self) -> usize {
        self.recent.readers.load(Ordering::Relaxed)
    }

    /// Everything consigned until now has been looked for.
    pub fn saw(&mut self) {
        self.consigned.mark_unchanged();
    }

    /// Returns when more has been consigned since. False: nothing more ever will be, the sequencer has stopped.
    pub async fn more(&mut self) -> bool {
        self.consigned.changed().await.is_ok()
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        if self.recent.readers.fetch_sub(1, Ordering::Relaxed) == 1 {
            // Nobody is left to read it. Who comes in this moment finds it in the store.
            *self.recent.kept.write().unwrap_or_else(PoisonError::into_inner) = Kept::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use liaison_protocol::tlog::entry::Salt;

    fn ready(bytes: usize) -> Ready {
        let opening = Opening { statement: Bytes::from(vec![1; bytes]), salt: Salt([0; 32]) };
        Ready::of(Bytes::new(), Vec::new(), opening)
    }

    #[test]
    fn the_oldest_go_when_there_is_no_more_room_and_what_is_erased_goes_at_once() {
        let mut kept = Kept::default();
        for seq in [3, 5, 6, 9] {
            kept.bytes += ready(1_000).bytes();
            kept.notices.push_back((Seq(seq), ready(1_000)));
        }
        let each = ready(1_000).bytes();
        kept.forget(Seq(6));
        kept.forget(Seq(7));
        assert_eq!((kept.notices.len(), kept.bytes), (3, 3 * each));
        kept.shrink_to(2 * each);
        let left: Vec<_> = kept.notices.iter().map(|(seq, _)| seq.0).collect();
        assert_eq!((left.as_slice(), kept.bytes), ([5, 9].as_slice(), 2 * each));
        kept.shrink_to(0);
        assert_eq!((kept.notices.len(), kept.bytes), (0, 0));
    }
}
