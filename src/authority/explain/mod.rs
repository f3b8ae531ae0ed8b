//! What the home of an originator would decide of a notice, why, and what would have to change: asked of a whole directory by somebody
//! who may see it.

mod remedy;

use liaison_protocol::directory::{Agreement, Partner};
use liaison_protocol::id::{AgreementDigest, Micros, NodeId, PartnerId, PartnerNumber};
use liaison_protocol::keyring::Usage;
use liaison_protocol::manifest::{AudienceNames, Handling, Manifest};
use liaison_protocol::proto::{
    HandlingCode, InformationEvaluation, Kind, PartnerStatus, Precedence, RespondBy, Retention, SourceEvaluation,
    Tlp,
};
use liaison_protocol::reason::{Reason, Refusal};

use super::edition::Edition;
use super::words::{date, word};
use crate::policy::{Candidate, Lack, Resolved};
pub use remedy::{Remedy, Step};

/// Who would send what to whom, and when.
#[derive(Clone, Debug)]
pub struct Question {
    /// The originator.
    pub from: PartnerId,
    /// Whom it is for.
    pub audience: AudienceNames,
    /// Its kind.
    pub kind: Kind,
    /// Its handling code.
    pub handling: HandlingCode,
    /// Its label.
    pub tlp: Tlp,
    /// Its precedence.
    pub precedence: Precedence,
    /// When it would be submitted.
    pub at: Micros,
}

/// The originator is not in the directory, so that no node would even listen.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} is not in this directory")]
pub struct Stranger(pub PartnerId);

/// The decision and what lies behind it.
pub struct Answer<'e> {
    /// Whom it reaches and under which agreements; or the node's refusal, word for word.
    pub decision: Result<Permitted<'e>, Refusal>,
    /// Everybody named one by one or through a group who is in the directory.
    pub recipients: Vec<Standing<'e>>,
    /// What would allow it: one of these is enough. Empty: it is allowed, or no change to the directory could help.
    pub remedies: Vec<Remedy>,
}

/// A notice that would be taken.
pub struct Permitted<'e> {
    /// Who gets it.
    pub reached: Vec<&'e Partner>,
    /// Under what.
    pub agreements: Vec<&'e Agreement>,
    /// Members of groups who do not get it.
    pub passed_over: u32,
    /// Until when the answer stays the same. None: no agreement for this kind ends or begins after the question.
    pub until: Option<Micros>,
}

/// How one recipient stands to the originator.
pub struct Standing<'e> {
    /// Who.
    pub partner: &'e Partner,
    /// Its home, where it is another than the originator's.
    pub elsewhere: Option<&'e NodeId>,
    /// Agreements that let the originator send it something, the nearest first, each with what it lacks.
    pub agreements: Vec<(&'e Agreement, Vec<Lack>)>,
}

impl Standing<'_> {
    /// Whether an agreement covers it.
    pub fn covered(&self) -> bool {
        self.agreements.iter().any(|(_, lacks)| lacks.is_empty())
    }
}

/// Answers a question as the originator's home would under this edition.
pub fn explain<'e>(edition: &'e Edition, question: &Question) -> Result<Answer<'e>, Stranger> {
    let directory = edition.directory();
    let caller = directory.partner(&question.from).ok_or_else(|| Stranger(question.from.clone()))?;
    let manifest = question.manifest(edition);
    let explanation = crate::policy::explain(caller, &manifest, &caller.home, edition.compiled(), question.at);
    let recipients = explanation.recipients.into_iter().filter_map(|(number, candidates)| {
        let partner = directory.numbered(number)?;
        let agreements = candidates.into_iter().filter_map(|candidate| named(edition, candidate)).collect();
        let elsewhere = (partner.home != caller.home).then_some(&partner.home);
        Some(Standing { partner, elsewhere, agreements })
    });
    let recipients: Vec<_> = recipients.collect();
    let decision = may_call(edition, caller, question.at).and(explanation.decision);
    let decision = decision.map(|resolved| permitted(edition, &resolved));
    let remedies = match &decision {
        Ok(_) => Vec::new(),
        Err(refusal) => remedy::for_refusal(edition, question, caller, &recipients, refusal),
    };
    Ok(Answer { decision, recipients, remedies })
}

impl Question {
    /// The notice in question, as far as deciding looks at it: what it would say is nobody's business here.
    fn manifest(&self, edition: &Edition) -> Manifest {
        let head = edition.directory().head();
        Manifest {
            network: head.network(),
            directory_version: head.version().0,
            reference: "QUESTION".parse().expect("a reference"),
            kind: self.kind,
            originator: self.from.clone(),
            audience: self.audience.clone(),
            handling: Handling {
                code: self.handling,
                restriction: String::new(),
                source: SourceEvaluation::A,
                information: InformationEvaluation::InformationEvaluation1,
                tlp: self.tlp,
            },
            precedence: self.precedence,
            issued_at: self.at,
            expires_at: self.at.plus(Micros::DAY),
            respond_by: RespondBy::None,
            retention: Retention::OneYear,
            relation: None,
            parts: Vec::new(),
        }
    }
}

/// What a node looks at before it asks for agreements.
fn may_call(edition: &Edition, caller: &Partner, at: Micros) -> Result<(), Refusal> {
    if caller.status != PartnerStatus::Active {
        return Err(Refusal::new(Reason::Suspended, format!("{} is suspended and may call nothing", caller.id)));
    }
    let keys = edition.directory().keys(caller.number);
    if keys.iter().any(|key| key.usage == Usage::Notice && key.in_force(at).is_ok()) {
        return Ok(());
    }
    Err(Refusal::new(Reason::KeyNotInForce, format!("{} has no notice key in force", caller.id)))
}

fn named(edition: &Edition, candidate: Candidate) -> Option<(&Agreement, Vec<Lack>)> {
    Some((agreement(edition, candidate.agreement)?, candidate.lacks))
}

fn agreement(edition: &Edition, digest: AgreementDigest) -> Option<&Agreement> {
    edition.directory().agreements().iter().find(|agreement| agreement.digest == digest)
}

fn permitted<'e>(edition: &'e Edition, resolved: &Resolved) -> Permitted<'e> {
    let reached = resolved.members.iter().filter_map(|number| edition.directory().numbered(PartnerNumber(number)));
    Permitted {
        reached: reached.collect(),
        agreements: resolved.agreements.iter().filter_map(|digest| agreement(edition, *digest)).collect(),
        passed_over: resolved.passed_over,
        until: (resolved.until.0 != i64::MAX).then_some(resolved.until),
    }
}

/// What an agreement lacks, in words.
pub fn lack_in_words(lack: Lack, question: &Question) -> String {
    match lack {
        Lack::Kind => format!("is not for kind {}", word("KIND", question.kind.as_str_name())),
        Lack::Handling(ceiling) => {
            let (asked, ceiling) = (question.handling.as_str_name(), ceiling.as_str_name());
            above("handling", "HANDLING_CODE", asked, ceiling)
        }
        Lack::Tlp(ceiling) => above("TLP label", "TLP", question.tlp.as_str_name(), ceiling.as_str_name()),
        Lack::Precedence(ceiling) => {
            above("precedence", "PRECEDENCE", question.precedence.as_str_name(), ceiling.as_str_name())
        }
        Lack::NotYet(from) => format!("begins on {}", date(from)),
        Lack::NoLonger(until) => format!("ended on {}", date(until)),
    }
}

fn above(what: &str, prefix: &str, asked: &str, ceiling: &str) -> String {
    format!("{what} {} is above its ceiling {}", word(prefix, asked), word(prefix, ceiling))
}
