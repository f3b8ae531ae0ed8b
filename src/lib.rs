//! The node and the command of Liaison, a gateway that moves signed notices between agencies and proves what became of each.
//! `docs/ARCHITECTURE.md` opens with the path of a notice through these rooms.

pub mod anchor;
pub mod app;
pub mod authority;
pub mod cli;
pub mod clock;
pub mod config;
pub mod counts;
pub mod exchange;
pub mod gathering;
pub mod grpc;
pub mod http;
pub mod import;
pub mod integrity;
pub mod peer;
pub mod policy;
pub mod sequencer;
pub mod shutdown;
pub mod state;
pub mod store;
pub mod telemetry;
pub mod tls;

#[cfg(test)]
mod world;
