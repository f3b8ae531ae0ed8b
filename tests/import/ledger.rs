//! A ledger is read back as it was written, or refused with the line that is wrong.

use liaison::import::ledger::{BadLedger, LEDGER_BYTES_MAX, Ledger, Owner};
use liaison::import::{Edition, Facts, assumed, un_list};
use liaison_protocol::id::{Hash, NetworkId};

use super::fixture;
use super::motion::owner;

fn ledger() -> Ledger {
    assumed(&Edition::from(&fixture()))
}

fn refused(text: &str) -> String {
    Ledger::decode(text.as_bytes(), &owner()).expect_err("refused").to_string()
}

#[test]
fn a_ledger_is_read_back_as_it_was_written() {
    let text = ledger().encode(&owner());
    assert_eq!(Ledger::decode(text.as_bytes(), &owner()).expect("as it was written"), ledger());
    assert_eq!(text.lines().count(), 1 + 7);
    let empty = Ledger::default().encode(&owner());
    assert_eq!(Ledger::decode(empty.as_bytes(), &owner()).expect("of nothing"), Ledger::default());
}

#[test]
fn a_ledger_of_others_or_a_damaged_one_is_refused_with_its_line() {
    let text = ledger().encode(&owner());
    let others = [
        Owner { network: NetworkId(Hash([8; 32])), ..owner() },
        Owner { partner: "FR".parse().expect("a partner"), ..owner() },
        Owner { list: "interpol", ..owner() },
    ];
    for other in others {
        let refused = Ledger::decode(text.as_bytes(), &other);
        assert!(matches!(refused, Err(BadLedger::NotYours { .. })), "{refused:?}");
    }
    let lines: Vec<_> = text.lines().collect();
    let without_last = lines[..7].join("\n");
    assert_eq!(refused(&without_last), "its first line promises 7 subjects, and it has 6");
    assert_eq!(refused(&text[..text.len() - 9]).split(':').next(), Some("line 8"));
    assert_eq!(refused(&text.replace("\"format\":1", "\"format\":2")), "it has format 2, and this program knows 1");
    assert_eq!(refused(&format!("{text}{}\n", lines[3])), "line 9: the subject stands in an earlier line too");
    assert!(refused(&text.replacen("sha256:", "md5:", 2)).starts_with("it is of network md5:"));
    assert!(refused(&text.replace("\"in_force\":true", "\"in_force\":1")).starts_with("line 2: "));
    assert!(refused(&text.replace("\"summary\"", "\"sumary\"")).starts_with("line 2: unknown field"));
    assert_eq!(refused(""), "line 1: it is empty");
    let latin = Ledger::decode(b"{\"format\xff", &owner());
    assert!(matches!(latin, Err(BadLedger::NotText(8))), "{latin:?}");
    let large = vec![b' '; LEDGER_BYTES_MAX + 1];
    assert!(matches!(Ledger::decode(&large, &owner()), Err(BadLedger::TooLarge(_))));
}

/// Ledgers outlive releases: were facts read by other rules, every subject would look changed.
#[test]
fn the_facts_of_a_content_are_digested_as_in_every_release() {
    let list = un_list::read(un_list::SAMPLE).expect("a list");
    let digests = Facts::of(&list.entries[0].content).digests();
    assert_eq!(
        (digests.substance.to_hex().as_str(), digests.all.to_hex().as_str()),
        (
            "7dc7c7fd51924c1e09727766d9919ea8447ec9c367fbd3a6dd34afb797fc4800",
            "bd3dbf1f1b05c11ad074799ae48caa1f95fee1972939ea465620ed355bd8307a",
        )
    );
}
