//! All open notices in the order of their statements. Statements only ascend, so they lie in short runs that are full or become
//! sparse: a tree of single ones would hold half as much air again.

use std::collections::BTreeMap;

use liaison_protocol::id::Seq;

use super::Open;

/// Statements of one run: enough that a run's own cost is nothing, few enough that taking one out moves little.
const RUN: u64 = 32;

/// Open notices by the statement that accepted them.
#[derive(Debug, Default, PartialEq)]
pub(in crate::state) struct Shelf {
    /// By a run's place, ascending; none is empty.
    runs: BTreeMap<u64, Vec<(Seq, Open)>>,
    len: usize,
}

impl Shelf {
    /// How many are open.
    pub(in crate::state) fn len(&self) -> usize {
        self.len
    }

    /// All of them, ascending.
    pub(in crate::state) fn iter(&self) -> impl Iterator<Item = (Seq, &Open)> {
        self.runs.values().flatten().map(|(seq, open)| (*seq, open))
    }

    pub(in crate::state) fn get(&self, seq: Seq) -> Option<&Open> {
        let run = self.runs.get(&(seq.0 / RUN))?;
        place(run, seq).ok().map(|nth| &run[nth].1)
    }

    pub(in crate::state) fn get_mut(&mut self, seq: Seq) -> Option<&mut Open> {
        let run = self.runs.get_mut(&(seq.0 / RUN))?;
        place(run, seq).ok().map(|nth| &mut run[nth].1)
    }

    /// Puts one in the place of its statement.
    pub(in crate::state) fn insert(&mut self, seq: Seq, open: Open) {
        let run = self.runs.entry(seq.0 / RUN).or_default();
        match place(run, seq) {
            Ok(nth) => run[nth].1 = open,
            Err(nth) => {
                run.insert(nth, (seq, open));
                self.len += 1;
            }
        }
    }

    /// Takes one out. What a run no longer needs is given back.
    pub(in crate::state) fn remove(&mut self, seq: Seq) {
        let at = seq.0 / RUN;
        let Some(run) = self.runs.get_mut(&at) else { return };
        let Ok(nth) = place(run, seq) else { return };
        run.remove(nth);
        self.len -= 1;
        if run.is_empty() {
            self.runs.remove(&at);
        } else if run.len() * 4 <= run.capacity() {
            run.shrink_to(run.len() * 2);
        }
    }
}

fn place(run: &[(Seq, Open)], seq: Seq) -> Result<usize, usize> {
    run.binary_search_by_key(&seq, |(seq, _)| *seq)
}
