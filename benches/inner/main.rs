//! The inner loops of the accept path, each alone, by the clock: `cargo bench --bench inner [NAME]`. `cargo test` runs each once.
//! What they cost together, counted in instructions, is told by `benches/instructions`.

mod commit;
mod statement;
mod submission;
mod tree;

#[path = "../traffic/mod.rs"]
mod traffic;
#[allow(dead_code, unused_imports, reason = "the tests' world, of which benches need a part")]
#[path = "../../src/world/mod.rs"]
mod world;

use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
// The rooms under the names by which the world's files call them.
use liaison::{anchor, clock, counts, policy, sequencer, state, store};

/// Short: what must be told apart differs by more than what longer runs would add.
fn short() -> Criterion {
    Criterion::default().warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(2))
}

criterion_group! {
    name = inner;
    config = short();
    targets = submission::all, statement::all, tree::all, commit::all
}
criterion_main!(inner);
