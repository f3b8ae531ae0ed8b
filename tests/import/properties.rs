//! Whatever the bytes are, reading them ends, and nothing is lost in silence.

use std::collections::HashSet;

use liaison::import::un_list::{SAMPLE, UnList, read};
use liaison::import::{plan, subject};
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;

use super::FIXTURE;

/// One change of a file.
#[derive(Clone, Debug)]
enum Edit {
    Replace(prop::sample::Index, u8),
    Insert(prop::sample::Index, Vec<u8>),
    Remove(prop::sample::Index, usize),
    Truncate(prop::sample::Index),
}

impl Edit {
    fn apply(&self, file: &mut Vec<u8>) {
        if file.is_empty() {
            return;
        }
        match self {
            Self::Replace(at, byte) => {
                let at = at.index(file.len());
                file[at] = *byte;
            }
            Self::Insert(at, bytes) => {
                let at = at.index(file.len());
                file.splice(at..at, bytes.iter().copied());
            }
            Self::Remove(at, length) => {
                let at = at.index(file.len());
                let end = file.len().min(at + length);
                file.drain(at..end);
            }
            Self::Truncate(at) => file.truncate(at.index(file.len())),
        }
    }
}

fn markup() -> impl Strategy<Value = u8> {
    prop_oneof![prop::sample::select(b"<>&;\"'/!?-[]= \n\0\x1a\xff".to_vec()), any::<u8>()]
}

fn edit() -> impl Strategy<Value = Edit> {
    let words = prop::sample::select(vec![
        "<",
        "<!--",
        "-->",
        "<![CDATA[",
        "]]>",
        "<INDIVIDUAL>",
        "</INDIVIDUAL>",
        "<ENTITY",
        "</ENTITIES>",
        "&amp;",
        "&#x110000;",
        "&#",
        "<!DOCTYPE x>",
        "</CONSOLIDATED_LIST>",
        "<?xml",
        "REFERENCE_NUMBER>",
        "\u{202e}",
    ]);
    let inserted =
        prop_oneof![words.prop_map(|word| word.as_bytes().to_vec()), prop::collection::vec(markup(), 1..9),];
    prop_oneof![
        (any::<prop::sample::Index>(), markup()).prop_map(|(at, byte)| Edit::Replace(at, byte)),
        (any::<prop::sample::Index>(), inserted).prop_map(|(at, bytes)| Edit::Insert(at, bytes)),
        (any::<prop::sample::Index>(), 1..200_usize).prop_map(|(at, length)| Edit::Remove(at, length)),
        any::<prop::sample::Index>().prop_map(Edit::Truncate),
    ]
}

/// What holds for every list that is read.
fn assert_is_sound(list: &UnList, file: &[u8]) {
    let references: HashSet<_> = list.entries.iter().map(|entry| &entry.reference).collect();
    assert_eq!(references.len(), list.entries.len(), "no reference stands twice");
    for unreadable in &list.unreadable {
        assert!(unreadable.offset <= file.len(), "{unreadable:?}");
    }
    for planned in plan(list) {
        assert!(planned.reference.len() <= 64, "{}", planned.reference);
        assert!(!subject(&planned.content).contains(char::is_control));
    }
}

/// Seeds of failures lie beside this file, so that each stays a test.
fn config() -> ProptestConfig {
    let seeds = FileFailurePersistence::WithSource("seeds");
    ProptestConfig { failure_persistence: Some(Box::new(seeds)), ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn no_bytes_make_the_reader_panic(file in prop::collection::vec(markup(), 0..2_000)) {
        if let Ok(list) = read(&file) {
            assert_is_sound(&list, &file);
        }
    }

    #[test]
    fn no_edit_of_a_list_makes_the_reader_panic(edits in prop::collection::vec(edit(), 1..6)) {
        let mut file = FIXTURE.to_vec();
        for edit in &edits {
            edit.apply(&mut file);
        }
        if let Ok(list) = read(&file) {
            assert_is_sound(&list, &file);
        }
    }

    #[test]
    fn one_changed_byte_costs_at_most_one_record_and_never_in_silence(
        at in any::<prop::sample::Index>(),
        byte in markup(),
    ) {
        let records = SAMPLE.windows(13).position(|bytes| bytes == b"<INDIVIDUALS>").expect("there");
        let mut file = SAMPLE.to_vec();
        file[records + at.index(SAMPLE.len() - records)] = byte;
        let list = read(&file).expect("the root is whole");
        prop_assert!(list.entries.len() >= 4, "{:?}", list.unreadable);
        prop_assert!(list.entries.len() == 5 || !list.unreadable.is_empty());
    }
}
