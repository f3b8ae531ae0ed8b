//! Whether files have changed since they were last read. Looking is cheap while nothing happens: only what a file system says about
//! a file is compared, and its bytes when that has changed or is too fresh to be trusted.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use liaison_protocol::id::Hash;

use crate::config::regular;

/// Reads a file of at most so many bytes: [`regular::read`], but for those who test what a file system does that does not answer.
pub(in crate::app) type Reader = fn(&Path, u64) -> io::Result<Vec<u8>>;

/// Looks after a change during which bytes are compared whatever the file system says: two writes within one tick of its clock
/// look like one.
const WARY_LOOKS: u8 = 4;

/// No file that a node watches is larger; larger ones are not compared.
const FILE_BYTES_MAX: u64 = 8 << 20;

/// Files of one folder; what lies behind is not looked at.
const FILES_MAX: usize = 256;

/// Some files and folders.
pub(in crate::app) struct Watched {
    paths: Vec<PathBuf>,
    seen: Vec<Seen>,
    wary: u8,
    digest: Option<Hash>,
    read: Reader,
}

#[derive(PartialEq, Eq)]
struct Seen {
    path: PathBuf,
    /// None where it cannot be asked.
    said: Option<Said>,
}

/// What a file system says about a file: which it is, how long, and when content and anything about it last changed.
#[derive(PartialEq, Eq)]
struct Said {
    file: (u64, u64),
    bytes: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Watched {
    /// Nothing of them has been read yet, so the first look finds a change.
    pub(in crate::app) fn new(paths: impl IntoIterator<Item = PathBuf>) -> Self {
        Self::with(paths, regular::read)
    }

    /// As [`Watched::new`], read by another reader.
    pub(in crate::app) fn with(paths: impl IntoIterator<Item = PathBuf>, read: Reader) -> Self {
        Self { paths: paths.into_iter().collect(), seen: Vec::new(), wary: WARY_LOOKS, digest: None, read }
    }

    /// Whether their bytes are others than at the last look.
    pub(in crate::app) fn has_changed(&mut self) -> bool {
        let seen: Vec<_> = files_of(&self.paths).into_iter().map(Seen::look).collect();
        if seen != self.seen {
            self.seen = seen;
            self.wary = WARY_LOOKS;
        } else if self.wary == 0 {
            return false;
        }
        self.wary = self.wary.saturating_sub(1);
        let digest = digest(&self.seen, self.read);
        self.digest.replace(digest) != Some(digest)
    }
}

impl Seen {
    fn look(path: PathBuf) -> Self {
        let said = fs::metadata(&path).ok().map(|data| Said {
            file: (data.dev(), data.ino()),
            bytes: data.len(),
            modified: (data.mtime(), data.mtime_nsec()),
            changed: (data.ctime(), data.ctime_nsec()),
        });
        Self { path, said }
    }
}

/// Files as they are named, and those in folders by name; hidden ones are somebody's work in progress.
pub(in crate::app) fn files_of(paths: &[PathBuf]) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for path in paths {
        let Ok(entries) = fs::read_dir(path) else {
            files.push(path.clone());
            continue;
        };
        let mut inside: Vec<_> =
            entries.flatten().map(|entry| entry.path()).filter(|path| is_shown(path)).collect();
        inside.sort();
        inside.truncate(FILES_MAX);
        files.extend(inside);
    }
    files
}

fn is_shown(path: &Path) -> bool {
    let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
    !hidden && path.is_file()
}

fn digest(files: &[Seen], read: Reader) -> Hash {
    let each: Vec<_> = files
        .iter()
        .flat_map(|file| {
            let read = read(&file.path, FILE_BYTES_MAX);
            let found = Hash::of(&[&[u8::from(read.is_ok())], &read.unwrap_or_default()]);
            [Hash::of(&[file.path.as_os_str().as_encoded_bytes()]), found]
        })
        .collect();
    let each: Vec<&[u8]> = each.iter().map(|hash| hash.0.as_slice()).collect();
    Hash::of(&each)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_seen_once_whatever_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let (file, inside) = (folder.path().join("file"), folder.path().join("folder"));
        fs::create_dir(&inside).unwrap();
        let mut watched = Watched::new([file.clone(), inside.clone()]);
        let changes: [(&str, &dyn Fn()); 7] = [
            ("the first look", &|| {}),
            ("created", &|| fs::write(&file, "one").unwrap()),
            ("same length, same tick", &|| fs::write(&file, "two").unwrap()),
            ("half written", &|| fs::write(&file, "tw").unwrap()),
            ("in the folder", &|| fs::write(inside.join("a"), "x").unwrap()),
            ("renamed", &|| fs::rename(inside.join("a"), inside.join("b")).unwrap()),
            ("removed", &|| fs::remove_file(&file).unwrap()),
        ];
        for (what, change) in changes {
            change();
            assert!(watched.has_changed(), "{what}");
            assert!((0..2 * WARY_LOOKS).all(|_| !watched.has_changed()), "{what}, again");
        }
        fs::write(inside.join(".half"), "x").unwrap();
        assert!(!watched.has_changed(), "hidden");
    }
}
