//! From what has been sent to what a publisher says now: which notices are new, which amend, which cancel. Decided by content and
//! by the ledger alone, so a step that was cut off is simply decided again.

use std::collections::{HashMap, HashSet};

use liaison_protocol::limits::CONTENT_BYTES_MAX;
use liaison_protocol::manifest::Relation;
use liaison_protocol::proto::{self, ChangeType, Kind, RelationType};
use prost::Message as _;

use super::edition::{Absence, Edition, Subject};
use super::facts::{Facts, Threshold};
use super::ledger::{Ledger, Sent};
use super::{Planned, guard, subject};

pub use super::guard::StepRefused;

/// What a step does to a subject.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Action {
    /// A first notice.
    Listed,
    /// A notice that amends the last one.
    Amended,
    /// A notice that cancels the last one.
    Delisted,
    /// A first notice again, after one that cancelled.
    Relisted,
}

/// How a step is decided.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Rules {
    /// Which differences make an amendment.
    pub threshold: Threshold,
    /// Whoever runs it has looked, and knows that most of the list changes.
    pub many: bool,
}

/// One notice of a step.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// The subject's key.
    pub key: String,
    /// What happens to it.
    pub action: Action,
    /// The notice.
    pub notice: Planned,
}

/// What has to be sent, and what has not.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Step {
    /// In the edition's order, and what was delisted after it.
    pub items: Vec<Item>,
    /// Subjects that were sent as the edition has them.
    pub unchanged: usize,
    /// Of those, the ones whose details differ: links, dates of reviews, unknown elements.
    pub details_differ: usize,
    /// Subjects in force that may be among the records that could not be read, so nothing is said about them.
    pub held: Vec<String>,
}

impl Action {
    /// Of the four, in the order of a count.
    pub const ALL: [Self; 4] = [Self::Listed, Self::Amended, Self::Delisted, Self::Relisted];

    /// In one word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Listed => "listed",
            Self::Amended => "amended",
            Self::Delisted => "delisted",
            Self::Relisted => "relisted",
        }
    }
}

impl Step {
    /// How many of one kind.
    pub fn count(&self, action: Action) -> usize {
        self.items.iter().filter(|item| item.action == action).count()
    }
}

impl Item {
    /// The fields that changed, in words; empty where they are not known one by one.
    pub fn changed(&self) -> Vec<&str> {
        let change = self.notice.content.change.iter();
        change.flat_map(|change| &change.fields).map(|field| field.field.as_str()).collect()
    }
}

/// Decides a step.
///
/// `since` is the edition that was sent last. A source that dates itself needs it where anything amends or withdraws: it guards
/// against a file that is not what it seems, and it says what the fields were before.
pub fn step(ledger: &Ledger, since: Option<&Edition>, to: &Edition, rules: Rules) -> Result<Step, StepRefused> {
    guard::before(ledger, since, to)?;
    let decided = Decider::new(ledger, since, to, rules).decide();
    guard::after(ledger, since, to, rules, &decided)?;
    Ok(decided)
}

struct Decider<'a> {
    ledger: &'a Ledger,
    since: Option<&'a Edition>,
    before: HashMap<&'a str, &'a Subject>,
    to: &'a Edition,
    rules: Rules,
    step: Step,
}

impl<'a> Decider<'a> {
    fn new(ledger: &'a Ledger, since: Option<&'a Edition>, to: &'a Edition, rules: Rules) -> Self {
        let before = since.iter().flat_map(|since| &since.subjects);
        let before = before.map(|subject| (subject.key.as_str(), subject)).collect();
        Self { ledger, since, before, to, rules, step: Step::default() }
    }

    fn decide(mut self) -> Step {
        for subject in &self.to.subjects {
            match self.ledger.sent(&subject.key) {
                None => self.send(subject, Action::Listed, None, None),
                Some(last) if last.in_force => self.compare(subject, last),
                Some(last) => {
                    let change = proto::Change {
                        earlier_reference: last.reference.to_string(),
                        earlier_notice_id: last.notice.to_bytes(),
                        ..self.change(ChangeType::Relisted)
                    };
                    self.send(subject, Action::Relisted, Some(last), Some(change));
                }
            }
        }
        self.missing();
        self.step
    }

