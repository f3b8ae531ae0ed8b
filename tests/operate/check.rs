//! FAULTS 105 and 106: a wrong configuration is said in one line, by a check as by a start, and changes nothing that runs.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use liaison::clock::{Clock as _, SystemClock};

use super::watched;
use crate::support::*;

/// A second is what it may take; a machine that builds and tests at the same time is given some more.
const REFUSED_WITHIN: Duration = Duration::from_secs(5);

fn mode(network: &Network, file: &str, mode: u32) {
    std::fs::set_permissions(network.path(file), std::fs::Permissions::from_mode(mode)).unwrap();
}

fn replace(network: &Network, from: &str, to: &str) {
    let file = network.path("hub.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.contains(from), "{from} in {text}");
    std::fs::write(file, text.replace(from, to)).unwrap();
}

type Break = fn(&Network, &str);

/// What is broken (an address that somebody else has is handed in), and what the line names.
const ROWS: &[(Break, &[&str])] = &[
    (|network, _| network.configure_more("surprise = 1\n"), &["hub.toml: line ", "surprise"]),
    (
        |network, _| replace(network, "pki/hub-1.pem", "pki/gone.pem"),
        &["tls.certificate: ", "gone.pem is not there"],
    ),
    (|network, _| mode(network, "pki/hub-1.key", 0o644), &["tls.key: ", "pki/hub-1.key", "chmod 600"]),
    (|network, _| mode(network, "keys/log.key", 0o640), &["log.key: ", "keys/log.key", "chmod 600"]),
    (
        |network, _| replace(network, "keys/log.key", "keys/authority.key"),
        &["log.key: ", "is not the key that the directory lists"],
    ),
    (
        |network, _| std::fs::write(network.path("pki/hub-1.pem"), "nothing").unwrap(),
        &["tls.certificate: ", "hub-1.pem"],
    ),
    (
        |network, _| {
            // One digit within the authority's signature.
            let file = network.path("pki/hub-1.pem");
            let mut text = std::fs::read(&file).unwrap();
            let end = text.windows(8).rposition(|window| window == b"-----END").unwrap();
            let digit = &mut text[end - 20];
            *digit = if *digit == b'A' { b'B' } else { b'A' };
            std::fs::write(&file, text).unwrap();
        },
        &["tls.certificate: ", "hub-1.pem"],
    ),
    (
        |network, _| {
            std::fs::copy(network.path("partners/FR/tls.pem"), network.path("pki/hub-1.pem")).unwrap();
            std::fs::copy(network.path("partners/FR/tls.key"), network.path("pki/hub-1.key")).unwrap();
        },
        &["tls.certificate: ", "hub-1.pem"],
    ),
    (
        |network, _| std::fs::remove_dir_all(network.path("anchor")).unwrap(),
        &["log.anchor: ", "liaison log anchor --config"],
    ),
    (
        |network, _| replace(network, "anchor = \"anchor\"", "anchor = \"data/anchor\""),
        &["log.anchor: ", "outside node.data"],
    ),
    (
        |network, _| std::fs::write(network.path("network.trust"), "nothing").unwrap(),
        &["directory.trust: ", "network.trust"],
    ),
    (
        |network, _| std::fs::write(network.path("directory/directory-000001.sealed"), "x").unwrap(),
        &["directory.folder: ", "directory-000001.sealed"],
    ),
    (
        |network, _| replace(network, "id = \"hub-1\"", "id = \"hub-2\""),
        &["directory.folder: ", "node hub-2 is not in version"],
    ),
    (
        |network, _| replace(network, "data = \"data\"", "data = \"hub.toml/data\""),
        &["node.data: ", "hub.toml/data"],
    ),
    (
        |network, taken| replace(network, "partners = \"127.0.0.1:0\"", &format!("partners = \"{taken}\"")),
        &["listen.partners: ", "Address already in use"],
    ),
    (
        |network, taken| replace(network, "listen = \"127.0.0.1:0\"", &format!("listen = \"{taken}\"")),
        &["ops.listen: ", "Address already in use"],
    ),
    (
        |network, _| replace(network, "listen = \"127.0.0.1:0\"", "listen = \"0.0.0.0:0\""),
        &["ops.listen: ", "without a certificate"],
    ),
    (|network, _| network.configure("tls", "denied = \"denied.txt\""), &["tls.denied: ", "denied.txt"]),
    (
        |network, _| network.configure("tls", "revocation = [{ authority = \"hub.toml\", lists = [\"lists\"] }]"),
        &["tls.revocation: ", "hub.toml"],
    ),
    (
        |network, _| network.configure_more("\n[audit]\nto = \"nowhere/audit.jsonl\"\n"),
        &["audit.to: ", "nowhere/audit.jsonl"],
    ),
];

#[test]
fn fault_105_a_check_and_a_start_refuse_a_wrong_configuration_with_the_same_line_and_leave_nothing_behind() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().map(|address| (taken, address.to_string())).unwrap();
    for (wrong, words) in ROWS {
        let network = watched(&["FR"]);
        std::fs::remove_dir(network.path("data")).unwrap();
        wrong(&network, &taken.1);
        let clock = SystemClock::new();
        let checked = network.operator(&["serve", "--check"]);
        let started = network.operator(&["serve"]);
        assert!(clock.monotonic() < 2 * REFUSED_WITHIN, "{checked:?}");
        assert_ne!(checked.0, 0, "{words:?}");
        assert_eq!(checked, started, "the check says what the start says");
        assert_eq!(checked.2.lines().count(), 1, "one line: {}", checked.2);
        assert!(words.iter().all(|word| checked.2.contains(word)), "{words:?} in {}", checked.2);
        assert!(!network.path("data/liaison.db").exists(), "{words:?}: half a start");
    }
}

