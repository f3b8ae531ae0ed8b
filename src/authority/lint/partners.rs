//! Partners whom nobody reaches, and keys that end.

use liaison_protocol::directory::Partner;
use liaison_protocol::keyring::{TrustedKey, Usage};
use liaison_protocol::proto::PartnerStatus;
use roaring::RoaringBitmap;

use super::{Check, Findings, SOON, ends};
use crate::authority::diff::usage_word;
use crate::authority::words;

impl Findings<'_> {
    pub(super) fn partners(&mut self) {
        let (edition, now) = (self.edition, self.now);
        let directory = edition.directory();
        let active = || directory.partners().filter(|partner| partner.status == PartnerStatus::Active);
        let reached =
            active().fold(RoaringBitmap::new(), |set, partner| set | edition.compiled().reach(partner.number, now));
        for partner in active() {
            let subject = format!("partner {}", partner.id);
            let mute = edition.compiled().reach(partner.number, now).is_empty();
            if !reached.contains(partner.number.0) {
                let fix = "name it or a group of it among the recipients of an agreement in force";
                self.found(Check::NobodyMaySend, &subject, "nobody may send it anything", fix);
            }
            if mute {
                let fix = "name it or a group of it among the originators of an agreement in force";
                self.found(Check::MaySendNothing, &subject, "may send nothing to anybody", fix);
            }
            self.keys(partner, Usage::Acknowledgement, Check::NoAcknowledgementKey);
            if !mute {
                self.keys(partner, Usage::Notice, Check::NoNoticeKey);
            }
        }
        for partner in directory.partners() {
            self.certificates(&format!("partner {}", partner.id), &partner.tls_authorities);
        }
    }

    /// Whether a partner can sign now, and will be able to.
    fn keys(&mut self, partner: &Partner, usage: Usage, missing: Check) {
        let now = self.now;
        let all = self.edition.directory().keys(partner.number);
        let usable: Vec<_> = all.iter().filter(|key| key.usage == usage && !key.denied).collect();
        let subject = format!("partner {}", partner.id);
        let word = usage_word(usage);
        let fix = format!("list the partner's next {word} key under its [[partner.key]], beside the old one");
        let in_force = |key: &&&TrustedKey| key.in_force(now).is_ok();
        let Some(last) = usable.iter().filter(in_force).max_by_key(|key| key.not_after) else {
            let next = usable.iter().filter(|key| key.not_before > now).map(|key| key.not_before).min();
            let next =
                next.map(|next| format!("; the next one begins on {}", words::date(next))).unwrap_or_default();
            return self.found(missing, subject, format!("has no {word} key in force{next}"), fix);
        };
        // A successor begins before the end and lasts longer.
        let succeeded = usable.iter().any(|key| key.not_before <= last.not_after && key.not_after > last.not_after);
        if last.not_after.since(now) < SOON && !succeeded {
            let text = format!("its last {word} key {} {}", words::short(last.id.0), ends(last.not_after, now));
            self.found(Check::KeyEnding, subject, text, fix);
        }
    }
}
