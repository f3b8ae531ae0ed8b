//! The Merkle log: RFC 6962 hashing and proofs, and C2SP's formats around them.

pub mod checkpoint;
pub mod cosignature;
pub mod entry;
pub mod hash;
pub mod items;
pub mod moved;
pub mod proof;
pub mod proof_file;
pub mod tile;
pub mod tree;
