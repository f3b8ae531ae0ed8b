//! A partner's daily work: send, read, sign for, look back.

mod content;
mod draft;
mod read;

use std::path::PathBuf;

use clap::Args;
use liaison_client::{ItemOutcome, Signed, by_reference, patience};
use liaison_protocol::id::{Micros, NoticeId, PartnerId, Reference};
use liaison_protocol::proto::{self, Verdict, get_notice_request, list_evidence_request};
use liaison_protocol::statement::Statement;
use liaison_protocol::text::visible;
use serde_json::json;

use super::context::Context;
use super::{Exit, Failure, Output, output};
pub(super) use draft::{Rules, content_part};
pub(super) use read::Mailbox;
use read::{Verifying, kind_word, precedence_word};

/// How often `--wait` asks again.
const ASK_EVERY: std::time::Duration = std::time::Duration::from_millis(500);
/// Tries at submitting before giving up; the same bytes are never taken twice.
const TRIES: usize = 8;

/// Send a notice and save its receipt.
#[derive(Args)]
pub(super) struct Send {
    /// What to send: a Content in protobuf JSON (.json), or any other file as it is.
    file: PathBuf,
    /// Recipients, one by one.
    #[arg(long, value_delimiter = ',', value_name = "PARTNER,…")]
    to: Vec<PartnerId>,
    /// Recipients by group.
    #[arg(long, value_delimiter = ',', value_name = "GROUP,…")]
    group: Vec<PartnerId>,
    /// Left out of the groups.
    #[arg(long, value_delimiter = ',', value_name = "PARTNER,…")]
    except: Vec<PartnerId>,
    /// Your own name for it. Without one, made from the moment.
    #[arg(long)]
    reference: Option<Reference>,
    #[command(flatten)]
    rules: Rules,
    /// Wait until every recipient has signed for it.
    #[arg(long)]
    wait: bool,
    /// How long to wait, e.g. 60s.
    #[arg(long, default_value = "60s", value_parser = humantime::parse_duration, value_name = "TIME")]
    timeout: std::time::Duration,
    /// Where to save the receipt. Without it: REFERENCE.receipt here.
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
}

impl Send {
    pub(super) async fn run(self, context: &Context, output: &mut Output) -> Result<Exit, Failure> {
        if self.to.is_empty() && self.group.is_empty() {
            return Err(Failure::new(Exit::Usage, "no recipient").next("--to KE,BR or --group MEMBERS"));
        }
        let part = content_part(&self.file)?;
        output.talk(format!(" as {} ({})  via {}", context.partner, context.system, context.node()));
        let (client, mut known) = context.connect_and_know().await?;
        let now = output::now();
        let reference = match self.reference.clone() {
            Some(reference) => reference,
            None => draft::reference(&context.partner, now)?,
        };
        let audience = (self.to.clone(), self.group.clone(), self.except.clone());
        let draft = self.rules.draft(context, known.head(), reference, audience, vec![part], now)?;
        let key = context.notice_key()?;
        let notice = draft.sign(&key).map_err(|error| Failure::failed(error.to_string()))?;
        let submitted = client.submit_patiently(&notice, TRIES, patience::chance()).await?;
        let statement = Statement::decode(submitted.receipt.opening.statement.clone())
            .map_err(|refusal| Failure::new(Exit::Unverified, refusal.to_string()))?;
        // The directory may have changed while this was under way: the receipt is proven under the head that it names.
        if let Some(under) = statement.under.filter(|under| under.version != known.head().version()) {
            known = client.known_directory(under.version.0, &context.trust).await?;
        }
        let file = known.receipt_file(&submitted.receipt, Some(notice.envelope.clone()))?;
        let report = liaison_protocol::receipt::verify(file.as_bytes(), Some(&context.trust));
        if report.outcome != liaison_protocol::receipt::Outcome::Verified {
            let why = report.findings.last().map(|finding| finding.text.clone()).unwrap_or_default();
            return Err(Failure::new(Exit::Unverified, format!("the node's receipt does not verify: {why}")));
        }
        let path = self.save.clone().unwrap_or_else(|| receipt_path(&notice.reference));
        std::fs::write(&path, file).map_err(|error| Failure::failed(format!("{}: {error}", path.display())))?;
        let again = if submitted.duplicate { "   (had been taken before)" } else { "" };
        output.line(format!(" ✔ accepted {}   {}{again}", output::time(statement.observed_at), notice.reference));
        output.line(format!(" ✔ notice   {}", notice.id));
        output.line(format!(
            " ✔ log leaf {}, receipt verified and saved: {}",
            submitted.receipt.leaf.0,
            path.display()
        ));
        output.set("reference", notice.reference.to_string());
        output.set("notice_id", notice.id.to_string());
        output.set("leaf_index", submitted.receipt.leaf.0);
        output.set("duplicate", submitted.duplicate);
        output.set("accepted_at", output::time(statement.observed_at));
        output.set("receipt", path.display().to_string());
        if !self.wait {
            output.line(format!(" Next:  liaison -c CONTEXT trace {}", notice.reference));
            return Ok(Exit::Done);
        }
        self.wait(context, &client, &notice.reference, output).await
    }

