//! `directory explain`: the home's decision of a notice that nobody has written yet, why, and what would allow it.

use clap::Args;
use liaison_protocol::id::{Micros, PartnerId};
use liaison_protocol::manifest::AudienceNames;
use liaison_protocol::proto::{HandlingCode, Kind, Precedence, Tlp};
use liaison_protocol::reason::Refusal;
use serde_json::{Value, json};

use super::super::folder::{NEWEST, NetworkFolder};
use super::moment;
use crate::authority::directory_file::value;
use crate::authority::explain::{Answer, Permitted, Question, Remedy, Standing, Step, explain, lack_in_words};
use crate::authority::words::{date, few, list, word};
use crate::cli::{Exit, Failure, Folder, Output, output};

/// Names in one line for people; programs get all.
const NAMED: usize = 12;

/// Whether one partner may send something to another.
#[derive(Args)]
pub(in crate::cli) struct Explain {
    /// Who would send it.
    #[arg(long, value_name = "PARTNER")]
    from: PartnerId,
    /// Recipients, one by one.
    #[arg(long, value_delimiter = ',', value_name = "PARTNER,…", required_unless_present = "group")]
    to: Vec<PartnerId>,
    /// Recipients by group.
    #[arg(long, value_delimiter = ',', value_name = "GROUP,…")]
    group: Vec<PartnerId>,
    /// Left out of the groups.
    #[arg(long, value_delimiter = ',', value_name = "PARTNER,…")]
    except: Vec<PartnerId>,
    /// Which notice: red, blue, …, as in `liaison send`.
    #[arg(long, value_parser = |text: &str| value("KIND", text, Kind::from_str_name, "kind"))]
    kind: Kind,
    /// Handling code: h0, h1, h2 or h3.
    #[arg(long, default_value = "h0", value_parser = |text: &str| value("HANDLING_CODE", text, HandlingCode::from_str_name, "handling"))]
    handling: HandlingCode,
    /// TLP 2.0: clear, green, amber, amber-strict or red.
    #[arg(long, default_value = "amber", value_parser = |text: &str| value("TLP", text, Tlp::from_str_name, "tlp"))]
    tlp: Tlp,
    /// flash, immediate, priority or routine.
    #[arg(long, default_value = "routine", value_parser = |text: &str| value("PRECEDENCE", text, Precedence::from_str_name, "precedence"))]
    precedence: Precedence,
    /// If it were submitted then: a date, or a moment with zone. Without it: now.
    #[arg(long, value_name = "MOMENT", value_parser = moment)]
    at: Option<Micros>,
    /// Under which directory: a version's number, `newest`, `draft` for directory.toml as it stands now, or a file with either.
    #[arg(long = "in", default_value = NEWEST, value_name = "EDITION")]
    edition: String,
    #[command(flatten)]
    folder: Folder,
}

impl Explain {
    pub(in crate::cli::network) fn run(self, output: &mut Output) -> Result<Exit, Failure> {
        let edition = NetworkFolder::open(&self.folder.folder)?.edition(&self.edition)?;
        let question = Question {
            from: self.from,
            audience: AudienceNames { partners: self.to, groups: self.group, exempted: self.except },
            kind: self.kind,
            handling: self.handling,
            tlp: self.tlp,
            precedence: self.precedence,
            at: self.at.unwrap_or_else(output::now),
        };
        let shown = self.folder.folder.display();
        let answer = explain(&edition, &question).map_err(|stranger| {
            Failure::new(Exit::NotFound, format!("{stranger} ({edition})"))
                .next(format!("liaison partner add {} --folder {shown}", stranger.0))
        })?;
        output.line(format!(" {}   {edition}, at {}", asked(&question), output::time(question.at)));
        output.set("edition", edition.to_string());
        output.set("at", output::time(question.at));
        output.set("permitted", answer.decision.is_ok());
        let standing = |standing: &Standing<'_>| standing_to_json(standing, &question);
        output.set("recipients", answer.recipients.iter().map(standing).collect::<Vec<_>>());
        match &answer.decision {
            Ok(permitted) => {
                tell_permitted(output, permitted);
                tell_passed_over(output, &answer, permitted, &question);
                Ok(Exit::Done)
            }
            Err(refusal) => {
                tell_refused(output, &answer, refusal, &question);
                tell_remedies(output, &answer.remedies, &shown.to_string());
                Ok(Exit::NotAllowed)
            }
        }
    }
}

fn asked(question: &Question) -> String {
    let names = &question.audience;
    format!(
        "{} → {}   {}, {}, {}, {}",
        question.from,
        list(names.partners.iter().chain(&names.groups)),
        word("KIND", question.kind.as_str_name()),
        word("HANDLING_CODE", question.handling.as_str_name()),
        word("TLP", question.tlp.as_str_name()),
        word("PRECEDENCE", question.precedence.as_str_name()),
    )
}

fn tell_permitted(output: &mut Output, permitted: &Permitted<'_>) {
    let reached: Vec<_> = permitted.reached.iter().map(|partner| partner.id.to_string()).collect();
    output.line(format!(" ✔ permitted; it reaches {}", few(&reached, NAMED)));
    let mut agreements = Vec::new();
    for agreement in &permitted.agreements {
        let until = date(agreement.until);
        output.line(format!("   under agreement {} until {until}   {}", agreement.id, agreement.legal_basis));
        agreements.push(json!({"id": agreement.id, "until": output::time(agreement.until), "legal_basis": agreement.legal_basis}));
    }
    if let Some(until) = permitted.until {
        output.line(format!("   This answer is the same until {}.", date(until)));
    }
    output.set("reached", reached);
    output.set("agreements", agreements);
    output.set("passed_over", permitted.passed_over);
    output.set("until", permitted.until.map(output::time));
}

