//! What the directory lets partners do, and how soon: FAULTS 14, 15, 56, 57 and 70.

use std::time::Duration;

use bytes::Bytes;
use liaison::clock::{Clock as _, SystemClock};
use liaison_protocol::proto::Verdict;
use liaison_protocol::statement::{Event, Statement};
use tonic::Code;

use crate::support::*;

/// FR may write to KE and NG only; DE and JP belong to the same group, and FR has no agreement with them.
fn with_a_group(text: String) -> String {
    let (head, agreement) = text.split_once("[[agreement]]").unwrap();
    let agreement = agreement.replacen("originators = [\"MEMBERS\"]", "originators = [\"FR\"]", 1).replacen(
        "recipients = [\"MEMBERS\"]",
        "recipients = [\"KE\", \"NG\"]",
        1,
    );
    format!(
        "{head}[[group]]\nid = \"AFRICA\"\nmembers = [\"KE\", \"NG\", \"DE\", \"JP\"]\n\n\
         [[group]]\nid = \"OTHERS\"\nmembers = [\"DE\", \"JP\"]\n\n[[agreement]]{agreement}"
    )
}

const EVERY_METHOD: [&str; 12] = [
    "/liaison.v1.ExchangeService/Submit",
    "/liaison.v1.ExchangeService/SubmitStream",
    "/liaison.v1.ExchangeService/Collect",
    "/liaison.v1.ExchangeService/Acknowledge",
    "/liaison.v1.ExchangeService/GetNotice",
    "/liaison.v1.ExchangeService/ListEvidence",
    "/liaison.v1.LogService/GetCheckpoint",
    "/liaison.v1.LogService/GetConsistencyProof",
    "/liaison.v1.DirectoryService/ListRecords",
    "/grpc.health.v1.Health/Check",
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
];

#[tokio::test]
async fn fault_14_who_is_certified_and_not_registered_may_call_nothing() {
    let network = Network::of(&["FR", "KE", "NG"]);
    network.amend(|text| {
        let (rest, _) = text.split_once("[[partner]]\nnumber = 3").unwrap();
        rest.replace(", \"NG\"", "")
    });
    let node = network.start().await;
    let (fr, ng) = (network.partner("FR", &node).await, network.partner("NG", &node).await);
    let size = fr.log_size().await;
    for method in EVERY_METHOD {
        let refused = ng.raw.call(method, Bytes::new()).await.unwrap_err();
        assert_eq!(
            (refused.code, &*refused.reason),
            (Code::PermissionDenied, "UNREGISTERED"),
            "{method}: {refused:?}"
        );
    }
    assert_eq!(fr.log_size().await, size);
    assert_log_is_sound(&fr).await;
}

#[tokio::test]
async fn fault_15_a_suspended_partner_is_cut_off_at_once_and_its_mailbox_is_kept() {
    let network = Network::of(&["FR", "KE"]);
    let node = network.start().await;
    let (fr, ke) = (network.partner("FR", &node).await, network.partner("KE", &node).await);
    let (notice, _) = fr.send("FR/1", &["KE"]).await;
    let mut following = ke.client.collect(Bytes::new(), false).await.unwrap();
    assert_eq!(ids(&soon("the notice", following.next()).await.unwrap().unwrap()), [notice.id]);

    // When KE is suspended while it follows its mailbox, its stream ends,
    let active = "id = \"KE\"\n";
    let suspended = "id = \"KE\"\nstatus = \"suspended\"\n";
    network.amend(|text| text.replace(active, suspended));
    let ended = soon("the end of the stream", following.next()).await.unwrap_err();
    assert_eq!(ended.reason().map(|reason| reason.word()), Some("SUSPENDED"), "{ended}");

    // and it may call nothing,
    let ke = network.partner("KE", &node).await;
    for method in EVERY_METHOD {
        let refused = ke.raw.call(method, Bytes::new()).await.unwrap_err();
        assert_eq!(
            (refused.code, &*refused.reason),
            (Code::PermissionDenied, "SUSPENDED"),
            "{method}: {refused:?}"
        );
    }

    // until it is active again: what waited still waits.
    network.amend(|text| text.replace(suspended, active));
    let ke = until("KE to be let in", || async {
        let ke = network.partner("KE", &node).await;
        ke.client.checkpoint().await.is_ok().then_some(ke)
    })
    .await;
    let delivered = ke.collect().await;
    assert_eq!(ids(&delivered), [notice.id]);
    ke.settle(&ke.verdict(&delivered, Verdict::Received)).await;
    assert_log_is_sound(&fr).await;
}

