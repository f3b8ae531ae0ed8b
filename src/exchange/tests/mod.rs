//! Who may learn what: each party its own, the originator whom it named and who signed, a stranger nothing.

mod cost;
mod damage;
mod frames;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use liaison_protocol::id::{LeafIndex, Micros, NoticeId, PartnerId};
use liaison_protocol::proto::{self, RespondBy, Verdict, item_proof::Item};
use liaison_protocol::reason::Reason;
use liaison_protocol::receipt::Receipt;
use liaison_protocol::tlog::proof::root_of_inclusion;
use liaison_protocol::tlog::tile::TileId;

use super::{
    Adopting, Caller, Directories, Evidence, Exchange, ItemAnswer, NoticeName, Parts, Rooms, Submission, Taken,
};
use crate::sequencer::Running;
use crate::state::{Decided, Delivery};
use crate::store::faulty::Fault;
use crate::world::{Counted, PlayedEntropy, Rig, START, World, audience};

pub(crate) struct Node {
    pub(crate) rig: Rig,
    pub(crate) exchange: Arc<Exchange>,
    /// What answering reads.
    reads: Counted,
    running: Running,
}

impl Node {
    pub(crate) async fn start() -> Self {
        Self::start_with(World::small()).await
    }

    async fn start_with(world: World) -> Self {
        let rig = Rig::new(world);
        let running = rig.start().await;
        let reads = Counted::over(Arc::new(rig.store.clone()));
        let exchange = Arc::new(Exchange::new(Parts {
            node: rig.world.hub.clone(),
            origin: rig.world.origin.clone(),
            store: Arc::new(reads.clone()),
            sequencer: running.sequencer.clone(),
            view: running.view.clone(),
            directories: Arc::new(Directories::new(rig.world.opened.clone(), [])),
            transmitted: rig.transmitted.clone(),
            counts: Arc::default(),
            clock: rig.clock.clone(),
            entropy: Box::new(PlayedEntropy::seeded(77)),
        }));
        Self { rig, exchange, reads, running }
    }

    pub(crate) fn caller(&self, id: &str) -> Caller {
        let partner = self.rig.world.partner(id).clone();
        Caller {
            partner,
            system: "main".into(),
            directory: self.exchange.directories.in_force(),
            rooms: Rooms::default(),
        }
    }

    /// FR sends to DE by name, and to IT and ES through G, in which US is passed over.
    async fn send(&self, reference: &str, respond_by: RespondBy) -> (LeafIndex, NoticeId) {
        let mut draft = self.rig.world.draft("FR", reference, &[]);
        draft.audience = audience(&["DE"], &["G"], &[]);
        draft.expires_at = START.plus(2 * Micros::HOUR);
        draft.respond_by = respond_by;
        let (leaf, id, duplicate) = self.submit(draft).await;
        assert!(!duplicate);
        (leaf, id)
    }

    async fn submit(&self, draft: liaison_client::sign::Draft) -> (LeafIndex, NoticeId, bool) {
        let from = draft.originator.to_string();
        let notice = self.rig.world.signed(draft);
        let submission = Submission { envelope: notice.envelope, parts: notice.parts };
        let (taken, receipts) = self.exchange.submit(&self.caller(&from), vec![submission]).await;
        let [Taken::Receipt { nth, duplicate }] = taken[..] else { panic!("{taken:?}") };
        (Receipt::cut(&receipts, nth).expect("a receipt").leaf, notice.id, duplicate)
    }

    async fn sign(&self, by: &str, items: &[(LeafIndex, NoticeId, Verdict)]) -> Vec<Result<bool, Reason>> {
        let (envelope, items) = self.rig.world.signed_items(by, items);
        let answer = self.exchange.acknowledge(&self.caller(by), envelope, &items).await.expect("judged");
        answer
            .answers
            .into_iter()
            .map(|one| match one {
                ItemAnswer::Receipt { duplicate, nth } => {
                    Receipt::cut(&answer.receipts, nth).expect("a receipt");
                    Ok(duplicate)
                }
                ItemAnswer::Refused(refusal) => Err(refusal.reason),
            })
            .collect()
    }

