//! What an import would send: one content and one reference for each notice, the same whenever the same files are read.

use liaison_protocol::id::{Hash, NoticeId, Reference};
use liaison_protocol::manifest::Relation;
use liaison_protocol::proto::{self, Kind, RelationType};

use super::edition::{Edition, is_summary};
use super::facts::Facts;
use super::ledger::{Ledger, Sent};
use super::subject;
use super::un_list::UnList;

/// One notice that an import would send.
#[derive(Clone, Debug, PartialEq)]
pub struct Planned {
    /// The notice's reference: 1 to 64 of `A-Z a-z 0-9 . _ / -`, such as `UN/QDi.001/2026-05-08`.
    pub reference: String,
    /// Which notice.
    pub kind: Kind,
    /// The earlier notice that it amends or cancels.
    pub relation: Option<Relation>,
    /// What its content part says.
    pub content: proto::Content,
    /// One line for people.
    pub subject: String,
}

/// Plans a notice for every entry of the list, in the list's order.
///
/// A reference is made of the entry's own and of the day the list was made, so a second import of the same file names the same
/// notices, and the node answers with the first receipts instead of sending twice.
pub fn plan(list: &UnList) -> Vec<Planned> {
    let edition = Edition::from(list);
    let planned = |subject: &super::Subject| {
        Planned::about(edition.stem(&subject.key), subject.kind, None, subject.content.clone())
    };
    edition.subjects.iter().map(planned).collect()
}

/// A ledger as an import of this edition would leave it, under made-up names of notices: for looking, not for sending.
pub fn assumed(edition: &Edition) -> Ledger {
    let mut ledger = Ledger::default();
    for subject in &edition.subjects {
        let stem = edition.stem(&subject.key);
        let notice = NoticeId(Hash::of(&[stem.as_bytes()]));
        if let Ok(reference) = stem.parse() {
            ledger.record(&subject.key, Sent::of(reference, notice, None, &subject.content));
        }
    }
    ledger.complete(edition.generated.as_deref());
    ledger
}

impl Planned {
    pub(super) fn about(
        reference: String,
        kind: Kind,
        relation: Option<Relation>,
        content: proto::Content,
    ) -> Self {
        Self { subject: subject(&content), reference, kind, relation, content }
    }

    /// What the ledger keeps of it once a node has taken it under this name.
    pub fn sent(&self, reference: Reference, notice: NoticeId) -> Sent {
        Sent::of(reference, notice, self.relation.as_ref(), &self.content)
    }
}

impl Sent {
    /// What a ledger keeps of a notice.
    pub fn of(
        reference: Reference,
        notice: NoticeId,
        relation: Option<&Relation>,
        content: &proto::Content,
    ) -> Self {
        Self {
            reference,
            notice,
            digests: Facts::of(content).digests(),
            summary: is_summary(content),
            in_force: relation.is_none_or(|relation| relation.kind != RelationType::Cancels),
        }
    }
}
