//! Notices as they come to one of their recipients, many under one checkpoint: all their receipts are checked together, each
//! shared hash once. Each verdict is the one that the receipt would get alone.

use std::sync::Arc;

use prost::Message as _;

use crate::envelope::{self, MANIFEST_TYPE};
use crate::id::{Hash, LeafIndex, NoticeId, Origin, PartnerNumber};
use crate::keyring::SignerTables;
use crate::proto;
use crate::proto::item_proof::Item;
use crate::statement::Consignment;
use crate::tlog::checkpoint::{Checkpoint, SignedNote};
use crate::tlog::entry::{Leaf, Salt};
use crate::tlog::proof::Inclusions;
use crate::tlog::{hash, items};
use crate::trust::Policy;
use crate::wire::{self, Problem, Value};

/// `CollectResponse.deliveries`.
const DELIVERIES: u32 = 2;
/// `CollectResponse.receipts`.
const RECEIPTS: u32 = 3;
/// `Delivery.envelope`.
const ENVELOPE: u32 = 1;
/// `Receipts.checkpoint`.
const CHECKPOINT: u32 = 1;
/// `Receipts.hashes`.
const HASHES: u32 = 2;
/// `Receipts.receipts`.
const RECEIPT: u32 = 3;
/// `Receipts.items`.
const SHARED: u32 = 4;
/// `Receipt.leaf_index`.
const LEAF_INDEX: u32 = 1;
/// `Receipt.statement`.
const STATEMENT: u32 = 2;
/// `Receipt.salt`.
const SALT: u32 = 3;
/// `Receipt.path`.
const PATH: u32 = 4;
/// `Receipt.items`.
const ITEMS: u32 = 5;
/// `Receipt.shared_items`.
const SHARED_ITEMS: u32 = 6;

/// Why what came together does not prove what it should.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotProven {
    /// The answer itself.
    #[error("the answer {0}")]
    Answer(Problem),
    /// The checkpoint that all receipts lie under.
    #[error("the checkpoint: {0}")]
    Checkpoint(String),
    /// One receipt, by its place.
    #[error("receipt {nth}: {why}")]
    Receipt {
        /// From 0.
        nth: usize,
        /// What it lacks.
        why: &'static str,
    },
}

/// A notice that a log has accepted and consigned to the recipient it came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Consigned {
    /// The leaf that accepted it.
    pub leaf: LeafIndex,
    /// Its name, computed from its bytes.
    pub notice: NoticeId,
}

/// What one recipient believes. Proven is: the log signed the checkpoint, with the quorum that the policy asks for; under it lies a
/// statement that accepts the notice whose bytes came; and the recipient is among those it was accepted for. Not looked at are the
/// originator's signature, the directory head, the parts and what else the statement says of the notice: a receipt file and
/// [`super::verify`] show those to everyone.
#[derive(Clone, Debug)]
pub struct Consignments {
    policy: Policy,
    log: Origin,
    me: PartnerNumber,
    /// Of the log's keys.
    tables: Arc<SignerTables>,
    /// The root, the count and the serialized item that were shown to fit last: notices that follow one another are mostly for the
    /// same.
    fits: Option<(Hash, u32, Vec<u8>)>,
}

/// A `CollectResponse`, as it stands in its bytes.
#[derive(Default)]
struct Answer<'a> {
    envelopes: Vec<&'a [u8]>,
    checkpoint: &'a [u8],
    /// The pool of all paths.
    hashes: &'a [[u8; 32]],
    receipts: Vec<&'a [u8]>,
    /// Items that several of them show.
    items: Vec<&'a [u8]>,
}

/// One `Receipt`, as it stands in its bytes.
#[derive(Default)]
struct Shown<'a> {
    leaf_index: u64,
    statement: &'a [u8],
    salt: &'a [u8],
    /// Of its items, if there is just one.
    item: Option<&'a [u8]>,
    items: usize,
}

