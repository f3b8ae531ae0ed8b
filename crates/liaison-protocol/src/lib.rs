//! What a verifier of Liaison's evidence needs, and nothing else: the bytes that are signed and hashed, the keys that sign them,
//! and the Merkle log that proves them. No network, no files, no clock: whatever is needed is handed in.
//!
//! The page beside this crate is `docs/PROTOCOL.md`; every format here is defined there, with vectors in `tests/vectors`.
#![warn(missing_docs)]

/// The wire, generated from `proto/liaison/v1`.
#[allow(missing_docs, clippy::all, reason = "generated; the protos carry the documentation")]
pub mod proto {
    include!("generated/liaison.v1.rs");
}

pub mod ack;
pub mod directory;
pub mod envelope;
pub mod id;
pub mod keyring;
pub mod limits;
pub mod manifest;
pub mod part;
pub mod reason;
pub mod receipt;
mod sha256;
pub mod signer;
pub mod statement;
pub mod text;
pub mod tlog;
pub mod trust;
pub mod wire;
