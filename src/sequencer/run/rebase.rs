//! Moving the base: now and then what has been folded is written down, so that a start need not fold it again. It goes to disk in
//! one commit with the statement that commits to it, so a crash leaves both or neither.

use liaison_protocol::id::{LeafIndex, Seq};
use liaison_protocol::statement::Rebased;
use liaison_protocol::tlog::entry::Salt;

use super::{Became, Known, Run, Stopped};
use crate::state::{Proposal, View};
use crate::store::Base;

/// While there is work to do, the base waits for a quiet moment, but not longer than this share of what lies between two bases.
const PATIENCE: u64 = 4;

impl Run {
    /// Moves the base where enough has been stated since the last. Best while nobody waits: a view with many open notices takes
    /// some time to write.
    pub(super) async fn rebase_if_due(&mut self, idle: bool) -> Result<(), Stopped> {
        let after = self.parts.rebase_after;
        let patience = if idle { 0 } else { after / PATIENCE };
        let next = Seq(self.edge.base.0 + self.edge.tree.size());
        if self.full || self.away.is_some() || next.0.saturating_sub(self.rebased.0) < after + patience {
            return Ok(());
        }
        // Tried once: where there is no room now, the next one is due as late as ever. Its own statement does not count.
        self.rebased = Seq(next.0 + 1);
        self.rebase().await
    }

    async fn rebase(&mut self) -> Result<(), Stopped> {
        let mut salt = Salt([0; 32]);
        self.parts.entropy.fill(&mut salt.0);
        let (pieces, through) = {
            let view = self.read_view();
            (view.to_base(), Seq(view.next().0 - 1))
        };
        let digest = View::base_digest(&salt, &pieces);
        let rebased = Rebased { through: LeafIndex(through.0 - self.edge.base.0), digest };
        // Nothing expires in this batch: its only statement follows the view just written.
        let (mut built, _) = self.decide(&[Proposal::Rebase(rebased, salt)], &Known::new(), false);
        built.batch.base = Some(Base { through, pieces });
        match self.commit(&built.batch).await? {
            Became::Durable => self.settle(built).map(drop).map_err(Stopped::Fatal),
            // Nobody waits for it.
            Became::NoRoom | Became::Away | Became::Unknown => Ok(()),
        }
    }
}
