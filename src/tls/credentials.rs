//! The node's own certificate and key: read from two files, checked against each other, exchanged while serving.

use std::fmt;
use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arc_swap::ArcSwap;
use liaison_protocol::id::{Hash, Micros};
use liaison_protocol::text::pem::{self, Wanted};
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate};
use zeroize::Zeroizing;

use crate::config::regular;

/// A chain of four certificates of 8 KiB each, in PEM, with room for comments.
const FILE_BYTES_MAX: u64 = 64 << 10;

/// Days before the end of the node's certificate on which the audit says so: to plan, to act, to run.
const ALARM_DAYS: [i64; 3] = [30, 7, 1];

/// Why a certificate or key cannot be used. One line that names the file and the rule.
#[derive(Debug, thiserror::Error)]
pub enum BadCredentials {
    /// The file cannot be opened or read.
    #[error("{}: {source}", file.display())]
    Unreadable {
        /// Which file.
        file: PathBuf,
        /// The operating system's words.
        source: io::Error,
    },
    /// The file breaks a rule.
    #[error("{}: {rule}", file.display())]
    Refused {
        /// Which file.
        file: PathBuf,
        /// Which rule.
        rule: &'static str,
    },
    /// The file holds something else than it should.
    #[error("{}: {why}", file.display())]
    Amiss {
        /// Which file.
        file: PathBuf,
        /// What it holds, and what mends it.
        why: String,
    },
}

/// The certificate and key in use. Handshakes take what is current; a reload changes nothing on open lines.
pub struct Credentials {
    certificate_file: PathBuf,
    key_file: PathBuf,
    current: ArcSwap<Loaded>,
}

struct Loaded {
    certified: Arc<CertifiedKey>,
    certificate: Hash,
    valid_until: Micros,
    /// Whom it names: a renewed certificate names the same.
    identity: Vec<String>,
    /// How many of the alarms about its end have been given.
    alarms: AtomicUsize,
}

impl Credentials {
    /// Reads a PEM chain, leaf first, and its PEM key. The key file must be closed to group and others.
    pub fn load(certificate_file: &Path, key_file: &Path) -> Result<Self, BadCredentials> {
        let loaded = load(certificate_file, key_file)?;
        Ok(Self {
            certificate_file: certificate_file.to_owned(),
            key_file: key_file.to_owned(),
            current: ArcSwap::from_pointee(loaded),
        })
    }

    /// Reads both files again; says whether the certificate changed. On any error the old pair stays in use, and a certificate that
    /// has ended or names somebody else is an error too.
    pub fn reload(&self, now: Micros) -> Result<bool, BadCredentials> {
        let loaded = load(&self.certificate_file, &self.key_file).and_then(|loaded| self.may_follow(loaded, now));
        let loaded = loaded.inspect_err(|error| {
            tracing::error!(target: "audit", event = "cert.rotation_failed", %error);
        })?;
        if loaded.certificate == self.certificate() {
            return Ok(false);
        }
        tracing::info!(target: "audit", event = "cert.rotated", certificate = ?loaded.certificate);
        self.current.store(Arc::new(loaded));
        Ok(true)
    }

    fn may_follow(&self, loaded: Loaded, now: Micros) -> Result<Loaded, BadCredentials> {
        let refused = |rule| Err(BadCredentials::Refused { file: self.certificate_file.clone(), rule });
        let current = self.current.load();
        if loaded.certificate != current.certificate && is_over(loaded.valid_until, now) {
            return refused("has ended");
        }
        if loaded.identity != current.identity {
            return refused("names another identity than the certificate in use");
        }
        Ok(loaded)
    }

    /// Says once, at 30, 7 and 1 days before the end of the certificate in use, that it is near, and once that it has come.
    pub fn alarm(&self, now: Micros) {
        let current = self.current.load();
        let due = alarms_due(current.valid_until, now);
        if current.alarms.fetch_max(due, Ordering::Relaxed) < due {
            let left_s = current.valid_until.since(now) / Micros::SECOND;
            tracing::error!(
                target: "audit",
                event = "cert.expiring",
                certificate = ?current.certificate,
                over = is_over(current.valid_until, now),
                left_s,
            );
        }
    }

