//! `directory.toml`: the directory as people write it, read into records that can be sealed.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use liaison_protocol::id::{Micros, NetworkName, from_hex};
use liaison_protocol::proto::{self, record::Body};
use prost::Message as _;
use serde::Deserialize;

/// What is wrong with a directory file.
#[derive(Debug, thiserror::Error)]
#[error("{}: {problem}", path.display())]
pub struct BadDirectoryFile {
    /// Which file.
    pub path: PathBuf,
    /// What, naming its key.
    pub problem: String,
}

/// A directory file that has been read.
pub struct DirectoryFile {
    /// The network's name in certificates.
    pub network: NetworkName,
    /// How long a head stands before a newer one is due.
    pub renew_after_days: u32,
    /// How many authority keys must sign.
    pub threshold: usize,
    /// The authority's public keys, Ed25519.
    pub authority: Vec<[u8; 32]>,
    /// Records in the file's order.
    pub records: Vec<Bytes>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    network: String,
    #[serde(default = "thirty")]
    renew_after_days: u32,
    authority: RawAuthority,
    #[serde(default)]
    node: Vec<RawNode>,
    #[serde(default)]
    partner: Vec<RawPartner>,
    #[serde(default)]
    group: Vec<RawGroup>,
    #[serde(default)]
    agreement: Vec<RawAgreement>,
}

