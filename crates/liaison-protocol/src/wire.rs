//! A strict look at protobuf before it is decoded. Decoders take the last of two values for one field, allocate what they are
//! told to, and say little about where they failed; for bytes that are signed or come from strangers that is not enough.
//! Fields that a shape does not know are passed over, as they stay in the bytes that were signed; but for numbers that are kept
//! for what must not be ignored ([`Kind::Kept`]).

use std::fmt;

use prost::Message;

use crate::reason::{Reason, Refusal};

/// What a message may hold: its known fields, each with its bound.
#[derive(Debug)]
pub struct Shape {
    /// The message's name in the protos, e.g. `Manifest`.
    pub name: &'static str,
    /// Its fields.
    pub fields: &'static [Field],
}

/// One known field.
#[derive(Debug)]
pub struct Field {
    /// Its number.
    pub number: u32,
    /// Its name in the protos.
    pub name: &'static str,
    /// How it is encoded.
    pub kind: Kind,
    /// How often it may stand: 1 for a singular field.
    pub max: usize,
    /// True: one of a oneof, of which a message holds at most one.
    pub choice: bool,
}

/// How a field is encoded.
#[derive(Debug)]
pub enum Kind {
    /// Integers, booleans, enumerations.
    Varint,
    /// Repeated integers or enumerations, packed or not.
    Varints,
    /// Bytes.
    Bytes,
    /// UTF-8.
    Text,
    /// Another message.
    Message(&'static Shape),
    /// No field, but the numbers from this one to `last`, kept for what is still to come and must not be ignored.
    Kept {
        /// The last of them.
        last: u32,
        /// What a reader does with one that it does not know.
        unknown: Unknown,
    },
}

/// What a reader does with a kept number that it does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unknown {
    /// It stops: a member of the message's oneof that may matter.
    Stops,
    /// It goes on and says so ([`Seen::newer`]): a member of the message's oneof, of which there is still one at most.
    Chosen,
    /// It goes on and says so: a field that narrows what the message allows.
    Narrows,
}

/// What a look saw beside that all is well.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// A kept number that this program does not know: it takes a newer one to read the message.
    pub newer: bool,
}

/// Where and why bytes are not the message they should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}{path} at byte {offset}: {problem}")]
pub struct Malformed {
    /// The outermost message.
    pub message: &'static str,
    /// The field, e.g. `.audience.partners`; empty for the message itself.
    pub path: String,
    /// Offset from the start of the outermost message.
    pub offset: usize,
    /// What is wrong.
    pub problem: Problem,
}

impl From<Malformed> for Refusal {
    fn from(malformed: Malformed) -> Self {
        Self::new(Reason::Malformed, malformed.to_string())
            .with("field", format!("{}{}", malformed.message, malformed.path))
            .with("offset", malformed.offset)
    }
}

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Problem {
    /// It ends in the middle.
    Truncated,
    /// A number longer than ten bytes, or a tag that is none.
    BadNumber,
    /// Another encoding than the field has.
    WrongWireType,
    /// A singular field stands twice, or two of a oneof.
    Twice,
    /// More than this many.
    TooMany(usize),
    /// Not UTF-8.
    NotUtf8,
    /// A member of a oneof that this program does not know, by its number.
    NotKnown(u32),
    /// The decoder refused what this look let pass.
    Undecodable,
    /// Not encoded as this message is encoded here: container formats have one form.
    NotCanonical,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated => f.write_str("ends in the middle"),
            Self::BadNumber => f.write_str("not a protobuf number"),
            Self::WrongWireType => f.write_str("wrong wire type"),
            Self::Twice => f.write_str("stands twice"),
            Self::TooMany(max) => write!(f, "more than {max}"),
            Self::NotUtf8 => f.write_str("not UTF-8"),
            Self::NotKnown(number) => write!(f, "holds field {number}, which takes a newer program to read"),
            Self::Undecodable => f.write_str("cannot be decoded"),
            Self::NotCanonical => f.write_str("not in its one form"),
        }
    }
}

/// A field that stands at most once.
pub const fn one(number: u32, name: &'static str, kind: Kind) -> Field {
    Field { number, name, kind, max: 1, choice: false }
}

