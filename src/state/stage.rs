//! Deciding, at the one point where order exists: a proposal, the view, and what this batch has decided so far.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use liaison_protocol::ack::VerifiedAcknowledgement;
use liaison_protocol::id::{HeadVersion, LeafIndex, Micros, NoticeId, PartnerNumber, Reference, Seq};
use liaison_protocol::limits::ITEMS_MAX;
use liaison_protocol::proto::{ExpiredOutcome, RelationType};
use liaison_protocol::reason::{Reason, Refusal};
use liaison_protocol::receipt::retain_until;
use liaison_protocol::statement::{Accepted, Acknowledged, Event, Expired, HeadName, Rebased, Statement};
use liaison_protocol::tlog::entry::Salt;
use liaison_protocol::tlog::items::ItemTree;
use liaison_protocol::tlog::moved::{self, Moved};

use super::{AcknowledgedDetail, Deadline, Detail, ExpiredDetail, Happening, View};
use crate::policy::Permit;

/// What someone asks to be stated.
#[derive(Clone, Debug)]
pub enum Proposal {
    /// A notice that may be taken.
    Submit(Arc<Permit>),
    /// A recipient's signed word, and the directory version under which its key was believed.
    Acknowledge(PartnerNumber, Arc<VerifiedAcknowledgement>, HeadVersion),
    /// A newer directory head.
    Adopt(HeadName),
    /// A new log, which only a start proposes.
    OpenLog(String),
    /// The view as it stands has been written down; the salt of its digest.
    Rebase(Rebased, Salt),
}

/// What became of a proposal.
#[derive(Debug, PartialEq)]
pub enum Decision {
    /// The nth draft states it.
    State(usize),
    /// It was stated before.
    Already(Seq),
    /// It changes nothing, and why.
    Refused(Refusal),
    /// What it was judged by has changed: judge again.
    Stale,
}

/// What the view cannot know by itself.
pub trait Outside {
    /// What a name was given to in the store.
    fn known(&self, originator: PartnerNumber, reference: &Reference) -> Option<(Seq, NoticeId)>;
    /// A fresh salt.
    fn salt(&mut self) -> Salt;
    /// What this node knows of sending a notice to a recipient who never signed for it.
    fn unsigned(&self, seq: Seq, recipient: PartnerNumber) -> ExpiredOutcome;
}

/// A statement to be, with everything that belongs to it.
#[derive(Debug)]
pub struct Draft {
    /// The statement.
    pub statement: Statement,
    /// Its detail.
    pub detail: Detail,
    /// The notice it accepts.
    pub notice: Option<Arc<Permit>>,
    /// Earlier statements it is about, ascending.
    pub about: Vec<Seq>,
}

/// What this batch has decided so far, on top of the view. Dropped whole when the commit finds no room.
pub struct Stage<'v, O> {
    view: &'v View,
    outside: O,
    now: Micros,
    /// What time it is by each clock that may be right.
    times: [Micros; 2],
    under: Option<HeadName>,
    drafts: Vec<Draft>,
    names: HashMap<(PartnerNumber, Reference), (Seq, NoticeId)>,
    /// Which axes this batch has closed.
    closed: HashMap<(Seq, PartnerNumber), Moved>,
}

impl<'v, O: Outside> Stage<'v, O> {
    /// Opens a stage at a moment of the wall clock, which statements record. Where another clock may be right instead of it,
    /// nothing is refused for its time unless it is out of time by `other` too.
    pub fn new(view: &'v View, now: Micros, other: Micros, outside: O) -> Self {
        Self {
            view,
            outside,
            now,
            times: [now, other],
            under: view.head(),
            drafts: Vec::new(),
            names: HashMap::new(),
            closed: HashMap::new(),
        }
    }

    /// What has been drafted, in order.
    pub fn into_drafts(self) -> Vec<Draft> {
        self.drafts
    }

    /// Number of drafts so far.
    pub fn len(&self) -> usize {
        self.drafts.len()
    }

