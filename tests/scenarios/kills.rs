//! FAULTS 81 and 72: a node killed at any moment has lost nothing that it had answered for, and never tells its history twice.
//! Moments are chosen by counting answers. `LIAISON_KILLS` raises the number of kills, `LIAISON_SEED` repeats a run.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use liaison_client::sign::SignedNotice;
use liaison_client::{ItemOutcome, Signed, Submitted};
use liaison_protocol::id::{LeafIndex, NoticeId};
use liaison_protocol::proto::{DecisionState, DeliveryState, Verdict};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::support::*;

/// Kills of one run, unless more are asked for.
const KILLS: u64 = 100;
/// Answers after which a node is killed, at most.
const ANSWERS_MAX: u64 = 60;
/// Every second time what is counted is acknowledgements, and there are at most so many.
const ACKNOWLEDGEMENTS_MAX: u64 = 6;
/// One start in so many is killed before it is ready.
const KILLED_AT_START_ONE_IN: u64 = 8;
/// Notices of a stream that wait for their answers.
const UNDER_WAY: usize = 24;
/// Notices signed for at once.
const BATCH_MAX: u64 = 20;

#[allow(clippy::disallowed_methods, reason = "a longer run is asked for from outside the tests")]
fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().unwrap())
}

/// Splitmix64: moments that can be repeated.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}

/// What has been promised so far, across all kills.
#[derive(Default)]
struct Promised {
    /// Answered with OK: the notice, and the first receipt of it.
    acked: HashMap<NoticeId, (SignedNotice, Submitted)>,
    /// Sent, and never answered. They are sent again until they are.
    unanswered: Vec<SignedNotice>,
    /// Everything ever signed.
    signed: HashMap<NoticeId, Bytes>,
    /// Signed for by KE, and answered: where the log says so.
    settled: HashMap<LeafIndex, LeafIndex>,
    /// Signed by KE, and never answered.
    unsettled: Vec<Signed>,
}

impl Promised {
    /// An answer came. A notice that was answered before has the same receipt now.
    fn ack(&mut self, notice: SignedNotice, submitted: Submitted) {
        match self.acked.get(&notice.id) {
            Some((_, first)) => {
                assert!(submitted.duplicate, "{} was taken twice", notice.reference);
                assert_eq!(
                    (first.receipt.leaf, &first.receipt.opening),
                    (submitted.receipt.leaf, &submitted.receipt.opening)
                );
            }
            None => {
                self.acked.insert(notice.id, (notice, submitted));
            }
        }
    }

    /// The next thing to submit: mostly something new, sometimes what was never answered or had been answered long ago.
    fn next(&mut self, sender: &Partner, chance: &mut Chance) -> SignedNotice {
        if chance.below(3) > 0
            && let Some(nth) = self.unanswered.iter().position(|notice| is_by(notice, sender))
        {
            return self.unanswered.swap_remove(nth);
        }
        if chance.below(16) == 0
            && let Some((notice, _)) = self.acked.values().find(|(notice, _)| is_by(notice, sender))
        {
            return notice.clone();
        }
        let notice = sender.notice(&format!("{}/{}", sender.id, self.signed.len()), &["KE", "NG"]);
        self.signed.insert(notice.id, notice.envelope.clone());
        notice
    }
}

/// One life of a node: who loads it, and how many answers it has given.
#[derive(Clone)]
struct Life {
    promised: Arc<Mutex<Promised>>,
    /// Whatever is submitted.
    answers: watch::Sender<u64>,
    /// Whatever is signed for.
    acknowledged: watch::Sender<u64>,
}

impl Life {
    fn answered(&self) {
        self.answers.send_modify(|answers| *answers += 1);
    }

    /// One by one, until the line breaks.
    async fn submit_one_by_one(self, sender: Partner, mut chance: Chance) {
        loop {
            let notice = self.promised.lock().unwrap().next(&sender, &mut chance);
            match sender.submit(&notice).await {
                Ok(submitted) => self.promised.lock().unwrap().ack(notice, submitted),
                Err(error) => {
                    assert!(error.may_pass_later(), "{error}");
                    return self.promised.lock().unwrap().unanswered.push(notice);
                }
            }
            self.answered();
        }
    }

