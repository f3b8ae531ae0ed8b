//! From one partner to another.

use bytes::Bytes;
use liaison_client::Submitted;
use liaison_protocol::proto::{DecisionState, DeliveryState, Precedence, Verdict};
use liaison_protocol::statement::{Event, Statement};

use crate::support::*;

/// Log, index and leaf are what makes two receipts the same; they may lie under different checkpoints.
fn assert_same_receipt(first: &Submitted, again: &Submitted) {
    assert!(!first.duplicate && again.duplicate);
    assert_eq!((first.receipt.leaf, &first.receipt.opening), (again.receipt.leaf, &again.receipt.opening));
}

#[tokio::test]
async fn a_notice_goes_from_fr_to_ke_is_acknowledged_and_proved() {
    let network = Network::of(&["FR", "KE"]);
    let node = network.start().await;
    let (fr, ke) = (network.partner("FR", &node).await, network.partner("KE", &node).await);

    // When FR sends a notice, KE collects it and accepts it,
    let (notice, submitted) = fr.send("FR/2026/000812", &["KE"]).await;
    let delivered = ke.collect().await;
    let accepted = ke.settle(&ke.verdict(&delivered, Verdict::Accepted)).await;

    // then KE has got what FR signed, byte for byte,
    assert_eq!(ids(&delivered), [notice.id]);
    assert_eq!(delivered[0].envelope, notice.envelope);
    assert_eq!(delivered[0].parts, notice.parts);
    assert_eq!(delivered[0].leaf(), submitted.receipt.leaf);

    // FR is shown what became of it,
    let (evidence, receipts) = fr.evidence(None, &notice.reference).await;
    let [outcome] = &evidence.outcomes[..] else { panic!("{evidence:?}") };
    assert_eq!(outcome.recipient, "KE");
    assert_eq!(outcome.delivery(), DeliveryState::HandedOver);
    assert_eq!(outcome.decision(), DecisionState::Accepted);
    let leaves: Vec<_> = receipts.iter().map(|receipt| receipt.leaf).collect();
    assert_eq!(leaves, [submitted.receipt.leaf, accepted.leaf]);

    // and nothing waits any more.
    assert!(ke.collect().await.is_empty());
    assert_log_is_sound(&fr).await;
}

#[tokio::test]
async fn a_notice_for_an_offline_partner_waits_and_arrives_once() {
    let network = Network::of(&["FR", "KE"]);
    let node = network.start().await;
    let fr = network.partner("FR", &node).await;
    let (notice, _) = fr.send("FR/1", &["KE"]).await;

    // Given that KE comes after the node has stopped and started,
    assert!(node.stop().await.success());
    let node = network.start().await;
    let ke = network.partner("KE", &node).await;

    // when KE collects and says that it has it,
    let delivered = ke.collect().await;
    ke.settle(&ke.verdict(&delivered, Verdict::Received)).await;

    // then it has come once.
    assert_eq!(ids(&delivered), [notice.id]);
    assert!(ke.collect().await.is_empty());
    assert_log_is_sound(&ke).await;
}

#[tokio::test]
async fn urgent_notices_overtake_routine_ones() {
    let network = Network::of(&["FR", "KE"]);
    let node = network.start().await;
    let (fr, ke) = (network.partner("FR", &node).await, network.partner("KE", &node).await);

    let rows = [
        ("FR/1", Precedence::Routine),
        ("FR/2", Precedence::Priority),
        ("FR/3", Precedence::Routine),
        ("FR/4", Precedence::Flash),
        ("FR/5", Precedence::Immediate),
    ];
    for (reference, precedence) in rows {
        let mut draft = fr.draft(reference, &["KE"]);
        draft.precedence = precedence;
        fr.submit(&fr.sign(draft)).await.unwrap();
    }

    let delivered = ke.collect().await;
    let references: Vec<_> = delivered.iter().map(|notice| notice.manifest.reference.as_str()).collect();
    assert_eq!(references, ["FR/4", "FR/5", "FR/2", "FR/1", "FR/3"]);
    assert_log_is_sound(&ke).await;
}

