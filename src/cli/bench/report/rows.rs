//! The rows: what each of them says, and what it must reach.

use std::fmt;

use super::history::Sizes;

/// Sent as fast as it is answered: what a node takes at most.
pub(super) const SATURATED: &str = "--in-flight 256";
/// The same for many recipients, whom nobody connects.
pub(super) const MANY: &str = "--in-flight 256 --recipients 200";
/// A rate that does not saturate a node.
pub(super) const STEADY: &str = "--rate 10000";
/// Each notice in a call of its own.
pub(super) const UNARY: &str = "--mode unary --in-flight 64";
/// More than is asked for: 320,000 deliveries a second.
pub(super) const DELIVERIES: &str = "--rate 1600 --recipients 200 --collect";
/// How long deliveries are counted at least.
const SIGNED_FOR_SECONDS_MIN: u64 = 10;
/// Everything that is accepted is delivered and signed for.
pub(super) const DELIVERED: &str = "--in-flight 256 --collect";
/// A node with little to do: what a receipt takes.
pub(super) const RECEIPT: &str = "--rate 500";
/// 256 in flight, all connections together.
pub(super) const WRITTEN: &str = "--in-flight 64";
/// As many in flight, of many originators.
pub(super) const WRITTEN_MANY: &str = "--connections 200 --in-flight 1";
/// More than a node takes.
pub(super) const OVERLOAD: &str = "--overload";
/// A node that has little to do, and much to keep.
pub(super) const CALM: &str = "--rate 100";
/// Entries of a short log.
pub(super) const FEW_ENTRIES: u64 = 10_000;
/// Partners that wait.
pub(super) const IDLE: u32 = 500;

/// A row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Row {
    /// CPU of a notice, at saturation and at a fixed rate.
    Cpu,
    /// Accepted over what all cores verify alone.
    Rate,
    /// Accepted over what RabbitMQ confirms.
    Rabbitmq,
    /// Accepted over what NATS confirms.
    Nats,
    /// Accepting for 200 recipients over accepting for 4.
    Many,
    /// Deliveries to 200 connected recipients.
    Deliveries,
    /// Accepted, delivered to 4 and signed for.
    Delivered,
    /// Calls over a stream.
    Unary,
    /// A durable receipt over a synchronised write.
    Receipt,
    /// A partner that waits.
    Idle,
    /// Many notices that wait.
    Backlog,
    /// A long log.
    Entries,
    /// Bytes on disk for each byte of content.
    Written,
    /// More than a node takes.
    Overload,
}

/// How a network is seeded in which so many notices wait; they lie on top of a short log.
pub(super) fn backlog_seed(waiting: u64) -> String {
    format!("--entries {} --waiting {waiting}", waiting + FEW_ENTRIES)
}

/// How a network is seeded whose log is so long, and where nothing waits.
pub(super) fn entries_seed(entries: u64) -> String {
    format!("--entries {entries}")
}

/// What a figure must not pass.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Bound {
    AtMost(f64),
    AtLeast(f64),
}

impl Bound {
    pub(super) fn holds(self, value: f64) -> bool {
        match self {
            Self::AtMost(bound) => value <= bound,
            Self::AtLeast(bound) => value >= bound,
        }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtMost(bound) => write!(f, "≤ {bound}"),
            Self::AtLeast(bound) => write!(f, "≥ {bound}"),
        }
    }
}

/// One figure of a row.
pub(super) struct Figure {
    /// Its name for programs, never given to another.
    pub(super) key: &'static str,
    pub(super) says: &'static str,
    pub(super) unit: &'static str,
    /// Places behind the point.
    pub(super) places: usize,
    /// None: it stands beside another for information.
    pub(super) required: Option<Bound>,
    pub(super) goal: Option<Bound>,
}

impl Figure {
    const fn new(key: &'static str, says: &'static str, unit: &'static str, places: usize) -> Self {
        Self { key, says, unit, places, required: None, goal: None }
    }

    const fn at_most(mut self, required: f64, goal: f64) -> Self {
        (self.required, self.goal) = (Some(Bound::AtMost(required)), Some(Bound::AtMost(goal)));
        self
    }

    const fn at_least(mut self, required: f64, goal: f64) -> Self {
        (self.required, self.goal) = (Some(Bound::AtLeast(required)), Some(Bound::AtLeast(goal)));
        self
    }

    /// Whether it is what it must be. None: nothing is asked of it.
    pub(super) fn met(&self, value: f64) -> Option<bool> {
        self.required.map(|required| required.holds(value))
    }
}

/// How long a run takes when so long is asked for. What is on its way when a run ends is not signed for yet, about three quarters of a
/// second's worth: a short run would measure that instead of the rate.
pub(super) fn seconds_of(run: &str, asked: u64) -> u64 {
    if run == DELIVERIES { asked.max(SIGNED_FOR_SECONDS_MIN) } else { asked }
}

