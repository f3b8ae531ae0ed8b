//! Public keys and what each is for. A key is checked once, when it enters; after that a signature by it is either right or wrong.

mod comb;
#[cfg(test)]
mod same_verdict;
mod signer_table;
mod signer_tables;
mod strict;

pub use signer_table::SignerTable;
pub use signer_tables::{SignatureCounts, SignerTables};

use ed25519_dalek::{Signature as Ed25519Signature, VerifyingKey};
use ring::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};

use crate::id::{Hash, KeyId, Micros, PartnerNumber};
use crate::proto;

/// A public key of one of the two algorithms, checked.
#[derive(Clone)]
pub struct PublicKey {
    id: KeyId,
    form: Form,
}

#[derive(Clone)]
enum Form {
    /// RFC 8032: canonical, and not of small order.
    Ed25519(Box<VerifyingKey>),
    /// The uncompressed point, SEC 1.
    EcdsaP256([u8; 65]),
}

/// Why a key cannot be listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadKey {
    /// Absent or unknown.
    #[error("unknown algorithm")]
    Algorithm,
    /// Not 32 bytes for Ed25519, 65 for P-256.
    #[error("wrong length")]
    Length,
    /// Not a point of the curve, or not in its canonical encoding.
    #[error("not a canonical point of the curve")]
    Point,
    /// Anyone can sign for it.
    #[error("a key of small order, for which anyone can sign")]
    SmallOrder,
}

/// A message and what is said to be a signature of it.
#[derive(Debug)]
pub struct Signed<'s, S: ?Sized = [u8]> {
    /// What was signed.
    pub message: &'s [u8],
    /// The signature, in its algorithm's form.
    pub signature: &'s S,
}

impl<S: ?Sized> Clone for Signed<'_, S> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S: ?Sized> Copy for Signed<'_, S> {}

/// Why a signature was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignatureRefusal {
    /// It cannot be one of this algorithm, whoever signed.
    Shape(&'static str),
    /// This key did not make it over these bytes.
    Wrong,
}

impl PublicKey {
    /// Checks a key: strictly, so that nobody can list one for which more than its holder can sign.
    pub fn parse(key: &proto::PublicKey) -> Result<Self, BadKey> {
        let form = match key.algorithm() {
            proto::Algorithm::Ed25519 => {
                let bytes: [u8; 32] = key.key.as_ref().try_into().map_err(|_| BadKey::Length)?;
                let point = VerifyingKey::from_bytes(&bytes).map_err(|_| BadKey::Point)?;
                if point.to_edwards().compress().to_bytes() != bytes {
                    return Err(BadKey::Point);
                }
                if point.is_weak() {
                    return Err(BadKey::SmallOrder);
                }
                Form::Ed25519(Box::new(point))
            }
            proto::Algorithm::EcdsaP256Sha256 => {
                let bytes: [u8; 65] = key.key.as_ref().try_into().map_err(|_| BadKey::Length)?;
                if bytes[0] != 4 || !on_p256(&bytes) {
                    return Err(BadKey::Point);
                }
                Form::EcdsaP256(bytes)
            }
            proto::Algorithm::Unspecified => return Err(BadKey::Algorithm),
        };
        let id = KeyId(Hash::of(&[b"liaison-key-v1", &[key.algorithm as u8], &key.key]));
        Ok(Self { id, form })
    }

    /// An Ed25519 key from its 32 bytes.
    pub fn ed25519(bytes: &[u8; 32]) -> Result<Self, BadKey> {
        Self::parse(&proto::PublicKey {
            algorithm: proto::Algorithm::Ed25519 as i32,
            key: bytes::Bytes::copy_from_slice(bytes),
        })
    }

    /// Its identifier.
    pub fn id(&self) -> KeyId {
        self.id
    }

    /// As on the wire.
    pub fn to_proto(&self) -> proto::PublicKey {
        let algorithm = match self.form {
            Form::Ed25519(_) => proto::Algorithm::Ed25519,
            Form::EcdsaP256(_) => proto::Algorithm::EcdsaP256Sha256,
        };
        proto::PublicKey { algorithm: algorithm as i32, key: bytes::Bytes::copy_from_slice(self.as_bytes()) }
    }

    /// The key's bytes: 32 or 65.
    pub fn as_bytes(&self) -> &[u8] {
        match &self.form {
            Form::Ed25519(key) => key.as_bytes(),
            Form::EcdsaP256(bytes) => bytes,
        }
    }

    /// Ed25519's 32 bytes; None for another algorithm.
    pub fn as_ed25519(&self) -> Option<&[u8; 32]> {
        match &self.form {
            Form::Ed25519(key) => Some(key.as_bytes()),
            Form::EcdsaP256(_) => None,
        }
    }

    /// Verifies strictly: Ed25519 with canonical encodings and no small-order points, ECDSA in strict DER with either S. This is the
    /// library's own verification; [`SignerTables`] gives its verdicts sooner.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), SignatureRefusal> {
        match &self.form {
            Form::Ed25519(key) => key
                .verify_strict(message, &Ed25519Signature::from_bytes(ed25519_signature(signature)?))
                .map_err(|_| SignatureRefusal::Wrong),
            Form::EcdsaP256(point) => {
                if !is_strict_der(signature) {
                    return Err(SignatureRefusal::Shape("an ECDSA P-256 signature is strict DER"));
                }
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point)
                    .verify(message, signature)
                    .map_err(|_| SignatureRefusal::Wrong)
            }
        }
    }
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Eq for PublicKey {}

