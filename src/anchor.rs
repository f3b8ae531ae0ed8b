//! The anchor: how far a log has been signed, and which revocation lists were believed last. It lies apart from the store and from
//! the store's backups, so that a store that was put back from one cannot be signed on.
//!
//! Two files hold the same content, each with a digest. They are written one after the other, over themselves and with room to
//! spare: one of them is always whole, a damaged one is mended from the other, and a full disk does not stop them.

use std::fmt::{self, Display, Write as _};
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use liaison_protocol::id::{Hash, Origin};

/// First word of both files.
const FORMAT: &str = "liaison-anchor-v1";
/// A file's size grows in steps of this many bytes: a checkpoint and a few dozen revocation lists fit into the first.
const STEP: usize = 16 << 10;
/// A larger file is no anchor: 4,000 revocation lists take less.
const BYTES_MAX: u64 = 1 << 20;

/// What an anchor holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// The log that it belongs to.
    pub origin: Origin,
    /// One line for each revocation list with the highest number that was believed; `app::revocations` writes and reads them.
    pub lists: Vec<String>,
    /// The last signed checkpoint, as a signed note. None: nothing was ever signed.
    pub checkpoint: Option<Bytes>,
}

/// Why there is no anchor to go by.
#[derive(Debug, thiserror::Error)]
pub enum BadAnchor {
    /// Neither file is there.
    #[error(
        "{} is not there: it says how far this log was signed, and lies apart from the data folder so that no backup brings back an \
         older one. Put it back; for a node that never ran, and where it is lost for good: liaison log anchor --config FILE",
        .0.display()
    )]
    Missing(PathBuf),
    /// Neither file is whole.
    #[error("neither copy of the anchor is whole: {0}; {1}")]
    Damaged(String, String),
    /// It belongs to another log.
    #[error("{} is the anchor of the log {found}, and this node's log is {expected}", path.display())]
    Foreign {
        /// Which file.
        path: PathBuf,
        /// What it says.
        found: Origin,
        /// What was asked for.
        expected: Origin,
    },
    /// A file could not be read or written.
    #[error("{}: {problem}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why.
        problem: io::Error,
    },
    /// There is one already.
    #[error("{} is there already: an anchor is never made twice", .0.display())]
    There(PathBuf),
}

/// An anchor that was found whole.
#[derive(Debug)]
pub struct Anchor {
    files: [PathBuf; 2],
    /// A copy that is missing or damaged, and how.
    bad: Option<(PathBuf, String)>,
    held: Mutex<Held>,
}

#[derive(Debug)]
struct Held {
    /// Rises by one with every change; the copy with the higher one is the newer.
    generation: u64,
    content: Content,
}

/// Why one file is not to be believed.
enum BadCopy {
    Missing,
    Damaged(String),
    Io(io::Error),
}

impl Display for BadCopy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("is not there"),
            Self::Damaged(how) => f.write_str(how),
            Self::Io(error) => write!(f, "{error}"),
        }
    }
}

/// Where a log's anchor stands.
#[derive(Clone, Debug)]
pub enum Anchored {
    /// The store is memory, and nothing outlives the process.
    Nowhere,
    /// At least one copy is whole.
    Here(Arc<Anchor>),
    /// Neither copy is whole, and how: how far the log was signed is not known.
    Damaged(String),
}

impl Anchored {
    /// The anchor of a log in a folder. It must be there; damage to both copies is something to come up with, and to say.
    pub fn open(folder: &Path, origin: &Origin) -> Result<Self, BadAnchor> {
        match Anchor::open(folder, origin) {
            Ok(anchor) => Ok(Self::Here(Arc::new(anchor))),
            Err(damaged @ BadAnchor::Damaged(..)) => Ok(Self::Damaged(damaged.to_string())),
            Err(bad) => Err(bad),
        }
    }

    /// The anchor, where it is whole.
    pub fn whole(&self) -> Option<&Arc<Anchor>> {
        match self {
            Self::Here(anchor) => Some(anchor),
            Self::Nowhere | Self::Damaged(_) => None,
        }
    }
}