/// A field of a oneof.
pub const fn choice(number: u32, name: &'static str, kind: Kind) -> Field {
    Field { number, name, kind, max: 1, choice: true }
}

/// Numbers kept for what is still to come; stands behind those that are known.
pub const fn kept(first: u32, last: u32, unknown: Unknown) -> Field {
    Field { number: first, name: "", kind: Kind::Kept { last, unknown }, max: 1, choice: true }
}

/// A field that repeats up to `max` times.
pub const fn many(number: u32, name: &'static str, kind: Kind, max: usize) -> Field {
    Field { number, name, kind, max, choice: false }
}

/// Decodes after a strict look.
pub fn decode<M: Message + Default>(bytes: bytes::Bytes, shape: &'static Shape) -> Result<M, Malformed> {
    look(bytes, shape).map(|(message, _)| message)
}

/// Decodes after a strict look, and says what the look saw.
pub fn look<M: Message + Default>(bytes: bytes::Bytes, shape: &'static Shape) -> Result<(M, Seen), Malformed> {
    let seen = check(&bytes, shape)?;
    let undecodable =
        Malformed { message: shape.name, path: String::new(), offset: 0, problem: Problem::Undecodable };
    M::decode(bytes).map(|message| (message, seen)).map_err(|_| undecodable)
}

/// Decodes a container of ours, which has exactly one form, so that every byte of it counts.
pub fn decode_canonical<M: Message + Default>(bytes: bytes::Bytes, shape: &'static Shape) -> Result<M, Malformed> {
    let message: M = decode(bytes.clone(), shape)?;
    if message.encode_to_vec() == bytes {
        return Ok(message);
    }
    Err(Malformed { message: shape.name, path: String::new(), offset: 0, problem: Problem::NotCanonical })
}

/// Looks, and allocates nothing unless something is wrong.
pub fn check(bytes: &[u8], shape: &'static Shape) -> Result<Seen, Malformed> {
    let mut look = Look { bytes, at: 0, seen: Seen::default() };
    let looked = look.message(shape, bytes.len()).map_err(|Wrong { path, offset, problem }| Malformed {
        message: shape.name,
        path: path.iter().rev().fold(String::new(), |text, name| format!("{text}.{name}")),
        offset,
        problem,
    });
    looked.map(|()| look.seen)
}

/// The value of a field, as it stands in the bytes of its message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// An integer, a boolean or an enumeration.
    Number(u64),
    /// Bytes, text, another message, or numbers packed.
    Bytes(&'a [u8]),
    /// 4 or 8 bytes that no message here uses.
    Fixed,
}

impl<'a> Value<'a> {
    /// The number that it should be.
    pub fn number(self) -> Result<u64, Problem> {
        if let Self::Number(number) = self { Ok(number) } else { Err(Problem::WrongWireType) }
    }

    /// The bytes that it should be.
    pub fn bytes(self) -> Result<&'a [u8], Problem> {
        if let Self::Bytes(bytes) = self { Ok(bytes) } else { Err(Problem::WrongWireType) }
    }
}

/// The fields of a message one after the other, by their numbers, with nothing copied: for what comes by the thousand and is only
/// compared and hashed. What follows a problem is not read.
pub fn fields(bytes: &[u8]) -> impl Iterator<Item = Result<(u32, Value<'_>), Problem>> {
    let (mut look, end) = (Look { bytes, at: 0, seen: Seen::default() }, bytes.len());
    std::iter::from_fn(move || {
        (look.at < end)
            .then(|| look.field(end).inspect_err(|_| look.at = end))
            .map(|field| field.map_err(|wrong| wrong.problem))
    })
}

/// Numbers one after the other, as they stand in a packed field.
pub fn packed(bytes: &[u8]) -> impl Iterator<Item = Result<u64, Problem>> {
    let (mut look, end) = (Look { bytes, at: 0, seen: Seen::default() }, bytes.len());
    std::iter::from_fn(move || {
        (look.at < end)
            .then(|| look.varint(end).inspect_err(|_| look.at = end))
            .map(|number| number.map_err(|wrong| wrong.problem))
    })
}

struct Wrong {
    /// Innermost first.
    path: Vec<&'static str>,
    offset: usize,
    problem: Problem,
}

