//! A long history to measure on: real notices, really signed for, written by the node's own exchange, sequencer and store from
//! within this process. Only the line is left out. Called again on the same folder, it goes on from where it is.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use clap::Args;
use liaison_client::Signed;
use liaison_client::sign::Recipient;
use liaison_protocol::directory::Directory;
use liaison_protocol::id::{LeafIndex, Micros, NoticeId};
use liaison_protocol::limits::ITEMS_MAX;
use liaison_protocol::proto::Verdict;
use liaison_protocol::signer::Ed25519Signer;
use tokio::task::JoinSet;

use super::network::BenchNetwork;
use super::node::Interrupts;
use super::notice::Maker;
use super::round;
use crate::app::inside::{Inside, Insider};
use crate::cli::context::Context;
use crate::cli::network::NetworkFolder;
use crate::cli::{Failure, Output, bench, output};
use crate::clock::{Clock as _, Entropy as _, SystemClock, SystemEntropy};
use crate::config::Settings;

/// Notices that go together: a few chunks of as many originators fill a batch.
const CHUNK: usize = 256;
/// Notices that are signed for together, with one signature of each recipient.
const ROUND: u64 = ITEMS_MAX as u64;
/// Seeded notices wait for longer than anybody measures on them.
const LIFETIME_US: i64 = 30 * Micros::DAY;

/// Make a network whose node has a long history, to measure on it with `bench --on`. Every notice, signature, statement, tile and
/// checkpoint in it is real, and was judged and committed as if it had come over a line; all notices have the same content.
#[derive(Args)]
pub(super) struct Seed {
    /// Entries that the log has in the end; a history that is there already goes on.
    #[arg(long, value_parser = clap::value_parser!(u64).range(10..=100_000_000))]
    entries: u64,
    /// How many of the notices written now go on waiting for all their recipients. The others are signed for, 4,096 at a time.
    #[arg(long, default_value_t = 0)]
    waiting: u64,
    /// Originators of a new network, which write at the same time.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=16))]
    connections: u32,
    /// Recipients of every notice in a new network, all in one group.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    recipients: u32,
    /// Content of every notice.
    #[arg(long, default_value_t = 1_024, value_parser = clap::value_parser!(u32).range(1..=(1 << 20)), value_name = "BYTES")]
    payload: u32,
    /// The network's folder. It is kept.
    #[arg(long, value_name = "FOLDER")]
    place: PathBuf,
}

/// So many notices, and whether their recipients sign for them.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Round {
    notices: u64,
    settled: bool,
}

/// What is left to do, for whoever is free next.
type Rounds = Mutex<VecDeque<Round>>;

/// What was written, and what is there now.
pub(super) struct Seeded {
    place: PathBuf,
    entries: u64,
    written: u64,
    seconds: f64,
    stored_bytes: u64,
}

impl Seed {
    /// Options as they stand on a command line, apart from where.
    pub(super) fn read(line: &str, place: &Path) -> Result<Self, Failure> {
        let place = [OsStr::new("--place"), place.as_os_str()];
        bench::read(line.split_whitespace().map(OsStr::new).chain(place))
    }

    /// Writes what is missing. Whoever asks it to end lets it finish the rounds under way; the next call goes on from there.
    pub(super) async fn write(self, interrupts: &mut Interrupts, output: &Output) -> Result<Seeded, Failure> {
        let network = if self.place.join("hub.toml").exists() {
            BenchNetwork::open(&self.place)?
        } else {
            BenchNetwork::make(&self.place, self.connections, self.recipients)?
        };
        let clock = Arc::new(SystemClock::new());
        let settings = Settings::read(&network.config()).map_err(|bad| Failure::failed(bad.to_string()))?;
        let failed = |error: &dyn std::fmt::Display| Failure::failed(error.to_string());
        let node = Arc::new(Inside::start(&settings, clock.clone()).await.map_err(|error| failed(&error))?);
        let (found, [_, recipients]) = (node.size(), network.counts());
        let more = self.entries.saturating_sub(found);
        output.talk(format!(" the log has {found} entries, {more} more to write"));
        let rounds = Arc::new(Mutex::new(plan(more, self.waiting, u64::from(recipients))));
        let mut payload = vec![0; self.payload as usize];
        SystemEntropy::new().fill(&mut payload);
        let began = clock.monotonic();
        let asked = {
            let mut writing = pin!(write(&network, &node, &rounds, Bytes::from(payload)));
            tokio::select! {
                written = &mut writing => written.map(|()| None)?,
                failure = interrupts.asked() => {
                    rounds.lock().unwrap_or_else(PoisonError::into_inner).clear();
                    writing.await?;
                    Some(failure)
                }
            }
        };
        let (entries, seconds) = (node.size(), (clock.monotonic() - began).as_secs_f64());
        Arc::into_inner(node).expect("every writer has ended").stop().await.map_err(|error| failed(&error))?;
        let stored_bytes = stored_bytes(&settings.data);
        let seeded = Seeded { place: self.place, entries, written: entries - found, seconds, stored_bytes };
        asked.map_or(Ok(seeded), Err)
    }
}

impl Seeded {
    /// For people, and for programs.
    pub(super) fn print(&self, output: &mut Output) {
        let Self { place, entries, written, seconds, stored_bytes } = self;
        let (place, rate) = (place.display(), *written as f64 / seconds);
        output.line(format!(" ✔ {entries} entries in {place}"));
        output.line(format!(" {written} of them written now, {rate:.0} /s, {} MiB stored", stored_bytes >> 20));
        output.line(format!(" Next:  liaison bench --on {place}"));
        output.set("entries", *entries);
        output.set("written", *written);
        output.set("seconds", round(*seconds));
        output.set("written_per_s", round(rate));
        output.set("stored_bytes", *stored_bytes);
    }
}