    async fn evidence(&self, to: &str, leaf: LeafIndex) -> Result<Evidence, Reason> {
        let evidence = self.exchange.evidence(&self.caller(to), NoticeName::Leaf(leaf), None, 100).await;
        evidence.map_err(|refusal| refusal.reason)
    }

    fn number(&self, id: &str) -> u32 {
        self.rig.world.partner(id).number.0
    }
}

/// Where those named stand.
fn standings(evidence: &Evidence) -> BTreeMap<&str, (Delivery, Decided)> {
    let one = |outcome: &'_ super::Outcome| (outcome.standing.delivery, outcome.standing.decided);
    evidence.outcomes.iter().map(|outcome| (outcome.recipient.as_str(), one(outcome))).collect()
}

/// Numbers of everyone whose item is shown, and how many acknowledged items there are.
fn shown(evidence: &Evidence) -> (Vec<u32>, usize) {
    let items = evidence.receipts.receipts.iter().flat_map(|receipt| &receipt.items).map(|item| item.item.as_ref());
    let (mut numbers, mut signed) = (Vec::new(), 0);
    for item in items.flatten() {
        match item {
            Item::Recipient(item) => numbers.push(item.number),
            Item::Expired(item) => numbers.push(item.recipient),
            Item::Acknowledged(_) => signed += 1,
        }
    }
    numbers.sort_unstable();
    numbers.dedup();
    (numbers, signed)
}

const HOUR: Duration = Duration::from_secs(3_600);

#[tokio::test]
async fn what_is_durable_and_not_yet_published_is_in_no_part_of_the_evidence() {
    let node = Node::start().await;
    let (leaf, id) = node.send("FR/1", RespondBy::None).await;
    let before = node.evidence("FR", leaf).await.expect("its own");
    // The writer tells of its commit before the sequencer hears of it.
    let held = node.rig.calls.lock().expect("no panic");
    let word = [(leaf, id, Verdict::Accepted)];
    let mut signing = Box::pin(node.sign("DE", &word));
    assert!(signing.as_mut().now_or_never().is_none());
    let about = || {
        node.exchange.about(liaison_protocol::id::Seq(leaf.0)).now_or_never().expect("in memory").expect("reads")
    };
    while about().is_empty() {
        std::thread::yield_now();
    }
    let meanwhile = node.evidence("FR", leaf).now_or_never().expect("in memory").expect("its own");
    assert_eq!((standings(&meanwhile), shown(&meanwhile)), (standings(&before), shown(&before)));
    drop(held);
    assert_eq!(signing.await, [Ok(false)]);
    let after = node.evidence("FR", leaf).await.expect("its own");
    assert!(standings(&after) != standings(&before) && shown(&after) != shown(&before));
}

