//! A ledger in its file: one importer at a time, and the file is always whole.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use crate::cli::context::Context;
use crate::cli::{Exit, Failure, read};
use crate::import::Source;
use crate::import::ledger::{Ledger, Owner};

/// Where ledgers lie in a context's folder.
const FOLDER: &str = "imports";

/// A ledger that nobody else writes meanwhile.
pub(super) struct LedgerFile {
    path: PathBuf,
    owner: Owner,
    pub(super) ledger: Ledger,
    /// Held while the import runs; the system lets it go when the process ends, however it ends.
    _lock: File,
}

/// Where the ledger of a context and a source lies.
pub(super) fn path(given: Option<&Path>, context: &Context, source: Source) -> PathBuf {
    match given {
        Some(path) => path.to_path_buf(),
        None => context.beside(FOLDER).join(format!("{}.ledger", source.word())),
    }
}

/// Reads a ledger without holding it; nothing was sent where there is none.
pub(super) fn peek(path: &Path, context: &Context, source: Source) -> Result<Ledger, Failure> {
    if !path.exists() {
        return Ok(Ledger::default());
    }
    Ledger::decode(&read(path)?, &owner(context, source)).map_err(|bad| {
        Failure::failed(format!("{}: {bad}", path.display()))
            .next("restore it from a backup, or name another with --ledger FILE")
    })
}

fn owner(context: &Context, source: Source) -> Owner {
    Owner { network: context.trust.network(), partner: context.partner.clone(), list: source.word() }
}

impl LedgerFile {
    /// Opens it for this import alone.
    pub(super) fn open(path: &Path, context: &Context, source: Source) -> Result<Self, Failure> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        std::fs::create_dir_all(folder).map_err(|error| failed(folder, &error))?;
        let lock_path = path.with_extension("lock");
        let opened = OpenOptions::new().create(true).truncate(false).write(true).open(&lock_path);
        let lock = opened.map_err(|error| failed(&lock_path, &error))?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => {
                Failure::new(Exit::Conflict, format!("{}: another import is writing it", path.display()))
                    .next("wait for the other import to end")
            }
            TryLockError::Error(error) => failed(&lock_path, &error),
        })?;
        let ledger = peek(path, context, source)?;
        Ok(Self { path: path.to_path_buf(), owner: owner(context, source), ledger, _lock: lock })
    }

    /// Writes it beside and moves it into place.
    ///
    /// A crash before the move leaves the ledger as it was: what was sent since is asked back from the node by its reference. A
    /// crash after it has lost nothing.
    pub(super) fn save(&self) -> Result<(), Failure> {
        let beside = self.path.with_extension("new");
        let write = || {
            let mut file = File::create(&beside)?;
            file.write_all(self.ledger.encode(&self.owner).as_bytes())?;
            file.sync_all()?;
            std::fs::rename(&beside, &self.path)?;
            // The new name is durable once its folder is.
            let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
            File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
        };
        write().map_err(|error| failed(&self.path, &error))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

fn failed(path: &Path, error: &std::io::Error) -> Failure {
    Failure::failed(format!("{}: {error}", path.display()))
}
