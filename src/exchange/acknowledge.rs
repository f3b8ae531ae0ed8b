//! Acknowledging: items are judged one by one, idempotently. Whatever is consigned to a partner may be acknowledged, whether or
//! not this node remembers sending it.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use liaison_protocol::ack::{Item, VerifiedAcknowledgement};
use liaison_protocol::envelope::{ACKNOWLEDGEMENT_TYPE, Expect};
use liaison_protocol::id::{LeafIndex, PartnerNumber, Seq};
use liaison_protocol::keyring::Usage;
use liaison_protocol::proto::{self, Verdict};
use liaison_protocol::reason::{Reason, Refusal};
use liaison_protocol::statement::{Event, Statement};
use liaison_protocol::tlog::moved::{self, Moved};

use super::history::{Shown, Told};
use super::{Caller, Exchange, RETRY_AFTER_MS, away, busy, full, unknown};
use crate::sequencer::{Answer, Stated, recovering_refusal};
use crate::state::{Delivery, Happening, Proposal, Standing};

/// How often a batch is judged again because another settled its items first.
const JUDGED_AGAIN_MAX: usize = 4;

/// Statements kept at hand while the items of a batch are looked up: a notice is received, decided and expired by one each.
const LATELY_MAX: usize = 4;

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
    /// The statement just made says it.
    Now(Seq),
    /// An earlier statement says it.
    Before(Arc<Told>, LeafIndex),
    Refused(Refusal),
}

/// A statement that answers show, and which of its items.
enum Source {
    Now(Seq),
    Before(Arc<Told>, BTreeSet<LeafIndex>),
}

impl Source {
    fn seq(&self) -> Seq {
        match self {
            Self::Now(seq) => *seq,
            Self::Before(told, _) => told.seq,
        }
    }
}

/// The place of a statement among those shown, each once.
fn place(sources: &mut Vec<Source>, source: Source) -> usize {
    match sources.iter().position(|known| known.seq() == source.seq()) {
        Some(nth) => nth,
        None => {
            sources.push(source);
            sources.len() - 1
        }
    }
}

/// What each item moved, as the statement just made says it.
fn moved_by(stated: &Stated, acknowledgement: &VerifiedAcknowledgement) -> Vec<Moved> {
    let packed = match Statement::decode(stated.opening.statement.clone()).map(|statement| statement.event) {
        Ok(Event::Acknowledged(said)) => said.moved,
        _ => Bytes::new(),
    };
    let leaf_data = acknowledgement.leaf_data().iter().enumerate();
    leaf_data.map_while(|(nth, data)| moved::unpack(&packed, nth as u64, data)).collect()
}

