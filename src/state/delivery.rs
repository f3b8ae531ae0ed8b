//! The axes of a notice and recipient, each with at most one terminal value, and the one table of what moves them.

use liaison_protocol::proto::{ExpiredOutcome, Verdict};
use liaison_protocol::tlog::moved::Moved;

/// Whether the recipient's system has signed for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// It lies in the mailbox.
    Waiting,
    /// Signed for.
    HandedOver,
    /// Expired unsigned.
    Undelivered,
}

/// What the recipient decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decided {
    /// Nothing yet.
    Open,
    /// Accepted.
    Accepted,
    /// Refused, with its reason.
    Refused,
    /// No decision in time.
    Unanswered,
}

/// What a statement says of one recipient of one notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Happening {
    /// Its system has it.
    Received,
    /// It has it and accepts.
    Accepted,
    /// It has it and refuses.
    Refused,
    /// It expired unsigned.
    NotDelivered,
    /// The time to decide is over.
    Unanswered,
}

impl From<Verdict> for Happening {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Unspecified | Verdict::Received => Self::Received,
            Verdict::Accepted => Self::Accepted,
            Verdict::Refused => Self::Refused,
        }
    }
}

impl From<ExpiredOutcome> for Happening {
    fn from(outcome: ExpiredOutcome) -> Self {
        match outcome {
            ExpiredOutcome::Unanswered => Self::Unanswered,
            _ => Self::NotDelivered,
        }
    }
}

impl Happening {
    /// Which axes it leaves closed for good, whatever it moved.
    pub(super) fn closes(self) -> Moved {
        match self {
            Self::Received => Moved { delivery: true, decision: false },
            Self::Unanswered => Moved { delivery: false, decision: true },
            Self::Accepted | Self::Refused | Self::NotDelivered => Moved { delivery: true, decision: true },
        }
    }
}

impl Delivery {
    /// None: too late, or about something else; it changes nothing here.
    pub fn after(self, happening: Happening) -> Option<Self> {
        match (self, happening) {
            (Self::Waiting, Happening::Received | Happening::Accepted | Happening::Refused) => {
                Some(Self::HandedOver)
            }
            (Self::Waiting, Happening::NotDelivered) => Some(Self::Undelivered),
            _ => None,
        }
    }
}

impl Decided {
    /// None: too late, or about something else; it changes nothing here.
    pub fn after(self, happening: Happening) -> Option<Self> {
        match (self, happening) {
            (Self::Open, Happening::Accepted) => Some(Self::Accepted),
            (Self::Open, Happening::Refused) => Some(Self::Refused),
            (Self::Open, Happening::Unanswered) => Some(Self::Unanswered),
            _ => None,
        }
    }
}

/// Where one recipient stands on every axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Delivery.
    pub delivery: Delivery,
    /// Decision.
    pub decided: Decided,
}

impl Standing {
    /// Before anything happened.
    pub const CONSIGNED: Self = Self { delivery: Delivery::Waiting, decided: Decided::Open };

    /// None: it moves no axis.
    pub fn after(self, happening: Happening) -> Option<Self> {
        let (delivery, decided) = (self.delivery.after(happening), self.decided.after(happening));
        (delivery.is_some() || decided.is_some())
            .then(|| Self { delivery: delivery.unwrap_or(self.delivery), decided: decided.unwrap_or(self.decided) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_axis_moves_once_and_a_late_word_moves_nothing() {
        use Happening::*;
        let rows: &[(&[Happening], Delivery, Decided)] = &[
            (&[], Delivery::Waiting, Decided::Open),
            (&[Received], Delivery::HandedOver, Decided::Open),
            (&[Received, Accepted], Delivery::HandedOver, Decided::Accepted),
            (&[Accepted, Refused], Delivery::HandedOver, Decided::Accepted),
            (&[Refused, Accepted], Delivery::HandedOver, Decided::Refused),
            (&[Unanswered], Delivery::Waiting, Decided::Unanswered),
            (&[Unanswered, Accepted], Delivery::HandedOver, Decided::Unanswered),
            (&[NotDelivered], Delivery::Undelivered, Decided::Open),
            (&[Received, NotDelivered], Delivery::HandedOver, Decided::Open),
        ];
        for (happenings, delivery, decided) in rows {
            let standing = happenings
                .iter()
                .fold(Standing::CONSIGNED, |standing, happening| standing.after(*happening).unwrap_or(standing));
            assert_eq!(standing, Standing { delivery: *delivery, decided: *decided }, "{happenings:?}");
        }
    }
}
