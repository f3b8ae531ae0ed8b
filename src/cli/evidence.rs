//! Verifying, with no node, no network and no configuration.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use liaison_protocol::limits::RECEIPT_BYTES_MAX;
use liaison_protocol::reason::Reason;
use liaison_protocol::receipt::{Outcome, Report, Shown, Step, verify};
use liaison_protocol::text::{changed_on_the_way, visible};
use liaison_protocol::trust::Trust;
use serde_json::{Map, Value, json};

use super::{Exit, Failure, Output, files, output};
use crate::config::regular;

/// What stands for standard input.
const STDIN: &str = "-";
/// How receipts are named that `send` and `trace` save.
const EXTENSION: &str = "receipt";
/// Receipts of one folder: more are somebody's archive, and take hours. Their names alone are 10 MB.
const FOLDER_FILES_MAX: usize = 100_000;

/// Verify receipt files, offline.
#[derive(Args)]
pub(super) struct Verify {
    /// Receipts, as `liaison send` and `liaison trace --save` write them; a folder for all *.receipt in it; - for standard input.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The network, authority keys and logs to believe. Without it a receipt can only be consistent in itself.
    #[arg(long, value_name = "FILE")]
    trust: Option<PathBuf>,
}

/// What became of one file.
enum Judged {
    /// Read and verified, with what happened to it on the way and how to undo that, where that is why it fails.
    Read(Box<Report>, Option<(String, String)>),
    Unread(String),
}

impl Verify {
    pub(super) fn run(self, output: &mut Output) -> Result<Exit, Failure> {
        if self.files.iter().filter(|file| file.as_os_str() == STDIN).count() > 1 {
            return Err(Failure::new(Exit::Usage, "standard input can be read once, and - is given twice"));
        }
        let trust = self.trust.as_deref().map(files::trust).transpose()?;
        let mut counts = Counts::default();
        let mut all = Vec::new();
        for given in &self.files {
            let receipts = match receipts_of(given) {
                Ok((receipts, others)) => {
                    counts.others += others;
                    receipts
                }
                Err(why) => {
                    self.one(given, &Judged::Unread(why), &mut counts, &mut all, output);
                    continue;
                }
            };
            for file in receipts {
                let judged = judge(&file, trust.as_ref());
                self.one(&file, &judged, &mut counts, &mut all, output);
            }
        }
        let exit = counts.exit();
        output.line(counts.summary());
        output.set("verified", exit == Exit::Done);
        output.set("counts", counts.to_json());
        output.set("receipts", all);
        Ok(exit)
    }

    fn one(&self, file: &Path, judged: &Judged, counts: &mut Counts, all: &mut Vec<Value>, output: &Output) {
        counts.add(judged);
        print(output, file, judged);
        all.push(to_json(file, judged));
    }
}

/// The receipts that an argument names, and how many other entries its folder has.
fn receipts_of(given: &Path) -> Result<(Vec<PathBuf>, usize), String> {
    if given.as_os_str() == STDIN || !given.is_dir() {
        return Ok((vec![given.to_path_buf()], 0));
    }
    let (mut receipts, mut others) = (Vec::new(), 0);
    for entry in std::fs::read_dir(given).map_err(|error| error.to_string())? {
        let path = entry.map_err(|error| error.to_string())?.path();
        match path.extension().is_some_and(|extension| extension == EXTENSION) {
            true => receipts.push(path),
            false => others += 1,
        }
        if receipts.len() > FOLDER_FILES_MAX {
            return Err(format!("holds more than {FOLDER_FILES_MAX} receipts: name some of them"));
        }
    }
    receipts.sort_unstable();
    if receipts.is_empty() {
        return Err(format!("holds no *.{EXTENSION}"));
    }
    Ok((receipts, others))
}

