//! Making a batch durable: SQLite in a temporary folder (`TMPDIR` names the disk that is measured), synchronised as in service.

use bytes::Bytes;
use criterion::{BatchSize, Criterion, Throughput};
use liaison::sequencer::StoredParts;
use liaison::state::{Detail, Draft};
use liaison::store::sqlite::{SqliteOptions, SqliteStore};
use liaison::store::{Batch, Head, NewEntry, NewNotice, Store as _, Writer};
use liaison_protocol::id::{Hash, PartnerNumber, Seq};
use liaison_protocol::tlog::entry::{Opening, Salt};
use prost::Message as _;

use crate::statement;
use crate::traffic;

/// Notices of one batch: alone, a little load, much load.
const BATCHES: [usize; 3] = [1, 16, 256];

/// A writer, and batches that continue what it has written.
struct Growing {
    writer: Box<dyn Writer>,
    entries: Vec<NewEntry>,
    next: u64,
}

impl Growing {
    /// The next batch: each notice under a name that was never used, everything else as it came.
    fn batch(&mut self) -> Batch {
        let first = self.next;
        let mut entries = self.entries.clone();
        for entry in &mut entries {
            let notice = entry.notice.as_mut().expect("a notice");
            let originator = PartnerNumber(1 + (self.next % 4) as u32);
            notice.name = (originator, format!("O/{:08}", self.next / 4).parse().expect("a reference"));
            self.next += 1;
        }
        let root = Hash::of(&[&self.next.to_be_bytes()]);
        let head = Head { log: 0, base: Seq(0), next: Seq(self.next), root };
        let (sets, tiles, erased, notes) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Batch { first: Seq(first), entries, sets, tiles, erased, notes, base: None, head }
    }
}

/// What the sequencer makes of a draft.
fn entry(draft: Draft) -> NewEntry {
    let opening = Opening { statement: draft.statement.encode(), salt: Salt([7; 32]) };
    let permit = draft.notice.expect("it accepts a notice");
    let Detail::Audience(set) = &draft.detail else { panic!("an acceptance has an audience") };
    assert!(!set.members().is_empty());
    NewEntry {
        leaf: opening.leaf(),
        opening,
        detail: draft.detail.encode(),
        notice: Some(NewNotice {
            name: (permit.originator(), permit.manifest().manifest().reference.clone()),
            id: permit.manifest().id(),
            envelope: permit.manifest().envelope().clone(),
            parts: Bytes::from(
                StoredParts { parts: permit.parts().as_slice().to_vec(), keyid: permit.manifest().keyid().into() }
                    .encode_to_vec(),
            ),
        }),
        about: draft.about,
    }
}

pub(crate) fn all(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let mut group = criterion.benchmark_group("commit");
    let world = traffic::world();
    for count in BATCHES {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let store = SqliteStore::open(&folder.path().join("bench.db"), SqliteOptions::default()).expect("opens");
        let writer = runtime.block_on(store.writer()).expect("nobody else writes");
        let (_, drafts) = statement::accepted(&world, count);
        let mut growing = Growing { writer, entries: drafts.into_iter().map(entry).collect(), next: 0 };
        group.throughput(Throughput::Elements(count as u64));
        group.bench_function(format!("SQLite, {count}"), |bencher| {
            let growing = std::cell::RefCell::new(&mut growing);
            bencher.iter_batched(
                || growing.borrow_mut().batch(),
                |batch| {
                    let writer = &mut growing.borrow_mut().writer;
                    runtime.block_on(writer.commit(&batch)).expect("it is written");
                    batch
                },
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}
