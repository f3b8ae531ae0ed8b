//! Groups and agreements, compared, and what follows from both: who reaches whom.

use std::collections::{BTreeMap, BTreeSet};

use liaison_protocol::directory::{Agreement, Directory, Group};
use liaison_protocol::id::{Micros, PartnerId, PartnerNumber};
use liaison_protocol::proto::{Kind, PartnerStatus};

use super::{Changes, pairs};
use crate::authority::edition::Edition;
use crate::authority::words::{date, few, list, word};

/// Partners named in one sentence about a change of reach.
const NAMED: usize = 12;

pub(super) fn groups(changes: &mut Changes, old: &Directory, new: &Directory) {
    let by_id = |directory: &Directory| -> BTreeMap<_, Group> {
        directory.groups().map(|group| (group.id.clone(), group.clone())).collect()
    };
    let (old, new) = (by_id(old), by_id(new));
    for (subject, was, now) in pairs("group", &old, &new) {
        match (was, now) {
            (None, Some(now)) => changes.added("group_added", &subject, list(&now.members)),
            (Some(was), None) => changes.removed("group_removed", &subject, list(&was.members)),
            (Some(was), Some(now)) => {
                let codes = ["member_joined", "member_left"];
                changes.set(codes, &subject, &was.members, &now.members, ["is joined by", "is left by"]);
            }
            (None, None) => {}
        }
    }
}

/// Agreements are compared by their ids.
pub(super) fn compare(changes: &mut Changes, old: &Directory, new: &Directory) {
    let by_id = |directory: &Directory| -> BTreeMap<String, Agreement> {
        directory.agreements().iter().map(|agreement| (agreement.id.clone(), agreement.clone())).collect()
    };
    let (old, new) = (by_id(old), by_id(new));
    for (subject, was, now) in pairs("agreement", &old, &new) {
        match (was, now) {
            (None, Some(now)) => changes.added("agreement_added", &subject, in_words(now)),
            (Some(was), None) => changes.removed("agreement_removed", &subject, in_words(was)),
            (Some(was), Some(now)) => agreement(changes, &subject, was, now),
            (None, None) => {}
        }
    }
}

fn in_words(agreement: &Agreement) -> String {
    let (from, to) = (list(&agreement.originators), list(&agreement.recipients));
    format!("{from} → {to}, {}, until {}", kinds(agreement).join(" "), date(agreement.until))
}

fn kinds(agreement: &Agreement) -> Vec<String> {
    agreement.kinds.iter().map(|kind| word("KIND", Kind::as_str_name(kind))).collect()
}

fn agreement(changes: &mut Changes, subject: &str, was: &Agreement, now: &Agreement) {
    let originators = (&was.originators, &now.originators);
    let codes = ["originator_added", "originator_removed"];
    changes.set(codes, subject, originators.0, originators.1, ["gains originator", "loses originator"]);
    let codes = ["recipient_added", "recipient_removed"];
    changes.set(codes, subject, &was.recipients, &now.recipients, ["gains recipient", "loses recipient"]);
    changes.set(["kind_added", "kind_removed"], subject, &kinds(was), &kinds(now), ["gains kind", "loses kind"]);
    let handling = |agreement: &Agreement| word("HANDLING_CODE", agreement.highest_handling.as_str_name());
    changes.field("handling_ceiling", subject, "highest handling", &handling(was), &handling(now));
    let tlp = |agreement: &Agreement| word("TLP", agreement.highest_tlp.as_str_name());
    changes.field("tlp_ceiling", subject, "highest TLP label", &tlp(was), &tlp(now));
    let precedence = |agreement: &Agreement| word("PRECEDENCE", agreement.highest_precedence.as_str_name());
    changes.field("precedence_ceiling", subject, "highest precedence", &precedence(was), &precedence(now));
    changes.field("agreement_from", subject, "begin", &date(was.from), &date(now.from));
    changes.field("agreement_until", subject, "end", &date(was.until), &date(now.until));
    changes.field("legal_basis", subject, "legal basis", &was.legal_basis, &now.legal_basis);
}

/// Who reaches whom at a moment, in either edition: what all of it comes to.
pub(super) fn reach(changes: &mut Changes, old: &Edition, new: &Edition, now: Micros) {
    let originators =
        |edition: &Edition| edition.directory().partners().map(|partner| partner.id.clone()).collect();
    let (was, is): (BTreeSet<PartnerId>, BTreeSet<PartnerId>) = (originators(old), originators(new));
    for originator in was.union(&is) {
        let (was, is) = (reached(old, originator, now), reached(new, originator, now));
        let subject = format!("partner {originator}");
        let gained: Vec<_> = is.difference(&was).collect();
        if !gained.is_empty() {
            let text = format!("may now send to {}", few(&gained, NAMED));
            changes.push("reach_gained", &subject, None, Some(list(&gained)), text);
        }
        let lost: Vec<_> = was.difference(&is).collect();
        if !lost.is_empty() {
            let text = format!("may no longer send anything to {}", few(&lost, NAMED));
            changes.push("reach_lost", &subject, Some(list(&lost)), None, text);
        }
    }
}

fn reached(edition: &Edition, originator: &PartnerId, now: Micros) -> BTreeSet<PartnerId> {
    let directory = edition.directory();
    let Some(partner) = directory.partner(originator).filter(|partner| partner.status == PartnerStatus::Active)
    else {
        return BTreeSet::new();
    };
    let numbers = edition.compiled().reach(partner.number, now);
    numbers
        .iter()
        .filter_map(|number| directory.numbered(PartnerNumber(number)))
        .map(|found| found.id.clone())
        .collect()
}
