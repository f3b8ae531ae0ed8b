//! What comes over a stream goes in chunks: verified, proposed and answered together. Where the sequencer waits for company, a chunk
//! is what has come until it calls. Where it does not, one chunk is under way and what comes meanwhile makes the next. Where much
//! comes the next is begun beside it, so that one is verified while another is committed.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_util::stream::{Fuse, FuturesOrdered, Stream, StreamExt as _};
use liaison_protocol::proto::SubmitStreamRequest;
use prost::Message as _;
use tokio::sync::futures::OwnedNotified;
use tonic::Status;

use crate::gathering::Gathering;

/// Notices of one chunk: a millisecond's work.
const CHUNK_MAX: usize = 64;
/// Bytes of notices after which a chunk takes no further one: large notices are not gathered.
const CHUNK_BYTES_MAX: usize = 1 << 20;
/// Notices that are worth a chunk beside the one under way, uncalled. Fewer wait: they would be decided no sooner by themselves, and
/// cost an inversion, an answer and a few wakes each.
const BESIDE_MIN: usize = 16;
/// Chunks of one stream under way.
const UNDER_WAY_MAX: usize = 2;

pub(super) type Chunk = Vec<Result<SubmitStreamRequest, Status>>;

/// Answers to the chunks of one stream, in the order that they came.
pub(super) struct Chunks<Requests, Answer, Answering: Future> {
    requests: Pin<Box<Fuse<Requests>>>,
    ended: bool,
    answer: Answer,
    /// The next chunk, and its bytes.
    next: Chunk,
    bytes: usize,
    gathering: Gathering,
    /// For the next chunk, from when something is in it.
    call: Option<Pin<Box<OwnedNotified>>>,
    under_way: FuturesOrdered<Answering>,
}

impl<Requests, Answer, Answering> Chunks<Requests, Answer, Answering>
where
    Requests: Stream<Item = Result<SubmitStreamRequest, Status>>,
    Answer: FnMut(Chunk) -> Answering,
    Answering: Future,
{
    /// `answer` is called with each chunk as it begins.
    pub(super) fn new(requests: Requests, gathering: Gathering, answer: Answer) -> Self {
        Self {
            requests: Box::pin(requests.fuse()),
            ended: false,
            answer,
            next: Vec::new(),
            bytes: 0,
            gathering,
            call: None,
            under_way: FuturesOrdered::new(),
        }
    }

    fn is_full(&self) -> bool {
        self.next.len() >= CHUNK_MAX || self.bytes >= CHUNK_BYTES_MAX
    }

    /// Takes what has come, as much as goes together.
    fn gather(&mut self, context: &mut Context<'_>) {
        let before = self.next.len();
        while !self.ended && !self.is_full() {
            match self.requests.as_mut().poll_next(context) {
                Poll::Ready(Some(request)) => {
                    self.bytes += request.as_ref().map_or(0, SubmitStreamRequest::encoded_len);
                    self.next.push(request);
                }
                Poll::Ready(None) => self.ended = true,
                Poll::Pending => break,
            }
        }
        self.gathering.arrive(self.next.len() - before);
    }

    /// Whether the next chunk begins now. If not, the call will wake this task, or an answer.
    fn goes(&mut self, context: &mut Context<'_>) -> bool {
        if self.next.is_empty() {
            return false;
        }
        let call = self.call.get_or_insert_with(|| Box::pin(self.gathering.call()));
        let called = call.as_mut().poll(context).is_ready();
        let at_once = || self.under_way.is_empty() && (self.ended || !self.gathering.is_awaited());
        let goes =
            called || self.gathering.is_called() || self.next.len() >= BESIDE_MIN || self.is_full() || at_once();
        goes && self.under_way.len() < UNDER_WAY_MAX
    }
}

