//! A disk that is full: who is refused, for how long, and what goes on.

use liaison_protocol::id::{LeafIndex, NoticeId};
use liaison_protocol::proto::Verdict;

use super::{assert_refolds, eventually, with_view};
use crate::sequencer::{Answer, Running, Stopped};
use crate::state::Proposal;
use crate::store::CommitError;
use crate::store::faulty::Fault;
use crate::world::{Rig, World, one};

/// Entries of more bytes find no room: notices of `large` size, but not statements.
const STATEMENTS_ONLY: usize = 4_000;
/// Not even statements.
const NOTHING: usize = 10;

fn large(rig: &Rig, reference: &str) -> Proposal {
    let mut draft = rig.world.draft("FR", reference, &["DE"]);
    draft.parts[0].bytes = vec![7; 20_000].into();
    rig.world.submit(draft)
}

/// What readiness says: `store_full` and `no_reserve`.
fn said(rig: &Rig) -> (bool, bool) {
    (rig.counts.store_full.is_set(), rig.counts.no_reserve.is_set())
}

/// A notice that was taken, and waits for DE.
struct Waiting {
    proposal: Proposal,
    leaf: LeafIndex,
    id: NoticeId,
}

/// A node with so many small notices that wait for DE.
async fn with_notices(rig: &Rig, count: usize) -> (Running, Vec<Waiting>) {
    let running = rig.start().await;
    let mut taken = Vec::new();
    for nth in 0..count {
        let (proposal, id) = rig.world.notice("FR", &format!("FR/{nth}"), &["DE"]);
        let leaf = rig.assert_proven(&one(&running.sequencer, proposal.clone()).await.stated());
        taken.push(Waiting { proposal, leaf, id });
    }
    (running, taken)
}

fn signs(rig: &Rig, waiting: &Waiting) -> Proposal {
    rig.world.acknowledge("DE", &[(waiting.leaf, waiting.id, Verdict::Received)])
}

#[tokio::test]
async fn fault_86_the_reserve_is_for_recipients_and_no_submission_gets_any_of_it() {
    let rig = Rig::new(World::small());
    let (running, waiting) = with_notices(&rig, 2).await;
    assert_eq!(said(&rig), (false, false));
    rig.store.room_for(NOTHING, STATEMENTS_ONLY);
    // In one batch with what is too large, and after it: the first recipient gets the reserve.
    let both = vec![large(&rig, "FR/large"), signs(&rig, &waiting[0])];
    let answers = running.sequencer.append(both).await.expect("running");
    let [Answer::NoRoom, Answer::Stated(signed)] = answers.as_slice() else { panic!("{answers:?}") };
    rig.assert_proven(signed);
    assert_eq!(said(&rig), (true, true));
    // Small ones would fit into what the reserve has given. They are refused, and the store is not even asked.
    let (commits, size) = (rig.store.commits(), running.sequencer.published().borrow().size());
    for nth in 0..515 {
        let (small, _) = rig.world.notice("FR", &format!("FR/more/{nth}"), &["DE"]);
        let answer = one(&running.sequencer, small).await;
        assert!(matches!(answer, Answer::NoRoom), "{nth}: {answer:?}");
    }
    assert_eq!(running.sequencer.published().borrow().size(), size);
    assert!(rig.store.commits() <= commits + 1, "a note, at most");
    // A name that was given before gets its first receipt, and another notice under it is still a conflict.
    let answer = one(&running.sequencer, waiting[0].proposal.clone()).await;
    assert!(matches!(answer, Answer::Already(_)), "{answer:?}");
    let answer = one(&running.sequencer, rig.world.notice("FR", "FR/1", &["IT"]).0).await;
    assert!(matches!(answer, Answer::Refused(_)), "{answer:?}");
    rig.assert_proven(&one(&running.sequencer, signs(&rig, &waiting[1])).await.stated());
    let de = rig.world.partner("DE").number;
    assert_eq!(with_view(&running, |view| view.mailbox(de).expect("known").waiting()), 0);
    assert_refolds(&rig, &running).await;
}

#[tokio::test]
async fn fault_86_submissions_are_refused_for_exactly_as_long_as_readiness_says_so() {
    let rig = Rig::new(World::small());
    let (running, _) = with_notices(&rig, 0).await;
    rig.store.room_for(STATEMENTS_ONLY, STATEMENTS_ONLY);
    assert!(matches!(one(&running.sequencer, large(&rig, "FR/large")).await, Answer::NoRoom));
    assert_eq!(said(&rig), (true, false), "nobody has needed the reserve yet");
    // Whatever time passes: the writer finds no margin beside its reserve.
    for _ in 0..20 {
        rig.clock.advance(std::time::Duration::from_secs(7));
        let _ = running.sequencer.append(Vec::new()).await;
        assert!(matches!(one(&running.sequencer, rig.world.notice("FR", "FR/s", &["DE"]).0).await, Answer::NoRoom));
        assert_eq!(said(&rig), (true, false));
    }
    rig.store.room_for_all();
    eventually(&rig, || !rig.counts.store_full.is_set());
    rig.assert_proven(&one(&running.sequencer, large(&rig, "FR/large")).await.stated());
    assert_eq!(said(&rig), (false, false));
    assert_refolds(&rig, &running).await;
}

