//! When time alone has something to state: deadlines of open notices, earliest first.

use std::collections::BTreeSet;

use liaison_protocol::id::{Micros, Seq};

/// What an open notice is waiting for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Deadline {
    /// A decision is due.
    Respond,
    /// It is no longer delivered.
    Expire,
}

/// Deadlines in the order in which they pass; of those that pass together, by statement, the time to decide first.
#[derive(Debug, Default, PartialEq)]
pub(in crate::state) struct Deadlines(BTreeSet<(Micros, Packed)>);

/// A statement and which of its deadlines, in one number: a waiting notice has one of these for as long as it waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Packed(u64);

impl Packed {
    fn new(seq: Seq, which: Deadline) -> Self {
        Self(seq.0 << 1 | u64::from(which == Deadline::Expire))
    }

    fn parts(self) -> (Seq, Deadline) {
        (Seq(self.0 >> 1), if self.0 & 1 == 0 { Deadline::Respond } else { Deadline::Expire })
    }
}

impl Deadlines {
    pub(in crate::state) fn insert(&mut self, at: Micros, seq: Seq, which: Deadline) {
        self.0.insert((at, Packed::new(seq, which)));
    }

    pub(in crate::state) fn remove(&mut self, at: Micros, seq: Seq, which: Deadline) {
        self.0.remove(&(at, Packed::new(seq, which)));
    }

    /// The earliest.
    pub(in crate::state) fn first(&self) -> Option<Micros> {
        self.0.first().map(|(at, _)| *at)
    }

    /// Earliest first.
    pub(in crate::state) fn iter(&self) -> impl Iterator<Item = (Micros, Seq, Deadline)> {
        self.0.iter().map(|(at, packed)| {
            let (seq, which) = packed.parts();
            (*at, seq, which)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deadlines_pass_by_time_then_by_statement_then_the_time_to_decide_first() {
        let expected = [
            (Micros(-5), Seq(9), Deadline::Expire),
            (Micros(1), Seq(2), Deadline::Respond),
            (Micros(1), Seq(2), Deadline::Expire),
            (Micros(1), Seq(3), Deadline::Respond),
            (Micros(2), Seq(1), Deadline::Expire),
        ];
        let mut deadlines = Deadlines::default();
        expected.iter().rev().for_each(|(at, seq, which)| deadlines.insert(*at, *seq, *which));
        assert_eq!(deadlines.iter().collect::<Vec<_>>(), expected);
        deadlines.remove(Micros(-5), Seq(9), Deadline::Expire);
        assert_eq!(deadlines.first(), Some(Micros(1)));
    }
}
