//! Thousands of random happenings against the sequencer and a simple model: nothing acknowledged is lost (I1), evidence exists only
//! for what happened (I3), the log only grows (I4), and one reference never names two notices (I5). `LIAISON_SEED` gives one seed.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use liaison_protocol::id::{Hash, LeafIndex, NoticeId, Seq};
use liaison_protocol::proto::{ExpiredOutcome, RespondBy, Verdict};
use liaison_protocol::reason::Reason;
use liaison_protocol::statement::{Event, Statement};
use liaison_protocol::tlog::hash;
use liaison_protocol::tlog::tree::Tree;

use super::assert_refolds;
use crate::sequencer::{Answer, Running, Stopped};
use crate::state::{AcknowledgedDetail, ExpiredDetail, Happening, Proposal, Standing};
use crate::store::faulty::Fault;
use crate::store::{CommitError, Store as _};
use crate::world::{PlayedEntropy, Rig, START, World};

/// Happenings for each seed.
const STEPS: usize = 700;
/// Seeds when none is given.
const SEEDS: u64 = 5;
const RECIPIENTS: [&str; 3] = ["DE", "IT", "ES"];

struct Model {
    /// By reference: what it names, once known.
    taken: BTreeMap<String, (NoticeId, Seq)>,
    /// By reference: what has been tried and may or may not be there.
    tried: BTreeMap<String, Proposal>,
    /// Recipients' words that were stated, in order.
    said: HashMap<(Seq, &'static str), Vec<Verdict>>,
    /// Every checkpoint ever seen.
    signed: BTreeMap<u64, Hash>,
}

struct Simulation {
    rig: Rig,
    chance: PlayedEntropy,
    running: Option<Running>,
    model: Model,
    next: u32,
}

fn id_of(proposal: &Proposal) -> NoticeId {
    match proposal {
        Proposal::Submit(permit) => permit.manifest().id(),
        other => panic!("{other:?}"),
    }
}

impl Simulation {
    async fn new(seed: u64) -> Self {
        let mut rig = Rig::new(World::small());
        rig.rebase_after = 1 + seed * 40;
        let running = Some(rig.start().await);
        let model =
            Model { taken: BTreeMap::new(), tried: BTreeMap::new(), said: HashMap::new(), signed: BTreeMap::new() };
        Self { rig, chance: PlayedEntropy::seeded(seed), running, model, next: 0 }
    }

    fn draft(&mut self, reference: &str) -> Proposal {
        let first = self.chance.below(3);
        let to: Vec<_> = RECIPIENTS.iter().cycle().skip(first).take(1 + self.chance.below(3)).copied().collect();
        let mut draft = self.rig.world.draft("FR", reference, &to);
        let now = crate::clock::Clock::now(&*self.rig.clock);
        draft.issued_at = now;
        draft.expires_at = now.plus(3_600_000_000 * (2 + self.chance.below(20) as i64));
        draft.respond_by = [RespondBy::None, RespondBy::OneHour, RespondBy::EightHours][self.chance.below(3)];
        self.rig.world.submit(draft)
    }

    /// A few proposals, in one chunk.
    fn proposals(&mut self) -> Vec<(String, Proposal)> {
        let count = 1 + self.chance.below(4);
        let mut proposals = Vec::new();
        for _ in 0..count {
            let old = self.model.taken.len().max(1);
            let known = self.model.taken.keys().nth(self.chance.below(old)).cloned();
            match (self.chance.below(10), known) {
                (0, Some(reference)) => {
                    // Another notice under a name that is taken.
                    let proposal = self.draft(&reference);
                    proposals.push((reference, proposal));
                }
                (1, Some(reference)) => {
                    let proposal = self.model.tried[&reference].clone();
                    proposals.push((reference, proposal));
                }
                _ => {
                    self.next += 1;
                    let reference = format!("FR/{}", self.next);
                    let proposal = self.draft(&reference);
                    self.model.tried.insert(reference.clone(), proposal.clone());
                    proposals.push((reference.clone(), proposal.clone()));
                    if self.chance.below(4) == 0 {
                        // The same once more in the same chunk.
                        proposals.push((reference, proposal));
                    }
                }
            }
        }
        proposals
    }

