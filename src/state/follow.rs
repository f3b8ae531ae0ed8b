//! How a view comes to be: stored entries in, in order. Pure; whoever has a store reads for it.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use liaison_protocol::id::{Hash, Seq};
use liaison_protocol::statement::{Event, Statement};
use liaison_protocol::tlog::entry::Opening;

use super::{BadBase, Base, Detail, StoredDetail, View};
use crate::policy::RecipientSet;

/// History is broken at one place: the node stops there and says where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("statement {}: {problem}", seq.0)]
pub struct Diverged {
    /// Where.
    pub seq: Seq,
    /// In words.
    pub problem: String,
}

/// Recipient sets kept before those that no open notice names any more are dropped for the first time.
const SETS_SWEPT_FROM: usize = 4_096;

/// A fold under way: a view, and the recipient sets that its statements named.
#[derive(Debug)]
pub struct Folding {
    view: View,
    sets: HashMap<Hash, Arc<RecipientSet>>,
    /// Sets that nothing open names are dropped when there are more than this.
    sets_max: usize,
    /// It began with a base, and the statement that commits to it must come next.
    unstated: bool,
}

impl Default for Folding {
    fn default() -> Self {
        Self { view: View::default(), sets: HashMap::new(), sets_max: SETS_SWEPT_FROM, unstated: false }
    }
}

/// One stored entry, read far enough to know what it needs.
#[derive(Debug)]
pub struct Needing {
    seq: Seq,
    statement: Statement,
    detail: StoredDetail,
}

impl Folding {
    /// The next statement to fold.
    pub fn next(&self) -> Seq {
        self.view.next()
    }

    /// Reads an entry and says which recipient set must be handed in before it can be folded.
    pub fn read(&self, seq: Seq, opening: &Opening, detail: &Bytes) -> Result<(Needing, Option<Hash>), Diverged> {
        let diverged = |problem: String| Diverged { seq, problem };
        let statement =
            Statement::decode(opening.statement.clone()).map_err(|refusal| diverged(refusal.message))?;
        let detail = StoredDetail::decode(detail, &statement.event).map_err(|bad| diverged(bad.to_string()))?;
        let missing = match detail {
            StoredDetail::Audience(root) if !self.sets.contains_key(&root) => Some(root),
            _ => None,
        };
        Ok((Needing { seq, statement, detail }, missing))
    }

    /// Begins with a base instead of with nothing. It is believed once the next statement has been folded, which must be the one
    /// that commits to it. Its recipient sets must have been handed in.
    pub fn begin(&mut self, base: Base) -> Result<(), BadBase> {
        self.view = base.view(&self.sets)?;
        self.unstated = true;
        Ok(())
    }

    /// Hands in a recipient set; it must be the one that its root names.
    pub fn hand_in(&mut self, root: Hash, set: &[u8]) -> bool {
        let Some(set) = RecipientSet::decode(set).filter(|set| set.root() == root) else { return false };
        self.sets.insert(root, Arc::new(set));
        true
    }

    /// Folds what was read.
    pub fn fold(&mut self, needing: Needing) -> Result<(), Diverged> {
        let Needing { seq, statement, detail } = needing;
        self.check_base(seq, &statement, &detail)?;
        let detail = match detail {
            StoredDetail::Whole(detail) => detail,
            StoredDetail::Audience(root) => {
                let missing = || Diverged { seq, problem: "its recipient set is missing".into() };
                Detail::Audience(self.sets.get(&root).cloned().ok_or_else(missing)?)
            }
        };
        self.view.apply(seq, &statement, &detail)?;
        if self.sets.len() > self.sets_max {
            drop(detail);
            self.sets.retain(|_, set| Arc::strong_count(set) > 1);
            self.sets_max = SETS_SWEPT_FROM.max(2 * self.sets.len());
        }
        Ok(())
    }

    /// A base is what a fold of everything before it comes to: seen here, whether the fold began with it or with nothing.
    fn check_base(&mut self, seq: Seq, statement: &Statement, detail: &StoredDetail) -> Result<(), Diverged> {
        let diverged = |problem: &str| Diverged { seq, problem: problem.into() };
        match (&statement.event, detail) {
            (Event::Rebased(rebased), StoredDetail::Whole(Detail::Base(salt))) => {
                if View::base_digest(salt, &self.view.to_base()) != rebased.digest {
                    return Err(diverged("commits to another base than what came before comes to"));
                }
                self.unstated = false;
                Ok(())
            }
            _ if self.unstated => Err(diverged("does not commit to the base before it")),
            _ => Ok(()),
        }
    }

    /// The view of what was folded so far, for whoever only shows it.
    pub fn so_far(self) -> View {
        self.view
    }

    /// The view, once everything is folded. It fails where it began with a base and nothing came after that.
    pub fn finish(self) -> Result<View, Diverged> {
        if self.unstated {
            let problem = "nothing commits to the base before it".into();
            return Err(Diverged { seq: self.view.next(), problem });
        }
        Ok(self.view)
    }
}
