//! What changed between two editions of a directory, in sentences: one for each thing that somebody could ask about later.

mod agreements;
mod partners;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;

use liaison_protocol::directory::{Node, VerifiedHead};
use liaison_protocol::id::{HeadVersion, Micros};
use liaison_protocol::keyring::PublicKey;

use super::edition::Edition;
use super::words;
pub(crate) use partners::usage_word;

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// What kind of difference: a fixed word, for programs.
    pub code: &'static str,
    /// What it is about, e.g. `partner KE`.
    pub subject: String,
    /// How it was. None: there was nothing.
    pub was: Option<String>,
    /// How it is now. None: there is nothing.
    pub now: Option<String>,
    /// The whole in one sentence.
    pub text: String,
}

/// Everything in which `new` differs from `old`. Whom anybody reaches is compared at `now`.
pub fn diff(old: &Edition, new: &Edition, now: Micros) -> Vec<Change> {
    let mut changes = Changes::default();
    changes.head(old, new);
    changes.nodes(old, new);
    partners::compare(&mut changes, old.directory(), new.directory());
    agreements::groups(&mut changes, old.directory(), new.directory());
    agreements::compare(&mut changes, old.directory(), new.directory());
    agreements::reach(&mut changes, old, new, now);
    changes.0
}

#[derive(Default)]
struct Changes(Vec<Change>);

impl Changes {
    fn push(&mut self, code: &'static str, subject: &str, was: Option<String>, now: Option<String>, text: String) {
        self.0.push(Change { code, subject: subject.into(), was, now, text: format!("{subject} {text}") });
    }

    fn added(&mut self, code: &'static str, subject: &str, what: impl Display) {
        self.push(code, subject, None, Some(what.to_string()), format!("added: {what}"));
    }

    fn removed(&mut self, code: &'static str, subject: &str, what: impl Display) {
        self.push(code, subject, Some(what.to_string()), None, format!("removed: {what}"));
    }

    /// A field that may have changed.
    fn field<T: PartialEq + Display>(&mut self, code: &'static str, subject: &str, what: &str, was: &T, now: &T) {
        if was != now {
            let text = format!("{what} is now {now}, was {was}");
            self.push(code, subject, Some(was.to_string()), Some(now.to_string()), text);
        }
    }

