//! Who acts: a partner's identity, keys and node, in one file. An unknown context is an error, never a fall-back.

use std::path::{Path, PathBuf};

use liaison_client::{Client, Endpoint, KnownDirectory, key_file};
use liaison_protocol::id::{NodeId, PartnerId, SystemId};
use liaison_protocol::signer::Ed25519Signer;
use liaison_protocol::trust::Trust;
use serde::{Deserialize, Serialize};

use super::{Exit, Failure, files};

/// The file's name in a context's folder.
pub(super) const FILE: &str = "context.toml";

/// What the file says. Paths start at its folder.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ContextFile {
    /// The partner.
    pub partner: String,
    /// Its system, as in its certificate.
    pub system: String,
    /// `host:port`.
    pub node: String,
    /// A name in the node's certificate, where it is not the address's host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_name: Option<String>,
    /// The node that is meant, as in the directory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node_id: Option<String>,
    /// The authority of the node's certificate.
    pub authority: PathBuf,
    /// The partner's certificate.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// Signs notices.
    pub notice_key: PathBuf,
    /// Signs acknowledgements.
    pub acknowledgement_key: PathBuf,
    /// What receipts are verified against.
    pub trust: PathBuf,
}

/// A context that has been found and read.
pub(super) struct Context {
    /// Who acts.
    pub partner: PartnerId,
    /// From which system.
    pub system: SystemId,
    /// What receipts are verified against.
    pub trust: Trust,
    file: ContextFile,
    folder: PathBuf,
}

/// Where the file of a context lies that is named by name, folder or file.
pub(super) fn locate(name: &str) -> Result<PathBuf, Failure> {
    let usage = |message: String| Failure::new(Exit::Usage, message);
    if name.is_empty() {
        return Err(usage("no context: say who acts".into()).next("liaison --context liaison/partners/FR …"));
    }
    let given = PathBuf::from(name);
    let home = std::env::home_dir().unwrap_or_default().join(".config/liaison/contexts").join(name);
    let mut places = [given.clone(), given.join(FILE), home.join(FILE)].into_iter();
    places.find(|path| path.is_file()).ok_or_else(|| {
        usage(format!(
            "no context {name}: neither a file, nor a folder with {FILE}, nor a name in {}",
            home.display()
        ))
    })
}

impl Context {
    /// Finds a context by name, folder or file.
    pub(super) fn find(name: Option<&str>) -> Result<Self, Failure> {
        Self::read(&locate(name.unwrap_or_default())?)
    }

    /// Reads a context's file.
    pub(super) fn read(path: &Path) -> Result<Self, Failure> {
        let bad = |problem: String| Failure::new(Exit::Usage, format!("{}: {problem}", path.display()));
        let text = files::text(path)?;
        let file: ContextFile = toml_edit::de::from_str(&text)
            .map_err(|error| bad(files::with_stray(error.to_string().trim_end(), &text)))?;
        let folder = path.parent().unwrap_or(Path::new(".")).to_path_buf();
        let trust = files::trust(&folder.join(&file.trust))?;
        Ok(Self {
            partner: file.partner.parse().map_err(|error| bad(format!("partner: {error}")))?,
            system: file.system.parse().map_err(|error| bad(format!("system: {error}")))?,
            trust,
            file,
            folder,
        })
    }

    /// The same, with the node at another address.
    pub(super) fn at(mut self, node: &str) -> Self {
        self.file.node = node.into();
        self
    }

    fn text(&self, file: &Path) -> Result<String, Failure> {
        files::text(&self.folder.join(file))
    }

    /// A file or folder beside the context's own file.
    pub(super) fn beside(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Where the node is.
    pub(super) fn node(&self) -> &str {
        &self.file.node
    }

    /// What a client connects with.
    pub(super) fn endpoint(&self) -> Result<Endpoint, Failure> {
        let node = self.file.node_id.as_deref().map(str::parse::<NodeId>).transpose();
        Ok(Endpoint {
            address: self.file.node.clone(),
            server_name: self.file.server_name.clone(),
            node: node.map_err(|error| Failure::new(Exit::Usage, format!("node_id: {error}")))?,
            authority_pem: self.text(&self.file.authority)?,
            certificate_pem: self.text(&self.file.certificate)?,
            key_pem: self.text(&self.file.key)?,
        })
    }

    /// The partner's certificate, with what leads to its authority.
    pub(super) fn certificate_pem(&self) -> Result<String, Failure> {
        self.text(&self.file.certificate)
    }

    /// A line to the node.
    pub(super) async fn connect(&self) -> Result<Client, Failure> {
        let endpoint = self.endpoint()?;
        Client::connect(&endpoint).await.map_err(|error| {
            let local = matches!(error, liaison_client::ClientError::Local(_));
            let failure = Failure::from(error);
            if local { failure } else { failure.next(format!("liaison -c {} doctor", files::name(&self.folder))) }
        })
    }

    /// A line to the node, and the directory in force there, verified.
    pub(super) async fn connect_and_know(&self) -> Result<(Client, KnownDirectory), Failure> {
        let client = self.connect().await?;
        let known = client.known_directory(0, &self.trust).await?;
        Ok((client, known))
    }

    /// The key that signs notices.
    pub(super) fn notice_key(&self) -> Result<Ed25519Signer, Failure> {
        self.signer(&self.file.notice_key)
    }

    /// The key that signs acknowledgements.
    pub(super) fn acknowledgement_key(&self) -> Result<Ed25519Signer, Failure> {
        self.signer(&self.file.acknowledgement_key)
    }

    fn signer(&self, file: &Path) -> Result<Ed25519Signer, Failure> {
        let text = self.text(file)?;
        key_file::signer(&text)
            .map_err(|bad| Failure::failed(format!("{}: {bad}", self.folder.join(file).display())))
    }
}
