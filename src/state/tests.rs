//! Histories: decided live and folded from what a store would hold, the view is the same, and impossible ones are refused.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use liaison_protocol::id::{
    Hash, HeadDigest, HeadVersion, LeafIndex, Micros, NoticeId, PartnerNumber, Reference, Seq,
};
use liaison_protocol::limits::ITEMS_MAX;
use liaison_protocol::proto::{ExpiredOutcome, Precedence, RespondBy, Verdict};
use liaison_protocol::reason::Reason;
use liaison_protocol::statement::{Event, HeadName, Rebased, Statement};
use liaison_protocol::tlog::entry::{Opening, Salt};
use proptest::prelude::*;

use super::{Base, Cursor, Decision, Detail, Draft, Folding, Outside, Proposal, Stage, View};
use crate::clock::Entropy as _;
use crate::policy::RecipientSet;
use crate::world::{HUB, Plan, PlayedEntropy, START, World, agreement};

/// What the view cannot know: here the drafts made so far.
struct Known<'a> {
    history: &'a [(Statement, Detail)],
    entropy: PlayedEntropy,
}

impl Outside for Known<'_> {
    fn known(&self, originator: PartnerNumber, reference: &Reference) -> Option<(Seq, NoticeId)> {
        self.history.iter().enumerate().find_map(|(seq, (statement, _))| match &statement.event {
            Event::Accepted(accepted) if accepted.originator == originator && accepted.reference == *reference => {
                Some((Seq(seq as u64), accepted.notice))
            }
            _ => None,
        })
    }

    fn salt(&mut self) -> Salt {
        let mut salt = [0; 32];
        self.entropy.fill(&mut salt);
        Salt(salt)
    }

    fn unsigned(&self, _: Seq, _: PartnerNumber) -> ExpiredOutcome {
        ExpiredOutcome::NotSigned
    }
}

/// A node without a store: what it stated, and its view.
struct Node {
    view: View,
    history: Vec<(Statement, Detail)>,
    now: Micros,
}

impl Node {
    fn new(world: &World) -> Self {
        let mut node = Self { view: View::default(), history: Vec::new(), now: START };
        node.batch(&[Proposal::OpenLog("first".into())]);
        node.batch(&[Proposal::Adopt(world.head())]);
        node
    }

    /// One batch, as the sequencer makes it.
    fn batch(&mut self, proposals: &[Proposal]) -> Vec<Decision> {
        let entropy = PlayedEntropy::seeded(self.history.len() as u64);
        let mut stage = Stage::new(&self.view, self.now, self.now, Known { history: &self.history, entropy });
        stage.expire();
        let decisions = proposals.iter().map(|proposal| stage.decide(proposal)).collect();
        for Draft { statement, detail, about, .. } in stage.into_drafts() {
            let seq = self.view.next();
            assert!(about.is_sorted_by(|one, next| one < next) && about.last().is_none_or(|last| *last < seq));
            self.view.apply(seq, &statement, &detail).expect("what was decided can be applied");
            self.history.push((statement, detail));
        }
        decisions
    }

    fn advance(&mut self, by: Duration) {
        self.now = self.now.plus(by.as_micros() as i64);
    }

    /// Writes the view down, and states it; gives its bytes.
    fn rebase(&mut self) -> Bytes {
        let (pieces, salt) = (self.view.to_base(), Salt([7; 32]));
        let rebased =
            Rebased { through: LeafIndex(self.view.next().0 - 1), digest: View::base_digest(&salt, &pieces) };
        assert_eq!(self.batch(&[Proposal::Rebase(rebased, salt)]), [Decision::State(0)]);
        pieces.concat().into()
    }

    /// The view that the whole history gives, applied at once, with each recipient set remembered as a node does.
    fn together(&self) -> View {
        let mut sets = HashMap::new();
        let mut remembered = |detail: &Detail| match detail {
            Detail::Audience(set) => Detail::Audience(Arc::clone(sets.entry(set.root()).or_insert(set.clone()))),
            other => other.clone(),
        };
        let history: Vec<_> = self.history.iter().map(|(of, detail)| (of, remembered(detail))).collect();
        let mut view = View::default();
        let statements = history.iter().map(|(statement, detail)| (*statement, detail));
        view.apply_all(Seq(0), statements).expect("what was decided can be applied");
        view
    }

