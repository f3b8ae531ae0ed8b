//! What is the same for all who are sent the same notices: read once, serialized once, and proven once under one checkpoint.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use liaison_protocol::id::Seq;
use liaison_protocol::proto;
use liaison_protocol::reason::Refusal;
use prost::Message as _;

use super::Exchange;
use super::frame::{Pieces, delivery_field, receipt_field};
use super::history::Shown;
use crate::policy::RecipientSet;
use crate::sequencer::{CheckedNotice, Published, Ready, pool};
use crate::state::Due;
use crate::store::{ReadError, StoredNotice};

/// Bytes of notices in one edition, unless it is a single larger one: with that one it stays below 1.25 MiB.
const EDITION_BYTES_MAX: usize = 512 << 10;
/// Editions kept for others who stand at the same place. Who collects what comes stands at one of the newest few; who is behind
/// stands anywhere, and mostly alone.
const EDITIONS_MAX: usize = 32;
/// Bytes of all of them: as if each were of ordinary notices.
const BYTES_MAX: usize = 16 << 20;

/// Notices that follow one another in a mailbox, under one checkpoint.
#[derive(Debug)]
pub(super) struct Edition {
    /// What it answers for, in the order of the mailbox.
    covers: Vec<Seq>,
    /// More was due when it was made than it holds.
    pub(super) full: bool,
    /// Of these, what was open when it was made.
    notices: Vec<Printed>,
    /// Of these, what cannot be delivered because it is damaged, by its place.
    damaged: Vec<(usize, Seq)>,
    /// Whom these are for, each set once: what is shown of it to one of its members has its place among the items of a frame.
    pub(super) sets: Vec<Arc<RecipientSet>>,
    /// The `deliveries` fields of a frame, one for each notice.
    pub(super) deliveries: Pieces,
    /// The `receipts` fields of `Receipts`, one for each notice.
    pub(super) receipts: Pieces,
    /// The signed note.
    pub(super) checkpoint: Bytes,
    /// The pool of all paths.
    pub(super) hashes: Bytes,
}

/// One notice of an edition.
#[derive(Debug)]
pub(super) struct Printed {
    /// Its place among what the edition answers for.
    place: usize,
    pub(super) seq: Seq,
    /// Place among the sets.
    pub(super) set: usize,
}

/// Those made lately, oldest first.
#[derive(Debug, Default)]
pub(super) struct Editions(Mutex<VecDeque<Arc<Edition>>>);

impl Edition {
    /// How much it answers for, from a place on.
    pub(super) fn covers(&self, from: usize) -> &[Seq] {
        &self.covers[from..]
    }

    /// The notices from a place on, each with its number among all of the edition.
    pub(super) fn notices(&self, from: usize) -> impl Iterator<Item = (usize, &Printed)> {
        let first = self.notices.partition_point(|notice| notice.place < from);
        self.notices.iter().enumerate().skip(first)
    }

    /// The place among the sets of that which a notice is for.
    pub(super) fn set(&self, nth: usize) -> usize {
        self.notices[nth].set
    }

    /// What is damaged, from a place on.
    pub(super) fn damaged(&self, from: usize) -> impl Iterator<Item = Seq> {
        self.damaged.iter().filter(move |(place, _)| *place >= from).map(|(_, seq)| *seq)
    }

    fn bytes(&self) -> usize {
        self.deliveries.bytes() + self.receipts.bytes() + self.hashes.len()
    }

    /// From which place on it answers for what is due, or for a good part of it: whoever is far behind is not held up by many small
    /// ones. Who came later than others goes on from where they meet, and from there on is sent what they are.
    fn serves(&self, due: &[Due]) -> Option<usize> {
        let from = self.covers.iter().position(|seq| *seq == due[0].seq)?;
        let rest = self.covers(from);
        let good = 2 * rest.len() >= due.len() && rest.len() <= due.len();
        (good && rest.iter().zip(due).all(|(seq, due)| *seq == due.seq)).then_some(from)
    }
}

impl Editions {
    /// An edition and the place in it from which on it is what is due, which is not empty, or the beginning of that.
    pub(super) fn serving(&self, due: &[Due]) -> Option<(Arc<Edition>, usize)> {
        let editions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        editions.iter().rev().find_map(|edition| edition.serves(due).map(|from| (edition.clone(), from)))
    }

    fn keep(&self, edition: Arc<Edition>) {
        let mut editions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        editions.retain(|known| known.covers.first() != edition.covers.first());
        editions.push_back(edition);
        while editions.len() > EDITIONS_MAX
            || editions.iter().map(|edition| edition.bytes()).sum::<usize>() > BYTES_MAX
        {
            editions.pop_front();
        }
    }

    /// Nobody collects any more.
    pub(super) fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

impl Exchange {
    /// A new edition of what is due, which is not empty, as much of it as one holds.
    pub(super) async fn printed(&self, published: &Published, due: &[Due]) -> Result<Arc<Edition>, Refusal> {
        let edition = Arc::new(self.print(published, due).await?);
        self.editions.keep(edition.clone());
        Ok(edition)
    }