impl Row {
    /// As on the command line.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Rate => "rate",
            Self::Rabbitmq => "rabbitmq",
            Self::Nats => "nats",
            Self::Many => "many",
            Self::Deliveries => "deliveries",
            Self::Delivered => "delivered",
            Self::Unary => "unary",
            Self::Receipt => "receipt",
            Self::Idle => "idle",
            Self::Backlog => "backlog",
            Self::Entries => "entries",
            Self::Written => "written",
            Self::Overload => "overload",
        }
    }

    /// Options of the runs on fresh networks that it is computed from.
    pub(super) fn runs(self) -> &'static [&'static str] {
        match self {
            Self::Cpu => &[SATURATED, STEADY],
            Self::Rate | Self::Rabbitmq | Self::Nats => &[SATURATED],
            Self::Many => &[SATURATED, MANY],
            Self::Deliveries => &[DELIVERIES],
            Self::Delivered => &[DELIVERED],
            Self::Unary => &[SATURATED, UNARY],
            Self::Receipt => &[RECEIPT],
            Self::Written => &[WRITTEN, WRITTEN_MANY],
            Self::Overload => &[OVERLOAD],
            Self::Idle | Self::Backlog | Self::Entries => &[],
        }
    }

    /// The commands that show one round of it, each by itself.
    pub(super) fn commands(self, seconds: u64, sizes: Sizes) -> Vec<String> {
        let seeded = |seed: String, run: &str| {
            let seed = format!("liaison bench seed {seed} --place FOLDER");
            [seed, format!("liaison bench {run} --seconds {seconds} --on FOLDER")]
        };
        match self {
            Self::Idle => vec![format!("liaison bench --idle {IDLE}")],
            Self::Backlog => seeded(backlog_seed(sizes.waiting), CALM).into(),
            Self::Entries => {
                [sizes.entries, FEW_ENTRIES].map(|entries| seeded(entries_seed(entries), SATURATED)).concat()
            }
            _ => {
                let command = |run: &&str| format!("liaison bench {run} --seconds {}", seconds_of(run, seconds));
                self.runs().iter().map(command).collect()
            }
        }
    }

    /// Its figures, those that something is asked of first.
    pub(super) fn figures(self) -> &'static [Figure] {
        match self {
            Self::Cpu => CPU,
            Self::Rate => RATE,
            Self::Rabbitmq => {
                const { &[Figure::new("accepted_over_rabbitmq", "accepted over RabbitMQ's", "", 2).at_least(0.8, 1.0)] }
            }
            Self::Nats => {
                const { &[Figure::new("accepted_over_nats", "accepted over NATS's", "", 2).at_least(7.0, 9.0)] }
            }
            Self::Many => MANY_FIGURES,
            Self::Deliveries => DELIVERIES_FIGURES,
            Self::Delivered => {
                const { &[Figure::new("delivered_per_s", "notices all through", "/s", 0).at_least(12_000.0, 16_000.0)] }
            }
            Self::Unary => UNARY_FIGURES,
            Self::Receipt => RECEIPT_FIGURES,
            Self::Idle => {
                const { &[Figure::new("idle_kib", "memory of a connection", "KiB", 1).at_most(64.0, 50.0)] }
            }
            Self::Backlog => BACKLOG,
            Self::Entries => ENTRIES,
            Self::Written => WRITTEN_FIGURES,
            Self::Overload => OVERLOAD_FIGURES,
        }
    }
}

const CPU: &[Figure] = &[
    Figure::new("cpu_saturated", "CPU over a verification, saturated", "", 2).at_most(1.7, 1.5),
    Figure::new("cpu_steady", "CPU over a verification, at 10,000/s", "", 2).at_most(1.7, 1.5),
    Figure::new("cpu_saturated_us", "CPU of a notice, saturated", "µs", 1),
    Figure::new("cpu_steady_us", "CPU of a notice, at 10,000/s", "µs", 1),
    Figure::new("verify_us", "one verification", "µs", 1),
    Figure::new("audience_hits", "audiences remembered", "", 0),
    Figure::new("audience_misses", "audiences resolved", "", 0),
];

const RATE: &[Figure] = &[
    Figure::new("accepted_over_verifications", "accepted over verifications", "", 2).at_least(0.5, 0.6),
    Figure::new("accepted_per_s", "accepted", "/s", 0),
    Figure::new("verifications_per_s", "verifications alone", "/s", 0),
];

const MANY_FIGURES: &[Figure] = &[
    Figure::new("many_over_few", "200 recipients over 4", "", 2).at_least(0.8, 0.9),
    Figure::new("many_accepted_per_s", "accepted for 200", "/s", 0),
];

