//! What a node says has happened. These bytes are what leaves commit to, so their reading is strict and their writing is final.

mod consignment;

pub use consignment::Consignment;

use bytes::Bytes;
use prost::Message as _;

use crate::directory::VerifiedHead;
use crate::id::{
    AgreementDigest, Hash, HeadDigest, HeadVersion, LeafIndex, Micros, NoticeId, Origin, PartnerNumber, Reference,
};
use crate::limits::{AGREEMENTS_MAX, ENVELOPE_BYTES_MAX, ITEMS_MAX, NOTE_BYTES_MAX, REASON_BYTES_MAX};
use crate::manifest::{HANDLING, Handling, RELATION, Relation, known, name, some_words};
use crate::proto;
use crate::reason::Refusal;
use crate::tlog::moved;
use crate::wire::{self, Kind, Shape, Unknown, choice, kept, many, one};

/// The statement format of this program, and the lowest that a reader must know for what it writes.
pub const STATEMENT_VERSION: u32 = 1;

static HEAD_IN_FORCE: Shape =
    Shape { name: "HeadInForce", fields: &[one(1, "version", Kind::Varint), one(2, "digest", Kind::Bytes)] };
static LOG_OPENED: Shape =
    Shape { name: "LogOpened", fields: &[one(1, "reason", Kind::Text), one(2, "before", Kind::Bytes)] };
static DIRECTORY_ADOPTED: Shape =
    Shape { name: "DirectoryAdopted", fields: &[one(1, "version", Kind::Varint), one(2, "digest", Kind::Bytes)] };
static ACCEPTED: Shape = Shape {
    name: "Accepted",
    fields: &[
        one(1, "notice_id", Kind::Bytes),
        one(2, "signature_digest", Kind::Bytes),
        one(3, "originator", Kind::Varint),
        one(4, "reference", Kind::Text),
        one(5, "kind", Kind::Varint),
        one(6, "handling", Kind::Message(&HANDLING)),
        one(7, "precedence", Kind::Varint),
        one(8, "expires_at_us", Kind::Varint),
        one(9, "respond_by", Kind::Varint),
        one(10, "retain_until_us", Kind::Varint),
        one(11, "relation", Kind::Message(&RELATION)),
        one(12, "recipients_root", Kind::Bytes),
        one(13, "recipient_count", Kind::Varint),
        one(14, "passed_over", Kind::Varint),
        many(15, "agreements", Kind::Bytes, AGREEMENTS_MAX),
    ],
};
static ACKNOWLEDGED: Shape = Shape {
    name: "Acknowledged",
    fields: &[
        one(1, "recipient", Kind::Varint),
        one(2, "envelope", Kind::Bytes),
        one(3, "root", Kind::Bytes),
        one(4, "count", Kind::Varint),
        one(5, "moved", Kind::Bytes),
    ],
};
static EXPIRED: Shape = Shape {
    name: "Expired",
    fields: &[one(1, "deadline_us", Kind::Varint), one(2, "root", Kind::Bytes), one(3, "count", Kind::Varint)],
};
static MAILBOX_STATED: Shape = Shape {
    name: "MailboxStated",
    fields: &[
        one(1, "partner", Kind::Varint),
        one(2, "log_origin", Kind::Text),
        one(3, "after", Kind::Varint),
        one(4, "through", Kind::Varint),
        one(5, "count", Kind::Varint),
        one(6, "root", Kind::Bytes),
        one(7, "before", Kind::Bytes),
    ],
};
static REBASED: Shape =
    Shape { name: "Rebased", fields: &[one(1, "through", Kind::Varint), one(2, "digest", Kind::Bytes)] };
/// The shape of a statement.
pub static STATEMENT: Shape = Shape {
    name: "Statement",
    fields: &[
        one(1, "version", Kind::Varint),
        one(2, "must_understand", Kind::Varint),
        one(3, "observed_at_us", Kind::Varint),
        one(4, "under", Kind::Message(&HEAD_IN_FORCE)),
        choice(10, "log_opened", Kind::Message(&LOG_OPENED)),
        choice(11, "directory_adopted", Kind::Message(&DIRECTORY_ADOPTED)),
        choice(12, "accepted", Kind::Message(&ACCEPTED)),
        choice(13, "acknowledged", Kind::Message(&ACKNOWLEDGED)),
        choice(14, "expired", Kind::Message(&EXPIRED)),
        choice(15, "mailbox_stated", Kind::Message(&MAILBOX_STATED)),
        choice(16, "rebased", Kind::Message(&REBASED)),
        kept(10, 63, Unknown::Stops),
    ],
};

