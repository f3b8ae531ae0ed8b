//! Rows 6, 8, 9, 20, 23 and 24 at a node as people run it: files change, and whoever is inside is judged again.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use liaison::authority::pki::{Authority, Validity};
use liaison::clock::{Clock as _, SystemClock};
use liaison_client::{Client, ClientError};
use liaison_protocol::id::Micros;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tonic::Code;

use super::certificate::{Ca, List, serial};
use crate::support::*;

/// From a file's change to the end of a stream.
const STREAM_ENDS_MAX: Duration = Duration::from_secs(5);

/// From a file's change to its effect on who comes in.
const COUNTS_MAX: Duration = Duration::from_secs(1);

/// As tools put a new file in the place of an old one.
fn replace(path: &Path, bytes: impl AsRef<[u8]>) {
    let half = path.with_file_name(".half");
    std::fs::write(&half, bytes).unwrap();
    std::fs::rename(half, path).unwrap();
}

/// A list by today's clock.
fn list(number: u64, revoked: &[&[u8]]) -> List {
    let (begins, ends) = (now().plus(-Micros::HOUR), now().plus(Micros::DAY));
    List { begins, ends, ..List::numbered(number, revoked) }
}

fn serial_of(network: &Network, partner: &str) -> Vec<u8> {
    let pem = std::fs::read(network.path(&format!("partners/{partner}/tls.pem"))).unwrap();
    serial(&CertificateDer::from_pem_slice(&pem).unwrap())
}

/// Whether somebody new gets in and is answered.
async fn gets_in(network: &Network, partner: &str, node: &Node) -> bool {
    let endpoint = Partner::endpoint(network, partner, node);
    match soon("an attempt", Client::connect(&endpoint)).await {
        Ok(client) => soon("an answer", client.checkpoint()).await.is_ok(),
        Err(_) => false,
    }
}

/// Asks until it is so; says how long that took.
async fn becomes(what: &str, wanted: bool, mut ask: impl AsyncFnMut() -> bool) -> Duration {
    let clock = SystemClock::new();
    let asking = async {
        while ask().await != wanted {
            pause().await;
        }
    };
    soon(what, asking).await;
    clock.monotonic()
}

/// A network whose node honours lists of its one authority, and denials.
async fn guarded(partners: &[&str], first: &List) -> (Network, Ca, Node) {
    let network = Network::of(partners);
    let authority = Ca::of_network(&network);
    std::fs::create_dir(network.path("lists")).unwrap();
    std::fs::write(network.path("lists/ca.crl"), authority.publish(first)).unwrap();
    std::fs::write(network.path("denied.txt"), "# nobody yet\n").unwrap();
    network.configure("tls", "denied = \"denied.txt\"");
    let text = std::fs::read_to_string(network.path("hub.toml")).unwrap();
    let keys = "[[tls.revocation]]\nauthority = \"pki/ca.pem\"\nlists = [\"lists\"]\n\n[log]\n";
    std::fs::write(network.path("hub.toml"), text.replace("[log]\n", keys)).unwrap();
    let node = network.start().await;
    (network, authority, node)
}

