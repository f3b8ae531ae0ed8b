//! A node as a process of its own, ended on every way out.

use std::net::TcpListener;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, ChildStdout, Command};

use crate::cli::Failure;
use crate::clock::{Clock as _, SystemClock};

/// A node is ready within seconds, also after a crash with ten million entries; one that has to fold all of them takes a minute.
const READY_MAX: Duration = Duration::from_secs(180);
/// A node that was asked to stop does so within its drain.
const STOP_MAX: Duration = Duration::from_secs(30);

/// A running `liaison serve`.
pub(in crate::cli) struct NodeProcess {
    child: Child,
    address: String,
    ops: Option<String>,
    /// From starting the process until it said that partners may call.
    ready_in: Duration,
    /// Kept open: a node that cannot print is a node that dies.
    _stdout: BufReader<ChildStdout>,
}

/// An address on this machine that is free now.
pub(in crate::cli) fn free_address() -> Result<String, Failure> {
    let listener = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    listener
        .map(|address| address.to_string())
        .map_err(|error| Failure::failed(format!("no free address: {error}")))
}

/// Where the node of a demo or a measurement writes its audit: who watches has no use for it, and everything goes in the end.
const AUDIT: &str = "\n[audit]\nto = \"audit.jsonl\"\n";

/// Starts a node on a configuration that was made for it, and waits until it is ready.
pub(in crate::cli) async fn spawn(config: &Path) -> Result<NodeProcess, Failure> {
    let failed = |error: std::io::Error| Failure::failed(format!("the node cannot be started: {error}"));
    let program = std::env::current_exe().map_err(failed)?;
    let text = std::fs::read_to_string(config).map_err(failed)?;
    if !text.contains(AUDIT) {
        std::fs::write(config, text + AUDIT).map_err(failed)?;
    }
    let clock = SystemClock::new();
    let began = clock.monotonic();
    let mut child = Command::new(program)
        .args(["serve", "--output", "json", "--config"])
        .arg(config)
        .env_remove("LIAISON_CONTEXT")
        .env("RUST_LOG", "error")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(failed)?;
    let stdout = child.stdout.take().ok_or_else(|| Failure::failed("the node has no output"))?;
    let mut stdout = BufReader::new(stdout);
    let mut line = String::new();
    let ready = tokio::select! {
        read = stdout.read_line(&mut line) => read.map_err(failed)? > 0,
        () = clock.until(began + READY_MAX) => false,
    };
    let said: serde_json::Value = serde_json::from_str(&line).unwrap_or_default();
    if !ready || said["ready"] != true {
        return Err(Failure::failed(format!("the node did not become ready: {}", line.trim())));
    }
    let address = said["address"].as_str().unwrap_or_default().into();
    let ops = said["ops"].as_str().map(Into::into);
    Ok(NodeProcess { child, address, ops, ready_in: clock.monotonic() - began, _stdout: stdout })
}

impl NodeProcess {
    /// Where it listens; the port is real where the configuration left it to the machine.
    pub(in crate::cli) fn address(&self) -> &str {
        &self.address
    }

    /// Where it answers monitoring. None: its configuration names no such port.
    pub(in crate::cli) fn ops(&self) -> Option<&str> {
        self.ops.as_deref()
    }

    /// The process's number. None once it has ended.
    pub(in crate::cli) fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// From starting the process until it said that partners may call.
    pub(in crate::cli) fn ready_in(&self) -> Duration {
        self.ready_in
    }

    /// Ends it as a power cut would (SIGKILL), and waits until it is gone.
    pub(in crate::cli) async fn kill(mut self) -> Result<(), Failure> {
        self.child.kill().await.map_err(|error| Failure::failed(format!("kill: {error}")))
    }

    /// Asks it to stop, and waits.
    pub(in crate::cli) async fn stop(mut self) -> Result<(), Failure> {
        if let Some(id) = self.child.id() {
            let asked = Command::new("kill").args(["-TERM", &id.to_string()]).status().await;
            asked.map_err(|error| Failure::failed(format!("kill: {error}")))?;
        }
        let clock = SystemClock::new();
        let status = tokio::select! {
            status = self.child.wait() => status.map_err(|error| Failure::failed(error.to_string()))?,
            () = clock.until(STOP_MAX) => return Err(Failure::failed("the node did not stop")),
        };
        if status.success() { Ok(()) } else { Err(Failure::failed(format!("the node ended with {status}"))) }
    }
}
