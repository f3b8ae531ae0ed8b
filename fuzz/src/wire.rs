//! The strict look at protobuf against the decoder that everybody uses.

use std::fmt::Debug;

use bytes::Bytes;
use liaison_protocol::wire::{Problem, Shape, decode, decode_canonical};
use prost::Message;

/// Whatever the strict look lets pass, prost decodes; what has its one form is written as it was.
pub(crate) fn agrees_with_prost<M: Message + Default + PartialEq + Debug>(data: &[u8], shape: &'static Shape) {
    let bytes = Bytes::copy_from_slice(data);
    match decode::<M>(bytes.clone(), shape) {
        Ok(message) => {
            // What is known of it survives being written: unknown fields are passed over on both ways.
            let again: M = decode(message.encode_to_vec().into(), shape).expect("what we write, we read");
            assert_eq!(again, message);
        }
        Err(malformed) => {
            assert_ne!(
                malformed.problem,
                Problem::Undecodable,
                "the look let pass what prost refuses: {malformed}"
            );
            assert!(malformed.offset <= data.len());
        }
    }
    if let Ok(message) = decode_canonical::<M>(bytes.clone(), shape) {
        assert_eq!(message.encode_to_vec(), bytes);
    }
}
