//! Looking at what a directory says: what changed, what a partner may send, and what will trouble somebody.

mod explain;
#[cfg(test)]
mod tests;

use clap::Args;
use liaison_protocol::id::Micros;
use serde_json::json;

use super::folder::{DRAFT, NEWEST, NetworkFolder};
use crate::authority::diff::{Change, diff};
use crate::authority::lint::{Finding, Level, lint};
use crate::cli::{Exit, Failure, Folder, Output, output};
pub(in crate::cli) use explain::Explain;

/// What changed between two editions.
#[derive(Args)]
pub(in crate::cli) struct Diff {
    /// A version's number, `newest`, or a file with a sealed directory.
    #[arg(default_value = NEWEST, value_name = "OLD")]
    old: String,
    /// The same, or `draft` for directory.toml as it stands now, or another such file.
    #[arg(default_value = DRAFT, value_name = "NEW")]
    new: String,
    #[command(flatten)]
    folder: Folder,
}

impl Diff {
    pub(super) fn run(self, output: &mut Output) -> Result<Exit, Failure> {
        let folder = NetworkFolder::open(&self.folder.folder)?;
        let (old, new) = (folder.edition(&self.old)?, folder.edition(&self.new)?);
        let changes = diff(&old, &new, output::now());
        output.line(format!(" {old} → {new}"));
        for change in &changes {
            output.line(format!(" {} {}", mark(change), change.text));
        }
        match (changes.len(), new.version()) {
            (0, _) => output.line(" Nothing differs."),
            (count, None) => output.line(format!(
                " {count} differences. Sign them: liaison directory sign --folder {}",
                self.folder.folder.display()
            )),
            (count, Some(_)) => output.line(format!(" {count} differences.")),
        }
        output.set("old", old.to_string());
        output.set("new", new.to_string());
        output.set("changes", changes.iter().map(to_json).collect::<Vec<_>>());
        Ok(Exit::Done)
    }
}

fn mark(change: &Change) -> char {
    match (&change.was, &change.now) {
        (None, _) => '+',
        (_, None) => '-',
        _ => '~',
    }
}

fn to_json(change: &Change) -> serde_json::Value {
    json!({
        "code": change.code,
        "subject": change.subject,
        "was": change.was,
        "now": change.now,
        "text": change.text,
    })
}

/// What will trouble somebody although the directory is sound.
#[derive(Args)]
pub(in crate::cli) struct Lint {
    /// A version's number, `newest`, `draft` for directory.toml as it stands now, or a file with either.
    #[arg(default_value = NEWEST, value_name = "EDITION")]
    edition: String,
    #[command(flatten)]
    folder: Folder,
    /// As it will stand then: a date, or a moment with zone.
    #[arg(long, value_name = "MOMENT", value_parser = moment)]
    at: Option<Micros>,
}

impl Lint {
    pub(super) fn run(self, output: &mut Output) -> Result<Exit, Failure> {
        let edition = NetworkFolder::open(&self.folder.folder)?.edition(&self.edition)?;
        let findings = lint(&edition, self.at.unwrap_or_else(output::now));
        let warnings = findings.iter().filter(|finding| finding.check.level() == Level::Warning).count();
        output.line(format!(" {edition}"));
        for finding in &findings {
            let mark = if finding.check.level() == Level::Warning { '!' } else { '·' };
            output.line(format!(" {mark} {}   {}: {}", finding.check, finding.subject, finding.text));
            output.line(format!("       fix: {}", finding.fix));
        }
        output.line(format!(" {warnings} warnings, {} notes", findings.len() - warnings));
        output.set("edition", edition.to_string());
        output.set("warnings", warnings);
        output.set("findings", findings.iter().map(finding_to_json).collect::<Vec<_>>());
        Ok(if warnings == 0 { Exit::Done } else { Exit::Failed })
    }
}

fn finding_to_json(finding: &Finding) -> serde_json::Value {
    let level = if finding.check.level() == Level::Warning { "warning" } else { "note" };
    json!({
        "code": finding.check.code(),
        "check": finding.check.word(),
        "level": level,
        "subject": finding.subject,
        "text": finding.text,
        "fix": finding.fix,
    })
}

/// A date (its first moment, UTC) or a moment with zone.
fn moment(text: &str) -> Result<Micros, String> {
    crate::authority::directory_file::moment(text, "moment")
}
