//! What a content says, as a set of facts: what is compared, digested and shown when a source changes. Spelling, order, repetition
//! and the publisher's own bookkeeping are not facts.

mod comments;
mod read;

use std::collections::{BTreeMap, BTreeSet};

use liaison_protocol::id::Hash;
use liaison_protocol::proto;

/// Begins every digest, so that facts read by other rules never have an equal one.
const DIGEST_DOMAIN: &[u8] = b"liaison-facts-v1";

/// The facts of one content.
///
/// Details are what publishers move about for all records at once: INTERPOL's links, the dates of reviews, and elements that nobody
/// knows yet. Everything else is substance.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Facts {
    substance: Table,
    details: Table,
}

type Table = BTreeMap<&'static str, BTreeSet<Fact>>;

/// One fact of a field: labelled texts, none of them empty, each on one line.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Fact(Vec<(&'static str, String)>);

/// What two contents are compared by: equal digests, equal facts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Digests {
    /// Of the substance alone.
    pub substance: Hash,
    /// Of substance and details.
    pub all: Hash,
}

/// Which differences make an amendment.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Threshold {
    /// Only those of substance.
    #[default]
    Substance,
    /// Those of details too.
    AnyChange,
}

impl Facts {
    /// Reads a content. What it says about an earlier notice is not a fact about the subject.
    pub fn of(content: &proto::Content) -> Self {
        let mut facts = Self::default();
        read::content(content, &mut facts);
        facts
    }

    /// By what to recognise these facts.
    pub fn digests(&self) -> Digests {
        let substance = digest(&[&self.substance]);
        Digests { substance, all: digest(&[&self.substance, &self.details]) }
    }

    /// What changed from here to there, field by field: facts that are gone, and facts that are new.
    pub fn changes(&self, after: &Self) -> Vec<proto::ChangedField> {
        let mut changed = Vec::new();
        for (before, after) in [(&self.substance, &after.substance), (&self.details, &after.details)] {
            let fields: BTreeSet<_> = before.keys().chain(after.keys()).copied().collect();
            for field in fields {
                let none = BTreeSet::new();
                let (before, after) = (before.get(field).unwrap_or(&none), after.get(field).unwrap_or(&none));
                if before != after {
                    changed.push(proto::ChangedField {
                        field: field.to_owned(),
                        before: before.difference(after).map(Fact::words).collect(),
                        after: after.difference(before).map(Fact::words).collect(),
                    });
                }
            }
        }
        changed
    }

    /// A fact of substance, unless all its texts are empty.
    fn say(&mut self, field: &'static str, labelled: impl IntoIterator<Item = (&'static str, String)>) {
        put(&mut self.substance, field, labelled);
    }

    /// A detail, unless all its texts are empty.
    fn mention(&mut self, field: &'static str, labelled: impl IntoIterator<Item = (&'static str, String)>) {
        put(&mut self.details, field, labelled);
    }
}

impl Digests {
    /// Whether nothing changed that would make an amendment.
    pub fn equal(&self, other: &Self, threshold: Threshold) -> bool {
        match threshold {
            Threshold::Substance => self.substance == other.substance,
            Threshold::AnyChange => self.all == other.all,
        }
    }
}

impl Fact {
    /// For people: `Abu Nadir; quality: low`.
    fn words(&self) -> String {
        let word = |(label, text): &(&'static str, String)| match *label {
            "" => text.clone(),
            label => format!("{label}: {text}"),
        };
        self.0.iter().map(word).collect::<Vec<_>>().join("; ")
    }
}

fn put(table: &mut Table, field: &'static str, labelled: impl IntoIterator<Item = (&'static str, String)>) {
    let texts = labelled.into_iter().map(|(label, text)| (label, collapse(&text)));
    let fact = Fact(texts.filter(|(_, text)| !text.is_empty()).collect());
    if !fact.0.is_empty() {
        table.entry(field).or_default().insert(fact);
    }
}

/// Every run of white space is one blank.
fn collapse(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Every text goes in with its length, and every set with its count, so that different facts never give the same bytes.
fn digest(tables: &[&Table]) -> Hash {
    let mut bytes = DIGEST_DOMAIN.to_vec();
    let number = |bytes: &mut Vec<u8>, number: usize| bytes.extend((number as u64).to_be_bytes());
    let text = |bytes: &mut Vec<u8>, text: &str| {
        number(bytes, text.len());
        bytes.extend(text.as_bytes());
    };
    for table in tables {
        number(&mut bytes, table.len());
        for (field, facts) in *table {
            text(&mut bytes, field);
            number(&mut bytes, facts.len());
            for fact in facts {
                number(&mut bytes, fact.0.len());
                for (label, value) in &fact.0 {
                    text(&mut bytes, label);
                    text(&mut bytes, value);
                }
            }
        }
    }
    Hash::of(&[&bytes])
}
