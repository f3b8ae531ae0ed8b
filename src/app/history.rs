//! The store and the anchor of a node's log, opened together: a store is made only where the anchor says that nothing was ever
//! signed.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use liaison_protocol::id::Origin;
use liaison_protocol::tlog::checkpoint::VerifierKey;

use super::{CannotServe, Read, inspect};
use crate::anchor::{Anchor, Anchored, BadAnchor};
use crate::clock::SharedClock;
use crate::config::Settings;
use crate::sequencer::{Evidence, Judgement, judge};
use crate::store::memory::MemoryStore;
use crate::store::sqlite::{SqliteOptions, SqliteStore};
use crate::store::{Store, WriterError};

/// A store that another program keeps locked is asked again after so long.
const LOCKED_PAUSE: Duration = Duration::from_secs(1);

/// The anchor of a node's log, which must be there.
pub(super) fn anchor(settings: &Settings, origin: &Origin) -> Result<Anchored, CannotServe> {
    Anchored::open(&settings.anchor, origin).map_err(|bad| refused(settings, bad))
}

fn refused(settings: &Settings, bad: BadAnchor) -> CannotServe {
    CannotServe::File { key: "log.anchor", path: settings.anchor.clone(), problem: bad.to_string() }
}

/// The store to start on. Where there is none although something was signed, nothing is made: what was stored must come back
/// first, and until then there is nothing to serve. Another program's lock is waited for, and said; everything else refuses the
/// start.
pub(super) async fn open(
    settings: &Settings,
    anchor: &Anchored,
    clock: &SharedClock,
) -> Result<Arc<dyn Store>, CannotServe> {
    let mut waited = false;
    loop {
        match open_once(&file(settings), has_signed(anchor)) {
            Err(WriterError::Busy(why)) => {
                if !std::mem::replace(&mut waited, true) {
                    tracing::warn!(target: "audit", event = "store_away", why);
                }
                clock.until(clock.monotonic() + LOCKED_PAUSE).await;
            }
            opened => {
                if waited {
                    tracing::warn!(target: "audit", event = "store_back");
                }
                return Ok(opened?);
            }
        }
    }
}

fn open_once(path: &Path, has_signed: bool) -> Result<Arc<dyn Store>, WriterError> {
    Ok(match (SqliteStore::open_there(path, SqliteOptions::default())?, has_signed) {
        (Some(store), _) => Arc::new(store),
        (None, true) => Arc::new(MemoryStore::new()),
        (None, false) => Arc::new(SqliteStore::open(path, SqliteOptions::default())?),
    })
}

/// What a start would make of what is stored, by reading alone; nothing is made where nothing is there.
pub(super) async fn judged(
    settings: &Settings,
    anchor: &Anchored,
    origin: &Origin,
    key: &VerifierKey,
) -> Result<Judgement, CannotServe> {
    let store: Arc<dyn Store> = match SqliteStore::look(&file(settings))? {
        Some(store) => Arc::new(store),
        None => Arc::new(MemoryStore::new()),
    };
    Ok(judge(&Evidence { store: &*store, origin, key, anchor }).await?)
}

/// Makes the anchor of a log whose anchor is lost, at what the store holds now: the newest stored checkpoint, or nothing signed.
/// Whoever calls this vouches that no newer one was signed. Gives how many leaves it says.
pub async fn make_anchor(settings: &Settings) -> Result<(PathBuf, u64), CannotServe> {
    let read = Read::all(settings)?;
    let key = read.log_key.verifier();
    if let Judgement::Broken(why) = judged(settings, &Anchored::Nowhere, &read.origin, key).await? {
        return Err(why.into());
    }
    let stored = inspect::Inspected::open(&settings.data).await?;
    let (checkpoint, size) = stored.map_or((None, 0), |stored| (Some(stored.note.clone()), stored.size()));
    let anchor =
        Anchor::create(&settings.anchor, &read.origin, checkpoint).map_err(|bad| refused(settings, bad))?;
    Ok((anchor.path().to_owned(), size))
}

fn file(settings: &Settings) -> PathBuf {
    settings.data.join(inspect::STORE_FILE)
}

fn has_signed(anchor: &Anchored) -> bool {
    match anchor {
        Anchored::Here(anchor) => anchor.content().checkpoint.is_some(),
        Anchored::Damaged(_) => true,
        Anchored::Nowhere => false,
    }
}
