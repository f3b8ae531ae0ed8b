//! Files that people hand to commands: bounded, never waited for, and every problem names its file.

use std::path::Path;

use liaison_protocol::text::{changed_on_the_way, of_people, stray_character, visible};
use liaison_protocol::trust::Trust;

use super::{Exit, Failure};
use crate::config::regular;

/// A list of a hundred thousand entries, or a content of 1 MiB in JSON, and room.
const FILE_BYTES_MAX: u64 = 256 << 20;
/// Keys, certificates, contexts and trust files are a few kilobytes.
const TEXT_BYTES_MAX: u64 = 1 << 20;

/// Reads a file, or says which one and why not.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    read_at_most(path, FILE_BYTES_MAX)
}

/// The same with a bound of its own.
pub(super) fn read_at_most(path: &Path, bytes_max: u64) -> Result<Vec<u8>, Failure> {
    regular::read(path, bytes_max).map_err(|error| Failure::failed(format!("{}: {error}", name(path))))
}

/// A small text that people write, as its editor left it.
pub(super) fn text(path: &Path) -> Result<String, Failure> {
    let bytes = read_at_most(path, TEXT_BYTES_MAX)?;
    of_people(&bytes).map_err(|not| Failure::new(Exit::Usage, format!("{}: {not}", name(path))))
}

/// A trust file. Its bytes count, because others compare them; whatever is wrong with it, the caller was given a wrong file.
pub(super) fn trust(path: &Path) -> Result<Trust, Failure> {
    let bad = |problem: String| Failure::new(Exit::Usage, format!("{}: {problem}", name(path)));
    let bytes = regular::read(path, TEXT_BYTES_MAX).map_err(|error| bad(error.to_string()))?;
    Trust::from_file(&bytes).map_err(|why| match changed_on_the_way(&path.display().to_string(), &bytes) {
        Some((said, undo)) => bad(format!("{said}; a trust file counts byte by byte")).next(undo),
        None => bad(why.to_string()).next("get the trust file anew from your authority"),
    })
}

/// What a reader of text says, with what may have led to it.
pub(super) fn with_stray(problem: impl Into<String>, text: &str) -> String {
    let problem = problem.into();
    match stray_character(text) {
        Some(stray) => format!("{} ({stray})", problem.trim_end()),
        None => problem,
    }
}

/// A file's name on one line.
pub(super) fn name(path: &Path) -> String {
    visible(&path.display().to_string()).into_owned()
}
