//! What a party may read back of a notice: itself, and what has become of it.

use std::collections::BTreeSet;

use liaison_protocol::id::{LeafIndex, PartnerId, PartnerNumber, Reference, Seq};
use liaison_protocol::proto::{self, DecisionState, DeliveryState};
use liaison_protocol::reason::Refusal;

use super::history::{Found, Shown, Word};
use super::{Caller, Exchange};
use crate::sequencer::CheckedNotice;
use crate::state::{Decided, Delivery, Standing};

/// How a caller names a notice.
#[derive(Clone, Debug)]
pub enum NoticeName {
    /// By its originator's reference; None for the caller's own.
    Reference(Option<PartnerId>, Reference),
    /// By the leaf that accepted it.
    Leaf(LeafIndex),
}

/// Where one recipient stands.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Who.
    pub recipient: PartnerId,
    /// On both axes.
    pub standing: Standing,
    /// Why it refused.
    pub reason: String,
}

/// What has become of a notice, as one party may see it.
#[derive(Debug)]
pub struct Evidence {
    /// Recipients that the caller may see.
    pub outcomes: Vec<Outcome>,
    /// Recipients through groups who have not answered yet.
    pub waiting_in_groups: u32,
    /// Statements about it, oldest first.
    pub receipts: proto::Receipts,
    /// Continue after this statement. None: no more.
    pub next: Option<Seq>,
}

impl Exchange {
    /// A notice and its acceptance, for its originator and its recipients.
    pub async fn notice(
        &self,
        caller: &Caller,
        name: NoticeName,
    ) -> Result<(proto::Delivery, proto::Receipts), Refusal> {
        let found = self.find(caller, name).await.map_err(|refusal| self.perhaps_lost(refusal))?;
        let delivery = self.checked(&found).await?.into_delivery();
        let acceptance = self.acceptance(&found, caller.partner.number).await?;
        let receipts = self.receipts(&self.published(), vec![acceptance]).await?;
        Ok((delivery, receipts))
    }

    /// The acceptance: to a recipient with its own item, to the originator with those it named one by one.
    async fn acceptance(&self, found: &Found, me: PartnerNumber) -> Result<Shown, Refusal> {
        let may_see = if found.accepted.originator == me { self.named(found).await? } else { vec![me] };
        let items = may_see.into_iter().filter_map(|number| found.recipients.item(number)).collect();
        Ok(Shown { seq: found.seq, opening: found.opening.clone(), items })
    }

    /// The notice as it lies in the store, byte for byte what was accepted.
    async fn checked(&self, found: &Found) -> Result<CheckedNotice, Refusal> {
        let notices = self.store.notices(&[found.seq], usize::MAX).await;
        let notices = notices.map_err(|error| self.unreadable(Some(self.leaf(found.seq)), error))?;
        let notice = notices.into_iter().next().flatten().ok_or("its notice is missing");
        let checked = notice.and_then(|notice| CheckedNotice::of(notice, &found.opening));
        checked.map_err(|what| self.damaged_at(found.seq, what))
    }

    /// One page of what was stated about a notice, and where its recipients stand now.
    pub async fn evidence(
        &self,
        caller: &Caller,
        name: NoticeName,
        after: Option<Seq>,
        page: usize,
    ) -> Result<Evidence, Refusal> {
        let me = caller.partner.number;
        let found = self.find(caller, name).await.map_err(|refusal| self.perhaps_lost(refusal))?;
        let published = self.published();
        let leaf = published.leaf(found.seq);
        let originator = found.accepted.originator == me;
        let from = after.unwrap_or(Seq(0));
        // Once for who has spoken, and once for the page: so never more than one statement is held at a time.
        let mut seen: BTreeSet<_> =
            if originator { self.named(&found).await? } else { vec![me] }.into_iter().collect();
        let mut words = Vec::new();
        self.told(found.seq, published.next, |told| {
            words.extend(told.words(leaf).into_iter().filter(|word| word.effective));
            // Whoever was reached through a group and said nothing is not shown, also not when its time is over: that would tell
            // who is in the group.
            seen.extend(told.signed(leaf).filter(|_| originator));
        })
        .await?;
        let mut shown = match after {
            None => vec![self.acceptance(&found, me).await?],
            Some(_) => Vec::new(),
        };
        let page = page.max(1);
        self.told(found.seq, published.next, |told| {
            // One more than the page says that there is another.
            if told.seq > from && shown.len() <= page {
                shown.extend(told.shown(|of| of == leaf, |recipient| seen.contains(&recipient)));
            }
        })
        .await?;
        let next = (shown.len() > page).then(|| shown[page - 1].seq);
        shown.truncate(page);
        let (outcomes, waiting_in_groups) = self.outcomes(caller, &found, &words, &seen, originator);
        let receipts = self.receipts(&published, shown).await?;
        Ok(Evidence { outcomes, waiting_in_groups, receipts, next })
    }

    /// Recipients that the originator named one by one; those it reached through groups it learns of when they answer.
    async fn named(&self, found: &Found) -> Result<Vec<PartnerNumber>, Refusal> {
        let notice = self.checked(found).await?;
        let directory = self.directories.in_force();
        let named = notice.manifest().audience.partners.iter().filter_map(|id| directory.directory().partner(id));
        Ok(named.map(|partner| partner.number).collect())
    }

    fn outcomes(
        &self,
        caller: &Caller,
        found: &Found,
        words: &[Word],
        seen: &BTreeSet<PartnerNumber>,
        originator: bool,
    ) -> (Vec<Outcome>, u32) {
        let (mut outcomes, mut silent) = (Vec::new(), 0);
        for number in found.recipients.members().iter().map(PartnerNumber) {
            if !originator && number != caller.partner.number {
                continue;
            }
            let mut standing = Standing::CONSIGNED;
            let mut reason = String::new();
            for word in words.iter().filter(|word| word.recipient == number) {
                if let Some(after) = standing.after(word.happening) {
                    standing = after;
                    reason.clone_from(&word.reason);
                }
            }
            if !seen.contains(&number) {
                silent += 1;
                continue;
            }
            if let Some(partner) = caller.directory.directory().numbered(number) {
                outcomes.push(Outcome { recipient: partner.id.clone(), standing, reason });
            }
        }
        (outcomes, silent)
    }
}

impl From<Delivery> for DeliveryState {
    fn from(delivery: Delivery) -> Self {
        match delivery {
            Delivery::Waiting => Self::Waiting,
            Delivery::HandedOver => Self::HandedOver,
            Delivery::Undelivered => Self::Undelivered,
        }
    }
}

impl From<Decided> for DecisionState {
    fn from(decided: Decided) -> Self {
        match decided {
            Decided::Open => Self::Open,
            Decided::Accepted => Self::Accepted,
            Decided::Refused => Self::Refused,
            Decided::Unanswered => Self::Unanswered,
        }
    }
}
