//! Reading notices back: a mailbox, one row, one page.

use comfy_table::Table;
use liaison_client::sign::{CONTENT_TYPE, Recipient};
use liaison_client::{Client, Collecting, Delivered, KnownDirectory};
use liaison_protocol::envelope::Envelope;
use liaison_protocol::id::{LeafIndex, PartnerId, PartnerNumber, Reference};
use liaison_protocol::part::Parts;
use liaison_protocol::proto::{self, Kind, Precedence, item_proof};
use liaison_protocol::receipt::{Outcome, Receipt, verify};
use liaison_protocol::statement::{Event, Statement};
use liaison_protocol::text::visible;
use prost::Message as _;
use serde_json::{Value, json};

use super::content;
use crate::cli::context::Context;
use crate::cli::{Exit, Failure, Output, output};
use crate::import;

/// What the node answers, verified before it is shown: under the trust file, and the directory that each statement names.
pub(in crate::cli) struct Verifying<'c> {
    context: &'c Context,
    client: Client,
    known: KnownDirectory,
}

impl<'c> Verifying<'c> {
    pub(in crate::cli) fn new(context: &'c Context, client: Client, known: KnownDirectory) -> Self {
        Self { context, client, known }
    }

    pub(in crate::cli) fn client(&self) -> &Client {
        &self.client
    }

    /// The caller.
    pub(in crate::cli) fn own(&self) -> &PartnerId {
        &self.context.partner
    }

    /// Receipt, signature, parts: what does not verify is not shown.
    pub(in crate::cli) async fn notice(&mut self, notice: &Delivered) -> Result<(), Failure> {
        let what = notice.manifest.reference.to_string();
        self.receipt(&notice.receipt, Some(&notice.envelope), &what).await?;
        if !notice.parts.is_empty() {
            Parts::open(&notice.manifest.parts, notice.parts.clone())
                .map_err(|refusal| unverified(&what, &refusal.message))?;
        }
        Ok(())
    }

    /// A notice that was asked for by name must be the one that has this name.
    pub(in crate::cli) async fn named(
        &mut self,
        notice: &Delivered,
        originator: &PartnerId,
        reference: &Reference,
    ) -> Result<(), Failure> {
        self.notice(notice).await?;
        let manifest = &notice.manifest;
        if manifest.reference != *reference || manifest.originator != *originator {
            let found = format!("it is {} of {}", manifest.reference, manifest.originator);
            return Err(unverified(&format!("{reference} of {originator}"), &found));
        }
        Ok(())
    }

    /// One receipt, as a file that holds it would verify; the file, and the statement that it proves. `what`: what it is of, in words.
    pub(in crate::cli) async fn receipt(
        &mut self,
        receipt: &Receipt,
        envelope: Option<&bytes::Bytes>,
        what: &str,
    ) -> Result<(String, Statement), Failure> {
        let statement = Statement::decode(receipt.opening.statement.clone())
            .map_err(|refusal| unverified(what, &refusal.message))?;
        let version = statement.under.map(|head| head.version);
        if version != Some(self.known.head().version()) {
            let version = version.map(|version| version.0).unwrap_or_default();
            self.known = self.client.known_directory(version, &self.context.trust).await?;
        }
        let file = self.known.receipt_file(receipt, envelope.cloned())?;
        let report = verify(file.as_bytes(), Some(&self.context.trust));
        if report.outcome != Outcome::Verified {
            let why = report.findings.last().map(|finding| finding.text.clone()).unwrap_or_default();
            return Err(unverified(what, &why));
        }
        Ok((file, statement))
    }
}

fn unverified(what: &str, why: &str) -> Failure {
    Failure::new(Exit::Unverified, format!("{what} from the node does not verify: {why}"))
}

/// The caller's own mailbox, read from the start; every notice is verified before it is shown.
pub(in crate::cli) struct Mailbox<'c> {
    verifying: Verifying<'c>,
    collecting: Collecting,
}

