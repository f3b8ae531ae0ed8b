//! Certificates for partners and nodes by the profile in `certs/README.md`, and the starter authority that issues them.
//! A bureau with an authority of its own issues by the same profile and this file is not needed.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Duration;

use liaison_protocol::id::{Micros, NetworkName, NodeId, PartnerId, SystemId};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, SanType, SerialNumber, date_time_ymd,
};
use ring::rand::{SecureRandom as _, SystemRandom};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use zeroize::Zeroizing;

use crate::peer::Identity;

/// From when to when a certificate holds, both included, in whole seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// First second.
    pub not_before: Micros,
    /// Last second.
    pub not_after: Micros,
}

/// A certificate and its key, as PEM. The key is wiped when this is dropped.
pub struct Issued {
    certificate: String,
    key: Zeroizing<String>,
}

impl Issued {
    /// The certificate alone: this authority issues leaves directly, so it is the whole chain.
    pub fn certificate_pem(&self) -> &str {
        &self.certificate
    }

    /// The private key, PKCS #8.
    pub fn key_pem(&self) -> &str {
        &self.key
    }
}

/// What went wrong while making certificates.
#[derive(Debug, thiserror::Error)]
pub enum PkiError {
    /// A name or a time does not fit into a certificate, or a file holds no key or certificate.
    #[error("{what}: {source}")]
    Certificate {
        /// What was being made or read.
        what: &'static str,
        /// The library's words.
        source: rcgen::Error,
    },
    /// The two files of an authority do not belong together.
    #[error("the authority's key does not belong to its certificate")]
    KeyMismatch,
}

/// A certificate authority with its key in memory. Its key belongs offline or into a security module; this one starts networks.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: String,
    key: Zeroizing<String>,
}

impl Authority {
    /// Makes an authority that may issue leaves and nothing else.
    pub fn create(common_name: &str, not_before: Micros, not_after: Micros) -> Result<Self, PkiError> {
        let failed = certificate("authority");
        let validity = Validity { not_before, not_after };
        let mut params = params(common_name, validity);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(&failed)?;
        let certificate = params.self_signed(&key).map_err(&failed)?.pem();
        Ok(Self { certificate, key: Zeroizing::new(key.serialize_pem()), issuer: Issuer::new(params, key) })
    }

    /// Reads an authority back from what `certificate_pem` and `key_pem` gave.
    pub fn from_pem(certificate_pem: &str, key_pem: &str) -> Result<Self, PkiError> {
        let failed = certificate("authority");
        let key = KeyPair::from_pem(key_pem).map_err(&failed)?;
        if !certifies(certificate_pem, &key)? {
            return Err(PkiError::KeyMismatch);
        }
        Ok(Self {
            certificate: certificate_pem.to_owned(),
            key: Zeroizing::new(key_pem.to_owned()),
            issuer: Issuer::from_ca_cert_pem(certificate_pem, key).map_err(&failed)?,
        })
    }

    /// What the directory pins.
    pub fn certificate_pem(&self) -> &str {
        &self.certificate
    }

    /// The authority's private key, PKCS #8.
    pub fn key_pem(&self) -> &str {
        &self.key
    }

    /// A certificate with which one system of a partner calls nodes.
    pub fn issue_partner(
        &self,
        network: &NetworkName,
        partner: &PartnerId,
        system: &SystemId,
        validity: Validity,
    ) -> Result<Issued, PkiError> {
        let identity = Identity::Partner { partner: partner.clone(), system: system.clone() };
        let mut params = params(&format!("{partner} {system}"), validity);
        params.subject_alt_names = vec![uri(&identity, network)?];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.issue(params)
    }

    /// A certificate with which a node is called, under these names and addresses, and calls other nodes.
    pub fn issue_node(
        &self,
        network: &NetworkName,
        node: &NodeId,
        dns_names: &[&str],
        addresses: &[IpAddr],
        validity: Validity,
    ) -> Result<Issued, PkiError> {
        let mut params = params(node.as_str(), validity);
        let mut names = vec![uri(&Identity::Node(node.clone()), network)?];
        for name in dns_names {
            let name = (*name).try_into().map_err(certificate("DNS name"))?;
            names.push(SanType::DnsName(name));
        }
        names.extend(addresses.iter().copied().map(SanType::IpAddress));
        params.subject_alt_names = names;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth];
        self.issue(params)
    }

    fn issue(&self, mut params: CertificateParams) -> Result<Issued, PkiError> {
        let failed = certificate("certificate");
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(&failed)?;
        let issued = params.signed_by(&key, &self.issuer).map_err(&failed)?;
        Ok(Issued { certificate: issued.pem(), key: Zeroizing::new(key.serialize_pem()) })
    }
}

/// What every certificate has. The common name is for people; no machine reads it.
fn params(common_name: &str, validity: Validity) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.not_before = date_time_ymd(1970, 1, 1) + since_1970(validity.not_before);
    params.not_after = date_time_ymd(1970, 1, 1) + since_1970(validity.not_after);
    params.serial_number = Some(serial());
    params
}

