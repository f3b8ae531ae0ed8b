//! JSON that knows where it stands in its file, so that whatever is wrong can be named with its field and byte: the reader of every
//! JSON file that becomes a notice. serde_json checks the syntax; here it is taken apart, one level at a time.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::encoding::Encoding;

/// One text, as much as a text of a content may have.
pub const TEXT_BYTES_MAX: usize = 64 << 10;
/// Items of one list, as many as a content's list may have.
pub const ITEMS_MAX: usize = 1_024;
/// Members of one object; the most seen are 30.
const MEMBERS_MAX: usize = 256;

/// What is wrong, and where.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{} at byte {offset}: {problem}", if field.is_empty() { "the file" } else { field })]
pub struct Fault {
    /// The field, with names joined by `/`. Empty: the file itself.
    pub field: String,
    /// The byte it begins at, from 0.
    pub offset: usize,
    /// What is wrong with it.
    pub problem: String,
}

/// One value.
#[derive(Clone, Debug)]
pub(crate) struct Json<'a> {
    file: &'a str,
    text: &'a str,
    path: String,
}

/// The members of an object, taken out one by one.
pub(crate) struct Object<'a> {
    at: Json<'a>,
    members: Vec<(String, Json<'a>)>,
}

impl<'a> Json<'a> {
    /// Checks a file. A byte order mark is no part of it.
    pub(crate) fn parse(bytes: &'a [u8], bytes_max: usize) -> Result<Self, Fault> {
        let fault = |offset, problem| Fault { field: String::new(), offset, problem };
        if bytes.len() > bytes_max {
            return Err(fault(0, format!("{} bytes, and at most {bytes_max} are read", bytes.len())));
        }
        let found = Encoding::of(bytes);
        if matches!(found, Encoding::Utf16 | Encoding::Utf32) {
            return Err(fault(0, format!("it is in {found}, and JSON is read in UTF-8")));
        }
        let file = str::from_utf8(bytes).map_err(|error| {
            let problem = format!("a byte that is not UTF-8; it is in {found}");
            fault(error.valid_up_to(), problem)
        })?;
        let text = file.strip_prefix('\u{feff}').unwrap_or(file);
        if text.trim_ascii().is_empty() {
            return Err(fault(0, "it is empty".to_owned()));
        }
        let whole = Self { file, text, path: String::new() };
        let raw = whole.read::<&RawValue>()?;
        Ok(Self { text: raw.get(), ..whole })
    }

    /// Checks that no object in it, however deep, has a member twice. Of two members only one would be read, and nobody could tell
    /// which one the author meant.
    pub(crate) fn has_no_member_twice(&self) -> Result<(), Fault> {
        /// The names of an object, or none for a list; and the length of the path around it.
        struct Open(Option<HashSet<String>>, usize);
        let (bytes, mut at) = (self.text.as_bytes(), 0);
        let (mut open, mut path) = (Vec::<Open>::new(), self.path.clone());
        // The syntax was checked, so what stands between the signs looked for here can be passed over.
        while let Some(byte) = bytes.get(at) {
            match byte {
                b'{' => open.push(Open(Some(HashSet::new()), path.len())),
                b'[' => open.push(Open(None, path.len())),
                b'}' | b']' => {
                    open.pop();
                    path.truncate(open.last().map_or(self.path.len(), |open| open.1));
                }
                b',' => path.truncate(open.last().map_or(self.path.len(), |open| open.1)),
                b'"' => {
                    let end = at + end_of_text(&bytes[at..]);
                    let after = &self.text[end..].trim_ascii_start();
                    if let (Some(value), Some(Open(Some(names), _))) = (after.strip_prefix(':'), open.last_mut()) {
                        let value = value.trim_ascii_start();
                        let name = serde_json::from_str::<Cow<'_, str>>(&self.text[at..end]);
                        let Ok(name) = name.map(Cow::into_owned) else {
                            return Err(Self { text: value, path, ..*self }.fault("its name is no text"));
                        };
                        if !path.is_empty() {
                            path.push('/');
                        }
                        path.push_str(&name);
                        if !names.insert(name) {
                            return Err(Self { text: value, path, ..*self }.fault("stands there twice"));
                        }
                    }
                    at = end - 1;
                }
                _ => {}
            }
            at += 1;
        }
        Ok(())
    }

