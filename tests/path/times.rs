//! FAULTS 43 to 48: the same again, nearly the same, too late and too early.

use liaison_protocol::id::Micros;
use liaison_protocol::proto::{DeliveryState, get_notice_request::Name};
use prost::Message as _;
use tonic::Code;

use crate::support::*;

#[tokio::test]
async fn fault_43_a_notice_submitted_again_gets_the_first_receipt_and_is_delivered_once() {
    let network = Network::of(&["FR", "KE"]);
    let node = network.start().await;
    let (fr, ke) = (network.partner("FR", &node).await, network.partner("KE", &node).await);
    let (notice, first) = fr.send("FR/1", &["KE"]).await;
    let size = fr.log_size().await;

    let again = fr.submit(&notice).await.unwrap();
    assert!(!first.duplicate && again.duplicate);
    assert_eq!((first.receipt.leaf, &first.receipt.opening), (again.receipt.leaf, &again.receipt.opening));
    assert_eq!(fr.log_size().await, size);
    assert_eq!(ids(&ke.collect().await), [notice.id]);

    // Who cannot sign it does not learn that it is there.
    let mut envelope = opened(&notice);
    envelope.signatures[0].sig = vec![0; 64].into();
    fr.is_refused(&notice, envelope.encode_to_vec(), Code::Unauthenticated, "BAD_SIGNATURE").await;
    assert_log_is_sound(&fr).await;
}

#[tokio::test]
async fn fault_44_a_reference_names_one_notice_for_ever_and_a_refusal_uses_none_up() {
    let network = Network::of(&["FR", "KE"]);
    let node = network.start().await;
    let (fr, ke) = (network.partner("FR", &node).await, network.partner("KE", &node).await);

    // Given that a first attempt under this reference was refused,
    let stray = fr.notice("FR/1", &["XX"]);
    fr.is_refused(&stray, stray.envelope.clone(), Code::PermissionDenied, "NOT_COVERED").await;
    let (notice, first) = fr.send("FR/1", &["KE"]).await;

    // then another notice under it is refused, and the first one is named.
    let other = fr.notice("FR/1", &["KE"]);
    let refused = fr.is_refused(&other, other.envelope.clone(), Code::AlreadyExists, "REFERENCE_CONFLICT").await;
    assert_eq!(refused.metadata["first_notice"], notice.id.to_string());
    assert_eq!(refused.metadata["first_leaf_index"], first.receipt.leaf.0.to_string());
    let named = fr.client.notice(Name::LeafIndex(first.receipt.leaf.0)).await.unwrap();
    assert_eq!((named.id, &named.receipt.opening), (notice.id, &first.receipt.opening));

    // References are each partner's own.
    ke.send("FR/1", &["FR"]).await;
    assert_log_is_sound(&fr).await;
}

#[tokio::test]
async fn fault_44_of_two_notices_in_one_stream_under_one_reference_the_first_stands() {
    let network = Network::of(&["FR", "KE"]);
    let node = network.start().await;
    let (fr, ke) = (network.partner("FR", &node).await, network.partner("KE", &node).await);
    let (one, other) = (fr.notice("FR/1", &["KE"]), fr.notice("FR/1", &["KE"]));
    let mut stream = fr.client.submit_stream().await.unwrap();
    for notice in [&one, &other, &one] {
        stream.send(notice).await.unwrap();
    }
    stream.close();
    let mut words = Vec::new();
    while let Some(answers) = soon("answers", stream.answers()).await.unwrap() {
        words.extend(answers.into_iter().map(|answer| match answer {
            Ok(submitted) => format!("duplicate: {}", submitted.duplicate),
            Err(error) => error.reason().unwrap().word().to_string(),
        }));
    }
    assert_eq!(words, ["duplicate: false", "REFERENCE_CONFLICT", "duplicate: true"]);
    assert_eq!(ids(&ke.collect().await), [one.id]);
    assert_log_is_sound(&fr).await;
}

#[tokio::test]
async fn fault_45_the_same_content_under_another_reference_is_another_notice() {
    let network = Network::of(&["FR", "KE"]);
    let node = network.start().await;
    let (fr, ke) = (network.partner("FR", &node).await, network.partner("KE", &node).await);
    let draft = fr.draft("FR/1", &["KE"]);
    let mut same = draft.clone();
    same.reference = "FR/2".parse().unwrap();
    for draft in [draft, same] {
        assert!(!fr.submit(&fr.sign(draft)).await.unwrap().duplicate);
    }
    assert_eq!(ke.collect().await.len(), 2);
    assert_log_is_sound(&fr).await;
}

#[tokio::test]
async fn faults_46_47_48_a_notice_from_too_long_ago_from_the_future_or_expired_is_refused() {
    let network = Network::of(&["FR", "KE"]);
    let node = network.start().await;
    let fr = network.partner("FR", &node).await;
    const MINUTE: i64 = 60 * Micros::SECOND;
    let rows = [
        (-72 * Micros::HOUR - MINUTE, Micros::DAY, Code::FailedPrecondition, "TOO_OLD"),
        (6 * MINUTE, Micros::DAY, Code::InvalidArgument, "FUTURE_DATED"),
        (-Micros::HOUR, -MINUTE, Code::FailedPrecondition, "EXPIRED"),
    ];
    for (issued, expires, code, reason) in rows {
        let mut draft = fr.draft("FR/1", &["KE"]);
        (draft.issued_at, draft.expires_at) = (now().plus(issued), now().plus(expires));
        let notice = fr.sign(draft);
        let refused = fr.is_refused(&notice, notice.envelope.clone(), code, reason).await;
        // A clock that is wrong is told by how much.
        assert_eq!(refused.metadata.contains_key("skew_us"), reason == "FUTURE_DATED");
    }
    // Just within is taken.
    for (reference, issued) in [("FR/2", -72 * Micros::HOUR + MINUTE), ("FR/3", 4 * MINUTE)] {
        let mut draft = fr.draft(reference, &["KE"]);
        draft.issued_at = now().plus(issued);
        fr.submit(&fr.sign(draft)).await.unwrap();
    }
    assert_log_is_sound(&fr).await;
}

#[tokio::test]
async fn fault_48_a_notice_that_expires_while_it_waits_is_delivered_to_nobody_and_its_sender_is_told() {
    let network = Network::of(&["FR", "KE"]);
    let node = network.start().await;
    let (fr, ke) = (network.partner("FR", &node).await, network.partner("KE", &node).await);
    let mut draft = fr.draft("FR/1", &["KE"]);
    draft.expires_at = now().plus(Micros::SECOND);
    let notice = fr.sign(draft);
    fr.submit(&notice).await.unwrap();

    let (fr, notice) = (&fr, &notice);
    let receipts = until("the notice to expire", || async move {
        let (evidence, receipts) = fr.evidence(None, &notice.reference).await;
        (evidence.outcomes[0].delivery() == DeliveryState::Undelivered).then_some(receipts)
    })
    .await;
    assert_eq!(receipts.len(), 2);
    assert!(ke.collect().await.is_empty());
    assert_log_is_sound(fr).await;
}
