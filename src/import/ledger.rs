//! What an importer has sent: for every subject of a list the last notice about it, so that nothing is sent twice and what amends
//! or withdraws names the notice it is about. A text, one line for each subject; whoever calls keeps it in a file.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use liaison_protocol::id::{BadName, Hash, NetworkId, NoticeId, PartnerId, Reference};
use serde::{Deserialize, Serialize};

use super::facts::Digests;

/// A whole ledger. One of a thousand subjects has 350 kB.
pub const LEDGER_BYTES_MAX: usize = 64 << 20;

/// How ledgers are written. Another number: another program wrote it.
const FORMAT: u32 = 1;

/// Whose ledger it is: the same file in other hands is refused.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Owner {
    /// The network the notices went to.
    pub network: NetworkId,
    /// Who sent them.
    pub partner: PartnerId,
    /// Which list, in one word, such as `un-list`.
    pub list: &'static str,
}

/// What was sent, by subject.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Ledger {
    audience: Vec<String>,
    edition: Option<String>,
    subjects: BTreeMap<String, Sent>,
}

/// The last notice about one subject.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Sent {
    /// The notice's reference.
    pub reference: Reference,
    /// Its name on every route.
    pub notice: NoticeId,
    /// What it said.
    pub digests: Digests,
    /// True: only what a list of notices shows of the subject.
    pub summary: bool,
    /// False: it withdrew what was said before.
    pub in_force: bool,
}

/// Why a ledger cannot be used; whoever runs the import has to find the right one.
#[derive(Debug, thiserror::Error)]
pub enum BadLedger {
    /// Not text.
    #[error("it is not UTF-8 from byte {0} on")]
    NotText(usize),
    /// Larger than any ledger.
    #[error("it has {0} bytes, and at most {LEDGER_BYTES_MAX} are read")]
    TooLarge(usize),
    /// A line that is not what it should be.
    #[error("line {line}: {problem}")]
    Line {
        /// Which, from 1.
        line: usize,
        /// What is wrong.
        problem: String,
    },
    /// Written by a newer program.
    #[error("it has format {0}, and this program knows {FORMAT}")]
    Format(u32),
    /// Of another network, partner or list.
    #[error("it is of {what} {found}, and this is {expected}")]
    NotYours {
        /// Network, partner or list.
        what: &'static str,
        /// What the ledger says.
        found: String,
        /// What it should be.
        expected: String,
    },
    /// Its end is missing.
    #[error("its first line promises {promised} subjects, and it has {found}")]
    Cut {
        /// How many there should be.
        promised: usize,
        /// How many there are.
        found: usize,
    },
}

/// The first line.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Head {
    format: u32,
    list: String,
    network: String,
    partner: String,
    audience: Vec<String>,
    edition: Option<String>,
    subjects: usize,
}

/// Every other line.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Line {
    subject: String,
    reference: String,
    notice: String,
    substance: String,
    all: String,
    summary: bool,
    in_force: bool,
}

impl Ledger {
    /// Reads what [`Self::encode`] wrote.
    pub fn decode(bytes: &[u8], owner: &Owner) -> Result<Self, BadLedger> {
        if bytes.len() > LEDGER_BYTES_MAX {
            return Err(BadLedger::TooLarge(bytes.len()));
        }
        let text = str::from_utf8(bytes).map_err(|error| BadLedger::NotText(error.valid_up_to()))?;
        let mut lines = text.lines().zip(1..);
        let bad =
            |line: usize, problem: &dyn std::fmt::Display| BadLedger::Line { line, problem: problem.to_string() };
        let (first, _) = lines.next().ok_or_else(|| bad(1, &"it is empty"))?;
        let head: Head = serde_json::from_str(first).map_err(|error| bad(1, &error))?;
        if head.format != FORMAT {
            return Err(BadLedger::Format(head.format));
        }
        owner.check("list", &head.list, owner.list)?;
        owner.check("network", &head.network, &owner.network.to_string())?;
        owner.check("partner", &head.partner, owner.partner.as_str())?;
        let mut ledger = Self { audience: head.audience, edition: head.edition, subjects: BTreeMap::new() };
        for (text, number) in lines {
            let line: Line = serde_json::from_str(text).map_err(|error| bad(number, &error))?;
            let (subject, sent) = line.read().map_err(|problem| bad(number, &problem))?;
            if ledger.subjects.insert(subject, sent).is_some() {
                return Err(bad(number, &"the subject stands in an earlier line too"));
            }
        }
        if ledger.subjects.len() != head.subjects {
            return Err(BadLedger::Cut { promised: head.subjects, found: ledger.subjects.len() });
        }
        Ok(ledger)
    }

