//! A fast node that says what does not hold is worth nothing: after the load, receipts and the log are verified.

use std::path::Path;

use liaison_client::Client;
use liaison_protocol::trust::Trust;

use super::load::{Originator, Tally};
use crate::app::inspect::Inspected;
use crate::cli::log::{Growth, Seen, growth};
use crate::cli::{Exit, Failure};

/// The log, from before the load on.
pub(super) struct Log {
    client: Client,
    trust: Trust,
    before: Seen,
}

/// The log's newest checkpoint when the last notice had been answered, proven to have grown out of the one before the load.
pub(super) struct Grown(Seen);

impl Log {
    /// Its newest checkpoint now, verified.
    pub(super) async fn begin(client: &Client, trust: Trust) -> Result<Self, Failure> {
        let before = Seen::newest(client, &trust).await?;
        Ok(Self { client: client.clone(), trust, before })
    }

    /// Its newest checkpoint now, verified, and consistent with the first.
    pub(super) async fn end(self) -> Result<Grown, Failure> {
        let newest = Seen::newest(&self.client, &self.trust).await?;
        match growth(&self.client, &self.before, &newest).await? {
            Growth::Grown => Ok(Grown(newest)),
            Growth::Same => Err(unverified("the log has not grown")),
            Growth::Forked(why) => Err(unverified(&why)),
        }
    }
}

impl Grown {
    /// What the node has stored, when it has stopped: every leaf made anew, under the checkpoint that was shown and under the last one
    /// stored. Says how many leaves that are.
    pub(super) async fn stored(&self, data: &Path, trust: &Trust) -> Result<u64, Failure> {
        let inspected = Inspected::open(data).await.map_err(|error| Failure::failed(error.to_string()))?;
        let inspected = inspected.ok_or_else(|| unverified("nothing is stored"))?;
        let last = Seen::verified(inspected.note.to_vec(), trust).map_err(|why| unverified(&why))?;
        let (shown, last) = (&self.0.checkpoint, &last.checkpoint);
        if last.size < shown.size {
            return Err(unverified("fewer leaves are stored than were signed"));
        }
        let roots = inspected.roots(&[shown.size, last.size]).await.map_err(|why| unverified(&why))?;
        match roots == [shown.root, last.root] {
            true => Ok(last.size),
            false => Err(unverified("the stored leaves have another root than was signed")),
        }
    }
}

/// Verifies the receipts that were kept, and says how many.
pub(super) fn receipts(tally: &Tally, originators: &[Originator]) -> Result<usize, Failure> {
    for (from, notice, receipt) in &tally.sample {
        originators[*from].check(notice, receipt)?;
    }
    Ok(tally.sample.len())
}

fn unverified(why: &str) -> Failure {
    Failure::new(Exit::Unverified, format!("the log does not verify: {why}"))
}