    /// Whether nothing has been drafted.
    pub fn is_empty(&self) -> bool {
        self.drafts.is_empty()
    }

    fn draft(&mut self, event: Event, detail: Detail) -> usize {
        let statement = Statement { observed_at: self.now, under: self.under, event };
        self.drafts.push(Draft { statement, detail, notice: None, about: Vec::new() });
        self.drafts.len() - 1
    }

    fn seq_of(&self, nth: usize) -> Seq {
        Seq(self.view.next().0 + nth as u64)
    }

    /// Judges one proposal.
    pub fn decide(&mut self, proposal: &Proposal) -> Decision {
        match proposal {
            Proposal::Submit(permit) => self.submit(permit),
            Proposal::Acknowledge(recipient, acknowledgement, judged_under) => {
                self.acknowledge(*recipient, acknowledgement, *judged_under)
            }
            Proposal::Adopt(head) => self.adopt(*head),
            Proposal::OpenLog(reason) => {
                let event = Event::LogOpened { reason: reason.clone(), before: Bytes::new() };
                Decision::State(self.draft(event, Detail::None))
            }
            Proposal::Rebase(rebased, salt) => {
                Decision::State(self.draft(Event::Rebased(*rebased), Detail::Base(*salt)))
            }
        }
    }

    fn adopt(&mut self, head: HeadName) -> Decision {
        match self.under {
            Some(now) if now == head => Decision::Already(Seq(self.view.next().0.saturating_sub(1))),
            Some(now) if now.version >= head.version => Decision::Refused(Refusal::new(
                Reason::UnknownHead,
                format!("directory version {} is in force, {} is older", now.version.0, head.version.0),
            )),
            _ => {
                let nth = self.draft(Event::DirectoryAdopted(head), Detail::None);
                self.under = Some(head);
                Decision::State(nth)
            }
        }
    }

    fn known(&self, name: &(PartnerNumber, Reference)) -> Option<(Seq, NoticeId)> {
        self.names.get(name).copied().or_else(|| self.outside.known(name.0, &name.1))
    }

    fn submit(&mut self, permit: &Arc<Permit>) -> Decision {
        let notice = permit.manifest().id();
        let manifest = permit.manifest().manifest();
        let name = (permit.originator(), manifest.reference.clone());
        // The signature has been checked; a notice seen before gets its first receipt, however old it is by now.
        if let Some((seq, first)) = self.known(&name) {
            return if first == notice {
                Decision::Already(seq)
            } else {
                let text = format!("reference {} names {first}", manifest.reference);
                Decision::Refused(
                    Refusal::new(Reason::ReferenceConflict, text)
                        .with("first_notice", first)
                        .with("first_leaf_index", seq.0.saturating_sub(self.view.base)),
                )
            };
        }
        if self.under.map(|head| head.version) != Some(permit.judged_under()) {
            return Decision::Stale;
        }
        let [now, other] = self.times.map(|time| manifest.in_time(time));
        if let Err(refusal) = now.or_else(|refusal| other.map_err(|_| refusal)).and_then(|()| self.related(permit))
        {
            return Decision::Refused(refusal);
        }
        let audience = permit.audience().clone();
        let accepted = Accepted {
            notice,
            signature: permit.manifest().signature_digest(),
            originator: permit.originator(),
            reference: manifest.reference.clone(),
            kind: manifest.kind,
            handling: manifest.handling.clone(),
            precedence: manifest.precedence,
            expires_at: manifest.expires_at,
            respond_by: manifest.respond_by,
            retain_until: retain_until(self.now, manifest.retention),
            relation: manifest.relation.clone(),
            recipients_root: audience.set.root(),
            recipient_count: audience.set.count(),
            passed_over: audience.passed_over,
            agreements: audience.agreements.clone(),
        };
        let about = manifest
            .relation
            .as_ref()
            .and_then(|relation| {
                let known = self.known(&(permit.originator(), relation.reference.clone()));
                // The reference of another's notice may also be one of the originator's own.
                known.filter(|(_, notice)| *notice == relation.notice)
            })
            .map(|(seq, _)| seq)
            .into_iter()
            .collect();
        let nth = self.draft(Event::Accepted(accepted), Detail::Audience(audience.set.clone()));
        self.names.insert(name, (self.seq_of(nth), notice));
        self.drafts[nth].about = about;
        self.drafts[nth].notice = Some(permit.clone());
        Decision::State(nth)
    }