/// A directory head, named by version and digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadName {
    /// From 1, by one.
    pub version: HeadVersion,
    /// SHA-256 of its pre-authentication encoding.
    pub digest: HeadDigest,
}

impl From<&VerifiedHead> for HeadName {
    fn from(head: &VerifiedHead) -> Self {
        Self { version: head.version(), digest: head.digest() }
    }
}

/// One statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// The node's wall clock, as read. Order is by index, never by this.
    pub observed_at: Micros,
    /// The directory head in force; None before the first.
    pub under: Option<HeadName>,
    /// What happened.
    pub event: Event,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// Statement 0 of every log.
    LogOpened {
        /// Why there is a new log.
        reason: String,
        /// The last checkpoint of the log before; empty for a node's first.
        before: Bytes,
    },
    /// From here on another head is in force.
    DirectoryAdopted(HeadName),
    /// A notice was taken, and consigned to each recipient whose home this is.
    Accepted(Accepted),
    /// A recipient's signed word for many.
    Acknowledged(Acknowledged),
    /// One bounded pass of the clock over many.
    Expired(Expired),
    /// Everything consigned to one partner in a span.
    MailboxStated(MailboxStated),
    /// What follows from everything before it, kept to start from.
    Rebased(Rebased),
}

/// A notice taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// Its name.
    pub notice: NoticeId,
    /// SHA-256 of the signature seen first.
    pub signature: Hash,
    /// Who signed it.
    pub originator: PartnerNumber,
    /// The originator's name for it.
    pub reference: Reference,
    /// Its kind.
    pub kind: proto::Kind,
    /// What recipients may do with it.
    pub handling: Handling,
    /// How urgent it is.
    pub precedence: proto::Precedence,
    /// Not delivered after this.
    pub expires_at: Micros,
    /// How soon a decision is expected.
    pub respond_by: proto::RespondBy,
    /// The content is kept until then.
    pub retain_until: Micros,
    /// The notice it is bound to.
    pub relation: Option<Relation>,
    /// Root over the recipients.
    pub recipients_root: Hash,
    /// How many there are.
    pub recipient_count: u32,
    /// Members of groups that no agreement covers.
    pub passed_over: u32,
    /// The agreements used, ascending.
    pub agreements: Vec<AgreementDigest>,
}

/// A recipient's signed word for many.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acknowledged {
    /// Who signed.
    pub recipient: PartnerNumber,
    /// The envelope, as it came.
    pub envelope: Bytes,
    /// Root over the items.
    pub root: Hash,
    /// How many there are.
    pub count: u32,
    /// What each of them moved, as [`moved`] packs it.
    pub moved: Bytes,
}

/// One pass of the clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expired {
    /// No item's deadline is later.
    pub deadline: Micros,
    /// Root over the items.
    pub root: Hash,
    /// How many there are.
    pub count: u32,
}

/// Everything consigned to one partner in a span.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailboxStated {
    /// Whose mailbox.
    pub partner: PartnerNumber,
    /// Which log.
    pub log: Origin,
    /// The span begins after this leaf; None: at the beginning.
    pub after: Option<LeafIndex>,
    /// And ends with this one.
    pub through: LeafIndex,
    /// Notices in it.
    pub count: u64,
    /// Root over their NoticeIds, in the log's order.
    pub root: Hash,
    /// The log's leaf hash of the statement before about this mailbox; None for the first.
    pub before: Option<Hash>,
}

/// What a node that starts may begin with instead of folding everything before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rebased {
    /// The statement just before this one.
    pub through: LeafIndex,
    /// SHA-256 over a salt and the bytes of what follows from the log so far.
    pub digest: Hash,
}

