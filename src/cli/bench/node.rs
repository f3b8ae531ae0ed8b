//! The node as its own process, so that its CPU time is its own and is counted by the kernel.

use std::fs::File;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::cli::{Exit, Failure};
use crate::clock::{Clock as _, SystemClock};

/// A node that is not ready by then will not be.
const READY_MAX: Duration = Duration::from_secs(60);
/// Linux counts CPU time for user space in hundredths of a second on every architecture (`USER_HZ`).
const TICK: Duration = Duration::from_millis(10);

/// A node that runs until it is stopped or dropped.
pub(super) struct Node {
    child: Child,
    address: String,
    /// Kept open, so that the node never writes into nothing.
    _says: BufReader<tokio::process::ChildStdout>,
}

impl Node {
    /// Starts it and waits until partners may call.
    pub(super) async fn start(config: &Path, log: &Path) -> Result<Self, Failure> {
        let failed = |error: std::io::Error| Failure::failed(format!("the node could not be started: {error}"));
        let mut child = Command::new(std::env::current_exe().map_err(failed)?)
            .arg("serve")
            .arg("--config")
            .arg(config)
            .args(["--output", "json"])
            .env("RUST_LOG", "warn")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(log).map_err(failed)?)
            .kill_on_drop(true)
            .spawn()
            .map_err(failed)?;
        let mut says = BufReader::new(child.stdout.take().expect("stdout is piped"));
        let (clock, mut line) = (SystemClock::new(), String::new());
        tokio::select! {
            read = says.read_line(&mut line) => drop(read.map_err(failed)?),
            () = clock.until(READY_MAX) => {}
        }
        let ready: Option<serde_json::Value> = serde_json::from_str(&line).ok();
        let address = ready.as_ref().and_then(|ready| ready.get("address")?.as_str());
        match address {
            Some(address) => Ok(Self { address: address.into(), child, _says: says }),
            None => {
                let log = std::fs::read_to_string(log).unwrap_or_default();
                let last = log.lines().last().unwrap_or(line.trim());
                Err(Failure::new(Exit::Unavailable, format!("the node is not ready: {last}")))
            }
        }
    }

    /// Where it listens.
    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// CPU time of all its threads so far, in user space and in the kernel: fields 14 and 15 of proc(5)'s `stat`.
    pub(super) fn cpu(&self) -> Result<Duration, Failure> {
        let gone = || Failure::failed("the node has ended");
        let path = format!("/proc/{}/stat", self.child.id().ok_or_else(gone)?);
        let stat = std::fs::read_to_string(&path).map_err(|error| Failure::failed(format!("{path}: {error}")))?;
        // The second field is the program's name in brackets, and may hold anything.
        let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        let ticks = after_name.split_whitespace().skip(11).take(2).map(str::parse::<u32>);
        let ticks = ticks.sum::<Result<u32, _>>().map_err(|_| Failure::failed(format!("{path} cannot be read")))?;
        Ok(TICK * ticks)
    }

    /// Kills it and waits until it is gone: nothing of it is needed any more.
    pub(super) async fn stop(&mut self) {
        // It may have ended by itself already.
        let _ = self.child.kill().await;
    }
}