    /// The view that a base gives with what came after it; None: it is refused.
    fn folded_from(&self, base: Bytes) -> Option<View> {
        let mut folding = Folding::default();
        for detail in self.history.iter().map(|(_, detail)| detail) {
            if let Detail::Audience(set) = detail {
                folding.hand_in(set.root(), &set.encode());
            }
        }
        folding.begin(Base::read(base).ok()?).ok()?;
        self.fold_rest(folding)
    }

    /// The view that the stored bytes give.
    fn folded(&self) -> View {
        self.fold_rest(Folding::default()).expect("what was stored can be folded")
    }

    fn fold_rest(&self, mut folding: Folding) -> Option<View> {
        let done = usize::try_from(folding.next().0).ok()?;
        for (seq, (statement, detail)) in self.history.iter().enumerate().skip(done) {
            let opening = Opening { statement: statement.encode(), salt: Salt([0; 32]) };
            let read = folding.read(Seq(seq as u64), &opening, &detail.encode());
            let (needing, missing) = read.expect("what was stored can be read");
            if let (Some(root), Detail::Audience(set)) = (missing, detail) {
                assert!(!folding.hand_in(Hash::of(&[b"another"]), &set.encode()));
                assert!(folding.hand_in(root, &set.encode()));
            }
            folding.fold(needing).ok()?;
        }
        folding.finish().ok()
    }

    fn last(&self) -> &(Statement, Detail) {
        self.history.last().expect("a log was opened")
    }

    fn expired(&self) -> Vec<(u64, u32, ExpiredOutcome)> {
        match &self.last().1 {
            Detail::Expired(items) => {
                assert!(items.is_sorted_by_key(|item| item.leaf_data().0), "their order must say nothing");
                let mut said: Vec<_> =
                    items.iter().map(|item| (item.leaf.0, item.recipient.0, item.outcome)).collect();
                said.sort_by_key(|(leaf, recipient, outcome)| (*leaf, *recipient, *outcome as i32));
                said
            }
            other => panic!("{other:?}"),
        }
    }
}

fn draft(world: &World, reference: &str, to: &[&str], hours: i64, respond_by: RespondBy) -> Proposal {
    let mut draft = world.draft("FR", reference, to);
    draft.expires_at = START.plus(hours * Micros::HOUR);
    draft.respond_by = respond_by;
    world.submit(draft)
}

fn id_of(proposal: &Proposal) -> NoticeId {
    match proposal {
        Proposal::Submit(permit) => permit.manifest().id(),
        other => panic!("{other:?}"),
    }
}

const HOUR: Duration = Duration::from_secs(3_600);

#[test]
fn one_batch_sees_what_it_has_decided_itself() {
    let world = World::small();
    let mut node = Node::new(&world);
    let (first, id) = world.notice("FR", "FR/1", &["DE", "IT"]);
    let (other, _) = world.notice("FR", "FR/1", &["DE"]);
    let decisions = node.batch(&[first.clone(), first.clone(), other]);
    assert_eq!(decisions[..2], [Decision::State(0), Decision::Already(Seq(2))]);
    let Decision::Refused(refusal) = &decisions[2] else { panic!("{decisions:?}") };
    assert_eq!(refusal.reason, Reason::ReferenceConflict);
    assert_eq!(node.batch(&[first]), [Decision::Already(Seq(2))]);

    let word = |by: &str, verdict| world.acknowledge(by, &[(LeafIndex(2), id, verdict)]);
    let decisions = node.batch(&[
        word("DE", Verdict::Received),
        word("DE", Verdict::Received),
        word("DE", Verdict::Accepted),
        word("DE", Verdict::Refused),
        word("IT", Verdict::Refused),
        word("ES", Verdict::Received),
    ]);
    use Decision::{Stale, State};
    assert_eq!(decisions, [State(0), Stale, State(1), Stale, State(2), Stale]);
    assert_eq!(node.view.open(Seq(2)), None, "nothing about it is open for anyone");
    assert_eq!(node.view.next_deadline(), None);
    assert!(node.view == node.folded());
}

