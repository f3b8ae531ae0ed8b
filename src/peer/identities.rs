//! What the door judges certificates by: for every party of the directory, who may issue for it and which keys it may use.
//! A snapshot; a new directory head or deny list makes a new one.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use liaison_protocol::id::{Hash, Micros, NetworkName};
use rustls::pki_types::{CertificateDer, UnixTime};
use webpki::{ALL_VERIFICATION_ALGS, EndEntityCert, KeyUsage, VerifiedPath};

use super::authority::{Authorities, Authority, key_of};
use super::{BadPeer, DenyList, Owner, Peer, RevocationLists};

/// What the directory pins for one owner.
#[derive(Clone, Debug, Default)]
pub struct Pins {
    /// The authorities that may issue for it, and nobody else may.
    pub authorities: Vec<CertificateDer<'static>>,
    /// SHA-256 over the SubjectPublicKeyInfo of the keys it may use; empty: any key these authorities certify.
    pub keys: Vec<Hash>,
}

/// Who is registered, and by what each is recognised.
pub struct Identities {
    network: NetworkName,
    owners: HashMap<Owner, Recognised>,
    authorities: Authorities,
    signing_keys: HashSet<Vec<u8>>,
    lists: Arc<RevocationLists>,
    denied: Arc<DenyList>,
}

struct Recognised {
    authorities: Authorities,
    keys: Vec<Hash>,
}

impl Identities {
    /// Compiles a snapshot. `signing_keys` are the raw public keys that sign payloads: 32 bytes for Ed25519, the 65 bytes of an
    /// uncompressed point for P-256. An authority that nobody can be believed by is left out, which shuts out its owner alone:
    /// `directory sign` refuses it.
    pub fn new(
        network: NetworkName,
        pins: impl IntoIterator<Item = (Owner, Pins)>,
        signing_keys: impl IntoIterator<Item = Vec<u8>>,
    ) -> Self {
        let mut all = Self {
            network,
            owners: HashMap::new(),
            authorities: Authorities::default(),
            signing_keys: signing_keys.into_iter().collect(),
            lists: Arc::default(),
            denied: Arc::default(),
        };
        let mut seen = HashSet::new();
        for (owner, Pins { authorities: pinned, keys }) in pins {
            let mut authorities = Authorities::default();
            for certificate in pinned {
                let Ok(authority) = Authority::read(&certificate) else { continue };
                authorities.add(authority);
                // Most partners of a small network share one authority.
                if seen.insert(Hash::of(&[&certificate]))
                    && let Ok(authority) = Authority::read(&certificate)
                {
                    all.authorities.add(authority);
                }
            }
            all.owners.insert(owner, Recognised { authorities, keys });
        }
        all
    }

    /// Also judged by revocation lists.
    #[must_use]
    pub fn with_lists(mut self, lists: Arc<RevocationLists>) -> Self {
        self.lists = lists;
        self
    }

    /// Whoever the operator denies stays outside, whatever the directory says.
    #[must_use]
    pub fn denying(mut self, denied: Arc<DenyList>) -> Self {
        self.denied = denied;
        self
    }

    /// Whose certificates these identities are.
    pub fn network(&self) -> &NetworkName {
        &self.network
    }

    /// Whether the directory knows this party.
    pub fn is_registered(&self, owner: &Owner) -> bool {
        self.owners.contains_key(owner)
    }

