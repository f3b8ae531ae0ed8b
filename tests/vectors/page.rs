//! docs/PROTOCOL.md shows one notice in bytes, and the limits; here both are proven to be the truth.

use std::collections::BTreeMap;

use liaison_protocol::limits;
use serde_json::Value;

const PAGE: &str = include_str!("../../docs/PROTOCOL.md");

/// The example: labels, each with its hexadecimal digits over one line or more.
fn example() -> BTreeMap<&'static str, String> {
    let block = PAGE.split("```hex\n").nth(1).and_then(|rest| rest.split("```").next()).expect("an example");
    let mut values: BTreeMap<_, String> = BTreeMap::new();
    let mut label = "";
    for line in block.lines() {
        let (name, digits) = line.split_at(20);
        if !name.trim().is_empty() {
            label = name.trim();
        }
        values.entry(label).or_default().push_str(digits);
    }
    values
}

fn named<'f>(file: &'f Value, list: &str, name: &str) -> &'f Value {
    let cases = file[list].as_array().expect("a list of the file");
    cases.iter().find(|case| case["name"] == name).expect("a vector of this name")
}

#[test]
fn the_example_in_the_page_is_the_vectors_own() {
    let manifests: Value = super::read("manifest.json");
    let statements: Value = super::read("statement.json");
    let basics: Value = super::read("basics.json");
    let text = |value: &Value| value.as_str().expect("text").trim_start_matches("sha256:").to_string();
    let notice = named(&manifests, "cases", "as it should be");
    let key = named(&manifests, "keys", "arden-notice");
    let part = named(&basics, "commitments", "content");
    let accepted = named(&statements, "cases", "Accepted");
    let example = example();
    let rows = [
        ("part salt", text(&part["salt"])),
        ("part bytes", text(&part["bytes"])),
        ("part commitment", text(&part["commitment"])),
        ("NoticeId", text(&notice["expect"]["accept"]["notice_id"])),
        ("public key", text(&key["key"])),
        ("key id", text(&key["id"])),
        ("statement", text(&accepted["statement"])),
        ("statement salt", text(&accepted["salt"])),
        ("leaf", text(&accepted["expect"]["accept"]["leaf"])),
        ("leaf hash", text(&accepted["expect"]["accept"]["leaf_hash"])),
    ];
    for (label, expected) in &rows {
        assert_eq!(example[label], *expected, "{label}");
    }
    // What the envelope is made of, and what is signed.
    let envelope = text(&notice["envelope"]);
    for label in ["payload", "signature"] {
        assert!(envelope.contains(&example[label]), "{label}");
    }
    assert!(example["payload"].contains(&example["part commitment"]));
    let payload = super::cases::world::unhex(&example["payload"]);
    let payload_type = liaison_protocol::envelope::MANIFEST_TYPE;
    let encoding = liaison_protocol::envelope::pre_authentication_encoding(payload_type, &payload);
    assert_eq!(example["encoding"], super::cases::world::hex(&encoding));
    assert_eq!(example.len(), rows.len() + 3, "every line of the example is checked");
}

#[test]
fn the_limits_in_the_page_are_those_of_the_code() {
    let second = liaison_protocol::id::Micros::SECOND;
    let rows: [(&str, i64); 20] = [
        ("envelope, bytes", limits::ENVELOPE_BYTES_MAX as i64),
        ("manifest, bytes", limits::MANIFEST_BYTES_MAX as i64),
        ("parts of a notice", limits::PARTS_MAX as i64),
        ("content of a request, bytes", limits::CONTENT_BYTES_MAX as i64),
        ("partners named, or exempted", limits::AUDIENCE_PARTNERS_MAX as i64),
        ("groups named", limits::AUDIENCE_GROUPS_MAX as i64),
        ("items of one acknowledgement", limits::ITEMS_MAX as i64),
        ("reason, bytes", limits::REASON_BYTES_MAX as i64),
        ("restriction or legal basis, bytes", limits::WORDS_BYTES_MAX as i64),
        ("signatures of an envelope", limits::SIGNATURES_MAX as i64),
        ("agreements of an acceptance", limits::AGREEMENTS_MAX as i64),
        ("items of a receipt file", limits::RECEIPT_ITEMS_MAX as i64),
        ("records of a receipt file", limits::RECEIPT_RECORDS_MAX as i64),
        ("records of a directory", limits::RECORDS_MAX as i64),
        ("record, bytes", limits::RECORD_BYTES_MAX as i64),
        ("note, bytes", limits::NOTE_BYTES_MAX as i64),
        ("receipt file, bytes", limits::RECEIPT_BYTES_MAX as i64),
        ("issued ahead, seconds", limits::AHEAD_MAX_US / second),
        ("issued ago, seconds", limits::AGE_MAX_US / second),
        ("lifetime, seconds", limits::LIFETIME_MAX_US / second),
    ];
    for (what, most) in rows {
        assert!(PAGE.contains(&format!("| {what} | {most} |")), "{what}: {most}");
    }
}
