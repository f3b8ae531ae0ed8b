//! Signing a directory: records sealed under a new head that follows the ones before, judged as a whole before any key signs, and
//! opened again before anyone gets it.

use std::sync::Arc;

use bytes::Bytes;
use liaison_protocol::directory::{self, AuthorityKeys, BadDirectory, Directory, NewHead, RecordBody, read_record};
use liaison_protocol::envelope::{DIRECTORY_HEAD_TYPE, sign_by_all};
use liaison_protocol::id::{HeadVersion, Micros, PartnerNumber};
use liaison_protocol::keyring::PublicKey;
use liaison_protocol::signer::{Ed25519Signer, SignError, Signer};
use liaison_protocol::tlog::entry::Salt;

use super::directory_file::DirectoryFile;
use super::rules::{self, BrokenRule};
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
    /// It breaks a rule that only its authority can hold: over all versions, or over its own keys.
    #[error(transparent)]
    Rule(#[from] BrokenRule),
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

/// Seals and signs what `file` says as the head after the last of `history`, and opens the result as a node would.
pub fn sign(
    file: &DirectoryFile,
    history: &[Arc<Directory>],
    signers: &[&dyn Signer],
    now: Micros,
    entropy: &mut dyn Entropy,
) -> Result<Sealed, CannotSign> {
    // Judged first: the authority's keys never sign what breaks a rule, even if nobody would publish it.
    let rehearsed = rehearse(file, history, now, entropy)?;
    rules::check_authorities(&rehearsed, now)?;
    let before = history.last().map(|before| &**before);
    let head = new_head(file, before, authority(file)?, now);
    let records = salted(file, entropy);
    let payload = directory::seal(&head, &records);
    let bytes = directory::join(sign_by_all(DIRECTORY_HEAD_TYPE, payload, signers)?, &records);
    let trusted = before.map_or(&head.authority, |before| before.head().authority());
    let directory = Directory::open(bytes.clone(), trusted, head.network)?;
    directory.follows(before)?;
    Ok(Sealed { bytes, directory })
}

/// What `file` would be as the next head, judged by every rule but the authority's signature: a key made for this one moment signs
/// instead, so that nobody could ever take the result for a directory.
pub fn rehearse(
    file: &DirectoryFile,
    history: &[Arc<Directory>],
    now: Micros,
    entropy: &mut dyn Entropy,
) -> Result<Directory, CannotSign> {
    let authority = authority(file)?;
    let mut seed = [0; 32];
    entropy.fill(&mut seed);
    let nobody = Ed25519Signer::from_seed(&seed);
    let keys = AuthorityKeys::new(1, vec![nobody.public().clone()]).map_err(CannotSign::Authority)?;
    let head = new_head(file, history.last().map(|before| &**before), keys, now);
    let records = salted(file, entropy);
    let payload = directory::seal(&head, &records);
    let bytes = directory::join(sign_by_all(DIRECTORY_HEAD_TYPE, payload, &[&nobody])?, &records);
    let directory = Directory::open(bytes, &head.authority, head.network)?;
    rules::check(&directory, &authority, history)?;
    Ok(directory)
}

/// The authority that a file names.
pub fn authority(file: &DirectoryFile) -> Result<AuthorityKeys, CannotSign> {
    let keys = file.authority.iter().map(PublicKey::ed25519).collect::<Result<_, _>>();
    let keys = keys.map_err(|bad| CannotSign::Authority(bad.to_string()))?;
    AuthorityKeys::new(file.threshold, keys).map_err(CannotSign::Authority)
}

fn new_head(file: &DirectoryFile, before: Option<&Directory>, authority: AuthorityKeys, now: Micros) -> NewHead {
    NewHead {
        network: before.map(|before| before.head().network()),
        name: file.network.clone(),
        version: HeadVersion(before.map_or(1, |before| before.head().version().0 + 1)),
        previous: before.map(|before| before.head().digest()),
        issued_at: now,
        renew_by: now.plus(i64::from(file.renew_after_days) * Micros::DAY),
        authority,
        next_number: next_number(file, before),
    }
}

fn salted(file: &DirectoryFile, entropy: &mut dyn Entropy) -> Vec<(Bytes, Salt)> {
    let salted = |record: &Bytes| {
        let mut salt = [0; 32];
        entropy.fill(&mut salt);
        (record.clone(), Salt(salt))
    };
    file.records.iter().map(salted).collect()
}

/// Above every number that was ever given, also to partners who are listed no more.
fn next_number(file: &DirectoryFile, before: Option<&Directory>) -> PartnerNumber {
    let number = |record: &Bytes| match read_record(record.clone()) {
        Ok(RecordBody::Partner(partner)) => Some(partner.number.0),
        _ => None,
    };
    let listed = file.records.iter().filter_map(number).max().unwrap_or(0).saturating_add(1);
    PartnerNumber(before.map_or(1, |before| before.head().next_number().0).max(listed))
}
