//! One line that tells an officer what a content is about, for inboxes and dry runs. A content comes from other people, so a
//! subject carries nothing that could move a terminal's cursor or turn the direction of its text.

use liaison_protocol::proto;
use proto::content::Body;
use proto::{BirthType, NamePartType};

/// A line of an inbox; longer names end in an ellipsis.
pub const SUBJECT_CHARS_MAX: usize = 160;

/// Alternatives of a birth that a line has room for; more end in an ellipsis.
const BIRTHS_MAX: usize = 3;

/// The subject of a content: `DOE, John (b. 1980)`, an entity's name, a document's number, a text's subject.
///
/// At most [`SUBJECT_CHARS_MAX`] characters; never empty.
pub fn subject(content: &proto::Content) -> String {
    let line = match &content.body {
        Some(Body::Person(person)) => person_line(person),
        Some(Body::Entity(entity)) => name_line(entity.name.as_ref()),
        Some(Body::Document(document)) => document_line(document),
        Some(Body::Text(text)) if text.subject.is_empty() => {
            text.body.lines().next().unwrap_or_default().to_owned()
        }
        Some(Body::Text(text)) => text.subject.clone(),
        None => String::new(),
    };
    let line = shown(&line);
    if line.is_empty() { "(no subject)".to_owned() } else { line }
}

fn person_line(person: &proto::Person) -> String {
    let name = name_line(person.name.as_ref());
    let mut births: Vec<String> = Vec::new();
    for birth in person.births.iter().filter_map(birth_words) {
        if !births.contains(&birth) {
            births.push(birth);
        }
    }
    if births.is_empty() {
        return name;
    }
    let more = if births.len() > BIRTHS_MAX { " or …" } else { "" };
    births.truncate(BIRTHS_MAX);
    format!("{name} (b. {}{more})", births.join(" or "))
}

/// The family name first where the source tells it; otherwise the parts as they are spoken.
fn name_line(name: Option<&proto::Name>) -> String {
    let Some(name) = name else {
        return "(name not known)".to_owned();
    };
    let of = |wanted: fn(NamePartType) -> bool| {
        let parts: Vec<&str> =
            name.parts.iter().filter(|part| wanted(part.r#type())).map(|part| part.text.as_str()).collect();
        parts.join(" ")
    };
    let family = of(|kind| kind == NamePartType::Family);
    let others = of(|kind| kind != NamePartType::Family);
    match (family.is_empty(), others.is_empty()) {
        (true, true) => name.original_script.clone(),
        (true, false) => others,
        (false, true) => family,
        (false, false) => format!("{family}, {others}"),
    }
}

/// The year as exactly as it is known, or the words that stand for it.
fn birth_words(birth: &proto::Birth) -> Option<String> {
    let year = |date: &Option<proto::Date>| {
        date.as_ref().map(|date| match date.year {
            0 => date.text.clone(),
            year => year.to_string(),
        })
    };
    let dated = match (year(&birth.date), year(&birth.from), year(&birth.to)) {
        (Some(date), _, _) => Some(date),
        (None, Some(from), Some(to)) => Some(format!("{from} to {to}")),
        (None, Some(from), None) => Some(format!("{from} or later")),
        (None, None, Some(to)) => Some(format!("{to} or earlier")),
        (None, None, None) if birth.note.is_empty() => None,
        (None, None, None) => Some(birth.note.clone()),
    }?;
    match birth.r#type() {
        BirthType::Approximately => Some(format!("about {dated}")),
        _ => Some(dated),
    }
}

fn document_line(document: &proto::IdentityDocument) -> String {
    let country = document.issuing_country.as_ref().map_or("", |country| country.text.as_str());
    let words = [document.r#type.as_str(), document.number.as_str(), country];
    let words: Vec<&str> = words.into_iter().filter(|word| !word.is_empty()).collect();
    words.join(" ")
}

/// One line, no control or direction character, at most [`SUBJECT_CHARS_MAX`] characters.
fn shown(line: &str) -> String {
    let moves = |character: char| {
        character.is_control()
            || matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let plain = line.replace(moves, " ");
    let plain = plain.split_whitespace().collect::<Vec<_>>().join(" ");
    if plain.chars().count() <= SUBJECT_CHARS_MAX {
        return plain;
    }
    plain.chars().take(SUBJECT_CHARS_MAX - 1).chain(['…']).collect()
}
