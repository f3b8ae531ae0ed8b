//! What every store refuses before it writes: a batch that does not continue the history, or contradicts itself. Such a batch
//! is a bug of whoever built it, and would otherwise lie in an append-only log for ever.

use std::fmt::Display;

use liaison_protocol::id::Seq;
use liaison_protocol::tlog::tile::TileId;
use tokio::sync::watch;

use super::{Batch, CommitError, Erased, Head, Name, NewEntry, ReadError, SetId, Stored, StoredNotice};

/// The answer to a batch that must not be written.
pub(super) fn refused(why: impl Display) -> CommitError {
    CommitError::Fatal(format!("the batch is refused and nothing of it was written: {why}"))
}

/// The answer to a note that runs ahead of the disk.
pub(super) fn unknown_head(log: u32, size: u64) -> CommitError {
    refused(format_args!("a note covers {size} leaves of log {log}, and no such head was committed"))
}

/// The answer to a notice whose name another has.
pub(super) fn name_taken(name: &Name) -> CommitError {
    refused(format_args!("the name {} of partner {} is taken", name.1, name.0.0))
}

/// The answer to a tile that would be written twice.
pub(super) fn tile_there(id: &TileId) -> CommitError {
    refused(format_args!("{id:?} is there already"))
}

/// The answer to a removal that names nothing.
pub(super) fn nothing_to_erase(erased: Erased) -> CommitError {
    refused(format_args!("{erased:?} names nothing that is here"))
}

/// Judges a batch by the head it follows; names, notes and tiles need the store itself.
pub(super) fn follows(batch: &Batch, head: Option<&Head>) -> Result<(), CommitError> {
    let expected = head.map_or(Seq(0), |head| head.next);
    if batch.first != expected {
        return Err(refused(format_args!(
            "it begins at {}, and the history goes on at {}",
            batch.first.0, expected.0
        )));
    }
    head_fits(batch, head)?;
    for (nth, entry) in (batch.first.0..).zip(&batch.entries) {
        entry_fits(Seq(nth), entry)?;
    }
    if batch.base.as_ref().is_some_and(|base| base.through.0 + 1 != batch.first.0 || base.pieces.is_empty()) {
        return Err(refused("its base does not end where it begins"));
    }
    match batch.erased.iter().find(|erased| erased.seq() >= batch.first) {
        Some(erased) => Err(nothing_to_erase(*erased)),
        None => Ok(()),
    }
}

/// A read entry whose opening does not open its leaf is damage, and is named.
pub(super) fn opens(stored: &Stored) -> Result<(), ReadError> {
    match &stored.opening {
        Some(opening) if opening.leaf() != stored.leaf => {
            Err(ReadError::Damaged(format!("statement {} does not open its leaf", stored.seq.0)))
        }
        _ => Ok(()),
    }
}

/// A set that a statement names and nobody has.
pub(super) fn no_set(id: &SetId) -> ReadError {
    ReadError::Damaged(format!("the recipient set {:?} is not there", id.0))
}

/// Tells whoever waits, but only when something changed.
pub(super) fn publish(noted: &watch::Sender<Option<Head>>, head: Option<Head>) {
    noted.send_if_modified(|before| {
        let changed = *before != head;
        *before = head;
        changed
    });
}

impl Erased {
    /// The statement it touches.
    pub fn seq(&self) -> Seq {
        match self {
            Self::Parts(seq) | Self::Opening(seq) => *seq,
        }
    }
}

fn head_fits(batch: &Batch, before: Option<&Head>) -> Result<(), CommitError> {
    let (first, head) = (batch.first, &batch.head);
    if batch.entries.is_empty() {
        return match before {
            Some(before) if before == head => Ok(()),
            _ => Err(refused("it has no entries and moves the head")),
        };
    }
    if head.next.0 != first.0 + batch.entries.len() as u64 {
        return Err(refused(format_args!(
            "its head says {}, and {} entries follow {}",
            head.next.0,
            batch.entries.len(),
            first.0
        )));
    }
    let same_log = before.filter(|before| before.log == head.log);
    let fits = match same_log {
        Some(before) => before.base == head.base,
        None => before.is_none_or(|before| before.log < head.log) && (first..head.next).contains(&head.base),
    };
    if fits { Ok(()) } else { Err(refused(format_args!("log {} from {} does not follow", head.log, head.base.0))) }
}

fn entry_fits(seq: Seq, entry: &NewEntry) -> Result<(), CommitError> {
    if entry.opening.leaf() != entry.leaf {
        return Err(refused(format_args!("statement {} does not open its leaf", seq.0)));
    }
    let ascending = entry.about.is_sorted_by(|earlier, later| earlier < later);
    if !ascending || entry.about.last().is_some_and(|last| *last >= seq) {
        return Err(refused(format_args!("statement {} must be about earlier ones, ascending", seq.0)));
    }
    Ok(())
}

/// Notices as they are found, as many as fit but at least one.
pub(super) fn fitting(
    found: impl Iterator<Item = Result<Option<StoredNotice>, ReadError>>,
    bytes_max: usize,
) -> Result<Vec<Option<StoredNotice>>, ReadError> {
    let (mut fitting, mut bytes) = (Vec::new(), 0_usize);
    for notice in found {
        let notice = notice?;
        bytes = bytes.saturating_add(notice.as_ref().map_or(0, StoredNotice::bytes));
        if bytes > bytes_max && !fitting.is_empty() {
            break;
        }
        fitting.push(notice);
    }
    Ok(fitting)
}
