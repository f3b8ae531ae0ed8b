//! The UN Security Council Consolidated List, as published in XML: one entry for every record, with every field. A record that
//! cannot be read is named and the rest goes on; an element that is not known is kept in the content and named too.

mod country;
mod parts;
mod reader;
mod record;
pub(super) mod text;
mod tree;

use std::collections::{BTreeMap, HashSet};

use liaison_protocol::proto;

use super::encoding::{self, Encoding};

// How much of a file is read, each beside the largest ever seen in a published list.

/// A whole list. The largest seen has 2.2 MB.
pub const LIST_BYTES_MAX: usize = 32 << 20;
/// One record as XML, so that its content stays well below a notice's 1 MiB. The largest seen has 9 kB.
pub const RECORD_BYTES_MAX: usize = 256 << 10;
/// Elements inside one another, the record itself included. The deepest seen is 3.
pub const RECORD_DEPTH_MAX: usize = 8;
/// Elements of one record, so that no list in its content is longer than a content's may be. The most seen are 190.
pub const RECORD_ELEMENTS_MAX: usize = 1_024;
/// One text. The longest seen has 1.7 kB.
pub const FIELD_BYTES_MAX: usize = 64 << 10;
/// Name of an element or attribute. The longest seen has 25 bytes.
pub const NAME_BYTES_MAX: usize = 64;
/// Records that cannot be read, beyond which the file is not worth reporting record by record. The most seen are 0.
pub const UNREADABLE_MAX: usize = 1_000;
/// One record in so many may be unreadable, beyond which the file is damaged as a whole, or in another encoding than it says. The
/// records of a list in windows-1252 that hold a letter beyond ASCII are about half of them.
pub const UNREADABLE_SHARE: usize = 20;

/// A made-up list of five records in the newest format, for demonstrations: nobody in it exists.
pub const SAMPLE: &[u8] = include_bytes!("sample.xml");

/// What a file of the list holds.
#[derive(Clone, Debug, PartialEq)]
pub struct UnList {
    /// When the list was made, as published: an `xs:dateTime` with any zone. Its first ten characters are a date.
    pub generated: String,
    /// The records that could be read, in the order of the file; no reference stands twice.
    pub entries: Vec<Entry>,
    /// What could not be read, in the order of the file. Unless it is empty, the list is not whole.
    pub unreadable: Vec<Unreadable>,
    /// What the bytes of the file are, whatever it says of itself.
    pub encoding: Encoding,
}

/// One record.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The record's key, tidied: `QDi.001`.
    pub reference: String,
    /// The sanctions regime as the list names it, such as `Al-Qaida`.
    pub regime: String,
    /// The record as the content of a notice.
    pub content: proto::Content,
    /// How many texts that are not empty the record holds; each is somewhere in the content.
    pub fields: usize,
    /// Paths of what found no field of its own and lies in the content's `unknown_fields`.
    pub unknown: Vec<String>,
}

/// Something in the file that is not in the entries.
#[derive(Clone, Debug, PartialEq)]
pub struct Unreadable {
    /// The record's key, where it could still be seen.
    pub reference: Option<String>,
    /// The line it begins on, from 1.
    pub line: usize,
    /// The byte it begins at, from 0.
    pub offset: usize,
    /// Why it could not be read.
    pub reason: Fault,
}

/// Why one record is not among the entries; whoever publishes the list can mend it.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Fault {
    /// The XML is broken.
    #[error("broken XML: {0}")]
    Syntax(String),
    /// An end tag that ends something else.
    #[error("</{found}> where </{expected}> should be")]
    Tags {
        /// The element that is open.
        expected: String,
        /// The end tag that stands there.
        found: String,
    },
    /// A record inside a record, so the outer one has lost its end.
    #[error("another record begins before it ends")]
    Unclosed,
    /// The file ends too soon, as after a download that broke off.
    #[error("the file ends in the middle")]
    Truncated,
    /// A reference to an entity. Only XML's own five are known, because the list defines none.
    #[error("the entity &{0}; is not defined")]
    Entity(String),
    /// A byte that is not UTF-8, or a character that XML forbids.
    #[error("a byte that is not UTF-8, or a character that XML forbids")]
    Characters,
    /// Larger than a record may be.
    #[error("more than {limit} {what}")]
    TooLarge {
        /// How much is allowed.
        limit: usize,
        /// Of what.
        what: &'static str,
    },
    /// Without its key a record cannot be told from others.
    #[error("no REFERENCE_NUMBER")]
    NoReference,
    /// A key that cannot stand in a notice's reference.
    #[error("REFERENCE_NUMBER {0:?} cannot name a notice")]
    Reference(String),
    /// The key of an earlier record.
    #[error("REFERENCE_NUMBER {0} stands in an earlier record too")]
    Repeated(String),
    /// Neither an individual nor an entity.
    #[error("{0} is neither INDIVIDUAL nor ENTITY")]
    Kind(String),
    /// Text between records.
    #[error("text outside any record: {0:?}")]
    Stray(String),
}