/// KE follows its mailbox and has a stream to submit on; then something happens to it, and it is told on both, and on its calls.
async fn is_told(network: &Network, node: &Node, code: Code, reason: &str, happening: impl FnOnce()) {
    let (fr, ke) = (network.partner("FR", node).await, network.partner("KE", node).await);
    let reference = format!("FR/{reason}/{}", network.events("session.revoked").len());
    let (notice, _) = fr.send(&reference, &["KE"]).await;
    let mut following = ke.client.collect(Bytes::new(), false).await.unwrap();
    let mut submitting = ke.client.submit_stream().await.unwrap();
    while !ids(&soon("the notice", following.next()).await.unwrap().unwrap()).contains(&notice.id) {}
    let known = network.events("session.revoked").len();

    let clock = SystemClock::new();
    happening();
    let told = |error: ClientError| error.reason().map(|reason| reason.word());
    assert_eq!(told(soon("the end of the stream", following.next()).await.unwrap_err()), Some(reason));
    assert!(clock.monotonic() < STREAM_ENDS_MAX, "after {:?}", clock.monotonic());
    let ended = soon("the end of the stream", submitting.answers()).await;
    assert_eq!(told(ended.err().unwrap()), Some(reason));
    // Its other line is judged in the same breath, and is there a little longer: for last words and for nothing else.
    let refused = until("a refusal", || async {
        ke.raw.call("/liaison.v1.LogService/GetCheckpoint", Bytes::new()).await.err()
    })
    .await;
    assert_eq!((refused.code, &*refused.reason), (code, reason), "{refused:?}");

    let event = network.event_after("session.revoked", known).await;
    assert_eq!((&event["owner"], &event["reason"]), (&"partner KE".into(), &reason.into()), "{event}");
    assert_eq!(event["lines"], 2, "{event}");
    // Collect follows the directory by itself, and may have ended before.
    assert!((1..=2).contains(&event["calls"].as_u64().unwrap()), "{event}");
    // It concerns nobody else.
    fr.send(&format!("{reference}/after"), &["KE"]).await;
}

#[tokio::test]
async fn fault_20_who_is_revoked_by_a_list_is_told_on_open_streams_and_its_notices_wait() {
    let (network, authority, node) = guarded(&["FR", "KE"], &list(1, &[])).await;
    let serial = serial_of(&network, "KE");
    let file = network.path("lists/ca.crl");
    is_told(&network, &node, Code::Unauthenticated, "REVOKED", || {
        replace(&file, authority.publish(&list(2, &[&serial])));
    })
    .await;
    assert!(!gets_in(&network, "KE", &node).await);
    let rejected = network.event_after("tls.reject", 0).await;
    assert_eq!(rejected["reason"], "revoked");
    let loaded = network.events("crl.loaded");
    assert_eq!(loaded.last().unwrap()["number"], "0x02");

    // A newer list without it, and what waited is there.
    replace(&file, authority.publish(&list(3, &[])));
    becomes("KE to be let in", true, async || gets_in(&network, "KE", &node).await).await;
    let ke = network.partner("KE", &node).await;
    assert_eq!(ke.collect().await.len(), 2);
    assert_log_is_sound(&ke).await;
}

#[tokio::test]
async fn fault_20_whom_the_operator_denies_is_told_on_open_streams_and_a_bad_list_changes_nothing() {
    let (network, _, node) = guarded(&["FR", "KE"], &list(1, &[])).await;
    let file = network.path("denied.txt");
    let entry = "spiffe://network.liaison.example/partner/ke   # 2026-11-25, by a test\n";
    is_told(&network, &node, Code::Unauthenticated, "REVOKED", || replace(&file, entry)).await;
    assert!(!gets_in(&network, "KE", &node).await);
    assert_eq!(network.event_after("tls.reject", 0).await["reason"], "denied");

    // A list that cannot be read, or is gone, changes nothing and is reported.
    for (nth, bad) in [Some("spiffe://other.example/partner/fr\n"), Some("FR\n"), None].into_iter().enumerate() {
        match bad {
            Some(bad) => replace(&file, bad),
            None => std::fs::remove_file(&file).unwrap(),
        }
        network.event_after("deny_list.refused", nth).await;
        assert!(!gets_in(&network, "KE", &node).await, "{bad:?}");
        assert!(gets_in(&network, "FR", &node).await, "{bad:?}");
    }

    // And it lives within a second.
    replace(&file, "# nobody\n");
    let took = becomes("KE to be let in", true, async || gets_in(&network, "KE", &node).await).await;
    assert!(took < COUNTS_MAX, "{took:?}");
    assert_log_is_sound(&network.partner("KE", &node).await).await;
}

/// A pipe that nobody writes to, in the place of a file.
fn pipe(path: &Path) {
    let half = path.with_file_name(".pipe");
    assert!(std::process::Command::new("mkfifo").arg(&half).status().unwrap().success());
    std::fs::rename(half, path).unwrap();
}

