//! Revocation lists on disk: read when they change, believed when they hold, and remembered, so that nobody can bring back an older
//! one by a restart. A list that is not believed changes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use liaison_protocol::id::{Hash, Micros, from_hex, to_hex};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer};

use super::CannotServe;
use super::files::look::{Look, Stalled};
use super::files::watched::{Reader, Watched, files_of};
use crate::anchor::Anchor;
use crate::config::{Revocation, regular};
use crate::peer::{
    BadList, LIST_BYTES_MAX, ListNumber, ListPlace, ListedAuthority, RevocationList, RevocationLists,
};

/// A list of the largest size in PEM, with room for comments.
const FILE_BYTES_MAX: u64 = 2 * LIST_BYTES_MAX as u64;

/// A certificate of an authority in PEM, with room for comments.
pub(super) const AUTHORITY_BYTES_MAX: u64 = 64 << 10;

/// Lists of one configured file or folder, kept as they were last read: two hundred authorities with large lists. What lies behind is
/// not read.
const PLACE_BYTES_MAX: usize = 64 << 20;

/// An operator has this long, or a quarter of the list's life if that is shorter, to find out why the next list does not come.
const ALARM_BEFORE_US: i64 = 24 * Micros::HOUR;

/// All configured lists.
pub(super) struct Revocations {
    configured: Vec<(ListedAuthority, PathBuf, Vec<Listing>)>,
    in_force: BTreeMap<ListPlace, Arc<RevocationList>>,
    memory: Memory,
    reader: Reader,
    alarmed: BTreeSet<(ListPlace, Hash, &'static str)>,
}

/// A file with what it held when it was last read.
type Held = (PathBuf, Result<Vec<Vec<u8>>, String>);

/// A file or folder that lists come from. What cannot be looked at holds up no other.
struct Listing {
    path: PathBuf,
    watched: Arc<Mutex<Watched>>,
    look: Look<Option<Vec<Held>>>,
    held: Vec<Held>,
}

impl Listing {
    fn at(path: &Path, read: Reader) -> Self {
        Self {
            path: path.to_owned(),
            watched: Arc::new(Mutex::new(Watched::with([path.to_owned()], read))),
            look: Look::at(path.to_owned()),
            held: Vec::new(),
        }
    }
}

/// What reading came to.
#[derive(Debug, Default)]
pub(super) struct ListsRead {
    /// Lists in force now.
    pub(super) in_force: usize,
    /// Whether they are others than before.
    pub(super) changed: bool,
    /// What was wrong, one line each, naming the file.
    pub(super) problems: Vec<String>,
}

impl Revocations {
    /// Reads the authorities and what is remembered of their lists, and no list yet.
    pub(super) fn open(
        configured: &[Revocation],
        anchor: Option<Arc<Anchor>>,
        read: Reader,
    ) -> Result<Self, CannotServe> {
        let mut authorities = Vec::with_capacity(configured.len());
        for Revocation { authority, lists } in configured {
            let bad =
                |problem: String| CannotServe::File { key: "tls.revocation", path: authority.clone(), problem };
            let pem = regular::read(authority, AUTHORITY_BYTES_MAX).map_err(|error| bad(error.to_string()))?;
            let certificate =
                CertificateDer::from_pem_slice(&pem).map_err(|_| bad("holds no PEM certificate".into()))?;
            let listed = ListedAuthority::new(certificate).map_err(|rule| bad(rule.into()))?;
            let listings = lists.iter().map(|path| Listing::at(path, read)).collect();
            authorities.push((listed, authority.clone(), listings));
        }
        Ok(Self {
            configured: authorities,
            in_force: BTreeMap::new(),
            memory: Memory::open(anchor)?,
            alarmed: BTreeSet::new(),
            reader: read,
        })
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.configured.is_empty()
    }

    /// Begins to look for what has changed; `all`: reads also what has not.
    pub(super) fn begin(&mut self, all: bool) {
        let read = self.reader;
        for listing in self.listings() {
            let (path, watched) = (listing.path.clone(), listing.watched.clone());
            listing.look.begin(move || {
                let changed = watched.lock().unwrap_or_else(PoisonError::into_inner).has_changed();
                (changed || all).then(|| held(&path, read))
            });
        }
    }

