//! A node as a process: started, stopped, killed.

use std::fs::OpenOptions;
use std::path::Path;
use std::process::{ExitStatus, Stdio};

use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use super::soon;

/// A running node. Dropped, it is killed.
pub(crate) struct Node {
    process: Child,
    stdout: Lines<BufReader<ChildStdout>>,
    /// What it printed when it was ready.
    pub(crate) ready: String,
    /// Where partners connect now: each start listens on a port of its own.
    pub(crate) address: String,
    /// Where monitoring asks; empty where the configuration names no port.
    pub(crate) ops: String,
}

impl Node {
    pub(crate) async fn start(config: &Path) -> Self {
        Self::start_saying(config, "info").await
    }

    /// Starts it with another filter for its log.
    pub(super) async fn start_saying(config: &Path, filter: &str) -> Self {
        let mut process = Self::spawn(config, filter);
        let stdout = process.stdout.take().unwrap();
        let mut stdout = BufReader::new(stdout).lines();
        let line = soon("the node to be ready", stdout.next_line()).await.unwrap();
        let line = line.unwrap_or_else(|| panic!("the node did not start:\n{}", said(config)));
        let ready: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(ready["ready"], true, "{line}");
        let text = |key: &str| ready[key].as_str().unwrap_or_default().to_owned();
        Self { process, stdout, address: text("address"), ops: text("ops"), ready: line }
    }

    /// Begins to start it, and does not wait until it is ready.
    pub(super) fn start_waiting(config: &Path) -> Self {
        let mut process = Self::spawn(config, "info");
        let stdout = BufReader::new(process.stdout.take().unwrap()).lines();
        Self { process, stdout, ready: String::new(), address: String::new(), ops: String::new() }
    }

    pub(super) async fn start_in_vain(config: &Path) {
        let mut process = Self::spawn(config, "info");
        process.kill().await.unwrap();
    }

    fn spawn(config: &Path, filter: &str) -> Child {
        let events = OpenOptions::new().create(true).append(true).open(config.with_extension("log")).unwrap();
        Command::new(env!("CARGO_BIN_EXE_liaison"))
            .args(["serve", "--output", "json", "--config"])
            .arg(config)
            .env("RUST_LOG", filter)
            .stdout(Stdio::piped())
            .stderr(events)
            .kill_on_drop(true)
            .spawn()
            .unwrap()
    }

    /// Its process.
    pub(crate) fn id(&self) -> u32 {
        self.process.id().unwrap()
    }

    /// Asks it to stop, and says how it ended.
    pub(crate) async fn stop(mut self) -> ExitStatus {
        self.terminate();
        soon("the node to stop", self.process.wait()).await.unwrap()
    }

    /// Asks it to stop, and says how it ended and everything it printed.
    pub(crate) async fn stop_and_say(mut self) -> (ExitStatus, String) {
        self.terminate();
        let mut printed = std::mem::take(&mut self.ready);
        while let Some(line) = soon("the end of its output", self.stdout.next_line()).await.unwrap() {
            printed += &line;
        }
        (soon("the node to stop", self.process.wait()).await.unwrap(), printed)
    }

    /// Asks it to stop, and goes on.
    pub(crate) fn terminate(&self) {
        let id = self.process.id().unwrap().to_string();
        assert!(std::process::Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    }

    /// Waits for its end.
    pub(crate) async fn ended(mut self) -> ExitStatus {
        soon("the node to end", self.process.wait()).await.unwrap()
    }

    /// Ends it as a power switch would, as far as a process can tell.
    pub(crate) async fn kill(mut self) {
        soon("the node to die", self.process.kill()).await.unwrap();
    }
}

fn said(config: &Path) -> String {
    std::fs::read_to_string(config.with_extension("log")).unwrap_or_default()
}
