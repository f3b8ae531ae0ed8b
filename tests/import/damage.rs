//! Broken records are named and cost nobody else; files that are no list are refused.

use liaison::import::encoding::Encoding;
use liaison::import::un_list::{
    Fault, LIST_BYTES_MAX, SAMPLE, UNREADABLE_MAX, UNREADABLE_SHARE, UnListError, read,
};

use super::{FIXTURE, fixture};

fn sample() -> &'static str {
    str::from_utf8(SAMPLE).expect("the sample is UTF-8")
}

/// A list of one individual with this inside.
fn list_of(inside: &str) -> String {
    format!(
        "<CONSOLIDATED_LIST dateGenerated=\"2026-01-01T00:00:00Z\"><INDIVIDUALS><INDIVIDUAL>\
         <REFERENCE_NUMBER>UTi.001</REFERENCE_NUMBER>{inside}</INDIVIDUAL></INDIVIDUALS></CONSOLIDATED_LIST>"
    )
}

fn fault_of(file: &str) -> Fault {
    let list = read(file.as_bytes()).expect("still a list");
    let [unreadable] = list.unreadable.as_slice() else { panic!("one fault: {:?}", list.unreadable) };
    unreadable.reason.clone()
}

#[test]
fn records_that_cannot_be_read_are_named_and_the_rest_goes_on() {
    let list = fixture();
    let read: Vec<_> = list.entries.iter().map(|entry| entry.reference.as_str()).collect();
    assert_eq!(read, ["UTi.101", "UTi.102", "LPi.103", "LPi.104", "UTi.107", "UTe.110", "GBe.111"]);
    let named: Vec<_> = list
        .unreadable
        .iter()
        .map(|unreadable| (unreadable.reference.as_deref(), unreadable.reason.clone()))
        .collect();
    let tags = Fault::Tags { expected: "FIRST_NAME".into(), found: "SECOND_NAME".into() };
    let expected = [
        (Some("UTi.105"), tags),
        (Some("UTi.106"), Fault::Unclosed),
        (Some("UTi.108"), Fault::Entity("nobody".into())),
        (None, Fault::NoReference),
        (Some("GBe.111"), Fault::Repeated("GBe.111".into())),
        (Some("UTv.113"), Fault::Kind("VESSEL".into())),
    ];
    assert_eq!(named, expected);
    for unreadable in &list.unreadable {
        let before = &FIXTURE[..unreadable.offset];
        let lines = before.iter().filter(|byte| **byte == b'\n').count();
        assert_eq!(unreadable.line, lines + 1, "{unreadable:?}");
    }
}

#[test]
fn a_download_that_broke_off_is_not_taken_for_a_whole_list() {
    let half = &sample()[..sample().find("UTe.001</REFERENCE").expect("there") + 7];
    let list = read(half.as_bytes()).expect("still a list");
    assert_eq!(list.entries.len(), 3);
    assert_eq!(list.unreadable[0].reason, Fault::Truncated);
    assert_eq!(list.unreadable[0].reference.as_deref(), Some("UTe.001"));

    let without_end = sample().replace("</CONSOLIDATED_LIST>", "");
    let list = read(without_end.as_bytes()).expect("still a list");
    assert_eq!((list.entries.len(), list.unreadable.len()), (5, 1));
}

#[test]
fn one_wrong_byte_costs_one_record() {
    let at = sample().find("NOBODY").expect("there");
    let mut bytes = SAMPLE.to_vec();
    bytes[at] = 0xff;
    let list = read(&bytes).expect("still a list");
    assert_eq!(list.entries.len(), 4);
    let [unreadable] = list.unreadable.as_slice() else { panic!("one") };
    assert_eq!((unreadable.reference.as_deref(), &unreadable.reason), (Some("UTi.001"), &Fault::Characters));
}

#[test]
fn a_record_has_limits() {
    let deep = format!("{}x{}", "<A>".repeat(9), "</A>".repeat(9));
    let many = "<A/>".repeat(2_000);
    let long = format!("<COMMENTS1>{}</COMMENTS1>", "x".repeat(70_000));
    let large = format!("<A>{}</A>", "y".repeat(60_000)).repeat(5);
    let name = format!("<{0}/>", "N".repeat(100));
    for inside in [deep, many, long, large, name] {
        let fault = fault_of(&list_of(&inside));
        assert!(matches!(fault, Fault::TooLarge { .. }), "{fault:?}");
    }
}

