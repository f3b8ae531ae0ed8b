//! A store that cannot be reached: callers are answered at once, nothing is half done, and work goes on without a restart.

use crate::anchor::{Anchor, Anchored};
use std::sync::Arc;

use liaison_protocol::id::Seq;
use liaison_protocol::proto::Verdict;

use super::{assert_refolds, eventually};
use crate::sequencer::{self, Answer, CannotStart, Stopped};
use crate::state::Proposal;
use crate::store::faulty::Fault;
use crate::store::{CommitError, Store as _, WriterError};
use crate::world::{Rig, World, one};

/// Another program's lock; another node, or our own old session; a server that is down.
const WAYS: [fn() -> WriterError; 3] = [
    || WriterError::Busy("database is locked".into()),
    || WriterError::Held("process 7".into()),
    || WriterError::Unavailable("no route".into()),
];

fn away(rig: &Rig) -> bool {
    rig.counts.store_away.is_set()
}

#[tokio::test]
async fn fault_89_while_the_store_is_away_everyone_is_answered_at_once_and_then_all_goes_on() {
    for no_writer in WAYS {
        let rig = Rig::new(World::small());
        let running = rig.start().await;
        let (first, id) = rig.world.notice("FR", "FR/1", &["DE"]);
        let leaf = rig.assert_proven(&one(&running.sequencer, first.clone()).await.stated());
        let next = rig.world.next(|plan| plan.group("LATER", &["DE"]));
        let proposals = || {
            [
                // Found out by reading names, and by committing.
                rig.world.notice("FR", "FR/2", &["DE", "IT"]).0,
                rig.world.acknowledge("DE", &[(leaf, id, Verdict::Received)]),
                Proposal::Adopt(next.head()),
            ]
        };
        let size = running.sequencer.published().borrow().size();
        for (nth, proposal) in proposals().into_iter().enumerate() {
            rig.store.goes_away(no_writer);
            for _ in 0..3 {
                let answer = one(&running.sequencer, proposal.clone()).await;
                assert!(matches!(answer, Answer::Away), "{answer:?}");
                assert!(away(&rig));
            }
            let asked = rig.store.asked();
            eventually(&rig, || rig.store.asked() > asked + 2);
            rig.store.comes_back();
            eventually(&rig, || !away(&rig));
            rig.assert_proven(&one(&running.sequencer, proposal).await.stated());
            assert_eq!(running.sequencer.published().borrow().size(), size + 1 + nth as u64, "stated once");
        }
        assert_refolds(&rig, &running).await;
        assert!(matches!(Rig::stop(running).await, Stopped::Asked));
    }
}

#[tokio::test]
async fn fault_89_a_store_that_is_away_is_asked_with_growing_pauses_however_many_call() {
    let rig = Rig::new(World::small());
    let running = rig.start().await;
    rig.store.goes_away(WAYS[2]);
    let (proposal, _) = rig.world.notice("FR", "FR/1", &["DE"]);
    let asked = rig.store.asked();
    for _ in 0..100 {
        assert!(matches!(one(&running.sequencer, proposal.clone()).await, Answer::Away));
    }
    assert_eq!(rig.store.asked(), asked, "no time has passed");
    for _ in 0..60_000 {
        rig.clock.advance(std::time::Duration::from_millis(1));
        if rig.store.asked() > asked + 70 {
            break;
        }
        tokio::task::yield_now().await;
    }
    assert!(rig.store.asked() <= asked + 64, "in a minute, {}", rig.store.asked() - asked);
    rig.store.comes_back();
    eventually(&rig, || !away(&rig));
    rig.assert_proven(&one(&running.sequencer, proposal).await.stated());
}

