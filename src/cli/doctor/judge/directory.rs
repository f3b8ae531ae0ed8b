//! D: the trust file, the directory it vouches for, and what the directory says of whoever asks.

use std::sync::Arc;

use liaison_protocol::directory::{self, Agreement, Directory, RecordBody, VerifiedHead};
use liaison_protocol::id::{Micros, Origin};
use liaison_protocol::keyring::PublicKey;
use liaison_protocol::proto::PartnerStatus;
use liaison_protocol::tlog::checkpoint::VerifierKey;
use liaison_protocol::trust::Trust;

use super::super::check::{Check, Code, Fix};
use super::super::facts::{Fact, Missing, node, partner};
use super::{SOON, count, day, folder_of, on, quoted, span, when};
use crate::app::inspect::Listed;
use crate::authority::edition::Edition;
use crate::authority::lint;
use crate::peer::Identity;

use Code::{C08, D01, D02, D03, D04, D05, D06, D07, D08, D09, D10};

/// The record of the node that is configured here.
pub(super) fn listed(found: &node::Found) -> Fact<directory::Node> {
    let directory = found.directory.as_ref().map_err(|missing| after(missing, D02))?;
    directory.node(&found.settings.node).cloned().ok_or(Missing::After(D04))
}

/// The record of the partner whose context this is.
pub(super) fn registered(found: &partner::Found) -> Fact<directory::Partner> {
    let known = found.directory.as_ref().map_err(|missing| after(missing, D02))?;
    let Identity::Partner { partner, .. } = &found.identity else { return Err(Missing::After(Code::F01)) };
    let record = known.records().iter().find_map(|record| match record {
        RecordBody::Partner(record) if record.id == *partner => Some(record.clone()),
        _ => None,
    });
    record.ok_or(Missing::After(D04))
}

/// What failed elsewhere is needed here.
fn after(missing: &Missing, code: Code) -> Missing {
    match missing {
        Missing::Failed(_) => Missing::After(code),
        other => other.clone(),
    }
}

pub(super) fn node(code: Code, facts: &node::Node, found: &node::Found) -> Check {
    let folder = quoted(folder_of(&facts.config));
    let sign = || Fix::Run(format!("liaison directory sign --folder {folder}"));
    let publish = || {
        Fix::Do(format!(
            "put the file back as the authority published it into {}",
            quoted(&found.settings.directory)
        ))
    };
    match code {
        D01 => trust(&found.trust, &found.settings.trust),
        D02 => on(D02, &found.directory, publish, |directory| signed(directory.head(), directory.len())),
        D03 => when(D03, &found.directory, D02, |directory| age(directory.head(), facts.now, sign())),
        D04 => when(D04, &found.directory, D02, |directory| match directory.node(&found.settings.node) {
            Some(node) => {
                let homes = directory.partners().filter(|partner| partner.home == node.id).count() as u64;
                Check::ok(D04, format!("node {}, home of {}", node.id, count(homes, "partner", "partners")))
            }
            None => {
                let others: Vec<_> = directory.nodes().map(|node| node.id.to_string()).collect();
                let found = format!("node {} is not in it; it lists {}", found.settings.node, others.join(", "));
                Check::failed(D04, found, Fix::Look(format!("liaison directory show --folder {folder}")))
            }
        }),
        D05 => when(D05, &found.directory, D02, |directory| {
            agreements(directory.agreements().iter(), facts.now, sign())
        }),
        D06 => when(D06, &found.status, C08, |status| {
            when(D06, &found.directory, D02, |directory| {
                let newest = directory.head().version().0;
                let reload = Fix::Run(format!("liaison reload --config {}", quoted(&facts.config)));
                match status.directory_version {
                    served if served == newest => {
                        Check::ok(D06, format!("version {served}, the newest in the folder"))
                    }
                    served => Check::failed(
                        D06,
                        format!("the node serves version {served}, the folder has {newest}"),
                        reload,
                    ),
                }
            })
        }),
        D08 => denied(&found.denied),
        D09 => revocation(&found.revocation, facts.now),
        D10 => when(D10, &found.directory, D02, |directory| {
            troubles(directory, facts.now, Fix::Look(format!("liaison directory lint --folder {folder}")))
        }),
        _ => when(D07, &found.trust, D01, |trust| {
            when(D07, &listed(found), D04, |node| {
                log(trust, &node.log_origin, &node.log_key, &found.settings.trust)
            })
        }),
    }
}

