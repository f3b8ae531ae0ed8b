//! A recipient's signed word: what it moves, and FAULTS 64 to 66.

use liaison_client::{Acknowledged, ItemOutcome, Signed};
use liaison_protocol::id::{Hash, LeafIndex, Micros, NoticeId};
use liaison_protocol::proto::{DecisionState, DeliveryState, Verdict};
use tonic::Code;

use crate::support::*;

/// Each item's outcome in a word.
fn words(answer: &Acknowledged) -> Vec<String> {
    let word = |outcome: &ItemOutcome| match outcome {
        ItemOutcome::Stands { duplicate, .. } => if *duplicate { "again" } else { "stands" }.to_string(),
        ItemOutcome::Refused(reason) => reason.clone(),
    };
    answer.outcomes.iter().map(word).collect()
}

#[tokio::test]
async fn a_partner_that_has_received_a_notice_accepts_it_later() {
    let network = Network::of(&["FR", "KE"]);
    let node = network.start().await;
    let (fr, ke) = (network.partner("FR", &node).await, network.partner("KE", &node).await);
    let (notice, _) = fr.send("FR/1", &["KE"]).await;
    let delivered = ke.collect().await;

    let rows = [(Verdict::Received, DecisionState::Open, 2), (Verdict::Accepted, DecisionState::Accepted, 3)];
    for (verdict, decision, receipts) in rows {
        ke.settle(&ke.verdict(&delivered, verdict)).await;
        let (evidence, all) = fr.evidence(None, &notice.reference).await;
        assert_eq!(evidence.outcomes[0].delivery(), DeliveryState::HandedOver);
        assert_eq!(evidence.outcomes[0].decision(), decision);
        assert_eq!(all.len(), receipts);
    }

    // The first decision stands.
    let refusing = ke.verdict_over(&delivered[0], Verdict::Refused, "too late");
    assert_eq!(words(&ke.acknowledge(&refusing).await.unwrap()), ["ALREADY_DECIDED"]);
    assert_log_is_sound(&fr).await;
}

#[tokio::test]
async fn a_refusal_reaches_the_originator_with_its_reason() {
    let network = Network::of(&["FR", "KE"]);
    let node = network.start().await;
    let (fr, ke) = (network.partner("FR", &node).await, network.partner("KE", &node).await);
    let (notice, _) = fr.send("FR/1", &["KE"]).await;
    let delivered = ke.collect().await;

    ke.settle(&ke.verdict_over(&delivered[0], Verdict::Refused, "not our jurisdiction")).await;

    let (evidence, _) = fr.evidence(None, &notice.reference).await;
    assert_eq!(evidence.outcomes[0].decision(), DecisionState::Refused);
    assert_eq!(evidence.outcomes[0].reason, "not our jurisdiction");
    assert!(ke.collect().await.is_empty());
    assert_log_is_sound(&fr).await;
}

#[tokio::test]
async fn fault_64_nobody_signs_for_another_and_nothing_is_signed_for_in_place_of_another() {
    let network = Network::of(&["FR", "KE", "NG"]);
    let node = network.start().await;
    let (fr, ke) = (network.partner("FR", &node).await, network.partner("KE", &node).await);
    let ng = network.partner("NG", &node).await;
    fr.send("FR/1", &["KE"]).await;
    fr.send("FR/2", &["KE"]).await;
    let delivered = ke.collect().await;
    let size = fr.log_size().await;
    let over = |who: &liaison_client::sign::Recipient, key: &dyn liaison_protocol::signer::Signer| {
        Signed::for_all(who, &delivered, Verdict::Accepted, now(), key).unwrap()
    };
    let (as_ke, as_ng) = (ke.recipient(), ng.recipient());
    let mut from_elsewhere = ke.recipient();
    from_elsewhere.system = "ops-2".parse().unwrap();
    let mut to_another_log = ke.recipient();
    to_another_log.log_origin = "elsewhere.example/log".parse().unwrap();
    let rows = [
        ("another's key", &ke, over(&as_ke, &ng.acknowledgement_key), Code::Unauthenticated, "BAD_SIGNATURE"),
        ("a notice key", &ke, over(&as_ke, &ke.notice_key), Code::Unauthenticated, "BAD_SIGNATURE"),
        ("another caller", &ng, over(&as_ke, &ke.acknowledgement_key), Code::Unauthenticated, "BAD_SIGNATURE"),
        ("another's name", &ke, over(&as_ng, &ke.acknowledgement_key), Code::PermissionDenied, "SENDER_MISMATCH"),
        (
            "a system",
            &ke,
            over(&from_elsewhere, &ke.acknowledgement_key),
            Code::PermissionDenied,
            "SENDER_MISMATCH",
        ),
        ("a log", &ke, over(&to_another_log, &ke.acknowledgement_key), Code::InvalidArgument, "FIELD_INVALID"),
    ];
    for (row, caller, signed, code, reason) in rows {
        let refused = caller.raw.acknowledge(&signed, |_| {}).await.unwrap_err();
        assert_eq!((refused.code, &*refused.reason), (code, reason), "{row}: {refused:?}");
    }

    // What was signed for is fixed: notices cannot be exchanged, decisions changed or items left out afterwards,
    type Change = fn(&mut Vec<liaison_protocol::proto::AcknowledgedItem>);
    let changes: [Change; 3] =
        [|items| items.swap(0, 1), |items| items[0].verdict = Verdict::Received.into(), |items| drop(items.pop())];
    for change in changes {
        let refused = ke.raw.acknowledge(&over(&as_ke, &ke.acknowledgement_key), change).await.unwrap_err();
        assert_eq!((refused.code, &*refused.reason), (Code::InvalidArgument, "PART_MISMATCH"), "{refused:?}");
    }

    // and who signs for one notice under the leaf of another has signed for neither.
    let crossed = ke.over([(delivered[0].leaf(), delivered[1].id), (delivered[1].leaf(), delivered[0].id)]);
    assert_eq!(words(&ke.acknowledge(&crossed).await.unwrap()), ["NOT_CONSIGNED", "NOT_CONSIGNED"]);
    assert_eq!(fr.log_size().await, size);
    assert_log_is_sound(&fr).await;
}

