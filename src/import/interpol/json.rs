//! JSON that knows where it stands in its file, so that whatever is wrong can be named with its field and byte. The text is checked
//! by serde_json; here it is only taken apart, one level at a time.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::{Fault, ITEMS_MAX, TEXT_BYTES_MAX};

/// Members of one object; the most seen are 30.
const MEMBERS_MAX: usize = 256;

/// One value.
#[derive(Clone, Debug)]
pub(super) struct Json<'a> {
    file: &'a str,
    text: &'a str,
    path: String,
}

/// The members of an object, taken out one by one.
pub(super) struct Object<'a> {
    at: Json<'a>,
    members: Vec<(String, Json<'a>)>,
}

impl<'a> Json<'a> {
    /// Checks a file. A byte order mark is no part of it.
    pub(super) fn parse(bytes: &'a [u8], bytes_max: usize) -> Result<Self, Fault> {
        let fault = |offset, problem| Fault { field: String::new(), offset, problem };
        if bytes.len() > bytes_max {
            return Err(fault(0, format!("{} bytes, and at most {bytes_max} are read", bytes.len())));
        }
        let file = str::from_utf8(bytes)
            .map_err(|error| fault(error.valid_up_to(), "a byte that is not UTF-8".to_owned()))?;
        let whole = Self { file, text: file.strip_prefix('\u{feff}').unwrap_or(file), path: String::new() };
        let raw = whole.read::<&RawValue>()?;
        Ok(Self { text: raw.get(), ..whole })
    }

    /// The byte it begins at.
    pub(super) fn offset(&self) -> usize {
        self.text.as_ptr() as usize - self.file.as_ptr() as usize
    }

    /// How many bytes it has.
    pub(super) fn len(&self) -> usize {
        self.text.len()
    }

    pub(super) fn path(&self) -> &str {
        &self.path
    }

    pub(super) fn fault(&self, problem: impl Into<String>) -> Fault {
        Fault { field: self.path.clone(), offset: self.offset(), problem: problem.into() }
    }

    pub(super) fn is_array(&self) -> bool {
        self.text.starts_with('[')
    }

    /// Null, an empty text, an empty list, an empty object: nothing is said.
    pub(super) fn says_nothing(&self) -> bool {
        let inside = |open, close| {
            let inside = self.text.strip_prefix(open).and_then(|rest| rest.strip_suffix(close));
            inside.is_some_and(|inside: &str| inside.trim().is_empty())
        };
        self.text == "null" || inside('"', '"') || inside('[', ']') || inside('{', '}')
    }

    /// The members of an object; none stands twice.
    pub(super) fn object(&self) -> Result<Object<'a>, Fault> {
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
    pub(super) fn items(&self, max: usize) -> Result<Vec<Self>, Fault> {
        self.expect('[', "a list")?;
        let items = self.read::<Vec<&RawValue>>()?;
        if items.len() > max {
            return Err(self.fault(format!("{} items, and at most {max} are read", items.len())));
        }
        let item = |raw: &'a RawValue| Self { file: self.file, text: raw.get(), path: self.path.clone() };
        Ok(items.into_iter().map(item).collect())
    }

    /// A text as it stands.
    pub(super) fn text(&self) -> Result<String, Fault> {
        self.expect('"', "a text")?;
        let text = self.read::<Cow<'_, str>>()?.into_owned();
        if text.len() > TEXT_BYTES_MAX {
            return Err(self.fault(format!("{} bytes, and at most {TEXT_BYTES_MAX} are read", text.len())));
        }
        Ok(text)
    }

    /// A number that is not negative, with its decimals.
    pub(super) fn number(&self) -> Result<f64, Fault> {
        let digit = self.text.starts_with(|first: char| first.is_ascii_digit());
        if digit { self.read() } else { Err(self.fault(format!("expected a number, found {}", self.what()))) }
    }

    /// A whole number that is not negative.
    pub(super) fn count(&self) -> Result<u64, Fault> {
        self.read().map_err(|_| self.fault("expected a whole number"))
    }

    /// As it stands, for keeping.
    pub(super) fn kept(&self) -> Result<String, Fault> {
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
    pub(super) fn has(&self, name: &str) -> bool {
        self.members.iter().any(|(member, _)| member == name)
    }

    /// Takes a member out, whatever it says.
    pub(super) fn take_any(&mut self, name: &str) -> Option<Json<'a>> {
        let at = self.members.iter().position(|(member, _)| member == name)?;
        Some(self.members.remove(at).1)
    }

    /// Takes a member out, if it says anything.
    pub(super) fn take(&mut self, name: &str) -> Option<Json<'a>> {
        self.take_any(name).filter(|json| !json.says_nothing())
    }

    /// A list; what is null in it is left out.
    pub(super) fn take_items(&mut self, name: &str) -> Result<Vec<Json<'a>>, Fault> {
        let items = self.take(name).map(|list| list.items(ITEMS_MAX)).transpose()?.unwrap_or_default();
        Ok(items.into_iter().filter(|item| !item.says_nothing()).collect())
    }

    /// What nobody took and says something.
    pub(super) fn leftovers(&self) -> impl Iterator<Item = &Json<'a>> {
        self.members.iter().map(|(_, json)| json).filter(|json| !json.says_nothing())
    }

    pub(super) fn fault(&self, problem: &str) -> Fault {
        self.at.fault(problem)
    }
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
