//! The equation of an Ed25519 signature, with the verdict of [`VerifyingKey::verify_strict`] and less work.

use curve25519_dalek::{EdwardsPoint, Scalar};
use ed25519_dalek::VerifyingKey;
use ring::digest;

use super::Signed;

/// A signature that has been followed to the point that its R has to be.
pub(super) struct Claim<'s> {
    commitment: &'s [u8],
    point: EdwardsPoint,
}

impl<'s> Claim<'s> {
    /// RFC 8032 section 5.1.7 without the cofactor: [s]B - [k]A is R, whose bytes are the signature's first half. `sum` gives
    /// [s]B - [k]A for k and s. None: s is not canonical.
    pub(super) fn of(
        key: &VerifyingKey,
        Signed { message, signature }: Signed<'s, [u8; 64]>,
        sum: impl FnOnce(&Scalar, &Scalar) -> EdwardsPoint,
    ) -> Option<Self> {
        let (commitment, response) = signature.split_at(32);
        let response = response.try_into().expect("the second half of 64 bytes");
        let response = Scalar::from_canonical_bytes(response).into_option()?;
        Some(Self { commitment, point: sum(&challenge(commitment, key, message), &response) })
    }

    /// For a key of which nothing has been computed before.
    pub(super) fn alone(key: &VerifyingKey, signed: Signed<'s, [u8; 64]>) -> Option<Self> {
        Self::of(key, signed, |challenge, response| {
            EdwardsPoint::vartime_double_scalar_mul_basepoint(challenge, &-key.to_edwards(), response)
        })
    }
}

/// Which of some claims hold, each judged by itself. The points are encoded together, because that takes one inversion for all: for one
/// signature it is a sixth of the work with a table.
///
/// A strict verification also refuses an R that is no point, or is written in a second way, or is of small order, and the library takes
/// R apart for that, which is a sixth of all its work. Here the point that R must be is at hand: bytes equal to its encoding are the
/// encoding of a point, are its canonical one, and the point is this one, which can be asked for its order. That the key is not of
/// small order was seen when the key was read.
pub(super) fn hold(claims: &[Claim<'_>]) -> Vec<bool> {
    let points: Vec<_> = claims.iter().map(|claim| claim.point).collect();
    let encodings = EdwardsPoint::compress_batch_alloc(&points).into_iter().zip(claims);
    encodings
        .map(|(encoding, claim)| encoding.as_bytes() == claim.commitment && !claim.point.is_small_order())
        .collect()
}

/// SHA-512 of R, key and message, modulo the group's order.
fn challenge(commitment: &[u8], key: &VerifyingKey, message: &[u8]) -> Scalar {
    let mut hash = digest::Context::new(&digest::SHA512);
    hash.update(commitment);
    hash.update(key.as_bytes());
    hash.update(message);
    let hash = hash.finish().as_ref().try_into().expect("SHA-512 has 64 bytes");
    Scalar::from_bytes_mod_order_wide(&hash)
}
