//! What the node and the command promise, told as stories: one module for each room.

#[path = "import/mod.rs"]
mod import;
