//! Partners and their signing keys, compared.

use std::collections::BTreeMap;

use liaison_protocol::directory::{Directory, Partner};
use liaison_protocol::keyring::{TrustedKey, Usage};
use liaison_protocol::proto::PartnerStatus;

use super::{Changes, pairs};
use crate::authority::words::{date, short, word};

pub(super) fn compare(changes: &mut Changes, old: &Directory, new: &Directory) {
    let by_id = |directory: &Directory| -> BTreeMap<_, (Partner, Vec<TrustedKey>)> {
        let whole = |partner: &Partner| (partner.clone(), directory.keys(partner.number).to_vec());
        directory.partners().map(|partner| (partner.id.clone(), whole(partner))).collect()
    };
    let (old, new) = (by_id(old), by_id(new));
    for (subject, was, now) in pairs("partner", &old, &new) {
        match (was, now) {
            (None, Some((now, now_keys))) => {
                let number = now.number.0;
                changes.added(
                    "partner_added",
                    &subject,
                    format!("number {number}, {}, home {}", now.name, now.home),
                );
                keys(changes, &subject, &[], now_keys);
            }
            (Some((was, _)), None) => changes.removed(
                "partner_removed",
                &subject,
                format!("{}; its number {} is never given again", was.name, was.number.0),
            ),
            (Some((was, was_keys)), Some((now, now_keys))) => {
                partner(changes, &subject, was, now);
                keys(changes, &subject, was_keys, now_keys);
            }
            (None, None) => {}
        }
    }
}

fn partner(changes: &mut Changes, subject: &str, was: &Partner, now: &Partner) {
    if was.status != now.status {
        let (code, text) = match now.status {
            PartnerStatus::Suspended => {
                ("partner_suspended", "is suspended: it may call nothing, its mailbox is kept")
            }
            _ => ("partner_reinstated", "is active again"),
        };
        let status = |partner: &Partner| Some(word("PARTNER_STATUS", partner.status.as_str_name()));
        changes.push(code, subject, status(was), status(now), text.into());
    }
    if was.home != now.home {
        let (from, to) = (was.home.to_string(), now.home.to_string());
        let text = format!("moves home from {from} to {to}");
        changes.push("partner_moved", subject, Some(from), Some(to), text);
    }
    changes.field("partner_number", subject, "number", &was.number.0, &now.number.0);
    changes.field("partner_renamed", subject, "name", &was.name, &now.name);
    let category = |partner: &Partner| word("PARTNER_CATEGORY", partner.category.as_str_name());
    changes.field("partner_category", subject, "category", &category(was), &category(now));
    changes.pins(subject, (&was.tls_authorities, &was.tls_keys), (&now.tls_authorities, &now.tls_keys));
}

fn keys(changes: &mut Changes, subject: &str, old: &[TrustedKey], new: &[TrustedKey]) {
    let window = |key: &TrustedKey| format!("from {} until {}", date(key.not_before), date(key.not_after));
    let name = |key: &TrustedKey| format!("{} key {}", usage_word(key.usage), short(key.id.0));
    let by_id = |keys: &[TrustedKey]| -> BTreeMap<_, TrustedKey> {
        keys.iter().map(|key| (key.id.0.to_hex(), key.clone())).collect()
    };
    let (old, new) = (by_id(old), by_id(new));
    for (_, was, now) in pairs("key", &old, &new) {
        match (was, now) {
            (None, Some(now)) => {
                let denied = if now.denied { ", denied" } else { "" };
                let text = format!("gains {}, {}{denied}", name(now), window(now));
                changes.push("key_added", subject, None, Some(name(now)), text);
            }
            (Some(was), None) => {
                changes.push("key_removed", subject, Some(name(was)), None, format!("loses {}", name(was)));
            }
            (Some(was), Some(now)) => {
                changes.field(
                    "key_usage",
                    subject,
                    &format!("key {}", short(now.id.0)),
                    &usage_word(was.usage),
                    &usage_word(now.usage),
                );
                changes.field("key_window", subject, &name(now), &window(was), &window(now));
                if was.denied != now.denied {
                    let (code, verb) =
                        if now.denied { ("key_denied", "may not use") } else { ("key_restored", "may use again") };
                    let text = format!("{verb} {}", name(now));
                    let state = |key: &TrustedKey| Some(if key.denied { "denied" } else { "accepted" }.into());
                    changes.push(code, subject, state(was), state(now), text);
                }
            }
            (None, None) => {}
        }
    }
}

/// A usage as directory.toml has it.
pub(crate) fn usage_word(usage: Usage) -> &'static str {
    match usage {
        Usage::Notice => "notice",
        Usage::Acknowledgement => "acknowledgement",
    }
}
