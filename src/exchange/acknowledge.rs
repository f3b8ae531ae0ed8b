//! Acknowledging: items are judged one by one, idempotently. Whatever is consigned to a partner may be acknowledged, whether or
//! not this node remembers sending it.

use std::collections::{BTreeSet, HashMap, HashSet};
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

use super::history::Shown;
use super::work::Work;
use super::{Caller, Exchange, RETRY_AFTER_MS, away, busy, full, unknown};
use crate::sequencer::{Answer, Stated, recovering_refusal};
use crate::state::{Delivery, Happening, Proposal, Standing};

/// How often a batch is judged again because another settled its items first.
const JUDGED_AGAIN_MAX: usize = 4;

/// What a statement costs that is about a notice asked for and not read yet: its place in a tree of them.
const ABOUT_BYTES: usize = 16;

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
#[derive(Debug)]
enum Settled {
    /// The statement just made says it.
    Now(Seq),
    /// An earlier statement says it.
    Before(Seq),
    Refused(Refusal),
}

/// What is known of one item from the statements before.
struct Asked {
    nth: usize,
    standing: Standing,
    /// The statement that handed the notice over.
    handed_over: Option<Seq>,
    /// The statement that decided, and how.
    decided: Option<(Seq, Happening)>,
}

impl Asked {
    fn hears(&mut self, seq: Seq, happening: Happening) {
        let Some(after) = self.standing.after(happening) else { return };
        if after.delivery != self.standing.delivery && after.delivery == Delivery::HandedOver {
            self.handed_over = Some(seq);
        }
        if after.decided != self.standing.decided {
            self.decided = Some((seq, happening));
        }
        self.standing = after;
    }

