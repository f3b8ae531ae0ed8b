//! Making and changing a network: what a General Secretariat does, on files. Nothing here talks to a node.

mod folder;
mod inspect;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use liaison_protocol::directory::Directory;
use liaison_protocol::id::{NetworkName, NodeId, PartnerId, SystemId};
use serde_json::json;

use super::{Exit, Failure, Folder, Output, output};
use crate::authority::files;
pub(super) use folder::{Enrolment, NetworkFolder};

/// Make a network.
#[derive(Args)]
pub(super) struct Init {
    #[command(flatten)]
    folder: Folder,
    /// The network's name in certificates.
    #[arg(long, default_value = "network.liaison.example", value_name = "NAME")]
    network: NetworkName,
    /// The node's identifier.
    #[arg(long, default_value = "hub-1", value_name = "NODE")]
    node: NodeId,
    /// Where partners connect.
    #[arg(long, default_value = "127.0.0.1:7443", value_name = "ADDRESS:PORT")]
    listen: String,
    /// Further DNS names of the node, for its certificate.
    #[arg(long = "dns", value_name = "NAME")]
    dns: Vec<String>,
}

impl Init {
    pub(super) fn run(self, output: &mut Output) -> Result<Exit, Failure> {
        let made = NetworkFolder::create(&self.folder.folder, &self.network, &self.node, &self.listen, &self.dns)?;
        let shown = self.folder.folder.display();
        output.line(format!(" ✔ {shown}/hub.toml             the node's configuration"));
        output.line(format!(" ✔ {shown}/directory.toml       partners and agreements, for people to edit"));
        output.line(format!(" ✔ {shown}/pki, {shown}/keys    TLS (P-256) and signing keys (Ed25519), all 0600"));
        output.line(format!(" ✔ {shown}/anchor               how far the log is signed; put it in no backup"));
        output.line(format!(
            " ✔ {shown}/network.trust        what every verifier pins; network {}",
            output::short(&made.network().to_string())
        ));
        output.line(" ! The authority's keys lie on this machine. For production keep pki/ca.key and keys/authority.key offline.");
        output.line(format!(
            " Next:  liaison partner add FR --folder {shown}   →   liaison serve --config {shown}/hub.toml"
        ));
        output.set("folder", shown.to_string());
        output.set("network", made.network().to_string());
        Ok(Exit::Done)
    }
}

/// Enrol partners.
#[derive(Subcommand)]
pub(super) enum PartnerCommand {
    /// Enrol a partner: certificate, keys, a context to work with, and a newly signed directory.
    Add(Add),
}

/// Enrol a partner.
#[derive(Args)]
pub(super) struct Add {
    /// Its identifier, e.g. FR.
    partner: PartnerId,
    #[command(flatten)]
    folder: Folder,
    /// Its name for people.
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// national-central-bureau, international-entity or private-entity.
    #[arg(long, default_value = "national-central-bureau", value_name = "CATEGORY")]
    category: String,
    /// Its first system.
    #[arg(long, default_value = "ops-1", value_name = "SYSTEM")]
    system: SystemId,
    /// The group whose agreement it joins.
    #[arg(long, default_value = "MEMBERS", value_name = "GROUP")]
    group: PartnerId,
    /// The node that holds its mailbox, where the network has several.
    #[arg(long, value_name = "NODE")]
    home: Option<NodeId>,
}

impl PartnerCommand {
    pub(super) fn run(self, output: &mut Output) -> Result<Exit, Failure> {
        let Self::Add(add) = self;
        let mut folder = NetworkFolder::open_to_change(&add.folder.folder)?;
        let name = add.name.unwrap_or_else(|| format!("Partner {}", add.partner));
        output.talk(format!(" as the authority of {}", folder.name()));
        let enrolment = Enrolment {
            partner: add.partner.clone(),
            name,
            category: add.category,
            system: add.system.clone(),
            groups: vec![add.group.clone()],
            home: add.home,
        };
        let context = folder.enrol(&[enrolment])?.remove(0);
        let directory = folder.sign()?;
        let version = directory.head().version().0;
        output.line(format!(" ✔ {} enrolled, system {}, in group {}", add.partner, add.system, add.group));
        output.line(format!(" ✔ context  {}", context.display()));
        output.line(format!(" ✔ directory version {version} signed; a running node adopts it within a second"));
        output.line(format!(" Next:  liaison -c {} inbox", context.display()));
        output.set("partner", add.partner.to_string());
        output.set("context", context.display().to_string());
        output.set("directory_version", version);
        Ok(Exit::Done)
    }
}