struct Look<'a> {
    bytes: &'a [u8],
    at: usize,
    seen: Seen,
}

/// More fields than any message here has.
const FIELDS_MAX: usize = 32;

impl<'a> Look<'a> {
    fn wrong(&self, problem: Problem) -> Wrong {
        Wrong { path: Vec::new(), offset: self.at, problem }
    }

    /// Most numbers have one byte.
    #[inline]
    fn varint(&mut self, end: usize) -> Result<u64, Wrong> {
        if let Some(&byte @ ..0x80) = self.bytes[..end].get(self.at) {
            self.at += 1;
            return Ok(byte.into());
        }
        self.long_varint(end)
    }

    fn long_varint(&mut self, end: usize) -> Result<u64, Wrong> {
        let start = self.at;
        let mut value = 0_u64;
        for shift in (0..70).step_by(7) {
            if self.at >= end {
                return Err(Wrong { path: Vec::new(), offset: start, problem: Problem::Truncated });
            }
            let byte = self.bytes[self.at];
            self.at += 1;
            if shift == 63 && byte > 1 {
                break;
            }
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Wrong { path: Vec::new(), offset: start, problem: Problem::BadNumber })
    }

    fn length(&mut self, end: usize) -> Result<usize, Wrong> {
        let length = self.varint(end)?;
        match usize::try_from(length).ok().and_then(|length| self.at.checked_add(length)) {
            Some(stop) if stop <= end => Ok(stop),
            _ => Err(self.wrong(Problem::Truncated)),
        }
    }

    /// A field's number and its wire type.
    #[inline]
    fn tag(&mut self, end: usize) -> Result<(u32, u8), Wrong> {
        let start = self.at;
        // A tag has 32 bits, so a field's number has 29.
        let tag = u32::try_from(self.varint(end)?).unwrap_or(0);
        let number = tag >> 3;
        if number == 0 {
            return Err(Wrong { path: Vec::new(), offset: start, problem: Problem::BadNumber });
        }
        Ok((number, (tag & 7) as u8))
    }

    /// A field's number and its value.
    fn field(&mut self, end: usize) -> Result<(u32, Value<'a>), Wrong> {
        let (number, wire) = self.tag(end)?;
        let value = match wire {
            0 => Value::Number(self.varint(end)?),
            2 => {
                let stop = self.length(end)?;
                Value::Bytes(&self.bytes[std::mem::replace(&mut self.at, stop)..stop])
            }
            _ => {
                self.skip(wire, end)?;
                Value::Fixed
            }
        };
        Ok((number, value))
    }

    fn message(&mut self, shape: &'static Shape, end: usize) -> Result<(), Wrong> {
        let mut seen = [0_usize; FIELDS_MAX];
        let mut chosen = false;
        // Fields mostly stand in the order of their numbers, as the shape has them: a search begins where the last one ended.
        let mut last = 0;
        while self.at < end {
            let start = self.at;
            let (number, wire) = self.tag(end)?;
            let known = |place: &usize| {
                let field = &shape.fields[*place];
                field.number == number && !matches!(field.kind, Kind::Kept { .. })
            };
            let Some(place) = (last..shape.fields.len()).chain(0..last).find(known) else {
                let wrong = |problem| Wrong { path: Vec::new(), offset: start, problem };
                match rule_for_unknown(shape, number) {
                    Some(Unknown::Stops) => return Err(wrong(Problem::NotKnown(number))),
                    Some(Unknown::Chosen) if std::mem::replace(&mut chosen, true) => {
                        return Err(wrong(Problem::Twice));
                    }
                    Some(Unknown::Chosen | Unknown::Narrows) => self.seen.newer = true,
                    None => {}
                }
                self.skip(wire, end)?;
                continue;
            };
            last = place;
            let field = &shape.fields[place];
            let count = match self.value(field, wire, end) {
                Ok(count) => count,
                Err(mut wrong) => {
                    wrong.path.push(field.name);
                    return Err(wrong);
                }
            };
            seen[place] += count;
            let twice = seen[place] > field.max || (field.choice && std::mem::replace(&mut chosen, true));
            if twice {
                let problem = if field.max == 1 { Problem::Twice } else { Problem::TooMany(field.max) };
                return Err(Wrong { path: vec![field.name], offset: start, problem });
            }
        }
        Ok(())
    }

