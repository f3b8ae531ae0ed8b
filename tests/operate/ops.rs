//! The ops port of a real node.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use liaison::clock::{Clock as _, SystemClock};
use liaison::http::metrics::{Kind, METRICS};
use liaison_protocol::proto::Verdict;
use tokio::io::AsyncWriteExt as _;
use tonic::Code;

use super::{ask, watched};
use crate::support::*;

/// Every sample of a page: its name and labels as they stand there, and its value.
fn samples(page: &str) -> BTreeMap<String, f64> {
    let lines = page.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let (name, value) = line.rsplit_once(' ').unwrap();
            (name.to_owned(), value.parse().unwrap())
        })
        .collect()
}

async fn scrape(node: &Node) -> (String, BTreeMap<String, f64>) {
    let (status, page) = ask(node, "/metrics").await;
    assert_eq!(status, 200);
    let samples = samples(&page);
    (page, samples)
}

#[tokio::test]
async fn what_happened_to_notices_can_be_counted_and_the_page_shows_what_the_catalogue_lists() {
    let network = watched(&["FR", "KE"]);
    let node = network.start().await;
    assert_eq!(ask(&node, "/livez").await, (200, "live\n".into()));
    assert_eq!(ask(&node, "/readyz").await, (200, "ready\n".into()));
    assert_eq!(ask(&node, "/").await.0, 404);
    let fr = network.partner("FR", &node).await;
    let ke = network.partner("KE", &node).await;

    // Two taken, one of them twice, one refused, one delivered twice and signed for twice.
    let (first, _) = fr.send("FR/1", &["KE"]).await;
    fr.send("FR/2", &["KE"]).await;
    assert!(fr.submit(&first).await.unwrap().duplicate);
    let other = fr.notice("FR/1", &["KE"]);
    fr.is_refused(&other, other.envelope.clone(), Code::AlreadyExists, "REFERENCE_CONFLICT").await;
    let delivered = ke.collect().await;
    let signed = ke.verdict(&delivered[..1], Verdict::Accepted);
    ke.settle(&signed).await;
    ke.settle(&signed).await;
    ke.collect().await;

    let (page, found) = scrape(&node).await;
    let rows = [
        ("liaison_submissions_total{outcome=\"accepted\",reason=\"\"}", 2.0),
        ("liaison_submissions_total{outcome=\"duplicate\",reason=\"\"}", 1.0),
        ("liaison_submissions_total{outcome=\"refused\",reason=\"REFERENCE_CONFLICT\"}", 1.0),
        ("liaison_acknowledgements_total{outcome=\"stated\",reason=\"\"}", 1.0),
        ("liaison_acknowledgements_total{outcome=\"duplicate\",reason=\"\"}", 1.0),
        ("liaison_call_seconds_count{method=\"ExchangeService/Submit\"}", 4.0),
        ("liaison_call_seconds_count{method=\"ExchangeService/Acknowledge\"}", 2.0),
        ("liaison_deliveries_total", 3.0),
        ("liaison_mailboxes_waiting", 1.0),
        ("liaison_mailbox_waiting{partner=\"KE\"}", 1.0),
        ("liaison_mailbox_waiting{partner=\"FR\"}", 0.0),
        ("liaison_collect_streams{partner=\"KE\"}", 0.0),
        ("liaison_connections", 4.0),
        ("liaison_handshakes_total", 4.0),
        ("liaison_directory_version", 3.0),
        ("liaison_log_leaves", fr.log_size().await as f64),
        ("liaison_unready{reason=\"draining\"}", 0.0),
        ("liaison_audit_events_total{event=\"refused\"}", 1.0),
        ("liaison_audit_events_total{event=\"integrity\"}", 0.0),
        ("liaison_connections_limited_total{reason=\"connections_per_address\"}", 0.0),
        ("liaison_audit_events_total{event=\"node.started\"}", 1.0),
        ("liaison_audit_events_lost_total", 0.0),
    ];
    for (name, value) in rows {
        assert_eq!(found.get(name), Some(&value), "{name} in\n{page}");
    }
    let year = 366.0 * 86_400.0;
    assert!((0.9 * year..=year).contains(&found["liaison_certificate_left_seconds"]));
    assert!((0.0..600.0).contains(&found["liaison_directory_age_seconds"]));
    assert!(found["liaison_batch_commit_seconds_count"] >= 3.0);
    assert_eq!(
        found["liaison_batch_commit_seconds_count"],
        found["liaison_batch_commit_seconds_bucket{le=\"+Inf\"}"]
    );
    assert!(found["liaison_batch_statements_sum"] >= 3.0 && found["process_resident_memory_bytes"] > 1e6);

    // Both ways: what is shown is in the catalogue with its type and labels, and what is in the catalogue is shown once it happened.
    let typed: BTreeSet<_> = page
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE "))
        .map(|line| line.split_once(' ').unwrap())
        .collect();
    let kinds = |kind| match kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
        Kind::Histogram => "histogram",
    };
    let listed: Vec<_> = METRICS.iter().map(|metric| (metric.full_name(), kinds(metric.kind))).collect();
    let listed: BTreeSet<_> = listed.iter().map(|(name, kind)| (name.as_str(), *kind)).collect();
    let not_yet = ["liaison_calls_refused_total"];
    let expected: BTreeSet<_> = listed.iter().copied().filter(|(name, _)| !not_yet.contains(name)).collect();
    assert_eq!(typed, expected);
    for metric in METRICS {
        let begin = format!("{}{{", metric.full_name());
        let labels = page.lines().filter_map(|line| line.strip_prefix(&begin)?.split_once('}'));
        for (labels, _) in labels.filter(|_| metric.kind != Kind::Histogram) {
            let names: Vec<_> = labels.split(',').map(|label| label.split_once('=').unwrap().0).collect();
            let listed: Vec<_> = metric.labels.iter().map(|(name, _)| *name).collect();
            assert_eq!(names, listed, "{}", metric.full_name());
        }
    }
    assert_log_is_sound(&fr).await;
}

