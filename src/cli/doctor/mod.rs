//! `liaison doctor`: what is wrong, and the command that mends it. It gathers facts, judges them, prints, and keeps one file: the
//! checkpoint it has seen, so that the next run can tell whether the log has grown out of it.

mod check;
mod facts;
mod judge;
mod pin;
mod report;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;

use self::check::{Check, Code, Outcome};
use self::facts::Fact;
use self::pin::{Growth, Seen};
use super::{Exit, Failure, Output, context};
use crate::clock::{SharedClock, SystemClock};

/// Where `init` puts a node's configuration.
const CONFIG: &str = "liaison/hub.toml";

/// Find out what is wrong, and how to mend it.
#[derive(Args)]
pub(super) struct Doctor {
    /// The node's configuration, on its own machine; without a context, liaison/hub.toml.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Before the node is started: only what its files and its machine say.
    #[arg(long)]
    pre: bool,
}

impl Doctor {
    /// `context` is who asks, where it is a partner.
    pub(super) async fn run(self, context: Option<&str>, output: &mut Output) -> Result<Exit, Failure> {
        let clock: SharedClock = Arc::new(SystemClock::new());
        let context = context.filter(|name| !name.is_empty());
        match (self.config, context) {
            (None, Some(name)) if !self.pre => partner(&context::locate(name)?, &clock, output).await,
            (config, _) => node(&config.unwrap_or_else(|| CONFIG.into()), self.pre, &clock, output).await,
        }
    }
}

async fn node(config: &Path, pre: bool, clock: &SharedClock, output: &mut Output) -> Result<Exit, Failure> {
    let facts = facts::node::gather(config, pre, clock).await;
    let who = facts.found.as_ref().map_or("?".into(), |found| found.settings.node.to_string());
    let when = if pre { "before a start" } else { "beside the running node" };
    output.line(format!(" node     {who}   {}   {when}", config.display()));
    output.set("mode", if pre { "pre" } else { "node" });
    output.set("subject", who);
    let mut checks = judge::node(&facts);
    if let Ok(found) = &facts.found {
        let shown = found.status.as_ref().ok().and_then(|status| Seen::parse(&status.checkpoint).ok());
        remember(&mut checks, &found.growth, shown.as_ref(), output);
    }
    Ok(report::print(&checks, output))
}

async fn partner(context: &Path, clock: &SharedClock, output: &mut Output) -> Result<Exit, Failure> {
    let facts = facts::partner::gather(context, clock).await;
    let who = facts.found.as_ref().map_or("?".into(), |found| found.identity.to_string());
    let node = facts.found.as_ref().map_or("?", |found| found.file.node.as_str());
    output.line(format!(" context  {} ({who})   node {node}", context.display()));
    output.set("mode", "partner");
    output.set("subject", who);
    let mut checks = judge::partner(&facts);
    if let Ok(found) = &facts.found {
        remember(&mut checks, &found.growth, found.checkpoint.as_ref().ok(), output);
    }
    Ok(report::print(&checks, output))
}

/// Pins what was seen, if the log has grown into it; two checkpoints that cannot both be true are shown instead.
fn remember(checks: &mut [Check], growth: &Growth, seen: Option<&Seen>, output: &mut Output) {
    let (Some(seen), Some(check)) = (seen, checks.iter_mut().find(|check| check.code == Code::L02)) else { return };
    match check.outcome {
        Outcome::Ok => {
            if let Err(error) = pin::keep(&growth.file, seen) {
                let fix = check::Fix::Do(format!("let this user write {}", growth.file.display()));
                *check = Check::warning(
                    Code::L02,
                    format!("{}: {error}: the next run cannot compare", growth.file.display()),
                    fix,
                );
            }
        }
        Outcome::Failed => {
            let text = |seen: &Seen| String::from_utf8_lossy(&seen.note).into_owned();
            output.set("checkpoint_shown", text(seen));
            output.set("checkpoint_pinned", pinned(&growth.pinned).map(text));
        }
        Outcome::Warning | Outcome::Skipped => {}
    }
}

fn pinned(pinned: &Fact<Option<Seen>>) -> Option<&Seen> {
    pinned.as_ref().ok().and_then(Option::as_ref)
}
