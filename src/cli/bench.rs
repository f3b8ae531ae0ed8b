//! How fast a node is, and what a notice costs it: a network of its own in a temporary folder, the node as its own process, and
//! notices signed beforehand, so that signing them costs the measured time nothing.

mod collect;
mod cost;
mod load;
mod network;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use clap::Args;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;

use super::demo::{self, NodeProcess};
use super::{Exit, Failure, Output};
use crate::clock::{Clock as _, Entropy as _, SystemClock, SystemEntropy};
use collect::{Collectors, Counted};
use load::{Mode, Originator, Plan, Tally};
use network::TemporaryNetwork;

/// Notices sent before anything is counted: caches and windows fill, and the rate says how many to sign.
const WARM_UP_NOTICES: usize = 4_000;
/// The warm-up ends after this, however many were sent.
const WARM_UP: Duration = Duration::from_secs(1);
/// Notices signed beforehand at most: about 1 KiB each, as they share their payload.
const NOTICES_MAX: usize = 250_000;
/// Signed beforehand, as a multiple of what the warm-up lets expect.
const HEADROOM: f64 = 2.0;
/// Receipts kept and verified at the end, all connections together.
const RECEIPTS_CHECKED: usize = 256;
/// Lines from one address that a node takes, less one for whoever looks on.
const LINES_MAX: usize = 63;

/// Measure a node of this machine: notices a second, CPU for each, and how long a durable receipt takes.
#[derive(Args)]
pub(super) struct Bench {
    /// Recipients of every notice, all in one group.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    recipients: u32,
    /// Notices on one stream for each connection, or each in a call of its own.
    #[arg(long, value_enum, default_value_t = Mode::Stream)]
    mode: Mode,
    /// Originators, with one connection each.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=16))]
    connections: u32,
    /// Notices of one connection that wait for their receipts.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=1_024))]
    in_flight: u32,
    /// How long to measure; shorter when the notices signed beforehand run out.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=300))]
    seconds: u64,
    /// Content of every notice.
    #[arg(long, default_value_t = 1_024, value_parser = clap::value_parser!(u32).range(1..=(1 << 20)), value_name = "BYTES")]
    payload: u32,
    /// Recipients are connected too, collect what comes, and sign for it in batches. Without it nothing is delivered.
    #[arg(long)]
    collect: bool,
    /// Where to make the temporary folder; its disk is the one that is measured.
    #[arg(long, value_name = "FOLDER")]
    place: Option<PathBuf>,
}

/// What one run showed.
struct Measured {
    signed: usize,
    tally: Tally,
    elapsed: Duration,
    server_cpu: Duration,
    counted: Counted,
    verify_us: f64,
    disk_us: [u32; 2],
    checked: usize,
}

impl Bench {
    pub(super) async fn run(self, output: &mut Output) -> Result<Exit, Failure> {
        if self.collect && self.connections as usize + self.recipients as usize > LINES_MAX {
            let why = format!("--collect needs a line for each recipient, and a node takes {LINES_MAX} from here");
            return Err(Failure::new(Exit::Usage, why).next("fewer recipients, or without --collect"));
        }
        output.talk(format!(
            " making a network of {} originators and {} recipients",
            self.connections, self.recipients
        ));
        let network = TemporaryNetwork::create(self.place.as_deref(), self.connections, self.recipients)?;
        let failed = |error: std::io::Error| Failure::failed(format!("signals: {error}"));
        let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
        // Whichever way this ends, the node ends before its folder goes; a panic kills it too.
        let node = demo::spawn(&network.config()).await?;
        let measured = tokio::select! {
            measured = self.measure(&network, &node, output) => measured,
            _ = terminate.recv() => Err(Failure::failed("asked to stop")),
            _ = interrupt.recv() => Err(Failure::failed("asked to stop")),
        };
        let stopped = node.stop().await;
        network.remove()?;
        self.report(&measured?, output);
        stopped?;
        Ok(Exit::Done)
    }

    async fn measure(
        &self,
        network: &TemporaryNetwork,
        node: &NodeProcess,
        output: &Output,
    ) -> Result<Measured, Failure> {
        let disk_us = cost::disk_us(network.path())?;
        let clock = Arc::new(SystemClock::new());
        let mut originators = Vec::new();
        for context in network.originators(node.address())? {
            originators.push(Originator::connect(context, clock.clone()).await?);
        }
        let recipients = if self.collect { network.recipients(node.address())? } else { Vec::new() };
        let mut collectors = Collectors::start(recipients).await?;
        let mut payload = vec![0; self.payload as usize];
        SystemEntropy::new().fill(&mut payload);
        let payload = Bytes::from(payload);

        output.talk(" warming up");
        originators = sign(originators, WARM_UP_NOTICES, &payload)?;
        let mut verify_us = cost::verify_us(&originators[0])?;
        let began = clock.monotonic();
        let (back, warm) = self.send(originators, clock.monotonic() + WARM_UP).await?;
        originators = back;
        let rate = warm.accepted as f64 / (clock.monotonic() - began).as_secs_f64();
        let wanted = (rate * self.seconds as f64 * HEADROOM) as usize;
        let count = wanted.clamp(WARM_UP_NOTICES, NOTICES_MAX);
        output.talk(format!(" signing {count} notices beforehand"));
        originators = sign(originators, count, &payload)?;

        output.talk(format!(" measuring for {} s", self.seconds));
        let (cpu, before, began) = (cost::cpu(node.id())?, collectors.counted(), clock.monotonic());
        let (back, tally) = self.send(originators, began + Duration::from_secs(self.seconds)).await?;
        let (elapsed, after, server_cpu) =
            (clock.monotonic() - began, collectors.counted(), cost::cpu(node.id())? - cpu);
        collectors.stop()?;
        if tally.accepted == 0 {
            let why = tally.refusal.unwrap_or_else(|| "nothing was sent".into());
            return Err(Failure::failed(format!("no notice was accepted: {why}")));
        }
        verify_us.extend(cost::verify_us(&back[0])?);
        output.talk(" checking receipts");
        let mut checked = 0;
        for (from, notice, receipt) in &tally.sample {
            back[*from].check(notice, receipt)?;
            checked += 1;
        }
        Ok(Measured {
            signed: count,
            elapsed,
            server_cpu,
            counted: after.since(before),
            verify_us: cost::median(verify_us),
            disk_us,
            checked,
            tally,
        })
    }

