//! Walks the file from record to record. Only a record is ever held as a tree. After a broken one the walk goes on at the next
//! place that can only be a record's beginning or end, so one missing bracket costs one record.

use std::ops::Range;

use quick_xml::events::{BytesStart, Event};
use quick_xml::reader::Reader;

use super::text::{begins_with_day, quote};
use super::tree::{Builder, Element, attributes};
use super::{Fault, RECORD_BYTES_MAX, UnListError};

const ROOT: &str = "CONSOLIDATED_LIST";
const GROUPS: [&str; 2] = ["INDIVIDUALS", "ENTITIES"];
/// What records are called.
pub(super) const KINDS: [&str; 2] = ["INDIVIDUAL", "ENTITY"];

/// One record, or what stands where one should be.
pub(super) struct Found {
    /// Where it lies in the file, in bytes.
    pub(super) extent: Range<usize>,
    /// The line it begins on, from 1.
    pub(super) line: usize,
    pub(super) record: Result<Element, Fault>,
}

/// Where the walk stands, outside any record.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    /// Between the root and its groups.
    List,
    /// In INDIVIDUALS or ENTITIES, or in a group that later lists may have.
    Group,
    After,
}

pub(super) struct ListReader<'a> {
    file: &'a str,
    xml: Reader<&'a [u8]>,
    /// Where in the file `xml` began.
    base: usize,
    place: Place,
    lines: Lines<'a>,
    over: bool,
}

impl<'a> ListReader<'a> {
    /// Reads up to the root's start tag: the list's `dateGenerated`, and the walk through its records.
    pub(super) fn open(file: &'a str) -> Result<(String, Self), UnListError> {
        let lines = Lines { file, at: 0, line: 1 };
        let mut reader = Self { file, xml: lenient(file), base: 0, place: Place::List, lines, over: false };
        let not_a_list = |why: String| Err(UnListError::NotAList(why));
        loop {
            match reader.xml.read_event() {
                Ok(Event::DocType(_)) => return Err(reader.document_type()),
                Ok(Event::Decl(_) | Event::Comment(_) | Event::PI(_)) => {}
                Ok(Event::Text(blank)) if blank.trim().is_empty() => {}
                Ok(Event::Start(root)) if root.name().as_ref() == ROOT => {
                    return Ok((generated(&root)?, reader));
                }
                Ok(Event::Start(other)) => {
                    return not_a_list(format!("it begins with <{}>", quote(other.name().as_ref())));
                }
                Ok(Event::Eof) => return not_a_list("it holds no element".to_owned()),
                Ok(_) => return not_a_list(format!("no <{ROOT}> at its beginning")),
                Err(error) => return not_a_list(error.to_string()),
            }
        }
    }

    fn document_type(&mut self) -> UnListError {
        let at = self.offset();
        UnListError::DocumentType { line: self.lines.of(at) }
    }

    fn offset(&self) -> usize {
        let read = usize::try_from(self.xml.buffer_position());
        self.base + read.expect("a position in a slice fits usize")
    }

    fn found(&mut self, from: usize, record: Result<Element, Fault>) -> Found {
        Found { extent: from..self.offset(), line: self.lines.of(from), record }
    }

    fn begins_group(&self, start: &BytesStart<'_>) -> bool {
        self.place == Place::List && !KINDS.contains(&start.name().as_ref())
    }

    /// Reports what is broken and moves on to the next place that can only be a record's beginning or end.
    fn broken(&mut self, from: usize, fault: Fault) -> Found {
        let (at, place) = next_landmark(self.file, from + 1);
        self.base = at;
        self.xml = lenient(&self.file[at..]);
        self.place = place;
        self.found(from, Err(fault))
    }

    fn record(&mut self, from: usize, start: &BytesStart<'_>, empty: bool) -> Result<Element, Fault> {
        let mut builder = Builder::default();
        builder.open(start)?;
        if empty {
            return Ok(builder.close(start.name().as_ref())?.expect("only the record is open"));
        }
        loop {
            let event = self.xml.read_event().map_err(|error| Fault::Syntax(error.to_string()))?;
            if self.offset() - from > RECORD_BYTES_MAX {
                return Err(Fault::TooLarge { limit: RECORD_BYTES_MAX, what: "bytes" });
            }
            match event {
                Event::Start(start) | Event::Empty(start) if KINDS.contains(&start.name().as_ref()) => {
                    return Err(Fault::Unclosed);
                }
                Event::Start(start) => builder.open(&start)?,
                Event::Empty(start) => {
                    let name = start.name().as_ref().to_owned();
                    builder.open(&start)?;
                    builder.close(&name)?;
                }
                Event::End(end) => {
                    if let Some(record) = builder.close(end.name().as_ref())? {
                        return Ok(record);
                    }
                }
                Event::Text(text) => builder.text(&text.xml10_content())?,
                Event::CData(text) => builder.text(&text.xml10_content())?,
                Event::GeneralRef(reference) => {
                    let character = match reference.resolve_char_ref() {
                        Ok(Some(character)) => Some(character),
                        Ok(None) => predefined(&reference),
                        Err(_) => None,
                    };
                    let character = character.ok_or_else(|| Fault::Entity(quote(&reference)))?;
                    builder.text(character.encode_utf8(&mut [0; 4]))?;
                }
                Event::Comment(_) | Event::PI(_) => {}
                Event::Decl(_) | Event::DocType(_) => {
                    return Err(Fault::Syntax("a declaration inside a record".to_owned()));
                }
                Event::Eof => return Err(Fault::Truncated),
            }
        }
    }
}

