//! One round over the rows. Rows that need the same run share it, so that a ratio is of runs that stood side by side.

use std::collections::HashMap;

use super::Report;
use super::history::{Histories, History};
use super::peers::{Peer, Peers};
use super::rows::{
    CALM, DELIVERED, DELIVERIES, FEW_ENTRIES, IDLE, MANY, OVERLOAD, RECEIPT, Row, SATURATED, STEADY, UNARY,
    WRITTEN, WRITTEN_MANY, entries_seed, seconds_of,
};
use crate::cli::bench::idle::Idle;
use crate::cli::bench::node::Interrupts;
use crate::cli::bench::run::{Measured, Options};
use crate::cli::{Failure, Output};

/// Figures by their keys, or why there are none.
pub(super) type Figures = Result<Vec<Found>, &'static str>;
type Found = (&'static str, f64);

/// One round.
pub(super) struct Round<'a> {
    report: &'a Report,
    peers: &'a Peers,
    histories: &'a mut Histories,
    /// What has run in this round, by its options.
    ran: HashMap<&'static str, Measured>,
    core_share: f64,
}

impl<'a> Round<'a> {
    pub(super) fn new(report: &'a Report, peers: &'a Peers, histories: &'a mut Histories) -> Self {
        Self { report, peers, histories, ran: HashMap::new(), core_share: 1.0 }
    }

    /// Runs what a row needs and has not run yet, and computes its figures.
    pub(super) async fn measure(
        &mut self,
        row: Row,
        interrupts: &mut Interrupts,
        output: &Output,
    ) -> Result<Figures, Failure> {
        if let Some(why) = self.left_out(row) {
            return Ok(Err(why));
        }
        for run in row.runs() {
            if !self.ran.contains_key(run) {
                let options = Options::read(run, seconds_of(run, self.report.seconds), self.report.place.clone())?;
                let measured = options.measure(interrupts, output).await?;
                self.core_share = self.core_share.min(measured.core_share());
                self.ran.insert(*run, measured);
            }
        }
        Ok(Ok(match row {
            Row::Idle => {
                let waiting = Idle::new(self.report.place.clone(), IDLE).measure(interrupts, output).await?;
                vec![("idle_kib", waiting.kib_per_connection())]
            }
            Row::Backlog => self.backlog(interrupts, output).await?,
            Row::Entries => self.entries(interrupts, output).await?,
            _ => self.figures(row),
        }))
    }

    /// Many notices wait, and a few more come.
    async fn backlog(&mut self, interrupts: &mut Interrupts, output: &Output) -> Result<Vec<Found>, Failure> {
        let report = self.report;
        let history = self.histories.backlog(report, interrupts, output).await?;
        let measured = history.measure(CALM, report.seconds, interrupts, output).await?;
        self.core_share = self.core_share.min(measured.core_share());
        let mut figures = vec![
            ("backlog_mib", measured.resident_kib() as f64 / 1_024.0),
            ("backlog_waiting", report.sizes.waiting as f64),
        ];
        figures.extend(measured.ready_after_kill_ms().map(|ready| ("backlog_ready_ms", ready)));
        Ok(figures)
    }

    /// The same load on a long log and on a short one, which each round makes anew: a round would make it long.
    async fn entries(&mut self, interrupts: &mut Interrupts, output: &Output) -> Result<Vec<Found>, Failure> {
        let report = self.report;
        let long = self.histories.long(report, interrupts, output).await?;
        let few = entries_seed(FEW_ENTRIES);
        let short = History::seed(&few, report.place.as_deref(), interrupts, output).await?;
        let on_short = short.measure(SATURATED, report.seconds, interrupts, output).await?;
        short.remove()?;
        let on_long = long.measure(SATURATED, report.seconds, interrupts, output).await?;
        self.core_share = self.core_share.min(on_short.core_share()).min(on_long.core_share());
        let (on_short, on_long) = (on_short.accepted_per_s(), on_long.accepted_per_s());
        Ok(vec![
            ("entries_ratio", on_long / on_short),
            ("entries_long_per_s", on_long),
            ("entries_short_per_s", on_short),
            ("entries_long", report.sizes.entries as f64),
        ])
    }

