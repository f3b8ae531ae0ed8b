//! Requests are looked at strictly before they are decoded: malformed ones are the caller's fault and say where, and nobody makes
//! the node allocate more than a few times what it sent.

use std::marker::PhantomData;

use bytes::{Buf as _, BufMut};
use liaison_protocol::limits::{ITEMS_MAX, PARTS_MAX};
use liaison_protocol::proto;
use liaison_protocol::receipt::ACKNOWLEDGED_ITEM;
use liaison_protocol::wire::{self, Kind, Shape, choice, many, one};
use prost::Message;
use tonic::Status;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};

use super::status;
use crate::exchange::Frame;

/// A request whose shape is known.
pub trait Request: Message + Default + Send + 'static {
    /// What it may hold.
    const SHAPE: &'static Shape;
}

macro_rules! requests {
    ($($name:ident [$($field:expr),* $(,)?];)*) => {
        $(impl Request for proto::$name {
            const SHAPE: &'static Shape = &Shape { name: stringify!($name), fields: &[$($field),*] };
        })*
    };
}

static PART: Shape = Shape { name: "Part", fields: &[one(1, "salt", Kind::Bytes), one(2, "bytes", Kind::Bytes)] };
static NOTICE_NAME: Shape =
    Shape { name: "NoticeName", fields: &[one(1, "originator", Kind::Text), one(2, "reference", Kind::Text)] };

requests! {
    SubmitRequest [one(1, "envelope", Kind::Bytes), many(2, "parts", Kind::Message(&PART), PARTS_MAX)];
    SubmitStreamRequest [one(1, "envelope", Kind::Bytes), many(2, "parts", Kind::Message(&PART), PARTS_MAX)];
    CollectRequest [one(1, "resume_token", Kind::Bytes), one(2, "until_idle", Kind::Varint)];
    AcknowledgeRequest [
        one(1, "envelope", Kind::Bytes),
        many(2, "items", Kind::Message(&ACKNOWLEDGED_ITEM), ITEMS_MAX),
    ];
    GetNoticeRequest [
        choice(1, "notice", Kind::Message(&NOTICE_NAME)),
        choice(2, "leaf_index", Kind::Varint),
    ];
    ListEvidenceRequest [
        choice(1, "notice", Kind::Message(&NOTICE_NAME)),
        choice(2, "leaf_index", Kind::Varint),
        one(3, "page_size", Kind::Varint),
        one(4, "page_token", Kind::Text),
    ];
    GetCheckpointRequest [];
    GetInclusionProofRequest [one(1, "leaf_index", Kind::Varint), one(2, "tree_size", Kind::Varint)];
    GetConsistencyProofRequest [one(1, "old_size", Kind::Varint), one(2, "new_size", Kind::Varint)];
    GetHeadRequest [one(1, "version", Kind::Varint)];
    ListRecordsRequest [
        one(1, "version", Kind::Varint),
        one(2, "page_size", Kind::Varint),
        one(3, "page_token", Kind::Text),
    ];
    GetMailboxRequest [];
    GetStatusRequest [one(1, "since_size", Kind::Varint)];
    ReloadRequest [];
}

/// What is answered: a message, or the bytes of one that are put together in another way.
pub(super) trait Answer: Send + 'static {
    /// Bytes of the serialized message.
    fn length(&self) -> usize;
    /// Writes it.
    fn write(&self, room: &mut impl BufMut);
}

impl<T: Message + 'static> Answer for T {
    fn length(&self) -> usize {
        self.encoded_len()
    }

    fn write(&self, room: &mut impl BufMut) {
        self.encode_raw(room);
    }
}

impl Answer for Frame {
    fn length(&self) -> usize {
        self.encoded_len()
    }

    fn write(&self, room: &mut impl BufMut) {
        self.encode_raw(room);
    }
}

/// The codec of all our services.
pub(super) struct Checked<T, U>(PhantomData<(T, U)>);

impl<T, U> Default for Checked<T, U> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T: Answer, U: Request> Codec for Checked<T, U> {
    type Encode = T;
    type Decode = U;
    type Encoder = Encode<T>;
    type Decoder = Decode<U>;

    fn encoder(&mut self) -> Encode<T> {
        Encode(PhantomData)
    }

    fn decoder(&mut self) -> Decode<U> {
        Decode(PhantomData)
    }
}

/// Writes an answer.
pub(super) struct Encode<T>(PhantomData<T>);

impl<T: Answer> Encoder for Encode<T> {
    type Item = T;
    type Error = Status;

    fn encode(&mut self, item: T, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        // Once, and as much as it takes: a growing buffer would be copied again and again.
        buffer.reserve(item.length());
        item.write(buffer);
        Ok(())
    }
}

/// Reads a request.
pub(super) struct Decode<U>(PhantomData<U>);

impl<U: Request> Decoder for Decode<U> {
    type Item = U;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<U>, Status> {
        let bytes = buffer.copy_to_bytes(buffer.remaining());
        wire::decode(bytes, U::SHAPE).map(Some).map_err(|malformed| status::of(&malformed.into()))
    }
}