#[test]
fn characters_that_xml_forbids_and_entities_that_nobody_defines_are_faults() {
    assert_eq!(fault_of(&list_of("<COMMENTS1>&#1;</COMMENTS1>")), Fault::Characters);
    assert_eq!(fault_of(&list_of("<COMMENTS1>&bomb;</COMMENTS1>")), Fault::Entity("bomb".into()));
    assert_eq!(fault_of(&list_of("<A b='&#1;'/>")), Fault::Characters);
    assert!(matches!(fault_of(&list_of("<A b='&bomb;'/>")), Fault::Syntax(_)));
    let key = list_of("").replace("UTi.001", "UTi/001");
    assert_eq!(fault_of(&key), Fault::Reference("UTi/001".into()));
}

#[test]
fn a_document_type_is_refused_wherever_it_stands() {
    let bomb = format!("<!DOCTYPE x [<!ENTITY bomb \"boom\">]>\n{}", list_of("<COMMENTS1>&bomb;</COMMENTS1>"));
    assert!(matches!(read(bomb.as_bytes()), Err(UnListError::DocumentType { line: 1 })));
    let later = list_of("").replace("<INDIVIDUALS>", "<!DOCTYPE x><INDIVIDUALS>");
    assert!(matches!(read(later.as_bytes()), Err(UnListError::DocumentType { .. })));
    assert!(matches!(fault_of(&list_of("<!DOCTYPE x>")), Fault::Syntax(_)));
}

#[test]
fn what_is_no_list_is_refused_whole() {
    for not_a_list in ["", " \n", "plain words", "<html><body/></html>", "<CONSOLIDATED_LIST", "\u{feff}", "<!--"] {
        let error = read(not_a_list.as_bytes()).expect_err("no list");
        assert!(matches!(error, UnListError::NotAList(_)), "{not_a_list:?}: {error:?}");
    }
    for without_date in ["<CONSOLIDATED_LIST></CONSOLIDATED_LIST>", "<CONSOLIDATED_LIST dateGenerated='May'/>"] {
        let error = read(without_date.as_bytes()).expect_err("no date");
        assert!(!matches!(error, UnListError::TooDamaged { .. }), "{error:?}");
    }
    let latin = "<?xml version='1.0' encoding='ISO-8859-1'?><CONSOLIDATED_LIST dateGenerated='2026-01-01'/>";
    let found = Encoding::Utf8;
    assert_eq!(read(latin.as_bytes()), Err(UnListError::Encoding { declared: Some("ISO-8859-1".into()), found }));
    let large = vec![b' '; LIST_BYTES_MAX + 1];
    assert!(matches!(read(&large), Err(UnListError::TooLarge { .. })));
}

#[test]
fn a_file_with_hardly_anything_readable_is_refused() {
    let noise = list_of("").replace("</INDIVIDUALS>", &"<NOISE/>".repeat(UNREADABLE_MAX + 1));
    assert!(matches!(read(noise.as_bytes()), Err(UnListError::TooDamaged { line: 1, .. })));
}

#[test]
fn a_byte_order_mark_and_windows_line_ends_change_nothing() {
    let plain = read(SAMPLE).expect("a list");
    let windows = format!("\u{feff}{}", sample().replace('\n', "\r\n"));
    let list = read(windows.as_bytes()).expect("a list");
    assert_eq!(list.entries, plain.entries);
    assert!(list.unreadable.is_empty());
}

/// A list of so many records, of which some hold a letter beyond ASCII.
fn with_letters(records: usize, letters: usize) -> String {
    let record = |nth: usize| {
        let name = if nth < letters { "RENÉ" } else { "RENE" };
        format!(
            "<INDIVIDUAL><REFERENCE_NUMBER>UTi.{nth:03}</REFERENCE_NUMBER><FIRST_NAME>{name}</FIRST_NAME></INDIVIDUAL>\n"
        )
    };
    let records: String = (0..records).map(record).collect();
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<CONSOLIDATED_LIST dateGenerated=\"2026-01-01T00:00:00Z\"><INDIVIDUALS>\n\
         {records}</INDIVIDUALS></CONSOLIDATED_LIST>"
    )
}

fn windows_1252(text: &str) -> Vec<u8> {
    text.chars().map(|character| u8::try_from(character).expect("of Latin-1")).collect()
}

