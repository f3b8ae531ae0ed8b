//! `ExchangeService`.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::Poll;

use futures_util::stream::{self, Stream, StreamExt as _};
use liaison_protocol::id::Seq;
use liaison_protocol::proto::{self, submit_result};
use liaison_protocol::reason::{Reason, Refusal};
use tonic::{Request, Response, Status, Streaming};

use super::calls::Calls;
use super::chunks::{Chunk, Chunks};
use super::generated::exchange_service_server::ExchangeService;
use super::{caller, convert, status, stopping};
use crate::exchange::{Caller, Exchange, Frame, ItemAnswer, Submission, Taken};
use crate::shutdown::Shutdown;

/// Requests of one stream in a row whose envelopes cannot be read. A system that sends more of them does not look at its answers, and
/// reading, refusing and writing down each of them costs more than sending it.
const MALFORMED_IN_A_ROW_MAX: usize = 64;

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

pub(super) struct Service {
    exchange: Arc<Exchange>,
    calls: Calls,
    shutdown: Shutdown,
}

impl Service {
    /// Streams that would wait for ever end when `shutdown`'s stage stops.
    pub(super) fn new(exchange: Arc<Exchange>, shutdown: Shutdown) -> Self {
        Self { calls: Calls::new(exchange.clone(), shutdown.clone()), exchange, shutdown }
    }
}

#[tonic::async_trait]
impl ExchangeService for Service {
    async fn submit(
        &self,
        request: Request<proto::SubmitRequest>,
    ) -> Result<Response<proto::SubmitResponse>, Status> {
        let caller = caller(&request)?;
        let proto::SubmitRequest { envelope, parts } = request.into_inner();
        let judged = self.calls.judge(&caller, Submission { envelope, parts }).await;
        let broken_off = || status::of(&Refusal::new(Reason::Defect, "no answer"));
        let (taken, receipts) = self.exchange.answer_one(judged.ok_or_else(broken_off)?).await;
        match taken {
            Taken::Receipt { duplicate, .. } => {
                Ok(Response::new(proto::SubmitResponse { duplicate, receipts: Some(receipts) }))
            }
            Taken::Refused(refusal) => Err(refused(&caller, &refusal)),
        }
    }

    type SubmitStreamStream = Answers<proto::SubmitStreamResponse>;

    async fn submit_stream(
        &self,
        request: Request<Streaming<proto::SubmitStreamRequest>>,
    ) -> Result<Response<Self::SubmitStreamStream>, Status> {
        let caller = caller(&request)?;
        let exchange = self.exchange.clone();
        let shutdown = self.shutdown.clone();
        let stopped = Box::pin(async move { shutdown.stopping().await });
        let gathering = self.exchange.gathering().clone();
        // A stream that the caller ended is over; one that the node ends says why, after everything that had come is answered.
        let ended = Arc::new(AtomicBool::new(false));
        let (by_caller, last) = (ended.clone(), self.shutdown.clone());
        let requests = request.into_inner().chain(stream::poll_fn(move |_| {
            by_caller.store(true, Relaxed);
            Poll::Ready(None)
        }));
        let answers = Chunks::new(requests.take_until(stopped), gathering, move |chunk| {
            answer_chunk(exchange.clone(), caller.clone(), chunk)
        });
        let last_word = stream::once(async move {
            let by_node = last.is_stopping() && !ended.load(Relaxed);
            by_node.then(|| Err(status::of(&stopping())))
        });
        Ok(Response::new(Box::pin(until_nonsense(answers).chain(last_word.filter_map(std::future::ready)))))
    }

    type CollectStream = Answers<Frame>;

    async fn collect(
        &self,
        request: Request<proto::CollectRequest>,
    ) -> Result<Response<Self::CollectStream>, Status> {
        let caller = caller(&request)?;
        let proto::CollectRequest { resume_token, until_idle } = request.into_inner();
        let collecting =
            self.exchange.collect(caller, &resume_token, until_idle).map_err(|refusal| status::of(&refusal))?;
        let shutdown = self.shutdown.clone();
        // One for the whole stream: all streams of a node would meet at its lock for every frame.
        let stopped = Box::pin(async move { shutdown.stopping().await });
        let frames = stream::try_unfold((collecting, stopped), |(mut collecting, mut stopped)| async move {
            let frame = tokio::select! {
                biased;
                () = &mut stopped => Err(stopping()),
                frame = collecting.next() => frame,
            };
            match frame {
                Ok(frame) => Ok(frame.map(|frame| (frame, (collecting, stopped)))),
                Err(refusal) => Err(status::of(&refusal)),
            }
        });
        Ok(Response::new(Box::pin(frames)))
    }

