//! A `CollectResponse` put together from what has been serialized before: on the wire a message is its bytes, and what many are
//! sent is serialized once. It is written straight into the buffer it is sent from.

use std::ops::Range;
use std::sync::Arc;

use bytes::{BufMut, Bytes};
use liaison_protocol::id::{LeafIndex, PartnerNumber};
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
/// `CollectResponse.damaged`.
const DAMAGED: u32 = 4;
/// `Receipts.checkpoint`.
const CHECKPOINT: u32 = 1;
/// `Receipts.hashes`.
const HASHES: u32 = 2;
/// `Receipts.receipts`.
const RECEIPT: u32 = 3;
/// `Receipts.items`.
const ITEMS: u32 = 4;
/// An empty item.
const NO_ITEM: Bytes = Bytes::from_static(&[(ITEMS as u8) << 3 | WireType::LengthDelimited as u8, 0]);

/// What is sent at once.
#[derive(Debug)]
pub struct Frame {
    /// Where to continue after it.
    resume_token: Bytes,
    /// None: a heartbeat.
    edition: Option<Arc<Edition>>,
    /// Notices of the edition that follow one another there.
    runs: Vec<Range<usize>>,
    /// The `items` field of each of its sets: its reader's own item, or an empty one.
    items: Vec<Bytes>,
    /// The content of the `damaged` field, packed: leaves that wait for its reader and are not delivered.
    damaged: Vec<u8>,
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
}

impl OwnItem {
    /// The `items` field of `Receipts`, serialized. None: not a recipient.
    pub(super) fn of(&mut self, me: PartnerNumber, set: &Arc<RecipientSet>) -> Option<Bytes> {
        if !self.0.as_ref().is_some_and(|(known, _)| Arc::ptr_eq(known, set)) {
            let mut item = Vec::new();
            field(ITEMS, &set.item(me)?.encode_to_vec(), &mut item);
            self.0 = Some((set.clone(), item.into()));
        }
        self.0.as_ref().map(|(_, item)| item.clone())
    }
}

impl Frame {
    /// Nothing but a sign of life.
    pub(super) fn heartbeat(resume_token: Bytes) -> Self {
        Self { resume_token, edition: None, runs: Vec::new(), items: Vec::new(), damaged: Vec::new() }
    }

    /// Notices of an edition, by their numbers there, with the items of one of their recipients, and the leaves of what
    /// is damaged.
    pub(super) fn of(
        resume_token: Bytes,
        edition: Arc<Edition>,
        notices: impl Iterator<Item = usize>,
        damaged: impl Iterator<Item = LeafIndex>,
        me: PartnerNumber,
        own: &mut OwnItem,
    ) -> Self {
        let mut runs: Vec<Range<usize>> = Vec::new();
        let mut items = vec![NO_ITEM; edition.sets.len()];
        for nth in notices {
            let set = edition.set(nth);
            if items[set] == NO_ITEM {
                let Some(item) = own.of(me, &edition.sets[set]) else { continue };
                items[set] = item;
            }
            match runs.last_mut() {
                Some(run) if run.end == nth => run.end += 1,
                _ => runs.push(nth..nth + 1),
            }
        }
        let mut packed = Vec::new();
        damaged.for_each(|leaf| encode_varint(leaf.0, &mut packed));
        Self { resume_token, edition: Some(edition), runs, items, damaged: packed }
    }

    /// Bytes of the serialized message.
    pub fn encoded_len(&self) -> usize {
        let token = if self.resume_token.is_empty() { 0 } else { field_length(self.resume_token.len()) };
        let pieces = |pieces: &Pieces| self.runs.iter().map(|run| pieces.of(run.clone()).len()).sum::<usize>();
        let deliveries = self.edition.as_ref().map_or(0, |edition| pieces(&edition.deliveries));
        let damaged = if self.damaged.is_empty() { 0 } else { field_length(self.damaged.len()) };
        token + deliveries + field_length(self.receipts_len()) + damaged
    }

    /// Bytes of the serialized `Receipts`.
    fn receipts_len(&self) -> usize {
        let Some(edition) = &self.edition else { return 0 };
        field_length(edition.checkpoint.len())
            + field_length(edition.hashes.len())
            + self.runs.iter().map(|run| edition.receipts.of(run.clone()).len()).sum::<usize>()
            + self.items.iter().map(Bytes::len).sum::<usize>()
    }

    /// Writes the message.
    pub fn encode_raw(&self, room: &mut impl BufMut) {
        if !self.resume_token.is_empty() {
            field(RESUME_TOKEN, &self.resume_token, room);
        }
        let Some(edition) = &self.edition else { return field(RECEIPTS, &[], room) };
        self.runs.iter().for_each(|run| room.put_slice(edition.deliveries.of(run.clone())));
        begin(RECEIPTS, self.receipts_len(), room);
        field(CHECKPOINT, &edition.checkpoint, room);
        field(HASHES, &edition.hashes, room);
        self.runs.iter().for_each(|run| room.put_slice(edition.receipts.of(run.clone())));
        self.items.iter().for_each(|item| room.put_slice(item));
        if !self.damaged.is_empty() {
            field(DAMAGED, &self.damaged, room);
        }
    }
}

/// The field of a frame that holds a serialized `Delivery`.
pub(super) fn delivery_field(delivery: &[u8], room: &mut impl BufMut) {
    field(DELIVERIES, delivery, room);
}

/// The field of `Receipts` that holds a serialized `Receipt`.
pub(super) fn receipt_field(receipt: &[u8], room: &mut impl BufMut) {
    field(RECEIPT, receipt, room);
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
