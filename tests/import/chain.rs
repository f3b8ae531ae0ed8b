//! All dates of the real list, one after another: after each step the notices in force are the newer file's entries, and the same
//! step again sends nothing.

use liaison::import::un_list::read;
use liaison::import::{Edition, Rules, StepRefused, Threshold};

use super::motion::{Importer, counts};
use super::published::published;

fn editions() -> Vec<(String, Edition)> {
    let whole = published().into_iter().filter(|(name, _)| {
        name.starts_with("un-consolidated-") && !name.contains("excerpt")
    });
    whole.map(|(name, bytes)| (name, Edition::from(&read(&bytes).expect("a list")))).collect()
}

fn chain(threshold: Threshold) -> Vec<[usize; 4]> {
    let mut importer = Importer { rules: Rules { threshold, many: true }, ..Importer::default() };
    let (mut since, mut all) = (None, Vec::new());
    for (name, edition) in editions() {
        let step = importer.run(since.as_ref(), &edition);
        println!("{name}: {:?}, unchanged {}, details differ {}", counts(&step), step.unchanged, step.details_differ);
        importer.recipient.assert_is(&edition, threshold);
        let again = importer.decide(since.as_ref(), &edition).expect("the same step again");
        assert_eq!((again.items.len(), again.unchanged), (0, edition.subjects.len()), "{name}");
        all.push(counts(&step));
        since = Some(edition);
    }
    all
}

#[test]
fn every_date_of_the_list_follows_the_one_before() {
    println!("{:?}", chain(Threshold::Substance));
}

#[test]
fn every_date_of_the_list_follows_the_one_before_in_every_detail() {
    println!("{:?}", chain(Threshold::AnyChange));
}
