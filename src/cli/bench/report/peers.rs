//! What other brokers do on this machine, as somebody measured it beside this report.

use std::path::Path;

use serde::Deserialize;

use crate::cli::{Exit, Failure, read};

/// Figures of other brokers; what is not there was not measured.
#[derive(Default, Deserialize)]
pub(super) struct Peers {
    pub(super) rabbitmq: Option<Peer>,
    pub(super) nats: Option<Peer>,
}

/// One broker.
#[derive(Deserialize)]
pub(super) struct Peer {
    /// Messages a second that it confirmed as durable.
    pub(super) confirmed_per_s: f64,
}

impl Peers {
    pub(super) fn read(path: &Path) -> Result<Self, Failure> {
        let bad = |problem: &dyn std::fmt::Display| {
            Failure::new(Exit::Usage, format!("{}: {problem}", path.display()))
                .next(r#"{"rabbitmq": {"confirmed_per_s": 26500}, "nats": {"confirmed_per_s": 2700}}"#)
        };
        let peers: Self = serde_json::from_slice(&read(path)?).map_err(|error| bad(&error))?;
        let slow = [&peers.rabbitmq, &peers.nats].into_iter().flatten().any(|peer| peer.confirmed_per_s <= 0.0);
        if slow {
            return Err(bad(&"confirmed_per_s must be more than 0"));
        }
        Ok(peers)
    }
}
