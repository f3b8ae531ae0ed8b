//! One import from the files to the ledger's last line, or as far as a dry run goes.

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use liaison_protocol::id::Reference;
use serde_json::{Value, json};

use super::Sending;
use super::ledger_file::{self, LedgerFile};
use super::send::{Outcome, Sender, UNDER_WAY};
use crate::cli::context::Context;
use crate::cli::{Exit, Failure, Output};
use crate::import::ledger::{Ledger, Sent};
use crate::import::{Action, Edition, Item, Planned, Rules, Step, StepRefused, assumed, step};

/// How often a step is decided anew because the node had taken other notices than the ledger knew. Each time it learns of at least
/// one more for every subject that is behind; nobody has had more than a few of one day.
const ROUNDS_MAX: usize = 16;
/// Questions to the node under way at once.
const ASKED_AT_ONCE: usize = 32;

/// What an import is about.
pub(super) struct Import<'a> {
    pub(super) sending: &'a Sending,
    pub(super) since: Option<&'a Edition>,
    pub(super) to: &'a Edition,
    /// What to run where nothing was sent before, and what to add where an older file is wanted.
    pub(super) first: String,
}

/// What became of a step's notices.
#[derive(Default)]
struct Done {
    accepted: usize,
    duplicates: usize,
    refused: Vec<(String, String)>,
}