    fn compare(&mut self, subject: &Subject, last: &Sent) {
        let facts = Facts::of(&subject.content);
        let digests = facts.digests();
        // A summary says less than the notice it is of, so it is no news about a notice that was sent whole.
        if digests.equal(&last.digests, self.rules.threshold) || subject.is_summary() && !last.summary {
            self.step.unchanged += 1;
            self.step.details_differ += usize::from(digests.all != last.digests.all);
            return;
        }
        // What the fields were before is only known where the edition before is what was sent.
        let before = self.before.get(subject.key.as_str()).map(|before| Facts::of(&before.content));
        let before = before.filter(|before| before.digests().substance == last.digests.substance);
        let fields = before.map(|before| before.changes(&facts)).unwrap_or_default();
        let change = proto::Change { fields, ..self.change(ChangeType::Amended) };
        self.send(subject, Action::Amended, Some(last), Some(change));
    }

    /// What is in force and not in the edition.
    fn missing(&mut self) {
        let present: HashSet<_> = self.to.subjects.iter().map(|subject| subject.key.as_str()).collect();
        let missing = self.ledger.in_force().filter(|(key, _)| !present.contains(key));
        match self.to.absence {
            Absence::Nothing => {}
            Absence::Unreadable => self.step.held = missing.map(|(key, _)| key.to_owned()).collect(),
            Absence::Withdrawn => missing.for_each(|(key, last)| self.withdraw(key, last)),
        }
    }

    fn withdraw(&mut self, key: &str, last: &Sent) {
        let before = self.before.get(key);
        let name = before.map(|before| format!(" {}", subject(&before.content))).unwrap_or_default();
        let listing = before.and_then(|before| before.content.listing.as_ref());
        let listing = proto::Listing {
            list: listing.map(|listing| listing.list.clone()).unwrap_or_default(),
            regime: listing.map(|listing| listing.regime.clone()).unwrap_or_default(),
            reference: key.to_owned(),
            ..proto::Listing::default()
        };
        let edition = self.to.day().unwrap_or_default();
        let text = proto::Text {
            subject: format!("delisted: {key}{name}"),
            body: format!("{key} is not on the list of {edition}. The notice {} is withdrawn.", last.reference),
            language: "en".to_owned(),
        };
        let content = proto::Content {
            body: Some(proto::content::Body::Text(text)),
            listing: Some(listing),
            change: Some(self.change(ChangeType::Delisted)),
            ..proto::Content::default()
        };
        self.push(key, before.map_or(Kind::UnSpecial, |before| before.kind), Action::Delisted, Some(last), content);
    }

    fn change(&self, kind: ChangeType) -> proto::Change {
        let since = self.since.and_then(|since| since.generated.clone());
        proto::Change {
            r#type: kind.into(),
            since: since.unwrap_or_default(),
            edition: self.to.generated.clone().unwrap_or_default(),
            ..proto::Change::default()
        }
    }

    fn send(&mut self, subject: &Subject, action: Action, last: Option<&Sent>, change: Option<proto::Change>) {
        let mut content = proto::Content { change, ..subject.content.clone() };
        // The whole content comes first; which fields changed is a comfort beside it.
        if content.encoded_len() > CONTENT_BYTES_MAX
            && let Some(change) = &mut content.change
        {
            change.fields.clear();
        }
        self.push(&subject.key, subject.kind, action, last, content);
    }

    fn push(&mut self, key: &str, kind: Kind, action: Action, last: Option<&Sent>, content: proto::Content) {
        let relation = match action {
            Action::Listed | Action::Relisted => None,
            Action::Amended => Some(RelationType::Amends),
            Action::Delisted => Some(RelationType::Cancels),
        };
        let relation = relation.zip(last).map(|(kind, last)| Relation {
            kind,
            notice: last.notice,
            reference: last.reference.clone(),
        });
        let reference = next_reference(&self.to.stem(key), last);
        let notice = Planned::about(reference, kind, relation, content);
        self.step.items.push(Item { key: key.to_owned(), action, notice });
    }
}

/// The stem itself, or with a number behind it where the last notice about the subject has the same stem.
fn next_reference(stem: &str, last: Option<&Sent>) -> String {
    let number = last.and_then(|last| number_after(stem, last.reference.as_str()));
    match number {
        None => stem.to_owned(),
        Some(number) => format!("{stem}.{}", number + 1),
    }
}

/// Which notice of this stem a reference names, from 1.
fn number_after(stem: &str, reference: &str) -> Option<u32> {
    match reference.strip_prefix(stem)? {
        "" => Some(1),
        more => more.strip_prefix('.')?.parse().ok(),
    }
}
