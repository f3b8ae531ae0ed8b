//! Messages taken apart and put together in ways that no library offers.

use bytes::Bytes;
use liaison_client::sign::SignedNotice;
use liaison_protocol::envelope::{MANIFEST_TYPE, sign};
use liaison_protocol::proto;
use liaison_protocol::signer::Signer;
use prost::Message as _;

/// The envelope of a notice, as a message.
pub(crate) fn opened(notice: &SignedNotice) -> proto::Envelope {
    proto::Envelope::decode(notice.envelope.clone()).unwrap()
}

/// The manifest of a notice, as a message.
pub(crate) fn manifest(notice: &SignedNotice) -> proto::Manifest {
    proto::Manifest::decode(opened(notice).payload).unwrap()
}

/// An envelope over a manifest's bytes, whatever they are, rightly signed.
pub(crate) fn sealed(manifest: impl Into<Bytes>, signer: &dyn Signer) -> Bytes {
    sign(MANIFEST_TYPE, manifest.into(), signer).unwrap()
}

/// One varint, as long as wished: ten bytes at most.
pub(crate) fn varint(mut value: u64, length_min: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value > 0x7f || bytes.len() + 1 < length_min {
        bytes.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

/// One field with its bytes behind it.
pub(crate) fn field(number: u32, value: &[u8]) -> Vec<u8> {
    let head = [varint(u64::from(number << 3 | 2), 1), varint(value.len() as u64, 1)].concat();
    [head.as_slice(), value].concat()
}

/// Bytes as people write them in the directory.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
