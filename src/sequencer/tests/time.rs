//! Time alone: what expires without anyone asking, and what does not while the clocks disagree.

use std::time::Duration;

use liaison_protocol::id::{Micros, Seq};
use liaison_protocol::proto::{ExpiredOutcome, RespondBy, Verdict};
use liaison_protocol::statement::{Event, Statement};

use super::{assert_refolds, eventually, with_view};
use crate::sequencer::Answer;
use crate::state::{Detail, StoredDetail};
use crate::world::{Rig, START, World, one};

const HOUR: Duration = Duration::from_secs(3_600);

/// What the nth statement closed: leaf, recipient's number and outcome.
async fn expired(rig: &Rig, nth: usize) -> Vec<(u64, u32, ExpiredOutcome)> {
    let entry = &rig.all().await[nth];
    let opening = entry.opening.as_ref().expect("nothing is erased");
    let event = Statement::decode(opening.statement.clone()).expect("a statement").event;
    match StoredDetail::decode(&entry.detail, &event) {
        Ok(StoredDetail::Whole(Detail::Expired(items))) => {
            let mut said: Vec<_> = items.iter().map(|item| (item.leaf.0, item.recipient.0, item.outcome)).collect();
            said.sort_by_key(|(leaf, recipient, outcome)| (*leaf, *recipient, *outcome as i32));
            said
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_deadline_is_stated_without_any_traffic_and_says_truly_what_is_known() {
    let rig = Rig::new(World::small());
    let running = rig.start().await;
    let mut draft = rig.world.draft("FR", "FR/1", &["DE", "IT", "ES"]);
    draft.expires_at = START.plus(2 * Micros::HOUR);
    draft.respond_by = RespondBy::OneHour;
    let proposal = rig.world.submit(draft);
    let crate::state::Proposal::Submit(permit) = &proposal else { unreachable!() };
    let id = permit.manifest().id();
    let leaf = rig.assert_proven(&one(&running.sequencer, proposal).await.stated());
    let number = |id: &str| rig.world.partner(id).number;
    rig.transmitted.mark(number("IT"), [Seq(leaf.0)]);
    one(&running.sequencer, rig.world.acknowledge("DE", &[(leaf, id, Verdict::Received)])).await.stated();

    let size = || running.sequencer.published().borrow().size();
    rig.clock.advance(HOUR);
    eventually(&rig, || size() == 5);
    let unanswered = |id: &str| (leaf.0, number(id).0, ExpiredOutcome::Unanswered);
    assert_eq!(expired(&rig, 4).await, [unanswered("DE"), unanswered("IT"), unanswered("ES")]);
    // Not delivered after its time to decide, and still delivered.
    assert_eq!(with_view(&running, |view| view.mailbox(number("IT")).expect("known").waiting()), 1);
    assert_eq!(with_view(&running, |view| view.next_deadline()), Some(START.plus(2 * Micros::HOUR)));

    rig.clock.advance(HOUR);
    eventually(&rig, || size() == 6);
    assert_eq!(
        expired(&rig, 5).await,
        [
            (leaf.0, number("IT").0, ExpiredOutcome::TransmittedNotSigned),
            (leaf.0, number("ES").0, ExpiredOutcome::NeverTransmitted),
        ]
    );
    with_view(&running, |view| {
        assert!(view.open(Seq(leaf.0)).is_none() && view.next_deadline().is_none());
    });
    // Whether it was sent no longer matters, and is forgotten.
    assert_eq!(rig.transmitted.outcome(Seq(leaf.0), number("IT"), Seq(0)), ExpiredOutcome::NeverTransmitted);
    assert_refolds(&rig, &running).await;
}

#[tokio::test]
async fn after_a_restart_nobody_claims_that_a_notice_was_never_sent() {
    let rig = Rig::new(World::small());
    let running = rig.start().await;
    let (proposal, _) = rig.world.notice("FR", "FR/1", &["DE"]);
    one(&running.sequencer, proposal).await.stated();
    Rig::stop(running).await;
    rig.clock.advance(31 * 24 * HOUR);
    let running = rig.try_start().await.expect("starts");
    eventually(&rig, || running.sequencer.published().borrow().size() == 4);
    assert_eq!(expired(&rig, 3).await, [(2, rig.world.partner("DE").number.0, ExpiredOutcome::NotSigned)]);
}

#[tokio::test]
async fn fault_103_a_jumping_wall_clock_expires_nothing_and_notices_are_still_taken() {
    for jump in [400 * Micros::DAY, -Micros::DAY] {
        let rig = Rig::new(World::small());
        let running = rig.start().await;
        let (before, id) = rig.world.notice("FR", "FR/before", &["DE"]);
        let leaf = rig.assert_proven(&one(&running.sequencer, before).await.stated());
        rig.clock.jump(jump);
        rig.clock.advance(Duration::from_secs(60));
        let (during, _) = rig.world.notice("FR", "FR/during", &["DE"]);
        let answer = one(&running.sequencer, during).await;
        let Answer::Stated(stated) = answer else { panic!("by {jump}: {answer:?}") };
        let stated = Statement::decode(stated.opening.statement).expect("a statement");
        assert_eq!(stated.observed_at, START.plus(jump + 60 * Micros::SECOND), "raw time is recorded");
        one(&running.sequencer, rig.world.acknowledge("DE", &[(leaf, id, Verdict::Accepted)])).await.stated();
        let nothing = |entry: &crate::store::Stored| {
            let opening = entry.opening.as_ref().expect("nothing is erased");
            !matches!(Statement::decode(opening.statement.clone()).expect("read").event, Event::Expired(_))
        };
        assert!(rig.all().await.iter().all(nothing), "by {jump}");
        // A notice that is out of its time by both clocks is still refused.
        let mut old = rig.world.draft("FR", "FR/old", &["DE"]);
        old.issued_at = START.plus(-200 * Micros::DAY);
        assert!(matches!(one(&running.sequencer, rig.world.submit(old)).await, Answer::Refused(_)));
        // And once the clocks agree again, time goes on.
        rig.clock.jump(-jump);
        let before = running.sequencer.published().borrow().size();
        rig.clock.advance(31 * 24 * HOUR);
        eventually(&rig, || running.sequencer.published().borrow().size() > before);
        assert_refolds(&rig, &running).await;
    }
}