impl<'a> Answer<'a> {
    fn read(answer: &'a [u8]) -> Result<Self, Problem> {
        let mut read = Self::default();
        for field in wire::fields(answer) {
            match field? {
                (DELIVERIES, delivery) => read.envelopes.push(envelope_of(delivery.bytes()?)?),
                (RECEIPTS, receipts) => read.receipts(receipts.bytes()?)?,
                _ => {}
            }
        }
        Ok(read)
    }

    fn receipts(&mut self, receipts: &'a [u8]) -> Result<(), Problem> {
        for field in wire::fields(receipts) {
            match field? {
                (CHECKPOINT, note) => self.checkpoint = note.bytes()?,
                (HASHES, hashes) => (self.hashes, _) = hashes.bytes()?.as_chunks::<32>(),
                (RECEIPT, receipt) => self.receipts.push(receipt.bytes()?),
                (SHARED, item) => self.items.push(item.bytes()?),
                _ => {}
            }
        }
        Ok(())
    }
}

fn envelope_of(delivery: &[u8]) -> Result<&[u8], Problem> {
    let mut envelope = &[][..];
    for field in wire::fields(delivery) {
        if let (ENVELOPE, value) = field? {
            envelope = value.bytes()?;
        }
    }
    Ok(envelope)
}

impl<'a> Shown<'a> {
    /// Reads it, with its path and its item, from what it shares with others.
    fn read(receipt: &'a [u8], answer: &Answer<'a>, path: &mut Vec<Hash>) -> Result<Self, &'static str> {
        path.clear();
        let mut pooled = |place: u64| -> Result<(), &'static str> {
            let hash = usize::try_from(place).ok().and_then(|place| answer.hashes.get(place));
            path.push(Hash(*hash.ok_or("its hashes are none of the pool")?));
            Ok(())
        };
        let mut shown = Self::default();
        for field in wire::fields(receipt) {
            match field.map_err(malformed)? {
                (LEAF_INDEX, index) => shown.leaf_index = index.number().map_err(malformed)?,
                (STATEMENT, statement) => shown.statement = statement.bytes().map_err(malformed)?,
                (SALT, salt) => shown.salt = salt.bytes().map_err(malformed)?,
                (PATH, places) => numbers(places, &mut pooled)?,
                (ITEMS, item) => shown.show(item.bytes().map_err(malformed)?),
                (SHARED_ITEMS, places) => numbers(places, &mut |place| {
                    let item = usize::try_from(place).ok().and_then(|place| answer.items.get(place));
                    shown.show(item.ok_or("its item is none of those shared")?);
                    Ok(())
                })?,
                _ => {}
            }
        }
        Ok(shown)
    }

    fn show(&mut self, item: &'a [u8]) {
        self.items += 1;
        self.item = Some(item).filter(|_| self.items == 1);
    }
}

/// Each of the numbers of a repeated field, which may be packed.
fn numbers(value: Value<'_>, each: &mut impl FnMut(u64) -> Result<(), &'static str>) -> Result<(), &'static str> {
    match value {
        Value::Number(number) => each(number),
        packed => wire::packed(packed.bytes().map_err(malformed)?)
            .try_for_each(|number| number.map_err(malformed).and_then(&mut *each)),
    }
}

fn malformed(_: Problem) -> &'static str {
    "it cannot be decoded"
}

impl Consignments {
    /// To a partner from a log, believed by a policy. Who collects for several partners shares the tables.
    pub fn new(policy: Policy, log: Origin, me: PartnerNumber, tables: Arc<SignerTables>) -> Self {
        Self { policy, log, me, tables, fits: None }
    }

