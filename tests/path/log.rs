//! FAULTS 78: proofs at the edges of the log.

use liaison_protocol::id::Hash;
use liaison_protocol::proto;
use liaison_protocol::tlog::hash;
use liaison_protocol::tlog::proof::{is_consistent, root_of_inclusion};
use tonic::Code;

use crate::support::*;

#[tokio::test]
async fn fault_78_every_leaf_is_proved_in_every_size_since_and_in_none_to_come() {
    let network = Network::of(&["FR", "KE"]);
    let node = network.start().await;
    let fr = network.partner("FR", &node).await;
    let mut roots = vec![fr.checkpoint().await];
    for nth in 0..9 {
        fr.send(&format!("FR/{nth}"), &["KE"]).await;
        roots.push(fr.checkpoint().await);
    }
    let hashes =
        |path: &[bytes::Bytes]| path.iter().map(|hash| Hash::from_slice(hash).unwrap()).collect::<Vec<_>>();

    // Each leaf lies in each tree that has it, and each tree grew out of each before it.
    for newer in &roots {
        for leaf in 0..newer.size {
            let proof = fr.client.inclusion(leaf, newer.size).await.unwrap();
            let found = root_of_inclusion(hash::leaf(&proof.leaf), leaf, newer.size, &hashes(&proof.path));
            assert_eq!(found, Some(newer.root), "leaf {leaf} of {}", newer.size);
        }
        for older in roots.iter().filter(|older| older.size <= newer.size) {
            let proof = fr.client.consistency(older.size, newer.size).await.unwrap();
            assert!(is_consistent(older.size, older.root, newer.size, newer.root, &hashes(&proof.path)));
        }
    }

    // Size 0 asks for the newest.
    let newest = roots.last().unwrap();
    assert_eq!(fr.client.inclusion(0, 0).await.unwrap().tree_size, newest.size);
    assert_eq!(fr.client.consistency(1, 0).await.unwrap().new_size, newest.size);

    // What is not there yet, or never, is out of range.
    let size = newest.size;
    for (leaf_index, tree_size) in [(size, 0), (0, size + 1), (size, size), (3, 3), (u64::MAX, 0), (0, u64::MAX)] {
        let request = proto::GetInclusionProofRequest { leaf_index, tree_size };
        let refused = fr.raw.inclusion(request).await.unwrap_err();
        assert_eq!((refused.code, &*refused.reason), (Code::OutOfRange, "INDEX_OUT_OF_RANGE"), "{refused:?}");
    }
    for (old_size, new_size) in [(0, 0), (0, size), (size, size - 1), (1, size + 1), (size + 1, 0), (u64::MAX, 0)] {
        let request = proto::GetConsistencyProofRequest { old_size, new_size };
        let refused = fr.raw.consistency(request).await.unwrap_err();
        assert_eq!((refused.code, &*refused.reason), (Code::OutOfRange, "INDEX_OUT_OF_RANGE"), "{refused:?}");
    }
    assert_eq!(fr.log_size().await, size);
    assert_log_is_sound(&fr).await;
}
