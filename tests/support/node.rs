//! A node as a process: started, stopped, killed.

use std::fs::OpenOptions;
use std::path::Path;
use std::process::{ExitStatus, Stdio};

use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use super::soon;

/// A running node. Dropped, it is killed.
pub(crate) struct Node {
    process: Child,
    /// Where partners connect now: each start listens on a port of its own.
    pub(crate) address: String,
    /// Where monitoring asks; empty where the configuration names no port.
    pub(crate) ops: String,
}

impl Node {
    pub(super) async fn start(config: &Path) -> Self {
        let mut process = Self::spawn(config);
        let stdout = process.stdout.take().unwrap();
        let mut lines = BufReader::new(stdout).lines();
        let line = soon("the node to be ready", lines.next_line()).await.unwrap();
        let line = line.unwrap_or_else(|| panic!("the node did not start:\n{}", said(config)));
        let ready: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(ready["ready"], true, "{line}");
        let text = |key: &str| ready[key].as_str().unwrap_or_default().to_owned();
        Self { process, address: text("address"), ops: text("ops") }
    }

    pub(super) async fn start_in_vain(config: &Path) {
        let mut process = Self::spawn(config);
        process.kill().await.unwrap();
    }

    fn spawn(config: &Path) -> Child {
        let events = OpenOptions::new().create(true).append(true).open(config.with_extension("log")).unwrap();
        Command::new(env!("CARGO_BIN_EXE_liaison"))
            .args(["serve", "--output", "json", "--config"])
            .arg(config)
            .stdout(Stdio::piped())
            .stderr(events)
            .kill_on_drop(true)
            .spawn()
            .unwrap()
    }

    /// Asks it to stop, and says how it ended.
    pub(crate) async fn stop(mut self) -> ExitStatus {
        self.terminate();
        soon("the node to stop", self.process.wait()).await.unwrap()
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
