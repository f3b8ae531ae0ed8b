//! The checkpoint believed last, in a file: a log that shows another past after a restart of its reader is caught as well.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use liaison_protocol::id::Origin;

use crate::cli::Failure;

/// Where the pin of a log lies among others.
pub(super) fn file_of(origin: &Origin) -> String {
    format!("{}.checkpoint", origin.to_string().replace('/', "-"))
}

pub(super) struct Pin {
    path: PathBuf,
}

impl Pin {
    pub(super) fn at(path: PathBuf) -> Self {
        Self { path }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// None: nothing has been believed yet.
    pub(super) fn read(&self) -> Result<Option<Vec<u8>>, Failure> {
        match std::fs::read(&self.path) {
            Ok(note) => Ok(Some(note)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed(&self.path, &error)),
        }
    }

    /// Whole or not at all: half a pin would be an alarm about nothing.
    pub(super) fn keep(&self, note: &[u8]) -> Result<(), Failure> {
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let write = || {
            let mut file = tempfile::NamedTempFile::new_in(folder)?;
            file.write_all(note)?;
            file.as_file().sync_all()?;
            file.persist(&self.path).map_err(|error| error.error)
        };
        write().map(drop).map_err(|error| failed(&self.path, &error))
    }

    /// Both checkpoints beside the pin, which stays as it is: the alarm goes on until somebody has looked.
    pub(super) fn save_fork(&self, before: &[u8], now: &[u8]) -> Result<(PathBuf, PathBuf), Failure> {
        let beside = |suffix: &str| {
            let mut name = self.path.clone().into_os_string();
            name.push(suffix);
            PathBuf::from(name)
        };
        let files = (beside(".fork-before"), beside(".fork-now"));
        for (path, note) in [(&files.0, before), (&files.1, now)] {
            std::fs::write(path, note).map_err(|error| failed(path, &error))?;
        }
        Ok(files)
    }
}

fn failed(path: &Path, error: &io::Error) -> Failure {
    Failure::failed(format!("{}: {error}", path.display()))
}
