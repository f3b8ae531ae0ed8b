//! The node's own certificate and key: read from two files, checked against each other, exchanged while serving.

use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use liaison_protocol::id::{Hash, Micros};
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use x509_parser::prelude::{FromDer as _, X509Certificate};
use zeroize::Zeroizing;

/// A chain of four certificates of 8 KiB each, in PEM, with room for comments.
const FILE_BYTES_MAX: u64 = 64 << 10;

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

    /// Reads both files again; says whether the certificate changed. On any error the old pair stays in use.
    pub fn reload(&self) -> Result<bool, BadCredentials> {
        let loaded = load(&self.certificate_file, &self.key_file).inspect_err(|error| {
            tracing::error!(target: "audit", event = "cert.rotation_failed", %error);
        })?;
        if loaded.certificate == self.certificate() {
            return Ok(false);
        }
        tracing::info!(target: "audit", event = "cert.rotated", certificate = ?loaded.certificate);
        self.current.store(Arc::new(loaded));
        Ok(true)
    }

    /// SHA-256 of the leaf in use.
    pub fn certificate(&self) -> Hash {
        self.current.load().certificate
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
    let (pem, _) = read(certificate_file)?;
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<_, _>>()
        .map_err(|_| refused(certificate_file, "not a PEM certificate chain"))?;
    let leaf = chain.first().ok_or_else(|| refused(certificate_file, "holds no PEM certificate"))?;
    let (_, parsed) = X509Certificate::from_der(leaf)
        .map_err(|_| refused(certificate_file, "its first certificate cannot be read"))?;
    let valid_until = Micros(parsed.validity().not_after.timestamp().saturating_mul(Micros::SECOND));
    let certificate = Hash::of(&[leaf]);

    let (pem, mode) = read(key_file)?;
    if mode & 0o077 != 0 {
        return Err(refused(key_file, "a private key must be closed to group and others: chmod 600"));
    }
    let key = PrivateKeyDer::from_pem_slice(&pem).map_err(|_| refused(key_file, "holds no PEM private key"))?;
    let key = default_provider()
        .key_provider
        .load_private_key(key)
        .map_err(|_| refused(key_file, "not a private key this node can use"))?;
    let certified = CertifiedKey::new(chain, key);
    certified.keys_match().map_err(|_| refused(key_file, "does not belong to the certificate"))?;
    Ok(Loaded { certified: Arc::new(certified), certificate, valid_until })
}

/// The bytes and the permissions of one and the same open file, so that nobody can exchange it between the two looks.
fn read(path: &Path) -> Result<(Zeroizing<Vec<u8>>, u32), BadCredentials> {
    let bytes = || {
        let file = File::open(path)?;
        let mode = file.metadata()?.permissions().mode();
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
