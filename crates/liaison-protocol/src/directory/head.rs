//! A directory head: what the authority's keys sign, k of n.

use bytes::Bytes;
use prost::Message as _;

use super::BadDirectory;
use crate::envelope::{DIRECTORY_HEAD_TYPE, Envelope, pre_authentication_encoding};
use crate::id::{Hash, HeadDigest, HeadVersion, Micros, NetworkId, NetworkName, PartnerNumber};
use crate::keyring::PublicKey;
use crate::limits::{AUTHORITY_KEYS_MAX, RECORDS_MAX};
use crate::proto;
use crate::wire::{self, Kind, Shape, many, one};

pub(crate) static PUBLIC_KEY: Shape =
    Shape { name: "PublicKey", fields: &[one(1, "algorithm", Kind::Varint), one(2, "key", Kind::Bytes)] };
/// The shape of a directory head.
pub static DIRECTORY_HEAD: Shape = Shape {
    name: "DirectoryHead",
    fields: &[
        one(1, "network", Kind::Bytes),
        one(2, "network_name", Kind::Text),
        one(3, "version", Kind::Varint),
        one(4, "previous", Kind::Bytes),
        one(5, "issued_at_us", Kind::Varint),
        one(6, "renew_by_us", Kind::Varint),
        one(7, "threshold", Kind::Varint),
        many(8, "authority_keys", Kind::Message(&PUBLIC_KEY), AUTHORITY_KEYS_MAX),
        one(9, "record_count", Kind::Varint),
        one(10, "records_root", Kind::Bytes),
        one(11, "must_understand", Kind::Varint),
        one(12, "next_number", Kind::Varint),
    ],
};

/// The directory format of this program, and the lowest that a reader must know for what it writes.
pub const DIRECTORY_VERSION: u32 = 1;

/// k of n keys. No key twice, and k at least 1 and at most n.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthorityKeys {
    threshold: usize,
    keys: Vec<PublicKey>,
}

impl AuthorityKeys {
    /// Checks the rule.
    pub fn new(threshold: usize, keys: Vec<PublicKey>) -> Result<Self, String> {
        let twice = keys.iter().enumerate().any(|(nth, key)| keys[..nth].contains(key));
        if twice || keys.len() > AUTHORITY_KEYS_MAX || !(1..=keys.len()).contains(&threshold) {
            return Err(format!("threshold {threshold} of {} keys, at most 16 and none twice", keys.len()));
        }
        Ok(Self { threshold, keys })
    }

    /// How many must sign.
    pub fn threshold(&self) -> usize {
        self.threshold
    }

    /// The keys.
    pub fn keys(&self) -> &[PublicKey] {
        &self.keys
    }

    /// Counts the keys that signed; one key counts once, however often it signed.
    fn signed_by(&self, encoding: &[u8], signatures: &[proto::Signature]) -> usize {
        self.keys
            .iter()
            .filter(|key| signatures.iter().any(|signature| key.verify(encoding, &signature.sig).is_ok()))
            .count()
    }

    /// Every signature must be by one of the keys of either set, and one set at a time must reach its threshold.
    fn must_have_signed(&self, encoding: &[u8], signatures: &[proto::Signature]) -> Result<(), BadDirectory> {
        let found = self.signed_by(encoding, signatures);
        if found >= self.threshold {
            return Ok(());
        }
        Err(BadDirectory::Head(format!(
            "expected signatures by {} of {} authority keys, found {found}",
            self.threshold,
            self.keys.len()
        )))
    }
}

/// What a new head says, before its records are counted in.
#[derive(Clone, Debug)]
pub struct NewHead {
    /// None founds a network.
    pub network: Option<NetworkId>,
    /// Its name in certificates.
    pub name: NetworkName,
    /// From 1, by one.
    pub version: HeadVersion,
    /// None founds a network.
    pub previous: Option<HeadDigest>,
    /// When it is signed.
    pub issued_at: Micros,
    /// When a newer one is due.
    pub renew_by: Micros,
    /// The keys that must sign this head and the next.
    pub authority: AuthorityKeys,
    /// Partner numbers from here on have never been given.
    pub next_number: PartnerNumber,
}