#[test]
fn one_signature_over_good_and_bad_items_settles_the_good_ones_only() {
    let world = World::small();
    let mut node = Node::new(&world);
    let (one, one_id) = world.notice("FR", "FR/1", &["DE"]);
    let (two, two_id) = world.notice("FR", "FR/2", &["IT"]);
    node.batch(&[one, two]);
    let items = [
        (LeafIndex(2), one_id, Verdict::Received),
        (LeafIndex(2), one_id, Verdict::Received),
        (LeafIndex(3), two_id, Verdict::Accepted),
        (LeafIndex(0), one_id, Verdict::Accepted),
        (LeafIndex(u64::MAX), one_id, Verdict::Accepted),
    ];
    let moved = |node: &Node| {
        let Detail::Acknowledged(said) = &node.last().1 else { panic!("{:?}", node.last()) };
        said.iter().map(|item| (item.moved.delivery, item.moved.decision)).collect::<Vec<_>>()
    };
    assert_eq!(node.batch(&[world.acknowledge("DE", &items)]), [Decision::State(0)]);
    assert_eq!(moved(&node), [(true, false), (false, false), (false, false), (false, false), (false, false)]);
    // Crossed with another's notice it says nothing; later it decides what it had received.
    let crossed = world.acknowledge("DE", &[(LeafIndex(2), two_id, Verdict::Accepted)]);
    let decided = world.acknowledge("DE", &[(LeafIndex(2), one_id, Verdict::Accepted)]);
    assert_eq!(node.batch(&[crossed, decided]), [Decision::Stale, Decision::State(0)]);
    assert_eq!(moved(&node), [(false, true)]);
    assert!(node.view.open(Seq(3)).is_some(), "another's notice is untouched");
    assert!(node.view == node.folded());
}

#[test]
fn the_time_to_decide_comes_before_the_time_to_deliver_and_each_closes_once() {
    let world = World::small();
    let mut node = Node::new(&world);
    let proposal = draft(&world, "FR/1", &["DE", "IT", "ES"], 2, RespondBy::OneHour);
    let number = |id: &str| world.partner(id).number.0;
    node.batch(std::slice::from_ref(&proposal));
    node.batch(&[world.acknowledge("DE", &[(LeafIndex(2), id_of(&proposal), Verdict::Accepted)])]);
    node.advance(HOUR);
    node.batch(&[]);
    let unanswered = ExpiredOutcome::Unanswered;
    assert_eq!(node.expired(), [(2, number("IT"), unanswered), (2, number("ES"), unanswered)]);
    assert_eq!(node.view.next_deadline(), Some(START.plus(2 * Micros::HOUR)), "it has closed all it can");
    assert_eq!(node.view.overdue(node.now).count(), 0);
    // Late, and still a hand-over.
    node.batch(&[world.acknowledge("IT", &[(LeafIndex(2), id_of(&proposal), Verdict::Accepted)])]);
    node.advance(HOUR);
    node.batch(&[]);
    assert_eq!(node.expired(), [(2, number("ES"), ExpiredOutcome::NotSigned)]);
    assert_eq!(node.view.open(Seq(2)), None);
    let length = node.history.len();
    node.advance(HOUR);
    node.batch(&[world.acknowledge("ES", &[(LeafIndex(2), id_of(&proposal), Verdict::Received)])]);
    assert_eq!(node.history.len(), length, "too late: nothing is stated");
    assert!(node.view == node.folded());
}

