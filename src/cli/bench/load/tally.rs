//! What became of the notices.

use std::time::Duration;

use bytes::Bytes;
use liaison_client::sign::SignedNotice;
use liaison_client::{ClientError, Submitted};
use liaison_protocol::reason::Reason;
use liaison_protocol::receipt::Receipt;

use crate::cli::bench::cost::percentile;

/// When one notice was due, sent and answered.
#[derive(Clone, Copy)]
pub(super) struct Times {
    pub(super) due: Duration,
    pub(super) sent: Duration,
    pub(super) answered: Duration,
}

/// What became of the notices of one connection, or of all.
#[derive(Default)]
pub(in crate::cli::bench) struct Tally {
    pub(in crate::cli::bench) accepted: u64,
    /// Told that the same bytes will pass later, and when: BUSY with RetryInfo.
    pub(in crate::cli::bench) busy: u64,
    /// Refused in any other way.
    pub(in crate::cli::bench) refused: u64,
    /// Why the first of those was refused, or the first busy one if there was no other.
    refusal: Option<String>,
    busy_refusal: Option<String>,
    /// From when it was due to the durable receipt, microseconds.
    latencies_us: Vec<u32>,
    /// From when it was due until it was sent, microseconds.
    late_us: Vec<u32>,
    /// Who sent it, its envelope, its receipt.
    pub(in crate::cli::bench) sample: Vec<(usize, Bytes, Receipt)>,
}

impl Tally {
    pub(super) fn take(
        &mut self,
        notice: &SignedNotice,
        answer: Result<Submitted, ClientError>,
        times: Times,
        keep: bool,
    ) {
        match answer {
            Ok(submitted) => {
                self.accepted += 1;
                self.latencies_us.push(micros(times.answered.saturating_sub(times.due)));
                self.late_us.push(micros(times.sent.saturating_sub(times.due)));
                if keep {
                    self.sample.push((0, notice.envelope.clone(), submitted.receipt));
                }
            }
            Err(error) if error.reason() == Some(Reason::Busy) && error.may_pass_later() => {
                self.busy += 1;
                self.busy_refusal.get_or_insert_with(|| error.to_string());
            }
            Err(error) => {
                self.refused += 1;
                self.refusal.get_or_insert_with(|| error.to_string());
            }
        }
    }

    /// Adds what one connection saw.
    pub(in crate::cli::bench) fn add(&mut self, other: Self, from: usize) {
        self.accepted += other.accepted;
        self.busy += other.busy;
        self.refused += other.refused;
        self.refusal = self.refusal.take().or(other.refusal);
        self.busy_refusal = self.busy_refusal.take().or(other.busy_refusal);
        self.latencies_us.extend(other.latencies_us);
        self.late_us.extend(other.late_us);
        self.sample.extend(other.sample.into_iter().map(|(_, notice, receipt)| (from, notice, receipt)));
    }

    /// All that were answered.
    pub(in crate::cli::bench) fn answered(&self) -> u64 {
        self.accepted + self.busy + self.refused
    }

    /// Why one was refused, if any was.
    pub(in crate::cli::bench) fn refusal(&self) -> Option<&str> {
        self.refusal.as_deref().or(self.busy_refusal.as_deref())
    }

    /// The latency that this share of all accepted notices stays within.
    pub(in crate::cli::bench) fn latency_us(&self, share: f64) -> u32 {
        percentile(self.latencies_us.clone(), share)
    }

    /// How late this share of them was sent at most.
    pub(in crate::cli::bench) fn late_us(&self, share: f64) -> u32 {
        percentile(self.late_us.clone(), share)
    }
}

fn micros(time: Duration) -> u32 {
    u32::try_from(time.as_micros()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use liaison_protocol::id::{Hash, NoticeId};

    use super::*;

    #[test]
    fn only_a_refusal_that_says_when_to_come_again_counts_as_busy() {
        let notice = SignedNotice {
            id: NoticeId(Hash::of(&[b"a notice"])),
            reference: "REF/1".parse().unwrap(),
            envelope: Bytes::new(),
            parts: Vec::new(),
        };
        let refused = |reason, retry_after_ms| ClientError::Refused {
            reason,
            message: "so".into(),
            retry_after_ms,
            metadata: Vec::new(),
        };
        let broken = ClientError::Unreachable { node: "here".into(), message: "gone".into() };
        let cases = [
            (refused(Reason::Busy, Some(250)), 1),
            (refused(Reason::Busy, None), 0),
            (refused(Reason::StoreFull, Some(250)), 0),
            (broken, 0),
        ];
        for (error, busy) in cases {
            let (what, mut tally) = (error.to_string(), Tally::default());
            let times = Times { due: Duration::ZERO, sent: Duration::ZERO, answered: Duration::ZERO };
            tally.take(&notice, Err(error), times, false);
            assert_eq!((tally.busy, tally.refused), (busy, 1 - busy), "{what}");
            assert_eq!((tally.answered(), tally.refusal()), (1, Some(what.as_str())));
        }
    }
}
