//! The checkpoint that was seen here last. It is what makes a log that was rolled back or split visible from outside the node.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use liaison_protocol::id::Hash;
use liaison_protocol::tlog::checkpoint::{Checkpoint, SignedNote};
use liaison_protocol::tlog::proof::is_consistent;

use super::facts::{Fact, Missing, files};

/// A checkpoint with the signed note it was read from.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) note: Bytes,
    pub(super) signed: SignedNote,
    pub(super) checkpoint: Checkpoint,
}

impl Seen {
    /// Reads a signed note. Whether it is signed by the log is judged, not read.
    pub(super) fn parse(note: &[u8]) -> Result<Self, String> {
        let signed = SignedNote::parse(note).map_err(|bad| bad.to_string())?;
        let checkpoint = Checkpoint::parse(signed.text()).map_err(|bad| bad.to_string())?;
        Ok(Self { note: Bytes::copy_from_slice(note), signed, checkpoint })
    }
}

/// What was seen before and whether the log has grown out of it.
pub(super) struct Growth {
    /// Where it is kept.
    pub(super) file: PathBuf,
    /// None: this is the first look.
    pub(super) pinned: Fact<Option<Seen>>,
    /// The proof that the node gave for the two sizes.
    pub(super) path: Fact<Vec<Hash>>,
}

/// The pin beside a configuration or context file.
pub(super) fn beside(file: &Path) -> PathBuf {
    file.with_extension("pin")
}

/// Reads a pin. None: nothing has been seen yet.
pub(super) fn read(file: &Path) -> Fact<Option<Seen>> {
    match files::read(file) {
        Ok(note) => {
            Seen::parse(&note).map(Some).map_err(|bad| Missing::Failed(format!("{}: {bad}", file.display())))
        }
        Err(Missing::After(_)) => Ok(None),
        Err(missing) => Err(missing),
    }
}

/// The hashes of a proof as they came. Anything but 32 bytes each proves nothing.
pub(super) fn path(hashes: &[Bytes]) -> Fact<Vec<Hash>> {
    let path = hashes.iter().map(|hash| Hash::from_slice(hash)).collect::<Option<_>>();
    path.ok_or_else(|| Missing::Failed("the proof of growth has a hash of other than 32 bytes".into()))
}

/// Whether one checkpoint's tree grew into the other's.
pub(super) fn has_grown(from: &Checkpoint, to: &Checkpoint, path: &[Hash]) -> bool {
    from.origin == to.origin && is_consistent(from.size, from.root, to.size, to.root, path)
}

/// Keeps what was seen, whole or not at all.
pub(super) fn keep(file: &Path, seen: &Seen) -> io::Result<()> {
    let folder = file.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."));
    let mut fresh = tempfile::NamedTempFile::new_in(folder)?;
    fresh.write_all(&seen.note)?;
    fresh.as_file().sync_all()?;
    fresh.persist(file).map(drop).map_err(|error| error.error)
}