fn since_1970(time: Micros) -> Duration {
    Duration::from_secs(u64::try_from(time.0 / Micros::SECOND).unwrap_or(0))
}

/// 16 random bytes, positive and always 16 long (RFC 5280, section 4.1.2.2).
fn serial() -> SerialNumber {
    let mut bytes = [0; 16];
    SystemRandom::new().fill(&mut bytes).expect("the operating system gives randomness");
    bytes[0] = bytes[0] & 0x7f | 0x40;
    SerialNumber::from_slice(&bytes)
}

fn uri(identity: &Identity, network: &NetworkName) -> Result<SanType, PkiError> {
    let uri = identity.uri(network);
    Ok(SanType::URI(uri.as_str().try_into().map_err(certificate("identity"))?))
}

fn certifies(certificate_pem: &str, key: &KeyPair) -> Result<bool, PkiError> {
    let unreadable = || PkiError::Certificate { what: "authority", source: rcgen::Error::CouldNotParseCertificate };
    let der = CertificateDer::from_pem_slice(certificate_pem.as_bytes()).map_err(|_| unreadable())?;
    let (_, parsed) = x509_parser::parse_x509_certificate(&der).map_err(|_| unreadable())?;
    Ok(parsed.public_key().subject_public_key.as_ref() == key.public_key_raw())
}

fn certificate(what: &'static str) -> impl Fn(rcgen::Error) -> PkiError {
    move |source| PkiError::Certificate { what, source }
}

/// Writes a private key that only its owner may read. The file must not exist: a key is never overwritten.
pub fn create_key_file(path: &Path, pem: &str) -> io::Result<()> {
    create_file(path, pem, 0o600)
}

/// Writes a certificate that anyone may read. The file must not exist.
pub fn create_certificate_file(path: &Path, pem: &str) -> io::Result<()> {
    create_file(path, pem, 0o644)
}

fn create_file(path: &Path, pem: &str, mode: u32) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    file.write_all(pem.as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peer::{Identities, Owner, Peer, Pins};
    use std::os::unix::fs::PermissionsExt as _;

    const NOW: Micros = Micros(1_795_000_000 * Micros::SECOND);

    fn authority() -> Authority {
        Authority::create("Test", NOW, NOW.plus(365 * Micros::DAY)).unwrap()
    }

    fn validity() -> Validity {
        Validity { not_before: NOW, not_after: NOW.plus(Micros::DAY) }
    }

    fn der(pem: &str) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()
    }

    fn network() -> NetworkName {
        "demo.liaison.example".parse().unwrap()
    }

    #[test]
    fn what_it_issues_is_admitted_under_its_own_identity() {
        let authority = authority();
        let fr: PartnerId = "FR".parse().unwrap();
        let hub: NodeId = "hub-1".parse().unwrap();
        let partner = authority.issue_partner(&network(), &fr, &"ops-1".parse().unwrap(), validity()).unwrap();
        let node = authority
            .issue_node(&network(), &hub, &["hub-1.example.int"], &[[127, 0, 0, 1].into()], validity())
            .unwrap();
        let pins = |owner| {
            let authorities = vec![der(authority.certificate_pem())];
            let keys = Vec::new();
            (owner, Pins { authorities, keys })
        };
        let identities = Identities::new(network(), [pins(Owner::Partner(fr.clone())), pins(Owner::Node(hub))], []);
        let admitted = |issued: &Issued| identities.admit(&[der(issued.certificate_pem())], NOW).unwrap();
        assert_eq!(admitted(&partner).partner(), Some(&fr));
        assert_eq!(admitted(&partner).valid_until(), validity().not_after);
        assert_eq!(admitted(&node).identity().to_string(), "node hub-1");
    }

    #[test]
    fn an_authority_read_back_issues_what_the_first_would() {
        let first = authority();
        let again = Authority::from_pem(first.certificate_pem(), first.key_pem()).unwrap();
        let issued =
            again.issue_partner(&network(), &"KE".parse().unwrap(), &"ops-1".parse().unwrap(), validity()).unwrap();
        let pins = Pins { authorities: vec![der(first.certificate_pem())], keys: Vec::new() };
        let identities = Identities::new(network(), [(Owner::Partner("KE".parse().unwrap()), pins)], []);
        let chain = [der(issued.certificate_pem())];
        assert_eq!(identities.admit(&chain, NOW), Peer::from_verified_chain(&chain, &network()));
        let other = Authority::from_pem(first.certificate_pem(), authority().key_pem());
        assert!(matches!(other, Err(PkiError::KeyMismatch)));
    }

    #[test]
    fn a_key_file_is_private_and_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key.pem");
        create_key_file(&path, "first").unwrap();
        let again = create_key_file(&path, "second").unwrap_err();
        assert_eq!(again.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "first");
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
