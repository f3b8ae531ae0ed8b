//! A `CollectResponse` put together from messages that have been serialized before: on the wire a message is its bytes, and what
//! many are sent is serialized once.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use liaison_protocol::id::PartnerNumber;
use liaison_protocol::proto;
use prost::Message as _;

use super::editions::{Edition, Printed};
use crate::policy::RecipientSet;

/// What is sent at once.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Frame {
    /// Where to continue after it.
    #[prost(bytes = "bytes", tag = "1")]
    pub resume_token: Bytes,
    /// Serialized `Delivery` messages. Empty: a heartbeat.
    #[prost(bytes = "bytes", repeated, tag = "2")]
    pub deliveries: Vec<Bytes>,
    /// One receipt for each delivery.
    #[prost(message, optional, tag = "3")]
    pub receipts: Option<FrameReceipts>,
}

/// `Receipts`, of serialized ones.
#[derive(Clone, PartialEq, prost::Message)]
pub struct FrameReceipts {
    /// The signed note.
    #[prost(bytes = "bytes", tag = "1")]
    pub checkpoint: Bytes,
    /// The pool of their paths.
    #[prost(bytes = "bytes", tag = "2")]
    pub hashes: Bytes,
    /// Serialized `Receipt` messages, each with its reader's own item.
    #[prost(bytes = "bytes", repeated, tag = "3")]
    pub receipts: Vec<Bytes>,
}

/// A recipient's own item in the set it was shown last: notices that follow one another are mostly for the same.
#[derive(Debug, Default)]
pub(super) struct OwnItem(Option<(Arc<RecipientSet>, Bytes)>);

impl OwnItem {
    /// The `items` field of a `Receipt`, serialized. None: not a recipient.
    fn of(&mut self, me: PartnerNumber, set: &Arc<RecipientSet>) -> Option<&Bytes> {
        if !self.0.as_ref().is_some_and(|(known, _)| Arc::ptr_eq(known, set)) {
            // Everything else of the message is absent, so this is the field alone.
            let field = proto::Receipt { items: vec![set.item(me)?], ..Default::default() };
            self.0 = Some((set.clone(), field.encode_to_vec().into()));
        }
        self.0.as_ref().map(|(_, field)| field)
    }
}

impl Frame {
    /// Nothing but a sign of life.
    pub(super) fn heartbeat(resume_token: Bytes) -> Self {
        Self { resume_token, deliveries: Vec::new(), receipts: Some(FrameReceipts::default()) }
    }

    /// Notices of an edition with the items of one of their recipients.
    pub(super) fn of(
        resume_token: Bytes,
        edition: &Edition,
        notices: &[&Printed],
        me: PartnerNumber,
        own: &mut OwnItem,
    ) -> Self {
        let (mut deliveries, mut receipts) = (Vec::with_capacity(notices.len()), Vec::with_capacity(notices.len()));
        let mut room = BytesMut::new();
        for notice in notices {
            let Some(item) = own.of(me, &notice.recipients) else { continue };
            // A message's fields may be written one after the other, and `items` is the last.
            room.reserve(notice.receipt.len() + item.len());
            room.extend_from_slice(&notice.receipt);
            room.extend_from_slice(item);
            receipts.push(room.split().freeze());
            deliveries.push(notice.delivery.clone());
        }
        let (checkpoint, hashes) = (edition.checkpoint.clone(), edition.hashes.clone());
        Self { resume_token, deliveries, receipts: Some(FrameReceipts { checkpoint, hashes, receipts }) }
    }
}
