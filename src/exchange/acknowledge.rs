//! Acknowledging: items are judged one by one, idempotently. Whatever is consigned to a partner may be acknowledged, whether or
//! not this node remembers sending it.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use bytes::Bytes;
use liaison_protocol::ack::{Item, VerifiedAcknowledgement};
use liaison_protocol::envelope::{ACKNOWLEDGEMENT_TYPE, Expect};
use liaison_protocol::id::{LeafIndex, PartnerNumber, Seq};
use liaison_protocol::keyring::Usage;
use liaison_protocol::proto::{self, Verdict};
use liaison_protocol::reason::{Reason, Refusal};

use super::history::Shown;
use super::{Caller, Exchange, RETRY_AFTER_MS, busy};
use crate::sequencer::{Answer, Stated};
use crate::state::{Delivery, Happening, Proposal, Standing};

/// How often a batch is judged again because another settled its items first.
const JUDGED_AGAIN_MAX: usize = 4;

/// What moved something for the caller, by statement: each is read once, for a batch sent again is about few.
type Moved = HashMap<Seq, HashMap<LeafIndex, Vec<Happening>>>;

/// What became of one item.
#[derive(Debug)]
pub enum ItemAnswer {
    /// It stands: its receipt is the nth.
    Receipt {
        /// Place among the receipts.
        nth: usize,
        /// True: said before.
        duplicate: bool,
    },
    /// This item alone is refused.
    Refused(Refusal),
}

/// What became of a batch.
#[derive(Debug)]
pub struct Acknowledged {
    /// One for each item, in order.
    pub answers: Vec<ItemAnswer>,
    /// The receipts they name.
    pub receipts: proto::Receipts,
}

/// How one item stands once the batch is through.
enum Settled {
    /// A statement says what the item says.
    By {
        seq: Seq,
        duplicate: bool,
    },
    Refused(Refusal),
}

impl Exchange {
    /// Takes a recipient's signed word for many.
    pub async fn acknowledge(
        &self,
        caller: &Caller,
        envelope: Bytes,
        items: &[proto::AcknowledgedItem],
    ) -> Result<Acknowledged, Refusal> {
        let acknowledgement = Arc::new(self.verified(caller, envelope, items)?);
        let me = caller.partner.number;
        for _ in 0..JUDGED_AGAIN_MAX {
            let stated = if self.moves_any(me, &acknowledgement) {
                let proposal = Proposal::Acknowledge(me, acknowledgement.clone());
                match self.sequencer.append(vec![proposal]).await.map_err(busy)?.pop() {
                    Some(Answer::Stated(stated)) => Some(stated),
                    Some(Answer::Stale) => continue,
                    Some(Answer::Refused(refusal)) => return Err(refusal),
                    Some(Answer::NoRoom) => {
                        return Err(Refusal::new(Reason::StoreFull, "the store has no room")
                            .retry_after_ms(10 * RETRY_AFTER_MS));
                    }
                    _ => {
                        return Err(Refusal::new(
                            Reason::EvidenceUnavailable,
                            "it is not known whether it was taken",
                        )
                        .retry_after_ms(RETRY_AFTER_MS));
                    }
                }
            } else {
                None
            };
            return self.answered(me, &acknowledgement, stated).await;
        }
        Err(Refusal::new(Reason::Busy, "other systems of yours keep acknowledging the same notices")
            .retry_after_ms(RETRY_AFTER_MS))
    }

    fn verified(
        &self,
        caller: &Caller,
        envelope: Bytes,
        items: &[proto::AcknowledgedItem],
    ) -> Result<VerifiedAcknowledgement, Refusal> {
        let directory = caller.directory.directory();
        let expect = Expect {
            network: directory.head().network(),
            payload_type: ACKNOWLEDGEMENT_TYPE,
            usage: Usage::Acknowledgement,
            keys: directory.keys(caller.partner.number),
        };
        let verified = VerifiedAcknowledgement::verify(envelope, items, &expect, self.clock.now())?;
        let signed = verified.signed();
        let mismatch = |text: String| Refusal::new(Reason::SenderMismatch, text);
        if signed.recipient != caller.partner.id {
            return Err(mismatch(format!(
                "recipient: names {}, the caller is {}",
                signed.recipient, caller.partner.id
            )));
        }
        if signed.system.as_str() != caller.system {
            return Err(mismatch(format!("system: names {}, the caller is {}", signed.system, caller.system)));
        }
        if signed.log_origin != self.origin {
            return Err(Refusal::field("log_origin", format_args!("expected {}", self.origin)));
        }
        Ok(verified)
    }

