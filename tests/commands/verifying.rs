//! `verify` over many files: the worst finding counts, all are shown, and no file holds it up.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::support::Network;

/// Runs `verify` in a folder; its exit code, and what it said.
fn verify(folder: &Path, args: &[&str], input: &[u8]) -> (i32, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_liaison"));
    command.arg("verify").args(args).current_dir(folder);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // Whoever has read enough reads no further.
    let _ = child.stdin.take().unwrap().write_all(input);
    let output = child.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap(), String::from_utf8(said).unwrap())
}

fn verify_json(folder: &Path, args: &[&str]) -> Value {
    let (_, said) = verify(folder, &[args, &["--output", "json"]].concat(), b"");
    serde_json::from_str(&said).unwrap()
}

/// A folder of receipts: of what FR sent and what KE said to it; the trust files of this network and of another.
async fn stage() -> (Network, Vec<u8>) {
    let network = Network::of(&["FR", "KE"]);
    let node = network.start().await;
    std::fs::write(network.path("red.json"), r#"{"text": {"subject": "s", "body": "b"}}"#).unwrap();
    let at = |file: &str| network.path(file).display().to_string();
    let done = |partner: &str, args: &[&str]| {
        let (exit, said, complaint) = network.as_partner(partner, &node, args);
        assert_eq!(exit, 0, "{said}{complaint}");
    };
    std::fs::create_dir(network.path("receipts")).unwrap();
    done(
        "FR",
        &["send", &at("red.json"), "--to", "KE", "--reference", "FR/1", "--save", &at("receipts/sent.receipt")],
    );
    done("KE", &["ack", "FR/1", "--save", &at("receipts/said.receipt")]);
    std::fs::write(network.path("receipts/README"), "not a receipt\n").unwrap();
    let other = Network::of(&[]);
    std::fs::copy(other.path("network.trust"), network.path("other.trust")).unwrap();
    assert!(node.stop().await.success());
    let good = std::fs::read(network.path("receipts/sent.receipt")).unwrap();
    (network, good)
}

#[tokio::test]
async fn the_worst_of_many_receipts_counts_and_none_is_left_out() {
    let (network, good) = stage().await;
    let here = network.path(".");
    let write = |file: &str, bytes: &[u8]| std::fs::write(network.path(file), bytes).unwrap();
    write("forged", String::from_utf8(good.clone()).unwrap().replacen("index ", "index 1", 1).as_bytes());
    write("empty", b"");
    write("huge", &vec![b'x'; (4 << 20) + 1]);
    assert!(Command::new("mkfifo").arg(network.path("pipe")).status().unwrap().success());
    std::fs::create_dir(network.path("bare")).unwrap();
    let sent = "receipts/sent.receipt";
    let rows: [(&[&str], i32, &str); 14] = [
        (&[sent], 0, " 1 receipt: 1 verified   exit 0"),
        (&["receipts"], 0, " 2 receipts: 2 verified, 1 other entries of folders not looked at   exit 0"),
        (&["none", "forged", sent], 7, " 3 receipts: 1 verified, 1 failed, 1 could not be read   exit 7"),
        (&["forged", "none", sent], 7, " 3 receipts: 1 verified, 1 failed, 1 could not be read   exit 7"),
        (&[sent, "none"], 1, " 2 receipts: 1 verified, 1 could not be read   exit 1"),
        (&["empty"], 7, "1 failed"),
        (&["huge"], 1, "more than 4194304 bytes"),
        (&["pipe", sent], 1, "it is a pipe"),
        (&["/dev/zero"], 1, "it is a device"),
        (&["bare"], 1, "holds no *.receipt"),
        (&["-"], 0, " 1 receipt: 1 verified   exit 0"),
        (&["-", sent], 0, " 2 receipts: 2 verified   exit 0"),
        (&["-", "-"], 2, "- is given twice"),
        (&[sent, "no\nsuch\u{1b}[2J VERIFIED: file"], 1, "no\\nsuch\\u001b[2J VERIFIED: file"),
    ];
    for (files, exit, said) in rows {
        let found = verify(&here, &[files, &["--trust", "network.trust"]].concat(), &good);
        assert!(found.0 == exit && found.1.contains(said), "{files:?}: {found:?}");
        let last = found.1.trim_end().lines().last().unwrap();
        assert!(exit == 2 || last.ends_with(&format!("exit {exit}")), "{files:?}: {last}");
    }
    // More than a receipt may have is not read, and what never ends is not waited for.
    let (exit, said) = verify(&here, &["-"], &vec![b'c'; 9 << 20]);
    assert!(exit == 7 && said.contains("at most"), "{said}");
}

#[tokio::test]
async fn programs_read_what_a_receipt_shows_in_fields() {
    let (network, _) = stage().await;
    let here = network.path(".");
    let found = verify_json(&here, &["receipts", "none", "--trust", "network.trust"]);
    assert_eq!(found["verified"], false);
    assert_eq!(found["counts"]["verified"], 2);
    assert_eq!(found["counts"]["unread"], 1);
    let [said, sent, none] = &found["receipts"].as_array().unwrap()[..] else { panic!("{found}") };
    assert_eq!(none["outcome"], "unread");
    assert_eq!((&sent["event"], &said["event"]), (&"SubmissionAcceptance".into(), &"ContentHandover".into()));
    assert_eq!(sent["notice"]["reference"], "FR/1");
    assert_eq!(sent["notice"]["notice_id"], said["notice"]["notice_id"]);
    assert_eq!(sent["notice"]["leaf_index"], sent["leaf_index"]);
    let party = |party: &str, partner: &str| serde_json::json!({"party": party, "partner": partner});
    assert_eq!(said["parties"], Value::from(vec![party("recipient", "KE")]));
    assert_eq!(sent["parties"], Value::from(vec![party("originator", "FR"), party("recipient", "KE")]));
    assert_eq!(said["items"][0]["outcome"], "ACCEPTED");
    for (receipt, moments) in
        [(sent, &["issued_at", "accepted_at", "expires_at"][..]), (said, &["signed_at", "acknowledged_at"])]
    {
        for moment in moments {
            let at = receipt["moments"][moment].as_str().unwrap_or_else(|| panic!("{moment}: {receipt}"));
            assert!(at.parse::<jiff::Timestamp>().is_ok(), "{at}");
        }
        assert_eq!(receipt["warnings"], Value::Array(Vec::new()));
    }
    let untied = verify_json(&here, &["receipts/sent.receipt"]);
    assert!(untied["receipts"][0]["warnings"][0].as_str().unwrap().contains("trust file"), "{untied}");
}

#[tokio::test]
async fn what_happened_to_a_receipt_or_a_trust_file_on_its_way_is_no_forgery_and_can_be_undone() {
    let (network, good) = stage().await;
    let here = network.path(".");
    let trust = std::fs::read_to_string(network.path("network.trust")).unwrap();
    let good = String::from_utf8(good).unwrap();
    let utf16 = |text: &str| [0xfeff].into_iter().chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect();
    type Change = fn(&str) -> String;
    let rows: [(&str, Change, bool); 5] = [
        ("line ends were changed", |text| text.replace('\n', "\r\n"), false),
        ("byte order mark", |text| format!("\u{feff}{text}"), false),
        ("line ends were changed", |text| format!("\u{feff}{}", text.replace('\n', "\r\n")), false),
        ("no-break spaces", |text| text.replace(' ', "\u{a0}"), false),
        ("UTF-16", |text| text.replace('\n', "\r\n"), true),
    ];
    let undo = |said: &str| {
        let line = said.lines().find(|line| line.contains(".mended")).unwrap_or_else(|| panic!("{said}"));
        let command = line.trim().trim_start_matches("next: ");
        assert!(
            Command::new("sh").args(["-c", command]).current_dir(&here).status().unwrap().success(),
            "{command}"
        );
    };
    for (words, change, as_utf16) in rows {
        let bytes = |text: &str| if as_utf16 { utf16(&change(text)) } else { change(text).into_bytes() };
        std::fs::write(network.path("r"), bytes(&good)).unwrap();
        let (exit, said) = verify(&here, &["r", "--trust", "network.trust"], b"");
        assert!(exit == 7 && said.contains(words) && !said.contains("it was changed"), "{said}");
        undo(&said);
        assert_eq!(verify(&here, &["r.mended", "--trust", "network.trust"], b"").0, 0, "{said}");

        std::fs::write(network.path("t"), bytes(&trust)).unwrap();
        let (exit, said) = verify(&here, &["receipts", "--trust", "t"], b"");
        assert!(exit == 2 && said.contains(words) && said.contains(" t: "), "{said}");
        undo(&said);
        assert_eq!(verify(&here, &["receipts", "--trust", "t.mended"], b"").0, 0, "{said}");
        // The same file is told in the same words, with the same exit code, by whoever reads it.
        let context = network.path("partners/FR/network.trust");
        std::fs::write(&context, bytes(&trust)).unwrap();
        for args in [&["-c", "partners/FR", "inbox"][..], &["serve", "--check", "--config", "hub.toml"]] {
            std::fs::copy(&context, network.path("network.trust")).unwrap();
            let output =
                Command::new(env!("CARGO_BIN_EXE_liaison")).args(args).current_dir(&here).output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(output.status.code() == Some(2) && said.contains(words), "{args:?} {said}");
            assert!(said.contains("network.trust"), "{args:?} {said}");
        }
        std::fs::write(network.path("network.trust"), &trust).unwrap();
    }
    for bad in ["none.trust", ".", "red.json"] {
        let (exit, said) = verify(&here, &["receipts", "--trust", bad], b"");
        assert!(exit == 2 && said.contains(bad), "{said}");
    }
}

#[tokio::test]
async fn the_trust_file_of_another_network_is_told_as_such_and_not_as_tampering() {
    let (network, _) = stage().await;
    let here = network.path(".");
    let (exit, said) = verify(&here, &["receipts", "--trust", "other.trust"], b"");
    assert!(exit == 7 && said.contains("OTHER NETWORK") && !said.contains("it was changed"), "{said}");
    let found = verify_json(&here, &["receipts", "--trust", "other.trust"]);
    assert!(found["receipts"][0]["problem"].as_str().unwrap().contains("of another"), "{found}");
    // A node and a partner that are given it say the same.
    let node = network.start().await;
    let folder = network.context("FR", &node);
    std::fs::copy(network.path("other.trust"), folder.join("network.trust")).unwrap();
    let (exit, _, said) = network.as_partner("FR", &node, &["inbox"]);
    assert!(exit == 2 && said.contains("of another network"), "{exit} {said}");
    assert!(node.stop().await.success());
    std::fs::copy(network.path("other.trust"), network.path("network.trust")).unwrap();
    let (exit, _, said) = network.operator(&["serve", "--check"]);
    assert!(exit == 2 && said.contains("of another network"), "{exit} {said}");
}