impl<'c> Mailbox<'c> {
    /// Opens it; `until_idle` ends when nothing more waits.
    pub(in crate::cli) async fn open(context: &'c Context, until_idle: bool) -> Result<Self, Failure> {
        let (client, known) = context.connect_and_know().await?;
        let collecting = client.collect(bytes::Bytes::new(), until_idle).await?;
        Ok(Self { verifying: Verifying::new(context, client, known), collecting })
    }

    pub(in crate::cli) fn client(&self) -> &Client {
        &self.verifying.client
    }

    pub(in crate::cli) fn verifying(&mut self) -> &mut Verifying<'c> {
        &mut self.verifying
    }

    /// Leaves of notices that wait and that the node cannot deliver, named since this was asked last.
    pub(in crate::cli) fn take_damaged(&mut self) -> Vec<LeafIndex> {
        self.collecting.take_damaged()
    }

    /// Who signs for what is in it.
    pub(in crate::cli) fn recipient(&self) -> Result<Recipient, Failure> {
        let Verifying { context, known, .. } = &self.verifying;
        let partner = &context.partner;
        let log_origin = known.home_log(partner).ok_or_else(|| {
            Failure::failed(format!("the directory lists no home of {partner}")).next("liaison directory show")
        })?;
        Ok(Recipient {
            network: context.trust.network(),
            log_origin: log_origin.clone(),
            partner: partner.clone(),
            system: context.system.clone(),
        })
    }

    /// The next notices, verified. None: nothing more waits.
    pub(in crate::cli) async fn next(&mut self) -> Result<Option<Vec<Delivered>>, Failure> {
        let Some(notices) = self.collecting.next().await? else { return Ok(None) };
        for notice in &notices {
            self.verifying.notice(notice).await?;
        }
        Ok(Some(notices))
    }
}

/// The typed content of a notice, if it has one.
fn content_of(notice: &Delivered) -> Option<proto::Content> {
    let parts = notice.manifest.parts.iter().zip(&notice.parts);
    let (_, part) = parts.into_iter().find(|(said, _)| said.media_type == CONTENT_TYPE)?;
    proto::Content::decode(part.bytes.clone()).ok()
}

/// One line about a notice.
pub(in crate::cli) fn subject_of(notice: &Delivered) -> String {
    match content_of(notice) {
        Some(content) => import::subject(&content),
        None if notice.parts.is_empty() => "(content erased)".into(),
        None => notice.manifest.parts.first().map(|part| part.media_type.clone()).unwrap_or_default(),
    }
}

/// A kind as people write it.
pub(in crate::cli) fn kind_word(kind: Kind) -> String {
    kind.as_str_name().trim_start_matches("KIND_").to_lowercase().replace('_', "-")
}

/// A precedence as people write it.
pub(in crate::cli) fn precedence_word(precedence: Precedence) -> String {
    precedence.as_str_name().trim_start_matches("PRECEDENCE_").to_lowercase()
}

/// One line about a notice that the node cannot deliver.
pub(super) fn damaged_line(leaf: LeafIndex) -> String {
    format!(
        " ✘ log leaf {}: waits for you and is damaged at the node; its operator can restore it from a backup",
        leaf.0
    )
}

pub(super) fn table() -> Table {
    let mut table = Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table.set_header(["AGE", "PRIO", "KIND", "FROM", "SUBJECT", "REFERENCE"]);
    table
}

pub(super) fn row(notice: &Delivered) -> Vec<String> {
    let manifest = &notice.manifest;
    vec![
        output::age(manifest.issued_at, output::now()),
        precedence_word(manifest.precedence),
        kind_word(manifest.kind),
        manifest.originator.to_string(),
        // A cell is one line, whatever the originator wrote.
        visible(&subject_of(notice)).into_owned(),
        manifest.reference.to_string(),
    ]
}

pub(super) fn json_row(notice: &Delivered) -> Value {
    let manifest = &notice.manifest;
    json!({
        "reference": manifest.reference.to_string(),
        "notice_id": notice.id.to_string(),
        "leaf_index": notice.leaf().0,
        "originator": manifest.originator.to_string(),
        "kind": kind_word(manifest.kind),
        "precedence": precedence_word(manifest.precedence),
        "issued_at": output::time(manifest.issued_at),
        "subject": subject_of(notice),
    })
}

