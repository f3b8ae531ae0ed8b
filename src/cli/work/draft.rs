//! From a file and a few words to a draft that can be signed.

use std::path::Path;

use bytes::Bytes;
use clap::Args;
use liaison_client::sign::{CONTENT_TYPE, Draft, DraftPart};
use liaison_protocol::directory::VerifiedHead;
use liaison_protocol::id::{Micros, NoticeId, PartnerId, Reference};
use liaison_protocol::manifest::{AudienceNames, Handling, Relation};
use liaison_protocol::proto::{
    HandlingCode, InformationEvaluation, Kind, PartRole, Precedence, RelationType, RespondBy, Retention,
    SourceEvaluation, Tlp,
};

use super::content;
use crate::authority::directory_file::value;
use crate::cli::context::Context;
use crate::cli::{Exit, Failure, read};
use crate::import::encoding::Encoding;

/// What recipients may do with a notice, how urgent it is, and what it is bound to.
#[derive(Args, Clone)]
pub(crate) struct Rules {
    /// Which notice: red, blue, green, yellow, black, orange, purple, silver, un-special, diffusion, message, request, answer, …
    #[arg(long, default_value = "message", value_parser = kind)]
    kind: Kind,
    /// flash, immediate, priority or routine.
    #[arg(long, default_value = "routine", value_parser = precedence)]
    precedence: Precedence,
    /// Handling code: h0, h1, h2 or h3.
    #[arg(long, default_value = "h0", value_parser = handling)]
    handling: HandlingCode,
    /// The restriction in words, with h3.
    #[arg(long, default_value = "")]
    restriction: String,
    /// TLP 2.0: clear, green, amber, amber-strict or red.
    #[arg(long, default_value = "amber", value_parser = tlp)]
    tlp: Tlp,
    /// Evaluation of the source: a, b, c or x.
    #[arg(long, default_value = "a", value_parser = source)]
    source: SourceEvaluation,
    /// Evaluation of the information: 1, 2, 3 or 4.
    #[arg(long, default_value = "1", value_parser = information)]
    information: InformationEvaluation,
    /// Not delivered after this time, e.g. 30d.
    #[arg(long, default_value = "30d", value_parser = super::lifetime, value_name = "TIME")]
    expires: i64,
    /// When a decision is expected: none, one-hour, eight-hours, three-days or thirty-days.
    #[arg(long, default_value = "none", value_parser = respond_by)]
    respond_by: RespondBy,
    /// How long nodes keep the content: thirty-days, one-year, five-years or ten-years.
    #[arg(long, default_value = "one-year", value_parser = retention)]
    retention: Retention,
    /// Amends an earlier notice: REFERENCE=NOTICE_ID.
    #[arg(long, value_parser = named, value_name = "REFERENCE=ID", group = "relation")]
    amends: Option<(Reference, NoticeId)>,
    /// Cancels an earlier notice: REFERENCE=NOTICE_ID.
    #[arg(long, value_parser = named, value_name = "REFERENCE=ID", group = "relation")]
    cancels: Option<(Reference, NoticeId)>,
    /// Answers a notice: REFERENCE=NOTICE_ID.
    #[arg(long, value_parser = named, value_name = "REFERENCE=ID", group = "relation")]
    answers: Option<(Reference, NoticeId)>,
}

fn kind(text: &str) -> Result<Kind, String> {
    value("KIND", text, Kind::from_str_name, "kind")
}
fn precedence(text: &str) -> Result<Precedence, String> {
    value("PRECEDENCE", text, Precedence::from_str_name, "precedence")
}
fn handling(text: &str) -> Result<HandlingCode, String> {
    value("HANDLING_CODE", text, HandlingCode::from_str_name, "handling")
}
fn tlp(text: &str) -> Result<Tlp, String> {
    value("TLP", text, Tlp::from_str_name, "tlp")
}
fn source(text: &str) -> Result<SourceEvaluation, String> {
    value("SOURCE_EVALUATION", text, SourceEvaluation::from_str_name, "source")
}
fn information(text: &str) -> Result<InformationEvaluation, String> {
    value("INFORMATION_EVALUATION", text, InformationEvaluation::from_str_name, "information")
}
fn respond_by(text: &str) -> Result<RespondBy, String> {
    value("RESPOND_BY", text, RespondBy::from_str_name, "respond-by")
}
fn retention(text: &str) -> Result<Retention, String> {
    value("RETENTION", text, Retention::from_str_name, "retention")
}

