//! An authenticated connection, as bytes. It can be ended from outside, and ends itself when nothing comes from the other end.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::transport::server::Connected;

use super::lines::{Limits, Slot};
use crate::clock::SharedClock;
use crate::peer::Peer;

/// HTTP/2's first bytes (RFC 9113, section 3.4). Until they are here, no ping watches over the connection.
const PREFACE_BYTES: usize = 24;

/// Who is on a line and from where: in the extensions of every request that comes over it.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Who was authenticated.
    pub peer: Arc<Peer>,
    /// Where the connection comes from. For logs; nothing is decided by it.
    pub address: SocketAddr,
}

/// An accepted connection.
pub struct Line {
    stream: TlsStream<TcpStream>,
    caller: Caller,
    ended: Pin<Box<WaitForCancellationFutureOwned>>,
    silence: Silence,
    _slot: Slot,
}

impl Line {
    pub(super) fn new(
        stream: TlsStream<TcpStream>,
        caller: Caller,
        ended: CancellationToken,
        slot: Slot,
        limits: &Limits,
        clock: SharedClock,
    ) -> Self {
        Self {
            stream,
            caller,
            ended: Box::pin(ended.cancelled_owned()),
            silence: Silence::new(limits, clock),
            _slot: slot,
        }
    }

    /// Who is on the line.
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    /// Every read looks whether the line has been ended, so a waiting read learns of it; hyper reads for as long as the
    /// connection lives. A write fails with the read that precedes it.
    fn poll_ended(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        match self.ended.as_mut().poll(cx) {
            Poll::Ready(()) => Err(io::Error::new(io::ErrorKind::ConnectionAborted, "this node ended the line")),
            Poll::Pending => Ok(()),
        }
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
        if let Poll::Ready(result) = Pin::new(&mut self.stream).poll_read(cx, buffer) {
            self.silence.heard(buffer.filled().len() - before);
            return Poll::Ready(result);
        }
        ready!(self.silence.poll_over(cx));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "nothing came from the other end")))
    }
}

impl AsyncWrite for Line {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_ended(cx)?;
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_ended(cx)?;
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_ended(cx)?;
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// Watches how long nothing has come. The timer is set anew when it fires, not at every read.
struct Silence {
    clock: SharedClock,
    silence: Duration,
    /// Bytes still missing of HTTP/2's first ones; while some are, the deadline stands.
    preface: usize,
    deadline: Duration,
    timer: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl Silence {
    fn new(limits: &Limits, clock: SharedClock) -> Self {
        Self {
            silence: limits.silence,
            preface: PREFACE_BYTES,
            deadline: clock.monotonic() + limits.handshake,
            timer: None,
            clock,
        }
    }

    fn heard(&mut self, bytes: usize) {
        self.preface = self.preface.saturating_sub(bytes);
        if self.preface == 0 && bytes > 0 {
            self.deadline = self.clock.monotonic() + self.silence;
        }
    }

    fn poll_over(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let (clock, deadline) = (&self.clock, self.deadline);
            let timer = self.timer.get_or_insert_with(|| {
                let clock = clock.clone();
                Box::pin(async move { clock.until(deadline).await })
            });
            ready!(timer.as_mut().poll(cx));
            self.timer = None;
            if self.clock.monotonic() >= self.deadline {
                return Poll::Ready(());
            }
        }
    }
}
