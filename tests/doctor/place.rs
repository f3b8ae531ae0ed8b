//! A copy of a network's folder that one story may break, and what doctor says about it.

use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Arc, Mutex, Weak};

use liaison::anchor::Anchor;
use liaison::authority::directory_file::DirectoryFile;
use liaison::authority::pki::{Authority, Issued, Validity};
use liaison::authority::sign;
use liaison::clock::SystemEntropy;
use liaison::config::folder::{open_all, path_of};
use liaison_client::key_file;
use liaison_protocol::id::{Hash, Micros};
use liaison_protocol::signer::{Ed25519Signer, Signer as _};
use liaison_protocol::tlog::checkpoint::{Checkpoint, LogKey};
use serde_json::Value;

use crate::support::{Network, now};

pub(super) const LIAISON: &str = env!("CARGO_BIN_EXE_liaison");

/// One break: what it does, and what must be said of it and of nothing else.
#[derive(Clone, Copy)]
pub(super) struct Row {
    pub(super) name: &'static str,
    pub(super) does: fn(&Place),
    /// Every check that is not content, with its outcome; the first is the one the row is about.
    pub(super) amiss: &'static [(&'static str, &'static str)],
    /// A word of what was found by the first of them.
    pub(super) found: &'static str,
    /// A word of its fix.
    pub(super) fix: &'static str,
    /// Whether running the fix makes everything well again.
    pub(super) mends: bool,
}

/// A network whose node has run, taken notices, been copied, taken more, and stopped. Stories that run at a time share it.
pub(super) fn stopped() -> Arc<Network> {
    static STOPPED: Mutex<Weak<Network>> = Mutex::new(Weak::new());
    let mut shared = STOPPED.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some(network) = shared.upgrade() {
        return network;
    }
    let network = Arc::new(Network::of(&["FR", "KE"]));
    let runs = async {
        for (reference, copied) in [("FR/2026/000001", true), ("FR/2026/000002", false)] {
            let node = network.start().await;
            let fr = network.partner("FR", &node).await;
            fr.send(reference, &["KE"]).await;
            drop(fr);
            assert!(node.stop().await.success());
            if copied {
                let (data, older) = (network.path("data"), network.path("older"));
                assert!(Command::new("cp").arg("-a").args([data, older]).status().unwrap().success());
            }
        }
    };
    std::thread::scope(|scope| {
        let running = scope.spawn(|| tokio::runtime::Runtime::new().unwrap().block_on(runs));
        running.join().unwrap();
    });
    *shared = Arc::downgrade(&network);
    network
}

/// A folder as `init` made it, or a copy of one.
pub(super) struct Place {
    folder: tempfile::TempDir,
    /// Which of its configurations is asked about.
    pub(super) config: Cell<&'static str>,
}

impl Place {
    pub(super) fn copy_of(source: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let from = format!("{}/.", source.display());
        assert!(Command::new("cp").args(["-a", &from]).arg(folder.path()).status().unwrap().success());
        Self { folder, config: Cell::new("hub.toml") }
    }

    pub(super) fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    pub(super) fn text(&self, file: &str) -> String {
        fs::read_to_string(self.path(file)).unwrap()
    }

    pub(super) fn write(&self, file: &str, text: impl AsRef<[u8]>) {
        fs::write(self.path(file), text).unwrap();
    }

    pub(super) fn change(&self, file: &str, from: &str, to: &str) {
        let text = self.text(file);
        assert!(text.contains(from), "{file} has no {from}");
        self.write(file, text.replace(from, to));
    }

    pub(super) fn mode(&self, file: &str, mode: u32) {
        use std::os::unix::fs::PermissionsExt as _;
        fs::set_permissions(self.path(file), fs::Permissions::from_mode(mode)).unwrap();
    }

    /// Runs a command as its operator would.
    pub(super) fn run(&self, command: &str) -> Output {
        let programs = Path::new(LIAISON).parent().unwrap().display().to_string();
        let path = format!("{programs}:{}", std::env::var_os("PATH").unwrap_or_default().display());
        Command::new("sh").args(["-c", command]).env("PATH", path).env_remove("LIAISON_CONTEXT").output().unwrap()
    }