    /// Looks at one value and says how many elements it holds.
    fn value(&mut self, field: &'static Field, wire: u8, end: usize) -> Result<usize, Wrong> {
        match (&field.kind, wire) {
            (Kind::Varint | Kind::Varints, 0) => self.varint(end).map(|_| 1),
            (Kind::Varints, 2) => {
                let stop = self.length(end)?;
                let mut count = 0;
                while self.at < stop {
                    self.varint(stop)?;
                    count += 1;
                }
                Ok(count)
            }
            (Kind::Bytes, 2) => {
                self.at = self.length(end)?;
                Ok(1)
            }
            (Kind::Text, 2) => {
                let stop = self.length(end)?;
                if std::str::from_utf8(&self.bytes[self.at..stop]).is_err() {
                    return Err(self.wrong(Problem::NotUtf8));
                }
                self.at = stop;
                Ok(1)
            }
            (Kind::Message(shape), 2) => {
                let stop = self.length(end)?;
                self.message(shape, stop).map(|()| 1)
            }
            _ => Err(self.wrong(Problem::WrongWireType)),
        }
    }

    fn skip(&mut self, wire: u8, end: usize) -> Result<(), Wrong> {
        let stop = match wire {
            0 => return self.varint(end).map(|_| ()),
            1 => self.at + 8,
            2 => self.length(end)?,
            5 => self.at + 4,
            _ => return Err(self.wrong(Problem::WrongWireType)),
        };
        if stop > end {
            return Err(self.wrong(Problem::Truncated));
        }
        self.at = stop;
        Ok(())
    }
}

