//! Acknowledging: one signature for many notices.

use bytes::Bytes;
use liaison_protocol::ack::Item;
use liaison_protocol::id::Micros;
use liaison_protocol::proto::{self, Verdict, acknowledge_result};
use liaison_protocol::receipt::Receipt;
use liaison_protocol::signer::Signer;

use crate::sign::{Recipient, fresh_salts};
use crate::{Client, ClientError, Delivered};

/// Items and the recipient's signature over them; sending it again is harmless.
#[derive(Clone, Debug)]
pub struct Signed {
    envelope: Bytes,
    items: Vec<Item>,
}

impl Signed {
    /// Signs for notices with one verdict each.
    pub fn over(
        recipient: &Recipient,
        verdicts: impl IntoIterator<
            Item = (liaison_protocol::id::LeafIndex, liaison_protocol::id::NoticeId, Verdict, String),
        >,
        signed_at: Micros,
        signer: &dyn Signer,
    ) -> Result<Self, ClientError> {
        let verdicts: Vec<_> = verdicts.into_iter().collect();
        let item = |(salt, (leaf, notice, verdict, reason))| Item { salt, leaf, notice, verdict, reason };
        let items: Vec<_> = fresh_salts(verdicts.len()).into_iter().zip(verdicts).map(item).collect();
        let envelope =
            recipient.sign(&items, signed_at, signer).map_err(|error| ClientError::Local(error.to_string()))?;
        Ok(Self { envelope, items })
    }

    /// Signs for delivered notices, all with the same verdict and no reason.
    pub fn for_all(
        recipient: &Recipient,
        delivered: &[Delivered],
        verdict: Verdict,
        signed_at: Micros,
        signer: &dyn Signer,
    ) -> Result<Self, ClientError> {
        let verdicts = delivered.iter().map(|notice| (notice.leaf(), notice.id, verdict, String::new()));
        Self::over(recipient, verdicts, signed_at, signer)
    }

    /// The signed envelope.
    pub fn envelope(&self) -> &Bytes {
        &self.envelope
    }

    /// What was signed for, in order.
    pub fn items(&self) -> &[Item] {
        &self.items
    }
}

/// What became of one item.
#[derive(Clone, Debug)]
pub enum ItemOutcome {
    /// It stands.
    Stands {
        /// Which of the receipts shows it.
        receipt: usize,
        /// True: said before.
        duplicate: bool,
    },
    /// This item alone was refused: a reason of the catalogue.
    Refused(String),
}

/// What became of a batch.
#[derive(Clone, Debug)]
pub struct Acknowledged {
    /// One for each item, in order.
    pub outcomes: Vec<ItemOutcome>,
    /// The receipts they name.
    pub receipts: Vec<Receipt>,
}

impl Client {
    /// Sends a signed acknowledgement.
    pub async fn acknowledge(&self, signed: &Signed) -> Result<Acknowledged, ClientError> {
        let request = proto::AcknowledgeRequest {
            envelope: signed.envelope.clone(),
            items: signed.items.iter().map(Item::to_proto).collect(),
        };
        let answer =
            self.exchange().acknowledge(request).await.map_err(|status| self.refused(&status))?.into_inner();
        let receipts = answer.receipts.unwrap_or_default();
        let outcomes = answer
            .results
            .into_iter()
            .map(|result| match result.result {
                Some(acknowledge_result::Result::Receipt(receipt)) => {
                    Ok(ItemOutcome::Stands { receipt: receipt as usize, duplicate: result.duplicate })
                }
                Some(acknowledge_result::Result::Refused(reason)) => Ok(ItemOutcome::Refused(reason)),
                None => Err(ClientError::Unproven("an empty answer".into())),
            })
            .collect::<Result<_, _>>()?;
        let receipts = (0..receipts.receipts.len()).filter_map(|nth| Receipt::cut(&receipts, nth)).collect();
        Ok(Acknowledged { outcomes, receipts })
    }
}
