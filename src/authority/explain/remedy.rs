//! What would have to change in directory.toml for a notice to be taken: written so that it can be copied, and no wider than needed.

use std::collections::BTreeMap;

use liaison_protocol::directory::{Agreement, Partner};
use liaison_protocol::id::{Micros, PartnerId};
use liaison_protocol::proto::Kind;
use liaison_protocol::reason::{Reason, Refusal};

use super::{Edition, Question, Standing};
use crate::authority::words::{date, word};
use crate::policy::Lack;

/// How long a new or prolonged agreement is proposed to run: whoever signs chooses.
const PROPOSED: i64 = 366 * Micros::DAY;
/// An agreement's id (docs/PROTOCOL.md).
const ID_CHARS_MAX: usize = 64;

/// Steps that together allow a notice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remedy(pub Vec<Step>);

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Keys of an agreement to be set, each with its new value in TOML.
    Amend {
        /// The agreement's id.
        agreement: String,
        /// Keys and values.
        set: Vec<(&'static str, String)>,
        /// How many pairs of originator and recipient the agreement is for: all of them get what this one asks for.
        pairs: usize,
    },
    /// An agreement to be added: a whole `[[agreement]]`.
    Agree(String),
    /// A group to be added: a whole `[[group]]`.
    Form(String),
    /// A group that needs members.
    Fill(PartnerId),
    /// A partner to be enrolled.
    Enrol(PartnerId),
    /// A partner whose status is to be active again.
    Reinstate(PartnerId),
    /// A partner that needs a notice key in force.
    NoticeKey(PartnerId),
}

