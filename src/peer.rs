//! Who is on the line: the identity a certificate carries, and the rules under which it is believed.
//! Pure. TLS runs these rules inside the handshake; nothing after it may build a `Peer` in another way.
//! TLS says who is calling; what the caller may do is the directory's business.

mod authority;
mod denied;
mod identities;
mod identity;
mod revocation;

use liaison_protocol::id::{Hash, Micros, NetworkName, PartnerId};
use rustls::pki_types::CertificateDer;
use x509_parser::extensions::GeneralName;
use x509_parser::oid_registry::{OID_EC_P256, OID_KEY_TYPE_EC_PUBLIC_KEY};
use x509_parser::prelude::{FromDer as _, X509Certificate};

pub use authority::{Authority, BadAuthority};
pub use denied::{BadEntry, DenyList};
pub use identities::{Identities, Pins};
pub use identity::{Account, Identity, Owner};
pub use revocation::{
    BadList, LIST_BYTES_MAX, ListNumber, ListPlace, ListedAuthority, RevocationList, RevocationLists,
};

/// One URI, one point on a curve and a few extensions fit into 2 KiB; a larger certificate carries something else.
pub const CERTIFICATE_BYTES_MAX: usize = 8 << 10;

/// A leaf, two intermediates and the root that some clients send along. Longer chains only make path building costly.
pub const CHAIN_CERTIFICATES_MAX: usize = 4;

/// The authenticated other end of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    identity: Identity,
    certificate: Hash,
    key: Hash,
    point: Box<[u8]>,
    valid_until: Micros,
    /// Where the directory does not list the owner: the authority under which the chain holds.
    unregistered_under: Option<Hash>,
}

impl Peer {
    /// Reads whom a chain names, leaf first. The caller has verified the chain and that the other end holds the leaf's key;
    /// what is checked here is that the leaf follows this network's profile, so that it can name one party only.
    pub fn from_verified_chain(chain: &[CertificateDer<'_>], network: &NetworkName) -> Result<Self, BadPeer> {
        let leaf = chain.first().ok_or(BadPeer::NoCertificate)?;
        // Sizes first: what follows parses.
        if chain.len() > CHAIN_CERTIFICATES_MAX || chain.iter().any(|one| one.len() > CERTIFICATE_BYTES_MAX) {
            return Err(BadPeer::ChainTooComplex);
        }
        let Ok((&[], certificate)) = X509Certificate::from_der(leaf) else {
            return Err(BadPeer::Malformed);
        };
        let identity = only_identity(&certificate, network)?;
        check_usage(&certificate, &identity)?;
        check_key_usage(&certificate)?;
        let point = p256_point(&certificate)?;
        let seconds = certificate.validity().not_after.timestamp();
        Ok(Self {
            identity,
            certificate: Hash::of(&[leaf]),
            key: Hash::of(&[certificate.public_key().raw]),
            point,
            valid_until: Micros(seconds.saturating_mul(Micros::SECOND)),
            unregistered_under: None,
        })
    }

    /// Whom the certificate names.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The partner, where the other end is a partner's system.
    pub fn partner(&self) -> Option<&PartnerId> {
        match &self.identity {
            Identity::Partner { partner, .. } => Some(partner),
            Identity::Node(_) => None,
        }
    }

    /// Whose limits the line counts against.
    pub fn account(&self) -> Account {
        self.unregistered_under.map_or_else(|| Account::Owner(self.identity.owner()), Account::Unregistered)
    }

    /// Whether the directory lists the owner.
    pub fn is_registered(&self) -> bool {
        self.unregistered_under.is_none()
    }

    /// SHA-256 of the leaf certificate.
    pub fn certificate(&self) -> Hash {
        self.certificate
    }

    /// SHA-256 of the leaf's SubjectPublicKeyInfo, as pinned in the directory.
    pub fn key(&self) -> Hash {
        self.key
    }

    /// The leaf's notAfter. A line may outlive it; whoever watches lines ends them then.
    pub fn valid_until(&self) -> Micros {
        self.valid_until
    }
}

/// Exactly one URI, and beside it only what the role may have. The common name is never looked at.
fn only_identity(certificate: &X509Certificate<'_>, network: &NetworkName) -> Result<Identity, BadPeer> {
    let names = match certificate.subject_alternative_name() {
        Ok(Some(extension)) => &extension.value.general_names,
        Ok(None) => return Err(BadPeer::NoIdentity),
        Err(_) => return Err(BadPeer::AmbiguousIdentity),
    };
    let mut uris = names.iter().filter_map(|name| match name {
        GeneralName::URI(uri) => Some(*uri),
        _ => None,
    });
    let uri = uris.next().ok_or(BadPeer::NoIdentity)?;
    if uris.next().is_some() {
        return Err(BadPeer::AmbiguousIdentity);
    }
    let identity = Identity::parse(uri, network)?;
    let fits = |name: &GeneralName<'_>| match name {
        GeneralName::URI(_) => true,
        GeneralName::DNSName(host) => matches!(identity, Identity::Node(_)) && !host.contains('*'),
        GeneralName::IPAddress(_) => matches!(identity, Identity::Node(_)),
        _ => false,
    };
    if names.iter().all(fits) { Ok(identity) } else { Err(BadPeer::AmbiguousIdentity) }
}

