//! A directory as people look at it, signed or not yet: what `diff`, `explain` and `lint` read.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use liaison_protocol::directory::{AuthorityKeys, BadDirectory, Directory};
use liaison_protocol::id::{HeadVersion, Micros};
use liaison_protocol::proto;
use liaison_protocol::trust::Trust;
use prost::Message as _;

use super::directory_file::DirectoryFile;
use super::sign::{CannotSign, authority, rehearse};
use crate::clock::Entropy;
use crate::policy::CompiledDirectory;

/// One edition of a network's directory, compiled as a node compiles it.
pub struct Edition {
    compiled: CompiledDirectory,
    authority: AuthorityKeys,
    version: Option<HeadVersion>,
}

impl Edition {
    /// What the authority has signed.
    pub fn signed(directory: Arc<Directory>) -> Self {
        Self {
            authority: directory.head().authority().clone(),
            version: Some(directory.head().version()),
            compiled: CompiledDirectory::new(directory),
        }
    }

    /// A sealed directory from anywhere, believed as a node that has adopted `history` would believe it.
    pub fn sealed(bytes: Bytes, trust: &Trust, history: &[Arc<Directory>]) -> Result<Self, BadDirectory> {
        let wrong = |problem: String| BadDirectory::Head(problem);
        // What it claims chooses the keys; what follows is checked with them.
        let claimed = claimed_version(&bytes).ok_or_else(|| wrong("it names no version".into()))?;
        let before = match claimed {
            1 => None,
            _ => Some(history.iter().find(|known| known.head().version().0 + 1 == claimed).ok_or_else(|| {
                wrong(format!("it says version {claimed}; the version before it is needed to believe it"))
            })?),
        };
        let trusted = before.map_or(trust.authority(), |before| before.head().authority());
        let directory = Directory::open(bytes, trusted, Some(trust.network()))?;
        directory.follows(before.map(|before| &**before))?;
        Ok(Self::signed(Arc::new(directory)))
    }

    /// What directory.toml would be if it were signed now; refused for whatever signing would refuse.
    pub fn draft(
        file: &DirectoryFile,
        history: &[Arc<Directory>],
        now: Micros,
        entropy: &mut dyn Entropy,
    ) -> Result<Self, CannotSign> {
        Ok(Self {
            authority: authority(file)?,
            version: None,
            compiled: CompiledDirectory::new(Arc::new(rehearse(file, history, now, entropy)?)),
        })
    }

    /// For tests: as if another authority had signed it.
    #[cfg(test)]
    pub(crate) fn with_authority(mut self, authority: AuthorityKeys) -> Self {
        self.authority = authority;
        self
    }

    /// What it says.
    pub fn directory(&self) -> &Directory {
        self.compiled.directory()
    }

    /// The same, as the node reads it to decide.
    pub fn compiled(&self) -> &CompiledDirectory {
        &self.compiled
    }

    /// Whose signatures the next head needs.
    pub fn authority(&self) -> &AuthorityKeys {
        &self.authority
    }

    /// None: not signed yet.
    pub fn version(&self) -> Option<HeadVersion> {
        self.version
    }
}

/// What a sealed directory says of itself, believed by nobody.
fn claimed_version(bytes: &Bytes) -> Option<u64> {
    let sealed = proto::SealedDirectory::decode(bytes.clone()).ok()?;
    let envelope = proto::Envelope::decode(sealed.head).ok()?;
    Some(proto::DirectoryHead::decode(envelope.payload).ok()?.version)
}

impl fmt::Display for Edition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.version {
            Some(version) => write!(f, "version {}", version.0),
            None => f.write_str("directory.toml, not signed yet"),
        }
    }
}
