//! The spine of a node, started on a store: the sequencer, and the exchange on top of it, with the directory in force. Doors come
//! after it, or never.

use std::sync::{Arc, PoisonError};

use liaison_protocol::directory::Directory;
use liaison_protocol::id::Origin;
use liaison_protocol::tlog::checkpoint::LogKey;
use tokio::sync::oneshot;

use super::{CannotServe, directory};
use crate::anchor::Anchored;
use crate::clock::{SharedClock, SystemEntropy};
use crate::config::Settings;
use crate::counts::Counts;
use crate::exchange::{self, Directories, Exchange};
use crate::sequencer::{self, Recovered, Transmitted};
use crate::store::Store;

/// What a spine is made of.
pub(super) struct Parts<'a> {
    pub(super) settings: &'a Settings,
    pub(super) anchor: Anchored,
    pub(super) store: Arc<dyn Store>,
    pub(super) directories: &'a [Arc<Directory>],
    pub(super) origin: Origin,
    pub(super) log_key: LogKey,
    pub(super) counts: Arc<Counts>,
    pub(super) clock: SharedClock,
}

/// A sequencer that runs, and its exchange.
pub(super) struct Spine {
    pub(super) exchange: Arc<Exchange>,
    pub(super) recovered: Recovered,
    /// How the sequencer ended, once it has.
    pub(super) stopped: oneshot::Receiver<sequencer::Stopped>,
}

impl Spine {
    /// Recovers what is stored, and adopts what the folder of directories holds beyond it.
    pub(super) async fn start(parts: Parts<'_>) -> Result<Self, CannotServe> {
        let Parts { settings, anchor, store, directories: known, origin, log_key, counts, clock } = parts;
        let transmitted = Arc::new(Transmitted::default());
        let sequencer::Running { sequencer, view, recovered, stopped } = sequencer::start(sequencer::Parts {
            store: store.clone(),
            origin: origin.clone(),
            key: log_key,
            clock: clock.clone(),
            entropy: Box::new(SystemEntropy::new()),
            transmitted: transmitted.clone(),
            counts: counts.clone(),
            anchor,
            rebase_after: sequencer::REBASE_AFTER,
        })
        .await?;
        let recovering = recovered.recovering.is_some();
        let in_force =
            directory::in_force(known, &view.read().unwrap_or_else(PoisonError::into_inner), recovering)?;
        let directories = Arc::new(Directories::new(in_force, known.iter().cloned()));
        let exchange = Arc::new(Exchange::new(exchange::Parts {
            node: settings.node.clone(),
            origin,
            store,
            sequencer,
            view,
            directories,
            transmitted,
            counts,
            clock: clock.clone(),
            entropy: Box::new(SystemEntropy::new()),
        }));
        // Without a writer nothing can be stated, so nothing new comes into force.
        if !recovering {
            directory::adopt_all(&exchange, known, &clock).await?;
        }
        Ok(Self { exchange, recovered, stopped })
    }
}