/// What could be done about a refusal. Empty: nothing in the directory.
pub(super) fn for_refusal(
    edition: &Edition,
    question: &Question,
    caller: &Partner,
    recipients: &[Standing<'_>],
    refusal: &Refusal,
) -> Vec<Remedy> {
    match refusal.reason {
        Reason::Suspended => vec![Remedy(vec![Step::Reinstate(caller.id.clone())])],
        Reason::KeyNotInForce => vec![Remedy(vec![Step::NoticeKey(caller.id.clone())])],
        Reason::NotCovered => for_coverage(edition, question, recipients),
        // Another home, nobody left, too many agreements: the notice has to change, not the directory.
        _ => Vec::new(),
    }
}

fn for_coverage(edition: &Edition, question: &Question, recipients: &[Standing<'_>]) -> Vec<Remedy> {
    let directory = edition.directory();
    let names = &question.audience;
    if names.partners.contains(&question.from) {
        return Vec::new();
    }
    let strangers =
        names.partners.iter().filter(|id| directory.partner(id).is_none() && directory.group(id).is_none());
    let strangers: Vec<_> = strangers.cloned().collect();
    let unknown_groups: Vec<_> = names.groups.iter().filter(|id| directory.group(id).is_none()).cloned().collect();
    let nobody = |group: &&PartnerId| {
        directory.group(group).is_some_and(|group| group.members.iter().all(|member| *member == question.from))
    };
    let empty_groups: Vec<_> = names.groups.iter().filter(nobody).cloned().collect();
    let mut first: Vec<_> = strangers.iter().cloned().map(Step::Enrol).collect();
    first.extend(empty_groups.iter().cloned().map(Step::Fill));
    first.extend(unknown_groups.iter().map(|group| Step::Form(group_text(group))));

    let refused =
        |standing: &&Standing<'_>| !standing.covered() && must_be_covered(edition, question, recipients, standing);
    let lacking: Vec<_> = recipients.iter().filter(refused).collect();
    let mut remedies = Vec::new();
    if first.is_empty()
        && let Some(steps) = amendments(edition, question, &lacking)
    {
        remedies.push(Remedy(steps));
    }
    let named = |id: &PartnerId| names.partners.contains(id);
    let singly = lacking.iter().map(|standing| &standing.partner.id).filter(|id| named(id));
    let through = names.groups.iter().filter(|group| {
        let members = directory.group(group).map(|group| group.members.as_slice()).unwrap_or_default();
        lacking.iter().any(|standing| members.contains(&standing.partner.id) && !named(&standing.partner.id))
    });
    let parties: Vec<_> =
        strangers.iter().chain(singly).chain(through).chain(&unknown_groups).chain(&empty_groups).collect();
    if !parties.is_empty() {
        first.push(Step::Agree(agreement_text(edition, question, &parties)));
        remedies.push(Remedy(first));
    }
    remedies
}

/// Whoever is named one by one; and the members of a group that reaches nobody.
fn must_be_covered(edition: &Edition, question: &Question, all: &[Standing<'_>], standing: &Standing<'_>) -> bool {
    let id = &standing.partner.id;
    let reaches = |group: &PartnerId| {
        let members = edition.directory().group(group).map(|group| group.members.as_slice()).unwrap_or_default();
        let reached = |other: &Standing<'_>| {
            other.covered() && other.elsewhere.is_none() && members.contains(&other.partner.id)
        };
        (members.contains(id), all.iter().any(reached))
    };
    question.audience.partners.contains(id)
        || question.audience.groups.iter().any(|group| reaches(group) == (true, false))
}

/// The nearest agreement of each recipient, amended. None: somebody has no agreement at all.
fn amendments(edition: &Edition, question: &Question, lacking: &[&Standing<'_>]) -> Option<Vec<Step>> {
    let mut lacks: BTreeMap<&str, (&Agreement, Vec<Lack>)> = BTreeMap::new();
    for standing in lacking {
        let (agreement, lacking) = standing.agreements.first()?;
        lacks.insert(&agreement.id, (agreement, lacking.clone()));
    }
    let steps = lacks.into_values().map(|(agreement, lacks)| Step::Amend {
        agreement: agreement.id.clone(),
        set: lacks.into_iter().map(|lack| amended(agreement, lack, question)).collect(),
        pairs: pairs(edition, agreement),
    });
    Some(steps.collect()).filter(|steps: &Vec<_>| !steps.is_empty())
}

fn amended(agreement: &Agreement, lack: Lack, question: &Question) -> (&'static str, String) {
    match lack {
        Lack::Kind => {
            let kinds = agreement.kinds.iter().chain([&question.kind]);
            let kinds: Vec<_> = kinds.map(|kind| quoted(&word("KIND", kind.as_str_name()))).collect();
            ("kinds", format!("[{}]", kinds.join(", ")))
        }
        Lack::Handling(_) => ("highest_handling", quoted(&word("HANDLING_CODE", question.handling.as_str_name()))),
        Lack::Tlp(_) => ("highest_tlp", quoted(&word("TLP", question.tlp.as_str_name()))),
        Lack::Precedence(_) => {
            ("highest_precedence", quoted(&word("PRECEDENCE", question.precedence.as_str_name())))
        }
        Lack::NotYet(_) => ("from", quoted(&date(day(question.at)))),
        Lack::NoLonger(_) => ("until", quoted(&date(day(question.at).plus(PROPOSED)))),
    }
}

fn pairs(edition: &Edition, agreement: &Agreement) -> usize {
    let numbers = |parties: &[PartnerId]| -> std::collections::BTreeSet<_> {
        parties.iter().flat_map(|party| edition.directory().members(party)).collect()
    };
    let (from, to) = (numbers(&agreement.originators), numbers(&agreement.recipients));
    from.iter().map(|from| to.iter().filter(|to| *to != from).count()).sum()
}

/// The day that a moment is in.
fn day(at: Micros) -> Micros {
    Micros(at.0 - at.0.rem_euclid(Micros::DAY))
}

fn quoted(text: &str) -> String {
    format!("{text:?}")
}

fn group_text(group: &PartnerId) -> String {
    format!("[[group]]\nid = \"{group}\"\nmembers = []   # name them\n")
}

fn agreement_text(edition: &Edition, question: &Question, to: &[&PartnerId]) -> String {
    let kind = word("KIND", Kind::as_str_name(&question.kind));
    let mut base = format!("{}-{}-{kind}", question.from, to.first().map(|id| id.as_str()).unwrap_or_default());
    base.truncate(ID_CHARS_MAX - 4);
    let taken = |id: &String| edition.directory().agreements().iter().any(|agreement| agreement.id == *id);
    let further = (2..).map(|nth| format!("{base}-{nth}"));
    let id = [base.clone()].into_iter().chain(further).find(|id| !taken(id)).unwrap_or_default();
    let to: Vec<_> = to.iter().map(|id| quoted(id.as_str())).collect();
    format!(
        "[[agreement]]\n\
         id = \"{id}\"\n\
         originators = [\"{}\"]\n\
         recipients = [{}]\n\
         kinds = [\"{kind}\"]\n\
         highest_handling = \"{}\"\n\
         highest_tlp = \"{}\"\n\
         highest_precedence = \"{}\"\n\
         from = \"{}\"\n\
         until = \"{}\"\n\
         legal_basis = \"name the legal basis here\"\n",
        question.from,
        to.join(", "),
        word("HANDLING_CODE", question.handling.as_str_name()),
        word("TLP", question.tlp.as_str_name()),
        word("PRECEDENCE", question.precedence.as_str_name()),
        date(day(question.at)),
        date(day(question.at).plus(PROPOSED)),
    )
}