/// Why nothing of a file is taken; whoever runs the import has to find another file.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum UnListError {
    /// Another kind of file.
    #[error("this is not a list of the UN Security Council: {0}")]
    NotAList(String),
    /// Larger than any list.
    #[error("the file has {bytes} bytes, and at most {LIST_BYTES_MAX} are read")]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// A document type declaration, which can define entities; the list has none.
    #[error("line {line}: a document type declaration, which the list never has")]
    DocumentType {
        /// Where, from 1.
        line: usize,
    },
    /// Text in another encoding, or said to be.
    #[error("the file says that it is in {}, its bytes are {found}, and the list is in UTF-8", said(declared))]
    Encoding {
        /// What the file says of itself. None: nothing, which means UTF-8.
        declared: Option<String>,
        /// What its bytes are.
        found: Encoding,
    },
    /// Without a date the notices cannot be named.
    #[error("dateGenerated is {0:?}, which does not begin with a date")]
    NoDate(String),
    /// More is unreadable than the one record that a publisher may have spoilt.
    #[error(
        "{unreadable} of {records} records cannot be read, more than one in {UNREADABLE_SHARE}, the first on line {line}: {reason}; \
         the file says that it is in UTF-8, and its bytes are {found}"
    )]
    TooMuchUnreadable {
        /// Records that cannot be read.
        unreadable: usize,
        /// Of how many.
        records: usize,
        /// Where the first one is, from 1.
        line: usize,
        /// What is wrong with it.
        reason: Fault,
        /// What the file's bytes are.
        found: Encoding,
    },
    /// The end of the list is missing, so nobody can tell how much else is.
    #[error("the file ends in the middle of the list, on line {line}; how much is missing cannot be told")]
    Truncated {
        /// Where the last thing in it begins, from 1.
        line: usize,
    },
    /// Too little of it makes sense.
    #[error("more than {UNREADABLE_MAX} records cannot be read, the first on line {line}: {reason}")]
    TooDamaged {
        /// Where the first one is, from 1.
        line: usize,
        /// What is wrong with it.
        reason: Fault,
    },
}

impl UnList {
    /// The day the list was made, `YYYY-MM-DD`, in the zone that the list gives.
    pub fn day(&self) -> &str {
        self.generated.get(..text::DAY_CHARS).unwrap_or(&self.generated)
    }

    /// Whether enough of it can be read for sending the rest: it has records and its end, and no more than one record or one in
    /// [`UNREADABLE_SHARE`] is broken.
    pub fn is_readable_enough(&self) -> Result<(), UnListError> {
        let records = self.entries.len() + self.unreadable.len();
        if records == 0 {
            return Err(UnListError::NotAList("it holds no record".to_owned()));
        }
        if let Some(end) = self.unreadable.iter().find(|record| record.reason == Fault::Truncated) {
            return Err(UnListError::Truncated { line: end.line });
        }
        match self.unreadable.as_slice() {
            [first, _, ..] if self.unreadable.len() * UNREADABLE_SHARE > records => {
                Err(UnListError::TooMuchUnreadable {
                    unreadable: self.unreadable.len(),
                    records,
                    line: first.line,
                    reason: first.reason.clone(),
                    found: self.encoding,
                })
            }
            _ => Ok(()),
        }
    }

    /// How many entries each regime has. A committee's own list looks like the whole one and has a single regime.
    pub fn regimes(&self) -> BTreeMap<&str, usize> {
        let mut regimes = BTreeMap::new();
        for entry in &self.entries {
            *regimes.entry(entry.regime.as_str()).or_default() += 1;
        }
        regimes
    }
}

/// Whether the path of an unknown field ends in an element that the reader knows: a second text where one is meant, or a value of
/// another kind. Everything else is an element that nobody knows yet.
pub(super) fn knows(path: &str) -> bool {
    let element = path.rsplit('/').next().unwrap_or_default();
    record::ELEMENTS.contains(&element)
}

fn said(declared: &Option<String>) -> String {
    declared.as_deref().map_or_else(|| "UTF-8, by saying nothing".to_owned(), text::quote)
}

/// Reads a file of the list.
pub fn read(bytes: &[u8]) -> Result<UnList, UnListError> {
    if bytes.len() > LIST_BYTES_MAX {
        return Err(UnListError::TooLarge { bytes: bytes.len() });
    }
    let encoding = Encoding::of(bytes);
    let declared = encoding::declared(bytes);
    let is_utf8 = declared.as_deref().is_none_or(|declared| declared.eq_ignore_ascii_case("utf-8"));
    if !is_utf8 || matches!(encoding, Encoding::Utf16 | Encoding::Utf32) {
        return Err(UnListError::Encoding { declared, found: encoding });
    }
    let text = text::decode(bytes);
    let (generated, found) = reader::ListReader::open(&text)?;
    let mut list = UnList { generated, entries: Vec::new(), unreadable: Vec::new(), encoding };
    let mut references = HashSet::new();
    for found in found {
        let found = found?;
        let entry = found.record.and_then(record::entry).and_then(|entry| {
            if references.insert(entry.reference.clone()) {
                Ok(entry)
            } else {
                Err(Fault::Repeated(entry.reference))
            }
        });
        match entry {
            Ok(entry) => list.entries.push(entry),
            Err(reason) => list.unreadable.push(Unreadable {
                reference: text.get(found.extent.clone()).and_then(record::reference_in),
                line: found.line,
                offset: found.extent.start,
                reason,
            }),
        }
        if let [first, ..] = list.unreadable.as_slice()
            && list.unreadable.len() > UNREADABLE_MAX
        {
            let (line, reason) = (first.line, first.reason.clone());
            return Err(UnListError::TooDamaged { line, reason });
        }
    }
    Ok(list)
}
