//! The node that is measured: its process is started and ended here, and seen from outside by what it uses and what it counts.

mod counted;
mod process;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::network::TemporaryNetwork;
use crate::cli::Failure;
use crate::cli::demo::{self, NodeProcess};
pub(super) use counted::Counted;
pub(super) use process::Usage;

/// Whoever asks a measurement to end. What is asked while nobody listens is heard when somebody does.
pub(super) struct Interrupts {
    terminate: Signal,
    interrupt: Signal,
}

impl Interrupts {
    /// From now on.
    pub(super) fn listen() -> Result<Self, Failure> {
        let failed = |error: std::io::Error| Failure::failed(format!("signals: {error}"));
        let terminate = signal(SignalKind::terminate()).map_err(failed)?;
        Ok(Self { terminate, interrupt: signal(SignalKind::interrupt()).map_err(failed)? })
    }

    async fn asked(&mut self) -> Failure {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
        Failure::failed("asked to stop")
    }
}

/// Does something with a network's node. Whichever way this ends, the node has ended before, and its folder can go; a panic kills it
/// too.
pub(super) async fn with_node<T>(
    network: &TemporaryNetwork,
    interrupts: &mut Interrupts,
    act: impl AsyncFnOnce(&NodeProcess) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let node = demo::spawn(&network.config()).await?;
    let done = tokio::select! {
        done = act(&node) => done,
        failure = interrupts.asked() => Err(failure),
    };
    let stopped = node.stop().await;
    let done = done?;
    stopped.map(|()| done)
}