impl Import<'_> {
    pub(super) async fn run(&self, context: Option<&Context>, output: &mut Output) -> Result<Exit, Failure> {
        match context {
            Some(context) if !self.sending.dry_run => self.send(context, output).await,
            _ if self.sending.dry_run => self.show(context, output),
            _ => {
                self.sending.audience()?;
                Context::find(None).map(|_| Exit::Done)
            }
        }
    }

    /// What would be sent. Without a context the older file stands for what was sent.
    fn show(&self, context: Option<&Context>, output: &mut Output) -> Result<Exit, Failure> {
        let path = |context| ledger_file::path(self.sending.ledger.as_deref(), context, self.to.source);
        let known =
            context.map(|context| ledger_file::peek(&path(context), context, self.to.source)).transpose()?;
        let ledger = match (known, self.since) {
            (Some(ledger), None) => ledger,
            (Some(ledger), Some(_)) if !ledger.is_empty() => ledger,
            (_, Some(since)) => {
                output.talk(" no ledger: as if the older file had been sent as it is");
                assumed(since)
            }
            (None, None) => Ledger::default(),
        };
        let rules = self.sending.rules();
        let decided = match step(&ledger, self.since, self.to, rules) {
            Err(refused @ StepRefused::TooMany { .. }) => {
                output.talk(format!(" ! {refused}; it is sent only with --many"));
                step(&ledger, self.since, self.to, Rules { many: true, ..rules })
            }
            decided => decided,
        };
        let decided = decided.map_err(|refused| self.failure(&refused))?;
        describe(&decided, output);
        output.set("dry_run", true);
        Ok(if decided.held.is_empty() { Exit::Done } else { Exit::Partly })
    }

    async fn send(&self, context: &Context, output: &mut Output) -> Result<Exit, Failure> {
        let audience = self.sending.audience()?;
        let path = ledger_file::path(self.sending.ledger.as_deref(), context, self.to.source);
        let mut file = LedgerFile::open(&path, context, self.to.source)?;
        self.sending.agrees_with(&file.ledger)?;
        // What can be refused without the node is refused before anybody is called.
        if !file.ledger.is_empty() || self.since.is_none() {
            self.decide(&file.ledger)?;
        }
        output.talk(format!(" as {} ({})  via {}", context.partner, context.system, context.node()));
        let sender = Sender::open(context, audience).await?;
        if let Some(since) = self.since
            && file.ledger.is_empty()
        {
            self.recover(since, &sender, &mut file, output).await?;
        }
        file.ledger.address(self.sending.addressees());
        let first = self.decide(&file.ledger)?;
        describe_counts(&first, output);
        let mut done = Done::default();
        let mut decided = first;
        for _ in 0..ROUNDS_MAX {
            let learned = self.send_step(&decided, &sender, &mut file, &mut done).await?;
            if learned == 0 {
                break;
            }
            decided = self.decide(&file.ledger)?;
        }
        // To its end: what was refused is tried again by the next step, which finds it in the ledger as it was.
        file.ledger.complete(self.to.generated.as_deref());
        file.save()?;
        done.describe(output);
        output.line(format!(" ledger {}", file.path().display()));
        output.set("ledger", file.path().display().to_string());
        let whole = done.refused.is_empty() && decided.held.is_empty();
        Ok(if whole { Exit::Done } else { Exit::Partly })
    }

    /// Sends everything once. Gives how many notices the node had taken before with something else in them than is to be said now:
    /// those are in the ledger then, and the step has to be decided anew.
    async fn send_step(
        &self,
        decided: &Step,
        sender: &Sender<'_>,
        file: &mut LedgerFile,
        done: &mut Done,
    ) -> Result<usize, Failure> {
        let refused_before: Vec<_> = done.refused.iter().map(|(reference, _)| reference.clone()).collect();
        let items: Vec<&Item> =
            decided.items.iter().filter(|item| !refused_before.contains(&item.notice.reference)).collect();
        let mut learned = 0;
        for chunk in items.chunks(UNDER_WAY) {
            let notices: Vec<&Planned> = chunk.iter().map(|item| &item.notice).collect();
            let (outcomes, failure) = sender.send(&notices).await?;
            // Taken from here. A crash now loses no promise: the same references are sent again, and the node says that it has them.
            for (item, outcome) in chunk.iter().zip(outcomes) {
                let planned = &item.notice;
                match outcome {
                    Outcome::Taken { notice, duplicate, .. } => {
                        if duplicate {
                            done.duplicates += 1
                        } else {
                            done.accepted += 1
                        }
                        file.ledger.record(&item.key, planned.sent(parse(&planned.reference)?, notice));
                    }
                    Outcome::ReferenceTaken => {
                        let (sent, same) = recognise(sender, planned).await?;
                        if same {
                            done.duplicates += 1
                        } else {
                            learned += 1
                        }
                        file.ledger.record(&item.key, sent);
                    }
                    Outcome::Refused(why) => done.refused.push((planned.reference.clone(), why)),
                }
            }
            file.save()?;
            failure.map_or(Ok(()), Err)?;
        }
        Ok(learned)
    }

    /// Without a ledger: asks the node for the notices that an import of the older file made.
    async fn recover(
        &self,
        since: &Edition,
        sender: &Sender<'_>,
        file: &mut LedgerFile,
        output: &Output,
    ) -> Result<(), Failure> {
        output.talk(format!(" no ledger: asking the node for {} notices of the older file", since.subjects.len()));
        let wanted = step(&Ledger::default(), None, since, self.sending.rules());
        let wanted = wanted.map_err(|refused| self.failure(&refused))?.items;
        let ask = |item: Item| async move {
            let reference = parse(&item.notice.reference)?;
            let found = sender.read_back(&reference).await?;
            let content = found.as_ref().map(|found| found.content.clone().unwrap_or(item.notice.content));
            let sent = found
                .zip(content)
                .map(|(found, content)| Sent::of(reference, found.notice, found.relation.as_ref(), &content));
            Ok::<_, Failure>((item.key, sent))
        };
        let found: Vec<_> = stream::iter(wanted.into_iter().map(ask)).buffered(ASKED_AT_ONCE).try_collect().await?;
        let missing: Vec<_> = found.iter().filter(|(_, sent)| sent.is_none()).map(|(key, _)| key.clone()).collect();
        if let Some(first) = missing.first() {
            let text = format!(
                "there is no ledger, and the node has no notice of the older file for {} of {} subjects, first {first}",
                missing.len(),
                found.len()
            );
            return Err(Failure::new(Exit::NotFound, text).next(format!("{}, then this again", self.first)));
        }
        for (key, sent) in found {
            sent.into_iter().for_each(|sent| file.ledger.record(&key, sent));
        }
        file.ledger.complete(since.generated.as_deref());
        file.save()
    }

    fn decide(&self, ledger: &Ledger) -> Result<Step, Failure> {
        step(ledger, self.since, self.to, self.sending.rules()).map_err(|refused| self.failure(&refused))
    }

    fn failure(&self, refused: &StepRefused) -> Failure {
        let of = |last: &Option<String>| match last {
            Some(last) => format!("--since FILE, with the list of {last}"),
            None => "--since FILE, with the list that was sent last".to_owned(),
        };
        let (exit, next) = match refused {
            StepRefused::Older { .. } => {
                (Exit::Usage, "name the newer file first, and the older one after --since".into())
            }
            StepRefused::NothingSent => (Exit::NotFound, format!("{}, then this again", self.first)),
            StepRefused::PartOfAList { .. } => (
                Exit::Usage,
                "a whole list for both; a committee's own list goes into a --ledger of its own".into(),
            ),
            StepRefused::NotTheLastSent { last, .. } | StepRefused::SinceWanted { last, .. } => {
                (Exit::Conflict, of(last))
            }
            StepRefused::TooMany { .. } => (Exit::Conflict, "look with --dry-run; if it is right, --many".into()),
        };
        Failure::new(exit, refused.to_string()).next(next)
    }
}

