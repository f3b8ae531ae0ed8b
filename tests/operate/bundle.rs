//! The support bundle of a running node.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::watched;
use crate::support::*;

/// Every file in a bundle.
pub(super) fn open(bundle: &Path) -> BTreeMap<String, String> {
    let mut tar = tar::Archive::new(std::fs::File::open(bundle).unwrap());
    let items = tar.entries().unwrap().map(|item| {
        let mut item = item.unwrap();
        let mut text = String::new();
        item.read_to_string(&mut text).unwrap();
        (item.path().unwrap().display().to_string(), text)
    });
    items.collect()
}

#[tokio::test]
async fn a_bundle_is_listed_first_written_when_somebody_says_yes_and_never_over_another() {
    let network = watched(&["FR", "KE"]);
    network.configure_more("\n[audit]\nto = \"data/audit.jsonl\"\n");
    let node = network.start().await;
    // The bundle asks the ops port that the file names; this node was given one by the machine.
    let file = network.path("hub.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("listen = \"127.0.0.1:0\"\n", &format!("listen = \"{}\"\n", node.ops)))
        .unwrap();
    let fr = network.partner("FR", &node).await;
    fr.send("FR/1", &["KE"]).await;

    // Written within a second of its signature.
    until("the first checkpoint in the anchor", async || network.kept_checkpoint()).await;
    let bundle = network.path("bundle.tar");
    let to = bundle.to_str().unwrap();
    let (exit, stdout, stderr) = network.operator(&["support-bundle", "--to", to]);
    assert_eq!(exit, 2, "nobody is there to say yes: {stdout}{stderr}");
    assert!(stderr.contains("--yes") && !bundle.exists(), "{stderr}");
    let (exit, stdout, stderr) = network.operator(&["support-bundle", "--to", to, "--yes"]);
    assert_eq!(exit, 0, "{stderr}");
    assert_eq!(std::fs::metadata(&bundle).unwrap().permissions().mode() & 0o777, 0o600);

    let items = open(&bundle);
    for name in items.keys() {
        assert!(stdout.contains(name.as_str()), "{name} was not listed: {stdout}");
    }
    let holds = |name: &str, word: &str| assert!(items[name].contains(word), "{word} in {name}: {}", items[name]);
    holds("about.json", env!("CARGO_PKG_VERSION"));
    holds("status.json", "\"waiting\": 1");
    holds("configuration.toml", "key = \"pki/hub-1.key\"");
    holds("check.txt", "running: true");
    holds("checkpoint.txt", "hub-1.network.liaison.example/log\n");
    holds("directory.json", "\"partners\": 2");
    holds("machine.json", "liaison.db");
    holds("limits.txt", "Max open files");
    holds("readyz.txt", "ready");
    holds("metrics.txt", "liaison_submissions_total{outcome=\"accepted\",reason=\"\"} 1");
    holds("audit-tail.jsonl", "\"event\":\"node.started\"");
    assert!(items.values().all(|text| !text.contains("not available")), "{items:?}");

    let (exit, _, stderr) = network.operator(&["support-bundle", "--to", to, "--yes"]);
    assert!(exit == 1 && stderr.contains("File exists"), "{stderr}");
    assert_log_is_sound(&fr).await;
}

#[test]
fn a_bundle_of_a_node_that_cannot_start_says_why() {
    let network = watched(&["FR"]);
    network.configure_more("surprise = 1\n");
    let bundle = network.path("bundle.tar");
    let (exit, _, stderr) = network.operator(&["support-bundle", "--yes", "--to", bundle.to_str().unwrap()]);
    assert_eq!(exit, 0, "{stderr}");
    let items = open(&bundle);
    assert!(items["configuration.txt"].contains("surprise"), "{items:?}");
    assert!(items["status.json"].contains("no node answers"), "{items:?}");
}
