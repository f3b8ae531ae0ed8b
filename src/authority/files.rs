//! Files that others rely on: written whole or not at all, with rights that do not depend on who writes them or how their shell is set.

use std::fs::{File, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use tempfile::NamedTempFile;

/// Anyone may read: certificates, and what every verifier pins.
pub const PUBLIC: u32 = 0o644;
/// The owner, and the group of a node that reads it: a directory shows every agreement.
pub const AGREEMENTS: u32 = 0o640;

/// Writes a file that must not be there yet. An `AlreadyExists` leaves the other one as it was.
pub fn publish(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let beside = written_beside(path, bytes, mode)?;
    beside.persist_noclobber(path).map_err(|error| error.error)?;
    sync_folder(path)
}

/// Writes a file, in the place of the one that is there. Whoever reads it sees the old or the new one, also after a crash.
pub fn replace(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    // A link to a file elsewhere stays one.
    let path = path.canonicalize().unwrap_or_else(|_| path.into());
    written_beside(&path, bytes, mode)?.persist(&path).map_err(|error| error.error)?;
    sync_folder(&path)
}

/// The same, with the rights that the file has.
pub fn replace_keeping_rights(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mode = std::fs::metadata(path)?.permissions().mode();
    replace(path, bytes, mode & 0o777)
}

fn written_beside(path: &Path, bytes: &[u8], mode: u32) -> io::Result<NamedTempFile> {
    let mut beside = tempfile::Builder::new().prefix(".new-").tempfile_in(folder_of(path))?;
    beside.write_all(bytes)?;
    // Set here, because rights given at creation are cut by the writer's umask.
    beside.as_file().set_permissions(Permissions::from_mode(mode))?;
    beside.as_file().sync_all()?;
    Ok(beside)
}

fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(folder_of(path))?.sync_all()
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn what_is_published_has_its_rights_and_is_never_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("directory-000001.sealed");
        publish(&path, b"first", AGREEMENTS).unwrap();
        let again = publish(&path, b"second", PUBLIC).unwrap_err();
        assert_eq!(again.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!((std::fs::read(&path).unwrap().as_slice(), mode(&path)), (&b"first"[..], 0o640));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing else stays behind");
    }

    #[test]
    fn what_is_replaced_keeps_its_place_and_the_rights_it_is_given() {
        let folder = tempfile::tempdir().unwrap();
        let (path, link) = (folder.path().join("network.trust"), folder.path().join("link"));
        replace(&path, b"first", PUBLIC).unwrap();
        assert_eq!(mode(&path), 0o644);
        std::os::unix::fs::symlink(&path, &link).unwrap();
        replace(&link, b"second", AGREEMENTS).unwrap();
        assert_eq!((std::fs::read(&path).unwrap().as_slice(), mode(&path)), (&b"second"[..], 0o640));
        assert!(link.is_symlink());
        std::fs::set_permissions(&path, Permissions::from_mode(0o604)).unwrap();
        replace_keeping_rights(&path, b"third").unwrap();
        assert_eq!((std::fs::read(&path).unwrap().as_slice(), mode(&path)), (&b"third"[..], 0o604));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
    }
}
