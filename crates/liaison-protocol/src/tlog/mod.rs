//! The Merkle log: RFC 6962 hashing, C2SP formats around it.

pub mod entry;
pub mod hash;
pub mod tile;
