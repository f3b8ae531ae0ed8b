//! Reading files that others put there. Only regular files are read, and opening them waits for nobody: a pipe without a writer would
//! hold its reader up for ever, and a device may do anything.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::Path;

use liaison_protocol::text::of_people;
use rustix::fs::OFlags;

/// Opens a regular file, also behind links, and says what the file system knows of it.
pub fn open(path: &Path) -> io::Result<(File, Metadata)> {
    // Asked first, because opening a device can have effects, and again of what was opened.
    is_regular(&std::fs::metadata(path)?)?;
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path)?;
    let metadata = file.metadata()?;
    is_regular(&metadata)?;
    Ok((file, metadata))
}

/// Reads a regular file of at most so many bytes.
pub fn read(path: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
    let (file, _) = open(path)?;
    let mut bytes = Vec::new();
    file.take(bytes_max.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > bytes_max {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("larger than {bytes_max} bytes")));
    }
    Ok(bytes)
}

/// As [`read`], for a text that people write, as their editor left it.
pub fn read_text(path: &Path, bytes_max: u64) -> io::Result<String> {
    of_people(&read(path, bytes_max)?).map_err(|not| io::Error::new(io::ErrorKind::InvalidData, not))
}

fn is_regular(metadata: &Metadata) -> io::Result<()> {
    let kind = metadata.file_type();
    let found = match () {
        () if kind.is_file() => return Ok(()),
        () if kind.is_dir() => "a folder",
        () if kind.is_fifo() => "a pipe",
        () if kind.is_socket() => "a socket",
        () => "a device",
    };
    Err(io::Error::new(io::ErrorKind::InvalidInput, format!("it is {found}; a regular file must stand there")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    #[test]
    fn only_regular_files_are_read_and_nothing_else_holds_the_reader_up() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("file"), "twelve bytes").unwrap();
        assert!(std::process::Command::new("mkfifo").arg(at("pipe")).status().unwrap().success());
        let _socket = UnixListener::bind(at("socket")).unwrap();
        for name in ["file", "pipe", "nowhere"] {
            symlink(at(name), at(&format!("to-{name}"))).unwrap();
        }
        symlink(at("loop"), at("loop")).unwrap();
        assert_eq!(read(&at("file"), 12).unwrap(), b"twelve bytes");
        assert_eq!(
            read_text(&at("to-file"), 12).unwrap(),
            "twelve bytes",
            "links are followed to what may be read"
        );
        for (path, said) in [
            (at("pipe"), "a pipe"),
            (at("to-pipe"), "a pipe"),
            (at("socket"), "a socket"),
            ("/dev/zero".into(), "a device"),
            (folder.path().into(), "a folder"),
            (at("to-nowhere"), "No such file"),
            (at("loop"), "symbolic links"),
        ] {
            let error = read(&path, 12).unwrap_err().to_string();
            assert!(error.contains(said), "{}: {error}", path.display());
        }
        let error = read(&at("file"), 11).unwrap_err();
        assert_eq!(error.to_string(), "larger than 11 bytes");
    }
}
