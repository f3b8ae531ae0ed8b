//! A recipient's view of an importer's notices, folded as a recipient would: a notice is in force unless a later one amends or
//! cancels it. And an importer that sends to it, for stories without a node.

use std::collections::{BTreeMap, HashMap};

use liaison::import::ledger::{Ledger, Owner, Sent};
use liaison::import::{Action, Edition, Facts, Item, Planned, Rules, Step, StepRefused, Threshold, step};
use liaison_protocol::id::{Hash, NetworkId, NoticeId};
use liaison_protocol::manifest::Relation;
use liaison_protocol::proto::{self, RelationType};
use prost::Message as _;

pub(super) fn owner() -> Owner {
    Owner { network: NetworkId(Hash([7; 32])), partner: "UN".parse().expect("a partner"), list: "un-list" }
}

/// What is in force at a recipient.
#[derive(Default)]
pub(crate) struct InForce(HashMap<NoticeId, proto::Content>);

impl InForce {
    /// The next notice. What it amends or cancels must be in force: an importer never speaks about something else.
    pub(crate) fn take(&mut self, notice: NoticeId, relation: Option<&Relation>, content: proto::Content) {
        if let Some(relation) = relation {
            assert!(self.0.remove(&relation.notice).is_some(), "{} is not in force", relation.reference);
        }
        if relation.is_none_or(|relation| relation.kind != RelationType::Cancels) {
            assert!(self.0.insert(notice, content).is_none(), "{notice} came twice");
        }
    }

    /// What is in force for each key; nobody has two.
    pub(crate) fn subjects(&self) -> BTreeMap<String, &proto::Content> {
        let mut subjects = BTreeMap::new();
        for content in self.0.values() {
            let key = content.listing.as_ref().expect("of a list").reference.clone();
            assert!(subjects.insert(key.clone(), content).is_none(), "{key} has two notices in force");
        }
        subjects
    }

    /// Exactly the edition's subjects are in force, each as the edition has it.
    pub(crate) fn assert_is(&self, edition: &Edition, threshold: Threshold) {
        let subjects = self.subjects();
        assert_eq!(subjects.len(), edition.subjects.len());
        for subject in &edition.subjects {
            let content = subjects.get(&subject.key).unwrap_or_else(|| panic!("{} is not in force", subject.key));
            let (sent, said) = (Facts::of(content), Facts::of(&subject.content));
            assert!(sent.digests().equal(&said.digests(), threshold), "{}: {:?}", subject.key, sent.changes(&said));
        }
    }
}

/// An importer whose node takes everything.
#[derive(Default)]
pub(super) struct Importer {
    pub(super) ledger: Ledger,
    pub(super) recipient: InForce,
    pub(super) taken: HashMap<String, (NoticeId, Planned)>,
    pub(super) rules: Rules,
}

impl Importer {
    pub(super) fn decide(&self, since: Option<&Edition>, to: &Edition) -> Result<Step, StepRefused> {
        step(&self.ledger, since, to, self.rules)
    }

    /// The node takes one notice, and the ledger says so; it goes through the file's form each time.
    pub(super) fn send(&mut self, item: &Item) {
        let (reference, notice) = self.deliver(&item.notice);
        self.ledger.record(&item.key, item.notice.sent(reference, notice));
        let text = self.ledger.encode(&owner());
        assert_eq!(Ledger::decode(text.as_bytes(), &owner()).expect("as it was written"), self.ledger);
    }

    /// The node takes one notice, and nobody writes it down.
    pub(super) fn deliver(&mut self, planned: &Planned) -> (liaison_protocol::id::Reference, NoticeId) {
        let notice = NoticeId(Hash::of(&[planned.reference.as_bytes(), &planned.content.encode_to_vec()]));
        let first = self.taken.insert(planned.reference.clone(), (notice, planned.clone()));
        assert!(first.is_none(), "{} names two notices", planned.reference);
        self.recipient.take(notice, planned.relation.as_ref(), planned.content.clone());
        (planned.reference.parse().expect("a reference"), notice)
    }

    /// The whole step, to its end.
    pub(super) fn run(&mut self, since: Option<&Edition>, to: &Edition) -> Step {
        let step = self.decide(since, to).unwrap_or_else(|refused| panic!("{refused}"));
        for item in &step.items {
            let (reference, notice) = self.deliver(&item.notice);
            self.ledger.record(&item.key, item.notice.sent(reference, notice));
        }
        self.ledger.address(vec!["KE".to_owned()]);
        self.ledger.complete(to.generated.as_deref());
        let text = self.ledger.encode(&owner());
        assert_eq!(Ledger::decode(text.as_bytes(), &owner()).expect("as it was written"), self.ledger);
        step
    }

    pub(super) fn learn(&mut self, key: &str, sent: Sent) {
        self.ledger.record(key, sent);
    }
}

/// Listed, amended, delisted, relisted.
pub(super) fn counts(step: &Step) -> [usize; 4] {
    Action::ALL.map(|action| step.count(action))
}
