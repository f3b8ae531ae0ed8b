//! An authority that makes certificates, good and bad ones.

use std::sync::Arc;
use std::time::Duration;

use liaison::peer::{Identity, ListedAuthority};
use liaison_protocol::id::{Hash, Micros};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CrlDistributionPoint,
    CrlIssuingDistributionPoint, CrlScope, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair,
    KeyUsagePurpose, PublicKeyData, RevokedCertParams, SanType, SerialNumber, date_time_ymd,
};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::support::{TODAY, network};
use crate::support::Network;

/// Issues whatever it is asked for, right or wrong.
pub(super) struct Ca {
    issuer: Issuer<'static, KeyPair>,
    pub(super) certificate: CertificateDer<'static>,
}

/// A leaf with its key, and the certificates a client sends with it.
#[derive(Clone)]
pub(super) struct Leaf {
    pub(super) chain: Vec<CertificateDer<'static>>,
    pub(super) key: Arc<KeyPair>,
}

impl Leaf {
    pub(super) fn key_der(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::try_from(self.key.serialize_der()).unwrap()
    }

    /// As the directory pins it.
    pub(super) fn key_hash(&self) -> Hash {
        Hash::of(&[&self.key.subject_public_key_info()])
    }

    /// As a list names it.
    pub(super) fn serial(&self) -> Vec<u8> {
        serial(&self.chain[0])
    }
}

pub(super) fn serial(certificate: &CertificateDer<'_>) -> Vec<u8> {
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate).unwrap();
    parsed.raw_serial().to_vec()
}

/// A list as an authority may publish it.
pub(super) struct List {
    pub(super) number: u64,
    pub(super) revoked: Vec<Vec<u8>>,
    pub(super) begins: Micros,
    pub(super) ends: Micros,
    /// Where the list says it is published, and that it is about leaves only.
    pub(super) part: Option<&'static str>,
}

impl List {
    /// Of today, due again tomorrow.
    pub(super) fn numbered(number: u64, revoked: &[&[u8]]) -> Self {
        Self {
            number,
            revoked: revoked.iter().map(|serial| serial.to_vec()).collect(),
            begins: TODAY.plus(-Micros::HOUR),
            ends: TODAY.plus(Micros::DAY),
            part: None,
        }
    }
}

/// A certificate by the profile, valid from an hour ago until tomorrow.
pub(super) fn profile(identity: &Identity) -> CertificateParams {
    let mut params = named("a system");
    params.subject_alt_names = vec![uri(&identity.uri(&network()))];
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    if let Identity::Node(_) = identity {
        let usages = &mut params.extended_key_usages;
        usages.push(ExtendedKeyUsagePurpose::ServerAuth);
    }
    params
}

pub(super) fn uri(uri: &str) -> SanType {
    SanType::URI(uri.try_into().unwrap())
}

pub(super) fn dns(name: &str) -> SanType {
    SanType::DnsName(name.try_into().unwrap())
}

pub(super) fn of_partner(id: &str) -> Identity {
    Identity::Partner { partner: id.parse().unwrap(), system: "ops-1".parse().unwrap() }
}

pub(super) fn of_node(id: &str) -> Identity {
    Identity::Node(id.parse().unwrap())
}

fn named(common_name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    valid(&mut params, TODAY.plus(-Micros::HOUR), TODAY.plus(Micros::DAY));
    params
}

pub(super) fn valid(params: &mut CertificateParams, from: Micros, until: Micros) {
    let seconds = |time: Micros| Duration::from_secs((time.0 / Micros::SECOND) as u64);
    params.not_before = date_time_ymd(1970, 1, 1) + seconds(from);
    params.not_after = date_time_ymd(1970, 1, 1) + seconds(until);
}

impl Ca {
    pub(super) fn named(common_name: &str) -> Self {
        Self::with(common_name, |_| {})
    }

    pub(super) fn with(common_name: &str, change: impl FnOnce(&mut CertificateParams)) -> Self {
        let (params, key) = (authority(common_name, change), KeyPair::generate().unwrap());
        let certificate = params.self_signed(&key).unwrap().into();
        Self { issuer: Issuer::new(params, key), certificate }
    }

