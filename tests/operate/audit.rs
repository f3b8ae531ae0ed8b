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
    assert_eq!(fields, ["event", "level", "partner", "reason", "time"]);
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

#[tokio::test]
async fn fault_110_a_blocked_audit_holds_up_neither_traffic_nor_the_end_and_says_what_it_lost() {
    let network = watched(&["FR", "KE"]);
    let pipe = network.path("audit.pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    // Opened for both, so that opening waits for nobody; and nobody reads.
    let mut reader = std::fs::OpenOptions::new().read(true).write(true).open(&pipe).unwrap();
    network.configure_more("\n[audit]\nto = \"audit.pipe\"\n");
    let node = network.start().await;
    let fr = network.partner("FR", &node).await;
    fr.send("FR/1", &["KE"]).await;
    // More than the pipe (64 KiB) and the queue (1024 lines) hold.
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
    let (_, said) = ask(&node, "/readyz").await;
    assert!(said.starts_with("audit_losing: "), "{said}");
    fr.send("FR/2", &["KE"]).await;

    // Somebody reads again: everything that found a place comes, and one line says how many did not.
    let reading = std::thread::spawn(move || {
        use std::io::BufRead as _;
        let (mut kept, mut lost) = (0, 0);
        for line in std::io::BufReader::new(&mut reader).lines() {
            let event: Value = serde_json::from_str(&line.unwrap()).unwrap();
            match event["event"].as_str().unwrap() {
                "refused" => kept += 1,
                "audit.lag" => lost += event["lost"].as_u64().unwrap(),
                "node.stopped" => break,
                _ => {}
            }
        }
        kept + lost
    });
    until("the audit to keep up", async || (ask(&node, "/readyz").await.0 == 200).then_some(())).await;
    assert_log_is_sound(&fr).await;
    drop((fr, stream));
    assert!(node.stop().await.success());
    assert_eq!(reading.join().unwrap(), 2_000, "each refusal is written or counted as lost");
}
