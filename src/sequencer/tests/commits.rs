//! Every write broken twice.

use futures_util::FutureExt as _;
use liaison_protocol::id::{LeafIndex, Seq};
use liaison_protocol::proto::Verdict;
use tokio::sync::oneshot;

use super::assert_refolds;
use crate::sequencer::inbox::PROPOSALS_MAX;
use crate::sequencer::{Answer, Busy, Stopped};
use crate::state::Proposal;
use crate::store::faulty::Fault;
use crate::store::{CommitError, Store as _};
use crate::world::{Rig, World, one};

fn unknown() -> CommitError {
    CommitError::Unknown("the line broke".into())
}

#[tokio::test]
async fn fault_90_a_commit_of_which_nothing_is_known_is_found_out_by_sending_the_same_again() {
    type Broken = fn(CommitError) -> Fault;
    let ways: [(Broken, bool); 2] = [(Fault::NotPersisted, false), (Fault::PersistedButReportedFailed, true)];
    for (broken, there) in ways {
        let rig = Rig::new(World::small());
        let running = rig.start().await;
        let (before, before_id) = rig.world.notice("FR", "FR/before", &["DE"]);
        let leaf = rig.assert_proven(&one(&running.sequencer, before).await.stated());
        let next = rig.world.next(|plan| plan.group("LATER", &["DE"]));
        let proposals: [Proposal; 3] = [
            rig.world.notice("FR", "FR/1", &["DE", "IT"]).0,
            rig.world.acknowledge("DE", &[(leaf, before_id, Verdict::Received)]),
            Proposal::Adopt(next.head()),
        ];
        for proposal in proposals {
            let size = running.sequencer.published().borrow().size();
            rig.store.break_commit(rig.store.commits(), broken(unknown()));
            match one(&running.sequencer, proposal.clone()).await {
                // Its own head is there: nobody has to ask again.
                Answer::Stated(stated) if there => drop(rig.assert_proven(&stated)),
                Answer::Unknown if !there => {}
                answer => panic!("{answer:?}"),
            }
            let again = one(&running.sequencer, proposal.clone()).await;
            match (&proposal, again) {
                (_, Answer::Stated(stated)) if !there => drop(rig.assert_proven(&stated)),
                (Proposal::Submit(_) | Proposal::Adopt(_), Answer::Already(seq)) if there => {
                    assert_eq!(seq, Seq(size));
                }
                // Whoever asks again reads from the store what settled it.
                (Proposal::Acknowledge(..), Answer::Stale) if there => {}
                (_, other) => panic!("{proposal:?}: {other:?}"),
            }
            let published = running.sequencer.published().borrow().clone();
            assert_eq!(published.size(), size + 1, "stated exactly once");
            assert_refolds(&rig, &running).await;
        }
    }
}

#[tokio::test]
async fn fault_90_a_note_of_which_nothing_is_known_is_stored_again() {
    for persisted in [false, true] {
        let rig = Rig::new(World::small());
        let running = rig.start().await;
        let size = running.sequencer.published().borrow().size();
        let nth = rig.store.commits();
        let fault = if persisted { Fault::PersistedButReportedFailed } else { Fault::NotPersisted };
        rig.store.break_commit(nth, fault(unknown()));
        super::eventually(&rig, || rig.store.commits() > nth + 1);
        Rig::stop(running).await;
        assert_eq!(rig.memory.last_note().await.expect("reads").expect("a note").size, size);
    }
}

#[tokio::test]
async fn fault_74_a_store_that_comes_back_older_than_what_was_signed_is_not_signed_on() {
    let rig = Rig::new(World::small());
    let running = rig.start().await;
    let nth = rig.store.commits();
    rig.store.break_commit(nth, Fault::LostLater);
    rig.store.break_commit(nth + 1, Fault::NotPersisted(unknown()));
    one(&running.sequencer, rig.world.notice("FR", "FR/lost", &["DE"]).0).await.stated();
    let after = running.sequencer.append(vec![rig.world.notice("FR", "FR/fork", &["DE"]).0]).await;
    assert!(matches!(after, Err(Busy::Stopped)), "{after:?}");
    assert!(matches!(running.stopped.await, Ok(Stopped::Fatal(_))));
}

