//! The load: an originator with a line of its own, the notices it has signed, and what became of each.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, StreamExt as _};
use liaison_client::sign::SignedNotice;
use liaison_client::{Client, ClientError, KnownDirectory, Submitted};
use liaison_protocol::id::Micros;
use liaison_protocol::proto::SubmitStreamRequest;
use liaison_protocol::receipt::{Outcome, Receipt, verify};
use liaison_protocol::signer::Ed25519Signer;
use tokio::sync::mpsc;

use super::notice::Maker;
use crate::cli::context::Context;
use crate::cli::{Exit, Failure};
use crate::clock::{Clock as _, SystemClock};

/// How notices travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Mode {
    /// On one stream for each connection.
    Stream,
    /// Each in a call of its own.
    Unary,
}

impl Mode {
    /// As on the command line.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Stream => "stream",
            Self::Unary => "unary",
        }
    }
}

/// What every connection does.
#[derive(Clone, Copy)]
pub(super) struct Plan {
    pub(super) mode: Mode,
    pub(super) in_flight: usize,
    /// No notice is sent after this; what was sent is still answered.
    pub(super) until: Duration,
    /// Receipts of one connection to keep.
    pub(super) sample: usize,
}

/// A partner that sends.
pub(super) struct Originator {
    context: Context,
    client: Client,
    known: KnownDirectory,
    maker: Maker,
    clock: Arc<SystemClock>,
    notices: Vec<SignedNotice>,
}

/// What became of the notices.
#[derive(Default)]
pub(super) struct Tally {
    pub(super) accepted: u64,
    pub(super) refused: u64,
    /// Why the first of them was refused.
    pub(super) refusal: Option<String>,
    /// From sending to the durable receipt, microseconds.
    latencies_us: Vec<u32>,
    /// Who sent it, its envelope, its receipt.
    pub(super) sample: Vec<(usize, Bytes, Receipt)>,
}

impl Tally {
    fn take(&mut self, notice: &SignedNotice, answer: Result<Submitted, ClientError>, after: Duration, keep: bool) {
        match answer {
            Ok(submitted) => {
                self.accepted += 1;
                self.latencies_us.push(u32::try_from(after.as_micros()).unwrap_or(u32::MAX));
                if keep {
                    self.sample.push((0, notice.envelope.clone(), submitted.receipt));
                }
            }
            Err(error) => {
                self.refused += 1;
                self.refusal.get_or_insert_with(|| error.to_string());
            }
        }
    }

    /// Adds what one connection saw.
    pub(super) fn add(&mut self, other: Self, from: usize) {
        self.accepted += other.accepted;
        self.refused += other.refused;
        self.refusal = self.refusal.take().or(other.refusal);
        self.latencies_us.extend(other.latencies_us);
        self.sample.extend(other.sample.into_iter().map(|(_, notice, receipt)| (from, notice, receipt)));
    }

    /// The latency that this share of all notices stays within.
    pub(super) fn latency_us(&self, share: f64) -> u32 {
        super::cost::percentile(self.latencies_us.clone(), share)
    }
}

impl Originator {
    pub(super) async fn connect(context: Context, clock: Arc<SystemClock>) -> Result<Self, Failure> {
        let (client, known) = context.connect_and_know().await?;
        let maker = Maker::new(context.partner.clone(), context.notice_key()?, Micros::DAY);
        Ok(Self { context, client, known, maker, clock, notices: Vec::new() })
    }

    /// Signs the next notices to send, in the place of any that are left.
    pub(super) fn sign(&mut self, count: usize, payload: &Bytes) -> Result<(), Failure> {
        let head = self.known.head();
        self.notices = (0..count).map(|_| self.maker.next(head, payload)).collect::<Result<_, _>>()?;
        Ok(())
    }

    /// A key and the last notice signed with it, for measuring what one verification costs.
    pub(super) fn signed(&self) -> Option<(&Ed25519Signer, &SignedNotice)> {
        Some((self.maker.key(), self.notices.last()?))
    }

    /// Sends as planned, and comes back with what became of it.
    pub(super) async fn send(self, plan: Plan) -> Result<(Self, Tally), Failure> {
        let tally = match plan.mode {
            Mode::Stream => self.stream(plan).await?,
            Mode::Unary => self.calls(plan).await,
        };
        Ok((self, tally))
    }

    async fn stream(&self, plan: Plan) -> Result<Tally, Failure> {
        let mut stream = self.client.submit_stream().await?;
        let sender = stream.sender().expect("the stream was not closed yet");
        stream.close();
        // A place in this queue is a notice under way: as many as may be in flight, answered in order.
        let (sent, mut under_way) = mpsc::channel(plan.in_flight);
        let write = async move {
            for notice in &self.notices {
                if self.clock.monotonic() >= plan.until {
                    break;
                }
                let Ok(place) = sent.reserve().await else { break };
                place.send((notice, self.clock.monotonic()));
                let request =
                    SubmitStreamRequest { envelope: notice.envelope.clone(), parts: notice.parts.clone() };
                if sender.send(request).await.is_err() {
                    break;
                }
            }
            Ok::<_, Failure>(())
        };
        let read = async {
            let (mut tally, every) = (Tally::default(), self.every(plan));
            while let Some(answers) = stream.answers().await? {
                let now = self.clock.monotonic();
                for answer in answers {
                    let (notice, at) =
                        under_way.try_recv().map_err(|_| Failure::failed("the node answered what nobody asked"))?;
                    let keep = self.keep(&tally, every, plan);
                    tally.take(notice, answer, now - at, keep);
                }
            }
            match under_way.try_recv() {
                Ok(_) => Err(Failure::new(Exit::Unavailable, "the stream ended before its last answer")),
                Err(_) => Ok(tally),
            }
        };
        let ((), tally) = tokio::try_join!(write, read)?;
        Ok(tally)
    }

    async fn calls(&self, plan: Plan) -> Tally {
        let (mut tally, every) = (Tally::default(), self.every(plan));
        let in_time = |_: &usize| std::future::ready(self.clock.monotonic() < plan.until);
        let call = |nth: usize| async move {
            let (notice, at) = (&self.notices[nth], self.clock.monotonic());
            let answer = self.client.submit(notice).await;
            (notice, answer, self.clock.monotonic() - at)
        };
        let calls = stream::iter(0..self.notices.len()).take_while(in_time).map(call);
        let mut answers = calls.buffer_unordered(plan.in_flight);
        while let Some((notice, answer, after)) = answers.next().await {
            let keep = self.keep(&tally, every, plan);
            tally.take(notice, answer, after, keep);
        }
        tally
    }

    /// Receipts are kept this far apart, spread over half of what is signed: the run may end before the rest is sent.
    fn every(&self, plan: Plan) -> u64 {
        (self.notices.len() / 4 / plan.sample).max(1) as u64
    }

    fn keep(&self, tally: &Tally, every: u64, plan: Plan) -> bool {
        tally.sample.len() < plan.sample && tally.accepted.is_multiple_of(every)
    }

    /// Verifies one receipt as anyone would, from a complete file and the trust file alone.
    pub(super) fn check(&self, notice: &Bytes, receipt: &Receipt) -> Result<(), Failure> {
        let file = self.known.receipt_file(receipt, Some(notice.clone()))?;
        let report = verify(file.as_bytes(), Some(&self.context.trust));
        if report.outcome == Outcome::Verified {
            return Ok(());
        }
        let why = report.findings.last().map(|finding| finding.text.clone()).unwrap_or_default();
        Err(Failure::new(
            Exit::Unverified,
            format!("the receipt of leaf {} does not verify: {why}", receipt.leaf.0),
        ))
    }
}