/// What to do with a number that is no known field. None: it may be ignored.
fn rule_for_unknown(shape: &'static Shape, number: u32) -> Option<Unknown> {
    shape.fields.iter().find_map(|field| match field.kind {
        Kind::Kept { last, unknown } if (field.number..=last).contains(&number) => Some(unknown),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    static STOPS: Shape = Shape {
        name: "Stops",
        fields: &[one(1, "number", Kind::Varint), choice(2, "this", Kind::Varint), kept(2, 9, Unknown::Stops)],
    };
    static CHOSEN: Shape = Shape {
        name: "Chosen",
        fields: &[one(1, "number", Kind::Varint), choice(2, "this", Kind::Varint), kept(2, 9, Unknown::Chosen)],
    };
    static NARROWS: Shape =
        Shape { name: "Narrows", fields: &[one(1, "number", Kind::Varint), kept(2, 9, Unknown::Narrows)] };
    static HOLDS: Shape = Shape { name: "Holds", fields: &[one(1, "narrows", Kind::Message(&NARROWS))] };
    static INNER: Shape = Shape { name: "Inner", fields: &[one(1, "text", Kind::Text)] };
    static OUTER: Shape = Shape {
        name: "Outer",
        fields: &[
            one(1, "number", Kind::Varint),
            one(2, "bytes", Kind::Bytes),
            many(3, "inner", Kind::Message(&INNER), 2),
            many(4, "packed", Kind::Varints, 3),
            choice(5, "this", Kind::Varint),
            choice(6, "that", Kind::Varint),
        ],
    };

    #[test]
    fn each_way_of_being_wrong_is_named_with_its_place() {
        let rows: &[(&[u8], &str)] = &[
            (&[8], "Outer.number at byte 1: ends in the middle"),
            (&[8, 1, 8, 1], "Outer.number at byte 2: stands twice"),
            (&[10, 0], "Outer.number at byte 1: wrong wire type"),
            (&[18, 2, 0], "Outer.bytes at byte 2: ends in the middle"),
            (&[26, 3, 10, 1, 0xff], "Outer.inner.text at byte 4: not UTF-8"),
            (&[26, 0, 26, 0, 26, 0], "Outer.inner at byte 4: more than 2"),
            (&[34, 4, 1, 1, 1, 1], "Outer.packed at byte 0: more than 3"),
            (&[40, 1, 48, 1], "Outer.that at byte 2: stands twice"),
            (&[0], "Outer at byte 0: not a protobuf number"),
            (&[0x7b], "Outer at byte 1: wrong wire type"),
            // Of 2^29 and more, which no decoder takes: found by fuzzing.
            (&[0x80, 0x80, 0x80, 0x80, 0x10, 0], "Outer at byte 0: not a protobuf number"),
            (&[8, 255, 255, 255, 255, 255, 255, 255, 255, 255, 2], "Outer.number at byte 1: not a protobuf number"),
        ];
        for (bytes, expected) in rows {
            assert_eq!(check(bytes, &OUTER).expect_err(expected).to_string(), *expected);
        }
    }

    #[test]
    fn a_member_of_a_oneof_that_is_still_to_come_stops_a_reader_or_stands_alone() {
        let rows: &[(&[u8], &'static Shape, Option<&str>)] = &[
            (&[8, 1, 16, 1], &STOPS, None),
            (&[24, 1], &STOPS, Some("Stops at byte 0: holds field 3, which takes a newer program to read")),
            (&[16, 1, 72, 1], &STOPS, Some("Stops at byte 2: holds field 9, which takes a newer program to read")),
            (&[80, 1], &STOPS, None),
            (&[24, 1], &CHOSEN, None),
            (&[24, 1, 8, 1], &CHOSEN, None),
            (&[16, 1, 24, 1], &CHOSEN, Some("Chosen at byte 2: stands twice")),
            (&[24, 1, 16, 1], &CHOSEN, Some("Chosen.this at byte 2: stands twice")),
            (&[24, 1, 32, 1], &CHOSEN, Some("Chosen at byte 2: stands twice")),
        ];
        for (bytes, shape, expected) in rows {
            let found = check(bytes, shape).err().map(|malformed| malformed.to_string());
            assert_eq!(found.as_deref(), *expected, "{bytes:?}");
        }
    }

    #[test]
    fn whoever_reads_is_told_what_it_takes_a_newer_program_to_read() {
        let rows: &[(&[u8], &'static Shape, bool)] = &[
            (&[8, 1], &NARROWS, false),
            (&[80, 1], &NARROWS, false),
            (&[16, 1, 24, 1], &NARROWS, true),
            (&[10, 2, 72, 1], &HOLDS, true),
            (&[10, 2, 8, 1], &HOLDS, false),
            (&[16, 1], &CHOSEN, false),
            (&[24, 1], &CHOSEN, true),
        ];
        for (bytes, shape, newer) in rows {
            assert_eq!(check(bytes, shape), Ok(Seen { newer: *newer }), "{bytes:?}");
        }
    }

    #[test]
    fn fields_are_read_where_they_stand_and_no_further_than_they_can_be() {
        let read = |bytes: &[u8]| {
            fields(bytes)
                .map(|field| field.map(|(number, value)| format!("{number} {value:?}")))
                .collect::<Vec<_>>()
        };
        let all = [8, 0x96, 1, 18, 2, 7, 8, 0x79, 0, 0, 0, 0, 0, 0, 0, 0, 0x85, 1, 0, 0, 0, 0];
        let shown = ["1 Number(150)", "2 Bytes([7, 8])", "15 Fixed", "16 Fixed"].map(|field| Ok(field.to_owned()));
        assert_eq!(read(&all), shown);
        let rows: &[(&[u8], Problem)] = &[
            (&[8], Problem::Truncated),
            (&[18, 2, 7], Problem::Truncated),
            (&[0x79, 0], Problem::Truncated),
            (&[0], Problem::BadNumber),
            (&[0x7b], Problem::WrongWireType),
        ];
        for (bytes, problem) in rows {
            let after_one = [&[8, 1], *bytes].concat();
            assert_eq!(read(&after_one), [Ok("1 Number(1)".to_owned()), Err(*problem)], "{bytes:?}");
        }
        assert_eq!(packed(&[1, 0x96, 1, 0x80]).collect::<Vec<_>>(), [Ok(1), Ok(150), Err(Problem::Truncated)]);
        assert_eq!(Value::Fixed.number(), Err(Problem::WrongWireType));
        assert_eq!(Value::Number(1).bytes(), Err(Problem::WrongWireType));
    }

    #[test]
    fn unknown_fields_and_long_numbers_pass_because_they_may_be_signed() {
        check(&[0x7a, 1, 7, 0x78, 1, 0x79, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0x81, 0], &OUTER).expect("passes");
    }
}
