//! What can be computed of a signer's key before its signatures come: verifying one then takes half the time.

use std::sync::LazyLock;

use curve25519_dalek::constants::ED25519_BASEPOINT_POINT;
use ed25519_dalek::VerifyingKey;

use super::comb::Comb;
use super::strict::{self, Claim};
use super::{Form, PublicKey, SignatureRefusal, Signed, ed25519_signature};

/// Multiples of the base point, which every signature needs: 640 KiB, once.
static BASE: LazyLock<Comb<8, 1>> = LazyLock::new(|| Comb::of(&ED25519_BASEPOINT_POINT));

/// Multiples of a key. Window and stride were chosen by measurement: docs/decisions/0007.
type OfKey = Comb<6, 2>;

/// An Ed25519 key with a table of its multiples: 110 KiB.
pub struct SignerTable {
    key: VerifyingKey,
    negated: OfKey,
}

impl SignerTable {
    /// Memory that one table takes.
    pub const BYTES: usize = OfKey::BYTES;

    /// Computes a key's table, which takes as long as verifying some signatures. None for another algorithm than Ed25519.
    pub fn of(key: &PublicKey) -> Option<Self> {
        match &key.form {
            Form::Ed25519(key) => Self::over(key),
            Form::EcdsaP256(_) => None,
        }
    }

    /// None for a key of small order, for which a strict verification accepts nothing. No [`PublicKey`] is one.
    pub(super) fn over(key: &VerifyingKey) -> Option<Self> {
        (!key.is_weak()).then(|| Self { key: *key, negated: Comb::of(&-key.to_edwards()) })
    }

    /// Verifies strictly, with the verdict of [`PublicKey::verify`] on every message and signature.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), SignatureRefusal> {
        let claim = self.claim(Signed { message, signature: ed25519_signature(signature)? });
        if strict::hold(claim.as_slice()) == [true] { Ok(()) } else { Err(SignatureRefusal::Wrong) }
    }

    pub(super) fn claim<'s>(&self, signed: Signed<'s, [u8; 64]>) -> Option<Claim<'s>> {
        Claim::of(&self.key, signed, |challenge, response| self.negated.times(challenge) + BASE.times(response))
    }
}

impl std::fmt::Debug for SignerTable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SignerTable").field("key", self.key.as_bytes()).finish_non_exhaustive()
    }
}