/// Sign the directory, or look at what it says.
#[derive(Subcommand)]
pub(super) enum DirectoryCommand {
    /// Seal and sign directory.toml as the next version.
    Sign(Folder),
    /// Show the newest sealed directory.
    Show {
        #[command(flatten)]
        folder: Folder,
        /// Write the trust file here too.
        #[arg(long, value_name = "FILE")]
        trust: Option<PathBuf>,
    },
    /// What changed between two versions, or what signing directory.toml would change.
    Diff(inspect::Diff),
    /// Whether one partner may send something to another, why, and what would allow it.
    Explain(Box<inspect::Explain>),
    /// What will trouble somebody although the directory is sound.
    Lint(inspect::Lint),
}

impl DirectoryCommand {
    pub(super) fn run(self, output: &mut Output) -> Result<Exit, Failure> {
        match self {
            Self::Sign(folder) => {
                let mut folder = NetworkFolder::open_to_change(&folder.folder)?;
                output.talk(format!(" as the authority of {}", folder.name()));
                let directory = folder.sign()?;
                output.line(format!(
                    " ✔ directory version {} signed, {} records",
                    directory.head().version().0,
                    directory.len()
                ));
                describe(output, directory);
            }
            Self::Show { folder, trust } => {
                let folder = NetworkFolder::open(&folder.folder)?;
                show(output, folder.newest());
                if let Some(path) = trust {
                    let text = folder.trust_text();
                    files::replace(&path, text.as_bytes(), files::PUBLIC)
                        .map_err(|error| Failure::failed(format!("{}: {error}", path.display())))?;
                    output.line(format!(" ✔ {}", path.display()));
                }
                describe(output, folder.newest());
            }
            Self::Diff(diff) => return diff.run(output),
            Self::Explain(explain) => return explain.run(output),
            Self::Lint(lint) => return lint.run(output),
        }
        Ok(Exit::Done)
    }
}

fn show(output: &Output, directory: &Directory) {
    let head = directory.head();
    output.line(format!(" network    {}   {}", head.name(), head.network()));
    output.line(format!(
        " version    {}   signed {}   renew by {}",
        head.version().0,
        output::time(head.issued_at()),
        output::time(head.renew_by())
    ));
    output.line(format!(" authority  {} of {} keys", head.authority().threshold(), head.authority().keys().len()));
    for node in directory.nodes() {
        output.line(format!(
            " node       {:<12} log {}   at {}",
            node.id,
            node.log_origin,
            node.addresses.join(", ")
        ));
    }
    for partner in directory.partners() {
        let keys = directory.keys(partner.number).len();
        output.line(format!(
            " partner    {:<12} number {:<4} home {:<10} {keys} keys   {}",
            partner.id, partner.number.0, partner.home, partner.name
        ));
    }
    for group in directory.groups() {
        let members: Vec<_> = group.members.iter().map(ToString::to_string).collect();
        output.line(format!(" group      {:<12} {}", group.id, members.join(" ")));
    }
    for agreement in directory.agreements() {
        let list = |ids: &[PartnerId]| ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
        output.line(format!(
            " agreement  {:<12} {} → {}, {} kinds, until {}",
            agreement.id,
            list(&agreement.originators),
            list(&agreement.recipients),
            agreement.kinds.len(),
            output::time(agreement.until)
        ));
    }
}

fn describe(output: &mut Output, directory: &Directory) {
    let head = directory.head();
    output.set("network", head.network().to_string());
    output.set("network_name", head.name().to_string());
    output.set("version", head.version().0);
    output.set("digest", head.digest().to_string());
    output.set("renew_by", output::time(head.renew_by()));
    output.set("records", directory.len());
    let partners: Vec<_> = directory
        .partners()
        .map(|partner| json!({"id": partner.id.to_string(), "number": partner.number.0, "name": partner.name}))
        .collect();
    output.set("partners", partners);
}