    async fn acknowledge(
        &self,
        request: Request<proto::AcknowledgeRequest>,
    ) -> Result<Response<proto::AcknowledgeResponse>, Status> {
        let caller = caller(&request)?;
        let proto::AcknowledgeRequest { envelope, items } = request.into_inner();
        let answered = self
            .exchange
            .acknowledge(&caller, envelope, &items)
            .await
            .map_err(|refusal| refused(&caller, &refusal))?;
        let results = answered.answers.into_iter().map(item_to_proto).collect();
        Ok(Response::new(proto::AcknowledgeResponse { results, receipts: Some(answered.receipts) }))
    }

    async fn get_notice(
        &self,
        request: Request<proto::GetNoticeRequest>,
    ) -> Result<Response<proto::GetNoticeResponse>, Status> {
        use proto::get_notice_request::Name;
        let caller = caller(&request)?;
        let request = request.into_inner();
        let name = request.name.as_ref().map(|name| match name {
            Name::Notice(notice) => (Some(notice), None),
            Name::LeafIndex(leaf) => (None, Some(*leaf)),
        });
        let name = convert::notice_name(name).map_err(|refusal| status::of(&refusal))?;
        let (delivery, receipts) =
            self.exchange.notice(&caller, name).await.map_err(|refusal| status::of(&refusal))?;
        Ok(Response::new(proto::GetNoticeResponse {
            envelope: delivery.envelope,
            parts: delivery.parts,
            receipts: Some(receipts),
        }))
    }

    async fn get_mailbox(
        &self,
        request: Request<proto::GetMailboxRequest>,
    ) -> Result<Response<proto::GetMailboxResponse>, Status> {
        let caller = caller(&request)?;
        let (waiting, now) = self.exchange.mailbox(&caller).await.map_err(|refusal| status::of(&refusal))?;
        Ok(Response::new(proto::GetMailboxResponse {
            waiting: waiting.notices,
            urgent: waiting.urgent,
            oldest_at_us: waiting.oldest.map_or(0, |at| at.0),
            now_us: now.0,
        }))
    }

    async fn list_evidence(
        &self,
        request: Request<proto::ListEvidenceRequest>,
    ) -> Result<Response<proto::ListEvidenceResponse>, Status> {
        use proto::list_evidence_request::Name;
        let caller = caller(&request)?;
        let request = request.into_inner();
        let refuse = |refusal: Refusal| status::of(&refusal);
        let name = request.name.as_ref().map(|name| match name {
            Name::Notice(notice) => (Some(notice), None),
            Name::LeafIndex(leaf) => (None, Some(*leaf)),
        });
        let name = convert::notice_name(name).map_err(refuse)?;
        let page = convert::page_size(request.page_size).map_err(refuse)?;
        let after = convert::page_token(&request.page_token).map_err(refuse)?.map(Seq);
        let evidence = self.exchange.evidence(&caller, name, after, page).await.map_err(refuse)?;
        let outcomes = evidence
            .outcomes
            .into_iter()
            .map(|outcome| proto::RecipientOutcome {
                recipient: outcome.recipient.to_string(),
                delivery: proto::DeliveryState::from(outcome.standing.delivery).into(),
                decision: proto::DecisionState::from(outcome.standing.decided).into(),
                reason: outcome.reason,
            })
            .collect();
        Ok(Response::new(proto::ListEvidenceResponse {
            outcomes,
            waiting_in_groups: evidence.waiting_in_groups,
            receipts: Some(evidence.receipts),
            next_page_token: evidence.next.map(|seq| seq.0.to_string()).unwrap_or_default(),
        }))
    }
}

/// Answers a chunk of a stream. A request that cannot even be read ends the stream: its place in the order is lost.
async fn answer_chunk(exchange: Arc<Exchange>, caller: Caller, chunk: Chunk) -> Result<AnsweredChunk, Status> {
    let chunk = chunk
        .into_iter()
        .map(|request| request.map(|request| Submission { envelope: request.envelope, parts: request.parts }))
        .collect::<Result<Vec<_>, Status>>()?;
    let (taken, receipts) = exchange.submit(&caller, chunk).await;
    let is_malformed =
        |taken: &Taken| matches!(taken, Taken::Refused(refusal) if refusal.reason == Reason::Malformed);
    let malformed = taken.iter().map(is_malformed).collect();
    let results = taken
        .into_iter()
        .map(|taken| match taken {
            Taken::Receipt { nth, duplicate } => {
                proto::SubmitResult { result: Some(submit_result::Result::Receipt(nth as u32)), duplicate }
            }
            Taken::Refused(refusal) => {
                audit(&caller, &refusal);
                let refused = status::serialized(&refusal);
                proto::SubmitResult { result: Some(submit_result::Result::Refused(refused)), duplicate: false }
            }
        })
        .collect();
    Ok(AnsweredChunk { malformed, response: proto::SubmitStreamResponse { results, receipts: Some(receipts) } })
}

