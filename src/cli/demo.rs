//! A whole network in a temporary folder: a real node process, three partners, notices from a list, receipts that verify, and one
//! delivery left waiting on purpose. It needs nothing and leaves nothing.

mod node;

use std::path::{Path, PathBuf};

use clap::Args;
use liaison_client::sign::Recipient;
use liaison_client::{Signed, by_reference};
use liaison_protocol::id::{NodeId, PartnerId};
use liaison_protocol::proto::{Verdict, list_evidence_request};
use liaison_protocol::receipt::{Outcome, verify};
use liaison_protocol::statement::{Event, Statement};

use super::context::{self, Context};
use super::import::send_all;
use super::network::NetworkFolder;
use super::work::Mailbox;
use super::{Exit, Failure, Output, read};
use crate::clock::{Clock as _, SystemClock};
use crate::import::{Planned, plan, un_list};
pub(super) use node::{NodeProcess, spawn};

/// Who sends, who signs for everything, and who is left offline for the last notice.
const ORIGINATOR: &str = "UN";
const ONLINE: &str = "FR";
const OFFLINE_AT_LAST: &str = "KE";

/// A hub, three partners and notices between them.
#[derive(Args)]
pub(super) struct Demo {
    /// A UN Security Council list to send instead of the five invented entries.
    #[arg(long, value_name = "FILE")]
    list: Option<PathBuf>,
    /// Stay, with the node running, until Ctrl-C.
    #[arg(long)]
    stay: bool,
}

impl Demo {
    pub(super) async fn run(self, output: &mut Output) -> Result<Exit, Failure> {
        let clock = SystemClock::new();
        let list = match &self.list {
            Some(path) => read(path)?,
            None => un_list::SAMPLE.to_vec(),
        };
        let list = un_list::read(&list).map_err(|error| Failure::failed(error.to_string()))?;
        let planned = plan(&list);
        output.line(" DEMO: temporary data, a made-up authority, not for real notices");
        let folder = tempfile::Builder::new()
            .prefix("liaison-demo-")
            .tempdir()
            .map_err(|error| Failure::failed(format!("a temporary folder: {error}")))?;
        let path = folder.path().join("network");
        let stage = Stage::set(&path, output).await?;
        let seen = stage.play(&planned, output).await?;
        stage.trace(&planned, output).await?;
        let seconds = clock.monotonic().as_secs_f64();
        output.line(format!(
            " ✔ {} notices, {} of {} deliveries acknowledged, {} receipts verified, 1 waits on purpose   {seconds:.1} s",
            planned.len(),
            seen.acknowledged,
            seen.deliveries,
            seen.receipts_verified
        ));
        output.set("notices", planned.len());
        output.set("deliveries", seen.deliveries);
        output.set("acknowledged", seen.acknowledged);
        output.set("waiting", seen.deliveries - seen.acknowledged);
        output.set("receipts_verified", seen.receipts_verified);
        output.set("log_size", seen.log_size);
        output.set("seconds", (seconds * 10.0).round() / 10.0);
        if self.stay {
            stage.stay(&path, output).await?;
        }
        stage.node.stop().await?;
        output.line(" The node has stopped, and its folder is gone.");
        Ok(Exit::Done)
    }
}

/// The node and who talks to it.
struct Stage {
    node: NodeProcess,
    originator: Context,
    online: Context,
    offline_at_last: Context,
}

/// What the demo counted.
struct Seen {
    deliveries: usize,
    acknowledged: usize,
    receipts_verified: usize,
    log_size: u64,
}

impl Stage {
    async fn set(path: &Path, output: &Output) -> Result<Self, Failure> {
        let id = |text: &str| text.parse::<PartnerId>().map_err(|bad| Failure::failed(bad.to_string()));
        let network = "demo.liaison.example".parse().map_err(|bad| Failure::failed(format!("{bad}")))?;
        let hub: NodeId = "hub-1".parse().map_err(|bad| Failure::failed(format!("{bad}")))?;
        let listen = node::free_address()?;
        let mut folder = NetworkFolder::create(path, &network, &hub, &listen, &[])?;
        let names = [
            (ORIGINATOR, "Made-up list office", "international-entity"),
            (ONLINE, "Made-up bureau of France", "national-central-bureau"),
            (OFFLINE_AT_LAST, "Made-up bureau of Kenya", "national-central-bureau"),
        ];
        let (system, group) = ("ops-1", "MEMBERS");
        let system = system.parse().map_err(|bad| Failure::failed(format!("{bad}")))?;
        for (partner, name, category) in names {
            folder.add_partner(&id(partner)?, name, category, &system, &id(group)?)?;
        }
        folder.sign()?;
        output.line(format!(" ✔ authority, node and identities {ORIGINATOR}, {ONLINE}, {OFFLINE_AT_LAST}"));
        let node = spawn(&path.join("hub.toml")).await?;
        output.line(format!(" ✔ node hub-1   {listen}   a process of its own, gRPC, mutual TLS 1.3"));
        let context = |partner: &str| Context::read(&path.join("partners").join(partner).join(context::FILE));
        Ok(Self {
            node,
            originator: context(ORIGINATOR)?,
            online: context(ONLINE)?,
            offline_at_last: context(OFFLINE_AT_LAST)?,
        })
    }

