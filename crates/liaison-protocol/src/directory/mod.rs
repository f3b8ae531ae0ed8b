//! The directory: who takes part, with which keys, under which agreements. People write it, the authority signs its head, and
//! every record proves itself alone against that head.

mod head;
mod records;

pub use head::{AuthorityKeys, DIRECTORY_HEAD, DIRECTORY_VERSION, NewHead, SignedHead, VerifiedHead};
pub use records::{Agreement, Group, Node, Partner, RECORD, RecordBody, read_record};

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use prost::Message as _;

use crate::id::{AgreementDigest, Hash, KeyId, NetworkId, NodeId, Origin, PartnerId, PartnerNumber};
use crate::keyring::TrustedKey;
use crate::limits::RECORDS_MAX;
use crate::proto;
use crate::tlog::entry::Salt;
use crate::tlog::items::{self, ItemTree};
use crate::wire::{self, Kind, Malformed, Shape, many, one};

static SEALED_RECORD: Shape =
    Shape { name: "SealedRecord", fields: &[one(1, "record", Kind::Bytes), one(2, "salt", Kind::Bytes)] };
static SEALED_DIRECTORY: Shape = Shape {
    name: "SealedDirectory",
    fields: &[one(1, "head", Kind::Bytes), many(2, "records", Kind::Message(&SEALED_RECORD), RECORDS_MAX)],
};

/// Why a directory is not taken. The old one stays in force.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadDirectory {
    /// Not the bytes they should be.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// A head that breaks a rule.
    #[error("directory head: {0}")]
    Head(String),
    /// A head of another network, signed by that one's authority: whoever reads it has the wrong trust file, or the wrong head.
    #[error("a head of another network: expected network {expected}, as the trust file says, found {found}")]
    OtherNetwork {
        /// Whose head it should be.
        expected: NetworkId,
        /// Whose it is by its own word.
        found: NetworkId,
    },
    /// A record that breaks a rule, alone or beside the others.
    #[error("directory record {nth}: {problem}")]
    Record {
        /// Place in the directory, from 0.
        nth: usize,
        /// Which rule.
        problem: String,
    },
    /// The records are not those the head was signed over.
    #[error("directory records: the head commits to root {expected}, these have {found}")]
    OtherRecords {
        /// In the head, hexadecimal.
        expected: String,
        /// Computed, hexadecimal.
        found: String,
    },
}

/// A directory whose head the authority signed and whose records are the ones it signed over, all read and consistent.
#[derive(Clone, Debug)]
pub struct Directory {
    head: VerifiedHead,
    sealed: Vec<proto::SealedRecord>,
    tree: ItemTree,
    partners: BTreeMap<PartnerId, Partner>,
    by_number: BTreeMap<PartnerNumber, PartnerId>,
    keys: BTreeMap<PartnerNumber, Vec<TrustedKey>>,
    nodes: BTreeMap<NodeId, Node>,
    groups: BTreeMap<PartnerId, Group>,
    agreements: Vec<Agreement>,
    /// Where the record of each thing lies.
    places: BTreeMap<Place, usize>,
    /// Records passed over, and why.
    passed_over: Vec<(usize, &'static str)>,
}

/// Names a record.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// A partner's record.
    Partner(PartnerNumber),
    /// A key's.
    Key(KeyId),
    /// A node's.
    Node(NodeId),
    /// A group's.
    Group(PartnerId),
    /// An agreement's.
    Agreement(AgreementDigest),
}