    /// Checks the notices of a serialized `CollectResponse`, each with the receipt at its place, and no other receipts.
    pub fn check(&mut self, answer: &[u8]) -> Result<Vec<Consigned>, NotProven> {
        let answer = Answer::read(answer).map_err(NotProven::Answer)?;
        let (envelopes, receipts) = (answer.envelopes.len(), answer.receipts.len());
        if envelopes != receipts {
            let nth = envelopes.min(receipts);
            return Err(NotProven::Receipt { nth, why: "not one receipt for each notice" });
        }
        if envelopes == 0 {
            return Ok(Vec::new());
        }
        let Checkpoint { size, root, .. } = self.checkpoint(answer.checkpoint)?;
        let (mut inclusions, mut path) = (Inclusions::of(size, root), Vec::new());
        let one = |(nth, (receipt, envelope)): (usize, (&&[u8], &&[u8]))| {
            let shown = Shown::read(receipt, &answer, &mut path);
            let consigned = shown.and_then(|shown| self.one(&shown, &path, envelope, &mut inclusions));
            consigned.map_err(|why| NotProven::Receipt { nth, why })
        };
        answer.receipts.iter().zip(&answer.envelopes).enumerate().map(one).collect()
    }

    fn checkpoint(&self, note: &[u8]) -> Result<Checkpoint, NotProven> {
        let bad = |bad: &dyn std::fmt::Display| NotProven::Checkpoint(bad.to_string());
        let note = SignedNote::parse(note).map_err(|form| bad(&form))?;
        let checkpoint = Checkpoint::parse(note.text()).map_err(|form| bad(&form))?;
        if checkpoint.origin != self.log {
            return Err(bad(&format_args!("expected one of {}, found {}", self.log, checkpoint.origin)));
        }
        self.policy.signed_by(&self.log, &note, Some(&self.tables)).map_err(|not| bad(&not))?;
        match self.policy.witnessed(&note).map_err(|not| bad(&not))?.quorum {
            true => Ok(checkpoint),
            false => Err(bad(&"fewer cosignatures than the quorum")),
        }
    }

    fn one(
        &mut self,
        shown: &Shown<'_>,
        path: &[Hash],
        envelope: &[u8],
        inclusions: &mut Inclusions,
    ) -> Result<Consigned, &'static str> {
        let salt = Salt::from_slice(shown.salt).ok_or("its salt has not 32 bytes")?;
        if !inclusions.hold(hash::leaf(&Leaf::of(&salt, shown.statement).0), shown.leaf_index, path) {
            return Err("its path does not lead to the checkpoint's root");
        }
        let consignment =
            Consignment::read(shown.statement).ok().flatten().ok_or("its statement accepts nothing")?;
        let notice = envelope::digest_of(envelope, MANIFEST_TYPE).map_err(|_| "the notice is no envelope")?;
        if consignment.notice != NoticeId(notice) {
            return Err("its statement accepts another notice");
        }
        match shown.item {
            Some(item) if self.is_mine(item, &consignment) => {
                Ok(Consigned { leaf: LeafIndex(shown.leaf_index), notice: consignment.notice })
            }
            Some(_) => Err("its item is not the recipient's own"),
            None => Err("not with one item"),
        }
    }

    fn is_mine(&mut self, shown: &[u8], consignment: &Consignment) -> bool {
        let (root, count) = (consignment.recipients_root, consignment.recipient_count);
        if self.fits.as_ref().is_some_and(|(known, of, fits)| (*known, *of) == (root, count) && fits == shown) {
            return true;
        }
        let Ok(item) = proto::ItemProof::decode(shown) else { return false };
        let Some(Item::Recipient(recipient)) = &item.item else { return false };
        let leads = |salt: Salt, path: Vec<Hash>| {
            items::root_of(items::recipient(&salt, self.me), item.index, count.into(), &path) == Some(root)
        };
        let mine = recipient.number == self.me.0
            && Salt::from_slice(&recipient.salt)
                .zip(items::hashes(&item.path))
                .is_some_and(|(salt, path)| leads(salt, path));
        if mine {
            self.fits = Some((root, count, shown.to_vec()));
        }
        mine
    }
}
