//! The node and the command of Liaison, a gateway that moves signed notices between agencies and proves what became of each.
//! `docs/ARCHITECTURE.md` opens with the path of a notice through these rooms.

pub mod clock;
pub mod import;
pub mod policy;
pub mod sequencer;
pub mod state;
pub mod store;
