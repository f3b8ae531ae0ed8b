//! How fast a node is, and what a notice costs it: a network of its own in a temporary folder, the node as its own process, and
//! notices signed beforehand, so that signing them costs the measured time nothing.

mod collect;
mod cost;
mod idle;
mod load;
mod network;
mod node;
mod notice;
mod report;
mod run;
mod seed;
mod sound;

use std::ffi::OsString;

use clap::{Args, Command, Subcommand};

use super::{Exit, Failure, Output};
use idle::Idle;
use node::Interrupts;
use run::Options;

/// Measure a node of this machine: notices a second, CPU for each, and how long a durable receipt takes.
#[derive(Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Bench {
    #[command(subcommand)]
    command: Option<BenchCommand>,
    /// Instead of a load, connect so many partners that wait, and say what memory each takes.
    #[arg(
        long,
        value_parser = clap::value_parser!(u32).range(1..=2_000),
        value_name = "PARTNERS",
        conflicts_with_all = [
            "recipients", "mode", "connections", "in_flight", "rate", "overload", "seconds", "payload", "collect", "on",
        ]
    )]
    idle: Option<u32>,
    #[command(flatten)]
    options: Options,
}

// What else can be measured. (A doc comment here would become the command's own description.)
#[derive(Subcommand)]
enum BenchCommand {
    Report(report::Report),
    Seed(seed::Seed),
}

impl Bench {
    pub(super) async fn run(self, output: &mut Output) -> Result<Exit, Failure> {
        let mut interrupts = Interrupts::listen()?;
        match (self.command, self.idle) {
            (Some(BenchCommand::Report(report)), _) => return report.run(&mut interrupts, output).await,
            (Some(BenchCommand::Seed(seed)), _) => seed.write(&mut interrupts, output).await?.print(output),
            (None, Some(partners)) => {
                Idle::new(self.options.place, partners).measure(&mut interrupts, output).await?.print(output);
            }
            (None, None) => self.options.measure(&mut interrupts, output).await?.print(output),
        }
        Ok(Exit::Done)
    }
}

/// Options as they stand on a command line.
fn read<T: Args>(words: impl IntoIterator<Item = impl Into<OsString> + Clone>) -> Result<T, Failure> {
    let command = T::augment_args(Command::new("bench").no_binary_name(true));
    let matches = command.try_get_matches_from(words);
    matches.and_then(|found| T::from_arg_matches(&found)).map_err(|error| Failure::failed(error.to_string()))
}

/// Below this part of the cores for itself, a measurement is not of an idle machine.
const CORE_SHARE_MIN: f64 = 0.95;

/// Says so if something else ran on the machine: no figure is believed from such a run without a look at others.
fn disturbed(core_share: f64, output: &Output) {
    if core_share < CORE_SHARE_MIN {
        output.line(format!(" ! something else ran on this machine: only {core_share:.2} of its cores were free"));
    }
}

/// Two places behind the point: what is printed says no more than was measured.
fn round(number: f64) -> f64 {
    (number * 100.0).round() / 100.0
}
