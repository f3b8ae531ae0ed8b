//! What travels beside a manifest. A manifest commits to each part with a salt, so that erasing part and salt leaves nothing to
//! guess from, and the signed manifest whole.

use bytes::Bytes;

use crate::id::Hash;
use crate::limits::CONTENT_BYTES_MAX;
use crate::manifest::{Nth, known, media_type};
use crate::proto;
use crate::reason::{Reason, Refusal};
use crate::tlog::entry::Salt;

/// What a manifest says of one part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartCommitment {
    /// What it is for.
    pub role: proto::PartRole,
    /// RFC 6838.
    pub media_type: String,
    /// Bytes.
    pub size: u64,
    /// `SHA-256("liaison-part-v1" | role | size | salt | bytes)`.
    pub commitment: Hash,
    /// For a sealed part, the same over its plaintext.
    pub plaintext_commitment: Option<Hash>,
}

/// The commitment of a part: role as 1 byte, size as 8 bytes big-endian, salt, bytes.
pub fn commitment(role: proto::PartRole, salt: &Salt, bytes: &[u8]) -> Hash {
    Hash::of(&[b"liaison-part-v1", &[role as u8], &(bytes.len() as u64).to_be_bytes(), &salt.0, bytes])
}

impl PartCommitment {
    /// Commits to a part.
    pub fn to(role: proto::PartRole, media_type: &str, salt: &Salt, bytes: &[u8]) -> Self {
        Self {
            role,
            media_type: media_type.into(),
            size: bytes.len() as u64,
            commitment: commitment(role, salt, bytes),
            plaintext_commitment: None,
        }
    }

    pub(crate) fn read(part: &proto::PartCommitment, nth: usize) -> Result<Self, Refusal> {
        let path = |field| Nth { of: "parts", nth, field };
        media_type(&part.media_type, path("media_type"))?;
        let digest = |bytes: &Bytes, field| {
            Hash::from_slice(bytes).ok_or_else(|| Refusal::field(path(field), "not 32 bytes"))
        };
        let plaintext = &part.plaintext_commitment;
        Ok(Self {
            role: known(part.role(), path("role"))?,
            media_type: part.media_type.clone(),
            size: part.size,
            commitment: digest(&part.commitment, "commitment")?,
            plaintext_commitment: (!plaintext.is_empty())
                .then(|| digest(plaintext, "plaintext_commitment"))
                .transpose()?,
        })
    }

    pub(crate) fn to_proto(&self) -> proto::PartCommitment {
        proto::PartCommitment {
            role: self.role.into(),
            media_type: self.media_type.clone(),
            size: self.size,
            commitment: self.commitment.to_bytes(),
            plaintext_commitment: self.plaintext_commitment.map(Hash::to_bytes).unwrap_or_default(),
        }
    }
}

/// Parts that open a manifest's commitments, in its order. Only [`Parts::open`] makes them.
#[derive(Clone, Debug)]
pub struct Parts(Vec<proto::Part>);

impl Parts {
    /// Checks number, sizes, bounds and every commitment.
    pub fn open(commitments: &[PartCommitment], parts: Vec<proto::Part>) -> Result<Self, Refusal> {
        let mismatch = |message: String| Refusal::new(Reason::PartMismatch, message);
        if commitments.len() != parts.len() {
            return Err(mismatch(format!("parts: {}, the manifest names {}", parts.len(), commitments.len())));
        }
        let total: usize = parts.iter().map(|part| part.bytes.len()).sum();
        if total > CONTENT_BYTES_MAX {
            return Err(Refusal::new(
                Reason::TooLarge,
                format!("parts: {total} bytes in all, at most {CONTENT_BYTES_MAX}"),
            )
            .with("limit_bytes", CONTENT_BYTES_MAX));
        }
        for (nth, (expected, part)) in commitments.iter().zip(&parts).enumerate() {
            if part.bytes.len() as u64 != expected.size {
                return Err(mismatch(format!(
                    "parts[{nth}].size: {} bytes, the manifest says {}",
                    part.bytes.len(),
                    expected.size
                )));
            }
            let salt = Salt::from_slice(&part.salt)
                .ok_or_else(|| Refusal::field(format!("parts[{nth}].salt"), "not 32 bytes"))?;
            if commitment(expected.role, &salt, &part.bytes) != expected.commitment {
                return Err(mismatch(format!("parts[{nth}]: does not open its commitment")));
            }
        }
        Ok(Self(parts))
    }

    /// The parts, in the manifest's order.
    pub fn as_slice(&self) -> &[proto::Part] {
        &self.0
    }

    /// The parts, in the manifest's order.
    pub fn into_inner(self) -> Vec<proto::Part> {
        self.0
    }
}
