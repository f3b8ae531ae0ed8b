//! What would be sent: the same notices for the same file, and one line for each that an officer can read.

use std::collections::HashSet;

use liaison::import::un_list::{SAMPLE, read};
use liaison::import::{SUBJECT_CHARS_MAX, plan, subject};
use liaison_protocol::proto;
use proto::content::Body;
use proto::{Name, NamePart, NamePartType, Person, Text};

use super::fixture;

#[test]
fn importing_a_file_twice_names_the_same_notices() {
    let once = plan(&fixture());
    assert_eq!(once, plan(&fixture()));
    assert_eq!(once[0].reference, "UN/UTi.101/2026-01-01", "the day is the list's own, whatever its zone");
    let references: HashSet<_> = once.iter().map(|planned| &planned.reference).collect();
    assert_eq!(references.len(), once.len());
    for reference in references {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._/-".contains(&byte);
        assert!(reference.len() <= 64 && reference.bytes().all(allowed), "{reference}");
    }
}

#[test]
fn the_sample_is_a_whole_list_of_five() {
    let list = read(SAMPLE).expect("a list");
    assert_eq!((list.entries.len(), list.unreadable.len()), (5, 0));
    assert!(list.entries.iter().all(|entry| entry.unknown.is_empty()));
    assert_eq!(list.regimes().into_iter().collect::<Vec<_>>(), [("Lilliput", 2), ("Utopia", 3)]);
    let subjects: Vec<_> = plan(&list).into_iter().map(|planned| planned.subject).collect();
    let expected = [
        "EXAMPLE OF NOBODY (b. 1980)",
        "SPECIMEN TESTPERSON (b. about 1975)",
        "MUSTERMANN (b. 1961 to 1965)",
        "GUILD OF PAPER PIRATES (GPP)",
        "BLEFUSCU TRADING OF EGGS, LTD.",
    ];
    assert_eq!(subjects, expected);
}

#[test]
fn alternatives_of_a_birth_are_shown_as_alternatives() {
    let subjects: Vec<_> = plan(&fixture()).into_iter().map(|planned| planned.subject).collect();
    assert_eq!(subjects[0], "‘ALI-EXAMPLE BIN NOBODY na (b. 1970 or 1972 or about 1973 or …)");
    assert_eq!(subjects[1], "SPECIMEN (b. Nov. 1973 or 1955-1956)");
}

#[test]
fn a_family_name_goes_first_and_nothing_moves_the_cursor() {
    let part = |kind: NamePartType, text: &str| NamePart { r#type: kind.into(), text: text.into() };
    let person = |parts| proto::Content {
        body: Some(Body::Person(Person {
            name: Some(Name { parts, original_script: String::new() }),
            ..Person::default()
        })),
        ..proto::Content::default()
    };
    let doe = [part(NamePartType::Forename, "John"), part(NamePartType::Family, "DOE")];
    assert_eq!(subject(&person(doe.to_vec())), "DOE, John");
    let sly = part(NamePartType::Whole, "\u{1b}[2JDOE\u{202e} eman\nnext line");
    assert_eq!(subject(&person(vec![sly])), "[2JDOE eman next line");
    let long = subject(&person(vec![part(NamePartType::Whole, &"é".repeat(1_000))]));
    assert_eq!(long.chars().count(), SUBJECT_CHARS_MAX);
    assert!(long.ends_with('…'));
}

#[test]
fn a_text_is_shown_by_its_subject_or_its_first_line() {
    let text = |subject: &str, body: &str| proto::Content {
        body: Some(Body::Text(Text { subject: subject.into(), body: body.into(), language: String::new() })),
        ..proto::Content::default()
    };
    assert_eq!(subject(&text("About the keys", "They are lost.")), "About the keys");
    assert_eq!(subject(&text("", "They are lost.\nSince Monday.")), "They are lost.");
    assert_eq!(subject(&text("", "")), "(no subject)");
    assert_eq!(subject(&proto::Content::default()), "(no subject)");
}
