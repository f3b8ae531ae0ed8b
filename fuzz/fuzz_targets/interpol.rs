//! INTERPOL's published notices as anybody may have damaged them.
#![no_main]
#![allow(dead_code, unused_imports, reason = "the import as the node has it; the fuzzer needs less of it")]

#[path = "../../src/import/mod.rs"]
mod import;

use liaison_protocol::proto;
use prost::Message as _;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let mut notices = import::interpol::Notices::default();
    if notices.read(data).is_err() {
        assert!(notices.is_empty(), "of a file that is refused nothing is taken");
        return;
    }
    for subject in &notices.edition(true).subjects {
        let again =
            proto::Content::decode(subject.content.encode_to_vec().as_slice()).expect("what we write, we read");
        assert_eq!(again, subject.content);
    }
});
