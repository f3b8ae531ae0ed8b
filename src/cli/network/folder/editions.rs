//! Editions of a network's directory by the names that people give them on the command line.

use std::path::Path;

use bytes::Bytes;

use super::{NetworkFolder, failed, output, read};
use crate::authority::directory_file::DirectoryFile;
use crate::authority::edition::Edition;
use crate::cli::{Exit, Failure};
use crate::clock::SystemEntropy;
use crate::config::folder::BadFolder;

/// The newest sealed directory.
pub(in crate::cli) const NEWEST: &str = "newest";
/// The network folder's directory.toml.
pub(in crate::cli) const DRAFT: &str = "draft";

impl NetworkFolder {
    /// `newest`, a version's number, `draft` or a directory.toml, or a file with a sealed directory.
    pub(in crate::cli) fn edition(&self, name: &str) -> Result<Edition, Failure> {
        if name == NEWEST {
            return Ok(Edition::signed(self.directories.last().expect("open found one").clone()));
        }
        if let Ok(version) = name.parse::<u64>() {
            let found = self.directories.iter().find(|known| known.head().version().0 == version);
            let newest = self.newest().head().version().0;
            let unknown = || {
                Failure::new(Exit::NotFound, format!("there is no version {version}; versions are 1 to {newest}"))
            };
            return Ok(Edition::signed(found.ok_or_else(unknown)?.clone()));
        }
        if name == DRAFT {
            return self.draft(&self.path.join("directory.toml"));
        }
        let path = Path::new(name);
        if path.extension().is_some_and(|extension| extension == "toml") {
            return self.draft(path);
        }
        let bytes = Bytes::from(read(path)?);
        Edition::sealed(bytes, &self.trust, &self.directories)
            .map_err(|bad| not_edited_by_hand(format!("{}: {bad}", path.display())))
    }

    fn draft(&self, path: &Path) -> Result<Edition, Failure> {
        let file = DirectoryFile::read(path).map_err(|bad| Failure::failed(bad.to_string()))?;
        Edition::draft(&file, &self.directories, output::now(), &mut SystemEntropy::new())
            .map_err(|error| failed(path)(&error))
    }
}

/// A sealed directory in the folder that cannot be believed.
pub(super) fn unbelieved(bad: &BadFolder) -> Failure {
    match bad {
        BadFolder::Io { .. } => Failure::failed(bad.to_string()),
        BadFolder::Bad { .. } => not_edited_by_hand(bad.to_string()),
    }
}

/// Says what to do instead where somebody may have changed sealed bytes.
fn not_edited_by_hand(message: String) -> Failure {
    Failure::new(Exit::Unverified, message)
        .next("put back the file as it was signed: sealed directories are never edited by hand. Change directory.toml, then: liaison directory sign")
}
