//! State is a fold over the log: `View::apply_all` is the only way it changes, live, at start and on an auditor's desk alike.
//! Deciding comes before: a `Stage` judges proposals on top of a view, and what it drafts is applied once it is durable.

mod base;
mod delivery;
mod detail;
mod follow;
mod mailbox;
mod open;
mod stage;
#[cfg(test)]
mod tests;

pub use base::{BadBase, Base};
pub use delivery::{Decided, Delivery, Happening, Standing};
pub use detail::{AcknowledgedDetail, BadDetail, Detail, ExpiredDetail, StoredDetail};
pub use follow::{Diverged, Folding};
pub use mailbox::{Cursor, Due, Mailbox};
pub(crate) use open::Deadline;
pub use open::Open;
pub use stage::{Decision, Draft, Outside, Proposal, Stage};

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use liaison_protocol::id::{Hash, LeafIndex, Micros, NoticeId, PartnerNumber, Seq};
use liaison_protocol::proto::{ExpiredOutcome, Precedence, RespondBy};
use liaison_protocol::statement::{Event, HeadName, Statement};
use liaison_protocol::tlog::entry::Salt;
use liaison_protocol::tlog::moved::Moved;

use self::open::{Deadlines, Shelf};
use crate::policy::RecipientSet;

/// What follows from the history so far. It holds open notices only.
#[derive(Debug, Default, PartialEq)]
pub struct View {
    next: u64,
    base: u64,
    head: Option<HeadName>,
    mailboxes: BTreeMap<PartnerNumber, Mailbox>,
    open: Shelf,
    deadlines: Deadlines,
}

impl View {
    /// The next statement to come.
    pub fn next(&self) -> Seq {
        Seq(self.next)
    }

    /// The directory head in force.
    pub fn head(&self) -> Option<HeadName> {
        self.head
    }

    /// Where a statement lies in the log now open.
    pub fn leaf(&self, seq: Seq) -> LeafIndex {
        LeafIndex(seq.0 - self.base)
    }

    /// The statement at a place of the log now open. None: not there yet.
    pub fn seq(&self, leaf: LeafIndex) -> Option<Seq> {
        leaf.0.checked_add(self.base).filter(|seq| *seq < self.next).map(Seq)
    }

    /// A notice that is still open.
    pub fn open(&self, seq: Seq) -> Option<&Open> {
        self.open.get(seq)
    }

    /// Whether a notice is open, and still waits for one of its recipients.
    pub fn waits(&self, seq: Seq, recipient: PartnerNumber) -> bool {
        self.open(seq).is_some_and(|open| open.moves(recipient, Happening::Received).any())
    }

    /// A partner's mailbox. None: nothing was ever consigned to it.
    pub fn mailbox(&self, partner: PartnerNumber) -> Option<&Mailbox> {
        self.mailboxes.get(&partner)
    }

    /// When time alone next has something to state.
    pub fn next_deadline(&self) -> Option<Micros> {
        self.deadlines.first()
    }

    /// Open notices whose time has come, earliest first.
    pub(crate) fn overdue(&self, now: Micros) -> impl Iterator<Item = (Micros, Seq, Deadline)> {
        self.deadlines.iter().take_while(move |(at, ..)| *at <= now)
    }

    /// What waits in a mailbox after a cursor, urgent first, at most `max`.
    pub fn due(&self, partner: PartnerNumber, after: Cursor, max: usize) -> Vec<Due> {
        self.mailbox(partner).map(|mailbox| mailbox.due(after, max)).unwrap_or_default()
    }

    /// Its bytes, in pieces, for a base; equal views have equal bytes.
    pub fn to_base(&self) -> Vec<Bytes> {
        base::encode(self)
    }

    /// What a statement that commits to these pieces says.
    pub fn base_digest(salt: &Salt, pieces: &[Bytes]) -> Hash {
        base::digest(salt, pieces)
    }

    /// Records one statement. It fails only where history itself is broken, and then the node stops.
    pub fn apply(&mut self, seq: Seq, statement: &Statement, detail: &Detail) -> Result<(), Diverged> {
        self.apply_all(seq, std::iter::once((statement, detail)))
    }