    /// What amends or cancels must name an earlier notice of the same originator.
    fn related(&self, permit: &Permit) -> Result<(), Refusal> {
        let Some(relation) = &permit.manifest().manifest().relation else {
            return Ok(());
        };
        if !matches!(relation.kind, RelationType::Amends | RelationType::Cancels) {
            return Ok(());
        }
        match self.known(&(permit.originator(), relation.reference.clone())) {
            Some((_, notice)) if notice == relation.notice => Ok(()),
            _ => Err(Refusal::new(
                Reason::RelatedUnknown,
                format!("relation: {} is not known here under {}", relation.notice, relation.reference),
            )),
        }
    }

    /// What an item would move now, with what this batch has settled already: nothing where it was not consigned, or is closed.
    fn moves(&self, seq: Seq, notice: &NoticeId, recipient: PartnerNumber, happening: Happening) -> Moved {
        let Some(open) = self.view.open(seq).filter(|open| open.notice() == *notice) else {
            return Moved::NOTHING;
        };
        let (moved, closed) = (open.moves(recipient, happening), self.closed(seq, recipient));
        Moved { delivery: moved.delivery && !closed.delivery, decision: moved.decision && !closed.decision }
    }

    fn closed(&self, seq: Seq, recipient: PartnerNumber) -> Moved {
        self.closed.get(&(seq, recipient)).copied().unwrap_or(Moved::NOTHING)
    }

    fn close(&mut self, seq: Seq, recipient: PartnerNumber, happening: Happening) {
        let (closed, more) = (self.closed.entry((seq, recipient)).or_default(), happening.closes());
        closed.delivery |= more.delivery;
        closed.decision |= more.decision;
    }

    fn acknowledge(
        &mut self,
        recipient: PartnerNumber,
        acknowledgement: &VerifiedAcknowledgement,
        judged_under: HeadVersion,
    ) -> Decision {
        // The statement names the head in force, and nobody could verify it if that head denies the key.
        if self.under.map(|head| head.version) != Some(judged_under) {
            return Decision::Stale;
        }
        let [now, other] = self.times.map(|time| acknowledgement.signed().in_time(time));
        if let Err(refusal) = now.or_else(|refusal| other.map_err(|_| refusal)) {
            return Decision::Refused(refusal);
        }
        let mut details = Vec::with_capacity(acknowledgement.items().len());
        let mut about = Vec::new();
        for item in acknowledgement.items() {
            let seq = Seq(item.leaf.0.saturating_add(self.view.base));
            let happening = Happening::from(item.verdict);
            let moved = self.moves(seq, &item.notice, recipient, happening);
            if moved.any() {
                self.close(seq, recipient, happening);
                about.push(seq);
            }
            details.push(AcknowledgedDetail { item: item.clone(), moved });
        }
        if about.is_empty() {
            // Everything had been settled: whoever asks reads from the store what settled it.
            return Decision::Stale;
        }
        about.sort_unstable();
        about.dedup();
        let signed = acknowledgement.signed();
        let leaf_data = acknowledgement.leaf_data().iter().copied();
        let event = Event::Acknowledged(Acknowledged {
            recipient,
            envelope: acknowledgement.envelope().clone(),
            root: signed.root,
            count: signed.count,
            moved: moved::pack(details.iter().map(|detail| detail.moved).zip(leaf_data)),
        });
        let nth = self.draft(event, Detail::Acknowledged(details));
        self.drafts[nth].about = about;
        Decision::State(nth)
    }