#[tokio::test]
async fn fault_54_and_55_a_party_learns_of_itself_the_originator_of_who_signed_and_a_stranger_of_nothing() {
    let node = Node::start().await;
    let (leaf, id) = node.send("FR/1", RespondBy::None).await;

    let before = node.evidence("FR", leaf).await.expect("its own");
    assert_eq!(standings(&before), BTreeMap::from([("DE", (Delivery::Waiting, Decided::Open))]));
    // It named DE itself, so it is shown that the statement commits to DE.
    assert_eq!((before.waiting_in_groups, shown(&before)), (2, (vec![node.number("DE")], 0)));

    assert_eq!(node.sign("IT", &[(leaf, id, Verdict::Refused)]).await, [Ok(false)]);
    let after = node.evidence("FR", leaf).await.expect("its own");
    let refused = (Delivery::HandedOver, Decided::Refused);
    assert_eq!(standings(&after)["IT"], refused);
    assert_eq!((after.waiting_in_groups, shown(&after).1), (1, 1));
    assert_eq!(after.outcomes.iter().find(|one| one.recipient.as_str() == "IT").expect("there").reason, "not ours");

    for (id, standing, signed) in [
        ("DE", (Delivery::Waiting, Decided::Open), 0),
        ("ES", (Delivery::Waiting, Decided::Open), 0),
        ("IT", refused, 1),
    ] {
        let own = node.evidence(id, leaf).await.expect("its own");
        assert_eq!(standings(&own), BTreeMap::from([(id, standing)]));
        assert_eq!((own.waiting_in_groups, shown(&own)), (0, (vec![node.number(id)], signed)), "{id}");
    }

    // US is in the group and was passed over: to it the notice does not exist, and neither do others.
    let names = [
        NoticeName::Leaf(leaf),
        NoticeName::Leaf(LeafIndex(0)),
        NoticeName::Leaf(LeafIndex(99)),
        NoticeName::Leaf(LeafIndex(u64::MAX)),
        NoticeName::Reference(Some("FR".parse::<PartnerId>().expect("one")), "FR/1".parse().expect("one")),
        NoticeName::Reference(Some("FR".parse::<PartnerId>().expect("one")), "FR/2".parse().expect("one")),
        NoticeName::Reference(Some("XX".parse::<PartnerId>().expect("one")), "FR/1".parse().expect("one")),
        NoticeName::Reference(None, "FR/1".parse().expect("one")),
    ];
    let stranger = node.caller("US");
    let mut answers = Vec::new();
    for name in names {
        let refusal = node.exchange.evidence(&stranger, name.clone(), None, 100).await.expect_err("not its own");
        answers.push((refusal.reason, refusal.message));
        let refusal = node.exchange.notice(&stranger, name).await.expect_err("not its own");
        answers.push((refusal.reason, refusal.message));
    }
    assert!(answers.iter().all(|answer| answer.0 == Reason::NotFound && *answer == answers[0]), "{answers:?}");
    assert_eq!(node.sign("US", &[(leaf, id, Verdict::Received)]).await, [Err(Reason::NotConsigned)]);
    let mut collecting = node.exchange.collect(stranger, &[], true).expect("its own mailbox");
    assert!(collecting.next().await.expect("reads").is_none());
}

#[tokio::test]
async fn whoever_stayed_silent_in_a_group_is_counted_and_not_named_also_when_its_time_is_over() {
    let node = Node::start().await;
    let (leaf, id) = node.send("FR/1", RespondBy::OneHour).await;
    assert_eq!(node.sign("IT", &[(leaf, id, Verdict::Received)]).await, [Ok(false)]);
    node.rig.clock.advance(3 * HOUR);
    node.running.sequencer.append(Vec::new()).await.expect("running");

    let all = node.evidence("FR", leaf).await.expect("its own");
    assert_eq!(
        standings(&all),
        BTreeMap::from([
            ("DE", (Delivery::Undelivered, Decided::Unanswered)),
            ("IT", (Delivery::HandedOver, Decided::Unanswered)),
        ])
    );
    assert_eq!(all.waiting_in_groups, 1);
    assert_eq!(shown(&all), (vec![node.number("DE"), node.number("IT")], 1));
    let own = node.evidence("ES", leaf).await.expect("its own");
    assert_eq!(standings(&own), BTreeMap::from([("ES", (Delivery::Undelivered, Decided::Unanswered))]));
    assert_eq!(shown(&own), (vec![node.number("ES")], 0));
}

#[tokio::test]
async fn fault_66_an_acknowledgement_sent_again_gets_the_same_receipt() {
    let node = Node::start().await;
    let (leaf, id) = node.send("FR/1", RespondBy::None).await;
    let items = [(leaf, id, Verdict::Accepted)];
    assert_eq!(node.sign("DE", &items).await, [Ok(false)]);
    let size = node.exchange.published().size();
    assert_eq!(node.sign("DE", &items).await, [Ok(true)]);
    assert_eq!(node.sign("DE", &[(leaf, id, Verdict::Received)]).await, [Ok(true)]);
    assert_eq!(node.sign("DE", &[(leaf, id, Verdict::Refused)]).await, [Err(Reason::AlreadyDecided)]);
    assert_eq!(node.exchange.published().size(), size, "one leaf");
}

#[tokio::test]
async fn a_word_that_handed_nothing_over_is_no_receipt_of_a_hand_over() {
    let node = Node::start().await;
    let (leaf, id) = node.send("FR/1", RespondBy::None).await;
    node.rig.clock.advance(3 * HOUR);
    node.running.sequencer.append(Vec::new()).await.expect("running");
    for verdict in [Verdict::Received, Verdict::Accepted, Verdict::Refused] {
        assert_eq!(node.sign("DE", &[(leaf, id, verdict)]).await, [Err(Reason::AlreadyDecided)], "{verdict:?}");
    }
}

