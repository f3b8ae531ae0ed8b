//! Lists of others as notices: what a publisher says now, compared with what this partner has sent of it.

mod interpol;
mod ledger_file;
mod run;
mod send;
mod un_list;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use liaison_protocol::id::PartnerId;

use super::context::Context;
use super::{Exit, Failure, Output};
use crate::import::ledger::Ledger;
use crate::import::{Rules, Threshold};
pub(super) use send::send_all;

/// Turn other people's lists into notices.
#[derive(Subcommand)]
pub(super) enum ImportCommand {
    /// The UN Security Council Consolidated List (XML): one notice for each entry, or for each that changed.
    UnList(un_list::UnList),
    /// INTERPOL's published notices (JSON): red, yellow, and of the UN Security Council.
    Interpol(interpol::Interpol),
}

/// To whom, under which rules, and what is known of what was sent before.
#[derive(Args)]
pub(super) struct Sending {
    /// Recipients, one by one.
    #[arg(long, value_delimiter = ',', value_name = "PARTNER,…")]
    to: Vec<PartnerId>,
    /// Recipients by group.
    #[arg(long, value_delimiter = ',', value_name = "GROUP,…")]
    group: Vec<PartnerId>,
    /// Show what would be sent, and send nothing.
    #[arg(long)]
    dry_run: bool,
    /// Amend also where only INTERPOL links, dates of reviews or unknown elements changed.
    #[arg(long)]
    amend_on_any_change: bool,
    /// Send although more than half of what is in force would be amended or delisted.
    #[arg(long)]
    many: bool,
    /// Send to others than before: who is new gets only what changes, and who is left out is not told of it.
    #[arg(long)]
    new_audience: bool,
    /// Where it is written down what was sent. Without it: imports/ in the context's folder.
    #[arg(long, value_name = "FILE")]
    ledger: Option<PathBuf>,
}

impl Sending {
    fn rules(&self) -> Rules {
        let threshold = if self.amend_on_any_change { Threshold::AnyChange } else { Threshold::Substance };
        Rules { threshold, many: self.many }
    }

    fn audience(&self) -> Result<send::Audience, Failure> {
        if self.to.is_empty() && self.group.is_empty() {
            return Err(Failure::new(Exit::Usage, "no recipient").next("--group MEMBERS, or --dry-run"));
        }
        Ok((self.to.clone(), self.group.clone(), Vec::new()))
    }

    /// The audience as the ledger keeps it.
    fn addressees(&self) -> Vec<String> {
        let partners = self.to.iter().map(ToString::to_string);
        let mut all: Vec<_> = partners.chain(self.group.iter().map(|group| format!("group {group}"))).collect();
        all.sort();
        all.dedup();
        all
    }

    /// A withdrawal must reach everybody who got what it withdraws.
    fn agrees_with(&self, ledger: &Ledger) -> Result<(), Failure> {
        let (before, now) = (ledger.audience(), self.addressees());
        if before.is_empty() || before == now || self.new_audience {
            return Ok(());
        }
        let text =
            format!("notices of this list went to {}, and these would go to {}", before.join(", "), now.join(", "));
        Err(Failure::new(Exit::Conflict, text).next("the same recipients as before, or --new-audience"))
    }
}

impl ImportCommand {
    pub(super) async fn run(self, context: Option<&str>, output: &mut Output) -> Result<Exit, Failure> {
        // A dry run needs nobody; whoever is named is found before anything is read.
        let context = context.filter(|name| !name.is_empty()).map(|name| Context::find(Some(name))).transpose()?;
        match self {
            Self::UnList(command) => command.run(context.as_ref(), output).await,
            Self::Interpol(command) => command.run(context.as_ref(), output).await,
        }
    }
}