    /// Records statements that follow one another, as one by one: notices for the same recipients enter each mailbox together.
    pub fn apply_all<'a>(
        &mut self,
        first: Seq,
        statements: impl IntoIterator<Item = (&'a Statement, &'a Detail)>,
    ) -> Result<(), Diverged> {
        let mut together: Option<Together> = None;
        for (seq, (statement, detail)) in (first.0..).map(Seq).zip(statements) {
            if !matches!(statement.event, Event::Accepted(_)) {
                // It may be about what was accepted just now.
                self.consign(together.take());
            }
            let Some(accepted) = self.follows(seq, statement, detail)? else { continue };
            match &mut together {
                Some(before) if before.takes(&accepted) => before.seqs.end = accepted.seqs.end,
                _ => self.consign(together.replace(accepted)),
            }
        }
        self.consign(together);
        Ok(())
    }

    /// Everything that follows from a statement but what it consigns, which it gives back.
    fn follows(&mut self, seq: Seq, statement: &Statement, detail: &Detail) -> Result<Option<Together>, Diverged> {
        let diverged = |problem: &'static str| Diverged { seq, problem: problem.into() };
        if seq.0 != self.next {
            return Err(diverged("out of order"));
        }
        if self.next == 0 && !matches!(statement.event, Event::LogOpened { .. }) {
            return Err(diverged("no log has been opened"));
        }
        if statement.under != self.head {
            return Err(diverged("names another directory head than the one in force"));
        }
        let mut consigned = None;
        match (&statement.event, detail) {
            (Event::LogOpened { .. }, Detail::None) => self.base = seq.0,
            (Event::DirectoryAdopted(head), Detail::None) => {
                if self.head.is_some_and(|now| now.version >= head.version) {
                    return Err(diverged("adopts a directory head that is not newer"));
                }
                self.head = Some(*head);
            }
            (Event::Accepted(accepted), Detail::Audience(set)) => {
                if set.root() != accepted.recipients_root || set.count() != accepted.recipient_count {
                    return Err(diverged("its recipient set is another than it commits to"));
                }
                self.hold(seq, Open::new(accepted, statement.observed_at, set.clone()));
                let seqs = seq.0..seq.0 + 1;
                consigned = Some(Together { seqs, precedence: accepted.precedence, set: set.clone() });
            }
            (Event::Acknowledged(acknowledged), Detail::Acknowledged(items)) => {
                for AcknowledgedDetail { item, moved } in items {
                    let happening = Happening::from(item.verdict);
                    if self.happened(item.leaf, &item.notice, acknowledged.recipient, happening) != *moved {
                        return Err(diverged("an acknowledgement moved something else than it states"));
                    }
                }
            }
            (Event::Expired(_), Detail::Expired(items)) => {
                // Their order says nothing. Where both deadlines of a notice were over, the time to decide came first.
                let (decisions, deliveries): (Vec<_>, Vec<_>) =
                    items.iter().partition(|item| item.outcome == ExpiredOutcome::Unanswered);
                for item in decisions.into_iter().chain(deliveries) {
                    if !self.happened(item.leaf, &item.notice, item.recipient, item.outcome.into()).any() {
                        return Err(diverged("expires what is not open"));
                    }
                }
            }
            (Event::MailboxStated(_), Detail::None) => {}
            (Event::Rebased(rebased), Detail::Base(_)) => {
                if self.seq(rebased.through).is_none_or(|through| through.0 + 1 != seq.0) {
                    return Err(diverged("a base must come just before the statement that commits to it"));
                }
            }
            _ => return Err(diverged("its detail does not fit its event")),
        }
        self.next += 1;
        Ok(consigned)
    }

    fn consign(&mut self, together: Option<Together>) {
        let Some(Together { seqs, precedence, set }) = together else { return };
        for number in set.members() {
            self.mailboxes.entry(PartnerNumber(number)).or_default().consign(seqs.clone(), precedence);
        }
    }

    /// Keeps an open notice with the deadlines that can still close something.
    fn hold(&mut self, seq: Seq, open: Open) {
        self.deadlines.insert(open.expires_at(), seq, Deadline::Expire);
        if let Some(respond_at) = open.respond_at().filter(|_| !open.all_decided()) {
            self.deadlines.insert(respond_at, seq, Deadline::Respond);
        }
        self.open.insert(seq, open);
    }

    /// Moves what it moves, and says what that was: nothing, where the notice is not open for this recipient.
    fn happened(
        &mut self,
        leaf: LeafIndex,
        notice: &NoticeId,
        recipient: PartnerNumber,
        happening: Happening,
    ) -> Moved {
        let Some(of) = self.seq(leaf) else { return Moved::NOTHING };
        let Some(open) = self.open.get_mut(of).filter(|open| open.notice() == *notice) else {
            return Moved::NOTHING;
        };
        let moved = open.moves(recipient, happening);
        if !moved.any() {
            return moved;
        }
        if open.settle(recipient, happening)
            && let Some(mailbox) = self.mailboxes.get_mut(&recipient)
        {
            mailbox.settle(of, open.precedence());
        }
        // A deadline that can close nothing any more is none, though the notice may wait for long.
        if open.all_decided()
            && let Some(respond_at) = open.respond_at()
        {
            self.deadlines.remove(respond_at, of, Deadline::Respond);
        }
        if open.is_closed() {
            self.deadlines.remove(open.expires_at(), of, Deadline::Expire);
            self.open.remove(of);
        }
        moved
    }
}

/// Notices accepted one after another, at one precedence and for the same recipients.
struct Together {
    seqs: Range<u64>,
    precedence: Precedence,
    set: Arc<RecipientSet>,
}

impl Together {
    /// Whether the notice accepted just after these is of their kind.
    fn takes(&self, next: &Self) -> bool {
        self.precedence == next.precedence && Arc::ptr_eq(&self.set, &next.set)
    }
}

/// When a decision is due: a class counted from consignment. None: none is asked for.
pub(crate) fn respond_at(consigned_at: Micros, respond_by: RespondBy) -> Option<Micros> {
    let hours = match respond_by {
        RespondBy::Unspecified | RespondBy::None => return None,
        RespondBy::OneHour => 1,
        RespondBy::EightHours => 8,
        RespondBy::ThreeDays => 72,
        RespondBy::ThirtyDays => 720,
    };
    Some(consigned_at.plus(hours * Micros::HOUR))
}

/// Place of a precedence among mailbox lanes, urgent first.
pub(crate) fn lane(precedence: Precedence) -> usize {
    match precedence {
        Precedence::Flash => 0,
        Precedence::Immediate => 1,
        Precedence::Priority => 2,
        Precedence::Routine | Precedence::Unspecified => 3,
    }
}
