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

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use prost::Message as _;

    use super::*;
    use crate::proto;
    use crate::proto::statement::Event;

    fn accepted() -> proto::Accepted {
        proto::Accepted {
            notice_id: Bytes::from_static(&[1; 32]),
            signature_digest: Bytes::from_static(&[2; 32]),
            reference: "FR/1".into(),
            recipients_root: Bytes::from_static(&[3; 32]),
            recipient_count: 200,
            ..Default::default()
        }
    }

    #[test]
    fn a_statement_of_acceptance_says_for_whom_and_any_other_nothing() {
        let statement = |version, must_understand, event| {
            proto::Statement { version, must_understand, event: Some(event), ..Default::default() }.encode_to_vec()
        };
        let newer = [statement(1, 1, Event::Accepted(accepted())), vec![0xa2, 1, 0]].concat();
        let short = proto::Accepted { recipients_root: Bytes::from_static(&[3; 31]), ..accepted() };
        let expired = proto::Expired { count: 1, ..Default::default() };
        let rows: [(&str, Vec<u8>, Result<bool, &str>); 7] = [
            ("accepts", statement(1, 1, Event::Accepted(accepted())), Ok(true)),
            ("states something else", statement(1, 1, Event::Expired(expired)), Ok(false)),
            ("no version", statement(0, 1, Event::Accepted(accepted())), Err("statement.version: absent")),
            (
                "a newer one",
                statement(2, 2, Event::Accepted(accepted())),
                Err("statement.must_understand: needs statement version 2, this program knows 1"),
            ),
            (
                "an event of a newer one",
                newer,
                Err("Statement at byte 117: holds field 20, which takes a newer program to read"),
            ),
            (
                "a short root",
                statement(1, 1, Event::Accepted(short)),
                Err("accepted.recipients_root: not 32 bytes"),
            ),
            ("cut off", vec![8], Err("Statement.version at byte 1: ends in the middle")),
        ];
        for (what, bytes, expected) in rows {
            let found = Consignment::read(&bytes).map_err(|refusal| refusal.message);
            let expected = expected.map_err(String::from).map(|accepts| {
                let [notice, recipients_root] = [[1; 32], [3; 32]].map(Hash);
                accepts.then_some(Consignment { notice: NoticeId(notice), recipients_root, recipient_count: 200 })
            });
            assert_eq!(found, expected, "{what}");
        }
    }
}