#[tokio::test]
async fn fault_20_pipes_in_the_place_of_watched_files_stop_no_revocation_and_a_mended_file_counts() {
    let (network, authority, node) = guarded(&["FR", "KE"], &list(1, &[])).await;
    let certificate = std::fs::read(network.path("pki/hub-1.pem")).unwrap();
    for file in ["pki/hub-1.pem", "lists/ca.crl", "directory/directory-000004.sealed"] {
        pipe(&network.path(file));
    }
    let of_pipes = |event: &serde_json::Value| event.to_string().contains("it is a pipe");
    assert!(of_pipes(&network.event_after("cert.rotation_failed", 0).await));
    assert!(of_pipes(&network.event_after("reload_failed", 0).await));

    // Everything else that shuts somebody out still does.
    let denied = network.path("denied.txt");
    let entry = "spiffe://network.liaison.example/partner/ke   # 2026-11-25, by a test\n";
    is_told(&network, &node, Code::Unauthenticated, "REVOKED", || replace(&denied, entry)).await;
    pipe(&denied);
    assert!(of_pipes(&network.event_after("deny_list.refused", 0).await));
    assert!(!gets_in(&network, "KE", &node).await, "what was read before stays in force");

    // And so do they, as soon as files lie there again.
    replace(&denied, "# nobody\n");
    let took = becomes("KE to be let in", true, async || gets_in(&network, "KE", &node).await).await;
    assert!(took < COUNTS_MAX, "{took:?}");
    replace(&network.path("pki/hub-1.pem"), certificate);
    replace(&network.path("lists/ca.crl"), authority.publish(&list(2, &[&serial_of(&network, "KE")])));
    let took = becomes("KE to be kept out", false, async || gets_in(&network, "KE", &node).await).await;
    assert!(took < COUNTS_MAX, "{took:?}");
    let known = network.events("policy.loaded").len();
    std::fs::remove_file(network.path("directory/directory-000004.sealed")).unwrap();
    network.enrol("BR");
    network.event_after("policy.loaded", known).await;

    pipe(&network.path("pki/hub-1.key"));
    pipe(&denied);
    assert_log_is_sound(&network.partner("FR", &node).await).await;
    assert!(node.stop().await.success(), "and the process ends");
}

#[tokio::test]
async fn fault_20_who_loses_its_key_in_the_directory_is_told_on_open_streams() {
    let (network, _, node) = guarded(&["FR", "KE"], &list(1, &[])).await;
    let pinned = |key: &str| format!("id = \"KE\"\ntls_keys = [\"{key}\"]\n");
    is_told(&network, &node, Code::Unauthenticated, "REVOKED", || {
        network.amend(|text| text.replace("id = \"KE\"\n", &pinned(&"ab".repeat(32))));
    })
    .await;
    assert!(!gets_in(&network, "KE", &node).await);
    assert_eq!(network.event_after("tls.reject", 0).await["reason"], "key_not_pinned");
    assert_log_is_sound(&network.partner("FR", &node).await).await;
}

#[tokio::test]
async fn fault_15_who_is_suspended_is_told_on_open_streams() {
    let (network, _, node) = guarded(&["FR", "KE"], &list(1, &[])).await;
    is_told(&network, &node, Code::PermissionDenied, "SUSPENDED", || {
        network.amend(|text| text.replace("id = \"KE\"\n", "id = \"KE\"\nstatus = \"suspended\"\n"));
    })
    .await;
    assert_log_is_sound(&network.partner("FR", &node).await).await;
}