impl Statement {
    /// The bytes that a leaf commits to.
    pub fn encode(&self) -> Bytes {
        use proto::statement::Event as Wire;
        let event = match &self.event {
            Event::LogOpened { reason, before } => {
                Wire::LogOpened(proto::LogOpened { reason: reason.clone(), before: before.clone() })
            }
            Event::DirectoryAdopted(head) => Wire::DirectoryAdopted(proto::DirectoryAdopted {
                version: head.version.0,
                digest: head.digest.to_bytes(),
            }),
            Event::Accepted(accepted) => Wire::Accepted(accepted.to_proto()),
            Event::Acknowledged(acknowledged) => Wire::Acknowledged(proto::Acknowledged {
                recipient: acknowledged.recipient.0,
                envelope: acknowledged.envelope.clone(),
                root: acknowledged.root.to_bytes(),
                count: acknowledged.count,
                moved: acknowledged.moved.clone(),
            }),
            Event::Expired(expired) => Wire::Expired(proto::Expired {
                deadline_us: expired.deadline.0,
                root: expired.root.to_bytes(),
                count: expired.count,
            }),
            Event::MailboxStated(stated) => Wire::MailboxStated(proto::MailboxStated {
                partner: stated.partner.0,
                log_origin: stated.log.to_string(),
                after: stated.after.map(|leaf| leaf.0),
                through: stated.through.0,
                count: stated.count,
                root: stated.root.to_bytes(),
                before: stated.before.map(Hash::to_bytes).unwrap_or_default(),
            }),
            Event::Rebased(rebased) => {
                Wire::Rebased(proto::Rebased { through: rebased.through.0, digest: rebased.digest.to_bytes() })
            }
        };
        proto::Statement {
            version: STATEMENT_VERSION,
            must_understand: STATEMENT_VERSION,
            observed_at_us: self.observed_at.0,
            under: self
                .under
                .map(|head| proto::HeadInForce { version: head.version.0, digest: head.digest.to_bytes() }),
            event: Some(event),
        }
        .encode_to_vec()
        .into()
    }

    /// Reads a statement strictly. One that asks for more than this program knows is refused with the version it needs.
    pub fn decode(bytes: Bytes) -> Result<Self, Refusal> {
        use proto::statement::Event as Wire;
        let statement: proto::Statement = wire::decode(bytes, &STATEMENT)?;
        understood(statement.version, statement.must_understand)?;
        let event = match statement.event.ok_or_else(|| Refusal::field("statement.event", "absent or unknown"))? {
            Wire::LogOpened(opened) => {
                some_words(&opened.reason, "log_opened.reason", REASON_BYTES_MAX)?;
                bounded(&opened.before, "log_opened.before", NOTE_BYTES_MAX)?;
                Event::LogOpened { reason: opened.reason, before: opened.before }
            }
            Wire::DirectoryAdopted(adopted) => {
                Event::DirectoryAdopted(head_name(adopted.version, &adopted.digest, "directory_adopted")?)
            }
            Wire::Accepted(accepted) => Event::Accepted(Accepted::read(accepted)?),
            Wire::Acknowledged(acknowledged) => {
                bounded(&acknowledged.envelope, "acknowledged.envelope", ENVELOPE_BYTES_MAX)?;
                let count = count(acknowledged.count, "acknowledged.count")?;
                if !moved::fits(&acknowledged.moved, count) {
                    return Err(Refusal::field("acknowledged.moved", "expected two bits an item and no more"));
                }
                Event::Acknowledged(Acknowledged {
                    recipient: PartnerNumber(acknowledged.recipient),
                    root: hash(&acknowledged.root, "acknowledged.root")?,
                    count,
                    moved: acknowledged.moved,
                    envelope: acknowledged.envelope,
                })
            }
            Wire::Expired(expired) => Event::Expired(Expired {
                deadline: Micros(expired.deadline_us),
                root: hash(&expired.root, "expired.root")?,
                count: count(expired.count, "expired.count")?,
            }),
            Wire::MailboxStated(stated) => Event::MailboxStated(MailboxStated {
                partner: PartnerNumber(stated.partner),
                log: name(&stated.log_origin, "mailbox_stated.log_origin")?,
                after: stated.after.map(LeafIndex),
                through: LeafIndex(stated.through),
                count: stated.count,
                root: hash(&stated.root, "mailbox_stated.root")?,
                before: (!stated.before.is_empty())
                    .then(|| hash(&stated.before, "mailbox_stated.before"))
                    .transpose()?,
            }),
            Wire::Rebased(rebased) => Event::Rebased(Rebased {
                through: LeafIndex(rebased.through),
                digest: hash(&rebased.digest, "rebased.digest")?,
            }),
        };
        let under = statement.under.map(|head| head_name(head.version, &head.digest, "under")).transpose()?;
        Ok(Self { observed_at: Micros(statement.observed_at_us), under, event })
    }

