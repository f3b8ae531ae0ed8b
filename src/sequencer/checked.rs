//! A notice as it was read from disk, believed: what lies there may have changed since it was accepted.

use liaison_protocol::envelope::{Envelope, MANIFEST_TYPE};
use liaison_protocol::id::NoticeId;
use liaison_protocol::manifest::Manifest;
use liaison_protocol::part::Parts;
use liaison_protocol::proto;
use liaison_protocol::statement::{Accepted, Event, Statement};
use liaison_protocol::tlog::entry::Opening;
use prost::Message as _;

use super::{Ready, StoredParts};
use crate::store::StoredNotice;

/// A stored notice that is byte for byte what its statement accepted. Only [`CheckedNotice::of`] makes one, and only of one can a
/// delivery be made from what was read from disk.
#[derive(Debug)]
pub struct CheckedNotice {
    delivery: proto::Delivery,
    manifest: Manifest,
}

impl CheckedNotice {
    /// Checks the envelope against the notice's name and the signature's digest in the statement that accepted it, and its parts
    /// against the commitments of the manifest. Err: what is damaged.
    pub fn of(stored: StoredNotice, opening: &Opening) -> Result<Self, &'static str> {
        let accepted = accepted(opening)?;
        let StoredNotice { envelope: bytes, parts, .. } = stored;
        let envelope = Envelope::parse(bytes.clone()).map_err(|_| "its envelope cannot be read")?;
        if envelope.payload_type() != MANIFEST_TYPE || NoticeId(envelope.digest(MANIFEST_TYPE)) != accepted.notice {
            return Err("its envelope holds another manifest than was accepted");
        }
        if envelope.signature_digest() != Ok(accepted.signature) {
            return Err("its envelope holds another signature than was accepted");
        }
        let manifest = Manifest::parse(envelope.payload().clone()).map_err(|_| "its manifest cannot be read")?;
        let parts = match parts {
            Some(parts) => {
                let StoredParts { parts, keyid } =
                    StoredParts::decode(parts).map_err(|_| "its parts cannot be read")?;
                if envelope.keyid() != Ok(&keyid) {
                    return Err("its envelope holds another key's identifier than was accepted");
                }
                let opened = Parts::open(&manifest.parts, parts);
                opened.map_err(|_| "its parts do not open their commitments")?.into_inner()
            }
            // Erased.
            None => Vec::new(),
        };
        Ok(Self { delivery: proto::Delivery { envelope: bytes, parts }, manifest })
    }

    /// What its originator said of it.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// As it is delivered.
    pub fn into_delivery(self) -> proto::Delivery {
        self.delivery
    }

    /// Serialized, with the statement that accepted it.
    pub fn ready(self, opening: Opening) -> Ready {
        let proto::Delivery { envelope, parts } = self.delivery;
        Ready::of(envelope, parts, opening)
    }
}

/// What a statement accepted.
fn accepted(opening: &Opening) -> Result<Accepted, &'static str> {
    match Statement::decode(opening.statement.clone()).map(|statement| statement.event) {
        Ok(Event::Accepted(accepted)) => Ok(accepted),
        Ok(_) => Err("its statement accepts no notice"),
        Err(_) => Err("its statement cannot be read"),
    }
}
