//! The log as its readers see it: the newest checkpoint, verified; and following it for ever, each checkpoint against the one before.

mod pin;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use liaison_client::Client;
use liaison_protocol::id::{Hash, Micros};
use liaison_protocol::tlog::checkpoint::{Checkpoint, SignedNote};
use liaison_protocol::tlog::proof::is_consistent;
use liaison_protocol::trust::Trust;
use serde_json::{Value, json};

use super::context::Context;
use super::{Exit, Failure, Output, output};
use crate::app;
use crate::clock::{Clock as _, SystemClock};
use crate::config::Settings;
use pin::Pin;

/// The log of the node that you are connected to.
#[derive(Subcommand)]
pub(super) enum LogCommand {
    /// Fetch the newest checkpoint, verify it against the trust file, and print it.
    Checkpoint,
    /// Follow the log for ever: each new checkpoint must be signed, and grown out of the one before.
    Follow(Follow),
    /// Make this node's anchor anew where it is lost for good: it says how far the log was signed.
    Anchor(Anchor),
}

/// Make the anchor of a node of this machine anew, at what its store holds. Put the lost files back instead wherever you can: a store
/// that is older than what was signed cannot be told any more afterwards, and signing on from it forks the log.
#[derive(Args)]
pub(super) struct Anchor {
    /// The node's configuration.
    #[arg(long, default_value = "liaison/hub.toml", value_name = "FILE")]
    config: PathBuf,
}

impl Anchor {
    async fn run(self, output: &mut Output) -> Result<Exit, Failure> {
        let settings = Settings::read(&self.config).map_err(|bad| Failure::new(Exit::Usage, bad.to_string()))?;
        let made = app::make_anchor(&settings).await;
        let (file, size) = made.map_err(|error| Failure::failed(format!("{}: {error}", self.config.display())))?;
        output.line(format!(" ✔ {}   {size} leaves are signed, as far as the store knows", file.display()));
        output.line(format!(" Next:  liaison serve --config {}", self.config.display()));
        output.set("anchor", file.display().to_string());
        output.set("log_size", size);
        Ok(Exit::Done)
    }
}

/// Follow the log.
#[derive(Args)]
pub(super) struct Follow {
    /// The last checkpoint believed, kept from run to run; LOG.checkpoint in the context's folder where nothing is said.
    #[arg(long, value_name = "FILE")]
    pin: Option<PathBuf>,
    /// How often to ask.
    #[arg(long, default_value = "10s", value_parser = humantime::parse_duration, value_name = "TIME")]
    every: Duration,
    /// Ask once and end, e.g. from a timer.
    #[arg(long)]
    once: bool,
}

impl LogCommand {
    /// `context` says who asks, where somebody must.
    pub(super) async fn run(
        self,
        context: impl FnOnce() -> Result<Context, Failure>,
        output: &mut Output,
    ) -> Result<Exit, Failure> {
        match self {
            Self::Anchor(anchor) => anchor.run(output).await,
            Self::Checkpoint => {
                let context = context()?;
                let seen = Seen::newest(&context.connect().await?, &context.trust).await?;
                seen.print(output);
                Ok(Exit::Done)
            }
            Self::Follow(follow) => follow.run(&context()?, output).await,
        }
    }
}

/// A checkpoint that is signed by a log which the trust file names.
#[derive(Clone)]
pub(super) struct Seen {
    note: Vec<u8>,
    pub(super) checkpoint: Checkpoint,
    /// Names of the witnesses that cosigned, and when.
    witnesses: Vec<(String, Micros)>,
}

impl Seen {
    pub(super) async fn newest(client: &Client, trust: &Trust) -> Result<Self, Failure> {
        let note = client.checkpoint().await?;
        Self::verified(note.to_vec(), trust)
            .map_err(|why| Failure::new(Exit::Unverified, format!("the node's checkpoint does not verify: {why}")))
    }

    pub(super) fn verified(note: Vec<u8>, trust: &Trust) -> Result<Self, String> {
        let parsed = SignedNote::parse(&note).map_err(|bad| bad.to_string())?;
        let checkpoint = Checkpoint::parse(parsed.text()).map_err(|bad| bad.to_string())?;
        let logs = trust.policy().logs();
        let log = logs.iter().find(|log| log.name() == checkpoint.origin.to_string());
        let log = log.ok_or_else(|| format!("the trust file names no log {}", checkpoint.origin))?;
        parsed.verify(log).map_err(|bad| bad.to_string())?;
        let witnessed = trust.policy().witnessed(&parsed).map_err(|bad| bad.to_string())?;
        if !witnessed.quorum {
            return Err("fewer witnesses have cosigned it than the trust file asks for".into());
        }
        Ok(Self { note, checkpoint, witnesses: witnessed.witnesses })
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.note).into_owned()
    }

    fn to_json(&self) -> Value {
        let witnesses = self.witnesses.iter().map(|(name, at)| json!({"name": name, "at": output::time(*at)}));
        json!({
            "log_origin": self.checkpoint.origin.to_string(),
            "size": self.checkpoint.size,
            "root": self.checkpoint.root.to_hex(),
            "witnesses": witnesses.collect::<Vec<_>>(),
            "checkpoint": self.text(),
        })
    }

    fn print(&self, output: &mut Output) {
        let Checkpoint { origin, size, root } = &self.checkpoint;
        output.line(format!(
            " ✔ {origin}   {size} leaves   root {}",
            output::short(&format!("sha256:{}", root.to_hex()))
        ));
        for (name, at) in &self.witnesses {
            output.line(format!(" ✔ cosigned by {name} at {}", output::time(*at)));
        }
        output.line("");
        output.line(self.text().trim_end());
        if let Value::Object(object) = self.to_json() {
            object.into_iter().for_each(|(key, value)| output.set(&key, value));
        }
    }
}

