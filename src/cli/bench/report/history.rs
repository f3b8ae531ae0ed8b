//! Rows that need a history of a size that no run of seconds comes to: it is seeded in a temporary folder and measured on there.

use std::path::{Path, PathBuf};

use clap::Args;
use tempfile::TempDir;

use super::Report;
use super::rows::{Row, backlog_seed, entries_seed};
use crate::cli::bench::network;
use crate::cli::bench::node::Interrupts;
use crate::cli::bench::run::{Measured, Options};
use crate::cli::bench::seed::Seed;
use crate::cli::{Failure, Output};

/// Notices that a node must bear to have waiting.
const WAITING: u64 = 250_000;
/// Entries that must not make a node slower.
const ENTRIES: u64 = 10_000_000;

/// How large the seeded histories are.
#[derive(Args, Clone, Copy)]
pub(super) struct Sizes {
    /// Notices that wait in the row `backlog`. Of fewer than 250,000 the figures are printed and not judged.
    #[arg(
        long,
        default_value_t = WAITING,
        value_parser = clap::value_parser!(u64).range(10..=10_000_000),
        value_name = "NOTICES"
    )]
    pub(super) waiting: u64,
    /// Entries of the long log in the row `entries`. Ten million take long to write, and more than 10 GB of disk; of fewer the
    /// figures are printed and not judged.
    #[arg(
        long,
        default_value_t = ENTRIES,
        value_parser = clap::value_parser!(u64).range(10..=100_000_000),
        value_name = "ENTRIES"
    )]
    pub(super) entries: u64,
}

impl Sizes {
    /// A row of this size can be held against what is required.
    pub(super) fn suffice_for(self, row: Row) -> bool {
        match row {
            Row::Backlog => self.waiting >= WAITING,
            Row::Entries => self.entries >= ENTRIES,
            _ => true,
        }
    }
}

/// One network with a history.
pub(super) enum History {
    /// It goes when this is dropped, silently.
    Temporary(TempDir),
    /// It was seeded before, and stays.
    Kept(PathBuf),
}

impl History {
    /// One that stays, as `bench seed` made it; what it lacks of these options is written.
    async fn kept(
        options: &str,
        folder: &Path,
        interrupts: &mut Interrupts,
        output: &Output,
    ) -> Result<Self, Failure> {
        Seed::read(options, folder)?.write(interrupts, output).await?;
        Ok(Self::Kept(folder.to_owned()))
    }

    /// As `bench seed` makes it with these options.
    pub(super) async fn seed(
        options: &str,
        place: Option<&Path>,
        interrupts: &mut Interrupts,
        output: &Output,
    ) -> Result<Self, Failure> {
        let folder = network::temporary_folder(place)?;
        output.talk(format!(" seeding a network, {options}"));
        Seed::read(options, folder.path())?.write(interrupts, output).await?;
        Ok(Self::Temporary(folder))
    }

    /// As `bench --on` does with these options. What is measured stays.
    pub(super) async fn measure(
        &self,
        options: &str,
        seconds: u64,
        interrupts: &mut Interrupts,
        output: &Output,
    ) -> Result<Measured, Failure> {
        let options = Options::read(options, seconds, None)?;
        let folder = match self {
            Self::Temporary(folder) => folder.path(),
            Self::Kept(folder) => folder,
        };
        Options { on: Some(folder.into()), ..options }.measure(interrupts, output).await
    }

    /// Removes it unless it is one that stays, and says so if that fails.
    pub(super) fn remove(self) -> Result<(), Failure> {
        match self {
            Self::Temporary(folder) => network::remove(folder),
            Self::Kept(_) => Ok(()),
        }
    }
}

/// Those that all rounds of a report share: what a round adds is little beside what was there.
#[derive(Default)]
pub(super) struct Histories {
    backlog: Option<History>,
    long: Option<History>,
}

impl Histories {
    /// Where notices wait. Seeded by whoever asks first.
    pub(super) async fn backlog(
        &mut self,
        report: &Report,
        interrupts: &mut Interrupts,
        output: &Output,
    ) -> Result<&History, Failure> {
        let seeded = match self.backlog.take() {
            Some(seeded) => seeded,
            None => {
                let options = backlog_seed(report.sizes.waiting);
                History::seed(&options, report.place.as_deref(), interrupts, output).await?
            }
        };
        Ok(self.backlog.insert(seeded))
    }

    /// The long log. Seeded by whoever asks first.
    pub(super) async fn long(
        &mut self,
        report: &Report,
        interrupts: &mut Interrupts,
        output: &Output,
    ) -> Result<&History, Failure> {
        let seeded = match (self.long.take(), &report.long) {
            (Some(seeded), _) => seeded,
            (None, Some(folder)) => {
                History::kept(&entries_seed(report.sizes.entries), folder, interrupts, output).await?
            }
            (None, None) => {
                let options = entries_seed(report.sizes.entries);
                History::seed(&options, report.place.as_deref(), interrupts, output).await?
            }
        };
        Ok(self.long.insert(seeded))
    }

    /// Removes those that do not stay.
    pub(super) fn remove(self) -> Result<(), Failure> {
        [self.backlog, self.long].into_iter().flatten().try_for_each(History::remove)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_smaller_history_is_not_held_against_what_is_required_of_a_larger_one() {
        let asked = Sizes { waiting: 250_000, entries: 10_000_000 };
        let small = Sizes { waiting: 249_999, entries: 9_999_999 };
        for (row, when_small) in [(Row::Backlog, false), (Row::Entries, false), (Row::Cpu, true)] {
            assert_eq!((asked.suffice_for(row), small.suffice_for(row)), (true, when_small), "{row:?}");
        }
    }
}
