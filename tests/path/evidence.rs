//! What each side is shown afterwards, and FAULTS 54 and 55: what everyone else is shown.

use liaison::clock::{Clock as _, SystemClock};
use liaison_protocol::manifest::Relation;
use liaison_protocol::proto::{
    self, DecisionState, DeliveryState, RelationType, Verdict, get_notice_request, list_evidence_request,
};
use tonic::Code;

use crate::support::*;

#[tokio::test]
async fn each_side_sees_its_own_part_of_what_became_of_a_notice() {
    let network = Network::of(&["FR", "KE", "NG"]);
    let node = network.start().await;
    let (fr, ke) = (network.partner("FR", &node).await, network.partner("KE", &node).await);
    let ng = network.partner("NG", &node).await;
    let (notice, _) = fr.send("FR/1", &["KE", "NG"]).await;
    ke.settle(&ke.verdict(&ke.collect().await, Verdict::Accepted)).await;
    ng.settle(&ng.verdict(&ng.collect().await, Verdict::Received)).await;

    // The originator sees all whom it named,
    let (evidence, receipts) = fr.evidence(None, &notice.reference).await;
    let told: Vec<_> = evidence
        .outcomes
        .iter()
        .map(|outcome| (outcome.recipient.as_str(), outcome.delivery(), outcome.decision()))
        .collect();
    let [ke_did, ng_did] = [
        ("KE", DeliveryState::HandedOver, DecisionState::Accepted),
        ("NG", DeliveryState::HandedOver, DecisionState::Open),
    ];
    assert_eq!(told, [ke_did, ng_did]);
    assert_eq!(receipts.len(), 3);

    // and a recipient itself, with its own acknowledgement and nothing of the other's.
    let (evidence, receipts) = ng.evidence(Some(&fr), &notice.reference).await;
    let [own] = &evidence.outcomes[..] else { panic!("{evidence:?}") };
    assert_eq!((own.recipient.as_str(), own.delivery(), own.decision()), ng_did);
    assert_eq!((receipts.len(), evidence.waiting_in_groups), (2, 0));
    assert_log_is_sound(&fr).await;
}

#[tokio::test]
async fn what_amends_or_cancels_must_name_an_earlier_notice_of_its_own_originator() {
    let network = Network::of(&["FR", "KE"]);
    let node = network.start().await;
    let (fr, ke) = (network.partner("FR", &node).await, network.partner("KE", &node).await);
    let (of_ke, _) = ke.send("KE/1", &["FR"]).await;
    let never_sent = fr.notice("FR/9", &["KE"]);
    let (first, _) = fr.send("FR/1", &["KE"]).await;
    for kind in [RelationType::Amends, RelationType::Cancels] {
        let rows = [
            (never_sent.id, &never_sent.reference),
            (never_sent.id, &first.reference),
            (of_ke.id, &of_ke.reference),
        ];
        for (notice, reference) in rows {
            let mut draft = fr.draft("FR/2", &["KE"]);
            draft.relation = Some(Relation { kind, notice, reference: reference.clone() });
            let notice = fr.sign(draft);
            fr.is_refused(&notice, notice.envelope.clone(), Code::NotFound, "RELATED_UNKNOWN").await;
        }
    }

    // One that names its own earlier notice is taken, and so is an answer to somebody else's.
    let rows = [
        ("FR/3", RelationType::Amends, &first),
        ("FR/4", RelationType::Cancels, &first),
        ("FR/5", RelationType::Answers, &of_ke),
    ];
    for (reference, kind, to) in rows {
        let mut draft = fr.draft(reference, &["KE"]);
        draft.relation = Some(Relation { kind, notice: to.id, reference: to.reference.clone() });
        fr.submit(&fr.sign(draft)).await.unwrap();
    }
    assert_eq!(ke.collect().await.len(), 4);
    assert_log_is_sound(&fr).await;
}

#[tokio::test]
async fn faults_54_55_what_is_not_the_callers_is_as_if_it_were_not_there() {
    let network = Network::of(&["FR", "KE", "NG"]);
    let node = network.start().await;
    let fr = network.partner("FR", &node).await;
    let ng = network.partner("NG", &node).await;
    let (notice, taken) = fr.send("FR/1", &["KE"]).await;
    let size = fr.log_size().await;

    // NG collects its own mailbox; there is no way to name another's.
    assert!(ng.collect().await.is_empty());

    // Whatever NG guesses, right or wrong, it hears the same.
    let named = |originator: &str, reference: &str| proto::NoticeName {
        originator: originator.into(),
        reference: reference.into(),
    };
    let mut heard = Vec::new();
    let guesses = [
        named("FR", notice.reference.as_str()),
        named("FR", "FR/404"),
        named("XX", notice.reference.as_str()),
        named("", notice.reference.as_str()),
    ];
    for guess in guesses {
        let read = proto::GetNoticeRequest { name: Some(get_notice_request::Name::Notice(guess.clone())) };
        let trace = proto::ListEvidenceRequest {
            name: Some(list_evidence_request::Name::Notice(guess)),
            ..Default::default()
        };
        heard.push(ng.raw.exchange().get_notice(read).await.unwrap_err());
        heard.push(ng.raw.exchange().list_evidence(trace).await.unwrap_err());
    }
    for leaf in [taken.receipt.leaf.0, 0, size, u64::MAX] {
        let read = proto::GetNoticeRequest { name: Some(get_notice_request::Name::LeafIndex(leaf)) };
        let trace = proto::ListEvidenceRequest {
            name: Some(list_evidence_request::Name::LeafIndex(leaf)),
            ..Default::default()
        };
        heard.push(ng.raw.exchange().get_notice(read).await.unwrap_err());
        heard.push(ng.raw.exchange().list_evidence(trace).await.unwrap_err());
    }
    for status in &heard {
        assert_eq!((status.code(), &*refused(status).reason), (Code::NotFound, "NOT_FOUND"), "{status:?}");
        assert_eq!((status.message(), status.details()), (heard[0].message(), heard[0].details()));
    }

    // Nor does the clock tell: half of many guesses take as long for what exists as for what does not.
    let clock = SystemClock::new();
    let mut median = Vec::new();
    for leaf in [taken.receipt.leaf.0, size + 1_000] {
        let mut times = Vec::new();
        for _ in 0..101 {
            let began = clock.monotonic();
            let read = proto::GetNoticeRequest { name: Some(get_notice_request::Name::LeafIndex(leaf)) };
            ng.raw.exchange().get_notice(read).await.unwrap_err();
            times.push(clock.monotonic() - began);
        }
        times.sort_unstable();
        median.push(times[times.len() / 2]);
    }
    let (shorter, longer) = (median[0].min(median[1]), median[0].max(median[1]));
    assert!(longer < shorter * 10, "{median:?}");
    assert_eq!(fr.log_size().await, size);
    assert_log_is_sound(&fr).await;
}
