//! INTERPOL's published notices, from files that the operator has obtained.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::Sending;
use super::run::Import;
use crate::cli::context::Context;
use crate::cli::{Exit, Failure, Output, read};
use crate::import::interpol::Notices;

/// INTERPOL's published notices.
#[derive(Args)]
pub(in crate::cli) struct Interpol {
    /// Notices, arrays of notices, or pages of a list, as the service gives them.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Send what pages show of notices, too: name, birth and nationality, and no more.
    #[arg(long)]
    summaries: bool,
    #[command(flatten)]
    sending: Sending,
}

impl Interpol {
    pub(super) async fn run(self, context: Option<&Context>, output: &mut Output) -> Result<Exit, Failure> {
        let (mut notices, mut unreadable) = (Notices::default(), Vec::new());
        for path in &self.files {
            let bytes = read(path)?;
            notices.read(&bytes).map_err(|fault| Failure::failed(format!("{}: {fault}", path.display())))?;
            unreadable.extend(notices.unreadable.drain(..).map(|fault| (path, fault)));
        }
        output.line(format!(
            " {} notices, {} of them summaries, {} unreadable",
            notices.len(),
            notices.summaries(),
            unreadable.len()
        ));
        for (path, fault) in &unreadable {
            output.line(format!(" ✘ {}: {fault}", path.display()));
        }
        for (field, count) in &notices.unknown {
            output.line(format!(" ! unknown field {field}, kept in {count} notices"));
        }
        for (category, page) in notices.pages.iter().filter(|(_, page)| page.is_incomplete()) {
            output.line(format!(
                " ! incomplete: {} of {} {} notices; what is missing is not withdrawn",
                page.held,
                page.total,
                category.word()
            ));
        }
        let left_out = if self.summaries { 0 } else { notices.summaries() };
        if left_out > 0 {
            output
                .line(format!(" ! {left_out} summaries are not sent; give the notices themselves, or --summaries"));
        }
        let row = |(path, fault): &(&PathBuf, crate::import::interpol::Fault)| json!({"file": path.display().to_string(), "field": fault.field, "offset": fault.offset, "problem": fault.problem});
        let page = |(category, page): (&crate::import::interpol::Category, &crate::import::interpol::Page)| json!({"category": category.word(), "total": page.total, "held": page.held, "incomplete": page.is_incomplete()});
        output.set("unreadable", unreadable.len());
        output.set("unreadable_records", unreadable.iter().map(row).collect::<Vec<_>>());
        output.set("unknown_fields", json!(notices.unknown));
        output.set("pages", notices.pages.iter().map(page).collect::<Vec<_>>());
        output.set("summaries_left_out", left_out);
        let edition = notices.edition(self.summaries);
        let import = Import { sending: &self.sending, since: None, to: &edition, first: String::new() };
        match import.run(context, output).await? {
            Exit::Done if !unreadable.is_empty() => Ok(Exit::Partly),
            exit => Ok(exit),
        }
    }
}
