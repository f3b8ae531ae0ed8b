//! An answer as it goes: in pieces, so that it is seen whether it moves; counted until it is taken; and with a last word when its
//! line ends.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Frame, SizeHint};
use liaison_protocol::reason::Refusal;
use tonic::Status;

use super::{Answer, Answers, OnLine, Room, status};

/// What HTTP/2 is given at a time. It keeps this much and its own 400 KiB a stream; the slowest link takes it in seconds.
const PIECE_BYTES_MAX: usize = 64 << 10;

type Ended = Pin<Box<dyn Future<Output = Refusal> + Send>>;

pub(super) struct Outgoing<B> {
    inner: B,
    rest: Bytes,
    over: bool,
    ended: Ended,
    room: Box<dyn Room>,
    answer: Answer,
    _place: Box<dyn Send>,
}

impl<B> Outgoing<B> {
    pub(super) fn new(inner: B, line: Arc<dyn OnLine>, place: Box<dyn Send>, answers: Arc<Answers>) -> Self {
        let (ended, room) = (line.ended(), line.room());
        Self { inner, rest: Bytes::new(), over: false, ended, room, answer: answers.begin(line), _place: place }
    }

    fn piece(&mut self) -> Frame<Bytes> {
        self.answer.handed();
        Frame::data(self.rest.split_to(self.rest.len().min(PIECE_BYTES_MAX)))
    }

    /// The status that ends the stream, as gRPC sends it: after all messages.
    fn last_word(&mut self, why: &Refusal) -> Frame<Bytes> {
        self.over = true;
        self.rest = Bytes::new();
        trailing(&status::of(why))
    }
}

fn trailing(status: &Status) -> Frame<Bytes> {
    let mut trailers = HeaderMap::new();
    // Our own statuses always fit into headers.
    let _ = status.add_header(&mut trailers);
    Frame::trailers(trailers)
}

/// A status that the library made has its reason too.
fn reasoned(frame: Frame<Bytes>) -> Frame<Bytes> {
    match frame.trailers_ref().and_then(status::reasoned) {
        Some(status) => trailing(&status),
        None => frame,
    }
}

impl<B> http_body::Body for Outgoing<B>
where
    B: http_body::Body<Data = Bytes> + Unpin,
{
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = &mut *self;
        this.answer.taken();
        if this.over {
            return Poll::Ready(None);
        }
        if let Poll::Ready(why) = this.ended.as_mut().poll(cx) {
            return Poll::Ready(Some(Ok(this.last_word(&why))));
        }
        if !this.rest.is_empty() {
            return Poll::Ready(Some(Ok(this.piece())));
        }
        // What was given before has been taken, all but what HTTP/2 keeps.
        let _ = this.room.resize(0);
        let frame = match ready!(Pin::new(&mut this.inner).poll_frame(cx)) {
            Some(Ok(frame)) => frame,
            other => return Poll::Ready(other),
        };
        match frame.into_data() {
            Ok(data) => {
                if let Err(limit) = this.room.resize(data.len()) {
                    let why = super::limited(&*this.answer.progress.line, limit);
                    return Poll::Ready(Some(Ok(this.last_word(&why))));
                }
                this.rest = data;
                Poll::Ready(Some(Ok(this.piece())))
            }
            Err(trailers) => {
                this.over = true;
                Poll::Ready(Some(Ok(reasoned(trailers))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.over || self.rest.is_empty() && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}