impl Directory {
    /// Opens a sealed directory. `trusted` are the authority keys in force until now, `network` the one this directory must be of.
    pub fn open(sealed: Bytes, trusted: &AuthorityKeys, network: Option<NetworkId>) -> Result<Self, BadDirectory> {
        let sealed: proto::SealedDirectory = wire::decode(sealed, &SEALED_DIRECTORY)?;
        let head = SignedHead::parse(sealed.head)?.verify(trusted, network)?;
        let tree = ItemTree::over(sealed.records.iter().enumerate().map(leaf_data).collect::<Result<Vec<_>, _>>()?);
        if sealed.records.len() as u64 != head.record_count() || tree.root() != head.records_root() {
            return Err(BadDirectory::OtherRecords {
                expected: head.records_root().to_hex(),
                found: tree.root().to_hex(),
            });
        }
        let mut directory = Self {
            head,
            tree,
            partners: BTreeMap::new(),
            by_number: BTreeMap::new(),
            keys: BTreeMap::new(),
            nodes: BTreeMap::new(),
            groups: BTreeMap::new(),
            agreements: Vec::new(),
            places: BTreeMap::new(),
            passed_over: Vec::new(),
            sealed: sealed.records,
        };
        directory.read_records()?;
        directory.check()?;
        Ok(directory)
    }

    fn read_records(&mut self) -> Result<(), BadDirectory> {
        let mut key_records = Vec::new();
        for (nth, sealed) in self.sealed.iter().enumerate() {
            let problem = |problem: String| BadDirectory::Record { nth, problem };
            let twice = |name: &dyn std::fmt::Display| problem(format!("{name} stands twice"));
            let body = read_record(sealed.record.clone()).map_err(|refusal| problem(refusal.message))?;
            let place = match body {
                RecordBody::Partner(partner) => {
                    let place = Place::Partner(partner.number);
                    if self.by_number.insert(partner.number, partner.id.clone()).is_some() {
                        return Err(twice(&format_args!("partner number {}", partner.number.0)));
                    }
                    if let Some(partner) = self.partners.insert(partner.id.clone(), partner) {
                        return Err(twice(&partner.id));
                    }
                    place
                }
                RecordBody::Key(partner, key) => {
                    let place = Place::Key(key.id);
                    key_records.push((nth, partner, key));
                    place
                }
                RecordBody::Node(node) => {
                    let place = Place::Node(node.id.clone());
                    if let Some(node) = self.nodes.insert(node.id.clone(), node) {
                        return Err(twice(&node.id));
                    }
                    place
                }
                RecordBody::Group(group) => {
                    let place = Place::Group(group.id.clone());
                    if let Some(group) = self.groups.insert(group.id.clone(), group) {
                        return Err(twice(&group.id));
                    }
                    place
                }
                RecordBody::Agreement(mut agreement) => {
                    agreement.digest = AgreementDigest(leaf_data((nth, sealed))?);
                    let place = Place::Agreement(agreement.digest);
                    self.agreements.push(agreement);
                    place
                }
                RecordBody::PassedOver(why) => {
                    self.passed_over.push((nth, why));
                    continue;
                }
            };
            if self.places.insert(place, nth).is_some() {
                return Err(problem("the same thing stands twice: one key has one use".into()));
            }
        }
        for (nth, partner, mut key) in key_records {
            let number = self.partners.get(&partner).map(|partner| partner.number).ok_or_else(|| {
                BadDirectory::Record { nth, problem: format!("a key of {partner}, who is not listed") }
            })?;
            key.partner = number;
            self.keys.entry(number).or_default().push(key);
        }
        Ok(())
    }