impl Iterator for ListReader<'_> {
    type Item = Result<Found, UnListError>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.over {
            let from = self.offset();
            let event = match self.xml.read_event() {
                Ok(event) => event,
                Err(error) => return Some(Ok(self.broken(from, Fault::Syntax(error.to_string())))),
            };
            let stray = |text: &str| Some(Err(Fault::Stray(quote(text))));
            let record = match event {
                Event::Start(start) if self.begins_group(&start) => {
                    self.place = Place::Group;
                    // A quote that is not closed would hide the records up to the next one.
                    attributes(&start).err().map(Err)
                }
                Event::Start(start) => Some(self.record(from, &start, false)),
                Event::Empty(start) if self.begins_group(&start) => attributes(&start).err().map(Err),
                Event::Empty(start) => Some(self.record(from, &start, true)),
                Event::End(end) if end.name().as_ref() == ROOT => {
                    self.place = Place::After;
                    None
                }
                Event::End(_) => {
                    self.place = Place::List;
                    None
                }
                Event::Text(text) if text.trim().is_empty() => None,
                Event::Text(text) => stray(&text),
                Event::CData(text) => stray(&text),
                Event::GeneralRef(name) => stray(&name),
                Event::Comment(_) | Event::PI(_) | Event::Decl(_) => None,
                Event::DocType(_) => return Some(Err(self.document_type())),
                Event::Eof => {
                    self.over = true;
                    (self.place != Place::After).then_some(Err(Fault::Truncated))
                }
            };
            match record {
                None => {}
                Some(Err(fault @ Fault::Stray(_))) => return Some(Ok(self.found(from, Err(fault)))),
                Some(Err(fault)) if self.over => return Some(Ok(self.found(from, Err(fault)))),
                Some(Err(fault)) => return Some(Ok(self.broken(from, fault))),
                Some(Ok(record)) => return Some(Ok(self.found(from, Ok(record)))),
            }
        }
        None
    }
}

/// Lines of offsets that only ever grow, so that the file is counted once.
struct Lines<'a> {
    file: &'a str,
    at: usize,
    line: usize,
}

impl Lines<'_> {
    fn of(&mut self, offset: usize) -> usize {
        let passed = self.file.as_bytes().get(self.at..offset).unwrap_or_default();
        self.line += passed.iter().filter(|byte| **byte == b'\n').count();
        self.at = self.at.max(offset);
        self.line
    }
}

/// Tags are matched here and not by the XML reader, which loses its place at the first that does not match.
fn lenient(text: &str) -> Reader<&[u8]> {
    let mut xml = Reader::from_str(text);
    xml.config_mut().check_end_names = false;
    xml.config_mut().allow_unmatched_ends = true;
    xml
}

fn generated(root: &BytesStart<'_>) -> Result<String, UnListError> {
    let attributes = attributes(root).map_err(|fault| UnListError::NotAList(fault.to_string()))?;
    let generated = attributes.into_iter().find(|(name, _)| name == "dateGenerated");
    let generated = generated.map(|(_, value)| value.trim().to_owned()).unwrap_or_default();
    if begins_with_day(&generated) { Ok(generated) } else { Err(UnListError::NoDate(quote(&generated))) }
}

/// Where a walk can go on: a record's start tag, the end of a record or group, the end of the list or of the file.
fn next_landmark(file: &str, from: usize) -> (usize, Place) {
    let mut at = from;
    while let Some(bracket) = file.as_bytes().get(at..).and_then(|rest| rest.iter().position(|b| *b == b'<')) {
        at += bracket;
        let rest = &file[at + 1..];
        if KINDS.iter().any(|kind| is_tag(rest, kind)) {
            return (at, Place::Group);
        }
        if let Some(end) = rest.strip_prefix('/') {
            let after = KINDS.iter().find_map(|kind| end.strip_prefix(kind)?.trim_start().strip_prefix('>'));
            if let Some(after) = after {
                return (file.len() - after.len(), Place::Group);
            }
            if GROUPS.iter().any(|group| is_tag(end, group)) {
                return (at, Place::Group);
            }
            if is_tag(end, ROOT) {
                return (at, Place::List);
            }
        }
        at += 1;
    }
    (file.len(), Place::List)
}

fn is_tag(rest: &str, name: &str) -> bool {
    rest.strip_prefix(name)
        .and_then(|rest| rest.bytes().next())
        .is_some_and(|next| next.is_ascii_whitespace() || next == b'>' || next == b'/')
}

fn predefined(name: &str) -> Option<char> {
    match name {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => None,
    }
}
