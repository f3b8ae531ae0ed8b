//! A notice that is still open for someone.

use std::sync::Arc;

use liaison_protocol::id::{Micros, NoticeId, PartnerNumber};
use liaison_protocol::proto::Precedence;
use liaison_protocol::statement::Accepted;
use liaison_protocol::tlog::moved::Moved;
use roaring::RoaringBitmap;

use super::delivery::Happening;
use super::respond_at;
use crate::policy::RecipientSet;

/// What is known of an open notice; whether a decision was yes or no stands in the log alone.
#[derive(Clone, Debug, PartialEq)]
pub struct Open {
    notice: NoticeId,
    originator: PartnerNumber,
    precedence: Precedence,
    expires_at: Micros,
    respond_at: Option<Micros>,
    recipients: Arc<RecipientSet>,
    handed_over: RoaringBitmap,
    undelivered: RoaringBitmap,
    decided: RoaringBitmap,
}

impl Open {
    pub(super) fn new(accepted: &Accepted, at: Micros, recipients: Arc<RecipientSet>) -> Self {
        Self {
            notice: accepted.notice,
            originator: accepted.originator,
            precedence: accepted.precedence,
            expires_at: accepted.expires_at,
            respond_at: respond_at(at, accepted.respond_by).filter(|at| *at < accepted.expires_at),
            recipients,
            handed_over: RoaringBitmap::new(),
            undelivered: RoaringBitmap::new(),
            decided: RoaringBitmap::new(),
        }
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
        self.respond_at
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
        !self.handed_over.contains(number) && !self.undelivered.contains(number)
    }

    fn undecided_by(&self, number: u32) -> bool {
        !self.decided.contains(number) && !self.undelivered.contains(number)
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
            Happening::Received => drop(self.handed_over.insert(number)),
            Happening::Accepted | Happening::Refused => {
                self.handed_over.insert(number);
                self.decided.insert(number);
            }
            Happening::NotDelivered => drop(self.undelivered.insert(number)),
            Happening::Unanswered => drop(self.decided.insert(number)),
        }
        waited && !self.waits(number)
    }

    /// Nobody's decision is open.
    pub(super) fn all_decided(&self) -> bool {
        self.decided.union_len(&self.undelivered) == self.recipients.members().len()
    }

    /// Nothing about it is open for anyone.
    pub(super) fn is_closed(&self) -> bool {
        let settled = self.handed_over.len() + self.undelivered.len();
        settled == self.recipients.members().len() && self.all_decided()
    }
}
