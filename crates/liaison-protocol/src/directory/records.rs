//! One record of the directory, read strictly.

use bytes::Bytes;

use super::head::PUBLIC_KEY;
use crate::id::{AgreementDigest, Hash, Micros, NodeId, Origin, PartnerId, PartnerNumber};
use crate::keyring::{PublicKey, TrustedKey, Usage};
use crate::limits::{AUDIENCE_PARTNERS_MAX, RECORD_BYTES_MAX, WORDS_BYTES_MAX};
use crate::manifest::{known, name, some_words};
use crate::proto;
use crate::reason::{Reason, Refusal};
use crate::wire::{self, Kind, Shape, Unknown, choice, kept, many, one};

/// Issuing authorities of one identity.
const TLS_AUTHORITIES_MAX: usize = 4;
/// Pinned keys of one identity.
const TLS_KEYS_MAX: usize = 16;
/// A CA certificate in DER.
const TLS_AUTHORITY_BYTES_MAX: usize = 4 << 10;
/// Addresses of one node.
const ADDRESSES_MAX: usize = 8;
/// The longest name of a host, a colon and a port.
const ADDRESS_BYTES_MAX: usize = 260;
/// Kinds of one agreement.
const KINDS_MAX: usize = 32;
/// A partner's name for people.
const NAME_BYTES_MAX: usize = 128;

static PARTNER: Shape = Shape {
    name: "Partner",
    fields: &[
        one(1, "number", Kind::Varint),
        one(2, "id", Kind::Text),
        one(3, "name", Kind::Text),
        one(4, "category", Kind::Varint),
        one(5, "home", Kind::Text),
        one(6, "status", Kind::Varint),
        many(7, "tls_authorities", Kind::Bytes, TLS_AUTHORITIES_MAX),
        many(8, "tls_keys", Kind::Bytes, TLS_KEYS_MAX),
    ],
};
static PARTNER_KEY: Shape = Shape {
    name: "PartnerKey",
    fields: &[
        one(1, "partner", Kind::Text),
        one(2, "usage", Kind::Varint),
        one(3, "public_key", Kind::Message(&PUBLIC_KEY)),
        one(4, "not_before_us", Kind::Varint),
        one(5, "not_after_us", Kind::Varint),
        one(6, "denied", Kind::Varint),
        kept(16, 63, Unknown::Narrows),
    ],
};
static NODE: Shape = Shape {
    name: "Node",
    fields: &[
        one(1, "id", Kind::Text),
        one(2, "log_origin", Kind::Text),
        one(3, "log_key", Kind::Message(&PUBLIC_KEY)),
        many(4, "tls_authorities", Kind::Bytes, TLS_AUTHORITIES_MAX),
        many(5, "tls_keys", Kind::Bytes, TLS_KEYS_MAX),
        many(6, "addresses", Kind::Text, ADDRESSES_MAX),
    ],
};
static GROUP: Shape = Shape {
    name: "Group",
    fields: &[one(1, "id", Kind::Text), many(2, "members", Kind::Text, AUDIENCE_PARTNERS_MAX)],
};
static AGREEMENT: Shape = Shape {
    name: "Agreement",
    fields: &[
        one(1, "id", Kind::Text),
        many(2, "originators", Kind::Text, AUDIENCE_PARTNERS_MAX),
        many(3, "recipients", Kind::Text, AUDIENCE_PARTNERS_MAX),
        many(4, "kinds", Kind::Varints, KINDS_MAX),
        one(5, "highest_handling", Kind::Varint),
        one(6, "highest_tlp", Kind::Varint),
        one(7, "highest_precedence", Kind::Varint),
        one(8, "from_us", Kind::Varint),
        one(9, "until_us", Kind::Varint),
        one(10, "legal_basis", Kind::Text),
        kept(16, 63, Unknown::Narrows),
    ],
};
/// The shape of a directory record.
pub static RECORD: Shape = Shape {
    name: "Record",
    fields: &[
        choice(1, "partner", Kind::Message(&PARTNER)),
        choice(2, "key", Kind::Message(&PARTNER_KEY)),
        choice(3, "node", Kind::Message(&NODE)),
        choice(4, "group", Kind::Message(&GROUP)),
        choice(5, "agreement", Kind::Message(&AGREEMENT)),
        kept(1, 63, Unknown::Chosen),
    ],
};

/// What one record says.
#[derive(Clone, Debug)]
pub enum RecordBody {
    /// An organisation.
    Partner(Partner),
    /// A key and whose it is; its `partner` number is set when the whole directory is read.
    Key(PartnerId, TrustedKey),
    /// A gateway.
    Node(Node),
    /// A set of partners.
    Group(Group),
    /// An agreement; its digest is set when the whole directory is read.
    Agreement(Agreement),
    /// It takes a newer program to read, and why. What it would allow is not allowed.
    PassedOver(&'static str),
}

/// An organisation that exchanges notices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partner {
    /// Given once, never again.
    pub number: PartnerNumber,
    /// Its identifier.
    pub id: PartnerId,
    /// Its name for people.
    pub name: String,
    /// What it is; UNSPECIFIED where only a newer program knows.
    pub category: proto::PartnerCategory,
    /// The node that holds its mailbox.
    pub home: NodeId,
    /// Whether it may call.
    pub status: proto::PartnerStatus,
    /// Certificates (DER) of the authorities that issue its TLS certificates.
    pub tls_authorities: Vec<Bytes>,
    /// SHA-256 of the TLS keys it may use; empty for any that its authorities certify.
    pub tls_keys: Vec<Hash>,
}

