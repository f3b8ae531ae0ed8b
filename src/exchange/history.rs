//! Reading back: a notice, what was stated about it, and which items of that a party may see.

use std::collections::BTreeMap;
use std::sync::Arc;

use liaison_protocol::id::{Hash, LeafIndex, PartnerNumber, Seq};
use liaison_protocol::proto;
use liaison_protocol::reason::{Reason, Refusal};
use liaison_protocol::statement::{Accepted, Event, Statement};
use liaison_protocol::tlog::entry::Opening;
use liaison_protocol::tlog::items::ItemTree;

use super::Exchange;
use super::work::Work;
use crate::policy::RecipientSet;
use crate::state::{AcknowledgedDetail, Detail, ExpiredDetail, Happening, StoredDetail};
use crate::store::{ReadError, SetId, Stored};

/// Statements about one notice read at a time.
const ABOUT_PAGE: usize = 256;
/// Bytes of entries read at a time.
const READ_BYTES_MAX: usize = 8 << 20;

/// One statement to be shown, with the items its reader may see.
#[derive(Clone, Debug)]
pub(super) struct Shown {
    pub(super) seq: Seq,
    pub(super) opening: Opening,
    pub(super) items: Vec<proto::ItemProof>,
}

impl Shown {
    /// Bytes that it takes in an answer, about: its statement, and its items with their paths.
    pub(super) fn bytes(&self) -> usize {
        self.opening.statement.len() + self.items.iter().map(prost::Message::encoded_len).sum::<usize>()
    }
}

/// A notice that was accepted here.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) seq: Seq,
    pub(super) opening: Opening,
    pub(super) accepted: Accepted,
    pub(super) recipients: Arc<RecipientSet>,
}

/// One statement about a notice, and what it says of it.
#[derive(Clone, Debug)]
pub(super) struct Told {
    pub(super) seq: Seq,
    pub(super) opening: Opening,
    /// Bytes of its entry.
    pub(super) bytes: usize,
    detail: Detail,
    acknowledged_by: Option<PartnerNumber>,
}

/// What one item of a statement says of one recipient.
#[derive(Clone, Debug)]
pub(super) struct Word {
    pub(super) recipient: PartnerNumber,
    pub(super) happening: Happening,
    pub(super) effective: bool,
    pub(super) reason: String,
}

impl Found {
    /// Whether a partner may know of this notice at all.
    pub(super) fn concerns(&self, partner: PartnerNumber) -> bool {
        self.accepted.originator == partner || self.recipients.members().contains(partner.0)
    }
}

impl Told {
    /// Calls `each` with what it says to one recipient, item by item: one pass, however many are asked for.
    pub(super) fn says_to(&self, me: PartnerNumber, mut each: impl FnMut(LeafIndex, Happening)) {
        match (&self.detail, self.acknowledged_by) {
            (Detail::Acknowledged(items), Some(by)) if by == me => {
                let effective = items.iter().filter(|said| said.moved.any());
                effective.for_each(|said| each(said.item.leaf, said.item.verdict.into()));
            }
            (Detail::Expired(items), _) => {
                let mine = items.iter().filter(|item| item.recipient == me);
                mine.for_each(|item| each(item.leaf, item.outcome.into()));
            }
            _ => {}
        }
    }

    /// What it says of a notice, recipient by recipient.
    pub(super) fn words(&self, leaf: LeafIndex) -> Vec<Word> {
        match (&self.detail, self.acknowledged_by) {
            (Detail::Acknowledged(items), Some(recipient)) => items
                .iter()
                .filter(|said| said.item.leaf == leaf)
                .map(|said| Word {
                    recipient,
                    happening: said.item.verdict.into(),
                    effective: said.moved.any(),
                    reason: said.item.reason.clone(),
                })
                .collect(),
            (Detail::Expired(items), _) => items
                .iter()
                .filter(|item| item.leaf == leaf)
                .map(|item| Word {
                    recipient: item.recipient,
                    happening: item.outcome.into(),
                    effective: true,
                    reason: String::new(),
                })
                .collect(),
            _ => Vec::new(),
        }
    }

    /// Whether it is about time that was over.
    pub(super) fn is_of_time(&self) -> bool {
        matches!(self.detail, Detail::Expired(_))
    }

    /// Who signed for a notice by it, if it moved anything.
    pub(super) fn signed(&self, leaf: LeafIndex) -> Option<PartnerNumber> {
        self.acknowledged_by.filter(|_| self.words(leaf).iter().any(|word| word.effective))
    }