    /// Rules between records: every name leads somewhere, and one name, one log and one key stand for one thing.
    fn check(&self) -> Result<(), BadDirectory> {
        let problem = |place: &Place, problem: String| BadDirectory::Record {
            nth: self.places.get(place).copied().unwrap_or_default(),
            problem,
        };
        for key in self.head.authority().keys() {
            if let Some(nth) = self.places.get(&Place::Key(key.id())) {
                return Err(BadDirectory::Record {
                    nth: *nth,
                    problem: "an authority key signs for a partner".into(),
                });
            }
        }
        for partner in self.partners.values() {
            if partner.number >= self.head.next_number() {
                let text = format!(
                    "{} has number {}, the head says that {} and above were never given",
                    partner.id,
                    partner.number.0,
                    self.head.next_number().0
                );
                return Err(problem(&Place::Partner(partner.number), text));
            }
            if !self.nodes.contains_key(&partner.home) {
                let text = format!("{} has home {}, which is not listed", partner.id, partner.home);
                return Err(problem(&Place::Partner(partner.number), text));
            }
        }
        let (mut origins, mut log_keys, mut agreements) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        for node in self.nodes.values() {
            let place = Place::Node(node.id.clone());
            if !origins.insert(&node.log_origin) {
                return Err(problem(&place, format!("log {} stands twice", node.log_origin)));
            }
            if !log_keys.insert(node.log_key.id()) {
                return Err(problem(&place, "its log key stands twice".into()));
            }
            if self.places.contains_key(&Place::Key(node.log_key.id())) {
                return Err(problem(&place, "its log key also signs for a partner".into()));
            }
            if self.head.authority().keys().contains(&node.log_key) {
                return Err(problem(&place, "its log key also signs for the authority".into()));
            }
        }
        for group in self.groups.values() {
            let place = Place::Group(group.id.clone());
            if self.partners.contains_key(&group.id) {
                return Err(problem(&place, format!("{} is a partner's name too", group.id)));
            }
            if let Some(stranger) = group.members.iter().find(|id| !self.partners.contains_key(*id)) {
                return Err(problem(&place, format!("{} has member {stranger}, who is not listed", group.id)));
            }
        }
        for agreement in &self.agreements {
            if !agreements.insert(&agreement.id) {
                let text = format!("agreement {} stands twice", agreement.id);
                return Err(problem(&Place::Agreement(agreement.digest), text));
            }
            let known = |id: &&PartnerId| self.partners.contains_key(*id) || self.groups.contains_key(*id);
            if let Some(stranger) = agreement.originators.iter().chain(&agreement.recipients).find(|id| !known(id))
            {
                let text = format!("agreement {} names {stranger}, who is not listed", agreement.id);
                return Err(problem(&Place::Agreement(agreement.digest), text));
            }
        }
        Ok(())
    }

    /// Whether this is the version after `before`: it names it, and what was given to one partner is not given to another. Without
    /// `before` it must be the first.
    pub fn follows(&self, before: Option<&Self>) -> Result<(), BadDirectory> {
        let wrong = |problem: String| Err(BadDirectory::Head(problem));
        let expected = before.map_or(1, |before| before.head.version().0.saturating_add(1));
        if self.head.version().0 != expected {
            return wrong(format!("expected version {expected}, found {}", self.head.version().0));
        }
        if self.head.previous() != before.map(|before| before.head.digest()) {
            return wrong("it does not name the head before it".into());
        }
        let Some(before) = before else { return Ok(()) };
        let given = before.head.next_number();
        if self.head.next_number() < given {
            return wrong(format!("next_number: {}, before it was {}", self.head.next_number().0, given.0));
        }
        for partner in self.partners.values() {
            let nth = self.places.get(&Place::Partner(partner.number)).copied().unwrap_or_default();
            let problem = match (before.numbered(partner.number), before.partner(&partner.id)) {
                (Some(same), _) if same.id == partner.id => continue,
                (Some(other), _) => format!("number {} was given to {}", partner.number.0, other.id),
                (None, Some(same)) => format!("{} has number {}", partner.id, same.number.0),
                (None, None) if partner.number < given => {
                    format!("number {} was given once, before {}", partner.number.0, partner.id)
                }
                (None, None) => continue,
            };
            return Err(BadDirectory::Record { nth, problem });
        }
        Ok(())
    }

    /// Records that take a newer program to read, by their place, and why. What they would allow is not allowed.
    pub fn passed_over(&self) -> &[(usize, &'static str)] {
        &self.passed_over
    }

    /// The signed head.
    pub fn head(&self) -> &VerifiedHead {
        &self.head
    }

    /// All partners, by identifier.
    pub fn partners(&self) -> impl Iterator<Item = &Partner> {
        self.partners.values()
    }

    /// A partner by identifier.
    pub fn partner(&self, id: &PartnerId) -> Option<&Partner> {
        self.partners.get(id)
    }

    /// A partner by number.
    pub fn numbered(&self, number: PartnerNumber) -> Option<&Partner> {
        self.partners.get(self.by_number.get(&number)?)
    }

    /// The keys of a partner, of every usage.
    pub fn keys(&self, of: PartnerNumber) -> &[TrustedKey] {
        self.keys.get(&of).map(Vec::as_slice).unwrap_or_default()
    }

    /// All nodes.
    pub fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.nodes.values()
    }