    /// Whether the node can be called by this certificate. Where it has ended, open lines go on and nobody new can come: the node
    /// is not ready. Err: what to do.
    pub fn ready(&self, now: Micros) -> Result<(), &'static str> {
        let over = is_over(self.valid_until(), now);
        if over { Err("the node's certificate has ended: put a new one in its place") } else { Ok(()) }
    }

    /// SHA-256 of the leaf in use.
    pub fn certificate(&self) -> Hash {
        self.current.load().certificate
    }

    /// The chain in use, leaf first.
    pub fn chain(&self) -> Vec<CertificateDer<'static>> {
        self.current.load().certified.cert.clone()
    }

    /// notAfter of the leaf in use.
    pub fn valid_until(&self) -> Micros {
        self.current.load().valid_until
    }
}

impl ResolvesServerCert for Credentials {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.load().certified.clone())
    }
}

/// The files' names, never what is in them.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("certificate_file", &self.certificate_file)
            .field("key_file", &self.key_file)
            .finish_non_exhaustive()
    }
}

fn load(certificate_file: &Path, key_file: &Path) -> Result<Loaded, BadCredentials> {
    let refused = |file: &Path, rule| BadCredentials::Refused { file: file.to_owned(), rule };
    let amiss = |file: &Path, pem: &[u8], wanted| match pem::amiss(&file.display().to_string(), pem, wanted) {
        Some(why) => Err(BadCredentials::Amiss { file: file.to_owned(), why }),
        None => Ok(()),
    };
    let (pem, _) = read(certificate_file)?;
    amiss(certificate_file, &pem, Wanted::Certificate)?;
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<_, _>>()
        .map_err(|_| refused(certificate_file, "not a PEM certificate chain"))?;
    let leaf = chain.first().ok_or_else(|| refused(certificate_file, "holds no PEM certificate"))?;
    let (_, parsed) = X509Certificate::from_der(leaf)
        .map_err(|_| refused(certificate_file, "its first certificate cannot be read"))?;
    let valid_until = Micros(parsed.validity().not_after.timestamp().saturating_mul(Micros::SECOND));
    let certificate = Hash::of(&[leaf]);
    let identity = uris(&parsed);

    let (pem, mode) = read(key_file)?;
    if mode & 0o077 != 0 {
        return Err(refused(key_file, "a private key must be closed to group and others: chmod 600"));
    }
    amiss(key_file, &pem, Wanted::Key)?;
    let key = PrivateKeyDer::from_pem_slice(&pem).map_err(|_| refused(key_file, "holds no PEM private key"))?;
    let key = default_provider()
        .key_provider
        .load_private_key(key)
        .map_err(|_| refused(key_file, "not a private key this node can use"))?;
    let certified = CertifiedKey::new(chain, key);
    certified.keys_match().map_err(|_| refused(key_file, "does not belong to the certificate"))?;
    Ok(Loaded { certified: Arc::new(certified), certificate, valid_until, identity, alarms: AtomicUsize::new(0) })
}

fn uris(certificate: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(names)) = certificate.subject_alternative_name() else { return Vec::new() };
    let uris = names.value.general_names.iter().filter_map(|name| match name {
        GeneralName::URI(uri) => Some((*uri).to_owned()),
        _ => None,
    });
    uris.collect()
}

/// A certificate is good to the end of its last second.
fn is_over(valid_until: Micros, now: Micros) -> bool {
    valid_until.plus(Micros::SECOND) <= now
}

/// How many of the moments have come at which its end is announced: the last one is the end itself.
fn alarms_due(valid_until: Micros, now: Micros) -> usize {
    let early = ALARM_DAYS.iter().filter(|days| valid_until.plus(-*days * Micros::DAY) <= now).count();
    early + usize::from(is_over(valid_until, now))
}

/// The bytes and the permissions of one and the same open file, so that nobody can exchange it between the two looks.
fn read(path: &Path) -> Result<(Zeroizing<Vec<u8>>, u32), BadCredentials> {
    let bytes = || {
        let (file, metadata) = regular::open(path)?;
        let mode = metadata.permissions().mode();
        // Reserved at once: a buffer that grows leaves copies of the key behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(FILE_BYTES_MAX as usize + 1));
        file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
        Ok((bytes, mode))
    };
    let (bytes, mode) = bytes().map_err(|source| BadCredentials::Unreadable { file: path.to_owned(), source })?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(BadCredentials::Refused { file: path.to_owned(), rule: "larger than 64 KiB" });
    }
    Ok((bytes, mode))
}
