//! The node that is measured: its process is started and ended here, and seen from outside by what it uses and what it counts.

mod counted;
mod process;

use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::network::BenchNetwork;
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

    /// Does something, unless they ask before it is done; then it is dropped.
    pub(super) async fn unless_asked<T>(
        &mut self,
        act: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        tokio::select! {
            done = act => done,
            failure = self.asked() => Err(failure),
        }
    }

    /// Waits until they ask.
    pub(super) async fn asked(&mut self) -> Failure {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
        Failure::failed("asked to stop")
    }
}

/// How a node ends.
#[derive(Clone, Copy)]
pub(super) enum End {
    /// It is asked to (SIGTERM) and has its time.
    Stopped,
    /// As in a power cut (SIGKILL).
    Killed,
}

/// How a node came up on what is stored.
pub(super) struct Start {
    /// From starting the process until partners may call.
    pub(super) ready: Duration,
    /// Memory that was resident then, KiB.
    pub(super) resident_kib: u64,
}

impl Start {
    /// Of a node that has just become ready.
    pub(super) fn of(node: &NodeProcess) -> Result<Self, Failure> {
        Ok(Self { ready: node.ready_in(), resident_kib: Usage::of(node.id())?.resident_kib })
    }
}

/// Does something with a network's node. Whichever way this ends, the node has ended before, and its folder can go; a panic kills it
/// too.
pub(super) async fn with_node<T>(
    network: &BenchNetwork,
    end: End,
    interrupts: &mut Interrupts,
    act: impl AsyncFnOnce(&NodeProcess) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let node = demo::spawn(&network.config()).await?;
    let done = interrupts.unless_asked(act(&node)).await;
    let ended = match end {
        End::Stopped => node.stop().await,
        End::Killed => node.kill().await,
    };
    let done = done?;
    ended.map(|()| done)
}