fn judge(file: &Path, trust: Option<&Trust>) -> Judged {
    let bytes = match file.as_os_str() == STDIN {
        // One byte more than a receipt may have shows that it has too many.
        true => {
            let mut bytes = Vec::new();
            let read = std::io::stdin().lock().take(RECEIPT_BYTES_MAX as u64 + 1).read_to_end(&mut bytes);
            read.map(|_| bytes)
        }
        false => regular::read(file, RECEIPT_BYTES_MAX as u64),
    };
    match bytes {
        Ok(bytes) => {
            let report = verify(&bytes, trust);
            let in_file = report.outcome == Outcome::Failed && report.findings.iter().all(|f| f.step == Step::File);
            let altered = in_file.then(|| changed_on_the_way(&file.display().to_string(), &bytes)).flatten();
            Judged::Read(Box::new(report), altered)
        }
        Err(error) if error.kind() == std::io::ErrorKind::FileTooLarge => {
            Judged::Unread(format!("is no receipt: it has more than {RECEIPT_BYTES_MAX} bytes"))
        }
        Err(error) if error.kind() == std::io::ErrorKind::InvalidInput => {
            Judged::Unread(format!("{error}, or standard input: liaison verify - < FILE"))
        }
        Err(error) => Judged::Unread(error.to_string()),
    }
}

/// How many of each.
#[derive(Default)]
struct Counts {
    verified: usize,
    not_tied: usize,
    failed: usize,
    unread: usize,
    others: usize,
}

impl Counts {
    fn add(&mut self, judged: &Judged) {
        let place = match judged {
            Judged::Unread(_) => &mut self.unread,
            Judged::Read(report, _) => match report.outcome {
                Outcome::Verified => &mut self.verified,
                Outcome::NotTied(_) => &mut self.not_tied,
                Outcome::Failed => &mut self.failed,
            },
        };
        *place += 1;
    }

    /// The worst finding counts: what does not verify before what could not be read.
    fn exit(&self) -> Exit {
        match () {
            () if self.failed + self.not_tied > 0 => Exit::Unverified,
            () if self.unread > 0 => Exit::Failed,
            () => Exit::Done,
        }
    }

    fn summary(&self) -> String {
        let all = self.verified + self.not_tied + self.failed + self.unread;
        let mut words = vec![format!("{} verified", self.verified)];
        let more = [
            (self.failed, "failed"),
            (self.not_tied, "not tied to a trust file"),
            (self.unread, "could not be read"),
            (self.others, "other entries of folders not looked at"),
        ];
        words.extend(more.iter().filter(|(count, _)| *count > 0).map(|(count, word)| format!("{count} {word}")));
        let plural = if all == 1 { "" } else { "s" };
        format!(" {all} receipt{plural}: {}   exit {}", words.join(", "), self.exit() as u8)
    }

    fn to_json(&self) -> Value {
        json!({
            "verified": self.verified,
            "failed": self.failed,
            "not_tied": self.not_tied,
            "unread": self.unread,
            "other_entries": self.others,
        })
    }
}