#[test]
fn both_deadlines_in_one_pass_close_nobody_twice() {
    let world = World::small();
    let mut node = Node::new(&world);
    let proposal = draft(&world, "FR/1", &["DE", "IT"], 2, RespondBy::OneHour);
    node.batch(std::slice::from_ref(&proposal));
    node.batch(&[world.acknowledge("DE", &[(LeafIndex(2), id_of(&proposal), Verdict::Received)])]);
    node.advance(3 * HOUR);
    node.batch(&[]);
    let number = |id: &str| world.partner(id).number.0;
    assert_eq!(
        node.expired(),
        [
            (2, number("DE"), ExpiredOutcome::Unanswered),
            (2, number("IT"), ExpiredOutcome::NotSigned),
            (2, number("IT"), ExpiredOutcome::Unanswered),
        ]
    );
    assert_eq!((node.view.open(Seq(2)), node.view.next_deadline()), (None, None));
    assert!(node.view == node.folded());
}

#[test]
fn a_pass_of_the_clock_is_bounded_and_the_next_goes_on() {
    let recipients: Vec<_> = (0..1_000).map(|nth| format!("R{nth}")).collect();
    let names: Vec<_> = recipients.iter().map(String::as_str).collect();
    let mut plan = Plan::of(&["FR"]).group("ALL", &names).agreement(agreement("A-1", &["FR"], &["ALL"]));
    for name in &names {
        plan = plan.partner(name, HUB);
    }
    let world = plan.open();
    let mut node = Node::new(&world);
    for nth in 0..10 {
        let mut draft = world.draft("FR", &format!("FR/{nth}"), &[]);
        draft.audience = crate::world::audience(&[], &["ALL"], &[]);
        draft.expires_at = START.plus(Micros::HOUR);
        node.batch(&[world.submit(draft)]);
    }
    node.advance(HOUR);
    let mut closed = Vec::new();
    for _ in 0..3 {
        node.batch(&[]);
        closed.push(node.expired().len());
        assert!(node.view == node.folded());
    }
    assert_eq!(closed, [ITEMS_MAX, ITEMS_MAX, 10_000 - 2 * ITEMS_MAX]);
    let length = node.history.len();
    node.batch(&[]);
    assert_eq!((node.history.len(), node.view.next_deadline()), (length, None));
    let some = world.partner("R7").number;
    assert_eq!(node.view.mailbox(some).expect("known").waiting(), 0);
    assert_eq!(node.view.mailbox(some).expect("known").consigned(), 10);
}

#[test]
fn what_was_judged_under_another_head_is_stale_and_a_retry_still_finds_the_first() {
    let world = World::small();
    let next = world.next(|plan| plan.group("LATER", &["DE"]));
    let mut node = Node::new(&world);
    let (one, _) = world.notice("FR", "FR/1", &["DE"]);
    let (two, _) = world.notice("FR", "FR/2", &["DE"]);
    let (anew, _) = next.notice("FR", "FR/3", &["DE"]);
    let decisions =
        node.batch(&[one.clone(), Proposal::Adopt(next.head()), two, one, anew, Proposal::Adopt(next.head())]);
    assert_eq!(decisions[..2], [Decision::State(0), Decision::State(1)]);
    assert_eq!(decisions[2..5], [Decision::Stale, Decision::Already(Seq(2)), Decision::State(2)]);
    assert!(matches!(decisions[5], Decision::Already(_)));
    assert!(matches!(node.batch(&[Proposal::Adopt(world.head())])[..], [Decision::Refused(_)]));
    assert!(node.view == node.folded());
}

#[test]
fn what_amends_names_a_notice_of_its_own_originator() {
    use liaison_protocol::manifest::Relation;
    use liaison_protocol::proto::RelationType;
    let world = World::small();
    let mut node = Node::new(&world);
    let (one, id) = world.notice("FR", "FR/1", &["DE"]);
    let related = |reference: &str, kind, notice, of: &str| {
        let mut draft = world.draft("FR", reference, &["DE"]);
        draft.relation = Some(Relation { kind, notice, reference: of.parse().expect("a reference") });
        world.submit(draft)
    };
    let other = NoticeId(Hash::of(&[b"another"]));
    let decisions = node.batch(&[
        one,
        related("FR/2", RelationType::Cancels, id, "FR/1"),
        related("FR/3", RelationType::Amends, other, "FR/1"),
        related("FR/4", RelationType::Amends, id, "FR/0"),
        related("FR/5", RelationType::Answers, other, "FR/1"),
    ]);
    assert!(matches!(
        decisions[..],
        [Decision::State(0), Decision::State(1), Decision::Refused(_), Decision::Refused(_), Decision::State(2)]
    ));
}