/// What a chunk is answered with.
struct AnsweredChunk {
    /// Of each request, whether it could not be read.
    malformed: Vec<bool>,
    response: proto::SubmitStreamResponse,
}

/// The answers of a stream, which ends once [`MALFORMED_IN_A_ROW_MAX`] requests in a row could not be read; they are answered before.
fn until_nonsense(
    answers: impl Stream<Item = Result<AnsweredChunk, Status>> + Send + 'static,
) -> impl Stream<Item = Result<proto::SubmitStreamResponse, Status>> + Send {
    stream::try_unfold((Box::pin(answers), 0), |(mut answers, mut in_a_row)| async move {
        if in_a_row >= MALFORMED_IN_A_ROW_MAX {
            let text = format!("{MALFORMED_IN_A_ROW_MAX} requests in a row could not be read, so the stream ends");
            return Err(status::of(&Refusal::new(Reason::Malformed, text)));
        }
        let Some(answered) = answers.next().await else { return Ok(None) };
        let AnsweredChunk { malformed, response } = answered?;
        for malformed in malformed {
            // Once there were too many, what follows them in the same chunk makes it no better.
            if malformed || in_a_row >= MALFORMED_IN_A_ROW_MAX {
                in_a_row += 1;
            } else {
                in_a_row = 0;
            }
        }
        Ok(Some((response, (answers, in_a_row))))
    })
}

fn item_to_proto(answer: ItemAnswer) -> proto::AcknowledgeResult {
    use proto::acknowledge_result::Result as Wire;
    match answer {
        ItemAnswer::Receipt { nth, duplicate } => {
            proto::AcknowledgeResult { result: Some(Wire::Receipt(nth as u32)), duplicate }
        }
        ItemAnswer::Refused(refusal) => {
            proto::AcknowledgeResult { result: Some(Wire::Refused(refusal.reason.word().into())), duplicate: false }
        }
    }
}

fn refused(caller: &Caller, refusal: &Refusal) -> Status {
    audit(caller, refusal);
    status::of(refusal)
}

/// One event for each refusal: who, and the catalogue's reason; nothing of what was sent.
fn audit(caller: &Caller, refusal: &Refusal) {
    tracing::warn!(target: "audit", event = "refused", reason = refusal.reason.word(), partner = %caller.partner());
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    /// Chunks of a stream as patterns, `x` for what cannot be read; how many are answered, and whether the stream ends by itself.
    #[test]
    fn fault_104_a_stream_of_nonsense_ends_after_64_in_a_row_and_what_came_before_is_answered() {
        let x = |count: usize| "x".repeat(count);
        for (chunks, answered, cut) in [
            (vec![x(63)], 1, false),
            (vec![x(64)], 1, true),
            (vec![x(64), ".".into()], 1, true),
            (vec![x(40), x(24), x(1)], 2, true),
            (vec![x(40), format!("{}.", x(23)), x(63)], 3, false),
            (vec![x(40), format!(".{}", x(63)), x(1), x(1)], 3, true),
            // What follows them in one chunk is answered, and changes nothing.
            (vec![format!("{}.", x(63)), format!("{}.", x(64)), ".".into()], 2, true),
            (vec![".".repeat(64); 3], 3, false),
        ] {
            let row = format!("{chunks:?}");
            let chunks = chunks.into_iter().map(|pattern| {
                let malformed = pattern.chars().map(|request| request == 'x').collect();
                Ok(AnsweredChunk { malformed, response: proto::SubmitStreamResponse::default() })
            });
            let answers: Vec<_> =
                until_nonsense(stream::iter(chunks)).collect().now_or_never().expect("all is there");
            assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), answered, "{row}");
            let last = answers.last().expect("answers").as_ref().err();
            assert_eq!(last.is_some_and(|status| status.message().starts_with("MALFORMED: 64 ")), cut, "{row}");
            assert_eq!(answers.len(), answered + usize::from(cut), "{row}");
        }
    }
}