    /// One bounded pass of the clock: at most 4,096 items. Whether more is overdue shows in the view afterwards. It comes before
    /// anything else is decided in a batch, so that what it closes was open.
    pub fn expire(&mut self) {
        let (mut details, mut about, mut deadline) = (Vec::new(), Vec::new(), None);
        for (at, seq, which) in self.view.overdue(self.now) {
            let Some(open) = self.view.open(seq) else {
                continue;
            };
            let (leaf, notice) = (LeafIndex(seq.0 - self.view.base), open.notice());
            let mut items: Vec<(PartnerNumber, ExpiredOutcome)> = match which {
                Deadline::Respond => open.undecided().map(|number| (number, ExpiredOutcome::Unanswered)).collect(),
                Deadline::Expire => {
                    let lost = open.waiting().map(|number| (number, self.outside.unsigned(seq, number)));
                    let silent = open.undecided().filter(|number| !open.waits(number.0));
                    lost.chain(silent.map(|number| (number, ExpiredOutcome::Unanswered))).collect()
                }
            };
            // Both deadlines of one notice may be over: what the first has closed is not closed again.
            items.retain(|(number, outcome)| {
                let closed = self.closed(seq, *number);
                if *outcome == ExpiredOutcome::Unanswered { !closed.decision } else { !closed.delivery }
            });
            items.truncate(ITEMS_MAX - details.len());
            if items.is_empty() {
                continue;
            }
            for (recipient, outcome) in items {
                self.close(seq, recipient, outcome.into());
                details.push(ExpiredDetail { salt: self.outside.salt(), leaf, notice, recipient, outcome });
            }
            about.push(seq);
            deadline = Some(at);
            if details.len() == ITEMS_MAX {
                break;
            }
        }
        let Some(deadline) = deadline.filter(|_| !details.is_empty()) else {
            return;
        };
        about.sort_unstable();
        about.dedup();
        // In an order that says nothing: an item's place must not tell its party who else was late.
        details.sort_by_cached_key(|item| item.leaf_data().0);
        let root = ItemTree::over(details.iter().map(ExpiredDetail::leaf_data)).root();
        let event = Event::Expired(Expired { deadline, root, count: details.len() as u32 });
        let nth = self.draft(event, Detail::Expired(details));
        self.drafts[nth].about = about;
    }
}

#[cfg(test)]
mod tests {
    use liaison_protocol::ack::{Acknowledgement, Item, tree};
    use liaison_protocol::envelope::{ACKNOWLEDGEMENT_TYPE, Expect, sign};
    use liaison_protocol::id::{Hash, HeadDigest, NetworkId};
    use liaison_protocol::keyring::{TrustedKey, Usage};
    use liaison_protocol::manifest::Handling;
    use liaison_protocol::proto::{self, Verdict};
    use liaison_protocol::signer::{Ed25519Signer, Signer as _};

    use super::*;
    use crate::policy::RecipientSet;

    const NOW: Micros = Micros(1_000_000);
    const RECIPIENT: PartnerNumber = PartnerNumber(2);
    const NOTICE: NoticeId = NoticeId(Hash([9; 32]));

    struct Nothing;

    impl Outside for Nothing {
        fn known(&self, _: PartnerNumber, _: &Reference) -> Option<(Seq, NoticeId)> {
            None
        }
        fn salt(&mut self) -> Salt {
            Salt([0; 32])
        }
        fn unsigned(&self, _: Seq, _: PartnerNumber) -> ExpiredOutcome {
            ExpiredOutcome::NotSigned
        }
    }

