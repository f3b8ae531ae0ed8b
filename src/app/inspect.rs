//! What lies in a node's data folder, looked at from outside while the node runs or not: nothing is written, signed or repaired.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use liaison_protocol::id::{Hash, Micros, Origin, Seq};
use liaison_protocol::statement::Statement;
use liaison_protocol::tlog::checkpoint::VerifierKey;
use liaison_protocol::tlog::hash;
use liaison_protocol::tlog::tree::Tree;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use super::files::watched::files_of;
use super::history;
use super::revocations::{AUTHORITY_BYTES_MAX, believe, ders};
use crate::anchor::Anchored;
use crate::config::{Revocation, Settings, regular};
use crate::peer::ListedAuthority;
use crate::sequencer::{Judgement, tree_of};
use crate::store::sqlite::{SqliteOptions, SqliteStore};
use crate::store::{Head, Store as _, Stored, WriterError};
use crate::tls::Limits;

/// The store's file in a data folder.
pub const STORE_FILE: &str = "liaison.db";

/// Statements of a store that are looked at together.
const PAGE_BYTES: usize = 4 << 20;

/// A store that could be opened.
pub struct Inspected {
    store: SqliteStore,
    head: Head,
    /// The newest checkpoint in it.
    pub note: Bytes,
}

/// Which process writes to the store of a data folder now. None: nobody.
pub fn holder(data: &Path) -> std::io::Result<Option<String>> {
    SqliteStore::holder(&data.join(STORE_FILE))
}

/// Whether the room that the store keeps, so that it can be given up, is all there.
pub fn reserve_is_whole(data: &Path) -> bool {
    SqliteStore::reserve_is_whole(&data.join(STORE_FILE), &SqliteOptions::default())
}

/// What a start would make of what is stored, by reading alone. Some: it would come up without a writer, and why. An error is
/// what a start would be refused for.
pub async fn judged(
    settings: &Settings,
    anchor: &Anchored,
    origin: &Origin,
    key: &VerifierKey,
) -> Result<Option<String>, String> {
    match history::judged(settings, anchor, origin, key).await {
        Ok(Judgement::Broken(why)) => Ok(Some(why.to_string())),
        Ok(Judgement::Fresh | Judgement::Sound(_)) => Ok(None),
        Err(refused) => Err(refused.to_string()),
    }
}

/// What one authority's revocation lists come to, as they lie in the files.
pub struct Listed {
    /// The authority's certificate.
    pub authority: PathBuf,
    /// Until when the list that lasts longest may be believed. None: there is none that may.
    pub until: Option<Micros>,
    /// What was not believed, one line each, naming the file.
    pub refused: Vec<String>,
}

/// Reads the configured revocation lists as a node would. What a node remembers of earlier ones is its own affair.
pub fn revocation_lists(configured: &[Revocation], now: Micros) -> Vec<Listed> {
    configured.iter().map(|one| listed(one, now)).collect()
}

fn listed(Revocation { authority, lists }: &Revocation, now: Micros) -> Listed {
    let mut found = Listed { authority: authority.clone(), until: None, refused: Vec::new() };
    let read = regular::read(authority, AUTHORITY_BYTES_MAX).map_err(|error| error.to_string()).and_then(|pem| {
        let der = CertificateDer::from_pem_slice(&pem).map_err(|_| "holds no PEM certificate".to_string())?;
        ListedAuthority::new(der).map_err(String::from)
    });
    let listed = match read {
        Ok(listed) => listed,
        Err(problem) => {
            found.refused.push(format!("{}: {problem}", authority.display()));
            return found;
        }
    };
    for file in files_of(lists) {
        let at = |problem: &dyn std::fmt::Display| format!("{}: {problem}", file.display());
        match ders(&file, regular::read) {
            Err(error) => found.refused.push(at(&error)),
            Ok(lists) => lists.iter().for_each(|der| match believe(der, &listed, now) {
                Ok(list) => found.until = found.until.max(Some(list.lasts().1)),
                Err(bad) => found.refused.push(at(&bad)),
            }),
        }
    }
    found
}

/// Lines that a node takes at a time; each takes a file descriptor.
pub fn connections_max() -> usize {
    Limits::default().connections
}

impl Inspected {
    /// Opens the store of a data folder. None: nothing has been signed there yet.
    pub async fn open(data: &Path) -> Result<Option<Self>, WriterError> {
        let Some(store) = SqliteStore::look(&data.join(STORE_FILE))? else { return Ok(None) };
        let head = *store.noted().borrow();
        let note = store.last_note().await?;
        Ok(head.zip(note).map(|(head, note)| Self { store, head, note: note.note }))
    }

    /// Leaves that the newest stored checkpoint covers.
    pub fn size(&self) -> u64 {
        self.head.size()
    }

    /// The root over the first so many leaves, computed anew from what is stored.
    pub async fn root(&self, size: u64) -> Result<Hash, String> {
        let tree = tree_of(&self.store, &self.head, size).await;
        tree.map(|tree| tree.root()).map_err(|problem| problem.to_string())
    }

    /// The roots at these sizes, ascending, from every stored statement: each leaf is made again from its opening where that is still
    /// there, and must be the one that is stored. No tile is believed.
    pub async fn roots(&self, sizes: &[u64]) -> Result<Vec<Hash>, String> {
        let (mut tree, mut roots) = (Tree::default(), Vec::with_capacity(sizes.len()));
        let mut page = Vec::new().into_iter();
        for size in sizes {
            while tree.size() < *size {
                let seq = Seq(self.head.base.0 + tree.size());
                let entry: Stored = match page.next() {
                    Some(entry) => entry,
                    None => {
                        let read = self.store.entries(seq..self.head.next, PAGE_BYTES).await;
                        page = read.map_err(|error| error.to_string())?.into_iter();
                        page.next().ok_or_else(|| format!("statement {} is missing", seq.0))?
                    }
                };
                if entry.opening.as_ref().is_some_and(|opening| opening.leaf() != entry.leaf) {
                    return Err(format!("the opening of statement {} does not open its leaf", seq.0));
                }
                tree.append(hash::leaf(&entry.leaf.0));
            }
            roots.push(tree.root());
        }
        Ok(roots)
    }

    /// When the newest statement was made, by the node's clock then. None: its opening has been erased.
    pub async fn newest(&self) -> Result<Option<Micros>, String> {
        let last = Seq(self.head.next.0.saturating_sub(1));
        let entries = self.store.entries(last..self.head.next, 1).await.map_err(|error| error.to_string())?;
        let entry = entries.into_iter().next().ok_or_else(|| format!("statement {} is missing", last.0))?;
        let Some(opening) = entry.opening else { return Ok(None) };
        let statement = Statement::decode(opening.statement).map_err(|refusal| refusal.message)?;
        Ok(Some(statement.observed_at))
    }
}
