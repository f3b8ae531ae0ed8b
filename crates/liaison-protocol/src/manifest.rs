//! What an originator signs: read strictly, believed only after `verify`, and judged against the clock at its first home.

use std::fmt::{self, Display};
use std::str::FromStr;

use bytes::Bytes;
use prost::Message as _;

use crate::envelope::{Envelope, Expect, Proven};
use crate::id::{BadName, Hash, KeyId, Micros, NetworkId, NoticeId, PartnerId, Reference};
use crate::limits::{
    AGE_MAX_US, AHEAD_MAX_US, AUDIENCE_GROUPS_MAX, AUDIENCE_PARTNERS_MAX, LIFETIME_MAX_US, MANIFEST_BYTES_MAX,
    MEDIA_TYPE_BYTES_MAX, PARTS_MAX, WORDS_BYTES_MAX,
};
use crate::part::PartCommitment;
use crate::proto;
use crate::reason::{Reason, Refusal};
use crate::wire::{self, Kind, Shape, many, one};

static AUDIENCE: Shape = Shape {
    name: "Audience",
    fields: &[
        many(1, "partners", Kind::Text, AUDIENCE_PARTNERS_MAX),
        many(2, "groups", Kind::Text, AUDIENCE_GROUPS_MAX),
        many(3, "exempted", Kind::Text, AUDIENCE_PARTNERS_MAX),
    ],
};
pub(crate) static HANDLING: Shape = Shape {
    name: "Handling",
    fields: &[
        one(1, "code", Kind::Varint),
        one(2, "restriction", Kind::Text),
        one(3, "source", Kind::Varint),
        one(4, "information", Kind::Varint),
        one(5, "tlp", Kind::Varint),
    ],
};
pub(crate) static RELATION: Shape = Shape {
    name: "Relation",
    fields: &[one(1, "type", Kind::Varint), one(2, "notice_id", Kind::Bytes), one(3, "reference", Kind::Text)],
};
static PART_COMMITMENT: Shape = Shape {
    name: "PartCommitment",
    fields: &[
        one(1, "role", Kind::Varint),
        one(2, "media_type", Kind::Text),
        one(3, "size", Kind::Varint),
        one(4, "commitment", Kind::Bytes),
        one(5, "plaintext_commitment", Kind::Bytes),
    ],
};
/// The shape of a manifest.
pub static MANIFEST: Shape = Shape {
    name: "Manifest",
    fields: &[
        one(1, "network", Kind::Bytes),
        one(2, "directory_version", Kind::Varint),
        one(3, "reference", Kind::Text),
        one(4, "kind", Kind::Varint),
        one(5, "originator", Kind::Text),
        one(6, "audience", Kind::Message(&AUDIENCE)),
        one(7, "handling", Kind::Message(&HANDLING)),
        one(8, "precedence", Kind::Varint),
        one(9, "issued_at_us", Kind::Varint),
        one(10, "expires_at_us", Kind::Varint),
        one(11, "respond_by", Kind::Varint),
        one(12, "retention", Kind::Varint),
        one(13, "relation", Kind::Message(&RELATION)),
        many(14, "parts", Kind::Message(&PART_COMMITMENT), PARTS_MAX),
    ],
};

/// A manifest whose every field has been read and is within its bounds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// The network it was signed in.
    pub network: NetworkId,
    /// Version of the directory head the originator saw.
    pub directory_version: u64,
    /// The originator's name for it.
    pub reference: Reference,
    /// Its kind.
    pub kind: proto::Kind,
    /// Who signed it.
    pub originator: PartnerId,
    /// Whom it is for, as written.
    pub audience: AudienceNames,
    /// What recipients may do with it.
    pub handling: Handling,
    /// How urgent it is.
    pub precedence: proto::Precedence,
    /// Declared by the originator.
    pub issued_at: Micros,
    /// Not delivered after this.
    pub expires_at: Micros,
    /// How soon a decision is expected.
    pub respond_by: proto::RespondBy,
    /// How long the content is kept.
    pub retention: proto::Retention,
    /// The notice it is bound to.
    pub relation: Option<Relation>,
    /// What travels beside it.
    pub parts: Vec<PartCommitment>,
}