    /// Takes what was found, waiting for it as long as `wait` then says: whether anything was read, and what does not answer.
    pub(super) fn end(&mut self, wait: impl Fn() -> Duration) -> (bool, Vec<Stalled>) {
        let (mut any, mut stalled) = (false, Vec::new());
        for listing in self.listings() {
            match listing.look.end(wait()) {
                Ok(Some(held)) => (any, listing.held) = (true, held),
                Ok(None) => {}
                Err(hangs) => stalled.push(hangs),
            }
        }
        (any, stalled)
    }

    /// Whether something does not answer.
    pub(super) fn is_stalled(&self) -> bool {
        self.configured.iter().flat_map(|(_, _, listings)| listings).any(|listing| listing.look.is_stalled())
    }

    fn listings(&mut self) -> impl Iterator<Item = &mut Listing> {
        self.configured.iter_mut().flat_map(|(_, _, listings)| listings)
    }

    /// What the door judges by.
    pub(super) fn lists(&self) -> RevocationLists {
        let authorities = self.configured.iter().map(|(authority, ..)| authority.key());
        RevocationLists::new(authorities, self.in_force.values().cloned())
    }

    /// Judges what was read. What holds and is newer comes into force; everything else stays as it was.
    pub(super) fn read(&mut self, now: Micros) -> ListsRead {
        let mut read = ListsRead::default();
        let (mut newest, mut refused) = (BTreeMap::<ListPlace, (PathBuf, RevocationList)>::new(), Vec::new());
        for (authority, _, listings) in &self.configured {
            for (file, lists) in listings.iter().flat_map(|listing| &listing.held) {
                let lists = match lists {
                    Ok(lists) => lists,
                    Err(problem) => {
                        refused.push((file.clone(), BadList::Malformed(problem.clone())));
                        continue;
                    }
                };
                for der in lists {
                    match believe(der, authority, now) {
                        // An older one that lies beside the newest is nobody's fault.
                        Ok(list) => match newest.get(&list.place()) {
                            Some((_, other)) if other.number() >= list.number() => {}
                            _ => drop(newest.insert(list.place(), (file.clone(), list))),
                        },
                        Err(bad) => refused.push((file.clone(), bad)),
                    }
                }
            }
        }
        for (place, (file, list)) in newest {
            match self.adopt(place, list) {
                Ok(new) => read.changed |= new,
                Err(bad) => refused.push((file, bad)),
            }
        }
        for (file, bad) in refused {
            let path = file.display();
            tracing::error!(target: "audit", event = "crl.refused", reason = bad.reason(), file = %path, problem = %bad);
            read.problems.push(format!("{path}: {bad}"));
        }
        for (authority, file, _) in &self.configured {
            if !self.in_force.keys().any(|place| place.authority == authority.key()) {
                let path = file.display();
                tracing::error!(target: "audit", event = "crl.missing", authority = %path);
                read.problems.push(format!("{path}: no list is in force, so none of its certificates is let in"));
            }
        }
        read.in_force = self.in_force.len();
        read
    }

    fn adopt(&mut self, place: ListPlace, list: RevocationList) -> Result<bool, BadList> {
        let (number, digest) = (list.number().clone(), list.digest());
        if let Some((known, bytes)) = self.memory.known.get(&place)
            && (number < *known || number == *known && digest != *bytes)
        {
            return Err(BadList::RolledBack { found: number, known: known.clone() });
        }
        if self.in_force.get(&place).is_some_and(|in_force| in_force.digest() == digest) {
            return Ok(false);
        }
        tracing::info!(target: "audit", event = "crl.loaded", authority = %place.authority.to_hex(), number = %number);
        // Remembered first: once it was believed, no older one may be. If the disk refuses, what it revokes still counts.
        if let Err(error) = self.memory.remember(place, number, digest) {
            tracing::error!(target: "audit", event = "crl.not_remembered", %error);
        }
        self.in_force.insert(place, Arc::new(list));
        Ok(true)
    }

