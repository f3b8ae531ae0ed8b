//! Groups without members or use, and agreements that end or open nothing.

use liaison_protocol::directory::Agreement;
use liaison_protocol::id::PartnerNumber;

use super::{Check, Findings, SOON, ends};

impl Findings<'_> {
    pub(super) fn groups(&mut self) {
        let directory = self.edition.directory();
        for group in directory.groups() {
            let subject = format!("group {}", group.id);
            let names = |agreement: &Agreement| {
                agreement.originators.contains(&group.id) || agreement.recipients.contains(&group.id)
            };
            if group.members.is_empty() {
                self.found(Check::GroupEmpty, &subject, "has no members", "list its members, or remove the group");
            }
            if !directory.agreements().iter().any(names) {
                let fix = "name it in an agreement, or leave it as an address";
                self.found(Check::GroupUnused, &subject, "no agreement names it", fix);
            }
        }
    }

    pub(super) fn agreements(&mut self) {
        for agreement in self.edition.directory().agreements() {
            let subject = format!("agreement {}", agreement.id);
            let left = agreement.until.since(self.now);
            if left < SOON {
                let check = if left <= 0 { Check::AgreementLapsed } else { Check::AgreementLapsing };
                let fix = "agree on a new end and write it as until, or remove the agreement";
                self.found(check, &subject, ends(agreement.until, self.now), fix);
            }
            if !self.opens_something(agreement) {
                let fix = "name the missing parties, or remove the agreement";
                self.found(Check::AgreementIdle, &subject, "lets nobody send to anybody", fix);
            }
        }
    }

    fn opens_something(&self, agreement: &Agreement) -> bool {
        let numbers = |parties: &[_]| -> Vec<PartnerNumber> {
            parties.iter().flat_map(|party| self.edition.directory().members(party)).collect()
        };
        let (from, to) = (numbers(&agreement.originators), numbers(&agreement.recipients));
        from.iter().any(|from| to.iter().any(|to| to != from))
    }
}
