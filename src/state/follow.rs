//! How a view comes to be: stored entries in, in order. Pure; whoever has a store reads for it.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use liaison_protocol::id::{Hash, Seq};
use liaison_protocol::statement::Statement;
use liaison_protocol::tlog::entry::Opening;

use super::{Detail, StoredDetail, View};
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

/// A fold under way: a view, and the recipient sets that its statements named.
#[derive(Debug, Default)]
pub struct Folding {
    view: View,
    sets: HashMap<Hash, Arc<RecipientSet>>,
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

    /// Hands in a recipient set; it must be the one that its root names.
    pub fn hand_in(&mut self, root: Hash, set: &[u8]) -> bool {
        match RecipientSet::decode(set).filter(|set| set.root() == root) {
            Some(set) => self.sets.insert(root, Arc::new(set)).is_none_or(|_| true),
            None => false,
        }
    }

    /// Folds what was read.
    pub fn fold(&mut self, needing: Needing) -> Result<(), Diverged> {
        let Needing { seq, statement, detail } = needing;
        let detail = match detail {
            StoredDetail::Whole(detail) => detail,
            StoredDetail::Audience(root) => {
                let missing = || Diverged { seq, problem: "its recipient set is missing".into() };
                Detail::Audience(self.sets.get(&root).cloned().ok_or_else(missing)?)
            }
        };
        self.view.apply(seq, &statement, &detail)
    }

    /// The view, once everything is folded.
    pub fn finish(self) -> View {
        self.view
    }
}
