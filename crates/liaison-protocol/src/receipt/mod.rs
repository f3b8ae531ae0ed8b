//! A receipt: one statement's opening with its proof, and everything needed to believe it offline with a trust file alone.
//! In a file it is a C2SP tlog-proof whose `extra` line is a canonical `Evidence`.

mod consigned;
mod verify;

pub use consigned::{Consigned, Consignments, NotProven};
pub use verify::{Finding, Outcome, Party, Report, Shown, ShownItem, ShownNotice, Step, Time, verify};

use bytes::Bytes;
use prost::Message as _;

use crate::envelope::Envelope;
use crate::id::{Hash, LeafIndex, Micros};
use crate::limits::{RECEIPT_ITEMS_MAX, RECEIPT_RECORDS_MAX};
use crate::proto;
use crate::reason::Refusal;
use crate::tlog::checkpoint::{BadNote, SignedNote};
use crate::tlog::entry::{Opening, Salt};
use crate::tlog::proof_file::ProofFile;
use crate::wire::{self, Kind, Shape, choice, many, one};

/// Hashes of one path: a tree of 2^64 leaves.
const PATH_MAX: usize = 64;
/// The form of `Evidence` that this program writes.
pub const EVIDENCE_VERSION: u32 = 1;

static RECIPIENT_ITEM: Shape =
    Shape { name: "RecipientItem", fields: &[one(1, "salt", Kind::Bytes), one(2, "number", Kind::Varint)] };
/// The shape of an acknowledged item.
pub static ACKNOWLEDGED_ITEM: Shape = Shape {
    name: "AcknowledgedItem",
    fields: &[
        one(1, "salt", Kind::Bytes),
        one(2, "leaf_index", Kind::Varint),
        one(3, "notice_id", Kind::Bytes),
        one(4, "verdict", Kind::Varint),
        one(5, "reason", Kind::Text),
    ],
};
static EXPIRED_ITEM: Shape = Shape {
    name: "ExpiredItem",
    fields: &[
        one(1, "salt", Kind::Bytes),
        one(2, "leaf_index", Kind::Varint),
        one(3, "recipient", Kind::Varint),
        one(4, "outcome", Kind::Varint),
        one(5, "notice_id", Kind::Bytes),
    ],
};
static ITEM_PROOF: Shape = Shape {
    name: "ItemProof",
    fields: &[
        one(1, "index", Kind::Varint),
        many(2, "path", Kind::Bytes, PATH_MAX),
        choice(3, "recipient", Kind::Message(&RECIPIENT_ITEM)),
        choice(4, "acknowledged", Kind::Message(&ACKNOWLEDGED_ITEM)),
        choice(5, "expired", Kind::Message(&EXPIRED_ITEM)),
    ],
};
static RECORD_PROOF: Shape = Shape {
    name: "RecordProof",
    fields: &[
        one(1, "index", Kind::Varint),
        one(2, "record", Kind::Bytes),
        one(3, "salt", Kind::Bytes),
        many(4, "path", Kind::Bytes, PATH_MAX),
    ],
};
/// The shape of the evidence in a receipt file.
pub static EVIDENCE: Shape = Shape {
    name: "Evidence",
    fields: &[
        one(1, "version", Kind::Varint),
        one(2, "statement", Kind::Bytes),
        one(3, "salt", Kind::Bytes),
        many(4, "items", Kind::Message(&ITEM_PROOF), RECEIPT_ITEMS_MAX),
        one(5, "notice", Kind::Bytes),
        one(6, "directory_head", Kind::Bytes),
        many(7, "records", Kind::Message(&RECORD_PROOF), RECEIPT_RECORDS_MAX),
    ],
};

/// One statement's opening and where its leaf lies under a checkpoint.
#[derive(Clone, Debug, PartialEq)]
pub struct Receipt {
    /// Place in the log.
    pub leaf: LeafIndex,
    /// Statement and salt.
    pub opening: Opening,
    /// RFC 6962 inclusion path.
    pub path: Vec<Hash>,
    /// Items of the statement that its holder may see.
    pub items: Vec<proto::ItemProof>,
    /// The signed note.
    pub checkpoint: Bytes,
}

/// What a receipt file carries beside the receipt itself.
#[derive(Clone, Debug, Default)]
pub struct Support {
    /// The notice's envelope, for a receipt of acceptance.
    pub notice: Option<Bytes>,
    /// The directory head that the statement names.
    pub directory_head: Bytes,
    /// The records needed.
    pub records: Vec<proto::RecordProof>,
}

impl Receipt {
    /// Cuts the nth receipt out of those under one checkpoint.
    pub fn cut(receipts: &proto::Receipts, nth: usize) -> Option<Self> {
        let receipt = receipts.receipts.get(nth)?;
        Some(Self {
            leaf: LeafIndex(receipt.leaf_index),
            opening: Opening { statement: receipt.statement.clone(), salt: Salt::from_slice(&receipt.salt)? },
            path: path_of(receipt, &receipts.hashes)?,
            items: items_of(receipt, &receipts.items)?,
            checkpoint: receipts.checkpoint.clone(),
        })
    }