/// A leaf signs handshakes and issues nothing. What is absent is not allowed.
fn check_key_usage(certificate: &X509Certificate<'_>) -> Result<(), BadPeer> {
    match certificate.key_usage() {
        Ok(Some(usage)) => {
            let usage = usage.value;
            let issues = usage.key_cert_sign() || usage.crl_sign();
            if usage.digital_signature() && !issues { Ok(()) } else { Err(BadPeer::WrongKeyUsage) }
        }
        _ => Err(BadPeer::WrongKeyUsage),
    }
}

/// Partners call and nodes call and answer, so that a partner's certificate can never stand in for a node's.
fn check_usage(certificate: &X509Certificate<'_>, identity: &Identity) -> Result<(), BadPeer> {
    let Ok(Some(usage)) = certificate.extended_key_usage() else {
        return Err(BadPeer::WrongUsage);
    };
    let usage = usage.value;
    let more = usage.any
        || usage.code_signing
        || usage.email_protection
        || usage.time_stamping
        || usage.ocsp_signing
        || !usage.other.is_empty();
    let answers = matches!(identity, Identity::Node(_));
    if usage.client_auth && usage.server_auth == answers && !more { Ok(()) } else { Err(BadPeer::WrongUsage) }
}

/// The public key as an uncompressed point of P-256 (SEC 1, 2.3.3), 65 bytes: the one form gRPC's C core can speak to.
fn p256_point(certificate: &X509Certificate<'_>) -> Result<Box<[u8]>, BadPeer> {
    let key = certificate.public_key();
    let curve = key.algorithm.parameters.as_ref().and_then(|parameters| parameters.as_oid().ok());
    let point = key.subject_public_key.as_ref();
    let is_p256 = key.algorithm.algorithm == OID_KEY_TYPE_EC_PUBLIC_KEY && curve == Some(OID_EC_P256);
    if is_p256 && point.len() == 65 && point[0] == 4 { Ok(point.into()) } else { Err(BadPeer::WeakKey) }
}

