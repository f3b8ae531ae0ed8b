//! The folder of a network: everything `init` makes and `partner add` changes.

mod editions;
mod enrol;
mod lock;

use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use liaison_client::key_file;
use liaison_protocol::directory::Directory;
use liaison_protocol::id::{Micros, NetworkId, NetworkName, NodeId, to_hex};
use liaison_protocol::signer::{Ed25519Signer, Signer};
use liaison_protocol::tlog::checkpoint::VerifierKey;
use liaison_protocol::trust::{self, Trust};

use crate::anchor::Anchor;
use crate::authority::directory_file::DirectoryFile;
use crate::authority::files;
use crate::authority::pki::{Authority, Validity, create_certificate_file, create_key_file};
use crate::authority::sign;
use crate::cli::{Failure, output, read};
use crate::clock::{Entropy as _, SystemEntropy};
use crate::config;
use crate::config::folder::{open_all, path_of};

pub(in crate::cli) use editions::{DRAFT, NEWEST};
pub(in crate::cli) use enrol::Enrolment;
use lock::FolderLock;

/// Certificates of the starter authority: ten years for itself, one for what it issues.
const AUTHORITY_DAYS: i64 = 3_653;
const LEAF_DAYS: i64 = 366;
/// Clocks of new partners may be behind by this much.
const BACKDATED_US: i64 = 60 * 60 * Micros::SECOND;

/// A network's folder, read.
pub(in crate::cli) struct NetworkFolder {
    path: PathBuf,
    trust: Trust,
    directories: Vec<Arc<Directory>>,
}

/// A network's folder in hand: nobody else changes it until this is dropped.
pub(in crate::cli) struct Changing {
    network: NetworkFolder,
    _lock: FolderLock,
}

impl Deref for Changing {
    type Target = NetworkFolder;

    fn deref(&self) -> &NetworkFolder {
        &self.network
    }
}

fn failed(path: &Path) -> impl Fn(&dyn std::fmt::Display) -> Failure {
    let path = path.display().to_string();
    move |problem| Failure::failed(format!("{path}: {problem}"))
}

/// Makes a signing key and writes it; gives its public half in hexadecimal digits.
fn new_key(path: &Path) -> Result<String, Failure> {
    let mut seed = [0; 32];
    SystemEntropy::new().fill(&mut seed);
    create_key_file(path, &key_file::to_pem(&seed)).map_err(|error| failed(path)(&error))?;
    Ok(to_hex(Ed25519Signer::from_seed(&seed).public().as_bytes()))
}

fn validity(days: i64) -> Validity {
    let now = output::now();
    Validity { not_before: now.plus(-BACKDATED_US), not_after: now.plus(days * Micros::DAY) }
}

fn day(micros: Micros) -> String {
    output::time(micros).split('T').next().unwrap_or_default().into()
}

impl NetworkFolder {
    /// Makes a network from nothing and signs its first head.
    pub(in crate::cli) fn create(
        path: &Path,
        network: &NetworkName,
        node: &NodeId,
        listen: &str,
        dns: &[String],
    ) -> Result<Changing, Failure> {
        std::fs::create_dir_all(path).map_err(|error| failed(path)(&error))?;
        let _lock = FolderLock::take(path, lock::WAIT_MAX)?;
        if path.join("hub.toml").exists() {
            return Err(Failure::new(
                crate::cli::Exit::Conflict,
                format!("{}: there is a network already", path.display()),
            )
            .next("choose another --folder"));
        }
        let host = listen.rsplit_once(':').map_or(listen, |(host, _)| host);
        for folder in ["pki", "keys", "directory", "partners", "data"] {
            let folder = path.join(folder);
            std::fs::create_dir_all(&folder).map_err(|error| failed(&folder)(&error))?;
        }
        let Validity { not_before, not_after } = validity(AUTHORITY_DAYS);
        let pki = Authority::create(&format!("{network} starter authority"), not_before, not_after)
            .map_err(|error| failed(path)(&error))?;
        write_pair(&path.join("pki/ca"), pki.certificate_pem(), pki.key_pem())?;
        let names: Vec<&str> = dns.iter().map(String::as_str).chain([node.as_str(), "localhost"]).collect();
        let ips: Vec<std::net::IpAddr> = host.parse().into_iter().collect();
        let issued = pki
            .issue_node(network, node, &names, &ips, validity(LEAF_DAYS))
            .map_err(|error| failed(path)(&error))?;
        write_pair(&path.join(format!("pki/{node}")), issued.certificate_pem(), issued.key_pem())?;
        let log_key = new_key(&path.join("keys/log.key"))?;
        let authority = new_key(&path.join("keys/authority.key"))?;
        let text = directory_text(network, node, listen, &log_key, &authority);
        let write = |file: &str, text: &str, mode: u32| {
            let file = path.join(file);
            files::replace(&file, text.as_bytes(), mode).map_err(|error| failed(&file)(&error))
        };
        write("directory.toml", &text, files::AGREEMENTS)?;
        write("hub.toml", &config::sample(node, listen), files::PUBLIC)?;
        let file =
            DirectoryFile::read(&path.join("directory.toml")).map_err(|bad| Failure::failed(bad.to_string()))?;
        let signer = signer(&path.join("keys/authority.key"))?;
        let sealed = sign::sign(&file, &[], &[&signer], output::now(), &mut SystemEntropy::new())
            .map_err(|error| failed(path)(&error))?;
        publish(&path.join("directory"), &sealed)?;
        write("network.trust", &trust_text(&sealed.directory), files::PUBLIC)?;
        let origin =
            sealed.directory.nodes().next().map(|node| node.log_origin.clone()).expect("the one just listed");
        Anchor::create(&path.join("anchor"), &origin, None).map_err(|bad| Failure::failed(bad.to_string()))?;
        Ok(Changing { network: Self::open(path)?, _lock })
    }