    /// The part of the cores that was free in the worst of its runs; 1 if there was none.
    pub(super) fn core_share(&self) -> f64 {
        self.core_share
    }

    fn left_out(&self, row: Row) -> Option<&'static str> {
        match row {
            Row::Rabbitmq if self.peers.rabbitmq.is_none() => Some("no figure of RabbitMQ's; see --peers"),
            Row::Nats if self.peers.nats.is_none() => Some("no figure of NATS's; see --peers"),
            _ => None,
        }
    }

    /// Of runs that are there.
    fn figures(&self, row: Row) -> Vec<Found> {
        let ran = |run: &'static str| &self.ran[run];
        let over = |peer: &Option<Peer>| {
            let peer = peer.as_ref().map_or(f64::NAN, |peer| peer.confirmed_per_s);
            ran(SATURATED).accepted_per_s() / peer
        };
        match row {
            Row::Cpu => {
                let (saturated, steady) = (ran(SATURATED), ran(STEADY));
                vec![
                    ("cpu_saturated", saturated.cpu_ratio()),
                    ("cpu_steady", steady.cpu_ratio()),
                    ("cpu_saturated_us", saturated.cpu_us()),
                    ("cpu_steady_us", steady.cpu_us()),
                    ("verify_us", saturated.verify_us),
                    ("audience_hits", saturated.audience_hits as f64),
                    ("audience_misses", saturated.audience_misses as f64),
                ]
            }
            Row::Rate => vec![
                ("accepted_over_verifications", ran(SATURATED).accepted_per_verification()),
                ("accepted_per_s", ran(SATURATED).accepted_per_s()),
                ("verifications_per_s", ran(SATURATED).verifications_per_s()),
            ],
            Row::Rabbitmq => vec![("accepted_over_rabbitmq", over(&self.peers.rabbitmq))],
            Row::Nats => vec![("accepted_over_nats", over(&self.peers.nats))],
            Row::Many => {
                let many = ran(MANY).accepted_per_s();
                vec![("many_over_few", many / ran(SATURATED).accepted_per_s()), ("many_accepted_per_s", many)]
            }
            Row::Deliveries => vec![
                ("acknowledged_200_per_s", ran(DELIVERIES).acknowledgements_per_s()),
                ("delivered_200_per_s", ran(DELIVERIES).deliveries_per_s()),
            ],
            Row::Delivered => vec![("delivered_per_s", ran(DELIVERED).through_per_s())],
            Row::Unary => {
                let unary = ran(UNARY).accepted_per_s();
                vec![
                    ("unary_over_stream", unary / ran(SATURATED).accepted_per_s()),
                    ("unary_accepted_per_s", unary),
                ]
            }
            Row::Receipt => {
                let ran = ran(RECEIPT);
                let [p50, p99, disk_p50, disk_p99] =
                    [ran.latency_us(0.50), ran.latency_us(0.99), ran.disk_us(0.50), ran.disk_us(0.99)]
                        .map(f64::from);
                vec![
                    ("receipt_over_disk_p50", ran.receipt_over_disk()),
                    ("receipt_beyond_disk_p99_us", p99 - disk_p99),
                    ("receipt_p50_us", p50),
                    ("receipt_p99_us", p99),
                    ("disk_p50_us", disk_p50),
                    ("disk_p99_us", disk_p99),
                ]
            }
            Row::Written => vec![
                ("written", ran(WRITTEN).written_per_payload_byte()),
                ("written_200", ran(WRITTEN_MANY).written_per_payload_byte()),
            ],
            Row::Overload => {
                let ran = ran(OVERLOAD);
                vec![
                    ("overload_refused", ran.refused() as f64),
                    ("overload_busy", ran.busy() as f64),
                    ("overload_accepted_per_s", ran.accepted_per_s()),
                    ("overload_p99_us", f64::from(ran.latency_us(0.99))),
                    ("overload_growth_kib", ran.growth_kib() as f64),
                ]
            }
            // Measured in another way.
            Row::Idle | Row::Backlog | Row::Entries => Vec::new(),
        }
    }
}