    /// Everything is sent to both; the last notice comes when one of them has gone home.
    async fn play(&self, planned: &[Planned], output: &Output) -> Result<Seen, Failure> {
        let audience =
            (vec![self.online.partner.clone(), self.offline_at_last.partner.clone()], Vec::new(), Vec::new());
        let (last, first) = planned.split_last().ok_or_else(|| Failure::failed("the list has no entries"))?;
        let mut verified = 0;
        let sent = send_all(&self.originator, first, audience.clone()).await?;
        let mut acknowledged = 0;
        for context in [&self.online, &self.offline_at_last] {
            acknowledged += sign_for_everything(context, &mut verified).await?;
        }
        let more = send_all(&self.originator, std::slice::from_ref(last), audience).await?;
        acknowledged += sign_for_everything(&self.online, &mut verified).await?;
        let refused: Vec<_> = sent.refused.iter().chain(&more.refused).collect();
        if let Some((reference, why)) = refused.first() {
            return Err(Failure::failed(format!(
                "{} notices were refused, first {reference}: {why}",
                refused.len()
            )));
        }
        output.line(format!(
            " ✔ {} notices accepted, durable, each under a signed checkpoint",
            sent.accepted + more.accepted
        ));
        output.line(format!(
            " ✔ {} and {} signed for them; {} has gone home before the last",
            self.online.partner, self.offline_at_last.partner, self.offline_at_last.partner
        ));
        let (client, known) = self.originator.connect_and_know().await?;
        for notice in planned {
            let name = notice.reference.parse().map_err(|bad| Failure::failed(format!("{bad}")))?;
            let name = by_reference(None, &name);
            let (_, receipts) = client.evidence(list_evidence_request::Name::Notice(name.clone())).await?;
            let delivered = client.notice(liaison_protocol::proto::get_notice_request::Name::Notice(name)).await?;
            for receipt in receipts {
                let accepted = Statement::decode(receipt.opening.statement.clone())
                    .is_ok_and(|statement| matches!(statement.event, Event::Accepted(_)));
                let file = known.receipt_file(&receipt, accepted.then(|| delivered.envelope.clone()))?;
                let report = verify(file.as_bytes(), Some(&self.originator.trust));
                if report.outcome != Outcome::Verified {
                    let why = report.findings.last().map(|finding| finding.text.clone()).unwrap_or_default();
                    return Err(Failure::new(
                        Exit::Unverified,
                        format!("a receipt of {} does not verify: {why}", notice.reference),
                    ));
                }
                verified += 1;
            }
        }
        let checkpoint = liaison_protocol::tlog::checkpoint::SignedNote::parse(&client.checkpoint().await?)
            .and_then(|note| liaison_protocol::tlog::checkpoint::Checkpoint::parse(note.text()))
            .map_err(|bad| Failure::new(Exit::Unverified, bad.to_string()))?;
        Ok(Seen {
            deliveries: sent.deliveries + more.deliveries,
            acknowledged,
            receipts_verified: verified,
            log_size: checkpoint.size,
        })
    }

    async fn trace(&self, planned: &[Planned], output: &mut Output) -> Result<(), Failure> {
        let Some(last) = planned.last() else { return Ok(()) };
        output.line(format!(" liaison trace {}", last.reference));
        let reference = last.reference.parse().map_err(|bad| Failure::failed(format!("{bad}")))?;
        let mut apart = Output::like(output);
        super::work::trace(&self.originator, reference, &mut apart).await?;
        Ok(())
    }

    async fn stay(&self, path: &Path, output: &Output) -> Result<(), Failure> {
        let partners = path.join("partners");
        output.line(" Next, in another terminal");
        output.line(format!("   liaison -c {} inbox", partners.join(OFFLINE_AT_LAST).display()));
        output.line(format!("   liaison -c {} ack --all", partners.join(OFFLINE_AT_LAST).display()));
        output.line(format!("   liaison status --config {}", path.join("hub.toml").display()));
        output.line(" Ctrl-C ends the demo and removes its files.");
        tokio::signal::ctrl_c().await.map_err(|error| Failure::failed(format!("signals: {error}")))
    }
}

/// Collects everything that waits, checks every receipt, and signs for all of it in batches.
async fn sign_for_everything(context: &Context, verified: &mut usize) -> Result<usize, Failure> {
    let mut mailbox = Mailbox::open(context, true).await?;
    let recipient: Recipient = mailbox.recipient()?;
    let key = context.acknowledgement_key()?;
    let mut count = 0;
    while let Some(notices) = mailbox.next().await? {
        if notices.is_empty() {
            continue;
        }
        // The mailbox has verified the receipt of each before giving it out.
        *verified += notices.len();
        let signed = Signed::for_all(&recipient, &notices, Verdict::Accepted, super::output::now(), &key)?;
        let answer = mailbox.client().acknowledge(&signed).await?;
        count += answer.outcomes.len();
        for receipt in &answer.receipts {
            mailbox.verifying().receipt(receipt, None, "a receipt of an acknowledgement").await?;
            *verified += 1;
        }
    }
    Ok(count)
}