/// What the node has under the reference of a planned notice, and whether it says the same.
async fn recognise(sender: &Sender<'_>, planned: &Planned) -> Result<(Sent, bool), Failure> {
    let reference = parse(&planned.reference)?;
    let found = sender.read_back(&reference).await?;
    let found = found.ok_or_else(|| {
        Failure::new(Exit::Unverified, format!("the node has a notice {reference} and does not show it"))
    })?;
    // Of an erased content only its reference is left, which names the subject and the edition.
    let content = found.content.as_ref().unwrap_or(&planned.content);
    let sent = Sent::of(reference.clone(), found.notice, found.relation.as_ref(), content);
    let same = found.relation == planned.relation && sent.digests == planned.sent(reference, found.notice).digests;
    Ok((sent, same))
}

fn parse(reference: &str) -> Result<Reference, Failure> {
    reference.parse().map_err(|bad| Failure::failed(format!("{bad}")))
}

/// Every notice, and how many there are of each kind.
fn describe(decided: &Step, output: &mut Output) {
    for item in &decided.items {
        let changed = item.changed().join(", ");
        let changed = if changed.is_empty() { changed } else { format!("   [{changed}]") };
        output.line(format!(
            "   {:<9} {:<32} {}{changed}",
            item.action.word(),
            item.notice.reference,
            item.notice.subject
        ));
    }
    describe_counts(decided, output);
    let row = |item: &Item| -> Value {
        json!({
            "action": item.action.word(),
            "key": item.key,
            "reference": item.notice.reference,
            "subject": item.notice.subject,
            "relates_to": item.notice.relation.as_ref().map(|relation| relation.reference.to_string()),
            "changed": item.notice.content.change.iter().flat_map(|change| &change.fields).map(|field| {
                json!({"field": field.field, "before": field.before, "after": field.after})
            }).collect::<Vec<_>>(),
        })
    };
    output.set("items", decided.items.iter().map(row).collect::<Vec<_>>());
}

fn describe_counts(decided: &Step, output: &mut Output) {
    let counts = Action::ALL.map(|action| format!("{} {}", decided.count(action), action.word()));
    let details = match decided.details_differ {
        0 => String::new(),
        count => format!(" ({count} of them in links, reviews or unknown elements)"),
    };
    output.line(format!(" {}, {} unchanged{details}", counts.join(", "), decided.unchanged));
    if let Some(first) = decided.held.first() {
        output.line(format!(
            " ! {} in force are not in this list, first {first}; nothing is delisted while records cannot be read",
            decided.held.len()
        ));
    }
    for action in Action::ALL {
        output.set(action.word(), decided.count(action));
    }
    output.set("notices", decided.items.len());
    output.set("unchanged", decided.unchanged);
    output.set("details_differ", decided.details_differ);
    output.set("held", decided.held.clone());
}

impl Done {
    fn describe(&self, output: &mut Output) {
        let Self { accepted, duplicates, refused } = self;
        output
            .line(format!(" ✔ {accepted} accepted, {duplicates} had been taken before, {} refused", refused.len()));
        for (reference, why) in refused {
            output.line(format!(" ✘ {reference}   {why}"));
        }
        output.set("accepted", *accepted);
        output.set("duplicates", *duplicates);
        output.set("refused", refused.len());
    }
}