    /// Signs the directory as directory.toml says, as if it were another time.
    pub(super) fn sign_at(&self, at: Micros) {
        self.sign_into("directory", at);
    }

    /// The same, published somewhere else.
    pub(super) fn sign_into(&self, folder: &str, at: Micros) {
        let trust = self.text("network.trust").parse().unwrap();
        let all = open_all(&self.path("directory"), &trust).unwrap();
        let before = all.last().unwrap();
        let file = DirectoryFile::read(&self.path("directory.toml")).unwrap();
        let signer = self.signer("keys/authority.key");
        let sealed =
            sign::sign(&file, std::slice::from_ref(before), &[&signer], at, &mut SystemEntropy::new()).unwrap();
        fs::write(path_of(&self.path(folder), sealed.directory.head().version()), sealed.bytes).unwrap();
    }

    /// Changes directory.toml and signs it now.
    pub(super) fn amend(&self, from: &str, to: &str) {
        self.change("directory.toml", from, to);
        self.sign_at(now());
    }

    pub(super) fn signer(&self, file: &str) -> Ed25519Signer {
        key_file::signer(&self.text(file)).unwrap()
    }

    pub(super) fn authority(&self) -> Authority {
        Authority::from_pem(&self.text("pki/ca.pem"), &self.text("pki/ca.key")).unwrap()
    }

    /// Puts a certificate and its key in place of others.
    pub(super) fn install(&self, stem: &str, issued: &Issued) {
        self.write(&format!("{stem}.pem"), issued.certificate_pem());
        self.write(&format!("{stem}.key"), issued.key_pem());
    }

    /// The node's certificate, from and to so many hours from now.
    pub(super) fn node_certificate(&self, id: &str, dns: &[&str], from: i64, to: i64) {
        let ips: Vec<_> = if dns.contains(&"localhost") { vec![[127, 0, 0, 1].into()] } else { Vec::new() };
        let network = "network.liaison.example".parse().unwrap();
        let issued =
            self.authority().issue_node(&network, &id.parse().unwrap(), dns, &ips, hours(from, to)).unwrap();
        self.install("pki/hub-1", &issued);
    }

    /// FR's certificate, from and to so many hours from now.
    pub(super) fn partner_certificate(&self, authority: &Authority, from: i64, to: i64) {
        let network = "network.liaison.example".parse().unwrap();
        let (partner, system) = ("FR".parse().unwrap(), "ops-1".parse().unwrap());
        let issued = authority.issue_partner(&network, &partner, &system, hours(from, to)).unwrap();
        self.install("partners/FR/tls", &issued);
    }

    /// A checkpoint that the log's own key signed over a history that nobody has.
    pub(super) fn signed_checkpoint(&self, size: u64) -> Vec<u8> {
        let origin = "hub-1.network.liaison.example/log".parse().unwrap();
        let key = LogKey::new(&origin, Arc::new(self.signer("keys/log.key"))).unwrap();
        Checkpoint { origin, size, root: Hash::of(&[b"another history"]) }.sign(&key).unwrap().to_vec()
    }

    /// The log's anchor.
    pub(super) fn anchor(&self) -> Anchor {
        let origin = "hub-1.network.liaison.example/log".parse().unwrap();
        Anchor::open(&self.path("anchor"), &origin).unwrap()
    }

    /// The last signed checkpoint, as the anchor keeps it.
    pub(super) fn kept_checkpoint(&self) -> String {
        String::from_utf8(self.anchor().content().checkpoint.unwrap().to_vec()).unwrap()
    }

    /// What the store says when it is changed behind the node's back.
    pub(super) fn tamper(&self, sql: &str) {
        let store = rusqlite::Connection::open(self.path("data/liaison.db")).unwrap();
        store.execute_batch(sql).unwrap();
    }

    /// Doctor for the node.
    pub(super) fn pre(&self) -> Report {
        Report::of(&format!("liaison doctor --pre --config '{}'", self.path(self.config.get()).display()), self)
    }

    pub(super) fn beside(&self) -> Report {
        Report::of(&format!("liaison doctor --config '{}'", self.path(self.config.get()).display()), self)
    }

