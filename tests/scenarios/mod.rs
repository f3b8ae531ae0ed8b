//! What happens to a node as a whole, and what must be there afterwards.

#![allow(clippy::unwrap_used, reason = "in a test a panic with its place is the best answer")]

mod kills;
