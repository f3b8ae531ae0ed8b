//! The audit of a real node.

use serde_json::Value;
use tonic::Code;

use super::{ask, watched};
use crate::support::*;

fn events(network: &Network, file: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(network.path(file)).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("not one object: {line}")))
        .collect()
}

fn named<'a>(events: &'a [Value], name: &str) -> Vec<&'a Value> {
    events.iter().filter(|event| event["event"] == name).collect()
}

async fn refuse_one(fr: &Partner, nth: usize) {
    let other = fr.notice("FR/1", &["KE"]);
    let _ = nth;
    fr.is_refused(&other, other.envelope.clone(), Code::AlreadyExists, "REFERENCE_CONFLICT").await;
}

#[tokio::test]
async fn a_node_writes_its_life_and_its_refusals_to_the_audit_and_nothing_else() {
    let network = watched(&["FR", "KE"]);
    network.configure_more("\n[audit]\nto = \"data/audit.jsonl\"\n");
    let node = network.start().await;
    let fr = network.partner("FR", &node).await;
    fr.send("FR/1", &["KE"]).await;
    refuse_one(&fr, 1).await;
    network.enrol("BR");
    until("the new directory", async || {
        (ask(&node, "/metrics").await.1.contains("liaison_directory_version 4")).then_some(())
    })
    .await;
    assert_log_is_sound(&fr).await;
    drop(fr);
    assert!(node.stop().await.success());

    let all = events(&network, "data/audit.jsonl");
    let names: Vec<_> = all.iter().map(|event| event["event"].as_str().unwrap()).collect();
    assert_eq!(names.first(), Some(&"policy.loaded"), "the first start adopts its directories: {names:?}");
    assert_eq!(names.last(), Some(&"node.stopped"), "{names:?}");
    let refused = named(&all, "refused");
    assert_eq!(refused.len(), 1);
    let fields: Vec<_> = refused[0].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(fields, ["count", "event", "level", "partner", "reason", "time"]);
    assert_eq!((&refused[0]["partner"], &refused[0]["reason"]), (&"FR".into(), &"REFERENCE_CONFLICT".into()));
    assert_eq!(named(&all, "policy.loaded").last().unwrap()["version"], 4);
    // What is in the audit is not in the log as well.
    let log = std::fs::read_to_string(network.path("hub.log")).unwrap();
    assert!(!log.contains("REFERENCE_CONFLICT") && !log.contains("node.started"), "{log}");
}

#[tokio::test]
async fn fault_110_traffic_goes_on_while_the_audit_has_no_room_and_readiness_says_so() {
    let network = watched(&["FR", "KE"]);
    // A device that always answers that there is no space left.
    network.configure_more("\n[audit]\nto = \"/dev/full\"\n");
    let node = network.start().await;
    let fr = network.partner("FR", &node).await;
    fr.send("FR/1", &["KE"]).await;
    refuse_one(&fr, 1).await;
    fr.send("FR/2", &["KE"]).await;
    let (status, said) = until("readiness to say so", async || {
        Some(ask(&node, "/readyz").await).filter(|(status, _)| *status != 200)
    })
    .await;
    assert_eq!((status, said.lines().count()), (503, 1), "{said}");
    assert!(said.starts_with("audit_losing: "), "{said}");
    assert_eq!(ask(&node, "/livez").await.0, 200, "no restart would help");
    let page = ask(&node, "/metrics").await.1;
    let lost = page.lines().find_map(|line| line.strip_prefix("liaison_audit_events_lost_total ")).unwrap();
    assert!(lost.parse::<f64>().unwrap() >= 2.0, "{page}");
    assert!(page.contains("liaison_audit_events_total{event=\"refused\"} 1"), "counted all the same: {page}");
    assert_log_is_sound(&fr).await;
    drop(fr);
    assert!(node.stop().await.success(), "a full audit keeps nobody from stopping");
}

/// How many events the lines of a name stand for.
fn counted(events: &[Value], name: &str, partner: &str) -> u64 {
    let of_partner = |event: &&&Value| event["partner"] == partner;
    named(events, name).iter().filter(of_partner).map(|event| event["count"].as_u64().unwrap()).sum()
}

