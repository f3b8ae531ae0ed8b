//! Whatever two editions hold, in whatever order: the step between them turns what is in force from the one into the other.

use liaison::import::{Absence, Edition, Rules, Source, Subject, Threshold};
use liaison_protocol::proto::{self, Kind, content::Body};
use proptest::prelude::*;

use super::motion::{Importer, counts};

/// A subject among few keys with few contents, so that editions meet.
fn subject() -> impl Strategy<Value = Subject> {
    let aliases = prop::collection::vec(0..4_u8, 0..4);
    (0..12_u8, 0..3_u8, aliases, 0..3_u8, 0..2_u8).prop_map(|(key, name, aliases, link, unknown)| {
        let key = format!("UTi.{key:03}");
        let part = proto::NamePart { r#type: 2, text: format!("NAME {name}") };
        let alias = |alias: u8| proto::Alias { name: format!("alias {alias}"), ..proto::Alias::default() };
        let person = proto::Person {
            name: Some(proto::Name { parts: vec![part], ..proto::Name::default() }),
            aliases: aliases.into_iter().map(alias).collect(),
            ..proto::Person::default()
        };
        let listing = proto::Listing {
            reference: key.clone(),
            regime: ["Utopia", "Lilliput"][usize::from(name % 2)].to_owned(),
            interpol_link: "https://notices.example".repeat(usize::from(link)),
            ..proto::Listing::default()
        };
        let field = proto::UnknownField { path: "EYES".into(), text: "grey".into() };
        let content = proto::Content {
            body: Some(Body::Person(person)),
            listing: Some(listing),
            unknown_fields: vec![field; usize::from(unknown)],
            ..proto::Content::default()
        };
        Subject { key, kind: Kind::UnSpecial, content }
    })
}

fn subjects() -> impl Strategy<Value = Vec<Subject>> {
    prop::collection::vec(subject(), 0..12).prop_map(|mut subjects| {
        let mut seen = std::collections::HashSet::new();
        subjects.retain(|subject| seen.insert(subject.key.clone()));
        subjects
    })
}

fn threshold() -> impl Strategy<Value = Threshold> {
    prop::sample::select(vec![Threshold::Substance, Threshold::AnyChange])
}

fn made(month: usize, subjects: &[Subject]) -> Edition {
    Edition {
        source: Source::UnList,
        generated: Some(format!("2026-{month:02}-01T00:00:00Z")),
        subjects: subjects.to_vec(),
        absence: Absence::Withdrawn,
    }
}

/// Turns every repeated thing around and says it twice.
fn rewritten(subject: &Subject) -> Subject {
    let mut subject = subject.clone();
    if let Some(Body::Person(person)) = &mut subject.content.body {
        person.aliases.reverse();
        let again = person.aliases.first().cloned();
        person.aliases.extend(again);
    }
    subject.content.unknown_fields.extend(subject.content.unknown_fields.clone());
    subject
}

proptest! {
    #[test]
    fn an_edition_does_not_differ_from_itself_however_it_is_written(a in subjects(), threshold in threshold()) {
        let mut importer = Importer { rules: Rules { threshold, many: true }, ..Importer::default() };
        let first = made(1, &a);
        importer.run(None, &first);
        let again: Vec<_> = a.iter().rev().map(rewritten).collect();
        // Nothing sent is nothing to compare with.
        let since = (!a.is_empty()).then_some(&first);
        let step = importer.decide(since, &made(2, &again)).expect("a step");
        prop_assert_eq!((counts(&step), step.unchanged, step.details_differ), ([0; 4], a.len(), 0));
    }

    #[test]
    fn a_chain_of_steps_leaves_in_force_what_the_last_edition_has(
        chain in prop::collection::vec(subjects(), 1..6),
        threshold in threshold(),
    ) {
        let mut importer = Importer { rules: Rules { threshold, many: true }, ..Importer::default() };
        let mut since: Option<Edition> = None;
        for (nth, subjects) in chain.iter().enumerate() {
            let to = made(nth + 1, subjects);
            let before = since.filter(|_| !importer.ledger.is_empty());
            importer.run(before.as_ref(), &to);
            importer.recipient.assert_is(&to, threshold);
            let again = importer.decide(before.as_ref(), &to);
            prop_assert_eq!(again.map(|step| step.items), Ok(Vec::new()));
            since = Some(to);
        }
    }

    #[test]
    fn what_changed_is_what_went_and_what_came(a in subject(), b in subject()) {
        use liaison::import::Facts;
        let (before, after) = (Facts::of(&a.content), Facts::of(&b.content));
        prop_assert_eq!(before.changes(&before), Vec::new());
        let there = before.changes(&after);
        let back = after.changes(&before);
        prop_assert_eq!(there.is_empty(), before == after);
        prop_assert_eq!(before == after, before.digests() == after.digests());
        for (there, back) in there.iter().zip(&back) {
            prop_assert_eq!(&there.field, &back.field);
            prop_assert_eq!((&there.before, &there.after), (&back.after, &back.before));
            prop_assert!(!there.before.is_empty() || !there.after.is_empty());
        }
    }
}
