//! Files that are not what they seem, lists that cannot be read whole, and changes of nearly everything: nothing is sent.

use liaison::import::un_list::read;
use liaison::import::{Action, Edition, StepRefused, Threshold};

use super::lists::{ALI, EVE, FEBRUARY, GUILD, JANUARY, MARCH, edition, importer_of, list};
use super::motion::{Importer, counts};

#[test]
fn nothing_is_delisted_by_a_list_with_records_that_cannot_be_read() {
    let january = edition(JANUARY, &[ALI, EVE, GUILD]);
    let mut importer = importer_of(&january);
    let damaged = list(FEBRUARY, &[("UTi.002", "<A></B>"), EVE, GUILD]);
    let damaged = Edition::from(&read(damaged.as_bytes()).expect("still a list"));
    let step = importer.run(Some(&january), &damaged);
    assert_eq!((counts(&step), step.held.as_slice()), ([0; 4], &["UTi.001".to_owned()][..]));
    // Once the list can be read, the withdrawal follows, from the damaged list as from the one before.
    let march = edition(MARCH, &[EVE, GUILD]);
    assert_eq!(counts(&importer.run(Some(&damaged), &march)), [0, 0, 1, 0]);
    importer.recipient.assert_is(&march, Threshold::AnyChange);
}

#[test]
fn files_that_are_not_what_they_seem_are_refused_before_anything_is_sent() {
    let (january, february) = (edition(JANUARY, &[ALI, EVE, GUILD]), edition(FEBRUARY, &[EVE, GUILD]));
    let committee = edition(MARCH, &[ALI]);
    let importer = importer_of(&january);

    let turned = importer.decide(Some(&february), &january);
    assert_eq!(turned, Err(StepRefused::Older { to: JANUARY.into(), since: FEBRUARY.into() }));
    let other_zone = edition("2026-01-02T00:30:00+02:00", &[EVE]);
    assert!(
        matches!(importer.decide(None, &other_zone), Err(StepRefused::Older { .. })),
        "half an hour before, in UTC"
    );

    assert_eq!(Importer::default().decide(Some(&january), &february), Err(StepRefused::NothingSent));

    let part = importer.decide(Some(&january), &committee).expect_err("a part");
    assert_eq!(part, StepRefused::PartOfAList { regime: "Utopia".into(), some: 1, all: 3, regimes: 3 });
    let of_the_committee = importer_of(&edition(JANUARY, &[ALI]));
    let whole = of_the_committee.decide(Some(&edition(JANUARY, &[ALI])), &edition(MARCH, &[ALI, EVE, GUILD]));
    assert!(matches!(whole, Err(StepRefused::PartOfAList { .. })), "nor the whole after a part");

    let wanted = importer.decide(None, &february);
    assert_eq!(
        wanted,
        Err(StepRefused::SinceWanted { last: Some(JANUARY.into()), count: 1, first: "UTi.001".into() })
    );
    let more = edition(FEBRUARY, &[ALI, EVE, GUILD, ("UTi.002", "")]);
    assert_eq!(counts(&importer.decide(None, &more).expect("additions withdraw nothing")), [1, 0, 0, 0]);

    let never_sent = edition("2026-01-15T00:00:00Z", &[("UTi.001", "<FIRST_NAME>OTHER</FIRST_NAME>"), EVE, GUILD]);
    let refused = importer.decide(Some(&never_sent), &february);
    let expected = StepRefused::NotTheLastSent {
        since: "2026-01-15T00:00:00Z".into(),
        last: Some(JANUARY.into()),
        count: 1,
        first: "UTi.001".into(),
    };
    assert_eq!(refused, Err(expected));
    let same_said = edition("2026-01-15T00:00:00Z", &[ALI, EVE, GUILD]);
    assert_eq!(counts(&importer.decide(Some(&same_said), &february).expect("nightly, nothing new")), [0, 0, 1, 0]);
}

#[test]
fn a_change_of_nearly_everything_is_looked_at_by_somebody_first() {
    let records = |name: &str, count: usize| -> Vec<(String, String)> {
        let key = |nth| format!("{}i.{nth:03}", ["UT", "LP", "AT"][nth % 3]);
        (0..count).map(|nth| (key(nth), format!("<FIRST_NAME>{name} {nth}</FIRST_NAME>"))).collect()
    };
    let of = |generated, records: &[(String, String)]| {
        let records: Vec<_> = records.iter().map(|(key, inside)| (key.as_str(), inside.as_str())).collect();
        edition(generated, &records)
    };
    let january = of(JANUARY, &records("OLD", 60));
    let mut importer = importer_of(&january);
    let renamed = of(FEBRUARY, &records("NEW", 60));
    let refused = importer.decide(Some(&january), &renamed);
    assert_eq!(refused, Err(StepRefused::TooMany { action: Action::Amended, count: 60, in_force: 60 }));
    let cut = of(FEBRUARY, &records("OLD", 29));
    let refused = importer.decide(Some(&january), &cut);
    assert_eq!(refused, Err(StepRefused::TooMany { action: Action::Delisted, count: 31, in_force: 60 }));
    importer.rules.many = true;
    importer.run(Some(&january), &renamed);
    importer.recipient.assert_is(&renamed, Threshold::AnyChange);
}