#[test]
fn a_history_that_cannot_have_been_is_refused() {
    let world = World::small();
    let fresh = || {
        let mut node = Node::new(&world);
        let proposal = draft(&world, "FR/1", &["DE", "IT"], 2, RespondBy::OneHour);
        node.batch(std::slice::from_ref(&proposal));
        node.batch(&[world.acknowledge("DE", &[(LeafIndex(2), id_of(&proposal), Verdict::Accepted)])]);
        node.advance(3 * HOUR);
        node.batch(&[]);
        node.history
    };
    type Change = fn(&mut Vec<(Statement, Detail)>);
    let rows: &[(&str, usize, Change)] = &[
        ("no log opened", 0, |history| drop(history.remove(0))),
        ("a notice before any head", 1, |history| drop(history.remove(1))),
        ("a head twice", 2, |history| {
            let mut again = history[1].clone();
            again.0.under = history[2].0.under;
            history.insert(2, again);
        }),
        ("another head in force", 2, |history| {
            let digest = HeadDigest(Hash::of(&[b"another"]));
            history[2].0.under = Some(HeadName { version: HeadVersion(1), digest });
        }),
        ("another recipient set", 2, |history| {
            history[2].1 = Detail::Audience(Arc::new(RecipientSet::new([1; 32], [2, 3].into_iter().collect())));
        }),
        ("a detail of another kind", 2, |history| history[2].1 = Detail::None),
        ("signed by one it was not for", 3, |history| {
            let Event::Acknowledged(said) = &mut history[3].0.event else { unreachable!() };
            said.recipient = PartnerNumber(4);
        }),
        ("signed twice", 4, |history| history.insert(3, history[3].clone())),
        ("moved less than it states", 3, |history| {
            let Detail::Acknowledged(items) = &mut history[3].1 else { unreachable!() };
            items[0].moved.decision = false;
        }),
        ("a leaf that is not there", 3, |history| {
            let Detail::Acknowledged(items) = &mut history[3].1 else { unreachable!() };
            items[0].item.leaf = LeafIndex(u64::MAX);
        }),
        ("expired after it was signed for", 4, |history| {
            let Detail::Expired(items) = &mut history[4].1 else { unreachable!() };
            items[0].recipient = PartnerNumber(2);
        }),
        ("expired twice", 5, |history| history.push(history[4].clone())),
    ];
    for (name, at, change) in rows {
        let mut history = fresh();
        change(&mut history);
        let mut view = View::default();
        let refused = history
            .iter()
            .enumerate()
            .find_map(|(seq, (statement, detail))| view.apply(Seq(seq as u64), statement, detail).err());
        assert_eq!(refused.map(|diverged| diverged.seq), Some(Seq(*at as u64)), "{name}");
    }
    let mut view = View::default();
    assert!(view.apply(Seq(1), &fresh()[0].0, &Detail::None).is_err(), "out of order");
}