    async fn submit(&mut self) {
        let proposals = self.proposals();
        let Some(answers) = self.send(proposals.iter().map(|(_, proposal)| proposal.clone()).collect()).await
        else {
            return;
        };
        for ((reference, proposal), answer) in proposals.into_iter().zip(answers) {
            let id = id_of(&proposal);
            let known = self.model.taken.get(&reference).copied();
            match (answer, known) {
                (Answer::Stated(stated), None) => {
                    self.rig.assert_proven(&stated);
                    self.model.taken.insert(reference, (id, stated.seq));
                }
                (Answer::Already(seq), Some(first)) => assert_eq!((id, seq), first, "the first receipt"),
                // It had been taken by a commit of which nothing was known.
                (Answer::Already(seq), None) => drop(self.model.taken.insert(reference, (id, seq))),
                (Answer::Refused(refusal), Some((first, _))) => {
                    assert!(refusal.reason == Reason::ReferenceConflict && first != id, "{refusal:?}");
                }
                (Answer::NoRoom | Answer::Away | Answer::Unknown, _) => {}
                (other, known) => panic!("{reference}: {other:?}, known {known:?}"),
            }
        }
    }

    async fn acknowledge(&mut self) {
        if self.model.taken.is_empty() {
            return;
        }
        let by = RECIPIENTS[self.chance.below(3)];
        let mut items = Vec::new();
        for _ in 0..1 + self.chance.below(5) {
            let nth = self.chance.below(self.model.taken.len());
            let (id, seq) = *self.model.taken.values().nth(nth).expect("below its length");
            let verdict = [Verdict::Received, Verdict::Accepted, Verdict::Refused][self.chance.below(3)];
            items.push((LeafIndex(seq.0), id, verdict));
        }
        let proposal = self.rig.world.acknowledge(by, &items);
        let size = self.running.as_ref().map(|running| running.sequencer.published().borrow().next);
        match self.send(vec![proposal]).await.map(|mut answers| answers.remove(0)) {
            Some(Answer::Stated(stated)) => {
                self.rig.assert_proven(&stated);
                let opening = Statement::decode(stated.opening.statement).expect("a statement");
                let Event::Acknowledged(_) = opening.event else { panic!("{:?}", opening.event) };
                assert!(Some(stated.seq) >= size);
                for (leaf, _, verdict) in items {
                    self.model.said.entry((Seq(leaf.0), by)).or_default().push(verdict);
                }
            }
            Some(Answer::Stale | Answer::NoRoom | Answer::Away | Answer::Unknown) | None => {}
            Some(other) => panic!("{other:?}"),
        }
    }

    /// Sends, perhaps into a fault. None: the node died of it, and has been started again.
    async fn send(&mut self, proposals: Vec<Proposal>) -> Option<Vec<Answer>> {
        let nth = self.rig.store.commits();
        let fault = match self.chance.below(24) {
            0 => Some(Fault::NotPersisted(CommitError::Unknown("played".into()))),
            1 => Some(Fault::PersistedButReportedFailed(CommitError::Unknown("played".into()))),
            2 => Some(Fault::NotPersisted(CommitError::Fatal("played".into()))),
            3 => Some(Fault::PersistedButReportedFailed(CommitError::Fatal("played".into()))),
            4 => Some(Fault::NotPersisted(CommitError::NoRoom)),
            5 => Some(Fault::NotPersisted(CommitError::Unavailable("played".into()))),
            _ => None,
        };
        if let Some(fault) = fault {
            self.rig.store.break_commit(nth, fault);
        }
        let running = self.running.take().expect("running");
        let sequencer = running.sequencer.clone();
        match sequencer.append(proposals).await {
            Ok(answers) => {
                let published = sequencer.published().borrow().clone();
                let checkpoint = self.rig.checkpoint(&published.checkpoint);
                let before = self.model.signed.insert(checkpoint.size, checkpoint.root);
                assert!(before.is_none_or(|root| root == checkpoint.root), "two roots at size {}", checkpoint.size);
                self.running = Some(running);
                Some(answers)
            }
            Err(_) => {
                assert!(matches!(running.stopped.await, Ok(Stopped::Fatal(_))));
                self.restart().await;
                None
            }
        }
    }

    async fn restart(&mut self) {
        for _ in 0..8 {
            // A fault that was meant for a commit that did not come may hit the start.
            if let Ok(running) = self.rig.try_start().await {
                self.running = Some(running);
                return;
            }
        }
        panic!("it does not start any more");
    }

    async fn step(&mut self) {
        match self.chance.below(20) {
            0..=8 => self.submit().await,
            9..=15 => self.acknowledge().await,
            16 | 17 => {
                let minutes = self.chance.below(400) as u64;
                self.rig.clock.advance(Duration::from_secs(60 * minutes));
            }
            18 => {
                let running = self.running.take().expect("running");
                let _ = Rig::stop(running).await;
                self.restart().await;
            }
            _ => {
                let running = self.running.as_ref().expect("running");
                assert_refolds(&self.rig, running).await;
            }
        }
        // A fault may have hit a note that was stored while nobody asked for anything.
        if self.running.as_mut().expect("running").stopped.try_recv().is_ok() {
            self.restart().await;
        }
    }