fn print(output: &Output, file: &Path, judged: &Judged) {
    output.line(format!(" {}", files::name(file)));
    let (report, altered) = match judged {
        Judged::Read(report, altered) => (report, altered),
        Judged::Unread(why) => return output.line(format!(" ✘ NOT READ: {}", visible(why))),
    };
    for finding in &report.findings {
        let mark = if finding.holds { "✔" } else { "✘" };
        output.line(format!(
            " {mark} {} {:<11} {}",
            finding.step.number(),
            finding.step.to_string(),
            visible(&finding.text)
        ));
    }
    for warning in report.shown.iter().flat_map(|shown| &shown.warnings) {
        output.line(format!(" ! {}", visible(warning)));
    }
    match (&report.outcome, altered) {
        (Outcome::Verified, _) => {
            let warned = |sentence: &&String| report.shown.as_ref().is_some_and(|s| s.warnings.contains(sentence));
            for (nth, sentence) in report.proven.iter().filter(|sentence| !warned(sentence)).enumerate() {
                let head = if nth == 0 { "VERIFIED:" } else { "         " };
                output.line(format!(" {head} {}", visible(sentence)));
            }
            output.line(" Not shown by this proof: that anyone read or understood it.");
        }
        (Outcome::NotTied(what), _) => output.line(format!(
            " NOT TIED: consistent in itself, but tied to nothing you named: {} were not checked. Give --trust FILE.",
            what.join(", ")
        )),
        (Outcome::Failed, Some((said, undo))) => {
            output.line(format!(
                " CHANGED ON THE WAY: {said}. A receipt counts byte by byte. Undo that, and verify what you get:"
            ));
            output.line(format!("   {}", visible(undo)));
        }
        (Outcome::Failed, None) if report.other_network.is_some() => output.line(
            " OTHER NETWORK: this says nothing about the receipt. Give --trust with the trust file of its own network.",
        ),
        (Outcome::Failed, None) => {
            let step = report.findings.last().map_or(0, |finding| finding.step.number());
            output.line(format!(
                " FAILED: step {step} does not hold. If this file has ever verified with this trust file, it was changed: keep all as it is."
            ));
        }
    }
}

fn to_json(file: &Path, judged: &Judged) -> Value {
    let (report, altered) = match judged {
        Judged::Read(report, altered) => (report, altered),
        Judged::Unread(why) => {
            return json!({"file": file.display().to_string(), "outcome": "unread", "problem": why});
        }
    };
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
    let problem = altered.as_ref().map(|(said, _)| said.clone()).or_else(|| {
        let of_network =
            |network: &_| format!("the receipt is of network {network}, and the trust file of another");
        report.other_network.as_ref().map(of_network)
    });
    let mut object = json!({
        "file": file.display().to_string(),
        "outcome": outcome,
        "findings": findings,
        "proven": report.proven,
        "leaf_index": report.leaf.map(|leaf| leaf.0),
        "problem": problem,
        "next": altered.as_ref().map(|(_, undo)| undo),
        "event": null,
        "notice": null,
        "parties": [],
        "moments": {},
        "items": [],
        "warnings": [],
    });
    if let (Some(object), Some(shown)) = (object.as_object_mut(), &report.shown) {
        object.extend(shown_to_json(shown));
        if let (Outcome::NotTied(what), Some(warnings)) = (&report.outcome, object["warnings"].as_array_mut()) {
            warnings.push(format!("Not checked, for want of a trust file: {}.", what.join(", ")).into());
        }
    }
    object
}

fn shown_to_json(shown: &Shown) -> Map<String, Value> {
    let notice = |notice: &liaison_protocol::receipt::ShownNotice| {
        json!({
            "notice_id": notice.id.to_string(),
            "leaf_index": notice.leaf.0,
            "reference": notice.reference.as_ref().map(ToString::to_string),
        })
    };
    let parties = shown.parties.iter();
    let parties = parties.map(|(party, partner)| json!({"party": party.word(), "partner": partner.to_string()}));
    let moments = shown.moments.iter().map(|(name, at)| ((*name).to_owned(), Value::from(output::time(*at))));
    let items = shown.items.iter().map(|item| {
        json!({
            "partner": item.partner.to_string(),
            "outcome": item.outcome.as_ref().map(|(word, _)| word),
            "notice": item.outcome.as_ref().map(|(_, of)| notice(of)),
            "text": item.text,
        })
    });
    let pairs: [(&str, Value); 9] = [
        ("event", shown.event.into()),
        ("log_origin", shown.log.to_string().into()),
        ("network", shown.network.to_string().into()),
        ("directory_version", shown.directory_version.0.into()),
        ("notice", shown.notice.as_ref().map(notice).into()),
        ("parties", parties.collect()),
        ("moments", Value::Object(moments.collect())),
        ("items", items.collect()),
        ("warnings", shown.warnings.clone().into()),
    ];
    pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
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