    /// On a stream, until it breaks.
    async fn submit_on_a_stream(self, sender: Partner, mut chance: Chance) {
        let mut under_way = std::collections::VecDeque::new();
        if let Ok(mut stream) = sender.client.submit_stream().await {
            loop {
                while under_way.len() < UNDER_WAY {
                    let notice = self.promised.lock().unwrap().next(&sender, &mut chance);
                    let sent = stream.send(&notice).await;
                    under_way.push_back(notice);
                    if sent.is_err() {
                        break;
                    }
                }
                let Ok(Some(answers)) = stream.answers().await else { break };
                for answer in answers {
                    let notice = under_way.pop_front().unwrap();
                    match answer {
                        Ok(submitted) => {
                            sender.keep_submitted(&notice, &submitted);
                            self.promised.lock().unwrap().ack(notice, submitted);
                        }
                        Err(error) => {
                            assert!(error.may_pass_later(), "{error}");
                            self.promised.lock().unwrap().unanswered.push(notice);
                        }
                    }
                    self.answered();
                }
            }
        }
        self.promised.lock().unwrap().unanswered.extend(under_way);
    }

    /// Follows the mailbox and signs for what comes, until the line breaks.
    async fn acknowledge(self, ke: Partner, mut chance: Chance) {
        // What was signed in an earlier life and never answered is sent again as it is.
        let again = std::mem::take(&mut self.promised.lock().unwrap().unsettled);
        let mut again = again.into_iter();
        while let Some(signed) = again.next() {
            if !self.sign_for(&ke, signed).await {
                return self.promised.lock().unwrap().unsettled.extend(again);
            }
        }
        let Ok(mut following) = ke.client.collect(Bytes::new(), false).await else { return };
        while let Ok(Some(frame)) = following.next().await {
            ke.keep(&frame);
            let mut rest = frame.as_slice();
            while !rest.is_empty() {
                let count = (1 + chance.below(BATCH_MAX) as usize).min(rest.len());
                let (batch, later) = rest.split_at(count);
                rest = later;
                if !self.sign_for(&ke, ke.verdict(batch, Verdict::Accepted)).await {
                    return;
                }
            }
        }
    }