    /// Opens a network's folder to change it. Whoever is changing it is waited for, and what it made is read.
    pub(in crate::cli) fn open_to_change(path: &Path) -> Result<Changing, Failure> {
        must_be_there(path)?;
        let _lock = FolderLock::take(path, lock::WAIT_MAX)?;
        Ok(Changing { network: Self::open(path)?, _lock })
    }

    /// Opens a network's folder, and verifies every directory in it.
    pub(in crate::cli) fn open(path: &Path) -> Result<Self, Failure> {
        must_be_there(path)?;
        let trust_file = path.join("network.trust");
        let text = String::from_utf8_lossy(&read(&trust_file)?).into_owned();
        let trust: Trust = text.parse().map_err(|bad: trust::BadTrust| failed(&trust_file)(&bad))?;
        let directories = open_all(&path.join("directory"), &trust).map_err(|bad| editions::unbelieved(&bad))?;
        if directories.is_empty() {
            return Err(failed(&path.join("directory"))(&"there is no sealed directory"));
        }
        Ok(Self { path: path.into(), trust, directories })
    }

    pub(in crate::cli) fn network(&self) -> NetworkId {
        self.trust.network()
    }

    pub(in crate::cli) fn name(&self) -> &NetworkName {
        self.newest().head().name()
    }

    /// The newest sealed directory.
    pub(in crate::cli) fn newest(&self) -> &Directory {
        self.directories.last().expect("open found one")
    }

    pub(in crate::cli) fn trust_text(&self) -> String {
        trust_text(self.newest())
    }
}

impl Changing {
    /// Seals and signs directory.toml as the next version, which is the newest from then on.
    pub(in crate::cli) fn sign(&mut self) -> Result<&Directory, Failure> {
        let path = self.path.join("directory.toml");
        let file = DirectoryFile::read(&path).map_err(|bad| Failure::failed(bad.to_string()))?;
        let signer = signer(&self.path.join("keys/authority.key"))?;
        let entropy = &mut SystemEntropy::new();
        let sealed = sign::sign(&file, &self.directories, &[&signer], output::now(), entropy)
            .map_err(|error| failed(&path)(&error))?;
        publish(&self.path.join("directory"), &sealed)?;
        self.network.directories.push(Arc::new(sealed.directory));
        Ok(self.newest())
    }
}

fn must_be_there(path: &Path) -> Result<(), Failure> {
    if path.join("network.trust").exists() {
        return Ok(());
    }
    Err(Failure::new(crate::cli::Exit::NotFound, format!("{}: there is no network", path.display()))
        .next(format!("liaison init --folder {}", path.display())))
}

fn write_pair(stem: &Path, certificate: &str, key: &str) -> Result<(), Failure> {
    let (certificate_file, key_file) = (stem.with_extension("pem"), stem.with_extension("key"));
    create_certificate_file(&certificate_file, certificate).map_err(|error| failed(&certificate_file)(&error))?;
    create_key_file(&key_file, key).map_err(|error| failed(&key_file)(&error))
}

fn signer(path: &Path) -> Result<Ed25519Signer, Failure> {
    key_file::signer(&String::from_utf8_lossy(&read(path)?)).map_err(|bad| failed(path)(&bad))
}

/// Whole or not at all, so that a node never sees half of it. A version is never written over: whoever signed it first has it, and a
/// node may have adopted it.
fn publish(folder: &Path, sealed: &sign::Sealed) -> Result<(), Failure> {
    let path = path_of(folder, sealed.directory.head().version());
    files::publish(&path, &sealed.bytes, files::AGREEMENTS).map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => Failure::new(
            crate::cli::Exit::Conflict,
            format!("{}: signed by somebody else just now", path.display()),
        )
        .next("liaison directory sign"),
        _ => failed(&path)(&error),
    })
}

fn trust_text(directory: &Directory) -> String {
    let logs: Vec<_> =
        directory.nodes().filter_map(|node| VerifierKey::of_log(&node.log_origin, node.log_key.clone())).collect();
    trust::to_text(directory.head().network(), directory.head().authority(), &logs)
}

fn directory_text(network: &NetworkName, node: &NodeId, listen: &str, log_key: &str, authority: &str) -> String {
    let from = day(output::now().plus(-BACKDATED_US));
    let until = day(output::now().plus(5 * LEAF_DAYS * Micros::DAY));
    format!(
        r#"# The directory of {network}, as people write it. `liaison directory diff` says what signing it would change, `liaison directory
# sign` seals and signs it as the next version. What is sealed is never edited by hand: change this file and sign again.

network = "{network}"
renew_after_days = 30

[authority]
threshold = 1
keys = ["{authority}"]

[[node]]
id = "{node}"
log_origin = "{node}.{network}/log"
log_key = "{log_key}"
tls_authorities = ["pki/ca.pem"]
addresses = ["{listen}"]

[[group]]
id = "MEMBERS"
members = []

[[agreement]]
id = "members"
originators = ["MEMBERS"]
recipients = ["MEMBERS"]
kinds = [
  "red", "blue", "green", "yellow", "black", "orange", "purple", "silver", "un-special", "diffusion", "message", "request",
  "answer", "travel-document-alert", "hash-list", "medical-product-alert", "currency-alert",
]
highest_handling = "h3"
highest_tlp = "red"
highest_precedence = "flash"
from = "{from}"
until = "{until}"
legal_basis = "Starter agreement made by liaison init; replace it by your own."
"#
    )
}

#[cfg(test)]
mod tests;