impl NewHead {
    pub(super) fn payload(&self, record_count: u64, records_root: Hash) -> Bytes {
        proto::DirectoryHead {
            network: self.network.map(NetworkId::to_bytes).unwrap_or_default(),
            network_name: self.name.to_string(),
            version: self.version.0,
            previous: self.previous.map(HeadDigest::to_bytes).unwrap_or_default(),
            issued_at_us: self.issued_at.0,
            renew_by_us: self.renew_by.0,
            threshold: self.authority.threshold as u32,
            authority_keys: self.authority.keys.iter().map(PublicKey::to_proto).collect(),
            record_count,
            records_root: records_root.to_bytes(),
            must_understand: DIRECTORY_VERSION,
            next_number: self.next_number.0,
        }
        .encode_to_vec()
        .into()
    }
}

/// A head in its envelope: parsed, and not believed.
#[derive(Clone, Debug)]
pub struct SignedHead {
    envelope: Envelope,
}

impl SignedHead {
    /// Parses a serialized envelope.
    pub fn parse(envelope: Bytes) -> Result<Self, BadDirectory> {
        let envelope = Envelope::parse(envelope).map_err(|refusal| BadDirectory::Head(refusal.message))?;
        Ok(Self { envelope })
    }

    /// The authority keys that the head itself names: what a first head is checked against where nobody has pinned any.
    pub fn claimed_authority(&self) -> Result<AuthorityKeys, BadDirectory> {
        let head: proto::DirectoryHead = wire::decode(self.envelope.payload().clone(), &DIRECTORY_HEAD)?;
        authority(&head)
    }

    /// The network that an envelope says it is of, if it is a head that its own authority signed. It proves nothing; it tells another
    /// network's head from one that was changed.
    pub fn claimed_network(envelope: Bytes) -> Option<NetworkId> {
        let head = Self::parse(envelope).ok()?;
        let own = head.claimed_authority().ok()?;
        head.believe(&own, None).ok().map(|head| head.network())
    }

    /// Believes it, if enough of the trusted keys signed it, and enough of the keys it names itself. With `network`, it must be of
    /// that network.
    pub fn verify(self, trusted: &AuthorityKeys, network: Option<NetworkId>) -> Result<VerifiedHead, BadDirectory> {
        let envelope = self.envelope.bytes().clone();
        self.believe(trusted, network).map_err(|bad| match (network, Self::claimed_network(envelope)) {
            (Some(expected), Some(found)) if expected != found => BadDirectory::OtherNetwork { expected, found },
            _ => bad,
        })
    }

    fn believe(self, trusted: &AuthorityKeys, network: Option<NetworkId>) -> Result<VerifiedHead, BadDirectory> {
        let wrong = |problem: String| BadDirectory::Head(problem);
        if self.envelope.payload_type() != DIRECTORY_HEAD_TYPE {
            return Err(wrong(format!("expected payload type {DIRECTORY_HEAD_TYPE}")));
        }
        let encoding = pre_authentication_encoding(DIRECTORY_HEAD_TYPE, self.envelope.payload());
        trusted.must_have_signed(&encoding, self.envelope.signatures())?;
        let head: proto::DirectoryHead = wire::decode(self.envelope.payload().clone(), &DIRECTORY_HEAD)?;
        if head.must_understand == 0 {
            return Err(wrong("must_understand: absent".into()));
        }
        if head.must_understand > DIRECTORY_VERSION {
            return Err(wrong(format!(
                "must_understand: needs directory format {}, this program knows {DIRECTORY_VERSION}",
                head.must_understand
            )));
        }
        let own = authority(&head)?;
        own.must_have_signed(&encoding, self.envelope.signatures())?;
        self.no_stray_signature(trusted, &own, &encoding)?;

        let digest = HeadDigest(Hash::of(&[&encoding]));
        let first = head.version == 1;
        let found = if first { Some(NetworkId(digest.0)) } else { NetworkId::from_slice(&head.network) };
        let found = found.ok_or_else(|| wrong("network: not 32 bytes".into()))?;
        if first != head.network.is_empty() || first != head.previous.is_empty() || head.version == 0 {
            return Err(wrong("version 1, and only version 1, names no network and no head before it".into()));
        }
        let previous = HeadDigest::from_slice(&head.previous);
        if !first && previous.is_none() {
            return Err(wrong("previous: not 32 bytes".into()));
        }
        if network.is_some_and(|expected| expected != found) {
            return Err(wrong(format!("expected network {}, found {found}", network.unwrap_or(found))));
        }
        if !first && !crate::envelope::begins_with(self.envelope.payload(), &found) {
            return Err(wrong("the payload does not begin with the network".into()));
        }
        if head.record_count > RECORDS_MAX as u64 {
            return Err(wrong(format!("record_count: {}, at most {RECORDS_MAX}", head.record_count)));
        }
        Ok(VerifiedHead {
            digest,
            network: found,
            name: head.network_name.parse().map_err(|bad| wrong(format!("{bad}")))?,
            version: HeadVersion(head.version),
            previous,
            issued_at: Micros(head.issued_at_us),
            renew_by: Micros(head.renew_by_us),
            authority: own,
            next_number: PartnerNumber(head.next_number),
            record_count: head.record_count,
            records_root: Hash::from_slice(&head.records_root)
                .ok_or_else(|| wrong("records_root: not 32 bytes".into()))?,
            envelope: self.envelope.bytes().clone(),
        })
    }