/// Rounds that come to exactly this many entries: each settled one has a statement of every recipient beside its notices. What
/// waits comes last.
fn plan(entries: u64, waiting: u64, recipients: u64) -> VecDeque<Round> {
    let mut rounds = VecDeque::new();
    let mut left = entries.saturating_sub(waiting);
    while left > recipients {
        let notices = (left - recipients).min(ROUND);
        rounds.push_back(Round { notices, settled: true });
        left -= notices + recipients;
    }
    let mut left = left + waiting.min(entries);
    while left > 0 {
        let notices = left.min(ROUND);
        rounds.push_back(Round { notices, settled: false });
        left -= notices;
    }
    rounds
}

/// All originators at once, until nothing is left.
async fn write(
    network: &BenchNetwork,
    node: &Arc<Inside>,
    rounds: &Arc<Rounds>,
    payload: Bytes,
) -> Result<(), Failure> {
    let folder = NetworkFolder::open(network.path())?;
    let directory = Arc::new(folder.newest().clone());
    let recipients = network.recipients("")?;
    let signing = |context: &Context| Signing::new(context, node, &directory);
    let recipients: Arc<Vec<_>> = Arc::new(recipients.iter().map(signing).collect::<Result<_, _>>()?);
    let mut writers = JoinSet::new();
    for context in network.originators("")? {
        let writer = Writer {
            node: node.clone(),
            directory: directory.clone(),
            originator: admit(node, &context)?,
            maker: Maker::new(context.partner.clone(), context.notice_key()?, 0, LIFETIME_US),
            recipients: recipients.clone(),
            payload: payload.clone(),
        };
        writers.spawn(writer.run(rounds.clone()));
    }
    while let Some(ended) = writers.join_next().await {
        ended.map_err(|error| Failure::failed(format!("a writer: {error}")))??;
    }
    Ok(())
}

fn admit(node: &Inside, context: &Context) -> Result<Insider, Failure> {
    node.admit(&context.certificate_pem()?).map_err(|error| Failure::failed(error.to_string()))
}

/// A recipient with its key in hand.
struct Signing {
    by: Insider,
    recipient: Recipient,
    key: Ed25519Signer,
}

impl Signing {
    fn new(context: &Context, node: &Inside, directory: &Directory) -> Result<Self, Failure> {
        let home = directory.nodes().next().ok_or_else(|| Failure::failed("the directory lists no node"))?;
        let recipient = Recipient {
            network: context.trust.network(),
            log_origin: home.log_origin.clone(),
            partner: context.partner.clone(),
            system: context.system.clone(),
        };
        Ok(Self { by: admit(node, context)?, recipient, key: context.acknowledgement_key()? })
    }
}

/// One originator, and the recipients of what it writes.
struct Writer {
    node: Arc<Inside>,
    directory: Arc<Directory>,
    originator: Insider,
    maker: Maker,
    recipients: Arc<Vec<Signing>>,
    payload: Bytes,
}

impl Writer {
    async fn run(mut self, rounds: Arc<Rounds>) -> Result<(), Failure> {
        loop {
            let next = rounds.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
            let Some(round) = next else { return Ok(()) };
            let taken = self.submit(round.notices).await?;
            if round.settled {
                self.acknowledge(&taken).await?;
            }
        }
    }

    async fn submit(&mut self, mut count: u64) -> Result<Vec<(LeafIndex, NoticeId)>, Failure> {
        let mut all = Vec::new();
        while count > 0 {
            let chunk = count.min(CHUNK as u64);
            let sign = |_| self.maker.next(self.directory.head(), &self.payload);
            let notices = (0..chunk).map(sign).collect::<Result<Vec<_>, _>>()?;
            let leaves = self.node.submit(&self.originator, &notices).await;
            let leaves = leaves.map_err(|error| Failure::failed(error.to_string()))?;
            all.extend(leaves.into_iter().zip(notices.iter().map(|notice| notice.id)));
            count -= chunk;
        }
        Ok(all)
    }

    async fn acknowledge(&self, taken: &[(LeafIndex, NoticeId)]) -> Result<(), Failure> {
        for Signing { by, recipient, key } in &*self.recipients {
            let verdicts = taken.iter().map(|(leaf, id)| (*leaf, *id, Verdict::Accepted, String::new()));
            let signed = Signed::over(recipient, verdicts, output::now(), key)?;
            let acknowledged = self.node.acknowledge(by, &signed).await;
            acknowledged.map_err(|error| Failure::failed(error.to_string()))?;
        }
        Ok(())
    }
}

/// All files of a data folder together.
fn stored_bytes(data: &Path) -> u64 {
    let files = std::fs::read_dir(data).into_iter().flatten().flatten();
    files.filter_map(|file| file.metadata().ok()).map(|file| file.len()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_comes_to_exactly_the_entries_asked_for_and_lets_enough_wait() {
        for (entries, waiting, recipients) in [
            (0, 0, 4),
            (3, 0, 4),
            (8, 2, 4),
            (10_000, 0, 4),
            (250_000, 250_000, 4),
            (99_999, 12_345, 200),
            (5, 9, 1),
        ] {
            let rounds = plan(entries, waiting, recipients);
            let written = |round: &Round| round.notices + if round.settled { recipients } else { 0 };
            assert_eq!(rounds.iter().map(written).sum::<u64>(), entries, "{rounds:?}");
            let wait: u64 = rounds.iter().filter(|round| !round.settled).map(|round| round.notices).sum();
            assert!(wait >= waiting.min(entries) && wait <= waiting + recipients, "{wait} of {rounds:?}");
            assert!(rounds.iter().all(|round| (1..=ROUND).contains(&round.notices)));
        }
    }
}
