//! M, T and H: what waits, the clock, and the machine.

use std::path::Path;

use liaison_protocol::id::Micros;
use liaison_protocol::proto::{GetStatusResponse, MailboxStatus};

use super::super::check::{Check, Code, Fix};
use super::super::facts::{Fact, node, partner};
use super::{count, on, quoted, span, when};

use Code::{C08, D02, H01, H02, H03, M01, M02, M03, T01};

/// FLASH and IMMEDIATE are for minutes; whoever lets one lie for an hour should be called.
const URGENT_WAIT_MAX: i64 = Micros::HOUR;
/// A bureau that is closed for the night is back within a day.
const WAIT_MAX: i64 = Micros::DAY;
/// Systems that restart are back within this.
const ABSENCE_MAX: i64 = 15 * 60 * Micros::SECOND;
/// Of the queue, in percent.
const BUSY: u64 = 50;
const FULL: u64 = 90;
/// A clock may be set back by a moment; notices are refused at five minutes.
const BACK_MAX: i64 = 5 * 60 * Micros::SECOND;
/// Store, sockets of the operator, files that are read again: with room to spare.
const DESCRIPTORS_BESIDE: u64 = 256;
/// Of the descriptors a node may have, in percent.
const DESCRIPTORS_USED: u64 = 80;
/// Below this the node soon takes no notices any more.
const FREE_LEAST: u64 = 512 << 20;
/// At a thousand notices of 4 KiB an hour this lasts for three weeks.
const FREE_LITTLE: u64 = 2 << 30;

pub(super) fn node(code: Code, facts: &node::Node, found: &node::Found) -> Check {
    let look = || Fix::Look(format!("liaison status --config {}", quoted(&facts.config)));
    match code {
        M01 => when(M01, &found.status, C08, |status| waiting(&status.mailboxes, facts.now, look())),
        M02 => when(M02, &found.status, C08, |status| absent(&status.mailboxes, facts.now, look())),
        M03 => when(M03, &found.status, C08, |status| backlog(status, look())),
        T01 => {
            let signed = found.directory.as_ref().ok().map(|directory| directory.head().issued_at());
            let stated = found.data.store.as_ref().ok().and_then(|stored| stored.stated.clone().ok().flatten());
            clock([("the directory was signed", signed), ("the newest statement was made", stated)], facts.now)
        }
        H01 => descriptors(found),
        H02 => disk(&found.machine.free, &quoted(&found.data.folder)),
        _ => when(H03, &found.status, C08, |status| version(status, &facts.config)),
    }
}

pub(super) fn partner(code: Code, facts: &partner::Partner, found: &partner::Found) -> Check {
    match code {
        M01 => {
            let fix = || Fix::Look(format!("liaison -c {} inbox", quoted(&found.folder)));
            on(M01, &found.mailbox, fix, |(mailbox, _)| {
                let own = MailboxStatus {
                    partner: "you".into(),
                    waiting: mailbox.waiting,
                    urgent: mailbox.urgent,
                    oldest_at_us: mailbox.oldest_at_us,
                    ..MailboxStatus::default()
                };
                // By the node's clock: it is the one that counted.
                waiting(&[own], Micros(mailbox.now_us), fix())
            })
        }
        _ => when(T01, &found.directory, D02, |known| {
            clock([("the directory was signed", Some(known.head().issued_at())), ("", None)], facts.now)
        }),
    }
}

fn wait(mailbox: &MailboxStatus, now: Micros) -> i64 {
    if mailbox.oldest_at_us == 0 { 0 } else { now.since(Micros(mailbox.oldest_at_us)) }
}

pub(super) fn waiting(mailboxes: &[MailboxStatus], now: Micros, look: Fix) -> Check {
    let notices: u64 = mailboxes.iter().map(|mailbox| mailbox.waiting).sum();
    let urgent: u64 = mailboxes.iter().map(|mailbox| mailbox.urgent).sum();
    let Some(longest) =
        mailboxes.iter().filter(|mailbox| mailbox.waiting > 0).max_by_key(|mailbox| wait(mailbox, now))
    else {
        return Check::ok(M01, "nothing");
    };
    let found = format!(
        "{} ({urgent} urgent), for {} the longest: {}",
        count(notices, "notice", "notices"),
        longest.partner,
        span(wait(longest, now))
    );
    let too_long = |mailbox: &MailboxStatus| {
        let wait = wait(mailbox, now);
        wait > WAIT_MAX || mailbox.urgent > 0 && wait > URGENT_WAIT_MAX
    };
    if mailboxes.iter().any(too_long) { Check::warning(M01, found, look) } else { Check::ok(M01, found) }
}

