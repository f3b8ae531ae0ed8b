//! Notices as they come to one of their recipients, many under one checkpoint: all their receipts are checked together, each
//! shared hash once. Each verdict is the one that the receipt would get alone.

use bytes::Bytes;

use super::path_of;
use crate::envelope::{Envelope, MANIFEST_TYPE};
use crate::id::{Hash, LeafIndex, NoticeId, Origin, PartnerNumber};
use crate::proto;
use crate::proto::item_proof::Item;
use crate::statement::{Accepted, Event, Statement};
use crate::tlog::checkpoint::{Checkpoint, SignedNote};
use crate::tlog::entry::{Opening, Salt};
use crate::tlog::proof::Inclusions;
use crate::tlog::{hash, items};
use crate::trust::Policy;

/// Why what came together does not prove what it should.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotProven {
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
/// originator's signature, the directory head and the parts: a receipt file and [`super::verify`] show those to everyone.
#[derive(Clone, Debug)]
pub struct Consignments {
    policy: Policy,
    log: Origin,
    me: PartnerNumber,
    /// The root, the count and the item that were shown to fit last: notices that follow one another are mostly for the same.
    fits: Option<(Hash, u32, proto::ItemProof)>,
}

impl Consignments {
    /// To a partner from a log, believed by a policy.
    pub fn new(policy: Policy, log: Origin, me: PartnerNumber) -> Self {
        Self { policy, log, me, fits: None }
    }

    /// Checks notices, each with the receipt at its place, and no other receipts.
    pub fn check<'e>(
        &mut self,
        receipts: &proto::Receipts,
        envelopes: impl ExactSizeIterator<Item = &'e Bytes>,
    ) -> Result<Vec<Consigned>, NotProven> {
        if envelopes.len() != receipts.receipts.len() {
            let nth = envelopes.len().min(receipts.receipts.len());
            return Err(NotProven::Receipt { nth, why: "not one receipt for each notice" });
        }
        if envelopes.len() == 0 {
            return Ok(Vec::new());
        }
        let Checkpoint { size, root, .. } = self.checkpoint(&receipts.checkpoint)?;
        let mut inclusions = Inclusions::of(size, root);
        let one = |(nth, (receipt, envelope)): (usize, (&proto::Receipt, &Bytes))| {
            let path = path_of(receipt, &receipts.hashes).ok_or("its hashes are none of the pool");
            let consigned = path.and_then(|path| self.one(receipt, &path, envelope, &mut inclusions));
            consigned.map_err(|why| NotProven::Receipt { nth, why })
        };
        receipts.receipts.iter().zip(envelopes).enumerate().map(one).collect()
    }

    fn checkpoint(&self, note: &[u8]) -> Result<Checkpoint, NotProven> {
        let bad = |bad: &dyn std::fmt::Display| NotProven::Checkpoint(bad.to_string());
        let note = SignedNote::parse(note).map_err(|form| bad(&form))?;
        let checkpoint = Checkpoint::parse(note.text()).map_err(|form| bad(&form))?;
        if checkpoint.origin != self.log {
            return Err(bad(&format_args!("expected one of {}, found {}", self.log, checkpoint.origin)));
        }
        self.policy.signed_by(&self.log, &note).map_err(|not| bad(&not))?;
        match self.policy.witnessed(&note).map_err(|not| bad(&not))?.quorum {
            true => Ok(checkpoint),
            false => Err(bad(&"fewer cosignatures than the quorum")),
        }
    }

    fn one(
        &mut self,
        receipt: &proto::Receipt,
        path: &[Hash],
        envelope: &Bytes,
        inclusions: &mut Inclusions,
    ) -> Result<Consigned, &'static str> {
        let salt = Salt::from_slice(&receipt.salt).ok_or("its salt has not 32 bytes")?;
        let opening = Opening { statement: receipt.statement.clone(), salt };
        if !inclusions.hold(hash::leaf(&opening.leaf().0), receipt.leaf_index, path) {
            return Err("its path does not lead to the checkpoint's root");
        }
        let statement = Statement::decode(opening.statement);
        let Ok(Statement { event: Event::Accepted(accepted), .. }) = statement else {
            return Err("its statement accepts nothing");
        };
        let envelope = Envelope::parse(envelope.clone()).map_err(|_| "the notice is no envelope")?;
        let notice = NoticeId(envelope.digest(MANIFEST_TYPE));
        if accepted.notice != notice {
            return Err("its statement accepts another notice");
        }
        match receipt.items.as_slice() {
            [item] if self.is_mine(item, &accepted) => {
                Ok(Consigned { leaf: LeafIndex(receipt.leaf_index), notice })
            }
            [_] => Err("its item is not the recipient's own"),
            _ => Err("not with one item"),
        }
    }

    fn is_mine(&mut self, item: &proto::ItemProof, accepted: &Accepted) -> bool {
        let (root, count) = (accepted.recipients_root, accepted.recipient_count);
        if self.fits.as_ref().is_some_and(|(known, of, fits)| (*known, *of) == (root, count) && fits == item) {
            return true;
        }
        let Some(Item::Recipient(recipient)) = &item.item else { return false };
        let shown = |salt: Salt, path: Vec<Hash>| {
            items::root_of(items::recipient(&salt, self.me), item.index, count.into(), &path) == Some(root)
        };
        let mine = recipient.number == self.me.0
            && Salt::from_slice(&recipient.salt)
                .zip(items::hashes(&item.path))
                .is_some_and(|(salt, path)| shown(salt, path));
        if mine {
            self.fits = Some((root, count, item.clone()));
        }
        mine
    }
}
