//! When a line's bytes go out: after everyone who is ready to write has written, where that has lately made a difference. Requests and
//! answers come in batches, each from a task of its own; sent one by one, each costs a system call here and one at the other end.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Flushes in a row that go at once after nobody came. An answer that would have had company then goes alone, that many times at most.
const AT_ONCE_MAX: u32 = 63;

/// Whose turn it is: the line's, or that of others who are ready.
#[derive(Debug, Default)]
pub struct Turn {
    state: State,
    /// Flushes that still go at once.
    at_once: u32,
    /// How many go at once after the next vain wait.
    next: u32,
}

#[derive(Debug, Default)]
enum State {
    /// Nothing waits to go out.
    #[default]
    Nothing,
    /// Bytes wait for a flush.
    Written,
    /// A flush let the others go first; whether one of them wrote.
    Waits { came: bool },
}

impl Turn {
    /// Bytes were written.
    pub fn wrote(&mut self) {
        self.state = match self.state {
            State::Nothing | State::Written => State::Written,
            State::Waits { .. } => State::Waits { came: true },
        };
    }

    /// Ready when the flush may go. Pending at most once for what it sends, and the task is then run again after those that are
    /// ready now.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match self.state {
            State::Nothing => {}
            State::Written if self.at_once > 0 => self.at_once -= 1,
            State::Written => {
                self.state = State::Waits { came: false };
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            State::Waits { came: true } => self.next = 0,
            State::Waits { came: false } => {
                self.at_once = self.next;
                self.next = (2 * self.next + 1).min(AT_ONCE_MAX);
            }
        }
        self.state = State::Nothing;
        Poll::Ready(())
    }
}

/// A stream whose flushes take their turn. What is written to it waits somewhere below for them.
pub(crate) struct InTurn<S> {
    stream: S,
    turn: Turn,
}

impl<S> InTurn<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self { stream, turn: Turn::default() }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for InTurn<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for InTurn<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.turn.wrote();
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.turn.wrote();
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.turn.poll(cx));
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    /// One flush of something written: whether it waited. `came`: somebody wrote meanwhile.
    fn flush(turn: &mut Turn, came: bool) -> bool {
        let mut cx = Context::from_waker(Waker::noop());
        turn.wrote();
        if turn.poll(&mut cx).is_ready() {
            return false;
        }
        if came {
            turn.wrote();
        }
        assert!(turn.poll(&mut cx).is_ready(), "a flush waits once");
        assert!(turn.poll(&mut cx).is_ready(), "and with nothing to send not at all");
        true
    }

    #[test]
    fn a_flush_lets_others_write_first_for_as_long_as_they_do() {
        let mut turn = Turn::default();
        assert!((0..100).all(|_| flush(&mut turn, true)));
    }

    #[test]
    fn who_waits_in_vain_waits_ever_less_and_still_learns_of_company() {
        let mut turn = Turn::default();
        let waited: Vec<_> = (0..300).filter(|_| flush(&mut turn, false)).collect();
        assert_eq!(waited, [0, 1, 3, 7, 15, 31, 63, 127, 191, 255]);
        let first = (0..).position(|_| flush(&mut turn, true));
        assert!(first.is_some_and(|first| first <= AT_ONCE_MAX as usize));
        assert!((0..10).all(|_| flush(&mut turn, true)), "company has come: every flush waits again");
    }
}
