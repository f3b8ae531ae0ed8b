//! The table of what a node must reach: rows one after another, round after round, and the median of each figure.

mod compare;
mod history;
mod peers;
mod round;
mod rows;

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::{Args, ValueEnum as _};
use serde_json::{Value, json};

use super::cost::{cores, median};
use super::disturbed;
use super::node::Interrupts;
use crate::cli::{Exit, Failure, Output};
use compare::Earlier;
use history::{Histories, Sizes};
use peers::Peers;
use round::Round;
use rows::{Figure, Row};

/// Measure what a node must reach, row by row, and say what is met. Each figure is the median of several rounds; ratios are of runs
/// of one round.
#[derive(Args)]
pub(super) struct Report {
    /// Rounds over all rows.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=99))]
    runs: u32,
    /// How long each run of a round measures.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=300))]
    seconds: u64,
    /// Only these rows.
    #[arg(long, value_enum, value_delimiter = ',', value_name = "ROW")]
    rows: Vec<Row>,
    #[command(flatten)]
    sizes: Sizes,
    /// Where to make the temporary folders; their disk is the one that is measured.
    #[arg(long, value_name = "FOLDER")]
    place: Option<PathBuf>,
    /// The long log of the row `entries`, as `bench seed` has made it: it is not written anew, and stays. What it lacks of
    /// `--entries` is written first.
    #[arg(long, value_name = "FOLDER")]
    long: Option<PathBuf>,
    /// What brokers did on this machine: {"rabbitmq": {"confirmed_per_s": …}, "nats": {"confirmed_per_s": …}}.
    #[arg(long, value_name = "FILE")]
    peers: Option<PathBuf>,
    /// An earlier report's object: prints by how much each figure has changed since.
    #[arg(long, value_name = "FILE")]
    compare: Option<PathBuf>,
}

/// What the rounds showed.
#[derive(Default)]
struct Found {
    figures: BTreeMap<&'static str, Vec<f64>>,
    left_out: BTreeMap<&'static str, &'static str>,
    /// Of the cores, in the worst run of each round.
    core_shares: Vec<f64>,
}

impl Report {
    pub(super) async fn run(self, interrupts: &mut Interrupts, output: &mut Output) -> Result<Exit, Failure> {
        // What is wrong with these files is said before the first minutes are spent.
        let peers = self.peers.as_deref().map(Peers::read).transpose()?.unwrap_or_default();
        let earlier = self.compare.as_deref().map(Earlier::read).transpose()?;
        let rows = if self.rows.is_empty() { Row::value_variants() } else { &self.rows };
        let (mut found, mut histories) = (Found::default(), Histories::default());
        for nth in 1..=self.runs {
            let mut round = Round::new(&self, &peers, &mut histories);
            for row in rows {
                output.talk(format!(" round {nth} of {}, {}", self.runs, row.word()));
                match round.measure(*row, interrupts, output).await? {
                    Ok(figures) => {
                        figures
                            .into_iter()
                            .for_each(|(key, value)| found.figures.entry(key).or_default().push(value));
                    }
                    Err(why) => drop(found.left_out.insert(row.word(), why)),
                }
            }
            found.core_shares.push(round.core_share());
        }
        histories.remove()?;
        self.print(rows, &found, earlier.as_ref(), output);
        Ok(Exit::Done)
    }

    fn print(&self, rows: &[Row], found: &Found, earlier: Option<&Earlier>, output: &mut Output) {
        output.line(format!(" {:<44} {:>12} {:>10} {:>10}", "", "figure", "required", "goal"));
        let mut table = Vec::new();
        for row in rows {
            let word = row.word();
            if let Some(why) = found.left_out.get(word) {
                output.line(format!(" {word}: left out: {why}"));
                table.push(json!({"row": word, "left_out": why}));
                continue;
            }
            output.line(format!(" {word}   {}", row.commands(self.seconds, self.sizes).join("; ")));
            let judged = self.sizes.suffice_for(*row);
            for figure in row.figures() {
                let Some(values) = found.figures.get(figure.key) else { continue };
                let value = median(values.clone());
                output.line(said(figure, value, judged));
                table.push(object(*row, figure, values, judged));
            }
        }
        let medians: BTreeMap<_, _> =
            found.figures.iter().map(|(key, values)| (*key, median(values.clone()))).collect();
        output.set("runs", self.runs);
        output.set("seconds", self.seconds);
        let core_share = found.core_shares.iter().copied().fold(1.0, f64::min);
        disturbed(core_share, output);
        output.set("cores", cores());
        output.set("core_share", core_share);
        output.set("rows", table);
        let commands = rows.iter().map(|row| (row.word(), json!(row.commands(self.seconds, self.sizes))));
        output.set(
            "commands",
            commands.map(|(row, commands)| (row.to_owned(), commands)).collect::<serde_json::Map<_, _>>(),
        );
        output.set("figures", json!(medians));
        if let Some(earlier) = earlier {
            earlier.print(&medians, output);
        }
    }
}

/// A figure of less than is asked for is not judged.
fn said(figure: &Figure, value: f64, judged: bool) -> String {
    let bound = |bound: Option<rows::Bound>| bound.map(|bound| bound.to_string()).unwrap_or_default();
    let met = match figure.met(value) {
        None => "",
        Some(_) if !judged => "of less than is asked for",
        Some(false) => "not met",
        Some(true) if figure.goal.is_some_and(|goal| goal.holds(value)) => "goal met",
        Some(true) => "met",
    };
    let places = figure.places;
    let unit = format!("{} {}", figure.says, figure.unit);
    let (required, goal) = (bound(figure.required), bound(figure.goal));
    format!("   {unit:<42} {value:>12.places$} {required:>10} {goal:>10}   {met}").trim_end().to_owned()
}

fn object(row: Row, figure: &Figure, values: &[f64], judged: bool) -> Value {
    let value = median(values.to_vec());
    json!({
        "row": row.word(),
        "figure": figure.key,
        "says": figure.says,
        "unit": figure.unit,
        "value": value,
        "each": values,
        "required": figure.required.map(|bound| bound.to_string()),
        "goal": figure.goal.map(|bound| bound.to_string()),
        "met": figure.met(value).filter(|_| judged),
        "goal_met": figure.goal.map(|goal| goal.holds(value)).filter(|_| judged),
    })
}
