//! What an integrator needs: a line to a node, signing, submitting, collecting and acknowledging, and receipts that verify without
//! any of this. The `liaison` command is its first user.
#![warn(missing_docs)]

mod acknowledge;
mod collect;
mod directory;
mod error;
mod fault;
pub mod key_file;
mod line;
mod node;
pub mod patience;
pub mod sign;
mod submit;
mod turn;

/// Client stubs, generated from `proto/liaison/v1`.
#[allow(clippy::all, unreachable_pub, missing_docs, reason = "generated; the protos carry the documentation")]
mod generated {
    include!("generated/liaison.v1.rs");
}

pub use acknowledge::{Acknowledged, ItemOutcome, Signed};
pub use collect::{Collecting, Delivered, Frame, by_reference};
pub use directory::KnownDirectory;
pub use error::ClientError;
pub use line::{Client, Endpoint, Operator};
pub use submit::{Submitted, Submitting};
pub use turn::Turn;