    /// Things of a set that came and went.
    fn set<T: Ord + Display>(
        &mut self,
        codes: [&'static str; 2],
        subject: &str,
        was: &[T],
        now: &[T],
        verbs: [&str; 2],
    ) {
        let (was, now): (BTreeSet<_>, BTreeSet<_>) = (was.iter().collect(), now.iter().collect());
        for item in now.difference(&was) {
            self.push(codes[0], subject, None, Some(item.to_string()), format!("{} {item}", verbs[0]));
        }
        for item in was.difference(&now) {
            self.push(codes[1], subject, Some(item.to_string()), None, format!("{} {item}", verbs[1]));
        }
    }

    fn head(&mut self, old: &Edition, new: &Edition) {
        let (was, now) = (old.directory().head(), new.directory().head());
        self.field("network_renamed", "network", "name in certificates", was.name(), now.name());
        if let (Some(HeadVersion(was)), Some(HeadVersion(now))) = (old.version(), new.version()) {
            self.field("version", "head", "version", &was, &now);
        }
        if old.version().is_some() && new.version().is_some() {
            self.field("renew_by", "head", "renew_by", &words::date(was.renew_by()), &words::date(now.renew_by()));
        } else {
            // Not signed yet: the moment itself says nothing.
            let days = |head: &VerifiedHead| head.renew_by().since(head.issued_at()) / Micros::DAY;
            self.field("renew_after_days", "head", "renew_after_days", &days(was), &days(now));
        }
        let (was, now) = (old.authority(), new.authority());
        let threshold = |keys: &liaison_protocol::directory::AuthorityKeys| {
            format!("{} of {} keys", keys.threshold(), keys.keys().len())
        };
        self.field("authority_threshold", "authority", "threshold", &threshold(was), &threshold(now));
        let names = |keys: &[PublicKey]| keys.iter().map(|key| words::short(key.id().0)).collect::<Vec<_>>();
        let codes = ["authority_key_added", "authority_key_removed"];
        self.set(codes, "authority", &names(was.keys()), &names(now.keys()), ["gains key", "loses key"]);
    }

    fn nodes(&mut self, old: &Edition, new: &Edition) {
        let by_id = |edition: &Edition| -> BTreeMap<_, Node> {
            edition.directory().nodes().map(|node| (node.id.clone(), node.clone())).collect()
        };
        let (old, new) = (by_id(old), by_id(new));
        for (subject, was, now) in pairs("node", &old, &new) {
            match (was, now) {
                (None, Some(now)) => {
                    let at = words::list(&now.addresses);
                    self.added("node_added", &subject, format!("log {} at {at}", now.log_origin));
                }
                (Some(was), None) => self.removed("node_removed", &subject, format!("log {}", was.log_origin)),
                (Some(was), Some(now)) => self.node(&subject, was, now),
                (None, None) => {}
            }
        }
    }

    fn node(&mut self, subject: &str, was: &Node, now: &Node) {
        self.field("node_log_origin", subject, "log", &was.log_origin, &now.log_origin);
        let key = |node: &Node| words::short(node.log_key.id().0);
        self.field("node_log_key", subject, "log key", &key(was), &key(now));
        let codes = ["node_address_added", "node_address_removed"];
        let verbs = ["is also reached at", "is no longer reached at"];
        self.set(codes, subject, &was.addresses, &now.addresses, verbs);
        self.pins(subject, (&was.tls_authorities, &was.tls_keys), (&now.tls_authorities, &now.tls_keys));
    }

    /// What TLS certificates are recognised by.
    fn pins(&mut self, subject: &str, was: Pins<'_>, now: Pins<'_>) {
        let authorities = |pins: Pins<'_>| pins.0.iter().map(certificate).collect::<Vec<_>>();
        let codes = ["tls_authority_added", "tls_authority_removed"];
        let verbs = ["takes certificates issued by", "no longer takes certificates issued by"];
        self.set(codes, subject, &authorities(was), &authorities(now), verbs);
        let keys = |pins: Pins<'_>| pins.1.iter().map(|key| words::short(*key)).collect::<Vec<_>>();
        let codes = ["tls_key_pinned", "tls_key_unpinned"];
        self.set(codes, subject, &keys(was), &keys(now), ["may use TLS key", "may no longer use TLS key"]);
        if was.1.is_empty() != now.1.is_empty() {
            let word =
                |pins: Pins<'_>| if pins.1.is_empty() { "any its authorities certify" } else { "pinned ones only" };
            self.field("tls_keys", subject, "TLS keys:", &word(was), &word(now));
        }
    }
}

/// Authorities and pinned keys of one identity.
type Pins<'a> = (&'a [bytes::Bytes], &'a [liaison_protocol::id::Hash]);

/// An authority by its name for people and its digest.
fn certificate(der: &bytes::Bytes) -> String {
    let digest = words::short(liaison_protocol::id::Hash::of(&[der]));
    let subject =
        x509_parser::parse_x509_certificate(der).map(|(_, certificate)| certificate.subject().to_string());
    // What is not readable here is not readable at the door either; `lint` says so.
    subject.map_or_else(|_| digest.clone(), |subject| format!("{} ({digest})", subject.escape_debug()))
}

/// What stands under one name in either, in the order of the names.
fn pairs<'a, K: Ord + Display, T>(
    what: &str,
    old: &'a BTreeMap<K, T>,
    new: &'a BTreeMap<K, T>,
) -> Vec<(String, Option<&'a T>, Option<&'a T>)> {
    let names: BTreeSet<_> = old.keys().chain(new.keys()).collect();
    names.into_iter().map(|name| (format!("{what} {name}"), old.get(name), new.get(name))).collect()
}
