//! The outsider: a client in Python that shares no code with us sends, collects, acknowledges and checks every receipt against a
//! real node, and believes nothing that its own trust file does not bear out.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use liaison_protocol::signer::{Ed25519Signer, Signer as _};
use liaison_protocol::tlog::checkpoint::VerifierKey;
use serde_json::Value;

use crate::support::python;

/// How long a node may take to be ready, on a busy machine.
const READY_WITHIN: Duration = Duration::from_secs(60);
const MODULES: &str = "import grpc, grpc_tools, cryptography";

/// What the example proves, in order: the beginning of each line it prints.
const EXPECTED: [&str; 22] = [
    "FR directory head version 3, signed by the authority",
    "FR directory path 9 records lead to the root",
    "FR opening statement and salt open leaf 4",
    "FR inclusion leaf 4 lies in the tree of 5",
    "FR checkpoint hub-1.network.liaison.example/log signed",
    "FR acceptance FR/example/",
    "KE directory head version 3, signed by the authority",
    "KE directory path 9 records lead to the root",
    "KE opening statement and salt open leaf 4",
    "KE inclusion leaf 4 lies in the tree of 5",
    "KE checkpoint hub-1.network.liaison.example/log signed",
    "KE acceptance FR/example/",
    "KE parts 1 open what FR signed",
    "KE opening statement and salt open leaf 5",
    "KE inclusion leaf 5 lies in the tree of 6",
    "KE checkpoint hub-1.network.liaison.example/log signed",
    "KE acknowledgement KE signed ACCEPTED for sha256:",
    "FR opening statement and salt open leaf 5",
    "FR inclusion leaf 5 lies in the tree of 6",
    "FR checkpoint hub-1.network.liaison.example/log signed",
    "FR acknowledgement KE signed ACCEPTED for sha256:",
    "all proven",
];

/// A network of one node and two partners. The node dies with it, and the folder after the node.
struct Network {
    node: Child,
    folder: tempfile::TempDir,
}

impl Drop for Network {
    fn drop(&mut self) {
        self.node.kill().ok();
        self.node.wait().ok();
    }
}

fn liaison(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_liaison"));
    command.args(arguments).env_remove("LIAISON_CONTEXT");
    command
}

fn free_address() -> String {
    std::net::TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port").to_string()
}

impl Network {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().to_str().expect("UTF-8");
        let commands: [&[&str]; 3] =
            [&["init", "--listen", &free_address()], &["partner", "add", "FR"], &["partner", "add", "KE"]];
        for arguments in commands {
            let output = liaison(arguments).args(["--folder", path]).output().expect("liaison starts");
            assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        }
        let log = std::fs::File::create(folder.path().join("serve.log")).expect("a file");
        let node = liaison(&["serve", "--output", "json", "--config"])
            .arg(folder.path().join("hub.toml"))
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .expect("liaison starts");
        let mut network = Self { node, folder };
        let said = BufReader::new(network.node.stdout.take().expect("piped"));
        let (ready, is_ready) = mpsc::channel();
        std::thread::spawn(move || {
            // Reads on to the end, so that the node never waits for a reader.
            for line in said.lines().map_while(Result::ok) {
                let line: Value = serde_json::from_str(&line).unwrap_or_default();
                if line["ready"] == true {
                    ready.send(()).ok();
                }
            }
        });
        let log = network.folder.path().join("serve.log");
        let log = || std::fs::read_to_string(&log).unwrap_or_default();
        is_ready.recv_timeout(READY_WITHIN).unwrap_or_else(|_| panic!("the node is not ready:\n{}", log()));
        network
    }

    fn partner(&self, partner: &str) -> PathBuf {
        self.folder.path().join("partners").join(partner)
    }

    fn run_example(&self, python: &Path) -> Output {
        Command::new(python)
            .arg(repository().join("examples/python/liaison_example.py"))
            .args([self.partner("FR"), self.partner("KE")])
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .output()
            .expect("python starts")
    }
}

fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Another character in one place of a text.
fn changed(text: &str, place: usize, [one, other]: [char; 2]) -> String {
    let put = |(nth, c)| if nth == place { if c == one { other } else { one } } else { c };
    text.chars().enumerate().map(put).collect()
}

#[test]
fn an_outsider_proves_by_its_own_code_what_became_of_its_notice() {
    let Some(python) = python::with(MODULES) else { return };
    let network = Network::start();

    let output = network.run_example(&python);

    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    let proven: Vec<String> =
        said.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    assert_eq!(proven.len(), EXPECTED.len(), "{said}");
    for (line, expected) in proven.iter().zip(EXPECTED) {
        assert!(line.starts_with(expected), "expected {expected}, found {line}:\n{said}");
    }
}

#[test]
fn an_outsider_with_another_trust_file_believes_nothing_and_says_what_it_found() {
    let Some(python) = python::with(MODULES) else { return };
    let network = Network::start();
    let trust_file = network.partner("FR").join("network.trust");
    let trust = std::fs::read_to_string(&trust_file).expect("a trust file");
    let line = |word: &str| trust.lines().find(|line| line.starts_with(word)).expect("a line").to_string();
    let (net, authority, log) = (line("network "), line("authority "), line("log "));
    let origin = "hub-1.network.liaison.example/log";
    let stranger = Ed25519Signer::from_seed(&[9; 32]).public().clone();
    let stranger = VerifierKey::of_log(&origin.parse().expect("an origin"), stranger).expect("Ed25519");
    let rows = [
        (&net, changed(&net, 30, ['0', '1']), "not proven: directory head: network: expected".to_string()),
        (
            &authority,
            changed(&authority, 30, ['0', '1']),
            "not proven: directory head: expected signatures by 1 of its 1 pinned authority keys, found 0"
                .to_string(),
        ),
        (
            &log,
            changed(&log, log.len() - 20, ['A', 'B']),
            format!("not proven: trust file: short hash of the key of log {origin}: expected"),
        ),
        (
            &log,
            format!("log {stranger}"),
            format!("not proven: checkpoint: expected a signature by {origin} with key"),
        ),
    ];
    for (line, damaged, expected) in rows {
        std::fs::write(&trust_file, trust.replace(line.as_str(), &damaged)).expect("writable");

        let output = network.run_example(&python);

        let complaint = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{damaged}: {complaint}");
        assert!(complaint.starts_with(&expected), "{damaged}: expected {expected}\nfound {complaint}");
        assert!(!String::from_utf8_lossy(&output.stdout).contains("acceptance"), "{damaged}");
    }
}