#[tokio::test]
async fn fault_08_a_bad_list_never_replaces_a_good_one_and_a_restart_forgets_no_number() {
    let network_and = guarded(&["FR", "KE"], &list(4, &[])).await;
    let (network, authority, node) = network_and;
    let (ke, fr) = (serial_of(&network, "KE"), serial_of(&network, "FR"));
    let file = network.path("lists/ca.crl");
    replace(&file, authority.publish(&list(5, &[&ke])));
    becomes("KE to be shut out", false, async || gets_in(&network, "KE", &node).await).await;

    // Whatever comes in its place, and does not hold, leaves it in force.
    let good = authority.publish(&list(6, &[]));
    let mut forged = good.clone();
    *forged.last_mut().unwrap() ^= 1;
    let stale = List { ends: now().plus(-Micros::SECOND), ..list(6, &[]) };
    let mut crashing = authority.publish(&List { part: Some("http://a.example/"), ..list(6, &[]) });
    let at = crashing.windows(3).rposition(|bytes| bytes == [0x81, 0x01, 0xff]).unwrap();
    crashing[at..at + 3].copy_from_slice(&[0x83, 0x01, 0x00]);
    let bad: [(&str, Vec<u8>, &str); 7] = [
        ("empty", Vec::new(), "crl_bad"),
        ("half written", good[..good.len() / 2].to_vec(), "crl_bad"),
        ("forged", forged, "crl_bad"),
        ("row 9", crashing, "crl_bad"),
        ("stale", authority.publish(&stale), "crl_stale"),
        ("rolled back", authority.publish(&list(4, &[])), "crl_rollback"),
        ("other bytes, same number", authority.publish(&list(5, &[&fr])), "crl_rollback"),
    ];
    for (nth, (what, bytes, reason)) in bad.into_iter().enumerate() {
        replace(&file, bytes);
        let event = network.event_after("crl.refused", nth).await;
        assert_eq!(event["reason"], reason, "{what}: {event}");
        assert!(!gets_in(&network, "KE", &node).await, "{what}");
        assert!(gets_in(&network, "FR", &node).await, "{what}");
    }

    // Nor does a restart bring back an older one: then nothing is known, and that is no.
    replace(&file, authority.publish(&list(4, &[])));
    assert!(node.stop().await.success());
    let known = network.events("crl.refused").len();
    let node = network.start().await;
    assert_eq!(network.event_after("crl.refused", known).await["reason"], "crl_rollback");
    assert!(!gets_in(&network, "FR", &node).await);
    assert!(!gets_in(&network, "KE", &node).await);
    replace(&file, in_pem(&good));
    let took = becomes("KE to be let in", true, async || gets_in(&network, "KE", &node).await).await;
    assert!(took < COUNTS_MAX, "{took:?}");
    assert_log_is_sound(&network.partner("FR", &node).await).await;
}

/// The other form in which lists come.
fn in_pem(der: &[u8]) -> String {
    use base64::Engine as _;
    let body = base64::engine::general_purpose::STANDARD.encode(der);
    let lines: Vec<_> = body.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN X509 CRL-----\n{}\n-----END X509 CRL-----\n", lines.join("\n"))
}

#[tokio::test]
async fn fault_08_a_list_about_to_be_over_is_announced_and_then_shuts_the_door_and_breaks_nothing_off() {
    let ends = now().plus(4 * Micros::SECOND);
    let (network, _, node) = guarded(&["FR", "KE"], &List { ends, ..list(1, &[]) }).await;
    let fr = network.partner("FR", &node).await;
    assert_eq!(network.event_after("crl.expiring", 0).await["reason"], "crl_stale");
    network.event_after("crl.stale", 0).await;
    assert!(!gets_in(&network, "FR", &node).await);
    fr.send("FR/1", &["KE"]).await;
    assert_eq!(network.events("session.revoked").len(), 0);
}

/// The node's next certificate and key.
fn renewed(network: &Network) -> (String, String) {
    let text = |file| std::fs::read_to_string(network.path(file)).unwrap();
    let authority = Authority::from_pem(&text("pki/ca.pem"), &text("pki/ca.key")).unwrap();
    let validity = Validity { not_before: now().plus(-Micros::HOUR), not_after: now().plus(30 * Micros::DAY) };
    let (name, addresses) = ("network.liaison.example".parse().unwrap(), [[127, 0, 0, 1].into()]);
    let node = "hub-1".parse().unwrap();
    let issued = authority.issue_node(&name, &node, &["hub-1", "localhost"], &addresses, validity).unwrap();
    (issued.certificate_pem().into(), issued.key_pem().into())
}

