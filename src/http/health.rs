//! Whether a node is live and ready, decided on facts alone.

use std::fmt;
use std::time::Duration;

/// The single writer comes round at least once a second; the slowest disk that is still believed takes seconds (FAULTS 88).
const WRITER_SILENT_MAX: Duration = Duration::from_secs(60);

/// What is known of a node at one moment.
#[derive(Clone, Copy, Debug)]
pub struct Facts {
    /// Partners may call.
    pub serving: bool,
    /// It has been asked to stop.
    pub draining: bool,
    /// Its own certificate has ended.
    pub certificate_over: bool,
    /// How long the single writer has not come round.
    pub writer_silent: Duration,
    /// The store has no room for notices: submissions are refused.
    pub store_full: bool,
    /// The store's reserve is given up, or could not be made.
    pub no_reserve: bool,
    /// The store cannot be reached.
    pub store_away: bool,
    /// The node came up without a writer.
    pub recovering: bool,
    /// Wall clock and monotonic clock disagree.
    pub clocks_apart: bool,
    /// Audit events are being lost.
    pub audit_losing: bool,
    /// A file that is watched cannot be looked at.
    pub files_stalled: bool,
}

/// Why a node is not ready. An overdue directory is no reason: it raises alarms and never stops traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unready {
    /// Log and directory are being verified; nobody can call yet.
    Starting,
    /// It finishes what is under way and takes nothing new.
    Draining,
    /// The single writer does not come round: disk or processor hang.
    StoreStalled,
    /// Submissions are refused.
    StoreFull,
    /// What recipients sign goes on for as long as there is some room.
    NoReserve,
    /// Nothing is taken until another program gives the store back.
    StoreAway,
    /// There is no writer: what is whole is served, and nothing is signed.
    Recovering,
    /// New handshakes fail.
    CertificateExpired,
    /// Nothing expires; which clock is right nobody knows.
    ClocksApart,
    /// What happens cannot be written down.
    AuditLosing,
    /// What is newly revoked or denied may not be seen.
    FilesStalled,
}

impl Unready {
    /// All of them, in the order in which they are said.
    pub const ALL: &[Self] = &[
        Self::Starting,
        Self::Draining,
        Self::StoreStalled,
        Self::StoreFull,
        Self::NoReserve,
        Self::StoreAway,
        Self::Recovering,
        Self::CertificateExpired,
        Self::ClocksApart,
        Self::AuditLosing,
        Self::FilesStalled,
    ];

    /// One stable word for monitors.
    pub fn word(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Draining => "draining",
            Self::StoreStalled => "store_stalled",
            Self::StoreFull => "store_full",
            Self::NoReserve => "no_reserve",
            Self::StoreAway => "store_away",
            Self::Recovering => "recovering",
            Self::CertificateExpired => "certificate_expired",
            Self::ClocksApart => "clocks_apart",
            Self::AuditLosing => "audit_losing",
            Self::FilesStalled => "files_stalled",
        }
    }

    /// One sentence for people.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Starting => "log and directory are not verified yet, nobody can call",
            Self::Draining => "the node was asked to stop and takes nothing new",
            Self::StoreStalled => "nothing has been committed or looked at for a minute: disk or processor hang",
            Self::StoreFull => "the store has no room: submissions are refused, collecting and acknowledging go on",
            Self::NoReserve => "the store has no reserve and no room to make one: acknowledging may stop, too",
            Self::StoreAway => "the store cannot be reached now: nothing is taken, what is stored is served",
            Self::Recovering => {
                "the store is older than what was signed, or damaged: what is whole is served, nothing is taken"
            }
            Self::CertificateExpired => "the node's certificate has ended: new connections fail, open ones go on",
            Self::ClocksApart => "wall clock and monotonic clock disagree by more than 5 minutes: nothing expires",
            Self::AuditLosing => "audit events are being lost: the sink is blocked or full, traffic goes on",
            Self::FilesStalled => {
                "a watched file cannot be looked at, its file system does not answer: what it held stays in force"
            }
        }
    }

    fn holds(self, facts: &Facts) -> bool {
        match self {
            Self::Starting => !facts.serving && !facts.draining,
            Self::Draining => facts.draining,
            Self::StoreStalled => facts.serving && facts.writer_silent > WRITER_SILENT_MAX,
            Self::StoreFull => facts.store_full,
            Self::NoReserve => facts.no_reserve,
            Self::StoreAway => facts.store_away,
            Self::Recovering => facts.recovering,
            Self::CertificateExpired => facts.certificate_over,
            Self::ClocksApart => facts.clocks_apart,
            Self::AuditLosing => facts.audit_losing,
            Self::FilesStalled => facts.files_stalled,
        }
    }
}

impl fmt::Display for Unready {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.word(), self.sentence())
    }
}

/// Everything that stands against a node's being ready.
pub fn unready(facts: &Facts) -> Vec<Unready> {
    Unready::ALL.iter().copied().filter(|reason| reason.holds(facts)).collect()
}

/// The one reason that a restart may help against.
pub(super) fn stalled(facts: &Facts) -> Option<Unready> {
    Some(Unready::StoreStalled).filter(|reason| reason.holds(facts))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn well() -> Facts {
        Facts {
            serving: true,
            draining: false,
            certificate_over: false,
            writer_silent: Duration::from_secs(1),
            store_full: false,
            no_reserve: false,
            store_away: false,
            recovering: false,
            clocks_apart: false,
            audit_losing: false,
            files_stalled: false,
        }
    }

    #[test]
    fn every_fact_that_makes_a_node_unready_is_said_alone_and_only_a_stalled_writer_asks_for_a_restart() {
        assert_eq!(unready(&well()), []);
        type Change = fn(&mut Facts);
        let rows: &[(Unready, Change)] = &[
            (Unready::Starting, |facts| facts.serving = false),
            (Unready::Draining, |facts| facts.draining = true),
            (Unready::StoreStalled, |facts| facts.writer_silent = WRITER_SILENT_MAX + Duration::from_micros(1)),
            (Unready::StoreFull, |facts| facts.store_full = true),
            (Unready::NoReserve, |facts| facts.no_reserve = true),
            (Unready::StoreAway, |facts| facts.store_away = true),
            (Unready::Recovering, |facts| facts.recovering = true),
            (Unready::CertificateExpired, |facts| facts.certificate_over = true),
            (Unready::ClocksApart, |facts| facts.clocks_apart = true),
            (Unready::AuditLosing, |facts| facts.audit_losing = true),
            (Unready::FilesStalled, |facts| facts.files_stalled = true),
        ];
        let said: Vec<_> = rows.iter().map(|(reason, _)| *reason).collect();
        assert_eq!(said, Unready::ALL);
        for (reason, happen) in rows {
            let mut facts = well();
            happen(&mut facts);
            assert_eq!(unready(&facts), [*reason]);
            assert_eq!(stalled(&facts).is_some(), *reason == Unready::StoreStalled, "{reason}");
        }
        let mut stopping = well();
        (stopping.serving, stopping.draining) = (false, true);
        assert_eq!(unready(&stopping), [Unready::Draining], "whoever has stopped does not start");
    }
}