    /// The byte it begins at.
    pub(crate) fn offset(&self) -> usize {
        self.text.as_ptr() as usize - self.file.as_ptr() as usize
    }

    /// The whole of it, as it stands.
    pub(crate) fn as_str(&self) -> &'a str {
        self.text
    }

    pub(crate) fn is_null(&self) -> bool {
        self.text == "null"
    }

    /// A number, or a text that holds one, as protobuf JSON allows.
    pub(crate) fn number_as<T: std::str::FromStr>(&self) -> Option<T> {
        let text = self.text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(self.text);
        text.parse().ok()
    }

    /// The byte at which the first field of this path begins; its own, where there is none.
    pub(crate) fn offset_of(&self, path: &str) -> usize {
        let Some((name, rest)) = path.split_once('/').or(Some((path, ""))).filter(|(name, _)| !name.is_empty())
        else {
            return self.offset();
        };
        let items = if self.is_array() { self.items(ITEMS_MAX).unwrap_or_default() } else { vec![self.clone()] };
        let member = |item: &Self| item.object().ok()?.into_members().find(|(member, _)| spells(member, name));
        items.iter().find_map(member).map_or_else(|| self.offset(), |(_, member)| member.offset_of(rest))
    }

    /// How many bytes it has.
    pub(crate) fn len(&self) -> usize {
        self.text.len()
    }

    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    pub(crate) fn fault(&self, problem: impl Into<String>) -> Fault {
        Fault { field: self.path.clone(), offset: self.offset(), problem: problem.into() }
    }

    pub(crate) fn is_array(&self) -> bool {
        self.text.starts_with('[')
    }

    /// Null, an empty text, an empty list, an empty object: nothing is said.
    pub(crate) fn says_nothing(&self) -> bool {
        let inside = |open, close| {
            let inside = self.text.strip_prefix(open).and_then(|rest| rest.strip_suffix(close));
            inside.is_some_and(|inside: &str| inside.trim().is_empty())
        };
        self.text == "null" || inside('"', '"') || inside('[', ']') || inside('{', '}')
    }

    /// The members of an object; none stands twice.
    pub(crate) fn object(&self) -> Result<Object<'a>, Fault> {
        self.expect('{', "an object")?;
        let Members(found) = self.read()?;
        if found.len() > MEMBERS_MAX {
            return Err(self.fault(format!("{} members, and at most {MEMBERS_MAX} are read", found.len())));
        }
        let mut members: Vec<(String, Self)> = Vec::with_capacity(found.len());
        for (name, raw) in found {
            let member = self.below(&name, raw);
            if members.iter().any(|(other, _)| *other == name) {
                return Err(member.fault("stands there twice"));
            }
            members.push((name, member));
        }
        Ok(Object { at: self.clone(), members })
    }

    /// The items of an array.
    pub(crate) fn items(&self, max: usize) -> Result<Vec<Self>, Fault> {
        self.expect('[', "a list")?;
        let items = self.read::<Vec<&RawValue>>()?;
        if items.len() > max {
            return Err(self.fault(format!("{} items, and at most {max} are read", items.len())));
        }
        let item = |raw: &'a RawValue| Self { file: self.file, text: raw.get(), path: self.path.clone() };
        Ok(items.into_iter().map(item).collect())
    }

    /// A text as it stands.
    pub(crate) fn text(&self) -> Result<String, Fault> {
        self.expect('"', "a text")?;
        let text = self.read::<Cow<'_, str>>()?.into_owned();
        if text.len() > TEXT_BYTES_MAX {
            return Err(self.fault(format!("{} bytes, and at most {TEXT_BYTES_MAX} are read", text.len())));
        }
        Ok(text)
    }

    /// A number that is not negative, with its decimals.
    pub(crate) fn number(&self) -> Result<f64, Fault> {
        let digit = self.text.starts_with(|first: char| first.is_ascii_digit());
        if digit { self.read() } else { Err(self.fault(format!("expected a number, found {}", self.what()))) }
    }

    /// A whole number that is not negative.
    pub(crate) fn count(&self) -> Result<u64, Fault> {
        self.read().map_err(|_| self.fault("expected a whole number"))
    }

    /// As it stands, for keeping.
    pub(crate) fn kept(&self) -> Result<String, Fault> {
        if self.text.starts_with('"') {
            return self.text();
        }
        if self.text.len() > TEXT_BYTES_MAX {
            return Err(self.fault(format!("{} bytes, and at most {TEXT_BYTES_MAX} are kept", self.text.len())));
        }
        Ok(self.text.to_owned())
    }

    fn below(&self, name: &str, raw: &'a RawValue) -> Self {
        let path = if self.path.is_empty() { name.to_owned() } else { format!("{}/{name}", self.path) };
        Self { file: self.file, text: raw.get(), path }
    }

    fn expect(&self, first: char, what: &str) -> Result<(), Fault> {
        if self.text.starts_with(first) {
            return Ok(());
        }
        Err(self.fault(format!("expected {what}, found {}", self.what())))
    }

    fn what(&self) -> &'static str {
        match self.text.as_bytes().first() {
            Some(b'{') => "an object",
            Some(b'[') => "a list",
            Some(b'"') => "a text",
            Some(b't' | b'f') => "true or false",
            Some(b'n') => "null",
            Some(b'-' | b'0'..=b'9') => "a number",
            _ => "nothing",
        }
    }

    fn read<T: serde::Deserialize<'a>>(&self) -> Result<T, Fault> {
        serde_json::from_str(self.text).map_err(|error| {
            // Lines and columns of the text, both from 1; columns count bytes.
            let before =
                self.text.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum::<usize>();
            let offset = self.offset() + before + error.column().saturating_sub(1);
            let problem = error.to_string();
            let problem = problem.split(" at line ").next().unwrap_or_default().to_owned();
            Fault { field: self.path.clone(), offset: offset.min(self.file.len()), problem }
        })
    }
}

