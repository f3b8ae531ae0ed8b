//! A resolved audience: the recipients as a set, committed to by a salted root so that no party learns of another.

use std::sync::OnceLock;

use bytes::{BufMut as _, Bytes, BytesMut};
use liaison_protocol::id::{AgreementDigest, Hash, PartnerNumber};
use liaison_protocol::proto;
use liaison_protocol::tlog::entry::Salt;
use liaison_protocol::tlog::items::{self, ItemTree};
use ring::hmac;
use roaring::RoaringBitmap;

/// Recipients and the secret that their salts are made from. Erasing this one row erases all the salts.
pub struct RecipientSet {
    secret: [u8; 32],
    members: RoaringBitmap,
    items: OnceLock<Items>,
}

/// The salted items in ascending order of their leaf data: an order that says nothing of who else is there, whose numbers everyone
/// may know.
struct Items {
    tree: ItemTree,
    /// The recipient at each place.
    order: Vec<u32>,
}

impl RecipientSet {
    /// Joins the recipients and a fresh secret.
    pub fn new(secret: [u8; 32], members: RoaringBitmap) -> Self {
        Self { secret, members, items: OnceLock::new() }
    }

    /// The recipients' numbers.
    pub fn members(&self) -> &RoaringBitmap {
        &self.members
    }

    /// How many there are.
    pub fn count(&self) -> u32 {
        u32::try_from(self.members.len()).unwrap_or(u32::MAX)
    }

    /// RFC 6962 root over the salted recipients.
    pub fn root(&self) -> Hash {
        self.items().tree.root()
    }

    /// One recipient's own item, with its path to the root. None: not a recipient.
    pub fn item(&self, number: PartnerNumber) -> Option<proto::ItemProof> {
        if !self.members.contains(number.0) {
            return None;
        }
        let items = self.items();
        let index = items.order.iter().position(|known| *known == number.0)? as u64;
        Some(proto::ItemProof {
            index,
            path: items.tree.path(index)?.into_iter().map(Hash::to_bytes).collect(),
            item: Some(proto::item_proof::Item::Recipient(proto::RecipientItem {
                salt: self.salt(number).to_bytes(),
                number: number.0,
            })),
        })
    }

    fn items(&self) -> &Items {
        self.items.get_or_init(|| {
            let numbers = self.members.iter().map(PartnerNumber);
            let mut items: Vec<_> =
                numbers.map(|number| (items::recipient(&self.salt(number), number), number.0)).collect();
            items.sort_unstable();
            Items {
                tree: ItemTree::over(items.iter().map(|(data, _)| *data)),
                order: items.into_iter().map(|(_, number)| number).collect(),
            }
        })
    }

    /// HMAC-SHA256 under the secret, so that the row stays small and each salt is as good as drawn for its recipient alone.
    fn salt(&self, number: PartnerNumber) -> Salt {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.secret);
        let mut salt = [0; 32];
        salt.copy_from_slice(hmac::sign(&key, &number.0.to_be_bytes()).as_ref());
        Salt(salt)
    }

    /// As it lies in the store: the secret, then the members as a roaring bitmap.
    pub fn encode(&self) -> Bytes {
        let mut bytes = BytesMut::with_capacity(32 + self.members.serialized_size());
        bytes.put_slice(&self.secret);
        self.members.serialize_into((&mut bytes).writer()).expect("memory takes all bytes");
        bytes.freeze()
    }

    /// As [`RecipientSet::encode`] wrote it; None for anything else.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (secret, members) = bytes.split_first_chunk::<32>()?;
        Some(Self::new(*secret, RoaringBitmap::deserialize_from(members).ok()?))
    }
}

impl std::fmt::Debug for RecipientSet {
    /// Never shows the secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RecipientSet({} recipients)", self.members.len())
    }
}

impl PartialEq for RecipientSet {
    fn eq(&self, other: &Self) -> bool {
        self.secret == other.secret && self.members == other.members
    }
}

/// Whom a notice reaches, and under which agreements.
#[derive(Debug)]
pub struct Audience {
    /// The recipients.
    pub set: std::sync::Arc<RecipientSet>,
    /// Members of named groups that the originator's agreements do not cover.
    pub passed_over: u32,
    /// The agreements used, ascending.
    pub agreements: Vec<AgreementDigest>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use liaison_protocol::tlog::items::{hashes, root_of};

    #[test]
    fn a_recipients_place_says_nothing_of_the_numbers_of_others() {
        let places = |secret: u8| -> Vec<u64> {
            let set = RecipientSet::new([secret; 32], (1..=8).collect());
            (1..=8).map(|number| set.item(PartnerNumber(number)).expect("a recipient").index).collect()
        };
        assert_ne!(places(1), places(2), "the order comes from the salts");
        assert_ne!(places(1), (0..8).collect::<Vec<_>>());
    }

    #[test]
    fn every_recipient_is_shown_its_own_item_and_nobody_else_has_one() {
        let set = RecipientSet::new([9; 32], [3, 5, 70_000].into_iter().collect());
        for number in [3, 5, 70_000] {
            let shown = set.item(PartnerNumber(number)).expect("a recipient");
            let data = items::recipient(&set.salt(PartnerNumber(number)), PartnerNumber(number));
            let path = hashes(&shown.path).expect("hashes");
            assert_eq!(root_of(data, shown.index, 3, &path), Some(set.root()));
        }
        assert_eq!(set.item(PartnerNumber(4)), None);
        assert_eq!(RecipientSet::decode(&set.encode()).map(|again| again.root()), Some(set.root()));
    }
}
