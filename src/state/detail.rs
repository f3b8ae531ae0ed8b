//! What the fold needs and the parties must not all see. It lies beside the statement in this node's own store and goes with it.

use std::sync::Arc;

use bytes::Bytes;
use liaison_protocol::ack::Item;
use liaison_protocol::id::{Hash, LeafIndex, NoticeId, PartnerNumber};
use liaison_protocol::proto::{self, ExpiredOutcome};
use liaison_protocol::statement::{Acknowledged, Event};
use liaison_protocol::tlog::entry::Salt;
use liaison_protocol::tlog::items::{self, ItemTree};
use liaison_protocol::tlog::moved::{self, Moved};
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
    /// Of a base: the salt of its digest.
    Base(Salt),
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
    /// As the recipient signed it; its leaf is one of the log now open.
    pub item: Item,
    /// What it moved; one that moved nothing is kept because it was signed with the others.
    pub moved: Moved,
}

impl AcknowledgedDetail {
    /// The items of a statement, each with what it moved. None: they are not those that it commits to.
    fn of(said: &Acknowledged, items: Vec<Item>) -> Option<Vec<Self>> {
        let leaf_data: Vec<_> = items.iter().map(Item::leaf_data).collect();
        let same =
            said.count as usize == items.len() && ItemTree::over(leaf_data.iter().copied()).root() == said.root;
        let with = |((nth, item), leaf_data): ((usize, Item), &Hash)| {
            Some(Self { item, moved: moved::unpack(&said.moved, nth as u64, leaf_data)? })
        };
        same.then(|| items.into_iter().enumerate().zip(&leaf_data).map(with).collect())?
    }
}

/// One item of an expiry.
#[derive(Clone, Debug, PartialEq)]
pub struct ExpiredDetail {
    /// Drawn by the node.
    pub salt: Salt,
    /// The leaf it speaks of, in the log now open.
    pub leaf: LeafIndex,
    /// The notice it speaks of.
    pub notice: NoticeId,
    /// Whose time ran out.
    pub recipient: PartnerNumber,
    /// How.
    pub outcome: ExpiredOutcome,
}

impl ExpiredDetail {
    /// Its leaf data in the items tree.
    pub fn leaf_data(&self) -> Hash {
        items::expired(&self.salt, self.leaf, &self.notice, self.recipient, self.outcome)
    }

    /// As on the wire.
    pub fn to_proto(&self) -> proto::ExpiredItem {
        proto::ExpiredItem {
            salt: self.salt.to_bytes(),
            leaf_index: self.leaf.0,
            recipient: self.recipient.0,
            outcome: self.outcome.into(),
            notice_id: self.notice.to_bytes(),
        }
    }
}

/// Why a stored detail is not the one of its statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadDetail {
    /// It is none.
    #[error("its detail cannot be read")]
    Unreadable,
    /// It is another's.
    #[error("its detail is another than it commits to")]
    Another,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Wire {
    #[prost(oneof = "Body", tags = "1, 2, 3, 4")]
    body: Option<Body>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum Body {
    #[prost(bytes, tag = "1")]
    Audience(Vec<u8>),
    #[prost(message, tag = "2")]
    Acknowledged(AcknowledgedItems),
    #[prost(message, tag = "3")]
    Expired(ExpiredItems),
    #[prost(bytes, tag = "4")]
    Base(Vec<u8>),
}

#[derive(Clone, PartialEq, prost::Message)]
struct AcknowledgedItems {
    #[prost(message, repeated, tag = "1")]
    items: Vec<proto::AcknowledgedItem>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct ExpiredItems {
    #[prost(message, repeated, tag = "1")]
    items: Vec<proto::ExpiredItem>,
}

impl Detail {
    /// As it lies in the store.
    pub fn encode(&self) -> Bytes {
        let body = match self {
            Self::None => return Bytes::new(),
            Self::Audience(set) => Body::Audience(set.root().0.to_vec()),
            Self::Acknowledged(items) => Body::Acknowledged(AcknowledgedItems {
                items: items.iter().map(|detail| detail.item.to_proto()).collect(),
            }),
            Self::Expired(items) => {
                Body::Expired(ExpiredItems { items: items.iter().map(ExpiredDetail::to_proto).collect() })
            }
            Self::Base(salt) => Body::Base(salt.0.to_vec()),
        };
        Wire { body: Some(body) }.encode_to_vec().into()
    }
}

impl StoredDetail {
    /// As [`Detail::encode`] wrote it beside a statement, which must commit to it. A recipient set is checked when it is handed in.
    pub fn decode(bytes: &Bytes, event: &Event) -> Result<Self, BadDetail> {
        use BadDetail::{Another, Unreadable};
        if bytes.is_empty() {
            return Ok(Self::Whole(Detail::None));
        }
        let wire = Wire::decode(bytes.clone()).map_err(|_| Unreadable)?;
        Ok(match (wire.body.ok_or(Unreadable)?, event) {
            (Body::Audience(root), Event::Accepted(_)) => {
                Self::Audience(Hash::from_slice(&root).ok_or(Unreadable)?)
            }
            (Body::Acknowledged(AcknowledgedItems { items }), Event::Acknowledged(said)) => {
                let read = |item: &proto::AcknowledgedItem| Item::read(item, 0).map_err(|_| Unreadable);
                let items = items.iter().map(read).collect::<Result<_, _>>()?;
                Self::Whole(Detail::Acknowledged(AcknowledgedDetail::of(said, items).ok_or(Another)?))
            }
            (Body::Expired(ExpiredItems { items }), Event::Expired(said)) => {
                let read = |item: &proto::ExpiredItem| {
                    Ok(ExpiredDetail {
                        salt: Salt::from_slice(&item.salt).ok_or(Unreadable)?,
                        leaf: LeafIndex(item.leaf_index),
                        notice: NoticeId::from_slice(&item.notice_id).ok_or(Unreadable)?,
                        recipient: PartnerNumber(item.recipient),
                        outcome: item.outcome(),
                    })
                };
                let items: Vec<_> = items.iter().map(read).collect::<Result<_, _>>()?;
                let root = ItemTree::over(items.iter().map(ExpiredDetail::leaf_data)).root();
                if root != said.root || items.len() != said.count as usize {
                    return Err(Another);
                }
                Self::Whole(Detail::Expired(items))
            }
            (Body::Base(salt), Event::Rebased(_)) => {
                Self::Whole(Detail::Base(Salt::from_slice(&salt).ok_or(Unreadable)?))
            }
            _ => return Err(Another),
        })
    }
}
