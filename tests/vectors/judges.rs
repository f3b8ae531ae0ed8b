//! Judges from elsewhere: three published crates that know nothing of ours compute the same trees, proofs, tiles and notes.

use ct_merkle::mem_backed_tree::MemoryBackedTree;
use liaison_protocol::id::Hash;
use liaison_protocol::tlog::checkpoint::{Checkpoint, SignedNote, VerifierKey};
use liaison_protocol::tlog::tile::TileId;
use liaison_protocol::tlog::tree::Tree;
use liaison_protocol::tlog::{hash, proof};
use proptest::prelude::*;
use signed_note::{Note, StandardVerifier, VerifierList};
use tlog_tiles::tlog;

use super::cases::tlog::{checkpoint, leaf, log_vkey, tree};

/// What tlog_tiles stores for a log of entries.
struct Stored(Vec<tlog::Hash>);

impl tlog::HashReader for Stored {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<tlog::Hash>, tlog::Error> {
        Ok(indexes.iter().map(|index| self.0[*index as usize]).collect())
    }
}

fn stored(size: u64) -> Stored {
    let mut stored = Stored(Vec::new());
    for nth in 0..size {
        let more = tlog::stored_hashes(nth, &leaf(nth).0, &stored).expect("hashes before are stored");
        stored.0.extend(more);
    }
    stored
}

fn merkle(size: u64) -> MemoryBackedTree<sha2::Sha256, Vec<u8>> {
    let mut tree = MemoryBackedTree::new();
    (0..size).for_each(|nth| tree.push(leaf(nth).0.to_vec()));
    tree
}

fn theirs(hash: Hash) -> tlog::Hash {
    tlog::Hash(hash.0)
}

fn all_theirs(path: &[Hash]) -> Vec<tlog::Hash> {
    path.iter().copied().map(theirs).collect()
}

fn joined(path: &[Hash]) -> Vec<u8> {
    path.iter().flat_map(|hash| hash.0).collect()
}

