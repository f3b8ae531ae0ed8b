//! The node and the command of Liaison, a gateway that moves signed notices between agencies and proves what became of each.
//! `docs/ARCHITECTURE.md` opens with the path of a notice through these rooms.

pub mod authority;
pub mod clock;
pub mod peer;
pub mod shutdown;
pub mod store;
pub mod tls;
