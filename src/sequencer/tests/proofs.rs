//! What is published: signed only over what is durable, growing only, and every leaf provable for ever.

use liaison_protocol::id::{Hash, HeadDigest, HeadVersion};
use liaison_protocol::statement::HeadName;
use liaison_protocol::tlog::{hash, proof};

use super::{assert_consistent, path};
use crate::sequencer::Answer;
use crate::state::Proposal;
use crate::world::{Rig, World, one};

/// The cheapest statement there is: one more directory head.
fn adoption(version: u64) -> Proposal {
    let digest = HeadDigest(Hash::of(&[b"head", &version.to_be_bytes()]));
    Proposal::Adopt(HeadName { version: HeadVersion(version), digest })
}

#[tokio::test]
async fn a_head_is_signed_after_its_commit_and_its_note_is_stored_after_that() {
    let rig = Rig::new(World::small());
    let running = rig.start().await;
    for nth in 0..5 {
        let (proposal, _) = rig.world.notice("FR", &format!("FR/{nth}"), &["DE"]);
        one(&running.sequencer, proposal).await.stated();
    }
    Rig::stop(running).await;
    let calls = rig.calls.lock().expect("no panic").clone();
    assert_eq!(calls.last().map(String::as_str), Some("committed 7 with notes [7]"), "{calls:?}");
    for (nth, call) in calls.iter().enumerate() {
        let before = |wanted: &str| calls[..nth].iter().any(|call| call.starts_with(wanted));
        if let Some(size) = call.strip_prefix("sign ") {
            assert!(before(&format!("committed {size} ")), "{size} was signed ahead of the disk: {calls:?}");
        }
        if let Some((_, notes)) = call.split_once("notes [") {
            let notes = notes.trim_end_matches(']').split(',').filter(|note| !note.is_empty());
            notes.for_each(|note| assert!(before(&format!("sign {note}")), "{calls:?}"));
        }
    }
}

#[tokio::test]
async fn every_checkpoint_grew_out_of_all_before_it_and_every_receipt_is_under_its_own() {
    let rig = Rig::new(World::small());
    let running = rig.start().await;
    let mut signed = Vec::new();
    for nth in 0..60_u64 {
        let chunk = (0..1 + nth % 7).map(|more| adoption(100 * (nth + 1) + more)).collect();
        for answer in running.sequencer.append(chunk).await.expect("running") {
            let stated = answer.stated();
            rig.assert_proven(&stated);
            let checkpoint = rig.checkpoint(&stated.published.checkpoint);
            signed.push((checkpoint.size, checkpoint.root));
            for old in &signed {
                assert_consistent(&rig, *old, &stated.published).await;
            }
        }
    }
    let published = running.sequencer.published().borrow().clone();
    rig.assert_log_is_sound(&published).await;
}

#[tokio::test]
async fn fault_78_every_old_leaf_and_every_old_size_is_proven_long_after_the_edge_forgot_it() {
    let rig = Rig::new(World::small());
    let running = rig.start().await;
    let mut sizes = Vec::new();
    let mut version = 1;
    // Below and above one full tile of tiles.
    for goal in [300, 5_000, 9_000, 20_001, 66_000, 70_003] {
        while running.sequencer.published().borrow().size() < goal {
            let missing = goal - running.sequencer.published().borrow().size();
            let chunk: Vec<_> = (0..missing.min(2_000)).map(|nth| adoption(version + 1 + nth)).collect();
            version += chunk.len() as u64;
            let answers = running.sequencer.append(chunk).await.expect("running");
            assert!(answers.iter().all(|answer| matches!(answer, Answer::Stated(_))));
        }
        let published = running.sequencer.published().borrow().clone();
        let checkpoint = rig.checkpoint(&published.checkpoint);
        sizes.push((checkpoint.size, checkpoint.root));
        let leaves = rig.all().await;
        let size = checkpoint.size;
        let steps = (0..size).step_by(997).chain([255, 256, 257, size - 257, size - 256, size - 1]);
        for index in steps.filter(|index| *index < size) {
            let data = hash::leaf(&leaves[usize::try_from(index).expect("small")].leaf.0);
            let path = path(&rig.memory, &published, proof::inclusion(index, size)).await;
            let found = proof::root_of_inclusion(data, index, size, &path);
            assert_eq!(found, Some(checkpoint.root), "leaf {index} of {size}");
        }
        for old in &sizes {
            assert_consistent(&rig, *old, &published).await;
        }
        let mut newest = (size.saturating_sub(4_096)..size).step_by(61);
        assert!(newest.all(|index| published.tree.inclusion(index).is_some()), "of {size} from memory");
        // Of those before them only the rest of a batch and of a block is kept.
        let forgotten = size.checked_sub(8_000).map(|index| published.tree.node(proof::Node { height: 0, index }));
        assert_eq!(forgotten.flatten(), None, "of {size}");
    }
    Rig::stop(running).await;
    // And the same from an edge that was only just rebuilt.
    let running = rig.try_start().await.expect("starts");
    let published = running.sequencer.published().borrow().clone();
    for old in sizes {
        assert_consistent(&rig, old, &published).await;
    }
}
