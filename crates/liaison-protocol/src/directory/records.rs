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
        kept(1, 63, Unknown::Passes),
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
    /// What it is.
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
    if record.is_empty() {
        return Err(Refusal::field("record", "has no body"));
    }
    let record: proto::Record = wire::decode(record, &RECORD)?;
    match record.body {
        None => Ok(RecordBody::PassedOver("a body that is not known here")),
        Some(Body::Partner(partner)) => read_partner(partner).map(RecordBody::Partner),
        Some(Body::Key(key)) => read_key(&key),
        Some(Body::Node(node)) => read_node(node).map(RecordBody::Node),
        Some(Body::Group(group)) => read_group(&group).map(RecordBody::Group),
        Some(Body::Agreement(agreement)) => read_agreement(agreement),
    }
}

/// A value of an enumeration; None where it takes a newer program to know it.
fn met<E: TryFrom<i32>>(raw: i32, path: &str) -> Result<Option<E>, Refusal> {
    if raw == 0 { Err(Refusal::field(path, "absent")) } else { Ok(E::try_from(raw).ok()) }
}

fn read_partner(partner: proto::Partner) -> Result<Partner, Refusal> {
    let category = known(partner.category(), "partner.category")?;
    let status = known(partner.status(), "partner.status")?;
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

fn read_key(key: &proto::PartnerKey) -> Result<RecordBody, Refusal> {
    let partner = name(&key.partner, "key.partner")?;
    let Some(usage) = met(key.usage, "key.usage")?.and_then(Usage::from_proto) else {
        return Ok(RecordBody::PassedOver("a key usage that is not known here"));
    };
    let algorithm = key.public_key.as_ref().map_or(0, |key| key.algorithm);
    if met::<proto::Algorithm>(algorithm, "key.public_key")?.is_none() {
        return Ok(RecordBody::PassedOver("an algorithm that is not known here"));
    }
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
    Ok(RecordBody::Key(partner, trusted))
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
fn read_agreement(agreement: proto::Agreement) -> Result<RecordBody, Refusal> {
    let kinds = agreement.kinds.iter().map(|kind| met(*kind, "agreement.kinds")).collect::<Result<Vec<_>, _>>()?;
    let empty = kinds.is_empty() || agreement.originators.is_empty() || agreement.recipients.is_empty();
    if empty {
        return Err(Refusal::field("agreement", "names no kind, no originator or no recipient"));
    }
    if agreement.until_us <= agreement.from_us {
        return Err(Refusal::field("agreement.until_us", "not after from_us"));
    }
    some_words(&agreement.legal_basis, "agreement.legal_basis", WORDS_BYTES_MAX)?;
    let id: crate::id::Reference = name(&agreement.id, "agreement.id")?;
    let originators = ids(&agreement.originators, "agreement.originators")?;
    let recipients = ids(&agreement.recipients, "agreement.recipients")?;
    let ceilings = (
        met(agreement.highest_handling, "agreement.highest_handling")?,
        met(agreement.highest_tlp, "agreement.highest_tlp")?,
        met(agreement.highest_precedence, "agreement.highest_precedence")?,
    );
    let (Some(highest_handling), Some(highest_tlp), Some(highest_precedence)) = ceilings else {
        return Ok(RecordBody::PassedOver("a ceiling that is not known here"));
    };
    let kinds: Vec<_> = kinds.into_iter().flatten().collect();
    if kinds.is_empty() {
        return Ok(RecordBody::PassedOver("kinds that are not known here"));
    }
    Ok(RecordBody::Agreement(Agreement {
        id: id.to_string(),
        digest: AgreementDigest(Hash([0; 32])),
        originators,
        recipients,
        kinds,
        highest_handling,
        highest_tlp,
        highest_precedence,
        from: Micros(agreement.from_us),
        until: Micros(agreement.until_us),
        legal_basis: agreement.legal_basis,
    }))
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