/// The two files of a log's anchor in a folder, named after the log.
pub fn files(folder: &Path, origin: &Origin) -> [PathBuf; 2] {
    let name = origin.to_string().replace('/', "-");
    [folder.join(format!("{name}.anchor")), folder.join(format!("{name}.anchor-copy"))]
}

impl Anchor {
    /// Makes the anchor of a log, and its folder where there is none. With no checkpoint it says that nothing was ever signed.
    pub fn create(folder: &Path, origin: &Origin, checkpoint: Option<Bytes>) -> Result<Self, BadAnchor> {
        let files = files(folder, origin);
        if let Some(there) = files.iter().find(|file| file.exists()) {
            return Err(BadAnchor::There(there.clone()));
        }
        let io = |path: &Path| {
            let path = path.to_owned();
            move |problem| BadAnchor::Io { path, problem }
        };
        std::fs::create_dir_all(folder).map_err(io(folder))?;
        let content = Content { origin: origin.clone(), lists: Vec::new(), checkpoint };
        let bytes = encode(1, &content);
        for file in &files {
            write(file, &bytes).map_err(io(file))?;
        }
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(io(folder))?;
        Ok(Self { files, bad: None, held: Mutex::new(Held { generation: 1, content }) })
    }

    /// Reads the anchor of a log, and changes nothing. One whole copy is enough.
    pub fn open(folder: &Path, origin: &Origin) -> Result<Self, BadAnchor> {
        let files = files(folder, origin);
        let [first, second] = files.each_ref().map(|file| read(file));
        let named = |nth: usize, bad: &BadCopy| format!("{} {bad}", files[nth].display());
        let (held, bad) = match (first, second) {
            (Ok(first), Ok(second)) => (if second.generation > first.generation { second } else { first }, None),
            (Ok(held), Err(bad)) => (held, Some((files[1].clone(), bad.to_string()))),
            (Err(bad), Ok(held)) => (held, Some((files[0].clone(), bad.to_string()))),
            (Err(BadCopy::Missing), Err(BadCopy::Missing)) => return Err(BadAnchor::Missing(files[0].clone())),
            (Err(BadCopy::Io(problem)), Err(_)) => {
                return Err(BadAnchor::Io { path: files[0].clone(), problem });
            }
            (Err(_), Err(BadCopy::Io(problem))) => {
                return Err(BadAnchor::Io { path: files[1].clone(), problem });
            }
            (Err(first), Err(second)) => return Err(BadAnchor::Damaged(named(0, &first), named(1, &second))),
        };
        let found = &held.content.origin;
        if found != origin {
            let (path, found) = (files[0].clone(), found.clone());
            return Err(BadAnchor::Foreign { path, found, expected: origin.clone() });
        }
        Ok(Self { files, bad, held: Mutex::new(held) })
    }

    /// The file that is named to people.
    pub fn path(&self) -> &Path {
        &self.files[0]
    }

    /// A copy that is missing or damaged, and how: the next write mends it.
    pub fn bad_copy(&self) -> Option<(&Path, &str)> {
        self.bad.as_ref().map(|(path, how)| (path.as_path(), how.as_str()))
    }

    /// What it holds.
    pub fn content(&self) -> Content {
        self.held().content.clone()
    }

    /// Writes what it holds anew, so that both copies are whole and the same.
    pub fn mend(&self) -> io::Result<()> {
        self.change(|_| {})
    }

    /// Keeps a newer checkpoint. After `Ok` both copies hold it.
    pub fn keep_checkpoint(&self, checkpoint: Bytes) -> io::Result<()> {
        self.change(|content| content.checkpoint = Some(checkpoint))
    }

    /// Keeps what is known of the revocation lists, one line each.
    pub fn keep_lists(&self, lists: Vec<String>) -> io::Result<()> {
        self.change(|content| content.lists = lists)
    }

