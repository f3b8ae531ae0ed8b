//! Authorities: what their own certificates must say before anybody is believed because of them. webpki takes what is pinned as it
//! is, and looks at no key usage; so these rules stand here, for pinned authorities and for those between them and a leaf.

use std::fmt;

use liaison_protocol::id::{Hash, Micros};
use rustls::pki_types::{CertificateDer, TrustAnchor};
use webpki::{VerifiedPath, anchor_from_trusted_cert};
use x509_parser::oid_registry::{
    OID_EC_P256, OID_KEY_TYPE_EC_PUBLIC_KEY, OID_NIST_EC_P384, OID_PKCS1_RSAENCRYPTION, OID_SIG_ED25519,
};
use x509_parser::prelude::{FromDer as _, X509Certificate};
use x509_parser::public_key::PublicKey;

use super::{BadPeer, moment};

/// Bits of an RSA modulus: fewer are broken, and more are not taken by the library that verifies.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// The smallest public exponent of RSA (FIPS 186-5, section 5.4).
const RSA_EXPONENT_MIN: u64 = 65537;

/// Bytes of uncompressed points, the one form that is verified.
const P256_POINT_BYTES: usize = 65;
const P384_POINT_BYTES: usize = 97;

/// A pinned authority that may vouch for somebody.
pub struct Authority {
    anchor: TrustAnchor<'static>,
    begins: Micros,
    ends: Micros,
    below_max: Option<u32>,
}

/// Why a certificate makes no authority.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadAuthority {
    /// Not DER, not X.509, or something after it.
    #[error("the certificate cannot be read")]
    Unreadable,
    /// Basic constraints (RFC 5280, section 4.2.1.9) that are absent, or say that it is none.
    #[error("the certificate is not an authority's: its basic constraints do not say CA:TRUE")]
    NoAuthority,
    /// Key usage (RFC 5280, section 4.2.1.3) that is absent, or does not name it.
    #[error("the authority may not issue certificates: its key usage lacks keyCertSign")]
    MayNotIssue,
    /// What it signs could never be verified, or by anybody's signature.
    #[error(
        "the authority's key is none of P-256, P-384, Ed25519 and RSA with 2048 to 8192 bits and an exponent from 65537"
    )]
    UnusableKey,
    /// Its time is over.
    #[error("the authority's certificate ended at {}", moment(*.0))]
    Ended(Micros),
}

impl Authority {
    /// Reads a certificate that a directory pins. Its time is judged when somebody shows up under it.
    pub fn read(certificate: &CertificateDer<'_>) -> Result<Self, BadAuthority> {
        let Ok((&[], parsed)) = X509Certificate::from_der(certificate) else {
            return Err(BadAuthority::Unreadable);
        };
        let below_max = may_issue(&parsed)?;
        let anchor = anchor_from_trusted_cert(certificate).map_err(|_| BadAuthority::Unreadable)?;
        let time = |seconds: i64| Micros(seconds.saturating_mul(Micros::SECOND));
        Ok(Self {
            anchor: anchor.to_owned(),
            begins: time(parsed.validity().not_before.timestamp()),
            ends: time(parsed.validity().not_after.timestamp()),
            below_max,
        })
    }

    /// Its last second.
    pub fn ends(&self) -> Micros {
        self.ends
    }

    /// Whether its last second has passed. One that has not begun may be pinned: it follows another.
    pub fn has_not_ended(&self, now: Micros) -> Result<(), BadAuthority> {
        if self.ends.plus(Micros::SECOND) <= now { Err(BadAuthority::Ended(self.ends)) } else { Ok(()) }
    }

    fn vouches(&self, authorities_below: usize, now: Micros) -> Result<(), BadPeer> {
        if now < self.begins {
            return Err(BadPeer::NotYetValid { not_before: self.begins, now });
        }
        if self.has_not_ended(now).is_err() {
            return Err(BadPeer::Expired { not_after: self.ends, now });
        }
        match self.below_max {
            Some(most) if authorities_below > most as usize => {
                Err(BadPeer::BadChain("an authority may not have authorities below it"))
            }
            _ => Ok(()),
        }
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority").field("ends", &self.ends).finish_non_exhaustive()
    }
}

/// Pinned authorities, beside the form in which webpki takes them.
#[derive(Default)]
pub(super) struct Authorities {
    all: Vec<Authority>,
    anchors: Vec<TrustAnchor<'static>>,
}

