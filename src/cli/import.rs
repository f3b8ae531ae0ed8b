//! Lists of others as notices.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use liaison_client::Client;
use liaison_client::sign::{CONTENT_TYPE, DraftPart, SignedNotice};
use liaison_protocol::id::PartnerId;
use liaison_protocol::proto::PartRole;
use prost::Message as _;
use serde_json::json;

use super::context::Context;
use super::work::Rules;
use super::{Exit, Failure, Output, output, read};
use crate::import::{Planned, plan, un_list};

/// Notices signed and sent before their answers are read.
const UNDER_WAY: usize = 256;

/// Turn other people's lists into notices.
#[derive(Subcommand)]
pub(super) enum ImportCommand {
    /// The UN Security Council Consolidated List (XML): one notice for each entry.
    UnList(UnList),
}

/// The UN Security Council Consolidated List.
#[derive(Args)]
pub(super) struct UnList {
    /// The list, as published.
    file: PathBuf,
    /// Recipients, one by one.
    #[arg(long, value_delimiter = ',', value_name = "PARTNER,…")]
    to: Vec<PartnerId>,
    /// Recipients by group.
    #[arg(long, value_delimiter = ',', value_name = "GROUP,…")]
    group: Vec<PartnerId>,
    /// Show what would be sent, and send nothing.
    #[arg(long)]
    dry_run: bool,
}

/// What sending came to.
#[derive(Debug, Default)]
pub(super) struct Sent {
    pub(super) accepted: usize,
    pub(super) duplicates: usize,
    pub(super) refused: Vec<(String, String)>,
    pub(super) deliveries: usize,
}

impl ImportCommand {
    pub(super) async fn run(
        self,
        context: impl Fn() -> Result<Context, Failure>,
        output: &mut Output,
    ) -> Result<Exit, Failure> {
        let Self::UnList(command) = self;
        let list = un_list::read(&read(&command.file)?)
            .map_err(|error| Failure::failed(format!("{}: {error}", command.file.display())))?;
        let planned = plan(&list);
        output.line(format!(
            " list of {}, {} entries, {} unreadable",
            list.day(),
            planned.len(),
            list.unreadable.len()
        ));
        let mut unreadable = Vec::new();
        for record in &list.unreadable {
            let reference = record.reference.clone().unwrap_or_else(|| "no reference".into());
            output.line(format!(" ✘ {reference}   line {}: {}", record.line, record.reason));
            unreadable.push(
                json!({"reference": record.reference, "line": record.line, "problem": record.reason.to_string()}),
            );
        }
        let unknown: usize = list.entries.iter().map(|entry| entry.unknown.len()).sum();
        output.set("notices", planned.len());
        output.set("unreadable", unreadable.len());
        output.set("unreadable_records", unreadable);
        output.set("unknown_fields", unknown);
        output.set("list_date", list.day());
        let unread = !list.unreadable.is_empty();
        if command.dry_run {
            for notice in &planned {
                output.line(format!("   {:<32} {}", notice.reference, notice.subject));
            }
            output.set("dry_run", true);
            return Ok(if unread { Exit::Partly } else { Exit::Done });
        }
        if command.to.is_empty() && command.group.is_empty() {
            return Err(Failure::new(Exit::Usage, "no recipient").next("--group MEMBERS, or --dry-run"));
        }
        let context = context()?;
        output.talk(format!(" as {} ({})  via {}", context.partner, context.system, context.node()));
        let sent = send_all(&context, &planned, (command.to, command.group, Vec::new())).await?;
        output.line(format!(
            " ✔ {} accepted, {} had been taken before, {} refused",
            sent.accepted,
            sent.duplicates,
            sent.refused.len()
        ));
        for (reference, why) in &sent.refused {
            output.line(format!(" ✘ {reference}   {why}"));
        }
        output.set("accepted", sent.accepted);
        output.set("duplicates", sent.duplicates);
        output.set("refused", sent.refused.len());
        Ok(if unread || !sent.refused.is_empty() { Exit::Partly } else { Exit::Done })
    }
}

/// Signs and sends planned notices on one stream.
pub(super) async fn send_all(
    context: &Context,
    planned: &[Planned],
    audience: (Vec<PartnerId>, Vec<PartnerId>, Vec<PartnerId>),
) -> Result<Sent, Failure> {
    let (client, known) = context.connect_and_know().await?;
    let key = context.notice_key()?;
    let rules = Rules::un_special();
    let mut sent = Sent::default();
    for chunk in planned.chunks(UNDER_WAY) {
        let mut notices = Vec::with_capacity(chunk.len());
        for notice in chunk {
            let reference = notice.reference.parse().map_err(|bad| Failure::failed(format!("{bad}")))?;
            let bytes = notice.content.encode_to_vec().into();
            let part = DraftPart { role: PartRole::Content, media_type: CONTENT_TYPE.into(), bytes };
            let draft =
                rules.draft(context, known.head(), reference, audience.clone(), vec![part], output::now())?;
            notices.push(draft.sign(&key).map_err(|error| Failure::failed(error.to_string()))?);
        }
        send_chunk(&client, &notices, &mut sent).await?;
    }
    Ok(sent)
}

async fn send_chunk(client: &Client, notices: &[SignedNotice], sent: &mut Sent) -> Result<(), Failure> {
    let mut stream = client.submit_stream().await?;
    let sender = stream.sender();
    let requests: Vec<_> = notices
        .iter()
        .map(|notice| liaison_protocol::proto::SubmitStreamRequest {
            envelope: notice.envelope.clone(),
            parts: notice.parts.clone(),
        })
        .collect();
    stream.close();
    let send = async move {
        if let Some(sender) = sender {
            for request in requests {
                if sender.send(request).await.is_err() {
                    break;
                }
            }
        }
    };
    let read = async {
        let mut answered = 0;
        while let Some(answers) = stream.answers().await? {
            for answer in answers {
                let reference =
                    notices.get(answered).map(|notice| notice.reference.to_string()).unwrap_or_default();
                answered += 1;
                match answer {
                    Ok(submitted) => {
                        let statement = liaison_protocol::statement::Statement::decode(
                            submitted.receipt.opening.statement.clone(),
                        );
                        if let Ok(liaison_protocol::statement::Statement {
                            event: liaison_protocol::statement::Event::Accepted(accepted),
                            ..
                        }) = statement
                        {
                            sent.deliveries += accepted.recipient_count as usize;
                        }
                        if submitted.duplicate { sent.duplicates += 1 } else { sent.accepted += 1 }
                    }
                    Err(error) if error.reason() == Some(liaison_protocol::reason::Reason::ReferenceConflict) => {
                        // Signed anew, so other bytes; the reference says that this entry of this list was sent.
                        sent.duplicates += 1;
                    }
                    Err(error) => sent.refused.push((reference, error.to_string())),
                }
            }
        }
        Ok::<_, Failure>(answered)
    };
    let ((), answered) = tokio::join!(send, read);
    let answered = answered?;
    if answered < notices.len() {
        return Err(Failure::new(
            Exit::Unavailable,
            format!("the stream ended after {answered} of {} answers", notices.len()),
        )
        .next("run the same command again: nothing is sent twice"));
    }
    Ok(())
}