    /// Both copies, one after the other: a crash in between leaves one of them whole. Where nothing could be written, what is
    /// held stays what it was.
    fn change(&self, change: impl FnOnce(&mut Content)) -> io::Result<()> {
        let mut held = self.held();
        let mut content = held.content.clone();
        change(&mut content);
        let generation = held.generation + 1;
        let bytes = encode(generation, &content);
        for file in &self.files {
            write(file, &bytes)?;
        }
        *held = Held { generation, content };
        Ok(())
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One line with the digest of all that follows, the content, and empty lines up to the next step.
fn encode(generation: u64, content: &Content) -> Vec<u8> {
    let mut body = format!("generation {generation}\norigin {}\n", content.origin);
    for list in &content.lists {
        let _ = writeln!(body, "revocation-list {list}");
    }
    let mut body = body.into_bytes();
    if let Some(checkpoint) = &content.checkpoint {
        body.extend_from_slice(b"checkpoint\n");
        body.extend_from_slice(checkpoint);
    }
    let head = format!("{FORMAT} {} sha256:{}\n", body.len(), Hash::of(&[&body]).to_hex());
    let mut bytes = head.into_bytes();
    bytes.append(&mut body);
    bytes.resize(bytes.len().next_multiple_of(STEP), b'\n');
    bytes
}

fn decode(bytes: &[u8]) -> Option<Held> {
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    let head = std::str::from_utf8(&bytes[..end]).ok()?;
    let (length, digest) = head.strip_prefix(FORMAT)?.strip_prefix(' ')?.split_once(" sha256:")?;
    let body = bytes.get(end + 1..)?.get(..length.parse().ok()?)?;
    if Hash::of(&[body]) != Hash::from_hex(digest)? {
        return None;
    }
    let (lines, checkpoint) = match body.windows(12).position(|window| window == b"\ncheckpoint\n") {
        Some(at) => (&body[..=at], Some(Bytes::copy_from_slice(&body[at + 12..]))),
        None => (body, None),
    };
    let mut lines = std::str::from_utf8(lines).ok()?.lines();
    let generation = lines.next()?.strip_prefix("generation ")?.parse().ok()?;
    let origin = lines.next()?.strip_prefix("origin ")?.parse().ok()?;
    let lists = lines.map(|line| line.strip_prefix("revocation-list ").map(String::from));
    let lists = lists.collect::<Option<_>>()?;
    Some(Held { generation, content: Content { origin, lists, checkpoint } })
}

fn read(path: &Path) -> Result<Held, BadCopy> {
    let file = File::open(path).map_err(|error| match error.kind() {
        ErrorKind::NotFound => BadCopy::Missing,
        _ => BadCopy::Io(error),
    })?;
    let mut bytes = Vec::new();
    file.take(BYTES_MAX).read_to_end(&mut bytes).map_err(BadCopy::Io)?;
    decode(&bytes).ok_or_else(|| BadCopy::Damaged("does not have the digest that it says".into()))
}

/// Over what is there: its blocks are the file's already. Only its owner may read it.
fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)?;
    file.write_all_at(bytes, 0)?;
    file.sync_data()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin() -> Origin {
        "hub-1.example/log".parse().expect("an origin")
    }

    fn checkpoint(text: &'static str) -> Option<Bytes> {
        Some(Bytes::from_static(text.as_bytes()))
    }

    #[test]
    fn what_is_kept_is_read_back_and_a_new_anchor_says_that_nothing_was_signed() {
        let folder = tempfile::tempdir().expect("a folder");
        let anchor = Anchor::create(&folder.path().join("apart"), &origin(), None).expect("makes it");
        assert_eq!(anchor.content().checkpoint, None);
        anchor.keep_checkpoint(Bytes::from_static(b"size 5\n")).expect("writes");
        anchor.keep_lists(vec!["one 7".into(), "two 8".into()]).expect("writes");
        let read = Anchor::open(&folder.path().join("apart"), &origin()).expect("reads");
        assert_eq!(read.content(), anchor.content());
        assert_eq!(read.content().checkpoint, checkpoint("size 5\n"));
        assert_eq!(read.content().lists, ["one 7", "two 8"]);
        assert!(read.bad_copy().is_none());
        let again = Anchor::create(&folder.path().join("apart"), &origin(), None);
        assert!(matches!(again, Err(BadAnchor::There(_))), "{again:?}");
    }

