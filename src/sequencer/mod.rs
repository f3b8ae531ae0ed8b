//! The single writer: the one place where proposals get an order, become durable, and come under a signed checkpoint. It lives on
//! a thread of its own; everyone else holds a handle.

mod anchor;
mod checked;
mod clocks;
mod edge;
mod fold;
mod inbox;
mod outside;
mod pace;
mod published;
mod recent;
mod recovering;
mod run;
mod startup;
#[cfg(test)]
mod tests;
mod tiles;
mod transmitted;

pub use checked::CheckedNotice;
pub use edge::StoredParts;
pub use inbox::{Busy, Sequencer};
pub use published::{Pooled, Published, Stated, pool};
pub use recent::{Reader, Ready, Recent};
pub use recovering::refusal as recovering_refusal;
pub use run::Stopped;
pub use startup::{CannotStart, Evidence, Judgement, Recovered, Sound, judge, tree_of};
pub use tiles::{Tiles, stored_subtree};
pub use transmitted::Transmitted;

use std::sync::{Arc, RwLock};

use liaison_protocol::id::{Origin, Seq};
use liaison_protocol::reason::Refusal;
use liaison_protocol::tlog::checkpoint::LogKey;
use tokio::sync::oneshot;

use crate::anchor::Anchored;
use crate::clock::{Entropy, SharedClock};
use crate::counts::Counts;
use crate::state::View;
use crate::store::Store;
use startup::Started;

/// Statements after which the base is moved: a start folds about so many at most, in about a second.
pub const REBASE_AFTER: u64 = 500_000;

/// What became of a proposal.
#[derive(Clone, Debug)]
pub enum Answer {
    /// Stated just now, durable and under a signed checkpoint.
    Stated(Stated),
    /// Stated before, under the statement named; the newest checkpoint covers it.
    Already(Seq),
    /// Changes nothing, and why.
    Refused(Refusal),
    /// What it was judged by has changed: judge again.
    Stale,
    /// The store has no room; nothing happened.
    NoRoom,
    /// The store cannot be reached now; nothing happened.
    Away,
    /// It is not known whether it happened: the same proposal finds out.
    Unknown,
}

/// Everything the sequencer is made of.
pub struct Parts {
    /// Where history lies.
    pub store: Arc<dyn Store>,
    /// The log's identity.
    pub origin: Origin,
    /// Signs its checkpoints.
    pub key: LogKey,
    /// Both clocks.
    pub clock: SharedClock,
    /// For salts.
    pub entropy: Box<dyn Entropy>,
    /// What has been sent to whom since this start.
    pub transmitted: Arc<Transmitted>,
    /// What it counts.
    pub counts: Arc<Counts>,
    /// Where the last signed checkpoint is kept apart from the store.
    pub anchor: Anchored,
    /// Statements after which the base is moved: [`REBASE_AFTER`], or fewer where a test wants many.
    pub rebase_after: u64,
}

/// A running sequencer.
pub struct Running {
    /// For proposals.
    pub sequencer: Sequencer,
    /// The state after the newest published statement, or a little ahead of it.
    pub view: Arc<RwLock<View>>,
    /// What a start found.
    pub recovered: Recovered,
    /// How it ended, once it has.
    pub stopped: oneshot::Receiver<Stopped>,
}

/// Recovers from the store, signs what a crash left unsigned, and starts the thread. Returns when proposals may come.
pub async fn start(parts: Parts) -> Result<Running, CannotStart> {
    let (ready, started) = oneshot::channel();
    let thread = std::thread::Builder::new().name("sequencer".into());
    thread
        .spawn(move || {
            let mut ready = ready;
            let runtime = match tokio::runtime::Builder::new_current_thread().enable_time().build() {
                Ok(runtime) => runtime,
                Err(error) => return drop(ready.send(Err(CannotStart::Thread(error.to_string())))),
            };
            runtime.block_on(async move {
                let recovered = tokio::select! {
                    recovered = recover(parts) => recovered,
                    // Nobody waits for this start any more, which may be waiting for a store.
                    () = ready.closed() => return,
                };
                match recovered {
                    Ok((running, run)) => {
                        if ready.send(Ok(running)).is_ok() {
                            run.await;
                        }
                    }
                    Err(error) => drop(ready.send(Err(error))),
                }
            });
        })
        .map_err(|error| CannotStart::Thread(error.to_string()))?;
    let gone = |_| CannotStart::Thread("it ended before it was ready".into());
    started.await.map_err(gone)?
}

/// What [`start`] does on its thread, for whoever must have everything on one: nothing proposed is answered while nobody polls the
/// future, which ends once the sequencer has.
pub async fn recover(parts: Parts) -> Result<(Running, impl Future<Output = ()>), CannotStart> {
    let (sequencer, inbox, publish) = inbox::channel();
    let (ended, stopped) = oneshot::channel();
    let (started, view, recovered) = startup::start(parts, inbox, publish).await?;
    let running = Running { sequencer, view, recovered, stopped };
    let run = async move {
        let how = match started {
            Started::Writing(run) => run.run().await,
            Started::Recovering(recovering) => recovering.run().await,
        };
        let _ = ended.send(how);
    };
    Ok((running, run))
}

impl Parts {
    /// What its history is judged by.
    pub fn evidence(&self) -> Evidence<'_> {
        Evidence { store: &*self.store, origin: &self.origin, key: self.key.verifier(), anchor: &self.anchor }
    }
}

#[cfg(test)]
impl Answer {
    /// What was stated, where a test expects nothing else.
    pub(crate) fn stated(self) -> Stated {
        match self {
            Self::Stated(stated) => stated,
            other => panic!("expected a statement, found {other:?}"),
        }
    }
}