pub(super) fn partner(code: Code, facts: &partner::Partner, found: &partner::Found) -> Check {
    let file = found.folder.join(&found.file.trust);
    let renew = || Fix::Do("tell your authority; it signs the directory anew: liaison directory sign".into());
    let anew = || Fix::Do(format!("tell your authority, and keep {} as it is", quoted(&file)));
    match code {
        D01 => trust(&found.trust, &file),
        D02 => on(D02, &found.directory, anew, |known| signed(known.head(), known.records().len())),
        D03 => when(D03, &found.directory, D02, |known| age(known.head(), facts.now, renew())),
        D04 => when(D04, &found.directory, D02, |_| match registered(found) {
            Ok(partner) if partner.status == PartnerStatus::Active => {
                Check::ok(D04, format!("{}, number {}, home {}", partner.id, partner.number.0, partner.home))
            }
            Ok(partner) => Check::failed(D04, format!("{} is suspended", partner.id), renew()),
            Err(_) => Check::failed(D04, format!("{} is not in it", found.identity), renew()),
        }),
        D05 => when(D05, &found.directory, D02, |known| {
            let agreements = known.records().iter().filter_map(|record| match record {
                RecordBody::Agreement(agreement) => Some(agreement),
                _ => None,
            });
            agreements_of(agreements, facts.now, renew)
        }),
        _ => when(D07, &found.trust, D01, |trust| {
            when(D07, &found.directory, D02, |known| {
                let home = registered(found).map(|partner| partner.home).ok();
                let node = known.records().iter().find_map(|record| match record {
                    RecordBody::Node(node) if Some(&node.id) == home.as_ref() => Some(node),
                    _ => None,
                });
                match node {
                    Some(node) => log(trust, &node.log_origin, &node.log_key, &file),
                    None => super::needs(D07, D04),
                }
            })
        }),
    }
}

fn agreements_of<'a>(
    agreements: impl Iterator<Item = &'a Agreement>,
    now: Micros,
    fix: impl FnOnce() -> Fix,
) -> Check {
    self::agreements(agreements, now, fix())
}

fn trust(trust: &Fact<Trust>, file: &std::path::Path) -> Check {
    let fix = || {
        Fix::Do(format!(
            "get the trust file from your authority again, and compare it by another way: {}",
            quoted(file)
        ))
    };
    on(D01, trust, fix, |trust| {
        let network = super::super::super::output::short(&trust.network().to_string());
        let logs = count(trust.policy().logs().len() as u64, "log", "logs");
        Check::ok(
            D01,
            format!(
                "network {network}, {} of {} authority keys, {logs}",
                trust.authority().threshold(),
                trust.authority().keys().len()
            ),
        )
    })
}

fn signed(head: &VerifiedHead, records: usize) -> Check {
    let records = count(records as u64, "record", "records");
    Check::ok(D02, format!("{} version {}, {records}", head.name(), head.version().0))
}

/// An old directory stops nothing; what it says may no longer be so.
fn age(head: &VerifiedHead, now: Micros, fix: Fix) -> Check {
    let left = head.renew_by().since(now);
    match left {
        left if left <= 0 => Check::warning(D03, format!("a newer version has been due for {}", span(-left)), fix),
        left if left < SOON[1] => Check::warning(D03, format!("a newer version is due in {}", span(left)), fix),
        left => Check::ok(D03, format!("signed {}, a newer one is due in {}", day(head.issued_at()), span(left))),
    }
}

fn agreements<'a>(agreements: impl Iterator<Item = &'a Agreement>, now: Micros, fix: Fix) -> Check {
    let all: Vec<_> = agreements.collect();
    let in_force: Vec<_> = all.iter().filter(|one| one.from <= now && now < one.until).collect();
    let mut lapsing: Vec<_> = in_force.iter().filter(|one| one.until.since(now) < SOON[0]).collect();
    lapsing.sort_by_key(|one| one.until);
    if in_force.is_empty() {
        let found = format!("none of {} is in force: nobody may send anything", all.len());
        return Check::failed(D05, found, then(&fix));
    }
    if lapsing.is_empty() {
        let first = in_force.iter().map(|one| one.until).min().unwrap_or(now);
        return Check::ok(D05, format!("{} in force, none ends before {}", in_force.len(), day(first)));
    }
    let found: Vec<_> =
        lapsing.iter().map(|one| format!("{} ends in {}", one.id, span(one.until.since(now)))).collect();
    Check::warning(D05, found.join("; "), then(&fix))
}

