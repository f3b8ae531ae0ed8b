//! A network for measuring: its folder is made for one run and goes with it, or is kept for the next.

use std::path::{Path, PathBuf};

use liaison_protocol::id::PartnerId;
use liaison_protocol::trust::Trust;
use tempfile::TempDir;
use toml_edit::{DocumentMut, Item, Table, value};

use crate::cli::context::{self, Context};
use crate::cli::network::{Enrolment, NetworkFolder};
use crate::cli::{Exit, Failure, read};

/// The group that every notice is for.
const RECIPIENTS: &str = "RECIPIENTS";
/// The group whose starter agreement covers everyone.
const MEMBERS: &str = "MEMBERS";
/// Partners whose names begin so send.
const ORIGINATOR: &str = "O-";
/// Partners whose names begin so receive.
const RECIPIENT: &str = "R-";

/// All partners come from this one machine, and a node takes no more than this altogether.
const CONNECTIONS_PER_ADDRESS: i64 = 4_096;

/// A network with one signed directory that lists everyone.
pub(super) struct BenchNetwork {
    path: PathBuf,
    /// None: it is kept.
    temporary: Option<TempDir>,
    originators: Vec<PathBuf>,
    recipients: Vec<PathBuf>,
}

impl BenchNetwork {
    /// Makes one in a temporary folder.
    pub(super) fn temporary(place: Option<&Path>, originators: u32, recipients: u32) -> Result<Self, Failure> {
        let folder = temporary_folder(place)?;
        let made = Self::make(folder.path(), originators, recipients)?;
        Ok(Self { temporary: Some(folder), ..made })
    }

    /// Makes one that is kept, in a folder that holds none.
    pub(super) fn make(folder: &Path, originators: u32, recipients: u32) -> Result<Self, Failure> {
        let (network, node) = (parse("bench.liaison.example")?, parse("hub-1")?);
        let mut made = NetworkFolder::create(folder, &network, &node, "127.0.0.1:0", &[])?;
        made.add_group(&audience()?)?;
        let mut enrolments = Vec::new();
        for nth in 0..originators {
            enrolments.push(enrolment(&format!("{ORIGINATOR}{nth}"), &[MEMBERS])?);
        }
        for nth in 0..recipients {
            enrolments.push(enrolment(&format!("{RECIPIENT}{nth}"), &[MEMBERS, RECIPIENTS])?);
        }
        let mut originators_and_recipients = made.enrol(&enrolments)?;
        made.sign()?;
        let recipients = originators_and_recipients.split_off(originators as usize);
        let network =
            Self { path: folder.into(), temporary: None, originators: originators_and_recipients, recipients };
        configure(&network.config())?;
        Ok(network)
    }

    /// Opens one that was kept.
    pub(super) fn open(folder: &Path) -> Result<Self, Failure> {
        let [originators, recipients] =
            [ORIGINATOR, RECIPIENT].map(|role| numbered(&folder.join("partners"), role));
        if originators.is_empty() || recipients.is_empty() {
            let why = format!("{}: there is no network for measuring", folder.display());
            return Err(Failure::new(Exit::NotFound, why).next("liaison bench seed --place FOLDER"));
        }
        Ok(Self { path: folder.into(), temporary: None, originators, recipients })
    }

    /// Its folder.
    pub(super) fn path(&self) -> &Path {
        &self.path
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

    /// How many send and how many receive.
    pub(super) fn counts(&self) -> [u32; 2] {
        [&self.originators, &self.recipients].map(|partners| partners.len() as u32)
    }

    /// Who sends, each with the node's address of this run.
    pub(super) fn originators(&self, node: &str) -> Result<Vec<Context>, Failure> {
        contexts(&self.originators, node)
    }

    /// Who receives, each with the node's address of this run.
    pub(super) fn recipients(&self, node: &str) -> Result<Vec<Context>, Failure> {
        contexts(&self.recipients, node)
    }

    /// Removes it unless it is kept, and says so if that fails. Dropping it removes it too, silently.
    pub(super) fn remove(self) -> Result<(), Failure> {
        self.temporary.map_or(Ok(()), remove)
    }
}

/// A folder that goes with what is measured in it.
pub(super) fn temporary_folder(place: Option<&Path>) -> Result<TempDir, Failure> {
    let folder = match place {
        Some(place) => TempDir::with_prefix_in("liaison-bench-", place),
        None => TempDir::with_prefix("liaison-bench-"),
    };
    folder.map_err(|error| Failure::failed(format!("temporary folder: {error}")))
}

/// Removes such a folder, and says so if that fails.
pub(super) fn remove(folder: TempDir) -> Result<(), Failure> {
    let path = folder.path().display().to_string();
    folder.close().map_err(|error| Failure::failed(format!("{path} could not be removed: {error}")))
}

/// The folders of partners of one role, without a gap.
fn numbered(partners: &Path, role: &str) -> Vec<PathBuf> {
    let folder = |nth: u32| partners.join(format!("{role}{nth}"));
    (0..).map(folder).take_while(|folder| folder.is_dir()).collect()
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