    /// Doctor for a partner.
    pub(super) fn partner(&self, id: &str) -> Report {
        Report::of(&format!("liaison -c '{}' doctor", self.path(&format!("partners/{id}")).display()), self)
    }

    /// Judges a row: what it breaks is found, and nothing else; and its fix mends it, where it is a command.
    pub(super) fn shows(&self, row: &Row, doctor: fn(&Self) -> Report) {
        let report = doctor(self);
        let all = report.amiss();
        let amiss: Vec<_> = all.iter().map(|(code, outcome, _)| (code.as_str(), outcome.as_str())).collect();
        let mut expected = row.amiss.to_vec();
        expected.sort_unstable();
        let mut sorted = amiss.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, expected, "{}: {all:?}", row.name);
        let check = report.check(row.amiss[0].0);
        let (found, fix) = (check["found"].as_str().unwrap(), check["fix"]["text"].as_str().unwrap());
        assert!(found.contains(row.found), "{}: {found}", row.name);
        assert!(fix.contains(row.fix), "{}: {fix}", row.name);
        assert_eq!(check["page"], format!("docs/DOCTOR.md#{}", row.amiss[0].0));
        let fails = amiss.iter().any(|(_, outcome)| *outcome == "failed");
        assert_eq!(report.exit, i32::from(fails), "{}", row.name);
        if row.mends {
            let mended = self.run(fix);
            assert!(mended.status.success(), "{}: {fix}: {}", row.name, String::from_utf8_lossy(&mended.stderr));
            doctor(self).is_well(row.name);
        }
    }
}

pub(super) fn hours(from: i64, to: i64) -> Validity {
    Validity { not_before: now().plus(from * Micros::HOUR), not_after: now().plus(to * Micros::HOUR) }
}

/// A key of nobody's, as a file.
pub(super) fn strange_key() -> String {
    key_file::to_pem(&[7; 32])
}

pub(super) fn strange_authority() -> Authority {
    let validity = hours(-1, 24 * 365);
    Authority::create("Somebody else", validity.not_before, validity.not_after).unwrap()
}

/// The public half of a key file, as directory.toml has it.
pub(super) fn public(place: &Place, file: &str) -> String {
    liaison_protocol::id::to_hex(place.signer(file).public().as_bytes())
}

/// What doctor said.
pub(super) struct Report {
    pub(super) exit: i32,
    pub(super) object: Value,
}

impl Report {
    /// With as many descriptors as the system allows, so that H01 depends on no shell.
    fn of(command: &str, place: &Place) -> Self {
        Self::limited(command, "$(ulimit -Hn)", place)
    }

    pub(super) fn limited(command: &str, descriptors: &str, place: &Place) -> Self {
        let output = place.run(&format!("ulimit -n {descriptors}; {command} --output json"));
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(
            text.lines().count(),
            1,
            "one object on one line: {text}{}",
            String::from_utf8_lossy(&output.stderr)
        );
        Self { exit: output.status.code().unwrap(), object: serde_json::from_str(&text).unwrap() }
    }

    pub(super) fn checks(&self) -> &Vec<Value> {
        self.object["checks"].as_array().unwrap()
    }

    pub(super) fn check(&self, code: &str) -> &Value {
        self.checks().iter().find(|check| check["code"] == code).unwrap_or_else(|| panic!("no check {code}"))
    }

    /// Codes, outcomes and findings of what is not content.
    fn amiss(&self) -> Vec<(String, String, String)> {
        let word = |value: &Value| value.as_str().unwrap().to_string();
        let bad = |check: &&Value| ["warning", "failed"].contains(&check["outcome"].as_str().unwrap());
        let checks = self.checks().iter().filter(bad);
        checks.map(|check| (word(&check["code"]), word(&check["outcome"]), word(&check["found"]))).collect()
    }

    pub(super) fn is_well(&self, name: &str) {
        assert_eq!((self.amiss(), self.exit), (Vec::new(), 0), "{name}");
    }

    /// Well, and nothing was left out.
    pub(super) fn is_all_well(&self, name: &str) {
        self.is_well(name);
        let ok = self.checks().iter().all(|check| check["outcome"] == "ok");
        assert!(ok, "{name}: {}", self.object);
    }
}
