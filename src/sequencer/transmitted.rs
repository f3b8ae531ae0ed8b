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

impl Transmitted {
    /// Sent just now.
    pub fn mark(&self, recipient: PartnerNumber, notices: impl IntoIterator<Item = Seq>) {
        let mut marks = self.marks.lock().unwrap_or_else(PoisonError::into_inner);
        marks.entry(recipient).or_default().extend(notices.into_iter().map(|seq| seq.0));
    }

    /// Settled: whether it was sent no longer matters.
    pub fn forget(&self, recipient: PartnerNumber, notices: impl IntoIterator<Item = Seq>) {
        let mut marks = self.marks.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(marks) = marks.get_mut(&recipient) {
            for seq in notices {
                marks.remove(seq.0);
            }
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
