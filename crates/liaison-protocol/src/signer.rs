//! Whoever holds a private key. The key itself never leaves its signer, and is never shown.

use ed25519_dalek::{Signer as _, SigningKey};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};

use crate::keyring::PublicKey;
use crate::proto;

/// The signer could not sign; the key may lie in a machine that is away.
#[derive(Clone, Debug, thiserror::Error)]
#[error("cannot sign: {0}")]
pub struct SignError(pub String);

/// Signs bytes with one key.
pub trait Signer: Send + Sync {
    /// The key that verifies.
    fn public(&self) -> &PublicKey;
    /// The signature over the message in its algorithm's one form.
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError>;
}

/// An Ed25519 key in memory, wiped when dropped.
pub struct Ed25519Signer {
    key: SigningKey,
    public: PublicKey,
}

impl Ed25519Signer {
    /// From the 32 secret bytes (RFC 8032's private key).
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        let key = SigningKey::from_bytes(seed);
        let public = PublicKey::ed25519(key.verifying_key().as_bytes())
            .expect("a key made from a seed is canonical and of full order");
        Self { key, public }
    }
}

impl Signer for Ed25519Signer {
    fn public(&self) -> &PublicKey {
        &self.public
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        Ok(self.key.sign(message).to_vec())
    }
}

/// An ECDSA P-256 key in memory, for partners whose hardware has nothing else.
pub struct EcdsaP256Signer {
    key: EcdsaKeyPair,
    public: PublicKey,
}

impl EcdsaP256Signer {
    /// From PKCS #8 v1.
    pub fn from_pkcs8(pkcs8: &[u8]) -> Result<Self, SignError> {
        let chance = SystemRandom::new();
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, pkcs8, &chance)
            .map_err(|rejected| SignError(format!("not a P-256 key in PKCS #8: {rejected}")))?;
        let public = PublicKey::parse(&proto::PublicKey {
            algorithm: proto::Algorithm::EcdsaP256Sha256 as i32,
            key: bytes::Bytes::copy_from_slice(key.public_key().as_ref()),
        })
        .map_err(|bad| SignError(bad.to_string()))?;
        Ok(Self { key, public })
    }
}

impl Signer for EcdsaP256Signer {
    fn public(&self) -> &PublicKey {
        &self.public
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        self.key
            .sign(&SystemRandom::new(), message)
            .map(|signature| signature.as_ref().to_vec())
            .map_err(|_| SignError("no randomness".into()))
    }
}