/// Why the other end is not believed. Carries nothing that the other end wrote.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPeer {
    /// Every caller shows a certificate.
    #[error("no certificate was shown")]
    NoCertificate,
    /// Not DER, not X.509, or something after it.
    #[error("the certificate cannot be read")]
    Malformed,
    /// No URI of our shape: absent, another scheme, upper case, an address only.
    #[error("the certificate carries no identity of this network's form")]
    NoIdentity,
    /// Two URIs, a wildcard, or names beside the URI that its role may not have.
    #[error("the certificate carries names beside its one identity")]
    AmbiguousIdentity,
    /// An identity, in some other network.
    #[error("the certificate belongs to another network")]
    OtherNetwork,
    /// Extended key usage absent, "any", too wide or too narrow for the role.
    #[error("the extended key usage is not exactly clientAuth (partners) or clientAuth and serverAuth (nodes)")]
    WrongUsage,
    /// Key usage absent, without digitalSignature, or that of an authority.
    #[error("the key usage lacks digitalSignature, or names what only authorities do")]
    WrongKeyUsage,
    /// A key that signs notices, logs or directories must not be on the line.
    #[error("the certificate's key is registered as a signing key")]
    SigningKey,
    /// Only P-256 keys, and no broken signature algorithm on the way up.
    #[error("the key is not P-256, or the chain uses a signature algorithm that is not accepted")]
    WeakKey,
    /// Too many, too large, or too much work to verify.
    #[error(
        "the chain has more than {CHAIN_CERTIFICATES_MAX} certificates, one over {CERTIFICATE_BYTES_MAX} bytes, or takes too much work"
    )]
    ChainTooComplex,
    /// None of the authorities that may vouch for this identity has signed it.
    #[error("no authority pinned for this identity has issued the certificate")]
    UnknownIssuer,
    /// Issued as it should be, and another key than the directory pins.
    #[error("the key is not among the keys pinned for this identity")]
    KeyNotPinned,
    /// A certificate of the chain has ended.
    #[error("the certificate ended at {} and it is {}", moment(*not_after), moment(*now))]
    Expired {
        /// Its last second.
        not_after: Micros,
        /// The clock it was judged by.
        now: Micros,
    },
    /// A certificate of the chain has not begun.
    #[error("the certificate begins at {} and it is {}", moment(*not_before), moment(*now))]
    NotYetValid {
        /// Its first second.
        not_before: Micros,
        /// The clock it was judged by.
        now: Micros,
    },
    /// An authority issued outside the names it is allowed.
    #[error("an authority of the chain may not issue this name")]
    NameConstraint,
    /// The node's operator denies this identity or key.
    #[error("this node's operator denies the identity or the key")]
    Denied,
    /// The leaf is on its authority's list.
    #[error("the certificate is revoked by list {list}")]
    Revoked {
        /// The list that says so.
        list: ListNumber,
    },
    /// An authority on the way up is on a list.
    #[error("an authority of the chain is revoked by list {list}")]
    RevokedAuthority {
        /// The list that says so.
        list: ListNumber,
    },
    /// A list is configured, and the one at hand is over: not known is no.
    #[error("the revocation list of the authority is over, and no newer one is here")]
    ListStale,
    /// A list is configured, and none covers this certificate: not known is no.
    #[error("no revocation list of the authority covers the certificate")]
    ListMissing,
    /// The chain breaks another rule of RFC 5280, section 6.
    #[error("the chain does not hold: {0}")]
    BadChain(&'static str),
}

/// RFC 3339, in UTC.
fn moment(time: Micros) -> String {
    jiff::Timestamp::from_microsecond(time.0).map_or_else(|_| "another age".into(), |time| time.to_string())
}

impl BadPeer {
    /// One stable word for logs and counters.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NoCertificate => "no_certificate",
            Self::Malformed => "malformed",
            Self::NoIdentity | Self::AmbiguousIdentity => "ambiguous_identity",
            Self::OtherNetwork => "other_network",
            Self::WrongUsage | Self::SigningKey => "wrong_eku",
            Self::WrongKeyUsage => "wrong_key_usage",
            Self::WeakKey => "weak_key",
            Self::ChainTooComplex => "chain_too_complex",
            Self::UnknownIssuer => "unknown_issuer",
            Self::KeyNotPinned => "key_not_pinned",
            Self::Expired { .. } => "expired",
            Self::NotYetValid { .. } => "not_yet_valid",
            Self::NameConstraint => "name_constraint",
            Self::BadChain(_) => "bad_chain",
            Self::Denied => "denied",
            Self::Revoked { .. } => "revoked",
            Self::RevokedAuthority { .. } => "revoked_ca",
            Self::ListStale => "crl_stale",
            Self::ListMissing => "crl_missing",
        }
    }

    /// Whether a line that is open ends for this. A list that is late shuts the door and breaks off nobody's work: nothing is
    /// known against those who are inside.
    pub fn ends_open_lines(&self) -> bool {
        !matches!(self, Self::ListStale | Self::ListMissing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_chain_and_no_certificate_name_nobody() {
        let network: NetworkName = "demo.liaison.example".parse().unwrap();
        assert_eq!(Peer::from_verified_chain(&[], &network), Err(BadPeer::NoCertificate));
        let junk = CertificateDer::from(vec![0x30, 0]);
        assert_eq!(Peer::from_verified_chain(&[junk], &network), Err(BadPeer::Malformed));
    }
}