    fn moves_any(&self, me: PartnerNumber, acknowledgement: &VerifiedAcknowledgement) -> bool {
        let view = self.view();
        acknowledgement.items().iter().any(|item| {
            let open = view.seq(item.leaf).and_then(|seq| view.open(seq));
            open.is_some_and(|open| {
                open.notice() == item.notice && open.moves(me, Happening::from(item.verdict)) == Some(true)
            })
        })
    }

    async fn answered(
        &self,
        me: PartnerNumber,
        acknowledgement: &VerifiedAcknowledgement,
        stated: Option<Stated>,
    ) -> Result<Acknowledged, Refusal> {
        let fresh = match &stated {
            Some(stated) => self.effective(stated.seq).await?,
            None => Vec::new(),
        };
        let mut settled = Vec::with_capacity(acknowledgement.items().len());
        let mut moved = Moved::new();
        for (nth, item) in acknowledgement.items().iter().enumerate() {
            settled.push(match &stated {
                Some(stated) if fresh.get(nth) == Some(&true) => Settled::By { seq: stated.seq, duplicate: false },
                _ => self.settled(me, item, &mut moved).await?,
            });
        }
        let published = match &stated {
            Some(stated) => stated.published.clone(),
            None => self.published(),
        };
        let (mut shown, mut answers) = (Vec::<Shown>::new(), Vec::new());
        for settled in settled {
            answers.push(match settled {
                Settled::By { seq, duplicate } => {
                    let nth = match shown.iter().position(|shown| shown.seq == seq) {
                        Some(nth) => nth,
                        None => {
                            shown.push(self.shown(seq).await?);
                            shown.len() - 1
                        }
                    };
                    ItemAnswer::Receipt { nth, duplicate }
                }
                Settled::Refused(refusal) => ItemAnswer::Refused(refusal),
            });
        }
        Ok(Acknowledged { answers, receipts: self.receipts(&published, shown).await? })
    }

    /// What settled an item that moved nothing: the first statement that says the same.
    async fn settled(&self, me: PartnerNumber, item: &Item, moved: &mut Moved) -> Result<Settled, Refusal> {
        let not_consigned = || {
            let text = format!("leaf {}: no notice {} was consigned to you", item.leaf.0, item.notice);
            Settled::Refused(Refusal::new(Reason::NotConsigned, text))
        };
        let seq = self.view().seq(item.leaf);
        let Some(seq) = seq else { return Ok(not_consigned()) };
        let found = self.found(seq).await?.filter(|found| found.accepted.notice == item.notice);
        let Some(found) = found.filter(|found| found.recipients.members().contains(me.0)) else {
            return Ok(not_consigned());
        };
        let wanted = Happening::from(item.verdict);
        let mut standing = Standing::CONSIGNED;
        let (mut handed_over, mut decided) = (None, None);
        for seq in self.statements_about(found.seq).await? {
            let said = match moved.entry(seq) {
                Entry::Occupied(read) => read.into_mut(),
                Entry::Vacant(unread) => unread.insert(self.told_by(seq).await?.moved(me)),
            };
            for happening in said.get(&item.leaf).into_iter().flatten() {
                let Some(after) = standing.after(*happening) else { continue };
                if after.delivery != standing.delivery && after.delivery == Delivery::HandedOver {
                    handed_over = Some(seq);
                }
                if after.decided != standing.decided {
                    decided = Some((seq, *happening));
                }
                standing = after;
            }
        }
        let by = |seq| Settled::By { seq, duplicate: true };
        Ok(match (item.verdict, handed_over, decided) {
            (Verdict::Received, Some(seq), _) => by(seq),
            (_, _, Some((seq, happening))) if happening == wanted => by(seq),
            _ => Settled::Refused(Refusal::new(
                Reason::AlreadyDecided,
                format!("leaf {}: decided otherwise before, or its time is over", item.leaf.0),
            )),
        })
    }
}