    /// A node.
    pub fn node(&self, id: &NodeId) -> Option<&Node> {
        self.nodes.get(id)
    }

    /// The node whose log has this origin.
    pub fn node_of_log(&self, origin: &Origin) -> Option<&Node> {
        self.nodes.values().find(|node| node.log_origin == *origin)
    }

    /// All groups.
    pub fn groups(&self) -> impl Iterator<Item = &Group> {
        self.groups.values()
    }

    /// A group.
    pub fn group(&self, id: &PartnerId) -> Option<&Group> {
        self.groups.get(id)
    }

    /// All agreements, in the directory's order.
    pub fn agreements(&self) -> &[Agreement] {
        &self.agreements
    }

    /// The partners that a party of an agreement stands for: itself, or a group's members.
    pub fn members(&self, party: &PartnerId) -> Vec<PartnerNumber> {
        match self.groups.get(party) {
            Some(group) => group.members.iter().filter_map(|id| self.partner(id)).map(|p| p.number).collect(),
            None => self.partner(party).map(|partner| partner.number).into_iter().collect(),
        }
    }

    /// Where a record lies.
    pub fn place(&self, of: &Place) -> Option<usize> {
        self.places.get(of).copied()
    }

    /// Number of records.
    pub fn len(&self) -> usize {
        self.sealed.len()
    }

    /// Whether there is no record at all.
    pub fn is_empty(&self) -> bool {
        self.sealed.is_empty()
    }

    /// The record at a place, proving itself alone.
    pub fn prove(&self, place: usize) -> Option<proto::RecordProof> {
        let sealed = self.sealed.get(place)?;
        let path = self.tree.path(place as u64)?;
        Some(proto::RecordProof {
            index: place as u64,
            record: sealed.record.clone(),
            salt: sealed.salt.clone(),
            path: path.into_iter().map(Hash::to_bytes).collect(),
        })
    }
}

fn leaf_data((nth, sealed): (usize, &proto::SealedRecord)) -> Result<Hash, BadDirectory> {
    let salt = Salt::from_slice(&sealed.salt)
        .ok_or_else(|| BadDirectory::Record { nth, problem: "its salt has not 32 bytes".into() })?;
    Ok(items::record(&salt, &sealed.record))
}

/// Seals records under a new head that is still to be signed: gives the head's payload.
pub fn seal(head: &NewHead, records: &[(Bytes, Salt)]) -> Bytes {
    let tree = ItemTree::over(records.iter().map(|(record, salt)| items::record(salt, record)));
    head.payload(records.len() as u64, tree.root())
}

/// Joins a signed head and the records it was signed over into a file.
pub fn join(head: Bytes, records: &[(Bytes, Salt)]) -> Bytes {
    let records = records
        .iter()
        .map(|(record, salt)| proto::SealedRecord { record: record.clone(), salt: salt.to_bytes() })
        .collect();
    proto::SealedDirectory { head, records }.encode_to_vec().into()
}

/// A directory record that has been proven against a head, on its own.
pub fn verify_record(proof: &proto::RecordProof, head: &VerifiedHead) -> Result<(RecordBody, Hash), String> {
    let salt = Salt::from_slice(&proof.salt).ok_or("a record's salt has not 32 bytes")?;
    let path = items::hashes(&proof.path).ok_or("a record's path has a hash of other than 32 bytes")?;
    let data = items::record(&salt, &proof.record);
    let found = items::root_of(data, proof.index, head.record_count(), &path)
        .ok_or_else(|| format!("record {}: its path has the wrong length", proof.index))?;
    if found != head.records_root() {
        return Err(format!(
            "record {}: expected records root {}, found {}",
            proof.index,
            head.records_root().to_hex(),
            found.to_hex()
        ));
    }
    let body = read_record(proof.record.clone()).map_err(|refusal| refusal.message)?;
    Ok((body, data))
}