    /// Says once of each list that it is about to be over, and once that it is.
    pub(super) fn alarm(&mut self, now: Micros) {
        for (place, list) in &self.in_force {
            let (begins, ends) = list.lasts();
            let early = ALARM_BEFORE_US.min(ends.since(begins) / 4);
            let event = match () {
                () if ends <= now => "crl.stale",
                () if ends <= now.plus(early) => "crl.expiring",
                () => continue,
            };
            if self.alarmed.insert((*place, list.digest(), event)) {
                let left_s = ends.since(now) / Micros::SECOND;
                let (authority, number) = (place.authority.to_hex(), list.number());
                match left_s {
                    ..=0 => {
                        tracing::error!(target: "audit", event = "crl.stale", reason = "crl_stale", %authority, %number, left_s)
                    }
                    _ => {
                        tracing::error!(target: "audit", event = "crl.expiring", reason = "crl_stale", %authority, %number, left_s)
                    }
                }
            }
        }
        let in_force = &self.in_force;
        self.alarmed.retain(|(place, digest, _)| in_force.get(place).is_some_and(|list| list.digest() == *digest));
    }
}

/// A list that makes a parser stumble is a bad list, and the node goes on.
pub(super) fn believe(der: &[u8], authority: &ListedAuthority, now: Micros) -> Result<RevocationList, BadList> {
    let read = catch_unwind(AssertUnwindSafe(|| RevocationList::read(der, authority, now)));
    read.unwrap_or_else(|_| Err(BadList::Malformed("it made the parser stumble".into())))
}

/// The files of one place, as they are now.
fn held(path: &Path, read: Reader) -> Vec<Held> {
    let mut room = PLACE_BYTES_MAX;
    let files = files_of(&[path.to_owned()]).into_iter();
    files
        .map(|file| {
            let lists = ders(&file, read).map_err(|error| error.to_string()).and_then(|lists| {
                let bytes: usize = lists.iter().map(Vec::len).sum();
                room = room.checked_sub(bytes).ok_or_else(|| {
                    format!("the lists of {} are larger than {PLACE_BYTES_MAX} bytes together", path.display())
                })?;
                Ok(lists)
            });
            (file, lists)
        })
        .collect()
}

/// One list in DER, or several in PEM.
pub(super) fn ders(file: &Path, read: Reader) -> io::Result<Vec<Vec<u8>>> {
    let bytes = read(file, FILE_BYTES_MAX)?;
    if bytes.first() == Some(&0x30) {
        return Ok(vec![bytes]);
    }
    let lists = CertificateRevocationListDer::pem_slice_iter(&bytes).map(|list| list.map(|list| list.to_vec()));
    let lists: Vec<_> =
        lists.collect::<Result<_, _>>().map_err(|_| io::Error::other("it is neither DER nor PEM"))?;
    if lists.is_empty() { Err(io::Error::other("it holds no list")) } else { Ok(lists) }
}

/// The highest number of each list, kept in the anchor, where no backup of the store brings back older ones: one line for each,
/// `authority part number digest` in hexadecimal.
struct Memory {
    /// None: it is damaged, and the node that is coming up signs nothing. What is read now counts, and is not kept.
    anchor: Option<Arc<Anchor>>,
    known: BTreeMap<ListPlace, (ListNumber, Hash)>,
}

impl Memory {
    fn open(anchor: Option<Arc<Anchor>>) -> Result<Self, CannotServe> {
        let mut known = BTreeMap::new();
        for line in anchor.iter().flat_map(|anchor| anchor.content().lists) {
            let words: Vec<_> = line.split(' ').collect();
            let entry = match words[..] {
                [authority, part, number, digest] => entry(authority, part, number, digest),
                _ => None,
            };
            let (place, seen) = entry.ok_or_else(|| CannotServe::File {
                key: "log.anchor",
                path: anchor.as_ref().map(|anchor| anchor.path().to_owned()).unwrap_or_default(),
                problem: format!(
                    "the line `revocation-list {line}` cannot be read; it guards against revocation lists that were rolled back"
                ),
            })?;
            known.insert(place, seen);
        }
        Ok(Self { anchor, known })
    }

    fn remember(&mut self, place: ListPlace, number: ListNumber, digest: Hash) -> io::Result<()> {
        if self.known.get(&place).is_some_and(|(known, _)| *known == number) {
            return Ok(());
        }
        self.known.insert(place, (number, digest));
        let Some(anchor) = &self.anchor else { return Ok(()) };
        let line = |(place, (number, digest)): (&ListPlace, &(ListNumber, Hash))| {
            let (authority, part) = (place.authority.to_hex(), place.part.to_hex());
            // A number of zero has no octets.
            format!("{authority} {part} 00{} {}", to_hex(number.octets()), digest.to_hex())
        };
        anchor.keep_lists(self.known.iter().map(line).collect())
    }
}

fn entry(authority: &str, part: &str, number: &str, digest: &str) -> Option<(ListPlace, (ListNumber, Hash))> {
    let place = ListPlace { authority: Hash::from_hex(authority)?, part: Hash::from_hex(part)? };
    Some((place, (ListNumber::new(&from_hex(number)?), Hash::from_hex(digest)?)))
}