impl<Requests, Answer, Answering> Stream for Chunks<Requests, Answer, Answering>
where
    Requests: Stream<Item = Result<SubmitStreamRequest, Status>>,
    Answer: FnMut(Chunk) -> Answering + Unpin,
    Answering: Future,
{
    type Item = Answering::Output;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            self.gather(context);
            if !self.goes(context) {
                break;
            }
            (self.bytes, self.call) = (0, None);
            let chunk = std::mem::take(&mut self.next);
            let answering = (self.answer)(chunk);
            self.under_way.push_back(answering);
        }
        match ready!(self.under_way.poll_next_unpin(context)) {
            Some(answered) => Poll::Ready(Some(answered)),
            // Nothing is under way, and what had come would have begun.
            None if self.ended => Poll::Ready(None),
            None => Poll::Pending,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use futures_util::FutureExt as _;
    use futures_util::stream;
    use tokio::sync::{mpsc, oneshot};

    use super::*;

    fn of(bytes: usize) -> Result<SubmitStreamRequest, Status> {
        Ok(SubmitStreamRequest { envelope: vec![0; bytes].into(), parts: Vec::new() })
    }

    #[tokio::test]
    async fn what_arrives_together_goes_together_unless_it_is_large() {
        let small = (0..70).map(|_| of(1_000));
        let large = (0..3).map(|_| of(CHUNK_BYTES_MAX));
        let sizes =
            Chunks::new(stream::iter(small.chain(large)), Gathering::default(), |chunk| async move { chunk.len() });
        let sizes: Vec<_> = sizes.collect().await;
        assert_eq!(sizes, [64, 7, 1, 1], "64 at most, and nothing more after a megabyte");
    }

    /// What came first and has begun; what comes after it, whether it is awaited and called for, and what has begun then.
    #[test]
    fn few_wait_for_the_chunk_under_way_or_the_call_and_many_go_beside_it() {
        for (first, more, awaited, called, begun) in [
            (1, 0, false, false, vec![1]),
            (1, 1, false, false, vec![1]),
            (1, 15, false, false, vec![1]),
            (1, 16, false, false, vec![1, 16]),
            (1, 200, false, false, vec![1, 64]),
            // The sequencer waits for company.
            (0, 1, true, false, vec![]),
            (0, 15, true, false, vec![]),
            (0, 1, true, true, vec![1]),
            (1, 15, true, false, vec![1]),
            (1, 15, true, true, vec![1, 15]),
            (0, 16, true, false, vec![16]),
        ] {
            let row = format!("{first}, then {more}, awaited {awaited}, called {called}");
            let (send, requests) = mpsc::unbounded_channel();
            let (sizes, holds) = (RefCell::new(Vec::new()), RefCell::new(Vec::new()));
            let gathering = Gathering::default();
            let mut answers = Chunks::new(
                stream::unfold(requests, |mut requests| async { Some((requests.recv().await?, requests)) }),
                gathering.clone(),
                |chunk: Chunk| {
                    let (hold, held) = oneshot::channel::<()>();
                    sizes.borrow_mut().push(chunk.len());
                    holds.borrow_mut().push(hold);
                    async move { (held.await.ok(), chunk.len()).1 }
                },
            );
            let mut come = |notices| {
                (0..notices).for_each(|_| send.send(of(1_000)).expect("taken"));
                assert!(answers.next().now_or_never().is_none(), "nothing is answered yet");
            };
            come(first);
            if awaited {
                gathering.wait();
            }
            come(more);
            if called {
                gathering.go(false);
                come(0);
            }
            assert_eq!(*sizes.borrow(), begun, "{row}");
            assert_eq!(
                gathering.arrived(),
                (first + more.min(2 * CHUNK_MAX)) as u64,
                "{row}: gathered, begun or not"
            );
            // Where nothing is awaited any more it goes once what was under way is answered, and all is answered in order.
            gathering.wait_no_more();
            drop(send);
            let mut answered: Vec<_> = std::iter::from_fn(|| answers.next().now_or_never().flatten()).collect();
            while !holds.borrow().is_empty() {
                holds.borrow_mut().drain(..).for_each(|hold| hold.send(()).expect("awaited"));
                answered.extend(std::iter::from_fn(|| answers.next().now_or_never().flatten()));
            }
            assert_eq!(answered, *sizes.borrow(), "{row}");
            assert_eq!(answered.iter().sum::<usize>(), first + more, "{row}");
            assert_eq!(answers.next().now_or_never(), Some(None), "{row}: the stream has ended");
        }
    }

    #[test]
    fn what_lines_bring_that_are_read_for_the_call_goes_with_it() {
        let (send, requests) = mpsc::unbounded_channel();
        let (begun, gathering) = (RefCell::new(Vec::new()), Gathering::default());
        let mut answers = Chunks::new(
            stream::unfold(requests, |mut requests| async { Some((requests.recv().await?, requests)) }),
            gathering.clone(),
            |chunk: Chunk| {
                begun.borrow_mut().push(chunk.len());
                std::future::pending::<()>()
            },
        );
        let mut come = |notices| {
            (0..notices).for_each(|_| send.send(of(1_000)).expect("taken"));
            assert!(answers.next().now_or_never().is_none(), "nothing is answered yet");
        };
        gathering.wait();
        gathering.go(true);
        come(2);
        assert_eq!(*begun.borrow(), [2]);
        come(3);
        assert_eq!(*begun.borrow(), [2, 3], "in two pieces, if the reading was slow");
        come(1);
        assert_eq!(*begun.borrow(), [2, 3], "and no more are under way at a time");
        gathering.wait();
        drop((send, answers));
    }

    #[test]
    fn a_stream_that_ends_is_answered_without_a_call() {
        let gathering = Gathering::default();
        gathering.wait();
        let answers = Chunks::new(stream::iter([of(1), of(2)]), gathering, |chunk| async move { chunk.len() });
        assert_eq!(answers.collect::<Vec<_>>().now_or_never(), Some(vec![2]));
    }
}