/// Whom a notice is for, as the originator wrote it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AudienceNames {
    /// Named one by one.
    pub partners: Vec<PartnerId>,
    /// Named as groups.
    pub groups: Vec<PartnerId>,
    /// Left out of the groups.
    pub exempted: Vec<PartnerId>,
}

/// Handling codes, evaluation and label, all known.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Handling {
    /// SIENA code.
    pub code: proto::HandlingCode,
    /// The restriction in words, for H3 only.
    pub restriction: String,
    /// Evaluation of the source.
    pub source: proto::SourceEvaluation,
    /// Evaluation of the information.
    pub information: proto::InformationEvaluation,
    /// FIRST TLP 2.0.
    pub tlp: proto::Tlp,
}

/// A bond to an earlier notice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relation {
    /// What the bond means.
    pub kind: proto::RelationType,
    /// The notice.
    pub notice: NoticeId,
    /// Its reference, for looking it up.
    pub reference: Reference,
}

impl Manifest {
    /// Reads a manifest strictly: every field once, known, and within its bounds.
    pub fn parse(payload: Bytes) -> Result<Self, Refusal> {
        if payload.len() > MANIFEST_BYTES_MAX {
            return Err(Refusal::new(
                Reason::TooLarge,
                format!("manifest: {} bytes, at most {MANIFEST_BYTES_MAX}", payload.len()),
            )
            .with("limit_bytes", MANIFEST_BYTES_MAX));
        }
        let manifest: proto::Manifest = wire::decode(payload, &MANIFEST)?;
        let kind = known(manifest.kind(), "kind")?;
        let precedence = known(manifest.precedence(), "precedence")?;
        let respond_by = known(manifest.respond_by(), "respond_by")?;
        let retention = known(manifest.retention(), "retention")?;
        let issued_at = time(manifest.issued_at_us, "issued_at_us")?;
        let expires_at = time(manifest.expires_at_us, "expires_at_us")?;
        if expires_at <= issued_at || expires_at.since(issued_at) > LIFETIME_MAX_US {
            return Err(Refusal::field(
                "expires_at_us",
                "not after issued_at_us, or more than five years after it",
            ));
        }
        if manifest.directory_version == 0 {
            return Err(Refusal::field("directory_version", "absent"));
        }
        if manifest.parts.is_empty() {
            return Err(Refusal::field("parts", "absent"));
        }
        Ok(Self {
            network: NetworkId::from_slice(&manifest.network)
                .ok_or_else(|| Refusal::field("network", "not 32 bytes"))?,
            directory_version: manifest.directory_version,
            reference: name(&manifest.reference, "reference")?,
            kind,
            originator: name(&manifest.originator, "originator")?,
            audience: AudienceNames::read(manifest.audience.unwrap_or_default())?,
            handling: Handling::read(manifest.handling.unwrap_or_default())?,
            precedence,
            issued_at,
            expires_at,
            respond_by,
            retention,
            relation: manifest.relation.map(|relation| Relation::read(&relation)).transpose()?,
            parts: manifest
                .parts
                .iter()
                .enumerate()
                .map(|(nth, part)| PartCommitment::read(part, nth))
                .collect::<Result<_, _>>()?,
        })
    }

    /// Encodes a manifest to be signed; the network comes first.
    pub fn encode(&self) -> Bytes {
        let names = |ids: &[PartnerId]| ids.iter().map(ToString::to_string).collect();
        proto::Manifest {
            network: self.network.to_bytes(),
            directory_version: self.directory_version,
            reference: self.reference.to_string(),
            kind: self.kind.into(),
            originator: self.originator.to_string(),
            audience: Some(proto::Audience {
                partners: names(&self.audience.partners),
                groups: names(&self.audience.groups),
                exempted: names(&self.audience.exempted),
            }),
            handling: Some(self.handling.to_proto()),
            precedence: self.precedence.into(),
            issued_at_us: self.issued_at.0,
            expires_at_us: self.expires_at.0,
            respond_by: self.respond_by.into(),
            retention: self.retention.into(),
            relation: self.relation.as_ref().map(Relation::to_proto),
            parts: self.parts.iter().map(PartCommitment::to_proto).collect(),
        }
        .encode_to_vec()
        .into()
    }

