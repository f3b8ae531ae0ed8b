//! From one edition to the next: every kind of change, and every way of being interrupted, in made-up lists.

use liaison::import::ledger::Sent;
use liaison::import::un_list::read;
use liaison::import::{Action, Edition, Rules, Threshold, plan};
use liaison_protocol::proto::{ChangeType, RelationType, content::Body};

use super::lists::{ALI, EVE, FEBRUARY, GUILD, JANUARY, MARCH, edition, importer_of, list};
use super::motion::{Importer, counts};

#[test]
fn a_subject_that_is_new_changed_or_gone_gets_the_one_notice_that_says_so() {
    let january = edition(JANUARY, &[ALI, EVE, GUILD]);
    let mut importer = importer_of(&january);
    let amended = ("LPi.001", "<FIRST_NAME>EVE SPECIMEN</FIRST_NAME><TITLE><VALUE>Dr.</VALUE></TITLE>");
    let february = edition(FEBRUARY, &[("UTi.002", "<FIRST_NAME>NEW NOBODY</FIRST_NAME>"), GUILD, amended]);
    let step = importer.run(Some(&january), &february);
    let told: Vec<_> = step
        .items
        .iter()
        .map(|item| {
            let relation = item.notice.relation.as_ref();
            let related = relation.map(|relation| (relation.kind, relation.reference.to_string()));
            (item.key.as_str(), item.action, item.notice.reference.as_str(), related)
        })
        .collect();
    let january_of = |key: &str| format!("UN/{key}/2026-01-01");
    assert_eq!(
        told,
        [
            ("UTi.002", Action::Listed, "UN/UTi.002/2026-02-01", None),
            (
                "LPi.001",
                Action::Amended,
                "UN/LPi.001/2026-02-01",
                Some((RelationType::Amends, january_of("LPi.001")))
            ),
            (
                "UTi.001",
                Action::Delisted,
                "UN/UTi.001/2026-02-01",
                Some((RelationType::Cancels, january_of("UTi.001")))
            ),
        ]
    );
    assert_eq!((step.unchanged, importer.recipient.subjects().len()), (1, 3));
    for item in &step.items {
        if let Some(relation) = &item.notice.relation {
            let (notice, _) = &importer.taken[relation.reference.as_str()];
            assert_eq!(*notice, relation.notice, "the relation names the notice that was sent");
        }
    }

    let amendment = step.items[1].notice.content.change.as_ref().expect("it says what changed");
    assert_eq!(amendment.r#type(), ChangeType::Amended);
    assert_eq!((amendment.since.as_str(), amendment.edition.as_str()), (JANUARY, FEBRUARY));
    let [title] = amendment.fields.as_slice() else { panic!("one field: {:?}", amendment.fields) };
    assert_eq!(
        (title.field.as_str(), title.before.len(), title.after.as_slice()),
        ("title", 0, &["Dr.".to_owned()][..])
    );
    let whole = &step.items[1].notice.content;
    assert!(matches!(&whole.body, Some(Body::Person(person)) if person.name.is_some()), "beside the whole content");

    let withdrawal = &step.items[2].notice;
    assert_eq!(withdrawal.subject, "delisted: UTi.001 ALI EXAMPLE");
    assert_eq!(withdrawal.content.change.as_ref().map(|change| change.r#type()), Some(ChangeType::Delisted));
}

#[test]
fn what_is_a_change_and_what_is_only_another_way_of_writing_it() {
    let alias = |name: &str| {
        format!("<INDIVIDUAL_ALIAS><QUALITY>Good</QUALITY><ALIAS_NAME>{name}</ALIAS_NAME></INDIVIDUAL_ALIAS>")
    };
    let two = [alias("Nemo"), alias("Niemand")].concat();
    let link = "INTERPOL-UN Security Council Special Notice web link: https://notices.example/un/";
    let review = "Review pursuant to Security Council resolution 1822 (2008) was concluded on 15 Jun. 2010.";
    let comment = |text: &str| format!("<COMMENTS1>{text}</COMMENTS1>");
    let born = |inside: &str| format!("<INDIVIDUAL_DATE_OF_BIRTH>{inside}</INDIVIDUAL_DATE_OF_BIRTH>");
    let row = |name: &str, before: &str, after: &str, changed: [&[&str]; 2]| {
        let january = edition(JANUARY, &[("UTi.001", before), EVE, GUILD]);
        let february = edition(FEBRUARY, &[EVE, GUILD, ("UTi.001", after)]);
        for (threshold, changed) in [Threshold::Substance, Threshold::AnyChange].into_iter().zip(changed) {
            let mut importer = importer_of(&january);
            importer.rules = Rules { threshold, many: false };
            let step = importer.run(Some(&january), &february);
            let fields: Vec<_> = step.items.iter().flat_map(|item| item.changed()).collect();
            assert_eq!(fields, changed, "{name}, {threshold:?}");
            assert_eq!(counts(&step), [0, usize::from(!changed.is_empty()), 0, 0], "{name}, {threshold:?}");
            importer.recipient.assert_is(&february, threshold);
        }
    };
    let same = [&[][..], &[]];
    let detail = |field: &'static str| [Vec::new(), vec![field]];
    // Not a change at all.
    row("order of aliases", &two, &[alias("Niemand"), alias("Nemo")].concat(), same);
    row("an alias twice", &two, &[two.clone(), alias("Nemo")].concat(), same);
    row("white space", &comment("a\n   b"), &comment(" a b "), same);
    row(
        "placeholders",
        "",
        "<INDIVIDUAL_ALIAS><QUALITY/><ALIAS_NAME/></INDIVIDUAL_ALIAS><INDIVIDUAL_DOCUMENT/>",
        same,
    );
    row("an empty element nobody knows", "", "<EYES/>", same);
    row(
        "the record's number",
        "<DATAID>1</DATAID><VERSIONNUM>1</VERSIONNUM>",
        "<DATAID>6</DATAID><VERSIONNUM/>",
        same,
    );
    row("a zone", "<LISTED_ON>2015-07-01-04:00</LISTED_ON>", "<LISTED_ON>2015-07-01</LISTED_ON>", same);
    row(
        "capitals of a type",
        &born("<TYPE_OF_DATE>EXACT</TYPE_OF_DATE><YEAR>1970</YEAR>"),
        &born("<YEAR>1970</YEAR><TYPE_OF_DATE>Exact</TYPE_OF_DATE>"),
        same,
    );
    row("sort keys", "<SORT_KEY>A</SORT_KEY>", "<SORT_KEY>B</SORT_KEY>", same);
    // A change of details.
    for (name, before, after, field) in [
        (
            "a link's element",
            String::new(),
            "<HAS_INTERPOL_LINK>YES</HAS_INTERPOL_LINK>".to_owned(),
            "INTERPOL notice",
        ),
        (
            "a link moves",
            comment(&format!("Lost. {link}1")),
            comment(&format!("Lost. {link}2")),
            "INTERPOL link in the comment",
        ),
        ("a link goes", comment(&format!("Lost. {link}1")), comment("Lost."), "INTERPOL link in the comment"),
        ("a review is told", comment("Lost."), comment(&format!("Lost. {review}")), "review in the comment"),
        (
            "a review's element",
            String::new(),
            "<LAST_REVIEWED_ON><VALUE>2010-06-15</VALUE></LAST_REVIEWED_ON>".to_owned(),
            "reviewed on",
        ),
        ("an element nobody knows", String::new(), "<EYES>grey</EYES>".to_owned(), "unknown field"),
    ] {
        let [substance, any] = detail(field);
        row(name, &before, &after, [&substance, &any]);
    }
    // A change of substance.
    for (name, before, after, field) in [
        ("a name", "<FIRST_NAME>A</FIRST_NAME>".to_owned(), "<FIRST_NAME>B</FIRST_NAME>".to_owned(), "name"),
        ("original script", String::new(), "<NAME_ORIGINAL_SCRIPT>مثال</NAME_ORIGINAL_SCRIPT>".to_owned(), "name"),
        ("an alias goes", two.clone(), alias("Nemo"), "alias"),
        ("a quality", alias("Nemo"), alias("Nemo").replace("Good", "Low"), "alias"),
        ("a birth", born("<YEAR>1970</YEAR>"), born("<YEAR>1971</YEAR>"), "birth"),
        (
            "words of a comment",
            comment(&format!("Lost. {review}")),
            comment(&format!("Found. {review}")),
            "comment",
        ),
        (
            "an update without a word",
            String::new(),
            "<LAST_DAY_UPDATED><VALUE>2026-01-30</VALUE></LAST_DAY_UPDATED>".to_owned(),
            "updated on",
        ),
        ("a gender nobody knows", String::new(), "<GENDER>Undecided</GENDER>".to_owned(), "more"),
        (
            "a nationality",
            String::new(),
            "<NATIONALITY><VALUE>Utopia</VALUE></NATIONALITY>".to_owned(),
            "nationality",
        ),
        (
            "an address",
            String::new(),
            "<INDIVIDUAL_ADDRESS><CITY>Amaurot</CITY></INDIVIDUAL_ADDRESS>".to_owned(),
            "address",
        ),
        (
            "a document",
            String::new(),
            "<INDIVIDUAL_DOCUMENT><NUMBER>7</NUMBER></INDIVIDUAL_DOCUMENT>".to_owned(),
            "document",
        ),
    ] {
        row(name, &before, &after, [&[field], &[field]]);
    }
}

#[test]
fn a_key_with_blemishes_is_the_same_subject() {
    let january = edition(JANUARY, &[("UTI.001.", ALI.1), ("LPi.001 ", EVE.1), GUILD]);
    let step = importer_of(&january).run(Some(&january), &edition(FEBRUARY, &[ALI, EVE, GUILD]));
    assert_eq!((counts(&step), step.unchanged), ([0; 4], 3));
}

#[test]
fn who_is_listed_again_gets_a_new_notice_that_says_so_and_can_go_again() {
    let (with, without) = ([ALI, EVE, GUILD], [EVE, GUILD]);
    let january = edition(JANUARY, &with);
    let mut importer = importer_of(&january);
    let february = edition(FEBRUARY, &without);
    let gone = importer.run(Some(&january), &february);
    let march = edition(MARCH, &with);
    let back = importer.run(Some(&february), &march);
    assert_eq!((counts(&gone), counts(&back)), ([0, 0, 1, 0], [0, 0, 0, 1]));
    let notice = &back.items[0].notice;
    assert_eq!(notice.relation, None, "what was cancelled cannot be amended");
    let change = notice.content.change.as_ref().expect("it says so");
    assert_eq!(change.r#type(), ChangeType::Relisted);
    assert_eq!(change.earlier_reference, "UN/UTi.001/2026-02-01");
    assert_eq!(change.earlier_notice_id, importer.taken["UN/UTi.001/2026-02-01"].0.to_bytes());
    importer.recipient.assert_is(&march, Threshold::AnyChange);

    let april = edition("2026-04-01T00:00:00Z", &without);
    assert_eq!(counts(&importer.run(Some(&march), &april)), [0, 0, 1, 0]);
    importer.recipient.assert_is(&april, Threshold::AnyChange);
}

#[test]
fn two_editions_of_one_day_name_different_notices() {
    let morning = edition("2026-01-01T01:00:00Z", &[ALI, EVE, GUILD]);
    let mut importer = importer_of(&morning);
    let mut last = morning;
    for (hour, expected) in [(2, "UN/UTi.001/2026-01-01.2"), (3, "UN/UTi.001/2026-01-01.3")] {
        let name = format!("<FIRST_NAME>ALI {hour}</FIRST_NAME>");
        let next = edition(&format!("2026-01-01T0{hour}:00:00Z"), &[("UTi.001", &name), EVE, GUILD]);
        let step = importer.run(Some(&last), &next);
        assert_eq!(step.items[0].notice.reference, expected);
        last = next;
    }
    importer.recipient.assert_is(&last, Threshold::AnyChange);
}

/// Killed at every place between two notices, with and without the last ones written down: the same command finishes the step.
#[test]
fn a_step_that_was_cut_off_anywhere_is_finished_by_the_same_step() {
    let january = edition(JANUARY, &[ALI, EVE, GUILD]);
    let changed = ("UTi.001", "<FIRST_NAME>ALI CHANGED</FIRST_NAME>");
    let february = edition(FEBRUARY, &[("ATi.009", "<FIRST_NAME>NEW</FIRST_NAME>"), changed, GUILD]);
    for (taken, written) in [(0, 0), (1, 0), (1, 1), (2, 0), (2, 1), (3, 0), (3, 2), (3, 3)] {
        let mut importer = importer_of(&january);
        let step = importer.decide(Some(&january), &february).expect("a step");
        assert_eq!(step.items.len(), 3);
        for (nth, item) in step.items[..taken].iter().enumerate() {
            if nth < written {
                importer.send(item);
            } else {
                importer.deliver(&item.notice);
            }
        }
        // The process is gone. The next one finds the ledger, and the node answers for what is not in it.
        let again = importer.decide(Some(&january), &february).expect("the same step");
        assert_eq!(again.items.len(), 3 - written, "{taken} taken, {written} written");
        let mut sent = 0;
        for item in &again.items {
            match importer.taken.get(&item.notice.reference).cloned() {
                Some((notice, planned)) => {
                    let reference = planned.reference.parse().expect("a reference");
                    let found = Sent::of(reference, notice, planned.relation.as_ref(), &planned.content);
                    assert_eq!(
                        (&planned.relation, found.digests),
                        (&item.notice.relation, item.notice.sent(found.reference.clone(), notice).digests)
                    );
                    importer.learn(&item.key, found);
                }
                None => {
                    importer.send(item);
                    sent += 1;
                }
            }
        }
        assert_eq!(sent, 3 - taken, "nothing is sent twice");
        importer.recipient.assert_is(&february, Threshold::AnyChange);
        assert_eq!(importer.decide(Some(&january), &february).expect("again").items, []);
        // Cut off after the last notice and before the step was called complete: the next edition follows the older one as well.
        let march = edition(MARCH, &[changed, GUILD]);
        importer.run(Some(&january), &march);
        importer.recipient.assert_is(&march, Threshold::AnyChange);
    }
}

#[test]
fn the_first_edition_is_planned_as_it_always_was() {
    let list = read(list(JANUARY, &[ALI, EVE, GUILD]).as_bytes()).expect("a list");
    let step = Importer::default().decide(None, &Edition::from(&list)).expect("a step");
    assert_eq!(step.items.into_iter().map(|item| item.notice).collect::<Vec<_>>(), plan(&list));
}
