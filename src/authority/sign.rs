//! Signing a directory: records sealed under a new head that follows the one before, and opened again before anyone gets it.

use bytes::Bytes;
use liaison_protocol::directory::{self, AuthorityKeys, BadDirectory, Directory, NewHead};
use liaison_protocol::envelope::{DIRECTORY_HEAD_TYPE, sign_by_all};
use liaison_protocol::id::{HeadVersion, Micros, PartnerNumber};
use liaison_protocol::keyring::PublicKey;
use liaison_protocol::signer::{SignError, Signer};
use liaison_protocol::tlog::entry::Salt;

use super::directory_file::DirectoryFile;
use crate::clock::Entropy;

/// Why a directory was not signed. Nothing has been written.
#[derive(Debug, thiserror::Error)]
pub enum CannotSign {
    /// An authority key is not one.
    #[error("authority.keys: {0}")]
    Authority(String),
    /// It breaks a rule.
    #[error(transparent)]
    Directory(#[from] BadDirectory),
    /// The signer failed.
    #[error(transparent)]
    Signer(#[from] SignError),
}

/// A sealed directory, ready to be published.
pub struct Sealed {
    /// The file's bytes.
    pub bytes: Bytes,
    /// The same, opened.
    pub directory: Directory,
}

/// Seals and signs what `file` says as the head after `before`, and opens the result as a node would.
pub fn sign(
    file: &DirectoryFile,
    before: Option<&Directory>,
    signers: &[&dyn Signer],
    now: Micros,
    entropy: &mut dyn Entropy,
) -> Result<Sealed, CannotSign> {
    let keys = file.authority.iter().map(PublicKey::ed25519).collect::<Result<_, _>>();
    let keys = keys.map_err(|bad| CannotSign::Authority(bad.to_string()))?;
    let authority = AuthorityKeys::new(file.threshold, keys).map_err(CannotSign::Authority)?;
    let head = NewHead {
        network: before.map(|before| before.head().network()),
        name: file.network.clone(),
        version: HeadVersion(before.map_or(1, |before| before.head().version().0 + 1)),
        previous: before.map(|before| before.head().digest()),
        issued_at: now,
        renew_by: now.plus(i64::from(file.renew_after_days) * Micros::DAY),
        authority,
        next_number: next_number(file, before),
    };
    let records: Vec<_> = file
        .records
        .iter()
        .map(|record| {
            let mut salt = [0; 32];
            entropy.fill(&mut salt);
            (record.clone(), Salt(salt))
        })
        .collect();
    let payload = directory::seal(&head, &records);
    let bytes = directory::join(sign_by_all(DIRECTORY_HEAD_TYPE, payload, signers)?, &records);
    let trusted = before.map_or(&head.authority, |before| before.head().authority());
    let directory = Directory::open(bytes.clone(), trusted, head.network)?;
    directory.follows(before)?;
    Ok(Sealed { bytes, directory })
}

/// Above every number that was ever given, also to partners who are listed no more.
fn next_number(file: &DirectoryFile, before: Option<&Directory>) -> PartnerNumber {
    let listed = PartnerNumber(file.highest_number.0.saturating_add(1));
    before.map_or(listed, |before| before.head().next_number().max(listed))
}
