//! The way in: bounded by number and by bytes, in two lanes, so that recipients can sign for what waits while submissions flood.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};

use super::recent::{self, Publisher, Recent};
use super::{Answer, Published};
use crate::gathering::Gathering;
use crate::state::Proposal;

/// Proposals under way in one lane: several full batches, so that the disk never waits for the network.
pub(super) const PROPOSALS_MAX: usize = 16_384;
/// Bytes of proposals under way in one lane.
const BYTES_MAX: usize = 64 << 20;
/// Bytes are counted in units of this, so that the count fits a semaphore.
const UNIT: usize = 1 << 10;

/// More is under way than is taken; nothing happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Busy {
    /// Try again.
    #[error("more proposals are under way than the sequencer takes")]
    Full,
    /// It has stopped, or is stopping.
    #[error("the sequencer has stopped")]
    Stopped,
}

/// What has arrived together, and where its answers go.
pub(super) struct Chunk {
    pub(super) proposals: Vec<Proposal>,
    /// Roughly what they hold in memory.
    pub(super) bytes: usize,
    pub(super) answer: oneshot::Sender<Vec<Answer>>,
    /// Given back when the chunk is dropped.
    _room: [OwnedSemaphorePermit; 2],
}

/// The far end of the way in.
pub(super) struct Inbox {
    pub(super) urgent: mpsc::Receiver<Chunk>,
    pub(super) submissions: mpsc::Receiver<Chunk>,
    pub(super) gathering: Gathering,
}

impl Inbox {
    /// The next that is there already.
    pub(super) fn take(&mut self) -> Option<Chunk> {
        self.urgent.try_recv().or_else(|_| self.submissions.try_recv()).ok()
    }
}

impl Drop for Inbox {
    /// Nobody gathers for a batch that will not be.
    fn drop(&mut self) {
        self.gathering.wait_no_more();
    }
}

#[derive(Clone)]
struct Lane {
    chunks: mpsc::Sender<Chunk>,
    proposals: Arc<Semaphore>,
    bytes: Arc<Semaphore>,
}

/// The handle that everyone holds.
#[derive(Clone)]
pub struct Sequencer {
    urgent: Lane,
    submissions: Lane,
    published: watch::Receiver<Arc<Published>>,
    recent: Arc<Recent>,
    gathering: Gathering,
}

pub(super) fn channel() -> (Sequencer, Inbox, Publisher) {
    let lane = || {
        let (chunks, receiver) = mpsc::channel(PROPOSALS_MAX);
        let proposals = Arc::new(Semaphore::new(PROPOSALS_MAX));
        (Lane { chunks, proposals, bytes: Arc::new(Semaphore::new(BYTES_MAX / UNIT)) }, receiver)
    };
    let ((urgent, from_urgent), (submissions, from_submissions)) = (lane(), lane());
    let (publisher, published, recent) = recent::publisher();
    let gathering = Gathering::default();
    let inbox = Inbox { urgent: from_urgent, submissions: from_submissions, gathering: gathering.clone() };
    (Sequencer { urgent, submissions, published, recent, gathering }, inbox, publisher)
}

impl Sequencer {
    /// One chunk in, one answer a proposal, in order. `Stated` is durable and under a signed checkpoint. Once taken, a chunk is
    /// decided whether or not anyone still waits for the answers.
    pub async fn append(&self, proposals: Vec<Proposal>) -> Result<Vec<Answer>, Busy> {
        let submits = proposals.iter().any(|proposal| matches!(proposal, Proposal::Submit(_)));
        let lane = if submits { &self.submissions } else { &self.urgent };
        let bytes: usize = proposals.iter().map(weight).sum();
        let room = |semaphore: &Arc<Semaphore>, count: usize| {
            let count = u32::try_from(count).unwrap_or(u32::MAX);
            semaphore.clone().try_acquire_many_owned(count).map_err(|_| Busy::Full)
        };
        let rooms = [room(&lane.proposals, proposals.len())?, room(&lane.bytes, bytes.div_ceil(UNIT))?];
        let (answer, answers) = oneshot::channel();
        let chunk = Chunk { proposals, bytes, answer, _room: rooms };
        lane.chunks.try_send(chunk).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => Busy::Full,
            mpsc::error::TrySendError::Closed(_) => Busy::Stopped,
        })?;
        answers.await.map_err(|_| Busy::Stopped)
    }

    /// Proposals under way: acknowledgements and adoptions, and submissions.
    pub fn under_way(&self) -> [usize; 2] {
        [&self.urgent, &self.submissions].map(|lane| PROPOSALS_MAX - lane.proposals.available_permits())
    }

    /// Proposals taken and not yet answered, of the fuller lane, and how many a lane takes.
    pub fn queued(&self) -> (usize, usize) {
        let [urgent, submissions] = self.under_way();
        (urgent.max(submissions), PROPOSALS_MAX)
    }

    /// The newest published head; it changes with every batch.
    pub fn published(&self) -> watch::Receiver<Arc<Published>> {
        self.published.clone()
    }

    /// Where what is not yet proposed waits for its batch.
    pub fn gathering(&self) -> &Gathering {
        &self.gathering
    }

    /// What was accepted lately.
    pub fn recent(&self) -> &Arc<Recent> {
        &self.recent
    }
}

/// Where the answers of each chunk go.
pub(super) struct Routes(Vec<(usize, Chunk)>);

/// The proposals of all chunks in order, and where their answers go.
pub(super) fn flatten(chunks: Vec<Chunk>) -> (Vec<Proposal>, Routes) {
    let mut proposals = Vec::new();
    let mut routes = Vec::with_capacity(chunks.len());
    for mut chunk in chunks {
        let count = chunk.proposals.len();
        proposals.append(&mut chunk.proposals);
        routes.push((count, chunk));
    }
    (proposals, Routes(routes))
}

impl Routes {
    /// Answers every chunk, in the order of its proposals.
    pub(super) fn answer(self, answers: Vec<Answer>) {
        let mut answers = answers.into_iter();
        for (count, chunk) in self.0 {
            // Nobody may be waiting any more; what was decided stands all the same.
            let _ = chunk.answer.send(answers.by_ref().take(count).collect());
        }
    }
}

/// Roughly what a proposal holds in memory.
fn weight(proposal: &Proposal) -> usize {
    match proposal {
        Proposal::Submit(permit) => {
            let parts: usize = permit.parts().as_slice().iter().map(|part| part.bytes.len() + 64).sum();
            permit.manifest().envelope().len() + parts + 512
        }
        Proposal::Acknowledge(_, acknowledgement, _) => {
            acknowledgement.envelope().len() + acknowledgement.items().len() * 128
        }
        Proposal::Adopt(_) | Proposal::OpenLog(_) | Proposal::Rebase(..) => 128,
    }
}