#[tokio::test]
async fn fault_85_after_a_failed_disk_nothing_is_answered_any_more() {
    for persisted in [false, true] {
        let rig = Rig::new(World::small());
        let running = rig.start().await;
        let fatal = CommitError::Fatal("fsync failed".into());
        let fault = if persisted { Fault::PersistedButReportedFailed } else { Fault::NotPersisted };
        rig.store.break_commit(rig.store.commits(), fault(fatal));
        let (proposal, _) = rig.world.notice("FR", "FR/1", &["DE"]);
        let answer = running.sequencer.append(vec![proposal.clone()]).await;
        assert!(matches!(answer, Err(Busy::Stopped)), "{answer:?}");
        assert!(matches!(running.stopped.await, Ok(Stopped::Fatal(_))));
        let answer = running.sequencer.append(vec![proposal.clone()]).await;
        assert!(matches!(answer, Err(Busy::Stopped)), "{answer:?}");
        // The next start finds it, or takes it anew: once in either case.
        let running = rig.start().await;
        let answer = one(&running.sequencer, proposal).await;
        assert_eq!(matches!(answer, Answer::Already(Seq(2))), persisted, "{answer:?}");
        assert_refolds(&rig, &running).await;
    }
}

#[tokio::test]
async fn fault_88_recipients_sign_while_submissions_are_more_than_are_taken() {
    let rig = Rig::new(World::small());
    let running = rig.start().await;
    let (first, id) = rig.world.notice("FR", "FR/1", &["DE"]);
    let leaf = rig.assert_proven(&one(&running.sequencer, first.clone()).await.stated());
    let (release, told) = oneshot::channel();
    rig.store.break_commit(rig.store.commits(), Fault::Waits(told));
    let (slow, _) = rig.world.notice("FR", "FR/slow", &["DE"]);
    let sequencer = &running.sequencer;
    let nth = rig.store.commits();
    let mut slow = Box::pin(sequencer.append(vec![slow]));
    assert!(futures_util::poll!(&mut slow).is_pending());
    super::eventually(&rig, || rig.store.commits() > nth);
    let flood = sequencer.append(vec![first.clone(); PROPOSALS_MAX - 1]);
    let more = sequencer.append(vec![first.clone(); 2]);
    let signs = sequencer.append(vec![rig.world.acknowledge("DE", &[(leaf, id, Verdict::Accepted)])]);
    let all = async { futures_util::join!(slow, flood, more, signs, async { release.send(()) }) };
    let (slow, flood, more, signs, _) = super::while_time_passes(&rig, all).await;
    assert!(matches!(more, Err(Busy::Full)), "{more:?}");
    let [Answer::Stated(slow), Answer::Stated(signs)] =
        [slow.expect("taken").remove(0), signs.expect("taken").remove(0)]
    else {
        panic!("both are stated")
    };
    assert_eq!(signs.seq, Seq(slow.seq.0 + 1));
    assert_eq!(flood.expect("taken").len(), PROPOSALS_MAX - 1);
    super::while_time_passes(&rig, assert_refolds(&rig, &running)).await;
}

#[tokio::test]
async fn fault_92_what_was_taken_is_decided_though_nobody_waits_for_it_any_more() {
    let rig = Rig::new(World::small());
    let running = rig.start().await;
    let (release, told) = oneshot::channel();
    rig.store.break_commit(rig.store.commits(), Fault::Waits(told));
    for reference in ["FR/1", "FR/2", "FR/3"] {
        let (proposal, _) = rig.world.notice("FR", reference, &["DE"]);
        assert!(running.sequencer.append(vec![proposal]).now_or_never().is_none(), "it waits for the disk");
    }
    drop(running.sequencer);
    let _ = release.send(());
    assert!(matches!(running.stopped.await, Ok(Stopped::Asked)));
    assert_eq!(rig.all().await.len(), 5, "the log, the directory and three notices");
}

#[tokio::test]
async fn one_name_is_given_once_within_a_batch_too() {
    let rig = Rig::new(World::small());
    let running = rig.start().await;
    let (first, id) = rig.world.notice("FR", "FR/1", &["DE"]);
    let (other, _) = rig.world.notice("FR", "FR/1", &["IT"]);
    let leaf = LeafIndex(2);
    let signs = rig.world.acknowledge("DE", &[(leaf, id, Verdict::Received)]);
    let answers = running.sequencer.append(vec![first.clone(), first, other, signs]).await.expect("running");
    let [Answer::Stated(stated), Answer::Already(again), Answer::Refused(conflict), Answer::Stale] =
        answers.as_slice()
    else {
        panic!("{answers:?}")
    };
    assert_eq!(*again, stated.seq);
    assert_eq!(conflict.reason, liaison_protocol::reason::Reason::ReferenceConflict);
    assert_refolds(&rig, &running).await;
}