pub(super) fn absent(mailboxes: &[MailboxStatus], now: Micros, look: Fix) -> Check {
    let gone = |mailbox: &&MailboxStatus| {
        mailbox.waiting > 0 && mailbox.connections == 0 && mailbox.streams == 0 && wait(mailbox, now) > ABSENCE_MAX
    };
    let gone: Vec<_> = mailboxes.iter().filter(gone).collect();
    if gone.is_empty() {
        return Check::ok(M02, "whoever has something waiting is here, or was lately");
    }
    let line = |mailbox: &&MailboxStatus| {
        format!(
            "{}: {} and no line for {}",
            mailbox.partner,
            count(mailbox.waiting, "waits", "wait"),
            span(wait(mailbox, now))
        )
    };
    let found: Vec<_> = gone.iter().map(line).collect();
    Check::warning(M02, found.join("; "), look)
}

pub(super) fn backlog(status: &GetStatusResponse, look: Fix) -> Check {
    let (queued, max) = (status.queued, status.queued_max);
    let found = format!("{queued} of {max} under way");
    match max > 0 && queued * 100 >= max * BUSY {
        false => Check::ok(M03, found),
        true if queued * 100 >= max * FULL => {
            Check::failed(M03, found + ": callers are told to come back later", look)
        }
        true => Check::warning(M03, found + ": the disk does not keep up", look),
    }
}

pub(super) fn clock(stated: [(&str, Option<Micros>); 2], now: Micros) -> Check {
    let last = stated.into_iter().filter_map(|(what, at)| Some((at?, what))).max();
    let Some((at, what)) = last else { return super::needs(T01, D02) };
    let behind = at.since(now);
    if behind > BACK_MAX {
        let found = format!("this machine's clock is {} before {what}", span(behind));
        return Check::failed(T01, found, Fix::Run("timedatectl set-ntp true".into()));
    }
    Check::ok(T01, format!("{what} {} ago", span(-behind)))
}

fn descriptors(found: &node::Found) -> Check {
    match &found.status {
        Ok(status) if status.descriptors_max > 0 => {
            let needed = u64::from(status.connections_max) + DESCRIPTORS_BESIDE;
            limit("the node", status.descriptors, status.descriptors_max, needed)
        }
        _ => {
            let needed = found.machine.connections_max + DESCRIPTORS_BESIDE;
            on(
                H01,
                &found.machine.descriptors_max,
                || Fix::Look("ulimit -n".into()),
                |max| limit("what is started from here", 0, *max, needed),
            )
        }
    }
}

pub(super) fn limit(who: &str, used: u64, max: u64, needed: u64) -> Check {
    let fix = || Fix::Run(format!("ulimit -n {needed}   (in a systemd unit: LimitNOFILE={needed})"));
    if used * 100 >= max.saturating_mul(DESCRIPTORS_USED) {
        return Check::failed(H01, format!("{who} has {used} of {max} open"), fix());
    }
    if max < needed {
        return Check::warning(H01, format!("{who} may have {max}, all its lines need {needed}"), fix());
    }
    let max = if max == u64::MAX { "any number".into() } else { max.to_string() };
    Check::ok(H01, format!("{who} may have {max}, all its lines need {needed}"))
}

pub(super) fn disk(free: &Fact<u64>, data: &str) -> Check {
    let fix = || Fix::Look(format!("df -h {data}"));
    on(H02, free, fix, |free| {
        let found = format!("{} for {data}", size(*free));
        match *free {
            free if free < FREE_LEAST => Check::failed(H02, found, fix()),
            free if free < FREE_LITTLE => Check::warning(H02, found, fix()),
            _ => Check::ok(H02, found),
        }
    })
}

fn size(bytes: u64) -> String {
    match bytes {
        0..1_048_576 => format!("{} KiB", bytes >> 10),
        1_048_576..1_073_741_824 => format!("{} MiB", bytes >> 20),
        _ => format!("{} GiB", bytes >> 30),
    }
}

pub(super) fn version(status: &GetStatusResponse, config: &Path) -> Check {
    let here = env!("CARGO_PKG_VERSION");
    if status.version == here {
        return Check::ok(H03, format!("both {here}"));
    }
    let found = format!("the node runs {}, this program is {here}", status.version);
    Check::warning(H03, found, Fix::Do(format!("restart the node: liaison serve --config {}", quoted(config))))
}
