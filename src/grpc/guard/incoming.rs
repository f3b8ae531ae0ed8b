//! A request as it comes. What is not whole yet is gathered in memory by whoever decodes it, outside of HTTP/2's windows: so it is
//! counted here.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tonic::Status;
use tonic::body::Body;

use super::{Answers, OnLine, Room, status};

pub(super) struct Incoming {
    inner: Body,
    line: Arc<dyn OnLine>,
    room: Box<dyn Room>,
    answers: Arc<Answers>,
    framing: Framing,
}

impl Incoming {
    pub(super) fn new(inner: Body, line: Arc<dyn OnLine>, room: Box<dyn Room>, answers: Arc<Answers>) -> Self {
        Self { inner, line, room, answers, framing: Framing::default() }
    }
}

impl http_body::Body for Incoming {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(cx));
        if let Some(Ok(frame)) = &frame
            && let Some(data) = frame.data_ref()
        {
            let unfinished = self.framing.feed(data);
            if let Err(limit) = self.room.resize(unfinished) {
                let refusal = self.answers.limited(&*self.line, limit);
                return Poll::Ready(Some(Err(status::of(&refusal))));
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// gRPC's frames: a byte, four bytes of length, and so many bytes of message.
#[derive(Default)]
struct Framing {
    head: Vec<u8>,
    left: usize,
    have: usize,
}

const HEAD_BYTES: usize = 5;

impl Framing {
    /// Bytes of the message that has begun and is not whole.
    fn feed(&mut self, mut data: &[u8]) -> usize {
        while !data.is_empty() {
            if self.left == 0 {
                let (head, rest) = data.split_at(data.len().min(HEAD_BYTES - self.head.len()));
                self.head.extend_from_slice(head);
                data = rest;
                if let [_, length @ ..] = &*self.head
                    && let Ok(length) = <[u8; 4]>::try_from(length)
                {
                    (self.left, self.have) = (u32::from_be_bytes(length) as usize, 0);
                    self.head.clear();
                }
            } else {
                let taken = self.left.min(data.len());
                (self.left, self.have) = (self.left - taken, self.have + taken);
                data = &data[taken..];
            }
        }
        if self.left == 0 { 0 } else { self.have }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fault_99_only_what_is_not_whole_is_counted_however_it_is_cut() {
        let message = |length: usize| {
            let head = u32::try_from(length).unwrap().to_be_bytes();
            [&[0][..], &head, &vec![7; length]].concat()
        };
        let all = [message(10), message(0), message(300), message(7)].concat();
        for step in 1..all.len() {
            let mut framing = Framing::default();
            let mut most = 0;
            let mut last = 0;
            for piece in all.chunks(step) {
                last = framing.feed(piece);
                most = most.max(last);
            }
            assert_eq!(last, 0, "in pieces of {step}");
            assert!(most < 300, "in pieces of {step}");
        }
        let mut framing = Framing::default();
        assert_eq!(framing.feed(&message(300)[..200]), 195);
    }
}
