//! Files: who may read and change them, and the certificates and keys in them.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use liaison_client::key_file;
use liaison_protocol::keyring::PublicKey;
use liaison_protocol::signer::Signer as _;
use liaison_protocol::text::pem::{self, Wanted};
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use zeroize::Zeroizing;

use super::super::check::Code;
use super::{Fact, Missing};

/// Keys, certificates and trust files are a few kilobytes.
const FILE_BYTES_MAX: u64 = 256 << 10;

/// A file's owner and rights.
pub(in crate::cli::doctor) struct Rights {
    /// What names it: a key of the configuration.
    pub(in crate::cli::doctor) key: &'static str,
    pub(in crate::cli::doctor) path: PathBuf,
    /// The permission bits and the owner's number.
    pub(in crate::cli::doctor) found: Fact<(u32, u32)>,
}

/// Looks at a file's rights.
pub(in crate::cli::doctor) fn rights(key: &'static str, path: &Path) -> Rights {
    let found = std::fs::metadata(path).map(|file| (file.mode() & 0o777, file.uid()));
    Rights { key, path: path.into(), found: found.map_err(missing) }
}

/// A file that is not there is F02's finding; any other failure is a finding of its own.
fn missing(error: io::Error) -> Missing {
    match error.kind() {
        io::ErrorKind::NotFound => Missing::After(Code::F02),
        _ => Missing::Failed(error.to_string()),
    }
}

/// Reads a small file, wiped when dropped.
pub(in crate::cli::doctor) fn read(path: &Path) -> Fact<Zeroizing<Vec<u8>>> {
    let at = |problem: &dyn std::fmt::Display| Missing::Failed(format!("{}: {problem}", path.display()));
    let bytes = || {
        let mut bytes = Zeroizing::new(Vec::new());
        File::open(path)?.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let bytes = bytes().map_err(|error| match missing(error) {
        Missing::Failed(problem) => at(&problem),
        other => other,
    })?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(at(&"larger than 256 KiB"));
    }
    Ok(bytes)
}

/// The same, as text.
pub(in crate::cli::doctor) fn text(path: &Path) -> Fact<Zeroizing<String>> {
    let text = String::from_utf8(read(path)?.to_vec());
    text.map(Zeroizing::new).map_err(|_| Missing::Failed(format!("{}: is not UTF-8", path.display())))
}

/// A certificate chain and its key.
pub(in crate::cli::doctor) struct Certificate {
    pub(in crate::cli::doctor) file: PathBuf,
    pub(in crate::cli::doctor) key_file: PathBuf,
    /// Leaf first, at least one.
    pub(in crate::cli::doctor) chain: Fact<Vec<CertificateDer<'static>>>,
    /// That the key is the leaf's.
    pub(in crate::cli::doctor) fits: Fact<()>,
    /// For a handshake, where it fits.
    pub(super) key: Option<PrivateKeyDer<'static>>,
}

/// Reads both files.
pub(in crate::cli::doctor) fn certificate(file: &Path, key_file: &Path) -> Certificate {
    let chain = chain(file);
    let key = private_key(key_file);
    let fits = super::and(&chain, |chain| super::and(&key, |key| belongs(chain, key, key_file)));
    let key = key.ok().filter(|_| fits.is_ok());
    Certificate { file: file.into(), key_file: key_file.into(), chain, fits, key }
}

/// Reads a PEM chain of at least one certificate.
pub(in crate::cli::doctor) fn chain(file: &Path) -> Fact<Vec<CertificateDer<'static>>> {
    let bad = |problem: &str| Missing::Failed(format!("{}: {problem}", file.display()));
    let pem = read(file)?;
    if let Some(why) = pem::amiss(&file.display().to_string(), &pem, Wanted::Certificate) {
        return Err(bad(&why));
    }
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<_, _>>()
        .map_err(|_| bad("is not a PEM certificate chain"))?;
    if chain.is_empty() { Err(bad("holds no PEM certificate")) } else { Ok(chain) }
}

fn private_key(file: &Path) -> Fact<PrivateKeyDer<'static>> {
    let pem = read(file)?;
    if let Some(why) = pem::amiss(&file.display().to_string(), &pem, Wanted::Key) {
        return Err(Missing::Failed(format!("{}: {why}", file.display())));
    }
    PrivateKeyDer::from_pem_slice(&pem)
        .map_err(|_| Missing::Failed(format!("{}: holds no PEM private key", file.display())))
}

fn belongs(chain: &[CertificateDer<'static>], key: &PrivateKeyDer<'static>, file: &Path) -> Fact<()> {
    let bad = |problem: &str| Missing::Failed(format!("{}: {problem}", file.display()));
    let key = default_provider().key_provider.load_private_key(key.clone_key());
    let certified = CertifiedKey::new(chain.to_vec(), key.map_err(|_| bad("is not a key that can be used here"))?);
    certified.keys_match().map_err(|_| bad("is not the key of the certificate"))
}

/// The public half of a signing key's file.
pub(in crate::cli::doctor) fn signing_key(file: &Path) -> Fact<PublicKey> {
    let text = text(file)?;
    let signer = key_file::signer(&text);
    signer
        .map(|signer| signer.public().clone())
        .map_err(|bad| Missing::Failed(format!("{}: {bad}", file.display())))
}
