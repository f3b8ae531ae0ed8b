//! Files that are not what they seem: a part taken for the whole, an old list for a new one, another list than the one that was
//! sent. Each would withdraw or amend what nobody withdrew or amended.

use std::collections::HashMap;

use super::edition::Edition;
use super::facts::{Digests, Facts};
use super::ledger::Ledger;
use super::step::{Action, Rules, Step};

/// A list of one committee has one regime; the whole has had at least thirteen. A list with so many is no committee's.
const REGIMES_OF_A_WHOLE_MIN: usize = 3;
/// A step that amends or withdraws more than half of what is in force is rather a new format or a part of a list than news...
const MANY_SHARE: usize = 2;
/// ...unless it is about so few that anybody can look at each.
const FEW_MAX: usize = 20;

/// Why nothing is sent; whoever runs the import has to give other files, or to look and confirm.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum StepRefused {
    /// The two files are the wrong way round.
    #[error("the list of {to} is older than the one it should follow, of {since}")]
    Older {
        /// The one given as the newer.
        to: String,
        /// The one given as the older, or the newest that was sent.
        since: String,
    },
    /// Nothing to compare with.
    #[error("nothing has been sent yet, so there is nothing to change")]
    NothingSent,
    /// One committee's list against the whole, or the other way round.
    #[error(
        "one file has {some} entries of one regime ({regime}), the other {all} entries of {regimes} regimes: a part is not the whole list"
    )]
    PartOfAList {
        /// The only regime in one of them.
        regime: String,
        /// Entries in that one.
        some: usize,
        /// Entries in the other.
        all: usize,
        /// Regimes in the other.
        regimes: usize,
    },
    /// The older file is not what was sent last.
    #[error("the older file, of {since}, is not what was sent last: {count} subjects differ, first {first}")]
    NotTheLastSent {
        /// When the older file was made.
        since: String,
        /// When the list was made that was sent last. None: none has been sent to its end.
        last: Option<String>,
        /// How many are in force with another content than in the older file.
        count: usize,
        /// One of them.
        first: String,
    },
    /// What was sent has to be amended or withdrawn, and nobody said from which edition.
    #[error("{count} subjects that were sent are not as this list has them, first {first}")]
    SinceWanted {
        /// When the list was made that was sent last. None: none has been sent to its end.
        last: Option<String>,
        /// How many.
        count: usize,
        /// One of them.
        first: String,
    },
    /// More changes than news make.
    #[error("{count} of {in_force} subjects in force would be {}: more than half", action.word())]
    TooMany {
        /// Amended or delisted.
        action: Action,
        /// How many.
        count: usize,
        /// Of how many.
        in_force: usize,
    },
}

/// Looks at the files before anything is decided.
pub(super) fn before(ledger: &Ledger, since: Option<&Edition>, to: &Edition) -> Result<(), StepRefused> {
    let older_than =
        |since: &str| StepRefused::Older { to: to.generated.clone().unwrap_or_default(), since: since.to_owned() };
    let earlier = since.and_then(|since| since.generated.as_deref()).into_iter().chain(ledger.edition());
    if let Some(later) = earlier.into_iter().find(|earlier| to.is_before(earlier)) {
        return Err(older_than(later));
    }
    let Some(since) = since else { return Ok(()) };
    if ledger.is_empty() {
        return Err(StepRefused::NothingSent);
    }
    [(since, to), (to, since)].into_iter().try_for_each(|(part, whole)| is_no_part(part, whole))?;
    // The same step again finds its own edition there.
    let is_the_last = [&since.generated, &to.generated].into_iter().any(|made| made.as_deref() == ledger.edition());
    if is_the_last || since.generated.is_none() { Ok(()) } else { is_what_was_sent(ledger, since) }
}

/// Looks at what was decided before anything is sent.
pub(super) fn after(
    ledger: &Ledger,
    since: Option<&Edition>,
    to: &Edition,
    rules: Rules,
    step: &Step,
) -> Result<(), StepRefused> {
    let mut about_earlier = step.items.iter().filter(|item| item.action != Action::Listed);
    if since.is_none()
        && to.generated.is_some()
        && let Some(first) = about_earlier.next()
    {
        return Err(StepRefused::SinceWanted {
            last: ledger.edition().map(str::to_owned),
            count: 1 + about_earlier.count(),
            first: first.key.clone(),
        });
    }
    let in_force = ledger.in_force().count();
    let many = |action: &Action| step.count(*action) > FEW_MAX.max(in_force / MANY_SHARE);
    match [Action::Amended, Action::Delisted].into_iter().find(many) {
        Some(action) if !rules.many => Err(StepRefused::TooMany { action, count: step.count(action), in_force }),
        _ => Ok(()),
    }
}

fn is_no_part(part: &Edition, whole: &Edition) -> Result<(), StepRefused> {
    let (some, all) = (part.regimes(), whole.regimes());
    match some.first_key_value() {
        Some((regime, _)) if some.len() == 1 && all.len() >= REGIMES_OF_A_WHOLE_MIN => {
            Err(StepRefused::PartOfAList {
                regime: (*regime).to_owned(),
                some: part.subjects.len(),
                all: whole.subjects.len(),
                regimes: all.len(),
            })
        }
        _ => Ok(()),
    }
}

/// Everything in force is in the older file, with the same substance.
fn is_what_was_sent(ledger: &Ledger, since: &Edition) -> Result<(), StepRefused> {
    let said: HashMap<&str, Digests> = since
        .subjects
        .iter()
        .map(|subject| (subject.key.as_str(), Facts::of(&subject.content).digests()))
        .collect();
    let mut differ = ledger
        .in_force()
        .filter(|(key, sent)| said.get(key).is_none_or(|digests| digests.substance != sent.digests.substance));
    match differ.next() {
        None => Ok(()),
        Some((first, _)) => Err(StepRefused::NotTheLastSent {
            since: since.generated.clone().unwrap_or_default(),
            last: ledger.edition().map(str::to_owned),
            count: 1 + differ.count(),
            first: first.to_owned(),
        }),
    }
}