fn named(text: &str) -> Result<(Reference, NoticeId), String> {
    let (reference, id) = text.split_once('=').ok_or("expected REFERENCE=sha256:…")?;
    Ok((reference.parse().map_err(|bad| format!("{bad}"))?, id.parse().map_err(|bad| format!("{bad}"))?))
}

impl Rules {
    /// The rules of notices that repeat what was published.
    pub(in crate::cli) fn published(kind: Kind, relation: Option<&Relation>) -> Self {
        let related = |kind| {
            let relation = relation.filter(|relation| relation.kind == kind);
            relation.map(|relation| (relation.reference.clone(), relation.notice))
        };
        Self {
            kind,
            precedence: Precedence::Priority,
            handling: HandlingCode::H0,
            restriction: String::new(),
            tlp: Tlp::Clear,
            source: SourceEvaluation::A,
            information: InformationEvaluation::InformationEvaluation1,
            expires: 365 * Micros::DAY,
            respond_by: RespondBy::None,
            retention: Retention::FiveYears,
            amends: related(RelationType::Amends),
            cancels: related(RelationType::Cancels),
            answers: None,
        }
    }

    /// A draft by these rules.
    pub(in crate::cli) fn draft(
        &self,
        context: &Context,
        head: &VerifiedHead,
        reference: Reference,
        (partners, groups, exempted): (Vec<PartnerId>, Vec<PartnerId>, Vec<PartnerId>),
        parts: Vec<DraftPart>,
        now: Micros,
    ) -> Result<Draft, Failure> {
        if (self.handling == HandlingCode::H3) == self.restriction.is_empty() {
            return Err(Failure::new(Exit::Usage, "--restriction goes with --handling h3, and only with it"));
        }
        let relation = [
            (RelationType::Amends, &self.amends),
            (RelationType::Cancels, &self.cancels),
            (RelationType::Answers, &self.answers),
        ];
        let relation = relation
            .into_iter()
            .find_map(|(kind, to)| to.clone().map(|(reference, notice)| Relation { kind, notice, reference }));
        Ok(Draft {
            network: head.network(),
            directory_version: head.version().0,
            reference,
            kind: self.kind,
            originator: context.partner.clone(),
            audience: AudienceNames { partners, groups, exempted },
            handling: Handling {
                code: self.handling,
                restriction: self.restriction.clone(),
                source: self.source,
                information: self.information,
                tlp: self.tlp,
            },
            precedence: self.precedence,
            issued_at: now,
            expires_at: now.plus(self.expires),
            respond_by: self.respond_by,
            retention: self.retention,
            relation,
            parts,
        })
    }
}

/// A reference made from the moment: `FR/2026/1123-201530-123456`.
pub(super) fn reference(partner: &PartnerId, now: Micros) -> Result<Reference, Failure> {
    let moment = jiff::Timestamp::from_microsecond(now.0).map_err(|error| Failure::failed(error.to_string()))?;
    let text = format!("{partner}/{}", moment.strftime("%Y/%m%d-%H%M%S-%6f"));
    text.parse().map_err(|bad| Failure::failed(format!("{bad}")))
}

/// Reads what is to be sent. JSON is a `liaison.v1.Content` and is checked field by field; everything else goes as it is, if there
/// is anything in it.
pub(in crate::cli) fn content_part(file: &Path) -> Result<DraftPart, Failure> {
    let bytes = read(file)?;
    let refused =
        |problem: &dyn std::fmt::Display| Failure::new(Exit::Usage, format!("{}: {problem}", file.display()));
    if bytes.is_empty() {
        return Err(refused(&"the file is empty, and a notice says something"));
    }
    let extension = file.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    let (media_type, bytes): (&str, Bytes) = match extension.to_ascii_lowercase().as_str() {
        "json" => {
            let content = content::from_json(&bytes).map_err(|fault| {
                refused(&fault)
                    .next("a Content in protobuf JSON, e.g. {\"text\": {\"subject\": \"…\", \"body\": \"…\"}}")
            })?;
            (CONTENT_TYPE, content.into())
        }
        "txt" => {
            let found = Encoding::of(&bytes);
            if !found.is_utf8() {
                return Err(refused(&format!("it is in {found}, and text is sent in UTF-8"))
                    .next("save it in UTF-8, or give it another ending than .txt to send its bytes as they are"));
            }
            ("text/plain;charset=utf-8", bytes.into())
        }
        "pdf" => ("application/pdf", bytes.into()),
        "jpg" | "jpeg" => ("image/jpeg", bytes.into()),
        "png" => ("image/png", bytes.into()),
        _ => ("application/octet-stream", bytes.into()),
    };
    Ok(DraftPart { role: PartRole::Content, media_type: media_type.into(), bytes })
}
