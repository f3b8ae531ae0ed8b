//! An authenticated connection, as bytes. It can be ended from outside, and ends itself when nothing comes from the other end or
//! the other end takes nothing.

mod ending;
mod frames;
mod silence;
mod socket;

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use liaison_client::Turn;
use liaison_protocol::reason::Refusal;
use tokio::io::{AsyncRead, AsyncWrite, BufWriter, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::WaitForCancellationFutureOwned;
use tonic::transport::server::Connected;

pub(super) use ending::Ending;
use frames::Frames;
use silence::Silence;
use socket::Socket;

use super::lines::{Limits, Load, Slot};
use crate::clock::SharedClock;
use crate::gathering::Gathering;
use crate::peer::Peer;

/// Who is on a line and from where: in the extensions of every request that comes over it.
#[derive(Clone)]
pub struct Caller {
    /// Who was authenticated.
    pub peer: Arc<Peer>,
    /// Where the connection comes from. For logs; nothing is decided by it.
    pub address: SocketAddr,
    ending: Ending,
    load: Arc<Load>,
    clock: SharedClock,
}

impl Caller {
    pub(super) fn new(
        peer: Arc<Peer>,
        address: SocketAddr,
        ending: Ending,
        load: Arc<Load>,
        clock: SharedClock,
    ) -> Self {
        Self { peer, address, ending, load, clock }
    }

    /// What the peer has under way on all its lines.
    pub fn load(&self) -> &Arc<Load> {
        &self.load
    }

    /// Why the line is ending, if it is.
    pub fn ending(&self) -> Option<Refusal> {
        self.ending.why().cloned()
    }

    /// Returns when the line begins to end, with what its calls are to be told.
    pub fn ended(&self) -> impl Future<Output = Refusal> + Send + use<> {
        let (begun, ending) = (self.ending.begun(), self.ending.clone());
        async move {
            begun.await;
            ending.why().cloned().expect("an end begins with its reason")
        }
    }

    /// Time by the line's clock.
    pub fn monotonic(&self) -> Duration {
        self.clock.monotonic()
    }

    fn abused(&self, reason: &'static str, code: u32) {
        let (identity, address) = (self.peer.identity(), self.address);
        tracing::warn!(target: "audit", event = "h2.abuse", reason, code, %identity, peer_address = %address);
    }

    /// Breaks the line, because its other end takes nothing of what it asked for.
    pub fn cut_slow_reader(&self) {
        tracing::warn!(
            target: "audit",
            event = "conn.limited",
            reason = "slow_reader",
            identity = %self.peer.identity(),
            peer_address = %self.address,
        );
        self.ending.cut();
    }
}

impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Caller").field("peer", &self.peer).field("address", &self.address).finish_non_exhaustive()
    }
}

/// What TLS runs on. It writes record by record, and an answer is three.
pub(super) type Wire = BufWriter<Socket>;

/// Records that wait for their flush. More goes out at once.
const WRITE_BYTES: usize = 16 << 10;

pub(super) fn wire(tcp: TcpStream) -> Wire {
    BufWriter::with_capacity(WRITE_BYTES, Socket::new(tcp))
}

/// An accepted connection, for HTTP/2: whoever flushes must go on to read ([`Turn`]).
pub struct Line {
    stream: TlsStream<Wire>,
    caller: Caller,
    cut: Pin<Box<WaitForCancellationFutureOwned>>,
    ended: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
    silence: Silence,
    frames: Frames,
    turn: Turn,
    _slot: Slot,
}

impl Line {
    pub(super) fn new(
        mut stream: TlsStream<Wire>,
        caller: Caller,
        slot: Slot,
        limits: &Limits,
        gathering: Gathering,
    ) -> Self {
        stream.get_mut().0.get_mut().may_rest(gathering, caller.clock.clone());
        let mut silence = Silence::new(limits, caller.clock.clone());
        if !caller.peer.is_registered() {
            // Long enough to be told so on whatever it calls.
            silence.leave();
        }
        Self {
            stream,
            cut: Box::pin(caller.ending.is_cut()),
            ended: Some(Box::pin(caller.ending.begun())),
            silence,
            frames: Frames::new(caller.clock.monotonic()),
            turn: Turn::default(),
            caller,
            _slot: slot,
        }
    }

    /// Who is on the line.
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    /// Every read and write looks whether the line has been ended, so a waiting one learns of it; hyper reads for as long as the
    /// connection lives, and writes before it reads.
    fn poll_ended(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if self.cut.as_mut().poll(cx).is_ready() {
            return Err(io::Error::new(io::ErrorKind::ConnectionAborted, "this node ended the line"));
        }
        if self.ended.as_mut().is_some_and(|ended| ended.as_mut().poll(cx).is_ready()) {
            self.ended = None;
            self.silence.leave();
        }
        Ok(())
    }

    /// h2 hangs up on those who abuse it, and tells nobody but them.
    fn went(&mut self, slices: &[io::IoSlice<'_>], wrote: &Poll<io::Result<usize>>) {
        let Poll::Ready(Ok(mut left)) = *wrote else { return };
        self.turn.wrote();
        for slice in slices {
            let went = &slice[..left.min(slice.len())];
            left -= went.len();
            if let Some(code) = self.frames.went(went) {
                self.caller.abused("goaway", code);
            }
        }
    }

    /// A write that finds no room waits for as long as a read that finds nothing.
    fn poll_wrote<T>(&mut self, cx: &mut Context<'_>, wrote: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        self.silence.wrote(wrote.is_ready());
        if wrote.is_ready() {
            return wrote;
        }
        ready!(self.silence.poll_over(cx));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the other end takes nothing")))
    }
}

impl Connected for Line {
    type ConnectInfo = Caller;

    fn connect_info(&self) -> Caller {
        self.caller.clone()
    }
}

impl AsyncRead for Line {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.poll_ended(cx)?;
        let before = buffer.filled().len();
        let this = &mut *self;
        if this.turn.reads() {
            let wrote = Pin::new(&mut this.stream).poll_flush(cx)?;
            this.silence.wrote(wrote.is_ready());
            if wrote.is_ready() {
                this.turn.went();
            }
        }
        if let Poll::Ready(result) = Pin::new(&mut this.stream).poll_read(cx, buffer) {
            let came = &buffer.filled()[before..];
            this.silence.heard(came.len());
            if let Some(kind) = this.frames.came(came, this.caller.clock.monotonic()) {
                this.caller.abused("frames", u32::from(kind));
                return Poll::Ready(Err(io::Error::other("more frames of a kind than honest traffic explains")));
            }
            if this.frames.opened() {
                this.stream.get_mut().0.get_mut().stay_awake();
            }
            if result.is_err() {
                // An alert that says why. It goes if there is room for it; nobody polls this line again.
                let _ = Pin::new(&mut this.stream).poll_flush(cx);
            }
            return Poll::Ready(result);
        }
        self.turn.found_nothing();
        ready!(self.silence.poll_over(cx));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "nothing came from the other end")))
    }
}

impl AsyncWrite for Line {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_ended(cx)?;
        let wrote = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.went(&[io::IoSlice::new(bytes)], &wrote);
        self.poll_wrote(cx, wrote)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_ended(cx)?;
        let wrote = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.went(slices, &wrote);
        self.poll_wrote(cx, wrote)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_ended(cx)?;
        if !self.turn.goes(cx) {
            return Poll::Ready(Ok(()));
        }
        let wrote = Pin::new(&mut self.stream).poll_flush(cx);
        self.poll_wrote(cx, wrote)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_ended(cx)?;
        let wrote = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.poll_wrote(cx, wrote)
    }
}
