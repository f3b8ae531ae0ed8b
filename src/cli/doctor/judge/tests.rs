//! What cannot be staged, on made-up facts: clocks that are off, crowds, full disks, mailboxes that nobody empties.

use liaison_protocol::id::Micros;
use liaison_protocol::proto::{GetStatusResponse, MailboxStatus};

use super::super::check::{Check, Code, Fix, Outcome};
use super::super::facts::Missing;
use super::{connection, delivery, ending, quoted, span};

const NOW: Micros = Micros(1_795_000_000 * Micros::SECOND);
const MINUTE: i64 = 60 * Micros::SECOND;

fn look() -> Fix {
    Fix::Look("look".into())
}

/// Case, check, code, outcome, a word of what was found.
fn all_are(rows: Vec<(&str, Check, Code, Outcome, &str)>) {
    for (case, check, code, outcome, found) in rows {
        assert_eq!((check.code, check.outcome), (code, outcome), "{case}: {check:?}");
        assert!(check.found.contains(found), "{case}: {}", check.found);
        assert_eq!(check.fix.is_some(), outcome != Outcome::Ok, "{case}: whatever is amiss has a fix: {check:?}");
    }
}

fn waits(waiting: u64, urgent: u64, since: i64) -> MailboxStatus {
    let oldest_at_us = if waiting > 0 { NOW.plus(-since).0 } else { 0 };
    MailboxStatus { partner: "KE".into(), waiting, urgent, oldest_at_us, ..MailboxStatus::default() }
}

fn node(change: impl FnOnce(&mut GetStatusResponse)) -> GetStatusResponse {
    let mut status = GetStatusResponse {
        version: env!("CARGO_PKG_VERSION").into(),
        connections_max: 4_096,
        handshakes_max: 256,
        connections_per_partner_max: 64,
        queued_max: 1_000,
        ..GetStatusResponse::default()
    };
    change(&mut status);
    status
}

#[test]
fn a_clock_is_compared_with_the_nodes_and_with_what_was_stated() {
    let apart = |apart: i64| connection::clock(NOW.plus(apart), NOW);
    let stated =
        |ago: i64| delivery::clock([("the newest statement was made", Some(NOW.plus(-ago))), ("", None)], NOW);
    all_are(vec![
        ("together", apart(0), Code::C04, Outcome::Ok, "0 ms"),
        ("at the limit", apart(30 * Micros::SECOND), Code::C04, Outcome::Ok, "30000 ms"),
        ("behind", apart(47 * Micros::SECOND), Code::C04, Outcome::Warning, "47 s behind the node (limit 30 s)"),
        ("ahead", apart(-3 * MINUTE), Code::C04, Outcome::Warning, "3 min ahead of the node"),
        ("after it", stated(MINUTE), Code::T01, Outcome::Ok, "1 min ago"),
        ("a little before it", stated(-MINUTE), Code::T01, Outcome::Ok, "0 s ago"),
        ("long before it", stated(-6 * MINUTE), Code::T01, Outcome::Failed, "6 min before the newest statement"),
    ]);
}

#[test]
fn crowds_and_queues_are_seen_before_they_are_too_long() {
    let crowd = |change: fn(&mut GetStatusResponse)| connection::crowd(&node(change), look());
    let backlog = |queued: u64| delivery::backlog(&node(|status| status.queued = queued), look());
    let owner = |status: &mut GetStatusResponse, connections: u32| {
        status.mailboxes = vec![MailboxStatus { partner: "KE".into(), connections, ..MailboxStatus::default() }];
    };
    let crowd_of = |connections: u32| connection::crowd(&node(|status| owner(status, connections)), look());
    all_are(vec![
        ("few", crowd(|status| status.connections = 3_000), Code::C09, Outcome::Ok, "3000 of 4096"),
        (
            "many",
            crowd(|status| status.connections = 3_300),
            Code::C09,
            Outcome::Warning,
            "3300 of 4096 connections",
        ),
        ("all", crowd(|status| status.connections = 4_096), Code::C09, Outcome::Failed, "4096 of 4096"),
        (
            "strangers",
            crowd(|status| status.handshakes = 250),
            Code::C09,
            Outcome::Warning,
            "250 of 256 handshakes",
        ),
        ("one partner's", crowd_of(60), Code::C09, Outcome::Warning, "60 of 64 connections of KE"),
        ("one partner has its share", crowd_of(50), Code::C09, Outcome::Ok, "0 of 4096"),
        ("idle", backlog(499), Code::M03, Outcome::Ok, "499 of 1000"),
        ("busy", backlog(500), Code::M03, Outcome::Warning, "the disk does not keep up"),
        ("full", backlog(900), Code::M03, Outcome::Failed, "come back later"),
    ]);
}

