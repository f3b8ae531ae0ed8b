//! Revocation lists (RFC 5280, section 5) as they are believed: signed by their authority, in time, and never older than one
//! that was known. webpki reads and applies them; here stands which list counts for which authority, and what none means.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use liaison_protocol::id::{Hash, Micros, to_hex};
use rustls::pki_types::{CertificateDer, UnixTime};
use webpki::{
    ALL_VERIFICATION_ALGS, CertRevocationList, ExpirationPolicy, KeyUsage, OwnedCertRevocationList,
    RevocationCheckDepth, RevocationOptionsBuilder, UnknownStatusPolicy, VerifiedPath, anchor_from_trusted_cert,
};
use x509_parser::oid_registry::OID_PKCS1_SHA1WITHRSA;
use x509_parser::prelude::{CertificateRevocationList, FromDer as _, X509Certificate};

use super::BadPeer;
use super::authority::key_of;

/// A list is hashed in each handshake of its authority's certificates: a megabyte costs a millisecond or two, and holds 25,000
/// revoked certificates.
pub const LIST_BYTES_MAX: usize = 1 << 20;

/// How far the issuing authority's clock may be ahead of ours.
const AHEAD_MAX_US: i64 = 5 * 60 * Micros::SECOND;

/// A list's number, as long as it may be (20 octets), without leading zeros.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ListNumber(Vec<u8>);

impl ListNumber {
    /// From its octets, most significant first.
    pub fn new(octets: &[u8]) -> Self {
        Self(octets.iter().copied().skip_while(|octet| *octet == 0).collect())
    }

    /// Its octets, most significant first.
    pub fn octets(&self) -> &[u8] {
        &self.0
    }
}

impl Ord for ListNumber {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.0.len(), &self.0).cmp(&(other.0.len(), &other.0))
    }
}

impl PartialOrd for ListNumber {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// As people compare it with what a tool prints: hexadecimal.
impl fmt::Display for ListNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { f.write_str("0x0") } else { write!(f, "0x{}", to_hex(&self.0)) }
    }
}

impl fmt::Debug for ListNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// An authority whose certificates are let in only while a list of its own says that they are not revoked.
pub struct ListedAuthority {
    key: Hash,
    certificate: CertificateDer<'static>,
    name: Vec<u8>,
}

impl ListedAuthority {
    /// Reads the authority's certificate. Err: the rule it breaks.
    pub fn new(certificate: CertificateDer<'static>) -> Result<Self, &'static str> {
        let Ok((_, parsed)) = X509Certificate::from_der(&certificate) else {
            return Err("its certificate cannot be read");
        };
        if !parsed.is_ca() {
            return Err("is not the certificate of an authority");
        }
        if let Ok(Some(usage)) = parsed.key_usage()
            && !usage.value.crl_sign()
        {
            return Err("its authority may not sign revocation lists (key usage without cRLSign)");
        }
        let anchor = anchor_from_trusted_cert(&certificate).map_err(|_| "its certificate cannot be read")?;
        let (key, name) = (key_of(&anchor), anchor.subject.to_vec());
        Ok(Self { key, name, certificate })
    }

    /// By what its lists are found: SHA-256 over what its SubjectPublicKeyInfo holds.
    pub fn key(&self) -> Hash {
        self.key
    }
}

/// One list of an authority, believed at the time it was read.
pub struct RevocationList {
    list: CertRevocationList<'static>,
    authority: Hash,
    number: ListNumber,
    digest: Hash,
    begins: Micros,
    ends: Micros,
}

/// Why a list is not believed. It then changes nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadList {
    /// Not a list that webpki takes: other DER, another version, a delta, an indirect one, some reasons only, no number.
    #[error("is no revocation list that can be used: {0}")]
    Malformed(String),
    /// Another authority's.
    #[error("is the list of another authority")]
    OtherAuthority,
    /// Somebody else signed it, or by an algorithm that is not believed any more.
    #[error("was not signed by its authority")]
    Forged,
    /// It begins later than now.
    #[error("begins in the future")]
    Early,
    /// Its time is over.
    #[error("is over: a newer list was due")]
    Stale,
    /// A newer one is known, or another one of the same number.
    #[error("has number {found}, and {known} is known")]
    RolledBack {
        /// Its number.
        found: ListNumber,
        /// The highest one seen.
        known: ListNumber,
    },
}

