//! The node's one configuration file: read once, checked whole, every problem reported at once with its key.

pub mod folder;
pub mod reference;
pub mod regular;

use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::path::{Path, PathBuf};

use liaison_protocol::id::NodeId;
use serde::Deserialize;

/// A configuration is a few kilobytes; one with a thousand revocation lists still fits.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// The operator's socket in the data folder, where nothing else is said.
const OPERATOR_SOCKET: &str = "operator.sock";

/// What is wrong with a configuration file, one line each.
#[derive(Debug, thiserror::Error)]
#[error("{}: {}", path.display(), problems.join("; "))]
pub struct BadConfig {
    /// Which file.
    pub path: PathBuf,
    /// Each names its key.
    pub problems: Vec<String>,
    /// What it says, where nothing is wrong with it but that files are not there.
    pub settings: Option<Box<Settings>>,
}

/// A checked configuration. Relative paths have been joined to the file's folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The file they were read from.
    pub file: PathBuf,
    /// This node, as in the directory.
    pub node: NodeId,
    /// The folder for the store.
    pub data: PathBuf,
    /// Where partners connect.
    pub partners: SocketAddr,
    /// Connections from one address, where many partners are behind one; None: the door's own limit.
    pub connections_per_address: Option<NonZeroU16>,
    /// The operator's socket.
    pub operator: PathBuf,
    /// The node's certificate chain, PEM.
    pub certificate: PathBuf,
    /// Its key, PEM, readable by the node's user alone.
    pub key: PathBuf,
    /// The log's Ed25519 key, PKCS #8 PEM, readable by the node's user alone.
    pub log_key: PathBuf,
    /// The folder for the log's anchor, outside the data folder.
    pub anchor: PathBuf,
    /// The folder with sealed directories.
    pub directory: PathBuf,
    /// The trust file that the first of them is checked against.
    pub trust: PathBuf,
    /// Keys and identities that the operator lets in nowhere; None: the directory alone decides.
    pub denied: Option<PathBuf>,
    /// Authorities whose certificates are let in only while a list says that they are not revoked.
    pub revocation: Vec<Revocation>,
    /// Where monitoring asks. None: nowhere.
    pub ops: Option<SocketAddr>,
    /// Where audit events go.
    pub audit: AuditTo,
}

/// Where audit events go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum AuditTo {
    /// The process's standard error, beside the log.
    #[default]
    Stderr,
    /// The process's standard output.
    Stdout,
    /// A file, made readable to its owner alone and appended to. Moved away, it is made anew.
    File(PathBuf),
}

impl AuditTo {
    fn parse(name: &str, folder: &Path) -> Self {
        match name {
            "stderr" => Self::Stderr,
            "stdout" => Self::Stdout,
            file => Self::File(folder.join(file)),
        }
    }
}