fn thirty() -> u32 {
    30
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawAuthority {
    threshold: usize,
    keys: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawNode {
    id: String,
    log_origin: String,
    log_key: String,
    tls_authorities: Vec<PathBuf>,
    #[serde(default)]
    tls_keys: Vec<String>,
    addresses: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPartner {
    number: u32,
    id: String,
    name: String,
    category: String,
    home: String,
    #[serde(default = "active")]
    status: String,
    tls_authorities: Vec<PathBuf>,
    #[serde(default)]
    tls_keys: Vec<String>,
    #[serde(default)]
    key: Vec<RawKey>,
}

fn active() -> String {
    "active".into()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawKey {
    usage: String,
    #[serde(default)]
    ed25519: Option<String>,
    #[serde(default)]
    ecdsa_p256: Option<String>,
    not_before: String,
    not_after: String,
    #[serde(default)]
    denied: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawGroup {
    id: String,
    members: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawAgreement {
    id: String,
    originators: Vec<String>,
    recipients: Vec<String>,
    kinds: Vec<String>,
    highest_handling: String,
    highest_tlp: String,
    highest_precedence: String,
    from: String,
    until: String,
    legal_basis: String,
}

impl DirectoryFile {
    /// Reads a file. What the records mean together is judged when they are sealed.
    pub fn read(path: &Path) -> Result<Self, BadDirectoryFile> {
        let bad = |problem: String| BadDirectoryFile { path: path.into(), problem };
        let raw: Raw = config::Config::builder()
            .add_source(config::File::from(path).format(config::FileFormat::Toml))
            .build()
            .and_then(config::Config::try_deserialize)
            .map_err(|error| bad(error.to_string()))?;
        let folder = path.parent().unwrap_or(Path::new("."));
        Reading { folder }.all(raw).map_err(bad)
    }
}

struct Reading<'a> {
    folder: &'a Path,
}

impl Reading<'_> {
    fn all(&self, raw: Raw) -> Result<DirectoryFile, String> {
        let mut bodies = Vec::new();
        for node in raw.node {
            bodies.push(self.node(node)?);
        }
        for partner in raw.partner {
            self.partner(partner, &mut bodies)?;
        }
        for group in raw.group {
            bodies.push(Body::Group(proto::Group { id: group.id, members: group.members }));
        }
        for agreement in raw.agreement {
            bodies.push(agreement_record(agreement)?);
        }
        let authority =
            raw.authority.keys.iter().map(|key| key32(key, "authority.keys")).collect::<Result<_, _>>()?;
        Ok(DirectoryFile {
            network: raw.network.parse().map_err(|bad| format!("network: {bad}"))?,
            renew_after_days: raw.renew_after_days,
            threshold: raw.authority.threshold,
            authority,
            records: bodies
                .into_iter()
                .map(|body| proto::Record { body: Some(body) }.encode_to_vec().into())
                .collect(),
        })
    }

    fn node(&self, node: RawNode) -> Result<Body, String> {
        let at = |key: &str| format!("node {}: {key}", node.id);
        Ok(Body::Node(proto::Node {
            log_key: Some(ed25519(&node.log_key, &at("log_key"))?),
            tls_authorities: self.certificates(&node.tls_authorities, &at("tls_authorities"))?,
            tls_keys: digests(&node.tls_keys, &at("tls_keys"))?,
            id: node.id,
            log_origin: node.log_origin,
            addresses: node.addresses,
        }))
    }

    fn partner(&self, partner: RawPartner, bodies: &mut Vec<Body>) -> Result<(), String> {
        let at = |key: &str| format!("partner {}: {key}", partner.id);
        for key in &partner.key {
            let public = match (&key.ed25519, &key.ecdsa_p256) {
                (Some(key), None) => ed25519(key, &at("key.ed25519"))?,
                (None, Some(key)) => proto::PublicKey {
                    algorithm: proto::Algorithm::EcdsaP256Sha256.into(),
                    key: from_hex(key)
                        .ok_or_else(|| at("key.ecdsa_p256: expected lower-case hexadecimal digits"))?
                        .into(),
                },
                _ => return Err(at("key: expected either ed25519 or ecdsa_p256")),
            };
            bodies.push(Body::Key(proto::PartnerKey {
                partner: partner.id.clone(),
                usage: value("KEY_USAGE", &key.usage, proto::KeyUsage::from_str_name, &at("key.usage"))? as i32,
                public_key: Some(public),
                not_before_us: moment(&key.not_before, &at("key.not_before"))?.0,
                not_after_us: moment(&key.not_after, &at("key.not_after"))?.0,
                denied: key.denied,
            }));
        }
        let category =
            value("PARTNER_CATEGORY", &partner.category, proto::PartnerCategory::from_str_name, &at("category"))?;
        let status = value("PARTNER_STATUS", &partner.status, proto::PartnerStatus::from_str_name, &at("status"))?;
        bodies.push(Body::Partner(proto::Partner {
            number: partner.number,
            category: category as i32,
            status: status as i32,
            tls_authorities: self.certificates(&partner.tls_authorities, &at("tls_authorities"))?,
            tls_keys: digests(&partner.tls_keys, &at("tls_keys"))?,
            id: partner.id,
            name: partner.name,
            home: partner.home,
        }));
        Ok(())
    }

    fn certificates(&self, files: &[PathBuf], at: &str) -> Result<Vec<Bytes>, String> {
        use rustls::pki_types::CertificateDer;
        use rustls::pki_types::pem::PemObject as _;
        let read = |file: &PathBuf| {
            let file = self.folder.join(file);
            CertificateDer::from_pem_file(&file)
                .map(|der| Bytes::copy_from_slice(&der))
                .map_err(|error| format!("{at}: {}: {error}", file.display()))
        };
        files.iter().map(read).collect()
    }
}

fn agreement_record(agreement: RawAgreement) -> Result<Body, String> {
    let at = |key: &str| format!("agreement {}: {key}", agreement.id);
    let kinds = agreement
        .kinds
        .iter()
        .map(|kind| value("KIND", kind, proto::Kind::from_str_name, &at("kinds")).map(i32::from))
        .collect::<Result<_, _>>()?;
    let handling = &agreement.highest_handling;
    let handling = value("HANDLING_CODE", handling, proto::HandlingCode::from_str_name, &at("highest_handling"))?;
    let tlp = value("TLP", &agreement.highest_tlp, proto::Tlp::from_str_name, &at("highest_tlp"))?;
    let precedence = &agreement.highest_precedence;
    let precedence = value("PRECEDENCE", precedence, proto::Precedence::from_str_name, &at("highest_precedence"))?;
    Ok(Body::Agreement(proto::Agreement {
        kinds,
        highest_handling: handling.into(),
        highest_tlp: tlp.into(),
        highest_precedence: precedence.into(),
        from_us: moment(&agreement.from, &at("from"))?.0,
        until_us: moment(&agreement.until, &at("until"))?.0,
        id: agreement.id,
        originators: agreement.originators,
        recipients: agreement.recipients,
        legal_basis: agreement.legal_basis,
    }))
}

/// Reads an enumeration's value as people write it: `un-special` for KIND_UN_SPECIAL.
pub fn value<E>(prefix: &str, text: &str, read: fn(&str) -> Option<E>, at: &str) -> Result<E, String> {
    let name = format!("{prefix}_{}", text.to_uppercase().replace('-', "_"));
    let unspecified = name.ends_with("_UNSPECIFIED");
    read(&name).filter(|_| !unspecified).ok_or_else(|| format!("{at}: {text:?} is not known"))
}

/// Reads a date (its first moment, UTC) or a moment with zone.
pub fn moment(text: &str, at: &str) -> Result<Micros, String> {
    let day = text.parse::<jiff::civil::Date>().ok();
    let timestamp = match day {
        Some(day) => jiff::tz::TimeZone::UTC.to_timestamp(day.at(0, 0, 0, 0)),
        None => text.parse::<jiff::Timestamp>(),
    };
    timestamp
        .map(|timestamp| Micros(timestamp.as_microsecond()))
        .map_err(|_| format!("{at}: {text:?} is neither a date nor a moment with zone"))
}

fn ed25519(text: &str, at: &str) -> Result<proto::PublicKey, String> {
    let key = Bytes::copy_from_slice(&key32(text, at)?);
    Ok(proto::PublicKey { algorithm: proto::Algorithm::Ed25519.into(), key })
}

fn key32(text: &str, at: &str) -> Result<[u8; 32], String> {
    let bytes = from_hex(text).and_then(|bytes| bytes.try_into().ok());
    bytes.ok_or_else(|| format!("{at}: expected 64 lower-case hexadecimal digits"))
}

fn digests(texts: &[String], at: &str) -> Result<Vec<Bytes>, String> {
    texts.iter().map(|text| key32(text, at).map(|digest| Bytes::copy_from_slice(&digest))).collect()
}
