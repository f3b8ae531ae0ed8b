//! The catalogue of checks: what each looks for, and what it means if nobody does anything.

use std::fmt;

/// Whether somebody has to act.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// It will stop something or does already.
    Warning,
    /// It may be meant that way.
    Note,
}

macro_rules! checks {
    ($($name:ident $code:literal $word:literal $level:ident $meaning:literal)*) => {
        /// One thing that `lint` looks for.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Check {
            $(#[doc = $meaning] $name,)*
        }

        impl Check {
            /// All of them, by code.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// Its code, which never changes.
            pub fn code(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }

            /// Its name.
            pub fn word(self) -> &'static str {
                match self { $(Self::$name => $word,)* }
            }

            /// Whether somebody has to act.
            pub fn level(self) -> Level {
                match self { $(Self::$name => Level::$level,)* }
            }

            /// What it means.
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$name => $meaning,)* }
            }
        }
    };
}

checks! {
    HeadOverdue "N01" "head-overdue" Warning "The head is past its renew_by. Nodes raise an alarm; traffic goes on."
    HeadRenewalDue "N02" "head-renewal-due" Warning "The head's renew_by is less than 7 days away."
    ThresholdOfOne "N03" "threshold-of-one" Warning "One authority key signs alone."
    NoSpareKey "N04" "no-spare-key" Note "Every authority key must sign, so none may be lost."
    NodeWithoutPartners "N05" "node-without-partners" Note "No partner has its home at this node."
    HomeWithoutAddress "N06" "home-without-address" Warning "Partners have their home at a node for which no address is listed."
    CertificateUnreadable "N07" "certificate-unreadable" Warning "A TLS authority is no certificate, or not one that may issue: whoever it vouches for is shut out."
    CertificateEnding "N08" "certificate-ending" Warning "A TLS authority's certificate ends within 30 days or has ended, and whoever it vouches for is then shut out."
    NobodyMaySend "N09" "nobody-may-send-to-it" Warning "No agreement in force lets any active partner send anything to this one."
    MaySendNothing "N10" "may-send-nothing" Note "No agreement in force lets this partner send anything to anybody."
    NoNoticeKey "N11" "no-notice-key" Warning "An active partner that may send has no notice key in force: the node refuses what it signs."
    NoAcknowledgementKey "N12" "no-acknowledgement-key" Warning "An active partner has no acknowledgement key in force: it cannot sign for anything."
    KeyEnding "N13" "key-ending" Warning "A partner's last key for a use ends within 30 days and no other takes over."
    GroupEmpty "N14" "group-empty" Warning "A group has no members."
    GroupUnused "N15" "group-unused" Note "No agreement names this group: it serves as an address only."
    AgreementLapsed "N16" "agreement-lapsed" Warning "An agreement has lapsed. Nothing new can be sent under it; what was accepted before and still waits is delivered."
    AgreementLapsing "N17" "agreement-lapsing" Warning "An agreement lapses within 30 days."
    AgreementIdle "N18" "agreement-idle" Warning "An agreement lets nobody send to anybody, because its groups are empty or both sides are one partner."
    RecordPassedOver "N19" "record-passed-over" Warning "A record takes a newer program to read. What it would allow is not allowed here."
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.code(), self.word())
    }
}
