//! A network of several nodes: a partner signs for what lies at its own home.

use std::process::{Command, Output};

use liaison_protocol::id::to_hex;
use liaison_protocol::signer::{Ed25519Signer, Signer as _};

use crate::support::{Network, Node};

/// Runs a command as a partner, whose context names the node's address of this run.
fn run_as(network: &Network, node: &Node, partner: &str, args: &[&str]) -> Output {
    let folder = network.path(&format!("partners/{partner}"));
    let context = std::fs::read_to_string(folder.join("context.toml")).unwrap();
    let here = folder.join("here.toml");
    std::fs::write(&here, context.replace("127.0.0.1:0", &node.address)).unwrap();
    Command::new(env!("CARGO_BIN_EXE_liaison"))
        .arg("--context")
        .arg(here)
        .args(args)
        .current_dir(network.path("."))
        .output()
        .unwrap()
}

/// Lists a second node, before the partners' home in the file and so in the directory.
fn two_nodes(network: &Network) {
    let log_key = to_hex(Ed25519Signer::from_seed(&[9; 32]).public().as_bytes());
    let first = format!(
        "[[node]]\nid = \"a-site\"\nlog_origin = \"a-site.network.liaison.example/log\"\nlog_key = \"{log_key}\"\n\
         tls_authorities = [\"pki/ca.pem\"]\naddresses = []\n\n[[node]]"
    );
    network.amend(|text| text.replacen("[[node]]", &first, 1));
}

fn done(output: &Output) {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test]
async fn an_acknowledgement_names_the_log_of_the_partners_home_and_not_the_first_one_listed() {
    let network = Network::of(&["FR", "KE"]);
    two_nodes(&network);
    let node = network.start().await;
    std::fs::write(network.path("notice.json"), r#"{"text": {"subject": "Lost seal", "body": "Seal 4711."}}"#)
        .unwrap();
    done(&run_as(&network, &node, "FR", &["send", "notice.json", "--to", "KE", "--reference", "FR/2026/1"]));
    done(&run_as(&network, &node, "KE", &["ack", "FR/2026/1", "--save", "said.receipt"]));
    done(&run_as(&network, &node, "KE", &["verify", "said.receipt", "--trust", "network.trust"]));
    assert!(node.stop().await.success());
}

#[tokio::test]
async fn nobody_is_given_a_home_by_chance() {
    let network = Network::of(&[]);
    two_nodes(&network);
    let add = |more: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_liaison"));
        command.args(["partner", "add", "BR", "--folder"]).arg(network.path(".")).args(more).output().unwrap()
    };
    for (more, exit) in [(&[][..], 2), (&["--home", "b-site"], 3), (&["--home", "hub-1"], 0)] {
        let output = add(more);
        assert_eq!(output.status.code(), Some(exit), "{more:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    let text = std::fs::read_to_string(network.path("directory.toml")).unwrap();
    assert!(text.split_once("id = \"BR\"").unwrap().1.contains("home = \"hub-1\""), "{text}");
}