pub(super) fn show(output: &mut Output, notice: &Delivered) -> Result<(), Failure> {
    let manifest = &notice.manifest;
    let names =
        |ids: &[liaison_protocol::id::PartnerId]| ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    let handling = &manifest.handling;
    output.line(format!(
        " {}   {}, {}   from {}",
        manifest.reference,
        kind_word(manifest.kind),
        precedence_word(manifest.precedence),
        manifest.originator
    ));
    output.line(format!(" notice    {}", notice.id));
    output.line(format!(" to        {} {}", names(&manifest.audience.partners), names(&manifest.audience.groups)));
    output.line(format!(
        " handling  {}, {}{}",
        handling.code.as_str_name().trim_start_matches("HANDLING_CODE_"),
        handling.tlp.as_str_name().replace('_', ":"),
        if handling.restriction.is_empty() { String::new() } else { format!(": {}", handling.restriction) }
    ));
    output.line(format!(
        " issued    {}   expires {}",
        output::time(manifest.issued_at),
        output::time(manifest.expires_at)
    ));
    if let Some(relation) = &manifest.relation {
        let word = relation.kind.as_str_name().trim_start_matches("RELATION_TYPE_").to_lowercase();
        output.line(format!(" {word:<9} {} {}", relation.reference, relation.notice));
    }
    let mut parts = Vec::new();
    for (nth, said) in manifest.parts.iter().enumerate() {
        let bytes = notice.parts.get(nth).map(|part| part.bytes.clone());
        let role = said.role.as_str_name().trim_start_matches("PART_ROLE_").to_lowercase();
        output.line(format!(" {role:<9} {}, {} bytes", said.media_type, said.size));
        let content = match &bytes {
            Some(bytes) if said.media_type == CONTENT_TYPE => content::to_json(bytes),
            Some(bytes) if said.media_type.starts_with("text/") => {
                Some(String::from_utf8_lossy(bytes).into_owned().into())
            }
            _ => None,
        };
        match &content {
            Some(Value::String(text)) => output.line(text.replace("\r\n", "\n")),
            Some(json) => output.line(serde_json::to_string_pretty(json).unwrap_or_default()),
            None => {}
        }
        parts.push(json!({"role": role, "media_type": said.media_type, "size": said.size, "content": content}));
    }
    let envelope = Envelope::parse(notice.envelope.clone()).map_err(|refusal| Failure::failed(refusal.message))?;
    output.set("notice", json_row(notice));
    output.set("manifest_bytes", envelope.payload().len());
    output.set("parts", parts);
    Ok(())
}

/// A statement in a few words, with the items that were shown of it.
pub(super) fn words(statement: &Statement, items: &[proto::ItemProof], known: &KnownDirectory) -> String {
    let partner = |number: u32| {
        known.partner(PartnerNumber(number)).map_or_else(|| format!("number {number}"), ToString::to_string)
    };
    let item = |item: &proto::ItemProof| match item.item.as_ref()? {
        item_proof::Item::Acknowledged(item) => {
            Some(item.verdict().as_str_name().trim_start_matches("VERDICT_").to_string())
        }
        item_proof::Item::Expired(item) => {
            let outcome = item.outcome().as_str_name().trim_start_matches("EXPIRED_OUTCOME_");
            Some(format!("{} {outcome}", partner(item.recipient)))
        }
        item_proof::Item::Recipient(_) => None,
    };
    let said: Vec<_> = items.iter().filter_map(item).collect();
    match &statement.event {
        Event::Accepted(accepted) => {
            format!(
                "{:<10} for {} recipients, {} passed over",
                "ACCEPTED", accepted.recipient_count, accepted.passed_over
            )
        }
        Event::Acknowledged(acknowledged) => {
            format!("{:<10} {}, signed by its own key", said.join(" "), partner(acknowledged.recipient.0))
        }
        Event::Expired(_) => format!("{:<10} {}", "EXPIRED", said.join(", ")),
        _ => statement.event_name().into(),
    }
}
