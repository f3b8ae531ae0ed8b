//! The UN Security Council Consolidated List.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use super::Sending;
use super::run::Import;
use crate::cli::context::Context;
use crate::cli::{Exit, Failure, Output, read};
use crate::import::Edition;
use crate::import::un_list::{self, UnListError};

/// The UN Security Council Consolidated List.
#[derive(Args)]
pub(in crate::cli) struct UnList {
    /// The list, as published.
    file: PathBuf,
    /// The list as it was when it was sent last: only the difference is sent.
    #[arg(long, value_name = "FILE")]
    since: Option<PathBuf>,
    #[command(flatten)]
    sending: Sending,
}

impl UnList {
    pub(super) async fn run(self, context: Option<&Context>, output: &mut Output) -> Result<Exit, Failure> {
        let list = read_list(&self.file)?;
        let since = self.since.as_deref().map(read_list).transpose()?;
        output.line(format!(
            " list of {}, {} entries, {} unreadable",
            list.day(),
            list.entries.len(),
            list.unreadable.len()
        ));
        let mut unreadable = Vec::new();
        for record in &list.unreadable {
            let reference = record.reference.clone().unwrap_or_else(|| "no reference".into());
            output.line(format!(" ✘ {reference}   line {}: {}", record.line, record.reason));
            unreadable.push(
                json!({"reference": record.reference, "line": record.line, "problem": record.reason.to_string()}),
            );
        }
        if !list.encoding.is_utf8() {
            output.line(format!(" ! the file says that it is in UTF-8, and its bytes are {}", list.encoding));
            output.set("encoding", list.encoding.to_string());
        }
        let unknown: usize = list.entries.iter().map(|entry| entry.unknown.len()).sum();
        output.set("unreadable", unreadable.len());
        output.set("unreadable_records", unreadable);
        output.set("unknown_fields", unknown);
        output.set("list_date", list.day());

        if let Some(since) = &since {
            output.line(format!(" since {}, {} entries", since.day(), since.entries.len()));
            output.set("since_date", since.day());
        }
        let (to, since_edition) = (Edition::from(&list), since.as_ref().map(Edition::from));
        let first = self.since.as_deref().unwrap_or(&self.file).display();
        let import = Import {
            sending: &self.sending,
            since: since_edition.as_ref(),
            to: &to,
            first: format!("liaison import un-list {first} --group MEMBERS"),
        };
        match import.run(context, output).await? {
            Exit::Done if !list.unreadable.is_empty() => Ok(Exit::Partly),
            exit => Ok(exit),
        }
    }
}

fn read_list(path: &Path) -> Result<un_list::UnList, Failure> {
    let list = un_list::read(&read(path)?).and_then(|list| list.is_readable_enough().map(|()| list));
    list.map_err(|error| {
        let failure = Failure::failed(format!("{}: {error}", path.display()));
        match error {
            UnListError::Encoding { .. }
            | UnListError::TooMuchUnreadable { .. }
            | UnListError::Truncated { .. } => {
                failure.next("get the file again, byte for byte as it is published; nothing of it was sent")
            }
            _ => failure,
        }
    })
}