    /// The ETSI EN 319 522 event, or ours where there is none, that this states for the party it is shown to.
    pub fn event_name(&self) -> &'static str {
        match self.event {
            Event::LogOpened { .. } => "LogOpened",
            Event::DirectoryAdopted(_) => "DirectoryAdopted",
            Event::Accepted(_) => "SubmissionAcceptance",
            Event::Acknowledged(_) => "ContentHandover",
            Event::Expired(_) => "ContentHandoverFailure",
            Event::MailboxStated(_) => "MailboxStated",
            Event::Rebased(_) => "Rebased",
        }
    }
}

impl Accepted {
    fn to_proto(&self) -> proto::Accepted {
        proto::Accepted {
            notice_id: self.notice.to_bytes(),
            signature_digest: self.signature.to_bytes(),
            originator: self.originator.0,
            reference: self.reference.to_string(),
            kind: self.kind.into(),
            handling: Some(self.handling.to_proto()),
            precedence: self.precedence.into(),
            expires_at_us: self.expires_at.0,
            respond_by: self.respond_by.into(),
            retain_until_us: self.retain_until.0,
            relation: self.relation.as_ref().map(Relation::to_proto),
            recipients_root: self.recipients_root.to_bytes(),
            recipient_count: self.recipient_count,
            passed_over: self.passed_over,
            agreements: self.agreements.iter().map(|digest| digest.to_bytes()).collect(),
        }
    }

    fn read(accepted: proto::Accepted) -> Result<Self, Refusal> {
        let kind = known(accepted.kind(), "accepted.kind")?;
        let precedence = known(accepted.precedence(), "accepted.precedence")?;
        let respond_by = known(accepted.respond_by(), "accepted.respond_by")?;
        let agreements = accepted
            .agreements
            .iter()
            .map(|digest| hash(digest, "accepted.agreements").map(AgreementDigest))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            notice: NoticeId(hash(&accepted.notice_id, "accepted.notice_id")?),
            signature: hash(&accepted.signature_digest, "accepted.signature_digest")?,
            originator: PartnerNumber(accepted.originator),
            reference: name(&accepted.reference, "accepted.reference")?,
            kind,
            handling: Handling::read(accepted.handling.unwrap_or_default())?,
            precedence,
            expires_at: Micros(accepted.expires_at_us),
            respond_by,
            retain_until: Micros(accepted.retain_until_us),
            relation: accepted.relation.map(|relation| Relation::read(&relation)).transpose()?,
            recipients_root: hash(&accepted.recipients_root, "accepted.recipients_root")?,
            recipient_count: accepted.recipient_count,
            passed_over: accepted.passed_over,
            agreements,
        })
    }
}

/// Whether a statement of these versions can be read.
fn understood(version: u32, must_understand: u32) -> Result<(), Refusal> {
    if version == 0 || must_understand == 0 {
        return Err(Refusal::field("statement.version", "absent"));
    }
    if must_understand > STATEMENT_VERSION {
        let problem =
            format_args!("needs statement version {must_understand}, this program knows {STATEMENT_VERSION}");
        return Err(Refusal::field("statement.must_understand", problem));
    }
    Ok(())
}

fn hash(bytes: &[u8], path: &str) -> Result<Hash, Refusal> {
    Hash::from_slice(bytes).ok_or_else(|| Refusal::field(path, "not 32 bytes"))
}

fn count(count: u32, path: &str) -> Result<u32, Refusal> {
    if (1..=ITEMS_MAX as u32).contains(&count) {
        Ok(count)
    } else {
        Err(Refusal::field(path, "expected 1 to 4096"))
    }
}

fn bounded(bytes: &Bytes, path: &str, max: usize) -> Result<(), Refusal> {
    if bytes.len() <= max { Ok(()) } else { Err(Refusal::field(path, format_args!("more than {max} bytes"))) }
}

fn head_name(version: u64, digest: &Bytes, path: &str) -> Result<HeadName, Refusal> {
    Ok(HeadName { version: HeadVersion(version), digest: HeadDigest(hash(digest, path)?) })
}
