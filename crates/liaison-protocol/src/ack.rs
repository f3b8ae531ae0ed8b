//! The recipient's signed word for many notices: one signature over the salted root of its items.

use bytes::Bytes;
use prost::Message as _;

use crate::envelope::{Envelope, Expect, Proven};
use crate::id::{Hash, LeafIndex, Micros, NetworkId, NoticeId, Origin, PartnerId, SystemId};
use crate::limits::{AHEAD_MAX_US, ITEMS_MAX, REASON_BYTES_MAX};
use crate::manifest::{Nth, known, name, time, words};
use crate::proto::{self, Verdict};
use crate::reason::{Reason, Refusal};
use crate::tlog::entry::Salt;
use crate::tlog::items::{self, ItemTree};
use crate::wire::{self, Kind, Shape, one};

/// The shape of an acknowledgement.
pub static ACKNOWLEDGEMENT: Shape = Shape {
    name: "Acknowledgement",
    fields: &[
        one(1, "network", Kind::Bytes),
        one(2, "log_origin", Kind::Text),
        one(3, "recipient", Kind::Text),
        one(4, "system", Kind::Text),
        one(5, "count", Kind::Varint),
        one(6, "root", Kind::Bytes),
        one(7, "signed_at_us", Kind::Varint),
    ],
};

/// What a recipient signs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acknowledgement {
    /// The network it was signed in.
    pub network: NetworkId,
    /// The log whose leaf indexes the items name.
    pub log_origin: Origin,
    /// Who signed.
    pub recipient: PartnerId,
    /// Its system.
    pub system: SystemId,
    /// Number of items.
    pub count: u32,
    /// Root over the items.
    pub root: Hash,
    /// When it was signed, by the recipient's clock.
    pub signed_at: Micros,
}

/// One notice acknowledged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Drawn by the recipient for this item alone.
    pub salt: Salt,
    /// The leaf under which the log accepted the notice.
    pub leaf: LeafIndex,
    /// The notice.
    pub notice: NoticeId,
    /// What is said of it.
    pub verdict: Verdict,
    /// Why it was refused; otherwise empty.
    pub reason: String,
}

impl Item {
    /// Reads an item strictly.
    pub fn read(item: &proto::AcknowledgedItem, nth: usize) -> Result<Self, Refusal> {
        let path = |field| Nth { of: "items", nth, field };
        let verdict = known(item.verdict(), path("verdict"))?;
        if (verdict == Verdict::Refused) == item.reason.is_empty() {
            return Err(Refusal::field(path("reason"), "goes with REFUSED and with REFUSED only"));
        }
        words(&item.reason, path("reason"), REASON_BYTES_MAX)?;
        Ok(Self {
            salt: Salt::from_slice(&item.salt).ok_or_else(|| Refusal::field(path("salt"), "not 32 bytes"))?,
            leaf: LeafIndex(item.leaf_index),
            notice: NoticeId::from_slice(&item.notice_id)
                .ok_or_else(|| Refusal::field(path("notice_id"), "not 32 bytes"))?,
            verdict,
            reason: item.reason.clone(),
        })
    }

    /// As on the wire.
    pub fn to_proto(&self) -> proto::AcknowledgedItem {
        proto::AcknowledgedItem {
            salt: self.salt.to_bytes(),
            leaf_index: self.leaf.0,
            notice_id: self.notice.to_bytes(),
            verdict: self.verdict.into(),
            reason: self.reason.clone(),
        }
    }

    /// Its leaf data in the items tree.
    pub fn leaf_data(&self) -> Hash {
        items::acknowledged(&self.salt, self.leaf, &self.notice, self.verdict, &self.reason)
    }
}

/// The tree over items in order.
pub fn tree(items: &[Item]) -> ItemTree {
    ItemTree::over(items.iter().map(Item::leaf_data))
}

