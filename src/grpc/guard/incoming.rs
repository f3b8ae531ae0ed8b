//! A request as it comes. What is not whole yet is gathered in memory by whoever decodes it, outside of HTTP/2's windows: so room
//! for all of it is taken when its length is known, and until there is room nothing more of it is read.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use liaison_protocol::reason::{Reason, Refusal};
use tonic::Status;
use tonic::body::Body;

use super::Room;
use crate::grpc::{REQUEST_BYTES_MAX, status};

pub(super) struct Incoming {
    inner: Body,
    room: Box<dyn Room>,
    framing: Framing,
    /// Read, and waiting for room; and what ends the wait.
    parked: Option<Bytes>,
    freed: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl Incoming {
    pub(super) fn new(inner: Body, room: Box<dyn Room>) -> Self {
        Self { inner, room, framing: Framing::default(), parked: None, freed: None }
    }

    /// Waits for room for the message under way. It is taken whole, so no two of them can wait for each other.
    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let bytes = self.framing.under_way();
        loop {
            // Asked for first: what is given back in between is not missed.
            let freed = self.freed.get_or_insert_with(|| self.room.freed());
            let woken = freed.as_mut().poll(cx).is_ready();
            if woken {
                self.freed = None;
            }
            if self.room.resize(bytes).is_ok() {
                self.freed = None;
                return Poll::Ready(());
            }
            if !woken {
                return Poll::Pending;
            }
        }
    }
}

impl http_body::Body for Incoming {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = &mut *self;
        if this.parked.is_none() {
            let frame = match ready!(Pin::new(&mut this.inner).poll_frame(cx)) {
                Some(Ok(frame)) => frame,
                None if this.framing.is_within() => {
                    let cut = Refusal::new(Reason::Malformed, "the request ends in the middle of a message");
                    return Poll::Ready(Some(Err(status::of(&cut))));
                }
                other => return Poll::Ready(other),
            };
            match frame.into_data() {
                Ok(data) => {
                    if let Err(refusal) = this.framing.feed(&data) {
                        return Poll::Ready(Some(Err(status::of(&refusal))));
                    }
                    this.parked = Some(data);
                }
                Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
            }
        }
        if this.framing.under_way() > 0 {
            ready!(this.poll_room(cx));
        } else {
            let _ = this.room.resize(0);
        }
        Poll::Ready(this.parked.take().map(|data| Ok(Frame::data(data))))
    }

    fn is_end_stream(&self) -> bool {
        self.parked.is_none() && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// gRPC's frames: a byte, four bytes of length, and so many bytes of message.
#[derive(Default)]
struct Framing {
    head: Vec<u8>,
    length: usize,
    left: usize,
}

const HEAD_BYTES: usize = 5;

impl Framing {
    /// Err: a message that is compressed, too large, or none.
    fn feed(&mut self, mut data: &[u8]) -> Result<(), Refusal> {
        while !data.is_empty() {
            if self.left == 0 {
                let (head, rest) = data.split_at(data.len().min(HEAD_BYTES - self.head.len()));
                self.head.extend_from_slice(head);
                data = rest;
                if let [flag, length @ ..] = &*self.head
                    && let Ok(length) = <[u8; 4]>::try_from(length)
                {
                    self.length = u32::from_be_bytes(length) as usize;
                    judge(*flag, self.length)?;
                    self.left = self.length;
                    self.head.clear();
                }
            } else {
                let taken = self.left.min(data.len());
                self.left -= taken;
                data = &data[taken..];
            }
        }
        Ok(())
    }

    /// Whether more must come.
    fn is_within(&self) -> bool {
        self.left > 0 || !self.head.is_empty()
    }

    /// Length of the message that has begun and is not whole.
    fn under_way(&self) -> usize {
        if self.left == 0 { 0 } else { self.length }
    }
}

/// What the head of a message tells: one that is too large is refused by its length and gathered nowhere.
fn judge(flag: u8, length: usize) -> Result<(), Refusal> {
    match flag {
        0 if length > REQUEST_BYTES_MAX => {
            let message = format!("a message of {length} bytes; a call takes {REQUEST_BYTES_MAX}");
            Err(Refusal::new(Reason::TooLarge, message).with("limit", REQUEST_BYTES_MAX))
        }
        0 => Ok(()),
        1 => Err(Refusal::new(Reason::NotSpoken, "a message is compressed")),
        _ => Err(Refusal::new(Reason::Malformed, "the byte before a message is neither 0 nor 1")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fault_42_a_message_is_under_way_from_its_length_to_its_last_byte_however_it_is_cut() {
        let message = |length: usize| {
            let head = u32::try_from(length).unwrap().to_be_bytes();
            [&[0][..], &head, &vec![7; length]].concat()
        };
        let all = [message(10), message(0), message(300), message(7)].concat();
        for step in 1..all.len() {
            let mut framing = Framing::default();
            let mut seen = Vec::new();
            for piece in all.chunks(step) {
                framing.feed(piece).unwrap();
                seen.push(framing.under_way());
            }
            assert_eq!(seen.last(), Some(&0), "in pieces of {step}");
            assert!(!framing.is_within());
            assert!(seen.iter().all(|bytes| [0, 7, 10, 300].contains(bytes)), "in pieces of {step}: {seen:?}");
        }
        for (begins, reason) in [
            (&message(REQUEST_BYTES_MAX + 1)[..200], Reason::TooLarge),
            (&[1, 0, 0, 0, 1, 7], Reason::NotSpoken),
            (&[2, 0, 0, 0, 1, 7], Reason::Malformed),
        ] {
            let mut framing = Framing::default();
            assert_eq!(framing.feed(begins).unwrap_err().reason, reason);
            assert_eq!(framing.under_way(), 0, "refused and not gathered");
        }
        let mut framing = Framing::default();
        framing.feed(&message(10)[..12]).unwrap();
        assert!(framing.is_within());
    }
}