#[tokio::test]
async fn fault_89_and_90_where_the_store_goes_away_in_a_commit_what_is_there_is_found_out_later() {
    for there in [false, true] {
        for no_writer in WAYS {
            let rig = Rig::new(World::small());
            let running = rig.start().await;
            let size = running.sequencer.published().borrow().size();
            let unknown = CommitError::Unknown("the line broke".into());
            let fault = if there { Fault::PersistedButReportedFailed } else { Fault::NotPersisted };
            // Into the commit itself: the names are read before.
            let signed = rig.world.next(|plan| plan.group("LATER", &["DE"]));
            rig.store.break_commit(rig.store.commits(), fault(unknown));
            rig.store.goes_away(no_writer);
            let answer = one(&running.sequencer, Proposal::Adopt(signed.head())).await;
            assert!(matches!(answer, Answer::Unknown), "{answer:?}");
            assert!(away(&rig));
            let meanwhile = one(&running.sequencer, Proposal::Adopt(signed.head())).await;
            assert!(matches!(meanwhile, Answer::Away), "{meanwhile:?}");
            rig.store.comes_back();
            eventually(&rig, || !away(&rig));
            match one(&running.sequencer, Proposal::Adopt(signed.head())).await {
                Answer::Already(seq) if there => assert_eq!(seq, Seq(size)),
                Answer::Stated(stated) if !there => drop(rig.assert_proven(&stated)),
                answer => panic!("{answer:?}"),
            }
            assert_eq!(running.sequencer.published().borrow().size(), size + 1, "stated once");
            assert_refolds(&rig, &running).await;
        }
    }
}

#[tokio::test]
async fn fault_73_what_another_node_stated_meanwhile_is_taken_up() {
    let rig = Rig::new(World::small());
    let running = rig.start().await;
    rig.store.goes_away(WAYS[1]);
    let (ours, _) = rig.world.notice("FR", "FR/ours", &["DE"]);
    assert!(matches!(one(&running.sequencer, ours.clone()).await, Answer::Away));
    let asked = rig.store.asked();
    eventually(&rig, || rig.store.asked() > asked);
    let mut parts = rig.parts();
    parts.store = Arc::new(rig.memory.clone());
    let other = sequencer::start(parts).await.expect("the writer is free");
    let (theirs, _) = rig.world.notice("FR", "FR/theirs", &["DE"]);
    let stated = one(&other.sequencer, theirs.clone()).await.stated();
    assert!(matches!(Rig::stop(other).await, Stopped::Asked));
    rig.counts.store_away.set(true);
    rig.store.comes_back();
    eventually(&rig, || !away(&rig));
    assert!(matches!(one(&running.sequencer, theirs).await, Answer::Already(seq) if seq == stated.seq));
    let ours = one(&running.sequencer, ours).await.stated();
    rig.assert_proven(&ours);
    assert_eq!(ours.seq, Seq(stated.seq.0 + 1));
    assert_refolds(&rig, &running).await;
}

#[tokio::test]
async fn fault_89_a_node_stops_while_its_store_is_away_and_whatever_became_of_its_last_note() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut rig = Rig::new(World::small());
    let anchor = Arc::new(Anchor::create(folder.path(), &rig.world.origin, None).expect("makes it"));
    rig.anchor = Anchored::Here(anchor.clone());
    let running = rig.start().await;
    rig.store.goes_away(WAYS[0]);
    let (proposal, _) = rig.world.notice("FR", "FR/1", &["DE"]);
    assert!(matches!(one(&running.sequencer, proposal).await, Answer::Away));
    let newest = running.sequencer.published().borrow().checkpoint.clone();
    assert!(matches!(Rig::stop(running).await, Stopped::Asked));
    assert_eq!(anchor.content().checkpoint, Some(newest));
    rig.store.comes_back();
    type Said = fn() -> CommitError;
    let last: [Said; 2] =
        [|| CommitError::Unavailable("locked".into()), || CommitError::Unknown("the line broke".into())];
    for (nth, said) in last.into_iter().enumerate() {
        let running = rig.start().await;
        let (proposal, _) = rig.world.notice("FR", &format!("FR/last/{nth}"), &["DE"]);
        one(&running.sequencer, proposal).await.stated();
        rig.store.break_commit(rig.store.commits(), Fault::NotPersisted(said()));
        assert!(matches!(Rig::stop(running).await, Stopped::Asked));
    }
    let running = rig.start().await;
    assert_refolds(&rig, &running).await;
}