    /// The first statement that says the same as an item.
    fn settled(&self, item: &Item) -> Settled {
        let wanted = Happening::from(item.verdict);
        match (item.verdict, self.handed_over, self.decided) {
            (Verdict::Received, Some(seq), _) => Settled::Before(seq),
            (_, _, Some((seq, happening))) if happening == wanted => Settled::Before(seq),
            _ => {
                let text = format!("leaf {}: decided otherwise before, or its time is over", item.leaf.0);
                Settled::Refused(Refusal::new(Reason::AlreadyDecided, text))
            }
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
            return self.answered(&caller, &acknowledgement, stated).await;
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
        caller: &Caller,
        acknowledgement: &VerifiedAcknowledgement,
        stated: Option<Stated>,
    ) -> Result<Acknowledged, Refusal> {
        let me = caller.partner.number;
        let mut work = caller.rooms.work();
        let settled = self.settled(me, acknowledgement, stated.as_ref(), &mut work).await?;
        let published = match &stated {
            Some(stated) => stated.published.clone(),
            None => self.published(),
        };
        self.count_settled(&settled);
        // Each statement is shown once, with all its items that are asked for.
        let (mut places, mut shows) = (HashMap::new(), Vec::<(Seq, HashSet<LeafIndex>)>::new());
        let mut answers = Vec::with_capacity(settled.len());
        for (item, settled) in acknowledgement.items().iter().zip(settled) {
            let (seq, duplicate) = match settled {
                Settled::Now(seq) => (seq, false),
                Settled::Before(seq) => (seq, true),
                Settled::Refused(refusal) => {
                    answers.push(ItemAnswer::Refused(refusal));
                    continue;
                }
            };
            let nth = *places.entry(seq).or_insert_with(|| {
                shows.push((seq, HashSet::new()));
                shows.len() - 1
            });
            if duplicate {
                shows[nth].1.insert(item.leaf);
            }
            answers.push(ItemAnswer::Receipt { nth, duplicate });
        }
        let mut shown = Vec::with_capacity(shows.len());
        for (seq, leaves) in shows {
            shown.push(match &stated {
                Some(Stated { seq: now, opening, .. }) if *now == seq => {
                    Shown { seq, opening: opening.clone(), items: Vec::new() }
                }
                _ => self.shown_to(me, seq, &leaves, &mut work).await?,
            });
        }
        Ok(Acknowledged { answers, receipts: self.receipts(&published, shown).await? })
    }

    /// A statement with some of its items, of which only those are held on to.
    async fn shown_to(
        &self,
        me: PartnerNumber,
        seq: Seq,
        leaves: &HashSet<LeafIndex>,
        work: &mut Work,
    ) -> Result<Shown, Refusal> {
        let told = self.told_by(seq).await?;
        work.hold(told.bytes)?;
        // One tree for all items of one statement.
        let shown = told.shown(|leaf| leaves.contains(&leaf), |who| who == me);
        let shown = shown.unwrap_or_else(|| Shown { seq, opening: told.opening.clone(), items: Vec::new() });
        work.hold(shown.bytes())?;
        work.give_back(told.bytes)?;
        Ok(shown)
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

    /// What settled each item. Every statement about the notices asked for is read once, whatever their number, and one is held at a
    /// time.
    async fn settled(
        &self,
        me: PartnerNumber,
        acknowledgement: &VerifiedAcknowledgement,
        stated: Option<&Stated>,
        work: &mut Work,
    ) -> Result<Vec<Settled>, Refusal> {
        let fresh = stated.map(|stated| moved_by(stated, acknowledgement)).unwrap_or_default();
        let mut settled = Vec::with_capacity(acknowledgement.items().len());
        let (mut asked, mut of_leaf) = (Vec::<Asked>::new(), HashMap::<LeafIndex, Vec<usize>>::new());
        let mut about = BTreeSet::new();
        for (nth, item) in acknowledgement.items().iter().enumerate() {
            if let Some(stated) = stated.filter(|_| fresh.get(nth).is_some_and(|moved| moved.any())) {
                settled.push(Settled::Now(stated.seq));
                continue;
            }
            let seq = self.view().seq(item.leaf);
            let found = match self.of_party(me, seq, &item.leaf.0.to_be_bytes()).await {
                // What is damaged of one notice costs that one its answer.
                Err(refusal) if refusal.reason == Reason::StoredDamage => {
                    settled.push(Settled::Refused(refusal));
                    continue;
                }
                found => found?,
            };
            let found = found.filter(|found| found.accepted.notice == item.notice);
            let text = format!("leaf {}: no notice {} was consigned to you", item.leaf.0, item.notice);
            // Until it is known what settled it.
            settled.push(Settled::Refused(Refusal::new(Reason::NotConsigned, text)));
            let Some(found) = found.filter(|found| found.recipients.members().contains(me.0)) else { continue };
            if !of_leaf.contains_key(&item.leaf) {
                let later = match self.about(found.seq).await {
                    Err(refusal) if refusal.reason == Reason::StoredDamage => {
                        settled[nth] = Settled::Refused(refusal);
                        continue;
                    }
                    later => later?,
                };
                for seq in later {
                    if about.insert(seq) {
                        work.hold(ABOUT_BYTES)?;
                    }
                }
            }
            of_leaf.entry(item.leaf).or_default().push(asked.len());
            asked.push(Asked { nth, standing: Standing::CONSIGNED, handed_over: None, decided: None });
        }
        // A damaged statement may be what settled an item: whatever no other one settles is answered with the damage, not as decided.
        let mut lost = None;
        for seq in about {
            let told = match self.told_to(seq, |by| by == me).await {
                Err(refusal) if refusal.reason == Reason::StoredDamage => {
                    lost = Some(refusal);
                    continue;
                }
                told => told?,
            };
            let Some(told) = told else { continue };
            work.hold(told.bytes)?;
            told.says_to(me, |leaf, happening| {
                for place in of_leaf.get(&leaf).into_iter().flatten() {
                    asked[*place].hears(seq, happening);
                }
            });
            work.give_back(told.bytes)?;
        }
        for asked in asked {
            settled[asked.nth] = match (asked.settled(&acknowledgement.items()[asked.nth]), &lost) {
                (Settled::Refused(_), Some(damage)) => Settled::Refused(damage.clone()),
                (settled, _) => settled,
            };
        }
        Ok(settled)
    }
}