/// Nearly half of a list in windows-1252 is unreadable as UTF-8; the other half went out, and nobody was told why.
#[test]
fn a_list_of_which_much_is_unreadable_is_refused_with_what_its_bytes_are() {
    let list = read(&windows_1252(&with_letters(100, 45))).expect("a list");
    let refused = list.is_readable_enough().expect_err("45 % is missing").to_string();
    assert_eq!(
        refused,
        "45 of 100 records cannot be read, more than one in 20, the first on line 3: a byte that is not UTF-8, or a character that XML \
         forbids; the file says that it is in UTF-8, and its bytes are an encoding of single bytes such as windows-1252 (first 0xC9 at \
         byte 180)"
    );
    // Half of it in UTF-8: two lists put together, or an editor's work.
    let text = with_letters(100, 45);
    let half = text.len() / 3;
    let mixed = [&text.as_bytes()[..half], &windows_1252(&text[half..])].concat();
    let refused = read(&mixed).expect("a list").is_readable_enough().expect_err("much is missing");
    assert!(refused.to_string().contains("its bytes are UTF-8 mixed with bytes of another encoding"), "{refused}");

    // Right at the share it is sent, and with one more it is not; one broken record is no damage of the file.
    for (records, broken, enough) in [
        (5 * UNREADABLE_SHARE, 5, true),
        (5 * UNREADABLE_SHARE, 6, false),
        (2 * UNREADABLE_SHARE, 2, true),
        (2, 1, true),
        (5, 2, false),
        (1, 1, true),
    ] {
        let list = read(&windows_1252(&with_letters(records, broken))).expect("a list");
        assert_eq!(list.unreadable.len(), broken);
        assert_eq!(list.is_readable_enough().is_ok(), enough, "{broken} of {records}");
        assert!(matches!(list.encoding, Encoding::SingleByte(_)));
    }
    assert_eq!(read(with_letters(100, 45).as_bytes()).expect("a list").encoding, Encoding::Utf8);
    // Not the encoding: keys that cannot name a notice.
    let keyless = with_letters(100, 0).replace("UTi.00", "UT/i.00");
    let refused = read(keyless.as_bytes()).expect("a list").is_readable_enough().expect_err("ten have no such key");
    assert!(refused.to_string().ends_with("its bytes are UTF-8"), "{refused}");
}

#[test]
fn a_wrong_encoding_is_refused_with_what_is_declared_and_what_is_found() {
    let list = with_letters(3, 1);
    let declared = |name: &str| list.replace("\"UTF-8\"", &format!("\"{name}\""));
    let utf16 =
        |text: &str, bytes: fn(u16) -> [u8; 2]| -> Vec<u8> { text.encode_utf16().flat_map(bytes).collect() };
    let marked = |text: &str| format!("\u{feff}{text}");
    for (bytes, said, found) in [
        (
            windows_1252(&declared("windows-1252")),
            "windows-1252",
            "an encoding of single bytes such as windows-1252",
        ),
        (declared("windows-1252").into(), "windows-1252", "UTF-8"),
        (declared("ISO-8859-1").into(), "ISO-8859-1", "UTF-8"),
        (declared("UTF-16").into(), "UTF-16", "UTF-8"),
        (declared("utf8").into(), "utf8", "UTF-8"),
        (utf16(&marked(&declared("UTF-16")), u16::to_le_bytes), "UTF-16", "UTF-16"),
        (utf16(&marked(&declared("UTF-16")), u16::to_be_bytes), "UTF-16", "UTF-16"),
        (utf16(&declared("UTF-16"), u16::to_le_bytes), "UTF-16", "UTF-16"),
        (utf16(&list, u16::to_be_bytes), "UTF-8", "UTF-16"),
        (utf16(&marked("<CONSOLIDATED_LIST/>"), u16::to_le_bytes), "UTF-8, by saying nothing", "UTF-16"),
    ] {
        let refused = read(&bytes).expect_err(said).to_string();
        let expected = format!("the file says that it is in {said}, its bytes are {found}");
        assert!(refused.starts_with(&expected), "{refused}");
    }
    assert!(read(declared("utf-8").as_bytes()).is_ok());
    assert!(read(marked(&list).as_bytes()).is_ok());
}

#[test]
fn a_list_without_its_end_or_without_records_is_not_sent_in_part() {
    let list = with_letters(100, 0);
    for kept in [list.len() - 1, list.len() - 20, list.len() / 2] {
        let cut = read(&list.as_bytes()[..kept]).expect("still a list");
        assert!(matches!(cut.is_readable_enough(), Err(UnListError::Truncated { .. })), "{kept}");
    }
    let empty = read(with_letters(0, 0).as_bytes()).expect("still a list");
    assert!(matches!(empty.is_readable_enough(), Err(UnListError::NotAList(_))));
    assert_eq!(read(list.as_bytes()).expect("a list").is_readable_enough(), Ok(()));
}