/// A running gateway and its log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its identifier.
    pub id: NodeId,
    /// Its log.
    pub log_origin: Origin,
    /// Signs that log's checkpoints.
    pub log_key: PublicKey,
    /// As for a partner.
    pub tls_authorities: Vec<Bytes>,
    /// As for a partner.
    pub tls_keys: Vec<Hash>,
    /// Where it is reached.
    pub addresses: Vec<String>,
}

/// A named set of partners.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Its identifier.
    pub id: PartnerId,
    /// Its members.
    pub members: Vec<PartnerId>,
}

/// Who may send which kinds to whom, under which ceilings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agreement {
    /// Its identifier.
    pub id: String,
    /// Leaf data of its record: its name in statements.
    pub digest: AgreementDigest,
    /// Partners and groups.
    pub originators: Vec<PartnerId>,
    /// Partners and groups.
    pub recipients: Vec<PartnerId>,
    /// Kinds it covers.
    pub kinds: Vec<proto::Kind>,
    /// Highest handling code.
    pub highest_handling: proto::HandlingCode,
    /// Highest label.
    pub highest_tlp: proto::Tlp,
    /// Highest precedence.
    pub highest_precedence: proto::Precedence,
    /// In force from here.
    pub from: Micros,
    /// And before here.
    pub until: Micros,
    /// In words.
    pub legal_basis: String,
}

/// Reads one record strictly. One that takes a newer program to read is passed over, where that only forbids.
pub fn read_record(record: Bytes) -> Result<RecordBody, Refusal> {
    use proto::record::Body;
    if record.len() > RECORD_BYTES_MAX {
        return Err(Refusal::new(Reason::TooLarge, format!("record: {} bytes", record.len())));
    }
    let (record, seen): (proto::Record, _) = wire::look(record, &RECORD)?;
    // Before anything else is judged: what a newer program would read otherwise is not read by half.
    if let Some(why) = takes_newer(record.body.as_ref(), seen.newer) {
        return Ok(RecordBody::PassedOver(why));
    }
    match record.body.ok_or_else(|| Refusal::field("record", "has no body"))? {
        Body::Partner(partner) => read_partner(partner).map(RecordBody::Partner),
        Body::Key(key) => read_key(&key).map(|(partner, key)| RecordBody::Key(partner, key)),
        Body::Node(node) => read_node(node).map(RecordBody::Node),
        Body::Group(group) => read_group(&group).map(RecordBody::Group),
        Body::Agreement(agreement) => read_agreement(agreement).map(RecordBody::Agreement),
    }
}

/// Why a record is passed over: what it would allow is not allowed. Absent values are wrong in every program and judged later.
fn takes_newer(body: Option<&proto::record::Body>, newer: bool) -> Option<&'static str> {
    use proto::record::Body;
    match body {
        _ if newer => Some("it holds what is not known here"),
        Some(Body::Key(key)) => {
            let algorithm = key.public_key.as_ref().map_or(0, |key| key.algorithm);
            let unknown = is_unknown::<proto::KeyUsage>(key.usage) || is_unknown::<proto::Algorithm>(algorithm);
            unknown.then_some("a key usage or algorithm that is not known here")
        }
        Some(Body::Agreement(agreement)) => {
            let ceiling = is_unknown::<proto::HandlingCode>(agreement.highest_handling)
                || is_unknown::<proto::Tlp>(agreement.highest_tlp)
                || is_unknown::<proto::Precedence>(agreement.highest_precedence);
            let kinds = agreement.kinds.iter();
            let no_kind = kinds.clone().any(|kind| is_unknown::<proto::Kind>(*kind))
                && !kinds.clone().any(|kind| *kind != 0 && !is_unknown::<proto::Kind>(*kind));
            (ceiling || no_kind).then_some("a ceiling, or kinds alone, that are not known here")
        }
        _ => None,
    }
}

fn is_unknown<E: TryFrom<i32>>(raw: i32) -> bool {
    E::try_from(raw).is_err()
}

fn read_partner(partner: proto::Partner) -> Result<Partner, Refusal> {
    // An unknown category decides nothing; an unknown status may only forbid.
    let category = partner.category();
    if partner.category == 0 || partner.status == 0 {
        return Err(Refusal::field("partner", "category or status absent"));
    }
    let status = proto::PartnerStatus::try_from(partner.status).unwrap_or(proto::PartnerStatus::Suspended);
    some_words(&partner.name, "partner.name", NAME_BYTES_MAX)?;
    if partner.number == 0 {
        return Err(Refusal::field("partner.number", "absent"));
    }
    Ok(Partner {
        number: PartnerNumber(partner.number),
        id: name(&partner.id, "partner.id")?,
        name: partner.name,
        category,
        home: name(&partner.home, "partner.home")?,
        status,
        tls_authorities: authorities(partner.tls_authorities, "partner.tls_authorities")?,
        tls_keys: digests(&partner.tls_keys, "partner.tls_keys")?,
    })
}

