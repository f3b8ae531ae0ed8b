//! A store that is not what was signed: put back from a backup, emptied, or changed by a disk. It is served as far as it is whole,
//! nothing is signed on it, and a start like that changes nothing.

use std::collections::BTreeMap;
use std::path::Path;

use tonic::Code;

use crate::support::Network;

/// Every file of a folder with its bytes, but for the index that SQLite makes anew whenever it opens a database.
fn bytes_of(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let files = files.filter(|path| path.is_file() && !path.to_string_lossy().ends_with("-shm"));
    files.map(|path| (path.display().to_string(), std::fs::read(&path).unwrap())).collect()
}

fn copy(from: &Path, to: &Path) {
    let _ = std::fs::remove_dir_all(to);
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(|entry| entry.unwrap()).filter(|entry| entry.path().is_file())
    {
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

/// A network with one notice, a backup of its data folder, and one notice more.
async fn with_a_backup() -> Network {
    let network = Network::of(&["FR", "KE"]);
    let node = network.start().await;
    network.partner("FR", &node).await.send("FR/1", &["KE"]).await;
    assert!(node.stop().await.success());
    copy(&network.path("data"), &network.path("backup"));
    let node = network.start().await;
    network.partner("FR", &node).await.send("FR/2", &["KE"]).await;
    assert!(node.stop().await.success());
    network
}

#[tokio::test]
async fn fault_74_a_backup_put_back_whole_is_served_and_signs_nothing() {
    let network = with_a_backup().await;
    copy(&network.path("backup"), &network.path("data"));
    let before = bytes_of(&network.path("data"));
    let (exit, checked, _) = network.operator(&["serve", "--check"]);
    assert_eq!(exit, 1, "{checked}");
    assert!(checked.contains("a checkpoint over") && !checked.contains('✔'), "{checked}");

    let node = network.start().await;
    let ready: serde_json::Value = serde_json::from_str(&node.ready).unwrap();
    assert!(ready["recovering"].as_str().unwrap().contains("a checkpoint over"), "{ready}");
    let fr = network.partner("FR", &node).await;
    let notice = fr.notice("FR/3", &["KE"]);
    fr.is_refused(&notice, notice.envelope.clone(), Code::Unavailable, "RECOVERING").await;
    // What is whole is served: the first notice's receipt, under the checkpoint that was signed then.
    let (exit, traced, stderr) = network.as_partner("FR", &node, &["trace", "FR/1"]);
    assert_eq!(exit, 0, "{traced}{stderr}");
    let ke = network.partner("KE", &node).await;
    assert_eq!(ke.collect().await.len(), 1);
    assert!(node.stop().await.success());
    assert_eq!(bytes_of(&network.path("data")), before, "a start that signs nothing changes nothing");
    assert!(!network.events("recovering").is_empty());
}

#[tokio::test]
async fn fault_74_an_emptied_folder_with_the_same_key_begins_no_second_history() {
    let network = with_a_backup().await;
    std::fs::remove_dir_all(network.path("data")).unwrap();
    let node = network.start().await;
    let ready: serde_json::Value = serde_json::from_str(&node.ready).unwrap();
    assert!(ready["recovering"].as_str().unwrap().contains("holds 0 leaves"), "{ready}");
    let fr = network.partner("FR", &node).await;
    let notice = fr.notice("FR/1", &["KE"]);
    let refused = fr.raw.submit(notice.envelope.clone(), notice.parts.clone()).await.expect_err("nothing is taken");
    assert_eq!((refused.code, refused.reason.as_str()), (Code::Unavailable, "RECOVERING"), "{refused:?}");
    let checkpoint = fr.client.checkpoint().await.expect_err("there is none to show");
    assert!(checkpoint.to_string().contains("RECOVERING"), "{checkpoint}");
    assert!(node.stop().await.success());
    assert!(!network.path("data/liaison.db").exists(), "no store is made");
}

#[tokio::test]
async fn fault_74_without_its_anchor_no_node_starts_and_the_way_on_is_named() {
    let network = with_a_backup().await;
    std::fs::remove_dir_all(network.path("anchor")).unwrap();
    for command in [&["serve"][..], &["serve", "--check"]] {
        let (exit, _, stderr) = network.operator(command);
        assert_eq!(exit, 2, "{stderr}");
        assert!(stderr.contains("log.anchor: ") && stderr.contains("liaison log anchor --config"), "{stderr}");
    }
    let (exit, made, stderr) = network.operator(&["log", "anchor"]);
    assert_eq!(exit, 0, "{stderr}");
    assert!(made.contains("leaves are signed"), "{made}");
    let (exit, _, stderr) = network.operator(&["log", "anchor"]);
    assert!(exit != 0 && stderr.contains("is there already"), "{stderr}");
    let node = network.start().await;
    network.partner("FR", &node).await.send("FR/3", &["KE"]).await;
    assert!(node.stop().await.success());
}

/// A node that was killed right after its last answer, with what it had accepted in its write-ahead log alone.
async fn killed() -> Network {
    let network = Network::of(&["FR", "KE"]);
    let node = network.start().await;
    let fr = network.partner("FR", &node).await;
    for nth in 0..4 {
        fr.send(&format!("FR/{nth}"), &["KE"]).await;
    }
    node.kill().await;
    network
}

#[tokio::test]
async fn fault_76_one_bit_of_the_write_ahead_log_takes_back_nothing_and_changes_nothing() {
    let network = killed().await;
    let log = network.path("data/liaison.db-wal");
    let mut bytes = std::fs::read(&log).unwrap();
    bytes[32 + 24 + 100] ^= 4;
    std::fs::write(&log, bytes).unwrap();
    let before = bytes_of(&network.path("data"));
    let (exit, checked, _) = network.operator(&["serve", "--check"]);
    assert!(exit == 1 && checked.contains("liaison.db-wal: frame 0 is damaged"), "{checked}");
    let node = network.start().await;
    let ready: serde_json::Value = serde_json::from_str(&node.ready).unwrap();
    let why = ready["recovering"].as_str().unwrap_or_else(|| panic!("{ready}"));
    assert!(why.contains("liaison.db-wal: frame 0 is damaged") && !why.contains("backup"), "{why}");
    let fr = network.partner("FR", &node).await;
    let notice = fr.notice("FR/new", &["KE"]);
    let refused = fr.raw.submit(notice.envelope.clone(), notice.parts.clone()).await.expect_err("nothing is taken");
    assert_eq!(refused.reason, "RECOVERING");
    assert!(node.stop().await.success());
    assert_eq!(bytes_of(&network.path("data")), before, "a start that signs nothing changes nothing");
}

#[tokio::test]
async fn fault_83_what_a_power_cut_leaves_of_an_unanswered_commit_is_cut_and_reported() {
    let network = killed().await;
    let log = network.path("data/liaison.db-wal");
    let mut bytes = std::fs::read(&log).unwrap();
    // The beginning of one more commit: a whole frame header of this log, and half a page.
    let head = bytes[32..32 + 24].to_vec();
    bytes.extend(head);
    bytes.extend([7; 4096]);
    std::fs::write(&log, bytes).unwrap();
    let node = network.start().await;
    let ready: serde_json::Value = serde_json::from_str(&node.ready).unwrap();
    assert!(ready["recovering"].is_null(), "{ready}");
    let cut = network.event_after("integrity", 0).await;
    assert_eq!(cut["frames"], 1, "{cut}");
    let ke = network.partner("KE", &node).await;
    assert_eq!(ke.collect().await.len(), 4, "everything that was answered is there");
    assert!(node.stop().await.success());
}

#[tokio::test]
async fn fault_84_a_notice_file_that_was_cut_short_is_named_and_nothing_is_written() {
    let network = Network::of(&["FR", "KE"]);
    let node = network.start().await;
    let fr = network.partner("FR", &node).await;
    let mut draft = fr.draft("FR/large", &["KE"]);
    draft.parts[0].bytes = vec![b'x'; 100 << 10].into();
    let notice = fr.sign(draft);
    fr.submit(&notice).await.unwrap();
    assert!(node.stop().await.success());
    let file = std::fs::File::options().write(true).open(network.path("data/liaison.db.notices")).unwrap();
    file.set_len(1_000).unwrap();
    let before = bytes_of(&network.path("data"));
    let node = network.start().await;
    let ready: serde_json::Value = serde_json::from_str(&node.ready).unwrap();
    assert!(ready["recovering"].as_str().is_some_and(|why| why.contains("liaison.db.notices has")), "{ready}");
    assert!(node.stop().await.success());
    assert_eq!(bytes_of(&network.path("data")), before);
}