    /// A signature by nobody known adds nothing and could be anything: it is refused, so that every byte of a head counts.
    fn no_stray_signature(
        &self,
        trusted: &AuthorityKeys,
        own: &AuthorityKeys,
        encoding: &[u8],
    ) -> Result<(), BadDirectory> {
        for signature in self.envelope.signatures() {
            let mut keys = trusted.keys.iter().chain(&own.keys);
            let Some(key) = keys.find(|key| key.verify(encoding, &signature.sig).is_ok()) else {
                return Err(BadDirectory::Head("a signature is by no authority key".into()));
            };
            if !signature.keyid.is_empty() && signature.keyid != key.id().0.to_hex() {
                return Err(BadDirectory::Head(format!(
                    "a signature names key {}, and is by {}",
                    signature.keyid.escape_default(),
                    key.id()
                )));
            }
        }
        Ok(())
    }
}

fn authority(head: &proto::DirectoryHead) -> Result<AuthorityKeys, BadDirectory> {
    let keys = head
        .authority_keys
        .iter()
        .map(PublicKey::parse)
        .collect::<Result<_, _>>()
        .map_err(|bad| BadDirectory::Head(format!("authority_keys: {bad}")))?;
    AuthorityKeys::new(head.threshold as usize, keys).map_err(BadDirectory::Head)
}

/// A head that the authority signed. Only [`SignedHead::verify`] makes one.
#[derive(Clone, Debug)]
pub struct VerifiedHead {
    digest: HeadDigest,
    network: NetworkId,
    name: NetworkName,
    version: HeadVersion,
    previous: Option<HeadDigest>,
    issued_at: Micros,
    renew_by: Micros,
    authority: AuthorityKeys,
    next_number: PartnerNumber,
    record_count: u64,
    records_root: Hash,
    envelope: Bytes,
}

impl VerifiedHead {
    /// SHA-256 of its pre-authentication encoding.
    pub fn digest(&self) -> HeadDigest {
        self.digest
    }

    /// The network; version 1 is its own.
    pub fn network(&self) -> NetworkId {
        self.network
    }

    /// The network's name in certificates.
    pub fn name(&self) -> &NetworkName {
        &self.name
    }

    /// From 1, by one.
    pub fn version(&self) -> HeadVersion {
        self.version
    }

    /// The head before; None for the first.
    pub fn previous(&self) -> Option<HeadDigest> {
        self.previous
    }

    /// Partner numbers from here on have never been given.
    pub fn next_number(&self) -> PartnerNumber {
        self.next_number
    }

    /// When it was signed, as the authority says.
    pub fn issued_at(&self) -> Micros {
        self.issued_at
    }

    /// When a newer one is due.
    pub fn renew_by(&self) -> Micros {
        self.renew_by
    }

    /// The keys that must sign the next head.
    pub fn authority(&self) -> &AuthorityKeys {
        &self.authority
    }

    /// Number of records.
    pub fn record_count(&self) -> u64 {
        self.record_count
    }

    /// RFC 6962 root over the records.
    pub fn records_root(&self) -> Hash {
        self.records_root
    }

    /// The signed envelope.
    pub fn envelope(&self) -> &Bytes {
        &self.envelope
    }
}
