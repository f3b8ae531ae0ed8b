//! Beside a running node: what it says of itself, and whether that is what lies in its files.

use std::path::Path;

use liaison_protocol::tlog::checkpoint::{Checkpoint, SignedNote};

use super::place::{Place, Row, stopped};
use crate::support::{Network, Node, now};

pub(super) const ROWS: &[Row] = &[
    Row {
        name: "a folder with a newer directory than the node has",
        does: |place| {
            copy(place, "directory", "ahead");
            place.sign_into("ahead", now());
            another_configuration(place, &[("folder = \"directory\"", "folder = \"ahead\"")]);
        },
        amiss: &[("D06", "failed")],
        found: "serves version 3, the folder has 4",
        fix: "liaison reload --config",
        mends: false,
    },
    Row {
        name: "a certificate that the node has not read",
        does: |place| {
            place.run(&format!("liaison certificate node hub-1 --folder '{}'", place.path("aside").display()));
            another_configuration(
                place,
                &[("pki/hub-1.pem", "aside/pki/hub-1.pem"), ("pki/hub-1.key", "aside/pki/hub-1.key")],
            );
        },
        amiss: &[("C07", "failed")],
        found: "another certificate than the one in the file",
        fix: "liaison reload --config",
        mends: false,
    },
    Row {
        name: "a socket that is gone",
        does: |place| std::fs::remove_file(place.path("data/operator.sock")).unwrap(),
        amiss: &[("C08", "failed")],
        found: "operator.sock",
        fix: "liaison serve --config",
        mends: false,
    },
    Row {
        name: "a node that keeps its data elsewhere",
        does: |place| {
            let socket = ("[listen]\n", "[listen]\noperator = \"data/operator.sock\"\n");
            another_configuration(place, &[("data = \"data\"", "data = \"elsewhere\""), socket]);
        },
        amiss: &[("S03", "failed")],
        found: "keeps its data elsewhere",
        fix: "liaison status --config",
        mends: false,
    },
    Row {
        name: "another history seen before",
        does: |place| place.write("hub.pin", place.signed_checkpoint(3)),
        amiss: &[("L02", "failed")],
        found: "two histories",
        fix: "keep",
        mends: false,
    },
    Row {
        name: "more leaves seen before than there are",
        does: |place| place.write("hub.pin", place.signed_checkpoint(1_000)),
        amiss: &[("L02", "failed")],
        found: "it was rolled back",
        fix: "keep",
        mends: false,
    },
    Row {
        name: "a pin that is none",
        does: |place| place.write("hub.pin", "nonsense"),
        amiss: &[("L02", "failed")],
        found: "hub.pin",
        fix: "mv ",
        mends: true,
    },
    Row {
        name: "a pin that somebody else signed",
        does: |place| {
            let note = String::from_utf8(place.signed_checkpoint(3)).unwrap();
            let (text, _) = note.rsplit_once("\n\n").unwrap();
            let lines = place.kept_checkpoint();
            let (_, signature) = lines.rsplit_once("\n\n").unwrap();
            place.write("hub.pin", format!("{text}\n\n{signature}"));
        },
        amiss: &[("L02", "failed")],
        found: "no checkpoint of this log",
        fix: "mv ",
        mends: true,
    },
];

fn copy(place: &Place, from: &str, to: &str) {
    let copied = std::process::Command::new("cp").arg("-a").args([place.path(from), place.path(to)]).status();
    assert!(copied.unwrap().success());
}

/// Asks about the running node with a file that says something else than the one it was started with.
fn another_configuration(place: &Place, changes: &[(&str, &str)]) {
    place.write("other.toml", place.text("hub.toml"));
    changes.iter().for_each(|(from, to)| place.change("other.toml", from, to));
    place.config.set("other.toml");
}

