//! The node's one configuration file: read once, checked whole, every problem reported at once with its key.

pub mod folder;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use liaison_protocol::id::NodeId;
use serde::Deserialize;

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
    /// This node, as in the directory.
    pub node: NodeId,
    /// The folder for the store and the checkpoint file.
    pub data: PathBuf,
    /// Where partners connect.
    pub partners: SocketAddr,
    /// The operator's socket.
    pub operator: PathBuf,
    /// The node's certificate chain, PEM.
    pub certificate: PathBuf,
    /// Its key, PEM, readable by the node's user alone.
    pub key: PathBuf,
    /// The log's Ed25519 key, PKCS #8 PEM, readable by the node's user alone.
    pub log_key: PathBuf,
    /// The folder with sealed directories.
    pub directory: PathBuf,
    /// The trust file that the first of them is checked against.
    pub trust: PathBuf,
    /// Keys and identities that the operator lets in nowhere; None: the directory alone decides.
    pub denied: Option<PathBuf>,
    /// Authorities whose certificates are let in only while a list says that they are not revoked.
    pub revocation: Vec<Revocation>,
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
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawDirectory {
    folder: PathBuf,
    trust: PathBuf,
}

impl Settings {
    /// Reads and checks a file. Unknown keys are refused; files it names must be there.
    pub fn read(path: &Path) -> Result<Self, BadConfig> {
        let bad = |problems: Vec<String>| BadConfig { path: path.into(), problems, settings: None };
        let source = config::File::from(path).format(config::FileFormat::Toml);
        let raw: Raw = config::Config::builder()
            .add_source(source)
            .build()
            .and_then(config::Config::try_deserialize)
            .map_err(|error| bad(vec![error.to_string()]))?;
        let folder = path.parent().unwrap_or(Path::new("."));
        let mut problems = Vec::new();
        let node = raw.node.id.parse().map_err(|error| problems.push(format!("node.id: {error}"))).ok();
        let listen = raw.listen.partners.parse();
        let partners = listen
            .map_err(|_| problems.push("listen.partners: expected an address and port, e.g. 127.0.0.1:7443".into()))
            .ok();
        let data = folder.join(&raw.node.data);
        let settings = Self {
            node: node.clone().unwrap_or_else(|| "invalid".parse().expect("a node id")),
            partners: partners.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 0))),
            operator: raw.listen.operator.map_or_else(|| data.join("operator.sock"), |path| folder.join(path)),
            certificate: folder.join(raw.tls.certificate),
            key: folder.join(raw.tls.key),
            log_key: folder.join(raw.log.key),
            directory: folder.join(raw.directory.folder),
            trust: folder.join(raw.directory.trust),
            denied: raw.tls.denied.map(|path| folder.join(path)),
            revocation: raw.tls.revocation.into_iter().map(|raw| revocation(folder, raw)).collect(),
            data,
        };
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

fn revocation(folder: &Path, raw: RawRevocation) -> Revocation {
    Revocation {
        authority: folder.join(raw.authority),
        lists: raw.lists.into_iter().map(|path| folder.join(path)).collect(),
    }
}

/// Writes a configuration that [`Settings::read`] takes, with what each key means.
pub fn sample(node: &NodeId, partners: &str) -> String {
    format!(
        "# Liaison node. Relative paths start at this file's folder. Unknown keys are refused.\n\
         \n\
         [node]\n\
         id = \"{node}\"                            # as in the directory\n\
         data = \"data\"                            # store and checkpoint file\n\
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
         \n\
         [directory]\n\
         folder = \"directory\"                     # a new sealed directory here is adopted within a second\n\
         trust = \"network.trust\"                  # what the first one is checked against\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_in_deploy_is_read_and_lacks_only_its_files() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/hub.toml");
        let problems = Settings::read(&path).expect_err("its keys are not in the repository").problems;
        assert_eq!(problems.len(), 5, "{problems:?}");
        assert!(problems.iter().all(|problem| problem.ends_with("is not there")), "{problems:?}");
    }

    #[test]
    fn every_problem_of_a_file_is_reported_at_once_with_its_key() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("node.toml");
        let text = sample(&"hub-1".parse().expect("a node id"), "127.0.0.1:7443");
        std::fs::write(&path, text.replace("hub-1\"  ", "Hub 1\"  ").replace("7443", "x")).expect("writable");
        let problems = Settings::read(&path).expect_err("many problems").problems.join("\n");
        for key in ["node.id", "listen.partners", "tls.key", "log.key", "directory.folder"] {
            assert!(problems.contains(key), "{key} in {problems}");
        }
        std::fs::write(&path, text + "surprise = 1\n").expect("writable");
        let problem = Settings::read(&path).expect_err("an unknown key").to_string();
        assert!(problem.contains("surprise"), "{problem}");
    }
}
