//! From permits to statements, and statements folded into the view.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput};
use liaison::state::{Draft, Outside, Proposal, Stage, View};
use liaison_protocol::id::{NoticeId, PartnerNumber, Reference, Seq};
use liaison_protocol::proto::ExpiredOutcome;
use liaison_protocol::tlog::entry::{Opening, Salt};
use liaison_protocol::tlog::hash;

use crate::traffic::{self, ORIGINATORS};
use crate::world::{START, World};

/// Notices decided or folded together.
const BATCH: usize = 256;

/// A store in which nothing has a name yet.
pub(crate) struct Nothing;

impl Outside for Nothing {
    fn known(&self, _: PartnerNumber, _: &Reference) -> Option<(Seq, NoticeId)> {
        None
    }

    fn salt(&mut self) -> Salt {
        Salt([7; 32])
    }

    fn unsigned(&self, _: Seq, _: PartnerNumber) -> ExpiredOutcome {
        ExpiredOutcome::NotSigned
    }
}

/// The view of a log that is open and has its directory in force.
fn opened(world: &World) -> View {
    let mut view = View::default();
    for proposal in [Proposal::OpenLog("for benches".into()), Proposal::Adopt(world.head())] {
        let drafts = drafted(&view, &[proposal]);
        let seq = view.next();
        view.apply(seq, &drafts[0].statement, &drafts[0].detail).expect("in order");
    }
    view
}

fn drafted(view: &View, proposals: &[Proposal]) -> Vec<Draft> {
    let mut stage = Stage::new(view, START, START, Nothing);
    for proposal in proposals {
        stage.decide(proposal);
    }
    stage.into_drafts()
}

/// So many notices in a batch, decided upon.
pub(crate) fn accepted(world: &World, count: usize) -> (View, Vec<Draft>) {
    let view = opened(world);
    let proposals: Vec<_> = (0..count).map(|nth| proposal(world, nth)).collect();
    let drafts = drafted(&view, &proposals);
    assert_eq!(drafts.len(), count, "all are taken");
    (view, drafts)
}

fn proposal(world: &World, nth: usize) -> Proposal {
    world.submit(traffic::draft(world, ORIGINATORS[nth % ORIGINATORS.len()], nth))
}

pub(crate) fn all(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("statement");
    let world = traffic::world();
    let view = opened(&world);
    let proposals: Vec<_> = (0..BATCH).map(|nth| proposal(&world, nth)).collect();
    let drafts = drafted(&view, &proposals);

    group.throughput(Throughput::Elements(BATCH as u64));
    group.bench_function(format!("decide {BATCH}"), |bencher| {
        bencher.iter_with_large_drop(|| drafted(&view, black_box(&proposals)));
    });
    group.bench_function(format!("fold {BATCH}"), |bencher| {
        bencher.iter_batched(
            || opened(&world),
            |mut view| {
                for draft in &drafts {
                    let seq = view.next();
                    view.apply(seq, &draft.statement, &draft.detail).expect("in order");
                }
                view
            },
            BatchSize::LargeInput,
        );
    });
    group.throughput(Throughput::Elements(1));
    group.bench_function("encode with its leaf", |bencher| {
        bencher.iter(|| {
            let opening = Opening { statement: black_box(&drafts[0].statement).encode(), salt: Salt([7; 32]) };
            let leaf = opening.leaf();
            (opening, hash::leaf(&leaf.0))
        });
    });
    group.finish();
}
