//! What every notice of a measurement is like: one message to one group, with the same content as all others.

use bytes::Bytes;
use liaison_client::sign::{Draft, DraftPart, SignedNotice};
use liaison_protocol::directory::VerifiedHead;
use liaison_protocol::id::{Micros, PartnerId};
use liaison_protocol::manifest::{AudienceNames, Handling};
use liaison_protocol::proto::{
    HandlingCode, InformationEvaluation, Kind, PartRole, Precedence, RespondBy, Retention, SourceEvaluation, Tlp,
};
use liaison_protocol::signer::Ed25519Signer;

use super::network;
use crate::cli::{Failure, output};

/// References of one line of an originator: far more than it signs in a run.
const REFERENCES_OF_A_LINE: u64 = 10_000_000;

/// Signs notices of one originator, one after another, each under a reference of its own.
pub(super) struct Maker {
    partner: PartnerId,
    key: Ed25519Signer,
    /// References of this run begin with its time: on a store that is used again they are fresh, and they ascend.
    run: Micros,
    /// How long each may wait.
    lifetime_us: i64,
    made: u64,
}

impl Maker {
    /// For the nth line of this partner, which has references of its own.
    pub(super) fn new(partner: PartnerId, key: Ed25519Signer, nth: u64, lifetime_us: i64) -> Self {
        Self { partner, key, run: output::now(), lifetime_us, made: nth * REFERENCES_OF_A_LINE }
    }

    /// What it signs with.
    pub(super) fn key(&self) -> &Ed25519Signer {
        &self.key
    }

    /// The next notice, under the directory in force.
    pub(super) fn next(&mut self, head: &VerifiedHead, payload: &Bytes) -> Result<SignedNotice, Failure> {
        let failed =
            |error: &dyn std::fmt::Display| Failure::failed(format!("a notice could not be signed: {error}"));
        self.made += 1;
        let reference = format!("{}/{:x}/{:08}", self.partner, self.run.0, self.made);
        let now = output::now();
        let draft = Draft {
            network: head.network(),
            directory_version: head.version().0,
            reference: reference.parse().map_err(|error| failed(&error))?,
            kind: Kind::Message,
            originator: self.partner.clone(),
            audience: AudienceNames {
                partners: Vec::new(),
                groups: vec![network::audience()?],
                exempted: Vec::new(),
            },
            handling: Handling {
                code: HandlingCode::H0,
                restriction: String::new(),
                source: SourceEvaluation::A,
                information: InformationEvaluation::InformationEvaluation1,
                tlp: Tlp::Amber,
            },
            precedence: Precedence::Routine,
            issued_at: now,
            expires_at: now.plus(self.lifetime_us),
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
}
