//! What a shell and a reader of manuals need: completions and pages, made from the commands themselves.

use std::path::PathBuf;

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use super::{Exit, Failure, Output};

/// Completions for a shell.
#[derive(Args)]
pub(super) struct Completions {
    /// Which shell.
    shell: Shell,
}

impl Completions {
    pub(super) fn run(self, output: &mut Output) -> Result<Exit, Failure> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut super::Args::command(), "liaison", &mut script);
        let script = String::from_utf8_lossy(&script).into_owned();
        output.line(script.trim_end());
        output.set("shell", self.shell.to_string());
        output.set("script", script);
        Ok(Exit::Done)
    }
}

/// Manual pages, one for each command.
#[derive(Args)]
pub(super) struct Man {
    /// Where they are written.
    folder: PathBuf,
}

impl Man {
    pub(super) fn run(self, output: &mut Output) -> Result<Exit, Failure> {
        let failed = |error: std::io::Error| Failure::failed(format!("{}: {error}", self.folder.display()));
        std::fs::create_dir_all(&self.folder).map_err(failed)?;
        clap_mangen::generate_to(super::Args::command(), &self.folder).map_err(failed)?;
        let pages = std::fs::read_dir(&self.folder).map_err(failed)?.flatten();
        let mut pages: Vec<_> = pages.map(|page| page.file_name().to_string_lossy().into_owned()).collect();
        pages.retain(|page| page.starts_with("liaison") && page.ends_with(".1"));
        pages.sort_unstable();
        output.line(format!(" ✔ {} pages in {}", pages.len(), self.folder.display()));
        output.line(format!(" Next:  man -l {}", self.folder.join("liaison.1").display()));
        output.set("pages", pages);
        Ok(Exit::Done)
    }
}
