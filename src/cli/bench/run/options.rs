//! What one run does.

use std::path::PathBuf;

use clap::Args;

use crate::cli::bench::load::Mode;
use crate::cli::{Failure, bench};

/// Notices of one connection that may wait in an open loop. A node that is so far behind is measured as such: their time counts from
/// their moment of the schedule.
const OPEN_IN_FLIGHT_MAX: usize = 4_096;

/// Lines of each originator in an overload, with as many calls under way on each as HTTP/2 lets it have: several times what a node
/// takes from one partner.
const OVERLOAD_LINES: u64 = 8;
const OVERLOAD_CALLS: usize = 100;

// Two runs with the same options measure the same. (A doc comment here would become the command's own description.)
#[derive(Args, Clone, Debug)]
pub(in crate::cli::bench) struct Options {
    /// Recipients of every notice, all in one group.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub(in crate::cli::bench) recipients: u32,
    /// Notices on one stream for each connection, or each in a call of its own.
    #[arg(long, value_enum, default_value_t = Mode::Stream)]
    pub(in crate::cli::bench) mode: Mode,
    /// Originators, with one connection each.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=256))]
    pub(in crate::cli::bench) connections: u32,
    /// Notices of one connection that wait for their receipts.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=1_024))]
    pub(in crate::cli::bench) in_flight: u32,
    /// Send so many a second, all connections together, whether or not the node keeps up (an open loop). Receipts are timed from the
    /// moment a notice was due.
    #[arg(long, conflicts_with = "in_flight", value_parser = clap::value_parser!(u32).range(1..=250_000), value_name = "NOTICES")]
    pub(in crate::cli::bench) rate: Option<u32>,
    /// Several times what the node takes: calls on eight lines of each originator, as many as there is room for, and the next at once
    /// whenever one is answered, whatever the answer says.
    #[arg(long, conflicts_with_all = ["mode", "in_flight", "rate", "collect"])]
    pub(in crate::cli::bench) overload: bool,
    /// How long to measure; shorter when the notices signed beforehand run out.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=300))]
    pub(in crate::cli::bench) seconds: u64,
    /// Content of every notice.
    #[arg(long, default_value_t = 1_024, value_parser = clap::value_parser!(u32).range(1..=(1 << 20)), value_name = "BYTES")]
    pub(in crate::cli::bench) payload: u32,
    /// Recipients are connected too, collect what comes, and sign for it in batches. Without it nothing is delivered.
    #[arg(long)]
    pub(in crate::cli::bench) collect: bool,
    /// Where to make the temporary folder; its disk is the one that is measured.
    #[arg(long, value_name = "FOLDER")]
    pub(in crate::cli::bench) place: Option<PathBuf>,
    /// Measure on a network that `bench seed` made instead of a fresh one; its recipients are all of its own. It is kept, and what
    /// is measured stays in its log. At the end the node is killed and started again, to see how long that takes.
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["place", "recipients"])]
    pub(in crate::cli::bench) on: Option<PathBuf>,
}

impl Options {
    /// As they stand on a command line, apart from how long and where.
    pub(in crate::cli::bench) fn read(line: &str, seconds: u64, place: Option<PathBuf>) -> Result<Self, Failure> {
        Ok(Self { seconds, place, ..bench::read(line.split_whitespace())? })
    }

    /// How notices travel.
    pub(in crate::cli::bench) fn mode(&self) -> Mode {
        if self.overload { Mode::Unary } else { self.mode }
    }

    /// Notices of one line that may wait for their receipts.
    pub(in crate::cli::bench) fn in_flight(&self) -> usize {
        match self.rate {
            _ if self.overload => OVERLOAD_CALLS,
            Some(_) => OPEN_IN_FLIGHT_MAX,
            None => self.in_flight as usize,
        }
    }

    /// Lines of each originator.
    pub(in crate::cli::bench) fn lines_per_originator(&self) -> u64 {
        if self.overload { OVERLOAD_LINES } else { 1 }
    }

    /// How notices are sent, in words.
    pub(in crate::cli::bench) fn pace(&self) -> String {
        match self.rate {
            _ if self.overload => format!("{} calls in flight on each of {OVERLOAD_LINES} lines", self.in_flight()),
            Some(rate) => format!("{rate} notices /s on schedule"),
            None => format!("{} in flight", self.in_flight()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_as_from_a_command_line_and_what_is_wrong_with_them_is_said() {
        let read = |line| Options::read(line, 1, None);
        let options = read("--rate 500 --recipients 2").unwrap();
        assert_eq!((options.rate, options.recipients, options.seconds), (Some(500), 2, 1));
        assert_eq!((options.in_flight(), options.lines_per_originator()), (OPEN_IN_FLIGHT_MAX, 1));
        let overload = read("--overload").unwrap();
        assert_eq!((overload.mode(), overload.in_flight(), overload.lines_per_originator()), (Mode::Unary, 100, 8));
        for wrong in ["--rate 500 --in-flight 3", "--overload --rate 5", "--overload --mode stream", "--rate 0"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
