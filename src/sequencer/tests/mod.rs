//! The single writer under a played clock, on a store that breaks where it is told to.

mod away;
mod bases;
mod commits;
mod proofs;
mod room;
mod simulation;
mod starts;
mod time;

use liaison_protocol::id::{Hash, Seq};
use liaison_protocol::tlog::proof;

use super::{Published, Running, Tiles, stored_subtree};
use crate::state::View;
use crate::store::Store;
use crate::world::Rig;

/// The hashes of a proof, as a reader of the log gets them: from the edge, or from stored tiles.
async fn path(store: &dyn Store, published: &Published, ranges: Vec<std::ops::Range<u64>>) -> Vec<Hash> {
    let mut path = Vec::new();
    for range in ranges {
        path.push(match published.tree.subtree(&range) {
            Some(hash) => hash,
            None => stored_subtree(store, published, &range, Tiles::Stored).await.expect("the tiles are there"),
        });
    }
    path
}

/// Waits, without a clock of its own, for another thread to have done something.
fn eventually(rig: &Rig, mut done: impl FnMut() -> bool) {
    for _ in 0..200_000 {
        if done() {
            return;
        }
        rig.clock.advance(std::time::Duration::from_millis(1));
        std::thread::yield_now();
    }
    panic!("it never happened");
}

/// Awaits while time passes: where much is coming, a batch waits for company.
async fn while_time_passes<T>(rig: &Rig, work: impl Future<Output = T>) -> T {
    let passes = async {
        loop {
            rig.clock.advance(std::time::Duration::from_millis(1));
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        biased;
        done = work => done,
        never = passes => never,
    }
}

fn with_view<T>(running: &Running, read: impl FnOnce(&View) -> T) -> T {
    read(&running.view.read().expect("no panic"))
}

/// The view equals the one that the store alone gives.
async fn assert_refolds(rig: &Rig, running: &Running) {
    // Whatever time has made due is through once something that came after it is answered.
    let _ = running.sequencer.append(Vec::new()).await;
    // And so is a base that came after that answer, once the next is answered.
    let _ = running.sequencer.append(Vec::new()).await;
    let head = running.sequencer.published().borrow().clone();
    let head = crate::store::Head { log: 0, base: head.base, next: head.next, root: head.tree.root() };
    let folded = super::fold::everything(&rig.memory, &head).await.expect("folds");
    assert!(with_view(running, |view| *view == folded), "the live view is not what the store says");
    assert_eq!(folded.next(), Seq(head.next.0));
    let begun = super::fold::newest(&rig.memory, &head).await.expect("folds");
    assert!(begun.view == folded, "the base and the rest are not what everything comes to");
    let checkpoint = running.sequencer.published().borrow().clone();
    rig.assert_log_is_sound(&checkpoint).await;
}

/// One checkpoint grew into the other.
async fn assert_consistent(rig: &Rig, old: (u64, Hash), published: &Published) {
    let new = rig.checkpoint(&published.checkpoint);
    let path = path(&rig.memory, published, proof::consistency(old.0, new.size)).await;
    assert!(proof::is_consistent(old.0, old.1, new.size, new.root, &path), "{} forks from {}", new.size, old.0);
}
