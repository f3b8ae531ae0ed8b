//! The support bundle: what others need to help, in one tar file. It is listed before it is written, and made only from what may be
//! shown: no key, no notice, no store, no directory.toml is ever opened for it.

mod contents;

use std::fs::OpenOptions;
use std::io::{IsTerminal as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::{Exit, Failure, Output, output};
use contents::Item;

/// Everything that helps others to help you.
#[derive(Args)]
pub(super) struct SupportBundle {
    /// The node's configuration.
    #[arg(long, default_value = "liaison/hub.toml", value_name = "FILE")]
    config: PathBuf,
    /// The file to write; it must not be there yet.
    #[arg(long, default_value = "liaison-support.tar", value_name = "FILE")]
    to: PathBuf,
    /// Write it without asking.
    #[arg(long)]
    yes: bool,
}

impl SupportBundle {
    pub(super) async fn run(self, output: &mut Output) -> Result<Exit, Failure> {
        let items = contents::gather(&self.config).await;
        output.line(format!(" What {} will hold:", self.to.display()));
        for item in &items {
            output.line(format!(" {:>9}  {:<20} {}", size(item.bytes.len()), item.name, item.about));
        }
        output.line(" No key, no notice, no name of a person, and nothing of the store is in it. Read it before you send it.");
        if !self.yes && !self.asked(output)? {
            output.line(" Nothing was written.");
            return Ok(Exit::Done);
        }
        self.write(&items)?;
        output.line(format!(" ✔ {}", self.to.display()));
        output.line(format!(" Next:  tar -xOf {} | less", self.to.display()));
        output.set("file", self.to.display().to_string());
        let listed =
            items.iter().map(|item| json!({"name": item.name, "bytes": item.bytes.len(), "about": item.about}));
        output.set("items", listed.collect::<Vec<_>>());
        Ok(Exit::Done)
    }

    /// Whether whoever sits there wants it. Nobody is asked where nobody can answer.
    fn asked(&self, output: &Output) -> Result<bool, Failure> {
        if output.is_json() || !std::io::stdin().is_terminal() {
            return Err(Failure::new(Exit::Usage, "nobody is there to say yes")
                .next(format!("liaison support-bundle --config {} --yes", self.config.display())));
        }
        let _ = std::io::stderr().write_all(b" Write it? [y/N] ");
        let mut answer = String::new();
        std::io::stdin().read_line(&mut answer).map_err(|error| Failure::failed(error.to_string()))?;
        Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
    }

    fn write(&self, items: &[Item]) -> Result<(), Failure> {
        let failed = |error: std::io::Error| Failure::failed(format!("{}: {error}", self.to.display()));
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&self.to).map_err(failed)?;
        let mut tar = tar::Builder::new(file);
        let now = u64::try_from(output::now().0 / liaison_protocol::id::Micros::SECOND).unwrap_or_default();
        for item in items {
            let mut header = tar::Header::new_ustar();
            header.set_size(item.bytes.len() as u64);
            header.set_mode(0o600);
            header.set_mtime(now);
            tar.append_data(&mut header, item.name, item.bytes.as_slice()).map_err(failed)?;
        }
        tar.into_inner().and_then(|file| file.sync_all()).map_err(failed)
    }
}

fn size(bytes: usize) -> String {
    if bytes < 10_000 { format!("{bytes} B") } else { format!("{} KiB", bytes >> 10) }
}