    async fn print(&self, published: &Published, due: &[Due]) -> Result<Edition, Refusal> {
        let ready = self.ready(due).await?;
        let covers: Vec<_> = due.iter().take(ready.len()).map(|due| due.seq).collect();
        let (mut shown, mut printed, mut damaged) = (Vec::new(), Vec::new(), Vec::new());
        let mut sets: Vec<Arc<RecipientSet>> = Vec::new();
        for (place, ready) in ready.into_iter().enumerate() {
            let seq = covers[place];
            let Some(Ready { delivery, opening }) = ready else {
                damaged.push((place, seq));
                continue;
            };
            // Closed meanwhile, by time or by other systems of its last recipient.
            let open = self.view().open(seq).map(|open| open.recipients().clone());
            let Some(recipients) = open else { continue };
            shown.push(Shown { seq, opening, items: Vec::new() });
            // Notices that follow one another are mostly for the same.
            let set = sets.iter().rposition(|known| Arc::ptr_eq(known, &recipients)).unwrap_or_else(|| {
                sets.push(recipients);
                sets.len() - 1
            });
            printed.push((Printed { place, seq, set }, delivery));
        }
        let (checkpoint, proven) = self.proven(published, shown).await?;
        let (mut notices, mut deliveries, mut pooled) = (Vec::new(), Pieces::default(), Vec::new());
        for ((notice, delivery), proven) in printed.into_iter().zip(proven) {
            let Ok(proven) = proven else {
                damaged.push((notice.place, notice.seq));
                continue;
            };
            pooled.push(proven);
            notices.push(notice);
            deliveries.push(|room| delivery_field(&delivery, room));
        }
        damaged.sort_unstable();
        let proto::Receipts { checkpoint, hashes, receipts: proven, .. } = pool(checkpoint, pooled);
        let mut receipts = Pieces::default();
        for (mut receipt, notice) in proven.into_iter().zip(&notices) {
            receipt.shared_items = vec![notice.set as u32];
            receipts.push(|room| receipt_field(&receipt.encode_to_vec(), room));
        }
        let full = covers.len() < due.len();
        Ok(Edition { covers, full, notices, damaged, sets, deliveries, receipts, checkpoint, hashes })
    }

    /// What is due, as much of it from the first on as one edition holds; from memory where it was accepted lately. None: damaged.
    async fn ready(&self, due: &[Due]) -> Result<Vec<Option<Ready>>, Refusal> {
        let recent = self.sequencer.recent();
        let mut stored: Option<BTreeMap<Seq, Option<Ready>>> = None;
        let (mut ready, mut bytes) = (Vec::with_capacity(due.len()), 0);
        for (nth, Due { seq, .. }) in due.iter().enumerate() {
            // One notice alone may be larger than an edition; then it is full.
            if !ready.is_empty() && bytes >= EDITION_BYTES_MAX {
                break;
            }
            let found = match (recent.notice(*seq), &mut stored) {
                (Some(found), _) => Some(Some(found)),
                (None, Some(stored)) => stored.remove(seq),
                (None, none) => {
                    let seqs: Vec<_> = due[nth..].iter().map(|due| due.seq).collect();
                    none.insert(self.stored(&seqs, EDITION_BYTES_MAX.saturating_sub(bytes)).await?).remove(seq)
                }
            };
            let Some(found) = found else { break };
            let more = found.as_ref().map_or(0, |found| found.delivery.len());
            if !ready.is_empty() && bytes + more > EDITION_BYTES_MAX {
                break;
            }
            bytes += more;
            ready.push(found);
        }
        Ok(ready)
    }

    /// The first of these notices as they lie in the store, checked: as many as fit, at least one. None: damaged.
    async fn stored(&self, seqs: &[Seq], bytes_max: usize) -> Result<BTreeMap<Seq, Option<Ready>>, Refusal> {
        let notices = self.notices(seqs, bytes_max).await?;
        let mut openings = self.openings(&seqs[..notices.len()]).await?;
        let mut ready = BTreeMap::new();
        for (seq, notice) in seqs.iter().zip(notices) {
            // Where the opening is lost, it has been said why.
            let checked = notice.zip(openings.remove(seq)).and_then(|(notice, opening)| {
                let checked = CheckedNotice::of(notice, &opening);
                let checked = checked.map_err(|what| self.damaged_at(*seq, what)).ok()?;
                Some(checked.ready(opening))
            });
            ready.insert(*seq, checked);
        }
        Ok(ready)
    }

    /// The same as bytes. Where they cannot be read together, the first alone.
    async fn notices(&self, seqs: &[Seq], bytes_max: usize) -> Result<Vec<Option<StoredNotice>>, Refusal> {
        let alone = &seqs[..1];
        let notices = match self.store.notices(seqs, bytes_max).await {
            Err(ReadError::Damaged(_)) if seqs.len() > 1 => self.store.notices(alone, bytes_max).await,
            notices => notices,
        };
        let notices = match notices {
            Err(error @ ReadError::Damaged(_)) => {
                self.unreadable(Some(self.leaf(seqs[0])), error);
                return Ok(vec![None]);
            }
            notices => notices.map_err(|error| self.unreadable(None, error))?,
        };
        for (seq, notice) in seqs.iter().zip(&notices) {
            if notice.is_none() {
                self.damaged_at(*seq, "its notice is missing");
            }
        }
        Ok(notices)
    }
}