#[tokio::test]
async fn refused_handshakes_and_callers_are_counted_by_their_reason() {
    let network = watched(&["FR", "KE"]);
    let node = network.start().await;
    let fr = network.partner("FR", &node).await;
    // Somebody who shows no certificate, and somebody who is suspended while he is on the line.
    let stranger = tokio::net::TcpStream::connect(&node.address).await.unwrap();
    drop(stranger);
    let mut stranger = tokio::net::TcpStream::connect(&node.address).await.unwrap();
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    stranger.write_all(b"GET / HTTP/1.1\r\nhost: hub-1\r\n\r\n").await.unwrap();
    let mut nothing = Vec::new();
    let _ = soon("the end", stranger.read_to_end(&mut nothing)).await;
    let (page, found) = scrape(&node).await;
    assert_eq!(found.get("liaison_tls_rejects_total{reason=\"protocol\"}"), Some(&1.0), "{page}");
    assert_eq!(found.get("liaison_audit_events_total{event=\"tls.reject\"}"), Some(&1.0), "{page}");
    assert_log_is_sound(&fr).await;
}

#[tokio::test]
async fn a_node_that_is_asked_to_stop_says_that_it_is_not_ready_until_it_has_stopped() {
    let network = watched(&["FR"]);
    let node = network.start().await;
    let fr = network.partner("FR", &node).await;
    // A call that is under way for as long as its caller likes keeps the node in its drain.
    let streaming = fr.client.submit_stream().await.unwrap();
    node.terminate();
    let said = until("the drain", async || match tokio::net::TcpStream::connect(&node.ops).await {
        Ok(_) => Some(ask(&node, "/readyz").await).filter(|(status, _)| *status != 200),
        Err(_) => Some((0, "the port closed before it said so".into())),
    })
    .await;
    assert_eq!(said.0, 503, "{said:?}");
    assert!(said.1.starts_with("draining: "), "{said:?}");
    drop((streaming, fr));
    assert!(node.ended().await.success());
}

#[tokio::test]
async fn idle_connections_do_not_keep_the_ops_port_from_answering() {
    let network = watched(&["FR"]);
    let node = network.start().await;
    let mut idle = Vec::new();
    for nth in 0..100 {
        let mut line = tokio::net::TcpStream::connect(&node.ops).await.unwrap();
        if nth % 2 == 0 {
            // Half a request, of which the rest never comes.
            line.write_all(b"GET /livez HT").await.unwrap();
        }
        idle.push(line);
        if nth >= 31 {
            let clock = SystemClock::new();
            assert_eq!(ask(&node, "/livez").await, (200, "live\n".into()));
            assert!(clock.monotonic() < Duration::from_secs(5), "nobody's time has to run out for it");
        }
    }
}

#[tokio::test]
async fn fault_107_a_node_that_breaks_leaves_no_memory_behind() {
    let network = watched(&["FR"]);
    let node = network.start().await;
    let of_process = |file: &str| std::fs::read_to_string(format!("/proc/{}/{file}", node.id())).unwrap();
    let limits = of_process("limits");
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["0", "0"], "{core}");
    assert_eq!(of_process("coredump_filter").trim(), "00000000");
    // What measures it still reads it.
    assert!(of_process("status").contains("VmHWM:"));
}