    /// Itself, with those of its items that are about the notices wanted and that `may_see` lets through. None: there are none.
    pub(super) fn shown(
        &self,
        wanted: impl Fn(LeafIndex) -> bool,
        may_see: impl Fn(PartnerNumber) -> bool,
    ) -> Option<Shown> {
        let items = match (&self.detail, self.acknowledged_by) {
            (Detail::Acknowledged(items), Some(recipient)) if may_see(recipient) => prove(
                items,
                |said: &AcknowledgedDetail| said.item.leaf_data(),
                |said| wanted(said.item.leaf).then(|| proto::item_proof::Item::Acknowledged(said.item.to_proto())),
            ),
            (Detail::Expired(items), _) => prove(items, ExpiredDetail::leaf_data, |item| {
                (wanted(item.leaf) && may_see(item.recipient))
                    .then(|| proto::item_proof::Item::Expired(item.to_proto()))
            }),
            _ => return None,
        };
        (!items.is_empty()).then(|| Shown { seq: self.seq, opening: self.opening.clone(), items })
    }
}

/// The items that are picked, each with its path in the tree of all.
fn prove<T>(
    items: &[T],
    leaf_data: impl Fn(&T) -> Hash,
    pick: impl Fn(&T) -> Option<proto::item_proof::Item>,
) -> Vec<proto::ItemProof> {
    let mut picked = items.iter().enumerate().filter_map(|(nth, item)| Some((nth as u64, pick(item)?))).peekable();
    if picked.peek().is_none() {
        return Vec::new();
    }
    let tree = ItemTree::over(items.iter().map(leaf_data));
    picked
        .filter_map(|(index, item)| {
            let path = tree.path(index)?.into_iter().map(Hash::to_bytes).collect();
            Some(proto::ItemProof { index, path, item: Some(item) })
        })
        .collect()
}

/// Whether one statement is damaged or erased, which costs that statement and nothing else.
pub(super) fn is_lost(refusal: &Refusal) -> bool {
    matches!(refusal.reason, Reason::StoredDamage | Reason::NotFound)
}

pub(super) fn erased() -> Refusal {
    Refusal::new(Reason::NotFound, "the opening has been erased")
}

impl Exchange {
    async fn entry(&self, seq: Seq) -> Result<(Stored, Opening), Refusal> {
        let entries = self.store.entries(seq..Seq(seq.0 + 1), READ_BYTES_MAX).await;
        let entries = entries.map_err(|error| self.unreadable(Some(self.leaf(seq)), error))?;
        let entry = entries.into_iter().next().ok_or_else(|| self.damaged_at(seq, "it is missing"))?;
        let opening = entry.opening.clone().ok_or_else(erased)?;
        Ok((entry, opening))
    }

    /// A statement as it stands, with no items.
    pub(super) async fn shown(&self, seq: Seq) -> Result<Shown, Refusal> {
        let (_, opening) = self.entry(seq).await?;
        Ok(Shown { seq, opening, items: Vec::new() })
    }

    /// The openings of statements, read together where they lie together. What has been erased or is damaged is left out, and the
    /// damage reported.
    pub(super) async fn openings(&self, seqs: &[Seq]) -> Result<BTreeMap<Seq, Opening>, Refusal> {
        let mut openings = BTreeMap::new();
        for run in seqs.chunk_by(|seq, next| seq.0 + 1 == next.0) {
            let (mut next, end) = (run[0], Seq(run[0].0 + run.len() as u64));
            while next < end {
                match self.store.entries(next..end, READ_BYTES_MAX).await {
                    Ok(entries) if !entries.is_empty() => {
                        next = Seq(next.0 + entries.len() as u64);
                        openings.extend(entries.into_iter().filter_map(|entry| Some((entry.seq, entry.opening?))));
                    }
                    Err(error @ (ReadError::Busy(_) | ReadError::Unavailable(_))) => {
                        return Err(self.unreadable(None, error));
                    }
                    // One of them is damaged: each by itself shows which.
                    Ok(_) | Err(ReadError::Damaged(_)) => {
                        match self.shown(next).await {
                            Ok(shown) => drop(openings.insert(next, shown.opening)),
                            Err(refusal) if is_lost(&refusal) => {}
                            Err(refusal) => return Err(refusal),
                        }
                        next = Seq(next.0 + 1);
                    }
                }
            }
        }
        Ok(openings)
    }

    /// Damage of one statement.
    pub(super) fn damaged_at(&self, seq: Seq, what: &str) -> Refusal {
        self.damaged(Some(self.leaf(seq)), what)
    }

