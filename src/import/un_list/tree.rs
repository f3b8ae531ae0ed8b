//! One record as a tree. Fields are taken out of it one by one; what nobody took is left over, so nothing can be forgotten.

use liaison_protocol::proto::UnknownField;
use quick_xml::XmlVersion;
use quick_xml::events::BytesStart;

use super::text;
use super::{FIELD_BYTES_MAX, Fault, NAME_BYTES_MAX, RECORD_DEPTH_MAX, RECORD_ELEMENTS_MAX};

/// An element with its own text, its attributes and its children.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Element {
    pub(super) name: String,
    /// Everything directly inside, references resolved, white space as published.
    pub(super) text: String,
    pub(super) attributes: Vec<(String, String)>,
    pub(super) children: Vec<Self>,
}

impl Element {
    /// The children of this name.
    pub(super) fn all<'a>(&'a mut self, name: &'a str) -> impl Iterator<Item = &'a mut Self> {
        self.children.iter_mut().filter(move |child| child.name == name)
    }

    /// Takes the text of the first child of this name that has any, on one line. Empty: there is none.
    pub(super) fn take(&mut self, name: &str) -> String {
        text::line(&self.take_raw(name))
    }

    /// Takes it with its line structure.
    pub(super) fn take_lines(&mut self, name: &str) -> String {
        text::lines(&self.take_raw(name))
    }

    /// Takes the texts of all grandchildren `name/VALUE` that have any.
    pub(super) fn take_values(&mut self, name: &str) -> Vec<String> {
        self.all(name)
            .flat_map(|group| group.children.iter_mut())
            .filter(|child| child.name == "VALUE")
            .map(|value| text::line(&std::mem::take(&mut value.text)))
            .filter(|value| !value.is_empty())
            .collect()
    }

    /// Takes the text if `known` understands it, and leaves it where it is otherwise.
    pub(super) fn take_as<T>(&mut self, name: &str, known: fn(&str) -> Option<T>) -> Option<T> {
        let child = self.all(name).find(|child| child.has_text())?;
        let value = known(&text::line(&child.text))?;
        child.text.clear();
        Some(value)
    }

    /// How many elements hold text of their own.
    pub(super) fn texts(&self) -> usize {
        usize::from(self.has_text()) + self.children.iter().map(Self::texts).sum::<usize>()
    }

    /// Everything not empty that nobody took, in the order of the file.
    pub(super) fn leftovers(&self) -> Vec<UnknownField> {
        let mut found = Vec::new();
        self.leftovers_into("", &mut found);
        found
    }

    fn leftovers_into(&self, path: &str, found: &mut Vec<UnknownField>) {
        let below = |name: &str| {
            if path.is_empty() { name.to_owned() } else { format!("{path}/{name}") }
        };
        for (name, value) in &self.attributes {
            found.push(UnknownField { path: below(&format!("@{name}")), text: text::lines(value) });
        }
        if self.has_text() {
            let path = if path.is_empty() { "." } else { path };
            found.push(UnknownField { path: path.to_owned(), text: text::lines(&self.text) });
        }
        for child in &self.children {
            child.leftovers_into(&below(&child.name), found);
        }
    }

    fn has_text(&self) -> bool {
        !self.text.trim().is_empty()
    }

    fn take_raw(&mut self, name: &str) -> String {
        let first = self.all(name).find(|child| child.has_text());
        first.map(|child| std::mem::take(&mut child.text)).unwrap_or_default()
    }
}

/// A record while it is read: the elements that are open, the outermost first.
#[derive(Default)]
pub(super) struct Builder {
    open: Vec<Element>,
    elements: usize,
}

impl Builder {
    pub(super) fn open(&mut self, start: &BytesStart<'_>) -> Result<(), Fault> {
        if self.open.len() == RECORD_DEPTH_MAX {
            return Err(Fault::TooLarge { limit: RECORD_DEPTH_MAX, what: "elements inside one another" });
        }
        let attributes = attributes(start)?;
        self.elements += 1 + attributes.len();
        if self.elements > RECORD_ELEMENTS_MAX {
            return Err(Fault::TooLarge { limit: RECORD_ELEMENTS_MAX, what: "elements and attributes" });
        }
        let element = Element { name: name(start.name().as_ref())?, attributes, ..Element::default() };
        self.open.push(element);
        Ok(())
    }

    /// Closes the innermost element; the record itself comes back when it was the last.
    pub(super) fn close(&mut self, found: &str) -> Result<Option<Element>, Fault> {
        let closed = self.open.pop().expect("a record is open until it is returned");
        if closed.name != found {
            return Err(Fault::Tags { expected: closed.name, found: text::quote(found) });
        }
        match self.open.last_mut() {
            Some(parent) => {
                parent.children.push(closed);
                Ok(None)
            }
            None => Ok(Some(closed)),
        }
    }

    pub(super) fn text(&mut self, more: &str) -> Result<(), Fault> {
        let element = self.open.last_mut().expect("a record is open until it is returned");
        if more.contains(|character| !text::allowed(character)) {
            return Err(Fault::Characters);
        }
        if element.text.len() + more.len() > FIELD_BYTES_MAX {
            return Err(Fault::TooLarge { limit: FIELD_BYTES_MAX, what: "bytes in one text" });
        }
        element.text.push_str(more);
        Ok(())
    }
}

/// A start tag's attributes that are not empty, all of them well formed. Where a schema lies says nothing of the subject.
pub(super) fn attributes(start: &BytesStart<'_>) -> Result<Vec<(String, String)>, Fault> {
    let mut kept = Vec::new();
    for attribute in start.attributes() {
        let attribute = attribute.map_err(|error| Fault::Syntax(error.to_string()))?;
        let key = attribute.key.as_ref();
        let value = attribute.normalized_value(XmlVersion::Implicit1_0);
        let value = value.map_err(|error| Fault::Syntax(error.to_string()))?;
        if value.contains(|character| !text::allowed(character)) {
            return Err(Fault::Characters);
        }
        let schema = key.starts_with("xmlns") || key.starts_with("xsi:");
        if !schema && !value.trim().is_empty() {
            kept.push((name(key)?, value.into_owned()));
        }
    }
    Ok(kept)
}

fn name(text: &str) -> Result<String, Fault> {
    if text.len() > NAME_BYTES_MAX {
        return Err(Fault::TooLarge { limit: NAME_BYTES_MAX, what: "bytes in a name" });
    }
    if text.contains(|character| !text::allowed(character)) {
        return Err(Fault::Characters);
    }
    Ok(text.to_owned())
}