#[tokio::test]
async fn fault_89_a_base_waits_for_a_store_that_is_away() {
    type Said = fn() -> CommitError;
    let rows: [(Said, bool); 3] = [
        (|| CommitError::Unavailable("locked".into()), false),
        (|| CommitError::Unknown("the line broke".into()), false),
        (|| CommitError::Unknown("the line broke".into()), true),
    ];
    for (said, there) in rows {
        let mut rig = Rig::new(World::small());
        rig.rebase_after = 20;
        let running = rig.start().await;
        // Around the twentieth statement every other commit breaks, the base's among them.
        for nth in 0..60 {
            let (proposal, _) = rig.world.notice("FR", &format!("FR/{nth}"), &["DE"]);
            if (16..30).contains(&nth) {
                let fault = if there { Fault::PersistedButReportedFailed } else { Fault::NotPersisted };
                rig.store.break_commit(rig.store.commits() + nth % 2, fault(said()));
            }
            loop {
                match one(&running.sequencer, proposal.clone()).await {
                    Answer::Stated(stated) => {
                        rig.assert_proven(&stated);
                        break;
                    }
                    Answer::Already(_) => break,
                    Answer::Away | Answer::Unknown => eventually(&rig, || !away(&rig)),
                    other => panic!("{other:?}"),
                }
            }
        }
        assert!(rig.memory.base().await.expect("reads").is_some(), "it moved in the end");
        assert_refolds(&rig, &running).await;
        assert!(matches!(Rig::stop(running).await, Stopped::Asked));
        let running = rig.try_start().await.expect("starts");
        assert_refolds(&rig, &running).await;
    }
}

#[tokio::test]
async fn fault_73_and_89_a_start_waits_for_a_locked_store_and_refuses_one_that_another_node_has() {
    for (no_writer, waits) in WAYS.into_iter().zip([true, false, false]) {
        let rig = Rig::new(World::small());
        let running = rig.start().await;
        assert!(matches!(Rig::stop(running).await, Stopped::Asked));
        rig.store.goes_away(no_writer);
        if !waits {
            let refused = rig.try_start().await.map(|running| running.recovered);
            assert!(matches!(refused, Err(CannotStart::Writer(_))), "{refused:?}");
            continue;
        }
        let starting = rig.try_start();
        let watched = async {
            eventually(&rig, || away(&rig) && rig.store.asked() > 8);
            rig.store.comes_back();
            eventually(&rig, || !away(&rig));
        };
        let (running, ()) = futures_util::join!(starting, watched);
        assert_refolds(&rig, &running.expect("starts")).await;
    }
}

#[tokio::test]
async fn fault_89_a_start_that_nobody_waits_for_any_more_gives_the_store_up() {
    let rig = Rig::new(World::small());
    rig.store.goes_away(WAYS[0]);
    {
        let mut starting = Box::pin(rig.try_start());
        assert!(futures_util::poll!(&mut starting).is_pending());
        eventually(&rig, || away(&rig));
    }
    rig.store.comes_back();
    let running = rig.start().await;
    assert_refolds(&rig, &running).await;
}

#[tokio::test]
async fn fault_85_a_store_that_has_failed_is_not_waited_for() {
    let rig = Rig::new(World::small());
    let running = rig.start().await;
    rig.store.break_commit(rig.store.commits(), Fault::NotPersisted(CommitError::Unknown("cut".into())));
    rig.store.goes_away(|| WriterError::Failed("fsync failed".into()));
    let (proposal, _) = rig.world.notice("FR", "FR/1", &["DE"]);
    let _ = running.sequencer.append(vec![proposal]).await;
    let clock = rig.clock.clone();
    let mut stopped = running.stopped;
    let stopped = loop {
        if let Ok(stopped) = stopped.try_recv() {
            break stopped;
        }
        clock.advance(std::time::Duration::from_millis(1));
        tokio::task::yield_now().await;
    };
    assert!(matches!(stopped, Stopped::Fatal(_)), "{stopped:?}");
}
