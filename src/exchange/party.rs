//! Who may know of a notice: its originator and its recipients. To everybody else it is as if it were not there, in what is answered
//! and in what answering costs: who asks for something that is not there, or not his, is answered after the same reads of the store,
//! made for a notice elsewhere in the log.

use std::sync::OnceLock;

use liaison_protocol::id::{Hash, PartnerNumber, Seq};
use liaison_protocol::reason::{Reason, Refusal};

use super::evidence::NoticeName;
use super::history::Found;
use super::{Caller, Exchange};

/// Chooses what is read in the place of what is not there: the same for the same question, since what has just been read is read
/// faster, and unknown to whoever asks.
#[derive(Debug, Default)]
pub(super) struct Elsewhere(OnceLock<[u8; 32]>);

impl Elsewhere {
    /// A place before `end`, for a question.
    pub(super) fn place(&self, question: &[u8], end: Seq, secret: impl FnOnce() -> [u8; 32]) -> Seq {
        let digest = Hash::of(&[self.0.get_or_init(secret), question]);
        let [a, b, c, d, e, f, g, h, ..] = digest.0;
        let fraction = u128::from(u64::from_be_bytes([a, b, c, d, e, f, g, h]));
        // The same part of the log as it grows, so mostly the same notice.
        Seq(((fraction * u128::from(end.0)) >> 64) as u64)
    }
}

impl Exchange {
    /// A notice by its name, for one of its parties.
    pub(super) async fn find(&self, caller: &Caller, name: NoticeName) -> Result<Found, Refusal> {
        let not_found = || Refusal::new(Reason::NotFound, "no such notice, or it is not yours to see");
        let me = caller.partner.number;
        let found = match name {
            NoticeName::Leaf(leaf) => {
                let seq = self.view().seq(leaf);
                self.of_party(me, seq, &leaf.0.to_be_bytes()).await?
            }
            NoticeName::Reference(originator, reference) => {
                let number = match originator {
                    None => Some(me),
                    // Who is a partner is no secret: every caller may list them.
                    Some(id) => caller.directory.directory().partner(&id).map(|partner| partner.number),
                };
                let name = (number.ok_or_else(not_found)?, reference);
                let question = [&name.0.0.to_be_bytes(), name.1.as_str().as_bytes()].concat();
                let known = self.store.named(&[name]).await;
                let known = known.map_err(|error| self.unreadable(None, error))?.pop().flatten();
                self.of_party(me, known.map(|known| known.seq), &question).await?
            }
        };
        found.ok_or_else(not_found)
    }

    /// The notice accepted by the statement asked for, if a partner is a party of it. `question`: what the asker named it by.
    pub(super) async fn of_party(
        &self,
        me: PartnerNumber,
        asked: Option<Seq>,
        question: &[u8],
    ) -> Result<Option<Found>, Refusal> {
        let end = self.published().next;
        let asked = asked.filter(|seq| *seq < end);
        let at = asked.unwrap_or_else(|| self.elsewhere.place(question, end, || self.salt()));
        let near = self.store.notice_near(at, end).await.map_err(|error| self.unreadable(None, error))?;
        let Some(near) = near else { return Ok(None) };
        let found = self.found(near).await;
        if asked != Some(near) {
            // Damage elsewhere is in the audit, and is not what was asked for.
            return Ok(None);
        }
        Ok(found?.filter(|found| found.concerns(me)))
    }
}