#[tokio::test]
async fn a_check_of_a_right_configuration_says_so_and_changes_nothing_whether_or_not_a_node_runs() {
    let network = watched(&["FR"]);
    std::fs::remove_dir(network.path("data")).unwrap();
    let (exit, stdout, stderr) = network.operator(&["serve", "--check"]);
    assert!(exit == 0 && stdout.contains("directory version 2"), "{stdout}{stderr}");
    assert!(!network.path("data").exists(), "nothing was made");
    let node = network.start().await;
    let (exit, stdout, _) = network.operator(&["serve", "--check"]);
    assert!(exit == 0 && stdout.contains("is running"), "{stdout}");
    // Another start of the same node is refused, and takes nothing from the one that runs.
    let (exit, _, stderr) = network.operator(&["serve"]);
    assert_ne!(exit, 0);
    assert!(stderr.contains("node.data: ") && stderr.contains("held by another process"), "{stderr}");
    let (exit, stdout, stderr) = network.operator(&["status"]);
    assert!(exit == 0 && stdout.contains("hub-1"), "{stdout}{stderr}");
    assert!(node.stop().await.success());
}

#[tokio::test]
async fn fault_106_a_reload_of_a_wrong_configuration_keeps_the_old_one_and_says_why() {
    let network = watched(&["FR", "KE"]);
    network.configure_more("\n[audit]\nto = \"data/audit.jsonl\"\n");
    let node = network.start().await;
    let fr = network.partner("FR", &node).await;
    let right = std::fs::read_to_string(network.path("hub.toml")).unwrap();
    let configuration =
        |stdout: &str| stdout.lines().find(|line| line.contains("configuration: ")).unwrap().to_owned();

    let (exit, stdout, _) = network.operator(&["reload"]);
    assert_eq!((exit, configuration(&stdout).as_str()), (0, " configuration: unchanged"));
    network.configure_more("surprise = 1\n");
    let (exit, stdout, _) = network.operator(&["reload"]);
    let said = configuration(&stdout);
    assert!(exit == 1 && said.contains("kept as it was") && said.contains("surprise"), "{said}");
    fr.send("FR/1", &["KE"]).await;
    std::fs::write(network.path("hub.toml"), right.replace("data/audit.jsonl", "data/other.jsonl")).unwrap();
    let (exit, stdout, _) = network.operator(&["reload"]);
    assert_eq!(
        (exit, configuration(&stdout).as_str()),
        (0, " configuration: changed, and in force after a restart")
    );
    assert!(!network.path("data/other.jsonl").exists());
    assert_log_is_sound(&fr).await;
    drop(fr);
    assert!(node.stop().await.success());
    let audit = std::fs::read_to_string(network.path("data/audit.jsonl")).unwrap();
    assert_eq!(audit.matches("\"event\":\"reload_failed\"").count(), 1, "{audit}");
}