#[test]
fn notices_for_the_same_recipients_enter_their_mailboxes_together_and_what_lies_between_finds_them_there() {
    let world = World::small();
    let mut node = Node::new(&world);
    let notice = |reference: &str, to: &[&str]| world.notice("FR", reference, to).0;
    let accepted: Vec<_> = ["FR/1", "FR/2", "FR/3"].map(|reference| notice(reference, &["DE", "IT"])).into();
    node.batch(&accepted);
    // About the second of three that were accepted together.
    node.batch(&[world.acknowledge("DE", &[(LeafIndex(3), id_of(&accepted[1]), Verdict::Accepted)])]);
    node.batch(&[notice("FR/4", &["DE"]), notice("FR/5", &["DE", "IT"]), notice("FR/6", &["DE", "IT"])]);
    let mut urgent = world.draft("FR", "FR/7", &["DE", "IT"]);
    urgent.precedence = Precedence::Flash;
    node.batch(&[world.submit(urgent), notice("FR/8", &["DE", "IT"])]);
    let view = node.together();
    assert!(view == node.view);
    let waiting = |partner: &str| view.mailbox(world.partner(partner).number).map(|m| (m.waiting(), m.consigned()));
    assert_eq!((waiting("DE"), waiting("IT")), (Some((7, 8)), Some((7, 7))));
}

#[test]
fn stored_items_other_than_the_statement_commits_to_are_refused() {
    let world = World::small();
    let mut node = Node::new(&world);
    let proposal = draft(&world, "FR/1", &["DE", "IT"], 2, RespondBy::None);
    node.batch(std::slice::from_ref(&proposal));
    node.batch(&[world.acknowledge("DE", &[(LeafIndex(2), id_of(&proposal), Verdict::Received)])]);
    node.advance(3 * HOUR);
    node.batch(&[]);
    let read = |(statement, detail): &(Statement, Detail)| {
        let opening = Opening { statement: statement.encode(), salt: Salt([0; 32]) };
        Folding::default().read(Seq(9), &opening, &detail.encode()).is_ok()
    };
    let (mut signed, mut expired) = (node.history[3].clone(), node.history[4].clone());
    assert!(read(&signed) && read(&expired));
    let Detail::Acknowledged(items) = &mut signed.1 else { unreachable!() };
    items[0].item.verdict = Verdict::Accepted;
    let Detail::Expired(items) = &mut expired.1 else { unreachable!() };
    items.push(items[0].clone());
    assert!(!read(&signed) && !read(&expired));
}

#[test]
fn a_base_with_one_byte_changed_is_never_believed() {
    let world = World::small();
    let mut node = Node::new(&world);
    let proposals = [("FR/1", RespondBy::OneHour), ("FR/2", RespondBy::None)]
        .map(|(reference, respond_by)| draft(&world, reference, &["DE", "IT"], 2, respond_by));
    node.batch(&proposals);
    node.batch(&[world.acknowledge("DE", &[(LeafIndex(2), id_of(&proposals[0]), Verdict::Received)])]);
    let base = node.rebase();
    assert!(node.folded_from(base.clone()).is_some_and(|view| view == node.view));
    for place in 0..base.len() {
        let mut changed = base.to_vec();
        changed[place] ^= 1;
        assert_eq!(node.folded_from(changed.into()), None, "byte {place}");
    }
    for length in 0..base.len() {
        assert_eq!(node.folded_from(base.slice(..length)), None, "cut to {length}");
    }
    let longer = [&base[..], &[0]].concat();
    assert_eq!(node.folded_from(longer.into()), None, "longer");
    // Nor is one that no statement commits to.
    node.batch(&[draft(&world, "FR/3", &["DE"], 2, RespondBy::None)]);
    let unstated = node.view.to_base().concat().into();
    node.batch(&[draft(&world, "FR/4", &["DE"], 2, RespondBy::None)]);
    assert_eq!(node.folded_from(unstated), None);
}

#[test]
fn a_statement_that_commits_to_another_view_is_found_by_every_fold() {
    let world = World::small();
    let mut node = Node::new(&world);
    node.batch(&[draft(&world, "FR/1", &["DE", "IT"], 2, RespondBy::None)]);
    node.rebase();
    assert!(node.fold_rest(Folding::default()).is_some());
    let Event::Rebased(rebased) = &mut node.history.last_mut().expect("stated").0.event else { unreachable!() };
    rebased.digest = Hash::of(&[b"another view"]);
    assert_eq!(node.fold_rest(Folding::default()), None);
}

