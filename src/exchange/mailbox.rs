//! How much waits in a mailbox, and since when: a look that delivers nothing.

use liaison_protocol::id::{Micros, PartnerId, PartnerNumber, Seq};
use liaison_protocol::reason::Refusal;
use liaison_protocol::statement::Statement;

use super::{Caller, Exchange};
use crate::state::{Cursor, Mailbox};

/// FLASH and IMMEDIATE: the first lanes of a mailbox.
const URGENT_LANES: usize = 2;

/// What waits for one partner.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waiting {
    /// Notices consigned and not yet acknowledged.
    pub notices: u64,
    /// Of these, FLASH or IMMEDIATE.
    pub urgent: u64,
    /// When the one that has waited longest was accepted; None: nothing waits.
    pub oldest: Option<Micros>,
}

impl Exchange {
    /// What waits for a caller, and the time by this node's clock.
    pub async fn mailbox(&self, caller: &Caller) -> Result<(Waiting, Micros), Refusal> {
        Ok((self.waiting(caller.partner.number).await?, self.clock.now()))
    }

    /// For each partner of the directory: notices that wait, and Collect streams open now. Cheap enough to be asked every few seconds.
    pub fn backlog(&self) -> Vec<(PartnerId, u64, u32)> {
        let mailboxes = self.mailboxes().into_iter();
        let view = self.view();
        let waiting = |number| view.mailbox(number).map_or(0, Mailbox::waiting);
        mailboxes.map(|(partner, number, streams)| (partner, waiting(number), streams)).collect()
    }

    /// What waits for a partner.
    pub async fn waiting(&self, partner: PartnerNumber) -> Result<Waiting, Refusal> {
        let (mut waiting, oldest) = {
            let view = self.view();
            let Some(mailbox) = view.mailbox(partner) else { return Ok(Waiting::default()) };
            let oldest = lanes().filter_map(|lane| view.due(partner, lane, 1).first().map(|due| due.seq)).min();
            (counted(mailbox), oldest)
        };
        waiting.oldest = match oldest {
            Some(seq) => self.accepted_at(seq).await?,
            None => None,
        };
        Ok(waiting)
    }

    async fn accepted_at(&self, seq: Seq) -> Result<Option<Micros>, Refusal> {
        let openings = self.openings(&[seq]).await?;
        let Some(opening) = openings.get(&seq) else { return Ok(None) };
        let statement = Statement::decode(opening.statement.clone());
        Ok(Some(statement.map_err(|_| self.damaged_at(seq, "its statement"))?.observed_at))
    }
}

fn counted(mailbox: &Mailbox) -> Waiting {
    Waiting { notices: mailbox.waiting(), urgent: mailbox.urgent(URGENT_LANES), oldest: None }
}

/// For each lane, a cursor that has passed all others.
fn lanes() -> impl Iterator<Item = Cursor> {
    let Cursor(places) = Cursor::default();
    (0..places.len()).map(move |lane| {
        let mut only = places.map(|_| u64::MAX);
        only[lane] = 0;
        Cursor(only)
    })
}
