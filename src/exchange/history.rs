//! Reading back: a notice, what was stated about it, and which items of that a party may see.

use std::collections::HashMap;
use std::sync::Arc;

use liaison_protocol::id::{Hash, LeafIndex, PartnerNumber, Seq};
use liaison_protocol::proto;
use liaison_protocol::reason::{Reason, Refusal};
use liaison_protocol::statement::{Accepted, Event, Statement};
use liaison_protocol::tlog::entry::Opening;
use liaison_protocol::tlog::items::ItemTree;

use super::{Exchange, unreadable};
use crate::policy::RecipientSet;
use crate::state::{AcknowledgedDetail, Detail, ExpiredDetail, Happening, StoredDetail};
use crate::store::{SetId, Stored};

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

    /// The acceptance, with a recipient's own item.
    pub(super) fn shown_to(&self, partner: PartnerNumber) -> Shown {
        let items = self.recipients.item(partner).into_iter().collect();
        Shown { seq: self.seq, opening: self.opening.clone(), items }
    }
}

impl Told {
    /// What moved something for one recipient, notice by notice.
    pub(super) fn moved(&self, recipient: PartnerNumber) -> HashMap<LeafIndex, Vec<Happening>> {
        let said: Vec<(LeafIndex, Happening)> = match (&self.detail, self.acknowledged_by) {
            (Detail::Acknowledged(items), Some(by)) if by == recipient => {
                items.iter().filter(|item| item.effective).map(|item| (item.leaf, item.verdict.into())).collect()
            }
            (Detail::Expired(items), _) => items
                .iter()
                .filter(|item| item.recipient == recipient)
                .map(|item| (item.leaf, item.outcome.into()))
                .collect(),
            _ => Vec::new(),
        };
        let mut moved = HashMap::<_, Vec<_>>::new();
        for (leaf, happening) in said {
            moved.entry(leaf).or_default().push(happening);
        }
        moved
    }