#[test]
fn what_waits_too_long_or_for_nobody_is_said() {
    let waiting = |mailbox| delivery::waiting(&[waits(0, 0, 0), mailbox], NOW, look());
    let absent = |mailbox| delivery::absent(&[mailbox], NOW, look());
    let here = MailboxStatus { streams: 1, ..waits(3, 0, 5 * Micros::HOUR) };
    all_are(vec![
        ("nothing", waiting(waits(0, 0, 0)), Code::M01, Outcome::Ok, "nothing"),
        ("overnight", waiting(waits(3, 0, 14 * Micros::HOUR)), Code::M01, Outcome::Ok, "3 notices (0 urgent)"),
        (
            "for a day",
            waiting(waits(1, 0, 25 * Micros::HOUR)),
            Code::M01,
            Outcome::Warning,
            "KE the longest: 1 day 1 h",
        ),
        ("urgent", waiting(waits(2, 1, 61 * MINUTE)), Code::M01, Outcome::Warning, "2 notices (1 urgent)"),
        ("urgent and new", waiting(waits(2, 1, 59 * MINUTE)), Code::M01, Outcome::Ok, "59 min"),
        ("nobody there", absent(waits(3, 0, 16 * MINUTE)), Code::M02, Outcome::Warning, "KE: 3 wait and no line"),
        ("restarting", absent(waits(3, 0, 14 * MINUTE)), Code::M02, Outcome::Ok, "lately"),
        ("there", absent(here), Code::M02, Outcome::Ok, "is here"),
    ]);
}

#[test]
fn a_machine_that_is_short_of_something_is_found() {
    let disk = |free: u64| delivery::disk(&Ok(free), "data");
    let unknown = delivery::disk(&Err(Missing::Failed("data: no such device".into())), "data");
    let limit = |used, max| delivery::limit("the node", used, max, 4_352);
    let version = |version: &str| {
        delivery::version(&node(|status| status.version = version.into()), std::path::Path::new("hub.toml"))
    };
    all_are(vec![
        ("room", disk(61 << 30), Code::H02, Outcome::Ok, "61 GiB"),
        ("little room", disk(1 << 30), Code::H02, Outcome::Warning, "1 GiB for data"),
        ("no room", disk(100 << 20), Code::H02, Outcome::Failed, "100 MiB"),
        ("unknown room", unknown, Code::H02, Outcome::Failed, "no such device"),
        ("descriptors", limit(10, 20_000), Code::H01, Outcome::Ok, "20000"),
        ("no limit", limit(10, u64::MAX), Code::H01, Outcome::Ok, "any number"),
        ("few descriptors", limit(10, 1_024), Code::H01, Outcome::Warning, "may have 1024"),
        ("used descriptors", limit(820, 1_024), Code::H01, Outcome::Failed, "820 of 1024 open"),
        ("same program", version(env!("CARGO_PKG_VERSION")), Code::H03, Outcome::Ok, "both"),
        ("older node", version("0.0.1"), Code::H03, Outcome::Warning, "the node runs 0.0.1"),
    ]);
}

#[test]
fn an_end_is_told_a_month_a_week_and_a_day_before() {
    let ends = |left: i64| ending(Code::K04, "it", NOW.plus(left), NOW, look);
    all_are(vec![
        ("a year", ends(365 * Micros::DAY), Code::K04, Outcome::Ok, "365 days"),
        ("30 days", ends(30 * Micros::DAY), Code::K04, Outcome::Ok, "30 days"),
        ("a moment less", ends(30 * Micros::DAY - 1), Code::K04, Outcome::Warning, "29 days, on"),
        ("a week", ends(7 * Micros::DAY - 1), Code::K04, Outcome::Warning, "6 days: hurry"),
        ("a day", ends(Micros::DAY - 1), Code::K04, Outcome::Failed, "23 h 59 min"),
        ("now", ends(0), Code::K04, Outcome::Failed, "ended 0 s ago"),
    ]);
}

#[test]
fn lengths_of_time_and_paths_read_well() {
    let spans = [
        (0, "0 s"),
        (59, "59 s"),
        (60, "1 min"),
        (8_040, "2 h 14 min"),
        (90_000, "1 day 1 h"),
        (172_800, "2 days"),
    ];
    for (seconds, text) in spans {
        assert_eq!(span(seconds * Micros::SECOND), text);
    }
    assert_eq!(quoted(std::path::Path::new("a/b-1.pem")), "a/b-1.pem");
    assert_eq!(quoted(std::path::Path::new("a b'c")), r"'a b'\''c'");
}