impl Exchange {
    /// Takes a recipient's signed word for many.
    pub async fn acknowledge(
        &self,
        caller: &Caller,
        envelope: Bytes,
        items: &[proto::AcknowledgedItem],
    ) -> Result<Acknowledged, Refusal> {
        let me = caller.partner.number;
        if self.counts.recovering.is_set() {
            // What it signs for may be in the part that is missing: neither taken nor refused for good.
            return Err(recovering_refusal());
        }
        for _ in 0..JUDGED_AGAIN_MAX {
            let caller = self.readmit(caller)?;
            let under = caller.directory.version();
            let acknowledgement = Arc::new(self.verified(&caller, envelope.clone(), items)?);
            let stated = if self.moves_any(me, &acknowledgement) {
                let proposal = Proposal::Acknowledge(me, acknowledgement.clone(), under);
                match self.sequencer.append(vec![proposal]).await.map_err(busy)?.pop() {
                    Some(Answer::Stated(stated)) => Some(stated),
                    Some(Answer::Stale) => {
                        // A head that was adopted meanwhile may deny the key: judge again once it is in force here too.
                        let newer = self.view().head().is_some_and(|head| head.version != under);
                        if newer && !self.adopted_after(under).await {
                            break;
                        }
                        continue;
                    }
                    Some(Answer::Refused(refusal)) => return Err(refusal),
                    Some(Answer::NoRoom) => return Err(full()),
                    Some(Answer::Away) => return Err(away()),
                    Some(Answer::Unknown | Answer::Already(_)) | None => return Err(unknown()),
                }
            } else {
                None
            };
            return self.answered(me, &acknowledgement, stated).await;
        }
        Err(Refusal::new(
            Reason::Busy,
            "the directory or other systems of yours keep changing what it is judged by",
        )
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
            tables: Some(&self.tables),
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
                open.notice() == item.notice && open.moves(me, Happening::from(item.verdict)).any()
            })
        })
    }

    async fn answered(
        &self,
        me: PartnerNumber,
        acknowledgement: &VerifiedAcknowledgement,
        stated: Option<Stated>,
    ) -> Result<Acknowledged, Refusal> {
        let fresh = stated.as_ref().map(|stated| moved_by(stated, acknowledgement)).unwrap_or_default();
        let mut settled = Vec::with_capacity(acknowledgement.items().len());
        // What was settled together is mostly asked for together, and reading it once for each item would cost the square.
        let mut lately = Vec::new();
        for (nth, item) in acknowledgement.items().iter().enumerate() {
            settled.push(match &stated {
                Some(stated) if fresh.get(nth).is_some_and(|moved| moved.any()) => Settled::Now(stated.seq),
                // What is damaged of one notice costs that one its answer.
                _ => match self.settled(me, item, &mut lately).await {
                    Err(refusal) if refusal.reason == Reason::StoredDamage => Settled::Refused(refusal),
                    settled => settled?,
                },
            });
        }
        let published = match &stated {
            Some(stated) => stated.published.clone(),
            None => self.published(),
        };
        let (mut sources, mut answers) = (Vec::<Source>::new(), Vec::new());
        self.count_settled(&settled);
        for settled in settled {
            answers.push(match settled {
                Settled::Now(seq) => {
                    ItemAnswer::Receipt { nth: place(&mut sources, Source::Now(seq)), duplicate: false }
                }
                Settled::Before(told, leaf) => {
                    let nth = place(&mut sources, Source::Before(told, BTreeSet::new()));
                    if let Source::Before(_, leaves) = &mut sources[nth] {
                        leaves.insert(leaf);
                    }
                    ItemAnswer::Receipt { nth, duplicate: true }
                }
                Settled::Refused(refusal) => ItemAnswer::Refused(refusal),
            });
        }
        let mut shown = Vec::with_capacity(sources.len());
        for source in sources {
            shown.push(match source {
                Source::Now(seq) => match &stated {
                    Some(Stated { opening, .. }) => Shown { seq, opening: opening.clone(), items: Vec::new() },
                    None => self.shown(seq).await?,
                },
                // One tree for all items of one statement.
                Source::Before(told, leaves) => match told.shown(|leaf| leaves.contains(&leaf), |who| who == me) {
                    Some(shown) => shown,
                    None => self.shown(told.seq).await?,
                },
            });
        }
        Ok(Acknowledged { answers, receipts: self.receipts(&published, shown).await? })
    }

    fn count_settled(&self, settled: &[Settled]) {
        let counts = &self.counts.acknowledged;
        for settled in settled {
            match settled {
                Settled::Now(_) => counts.taken.add(1),
                Settled::Before(..) => counts.duplicate.add(1),
                Settled::Refused(refusal) => counts.refuse(refusal.reason),
            }
        }
    }

    /// What settled an item that moved nothing: the first statement that says the same.
    async fn settled(
        &self,
        me: PartnerNumber,
        item: &Item,
        lately: &mut Vec<Arc<Told>>,
    ) -> Result<Settled, Refusal> {
        let not_consigned = || {
            let text = format!("leaf {}: no notice {} was consigned to you", item.leaf.0, item.notice);
            Settled::Refused(Refusal::new(Reason::NotConsigned, text))
        };
        let seq = self.view().seq(item.leaf);
        let question = item.leaf.0.to_be_bytes();
        let found = self.of_party(me, seq, &question).await?.filter(|found| found.accepted.notice == item.notice);
        let Some(found) = found.filter(|found| found.recipients.members().contains(me.0)) else {
            return Ok(not_consigned());
        };
        let wanted = Happening::from(item.verdict);
        let mut standing = Standing::CONSIGNED;
        let (mut handed_over, mut decided) = (None, None);
        for seq in self.about(found.seq).await? {
            let told = match lately.iter().find(|told| told.seq == seq) {
                Some(told) => told.clone(),
                None => {
                    let told = Arc::new(self.told_by(seq).await?);
                    lately.truncate(LATELY_MAX - 1);
                    lately.insert(0, told.clone());
                    told
                }
            };
            for word in told.words(item.leaf).into_iter().filter(|word| word.recipient == me) {
                let Some(after) = standing.after(word.happening).filter(|_| word.effective) else { continue };
                if after.delivery != standing.delivery && after.delivery == Delivery::HandedOver {
                    handed_over = Some(told.clone());
                }
                if after.decided != standing.decided {
                    decided = Some((told.clone(), word.happening));
                }
                standing = after;
            }
        }
        let said = match (item.verdict, handed_over, decided) {
            (Verdict::Received, Some(told), _) => Some(told),
            (_, _, Some((told, happening))) if happening == wanted => Some(told),
            _ => None,
        };
        Ok(match said {
            Some(told) => Settled::Before(told, item.leaf),
            None => {
                let text = format!("leaf {}: decided otherwise before, or its time is over", item.leaf.0);
                Settled::Refused(Refusal::new(Reason::AlreadyDecided, text))
            }
        })
    }
}
