//! A notice that is still open for someone. There can be millions of these, so what nothing has happened to yet is small.

mod deadlines;
mod progress;
mod shelf;

pub(crate) use deadlines::Deadline;
pub(super) use deadlines::Deadlines;
pub(super) use shelf::Shelf;

use std::sync::Arc;

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use liaison_protocol::id::{Micros, NoticeId, PartnerNumber};
use liaison_protocol::proto::Precedence;
use liaison_protocol::statement::Accepted;
use liaison_protocol::tlog::moved::Moved;

use self::progress::{Mark, Progress};
use super::base::{self, BadBase};
use super::delivery::Happening;
use super::respond_at;
use crate::policy::RecipientSet;

/// What is known of an open notice; whether a decision was yes or no stands in the log alone.
#[derive(Clone, Debug, PartialEq)]
pub struct Open {
    notice: NoticeId,
    expires_at: Micros,
    /// Not before it expires: no decision is due.
    respond_at: Micros,
    recipients: Arc<RecipientSet>,
    /// None: nothing has happened yet.
    progress: Option<Box<Progress>>,
    originator: PartnerNumber,
    precedence: Precedence,
}

impl Open {
    pub(super) fn new(accepted: &Accepted, at: Micros, recipients: Arc<RecipientSet>) -> Self {
        Self {
            notice: accepted.notice,
            expires_at: accepted.expires_at,
            respond_at: respond_at(at, accepted.respond_by).unwrap_or(accepted.expires_at),
            recipients,
            progress: None,
            originator: accepted.originator,
            precedence: accepted.precedence,
        }
    }

    /// As it lies in a base; the set is named by its place among the base's.
    pub(super) fn write(&self, set: u32, bytes: &mut BytesMut) {
        bytes.put_slice(&self.notice.0.0);
        bytes.put_u32(self.originator.0);
        bytes.put_u8(self.precedence as u8);
        bytes.put_i64(self.expires_at.0);
        bytes.put_i64(self.respond_at.0);
        bytes.put_u32(set);
        bytes.put_u8(u8::from(self.progress.is_some()));
        if let Some(progress) = &self.progress {
            progress.write(bytes);
        }
    }

    /// As [`Open::write`] wrote it.
    pub(super) fn read(sets: &[Arc<RecipientSet>], bytes: &mut Bytes) -> Result<Self, BadBase> {
        let notice = base::notice_of(bytes)?;
        let originator = PartnerNumber(base::u32_of(bytes)?);
        let precedence = base::precedence_of(bytes)?;
        let (expires_at, respond_at) = (base::micros_of(bytes)?, base::micros_of(bytes)?);
        let set = usize::try_from(base::u32_of(bytes)?).map_err(|_| BadBase::Unreadable)?;
        let recipients = sets.get(set).cloned().ok_or(BadBase::Unreadable)?;
        let progress = match bytes.try_get_u8()? {
            0 => None,
            1 => Some(Box::new(Progress::read(recipients.members(), bytes)?)),
            _ => return Err(BadBase::Unreadable),
        };
        Ok(Self { notice, expires_at, respond_at, recipients, progress, originator, precedence })
    }

    /// Its name.
    pub fn notice(&self) -> NoticeId {
        self.notice
    }

    /// Who sent it.
    pub fn originator(&self) -> PartnerNumber {
        self.originator
    }

    /// How urgent it is.
    pub fn precedence(&self) -> Precedence {
        self.precedence
    }

    /// Not delivered after this.
    pub fn expires_at(&self) -> Micros {
        self.expires_at
    }

    /// When a decision is due; None where none is, or not before it expires.
    pub fn respond_at(&self) -> Option<Micros> {
        (self.respond_at < self.expires_at).then_some(self.respond_at)
    }

    /// Whom it is for.
    pub fn recipients(&self) -> &Arc<RecipientSet> {
        &self.recipients
    }

    /// What a happening would move for a partner; nothing for one who is no recipient.
    pub fn moves(&self, recipient: PartnerNumber, happening: Happening) -> Moved {
        let number = recipient.0;
        if !self.recipients.members().contains(number) {
            return Moved::NOTHING;
        }
        let (waits, undecided) = (self.waits(number), self.undecided_by(number));
        match happening {
            Happening::Received | Happening::NotDelivered => Moved { delivery: waits, decision: false },
            Happening::Accepted | Happening::Refused => Moved { delivery: waits, decision: undecided },
            Happening::Unanswered => Moved { delivery: false, decision: undecided },
        }
    }

    pub(super) fn waits(&self, number: u32) -> bool {
        !self.has(Mark::HandedOver, number) && !self.has(Mark::Undelivered, number)
    }

    fn undecided_by(&self, number: u32) -> bool {
        !self.has(Mark::Decided, number) && !self.has(Mark::Undelivered, number)
    }

    fn has(&self, mark: Mark, number: u32) -> bool {
        self.progress.as_ref().is_some_and(|progress| progress.has(self.recipients.members(), mark, number))
    }

    fn set(&mut self, mark: Mark, number: u32) {
        let members = self.recipients.members();
        let progress = self.progress.get_or_insert_with(|| Box::new(Progress::new(members)));
        progress.set(members, mark, number);
    }

    /// Recipients it still waits for.
    pub fn waiting(&self) -> impl Iterator<Item = PartnerNumber> + '_ {
        self.recipients.members().iter().filter(|number| self.waits(*number)).map(PartnerNumber)
    }

    /// Recipients whose decision is open.
    pub fn undecided(&self) -> impl Iterator<Item = PartnerNumber> + '_ {
        self.recipients.members().iter().filter(|number| self.undecided_by(*number)).map(PartnerNumber)
    }

    /// Records what moves; says whether it no longer waits for this recipient because of it.
    pub(super) fn settle(&mut self, recipient: PartnerNumber, happening: Happening) -> bool {
        let number = recipient.0;
        let waited = self.waits(number);
        match happening {
            Happening::Received => self.set(Mark::HandedOver, number),
            Happening::Accepted | Happening::Refused => {
                self.set(Mark::HandedOver, number);
                self.set(Mark::Decided, number);
            }
            Happening::NotDelivered => self.set(Mark::Undelivered, number),
            Happening::Unanswered => self.set(Mark::Decided, number),
        }
        waited && !self.waits(number)
    }

    /// Nobody's decision is open.
    pub(super) fn all_decided(&self) -> bool {
        let decided = |progress: &Progress| progress.count_either(Mark::Decided, Mark::Undelivered);
        self.progress.as_deref().map_or(0, decided) == self.recipients.members().len()
    }

    /// Nothing about it is open for anyone.
    pub(super) fn is_closed(&self) -> bool {
        let settled = |progress: &Progress| progress.count(Mark::HandedOver) + progress.count(Mark::Undelivered);
        self.progress.as_deref().map_or(0, settled) == self.recipients.members().len() && self.all_decided()
    }
}