/// An agreement is written by people first.
fn then(sign: &Fix) -> Fix {
    Fix::Do(format!("set a later `until` in directory.toml, then: {}", sign.text()))
}

/// Whether receipts of a log can be verified with a trust file.
fn log(trust: &Trust, origin: &Origin, key: &PublicKey, file: &std::path::Path) -> Check {
    let Some(expected) = VerifierKey::of_log(origin, key.clone()) else { return super::needs(D07, D02) };
    if trust.policy().logs().contains(&expected) {
        return Check::ok(D07, format!("it accepts checkpoints of {origin}"));
    }
    let found =
        format!("it does not name {origin} with the key that the directory lists: receipts will not verify");
    Check::failed(D07, found, Fix::Run(format!("echo 'log {expected}' >> {}", quoted(file))))
}

/// What `liaison directory lint` warns of and no other check says: the head's age is D03's and ending agreements are D05's finding, and
/// how many keys an authority has is its own decision.
fn troubles(directory: &Arc<Directory>, now: Micros, look: Fix) -> Check {
    use lint::Check as Trouble;
    if !directory.agreements().iter().any(|one| one.from <= now && now < one.until) {
        return super::needs(D10, D05);
    }
    let elsewhere = [
        Trouble::HeadOverdue,
        Trouble::HeadRenewalDue,
        Trouble::ThresholdOfOne,
        Trouble::AgreementLapsed,
        Trouble::AgreementLapsing,
    ];
    let findings = lint::lint(&Edition::signed(directory.clone()), now);
    let warns = |finding: &&lint::Finding| {
        finding.check.level() == lint::Level::Warning && !elsewhere.contains(&finding.check)
    };
    let all: Vec<_> = findings.iter().filter(warns).collect();
    let Some(first) = all.first() else { return Check::ok(D10, "nothing that lint warns of") };
    let more = if all.len() > 1 { format!("; and {} more", all.len() - 1) } else { String::new() };
    Check::warning(D10, format!("{} {}: {}{more}", first.check.code(), first.subject, first.text), look)
}

fn denied(denied: &Fact<Option<usize>>) -> Check {
    let fix = || {
        Fix::Do("mend the line: a node does not start with it, and a running one keeps the list that it has".into())
    };
    on(D08, denied, fix, |entries| match entries {
        None => Check::ok(D08, "none is configured"),
        Some(entries) => Check::ok(D08, count(*entries as u64, "entry", "entries")),
    })
}

/// Where lists are configured for an authority and none may be believed, nobody with its certificates is let in.
fn revocation(lists: &[Listed], now: Micros) -> Check {
    let fix =
        || Fix::Do("fetch the newest list from its authority; a running node reads it within a second".into());
    let shut: Vec<_> = lists.iter().filter(|one| one.until.is_none()).collect();
    let refused: Vec<_> = lists.iter().flat_map(|one| one.refused.iter().map(String::as_str)).collect();
    if !shut.is_empty() {
        let names: Vec<_> = shut.iter().map(|one| one.authority.display().to_string()).collect();
        let why = if refused.is_empty() { String::new() } else { format!(": {}", refused.join("; ")) };
        let found =
            format!("no list may be believed for {}, so none of its certificates is let in{why}", names.join(", "));
        return Check::failed(D09, found, fix());
    }
    if !refused.is_empty() {
        return Check::warning(D09, refused.join("; "), fix());
    }
    match lists.iter().filter_map(|one| one.until).min() {
        None => Check::ok(D09, "none is configured"),
        Some(until) if until.since(now) < SOON[2] => {
            Check::warning(D09, format!("the next one is due in {}", span(until.since(now))), fix())
        }
        Some(until) => Check::ok(D09, format!("the next one is due in {}", span(until.since(now)))),
    }
}
