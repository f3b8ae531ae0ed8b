//! Submitting: one notice with patience, or many on a stream.

use std::time::Duration;

use liaison_protocol::proto::{self, submit_result};
use liaison_protocol::receipt::Receipt;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

use crate::patience::Patience;
use crate::sign::SignedNotice;
use crate::{Client, ClientError};

/// Requests of one stream that wait for the line.
const STREAM_QUEUE: usize = 64;

/// A notice that the node has taken.
#[derive(Clone, Debug)]
pub struct Submitted {
    /// True: it had been taken before.
    pub duplicate: bool,
    /// The receipt; it is checked by whoever holds a trust file.
    pub receipt: Receipt,
}

impl Client {
    /// Submits a notice once.
    pub async fn submit(&self, notice: &SignedNotice) -> Result<Submitted, ClientError> {
        let request = proto::SubmitRequest { envelope: notice.envelope.clone(), parts: notice.parts.clone() };
        let answer = self.exchange().submit(request).await.map_err(|status| self.refused(&status))?.into_inner();
        let receipt = answer.receipts.as_ref().and_then(|receipts| Receipt::cut(receipts, 0));
        let receipt = receipt.ok_or_else(|| ClientError::Unproven("no receipt".into()))?;
        Ok(Submitted { duplicate: answer.duplicate, receipt })
    }

    /// Submits a notice until the node has it or refuses it for good, at most `tries` times. The same bytes are never taken twice.
    ///
    /// `chance` gives 64 random bits for each pause; [`crate::patience::chance`] is the system's.
    pub async fn submit_patiently(
        &self,
        notice: &SignedNotice,
        tries: usize,
        mut chance: impl FnMut() -> u64,
    ) -> Result<Submitted, ClientError> {
        let mut patience = Patience::default();
        for _ in 1..tries {
            match self.submit(notice).await {
                Err(error) if error.may_pass_later() => {
                    let asked = match &error {
                        ClientError::Refused { retry_after_ms, .. } => retry_after_ms.map(Duration::from_millis),
                        _ => None,
                    };
                    let pause = patience.pause(asked, chance());
                    #[allow(clippy::disallowed_methods, reason = "waiting is what patience is")]
                    tokio::time::sleep(pause).await;
                }
                settled => return settled,
            }
        }
        self.submit(notice).await
    }

    /// Opens a stream for many notices.
    pub async fn submit_stream(&self) -> Result<Submitting, ClientError> {
        let (requests, queue) = mpsc::channel(STREAM_QUEUE);
        let answers = self
            .exchange()
            .submit_stream(ReceiverStream::new(queue))
            .await
            .map_err(|status| self.refused(&status))?
            .into_inner();
        Ok(Submitting { client: self.clone(), requests: Some(requests), answers })
    }
}

/// A stream of notices. Answers come in the order of the notices.
pub struct Submitting {
    client: Client,
    requests: Option<mpsc::Sender<proto::SubmitStreamRequest>>,
    answers: Streaming<proto::SubmitStreamResponse>,
}

impl Submitting {
    /// A handle that sends, apart from the one that reads answers. None once closed.
    pub fn sender(&self) -> Option<mpsc::Sender<proto::SubmitStreamRequest>> {
        self.requests.clone()
    }

    /// Sends one notice.
    pub async fn send(&self, notice: &SignedNotice) -> Result<(), ClientError> {
        let request = proto::SubmitStreamRequest { envelope: notice.envelope.clone(), parts: notice.parts.clone() };
        let closed =
            || ClientError::Unreachable { node: self.client.address().into(), message: "the stream ended".into() };
        let requests = self.requests.as_ref().ok_or_else(closed)?;
        requests.send(request).await.map_err(|_| closed())
    }

    /// No more notices; the answers still to come are read with [`Submitting::answers`].
    pub fn close(&mut self) {
        self.requests = None;
    }

    /// The next answers, in order. None: the node has ended the stream.
    pub async fn answers(&mut self) -> Result<Option<Vec<Result<Submitted, ClientError>>>, ClientError> {
        let message = self.answers.message().await.map_err(|status| self.client.refused(&status))?;
        let Some(message) = message else { return Ok(None) };
        let receipts = message.receipts.unwrap_or_default();
        let read = |result: proto::SubmitResult| match result.result {
            Some(submit_result::Result::Receipt(nth)) => Receipt::cut(&receipts, nth as usize)
                .map(|receipt| Submitted { duplicate: result.duplicate, receipt })
                .ok_or_else(|| ClientError::Unproven("a receipt that is not there".into())),
            Some(submit_result::Result::Refused(status)) => {
                Err(ClientError::from_serialized(self.client.address(), status))
            }
            None => Err(ClientError::Unproven("an empty answer".into())),
        };
        Ok(Some(message.results.into_iter().map(read).collect()))
    }
}
