//! Making notices and acknowledgements: salts drawn, commitments made, manifests signed.

use bytes::Bytes;
use liaison_protocol::ack::{self, Acknowledgement, Item};
use liaison_protocol::envelope::{ACKNOWLEDGEMENT_TYPE, MANIFEST_TYPE, pre_authentication_encoding, sign};
use liaison_protocol::id::{Hash, Micros, NetworkId, NoticeId, Origin, PartnerId, Reference, SystemId};
use liaison_protocol::manifest::{AudienceNames, Handling, Manifest, Relation};
use liaison_protocol::part::PartCommitment;
use liaison_protocol::proto::{self, Kind, PartRole, Precedence, RespondBy, Retention};
use liaison_protocol::signer::{SignError, Signer};
use liaison_protocol::tlog::entry::Salt;
use ring::rand::{SecureRandom as _, SystemRandom};

/// Media type of typed content.
pub const CONTENT_TYPE: &str = "application/vnd.liaison.content.v1+protobuf";

/// Draws a salt.
pub fn fresh_salt() -> Salt {
    let mut salt = [0; 32];
    SystemRandom::new().fill(&mut salt).expect("the operating system gives randomness");
    Salt(salt)
}

/// Draws many salts at once: one question to the operating system instead of one for each.
pub fn fresh_salts(count: usize) -> Vec<Salt> {
    let mut drawn = vec![[0; 32]; count];
    SystemRandom::new().fill(drawn.as_flattened_mut()).expect("the operating system gives randomness");
    drawn.into_iter().map(Salt).collect()
}

/// A notice to be signed.
#[derive(Clone, Debug)]
pub struct Draft {
    /// The network it is for.
    pub network: NetworkId,
    /// Version of the directory head the originator has seen.
    pub directory_version: u64,
    /// The originator's own name for it.
    pub reference: Reference,
    /// Its kind.
    pub kind: Kind,
    /// Who sends it.
    pub originator: PartnerId,
    /// Whom it is for.
    pub audience: AudienceNames,
    /// What recipients may do with it.
    pub handling: Handling,
    /// How urgent it is.
    pub precedence: Precedence,
    /// Now, by the originator's clock.
    pub issued_at: Micros,
    /// Not delivered after this.
    pub expires_at: Micros,
    /// How soon a decision is expected.
    pub respond_by: RespondBy,
    /// How long the content is kept.
    pub retention: Retention,
    /// The notice it is bound to.
    pub relation: Option<Relation>,
    /// What travels beside it.
    pub parts: Vec<DraftPart>,
}

/// One part.
#[derive(Clone, Debug)]
pub struct DraftPart {
    /// What it is for.
    pub role: PartRole,
    /// RFC 6838.
    pub media_type: String,
    /// The part.
    pub bytes: Bytes,
}

/// A signed notice, ready to be submitted as often as it takes.
#[derive(Clone, Debug)]
pub struct SignedNotice {
    /// Its name on every route.
    pub id: NoticeId,
    /// The originator's name for it.
    pub reference: Reference,
    /// A serialized envelope.
    pub envelope: Bytes,
    /// The parts with their salts.
    pub parts: Vec<proto::Part>,
}

impl Draft {
    /// Signs it.
    pub fn sign(self, signer: &dyn Signer) -> Result<SignedNotice, SignError> {
        let salts: Vec<_> = self.parts.iter().map(|_| fresh_salt()).collect();
        let commit =
            |(part, salt): (&DraftPart, &Salt)| PartCommitment::to(part.role, &part.media_type, salt, &part.bytes);
        let manifest = Manifest {
            network: self.network,
            directory_version: self.directory_version,
            reference: self.reference.clone(),
            kind: self.kind,
            originator: self.originator,
            audience: self.audience,
            handling: self.handling,
            precedence: self.precedence,
            issued_at: self.issued_at,
            expires_at: self.expires_at,
            respond_by: self.respond_by,
            retention: self.retention,
            relation: self.relation,
            parts: self.parts.iter().zip(&salts).map(commit).collect(),
        };
        let payload = manifest.encode();
        let id = NoticeId(Hash::of(&[&pre_authentication_encoding(MANIFEST_TYPE, &payload)]));
        let parts = self.parts.into_iter().zip(salts);
        Ok(SignedNotice {
            id,
            reference: self.reference,
            envelope: sign(MANIFEST_TYPE, payload, signer)?,
            parts: parts.map(|(part, salt)| proto::Part { salt: salt.to_bytes(), bytes: part.bytes }).collect(),
        })
    }
}

/// Who acknowledges, to which log.
#[derive(Clone, Debug)]
pub struct Recipient {
    /// The network.
    pub network: NetworkId,
    /// The log whose leaf indexes the items name.
    pub log_origin: Origin,
    /// Who signs.
    pub partner: PartnerId,
    /// Its system, as in its certificate.
    pub system: SystemId,
}

impl Recipient {
    /// Signs for items, at most 4,096, at a moment of its own clock.
    pub fn sign(&self, items: &[Item], signed_at: Micros, signer: &dyn Signer) -> Result<Bytes, SignError> {
        let acknowledgement = Acknowledgement {
            network: self.network,
            log_origin: self.log_origin.clone(),
            recipient: self.partner.clone(),
            system: self.system.clone(),
            count: u32::try_from(items.len()).map_err(|_| SignError("too many items".into()))?,
            root: ack::tree(items).root(),
            signed_at,
        };
        sign(ACKNOWLEDGEMENT_TYPE, acknowledgement.encode(), signer)
    }
}
