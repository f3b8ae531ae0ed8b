//! What waits for one partner: a set of statements for each precedence.

use std::ops::Range;

use liaison_protocol::id::Seq;
use liaison_protocol::proto::Precedence;
use roaring::RoaringTreemap;

use super::lane;

/// Lanes of a mailbox, one for each precedence.
const LANES: usize = 4;

/// A partner's mailbox.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Mailbox {
    /// By precedence, urgent first; unsettled only.
    due: [RoaringTreemap; LANES],
    consigned: u64,
}

/// Where a reader of a mailbox stands: the next statement it has not seen, in each lane.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cursor(pub [u64; LANES]);

impl Cursor {
    /// Past one delivery.
    pub fn pass(&mut self, due: Due) {
        self.0[due.lane] = due.seq.0 + 1;
    }
}

/// One notice that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    /// The statement that accepted it.
    pub seq: Seq,
    lane: usize,
}

impl Due {
    /// Whether its precedence is FLASH or IMMEDIATE.
    pub fn urgent(&self) -> bool {
        self.lane <= lane(Precedence::Immediate)
    }
}

impl Mailbox {
    /// Notices consigned so far, settled ones too.
    pub fn consigned(&self) -> u64 {
        self.consigned
    }

    /// Notices that wait.
    pub fn waiting(&self) -> u64 {
        self.due.iter().map(RoaringTreemap::len).sum()
    }

    /// Of these, in the first so many lanes.
    pub fn urgent(&self, lanes: usize) -> u64 {
        self.due.iter().take(lanes).map(RoaringTreemap::len).sum()
    }

    /// One to which so many were consigned, and in which nothing waits yet.
    pub(super) fn empty(consigned: u64) -> Self {
        Self { consigned, ..Self::default() }
    }

    /// Statements that follow one another.
    pub(super) fn consign(&mut self, seqs: Range<u64>, precedence: Precedence) {
        self.consigned += seqs.end - seqs.start;
        self.due[lane(precedence)].insert_range(seqs);
    }

    /// Lets one wait that was consigned before.
    pub(super) fn put(&mut self, seq: Seq, precedence: Precedence) {
        self.due[lane(precedence)].insert(seq.0);
    }

    pub(super) fn settle(&mut self, seq: Seq, precedence: Precedence) {
        self.due[lane(precedence)].remove(seq.0);
    }

    pub(super) fn due(&self, after: Cursor, max: usize) -> Vec<Due> {
        let mut found = Vec::new();
        for (lane, (waiting, from)) in self.due.iter().zip(after.0).enumerate() {
            let mut waiting = waiting.iter();
            waiting.advance_to(from);
            found.extend(waiting.take(max - found.len()).map(|seq| Due { seq: Seq(seq), lane }));
            if found.len() == max {
                break;
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urgent_notices_come_first_and_none_twice() {
        let mut mailbox = Mailbox::default();
        for (seq, precedence) in
            [(3, Precedence::Routine), (5, Precedence::Flash), (6, Precedence::Routine), (9, Precedence::Immediate)]
        {
            mailbox.consign(seq..seq + 1, precedence);
        }
        let mut cursor = Cursor::default();
        let mut seen = Vec::new();
        while let [due] = mailbox.due(cursor, 1)[..] {
            cursor.pass(due);
            seen.push(due.seq.0);
        }
        assert_eq!(seen, [5, 9, 3, 6]);
        mailbox.settle(Seq(5), Precedence::Flash);
        assert_eq!(mailbox.due(Cursor::default(), 9).len(), 3);
        assert_eq!(mailbox.waiting(), 3);
        assert_eq!(mailbox.consigned(), 4);
    }
}