/// The members of groups who do not get it, and why.
fn tell_passed_over(output: &Output, answer: &Answer<'_>, permitted: &Permitted<'_>, question: &Question) {
    let reached =
        |standing: &Standing<'_>| permitted.reached.iter().any(|partner| partner.id == standing.partner.id);
    let passed: Vec<_> = answer.recipients.iter().filter(|standing| !reached(standing)).collect();
    for standing in passed.iter().take(NAMED) {
        output.line(format!("   passed over: {}", in_words(standing, question)));
    }
    if passed.len() > NAMED {
        output.line(format!("   passed over: {} more", passed.len() - NAMED));
    }
}

fn tell_refused(output: &mut Output, answer: &Answer<'_>, refusal: &Refusal, question: &Question) {
    output.line(format!(" ✘ {}   {}", refusal.reason, refusal.message));
    for standing in answer.recipients.iter().take(NAMED) {
        output.line(format!("   {}", in_words(standing, question)));
    }
    if answer.recipients.len() > NAMED {
        output.line(format!("   and {} more", answer.recipients.len() - NAMED));
    }
    output.set("reason", refusal.reason.word());
    output.set("message", refusal.message.clone());
    output.set("next", refusal.reason.next());
}

fn in_words(standing: &Standing<'_>, question: &Question) -> String {
    let id = &standing.partner.id;
    if let Some(home) = standing.elsewhere.filter(|_| standing.covered()) {
        return format!("{id}   is covered, and has its home at {home}");
    }
    let Some((agreement, lacks)) = standing.agreements.first() else {
        return format!("{id}   no agreement lets {} send it anything", question.from);
    };
    if lacks.is_empty() {
        return format!("{id}   is covered by agreement {}", agreement.id);
    }
    let lacks: Vec<_> = lacks.iter().map(|lack| lack_in_words(*lack, question)).collect();
    format!("{id}   agreement {}: {}", agreement.id, lacks.join("; "))
}

fn standing_to_json(standing: &Standing<'_>, question: &Question) -> Value {
    let agreements: Vec<_> = standing
        .agreements
        .iter()
        .map(|(agreement, lacks)| {
            let lacks: Vec<_> = lacks.iter().map(|lack| lack_in_words(*lack, question)).collect();
            json!({"id": agreement.id, "lacks": lacks})
        })
        .collect();
    json!({
        "partner": standing.partner.id.to_string(),
        "covered": standing.covered(),
        "home_elsewhere": standing.elsewhere.map(ToString::to_string),
        "agreements": agreements,
    })
}

fn tell_remedies(output: &mut Output, remedies: &[Remedy], folder: &str) {
    if remedies.is_empty() {
        output.line(" No change to the directory would allow this notice as it is.");
    } else {
        let any = if remedies.len() > 1 { "Either of these" } else { "This" };
        output.line(format!(
            " {any} would allow it, written in directory.toml (sealed directories are never edited by hand):"
        ));
    }
    for (nth, Remedy(steps)) in remedies.iter().enumerate() {
        for (step_nth, step) in steps.iter().enumerate() {
            let number = if step_nth == 0 { format!("{}.", nth + 1) } else { "  ".into() };
            for (line_nth, line) in in_lines(step, folder).iter().enumerate() {
                output.line(format!(" {} {line}", if line_nth == 0 { &number } else { "  " }));
            }
        }
    }
    if !remedies.is_empty() {
        output.line(format!(
            " Then: liaison directory explain … --in draft   →   liaison directory sign --folder {folder}"
        ));
    }
    let steps = |remedy: &Remedy| remedy.0.iter().map(|step| step_to_json(step, folder)).collect::<Vec<_>>();
    output.set("remedies", remedies.iter().map(steps).collect::<Vec<_>>());
}

fn in_lines(step: &Step, folder: &str) -> Vec<String> {
    match step {
        Step::Amend { agreement, set, pairs } => {
            let head =
                format!("in [[agreement]] {agreement}, for all its {pairs} pairs of originator and recipient:");
            let lines = set.iter().map(|(key, value)| format!("  {key} = {value}"));
            [head].into_iter().chain(lines).collect()
        }
        Step::Agree(text) | Step::Form(text) => {
            ["add:".into()].into_iter().chain(text.lines().map(|line| format!("  {line}"))).collect()
        }
        Step::Fill(group) => vec![format!("in [[group]] {group}, list members: it has none who could get it")],
        Step::Enrol(partner) => vec![format!("enrol it: liaison partner add {partner} --folder {folder}")],
        Step::Reinstate(partner) => vec![format!("in [[partner]] {partner}:"), "  status = \"active\"".into()],
        Step::NoticeKey(partner) => {
            vec![format!(
                "in [[partner]] {partner}, add a [[partner.key]] of usage \"notice\" whose window has begun"
            )]
        }
    }
}

fn step_to_json(step: &Step, folder: &str) -> Value {
    match step {
        Step::Amend { agreement, set, pairs } => {
            let set: serde_json::Map<_, _> =
                set.iter().map(|(key, value)| ((*key).into(), value.clone().into())).collect();
            json!({"step": "amend", "agreement": agreement, "set": set, "pairs": pairs})
        }
        Step::Agree(text) | Step::Form(text) => json!({"step": "add", "toml": text}),
        Step::Enrol(partner) => {
            json!({"step": "enrol", "command": format!("liaison partner add {partner} --folder {folder}")})
        }
        Step::Fill(group) => json!({"step": "fill", "group": group.to_string()}),
        Step::Reinstate(partner) => json!({"step": "reinstate", "partner": partner.to_string()}),
        Step::NoticeKey(partner) => json!({"step": "notice_key", "partner": partner.to_string()}),
    }
}
