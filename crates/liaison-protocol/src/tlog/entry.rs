//! A leaf is a salted commitment and nothing else, so the whole log can be public.

use bytes::Bytes;

use crate::id::Hash;

/// First byte of every leaf of this format.
pub const LEAF_VERSION: u8 = 1;
/// Bytes of a leaf: the version and a SHA-256.
pub const LEAF_BYTES: usize = 33;

/// What keeps a commitment from being guessed: 32 bytes drawn for it alone.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Salt(pub [u8; 32]);

impl Salt {
    /// Reads exactly 32 bytes.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// The salt as bytes on the wire: shared from the start, as whatever is serialized is shared for a moment.
    pub fn to_bytes(self) -> Bytes {
        Bytes::from_owner(self.0)
    }
}

impl std::fmt::Debug for Salt {
    /// Never shows the salt: whoever reads it can open the commitment.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Salt")
    }
}

/// The log's entry, public for ever: `0x01 | SHA-256("liaison-entry-v1" | salt | statement)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leaf(pub [u8; LEAF_BYTES]);

impl Leaf {
    /// The leaf that a statement and its salt open.
    pub fn of(salt: &Salt, statement: &[u8]) -> Self {
        let digest = Hash::of(&[b"liaison-entry-v1", &salt.0, statement]);
        let mut leaf = [LEAF_VERSION; LEAF_BYTES];
        leaf[1..].copy_from_slice(digest.as_ref());
        Self(leaf)
    }

    /// Reads exactly 33 bytes; the version is not judged here.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }
}

/// A statement and the salt that together open a leaf; its parties' until metadata retention.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opening {
    /// The exact bytes that were committed to.
    pub statement: Bytes,
    /// Drawn for this statement alone.
    pub salt: Salt,
}

impl Opening {
    /// The leaf that this opens.
    pub fn leaf(&self) -> Leaf {
        Leaf::of(&self.salt, &self.statement)
    }
}