    async fn wait(
        &self,
        context: &Context,
        client: &liaison_client::Client,
        reference: &Reference,
        output: &mut Output,
    ) -> Result<Exit, Failure> {
        use crate::clock::Clock as _;
        let clock = crate::clock::SystemClock::new();
        let name = || list_evidence_request::Name::Notice(by_reference(Some(&context.partner), reference));
        let (mut done, mut all);
        loop {
            let (evidence, _) = client.evidence(name()).await?;
            let handed =
                |outcome: &&proto::RecipientOutcome| outcome.delivery() == proto::DeliveryState::HandedOver;
            done = evidence.outcomes.iter().filter(handed).count();
            all = evidence.outcomes.len() + evidence.waiting_in_groups as usize;
            if done == all || clock.monotonic() > self.timeout {
                break;
            }
            clock.until(clock.monotonic() + ASK_EVERY).await;
        }
        output.set("recipients", all);
        output.set("acknowledged", done);
        output.line(format!(" {done} of {all} acknowledged"));
        Ok(if done == all { Exit::Done } else { Exit::Partly })
    }
}

fn receipt_path(reference: &Reference) -> PathBuf {
    PathBuf::from(format!("{}.receipt", reference.as_str().replace('/', "-")))
}

/// What waits for you.
#[derive(Args)]
pub(super) struct Inbox {
    /// Stay, and print what comes.
    #[arg(short, long)]
    follow: bool,
}

impl Inbox {
    pub(super) async fn run(self, context: &Context, output: &mut Output) -> Result<Exit, Failure> {
        let mut mailbox = Mailbox::open(context, !self.follow).await?;
        let (mut count, mut table, mut all, mut damaged) = (0, read::table(), Vec::new(), Vec::new());
        while let Some(notices) = mailbox.next().await? {
            if output.reader_left() {
                return Ok(Exit::Done);
            }
            for notice in notices {
                count += 1;
                let row = read::row(&notice);
                if self.follow {
                    output.line(format!(" {}", row.join("   ")));
                    output.emit(&read::json_row(&notice));
                } else {
                    table.add_row(row);
                    all.push(read::json_row(&notice));
                }
            }
            for leaf in mailbox.take_damaged() {
                damaged.push(leaf.0);
                output.line(read::damaged_line(leaf));
                if self.follow {
                    output.emit(&json!({"damaged": leaf.0}));
                }
            }
        }
        if count > 0 {
            output.line(table.to_string());
        }
        output.line(format!(
            " {count} waiting. Read: liaison show REFERENCE   Sign for: liaison ack REFERENCE   Follow: liaison inbox --follow"
        ));
        output.set("waiting", count);
        output.set("notices", all);
        output.set("damaged", damaged.as_slice());
        // What waits is not all here.
        Ok(if damaged.is_empty() { Exit::Done } else { Exit::Partly })
    }
}

/// Sign for a notice.
#[derive(Args)]
pub(super) struct Ack {
    /// Reference or NoticeId of a notice that waits.
    #[arg(required_unless_present = "all")]
    notice: Option<String>,
    /// Everything that waits.
    #[arg(long, conflicts_with = "notice")]
    all: bool,
    /// Its originator, where two have the same reference.
    #[arg(long, value_name = "PARTNER")]
    from: Option<PartnerId>,
    /// Say that your system has it, and decide later.
    #[arg(long, conflicts_with = "refuse")]
    received: bool,
    /// Refuse it, and say why.
    #[arg(long, value_name = "REASON")]
    refuse: Option<String>,
    /// Save the receipt here.
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
}