#[tokio::test]
async fn a_retry_gets_the_first_receipt_though_the_agreement_has_lapsed() {
    let world = crate::world::Plan::of(&["FR", "DE"])
        .agreement(proto::Agreement {
            until_us: START.plus(Micros::HOUR).0,
            ..crate::world::agreement("A-1", &["FR"], &["DE"])
        })
        .open();
    let node = Node::start_with(world).await;
    let notice = node.rig.world.signed(node.rig.world.draft("FR", "FR/1", &["DE"]));
    let other = node.rig.world.signed(node.rig.world.draft("FR", "FR/2", &["DE"]));
    let submit = async |notice: &liaison_client::sign::SignedNotice| {
        let submission = Submission { envelope: notice.envelope.clone(), parts: notice.parts.clone() };
        let (taken, receipts) = node.exchange.submit(&node.caller("FR"), vec![submission]).await;
        match &taken[..] {
            [Taken::Receipt { nth, duplicate }] => {
                Ok((Receipt::cut(&receipts, *nth).expect("one").leaf, *duplicate))
            }
            [Taken::Refused(refusal)] => Err(refusal.reason),
            _ => panic!("{taken:?}"),
        }
    };
    assert_eq!(submit(&notice).await, Ok((LeafIndex(2), false)));
    node.rig.clock.advance(2 * HOUR);
    assert_eq!(submit(&notice).await, Ok((LeafIndex(2), true)));
    assert_eq!(submit(&other).await, Err(Reason::NotCovered));
}

