//! What will trouble somebody although the directory is sound: found before it does, each with a code and a way out.

mod agreements;
mod check;
mod partners;
#[cfg(test)]
mod tests;

use liaison_protocol::id::Micros;
use rustls::pki_types::CertificateDer;

use super::edition::Edition;
use super::words;
use crate::peer::Authority;
pub use check::{Check, Level};

/// Agreements, keys and certificates are said to end soon when this is left: a partner needs weeks to make and deliver a new key.
const SOON: i64 = 30 * Micros::DAY;
/// The head is renewed by people who may be on leave for a week.
const RENEWAL_SOON: i64 = 7 * Micros::DAY;

/// One thing to look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Which check found it.
    pub check: Check,
    /// What it is about, e.g. `partner KE`.
    pub subject: String,
    /// What was found.
    pub text: String,
    /// What to change.
    pub fix: String,
}

/// Looks at an edition as it stands at `now`; warnings first.
pub fn lint(edition: &Edition, now: Micros) -> Vec<Finding> {
    let mut findings = Findings { edition, now, all: Vec::new() };
    findings.head();
    findings.nodes();
    findings.partners();
    findings.groups();
    findings.agreements();
    findings.all.sort_by_key(|finding| finding.check.level());
    findings.all
}

struct Findings<'e> {
    edition: &'e Edition,
    now: Micros,
    all: Vec<Finding>,
}

impl Findings<'_> {
    fn found(&mut self, check: Check, subject: impl Into<String>, text: impl Into<String>, fix: impl Into<String>) {
        self.all.push(Finding { check, subject: subject.into(), text: text.into(), fix: fix.into() });
    }

    fn head(&mut self) {
        let head = self.edition.directory().head();
        let (renew_by, lasts) = (head.renew_by(), head.renew_by().since(head.issued_at()));
        let left = renew_by.since(self.now);
        if self.edition.version().is_none() {
            // Its time begins when it is signed.
            if lasts < RENEWAL_SOON {
                let text = format!("the head after it would be due {}", days(lasts));
                self.found(Check::HeadRenewalDue, "head", text, "set renew_after_days to 30");
            }
        } else if left < 0 {
            let text = format!("a newer head was due on {}", words::date(renew_by));
            self.found(Check::HeadOverdue, "head", text, "liaison directory sign");
        } else if left < RENEWAL_SOON {
            let text = format!("a newer head is due {}, on {}", days(left), words::date(renew_by));
            self.found(Check::HeadRenewalDue, "head", text, "liaison directory sign");
        }
        for (place, why) in self.edition.directory().passed_over() {
            let fix = "run a program that knows it";
            self.found(Check::RecordPassedOver, format!("record {place}"), *why, fix);
        }
        let authority = self.edition.authority();
        let (threshold, keys) = (authority.threshold(), authority.keys().len());
        if threshold == 1 {
            let text = format!("1 of {keys} keys signs alone: whoever steals one key is the authority");
            let fix = "list at least three keys, held by different people, and set threshold = 2";
            self.found(Check::ThresholdOfOne, "authority", text, fix);
        } else if threshold == keys {
            let text = format!("all {keys} keys must sign: whoever loses one ends the network");
            self.found(Check::NoSpareKey, "authority", text, "list one more key than the threshold asks for");
        }
    }

    fn nodes(&mut self) {
        let directory = self.edition.directory();
        for node in directory.nodes() {
            let subject = format!("node {}", node.id);
            let homes = directory.partners().filter(|partner| partner.home == node.id).count();
            match (homes, node.addresses.is_empty()) {
                (0, _) => {
                    let fix = "give it partners, or remove its [[node]] once nobody needs receipts of its log";
                    self.found(Check::NodeWithoutPartners, &subject, "nobody has its home there", fix);
                }
                (_, true) => {
                    let text =
                        format!("is the home of {homes} partners and has no address where they could reach it");
                    self.found(Check::HomeWithoutAddress, &subject, text, "add its host:port to addresses");
                }
                (_, false) => {}
            }
            self.certificates(&subject, &node.tls_authorities);
        }
    }

    /// Authorities whose certificates end, or cannot be read at all: either shuts their owner out at the door.
    fn certificates(&mut self, subject: &str, ders: &[bytes::Bytes]) {
        for der in ders {
            let digest = words::short(liaison_protocol::id::Hash::of(&[der]));
            let authority = match Authority::read(&CertificateDer::from(&**der)) {
                Ok(authority) => authority,
                Err(why) => {
                    let text = format!("TLS authority {digest}: {why}");
                    self.found(Check::CertificateUnreadable, subject, text, "name another file in tls_authorities");
                    continue;
                }
            };
            let until = authority.ends();
            if until.since(self.now) < SOON {
                let text = format!("TLS authority {digest} {}", ends(until, self.now));
                let fix = "add the next authority's certificate to tls_authorities beside it";
                self.found(Check::CertificateEnding, subject, text, fix);
            }
        }
    }
}

/// `ends in 3 days, on 2026-01-04`, or that it has ended.
fn ends(at: Micros, now: Micros) -> String {
    let left = at.since(now);
    if left <= 0 {
        format!("ended on {}", words::date(at))
    } else {
        format!("ends {}, on {}", days(left), words::date(at))
    }
}

fn days(left: i64) -> String {
    match left / Micros::DAY {
        0 => "within a day".into(),
        1 => "in 1 day".into(),
        days => format!("in {days} days"),
    }
}
