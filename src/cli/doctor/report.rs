//! What was found, for people and for programs.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::check::{Check, Outcome};
use crate::cli::{Exit, Output};

/// Room for the title, so that findings stand below each other.
const TITLE_WIDTH: usize = 29;

/// Prints all checks, by group, and says how it went.
pub(super) fn print(checks: &[Check], output: &mut Output) -> Exit {
    let mut group = None;
    for check in checks {
        if group != Some(check.code.group()) {
            group = Some(check.code.group());
            output.line(format!("\n {}", check.code.group().title()));
        }
        lines(check).iter().for_each(|line| output.line(line));
    }
    let count = |outcome| checks.iter().filter(|check| check.outcome == outcome).count();
    let [ok, warnings, failed, skipped] =
        [Outcome::Ok, Outcome::Warning, Outcome::Failed, Outcome::Skipped].map(count);
    let exit = if failed > 0 { Exit::Failed } else { Exit::Done };
    let named = |outcome| {
        let codes: Vec<_> =
            checks.iter().filter(|check| check.outcome == outcome).map(|check| check.code.word()).collect();
        if codes.is_empty() { String::new() } else { format!(" ({})", codes.join(" ")) }
    };
    let not_made = if skipped > 0 { format!(", {skipped} not made") } else { String::new() };
    let plural = if warnings == 1 { "" } else { "s" };
    output.line(format!(
        "\n {} checks: {ok} ok, {warnings} warning{plural}{}, {failed} failed{}{not_made}   exit {}",
        checks.len(),
        named(Outcome::Warning),
        named(Outcome::Failed),
        exit as u8
    ));
    output.set("checks", checks.iter().map(object).collect::<Vec<_>>());
    let totals = BTreeMap::from([("ok", ok), ("warnings", warnings), ("failed", failed), ("skipped", skipped)]);
    output.set("totals", json!(totals));
    output.set("exit", exit as u8);
    exit
}

fn lines(check: &Check) -> Vec<String> {
    let title = check.code.title();
    let first = format!(" {} {} {title:<TITLE_WIDTH$} {}", check.outcome.sign(), check.code, check.found);
    let mut lines = vec![first];
    if let Some(fix) = &check.fix {
        lines.push(format!("       {}: {}", fix.label(), fix.text()));
        lines.push(format!("       why: {}", check.code.page()));
    }
    lines
}

fn object(check: &Check) -> Value {
    json!({
        "code": check.code.word(),
        "group": check.code.group().title(),
        "title": check.code.title(),
        "outcome": check.outcome.word(),
        "found": check.found,
        "fix": check.fix.as_ref().map(|fix| json!({"kind": fix.label(), "text": fix.text()})),
        "page": check.code.page(),
    })
}
