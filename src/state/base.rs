//! A view as bytes, so that a start need not fold everything: equal views have equal bytes, in one format for ever, because
//! statements commit to them. What follows from the open notices (what waits in mailboxes, deadlines) is not written.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use bytes::{Buf, BufMut as _, Bytes, BytesMut};
use liaison_protocol::id::{Hash, HeadDigest, HeadVersion, Micros, NoticeId, PartnerNumber, Seq};
use liaison_protocol::proto::Precedence;
use liaison_protocol::statement::HeadName;
use liaison_protocol::tlog::entry::Salt;

use super::{Mailbox, Open, View};
use crate::policy::RecipientSet;

/// The first bytes of this format.
const FORMAT: &[u8] = b"liaison-view-v1";
/// Pieces are about this large: a row each, so that neither a store nor a start holds the whole thing twice.
const PIECE_BYTES: usize = 1 << 20;

/// Why bytes are no view.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadBase {
    /// They end too soon, go on too long, or say what cannot be.
    #[error("its bytes are no view")]
    Unreadable,
    /// A recipient set was not handed in.
    #[error("a recipient set is missing")]
    NoSet,
}

/// The digest that a statement holds: `SHA-256("liaison-base-v1" | salt | view)`.
pub(super) fn digest(salt: &Salt, pieces: &[Bytes]) -> Hash {
    let parts: Vec<&[u8]> =
        [b"liaison-base-v1".as_slice(), &salt.0].into_iter().chain(pieces.iter().map(|p| &p[..])).collect();
    Hash::of(&parts)
}

/// The view in pieces; joined, they are its bytes. Integers are big-endian.
pub(super) fn encode(view: &View) -> Vec<Bytes> {
    let mut bytes = BytesMut::with_capacity(PIECE_BYTES);
    bytes.put_slice(FORMAT);
    bytes.put_u64(view.next);
    bytes.put_u64(view.base);
    bytes.put_u8(u8::from(view.head.is_some()));
    if let Some(head) = view.head {
        bytes.put_u64(head.version.0);
        bytes.put_slice(&head.digest.0.0);
    }
    bytes.put_u64(view.mailboxes.len() as u64);
    for (partner, mailbox) in &view.mailboxes {
        bytes.put_u32(partner.0);
        bytes.put_u64(mailbox.consigned());
    }
    let roots: BTreeSet<Hash> = view.open.iter().map(|(_, open)| open.recipients().root()).collect();
    bytes.put_u64(roots.len() as u64);
    let places: HashMap<Hash, u32> = roots.iter().copied().zip(0..).collect();
    roots.iter().for_each(|root| bytes.put_slice(&root.0));
    bytes.put_u64(view.open.len() as u64);
    let mut pieces = Vec::new();
    for (seq, open) in view.open.iter() {
        if bytes.len() >= PIECE_BYTES {
            pieces.push(bytes.split().freeze());
            bytes.reserve(PIECE_BYTES);
        }
        bytes.put_u64(seq.0);
        open.write(places[&open.recipients().root()], &mut bytes);
    }
    pieces.push(bytes.freeze());
    pieces
}

/// Bytes of a view, read as far as it can be without its recipient sets.
#[derive(Debug)]
pub struct Base {
    view: View,
    sets: Vec<Hash>,
    open: u64,
    rest: Bytes,
}

impl Base {
    /// Reads what comes before the open notices.
    pub fn read(mut bytes: Bytes) -> Result<Self, BadBase> {
        if !bytes.starts_with(FORMAT) {
            return Err(BadBase::Unreadable);
        }
        bytes.advance(FORMAT.len());
        let mut view = View { next: u64_of(&mut bytes)?, base: u64_of(&mut bytes)?, ..View::default() };
        view.head = match bytes.try_get_u8().map_err(|_| BadBase::Unreadable)? {
            0 => None,
            1 => Some(HeadName {
                version: HeadVersion(u64_of(&mut bytes)?),
                digest: HeadDigest(hash_of(&mut bytes)?),
            }),
            _ => return Err(BadBase::Unreadable),
        };
        for _ in 0..u64_of(&mut bytes)? {
            let partner = PartnerNumber(u32_of(&mut bytes)?);
            view.mailboxes.insert(partner, Mailbox::empty(u64_of(&mut bytes)?));
        }
        // Read one by one: a count is not believed before so many are there.
        let mut sets = Vec::new();
        for _ in 0..u64_of(&mut bytes)? {
            sets.push(hash_of(&mut bytes)?);
        }
        Ok(Self { view, sets, open: u64_of(&mut bytes)?, rest: bytes })
    }

    /// The recipient sets that must be handed in before the rest can be read.
    pub fn sets(&self) -> &[Hash] {
        &self.sets
    }

    /// Reads the open notices, and what follows from them.
    pub(super) fn view(self, known: &HashMap<Hash, Arc<RecipientSet>>) -> Result<View, BadBase> {
        let Self { mut view, sets, open, mut rest } = self;
        let set = |root| known.get(root).cloned().ok_or(BadBase::NoSet);
        let sets: Vec<_> = sets.iter().map(set).collect::<Result<_, _>>()?;
        for _ in 0..open {
            let seq = Seq(u64_of(&mut rest)?);
            let open = Open::read(&sets, &mut rest)?;
            for partner in open.waiting() {
                let mailbox = view.mailboxes.get_mut(&partner).ok_or(BadBase::Unreadable)?;
                mailbox.put(seq, open.precedence());
            }
            view.hold(seq, open);
        }
        if rest.is_empty() { Ok(view) } else { Err(BadBase::Unreadable) }
    }
}

impl From<bytes::TryGetError> for BadBase {
    fn from(_: bytes::TryGetError) -> Self {
        Self::Unreadable
    }
}

pub(super) fn u64_of(bytes: &mut Bytes) -> Result<u64, BadBase> {
    Ok(bytes.try_get_u64()?)
}

pub(super) fn u32_of(bytes: &mut Bytes) -> Result<u32, BadBase> {
    Ok(bytes.try_get_u32()?)
}

pub(super) fn micros_of(bytes: &mut Bytes) -> Result<Micros, BadBase> {
    Ok(Micros(bytes.try_get_i64()?))
}

pub(super) fn hash_of(bytes: &mut Bytes) -> Result<Hash, BadBase> {
    let mut hash = [0; 32];
    bytes.try_copy_to_slice(&mut hash)?;
    Ok(Hash(hash))
}

pub(super) fn notice_of(bytes: &mut Bytes) -> Result<NoticeId, BadBase> {
    hash_of(bytes).map(NoticeId)
}

pub(super) fn precedence_of(bytes: &mut Bytes) -> Result<Precedence, BadBase> {
    Precedence::try_from(i32::from(bytes.try_get_u8()?)).map_err(|_| BadBase::Unreadable)
}
