//! One run: a network, its node, a load on it, and whether what the node said of it holds.

mod measured;
mod options;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::task::JoinSet;

use super::collect::Collectors;
use super::cost::{self, Disk, Verification};
use super::load::{Moments, Originator, Plan, Tally};
use super::network::BenchNetwork;
use super::node::{Counted, End, Interrupts, Start, Usage, with_node};
use super::sound::{self, Grown, Log};
use crate::cli::demo::NodeProcess;
use crate::cli::{Failure, Output};
use crate::clock::{Clock as _, Entropy as _, SystemClock, SystemEntropy};
pub(super) use measured::Measured;
pub(super) use options::Options;

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

impl Options {
    /// Makes everything, measures, verifies, and leaves nothing behind but what was there.
    pub(super) async fn measure(&self, interrupts: &mut Interrupts, output: &Output) -> Result<Measured, Failure> {
        let (network, options) = self.network(output)?;
        let measured = options.measure_on(&network, interrupts, output).await;
        network.remove()?;
        measured
    }

    /// What to measure on, and what is asked for as far as it is there.
    fn network(&self, output: &Output) -> Result<(BenchNetwork, Self), Failure> {
        let Self { connections, recipients, .. } = *self;
        let Some(kept) = &self.on else {
            output.talk(format!(" making a network of {connections} originators and {recipients} recipients"));
            let network = BenchNetwork::temporary(self.place.as_deref(), connections, recipients)?;
            return Ok((network, self.clone()));
        };
        let network = BenchNetwork::open(kept)?;
        let [originators, recipients] = network.counts();
        Ok((network, Self { connections: connections.min(originators), recipients, ..self.clone() }))
    }

    async fn measure_on(
        &self,
        network: &BenchNetwork,
        interrupts: &mut Interrupts,
        output: &Output,
    ) -> Result<Measured, Failure> {
        let end = if self.on.is_some() { End::Killed } else { End::Stopped };
        let load = async |node: &NodeProcess| self.load(network, node, output).await;
        let (mut measured, log) = with_node(network, end, interrupts, load).await?;
        if self.on.is_some() {
            output.talk(" starting again after a kill");
            let start = async |node: &NodeProcess| Start::of(node);
            measured.after_kill = Some(with_node(network, End::Stopped, interrupts, start).await?);
        }
        output.talk(" verifying what is stored");
        let (data, trust) = (network.data(), network.trust()?);
        measured.leaves_checked = interrupts.unless_asked(log.stored(&data, &trust)).await?;
        Ok(measured)
    }

    async fn load(
        &self,
        network: &BenchNetwork,
        node: &NodeProcess,
        output: &Output,
    ) -> Result<(Measured, Grown), Failure> {
        let clock = Arc::new(SystemClock::new());
        let mut originators = Vec::new();
        for nth in 0..self.lines_per_originator() {
            for context in network.originators(node.address())?.into_iter().take(self.connections as usize) {
                originators.push(Originator::connect(context, nth, clock.clone()).await?);
            }
        }
        let recipients = if self.collect { network.recipients(node.address())? } else { Vec::new() };
        let mut collectors = Collectors::start(recipients).await?;
        let log = Log::begin(originators[0].client(), network.trust()?).await?;
        let mut payload = vec![0; self.payload as usize];
        SystemEntropy::new().fill(&mut payload);
        let payload = Bytes::from(payload);

        output.talk(" warming up");
        originators = sign(originators, WARM_UP_NOTICES, &payload)?;
        let verification = Verification::of(&originators[0])?;
        let (mut verify_us, alone) = (verification.us()?, verification.alone(&clock)?);
        let began = clock.monotonic();
        let (back, warm) = self.send(originators, began, WARM_UP).await?;
        originators = back;
        let rate = warm.answered() as f64 / (clock.monotonic() - began).as_secs_f64();
        let count = self.notices(rate);
        output.talk(format!(" signing {count} notices beforehand"));
        originators = sign(originators, count, &payload)?;

        output.talk(format!(" measuring for {} s", self.seconds));
        let mut disk = Disk::of(network.path(), clock.clone());
        let (counted, delivered) = (Counted::at(node.ops()).await?, collectors.counted());
        let (before, began) = (Usage::of(node.id())?, clock.monotonic());
        let time = Duration::from_secs(self.seconds);
        let (back, tally) = tokio::select! {
            sent = self.send(originators, began, time) => sent?,
            failure = disk.write() => return Err(failure),
        };
        let (elapsed, after) = (clock.monotonic() - began, Usage::of(node.id())?);
        let (counted_after, delivered_after) = (Counted::at(node.ops()).await?, collectors.counted());
        collectors.stop()?;
        if tally.accepted == 0 {
            let why = tally.refusal().unwrap_or("nothing was sent");
            return Err(Failure::failed(format!("no notice was accepted: {why}")));
        }
        verify_us.extend(verification.us()?);
        let alone = alone.and(verification.alone(&clock)?);
        output.talk(" checking receipts");
        let receipts_checked = sound::receipts(&tally, &back)?;
        let measured = Measured {
            options: self.clone(),
            signed: count,
            elapsed,
            collected: delivered_after.since(delivered),
            audience_hits: counted_after.audience_hits - counted.audience_hits,
            audience_misses: counted_after.audience_misses - counted.audience_misses,
            ready: node.ready_in(),
            before,
            after,
            after_kill: None,
            verify_us: cost::median(verify_us),
            alone,
            disk,
            receipts_checked,
            leaves_checked: 0,
            tally,
        };
        Ok((measured, log.end().await?))
    }

    /// How many to sign: what a schedule asks for, or more than can be sent.
    fn notices(&self, rate: f64) -> usize {
        let per_s = self.rate.map_or(rate * HEADROOM, f64::from);
        ((per_s * self.seconds as f64).ceil() as usize).clamp(1, NOTICES_MAX)
    }

    /// All lines at once, each until the time is over or its notices are, and until the last answer is there.
    async fn send(
        &self,
        originators: Vec<Originator>,
        began: Duration,
        time: Duration,
    ) -> Result<(Vec<Originator>, Tally), Failure> {
        let lines = originators.len();
        let mut tasks = JoinSet::new();
        for (nth, originator) in (0_u32..).zip(originators) {
            let second = Duration::from_secs(1);
            let plan = Plan {
                mode: self.mode(),
                in_flight: self.in_flight(),
                // The lines take turns, so that notices come evenly and not in as many at once.
                moments: self.rate.map(|rate| Moments {
                    first: began + second * nth / rate,
                    every: second * lines as u32 / rate,
                }),
                until: began + time,
                sample: RECEIPTS_CHECKED.div_ceil(lines),
            };
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
}

/// Gives every line its share of notices.
fn sign(mut originators: Vec<Originator>, count: usize, payload: &Bytes) -> Result<Vec<Originator>, Failure> {
    let share = count.div_ceil(originators.len());
    for originator in &mut originators {
        originator.sign(share, payload)?;
    }
    Ok(originators)
}
