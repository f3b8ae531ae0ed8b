//! A network for one run: its folder is made, and goes when the run ends.

use std::path::{Path, PathBuf};

use liaison_protocol::id::PartnerId;
use liaison_protocol::trust::Trust;
use tempfile::TempDir;
use toml_edit::{DocumentMut, Item, Table, value};

use crate::cli::context::{self, Context};
use crate::cli::network::{Enrolment, NetworkFolder};
use crate::cli::{Failure, read};

/// The group that every notice is for.
const RECIPIENTS: &str = "RECIPIENTS";
/// The group whose starter agreement covers everyone.
const MEMBERS: &str = "MEMBERS";

/// All partners come from this one machine, and a node takes no more than this altogether.
const CONNECTIONS_PER_ADDRESS: i64 = 4_096;

/// A network in a temporary folder, with one signed directory that lists everyone.
pub(super) struct TemporaryNetwork {
    folder: TempDir,
    originators: Vec<PathBuf>,
    recipients: Vec<PathBuf>,
}

impl TemporaryNetwork {
    pub(super) fn create(place: Option<&Path>, originators: u32, recipients: u32) -> Result<Self, Failure> {
        let failed = |error: std::io::Error| Failure::failed(format!("temporary folder: {error}"));
        let folder = match place {
            Some(place) => TempDir::with_prefix_in("liaison-bench-", place),
            None => TempDir::with_prefix("liaison-bench-"),
        };
        let folder = folder.map_err(failed)?;
        let (network, node) = (parse("bench.liaison.example")?, parse("hub-1")?);
        let mut made = NetworkFolder::create(folder.path(), &network, &node, "127.0.0.1:0", &[])?;
        made.add_group(&audience()?)?;
        let mut enrolments = Vec::new();
        for nth in 0..originators {
            enrolments.push(enrolment(&format!("O-{nth}"), &[MEMBERS])?);
        }
        for nth in 0..recipients {
            enrolments.push(enrolment(&format!("R-{nth}"), &[MEMBERS, RECIPIENTS])?);
        }
        let mut originators_and_recipients = made.enrol(&enrolments)?;
        made.sign()?;
        let recipients = originators_and_recipients.split_off(originators as usize);
        let network = Self { folder, originators: originators_and_recipients, recipients };
        configure(&network.config())?;
        Ok(network)
    }

    /// Its folder.
    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The node's configuration.
    pub(super) fn config(&self) -> PathBuf {
        self.path().join("hub.toml")
    }

    /// Where the node's store lies.
    pub(super) fn data(&self) -> PathBuf {
        self.path().join("data")
    }

    /// What its log's checkpoints are verified against.
    pub(super) fn trust(&self) -> Result<Trust, Failure> {
        let path = self.path().join("network.trust");
        parse(&String::from_utf8_lossy(&read(&path)?))
    }

    /// Who sends, each with the node's address of this run.
    pub(super) fn originators(&self, node: &str) -> Result<Vec<Context>, Failure> {
        contexts(&self.originators, node)
    }

    /// Who receives, each with the node's address of this run.
    pub(super) fn recipients(&self, node: &str) -> Result<Vec<Context>, Failure> {
        contexts(&self.recipients, node)
    }

    /// Removes it, and says so if that fails. Dropping it removes it too, silently.
    pub(super) fn remove(self) -> Result<(), Failure> {
        let path = self.path().display().to_string();
        self.folder.close().map_err(|error| Failure::failed(format!("{path} could not be removed: {error}")))
    }
}

/// As `liaison init` wrote it, with room for everybody from this machine, and a port on which the node is asked what it counts.
fn configure(config: &Path) -> Result<(), Failure> {
    let failed = |problem: &dyn std::fmt::Display| Failure::failed(format!("{}: {problem}", config.display()));
    let text = String::from_utf8_lossy(&read(config)?).into_owned();
    let mut document: DocumentMut = text.parse().map_err(|error| failed(&error))?;
    document["listen"]["connections_per_address"] = value(CONNECTIONS_PER_ADDRESS);
    document.entry("ops").or_insert(Item::Table(Table::new()))["listen"] = value("127.0.0.1:0");
    std::fs::write(config, document.to_string()).map_err(|error| failed(&error))
}

/// Whom every notice is for.
pub(super) fn audience() -> Result<PartnerId, Failure> {
    parse(RECIPIENTS)
}

fn contexts(folders: &[PathBuf], node: &str) -> Result<Vec<Context>, Failure> {
    let at = |folder: &PathBuf| Ok(Context::read(&folder.join(context::FILE))?.at(node));
    folders.iter().map(at).collect()
}

fn enrolment(partner: &str, groups: &[&str]) -> Result<Enrolment, Failure> {
    Ok(Enrolment {
        partner: parse(partner)?,
        name: format!("Bench {partner}"),
        category: "national-central-bureau".into(),
        system: parse("ops-1")?,
        groups: groups.iter().map(|group| parse(group)).collect::<Result<_, _>>()?,
        home: None,
    })
}

fn parse<T: std::str::FromStr<Err: std::fmt::Display>>(text: &str) -> Result<T, Failure> {
    text.parse().map_err(|error| Failure::failed(format!("{text}: {error}")))
}
