//! Broken records are named and cost nobody else; files that are no list are refused.

use liaison::import::un_list::{Fault, LIST_BYTES_MAX, SAMPLE, UNREADABLE_MAX, UnListError, read};

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
    assert_eq!(read(latin.as_bytes()), Err(UnListError::Encoding("ISO-8859-1".into())));
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