    /// A log with directory version 2 in force, and one notice at leaf 2 that waits for one recipient.
    fn view() -> View {
        let set = Arc::new(RecipientSet::new([1; 32], [RECIPIENT.0].into_iter().collect()));
        let accepted = Accepted {
            notice: NOTICE,
            signature: Hash([0; 32]),
            originator: PartnerNumber(1),
            reference: "A/1".parse().unwrap(),
            kind: proto::Kind::Message,
            handling: Handling {
                code: proto::HandlingCode::H0,
                restriction: String::new(),
                source: proto::SourceEvaluation::A,
                information: proto::InformationEvaluation::InformationEvaluation1,
                tlp: proto::Tlp::Green,
            },
            precedence: proto::Precedence::Routine,
            expires_at: NOW.plus(Micros::DAY),
            respond_by: proto::RespondBy::None,
            retain_until: NOW.plus(Micros::DAY),
            relation: None,
            recipients_root: set.root(),
            recipient_count: 1,
            passed_over: 0,
            agreements: Vec::new(),
        };
        let head = HeadName { version: HeadVersion(2), digest: HeadDigest(Hash([2; 32])) };
        let history = [
            (Event::LogOpened { reason: "first".into(), before: Bytes::new() }, Detail::None),
            (Event::DirectoryAdopted(head), Detail::None),
            (Event::Accepted(accepted), Detail::Audience(set)),
        ];
        let mut view = View::default();
        for (nth, (event, detail)) in history.into_iter().enumerate() {
            let statement = Statement { observed_at: NOW, under: view.head(), event };
            view.apply(Seq(nth as u64), &statement, &detail).unwrap();
        }
        view
    }

    fn acknowledgement() -> Arc<VerifiedAcknowledgement> {
        let signer = Ed25519Signer::from_seed(&[3; 32]);
        let item = Item {
            salt: Salt([4; 32]),
            leaf: LeafIndex(2),
            notice: NOTICE,
            verdict: Verdict::Accepted,
            reason: String::new(),
        };
        let network = NetworkId(Hash([5; 32]));
        let signed = Acknowledgement {
            network,
            log_origin: "hub.example/log".parse().unwrap(),
            recipient: "B".parse().unwrap(),
            system: "ops-1".parse().unwrap(),
            count: 1,
            root: tree(std::slice::from_ref(&item)).root(),
            signed_at: NOW,
        };
        let key = TrustedKey {
            id: signer.public().id(),
            partner: RECIPIENT,
            usage: Usage::Acknowledgement,
            public: signer.public().clone(),
            not_before: Micros(0),
            not_after: NOW.plus(1),
            denied: false,
        };
        let envelope = sign(ACKNOWLEDGEMENT_TYPE, signed.encode(), &signer).unwrap();
        let expect = Expect {
            network,
            payload_type: ACKNOWLEDGEMENT_TYPE,
            usage: Usage::Acknowledgement,
            keys: std::slice::from_ref(&key),
            tables: None,
        };
        Arc::new(VerifiedAcknowledgement::verify(envelope, &[item.to_proto()], &expect, NOW).unwrap())
    }

    #[test]
    fn what_a_batch_has_closed_moves_nothing_more_as_if_it_had_been_applied() {
        use Happening::*;
        let all = [Received, Accepted, Refused, NotDelivered, Unanswered];
        let view = view();
        let sequences = (0..all.len().pow(3)).map(|nth| [nth, nth / 5, nth / 25].map(|nth| all[nth % 5]));
        for [first, second, third] in sequences {
            let mut stage = Stage::new(&view, NOW, NOW, Nothing);
            let mut applied = view.open(Seq(2)).unwrap().clone();
            for happening in [first, second, third] {
                let moved = stage.moves(Seq(2), &NOTICE, RECIPIENT, happening);
                assert_eq!(moved, applied.moves(RECIPIENT, happening), "{first:?} {second:?} {third:?}");
                if moved.any() {
                    stage.close(Seq(2), RECIPIENT, happening);
                    applied.settle(RECIPIENT, happening);
                }
            }
        }
    }

    #[test]
    fn an_acknowledgement_believed_under_a_head_no_longer_in_force_is_judged_again() {
        let view = view();
        let decided = |judged_under: u64| {
            let proposal = Proposal::Acknowledge(RECIPIENT, acknowledgement(), HeadVersion(judged_under));
            Stage::new(&view, NOW, NOW, Nothing).decide(&proposal)
        };
        assert_eq!(decided(1), Decision::Stale, "that head may have listed the key, and this one denies it");
        assert_eq!(decided(2), Decision::State(0));
    }
}