    /// Whether its times let it in, when its first home sees it for the first time.
    pub fn in_time(&self, now: Micros) -> Result<(), Refusal> {
        let skew_us = self.issued_at.since(now);
        if skew_us > AHEAD_MAX_US {
            return Err(Refusal::new(
                Reason::FutureDated,
                format!("issued_at_us: {} s ahead of the node's clock, at most 300", skew_us / Micros::SECOND),
            )
            .with("skew_us", skew_us));
        }
        if now.since(self.issued_at) > AGE_MAX_US {
            return Err(Refusal::new(
                Reason::TooOld,
                format!("issued_at_us: {} h ago, at most 72", now.since(self.issued_at) / Micros::HOUR),
            ));
        }
        if now >= self.expires_at {
            return Err(Refusal::new(Reason::Expired, "expires_at_us has passed"));
        }
        Ok(())
    }
}

impl AudienceNames {
    fn read(audience: proto::Audience) -> Result<Self, Refusal> {
        let names = |texts: &[String], path: &str| -> Result<Vec<PartnerId>, Refusal> {
            texts.iter().enumerate().map(|(nth, text)| name(text, &format!("audience.{path}[{nth}]"))).collect()
        };
        let audience = Self {
            partners: names(&audience.partners, "partners")?,
            groups: names(&audience.groups, "groups")?,
            exempted: names(&audience.exempted, "exempted")?,
        };
        if audience.partners.is_empty() && audience.groups.is_empty() {
            return Err(Refusal::field("audience", "names no partner and no group"));
        }
        Ok(audience)
    }
}

impl Handling {
    pub(crate) fn read(handling: proto::Handling) -> Result<Self, Refusal> {
        let read = Self {
            code: known(handling.code(), "handling.code")?,
            source: known(handling.source(), "handling.source")?,
            information: known(handling.information(), "handling.information")?,
            tlp: known(handling.tlp(), "handling.tlp")?,
            restriction: handling.restriction,
        };
        let needs_words = read.code == proto::HandlingCode::H3;
        if needs_words == read.restriction.is_empty() {
            return Err(Refusal::field("handling.restriction", "goes with H3 and with H3 only"));
        }
        words(&read.restriction, "handling.restriction", WORDS_BYTES_MAX)?;
        Ok(read)
    }

    pub(crate) fn to_proto(&self) -> proto::Handling {
        proto::Handling {
            code: self.code.into(),
            restriction: self.restriction.clone(),
            source: self.source.into(),
            information: self.information.into(),
            tlp: self.tlp.into(),
        }
    }
}

impl Relation {
    pub(crate) fn read(relation: &proto::Relation) -> Result<Self, Refusal> {
        Ok(Self {
            kind: known(relation.r#type(), "relation.type")?,
            notice: NoticeId::from_slice(&relation.notice_id)
                .ok_or_else(|| Refusal::field("relation.notice_id", "not 32 bytes"))?,
            reference: name(&relation.reference, "relation.reference")?,
        })
    }

    pub(crate) fn to_proto(&self) -> proto::Relation {
        proto::Relation {
            r#type: self.kind.into(),
            notice_id: self.notice.to_bytes(),
            reference: self.reference.to_string(),
        }
    }
}

/// An enumeration's value that is neither absent nor from a newer proto. prost reads unknown values as the default, which is 0.
pub(crate) fn known<E: Into<i32> + Copy>(value: E, path: impl Display) -> Result<E, Refusal> {
    if value.into() == 0 { Err(Refusal::field(path, "absent or unknown")) } else { Ok(value) }
}

/// Where a field of a repeated message stands, written only where it is refused.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Nth {
    /// The repeated field.
    pub(crate) of: &'static str,
    /// From 0.
    pub(crate) nth: usize,
    /// The field in that message.
    pub(crate) field: &'static str,
}

impl Display for Nth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}[{}].{}", self.of, self.nth, self.field)
    }
}

/// A name, or a refusal that says which field.
pub(crate) fn name<N: FromStr<Err = BadName>>(text: &str, path: &str) -> Result<N, Refusal> {
    text.parse().map_err(|bad: BadName| Refusal::field(path, format_args!("expected {}", bad.expected)))
}