impl<'a> Object<'a> {
    pub(crate) fn has(&self, name: &str) -> bool {
        self.members.iter().any(|(member, _)| member == name)
    }

    /// A member, if it says anything.
    pub(crate) fn get(&self, name: &str) -> Option<&Json<'a>> {
        let member = self.members.iter().find(|(member, _)| member == name);
        member.map(|(_, json)| json).filter(|json| !json.says_nothing())
    }

    /// Whether there is such a member and it says anything.
    pub(crate) fn says(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Every member with its name, in the order of the file.
    pub(crate) fn into_members(self) -> impl Iterator<Item = (String, Json<'a>)> {
        self.members.into_iter()
    }

    /// Takes a member out, whatever it says.
    pub(crate) fn take_any(&mut self, name: &str) -> Option<Json<'a>> {
        let at = self.members.iter().position(|(member, _)| member == name)?;
        Some(self.members.remove(at).1)
    }

    /// Takes a member out, if it says anything.
    pub(crate) fn take(&mut self, name: &str) -> Option<Json<'a>> {
        self.take_any(name).filter(|json| !json.says_nothing())
    }

    /// A list; what is null in it is left out.
    pub(crate) fn take_items(&mut self, name: &str) -> Result<Vec<Json<'a>>, Fault> {
        let items = self.take(name).map(|list| list.items(ITEMS_MAX)).transpose()?.unwrap_or_default();
        Ok(items.into_iter().filter(|item| !item.says_nothing()).collect())
    }

    /// What nobody took and says something.
    pub(crate) fn leftovers(&self) -> impl Iterator<Item = &Json<'a>> {
        self.members.iter().map(|(_, json)| json).filter(|json| !json.says_nothing())
    }

    pub(crate) fn fault(&self, problem: &str) -> Fault {
        self.at.fault(problem)
    }
}

/// Whether a member's name is the field's, in either spelling of protobuf JSON.
fn spells(member: &str, field: &str) -> bool {
    let letters = field.split('_').flat_map(str::chars);
    member == field || member.to_lowercase().chars().eq(letters)
}

/// How many bytes a text has that begins here, its quotes included.
fn end_of_text(bytes: &[u8]) -> usize {
    let mut at = 1;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// Names and values in the order of the file.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de> serde::Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;

        impl<'de> Visitor<'de> for Collect {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Collect)
    }
}
