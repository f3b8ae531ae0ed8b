//! What a party may read back of a notice: itself, and what has become of it.

use std::collections::{BTreeMap, BTreeSet};

use liaison_protocol::id::{LeafIndex, PartnerId, PartnerNumber, Reference, Seq};
use liaison_protocol::proto::{self, DecisionState, DeliveryState};
use liaison_protocol::reason::Refusal;

use super::history::{Found, Shown, Word};
use super::{Caller, Exchange};
use crate::sequencer::CheckedNotice;
use crate::state::{Decided, Delivery, Standing};

/// Statements of one page with their items. Clients take 4 MiB, in which outcomes and paths have their room.
const PAGE_BYTES_MAX: usize = 2 << 20;
/// Reasons of all outcomes together; those that follow stand in their receipts alone.
const REASONS_BYTES_MAX: usize = 512 << 10;

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
        let mut work = caller.rooms.work();
        let mut seen: BTreeSet<_> =
            if originator { self.named(&found).await? } else { vec![me] }.into_iter().collect();
        let mut words = Vec::new();
        // Where everybody stands takes every statement about it, so it is said once, with the first page.
        if after.is_none() {
            let mut signed = Vec::new();
            self.told(found.seq, published.next, me, originator, &mut work, |told| {
                words.extend(told.words(leaf).into_iter().filter(|word| word.effective));
                signed.extend(told.signed(leaf));
            })
            .await?;
            // Whoever was reached through a group and said nothing is not shown, also not when its time is over: that would tell who
            // is in the group.
            seen.extend(signed.into_iter().filter(|_| originator));
        }
        let mut shown = match after {
            None => vec![self.acceptance(&found, me).await?],
            Some(_) => Vec::new(),
        };
        let (mut bytes, mut next) = (shown.iter().map(Shown::bytes).sum::<usize>(), None);
        let (page, mut last) = (page.max(1), after.unwrap_or(Seq(0)));
        let mut all_seen = after.is_none();
        'pages: loop {
            let about = self.about_after(found.seq, last).await?;
            let Some(newest) = about.last() else { break };
            last = *newest;
            for seq in about {
                if seq >= published.next {
                    break 'pages;
                }
                let Some(told) = self.told_to(seq, |by| originator || by == me).await? else { continue };
                work.hold(told.bytes)?;
                // Who has signed is seen by it; of those whose time is over, who signed at any time.
                seen.extend(told.signed(leaf).filter(|_| originator));
                if originator && told.is_of_time() && !std::mem::replace(&mut all_seen, true) {
                    let mut signed = Vec::new();
                    self.told(found.seq, published.next, me, true, &mut work, |told| {
                        signed.extend(told.signed(leaf));
                    })
                    .await?;
                    seen.extend(signed);
                }
                let this = told.shown(|of| of == leaf, |recipient| seen.contains(&recipient));
                work.give_back(told.bytes)?;
                let Some(this) = this else { continue };
                // One more than the page says that there is another.
                if shown.len() >= page || (bytes >= PAGE_BYTES_MAX && !shown.is_empty()) {
                    next = shown.last().map(|shown| shown.seq);
                    break 'pages;
                }
                bytes += this.bytes();
                work.hold(this.bytes())?;
                shown.push(this);
            }
        }
        let (outcomes, waiting_in_groups) = match after {
            None => self.outcomes(caller, &found, &words, &seen, originator),
            Some(_) => (Vec::new(), 0),
        };
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
        let mut standings = BTreeMap::<PartnerNumber, (Standing, &str)>::new();
        for word in words {
            let (standing, reason) = standings.entry(word.recipient).or_insert((Standing::CONSIGNED, ""));
            if let Some(after) = standing.after(word.happening) {
                (*standing, *reason) = (after, &word.reason);
            }
        }
        let (mut outcomes, mut silent, mut reasons) = (Vec::new(), 0, 0);
        for number in found.recipients.members().iter().map(PartnerNumber) {
            if !originator && number != caller.partner.number {
                continue;
            }
            if !seen.contains(&number) {
                silent += 1;
                continue;
            }
            let (standing, reason) = standings.get(&number).copied().unwrap_or((Standing::CONSIGNED, ""));
            reasons += reason.len();
            let reason = if reasons <= REASONS_BYTES_MAX { reason.to_owned() } else { String::new() };
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