impl Acknowledgement {
    /// Reads what was signed.
    pub fn parse(payload: Bytes) -> Result<Self, Refusal> {
        let signed: proto::Acknowledgement = wire::decode(payload, &ACKNOWLEDGEMENT)?;
        if !(1..=ITEMS_MAX as u32).contains(&signed.count) {
            return Err(Refusal::field("count", "expected 1 to 4096"));
        }
        Ok(Self {
            network: NetworkId::from_slice(&signed.network)
                .ok_or_else(|| Refusal::field("network", "not 32 bytes"))?,
            log_origin: name(&signed.log_origin, "log_origin")?,
            recipient: name(&signed.recipient, "recipient")?,
            system: name(&signed.system, "system")?,
            count: signed.count,
            root: Hash::from_slice(&signed.root).ok_or_else(|| Refusal::field("root", "not 32 bytes"))?,
            signed_at: time(signed.signed_at_us, "signed_at_us")?,
        })
    }

    /// Encodes what is to be signed; the network comes first.
    pub fn encode(&self) -> Bytes {
        proto::Acknowledgement {
            network: self.network.to_bytes(),
            log_origin: self.log_origin.to_string(),
            recipient: self.recipient.to_string(),
            system: self.system.to_string(),
            count: self.count,
            root: self.root.to_bytes(),
            signed_at_us: self.signed_at.0,
        }
        .encode_to_vec()
        .into()
    }

    /// Whether its time can be true where it is `now`: an offline site may be late by weeks, and nobody is early.
    pub fn in_time(&self, now: Micros) -> Result<(), Refusal> {
        let ahead = self.signed_at.since(now);
        if ahead <= AHEAD_MAX_US {
            return Ok(());
        }
        let text = format!("signed_at_us: {} s ahead of the node's clock, at most 300", ahead / Micros::SECOND);
        Err(Refusal::new(Reason::FutureDated, text).with("skew_us", ahead))
    }
}

/// An acknowledgement that its recipient's key signed, with the items it was signed over. Only `verify` makes one.
#[derive(Clone, Debug)]
pub struct VerifiedAcknowledgement {
    proven: Proven,
    signed: Acknowledgement,
    items: Vec<Item>,
    leaf_data: Vec<Hash>,
}

impl VerifiedAcknowledgement {
    /// Believes an envelope and its items. `expect` must be for acknowledgements.
    pub fn verify(
        envelope: Bytes,
        items: &[proto::AcknowledgedItem],
        expect: &Expect<'_>,
        now: Micros,
    ) -> Result<Self, Refusal> {
        let proven = Envelope::parse(envelope)?.verify(expect, now)?;
        let signed = Acknowledgement::parse(proven.payload().clone())?;
        if items.len() != signed.count as usize {
            return Err(Refusal::new(
                Reason::PartMismatch,
                format!("items: {}, the acknowledgement counts {}", items.len(), signed.count),
            ));
        }
        let items =
            items.iter().enumerate().map(|(nth, item)| Item::read(item, nth)).collect::<Result<Vec<_>, _>>()?;
        let leaf_data: Vec<_> = items.iter().map(Item::leaf_data).collect();
        let found = ItemTree::over(leaf_data.iter().copied()).root();
        if found != signed.root {
            return Err(Refusal::new(
                Reason::PartMismatch,
                format!("items: expected root {}, found {}", signed.root.to_hex(), found.to_hex()),
            ));
        }
        Ok(Self { proven, signed, items, leaf_data })
    }

    /// The envelope, exactly as it came.
    pub fn envelope(&self) -> &Bytes {
        self.proven.envelope()
    }

    /// What was signed.
    pub fn signed(&self) -> &Acknowledgement {
        &self.signed
    }

    /// The items, in order.
    pub fn items(&self) -> &[Item] {
        &self.items
    }

    /// The items' leaf data, in order.
    pub fn leaf_data(&self) -> &[Hash] {
        &self.leaf_data
    }
}