impl Authorities {
    pub(super) fn add(&mut self, authority: Authority) {
        self.anchors.push(authority.anchor.clone());
        self.all.push(authority);
    }

    pub(super) fn anchors(&self) -> &[TrustAnchor<'static>] {
        &self.anchors
    }

    /// Judges a path that holds otherwise: every authority on it, and the one at its top.
    pub(super) fn judge(&self, path: &VerifiedPath<'_>, now: Micros) -> Result<(), BadPeer> {
        let mut below = 0;
        for authority in path.intermediate_certificates() {
            let der = authority.der();
            let (_, parsed) = X509Certificate::from_der(&der).map_err(|_| BadPeer::Malformed)?;
            may_issue(&parsed)?;
            below += 1;
        }
        // An authority that is renewed with its old key is pinned twice under one name.
        let mut why = BadPeer::UnknownIssuer;
        for authority in self.all.iter().filter(|authority| authority.anchor == *path.anchor()) {
            match authority.vouches(below, now) {
                Ok(()) => return Ok(()),
                Err(bad) => why = bad,
            }
        }
        Err(why)
    }
}

/// By what an authority is told apart: SHA-256 of what its SubjectPublicKeyInfo holds.
pub(super) fn key_of(anchor: &TrustAnchor<'_>) -> Hash {
    Hash::of(&[&anchor.subject_public_key_info])
}

/// How many authorities it may have below it, if it is one at all. What is absent is not allowed: every authority says that it is one
/// and what its key is for, as RFC 5280 wants it.
fn may_issue(certificate: &X509Certificate<'_>) -> Result<Option<u32>, BadAuthority> {
    let constraints = match certificate.basic_constraints() {
        Ok(Some(constraints)) if constraints.value.ca => constraints.value,
        _ => return Err(BadAuthority::NoAuthority),
    };
    match certificate.key_usage() {
        Ok(Some(usage)) if usage.value.key_cert_sign() => {}
        _ => return Err(BadAuthority::MayNotIssue),
    }
    if is_verifiable(certificate) { Ok(constraints.path_len_constraint) } else { Err(BadAuthority::UnusableKey) }
}

/// Whether signatures by the certificate's key can be verified here, and are worth it.
fn is_verifiable(certificate: &X509Certificate<'_>) -> bool {
    let key = certificate.public_key();
    let curve = key.algorithm.parameters.as_ref().and_then(|parameters| parameters.as_oid().ok());
    let bytes = key.subject_public_key.as_ref();
    let point = |length| bytes.len() == length && bytes[0] == 4;
    match &key.algorithm.algorithm {
        kind if *kind == OID_KEY_TYPE_EC_PUBLIC_KEY && curve == Some(OID_EC_P256) => point(P256_POINT_BYTES),
        kind if *kind == OID_KEY_TYPE_EC_PUBLIC_KEY && curve == Some(OID_NIST_EC_P384) => point(P384_POINT_BYTES),
        kind if *kind == OID_SIG_ED25519 => bytes.len() == 32,
        kind if *kind == OID_PKCS1_RSAENCRYPTION => match key.parsed() {
            Ok(PublicKey::RSA(rsa)) => {
                RSA_BITS.contains(&bits(rsa.modulus))
                    && rsa.try_exponent().is_ok_and(|exponent| exponent >= RSA_EXPONENT_MIN && exponent % 2 == 1)
            }
            _ => false,
        },
        _ => false,
    }
}

/// Bits of an unsigned number, most significant byte first.
fn bits(number: &[u8]) -> usize {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    let first = number.get(zeros).map_or(0, |byte| byte.leading_zeros() as usize);
    (number.len() - zeros) * 8 - first
}

impl From<BadAuthority> for BadPeer {
    fn from(bad: BadAuthority) -> Self {
        match bad {
            BadAuthority::UnusableKey => Self::WeakKey,
            BadAuthority::NoAuthority => Self::BadChain("a leaf certificate is used as an authority"),
            BadAuthority::MayNotIssue => {
                Self::BadChain("an authority may not issue certificates: its key usage lacks keyCertSign")
            }
            BadAuthority::Unreadable | BadAuthority::Ended(_) => Self::Malformed,
        }
    }
}
