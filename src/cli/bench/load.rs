//! The load: an originator with a line of its own, and the notices it has signed.

mod pace;
mod send;
mod tally;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use liaison_client::sign::{Draft, DraftPart, SignedNotice};
use liaison_client::{Client, KnownDirectory};
use liaison_protocol::id::{Micros, PartnerId};
use liaison_protocol::manifest::{AudienceNames, Handling};
use liaison_protocol::proto::{
    HandlingCode, InformationEvaluation, Kind, PartRole, Precedence, RespondBy, Retention, SourceEvaluation, Tlp,
};
use liaison_protocol::receipt::{Outcome, Receipt, verify};
use liaison_protocol::signer::Ed25519Signer;

use super::network;
use crate::cli::context::Context;
use crate::cli::{Exit, Failure, output};
use crate::clock::SystemClock;
pub(super) use pace::Moments;
pub(super) use tally::Tally;

/// References of one line of an originator: far more than it signs in a run.
const REFERENCES_OF_A_LINE: u64 = 10_000_000;

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
    key: Ed25519Signer,
    clock: Arc<SystemClock>,
    notices: Vec<SignedNotice>,
    signed: u64,
}

impl Originator {
    /// The nth line of this partner, which has references of its own.
    pub(super) async fn connect(context: Context, nth: u64, clock: Arc<SystemClock>) -> Result<Self, Failure> {
        let (client, known) = context.connect_and_know().await?;
        let key = context.notice_key()?;
        Ok(Self { context, client, known, key, clock, notices: Vec::new(), signed: nth * REFERENCES_OF_A_LINE })
    }

    /// Signs the next notices to send, in the place of any that are left.
    pub(super) fn sign(&mut self, count: usize, payload: &Bytes) -> Result<(), Failure> {
        let audience = network::audience()?;
        self.notices = (0..count).map(|_| self.sign_one(&audience, payload)).collect::<Result<_, _>>()?;
        Ok(())
    }

    fn sign_one(&mut self, audience: &PartnerId, payload: &Bytes) -> Result<SignedNotice, Failure> {
        let failed =
            |error: &dyn std::fmt::Display| Failure::failed(format!("a notice could not be signed: {error}"));
        self.signed += 1;
        let reference = format!("{}/{:08}", self.context.partner, self.signed);
        let (head, now) = (self.known.head(), output::now());
        let draft = Draft {
            network: head.network(),
            directory_version: head.version().0,
            reference: reference.parse().map_err(|error| failed(&error))?,
            kind: Kind::Message,
            originator: self.context.partner.clone(),
            audience: AudienceNames { partners: Vec::new(), groups: vec![audience.clone()], exempted: Vec::new() },
            handling: Handling {
                code: HandlingCode::H0,
                restriction: String::new(),
                source: SourceEvaluation::A,
                information: InformationEvaluation::InformationEvaluation1,
                tlp: Tlp::Amber,
            },
            precedence: Precedence::Routine,
            issued_at: now,
            expires_at: now.plus(Micros::DAY),
            respond_by: RespondBy::None,
            retention: Retention::OneYear,
            relation: None,
            parts: vec![DraftPart {
                role: PartRole::Content,
                media_type: "application/octet-stream".into(),
                bytes: payload.clone(),
            }],
        };
        draft.sign(&self.key).map_err(|error| failed(&error))
    }

    /// Its line, for whoever looks at the log.
    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// A key and the last notice signed with it, for measuring what one verification costs.
    pub(super) fn signed(&self) -> Option<(&Ed25519Signer, &SignedNotice)> {
        Some((&self.key, self.notices.last()?))
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
