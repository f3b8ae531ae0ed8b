//! The published lists themselves. They name real people and may not be passed on, so they are not in the repository; whoever
//! has them puts them into `../shared/data` beside it.

use std::path::{Path, PathBuf};

use liaison::import::plan;
use liaison::import::un_list::read;

use super::contents::Opener;
use super::walk;

/// The lists as (name, bytes); none, and a word about it, where they are not there.
pub(super) fn published() -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    let Ok(files) = std::fs::read_dir(folder) else {
        println!("skipped: ../shared/data is not there");
        return Vec::new();
    };
    let paths = files.map(|file| file.expect("readable").path());
    let is_list = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.starts_with("un-") && name.ends_with(".xml")
    };
    let mut lists: Vec<PathBuf> = paths.filter(is_list).collect();
    lists.sort();
    assert!(!lists.is_empty(), "../shared/data is there and holds no list");
    let read = |path: PathBuf| {
        let name = path.file_name().expect("a file").to_string_lossy().into_owned();
        (name, std::fs::read(path).expect("readable"))
    };
    lists.into_iter().map(read).collect()
}

#[test]
fn every_published_list_is_read_with_no_entry_and_no_field_lost() {
    let opener = Opener::new();
    for (name, bytes) in published() {
        let text = str::from_utf8(&bytes).expect("UTF-8");
        let ends = text.matches("</INDIVIDUAL>").count() + text.matches("</ENTITY>").count();
        let records = walk::records(text);
        let list = read(&bytes).expect("a list");
        assert_eq!(records.len(), ends, "{name}: the naive ways agree");
        assert_eq!(list.unreadable, [], "{name}");
        assert_eq!(list.entries.len(), ends, "{name}: an entry is lost");
        for (entry, leaves) in list.entries.iter().zip(&records) {
            assert_eq!(entry.fields, leaves.len(), "{name}: {}", entry.reference);
            assert!(entry.unknown.is_empty(), "{name}: {} has {:?}", entry.reference, entry.unknown);
            let mut bag = opener.open(&entry.content);
            for leaf in leaves {
                assert!(bag.take(leaf), "{name}: {} lost {leaf:?}", entry.reference);
            }
        }
        let fields: usize = list.entries.iter().map(|entry| entry.fields).sum();
        println!("{name}: {} entries, {fields} fields, {:?}", list.entries.len(), list.regimes());
        assert_eq!(plan(&list).len(), list.entries.len());
    }
}

#[test]
fn the_list_of_may_2026_has_1009_entries() {
    for (name, bytes) in published() {
        if name == "un-consolidated-2026-05-08.xml" {
            let list = read(&bytes).expect("a list");
            assert_eq!((list.entries.len(), list.unreadable.len()), (1_009, 0));
            assert_eq!(list.regimes().len(), 14);
        }
    }
}

#[test]
fn a_committees_own_list_has_a_single_regime() {
    for (name, bytes) in published() {
        let list = read(&bytes).expect("a list");
        let regimes = list.regimes().len();
        assert_eq!(regimes == 1, name.starts_with("un-committee-"), "{name}: {regimes}");
    }
}
