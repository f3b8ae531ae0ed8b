//! Issuing TLS certificates anew: before the old ones end, or when they no longer fit. Each comes with a new key.

use std::io::{self, Write as _};
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use liaison_protocol::id::{Micros, NodeId, PartnerId, SystemId};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::network::NetworkFolder;
use super::{Exit, Failure, Folder, Output, output, read};
use crate::authority::pki::{Authority, Issued, Validity};

/// A year and a day, so that it can be done on the same day every year.
const DAYS: i64 = 366;
/// Clocks of partners may be behind by this much.
const BACKDATED_US: i64 = Micros::HOUR;

/// Issue TLS certificates anew, in the folder that `liaison init` made.
#[derive(Subcommand)]
pub(super) enum CertificateCommand {
    /// A node's, for the names it has and the addresses that the directory lists.
    Node {
        /// Its identifier.
        node: NodeId,
        #[command(flatten)]
        folder: Folder,
        /// Further DNS names or addresses.
        #[arg(long = "dns", value_name = "NAME")]
        names: Vec<String>,
    },
    /// A partner's, for one of its systems.
    Partner {
        /// Its identifier.
        partner: PartnerId,
        #[command(flatten)]
        folder: Folder,
        /// Which of its systems.
        #[arg(long, default_value = "ops-1", value_name = "SYSTEM")]
        system: SystemId,
    },
}

impl CertificateCommand {
    pub(super) fn run(self, output: &mut Output) -> Result<Exit, Failure> {
        let (folder, stem, issued, who, next) = match self {
            Self::Node { node, folder: Folder { folder }, names } => {
                let (stem, issued) = issue_node(&folder, &node, names)?;
                let next = format!("liaison reload --config {}/hub.toml", folder.display());
                (folder, stem, issued, format!("node {node}"), next)
            }
            Self::Partner { partner, folder: Folder { folder }, system } => {
                let (stem, issued) = issue_partner(&folder, &partner, &system)?;
                let next = format!("liaison -c {}/partners/{partner} doctor", folder.display());
                (folder, stem, issued, format!("partner {partner}, system {system}"), next)
            }
        };
        output.talk(format!(" as the authority of {}", NetworkFolder::open(&folder)?.name()));
        let (certificate, key) = (stem.with_extension("pem"), stem.with_extension("key"));
        let failed = |path: &Path| {
            let path = path.display().to_string();
            move |error: io::Error| Failure::failed(format!("{path}: {error}"))
        };
        // Between the two a reload finds a key that does not fit, and keeps what it has.
        replace(&key, issued.key_pem(), 0o600).map_err(failed(&key))?;
        replace(&certificate, issued.certificate_pem(), 0o644).map_err(failed(&certificate))?;
        let until = output::time(validity().not_after);
        output.line(format!(" ✔ {}   {who}, until {until}", certificate.display()));
        output.line(format!(" ✔ {}", key.display()));
        output.line(format!(" Next:  {next}"));
        output.set("certificate", certificate.display().to_string());
        output.set("until", until);
        Ok(Exit::Done)
    }
}

fn validity() -> Validity {
    let now = output::now();
    Validity { not_before: now.plus(-BACKDATED_US), not_after: now.plus(DAYS * Micros::DAY) }
}

fn authority(folder: &Path) -> Result<Authority, Failure> {
    let text = |file: &str| Ok::<_, Failure>(String::from_utf8_lossy(&read(&folder.join(file))?).into_owned());
    Authority::from_pem(&text("pki/ca.pem")?, &text("pki/ca.key")?)
        .map_err(|error| Failure::failed(format!("{}: {error}", folder.join("pki").display())))
}

fn issue_node(folder: &Path, node: &NodeId, further: Vec<String>) -> Result<(PathBuf, Issued), Failure> {
    let network = NetworkFolder::open(folder)?;
    let unlisted = || Failure::new(Exit::NotFound, format!("node {node} is not in the directory"));
    let record = network.newest().node(node).ok_or_else(unlisted)?;
    let stem = folder.join(format!("pki/{node}"));
    let hosts = record.addresses.iter().map(|address| host(address).to_string());
    let mut names: Vec<String> = hosts.chain(further).chain([node.to_string(), "localhost".into()]).collect();
    names.extend(named_by(&stem.with_extension("pem")));
    names.sort_unstable();
    names.dedup();
    let addresses: Vec<IpAddr> = names.iter().filter_map(|name| name.parse().ok()).collect();
    let dns: Vec<&str> = names.iter().map(String::as_str).filter(|name| name.parse::<IpAddr>().is_err()).collect();
    let issued = authority(folder)?.issue_node(network.name(), node, &dns, &addresses, validity());
    Ok((stem, issued.map_err(|error| Failure::new(Exit::Usage, error.to_string()))?))
}

fn issue_partner(folder: &Path, partner: &PartnerId, system: &SystemId) -> Result<(PathBuf, Issued), Failure> {
    let network = NetworkFolder::open(folder)?;
    if network.newest().partner(partner).is_none() {
        let next = format!("liaison partner add {partner} --folder {}", folder.display());
        return Err(Failure::new(Exit::NotFound, format!("{partner} is not in the directory")).next(next));
    }
    let issued = authority(folder)?.issue_partner(network.name(), partner, system, validity());
    let stem = folder.join("partners").join(partner.as_str()).join("tls");
    Ok((stem, issued.map_err(|error| Failure::failed(error.to_string()))?))
}

fn host(address: &str) -> &str {
    address.rsplit_once(':').map_or(address, |(host, _)| host).trim_matches(['[', ']'])
}

/// The DNS names and addresses in a certificate that is there: whoever calls by one of them goes on doing so.
fn named_by(file: &Path) -> Vec<String> {
    let Ok(der) = CertificateDer::from_pem_file(file) else { return Vec::new() };
    let Ok((_, leaf)) = X509Certificate::from_der(&der) else { return Vec::new() };
    let names = leaf.subject_alternative_name().ok().flatten().map(|names| names.value.general_names.clone());
    let name = |name: GeneralName<'_>| match name {
        GeneralName::DNSName(name) => Some(name.to_string()),
        GeneralName::IPAddress(bytes) => match bytes.len() {
            4 => <[u8; 4]>::try_from(bytes).ok().map(|four| IpAddr::from(four).to_string()),
            _ => <[u8; 16]>::try_from(bytes).ok().map(|sixteen| IpAddr::from(sixteen).to_string()),
        },
        _ => None,
    };
    names.unwrap_or_default().into_iter().filter_map(name).collect()
}

/// Writes beside a file and renames over it, so that one of the two is always whole.
fn replace(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    let folder = path.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."));
    let mut fresh = tempfile::NamedTempFile::new_in(folder)?;
    fresh.as_file().set_permissions(std::fs::Permissions::from_mode(mode))?;
    fresh.write_all(text.as_bytes())?;
    fresh.as_file().sync_all()?;
    fresh.persist(path).map(drop).map_err(|error| error.error)
}
