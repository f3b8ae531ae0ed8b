//! What of a statement of acceptance concerns its recipients, read without the rest of it.

use super::{STATEMENT, hash, understood};
use crate::id::{Hash, NoticeId};
use crate::reason::Refusal;
use crate::wire::{self, Malformed, Problem, Value};

/// `Statement.version`.
const VERSION: u32 = 1;
/// `Statement.must_understand`.
const MUST_UNDERSTAND: u32 = 2;
/// `Statement.accepted`.
const ACCEPTED: u32 = 12;
/// `Accepted.notice_id`.
const NOTICE_ID: u32 = 1;
/// `Accepted.recipients_root`.
const RECIPIENTS_ROOT: u32 = 12;
/// `Accepted.recipient_count`.
const RECIPIENT_COUNT: u32 = 13;

/// Which notice was accepted, and for whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Consignment {
    /// The notice's name.
    pub notice: NoticeId,
    /// Root over the recipients.
    pub recipients_root: Hash,
    /// How many there are.
    pub recipient_count: u32,
}

impl Consignment {
    /// Reads it from a statement's bytes, after the same strict look that [`super::Statement::decode`] takes. None: the statement
    /// accepts nothing. What else it says of the notice is not judged.
    pub fn read(statement: &[u8]) -> Result<Option<Self>, Refusal> {
        wire::check(statement, &STATEMENT)?;
        let (mut version, mut must_understand, mut accepted) = (0, 0, None);
        for field in wire::fields(statement) {
            match field.map_err(undecodable)? {
                (VERSION, value) => version = number(value)?,
                (MUST_UNDERSTAND, value) => must_understand = number(value)?,
                (ACCEPTED, value) => accepted = Some(value.bytes().map_err(undecodable)?),
                _ => {}
            }
        }
        understood(version, must_understand)?;
        accepted.map(Self::of).transpose()
    }

    fn of(accepted: &[u8]) -> Result<Self, Refusal> {
        let (mut notice, mut root, mut count): (&[u8], &[u8], u32) = (&[], &[], 0);
        for field in wire::fields(accepted) {
            match field.map_err(undecodable)? {
                (NOTICE_ID, value) => notice = value.bytes().map_err(undecodable)?,
                (RECIPIENTS_ROOT, value) => root = value.bytes().map_err(undecodable)?,
                (RECIPIENT_COUNT, value) => count = number(value)?,
                _ => {}
            }
        }
        Ok(Self {
            notice: NoticeId(hash(notice, "accepted.notice_id")?),
            recipients_root: hash(root, "accepted.recipients_root")?,
            recipient_count: count,
        })
    }
}

fn number(value: Value<'_>) -> Result<u32, Refusal> {
    // As a decoder takes a number that is too large for its field.
    value.number().map(|number| number as u32).map_err(undecodable)
}

fn undecodable(problem: Problem) -> Refusal {
    Malformed { message: STATEMENT.name, path: String::new(), offset: 0, problem }.into()
}
