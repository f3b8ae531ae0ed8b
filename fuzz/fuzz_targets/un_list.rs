//! The UN Security Council list as anybody may have damaged it. The import is compiled in by itself: it is pure, and the rest of the node
//! would take minutes to build.
#![no_main]
#![allow(dead_code, unused_imports, reason = "the import as the node has it; the fuzzer needs less of it")]

#[path = "../../src/import/mod.rs"]
mod import;

use std::collections::BTreeSet;

use liaison_protocol::id::Reference;
use liaison_protocol::manifest::forges_lines;
use liaison_protocol::proto;
use prost::Message as _;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Ok(list) = import::un_list::read(data) else { return };
    let references: BTreeSet<_> = list.entries.iter().map(|entry| entry.reference.as_str()).collect();
    assert_eq!(references.len(), list.entries.len(), "no reference stands twice");
    for entry in &list.entries {
        let again =
            proto::Content::decode(entry.content.encode_to_vec().as_slice()).expect("what we write, we read");
        assert_eq!(again, entry.content);
    }
    assert!(list.unreadable.iter().all(|record| record.line > 0 && record.offset <= data.len()));
    for planned in import::plan(&list) {
        planned.reference.parse::<Reference>().expect("a reference that a notice can have");
        assert!(planned.subject.chars().count() <= import::SUBJECT_CHARS_MAX, "{:?}", planned.subject);
        assert!(!planned.subject.chars().any(forges_lines), "{:?}", planned.subject);
    }
});
