//! What the node and the command promise, told as stories from outside: one module for each room, one binary for all.
#![allow(clippy::unwrap_used, reason = "a test that cannot set its stage has failed")]

#[path = "bench/mod.rs"]
mod bench;
#[path = "commands/mod.rs"]
mod commands;
#[path = "doctor/mod.rs"]
mod doctor;
#[path = "import/mod.rs"]
mod import;
#[path = "line/mod.rs"]
mod line;
#[path = "operate/mod.rs"]
mod operate;
#[path = "outsider/mod.rs"]
mod outsider;
#[path = "path/mod.rs"]
mod path;
#[path = "scenarios/mod.rs"]
mod scenarios;
#[path = "support/mod.rs"]
mod support;
#[path = "vectors/mod.rs"]
mod vectors;