    /// The authority that `liaison init` made.
    pub(super) fn of_network(network: &Network) -> Self {
        let text = |file| std::fs::read_to_string(network.path(file)).unwrap();
        let key = KeyPair::from_pem(&text("pki/ca.key")).unwrap();
        let certificate = CertificateDer::from_pem_slice(text("pki/ca.pem").as_bytes()).unwrap();
        Self { issuer: Issuer::from_ca_cert_pem(&text("pki/ca.pem"), key).unwrap(), certificate }
    }

    /// An authority under this one.
    pub(super) fn below(&self, common_name: &str) -> Self {
        self.below_with(common_name, |_| {})
    }

    /// The same, changed in one respect.
    pub(super) fn below_with(&self, common_name: &str, change: impl FnOnce(&mut CertificateParams)) -> Self {
        let (params, key) = (authority(common_name, change), KeyPair::generate().unwrap());
        let certificate = params.signed_by(&key, &self.issuer).unwrap().into();
        Self { issuer: Issuer::new(params, key), certificate }
    }

    /// With the same key and another time.
    pub(super) fn renewed(&self, common_name: &str) -> Self {
        let (params, key) =
            (authority(common_name, |_| {}), KeyPair::from_pem(&self.key().serialize_pem()).unwrap());
        let certificate = params.self_signed(&key).unwrap().into();
        Self { issuer: Issuer::new(params, key), certificate }
    }

    /// What is pinned of it, and who may sign lists for it.
    pub(super) fn listed(&self) -> ListedAuthority {
        ListedAuthority::new(self.certificate.clone()).unwrap()
    }

    /// What it signs with.
    pub(super) fn key(&self) -> &KeyPair {
        self.issuer.key()
    }

    /// Certifies a key that nobody here holds.
    pub(super) fn certify(&self, params: &CertificateParams, key: &impl PublicKeyData) -> CertificateDer<'static> {
        params.signed_by(key, &self.issuer).unwrap().into()
    }

    /// As a list names it.
    pub(super) fn serial(&self) -> Vec<u8> {
        serial(&self.certificate)
    }

    /// Publishes a list.
    pub(super) fn publish(&self, list: &List) -> Vec<u8> {
        let seconds = |time: Micros| Duration::from_secs((time.0 / Micros::SECOND) as u64);
        let at = |time| date_time_ymd(1970, 1, 1) + seconds(time);
        let revoked = list.revoked.iter().map(|serial| RevokedCertParams {
            serial_number: SerialNumber::from_slice(serial),
            revocation_time: at(list.begins),
            reason_code: None,
            invalidity_date: None,
        });
        let part = list.part.map(|uri| CrlIssuingDistributionPoint {
            distribution_point: CrlDistributionPoint { uris: vec![uri.into()] },
            scope: Some(CrlScope::UserCertsOnly),
        });
        let params = CertificateRevocationListParams {
            this_update: at(list.begins),
            next_update: at(list.ends),
            crl_number: SerialNumber::from(list.number),
            issuing_distribution_point: part,
            revoked_certs: revoked.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(&self.issuer).unwrap().der().to_vec()
    }

    /// A leaf by the profile.
    pub(super) fn leaf(&self, identity: &Identity) -> Leaf {
        self.issue(&profile(identity), KeyPair::generate().unwrap())
    }

    /// A leaf by the profile, changed in one respect.
    pub(super) fn leaf_with(&self, identity: &Identity, change: impl FnOnce(&mut CertificateParams)) -> Leaf {
        let mut params = profile(identity);
        change(&mut params);
        self.issue(&params, KeyPair::generate().unwrap())
    }

    pub(super) fn issue(&self, params: &CertificateParams, key: KeyPair) -> Leaf {
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Leaf { chain: vec![certificate.into()], key: Arc::new(key) }
    }
}

fn authority(common_name: &str, change: impl FnOnce(&mut CertificateParams)) -> CertificateParams {
    let mut params = named(common_name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    change(&mut params);
    params
}

pub(super) fn node_leaf(authority: &Ca) -> Leaf {
    authority.leaf_with(&of_node("hub-1"), |params| {
        params.subject_alt_names.push(dns("hub-1.example.int"));
    })
}

pub(super) fn pem(certificate: &[u8]) -> String {
    use base64::Engine as _;
    let body = base64::engine::general_purpose::STANDARD.encode(certificate);
    format!("-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n")
}
