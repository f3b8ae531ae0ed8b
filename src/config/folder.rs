//! The folder of sealed directories: where the authority publishes and the node looks.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use liaison_protocol::directory::{BadDirectory, Directory};
use liaison_protocol::id::HeadVersion;
use liaison_protocol::trust::Trust;

use super::regular;

/// A directory of the largest number of records (100,000), of 10 KiB each; a record is mostly a tenth of that.
const SEALED_BYTES_MAX: u64 = 1 << 30;

/// Where a version lies in a folder of sealed directories.
pub fn path_of(folder: &Path, version: HeadVersion) -> PathBuf {
    folder.join(format!("directory-{:06}.sealed", version.0))
}

/// Why a folder of sealed directories cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BadFolder {
    /// A file cannot be read.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file is not the directory it should be.
    #[error("{}: {source}", path.display())]
    Bad {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: BadDirectory,
    },
}

/// Opens the version after `known`, if it is there: verified against the authority keys of the one before, the first against the
/// trust file.
pub fn open_next(
    folder: &Path,
    known: Option<&Directory>,
    trust: &Trust,
) -> Result<Option<Arc<Directory>>, BadFolder> {
    let version = HeadVersion(known.map_or(1, |known| known.head().version().0.saturating_add(1)));
    let path = path_of(folder, version);
    let bytes = match regular::read(&path, SEALED_BYTES_MAX) {
        Ok(bytes) => Bytes::from(bytes),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(BadFolder::Io { path, source }),
    };
    let bad = |source| BadFolder::Bad { path: path.clone(), source };
    let trusted = known.map_or(trust.authority(), |known| known.head().authority());
    let directory = Directory::open(bytes, trusted, Some(trust.network())).map_err(bad)?;
    directory.follows(known).map_err(bad)?;
    Ok(Some(Arc::new(directory)))
}

/// Opens all versions in order. Empty: there is none.
pub fn open_all(folder: &Path, trust: &Trust) -> Result<Vec<Arc<Directory>>, BadFolder> {
    let mut all: Vec<Arc<Directory>> = Vec::new();
    while let Some(next) = open_next(folder, all.last().map(|last| &**last), trust)? {
        all.push(next);
    }
    Ok(all)
}
