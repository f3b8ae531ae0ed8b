//! Which notice has a name. A name goes into its table with about a thousand others, in the order of the table's key; until then it
//! stands beside its notice alone, and in the writer's memory. Names of several originators lie far apart in the table: written
//! notice by notice, they change more pages than the notices themselves.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet};

use liaison_protocol::id::{PartnerNumber, Reference, Seq};
use rusqlite::{Connection, Transaction};

use super::super::{Batch, Known, Name, NewNotice, ReadError};
use super::{rows, schema};

/// Names that may stand beside their notices alone, before the batch that makes them more. A reader that finds a name nowhere else
/// looks through so many.
pub(super) const ASIDE_MAX: usize = 1_024;
/// Originators whose last name is remembered; forgetting them only asks the database once more.
const LAST_MAX: usize = 16_384;

/// What the writer knows of the names that it has committed.
#[derive(Default)]
pub(super) struct Names {
    /// Those that are not in the table.
    aside: BTreeMap<PartnerNumber, BTreeMap<Reference, Known>>,
    count: usize,
    /// The last name in the table of each originator that has been asked for. Most count upwards: what comes after it is not there, in
    /// whatever order it comes.
    last: HashMap<PartnerNumber, Option<Reference>>,
}

/// The names of a batch that is being written, all of them free.
pub(super) struct Free<'a> {
    names: Vec<(&'a Name, Known)>,
}

impl Names {
    /// Reads what the last writer left aside.
    pub(super) fn load(rows: &Connection) -> Result<Self, ReadError> {
        let mut names = Self::default();
        for (name, known) in rows::names_aside(rows)? {
            names.put_aside(name, known);
        }
        Ok(names)
    }

    /// What a name was given to.
    pub(super) fn find(&mut self, rows: &Connection, name: &Name) -> Result<Option<Known>, ReadError> {
        let (originator, reference) = name;
        if let Some(known) = self.aside.get(originator).and_then(|aside| aside.get(reference)) {
            return Ok(Some(*known));
        }
        match self.last(rows, *originator)? {
            Some(last) if reference <= last => rows::named_in_table(rows, name),
            _ => Ok(None),
        }
    }

    /// The last name of an originator that is in the table, in the order of its key.
    fn last(&mut self, rows: &Connection, originator: PartnerNumber) -> Result<Option<&Reference>, ReadError> {
        if self.last.len() >= LAST_MAX && !self.last.contains_key(&originator) {
            self.last.clear();
        }
        let last = match self.last.entry(originator) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(unknown) => unknown.insert(rows::last_name(rows, originator)?),
        };
        Ok(last.as_ref())
    }

    /// The names that a batch gives; the first that is taken, if one is.
    pub(super) fn of<'a>(
        &mut self,
        rows: &Connection,
        batch: &'a Batch,
    ) -> Result<Result<Free<'a>, &'a Name>, ReadError> {
        let (mut names, mut given) = (Vec::new(), HashSet::new());
        for (nth, entry) in (batch.first.0..).zip(&batch.entries) {
            let Some(NewNotice { name, id, .. }) = &entry.notice else { continue };
            if !given.insert(name) || self.find(rows, name)?.is_some() {
                return Ok(Err(name));
            }
            names.push((name, Known { seq: Seq(nth), notice: *id }));
        }
        Ok(Ok(Free { names }))
    }

    /// Writes into the table what stands aside, the batch's with it, if that is enough. True: none stands aside any more once
    /// the transaction is committed.
    pub(super) fn write(
        &self,
        transaction: &Transaction<'_>,
        free: &Free<'_>,
        next: Seq,
    ) -> rusqlite::Result<bool> {
        if self.count + free.names.len() < ASIDE_MAX {
            return Ok(false);
        }
        let aside = self.aside.iter().flat_map(|(originator, aside)| {
            aside.iter().map(|(reference, known)| (*originator, reference, known.seq))
        });
        let free = free.names.iter().map(|((originator, reference), known)| (*originator, reference, known.seq));
        let mut names: Vec<_> = aside.chain(free).collect();
        names.sort_unstable();
        let mut row = transaction.prepare_cached("INSERT INTO names VALUES (?1, ?2, ?3)")?;
        for (originator, reference, seq) in names {
            row.execute((originator.0, reference.as_str(), rows::integer(seq.0)))?;
        }
        let mut before = transaction.prepare_cached("UPDATE writer SET names_before = ?1")?;
        before.execute([rows::integer(next.0)])?;
        Ok(true)
    }

    /// A batch has been committed, and what stood aside with it was written, or was not. About how many bytes of pages that changed.
    pub(super) fn committed(&mut self, free: Free<'_>, written: bool) -> u64 {
        for (name, known) in free.names {
            self.put_aside(name.clone(), known);
        }
        if !written {
            return 0;
        }
        // An originator's names lie together, in pages that the insertion splits.
        let pages = self.count / 32 + 3 * self.aside.len();
        self.count = 0;
        for (originator, aside) in std::mem::take(&mut self.aside) {
            let (Some(last), Some((newest, _))) = (self.last.get_mut(&originator), aside.last_key_value()) else {
                continue;
            };
            if last.as_ref().is_none_or(|last| last < newest) {
                *last = Some(newest.clone());
            }
        }
        pages as u64 * u64::from(schema::PAGE_BYTES)
    }

    fn put_aside(&mut self, (originator, reference): Name, known: Known) {
        self.aside.entry(originator).or_default().insert(reference, known);
        self.count += 1;
    }
}