#[tokio::test]
async fn fault_110_a_blocked_audit_holds_up_neither_traffic_nor_the_end_and_loses_no_refusal() {
    let network = watched(&["FR", "KE"]);
    let pipe = network.path("audit.pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    // Opened for both, so that opening waits for nobody; and nobody reads.
    let mut reader = std::fs::OpenOptions::new().read(true).write(true).open(&pipe).unwrap();
    // All that a pipe holds: not one line finds room.
    std::io::Write::write_all(&mut reader, &[b' '; 64 << 10]).unwrap();
    network.configure_more("\n[audit]\nto = \"audit.pipe\"\n");
    let node = network.start().await;
    let fr = network.partner("FR", &node).await;
    fr.send("FR/1", &["KE"]).await;
    // More than the queue (1024 lines) holds.
    let conflict = fr.notice("FR/1", &["KE"]);
    let mut stream = fr.client.submit_stream().await.unwrap();
    let (mut refused, mut sent) = (0, 0);
    while refused < 2_000 {
        while sent < 2_000 && sent - refused < 32 {
            stream.send(&conflict).await.unwrap();
            sent += 1;
        }
        let answers = soon("answers", stream.answers()).await.unwrap().unwrap();
        assert!(answers.iter().all(Result::is_err), "the reference is taken");
        refused += answers.len();
    }
    let page = ask(&node, "/metrics").await.1;
    assert!(page.contains("liaison_audit_events_total{event=\"refused\"} 2000"), "{page}");
    assert!(page.contains("liaison_audit_events_lost_total 0"), "{page}");
    fr.send("FR/2", &["KE"]).await;

    // Somebody reads again: one line at once, and then one for all that came meanwhile.
    let reading = std::thread::spawn(move || {
        use std::io::BufRead as _;
        let mut refused = Vec::new();
        for line in std::io::BufReader::new(&mut reader).lines() {
            let event: Value = serde_json::from_str(line.unwrap().trim_start()).unwrap();
            match event["event"].as_str().unwrap() {
                "refused" => refused.push(event["count"].as_u64().unwrap()),
                "audit.lag" => panic!("{event}"),
                "node.stopped" => break,
                _ => {}
            }
        }
        refused
    });
    until("the audit to keep up", async || (ask(&node, "/readyz").await.0 == 200).then_some(())).await;
    assert_log_is_sound(&fr).await;
    drop((fr, stream));
    assert!(node.stop().await.success());
    let refused = reading.join().unwrap();
    assert!(refused.len() <= 3 && refused.iter().sum::<u64>() == 2_000, "{refused:?}");
}

#[tokio::test]
async fn fault_104_a_partners_nonsense_loses_no_others_event_and_leaves_the_node_ready() {
    const STREAMS: usize = 100;
    const A_ROW: usize = 64;
    let network = watched(&["FR", "KE"]);
    network.configure_more("\n[audit]\nto = \"data/audit.jsonl\"\n");
    let node = network.start().await;
    let (fr, ke) = (network.partner("FR", &node).await, network.partner("KE", &node).await);
    ke.send("KE/1", &["FR"]).await;
    let mut nonsense = fr.notice("FR/1", &["KE"]);
    nonsense.envelope = bytes::Bytes::from_static(b"\xff\xff\xff");
    let mut answered = 0;
    for nth in 0..STREAMS {
        let mut stream = fr.client.submit_stream().await.unwrap();
        let sender = stream.sender().unwrap();
        let request =
            liaison_protocol::proto::SubmitStreamRequest { envelope: nonsense.envelope.clone(), parts: Vec::new() };
        // It sends for as long as anybody reads.
        let sending = async { while sender.send(request.clone()).await.is_ok() {} };
        let reading = async {
            let mut refused = 0;
            loop {
                match soon("answers", stream.answers()).await {
                    Ok(Some(answers)) => refused += answers.len(),
                    Ok(None) => panic!("the stream ended as if all were well"),
                    Err(error) => {
                        assert_eq!(error.reason().unwrap().word(), "MALFORMED", "{error}");
                        stream.close();
                        return refused;
                    }
                }
            }
        };
        let (refused, ()) = tokio::join!(reading, sending);
        assert!((A_ROW..3 * A_ROW).contains(&refused), "{refused}");
        answered += refused as u64;
        if nth == STREAMS / 2 {
            let conflict = ke.notice("KE/1", &["FR"]);
            ke.is_refused(&conflict, conflict.envelope.clone(), Code::AlreadyExists, "REFERENCE_CONFLICT").await;
        }
        assert_eq!(ask(&node, "/readyz").await.0, 200);
    }
    let page = ask(&node, "/metrics").await.1;
    assert!(page.contains("liaison_audit_events_lost_total 0"), "{page}");
    assert_log_is_sound(&ke).await;
    drop((fr, ke));
    assert!(node.stop().await.success());
    let all = events(&network, "data/audit.jsonl");
    assert_eq!(counted(&all, "refused", "KE"), 1, "another's event is there");
    assert!(counted(&all, "refused", "FR") >= answered, "each is counted");
    let lines = named(&all, "refused").len();
    assert!(lines < STREAMS, "{lines} lines, at most one a second");
}