#[tokio::test]
async fn fault_86_when_the_reserve_is_used_up_recipients_wait_too_and_readiness_says_that_they_may() {
    let rig = Rig::new(World::small());
    let (running, waiting) = with_notices(&rig, 2).await;
    rig.store.room_for(NOTHING, NOTHING);
    let answer = one(&running.sequencer, signs(&rig, &waiting[0])).await;
    assert!(matches!(answer, Answer::NoRoom), "{answer:?}");
    assert_eq!(said(&rig), (true, true));
    rig.store.room_for_all();
    // What fits is taken, whether or not anybody has looked for room yet.
    rig.assert_proven(&one(&running.sequencer, signs(&rig, &waiting[0])).await.stated());
    assert_eq!(said(&rig), (true, true));
    eventually(&rig, || said(&rig) == (false, false));
    assert_refolds(&rig, &running).await;
}

#[tokio::test]
async fn fault_86_a_start_on_a_full_disk_refuses_submissions_from_the_first() {
    let rig = Rig::new(World::small());
    let (running, waiting) = with_notices(&rig, 1).await;
    assert!(matches!(Rig::stop(running).await, Stopped::Asked));
    rig.store.room_for(STATEMENTS_ONLY, STATEMENTS_ONLY);
    let running = rig.start().await;
    assert_eq!(said(&rig), (true, false));
    let (small, _) = rig.world.notice("FR", "FR/small", &["DE"]);
    assert!(matches!(one(&running.sequencer, small.clone()).await, Answer::NoRoom));
    rig.assert_proven(&one(&running.sequencer, signs(&rig, &waiting[0])).await.stated());
    rig.store.room_for_all();
    eventually(&rig, || said(&rig) == (false, false));
    rig.assert_proven(&one(&running.sequencer, small).await.stated());
    assert_refolds(&rig, &running).await;
}

#[tokio::test]
async fn fault_86_what_is_due_expires_on_a_full_disk_unless_a_recipient_needs_its_room() {
    let rig = Rig::new(World::small());
    let (running, _) = with_notices(&rig, 3).await;
    rig.store.room_for(NOTHING, STATEMENTS_ONLY);
    assert!(matches!(one(&running.sequencer, large(&rig, "FR/large")).await, Answer::NoRoom));
    let size = running.sequencer.published().borrow().size();
    rig.clock.advance(std::time::Duration::from_secs(3_600 * 24 * 400));
    eventually(&rig, || running.sequencer.published().borrow().size() > size);
    assert_eq!(said(&rig), (true, true));
    assert_refolds(&rig, &running).await;
}

#[tokio::test]
async fn fault_86_and_90_a_commit_from_the_reserve_of_which_nothing_is_known_does_not_end_the_node() {
    let unknown = || CommitError::Unknown("the line broke".into());
    for there in [false, true] {
        let rig = Rig::new(World::small());
        let (running, waiting) = with_notices(&rig, 1).await;
        rig.store.break_commit(rig.store.commits(), Fault::NotPersisted(CommitError::NoRoom));
        let fault = if there { Fault::PersistedButReportedFailed } else { Fault::NotPersisted };
        rig.store.break_commit(rig.store.commits() + 1, fault(unknown()));
        let both = vec![large(&rig, "FR/large"), signs(&rig, &waiting[0])];
        let answers = running.sequencer.append(both).await.expect("running");
        match answers.as_slice() {
            [Answer::NoRoom, Answer::Stated(signed)] if there => drop(rig.assert_proven(signed)),
            [Answer::NoRoom, Answer::Unknown] if !there => {
                rig.assert_proven(&one(&running.sequencer, signs(&rig, &waiting[0])).await.stated());
            }
            answers => panic!("{answers:?}"),
        }
        assert_refolds(&rig, &running).await;
    }
}

#[tokio::test]
async fn fault_86_a_full_store_does_not_keep_a_node_from_stopping() {
    let rig = Rig::new(World::small());
    let running = rig.start().await;
    rig.store.break_commit(rig.store.commits(), Fault::NotPersisted(CommitError::NoRoom));
    assert!(matches!(Rig::stop(running).await, Stopped::Asked));
    let running = rig.start().await;
    assert_eq!(running.recovered.unsigned, 1);
}
