//! When a line's bytes go out: after everyone who is ready to write has written, where that has lately made a difference. Requests and
//! answers come in batches, each from a task of its own; sent one by one, each costs a system call here and one at the other end.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Flushes in a row that go at once after nobody came. An answer that would have had company then goes alone, that many times at most.
const AT_ONCE_MAX: u32 = 63;

/// Whose turn it is: the line's, or that of others who are ready. Made for whoever drives HTTP/2: it reads first each time that it runs,
/// and flushes last. A flush that waits is no flush that is blocked, or it would stop in the middle of what it has to write: it is
/// done later, by the flush of the next run, or else by the read of the one after it. So whoever flushes must go on to read.
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
    /// A flush let the others go first, and the task will run again.
    Waits,
    /// It runs again; whether anybody had written something for it, and whether it has found nothing to read.
    Again { came: bool, idle: bool },
}

impl Turn {
    /// Bytes were written.
    pub fn wrote(&mut self) {
        self.state = match self.state {
            State::Nothing | State::Written => State::Written,
            State::Waits => State::Waits,
            State::Again { idle, .. } => State::Again { came: true, idle },
        };
    }

    /// The task is about to read. True: it has run again without a flush, and what waits goes out first ([`Turn::went`]).
    pub fn reads(&mut self) -> bool {
        if matches!(self.state, State::Waits) {
            self.state = State::Again { came: false, idle: false };
        }
        matches!(self.state, State::Again { idle: true, .. })
    }

    /// It found nothing to read.
    pub fn found_nothing(&mut self) {
        if let State::Again { idle, .. } = &mut self.state {
            *idle = true;
        }
    }

    /// What waited is out.
    pub fn went(&mut self) {
        self.state = State::Nothing;
    }

    /// Whether a flush goes now. If not, the task runs again after those that are ready now, and its flush goes then.
    pub fn goes(&mut self, cx: &Context<'_>) -> bool {
        match self.state {
            State::Nothing => {}
            State::Waits => return false,
            State::Written if self.at_once > 0 => self.at_once -= 1,
            State::Written => {
                self.state = State::Waits;
                cx.waker().wake_by_ref();
                return false;
            }
            State::Again { came: true, .. } => self.next = 0,
            State::Again { came: false, .. } => {
                self.at_once = self.next;
                self.next = (2 * self.next + 1).min(AT_ONCE_MAX);
            }
        }
        self.state = State::Nothing;
        true
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

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for InTurn<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.turn.reads() && Pin::new(&mut self.stream).poll_flush(cx)?.is_ready() {
            self.turn.went();
        }
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if read.is_pending() {
            self.turn.found_nothing();
        }
        read
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
        if !self.turn.goes(cx) {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    /// The task runs with something to write: whether its flush waited for a second run, in which `came` was written.
    fn flush(turn: &mut Turn, came: bool) -> bool {
        let cx = Context::from_waker(Waker::noop());
        assert!(!turn.reads());
        turn.found_nothing();
        turn.wrote();
        if turn.goes(&cx) {
            return false;
        }
        turn.wrote();
        assert!(!turn.goes(&cx), "what the same run still writes is no company");
        assert!(!turn.reads() && !turn.reads(), "something comes in two pieces");
        turn.found_nothing();
        if came {
            turn.wrote();
        }
        assert!(turn.goes(&cx), "a flush waits once");
        assert!(!turn.reads());
        assert!(turn.goes(&cx), "and with nothing to send not at all");
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

    #[tokio::test]
    async fn who_flushes_and_then_only_reads_is_heard() {
        let (here, mut there) = tokio::io::duplex(64);
        let mut here = InTurn::new(tokio::io::BufWriter::new(here));
        for _ in 0..10 {
            here.write_all(b"how are you").await.expect("written");
            here.flush().await.expect("flushed");
            let (mut said, mut answered) = ([0; 11], [0; 4]);
            let answer = async {
                there.read_exact(&mut said).await.expect("heard");
                there.write_all(b"well").await.expect("answered");
            };
            tokio::join!(async { here.read_exact(&mut answered).await.expect("read") }, answer);
            assert_eq!((&said, &answered), (b"how are you", b"well"));
        }
    }
}
