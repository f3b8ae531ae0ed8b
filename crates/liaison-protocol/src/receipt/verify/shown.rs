//! What a receipt shows, for programs: the same that its sentences say.

use crate::id::{HeadVersion, LeafIndex, Micros, NetworkId, NoticeId, Origin, PartnerId, Reference};

/// What a receipt shows whose steps all hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// What happened, as statements are named.
    pub event: &'static str,
    /// The log that states it.
    pub log: Origin,
    /// Its place there.
    pub leaf: LeafIndex,
    /// The network.
    pub network: NetworkId,
    /// The version of the directory that was in force.
    pub directory_version: HeadVersion,
    /// The notice, where the receipt is about exactly one.
    pub notice: Option<ShownNotice>,
    /// Who is named, each once in each part that it has.
    pub parties: Vec<(Party, PartnerId)>,
    /// Moments by name, each by the clock of whoever set it: `issued_at` by the originator's, `signed_at` by the recipient's, all
    /// others by the node's.
    pub moments: Vec<(&'static str, Micros)>,
    /// The items shown of a statement about many.
    pub items: Vec<ShownItem>,
    /// Sentences of `proven` about what does not make the receipt fail, and whoever relies on it should know.
    pub warnings: Vec<String>,
}

/// A notice by its names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShownNotice {
    /// Its digest.
    pub id: NoticeId,
    /// Its place in the log.
    pub leaf: LeafIndex,
    /// Its originator's name for it, where the receipt carries the notice.
    pub reference: Option<Reference>,
}

/// The part that a partner has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Party {
    /// Signed the notice.
    Originator,
    /// The notice is for it, or it signed for one.
    Recipient,
}

impl Party {
    /// As programs read it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Originator => "originator",
            Self::Recipient => "recipient",
        }
    }
}

/// One item of a statement about many.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShownItem {
    /// Whose item it is.
    pub partner: PartnerId,
    /// What was said or came out, and of which notice; None where the item is a recipient.
    pub outcome: Option<(&'static str, ShownNotice)>,
    /// In a sentence.
    pub text: String,
}