    /// The notice accepted by a statement. None: that statement accepted none, or is not published yet.
    pub(super) async fn found(&self, seq: Seq) -> Result<Option<Found>, Refusal> {
        if seq >= self.published().next {
            return Ok(None);
        }
        let (entry, opening) = self.entry(seq).await?;
        let statement =
            Statement::decode(opening.statement.clone()).map_err(|_| self.damaged_at(seq, "its statement"))?;
        let detail = StoredDetail::decode(&entry.detail, &statement.event)
            .map_err(|_| self.damaged_at(seq, "its detail"))?;
        let Event::Accepted(accepted) = statement.event else { return Ok(None) };
        // Also where the view has them: what is open must not be told from what is closed, or from what is not there.
        let recipients = self.recipients(seq, &detail).await?;
        Ok(Some(Found { seq, opening, accepted, recipients }))
    }

    async fn recipients(&self, seq: Seq, detail: &StoredDetail) -> Result<Arc<RecipientSet>, Refusal> {
        let StoredDetail::Audience(root) = detail else { return Err(self.damaged_at(seq, "its detail")) };
        let sets = self.store.sets(&[SetId(*root)]).await;
        let sets = sets.map_err(|error| self.unreadable(Some(self.leaf(seq)), error))?;
        let set = sets.first().and_then(|set| RecipientSet::decode(set)).filter(|set| set.root() == *root);
        set.map(Arc::new).ok_or_else(|| self.damaged_at(seq, "its recipient set"))
    }

    /// Shows `each` what was stated about a notice before a published head, oldest first: what is durable already and not yet under a
    /// checkpoint nobody can be shown a receipt of. One statement is held at a time: what was said with many others can be large, and
    /// there can be many.
    pub(super) async fn told(
        &self,
        of: Seq,
        before: Seq,
        me: PartnerNumber,
        everybody: bool,
        work: &mut Work,
        mut each: impl FnMut(Told) + Send,
    ) -> Result<(), Refusal> {
        for seq in self.about(of).await?.into_iter().take_while(|seq| *seq < before) {
            let Some(told) = self.told_to(seq, |by| everybody || by == me).await? else { continue };
            let bytes = told.bytes;
            work.hold(bytes)?;
            each(told);
            work.give_back(bytes)?;
        }
        Ok(())
    }

    /// The next statements about a notice after one, oldest first, a page of them.
    pub(super) async fn about_after(&self, of: Seq, after: Seq) -> Result<Vec<Seq>, Refusal> {
        self.store.about(of, after, ABOUT_PAGE).await.map_err(|error| self.unreadable(Some(self.leaf(of)), error))
    }

    /// Statements about a notice, oldest first.
    pub(super) async fn about(&self, of: Seq) -> Result<Vec<Seq>, Refusal> {
        let mut all = Vec::new();
        loop {
            let after = all.last().copied().unwrap_or(Seq(0));
            let about = self.store.about(of, after, ABOUT_PAGE).await;
            let about = about.map_err(|error| self.unreadable(Some(self.leaf(of)), error))?;
            all.extend_from_slice(&about);
            if about.len() < ABOUT_PAGE {
                return Ok(all);
            }
        }
    }

    /// One statement about notices, read whole.
    pub(super) async fn told_by(&self, seq: Seq) -> Result<Told, Refusal> {
        Ok(self.told_to(seq, |_| true).await?.expect("nobody's is left out"))
    }

    /// The same, but for the acknowledgements of recipients whom `of` leaves out: their items are not looked at.
    pub(super) async fn told_to(
        &self,
        seq: Seq,
        of: impl Fn(PartnerNumber) -> bool + Send,
    ) -> Result<Option<Told>, Refusal> {
        let (entry, opening) = self.entry(seq).await?;
        let statement =
            Statement::decode(opening.statement.clone()).map_err(|_| self.damaged_at(seq, "its statement"))?;
        let acknowledged_by = match &statement.event {
            Event::Acknowledged(acknowledged) => Some(acknowledged.recipient),
            _ => None,
        };
        if acknowledged_by.is_some_and(|by| !of(by)) {
            return Ok(None);
        }
        let bytes = entry.bytes();
        let detail = StoredDetail::decode(&entry.detail, &statement.event);
        let detail = match detail.map_err(|_| self.damaged_at(seq, "its detail"))? {
            StoredDetail::Whole(detail) => detail,
            StoredDetail::Audience(_) => Detail::None,
        };
        Ok(Some(Told { seq, opening, bytes, detail, acknowledged_by }))
    }
}
