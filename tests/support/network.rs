//! A network in a temporary folder, made by the commands that people use.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use liaison_protocol::trust::Trust;

use super::sight::Sight;
use super::{Node, Partner, pause, until};

/// A folder with an authority, one node and its partners. What its partners see in the course of a story is remembered here.
pub(crate) struct Network {
    folder: tempfile::TempDir,
    pub(crate) trust: Trust,
    pub(super) sight: Arc<Sight>,
}

impl Network {
    /// Makes a network whose partners may all send everything to each other.
    pub(crate) fn of(partners: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        run(&["init", "--folder", path(folder.path()), "--listen", "127.0.0.1:0"]).unwrap();
        let trust = std::fs::read_to_string(folder.path().join("network.trust")).unwrap();
        let network = Self { trust: trust.parse().unwrap(), folder, sight: Arc::default() };
        partners.iter().for_each(|partner| network.enrol(partner));
        network
    }

    /// A file of the network's folder.
    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    /// Adds to the end of the node's configuration.
    pub(crate) fn configure_more(&self, more: &str) {
        let file = self.path("hub.toml");
        let text = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, text + more).unwrap();
    }

    /// Runs a command of the node's operator; its exit code, and what it said on stdout and stderr.
    pub(crate) fn operator(&self, command: &[&str]) -> (i32, String, String) {
        let config = self.path("hub.toml");
        said(Command::new(env!("CARGO_BIN_EXE_liaison")).args(command).arg("--config").arg(config))
    }

    /// Runs a command of a partner.
    pub(crate) fn as_partner(&self, partner: &str, node: &Node, command: &[&str]) -> (i32, String, String) {
        let context = self.context(partner, node);
        said(Command::new(env!("CARGO_BIN_EXE_liaison")).arg("-c").arg(context).args(command))
    }

    /// Starts the node and waits until it is ready.
    pub(crate) async fn start(&self) -> Node {
        Node::start(&self.path("hub.toml")).await
    }

    /// The same, with another filter for what it logs.
    pub(crate) async fn start_saying(&self, filter: &str) -> Node {
        Node::start_saying(&self.path("hub.toml"), filter).await
    }

    /// Begins to start a node that waits for something before it is ready.
    pub(crate) fn start_waiting(&self) -> Node {
        Node::start_waiting(&self.path("hub.toml"))
    }

    /// Begins to start the node, and kills it before it is ready or just then.
    pub(crate) async fn start_in_vain(&self) {
        Node::start_in_vain(&self.path("hub.toml")).await;
    }

    /// A partner on the line to a running node.
    pub(crate) async fn partner(&self, id: &str, node: &Node) -> Partner {
        Partner::connect(self, id, node).await
    }

    /// The context from which a partner's own commands reach a running node.
    pub(crate) fn context(&self, partner: &str, node: &Node) -> PathBuf {
        let folder = self.path(&format!("partners/{partner}"));
        let file = folder.join("context.toml");
        let text = std::fs::read_to_string(&file).unwrap();
        let here = |line: &str| match line.starts_with("node = ") {
            true => format!("node = \"{}\"\n", node.address),
            false => format!("{line}\n"),
        };
        std::fs::write(&file, text.lines().map(here).collect::<String>()).unwrap();
        folder
    }

    /// Enrols a partner and signs the next version of the directory.
    pub(crate) fn enrol(&self, partner: &str) {
        run(&["partner", "add", partner, "--folder", path(self.folder.path())]).unwrap();
    }

    /// The same, with a name for people.
    pub(crate) fn enrol_as(&self, partner: &str, name: &str) {
        run(&["partner", "add", partner, "--name", name, "--folder", path(self.folder.path())]).unwrap();
    }

    /// Adds to a section of the node's configuration.
    pub(crate) fn configure(&self, section: &str, keys: &str) {
        let file = self.path("hub.toml");
        let text = std::fs::read_to_string(&file).unwrap();
        let head = format!("[{section}]\n");
        assert!(text.contains(&head), "{section}");
        std::fs::write(&file, text.replace(&head, &format!("{head}{keys}\n"))).unwrap();
    }

    /// The last signed checkpoint that the log's anchor keeps. None: none yet.
    pub(crate) fn kept_checkpoint(&self) -> Option<bytes::Bytes> {
        let origin = "hub-1.network.liaison.example/log".parse().unwrap();
        liaison::anchor::Anchor::open(&self.path("anchor"), &origin).unwrap().content().checkpoint
    }

    /// What the node has written to its audit so far, under this name.
    pub(crate) fn events(&self, name: &str) -> Vec<serde_json::Value> {
        let log = std::fs::read_to_string(self.path("hub.log")).unwrap_or_default();
        let events = log.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        events.filter(|event| event["event"] == name).collect()
    }

    /// Waits for the first event under this name after those that are known.
    pub(crate) async fn event_after(&self, name: &str, known: usize) -> serde_json::Value {
        until(name, || async {
            pause().await;
            self.events(name).into_iter().nth(known)
        })
        .await
    }

    /// Changes the directory as people write it and signs the next version.
    pub(crate) fn amend(&self, change: impl FnOnce(String) -> String) {
        self.try_amend(change).unwrap();
    }

    /// The same, where it may be refused. Err: what the command said.
    pub(crate) fn try_amend(&self, change: impl FnOnce(String) -> String) -> Result<(), String> {
        let file = self.path("directory.toml");
        std::fs::write(&file, change(std::fs::read_to_string(&file).unwrap())).unwrap();
        run(&["directory", "sign", "--folder", path(self.folder.path())])
    }

    /// Lets a partner sign notices with another key than the one it was enrolled with.
    pub(crate) fn amend_notice_key(&self, partner: &str, key: &str) -> Result<(), String> {
        let of_old = self.notice_key_line(partner);
        self.try_amend(|text| text.replace(&of_old, key))
    }

    /// The line in the directory with a partner's notice key.
    pub(crate) fn notice_key_line(&self, partner: &str) -> String {
        let text = std::fs::read_to_string(self.path("directory.toml")).unwrap();
        let record = text.split_once(&format!("id = \"{partner}\"")).unwrap().1;
        let key = record.split_once("usage = \"notice\"\n").unwrap().1;
        key.lines().next().unwrap().into()
    }
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn said(command: &mut Command) -> (i32, String, String) {
    let output = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap_or(-1), text(&output.stdout), text(&output.stderr))
}

fn run(args: &[&str]) -> Result<(), String> {
    let output = Command::new(env!("CARGO_BIN_EXE_liaison")).args(args).output().unwrap();
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into()) }
}
