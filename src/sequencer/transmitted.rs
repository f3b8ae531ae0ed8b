//! What has been sent to whom since this start. Not evidence: it only lets an expiry say truly what the node knows of it.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use liaison_protocol::id::{PartnerNumber, Seq};
use liaison_protocol::proto::ExpiredOutcome;
use roaring::RoaringTreemap;

/// Marks by recipient. A mark costs a bit, and goes when its notice is settled.
#[derive(Debug, Default)]
pub struct Transmitted {
    marks: Mutex<HashMap<PartnerNumber, RoaringTreemap>>,
}

/// In order, so that they are put in and taken out together.
fn set(notices: impl IntoIterator<Item = Seq>) -> RoaringTreemap {
    let mut seqs: Vec<_> = notices.into_iter().map(|seq| seq.0).collect();
    seqs.sort_unstable();
    seqs.dedup();
    RoaringTreemap::from_sorted_iter(seqs).expect("sorted, each once")
}

impl Transmitted {
    /// Sent just now.
    pub fn mark(&self, recipient: PartnerNumber, notices: impl IntoIterator<Item = Seq>) {
        let mut marks = self.marks.lock().unwrap_or_else(PoisonError::into_inner);
        *marks.entry(recipient).or_default() |= set(notices);
    }

    /// Settled: whether it was sent no longer matters.
    pub fn forget(&self, recipient: PartnerNumber, notices: impl IntoIterator<Item = Seq>) {
        let mut marks = self.marks.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(marks) = marks.get_mut(&recipient) {
            *marks -= set(notices);
        }
    }

    /// What can truly be said of a notice that nobody signed for, when this start began at `since`.
    pub fn outcome(&self, seq: Seq, recipient: PartnerNumber, since: Seq) -> ExpiredOutcome {
        let marks = self.marks.lock().unwrap_or_else(PoisonError::into_inner);
        if marks.get(&recipient).is_some_and(|marks| marks.contains(seq.0)) {
            ExpiredOutcome::TransmittedNotSigned
        } else if seq < since {
            ExpiredOutcome::NotSigned
        } else {
            ExpiredOutcome::NeverTransmitted
        }
    }
}