pub(crate) fn time(micros: i64, path: &str) -> Result<Micros, Refusal> {
    if micros > 0 { Ok(Micros(micros)) } else { Err(Refusal::field(path, "absent or before 1970")) }
}

/// Words for people: bounded, and nothing that could forge a line or turn it around.
pub(crate) fn words(text: &str, path: impl Display, bytes_max: usize) -> Result<(), Refusal> {
    if text.len() > bytes_max {
        return Err(Refusal::field(path, format_args!("{} bytes, at most {bytes_max}", text.len())));
    }
    if text.chars().any(forges_lines) {
        return Err(Refusal::field(path, "has control or direction characters"));
    }
    Ok(())
}

/// Words that must be there.
pub(crate) fn some_words(text: &str, path: &str, bytes_max: usize) -> Result<(), Refusal> {
    if text.is_empty() {
        return Err(Refusal::field(path, "absent"));
    }
    words(text, path, bytes_max)
}

/// Control characters, and those that change the direction of what follows (Unicode Bidi_Control).
pub fn forges_lines(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A media type: visible ASCII with a slash (RFC 6838 section 4.2).
pub(crate) fn media_type(text: &str, path: impl Display) -> Result<(), Refusal> {
    let good = (3..=MEDIA_TYPE_BYTES_MAX).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_graphic())
        && text.contains('/');
    if good { Ok(()) } else { Err(Refusal::field(path, "expected a media type of 3 to 127 visible ASCII bytes")) }
}

/// A manifest in its envelope: parsed, and not believed.
#[derive(Clone, Debug)]
pub struct SignedManifest {
    envelope: Envelope,
}

impl SignedManifest {
    /// Parses a serialized envelope; the manifest in it is not looked at before its signature has been.
    pub fn parse(envelope: Bytes) -> Result<Self, Refusal> {
        Envelope::parse(envelope).map(|envelope| Self { envelope })
    }

    /// What it says, unproven: for a store's own reader, whose notices were verified when they were taken.
    pub fn unproven(&self) -> Result<Manifest, Refusal> {
        Manifest::parse(self.envelope.payload().clone())
    }

    /// Believes it, if one of the keys expected signed it. `expect` must be for manifests.
    pub fn verify(self, expect: &Expect<'_>, now: Micros) -> Result<VerifiedManifest, Refusal> {
        self.envelope.verify(expect, now).and_then(VerifiedManifest::of)
    }

    /// Parses envelopes of one sender and believes each that one of the keys expected signed: a chunk in less time than its envelopes
    /// alone. One answer for each, in order.
    pub fn verify_all(
        envelopes: impl Iterator<Item = Bytes>,
        expect: &Expect<'_>,
        now: Micros,
    ) -> Vec<Result<VerifiedManifest, Refusal>> {
        let proven = Envelope::verify_all(envelopes.map(Envelope::parse).collect(), expect, now);
        proven.into_iter().map(|proven| proven.and_then(VerifiedManifest::of)).collect()
    }
}

/// A manifest that its originator's key signed, in this network, for this use. Only [`SignedManifest::verify`] makes one.
#[derive(Clone, Debug)]
pub struct VerifiedManifest {
    proven: Proven,
    id: NoticeId,
    manifest: Manifest,
}

impl VerifiedManifest {
    fn of(proven: Proven) -> Result<Self, Refusal> {
        let manifest = Manifest::parse(proven.payload().clone())?;
        Ok(Self { id: NoticeId(proven.digest()), manifest, proven })
    }

    /// The notice's name on every route.
    pub fn id(&self) -> NoticeId {
        self.id
    }

    /// What was signed.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The envelope, exactly as it came.
    pub fn envelope(&self) -> &Bytes {
        self.proven.envelope()
    }

    /// Which key signed.
    pub fn signer(&self) -> KeyId {
        self.proven.signer()
    }

    /// The hint beside the signature, as it came.
    pub fn keyid(&self) -> &str {
        self.proven.keyid()
    }

    /// SHA-256 of the signature seen.
    pub fn signature_digest(&self) -> Hash {
        self.proven.signature_digest()
    }
}