async fn started(place: &Place) -> Node {
    Node::start(&place.path("hub.toml")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn beside_a_running_node_all_is_well_and_nothing_is_left_out() {
    let place = Place::copy_of(&stopped().path(""));
    let node = started(&place).await;
    let report = place.beside();
    report.is_all_well("beside");
    let waits = report.check("M01")["found"].as_str().unwrap().to_string();
    assert!(waits.starts_with("2 notices (0 urgent), for KE the longest: "), "{waits}");
    assert!(node.stop().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn beside_a_running_node_exactly_the_broken_thing_is_found() {
    for row in ROWS {
        let place = Place::copy_of(&stopped().path(""));
        copy_aside(&place);
        let node = started(&place).await;
        (row.does)(&place);
        place.shows(row, Place::beside);
        node.kill().await;
    }
}

/// The network's files once more, for certificates that the node does not read.
fn copy_aside(place: &Place) {
    let files = ["pki", "directory", "network.trust", "directory.toml", "keys"];
    std::fs::create_dir(place.path("aside")).unwrap();
    files.iter().for_each(|file| copy(place, file, &format!("aside/{file}")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_down_is_found_and_what_its_files_say_is_said_all_the_same() {
    let place = Place::copy_of(&stopped().path(""));
    place.change("hub.toml", "127.0.0.1:0", "127.0.0.1:1");
    let report = place.beside();
    assert_eq!(report.exit, 1);
    for (code, outcome) in [("C01", "failed"), ("C08", "failed"), ("L03", "ok"), ("L04", "ok"), ("M01", "skipped")]
    {
        assert_eq!(report.check(code)["outcome"], outcome, "{}", report.check(code));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_is_compared_with_what_was_seen_last_and_the_pin_moves_on() {
    let network = Network::of(&["FR", "KE"]);
    let node = network.start().await;
    let place = Seen(network.path(""));
    assert_eq!(place.growth(), format!("first look: 4 leaves pinned in {}", place.0.join("hub.pin").display()));
    assert_eq!(place.growth(), "4 leaves grew out of the 4 seen before");
    network.partner("FR", &node).await.send("FR/2026/000001", &["KE"]).await;
    assert_eq!(place.growth(), "5 leaves grew out of the 4 seen before");
    assert_eq!(place.growth(), "5 leaves grew out of the 5 seen before");
    assert!(node.stop().await.success());
}

/// A network's own folder, looked at again and again.
struct Seen(std::path::PathBuf);

impl Seen {
    fn growth(&self) -> String {
        let config = self.0.join("hub.toml");
        let output = std::process::Command::new(super::place::LIAISON)
            .args(["doctor", "--output", "json", "--config"])
            .arg(&config)
            .env_remove("LIAISON_CONTEXT")
            .output()
            .unwrap();
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let checks = report["checks"].as_array().unwrap();
        let check = checks.iter().find(|check| check["code"] == "L02").unwrap();
        assert_eq!(check["outcome"], "ok", "{check}");
        check["found"].as_str().unwrap().into()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_histories_are_shown_whole_and_the_pin_is_kept() {
    let place = Place::copy_of(&stopped().path(""));
    let node = started(&place).await;
    let seen = place.signed_checkpoint(3);
    place.write("hub.pin", &seen);
    let report = place.beside();
    assert_eq!(report.object["checkpoint_pinned"].as_str().unwrap().as_bytes(), seen);
    let shown = report.object["checkpoint_shown"].as_str().unwrap();
    let shown = Checkpoint::parse(SignedNote::parse(shown.as_bytes()).unwrap().text()).unwrap();
    assert!(shown.size > 3, "{shown:?}");
    assert_eq!(std::fs::read(place.path("hub.pin")).unwrap(), seen, "evidence is never written over");
    assert!(node.stop().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_issued_anew_is_found_until_the_node_has_read_it() {
    let place = Place::copy_of(&stopped().path(""));
    let node = started(&place).await;
    let folder = place.path("").display().to_string();
    assert!(place.run(&format!("liaison certificate node hub-1 --folder '{folder}'")).status.success());
    assert!(place.run(&format!("liaison reload --config '{}'", place.path("hub.toml").display())).status.success());
    place.beside().is_all_well("read again");
    assert!(node.stop().await.success());
}

#[test]
fn people_are_shown_groups_signs_fixes_and_totals() {
    let place = Place::copy_of(&stopped().path(""));
    place.mode("pki/hub-1.key", 0o640);
    let shown = |path: &Path| {
        let output =
            place.run(&format!("ulimit -n $(ulimit -Hn); liaison doctor --pre --config '{}'", path.display()));
        (String::from_utf8(output.stdout).unwrap(), output.status.code())
    };
    let (text, exit) = shown(&place.path("hub.toml"));
    let key = place.path("pki/hub-1.key");
    let expected = format!(
        " ✘ F03 private keys are closed       tls.key: {key} has mode 0640\n       fix: chmod 600 {key}\n       why: docs/DOCTOR.md#F03\n",
        key = key.display()
    );
    assert!(text.contains("\n Configuration and files\n ✔ F01 configuration "), "{text}");
    assert!(text.contains(&expected), "{text}");
    assert!(text.ends_with("\n 33 checks: 32 ok, 0 warnings, 1 failed (F03)   exit 1\n"), "{text}");
    assert_eq!(exit, Some(1));
}

#[test]
fn programs_get_one_object_with_every_check_whole() {
    let report = Place::copy_of(&stopped().path("")).pre();
    assert_eq!((report.object["mode"].as_str(), report.object["subject"].as_str()), (Some("pre"), Some("hub-1")));
    for check in report.checks() {
        for key in ["code", "group", "title", "outcome", "found", "page"] {
            assert!(check[key].as_str().is_some_and(|text| !text.is_empty()), "{key} in {check}");
        }
        assert!(check["fix"].is_null(), "{check}");
    }
    let totals = &report.object["totals"];
    let sum: u64 = ["ok", "warnings", "failed", "skipped"].iter().map(|key| totals[key].as_u64().unwrap()).sum();
    assert_eq!(sum, report.checks().len() as u64);
    assert_eq!(report.object["exit"], 0);
}
