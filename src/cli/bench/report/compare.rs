//! This report beside an earlier one.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use serde_json::json;

use crate::cli::bench::round;
use crate::cli::{Exit, Failure, Output, read};

/// Percent; two runs of one program differ by so much on a machine that has other things to do.
const NOISE: f64 = 15.0;

/// What an earlier report found.
#[derive(Deserialize)]
pub(super) struct Earlier {
    figures: BTreeMap<String, f64>,
}

/// How one figure has changed.
#[derive(Debug, PartialEq)]
struct Change {
    key: &'static str,
    before: f64,
    now: f64,
    percent: f64,
}

impl Change {
    /// It is more than two runs of one program differ by.
    fn is_marked(&self) -> bool {
        self.percent.abs() > NOISE
    }
}

impl Earlier {
    /// Reads the object that a report printed.
    pub(super) fn read(path: &Path) -> Result<Self, Failure> {
        serde_json::from_slice(&read(path)?).map_err(|error| {
            Failure::new(Exit::Usage, format!("{}: {error}", path.display()))
                .next("liaison bench report --output json > FILE")
        })
    }

    /// Figures that both have. What was 0 has no change in percent.
    fn changes(&self, medians: &BTreeMap<&'static str, f64>) -> Vec<Change> {
        let change = |(key, now): (&&'static str, &f64)| {
            let before = *self.figures.get(*key).filter(|before| **before != 0.0)?;
            Some(Change { key, before, now: *now, percent: (now / before - 1.0) * 100.0 })
        };
        medians.iter().filter_map(change).collect()
    }

    /// For people, and for programs.
    pub(super) fn print(&self, medians: &BTreeMap<&'static str, f64>, output: &mut Output) {
        let changes = self.changes(medians);
        output.line(format!(" compared with before; ! is a change beyond {NOISE} %"));
        for change in &changes {
            let mark = if change.is_marked() { '!' } else { ' ' };
            let Change { key, before, now, percent } = change;
            output.line(format!(" {mark} {key:<42} {before:>12.2} {now:>12.2} {percent:>+9.1} %"));
        }
        let all = changes.iter().map(|change| {
            let Change { key, before, now, percent } = change;
            json!({"figure": key, "before": before, "now": now, "percent": round(*percent), "marked": change.is_marked()})
        });
        output.set("changes", all.collect::<Vec<_>>());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_beyond_what_runs_differ_by_is_marked_whichever_way_it_goes() {
        let before = [("same", 2.0), ("worse", 2.0), ("better", 2.0), ("none", 0.0), ("gone", 1.0)];
        let earlier = Earlier { figures: before.map(|(key, value)| (key.to_owned(), value)).into() };
        let now = [("same", 2.2), ("worse", 2.4), ("better", 1.6), ("none", 3.0), ("new", 1.0)].into();
        let changes = earlier.changes(&now);
        let seen: Vec<_> = changes.iter().map(|change| (change.key, change.is_marked())).collect();
        assert_eq!(seen, [("better", true), ("same", false), ("worse", true)]);
    }
}