/// One authority and its revocation lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revocation {
    /// Its certificate, PEM.
    pub authority: PathBuf,
    /// Files, or folders of files, with its lists in PEM or DER. They may come later: until then nobody of it is let in.
    pub lists: Vec<PathBuf>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    node: RawNode,
    listen: RawListen,
    tls: RawTls,
    log: RawLog,
    directory: RawDirectory,
    #[serde(default)]
    ops: RawOps,
    #[serde(default)]
    audit: RawAudit,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawNode {
    id: String,
    data: PathBuf,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawListen {
    partners: String,
    connections_per_address: Option<NonZeroU16>,
    operator: Option<PathBuf>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTls {
    certificate: PathBuf,
    key: PathBuf,
    denied: Option<PathBuf>,
    #[serde(default)]
    revocation: Vec<RawRevocation>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRevocation {
    authority: PathBuf,
    lists: Vec<PathBuf>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawLog {
    key: PathBuf,
    anchor: Option<PathBuf>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawDirectory {
    folder: PathBuf,
    trust: PathBuf,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawOps {
    listen: Option<String>,
    #[serde(default)]
    beyond_loopback: bool,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawAudit {
    to: Option<String>,
}

impl RawOps {
    /// Whoever reaches this port is asked for no certificate, so it stays on this machine unless somebody says otherwise in words.
    fn address(&self, problems: &mut Vec<String>) -> Option<SocketAddr> {
        let listen = self.listen.as_ref()?;
        let Ok(address) = listen.parse::<SocketAddr>() else {
            problems.push("ops.listen: expected an address and port, e.g. 127.0.0.1:7480".into());
            return None;
        };
        if !address.ip().is_loopback() && !self.beyond_loopback {
            problems.push(format!(
                "ops.listen: {address} can be reached from other machines without a certificate; listen on 127.0.0.1, or set \
                 ops.beyond_loopback = true"
            ));
        }
        Some(address)
    }
}

impl Settings {
    /// Every key with the value that counts, in the order of the reference. Keys that are absent and have no value are left out.
    pub fn effective(&self) -> Vec<(&'static str, &'static str, String)> {
        let path = |path: &Path| path.display().to_string();
        let audit = match &self.audit {
            AuditTo::Stderr => "stderr".into(),
            AuditTo::Stdout => "stdout".into(),
            AuditTo::File(file) => path(file),
        };
        let mut all = vec![
            ("node", "id", self.node.to_string()),
            ("node", "data", path(&self.data)),
            ("listen", "partners", self.partners.to_string()),
        ];
        all.extend(
            self.connections_per_address.map(|most| ("listen", "connections_per_address", most.to_string())),
        );
        all.extend([
            ("listen", "operator", path(&self.operator)),
            ("tls", "certificate", path(&self.certificate)),
            ("tls", "key", path(&self.key)),
        ]);
        all.extend(self.denied.as_deref().map(|file| ("tls", "denied", path(file))));
        for Revocation { authority, lists } in &self.revocation {
            all.push(("[tls.revocation]", "authority", path(authority)));
            all.extend(lists.iter().map(|list| ("[tls.revocation]", "lists", path(list))));
        }
        all.extend([
            ("log", "key", path(&self.log_key)),
            ("log", "anchor", path(&self.anchor)),
            ("directory", "folder", path(&self.directory)),
            ("directory", "trust", path(&self.trust)),
        ]);
        all.extend(self.ops.map(|address| ("ops", "listen", address.to_string())));
        all.push(("audit", "to", audit));
        all
    }

    /// Reads and checks a file. Unknown keys are refused; files it names must be there.
    pub fn read(path: &Path) -> Result<Self, BadConfig> {
        let bad = |problems: Vec<String>| BadConfig { path: path.into(), problems, settings: None };
        let text = regular::read_text(path, FILE_BYTES_MAX).map_err(|error| bad(vec![error.to_string()]))?;
        let raw: Raw = toml_edit::de::from_str(&text).map_err(|error| bad(vec![located(&text, &error)]))?;
        let folder = path.parent().unwrap_or(Path::new("."));
        let mut problems = Vec::new();
        let node = raw.node.id.parse().map_err(|error| problems.push(format!("node.id: {error}"))).ok();
        let listen = raw.listen.partners.parse();
        let partners = listen
            .map_err(|_| problems.push("listen.partners: expected an address and port, e.g. 127.0.0.1:7443".into()))
            .ok();
        let data = folder.join(&raw.node.data);
        let ops = raw.ops.address(&mut problems);
        let audit = raw.audit.to.map_or_else(AuditTo::default, |name| AuditTo::parse(&name, folder));
        let settings = Self {
            file: path.into(),
            node: node.clone().unwrap_or_else(|| "invalid".parse().expect("a node id")),
            partners: partners.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 0))),
            connections_per_address: raw.listen.connections_per_address,
            operator: raw.listen.operator.map_or_else(|| data.join(OPERATOR_SOCKET), |path| folder.join(path)),
            certificate: folder.join(raw.tls.certificate),
            key: folder.join(raw.tls.key),
            log_key: folder.join(raw.log.key),
            anchor: raw.log.anchor.map_or_else(|| apart_from(&data), |path| folder.join(path)),
            directory: folder.join(raw.directory.folder),
            trust: folder.join(raw.directory.trust),
            denied: raw.tls.denied.map(|path| folder.join(path)),
            revocation: raw.tls.revocation.into_iter().map(|raw| revocation(folder, raw)).collect(),
            data,
            ops,
            audit,
        };
        if settings.anchor.starts_with(&settings.data) {
            problems.push(
                "log.anchor: must lie outside node.data: a backup of the store would bring back an older one with it".into(),
            );
        }
        for (nth, revocation) in settings.revocation.iter().enumerate() {
            if revocation.lists.is_empty() {
                problems.push(format!("tls.revocation[{nth}].lists: expected files or folders"));
            }
        }
        let files = [
            ("tls.certificate", &settings.certificate),
            ("tls.key", &settings.key),
            ("log.key", &settings.log_key),
            ("directory.trust", &settings.trust),
            ("directory.folder", &settings.directory),
        ];
        let more = settings.denied.iter().map(|file| ("tls.denied", file));
        let authorities = settings.revocation.iter().map(|one| ("tls.revocation.authority", &one.authority));
        let sound = problems.is_empty();
        for (key, file) in files.into_iter().chain(more).chain(authorities) {
            if !file.exists() {
                problems.push(format!("{key}: {} is not there", file.display()));
            }
        }
        match problems.is_empty() {
            true => Ok(settings),
            false => Err(BadConfig { settings: sound.then(|| Box::new(settings)), ..bad(problems) }),
        }
    }
}

/// Beside a data folder, under its name and a word: where the anchor lies unless something else is said.
fn apart_from(data: &Path) -> PathBuf {
    let mut name = data.file_name().unwrap_or_default().to_owned();
    name.push("-anchor");
    data.with_file_name(name)
}

fn revocation(folder: &Path, raw: RawRevocation) -> Revocation {
    Revocation {
        authority: folder.join(raw.authority),
        lists: raw.lists.into_iter().map(|path| folder.join(path)).collect(),
    }
}

/// Only where a node's operator reaches it: whoever looks at a running node is not kept from it by what is wrong with the next start.
pub fn operator_socket(path: &Path) -> Result<PathBuf, BadConfig> {
    let bad = |problem: String| BadConfig { path: path.into(), problems: vec![problem], settings: None };
    let text = regular::read_text(path, FILE_BYTES_MAX).map_err(|error| bad(error.to_string()))?;
    let file: toml_edit::DocumentMut =
        text.parse().map_err(|error| bad(located(&text, &toml_edit::de::Error::from(error))))?;
    let value = |section: &str, key: &str| file.get(section)?.get(key)?.as_str();
    let folder = path.parent().unwrap_or(Path::new("."));
    match (value("listen", "operator"), value("node", "data")) {
        (Some(socket), _) => Ok(folder.join(socket)),
        (None, Some(data)) => Ok(folder.join(data).join(OPERATOR_SOCKET)),
        (None, None) => Err(bad("node.data: must be there".into())),
    }
}

/// Where in the file, and what; never what stands there, which may be anything.
fn located(text: &str, error: &toml_edit::de::Error) -> String {
    let message = error.message().lines().next().unwrap_or("cannot be read");
    let Some(span) = error.span() else { return message.into() };
    let before = text.get(..span.start).unwrap_or_default();
    format!("line {}: {message}", before.matches('\n').count() + 1)
}

/// Writes a configuration that [`Settings::read`] takes, with what each key means.
pub fn sample(node: &NodeId, partners: &str) -> String {
    format!(
        "# Liaison node. Relative paths start at this file's folder. Unknown keys are refused.\n\
         \n\
         [node]\n\
         id = \"{node}\"                            # as in the directory\n\
         data = \"data\"                            # the store; back it up whole\n\
         \n\
         [listen]\n\
         partners = \"{partners}\"                  # mutual TLS 1.3, gRPC\n\
         \n\
         [tls]\n\
         certificate = \"pki/{node}.pem\"\n\
         key = \"pki/{node}.key\"                   # must be readable by this node's user alone\n\
         # denied = \"denied.txt\"                # sha256:… of keys and SPIFFE ids that are let in nowhere, one a line\n\
         # [[tls.revocation]]                   # for each authority whose certificates need a revocation list\n\
         # authority = \"pki/authority.pem\"\n\
         # lists = [\"pki/lists\"]                # files or folders, PEM or DER, read within a second of a change\n\
         \n\
         [log]\n\
         key = \"keys/log.key\"                     # signs checkpoints and nothing else\n\
         anchor = \"anchor\"                        # how far it has signed; never put back from a backup\n\
         \n\
         [directory]\n\
         folder = \"directory\"                     # a new sealed directory here is adopted within a second\n\
         trust = \"network.trust\"                  # what the first one is checked against\n\
         \n\
         # [ops]\n\
         # listen = \"127.0.0.1:7480\"              # for monitoring: /livez /readyz /metrics\n\
         \n\
         # [audit]\n\
         # to = \"audit.jsonl\"                     # audit events; otherwise they go to stderr\n"
    )
}

#[cfg(test)]
mod tests {
    use super::reference::KEYS;
    use super::*;

    fn sections() -> Vec<&'static str> {
        let mut sections: Vec<_> = KEYS.iter().map(|key| key.section).collect();
        sections.dedup();
        sections
    }

    /// Every key of the reference, as its example shows it.
    fn complete() -> String {
        let table = |section: &str| {
            let keys = KEYS.iter().filter(|key| key.section == section);
            let lines: String = keys.map(|key| format!("{} = {}\n", key.name, key.example)).collect();
            format!("[{section}]\n{lines}")
        };
        sections().into_iter().map(table).collect()
    }

    /// What reading this text comes to, in a folder where nothing else lies.
    fn problems(text: &str) -> Vec<String> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("node.toml");
        std::fs::write(&path, text).expect("writable");
        Settings::read(&path).expect_err("no file that it names is there").problems
    }

    #[test]
    fn every_configuration_in_deploy_is_read_and_lacks_only_its_files() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy");
        let files =
            std::fs::read_dir(folder).expect("deploy is there").map(|entry| entry.expect("readable").path());
        let files: Vec<_> =
            files.filter(|path| path.extension().is_some_and(|extension| extension == "toml")).collect();
        assert!(files.len() >= 2, "{files:?}");
        for path in files {
            let problems = Settings::read(&path).expect_err("its keys are not in the repository").problems;
            assert_eq!(problems.len(), 5, "{}: {problems:?}", path.display());
            assert!(problems.iter().all(|problem| problem.ends_with("is not there")), "{problems:?}");
        }
    }

    #[test]
    fn every_problem_of_a_file_is_reported_at_once_with_its_key() {
        let text = sample(&"hub-1".parse().expect("a node id"), "127.0.0.1:7443");
        let wrong = text.replace("hub-1\"  ", "Hub 1\"  ").replace("7443", "x") + "[ops]\nlisten = \"here\"\n";
        let problems = problems(&wrong).join("\n");
        for key in ["node.id", "listen.partners", "tls.key", "log.key", "directory.folder", "ops.listen"] {
            assert!(problems.contains(key), "{key} in {problems}");
        }
    }

    #[test]
    fn the_reference_has_exactly_the_keys_that_are_read() {
        let all = complete();
        assert!(problems(&all).iter().all(|problem| problem.ends_with("is not there")), "{:?}", problems(&all));
        for section in sections() {
            let here = format!("[{section}]\n");
            let found = problems(&all.replace(&here, &format!("{here}surprise = 1\n"))).join("");
            let mut known: Vec<_> =
                found.split('`').skip(1).step_by(2).filter(|word| *word != "surprise").collect();
            known.sort_unstable();
            let mut listed: Vec<_> = KEYS.iter().filter(|key| key.section == section).map(|key| key.name).collect();
            let nested = format!("[{section}.");
            listed.extend(sections().iter().filter_map(|other| other.strip_prefix(&nested)?.strip_suffix(']')));
            listed.sort_unstable();
            assert_eq!(known, listed, "[{section}]: {found}");
        }
        let found = problems(&format!("{all}[surprise]\n")).join("");
        let known: Vec<_> = found.split('`').skip(1).step_by(2).filter(|word| *word != "surprise").collect();
        let tables: Vec<_> = sections().into_iter().filter(|section| !section.starts_with('[')).collect();
        assert_eq!(known, tables, "{found}");
    }

    #[test]
    fn what_must_be_there_and_what_need_not_is_as_the_reference_says() {
        for key in KEYS {
            let line = format!("{} = {}\n", key.name, key.example);
            let here = format!("[{}]\n", key.section);
            let text = complete();
            let (before, section) = text.split_once(&here).expect("its table");
            let found = problems(&format!("{before}{here}{}", section.replacen(&line, "", 1)));
            let missing = format!("missing field `{}`", key.name);
            assert_eq!(
                found.iter().any(|problem| problem.contains(&missing)),
                key.default.is_none(),
                "{key:?}: {found:?}"
            );
        }
    }

    #[test]
    fn fault_105_a_file_that_cannot_be_read_is_one_line_with_its_place_and_none_of_its_text() {
        let rows = [
            ("[node]\nid = \"CANARY", "line 2: "),
            ("[node]\nid = 5\ndata = \"CANARY\"\n", "line 2: invalid type"),
            ("[node]\nid = \"a\"\nsecret = \"CANARY\"\n", "line 3: unknown field `secret`"),
        ];
        for (text, begin) in rows {
            let found = problems(text);
            assert!(found.len() == 1 && found[0].starts_with(begin), "{found:?}");
            assert!(!found[0].contains('\n') && !found[0].contains("CANARY"), "{found:?}");
        }
    }

    #[test]
    fn fault_112_the_ops_port_stays_on_this_machine_unless_the_file_says_otherwise() {
        let rows = [
            ("127.0.0.1:7480", false, true),
            ("[::1]:7480", false, true),
            ("0.0.0.0:7480", false, false),
            ("[::]:7480", false, false),
            ("192.0.2.1:7480", false, false),
            ("192.0.2.1:7480", true, true),
        ];
        for (address, beyond, taken) in rows {
            let text = complete()
                .replace("\"127.0.0.1:7480\"", &format!("\"{address}\""))
                .replace("beyond_loopback = false", &format!("beyond_loopback = {beyond}"));
            let found = problems(&text);
            let refused = found.iter().any(|problem| problem.starts_with("ops.listen: "));
            assert_eq!(refused, !taken, "{address}, beyond loopback {beyond}: {found:?}");
        }
    }
}