const DELIVERIES_FIGURES: &[Figure] = &[
    Figure::new("acknowledged_200_per_s", "delivered to 200 and signed for", "/s", 0)
        .at_least(200_000.0, 300_000.0),
    Figure::new("delivered_200_per_s", "delivered to 200", "/s", 0),
];

const UNARY_FIGURES: &[Figure] = &[
    Figure::new("unary_over_stream", "calls over streams", "", 2).at_least(0.45, 0.6),
    Figure::new("unary_accepted_per_s", "accepted in calls", "/s", 0),
];

const RECEIPT_FIGURES: &[Figure] = &[
    Figure::new("receipt_over_disk_p50", "receipt over disk, p50", "", 2).at_most(2.0, 1.5),
    Figure::new("receipt_beyond_disk_p99_us", "receipt beyond disk, p99", "µs", 0).at_most(2_000.0, 2_000.0),
    Figure::new("receipt_p50_us", "receipt, p50", "µs", 0),
    Figure::new("receipt_p99_us", "receipt, p99", "µs", 0),
    Figure::new("disk_p50_us", "disk, p50", "µs", 0),
    Figure::new("disk_p99_us", "disk, p99", "µs", 0),
];

const BACKLOG: &[Figure] = &[
    Figure::new("backlog_mib", "memory while they wait", "MiB", 0).at_most(200.0, 100.0),
    Figure::new("backlog_ready_ms", "ready after SIGKILL", "ms", 0).at_most(2_000.0, 1_000.0),
    Figure::new("backlog_waiting", "notices that wait", "", 0),
];

const ENTRIES: &[Figure] = &[
    Figure::new("entries_ratio", "long log over short log", "", 2).at_least(0.9, 0.95),
    Figure::new("entries_long_per_s", "accepted on the long log", "/s", 0),
    Figure::new("entries_short_per_s", "accepted on one of 10,000 entries", "/s", 0),
    Figure::new("entries_long", "entries of the long log", "", 0),
];

const WRITTEN_FIGURES: &[Figure] = &[
    Figure::new("written", "bytes a byte, 4 originators", "", 2).at_most(4.5, 4.0),
    Figure::new("written_200", "bytes a byte, 200 originators", "", 2),
];

const OVERLOAD_FIGURES: &[Figure] = &[
    Figure::new("overload_refused", "refused without BUSY and RetryInfo", "", 0).at_most(0.0, 0.0),
    Figure::new("overload_busy", "told BUSY, with RetryInfo", "", 0).at_least(1.0, 1.0),
    Figure::new("overload_accepted_per_s", "accepted", "/s", 0),
    Figure::new("overload_p99_us", "receipt of what was accepted, p99", "µs", 0),
    Figure::new("overload_growth_kib", "growth of memory", "KiB", 0),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use clap::ValueEnum as _;

    use super::*;

    #[test]
    fn no_two_figures_have_one_key_and_no_goal_is_easier_than_what_is_required() {
        let mut keys = BTreeSet::new();
        for row in Row::value_variants() {
            assert_eq!(row.to_possible_value().unwrap().get_name(), row.word());
            for Figure { key, required, goal, .. } in row.figures() {
                assert!(keys.insert(key), "{key}");
                match (required, goal) {
                    (Some(Bound::AtMost(required)), Some(Bound::AtMost(goal))) => {
                        assert!(goal <= required, "{key}")
                    }
                    (Some(Bound::AtLeast(required)), Some(Bound::AtLeast(goal))) => {
                        assert!(goal >= required, "{key}")
                    }
                    (required, goal) => assert_eq!((required, goal), (&None, &None), "{key}"),
                }
            }
        }
    }

    #[test]
    fn deliveries_are_counted_for_ten_seconds_at_least_and_their_command_says_so() {
        let commands = |row: Row, seconds| row.commands(seconds, Sizes { waiting: 10, entries: 10_000 }).join(", ");
        assert!(commands(Row::Deliveries, 2).ends_with("--collect --seconds 10"));
        assert!(commands(Row::Deliveries, 12).ends_with("--collect --seconds 12"));
        assert!(commands(Row::Delivered, 2).ends_with("--collect --seconds 2"));
    }

    #[test]
    fn a_bound_holds_for_itself_and_for_what_is_better() {
        let cases = [
            (Bound::AtMost(1.7), 1.7, true),
            (Bound::AtMost(1.7), 1.5, true),
            (Bound::AtMost(1.7), 1.71, false),
            (Bound::AtLeast(0.5), 0.5, true),
            (Bound::AtLeast(0.5), 0.49, false),
        ];
        for (bound, value, holds) in cases {
            assert_eq!(bound.holds(value), holds, "{value} {bound}");
        }
    }
}
