//! Facts in, checks out: nothing here reads a file, a clock or a line. Which checks are made says the list of each way of asking.

mod certificate;
mod connection;
mod delivery;
mod directory;
mod evidence;
mod files;
#[cfg(test)]
mod tests;

use std::path::Path;

use liaison_protocol::id::Micros;

use super::check::{Check, Code, Fix};
use super::facts::node::Node;
use super::facts::partner::Partner;
use super::facts::{Fact, Missing};

/// How long before an end somebody is told: time to order a certificate, time to hurry, and too late for office hours.
const SOON: [i64; 3] = [30 * Micros::DAY, 7 * Micros::DAY, Micros::DAY];

use Code::*;

/// Made before a node is started.
const PRE: &[Code] = &[
    F01, F02, F03, F04, K01, K02, K03, K04, K05, K06, K07, D01, D02, D03, D04, D05, D07, D08, D09, D10, C06, S01,
    S02, S03, S04, S05, L01, L03, L04, L05, T01, H01, H02,
];
/// Made beside a running node.
const BESIDE: &[Code] = &[
    F01, F02, F03, F04, K01, K02, K03, K04, K05, K06, K07, D01, D02, D03, D04, D05, D06, D07, D08, D09, D10, C01,
    C02, C07, C08, C09, S01, S02, S03, S04, S05, L01, L02, L03, L04, M01, M02, M03, T01, H01, H02, H03,
];
/// Made by a partner.
const PARTNER: &[Code] = &[
    F01, F02, F03, F04, K01, K02, K03, K04, K05, K08, K09, D01, D02, D03, D04, D05, D07, C01, C02, C03, C04, C05,
    L01, L02, M01, T01,
];

/// Judges what an operator's machine knows.
pub(super) fn node(facts: &Node) -> Vec<Check> {
    let codes = if facts.pre { PRE } else { BESIDE };
    let found = match &facts.found {
        Ok(found) => found,
        Err(problem) => return unreadable(codes, files::bad_configuration(&facts.config, problem)),
    };
    let of = |code: Code| match code {
        F01 | F02 | F03 | F04 => files::node(code, facts, found),
        K01 | K02 | K03 | K04 | K05 | K06 | K07 => certificate::node(code, facts, found),
        D01 | D02 | D03 | D04 | D05 | D06 | D07 | D08 | D09 | D10 => directory::node(code, facts, found),
        C01 | C02 | C06 | C07 | C08 | C09 => connection::node(code, facts, found),
        S01 | S02 | S03 | S04 | S05 | L01 | L02 | L03 | L04 | L05 => evidence::node(code, facts, found),
        _ => delivery::node(code, facts, found),
    };
    codes.iter().map(|code| of(*code)).collect()
}

/// Judges what a partner's machine knows.
pub(super) fn partner(facts: &Partner) -> Vec<Check> {
    let found = match &facts.found {
        Ok(found) => found,
        Err(problem) => return unreadable(PARTNER, files::bad_context(&facts.context, problem)),
    };
    let of = |code: Code| match code {
        F01 | F02 | F03 | F04 => files::partner(code, facts, found),
        K01 | K02 | K03 | K04 | K05 | K08 | K09 => certificate::partner(code, facts, found),
        D01 | D02 | D03 | D04 | D05 | D07 => directory::partner(code, facts, found),
        C01 | C02 | C03 | C04 | C05 => connection::partner(code, facts, found),
        L01 | L02 => evidence::partner(code, facts, found),
        _ => delivery::partner(code, facts, found),
    };
    PARTNER.iter().map(|code| of(*code)).collect()
}

/// The first check failed in such a way that no other can be made.
fn unreadable(codes: &[Code], first: Check) -> Vec<Check> {
    let rest = codes.iter().filter(|code| **code != first.code).map(|code| needs(*code, first.code));
    std::iter::once(first.clone()).chain(rest).collect()
}

fn needs(code: Code, other: Code) -> Check {
    Check::skipped(code, format!("needs {other}"))
}

/// Judges a fact that is there; one that failed is the finding itself.
fn on<T>(code: Code, fact: &Fact<T>, fix: impl FnOnce() -> Fix, decide: impl FnOnce(&T) -> Check) -> Check {
    match fact {
        Ok(fact) => decide(fact),
        Err(Missing::Failed(problem)) => Check::failed(code, problem.clone(), fix()),
        Err(missing) => without(code, missing),
    }
}

/// Judges a fact that is there; one that is missing is another check's finding.
fn when<T>(code: Code, fact: &Fact<T>, whose: Code, decide: impl FnOnce(&T) -> Check) -> Check {
    match fact {
        Ok(fact) => decide(fact),
        Err(Missing::Failed(_)) => needs(code, whose),
        Err(missing) => without(code, missing),
    }
}

fn without(code: Code, missing: &Missing) -> Check {
    match missing {
        Missing::After(other) => needs(code, *other),
        Missing::NotHere(why) => Check::skipped(code, *why),
        Missing::Failed(problem) => Check::skipped(code, problem.clone()),
    }
}

/// Something that ends: too late within a day, soon within a month.
fn ending(code: Code, what: &str, until: Micros, now: Micros, fix: impl FnOnce() -> Fix) -> Check {
    let left = until.since(now);
    let day = day(until);
    match left {
        left if left <= 0 => Check::failed(code, format!("{what} ended {} ago, on {day}", span(-left)), fix()),
        left if left < SOON[2] => Check::failed(code, format!("{what} ends in {}", span(left)), fix()),
        left if left < SOON[1] => Check::warning(code, format!("{what} ends in {}: hurry", span(left)), fix()),
        left if left < SOON[0] => Check::warning(code, format!("{what} ends in {}, on {day}", span(left)), fix()),
        left => Check::ok(code, format!("{what} holds for {}", span(left))),
    }
}

/// A length of time in its largest two units.
fn span(micros: i64) -> String {
    let seconds = micros.max(0) / Micros::SECOND;
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (2.., ..) => format!("{days} days"),
        (1, ..) => format!("1 day {hours} h"),
        (0, 1.., _) => format!("{hours} h {minutes} min"),
        (0, 0, 1..) => format!("{minutes} min"),
        _ => format!("{seconds} s"),
    }
}

fn day(at: Micros) -> String {
    super::super::output::time(at).split('T').next().unwrap_or_default().into()
}

/// One and many.
fn count(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// A path as a shell takes it.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+@%:,=".contains(c);
    if !text.is_empty() && text.chars().all(plain) { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

/// The folder of a file, as a command takes it.
fn folder_of(file: &Path) -> &Path {
    file.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."))
}