    /// All connections at once, each until the time is over or its notices are, and until the last answer is there.
    async fn send(
        &self,
        originators: Vec<Originator>,
        until: Duration,
    ) -> Result<(Vec<Originator>, Tally), Failure> {
        let connections = originators.len();
        let plan = Plan {
            mode: self.mode,
            in_flight: self.in_flight as usize,
            until,
            sample: RECEIPTS_CHECKED.div_ceil(connections),
        };
        let mut tasks = JoinSet::new();
        for originator in originators {
            tasks.spawn(originator.send(plan));
        }
        let (mut back, mut all) = (Vec::new(), Tally::default());
        while let Some(ended) = tasks.join_next().await {
            let (originator, tally) =
                ended.map_err(|error| Failure::failed(format!("a connection: {error}")))??;
            all.add(tally, back.len());
            back.push(originator);
        }
        Ok((back, all))
    }

    fn report(&self, measured: &Measured, output: &mut Output) {
        let seconds = measured.elapsed.as_secs_f64();
        let tally = &measured.tally;
        let accepted_per_s = tally.accepted as f64 / seconds;
        let counted = measured.counted;
        let deliveries_per_s = counted.delivered as f64 / seconds;
        let cpu_us = measured.server_cpu.as_secs_f64() * 1e6 / tally.accepted as f64;
        let ratio = cpu_us / measured.verify_us;
        let (p50, p99) = (tally.latency_us(0.50), tally.latency_us(0.99));
        let [disk_p50, disk_p99] = measured.disk_us;
        let mode = self.mode.word();
        output.line(format!(
            " {mode}, {} connections with {} in flight, {} recipients, {} bytes, {seconds:.1} s",
            self.connections, self.in_flight, self.recipients, self.payload
        ));
        output.line(format!(" accepted         {accepted_per_s:>10.0} /s      {} refused", tally.refused));
        if self.collect {
            let acknowledged = counted.acknowledged as f64 / seconds;
            output.line(format!(
                " delivered        {deliveries_per_s:>10.0} /s      {acknowledged:.0} acknowledged /s, {:.0} under one signature",
                counted.batch()
            ));
        } else {
            output.line(" delivered                 0 /s      nobody collected; see --collect");
        }
        output.line(format!(" server CPU       {cpu_us:>10.1} µs      for each notice accepted"));
        output.line(format!(
            " verification     {:>10.1} µs      one Ed25519 signature, strictly",
            measured.verify_us
        ));
        output.line(format!(" ratio            {ratio:>10.2}"));
        output.line(format!(" durable receipt  {p50:>10} µs      p50; p99 {p99} µs"));
        output.line(format!(
            " the disk alone   {disk_p50:>10} µs      p50; p99 {disk_p99} µs, 4 KiB written and synchronised"
        ));
        output.line(format!(" ✔ {} receipts verified", measured.checked));
        output.set("mode", mode);
        output.set("recipients", self.recipients);
        output.set("connections", self.connections);
        output.set("in_flight", self.in_flight);
        output.set("payload_bytes", self.payload);
        output.set("seconds", round(seconds));
        output.set("notices_signed", measured.signed);
        output.set("ran_out", tally.accepted + tally.refused == measured.signed as u64);
        output.set("accepted", tally.accepted);
        output.set("refused", tally.refused);
        output.set("accepted_per_s", round(accepted_per_s));
        output.set("collected", self.collect);
        output.set("deliveries_per_s", round(deliveries_per_s));
        output.set("acknowledgements_per_s", round(counted.acknowledged as f64 / seconds));
        output.set("acknowledged_in_batches_of", round(counted.batch()));
        output.set("server_cpu_us_per_notice", round(cpu_us));
        output.set("verify_us", round(measured.verify_us));
        output.set("cpu_ratio", round(ratio));
        output.set("p50_us", p50);
        output.set("p99_us", p99);
        output.set("disk_p50_us", disk_p50);
        output.set("disk_p99_us", disk_p99);
        output.set("receipts_checked", measured.checked);
    }
}

/// Gives every originator its share of notices.
fn sign(mut originators: Vec<Originator>, count: usize, payload: &Bytes) -> Result<Vec<Originator>, Failure> {
    let share = count.div_ceil(originators.len());
    for originator in &mut originators {
        originator.sign(share, payload)?;
    }
    Ok(originators)
}

fn round(number: f64) -> f64 {
    (number * 100.0).round() / 100.0
}