#[tokio::test]
async fn fault_65_after_a_restart_what_was_consigned_may_be_signed_for_and_nothing_else() {
    let network = Network::of(&["FR", "KE", "NG"]);
    let node = network.start().await;
    let (fr, ke) = (network.partner("FR", &node).await, network.partner("KE", &node).await);
    let (_, for_ng) = fr.send("FR/1", &["NG"]).await;
    let (notice, for_ke) = fr.send("FR/2", &["KE"]).await;
    ke.collect().await;
    node.kill().await;

    // Given a node that does not remember having sent anything,
    let node = network.start().await;
    let (fr, ke) = (network.partner("FR", &node).await, network.partner("KE", &node).await);
    let size = fr.log_size().await;
    let nowhere = NoticeId(Hash::of(&[b"nowhere"]));
    let signed = ke.over([
        (for_ng.receipt.leaf, notice.id),
        (for_ke.receipt.leaf, notice.id),
        (for_ke.receipt.leaf, nowhere),
        (LeafIndex(0), notice.id),
        (LeafIndex(u64::MAX), notice.id),
    ]);

    // then each item is judged by itself.
    let answer = ke.acknowledge(&signed).await.unwrap();
    let refused = "NOT_CONSIGNED";
    assert_eq!(words(&answer), [refused, "stands", refused, refused, refused]);
    assert_eq!(fr.log_size().await, size + 1);
    let (evidence, _) = fr.evidence(None, &notice.reference).await;
    assert_eq!(evidence.outcomes[0].decision(), DecisionState::Accepted);
    assert_log_is_sound(&fr).await;
}

#[tokio::test]
async fn fault_66_signing_twice_is_signing_once_also_after_a_restart() {
    let network = Network::of(&["FR", "KE"]);
    let node = network.start().await;
    let (fr, ke) = (network.partner("FR", &node).await, network.partner("KE", &node).await);
    fr.send("FR/1", &["KE"]).await;
    let delivered = ke.collect().await;
    let signed = ke.verdict(&delivered, Verdict::Accepted);
    let first = ke.settle(&signed).await;
    let size = ke.log_size().await;

    // Given the same bytes again, and the same word signed anew, before and after a restart,
    let anew = ke.verdict(&delivered, Verdict::Accepted);
    for signed in [&signed, &anew] {
        let answer = ke.acknowledge(signed).await.unwrap();
        assert_eq!(words(&answer), ["again"]);
        assert_eq!((answer.receipts[0].leaf, &answer.receipts[0].opening), (first.leaf, &first.opening));
    }
    assert_eq!(ke.log_size().await, size);
    node.kill().await;
    let node = network.start().await;
    let ke = network.partner("KE", &node).await;
    let size = ke.log_size().await;
    for signed in [&signed, &anew] {
        let answer = ke.acknowledge(signed).await.unwrap();
        assert_eq!(words(&answer), ["again"]);
        assert_eq!((answer.receipts[0].leaf, &answer.receipts[0].opening), (first.leaf, &first.opening));
    }
    assert_eq!(ke.log_size().await, size);
    assert_log_is_sound(&ke).await;
}

#[tokio::test]
async fn fault_66_one_notice_twice_in_one_batch_is_signed_for_once() {
    let network = Network::of(&["FR", "KE"]);
    let node = network.start().await;
    let (fr, ke) = (network.partner("FR", &node).await, network.partner("KE", &node).await);
    let (notice, taken) = fr.send("FR/1", &["KE"]).await;
    let twice = ke.over([(taken.receipt.leaf, notice.id), (taken.receipt.leaf, notice.id)]);
    let answer = ke.acknowledge(&twice).await.unwrap();
    assert_eq!(words(&answer), ["stands", "again"]);
    assert_eq!(answer.receipts.len(), 1);
    assert_log_is_sound(&fr).await;
}

#[tokio::test]
async fn fault_47_nobody_signs_ahead_of_time_and_a_word_may_be_weeks_old() {
    let network = Network::of(&["FR", "KE"]);
    let node = network.start().await;
    let (fr, ke) = (network.partner("FR", &node).await, network.partner("KE", &node).await);
    fr.send("FR/1", &["KE"]).await;
    let delivered = ke.collect().await;
    let size = fr.log_size().await;
    let signed_at = |at: Micros| {
        Signed::for_all(&ke.recipient(), &delivered, Verdict::Accepted, at, &ke.acknowledgement_key).unwrap()
    };
    let ahead = signed_at(now().plus(6 * 60 * Micros::SECOND));
    let refused = ke.raw.acknowledge(&ahead, |_| {}).await.unwrap_err();
    assert_eq!((refused.code, &*refused.reason), (Code::InvalidArgument, "FUTURE_DATED"), "{refused:?}");
    assert_eq!(fr.log_size().await, size);
    let late = signed_at(now().plus(-21 * Micros::DAY));
    assert_eq!(words(&ke.acknowledge(&late).await.unwrap()), ["stands"]);
    assert_log_is_sound(&fr).await;
}