    #[test]
    fn fault_76_any_damage_to_one_copy_is_mended_from_the_other() {
        type Damage = fn(&mut Vec<u8>);
        let rows: &[(&str, Damage)] = &[
            ("a bit of the head", |bytes| bytes[3] ^= 4),
            ("a bit of the digest", |bytes| bytes[40] ^= 1),
            ("a bit of the generation", |bytes| bytes[105] ^= 1),
            ("cut short", |bytes| bytes.truncate(120)),
            ("empty", Vec::clear),
            ("zeros", |bytes| bytes.fill(0)),
            ("another text", |bytes| *bytes = b"nothing of ours".to_vec()),
        ];
        for (name, damage) in rows {
            for copy in [0, 1] {
                let folder = tempfile::tempdir().expect("a folder");
                let anchor = Anchor::create(folder.path(), &origin(), checkpoint("size 9\n")).expect("makes it");
                let file = &files(folder.path(), &origin())[copy];
                let mut bytes = std::fs::read(file).expect("there");
                damage(&mut bytes);
                std::fs::write(file, bytes).expect("writable");
                let read = Anchor::open(folder.path(), &origin()).expect("one copy is whole");
                assert_eq!(read.content(), anchor.content(), "{name}");
                assert_eq!(read.bad_copy().map(|(path, _)| path), Some(file.as_path()), "{name}");
                read.mend().expect("writes");
                assert!(Anchor::open(folder.path(), &origin()).expect("whole").bad_copy().is_none(), "{name}");
            }
        }
    }

    #[test]
    fn without_a_whole_copy_there_is_no_anchor_and_each_file_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let missing = Anchor::open(folder.path(), &origin()).expect_err("there is none");
        assert!(matches!(missing, BadAnchor::Missing(_)), "{missing}");
        Anchor::create(folder.path(), &origin(), None).expect("makes it");
        for file in files(folder.path(), &origin()) {
            std::fs::write(file, "x").expect("writable");
        }
        let damaged = Anchor::open(folder.path(), &origin()).expect_err("both are damaged").to_string();
        assert!(damaged.contains("log.anchor ") && damaged.contains("log.anchor-copy "), "{damaged}");
    }

    #[test]
    fn the_anchor_of_another_log_is_told() {
        let folder = tempfile::tempdir().expect("a folder");
        Anchor::create(folder.path(), &origin(), None).expect("makes it");
        let other: Origin = "hub-2.example/log".parse().expect("an origin");
        for (from, to) in files(folder.path(), &origin()).iter().zip(files(folder.path(), &other)) {
            std::fs::rename(from, to).expect("there");
        }
        assert!(matches!(Anchor::open(folder.path(), &other), Err(BadAnchor::Foreign { .. })));
    }

    #[test]
    fn a_crash_between_the_copies_leaves_the_newer_one_in_force() {
        let folder = tempfile::tempdir().expect("a folder");
        let anchor = Anchor::create(folder.path(), &origin(), checkpoint("size 1\n")).expect("makes it");
        let [_, copy] = files(folder.path(), &origin());
        let older = std::fs::read(&copy).expect("there");
        anchor.keep_checkpoint(Bytes::from_static(b"size 2\n")).expect("writes");
        std::fs::write(&copy, older).expect("writable");
        let read = Anchor::open(folder.path(), &origin()).expect("reads");
        assert_eq!(read.content().checkpoint, checkpoint("size 2\n"));
    }

    #[test]
    fn fault_86_a_newer_checkpoint_takes_no_new_room() {
        let folder = tempfile::tempdir().expect("a folder");
        let anchor = Anchor::create(folder.path(), &origin(), None).expect("makes it");
        let sizes = || files(folder.path(), &origin()).map(|file| std::fs::metadata(file).expect("there").len());
        let before = sizes();
        anchor.keep_checkpoint(Bytes::from(vec![b'x'; 4096])).expect("writes");
        assert_eq!(sizes(), before);
    }
}