/// How a checkpoint stands to the one believed before.
pub(super) enum Growth {
    Same,
    Grown,
    /// Both are signed and cannot both be true: whoever signed them shows different logs to different people, or at different times.
    Forked(String),
}

impl Follow {
    async fn run(self, context: &Context, output: &mut Output) -> Result<Exit, Failure> {
        let clock = SystemClock::new();
        let (mut client, mut away) = (None, false);
        loop {
            match self.look(context, &mut client, output).await {
                Ok(exit) if self.once || exit != Exit::Done || output.reader_left() => return Ok(exit),
                Ok(_) => away = false,
                // Whoever watches a log for ever outlives the node's restarts.
                Err(failure) if failure.exit == Exit::Unavailable && !self.once => {
                    if !std::mem::replace(&mut away, true) {
                        output.talk(format!(
                            " ! {}; asking again every {}",
                            failure.message,
                            humantime::format_duration(self.every)
                        ));
                    }
                    client = None;
                }
                Err(failure) => return Err(failure),
            }
            clock.until(clock.monotonic() + self.every).await;
        }
    }

    /// One look at the log.
    async fn look(
        &self,
        context: &Context,
        client: &mut Option<Client>,
        output: &mut Output,
    ) -> Result<Exit, Failure> {
        let client = match client {
            Some(client) => client,
            None => client.insert(context.connect().await?),
        };
        let newest = Seen::newest(client, &context.trust).await?;
        let path = match &self.pin {
            Some(path) => path.clone(),
            None => context.beside(&pin::file_of(&newest.checkpoint.origin)),
        };
        let pin = Pin::at(path);
        let Some(before) = pin.read()? else {
            pin.keep(&newest.note)?;
            self.say(output, &newest, "pinned", " ✔ pinned for the first time:");
            return Ok(Exit::Done);
        };
        let before = Seen::verified(before, &context.trust)
            .map_err(|why| Failure::failed(format!("{}: {why}", pin.path().display())))?;
        match growth(client, &before, &newest).await? {
            Growth::Same => {
                if self.once {
                    self.say(output, &newest, "same", " ✔ as it was:");
                }
                Ok(Exit::Done)
            }
            Growth::Grown => {
                pin.keep(&newest.note)?;
                self.say(output, &newest, "grown", &format!(" ✔ grown from {}:", before.checkpoint.size));
                Ok(Exit::Done)
            }
            Growth::Forked(why) => {
                let (first, second) = pin.save_fork(&before.note, &newest.note)?;
                let (first, second) = (first.display().to_string(), second.display().to_string());
                output.line(format!(" ✘ FORK: {why}"));
                output.line(format!("   {} leaves, believed before:  {first}", before.checkpoint.size));
                output.line(format!("   {} leaves, shown now:        {second}", newest.checkpoint.size));
                output.line("   Both are signed by the log. Keep both files, and show them to the authority and to the other partners.");
                output.emit(&json!({"event": "fork", "why": why, "before": before.to_json(), "now": newest.to_json(), "files": [first, second]}));
                Ok(Exit::Unverified)
            }
        }
    }

    /// One line, or one object, for each checkpoint.
    fn say(&self, output: &mut Output, seen: &Seen, event: &str, words: &str) {
        let Checkpoint { origin, size, .. } = &seen.checkpoint;
        output.line(format!("{words} {origin}   {size} leaves   {}", output::time(output::now())));
        let mut object = seen.to_json();
        object["event"] = event.into();
        output.emit(&object);
    }
}

pub(super) async fn growth(client: &Client, before: &Seen, newest: &Seen) -> Result<Growth, Failure> {
    let (old, new) = (&before.checkpoint, &newest.checkpoint);
    if old.origin != new.origin {
        return Err(Failure::new(
            Exit::Conflict,
            format!("the pin is of {}, the node's log is {}", old.origin, new.origin),
        )
        .next("--pin FILE, one for each log"));
    }
    if old.size == new.size {
        return Ok(match old.root == new.root {
            true => Growth::Same,
            false => Growth::Forked("two roots of one size".into()),
        });
    }
    if new.size < old.size {
        return Ok(Growth::Forked("the log has fewer leaves than it had".into()));
    }
    let proof = client.consistency(old.size, new.size).await?;
    let path: Option<Vec<Hash>> = proof.path.iter().map(|hash| Hash::from_slice(hash)).collect();
    let holds = path.is_some_and(|path| is_consistent(old.size, old.root, new.size, new.root, &path));
    Ok(match holds {
        true => Growth::Grown,
        false => Growth::Forked("the newer tree did not grow out of the older one".into()),
    })
}