impl BadList {
    /// One stable word for logs and counters.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Malformed(_) | Self::OtherAuthority | Self::Forged | Self::Early => "crl_bad",
            Self::Stale => "crl_stale",
            Self::RolledBack { .. } => "crl_rollback",
        }
    }
}

/// Places are told apart by what a list says it covers: an authority may publish several, each for a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ListPlace {
    /// The authority.
    pub authority: Hash,
    /// SHA-256 of the issuing distribution point; of nothing where the list covers all.
    pub part: Hash,
}

impl RevocationList {
    /// Reads a list in DER: signed by its authority, begun, not over.
    pub fn read(der: &[u8], authority: &ListedAuthority, now: Micros) -> Result<Self, BadList> {
        let malformed = |what: &dyn fmt::Display| BadList::Malformed(what.to_string());
        if der.len() > LIST_BYTES_MAX {
            return Err(malformed(&format_args!("it is larger than {LIST_BYTES_MAX} bytes")));
        }
        let list = OwnedCertRevocationList::from_der(der).map_err(|error| malformed(&format_args!("{error:?}")))?;
        let list = CertRevocationList::from(list);
        if list.issuer() != authority.name {
            return Err(BadList::OtherAuthority);
        }
        let Ok((_, parsed)) = CertificateRevocationList::from_der(der) else {
            return Err(malformed(&"it cannot be read"));
        };
        let number = parsed.crl_number().ok_or_else(|| malformed(&"it has no number"))?;
        let number = ListNumber::new(&number.to_bytes_be());
        let Ok((_, issuer)) = X509Certificate::from_der(&authority.certificate) else {
            return Err(malformed(&"its authority cannot be read"));
        };
        let broken = parsed.signature_algorithm.algorithm == OID_PKCS1_SHA1WITHRSA;
        if broken || parsed.verify_signature(issuer.public_key()).is_err() {
            return Err(BadList::Forged);
        }
        let time = |seconds: i64| Micros(seconds.saturating_mul(Micros::SECOND));
        let begins = time(parsed.last_update().timestamp());
        let ends = parsed.next_update().ok_or_else(|| malformed(&"it does not say when the next one is due"))?;
        let ends = time(ends.timestamp());
        match () {
            () if begins > now.plus(AHEAD_MAX_US) => Err(BadList::Early),
            () if ends <= now => Err(BadList::Stale),
            () => Ok(Self { list, authority: authority.key, number, digest: Hash::of(&[der]), begins, ends }),
        }
    }

    /// Whose it is, and for which part.
    pub fn place(&self) -> ListPlace {
        let part = Hash::of(&[self.list.issuing_distribution_point().unwrap_or_default()]);
        ListPlace { authority: self.authority, part }
    }

    /// Its number: a list of a place is followed by higher ones only.
    pub fn number(&self) -> &ListNumber {
        &self.number
    }

    /// SHA-256 of its bytes.
    pub fn digest(&self) -> Hash {
        self.digest
    }

    /// From when until when it may be believed.
    pub fn lasts(&self) -> (Micros, Micros) {
        (self.begins, self.ends)
    }

    fn covers_all(&self) -> bool {
        self.list.issuing_distribution_point().is_none()
    }
}

impl fmt::Debug for RevocationList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RevocationList")
            .field("authority", &self.authority)
            .field("number", &self.number)
            .finish_non_exhaustive()
    }
}

/// The lists in force, by authority. Where lists are configured for an authority and none is in force, its certificates are refused:
/// not known is no. Other authorities are not concerned.
#[derive(Clone, Debug, Default)]
pub struct RevocationLists {
    by_authority: HashMap<Hash, Vec<Arc<RevocationList>>>,
}

impl RevocationLists {
    /// The authorities for which lists are configured, and the lists in force: one for each place.
    pub fn new(
        authorities: impl IntoIterator<Item = Hash>,
        lists: impl IntoIterator<Item = Arc<RevocationList>>,
    ) -> Self {
        let mut by_authority: HashMap<_, Vec<_>> =
            authorities.into_iter().map(|authority| (authority, Vec::new())).collect();
        for list in lists {
            by_authority.entry(list.authority).or_default().push(list);
        }
        Self { by_authority }
    }

