//! Verifying, with no node, no network and no configuration.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use liaison_protocol::reason::Reason;
use liaison_protocol::receipt::{Outcome, Report, verify};
use liaison_protocol::trust::Trust;
use serde_json::json;

use super::{Exit, Failure, Output, read};

/// Verify receipt files, offline.
#[derive(Args)]
pub(super) struct Verify {
    /// Receipts, as `liaison send` and `liaison trace --save` write them.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The network, authority keys and logs to believe. Without it a receipt can only be consistent in itself.
    #[arg(long, value_name = "FILE")]
    trust: Option<PathBuf>,
}

impl Verify {
    pub(super) fn run(self, output: &mut Output) -> Result<Exit, Failure> {
        let trust = self.trust.as_ref().map(|path| {
            let text =
                String::from_utf8(read(path)?).map_err(|_| Failure::failed("the trust file is not UTF-8"))?;
            text.parse::<Trust>().map_err(|bad| Failure::new(Exit::Usage, format!("{}: {bad}", path.display())))
        });
        let trust = trust.transpose()?;
        let (mut all, mut worst) = (Vec::new(), Exit::Done);
        for file in &self.files {
            let report = verify(&read(file)?, trust.as_ref());
            print(output, &file.display().to_string(), &report);
            if report.outcome != Outcome::Verified {
                worst = Exit::Unverified;
            }
            all.push(to_json(&file.display().to_string(), &report));
        }
        output.set("verified", worst == Exit::Done);
        output.set("receipts", all);
        Ok(worst)
    }
}

fn print(output: &Output, file: &str, report: &Report) {
    output.line(format!(" {file}"));
    for finding in &report.findings {
        let mark = if finding.holds { "✔" } else { "✘" };
        output.line(format!(" {mark} {} {:<11} {}", finding.step.number(), finding.step.to_string(), finding.text));
    }
    match &report.outcome {
        Outcome::Verified => {
            for (nth, sentence) in report.proven.iter().enumerate() {
                output.line(format!(" {} {sentence}", if nth == 0 { "VERIFIED:" } else { "         " }));
            }
            output.line(" Not shown by this proof: that anyone read or understood it.");
        }
        Outcome::NotTied(what) => output.line(format!(
            " NOT TIED: consistent in itself, but tied to nothing you named: {} were not checked. Give --trust FILE.",
            what.join(", ")
        )),
        Outcome::Failed => {
            let step = report.findings.last().map_or(0, |finding| finding.step.number());
            output.line(format!(
                " FAILED: step {step} does not hold. If this file has ever verified with this trust file, it was changed: keep all as it is."
            ));
        }
    }
}

fn to_json(file: &str, report: &Report) -> serde_json::Value {
    let outcome = match &report.outcome {
        Outcome::Verified => "verified",
        Outcome::NotTied(_) => "not_tied",
        Outcome::Failed => "failed",
    };
    let findings: Vec<_> = report
        .findings
        .iter()
        .map(|finding| json!({"step": finding.step.to_string(), "holds": finding.holds, "text": finding.text}))
        .collect();
    json!({
        "file": file,
        "outcome": outcome,
        "findings": findings,
        "proven": report.proven,
        "leaf_index": report.leaf.map(|leaf| leaf.0),
    })
}

/// The catalogue of refusals.
#[derive(Subcommand)]
pub(super) enum ErrorsCommand {
    /// What a reason means and what to do next.
    Lookup {
        /// A reason, e.g. EXPIRED.
        reason: String,
    },
    /// All of them.
    List,
}

impl ErrorsCommand {
    pub(super) fn run(self, output: &mut Output) -> Result<Exit, Failure> {
        let chosen: Vec<Reason> = match self {
            Self::List => Reason::ALL.to_vec(),
            Self::Lookup { reason } => {
                let found = Reason::find(&reason.to_uppercase());
                let unknown =
                    || Failure::new(Exit::NotFound, format!("no reason {reason:?}")).next("liaison errors list");
                vec![found.ok_or_else(unknown)?]
            }
        };
        let mut all = Vec::new();
        for reason in chosen {
            output.line(format!(" {reason}  ({:?})", reason.class()));
            output.line(format!("   {}", reason.meaning()));
            output.line(format!("   next: {}", reason.next()));
            all.push(json!({"reason": reason.word(), "class": format!("{:?}", reason.class()), "meaning": reason.meaning(), "next": reason.next()}));
        }
        output.set("reasons", all);
        Ok(Exit::Done)
    }
}
