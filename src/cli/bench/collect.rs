//! The other side: recipients that collect what comes and sign for it in batches, as fast as they can.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use liaison_client::sign::Recipient;
use liaison_client::{Client, ItemOutcome, Signed};
use liaison_protocol::id::{LeafIndex, NoticeId};
use liaison_protocol::limits::ITEMS_MAX;
use liaison_protocol::proto::Verdict;
use liaison_protocol::signer::Ed25519Signer;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::cli::Failure;
use crate::cli::context::Context;

/// All recipients. They end when this is dropped.
pub(super) struct Collectors {
    tasks: JoinSet<Result<(), Failure>>,
    counts: Arc<Counts>,
}

/// What all recipients together have done so far.
#[derive(Clone, Copy)]
pub(super) struct Counted {
    pub(super) delivered: u64,
    pub(super) acknowledged: u64,
}

#[derive(Default)]
struct Counts {
    delivered: AtomicU64,
    acknowledged: AtomicU64,
}

/// One recipient on its own line.
struct Collector {
    recipient: Recipient,
    client: Client,
    key: Ed25519Signer,
    counts: Arc<Counts>,
}

impl Collectors {
    /// Connects every recipient; all of them collect when this returns.
    pub(super) async fn start(contexts: Vec<Context>) -> Result<Self, Failure> {
        let (mut tasks, counts) = (JoinSet::new(), Arc::new(Counts::default()));
        for context in contexts {
            let collector = Collector::connect(&context, counts.clone()).await?;
            tasks.spawn(collector.run());
        }
        Ok(Self { tasks, counts })
    }

    pub(super) fn counted(&self) -> Counted {
        Counted {
            delivered: self.counts.delivered.load(Ordering::Relaxed),
            acknowledged: self.counts.acknowledged.load(Ordering::Relaxed),
        }
    }

    /// Ends them. One that ended before was in trouble.
    pub(super) fn stop(&mut self) -> Result<(), Failure> {
        match self.tasks.try_join_next() {
            Some(Ok(Ok(()))) => Err(Failure::failed("the node ended a mailbox")),
            Some(Ok(Err(failure))) => Err(failure),
            Some(Err(error)) => Err(Failure::failed(format!("a recipient: {error}"))),
            None => {
                self.tasks.abort_all();
                Ok(())
            }
        }
    }
}

impl Collector {
    async fn connect(context: &Context, counts: Arc<Counts>) -> Result<Self, Failure> {
        let (client, known) = context.connect_and_know().await?;
        let log_origin = known.home_log(&context.partner);
        let log_origin =
            log_origin.ok_or_else(|| Failure::failed("the directory lists no home of the recipient"))?;
        let recipient = Recipient {
            network: context.trust.network(),
            log_origin: log_origin.clone(),
            partner: context.partner.clone(),
            system: context.system.clone(),
        };
        Ok(Self { recipient, client, key: context.acknowledgement_key()?, counts })
    }

    async fn run(self) -> Result<(), Failure> {
        let (collected, waiting) = mpsc::channel(ITEMS_MAX);
        tokio::try_join!(self.collect(collected), self.acknowledge(waiting)).map(|_| ())
    }

    async fn collect(&self, collected: mpsc::Sender<(LeafIndex, NoticeId)>) -> Result<(), Failure> {
        let mut mailbox = self.client.collect(Bytes::new(), false).await?;
        while let Some(notices) = mailbox.next().await? {
            self.counts.delivered.fetch_add(notices.len() as u64, Ordering::Relaxed);
            for notice in notices {
                if collected.send((notice.leaf(), notice.id)).await.is_err() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Whatever waits goes under one signature; while that is answered, more comes together.
    async fn acknowledge(&self, mut waiting: mpsc::Receiver<(LeafIndex, NoticeId)>) -> Result<(), Failure> {
        let mut batch = Vec::new();
        while waiting.recv_many(&mut batch, ITEMS_MAX).await > 0 {
            let verdicts = batch.drain(..).map(|(leaf, id)| (leaf, id, Verdict::Accepted, String::new()));
            let signed = Signed::over(&self.recipient, verdicts, crate::cli::output::now(), &self.key)?;
            let answer = self.client.acknowledge(&signed).await?;
            for outcome in answer.outcomes {
                if let ItemOutcome::Refused(reason) = outcome {
                    return Err(Failure::failed(format!("an acknowledgement was refused: {reason}")));
                }
                self.counts.acknowledged.fetch_add(1, Ordering::Relaxed);
            }
        }
        Ok(())
    }
}