    /// Writes the receipt file.
    pub fn to_file(&self, support: &Support) -> Result<String, CannotWrite> {
        let notice = support.notice.as_ref().map(|notice| canonical_envelope(notice, without_hints)).transpose()?;
        let evidence = proto::Evidence {
            version: EVIDENCE_VERSION,
            statement: self.opening.statement.clone(),
            salt: self.opening.salt.to_bytes(),
            items: self.items.clone(),
            notice: notice.unwrap_or_default(),
            directory_head: canonical_envelope(&support.directory_head, |_| {})?,
            records: support.records.clone(),
        };
        let file = ProofFile {
            extra: evidence.encode_to_vec(),
            index: self.leaf.0,
            path: self.path.clone(),
            checkpoint: SignedNote::parse(&self.checkpoint)?,
        };
        Ok(file.to_string())
    }
}

/// A receipt's path, looked up in the pool.
fn path_of(receipt: &proto::Receipt, pool: &[u8]) -> Option<Vec<Hash>> {
    let (pool, _) = pool.as_chunks::<32>();
    let pooled = |place: &u32| pool.get(usize::try_from(*place).ok()?).copied().map(Hash);
    receipt.path.iter().map(pooled).collect()
}

/// A receipt's items: its own, and those that it shares.
fn items_of(receipt: &proto::Receipt, shared: &[proto::ItemProof]) -> Option<Vec<proto::ItemProof>> {
    let at = |place: &u32| shared.get(usize::try_from(*place).ok()?).cloned().map(Some);
    let own = receipt.items.iter().cloned().map(Some);
    own.chain(receipt.shared_items.iter().map(|place| at(place).flatten())).collect()
}

/// Why a receipt file cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum CannotWrite {
    /// The node sent something that is no envelope.
    #[error(transparent)]
    Envelope(#[from] Refusal),
    /// The node sent something that is no checkpoint.
    #[error(transparent)]
    Checkpoint(#[from] BadNote),
}

/// Payload, type and signatures, to be written in the one form of their container, so that every byte of a receipt file counts.
/// What was signed stays as it is.
fn canonical_envelope(envelope: &Bytes, tidy: impl FnOnce(&mut proto::Envelope)) -> Result<Bytes, Refusal> {
    Envelope::parse(envelope.clone())?;
    let mut message: proto::Envelope = wire::decode(envelope.clone(), &crate::envelope::ENVELOPE)?;
    tidy(&mut message);
    Ok(message.encode_to_vec().into())
}

/// A key id is not signed and decides nothing, so a node takes a notice whatever it says. In a receipt a false one would let the
/// originator spoil what everyone else holds.
fn without_hints(envelope: &mut proto::Envelope) {
    envelope.signatures.iter_mut().for_each(|signature| signature.keyid.clear());
}

/// Until when content is kept: a class counted from acceptance.
pub fn retain_until(accepted_at: Micros, retention: proto::Retention) -> Micros {
    let days = match retention {
        proto::Retention::Unspecified => 0,
        proto::Retention::ThirtyDays => 30,
        proto::Retention::OneYear => 366,
        proto::Retention::FiveYears => 5 * 366,
        proto::Retention::TenYears => 10 * 366,
    };
    accepted_at.plus(days * Micros::DAY)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::envelope::{DIRECTORY_HEAD_TYPE, MANIFEST_TYPE, sign};
    use crate::id::Origin;
    use crate::signer::Ed25519Signer;
    use crate::tlog::checkpoint::{Checkpoint, LogKey};

    #[test]
    fn an_originator_cannot_spoil_a_receipt_by_a_wrong_key_id() {
        let signer = Ed25519Signer::from_seed(&[7; 32]);
        let envelope = |payload_type| sign(payload_type, Bytes::from_static(b"payload"), &signer).unwrap();
        let mut lying = proto::Envelope::decode(envelope(MANIFEST_TYPE)).unwrap();
        lying.signatures[0].keyid = "another's".into();
        let origin: Origin = "hub-1.example/log".parse().unwrap();
        let key = LogKey::new(&origin, std::sync::Arc::new(Ed25519Signer::from_seed(&[8; 32]))).unwrap();
        let checkpoint = Checkpoint { origin, size: 1, root: Hash([0; 32]) }.sign(&key).unwrap();
        let receipt = Receipt {
            leaf: LeafIndex(0),
            opening: Opening { statement: Bytes::new(), salt: Salt([0; 32]) },
            path: Vec::new(),
            items: Vec::new(),
            checkpoint,
        };
        let support = Support {
            notice: Some(lying.encode_to_vec().into()),
            directory_head: envelope(DIRECTORY_HEAD_TYPE),
            records: Vec::new(),
        };
        let file = ProofFile::parse(&receipt.to_file(&support).unwrap()).unwrap();
        let evidence = proto::Evidence::decode(file.extra.as_slice()).unwrap();
        let written = proto::Envelope::decode(evidence.notice).unwrap();
        assert_eq!(written.signatures[0].keyid, "");
        assert_eq!(written.signatures[0].sig, lying.signatures[0].sig);
    }
}