/// One random happening.
#[derive(Clone, Debug)]
enum Step {
    Submit { reference: u8, to: u8, hours: i64, respond: u8 },
    Sign { by: u8, items: Vec<(u8, u8)> },
    Wait(u64),
    Adopt,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0_u8..12, 1_u8..8, 1_i64..30, 0_u8..3)
            .prop_map(|(reference, to, hours, respond)| Step::Submit { reference, to, hours, respond }),
        5 => (0_u8..3, prop::collection::vec((0_u8..16, 0_u8..3), 1..4)).prop_map(|(by, items)| Step::Sign { by, items }),
        2 => (0_u64..9).prop_map(Step::Wait),
        1 => Just(Step::Adopt),
    ]
}

const RECIPIENTS: [&str; 3] = ["DE", "IT", "ES"];

fn proposal(world: &World, node: &Node, step: &Step) -> Option<Proposal> {
    match step {
        Step::Submit { reference, to, hours, respond } => {
            let to: Vec<_> = (0..3).filter(|nth| to & (1 << nth) != 0).map(|nth| RECIPIENTS[nth]).collect();
            let respond = [RespondBy::None, RespondBy::OneHour, RespondBy::EightHours][usize::from(*respond)];
            let mut draft = world.draft("FR", &format!("FR/{reference}"), &to);
            (draft.issued_at, draft.respond_by) = (node.now, respond);
            draft.expires_at = node.now.plus(hours * Micros::HOUR);
            Some(world.submit(draft))
        }
        Step::Sign { by, items } => {
            let verdict = |nth: &u8| [Verdict::Received, Verdict::Accepted, Verdict::Refused][usize::from(*nth)];
            let notice = |leaf: u8| match node.history.get(usize::from(leaf)).map(|(statement, _)| &statement.event)
            {
                Some(Event::Accepted(accepted)) => accepted.notice,
                _ => NoticeId(Hash::of(&[b"none"])),
            };
            let item = |(leaf, nth): &(u8, u8)| (LeafIndex(u64::from(*leaf)), notice(*leaf), verdict(nth));
            let items: Vec<_> = items.iter().map(item).collect();
            Some(world.acknowledge(RECIPIENTS[usize::from(*by)], &items))
        }
        Step::Wait(_) | Step::Adopt => None,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_decided_live_is_what_the_store_gives_back(
        batches in prop::collection::vec(prop::collection::vec(step(), 1..5), 1..12),
    ) {
        let mut world = World::small();
        let mut node = Node::new(&world);
        let mut bases = Vec::new();
        for batch in &batches {
            let mut proposals = Vec::new();
            for step in batch {
                match step {
                    Step::Wait(hours) => node.advance(HOUR * u32::try_from(*hours).expect("few")),
                    Step::Adopt => {
                        world = world.next(|plan| plan);
                        proposals.push(Proposal::Adopt(world.head()));
                    }
                    other => proposals.extend(proposal(&world, &node, other)),
                }
            }
            node.batch(&proposals);
            prop_assert!(node.view == node.folded());
            prop_assert!(node.view == node.together());
            // Nothing is overdue once a pass has gone through, and only what is open waits.
            node.batch(&[]);
            prop_assert_eq!(node.view.overdue(node.now).count(), 0);
            for id in RECIPIENTS {
                let number = world.partner(id).number;
                let due = node.view.due(number, Cursor::default(), 1_000);
                let waits = |seq| node.view.open(seq).is_some_and(|open| open.waiting().any(|one| one == number));
                prop_assert!(due.iter().all(|due| waits(due.seq)));
            }
            if node.history.len().is_multiple_of(3) {
                bases.push(node.rebase());
            }
        }
        for base in bases {
            prop_assert!(node.folded_from(base).is_some_and(|view| view == node.view));
        }
        node.advance(HOUR * 1_000);
        node.batch(&[]);
        prop_assert_eq!(node.view.next_deadline(), None);
        let open = (0..node.history.len()).filter(|seq| node.view.open(Seq(*seq as u64)).is_some());
        prop_assert_eq!(open.count(), 0, "everything closes in the end");
    }
}