fn read_key(key: &proto::PartnerKey) -> Result<(PartnerId, TrustedKey), Refusal> {
    let usage = Usage::from_proto(key.usage()).ok_or_else(|| Refusal::field("key.usage", "absent"))?;
    let public = public_key(key.public_key.as_ref(), "key.public_key")?;
    if key.not_after_us <= key.not_before_us {
        return Err(Refusal::field("key.not_after_us", "not after not_before_us"));
    }
    let trusted = TrustedKey {
        id: public.id(),
        partner: PartnerNumber(0),
        usage,
        public,
        not_before: Micros(key.not_before_us),
        not_after: Micros(key.not_after_us),
        denied: key.denied,
    };
    Ok((name(&key.partner, "key.partner")?, trusted))
}

fn read_node(node: proto::Node) -> Result<Node, Refusal> {
    let log_key = public_key(node.log_key.as_ref(), "node.log_key")?;
    if log_key.as_ed25519().is_none() {
        return Err(Refusal::field("node.log_key", "not an Ed25519 key"));
    }
    Ok(Node {
        id: name(&node.id, "node.id")?,
        log_origin: name(&node.log_origin, "node.log_origin")?,
        log_key,
        tls_authorities: authorities(node.tls_authorities, "node.tls_authorities")?,
        tls_keys: digests(&node.tls_keys, "node.tls_keys")?,
        addresses: addresses(node.addresses, "node.addresses")?,
    })
}

fn read_group(group: &proto::Group) -> Result<Group, Refusal> {
    Ok(Group { id: name(&group.id, "group.id")?, members: ids(&group.members, "group.members")? })
}

/// A kind that is not known here is passed over alone: the agreement covers the others.
fn read_agreement(agreement: proto::Agreement) -> Result<Agreement, Refusal> {
    let kinds: Vec<_> = agreement.kinds.iter().filter_map(|kind| proto::Kind::try_from(*kind).ok()).collect();
    if kinds.contains(&proto::Kind::Unspecified) {
        return Err(Refusal::field("agreement.kinds", "absent"));
    }
    let empty = kinds.is_empty() || agreement.originators.is_empty() || agreement.recipients.is_empty();
    if empty {
        return Err(Refusal::field("agreement", "names no kind, no originator or no recipient"));
    }
    if agreement.until_us <= agreement.from_us {
        return Err(Refusal::field("agreement.until_us", "not after from_us"));
    }
    some_words(&agreement.legal_basis, "agreement.legal_basis", WORDS_BYTES_MAX)?;
    let id: crate::id::Reference = name(&agreement.id, "agreement.id")?;
    Ok(Agreement {
        id: id.to_string(),
        digest: AgreementDigest(Hash([0; 32])),
        originators: ids(&agreement.originators, "agreement.originators")?,
        recipients: ids(&agreement.recipients, "agreement.recipients")?,
        kinds,
        highest_handling: known(agreement.highest_handling(), "agreement.highest_handling")?,
        highest_tlp: known(agreement.highest_tlp(), "agreement.highest_tlp")?,
        highest_precedence: known(agreement.highest_precedence(), "agreement.highest_precedence")?,
        from: Micros(agreement.from_us),
        until: Micros(agreement.until_us),
        legal_basis: agreement.legal_basis,
    })
}

fn ids(texts: &[String], path: &str) -> Result<Vec<PartnerId>, Refusal> {
    texts.iter().map(|text| name(text, path)).collect()
}

fn public_key(key: Option<&proto::PublicKey>, path: &str) -> Result<PublicKey, Refusal> {
    let key = key.ok_or_else(|| Refusal::field(path, "absent"))?;
    PublicKey::parse(key).map_err(|bad| Refusal::field(path, bad))
}

fn authorities(certificates: Vec<Bytes>, path: &str) -> Result<Vec<Bytes>, Refusal> {
    if certificates.is_empty() || certificates.iter().any(|der| der.len() > TLS_AUTHORITY_BYTES_MAX) {
        return Err(Refusal::field(path, "expected 1 to 4 certificates of at most 4 KiB"));
    }
    Ok(certificates)
}

fn addresses(addresses: Vec<String>, path: &str) -> Result<Vec<String>, Refusal> {
    let good = |address: &String| {
        (1..=ADDRESS_BYTES_MAX).contains(&address.len()) && address.bytes().all(|byte| byte.is_ascii_graphic())
    };
    if addresses.iter().all(good) {
        Ok(addresses)
    } else {
        Err(Refusal::field(path, "expected host:port of at most 260 visible ASCII bytes"))
    }
}

fn digests(bytes: &[Bytes], path: &str) -> Result<Vec<Hash>, Refusal> {
    bytes.iter().map(|bytes| Hash::from_slice(bytes).ok_or_else(|| Refusal::field(path, "not 32 bytes"))).collect()
}