#[tokio::test]
async fn a_group_reaches_those_whom_agreements_cover_and_counts_the_others() {
    let network = Network::of(&["FR", "KE", "NG", "DE", "JP"]);
    network.amend(with_a_group);
    let node = network.start().await;
    let fr = network.partner("FR", &node).await;
    let mut draft = fr.draft("FR/1", &[]);
    (draft.audience.groups, draft.audience.exempted) = (names(&["AFRICA"]), names(&["JP"]));
    let notice = fr.sign(draft);
    let submitted = fr.submit(&notice).await.unwrap();

    // The receipt says how many were reached and how many were passed over, exempted or not, so that nobody can count members,
    let statement = Statement::decode(submitted.receipt.opening.statement).unwrap();
    let Event::Accepted(accepted) = statement.event else { panic!("{statement:?}") };
    assert_eq!((accepted.recipient_count, accepted.passed_over), (2, 2));

    // those who are covered have it, the others have not,
    for (id, count) in [("KE", 1), ("NG", 1), ("DE", 0), ("JP", 0)] {
        assert_eq!(network.partner(id, &node).await.collect().await.len(), count, "{id}");
    }

    // and the originator learns who they are when they answer.
    let (evidence, _) = fr.evidence(None, &notice.reference).await;
    assert_eq!((evidence.outcomes.len(), evidence.waiting_in_groups), (0, 2));
    let ke = network.partner("KE", &node).await;
    ke.settle(&ke.verdict(&ke.collect().await, Verdict::Accepted)).await;
    let (evidence, _) = fr.evidence(None, &notice.reference).await;
    assert_eq!(evidence.outcomes[0].recipient, "KE");
    assert_eq!((evidence.outcomes.len(), evidence.waiting_in_groups), (1, 1));
    assert_log_is_sound(&fr).await;
}

#[tokio::test]
async fn fault_56_a_group_out_of_reach_is_refused_by_its_name_only() {
    let network = Network::of(&["FR", "KE", "NG", "DE", "JP"]);
    network.amend(with_a_group);
    let node = network.start().await;
    let fr = network.partner("FR", &node).await;
    let mut heard = Vec::new();
    for group in ["OTHERS", "NOBODY"] {
        let mut draft = fr.draft("FR/1", &[]);
        draft.audience.groups = names(&[group]);
        let notice = fr.sign(draft);
        let refused = fr.is_refused(&notice, notice.envelope.clone(), Code::PermissionDenied, "NOT_COVERED").await;
        assert_eq!(refused.metadata["recipient"], group);
        assert!(["DE", "JP"].iter().all(|member| !refused.message.contains(member)), "{refused:?}");
        heard.push(refused.message.replace(group, "GROUP"));
    }
    // A group that exists sounds like one that does not.
    assert_eq!(heard[0], heard[1]);
    assert_log_is_sound(&fr).await;
}

#[tokio::test]
async fn fault_57_one_partner_out_of_reach_refuses_the_whole_notice() {
    let network = Network::of(&["FR", "KE", "NG", "DE", "JP"]);
    network.amend(with_a_group);
    let node = network.start().await;
    let fr = network.partner("FR", &node).await;
    for stranger in ["DE", "XX"] {
        let notice = fr.notice("FR/1", &["KE", stranger, "NG"]);
        let refused = fr.is_refused(&notice, notice.envelope.clone(), Code::PermissionDenied, "NOT_COVERED").await;
        assert_eq!(refused.metadata["recipient"], stranger);
    }
    assert!(network.partner("KE", &node).await.collect().await.is_empty());
    // Nor does a group beside them help.
    let mut draft = fr.draft("FR/1", &["DE"]);
    draft.audience.groups = names(&["AFRICA"]);
    let notice = fr.sign(draft);
    fr.is_refused(&notice, notice.envelope.clone(), Code::PermissionDenied, "NOT_COVERED").await;
    assert_log_is_sound(&fr).await;
}

#[tokio::test]
async fn a_new_directory_is_in_force_within_a_second_on_open_streams_too() {
    let network = Network::of(&["FR", "KE"]);
    let node = network.start().await;
    let fr = network.partner("FR", &node).await;
    let mut stream = fr.client.submit_stream().await.unwrap();
    let submit = async |stream: &mut liaison_client::Submitting, reference: &str| {
        let notice = fr.notice(reference, &["NG"]);
        stream.send(&notice).await.unwrap();
        let answer = soon("an answer", stream.answers()).await.unwrap().unwrap().pop().unwrap();
        answer.map(|submitted| fr.keep_submitted(&notice, &submitted))
    };
    assert_eq!(submit(&mut stream, "FR/1").await.unwrap_err().reason().unwrap().word(), "NOT_COVERED");

    network.enrol("NG");
    let clock = SystemClock::new();
    for nth in 2.. {
        match submit(&mut stream, &format!("FR/{nth}")).await {
            Ok(()) => break,
            Err(error) => assert_eq!(error.reason().unwrap().word(), "NOT_COVERED"),
        }
        assert!(clock.monotonic() < Duration::from_secs(1), "not yet in force");
    }
    let ng = network.partner("NG", &node).await;
    assert_eq!(ng.collect().await.len(), 1);
    assert_log_is_sound(&fr).await;
}
