//! The log as its readers see it.

use std::path::Path;
use std::process::Stdio;

use liaison_protocol::tlog::checkpoint::{Checkpoint, SignedNote};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};

use crate::support::*;

fn object(stdout: &str) -> Value {
    serde_json::from_str(stdout.lines().last().unwrap()).unwrap()
}

fn size_of(note: &str) -> u64 {
    Checkpoint::parse(SignedNote::parse(note.as_bytes()).unwrap().text()).unwrap().size
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().flatten().filter(|entry| entry.path().is_file()) {
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

#[tokio::test]
async fn the_newest_checkpoint_is_printed_once_it_verifies_and_not_otherwise() {
    let network = Network::of(&["FR", "KE"]);
    let node = network.start().await;
    let fr = network.partner("FR", &node).await;
    fr.send("FR/1", &["KE"]).await;
    let (exit, stdout, stderr) = network.as_partner("FR", &node, &["log", "checkpoint", "--output", "json"]);
    assert_eq!(exit, 0, "{stderr}");
    let printed = object(&stdout);
    let note = printed["checkpoint"].as_str().unwrap();
    assert_eq!(note.as_bytes(), fr.client.checkpoint().await.unwrap());
    assert_eq!(printed["size"], fr.log_size().await);
    let (exit, stdout, _) = network.as_partner("FR", &node, &["log", "checkpoint"]);
    assert!(exit == 0 && stdout.contains(note.trim_end()), "{stdout}");

    // Believed is only whom the trust file names.
    let other = Network::of(&["FR"]);
    let key = |text: &str| text.lines().find(|line| line.starts_with("log ")).unwrap().to_owned();
    let mine = std::fs::read_to_string(network.path("partners/FR/network.trust")).unwrap();
    let theirs = std::fs::read_to_string(other.path("network.trust")).unwrap();
    std::fs::write(network.path("partners/FR/network.trust"), mine.replace(&key(&mine), &key(&theirs))).unwrap();
    let (exit, stdout, stderr) = network.as_partner("FR", &node, &["log", "checkpoint"]);
    assert_eq!((exit, stdout.as_str()), (7, ""), "{stderr}");
    assert_log_is_sound(&fr).await;
}

#[tokio::test]
async fn a_follower_sees_the_log_grow_for_as_long_as_it_likes() {
    let network = Network::of(&["FR", "KE"]);
    let node = network.start().await;
    let fr = network.partner("FR", &node).await;
    let mut following = tokio::process::Command::new(env!("CARGO_BIN_EXE_liaison"))
        .arg("-c")
        .arg(network.context("FR", &node))
        .args(["log", "follow", "--every", "50ms", "--output", "json"])
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(following.stdout.take().unwrap()).lines();
    let mut next = async || {
        let line = soon("a checkpoint", lines.next_line()).await.unwrap().unwrap();
        serde_json::from_str::<Value>(&line).unwrap()
    };
    let first = next().await;
    assert_eq!(first["event"], "pinned");
    let mut seen = first["size"].as_u64().unwrap();
    for nth in 0..3 {
        fr.send(&format!("FR/{nth}"), &["KE"]).await;
        let grown = next().await;
        assert_eq!(grown["event"], "grown");
        assert!(grown["size"].as_u64().unwrap() > seen, "{grown}");
        seen = grown["size"].as_u64().unwrap();
    }
    // The pin is the last one that was believed.
    soon("the end", following.kill()).await.unwrap();
    let pin =
        std::fs::read_to_string(network.path("partners/FR/hub-1.network.liaison.example-log.checkpoint")).unwrap();
    assert_eq!(size_of(&pin), seen);
    assert_log_is_sound(&fr).await;
}

#[tokio::test]
async fn fault_75_a_log_that_shows_another_past_is_caught_and_both_checkpoints_are_kept_as_proof() {
    let network = Network::of(&["FR", "KE"]);
    let follow = ["log", "follow", "--once", "--output", "json"];
    let node = network.start().await;
    network.partner("FR", &node).await.send("FR/1", &["KE"]).await;
    assert!(node.stop().await.success());
    copy(&network.path("data"), &network.path("older"));

    let node = network.start().await;
    network.partner("FR", &node).await.send("FR/2", &["KE"]).await;
    let (exit, stdout, stderr) = network.as_partner("FR", &node, &follow);
    assert_eq!((exit, &object(&stdout)["event"]), (0, &"pinned".into()), "{stderr}");
    let (exit, stdout, _) = network.as_partner("FR", &node, &follow);
    assert_eq!((exit, &object(&stdout)["event"]), (0, &"same".into()));
    assert!(node.stop().await.success());

    // Somebody restores the backup and removes what guards against it: the same key now signs another past.
    copy(&network.path("older"), &network.path("data"));
    std::fs::remove_dir_all(network.path("anchor")).unwrap();
    let (exit, _, stderr) = network.operator(&["log", "anchor"]);
    assert_eq!(exit, 0, "{stderr}");
    let node = network.start().await;
    let fr = network.partner("FR", &node).await;
    let pin = network.path("partners/FR/hub-1.network.liaison.example-log.checkpoint");
    let believed = std::fs::read_to_string(&pin).unwrap();
    for (sent, why) in [(0, "fewer leaves"), (1, "two roots of one size"), (2, "did not grow out of")] {
        if sent > 0 {
            fr.send(&format!("FR/other/{sent}"), &["KE"]).await;
        }
        let (exit, stdout, stderr) = network.as_partner("FR", &node, &follow);
        let alarm = object(&stdout);
        assert_eq!((exit, &alarm["event"]), (7, &"fork".into()), "{stdout}{stderr}");
        assert!(alarm["why"].as_str().unwrap().contains(why), "{alarm}");
        let saved: Vec<_> = alarm["files"]
            .as_array()
            .unwrap()
            .iter()
            .map(|file| std::fs::read_to_string(file.as_str().unwrap()).unwrap())
            .collect();
        let now = String::from_utf8(fr.client.checkpoint().await.unwrap().to_vec()).unwrap();
        assert_eq!(saved, [believed.clone(), now], "both are kept as they were signed");
        assert_eq!(std::fs::read_to_string(&pin).unwrap(), believed, "the alarm goes on until somebody has looked");
    }
}