    /// Judges a chain, leaf first, at a time. A registered owner is believed under its own authorities and keys only: another
    /// partner's authority cannot speak for it. Who is not registered is let in under any authority of the network, so that it
    /// can be told so; every call it makes is refused.
    ///
    /// That the other end holds the leaf's key is for TLS to prove.
    pub fn admit(&self, chain: &[CertificateDer<'_>], now: Micros) -> Result<Peer, BadPeer> {
        let mut peer = Peer::from_verified_chain(chain, &self.network)?;
        if self.denied.denies(&peer.identity) || self.denied.denies_key(&peer.key) {
            return Err(BadPeer::Denied);
        }
        if self.signing_keys.contains(&*peer.point) {
            return Err(BadPeer::SigningKey);
        }
        let Some(owner) = self.owners.get(&peer.identity.owner()) else {
            peer.unregistered_under = Some(self.verify(chain, &self.authorities, now)?);
            return Ok(peer);
        };
        self.verify(chain, &owner.authorities, now)?;
        if owner.keys.is_empty() || owner.keys.contains(&peer.key) { Ok(peer) } else { Err(BadPeer::KeyNotPinned) }
    }

    /// RFC 5280, section 6, by webpki, whose own budgets bound the work, with our rules for every authority of a path; then
    /// whether a certificate of the path is revoked. Gives the authority at the top: SHA-256 of what its SubjectPublicKeyInfo holds.
    fn verify(
        &self,
        chain: &[CertificateDer<'_>],
        authorities: &Authorities,
        now: Micros,
    ) -> Result<Hash, BadPeer> {
        let (leaf, intermediates) = chain.split_first().ok_or(BadPeer::NoCertificate)?;
        let since = Duration::from_micros(u64::try_from(now.0).unwrap_or(0));
        let leaf = EndEntityCert::try_from(leaf).map_err(|error| bad_chain(&error))?;
        // Another path may hold where one does not; the first one's fault is told if none does.
        let broken = RefCell::new(None);
        let judge = |path: &VerifiedPath<'_>| {
            authorities.judge(path, now).map_err(|bad| {
                broken.borrow_mut().get_or_insert(bad);
                webpki::Error::UnknownIssuer
            })
        };
        let path = leaf.verify_for_usage(
            ALL_VERIFICATION_ALGS,
            authorities.anchors(),
            intermediates,
            UnixTime::since_unix_epoch(since),
            KeyUsage::client_auth(),
            None,
            Some(&judge),
        );
        let path = path.map_err(|error| broken.take().unwrap_or_else(|| bad_chain(&error)))?;
        let denied = path
            .intermediate_certificates()
            .any(|authority| self.denied.denies_key(&Hash::of(&[&authority.subject_public_key_info()])));
        if denied {
            return Err(BadPeer::Denied);
        }
        self.lists.judge(&path, now)?;
        Ok(key_of(path.anchor()))
    }
}

/// Counts only: a directory's authorities in full would fill a log line.
impl fmt::Debug for Identities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identities")
            .field("network", &self.network)
            .field("owners", &self.owners.len())
            .field("authorities", &self.authorities.anchors().len())
            .finish_non_exhaustive()
    }
}

fn bad_chain(error: &webpki::Error) -> BadPeer {
    use webpki::Error as E;
    match error {
        E::CertExpired { time, not_after } => BadPeer::Expired { not_after: micros(not_after), now: micros(time) },
        E::CertNotValidYet { time, not_before } => {
            BadPeer::NotYetValid { not_before: micros(not_before), now: micros(time) }
        }
        // Same name, other key: the signature is what gives a false authority away.
        E::UnknownIssuer | E::InvalidSignatureForPublicKey => BadPeer::UnknownIssuer,
        E::RequiredEkuNotFoundContext(_) | E::EmptyEkuExtension => BadPeer::WrongUsage,
        E::NameConstraintViolation => BadPeer::NameConstraint,
        E::UnsupportedSignatureAlgorithmContext(_) | E::UnsupportedSignatureAlgorithmForPublicKeyContext(_) => {
            BadPeer::WeakKey
        }
        E::MaximumNameConstraintComparisonsExceeded
        | E::MaximumPathBuildCallsExceeded
        | E::MaximumPathDepthExceeded
        | E::MaximumSignatureChecksExceeded => BadPeer::ChainTooComplex,
        E::CaUsedAsEndEntity => BadPeer::BadChain("an authority's certificate is used as a leaf"),
        E::EndEntityUsedAsCa => BadPeer::BadChain("a leaf certificate is used as an authority"),
        E::PathLenConstraintViolated => BadPeer::BadChain("an authority may not have authorities below it"),
        E::UnsupportedCriticalExtension => BadPeer::BadChain("an unknown critical extension"),
        _ => BadPeer::Malformed,
    }
}

fn micros(time: &UnixTime) -> Micros {
    Micros(i64::try_from(time.as_secs()).unwrap_or(i64::MAX).saturating_mul(Micros::SECOND))
}