    async fn check(mut self) {
        let running = self.running.take().expect("running");
        let _ = Rig::stop(running).await;
        self.restart().await;
        let running = self.running.take().expect("running");
        assert_refolds(&self.rig, &running).await;
        let entries = self.rig.all().await;
        // I4: every checkpoint ever signed is a prefix of what is there.
        let mut tree = Tree::default();
        for entry in &entries {
            tree.append(hash::leaf(&entry.leaf.0));
            if let Some(root) = self.model.signed.get(&tree.size()) {
                assert_eq!(tree.root(), *root, "forked at {}", tree.size());
            }
        }
        assert!(self.model.signed.keys().all(|size| *size <= tree.size()), "something signed is gone");
        // I1, I5: everything taken is there, once, as it was, under its one name.
        let mut accepted = BTreeMap::new();
        let mut standings: HashMap<(Seq, u32), Standing> = HashMap::new();
        for entry in &entries {
            let opening = entry.opening.as_ref().expect("nothing is erased");
            let event = Statement::decode(opening.statement.clone()).expect("a statement").event;
            let detail = crate::state::StoredDetail::decode(&entry.detail, &event).expect("a detail");
            let mut moved = |leaf: LeafIndex, number: u32, happening: Happening| {
                let standing = standings.entry((Seq(leaf.0), number)).or_insert(Standing::CONSIGNED);
                *standing = standing.after(happening).expect("only what moves something is stated as moving");
            };
            match (event, detail) {
                (Event::Accepted(said), _) => {
                    let before = accepted.insert(said.reference.to_string(), (said.notice, entry.seq));
                    assert!(before.is_none(), "{} names two notices", said.reference);
                }
                (
                    Event::Acknowledged(said),
                    crate::state::StoredDetail::Whole(crate::state::Detail::Acknowledged(items)),
                ) => {
                    items.iter().filter(|said| said.moved.any()).for_each(|AcknowledgedDetail { item, .. }| {
                        moved(item.leaf, said.recipient.0, item.verdict.into());
                    });
                }
                (Event::Expired(_), crate::state::StoredDetail::Whole(crate::state::Detail::Expired(items))) => {
                    let late = |item: &&ExpiredDetail| item.outcome == ExpiredOutcome::Unanswered;
                    let (decisions, deliveries): (Vec<_>, Vec<_>) = items.iter().partition(late);
                    let in_order = decisions.into_iter().chain(deliveries);
                    in_order.for_each(|item| moved(item.leaf, item.recipient.0, item.outcome.into()));
                }
                _ => {}
            }
        }
        for (reference, taken) in &self.model.taken {
            assert_eq!(accepted.get(reference), Some(taken), "{reference}");
        }
        // I3: whoever's word was stated has signed for something, or was too late for it.
        for ((seq, by), verdicts) in &self.model.said {
            let number = self.rig.world.partner(by).number.0;
            let standing = standings.get(&(*seq, number)).copied();
            let said = verdicts
                .iter()
                .fold(Standing::CONSIGNED, |now, verdict| now.after((*verdict).into()).unwrap_or(now));
            let recipient = self.rig.memory.notices(&[*seq], usize::MAX).await.expect("reads")[0].is_some();
            if let Some(standing) = standing.filter(|_| recipient) {
                use crate::state::Delivery;
                let expired = standing.delivery == Delivery::Undelivered;
                assert!(
                    expired || standing.delivery == said.delivery,
                    "{seq:?} {by}: {standing:?}, said {verdicts:?}"
                );
            }
        }
    }
}

async fn simulate(seed: u64) {
    let mut simulation = Simulation::new(seed).await;
    for _ in 0..STEPS {
        simulation.step().await;
    }
    simulation.check().await;
}

#[allow(clippy::disallowed_methods, reason = "a seed that failed is given from outside")]
fn seeds() -> Vec<u64> {
    match std::env::var("LIAISON_SEED").ok().and_then(|seed| seed.parse().ok()) {
        Some(seed) => vec![seed],
        None => (0..SEEDS).collect(),
    }
}

#[tokio::test]
async fn whatever_happens_nothing_is_lost_forked_or_made_up() {
    use futures_util::FutureExt as _;
    for seed in seeds() {
        let simulated = std::panic::AssertUnwindSafe(simulate(seed)).catch_unwind().await;
        if let Err(panic) = simulated {
            eprintln!("LIAISON_SEED={seed} shows it again (time begins at {})", START.0);
            std::panic::resume_unwind(panic);
        }
    }
}
