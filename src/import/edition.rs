//! What a publisher says at one time, of which subjects: the same shape for every source, so that there is one way of telling what
//! changed.

use std::collections::BTreeMap;

use jiff::Timestamp;
use liaison_protocol::proto::{self, Kind};

use super::un_list::UnList;

/// Whose word it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Source {
    /// The UN Security Council Consolidated List.
    UnList,
    /// INTERPOL's published notices.
    Interpol,
}

/// What it means that a subject is not in an edition.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Absence {
    /// It is on the list no more.
    Withdrawn,
    /// It may be among the records that could not be read.
    Unreadable,
    /// Nothing: an edition holds some of the subjects.
    Nothing,
}

/// One edition.
#[derive(Clone, Debug, PartialEq)]
pub struct Edition {
    /// Whose.
    pub source: Source,
    /// When it was made, as published. None: the source does not date itself.
    pub generated: Option<String>,
    /// Everyone and everything in it; no key stands twice.
    pub subjects: Vec<Subject>,
    /// What is not in it.
    pub absence: Absence,
}

/// Someone or something in an edition.
#[derive(Clone, Debug, PartialEq)]
pub struct Subject {
    /// Names the subject in every edition: `QDi.001`, `red/2019-114539`. Of A-Z a-z 0-9 . _ / - , at most 40 bytes.
    pub key: String,
    /// Which notice it becomes.
    pub kind: Kind,
    /// What is said of it.
    pub content: proto::Content,
}

impl Source {
    /// In one word, for files and commands.
    pub fn word(self) -> &'static str {
        match self {
            Self::UnList => "un-list",
            Self::Interpol => "interpol",
        }
    }

    /// How references begin.
    fn prefix(self) -> &'static str {
        match self {
            Self::UnList => "UN",
            Self::Interpol => "INTERPOL",
        }
    }
}

impl Edition {
    /// The day it was made, `YYYY-MM-DD`.
    pub fn day(&self) -> Option<&str> {
        self.generated.as_deref().map(|generated| generated.get(..10).unwrap_or(generated))
    }

    /// Whether it was certainly made before the other. Editions give their zones, and those differ.
    pub(super) fn is_before(&self, other: &str) -> bool {
        let Some(own) = &self.generated else { return false };
        match (own.parse::<Timestamp>(), other.parse::<Timestamp>()) {
            (Ok(own), Ok(other)) => own < other,
            _ => own.get(..10) < other.get(..10),
        }
    }

    /// How many subjects each regime has.
    pub(super) fn regimes(&self) -> BTreeMap<&str, usize> {
        let mut regimes = BTreeMap::new();
        for listing in self.subjects.iter().filter_map(|subject| subject.content.listing.as_ref()) {
            *regimes.entry(listing.regime.as_str()).or_default() += 1;
        }
        regimes
    }

    /// What the reference of a notice about this subject begins with: without more it is the first of this edition.
    pub(super) fn stem(&self, key: &str) -> String {
        let prefix = self.source.prefix();
        match self.day() {
            Some(day) => format!("{prefix}/{key}/{day}"),
            None => format!("{prefix}/{key}"),
        }
    }
}

impl Subject {
    /// Only what a list of notices shows.
    pub fn is_summary(&self) -> bool {
        is_summary(&self.content)
    }
}

pub(super) fn is_summary(content: &proto::Content) -> bool {
    content.published.as_ref().is_some_and(|published| published.summary)
}

impl From<&UnList> for Edition {
    fn from(list: &UnList) -> Self {
        let subject = |entry: &super::un_list::Entry| Subject {
            key: entry.reference.clone(),
            kind: Kind::UnSpecial,
            content: entry.content.clone(),
        };
        Self {
            source: Source::UnList,
            generated: Some(list.generated.clone()),
            subjects: list.entries.iter().map(subject).collect(),
            absence: if list.unreadable.is_empty() { Absence::Withdrawn } else { Absence::Unreadable },
        }
    }
}
