//! Invented histories: everything about a statement follows from its number, so that whoever reads it can tell what it must be.

use bytes::Bytes;
use liaison_protocol::id::{Hash, NoticeId, PartnerNumber, Seq};
use liaison_protocol::tlog::entry::{Opening, Salt};

use crate::store::{Batch, Head, Name, NewEntry, NewNotice, SetId, Stored, StoredNote};

/// The batch that continues `head` in its log, or opens log 0.
pub(crate) fn batch(head: Option<&Head>, entries: Vec<NewEntry>) -> Batch {
    let first = head.map_or(Seq(0), |head| head.next);
    let before = head.map_or(Hash::of(&[]), |head| head.root);
    let leaves = entries.iter().map(|entry| entry.leaf.0);
    let root = leaves.fold(before, |root, leaf| Hash::of(&[&root.0, &leaf]));
    let head = Head {
        log: head.map_or(0, |head| head.log),
        base: head.map_or(Seq(0), |head| head.base),
        next: Seq(first.0 + entries.len() as u64),
        root,
    };
    Batch {
        first,
        entries,
        sets: Vec::new(),
        tiles: Vec::new(),
        erased: Vec::new(),
        notes: Vec::new(),
        base: None,
        head,
    }
}

/// A statement about nothing but itself.
pub(crate) fn statement(seq: u64) -> NewEntry {
    let opening = Opening {
        statement: format!("statement {seq}: {}", filler("statement", seq, 40)).into(),
        salt: Salt(Hash::of(&[b"salt", &seq.to_be_bytes()]).0),
    };
    NewEntry {
        leaf: opening.leaf(),
        opening,
        detail: format!("detail {seq}: {}", filler("detail", seq, 40)).into(),
        notice: None,
        about: Vec::new(),
    }
}

/// A statement that accepts a notice named after its number.
pub(crate) fn accepting(seq: u64) -> NewEntry {
    accepting_as(seq, name(seq))
}

/// A statement that accepts a notice under this name.
pub(crate) fn accepting_as(seq: u64, name: Name) -> NewEntry {
    accepting_bytes(seq, name, 200)
}

/// The same with parts of about this many bytes.
pub(crate) fn accepting_bytes(seq: u64, name: Name, parts: usize) -> NewEntry {
    NewEntry {
        notice: Some(NewNotice {
            name,
            id: notice_id(seq),
            envelope: format!("envelope {seq}: {}", filler("envelope", seq, 60)).into(),
            parts: format!("parts {seq}: {}", filler("parts", seq, parts)).into(),
        }),
        ..statement(seq)
    }
}

/// A statement about earlier ones.
pub(crate) fn about(seq: u64, of: &[u64]) -> NewEntry {
    NewEntry { about: of.iter().map(|of| Seq(*of)).collect(), ..statement(seq) }
}

/// The name that `accepting` gives: three originators, each counting up.
pub(crate) fn name(seq: u64) -> Name {
    let reference = format!("FR/2026/{seq:06}");
    (PartnerNumber(seq as u32 % 3), reference.parse().expect("a reference"))
}

pub(crate) fn notice_id(seq: u64) -> NoticeId {
    NoticeId(Hash::of(&[b"notice", &seq.to_be_bytes()]))
}

pub(crate) fn set(nth: u64) -> (SetId, Bytes) {
    let id = SetId(Hash::of(&[b"set", &nth.to_be_bytes()]));
    (id, format!("members {nth}").into())
}

/// A checkpoint of this head, as far as a store can tell.
pub(crate) fn note(head: &Head) -> StoredNote {
    StoredNote { size: head.size(), log: head.log, note: format!("log {} holds {}", head.log, head.size()).into() }
}

/// What a store must answer for an entry that it was given.
pub(crate) fn as_stored(seq: u64, entry: &NewEntry) -> Stored {
    Stored { seq: Seq(seq), leaf: entry.leaf, opening: Some(entry.opening.clone()), detail: entry.detail.clone() }
}

/// Text that occurs nowhere else, so that one can look for it in a file.
fn filler(what: &str, seq: u64, bytes: usize) -> String {
    (0_u32..)
        .flat_map(|nth| {
            let hash = Hash::of(&[what.as_bytes(), &seq.to_be_bytes(), &nth.to_be_bytes()]);
            hash.to_hex().into_bytes()
        })
        .take(bytes)
        .map(char::from)
        .collect()
}