impl Ack {
    pub(super) async fn run(self, context: &Context, output: &mut Output) -> Result<Exit, Failure> {
        output.talk(format!(" as {} ({})  via {}", context.partner, context.system, context.node()));
        let mut mailbox = Mailbox::open(context, true).await?;
        let wanted = |notice: &liaison_client::Delivered| {
            let named = self.notice.as_deref().is_none_or(|name| {
                notice.manifest.reference.as_str() == name || name.parse::<NoticeId>() == Ok(notice.id)
            });
            named && self.from.as_ref().is_none_or(|from| notice.manifest.originator == *from)
        };
        let mut chosen = Vec::new();
        while let Some(notices) = mailbox.next().await? {
            chosen.extend(notices.into_iter().filter(wanted));
        }
        if chosen.is_empty() {
            return Err(Failure::new(Exit::NotFound, "no such notice waits for you").next("liaison inbox"));
        }
        if chosen.len() > 1 && !self.all {
            return Err(Failure::new(Exit::Conflict, "several notices have this reference").next("--from PARTNER"));
        }
        let verdict = match (&self.refuse, self.received) {
            (Some(_), _) => Verdict::Refused,
            (None, true) => Verdict::Received,
            (None, false) => Verdict::Accepted,
        };
        let reason = self.refuse.clone().unwrap_or_default();
        let key = context.acknowledgement_key()?;
        let (mut refused, mut results) = (0, Vec::new());
        for batch in chosen.chunks(liaison_protocol::limits::ITEMS_MAX) {
            let verdicts = batch.iter().map(|notice| (notice.leaf(), notice.id, verdict, reason.clone()));
            let signed = Signed::over(&mailbox.recipient()?, verdicts, output::now(), &key)?;
            let answer = mailbox.client().acknowledge(&signed).await?;
            for receipt in &answer.receipts {
                mailbox.verifying().receipt(receipt, None, "a receipt of the acknowledgement").await?;
            }
            for (notice, outcome) in batch.iter().zip(&answer.outcomes) {
                let reference = &notice.manifest.reference;
                match outcome {
                    ItemOutcome::Stands { receipt, duplicate } => {
                        let leaf = answer.receipts.get(*receipt).map(|receipt| receipt.leaf.0);
                        let again = if *duplicate { "   (said before)" } else { "" };
                        output.line(format!(
                            " ✔ {reference}   {}   log leaf {}{again}",
                            verdict.as_str_name().trim_start_matches("VERDICT_"),
                            leaf.unwrap_or_default()
                        ));
                        results.push(
                            json!({"reference": reference.to_string(), "leaf_index": leaf, "duplicate": duplicate}),
                        );
                    }
                    ItemOutcome::Refused(reason) => {
                        refused += 1;
                        output.line(format!(" ✘ {reference}   {}", visible(reason)));
                        results.push(json!({"reference": reference.to_string(), "refused": reason}));
                    }
                }
            }
        }
        if let (Some(path), Some(first)) = (&self.save, chosen.first()) {
            self.keep(&mut mailbox, first, path).await?;
            output.line(format!(" ✔ receipt saved: {}", path.display()));
        }
        output.set("acknowledged", results.len() - refused);
        output.set("refused", refused);
        output.set("results", results);
        Ok(if refused == 0 { Exit::Done } else { Exit::Partly })
    }
}

impl Ack {
    /// Saves the receipt of what was said of one notice, with that notice's item.
    async fn keep(
        &self,
        mailbox: &mut Mailbox<'_>,
        notice: &liaison_client::Delivered,
        path: &std::path::Path,
    ) -> Result<(), Failure> {
        let name = list_evidence_request::Name::LeafIndex(notice.leaf().0);
        let (_, receipts) = mailbox.client().evidence(name).await?;
        let receipt = receipts.last().ok_or_else(|| Failure::new(Exit::Unverified, "no receipt"))?;
        let what = notice.manifest.reference.to_string();
        let (file, _) = mailbox.verifying().receipt(receipt, None, &what).await?;
        std::fs::write(path, file).map_err(|error| Failure::failed(format!("{}: {error}", path.display())))
    }
}

/// How a notice is named on the command line.
#[derive(Args)]
pub(super) struct Named {
    /// Its originator's reference.
    reference: Reference,
    /// Its originator, if it is not you.
    #[arg(long, value_name = "PARTNER")]
    from: Option<PartnerId>,
}

impl Named {
    /// The notice, verified to be what its originator signed and the log accepted under this name.
    async fn find(&self, verifying: &mut Verifying<'_>) -> Result<liaison_client::Delivered, Failure> {
        let name = get_notice_request::Name::Notice(self.name());
        let notice = verifying.client().notice(name).await?;
        let originator = self.from.as_ref().unwrap_or(verifying.own());
        verifying.named(&notice, &originator.clone(), &self.reference).await?;
        Ok(notice)
    }

    fn name(&self) -> proto::NoticeName {
        by_reference(self.from.as_ref(), &self.reference)
    }
}

/// One notice that you sent or were sent.
#[derive(Args)]
pub(super) struct Show {
    #[command(flatten)]
    named: Named,
}

impl Show {
    pub(super) async fn run(self, context: &Context, output: &mut Output) -> Result<Exit, Failure> {
        let (client, known) = context.connect_and_know().await?;
        let mut verifying = Verifying::new(context, client, known);
        let notice = self.named.find(&mut verifying).await?;
        read::show(output, &notice)?;
        Ok(Exit::Done)
    }
}

/// What has become of a notice.
#[derive(Args)]
pub(super) struct Trace {
    #[command(flatten)]
    named: Named,
    /// Save all receipts into this folder.
    #[arg(long, value_name = "FOLDER")]
    save: Option<PathBuf>,
}