    /// Lists in force.
    pub fn len(&self) -> usize {
        self.by_authority.values().map(Vec::len).sum()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Judges a path that holds without them. Only this path: where one of its certificates is revoked, no other way up is looked for.
    pub(super) fn judge(&self, path: &VerifiedPath<'_>, now: Micros) -> Result<(), BadPeer> {
        if self.by_authority.is_empty() {
            return Ok(());
        }
        let above: Vec<CertificateDer<'_>> = path.intermediate_certificates().map(|one| one.der()).collect();
        let mut issuers = Vec::with_capacity(above.len() + 1);
        for certificate in &above {
            issuers.push(key_of(&anchor_from_trusted_cert(certificate).map_err(|_| BadPeer::Malformed)?));
        }
        issuers.push(key_of(path.anchor()));
        // For the leaf and each authority above it: the lists of whoever issued it, if it has to have some.
        let due: Vec<_> = issuers.iter().map(|issuer| self.by_authority.get(issuer)).collect();
        let all_are_listed = due.iter().all(Option::is_some);
        for (nth, lists) in due.iter().enumerate() {
            let Some(lists) = lists else { continue };
            // Where some issuers have no lists, webpki lets what it does not know pass; so a part of a list is not enough there.
            let vague = nth > 0 && !all_are_listed && !lists.iter().all(|list| list.covers_all());
            if lists.is_empty() || vague {
                return Err(BadPeer::ListMissing);
            }
        }
        let judge = |lists: &[&Vec<Arc<RevocationList>>], depth, unknown| {
            let lists: Vec<_> = lists.iter().flat_map(|lists| lists.iter().map(|list| &list.list)).collect();
            let Ok(options) = RevocationOptionsBuilder::new(&lists) else { return Ok(()) };
            let options = options
                .with_depth(depth)
                .with_status_policy(unknown)
                .with_expiration_policy(ExpirationPolicy::Enforce)
                .build();
            let since = Duration::from_micros(u64::try_from(now.0).unwrap_or(0));
            path.end_entity()
                .verify_for_usage(
                    ALL_VERIFICATION_ALGS,
                    std::slice::from_ref(path.anchor()),
                    &above,
                    UnixTime::since_unix_epoch(since),
                    KeyUsage::client_auth(),
                    Some(options),
                    None,
                )
                .map(|_| ())
        };
        let listed: Vec<_> = due.iter().copied().flatten().collect();
        let leaf = due[0].filter(|_| !all_are_listed);
        let judged = leaf
            .map_or(Ok(()), |lists| judge(&[lists], RevocationCheckDepth::EndEntity, UnknownStatusPolicy::Deny))
            .and_then(|()| {
                let unknown = if all_are_listed { UnknownStatusPolicy::Deny } else { UnknownStatusPolicy::Allow };
                judge(&listed, RevocationCheckDepth::Chain, unknown)
            });
        judged.map_err(|error| self.why(&error, path, &issuers))
    }

    fn why(&self, error: &webpki::Error, path: &VerifiedPath<'_>, issuers: &[Hash]) -> BadPeer {
        use webpki::Error as E;
        let number = |nth: usize, serial: &[u8]| {
            let lists = self.by_authority.get(issuers.get(nth)?)?;
            let list = lists.iter().find(|list| matches!(list.list.find_serial(serial), Ok(Some(_))))?;
            Some(list.number.clone())
        };
        match error {
            E::CertRevoked => {
                let leaf = number(0, path.end_entity().serial());
                let mut above = path.intermediate_certificates().enumerate();
                let above = above.find_map(|(nth, one)| number(nth + 1, one.serial()));
                match (leaf, above) {
                    (Some(list), _) => BadPeer::Revoked { list },
                    (None, Some(list)) => BadPeer::RevokedAuthority { list },
                    (None, None) => BadPeer::ListMissing,
                }
            }
            E::CrlExpired { .. } => BadPeer::ListStale,
            // Whatever else a list can be, it does not say that the certificate is good.
            _ => BadPeer::ListMissing,
        }
    }
}
