//! `liaison doctor`: from a healthy network on which every check is content, each story breaks one thing, and exactly that check
//! says so. Where the fix is a command, it is run, and everything is well again.

mod beside;
mod line;
mod mailbox;
mod partner;
mod place;
mod pre;

use std::collections::BTreeSet;

/// Codes whose break cannot be staged: a clock that is off, a full disk, a crowd. They are broken on made-up facts, beside the code.
const ON_MADE_UP_FACTS: &[&str] = &["C04", "C09", "H02", "H03", "M01", "M02", "M03"];

/// Codes with a story of their own, beside the tables.
const ON_THEIR_OWN: &[&str] = &["H01", "S01"];

#[test]
fn every_check_of_the_page_is_broken_by_a_story() {
    let page = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/DOCTOR.md");
    let page = std::fs::read_to_string(page).unwrap();
    let listed: BTreeSet<_> =
        page.split("### <a id=\"").skip(1).map(|section| section.split('"').next().unwrap().to_string()).collect();
    let staged = [pre::ROWS, beside::ROWS, partner::ROWS].concat().into_iter().flat_map(|row| row.amiss);
    let apart = ON_MADE_UP_FACTS.iter().chain(ON_THEIR_OWN).copied();
    let broken: BTreeSet<_> = staged.map(|(code, _)| *code).chain(apart).map(String::from).collect();
    assert_eq!(broken, listed);
    assert!(listed.len() >= 25, "{listed:?}");
}
