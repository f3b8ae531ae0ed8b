//! What the fold needs and the parties must not all see. It lies beside the statement in this node's own store and goes with it.

use std::sync::Arc;

use bytes::Bytes;
use liaison_protocol::ack::Item;
use liaison_protocol::id::{Hash, LeafIndex, NoticeId, PartnerNumber};
use liaison_protocol::proto::{self, ExpiredOutcome, Verdict};
use liaison_protocol::tlog::entry::Salt;
use liaison_protocol::tlog::items;
use prost::Message as _;

use crate::policy::RecipientSet;

/// The detail of one statement, with its recipient set at hand.
#[derive(Clone, Debug, PartialEq)]
pub enum Detail {
    /// Nothing is needed.
    None,
    /// Of an acceptance: whom it reaches.
    Audience(Arc<RecipientSet>),
    /// Of an acknowledgement: all its items, in order.
    Acknowledged(Vec<AcknowledgedDetail>),
    /// Of an expiry: all its items, in order.
    Expired(Vec<ExpiredDetail>),
}

/// The detail as it lies in the store: a recipient set is named, and read on its own.
#[derive(Clone, Debug, PartialEq)]
pub enum StoredDetail {
    /// The recipient set with this root.
    Audience(Hash),
    /// Everything else holds itself.
    Whole(Detail),
}

/// One item of an acknowledgement.
#[derive(Clone, Debug, PartialEq)]
pub struct AcknowledgedDetail {
    /// The recipient's salt.
    pub salt: Salt,
    /// The leaf it speaks of, in the log now open.
    pub leaf: LeafIndex,
    /// The notice it speaks of.
    pub notice: NoticeId,
    /// What it says.
    pub verdict: Verdict,
    /// Why it was refused.
    pub reason: String,
    /// Whether it moved anything; one that did not is kept because it was signed with the others.
    pub effective: bool,
}

impl AcknowledgedDetail {
    /// As the recipient signed it.
    pub fn item(&self) -> Item {
        Item {
            salt: self.salt,
            leaf: self.leaf,
            notice: self.notice,
            verdict: self.verdict,
            reason: self.reason.clone(),
        }
    }
}

/// One item of an expiry.
#[derive(Clone, Debug, PartialEq)]
pub struct ExpiredDetail {
    /// Drawn by the node.
    pub salt: Salt,
    /// The leaf it speaks of, in the log now open.
    pub leaf: LeafIndex,
    /// Whose time ran out.
    pub recipient: PartnerNumber,
    /// How.
    pub outcome: ExpiredOutcome,
}

impl ExpiredDetail {
    /// Its leaf data in the items tree.
    pub fn leaf_data(&self) -> Hash {
        items::expired(&self.salt, self.leaf, self.recipient, self.outcome)
    }
}

/// A stored detail is not one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a stored detail cannot be read")]
pub struct BadDetail;

#[derive(Clone, PartialEq, prost::Message)]
struct Wire {
    #[prost(oneof = "Body", tags = "1, 2, 3")]
    body: Option<Body>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum Body {
    #[prost(bytes, tag = "1")]
    Audience(Vec<u8>),
    #[prost(message, tag = "2")]
    Acknowledged(Acknowledged),
    #[prost(message, tag = "3")]
    Expired(Expired),
}

#[derive(Clone, PartialEq, prost::Message)]
struct Acknowledged {
    #[prost(message, repeated, tag = "1")]
    items: Vec<proto::AcknowledgedItem>,
    #[prost(bool, repeated, tag = "2")]
    effective: Vec<bool>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Expired {
    #[prost(message, repeated, tag = "1")]
    items: Vec<proto::ExpiredItem>,
}

impl Detail {
    /// As it lies in the store.
    pub fn encode(&self) -> Bytes {
        let body = match self {
            Self::None => return Bytes::new(),
            Self::Audience(set) => Body::Audience(set.root().0.to_vec()),
            Self::Acknowledged(items) => Body::Acknowledged(Acknowledged {
                items: items.iter().map(|item| item.item().to_proto()).collect(),
                effective: items.iter().map(|item| item.effective).collect(),
            }),
            Self::Expired(items) => Body::Expired(Expired {
                items: items
                    .iter()
                    .map(|item| proto::ExpiredItem {
                        salt: item.salt.to_bytes(),
                        leaf_index: item.leaf.0,
                        recipient: item.recipient.0,
                        outcome: item.outcome.into(),
                    })
                    .collect(),
            }),
        };
        Wire { body: Some(body) }.encode_to_vec().into()
    }
}

impl StoredDetail {
    /// As [`Detail::encode`] wrote it.
    pub fn decode(bytes: &Bytes) -> Result<Self, BadDetail> {
        if bytes.is_empty() {
            return Ok(Self::Whole(Detail::None));
        }
        let wire = Wire::decode(bytes.clone()).map_err(|_| BadDetail)?;
        Ok(match wire.body.ok_or(BadDetail)? {
            Body::Audience(root) => Self::Audience(Hash::from_slice(&root).ok_or(BadDetail)?),
            Body::Acknowledged(Acknowledged { items, effective }) if items.len() == effective.len() => {
                let read = |(item, effective): (&proto::AcknowledgedItem, bool)| {
                    let item = Item::read(item, 0).map_err(|_| BadDetail)?;
                    Ok(AcknowledgedDetail {
                        salt: item.salt,
                        leaf: item.leaf,
                        notice: item.notice,
                        verdict: item.verdict,
                        reason: item.reason,
                        effective,
                    })
                };
                Self::Whole(Detail::Acknowledged(items.iter().zip(effective).map(read).collect::<Result<_, _>>()?))
            }
            Body::Acknowledged(_) => return Err(BadDetail),
            Body::Expired(Expired { items }) => {
                let read = |item: &proto::ExpiredItem| {
                    Ok(ExpiredDetail {
                        salt: Salt::from_slice(&item.salt).ok_or(BadDetail)?,
                        leaf: LeafIndex(item.leaf_index),
                        recipient: PartnerNumber(item.recipient),
                        outcome: item.outcome(),
                    })
                };
                Self::Whole(Detail::Expired(items.iter().map(read).collect::<Result<_, _>>()?))
            }
        })
    }
}