    /// The ledger as a text, subjects in ascending order.
    pub fn encode(&self, owner: &Owner) -> String {
        let head = Head {
            format: FORMAT,
            list: owner.list.to_owned(),
            network: owner.network.to_string(),
            partner: owner.partner.to_string(),
            audience: self.audience.clone(),
            edition: self.edition.clone(),
            subjects: self.subjects.len(),
        };
        let mut text = serde_json::to_string(&head).expect("texts and numbers become JSON");
        text.push('\n');
        for (subject, sent) in &self.subjects {
            let line = serde_json::to_string(&Line::write(subject, sent)).expect("texts become JSON");
            let _ = writeln!(text, "{line}");
        }
        text
    }

    /// To whom notices went. Empty: not known.
    pub fn audience(&self) -> &[String] {
        &self.audience
    }

    /// Notices go to these from now on.
    pub fn address(&mut self, audience: Vec<String>) {
        self.audience = audience;
    }

    /// When the newest edition was made that has been sent to its end, as published. None: none has, or the source has no date.
    pub fn edition(&self) -> Option<&str> {
        self.edition.as_deref()
    }

    /// Nothing has ever been sent.
    pub fn is_empty(&self) -> bool {
        self.subjects.is_empty()
    }

    /// The last notice about a subject. None: there never was one.
    pub fn sent(&self, subject: &str) -> Option<&Sent> {
        self.subjects.get(subject)
    }

    /// Subjects with a notice in force, ascending.
    pub fn in_force(&self) -> impl Iterator<Item = (&str, &Sent)> {
        self.subjects.iter().filter(|(_, sent)| sent.in_force).map(|(subject, sent)| (subject.as_str(), sent))
    }

    /// A notice is on its node: it is the last about its subject now.
    pub fn record(&mut self, subject: &str, sent: Sent) {
        self.subjects.insert(subject.to_owned(), sent);
    }

    /// An edition has been sent to its end.
    pub fn complete(&mut self, edition: Option<&str>) {
        self.edition = edition.map(str::to_owned);
    }
}

impl Owner {
    fn check(&self, what: &'static str, found: &str, expected: &str) -> Result<(), BadLedger> {
        if found == expected {
            return Ok(());
        }
        Err(BadLedger::NotYours { what, found: found.to_owned(), expected: expected.to_owned() })
    }
}

impl Line {
    fn write(subject: &str, sent: &Sent) -> Self {
        Self {
            subject: subject.to_owned(),
            reference: sent.reference.to_string(),
            notice: sent.notice.to_string(),
            substance: sent.digests.substance.to_hex(),
            all: sent.digests.all.to_hex(),
            summary: sent.summary,
            in_force: sent.in_force,
        }
    }

    fn read(self) -> Result<(String, Sent), String> {
        let name = |bad: BadName| bad.to_string();
        let digest = |field: &str, text: &str| {
            Hash::from_hex(text).ok_or_else(|| format!("{field} is not 64 hexadecimal digits"))
        };
        let sent = Sent {
            reference: self.reference.parse().map_err(name)?,
            notice: self.notice.parse().map_err(name)?,
            digests: Digests { substance: digest("substance", &self.substance)?, all: digest("all", &self.all)? },
            summary: self.summary,
            in_force: self.in_force,
        };
        Ok((self.subject, sent))
    }
}
