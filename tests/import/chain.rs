//! All dates of the real list, one after another: after each step the notices in force are the newer file's entries, and the same
//! step again sends nothing.

use std::sync::LazyLock;

use liaison::import::un_list::read;
use liaison::import::{Edition, Facts, Rules, StepRefused, Threshold};

use super::motion::{Importer, counts};
use super::published::published;

/// Every published list by its name: the whole ones in order, a committee's, and an excerpt.
static PUBLISHED: LazyLock<Vec<(String, Edition)>> = LazyLock::new(|| {
    let editions = published().into_iter();
    editions.map(|(name, bytes)| (name, Edition::from(&read(&bytes).expect("a list")))).collect()
});

fn whole() -> impl Iterator<Item = &'static (String, Edition)> {
    PUBLISHED.iter().filter(|(name, _)| name.starts_with("un-consolidated-") && !name.contains("excerpt"))
}

fn named(name: &str) -> Option<&'static Edition> {
    PUBLISHED.iter().find(|(found, _)| found == name).map(|(_, edition)| edition)
}

/// Listed, amended, delisted, relisted: what each date brings where links and reviews do not count, and where everything does.
const STEPS: [(&str, [usize; 4], [usize; 4]); 9] = [
    ("un-consolidated-2015-03-27.xml", [1_046, 0, 0, 0], [1_046, 0, 0, 0]),
    ("un-consolidated-2017-07-03.xml", [143, 666, 168, 0], [143, 756, 168, 0]),
    ("un-consolidated-2020-11-30.xml", [123, 210, 126, 0], [123, 568, 126, 0]),
    ("un-consolidated-2020-12-01.xml", [0, 0, 12, 0], [0, 0, 12, 0]),
    ("un-consolidated-2025-04-19.xml", [45, 435, 174, 0], [45, 463, 174, 0]),
    ("un-consolidated-2025-11-20.xml", [5, 9, 3, 121], [5, 16, 3, 121]),
    ("un-consolidated-2025-12-10.xml", [0, 0, 1, 0], [0, 2, 1, 0]),
    ("un-consolidated-2026-02-27.xml", [4, 0, 0, 0], [4, 0, 0, 0]),
    ("un-consolidated-2026-05-08.xml", [7, 29, 1, 0], [7, 1_002, 1, 0]),
];

fn chain(threshold: Threshold) {
    let mut importer = Importer { rules: Rules { threshold, many: true }, ..Importer::default() };
    let (mut since, mut steps): (Option<&Edition>, _) = (None, Vec::new());
    for (name, edition) in whole() {
        let step = importer.run(since, edition);
        importer.recipient.assert_is(edition, threshold);
        let again = importer.decide(since, edition).expect("the same step again");
        assert_eq!((again.items.len(), again.unchanged), (0, edition.subjects.len()), "{name}");
        let known = STEPS.iter().find(|(known, ..)| known == name);
        steps.extend(known.map(|(_, substance, any)| {
            (name, counts(&step), if threshold == Threshold::Substance { *substance } else { *any })
        }));
        since = Some(edition);
    }
    let found: Vec<_> = steps.iter().map(|(name, found, _)| (name, found)).collect();
    let expected: Vec<_> = steps.iter().map(|(name, _, expected)| (name, expected)).collect();
    assert_eq!(found, expected);
}

#[test]
fn every_date_of_the_list_follows_the_one_before() {
    chain(Threshold::Substance);
}

#[test]
fn every_date_of_the_list_follows_the_one_before_in_every_detail() {
    chain(Threshold::AnyChange);
}

#[test]
fn a_new_element_in_every_record_asks_before_it_sends_a_thousand_notices() {
    let dates = ["un-consolidated-2026-02-27.xml", "un-consolidated-2026-05-08.xml"].map(named);
    let [Some(february), Some(may)] = dates else { return };
    let mut importer = Importer::default();
    importer.run(None, february);
    importer.rules = Rules { threshold: Threshold::AnyChange, many: false };
    let refused = importer.decide(Some(february), may);
    assert!(matches!(refused, Err(StepRefused::TooMany { count: 1_002, in_force: 1_003, .. })), "{refused:?}");
}

#[test]
fn a_committees_list_is_not_taken_for_the_whole() {
    let dates = ["un-consolidated-2015-03-27.xml", "un-committee-1267-2015-03-26.xml"].map(named);
    let [Some(whole), Some(committee)] = dates else { return };
    let later = Edition { generated: Some("2015-04-01T00:00:00Z".into()), ..committee.clone() };
    let mut importer = Importer { rules: Rules { many: true, ..Rules::default() }, ..Importer::default() };
    importer.run(None, whole);
    let refused = importer.decide(Some(whole), &later).expect_err("a part");
    assert!(matches!(refused, StepRefused::PartOfAList { some: 305, all: 1_046, .. }), "{refused:?}");
    assert!(matches!(importer.decide(Some(whole), committee), Err(StepRefused::Older { .. })));
}

#[test]
fn reviews_that_moved_into_an_element_of_their_own_are_no_amendment() {
    let dates = ["un-consolidated-2026-05-08.xml", "un-consolidated-2026-09-09-excerpt.xml"].map(named);
    let [Some(may), Some(excerpt)] = dates else { return };
    assert_eq!(excerpt.subjects.len(), 7);
    let (mut moved, mut amended) = (0, Vec::new());
    for after in &excerpt.subjects {
        let before = may.subjects.iter().find(|before| before.key == after.key).expect("listed in May");
        let (before, after) = (Facts::of(&before.content), Facts::of(&after.content));
        moved += usize::from(before != after);
        if before.digests().substance != after.digests().substance {
            amended.extend(before.changes(&after).into_iter().map(|change| change.field));
        }
    }
    assert!(moved > 3, "most of them have been reviewed");
    // One comment says that another subject it names is no longer listed.
    assert_eq!(amended, ["comment", "review in the comment", "reviewed on"]);
}