    /// False: there was no answer.
    async fn sign_for(&self, ke: &Partner, signed: Signed) -> bool {
        let Ok(answer) = ke.acknowledge(&signed).await else {
            self.promised.lock().unwrap().unsettled.push(signed);
            return false;
        };
        let mut promised = self.promised.lock().unwrap();
        for (outcome, leaf) in answer.outcomes.iter().zip(leaves(&signed)) {
            let ItemOutcome::Stands { receipt, .. } = outcome else { panic!("leaf {}: {outcome:?}", leaf.0) };
            let says = answer.receipts[*receipt].leaf;
            let first = *promised.settled.entry(leaf).or_insert(says);
            assert_eq!(first, says, "leaf {} was signed for once", leaf.0);
        }
        self.acknowledged.send_modify(|acknowledged| *acknowledged += 1);
        true
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_81_what_a_node_had_answered_for_is_there_after_a_hundred_kills() {
    let kills = number("LIAISON_KILLS").unwrap_or(KILLS).max(KILLS);
    let seed = number("LIAISON_SEED").unwrap_or(now().0 as u64);
    println!("LIAISON_SEED={seed} LIAISON_KILLS={kills}");
    let mut chance = Chance(seed);
    let network = Network::of(&["FR", "DE", "KE", "NG"]);
    let promised = Arc::new(Mutex::new(Promised::default()));

    // When a node is killed again and again, under load or while it starts,
    for _ in 0..kills {
        if chance.below(KILLED_AT_START_ONE_IN) == 0 {
            network.start_in_vain().await;
            continue;
        }
        let node = network.start().await;
        let life = Life {
            promised: promised.clone(),
            answers: watch::Sender::new(0),
            acknowledged: watch::Sender::new(0),
        };
        let mut load = JoinSet::new();
        let acknowledging = chance.below(2) == 0;
        let mut own = || Chance(chance.below(u64::MAX));
        load.spawn(life.clone().submit_one_by_one(network.partner("FR", &node).await, own()));
        if !acknowledging {
            load.spawn(life.clone().submit_on_a_stream(network.partner("FR", &node).await, own()));
        }
        load.spawn(life.clone().submit_on_a_stream(network.partner("DE", &node).await, own()));
        load.spawn(life.clone().acknowledge(network.partner("KE", &node).await, own()));
        let (counted, most) =
            if acknowledging { (&life.acknowledged, ACKNOWLEDGEMENTS_MAX) } else { (&life.answers, ANSWERS_MAX) };
        let enough = chance.below(most);
        soon("answers", counted.subscribe().wait_for(|count| *count >= enough)).await.unwrap();
        node.kill().await;
        while let Some(ended) = soon("the load to end", load.join_next()).await {
            ended.unwrap();
        }
    }

    // then, when all that was never answered has been sent once more,
    let node = network.start().await;
    let (fr, de) = (network.partner("FR", &node).await, network.partner("DE", &node).await);
    let (ke, ng) = (network.partner("KE", &node).await, network.partner("NG", &node).await);
    let mut promised = std::mem::take(&mut *promised.lock().unwrap());
    for notice in std::mem::take(&mut promised.unanswered) {
        let sender = if is_by(&notice, &fr) { &fr } else { &de };
        let submitted = sender.submit(&notice).await.unwrap();
        promised.ack(notice, submitted);
    }
    assert_eq!(promised.acked.len(), promised.signed.len());
    println!("{} notices, {} signed for by KE", promised.acked.len(), promised.settled.len());

    // a partner that was away gets every notice exactly once, byte for byte, under the leaf that its receipt named,
    let delivered = ng.collect().await;
    let names: HashSet<_> = ids(&delivered).into_iter().collect();
    assert_eq!((delivered.len(), names.len()), (promised.acked.len(), promised.acked.len()));
    for notice in &delivered {
        let (sent, submitted) = &promised.acked[&notice.id];
        assert_eq!((&notice.envelope, &notice.parts), (&sent.envelope, &sent.parts));
        assert_eq!(notice.leaf(), submitted.receipt.leaf);
    }

    // one that signed for what it got has nothing left but what it was never answered for,
    for signed in std::mem::take(&mut promised.unsettled) {
        ke.acknowledge(&signed).await.unwrap();
    }
    for batch in ke.collect().await.chunks(100) {
        assert!(batch.iter().all(|notice| !promised.settled.contains_key(&notice.leaf())));
        ke.settle(&ke.verdict(batch, Verdict::Accepted)).await;
    }
    assert!(ke.collect().await.is_empty());

    // the log says of each notice once that KE signed for it,
    for (notice, submitted) in promised.acked.values() {
        let sender = if is_by(notice, &fr) { &fr } else { &de };
        let (evidence, receipts) = sender.evidence(None, &notice.reference).await;
        let of_ke = evidence.outcomes.iter().find(|outcome| outcome.recipient == "KE").unwrap();
        assert_eq!((of_ke.delivery(), of_ke.decision()), (DeliveryState::HandedOver, DecisionState::Accepted));
        let [accepted, signed_for] = &receipts[..] else {
            panic!("{}: {} receipts", notice.reference, receipts.len())
        };
        assert_eq!(accepted.leaf, submitted.receipt.leaf);
        if let Some(first) = promised.settled.get(&accepted.leaf) {
            assert_eq!(signed_for.leaf, *first);
        }
    }

    // and no two checkpoints of all those lives contradict each other.
    assert_log_is_sound(&fr).await;
    assert!(node.stop().await.success());
}

/// References begin with their originator.
fn is_by(notice: &SignedNotice, partner: &Partner) -> bool {
    notice.reference.as_str().starts_with(partner.id.as_str())
}

/// The leaves that an acknowledgement is about.
fn leaves(signed: &Signed) -> impl Iterator<Item = LeafIndex> {
    signed.items().iter().map(|item| item.leaf)
}
