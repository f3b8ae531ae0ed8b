//! What a partner costs the node that is connected, has its Collect stream open, and waits.

use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use liaison_client::Collecting;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::network::BenchNetwork;
use super::node::{End, Interrupts, Usage, with_node};
use super::round;
use crate::cli::context::Context;
use crate::cli::demo::NodeProcess;
use crate::cli::{Failure, Output};
use crate::clock::{Clock as _, SystemClock};

/// Memory that stays the same for so long is what the node keeps.
const SETTLED: Duration = Duration::from_millis(500);
/// Looks until then; a node that still grows is measured as it is.
const LOOKS_MAX: usize = 10;
/// Descriptors of either process beside its connections: its files, its threads' pipes.
const DESCRIPTORS_BESIDE: u64 = 256;

/// Partners that wait.
pub(super) struct Idle {
    place: Option<PathBuf>,
    partners: u32,
}

/// What they cost.
pub(super) struct Waiting {
    partners: u32,
    before: Usage,
    after: Usage,
}

impl Idle {
    /// So many, on a node whose folder is made at this place.
    pub(super) fn new(place: Option<PathBuf>, partners: u32) -> Self {
        Self { place, partners }
    }

    /// Connects all of them and looks at the node's memory before and after.
    pub(super) async fn measure(&self, interrupts: &mut Interrupts, output: &Output) -> Result<Waiting, Failure> {
        room_for(u64::from(self.partners) + DESCRIPTORS_BESIDE)?;
        output.talk(format!(" making a network of {} partners", self.partners + 1));
        let place: Option<&Path> = self.place.as_deref();
        let network = BenchNetwork::temporary(place, 0, self.partners + 1)?;
        let wait = async |node: &NodeProcess| self.wait(&network, node, output).await;
        let waiting = with_node(&network, End::Stopped, interrupts, wait).await;
        network.remove()?;
        waiting
    }

    async fn wait(&self, network: &BenchNetwork, node: &NodeProcess, output: &Output) -> Result<Waiting, Failure> {
        let mut open = Vec::new();
        let contexts = network.recipients(node.address())?;
        let (first, rest) = contexts.split_first().ok_or_else(|| Failure::failed("nobody is enrolled"))?;
        // What a node needs for anybody at all is no connection's cost.
        open.push(connect(first).await?);
        let before = settled(node).await?;
        output.talk(format!(" connecting {} partners", rest.len()));
        for context in rest {
            open.push(connect(context).await?);
        }
        let after = settled(node).await?;
        // Up to here all of them were connected.
        drop(open);
        Ok(Waiting { partners: self.partners, before, after })
    }
}

async fn connect(context: &Context) -> Result<Collecting, Failure> {
    let client = context.connect().await?;
    Ok(client.collect(Bytes::new(), false).await?)
}

/// What the node uses once its memory has come to rest.
async fn settled(node: &NodeProcess) -> Result<Usage, Failure> {
    let clock = SystemClock::new();
    let mut usage = Usage::of(node.id())?;
    for _ in 0..LOOKS_MAX {
        clock.until(clock.monotonic() + SETTLED).await;
        let now = Usage::of(node.id())?;
        let same = now.resident_kib == usage.resident_kib;
        usage = now;
        if same {
            break;
        }
    }
    Ok(usage)
}

/// Every connection takes a descriptor here and one in the node, which inherits how many there may be.
fn room_for(descriptors: u64) -> Result<(), Failure> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current.is_none_or(|current| current >= descriptors) {
        return Ok(());
    }
    let raised = Rlimit { current: Some(descriptors), maximum };
    setrlimit(Resource::Nofile, raised).map_err(|error| {
        Failure::failed(format!("{descriptors} file descriptors are needed: {error}"))
            .next("ulimit -n, or fewer partners")
    })
}

impl Waiting {
    /// The node's memory for each of them, KiB.
    pub(super) fn kib_per_connection(&self) -> f64 {
        let grown = self.after.resident_kib.saturating_sub(self.before.resident_kib);
        grown as f64 / f64::from(self.partners)
    }

    /// For people, and for programs.
    pub(super) fn print(&self, output: &mut Output) {
        let Self { partners, before, after } = self;
        output.line(format!(" {partners} partners connected, each with an open Collect stream, nothing sent"));
        output.line(format!(
            " memory           {:>10.1} KiB     for each; {} KiB before, {} KiB after",
            self.kib_per_connection(),
            before.resident_kib,
            after.resident_kib
        ));
        output.set("idle", *partners);
        output.set("kib_per_connection", round(self.kib_per_connection()));
        output.set("resident_start_kib", before.resident_kib);
        output.set("resident_end_kib", after.resident_kib);
        output.set("resident_peak_kib", after.peak_kib);
    }
}
