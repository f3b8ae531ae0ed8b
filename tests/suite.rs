//! What must hold, told as stories: one binary, so that the tree is linked once.
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot set its stage has failed"
)]

#[path = "line/mod.rs"]
mod line;