impl Trace {
    pub(super) async fn run(self, context: &Context, output: &mut Output) -> Result<Exit, Failure> {
        let (client, known) = context.connect_and_know().await?;
        let mut verifying = Verifying::new(context, client.clone(), known.clone());
        let notice = self.named.find(&mut verifying).await?;
        let name = list_evidence_request::Name::Notice(self.named.name());
        let (evidence, receipts) = client.evidence(name).await?;
        let manifest = &notice.manifest;
        output.line(format!(
            " {}  {}, {}   from {}   {}",
            manifest.reference,
            kind_word(manifest.kind),
            precedence_word(manifest.precedence),
            manifest.originator,
            output::short(&notice.id.to_string())
        ));
        output.line(format!(
            " {}  {:<10} declared by {}",
            output::time(manifest.issued_at),
            "issued",
            manifest.originator
        ));
        let mut events = Vec::new();
        for (nth, receipt) in receipts.iter().enumerate() {
            let what = format!("log leaf {}, about {},", receipt.leaf.0, manifest.reference);
            // The first is the acceptance, which is verified together with what was accepted.
            let envelope = (nth == 0).then_some(&notice.envelope);
            let (_, statement) = verifying.receipt(receipt, envelope, &what).await?;
            let words = read::words(&statement, &receipt.items, &known);
            let leaf = receipt.leaf.0;
            output.line(format!(" {}  {words}   log leaf {leaf}", output::time(statement.observed_at)));
            events.push(json!({"at": output::time(statement.observed_at), "event": statement.event_name(), "leaf_index": leaf, "text": words}));
            if let Some(folder) = &self.save {
                self.keep(context, &client, folder, nth, receipt, &notice, &statement).await?;
            }
        }
        let mut outcomes = Vec::new();
        for outcome in &evidence.outcomes {
            let (delivery, decision) = (outcome.delivery().as_str_name(), outcome.decision().as_str_name());
            let (delivery, decision) =
                (delivery.trim_start_matches("DELIVERY_STATE_"), decision.trim_start_matches("DECISION_STATE_"));
            let (recipient, reason) = (visible(&outcome.recipient), visible(&outcome.reason));
            output.line(format!(" {recipient:<12} {delivery:<12} {decision}  {reason}"));
            outcomes.push(json!({"recipient": outcome.recipient, "delivery": delivery, "decision": decision, "reason": outcome.reason}));
        }
        for outcome in
            evidence.outcomes.iter().filter(|outcome| outcome.delivery() == proto::DeliveryState::Waiting)
        {
            output.line(format!(
                " ▲ {} has not signed for it; it waits until {}",
                visible(&outcome.recipient),
                output::time(manifest.expires_at)
            ));
        }
        if evidence.waiting_in_groups > 0 {
            output.line(format!(" {} more through groups have not answered", evidence.waiting_in_groups));
        }
        output.set("reference", manifest.reference.to_string());
        output.set("notice_id", notice.id.to_string());
        output.set("events", events);
        output.set("outcomes", outcomes);
        output.set("waiting_in_groups", evidence.waiting_in_groups);
        Ok(Exit::Done)
    }

    #[allow(clippy::too_many_arguments, reason = "one receipt and all that its file needs")]
    async fn keep(
        &self,
        context: &Context,
        client: &liaison_client::Client,
        folder: &std::path::Path,
        nth: usize,
        receipt: &liaison_protocol::receipt::Receipt,
        notice: &liaison_client::Delivered,
        statement: &Statement,
    ) -> Result<(), Failure> {
        let failed =
            |path: &std::path::Path, error: std::io::Error| Failure::failed(format!("{}: {error}", path.display()));
        std::fs::create_dir_all(folder).map_err(|error| failed(folder, error))?;
        // A receipt is proven under the head that its statement names, which may be an older one.
        let version = statement.under.map(|head| head.version.0).unwrap_or(0);
        let known = client.known_directory(version, &context.trust).await?;
        let envelope = (nth == 0).then(|| notice.envelope.clone());
        let file = known.receipt_file(receipt, envelope)?;
        let path = folder.join(format!("{:03}-{}.receipt", nth, statement.event_name()));
        std::fs::write(&path, file).map_err(|error| failed(&path, error))
    }
}

/// Traces the caller's own notice, for another command.
pub(super) async fn trace(context: &Context, reference: Reference, output: &mut Output) -> Result<Exit, Failure> {
    Trace { named: Named { reference, from: None }, save: None }.run(context, output).await
}

/// A lifetime in words, e.g. `30d`, as microseconds.
pub(super) fn lifetime(text: &str) -> Result<i64, String> {
    let duration = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    i64::try_from(duration.as_micros())
        .ok()
        .filter(|micros| *micros >= Micros::SECOND)
        .ok_or_else(|| "out of range".into())
}