fn grown(tree: &Tree, old: u64) -> Vec<Hash> {
    proof::consistency(old, tree.size())
        .iter()
        .map(|range| tree.subtree(range).expect("a subtree of the tree"))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(48) })]

    #[test]
    fn they_compute_the_same_root_and_inclusion_paths(size in 1_u64..700, pick in any::<prop::sample::Index>()) {
        let (ours, stored, merkle) = (tree(size), stored(size), merkle(size));
        let root = ours.root();
        prop_assert_eq!(theirs(root), tlog::tree_hash(size, &stored).expect("a root"));
        let merkle_root = merkle.root();
        prop_assert_eq!(root.0.as_slice(), merkle_root.as_bytes().as_slice());

        let index = pick.index(size as usize) as u64;
        let path = ours.inclusion(index).expect("a leaf of the tree");
        prop_assert_eq!(all_theirs(&path), tlog::prove_record(size, index, &stored).expect("a proof"));
        let proven = merkle.prove_inclusion(index as usize);
        prop_assert_eq!(&joined(&path), proven.as_bytes());

        let leaf_hash = hash::leaf(&leaf(index).0);
        tlog::check_record(&all_theirs(&path), size, theirs(root), index, theirs(leaf_hash)).expect("holds");
        prop_assert_eq!(proof::root_of_inclusion(leaf_hash, index, size, &path), Some(root));
    }

    #[test]
    fn they_compute_the_same_consistency_proofs(new in 1_u64..700, pick in any::<prop::sample::Index>()) {
        let (ours, stored, merkle) = (tree(new), stored(new), merkle(new));
        let old = 1 + pick.index(new as usize) as u64;
        let path = grown(&ours, old);
        prop_assert_eq!(all_theirs(&path), tlog::prove_tree(new, old, &stored).expect("a proof"));
        let proven = merkle.prove_consistency((new - old) as usize);
        prop_assert_eq!(&joined(&path), proven.as_bytes());
        let (new_root, old_root) = (theirs(ours.root()), theirs(tree(old).root()));
        tlog::check_tree(&all_theirs(&path), new, new_root, old, old_root).expect("holds");
    }

    #[test]
    fn what_one_refuses_the_other_refuses(
        size in 2_u64..300,
        pick in any::<prop::sample::Index>(),
        claimed in 0_u64..320,
        flip in prop::option::of((any::<prop::sample::Index>(), 0_usize..32)),
        cut in 0_usize..3,
    ) {
        let ours = tree(size);
        let index = pick.index(size as usize) as u64;
        let mut path = ours.inclusion(index).expect("a leaf of the tree");
        path.truncate(path.len().saturating_sub(cut));
        if let (Some((place, byte)), false) = (flip, path.is_empty()) {
            let place = place.index(path.len());
            path[place].0[byte] ^= 1;
        }
        let leaf_hash = hash::leaf(&leaf(index).0);
        let we = proof::root_of_inclusion(leaf_hash, claimed, size, &path) == Some(ours.root());
        let they = tlog::check_record(&all_theirs(&path), size, theirs(ours.root()), claimed, theirs(leaf_hash)).is_ok();
        prop_assert_eq!(we, they);
    }

    #[test]
    fn they_read_what_our_log_signs(size in any::<u64>(), root in any::<[u8; 32]>()) {
        let note = checkpoint(size, Hash(root));
        let read = Note::from_bytes(note.as_bytes()).expect("a note");
        let verifier = StandardVerifier::new(&log_vkey()).expect("a verifier key");
        let known = VerifierList::new(vec![Box::new(verifier)]);
        let (verified, unknown) = read.verify(&known).expect("signed by the log");
        prop_assert_eq!((verified.len(), unknown.len()), (1, 0));
        prop_assert_eq!(read.to_bytes(), note.as_bytes());

        let theirs = tlog_tiles::Checkpoint::from_bytes(read.text()).expect("a checkpoint");
        let ours = Checkpoint::parse(SignedNote::parse(note.as_bytes()).expect("a note").text()).expect("a checkpoint");
        prop_assert_eq!(theirs.origin(), ours.origin.as_str());
        prop_assert_eq!(theirs.size(), ours.size);
        prop_assert_eq!(theirs.hash().0, ours.root.0);
    }

    #[test]
    fn they_refuse_a_changed_note_and_so_do_we(place in any::<prop::sample::Index>(), bit in 0_u32..8) {
        let mut note = checkpoint(13, Hash([7; 32])).into_bytes();
        let place = place.index(note.len());
        note[place] ^= 1 << bit;
        let verifier = StandardVerifier::new(&log_vkey()).expect("a verifier key");
        let known = VerifierList::new(vec![Box::new(verifier)]);
        let they = Note::from_bytes(&note).is_ok_and(|note| note.verify(&known).is_ok());
        let key: VerifierKey = log_vkey().parse().expect("a verifier key");
        let we = SignedNote::parse(&note).is_ok_and(|note| note.verify(&key).is_ok());
        prop_assert_eq!((we, they), (false, false));
    }
}

#[test]
fn they_cut_the_same_tiles() {
    let size = 600;
    let (ours, stored) = (tree(size), stored(size));
    let full: Vec<_> =
        tlog_tiles::Tile::new_tiles(8, 0, size).into_iter().filter(|tile| tile.width() == 256).collect();
    let tiles = ours.tiles_since(0);
    assert_eq!(tiles.len(), full.len());
    for (id, bytes) in tiles {
        let TileId::Hashes { level, index } = id else {
            panic!("the tree gives tiles of hashes");
        };
        let tile = tlog_tiles::Tile::new(8, level, index, 256, false);
        assert!(full.contains(&tile), "{}", tile.path());
        assert_eq!(tile.read_data(&stored).expect("stored"), bytes, "{}", tile.path());
    }
}