impl std::fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PublicKey({})", self.id)
    }
}

fn ed25519_signature(signature: &[u8]) -> Result<&[u8; 64], SignatureRefusal> {
    signature.try_into().map_err(|_| SignatureRefusal::Shape("an Ed25519 signature has 64 bytes"))
}

/// ring says whether a point is on the curve only when it agrees on a secret with it.
fn on_p256(point: &[u8; 65]) -> bool {
    use ring::agreement::{ECDH_P256, EphemeralPrivateKey, UnparsedPublicKey, agree_ephemeral};
    let chance = ring::rand::SystemRandom::new();
    EphemeralPrivateKey::generate(&ECDH_P256, &chance)
        .and_then(|own| agree_ephemeral(own, &UnparsedPublicKey::new(&ECDH_P256, point), |_| ()))
        .is_ok()
}

/// SEQUENCE of two positive INTEGERs below 2^256, minimal, and nothing behind (X.690 section 10).
fn is_strict_der(signature: &[u8]) -> bool {
    let integer = |bytes: &[u8]| -> Option<usize> {
        let [2, length @ 1..=33, rest @ ..] = bytes else {
            return None;
        };
        let value = rest.get(..usize::from(*length))?;
        let minimal = match value {
            [0, second, ..] => second & 0x80 != 0,
            // 33 bytes without a leading zero are more than 2^256.
            [first, ..] => first & 0x80 == 0 && *first != 0 && value.len() <= 32,
            [] => false,
        };
        minimal.then_some(2 + value.len())
    };
    let [0x30, length, rest @ ..] = signature else {
        return false;
    };
    if usize::from(*length) != rest.len() {
        return false;
    }
    integer(rest).and_then(|first| Some(first + integer(&rest[first..])?)) == Some(rest.len())
}

/// What a key is for. One key has one use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Usage {
    /// Signs manifests.
    Notice,
    /// Signs acknowledgements.
    Acknowledgement,
}

impl Usage {
    /// Reads it from a directory record.
    pub fn from_proto(usage: proto::KeyUsage) -> Option<Self> {
        match usage {
            proto::KeyUsage::Notice => Some(Self::Notice),
            proto::KeyUsage::Acknowledgement => Some(Self::Acknowledgement),
            proto::KeyUsage::Unspecified => None,
        }
    }
}

/// A partner's key as the directory lists it.
#[derive(Clone, Debug)]
pub struct TrustedKey {
    /// Its identifier.
    pub id: KeyId,
    /// Whose it is.
    pub partner: PartnerNumber,
    /// What it is for.
    pub usage: Usage,
    /// The key.
    pub public: PublicKey,
    /// Accepted from here on.
    pub not_before: Micros,
    /// And before here.
    pub not_after: Micros,
    /// Refused, whatever the window says.
    pub denied: bool,
}

/// Why a key that signed is not accepted now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyRefusal {
    /// The directory or this node denies it.
    Denied,
    /// Before its window.
    NotYet,
    /// After its window.
    NoLonger,
}

impl TrustedKey {
    /// Whether the directory lets it sign at a moment.
    pub fn in_force(&self, now: Micros) -> Result<(), KeyRefusal> {
        if self.denied {
            Err(KeyRefusal::Denied)
        } else if now < self.not_before {
            Err(KeyRefusal::NotYet)
        } else if now >= self.not_after {
            Err(KeyRefusal::NoLonger)
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strict_der_is_told_from_everything_that_merely_resembles_it() {
        let good: &[&[u8]] = &[&[0x30, 6, 2, 1, 1, 2, 1, 1], &[0x30, 7, 2, 2, 0, 0x80, 2, 1, 1]];
        let bad: &[&[u8]] = &[
            &[],
            &[0x30, 6, 2, 1, 1, 2, 1, 1, 0],
            &[0x30, 0x81, 6, 2, 1, 1, 2, 1, 1],
            &[0x30, 7, 2, 2, 0, 1, 2, 1, 1],
            &[0x30, 6, 2, 1, 0x80, 2, 1, 1],
            &[0x30, 6, 2, 1, 0, 2, 1, 1],
            &[0x30, 0x80, 2, 1, 1, 2, 1, 1, 0, 0],
            &[1; 64],
        ];
        assert!(good.iter().all(|bytes| is_strict_der(bytes)));
        assert!(!bad.iter().any(|bytes| is_strict_der(bytes)));
    }

    #[test]
    fn fault_33_keys_of_small_order_or_in_a_second_encoding_cannot_be_listed() {
        let mut one = [0; 32];
        one[0] = 1;
        assert_eq!(PublicKey::ed25519(&one), Err(BadKey::SmallOrder));
        assert_eq!(PublicKey::ed25519(&[0; 32]), Err(BadKey::SmallOrder));
        let mut second_form_of_one = [0xff; 32];
        second_form_of_one[0] = 0xee;
        second_form_of_one[31] = 0x7f;
        assert_eq!(PublicKey::ed25519(&second_form_of_one), Err(BadKey::Point));
    }
}