#[tokio::test]
async fn every_page_of_the_evidence_is_given_once() {
    let node = Node::start().await;
    let (leaf, id) = node.send("FR/1", RespondBy::None).await;
    for (by, verdict) in [("DE", Verdict::Received), ("DE", Verdict::Accepted), ("IT", Verdict::Received)] {
        node.sign(by, &[(leaf, id, verdict)]).await;
    }
    for page in [0, 1, 2, 3, 100] {
        let (mut after, mut leaves) = (None, Vec::new());
        loop {
            let name = NoticeName::Leaf(leaf);
            let evidence = node.exchange.evidence(&node.caller("FR"), name, after, page).await.expect("its own");
            leaves.extend(evidence.receipts.receipts.iter().map(|receipt| receipt.leaf_index));
            after = evidence.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(leaves, [2, 3, 4, 5], "{page} a page");
    }
}

#[tokio::test]
async fn fault_76_a_damaged_tile_costs_no_proof_and_no_other_proof_is_given_out() {
    let node = Node::start().await;
    let (leaf, id) = node.send("FR/1", RespondBy::None).await;
    assert_eq!(node.sign("DE", &[(leaf, id, Verdict::Received)]).await, [Ok(false)]);
    // So many that the edge has forgotten the first.
    let heads = |from: u64| {
        let head = move |nth: u64| liaison_protocol::statement::HeadName {
            version: liaison_protocol::id::HeadVersion(from + nth),
            digest: liaison_protocol::id::HeadDigest(liaison_protocol::id::Hash([7; 32])),
        };
        (0..1_500).map(|nth| crate::state::Proposal::Adopt(head(nth))).collect::<Vec<_>>()
    };
    for round in 0..5 {
        node.running.sequencer.append(heads(10 + 1_500 * round)).await.expect("running");
    }
    assert!(node.exchange.published().tree.inclusion(leaf.0).is_none(), "the edge has forgotten it");
    node.evidence("DE", leaf).await.expect("proven from tiles");
    node.rig.tamper.tiles(|id, tile| {
        if id == (TileId::Hashes { level: 0, index: 0 }) {
            tile[32 * 3] ^= 1;
        }
    });
    let evidence = node.evidence("DE", leaf).await.expect("what the tile held is made anew from the entries");
    let published = node.exchange.published();
    for nth in 0..evidence.receipts.receipts.len() {
        let receipt = Receipt::cut(&evidence.receipts, nth).expect("a receipt");
        let data = liaison_protocol::tlog::hash::leaf(&receipt.opening.leaf().0);
        let root = root_of_inclusion(data, receipt.leaf.0, published.size(), &receipt.path);
        assert_eq!(root, Some(published.tree.root()), "it leads to the root that was signed");
    }
    assert_eq!(node.exchange.counts.integrity.found(), 1, "and the damage is reported");
}

#[tokio::test]
async fn fault_76_a_statement_replaced_together_with_its_leaf_is_not_given_out_under_the_edge() {
    let node = Node::start().await;
    let (leaf, id) = node.send("FR/1", RespondBy::None).await;
    assert_eq!(node.sign("DE", &[(leaf, id, Verdict::Received)]).await, [Ok(false)]);
    assert!(node.exchange.published().tree.inclusion(leaf.0).is_some(), "the edge proves it");
    node.evidence("DE", leaf).await.expect("nothing is damaged yet");
    node.rig.tamper.entries(move |entry| {
        if let Some(opening) = entry.opening.as_mut().filter(|_| entry.seq.0 == leaf.0) {
            opening.salt.0[0] ^= 1;
            entry.leaf = opening.leaf();
        }
    });
    assert_eq!(node.evidence("DE", leaf).await.map(|_| ()), Err(Reason::StoredDamage));
}

#[tokio::test]
async fn fault_70_a_directory_that_was_stated_comes_into_force_whoever_gave_up_on_it() {
    let node = Node::start().await;
    let next = node.rig.world.next(|plan| plan.group("LATER", &["DE"]));
    let (release, told) = tokio::sync::oneshot::channel();
    node.rig.store.break_commit(node.rig.store.commits(), Fault::Waits(told));
    assert!(node.exchange.adopt(next.opened.clone()).now_or_never().is_none(), "it waits for the disk");
    let _ = release.send(());
    assert_eq!(node.exchange.adopt(next.opened.clone()).await.expect("stated"), Adopting::Adopted);
    assert_eq!(node.exchange.adopt(next.opened.clone()).await.expect("stated"), Adopting::InForce);
    assert_eq!(node.exchange.directories.in_force().version(), next.directory.version());
    node.send("FR/1", RespondBy::None).await;
}

#[tokio::test]
async fn an_audience_is_resolved_once_and_anew_where_the_answer_may_have_changed() {
    let world = crate::world::Plan::of(&["FR", "DE", "IT"])
        .group("G", &["DE", "IT"])
        .agreement(crate::world::agreement("A-1", &["FR"], &["DE"]))
        .agreement(proto::Agreement {
            from_us: START.plus(Micros::HOUR).0,
            ..crate::world::agreement("A-2", &["FR"], &["IT"])
        })
        .open();
    let Node { rig, exchange, .. } = Node::start_with(world).await;
    let mut draft = rig.world.draft("FR", "FR/1", &[]);
    draft.audience = audience(&[], &["G"], &[]);
    let manifest = rig.world.verified(&rig.world.signed(draft), "FR");
    let ask = |after: i64| {
        let now = START.plus(after);
        let found = exchange.audience(rig.world.partner("FR"), manifest.manifest(), &rig.world.directory, now);
        found.expect("covered")
    };
    let first = ask(0);
    assert!(Arc::ptr_eq(&first, &ask(Micros::HOUR - 1)), "the same set, with the same salts");
    let second = ask(Micros::HOUR);
    assert_eq!((first.set.count(), second.set.count()), (1, 2));
    // The wall clock may go back: what begins later is not in force yet.
    assert_eq!(ask(0).set.count(), 1);
}

#[tokio::test]
async fn notices_of_one_who_sends_often_are_verified_with_a_table_also_under_the_next_directory() {
    let node = Node::start().await;
    for nth in 0..20 {
        node.send(&format!("FR/{nth}"), RespondBy::None).await;
    }
    let before = node.exchange.signatures();
    assert_eq!(before.tables, 1, "{before:?}");
    let next = node.rig.world.next(|plan| plan.group("LATER", &["DE"]));
    node.exchange.adopt(next.opened.clone()).await.expect("stated");
    node.send("FR/20", RespondBy::None).await;
    let after = node.exchange.signatures();
    assert_eq!((after.with_table, after.without_table), (before.with_table + 1, before.without_table));
}
