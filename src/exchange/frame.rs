//! A `CollectResponse` put together from what has been serialized before: on the wire a message is its bytes, and what many are
//! sent is serialized once. It is written straight into the buffer it is sent from.

use std::ops::Range;
use std::sync::Arc;

use bytes::{BufMut, Bytes};
use liaison_protocol::id::PartnerNumber;
use liaison_protocol::proto;
use prost::Message as _;
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint};

use super::editions::Edition;
use crate::policy::RecipientSet;

/// `CollectResponse.resume_token`.
const RESUME_TOKEN: u32 = 1;
/// `CollectResponse.deliveries`.
const DELIVERIES: u32 = 2;
/// `CollectResponse.receipts`.
const RECEIPTS: u32 = 3;
/// `Receipts.checkpoint`.
const CHECKPOINT: u32 = 1;
/// `Receipts.hashes`.
const HASHES: u32 = 2;
/// `Receipts.receipts`.
const RECEIPT: u32 = 3;

/// What is sent at once.
#[derive(Debug)]
pub struct Frame {
    /// Where to continue after it.
    resume_token: Bytes,
    /// None: a heartbeat.
    edition: Option<Arc<Edition>>,
    runs: Vec<Run>,
    /// Bytes of the `deliveries` fields.
    deliveries: usize,
    /// Bytes of the fields that make up `receipts`.
    receipts: usize,
}

/// Notices that follow one another in an edition, whose receipts are shown to their reader with the same item.
#[derive(Debug)]
struct Run {
    notices: Range<usize>,
    /// The `items` field of a `Receipt`.
    item: Bytes,
}

/// Serialized messages one after the other.
#[derive(Debug, Default)]
pub(super) struct Pieces {
    bytes: Vec<u8>,
    /// Where each one ends.
    ends: Vec<usize>,
}

/// A recipient's own item in the set it was shown last: notices that follow one another are mostly for the same.
#[derive(Debug, Default)]
pub(super) struct OwnItem(Option<(Arc<RecipientSet>, Bytes)>);

impl Pieces {
    /// One more, which `write` appends.
    pub(super) fn push(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        write(&mut self.bytes);
        self.ends.push(self.bytes.len());
    }

    /// Bytes of all.
    pub(super) fn bytes(&self) -> usize {
        self.bytes.len()
    }

    fn of(&self, places: Range<usize>) -> &[u8] {
        let before = |place: usize| if place == 0 { 0 } else { self.ends[place - 1] };
        &self.bytes[before(places.start)..before(places.end)]
    }

    fn one(&self, place: usize) -> &[u8] {
        self.of(place..place + 1)
    }
}

impl OwnItem {
    /// The `items` field of a `Receipt`, serialized. None: not a recipient.
    pub(super) fn of(&mut self, me: PartnerNumber, set: &Arc<RecipientSet>) -> Option<&Bytes> {
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
        Self { resume_token, edition: None, runs: Vec::new(), deliveries: 0, receipts: 0 }
    }

    /// Of an edition, nothing of which is shown yet.
    pub(super) fn of(resume_token: Bytes, edition: Arc<Edition>) -> Self {
        let receipts = field_length(edition.checkpoint.len()) + field_length(edition.hashes.len());
        Self { resume_token, edition: Some(edition), runs: Vec::new(), deliveries: 0, receipts }
    }

    /// Shows its reader one more notice of the edition, by its number there, with the `items` field of its receipt.
    pub(super) fn show(&mut self, nth: usize, item: &Bytes) {
        let Some(edition) = &self.edition else { return };
        self.deliveries += edition.deliveries.one(nth).len();
        self.receipts += field_length(edition.receipts.one(nth).len() + item.len());
        match self.runs.last_mut() {
            Some(run) if run.notices.end == nth && run.item == *item => run.notices.end += 1,
            _ => self.runs.push(Run { notices: nth..nth + 1, item: item.clone() }),
        }
    }

    /// Bytes of the serialized message.
    pub fn encoded_len(&self) -> usize {
        let token = if self.resume_token.is_empty() { 0 } else { field_length(self.resume_token.len()) };
        token + self.deliveries + field_length(self.receipts)
    }

    /// Writes the message.
    pub fn encode_raw(&self, room: &mut impl BufMut) {
        if !self.resume_token.is_empty() {
            field(RESUME_TOKEN, &self.resume_token, room);
        }
        let Some(edition) = &self.edition else { return field(RECEIPTS, &[], room) };
        for run in &self.runs {
            room.put_slice(edition.deliveries.of(run.notices.clone()));
        }
        begin(RECEIPTS, self.receipts, room);
        field(CHECKPOINT, &edition.checkpoint, room);
        field(HASHES, &edition.hashes, room);
        for Run { notices, item } in &self.runs {
            for nth in notices.clone() {
                let receipt = edition.receipts.one(nth);
                // A message's fields may be written one after the other, and `items` is the last.
                begin(RECEIPT, receipt.len() + item.len(), room);
                room.put_slice(receipt);
                room.put_slice(item);
            }
        }
    }
}

/// The field of a frame that holds a serialized `Delivery`.
pub(super) fn delivery_field(delivery: &[u8], room: &mut impl BufMut) {
    field(DELIVERIES, delivery, room);
}

fn field(number: u32, bytes: &[u8], room: &mut impl BufMut) {
    begin(number, bytes.len(), room);
    room.put_slice(bytes);
}

fn begin(number: u32, length: usize, room: &mut impl BufMut) {
    encode_key(number, WireType::LengthDelimited, room);
    encode_varint(length as u64, room);
}

/// Bytes of a field whose number is below 16, with so many bytes of content.
fn field_length(content: usize) -> usize {
    1 + encoded_len_varint(content as u64) + content
}