fn replace_key(path: &Path, key: &str) {
    use std::os::unix::fs::OpenOptionsExt as _;
    let half = path.with_file_name(".half");
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&half).unwrap();
    std::io::Write::write_all(&mut file, key.as_bytes()).unwrap();
    std::fs::rename(half, path).unwrap();
}

/// SHA-256 of what the node shows.
async fn shown(network: &Network, node: &Node) -> String {
    let endpoint = Partner::endpoint(network, "FR", node);
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(endpoint.authority_pem.as_bytes()).unwrap()).unwrap();
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let tcp = tokio::net::TcpStream::connect(&node.address).await.unwrap();
    let connector = tokio_rustls::TlsConnector::from(std::sync::Arc::new(config));
    let line = soon("the handshake", connector.connect("hub-1".try_into().unwrap(), tcp)).await.unwrap();
    super::support::shown(line.get_ref().1).to_hex()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_23_a_new_certificate_is_in_use_within_a_second_and_fails_no_call() {
    let network = Network::of(&["FR", "KE"]);
    let node = network.start().await;
    let (done, answers) = (watch::Sender::new(false), watch::Sender::new(0_u64));
    let mut working = JoinSet::new();
    for name in 0..3 {
        let (fr, done, answers) = (network.partner("FR", &node).await, done.subscribe(), answers.clone());
        working.spawn(async move {
            for nth in 0.. {
                if *done.borrow() {
                    return;
                }
                fr.submit(&fr.notice(&format!("FR/{name}/{nth}"), &["KE"])).await.unwrap();
                answers.send_modify(|answers| *answers += 1);
            }
        });
    }
    for _ in 0..3 {
        let before = shown(&network, &node).await;
        let (certificate, key) = renewed(&network);
        // As a tool does it that knows nothing of us: first one file, then the other.
        replace(&network.path("pki/hub-1.pem"), certificate);
        replace_key(&network.path("pki/hub-1.key"), &key);
        let took = becomes("the new certificate", true, async || shown(&network, &node).await != before).await;
        assert!(took < COUNTS_MAX, "{took:?}");
        assert!(gets_in(&network, "KE", &node).await);
        let seen = *answers.borrow();
        soon("more answers", answers.subscribe().wait_for(|answers| *answers > seen)).await.unwrap();
    }
    done.send_replace(true);
    while let Some(worked) = soon("the work", working.join_next()).await {
        worked.unwrap();
    }
    assert_eq!(network.events("cert.rotated").len(), 3);
    assert_log_is_sound(&network.partner("KE", &node).await).await;
}

#[tokio::test]
async fn fault_24_a_broken_certificate_or_key_never_replaces_a_good_one() {
    let network = Network::of(&["FR"]);
    let node = network.start().await;
    let before = shown(&network, &node).await;
    let (certificate, key) = (network.path("pki/hub-1.pem"), network.path("pki/hub-1.key"));
    let (good, (other, _)) = (std::fs::read(&certificate).unwrap(), renewed(&network));
    let breaks: [(&str, &dyn Fn()); 5] = [
        ("half written", &|| replace(&certificate, &good[..good.len() / 2])),
        ("empty", &|| replace(&certificate, "")),
        ("of another key", &|| replace(&certificate, &other)),
        ("key empty", &|| {
            replace(&certificate, &good);
            replace_key(&key, "");
        }),
        ("key gone", &|| std::fs::remove_file(&key).unwrap()),
    ];
    for (what, break_it) in breaks {
        let known = network.events("cert.rotation_failed").len();
        break_it();
        network.event_after("cert.rotation_failed", known).await;
        assert_eq!(shown(&network, &node).await, before, "{what}");
        assert!(gets_in(&network, "FR", &node).await, "{what}");
    }
    assert_eq!(network.events("cert.rotated").len(), 0);
}
