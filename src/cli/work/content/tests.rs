use liaison_protocol::proto;
use proptest::prelude::*;
use prost::Message as _;

use super::*;

fn read(json: &str) -> Result<proto::Content, String> {
    let bytes = from_json(json.as_bytes()).map_err(|fault| fault.to_string())?;
    Ok(proto::Content::decode(bytes.as_slice()).expect("what we write, we read"))
}

#[test]
fn both_spellings_of_a_field_are_read_and_a_byte_order_mark_is_no_part_of_a_file() {
    let content = read(
        "\u{feff}{\"person\": {\"name\": {\"parts\": [{\"type\": \"NAME_PART_TYPE_WHOLE\", \"text\": \"NOBODY\"}]},\r\n \
         \"gender\": 2, \"birthPlaces\": [{\"city\": \"Amaurot\"}], \"birth_name\": null,\
         \"births\": [{\"date\": {\"text\": \"1985\", \"year\": 1985}}]}, \"unknownFields\": []}",
    );
    let Some(proto::content::Body::Person(person)) = content.expect("a content").body else { panic!("a person") };
    assert_eq!((person.gender(), person.birth_places.len(), person.births.len()), (proto::Gender::Female, 1, 1));
}

#[test]
fn what_could_be_meant_in_two_ways_or_not_at_all_is_refused_with_its_field_and_byte() {
    let text = |more: &str| format!("{{\"text\": {{\"subject\": \"s\", \"body\": \"b\"}}{more}}}");
    let person = |inside: &str| format!("{{\"person\": {{\"designations\": [\"Keeper\"], {inside}}}}}");
    let rows = [
        // Twice, at any depth, however it is spelt.
        (r#"{"text": {"subject": "a", "body": "b", "subject": "c"}}"#.into(), "text/subject: stands there twice"),
        (r#"{"text": {"subject": "a"}, "text": {"subject": "c"}}"#.into(), "text: stands there twice"),
        (r#"{"text": {"subject": "a", "\u0073ubject": "c"}}"#.into(), "text/subject: stands there twice"),
        (
            person(r#""births": [{"note": "a"}, {"note": "a", "note": "b"}]"#),
            "person/births/note: stands there twice",
        ),
        (
            person(r#""birth_name": {}, "birthName": {}"#),
            "person/birthName: stands beside birth_name, and only one of them can be meant",
        ),
        (
            text(r#", "person": {"titles": ["Dr."]}"#),
            "person: stands beside text, and only one of them can be meant",
        ),
        // Not known.
        (
            text(r#", "subject": "x""#),
            "subject: Content has no such field; proto/liaison/v1/content.proto lists all",
        ),
        (person(r#""age": 7"#), "person/age: Person has no such field; proto/liaison/v1/content.proto lists all"),
        // Out of range.
        (
            person(r#""gender": 99"#),
            "person/gender: expected one of GENDER_UNSPECIFIED, GENDER_MALE, GENDER_FEMALE, GENDER_UNKNOWN",
        ),
        (person(r#""gender": -1"#), "person/gender"),
        (person(r#""gender": "MALE""#), "person/gender"),
        (person(r#""births": [{"type": 4}]"#), "person/births/type: expected one of BIRTH_TYPE_UNSPECIFIED"),
        (
            person(r#""births": [{"date": {"text": "x", "month": 13}}]"#),
            "person/births/date/month: 13, and it is at most 12",
        ),
        (person(r#""births": [{"date": {"text": "x", "year": 10000}}]"#), "person/births/date/year"),
        (
            person(r#""births": [{"date": {"text": "x", "year": 2001, "month": 2, "day": 29}}]"#),
            "person/births/date: 2001-02-29 is no day",
        ),
        (
            person(r#""births": [{"date": {"year": 2001}}]"#),
            "person/births/date/text: it may not be empty or missing",
        ),
        (
            person(r#""description": {"height_mm": 3001}"#),
            "person/description/height_mm: 3001, and it is at most 3000",
        ),
        (
            person(r#""description": {"weightG": 4294967296}"#),
            "person/description/weightG: expected a whole number",
        ),
        (person(r#""description": {"weightG": -1}"#), "person/description/weightG: expected a whole number"),
        (person(r#""description": {"weightG": 1.5}"#), "person/description/weightG: expected a whole number"),
        (person(r#""addresses": [{}]"#), "person/addresses: at least one of its fields has to be there"),
        (person(r#""nationalities": [{"code": "KE"}]"#), "person/nationalities/text"),
        (
            text(r#", "change": {"earlierNoticeId": "AAAA"}"#),
            "change/earlier_notice_id: 3 bytes, and a NoticeId has 32",
        ),
        (
            text(r#", "listing": {"interpolNoticeExists": 1}"#),
            "listing/interpolNoticeExists: expected true or false",
        ),
        // Of another type.
        (r#"{"text": "hello"}"#.into(), "text: expected an object, found a text"),
        (r#"{"text": {"subject": 7}}"#.into(), "text/subject: expected a text, found a number"),
        (person(r#""titles": "Dr.""#), "person/titles: expected a list, found a text"),
        (person(r#""titles": [null]"#), "person/titles: expected a text, found null"),
        (r#"[{"text": {"subject": "s"}}]"#.into(), "the file: expected an object, found a list"),
        (r#""text""#.into(), "the file: expected an object, found a text"),
        // Nothing said.
        ("{}".into(), "the file: nothing is said: exactly one of person, entity, document, text has to be there"),
        (r#"{"comments": "x"}"#.into(), "the file: nothing is said"),
        (r#"{"text": null}"#.into(), "the file: nothing is said"),
        (r#"{"text": {}}"#.into(), "text: nothing is said of it"),
        (r#"{"text": {"subject": " ", "body": ""}}"#.into(), "text: nothing is said of it"),
        (r#"{"text": {"language": "en"}}"#.into(), "text: it has neither a subject nor a body"),
        (r#"{"person": {"names": []}}"#.into(), "person/names: Person has no such field"),
        (r#"{"person": {"titles": [""]}}"#.into(), "person: nothing is said of it"),
        ("".into(), "the file: it is empty"),
        (" \r\n\u{feff}".into(), ""),
        ("\u{feff}".into(), "the file: it is empty"),
        // More than one, or less.
        (text("} {"), "the file"),
        (format!("{} x", text("")), "the file"),
        (r#"{"text": {"subject": "a""#.into(), ""),
        (r#"{"text": {"subject": "a",}}"#.into(), ""),
        (r#"{"text": {"subject": "\ud800"}}"#.into(), "text/subject: "),
        // Large and deep.
        (text(&format!(", \"comments\": \"{}\"", "x".repeat(TEXT_BYTES_MAX + 1))), "comments: 65537 bytes"),
        (person(&format!("\"titles\": [{}\"\"]", "\"x\",".repeat(ITEMS_MAX))), "person/titles: 1025 items"),
        (
            text(&format!(
                ", \"unknownFields\": [{}{{}}]",
                format!("{{\"path\": \"p\", \"text\": \"{}\"}},", "x".repeat(60_000)).repeat(18)
            )),
            "the file: 108",
        ),
        (" ".repeat(FILE_BYTES_MAX + 1), "the file: 4194305 bytes"),
        (format!("{{\"text\": {}1{}}}", "[".repeat(100_000), "]".repeat(100_000)), "text: expected an object"),
        ("{\"text\":".repeat(100_000) + "1" + &"}".repeat(100_000), "text/text"),
    ];
    for (json, expected) in rows {
        let fault = from_json(json.as_bytes()).err().map(|fault| match fault.field.is_empty() {
            true => format!("the file: {}", fault.problem),
            false => format!("{}: {}", fault.field, fault.problem),
        });
        let fault = fault.unwrap_or_else(|| panic!("{json} was taken"));
        assert!(fault.starts_with(expected), "{}\n   {fault}\n   {expected}", &json[..json.len().min(200)]);
    }
}

#[test]
fn a_fault_is_named_by_the_byte_at_which_its_field_begins() {
    for (json, at) in [
        (r#"{"text": {"subject": "a", "body": "b", "subject": "c"}}"#, "\"c\""),
        (r#"{"person": {"gender": 99}}"#, "99}"),
        (r#"{"person": {"birthPlaces": [{"city": "x"}, {}]}}"#, "[{\"city\""),
        (r#"{"person": {"births": [{"note": "x"}, {"date": {"year": 99999}}]}}"#, "{\"year\""),
        (r#"  {"comments": "x"}"#, "{\"comments"),
        (r#"{"text": {"subject": "a"}} x"#, "x"),
    ] {
        let fault = from_json(json.as_bytes()).expect_err(json);
        assert!(json[fault.offset..].starts_with(at), "{json}: {fault}");
    }
}

#[test]
fn a_file_in_another_encoding_is_refused_by_its_name() {
    let text = "{\"text\": {\"subject\": \"caf\u{e9}\"}}";
    let utf16: Vec<u8> = "\u{feff}".encode_utf16().chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect();
    let windows: Vec<u8> = text.chars().map(|character| character as u8).collect();
    for (bytes, problem) in [(utf16, "it is in UTF-16"), (windows, "such as windows-1252 (first 0xE9 at byte 25)")]
    {
        let fault = from_json(&bytes).expect_err("no UTF-8").to_string();
        assert!(fault.contains(problem), "{fault}");
    }
}

#[test]
fn every_rule_is_about_a_field_that_exists() {
    let content = descriptor();
    let pool = content.parent_pool();
    for rule in RANGES.iter().map(|(rule, _)| rule).chain(NEVER_EMPTY) {
        let (message, field) = rule.split_once('.').expect("a message and a field");
        let message = pool.get_message_by_name(&format!("liaison.v1.{message}")).expect(message);
        assert!(message.get_field_by_name(field).is_some(), "{rule}");
    }
}

/// What `show --output json` prints can be sent.
#[test]
fn what_is_written_is_read_again() {
    for list in
        [crate::import::un_list::SAMPLE, include_bytes!("../../../../tests/fixtures/un-list-2026-01-01.xml")]
    {
        for entry in crate::import::un_list::read(list).expect("a list").entries {
            let json = to_json(&entry.content.encode_to_vec()).expect("a content").to_string();
            assert_eq!(read(&json).as_ref(), Ok(&entry.content), "{}", entry.reference);
        }
    }
    let mut notices = crate::import::interpol::Notices::default();
    for file in ["red", "yellow", "un-person", "un-entity", "red-page"] {
        let path = format!("{}/tests/fixtures/interpol/{file}.json", env!("CARGO_MANIFEST_DIR"));
        notices.read(&std::fs::read(path).expect("a fixture")).expect("a notice");
    }
    for subject in notices.edition(true).subjects {
        let json = to_json(&subject.content.encode_to_vec()).expect("a content").to_string();
        assert_eq!(read(&json).as_ref(), Ok(&subject.content), "{}", subject.key);
    }
}

proptest! {
    #[test]
    fn no_edit_of_a_file_makes_the_reader_panic_and_what_it_takes_is_sound(
        at in any::<prop::sample::Index>(),
        length in 0..20_usize,
        put in prop::sample::select(vec!["", "{", "}", "[", "]", "\"", ":", ",", "null", "0", "-1", "1e999", "\\u0000", "\\ud800", "\n", "\"text\":"]),
    ) {
        let file = r#"{"person": {"name": {"parts": [{"type": 1, "text": "N"}]}, "births": [{"date": {"text": "1985", "year": 1985}}]}, "comments": "c"}"#;
        let mut bytes = file.as_bytes().to_vec();
        let at = at.index(bytes.len());
        bytes.splice(at..file.len().min(at + length), put.bytes());
        match from_json(&bytes) {
            Err(fault) => prop_assert!(fault.offset <= bytes.len()),
            Ok(read) => {
                let message = DynamicMessage::decode(descriptor(), read.as_slice()).expect("what we write, we read");
                prop_assert_eq!(judge(&message), Ok(()));
            }
        }
    }
}