#[tokio::test]
async fn a_retry_gets_the_first_receipt_even_after_a_restart() {
    let network = Network::of(&["FR", "KE"]);
    let node = network.start().await;
    let fr = network.partner("FR", &node).await;
    let (notice, first) = fr.send("FR/1", &["KE"]).await;

    let again = fr.submit(&notice).await.unwrap();
    assert_same_receipt(&first, &again);

    node.kill().await;
    let node = network.start().await;
    let fr = network.partner("FR", &node).await;
    let after_a_restart = fr.submit(&notice).await.unwrap();
    assert_same_receipt(&first, &after_a_restart);
    assert_log_is_sound(&fr).await;
}

#[tokio::test]
async fn what_comes_while_a_partner_follows_arrives_at_once() {
    let network = Network::of(&["FR", "KE"]);
    let node = network.start().await;
    let (fr, ke) = (network.partner("FR", &node).await, network.partner("KE", &node).await);
    let mut following = ke.client.collect(Bytes::new(), false).await.unwrap();

    for reference in ["FR/1", "FR/2"] {
        let (notice, _) = fr.send(reference, &["KE"]).await;
        let frame = soon("the notice", following.next()).await.unwrap().unwrap();
        assert_eq!(ids(&frame), [notice.id]);
        ke.keep(&frame);
    }
    assert_log_is_sound(&ke).await;
}

#[tokio::test]
async fn a_resume_token_continues_where_it_was_given() {
    let network = Network::of(&["FR", "KE"]);
    let node = network.start().await;
    let (fr, ke) = (network.partner("FR", &node).await, network.partner("KE", &node).await);
    let (first, _) = fr.send("FR/1", &["KE"]).await;
    let (all, token) = ke.collect_after(Bytes::new()).await;
    assert_eq!(ids(&all), [first.id]);

    // Nothing has been signed for: from the start everything comes again, from the token only what is new, also after a restart.
    let (second, _) = fr.send("FR/2", &["KE"]).await;
    assert!(node.stop().await.success());
    let node = network.start().await;
    let ke = network.partner("KE", &node).await;
    assert_eq!(ids(&ke.collect_after(token).await.0), [second.id]);
    assert_eq!(ids(&ke.collect().await), [first.id, second.id]);
    assert_log_is_sound(&ke).await;
}

#[tokio::test]
async fn a_stream_answers_in_order_and_refuses_one_by_one() {
    let network = Network::of(&["FR", "KE"]);
    let node = network.start().await;
    let fr = network.partner("FR", &node).await;
    let mut stream = fr.client.submit_stream().await.unwrap();

    // Given that every third of a hundred notices is for a stranger,
    let notices: Vec<_> =
        (0..100).map(|nth| fr.notice(&format!("FR/{nth}"), if nth % 3 == 0 { &["XX"] } else { &["KE"] })).collect();
    let sending = async {
        for notice in &notices {
            stream.sender().unwrap().send(request(notice)).await.unwrap();
        }
    };
    soon("the requests", sending).await;
    stream.close();

    // then each answer is that of the notice in its place.
    let mut answers = Vec::new();
    while let Some(more) = soon("answers", stream.answers()).await.unwrap() {
        answers.extend(more);
    }
    assert_eq!(answers.len(), notices.len());
    for (nth, (answer, notice)) in answers.iter().zip(&notices).enumerate() {
        match answer {
            Ok(submitted) => {
                let statement = Statement::decode(submitted.receipt.opening.statement.clone()).unwrap();
                let Event::Accepted(accepted) = statement.event else { panic!("{statement:?}") };
                assert_eq!(accepted.notice, notice.id, "answer {nth}");
                fr.keep_submitted(notice, submitted);
            }
            Err(error) => assert_eq!(error.reason().unwrap().word(), "NOT_COVERED", "answer {nth}"),
        }
        assert_eq!(answer.is_err(), nth % 3 == 0, "answer {nth}");
    }
    assert_log_is_sound(&fr).await;
}
