//! The other side: recipients that collect what comes and sign for it in batches, as fast as they can.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use liaison_client::sign::Recipient;
use liaison_client::{Client, ItemOutcome, Signed};
use liaison_protocol::keyring::SignerTables;
use liaison_protocol::limits::ITEMS_MAX;
use liaison_protocol::proto::Verdict;
use liaison_protocol::receipt::{Consigned, Consignments};
use liaison_protocol::signer::Ed25519Signer;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::cli::Failure;
use crate::cli::context::Context;

/// Frames that a recipient has and has not signed for yet; then it reads on no further.
const FRAMES_WAITING_MAX: usize = 4;

/// All recipients. They end when this is dropped.
pub(super) struct Collectors {
    tasks: JoinSet<Result<(), Failure>>,
    counts: Arc<Counts>,
}

/// What all recipients together have done so far.
#[derive(Clone, Copy, Default)]
pub(super) struct Counted {
    pub(super) delivered: u64,
    pub(super) acknowledged: u64,
    /// Signed acknowledgements that these came in.
    pub(super) batches: u64,
}

impl Counted {
    /// What came after an earlier look.
    pub(super) fn since(self, before: Self) -> Self {
        Self {
            delivered: self.delivered - before.delivered,
            acknowledged: self.acknowledged - before.acknowledged,
            batches: self.batches - before.batches,
        }
    }

    /// Items under one signature, in the mean; 0 of none.
    pub(super) fn batch(self) -> f64 {
        if self.batches == 0 { 0.0 } else { self.acknowledged as f64 / self.batches as f64 }
    }
}

#[derive(Default)]
struct Counts {
    delivered: AtomicU64,
    acknowledged: AtomicU64,
    batches: AtomicU64,
}

/// One recipient on its own line.
struct Collector {
    recipient: Recipient,
    client: Client,
    /// What it believes: no notice is counted, and none signed for, whose receipt does not prove it.
    consignments: Consignments,
    key: Ed25519Signer,
    counts: Arc<Counts>,
}

impl Collectors {
    /// Connects every recipient; all of them collect when this returns.
    pub(super) async fn start(contexts: Vec<Context>) -> Result<Self, Failure> {
        let (mut tasks, counts) = (JoinSet::new(), Arc::new(Counts::default()));
        let tables = Arc::new(SignerTables::default());
        for context in contexts {
            let collector = Collector::connect(&context, tables.clone(), counts.clone()).await?;
            tasks.spawn(collector.run());
        }
        Ok(Self { tasks, counts })
    }

    pub(super) fn counted(&self) -> Counted {
        Counted {
            delivered: self.counts.delivered.load(Ordering::Relaxed),
            acknowledged: self.counts.acknowledged.load(Ordering::Relaxed),
            batches: self.counts.batches.load(Ordering::Relaxed),
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
    async fn connect(context: &Context, tables: Arc<SignerTables>, counts: Arc<Counts>) -> Result<Self, Failure> {
        let (client, known) = context.connect_and_know().await?;
        let log_origin = known.home_log(&context.partner);
        let log_origin =
            log_origin.ok_or_else(|| Failure::failed("the directory lists no home of the recipient"))?;
        let number = known.number(&context.partner);
        let number = number.ok_or_else(|| Failure::failed("the directory does not list the recipient"))?;
        let consignments = Consignments::new(context.trust.policy().clone(), log_origin.clone(), number, tables);
        let recipient = Recipient {
            network: context.trust.network(),
            log_origin: log_origin.clone(),
            partner: context.partner.clone(),
            system: context.system.clone(),
        };
        Ok(Self { recipient, client, consignments, key: context.acknowledgement_key()?, counts })
    }

    async fn run(self) -> Result<(), Failure> {
        let (collected, waiting) = mpsc::channel(FRAMES_WAITING_MAX);
        tokio::try_join!(self.collect(collected), self.acknowledge(waiting)).map(|_| ())
    }

    async fn collect(&self, collected: mpsc::Sender<Vec<Consigned>>) -> Result<(), Failure> {
        let mut consignments = self.consignments.clone();
        let mut mailbox = self.client.collect(Bytes::new(), false).await?;
        while let Some(frame) = mailbox.frame().await? {
            let consigned = frame.check(&mut consignments)?;
            drop(frame);
            self.counts.delivered.fetch_add(consigned.len() as u64, Ordering::Relaxed);
            if collected.send(consigned).await.is_err() {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Whatever waits goes under one signature; while that is answered, more comes together.
    async fn acknowledge(&self, mut waiting: mpsc::Receiver<Vec<Consigned>>) -> Result<(), Failure> {
        let mut batch = Vec::new();
        while let Some(first) = waiting.recv().await {
            batch.extend(first);
            while batch.len() < ITEMS_MAX
                && let Ok(more) = waiting.try_recv()
            {
                batch.extend(more);
            }
            // A heartbeat brings nothing to sign for.
            while !batch.is_empty() {
                let rest = batch.split_off(batch.len().min(ITEMS_MAX));
                self.sign_for(std::mem::replace(&mut batch, rest)).await?;
            }
        }
        Ok(())
    }

    async fn sign_for(&self, batch: Vec<Consigned>) -> Result<(), Failure> {
        let verdicts = batch.into_iter().map(|one| (one.leaf, one.notice, Verdict::Accepted, String::new()));
        let signed = Signed::over(&self.recipient, verdicts, crate::cli::output::now(), &self.key)?;
        let answer = self.client.acknowledge(&signed).await?;
        let refused = answer.outcomes.iter().find_map(|outcome| match outcome {
            ItemOutcome::Refused(reason) => Some(reason),
            ItemOutcome::Stands { .. } => None,
        });
        if let Some(reason) = refused {
            return Err(Failure::failed(format!("an acknowledgement was refused: {reason}")));
        }
        self.counts.batches.fetch_add(1, Ordering::Relaxed);
        self.counts.acknowledged.fetch_add(answer.outcomes.len() as u64, Ordering::Relaxed);
        Ok(())
    }
}