    /// What it says of a notice, recipient by recipient.
    pub(super) fn words(&self, leaf: LeafIndex) -> Vec<Word> {
        match (&self.detail, self.acknowledged_by) {
            (Detail::Acknowledged(items), Some(recipient)) => items
                .iter()
                .filter(|item| item.leaf == leaf)
                .map(|item| Word {
                    recipient,
                    happening: item.verdict.into(),
                    effective: item.effective,
                    reason: item.reason.clone(),
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

    /// Who signed for a notice by it, if it moved anything.
    pub(super) fn signed(&self, leaf: LeafIndex) -> Option<PartnerNumber> {
        self.acknowledged_by.filter(|_| self.words(leaf).iter().any(|word| word.effective))
    }

    /// Itself, with those of its items about a notice that `may_see` lets through.
    pub(super) fn shown(&self, leaf: LeafIndex, may_see: impl Fn(PartnerNumber) -> bool) -> Option<Shown> {
        let items = match (&self.detail, self.acknowledged_by) {
            (Detail::Acknowledged(items), Some(recipient)) if may_see(recipient) => {
                prove(items, AcknowledgedDetail::leaf_data_of, |item| {
                    (item.leaf == leaf).then(|| proto::item_proof::Item::Acknowledged(item.item().to_proto()))
                })
            }
            (Detail::Expired(items), _) => prove(items, ExpiredDetail::leaf_data, |item| {
                (item.leaf == leaf && may_see(item.recipient)).then(|| {
                    proto::item_proof::Item::Expired(proto::ExpiredItem {
                        salt: item.salt.to_bytes(),
                        leaf_index: item.leaf.0,
                        recipient: item.recipient.0,
                        outcome: item.outcome.into(),
                    })
                })
            }),
            _ => return None,
        };
        (!items.is_empty()).then(|| Shown { seq: self.seq, opening: self.opening.clone(), items })
    }
}

impl AcknowledgedDetail {
    fn leaf_data_of(&self) -> Hash {
        self.item().leaf_data()
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

fn damaged(seq: Seq, what: &str) -> Refusal {
    tracing::error!(target: "audit", event = "integrity", seq = seq.0, what);
    Refusal::new(Reason::StoredDamage, "stored bytes cannot be read")
}

impl Exchange {
    async fn entry(&self, seq: Seq) -> Result<(Stored, Opening), Refusal> {
        let entries = self.store.entries(seq..Seq(seq.0 + 1), READ_BYTES_MAX).await.map_err(unreadable)?;
        let entry = entries.into_iter().next().ok_or_else(|| damaged(seq, "missing"))?;
        let opening =
            entry.opening.clone().ok_or_else(|| Refusal::new(Reason::NotFound, "the opening has been erased"))?;
        Ok((entry, opening))
    }

    /// Which items of an acknowledgement moved something, in order.
    pub(super) async fn effective(&self, seq: Seq) -> Result<Vec<bool>, Refusal> {
        let (entry, _) = self.entry(seq).await?;
        match StoredDetail::decode(&entry.detail) {
            Ok(StoredDetail::Whole(Detail::Acknowledged(items))) => {
                Ok(items.iter().map(|item| item.effective).collect())
            }
            _ => Err(damaged(seq, "detail")),
        }
    }

    /// A statement as it stands, with no items.
    pub(super) async fn shown(&self, seq: Seq) -> Result<Shown, Refusal> {
        let (_, opening) = self.entry(seq).await?;
        Ok(Shown { seq, opening, items: Vec::new() })
    }

    /// The notice accepted by a statement. None: that statement accepted none, or is not published yet.
    pub(super) async fn found(&self, seq: Seq) -> Result<Option<Found>, Refusal> {
        if seq >= self.published().next {
            return Ok(None);
        }
        let (entry, opening) = self.entry(seq).await?;
        let statement = Statement::decode(opening.statement.clone()).map_err(|_| damaged(seq, "statement"))?;
        let Event::Accepted(accepted) = statement.event else { return Ok(None) };
        let open = self.view().open(seq).map(|open| open.recipients().clone());
        let recipients = match open {
            Some(recipients) => recipients,
            None => self.recipients(seq, &entry).await?,
        };
        Ok(Some(Found { seq, opening, accepted, recipients }))
    }

    async fn recipients(&self, seq: Seq, entry: &Stored) -> Result<Arc<RecipientSet>, Refusal> {
        let Ok(StoredDetail::Audience(root)) = StoredDetail::decode(&entry.detail) else {
            return Err(damaged(seq, "detail"));
        };
        let sets = self.store.sets(&[SetId(root)]).await.map_err(unreadable)?;
        let set = sets.first().and_then(|set| RecipientSet::decode(set)).filter(|set| set.root() == root);
        set.map(Arc::new).ok_or_else(|| damaged(seq, "recipient set"))
    }

    /// What was stated about a notice, oldest first.
    pub(super) async fn told(&self, of: Seq) -> Result<Vec<Told>, Refusal> {
        let mut told = Vec::new();
        for seq in self.statements_about(of).await? {
            told.push(self.told_by(seq).await?);
        }
        Ok(told)
    }

    /// Statements about a notice, oldest first.
    pub(super) async fn statements_about(&self, of: Seq) -> Result<Vec<Seq>, Refusal> {
        let mut all = Vec::new();
        loop {
            let after = all.last().copied().unwrap_or(Seq(0));
            let page = self.store.about(of, after, ABOUT_PAGE).await.map_err(unreadable)?;
            let last = page.len() < ABOUT_PAGE;
            all.extend(page);
            if last {
                return Ok(all);
            }
        }
    }

    /// What one statement says.
    pub(super) async fn told_by(&self, seq: Seq) -> Result<Told, Refusal> {
        let (entry, opening) = self.entry(seq).await?;
        let statement = Statement::decode(opening.statement.clone()).map_err(|_| damaged(seq, "statement"))?;
        let acknowledged_by = match &statement.event {
            Event::Acknowledged(acknowledged) => Some(acknowledged.recipient),
            _ => None,
        };
        let detail = match StoredDetail::decode(&entry.detail).map_err(|_| damaged(seq, "detail"))? {
            StoredDetail::Whole(detail) => detail,
            StoredDetail::Audience(_) => Detail::None,
        };
        Ok(Told { seq, opening, detail, acknowledged_by })
    }
}
