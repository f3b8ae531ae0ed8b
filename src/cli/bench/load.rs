//! The load: an originator with a line of its own, and the notices it has signed.

mod pace;
mod send;
mod tally;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use liaison_client::sign::SignedNotice;
use liaison_client::{Client, KnownDirectory};
use liaison_protocol::id::Micros;
use liaison_protocol::receipt::{Outcome, Receipt, verify};
use liaison_protocol::signer::Ed25519Signer;

use super::notice::Maker;
use crate::cli::context::Context;
use crate::cli::{Exit, Failure};
use crate::clock::SystemClock;
pub(super) use pace::Moments;
pub(super) use tally::Tally;

/// How notices travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, clap::ValueEnum)]
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
    /// When each notice is sent; None: as soon as there is room in flight.
    pub(super) moments: Option<Moments>,
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

impl Originator {
    /// The nth line of this partner, which has references of its own.
    pub(super) async fn connect(context: Context, nth: u64, clock: Arc<SystemClock>) -> Result<Self, Failure> {
        let (client, known) = context.connect_and_know().await?;
        let maker = Maker::new(context.partner.clone(), context.notice_key()?, nth, Micros::DAY);
        Ok(Self { context, client, known, maker, clock, notices: Vec::new() })
    }

    /// Signs the next notices to send, in the place of any that are left.
    pub(super) fn sign(&mut self, count: usize, payload: &Bytes) -> Result<(), Failure> {
        let head = self.known.head();
        self.notices = (0..count).map(|_| self.maker.next(head, payload)).collect::<Result<_, _>>()?;
        Ok(())
    }

    /// Its line, for whoever looks at the log.
    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// A key and the last notice signed with it, for measuring what one verification costs.
    pub(super) fn signed(&self) -> Option<(&Ed25519Signer, &SignedNotice)> {
        Some((self.maker.key(), self.notices.last()?))
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
