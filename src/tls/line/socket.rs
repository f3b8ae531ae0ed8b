//! A TCP connection that can rest. While nothing that it brings would be decided sooner, the kernel need not wake this process for
//! every segment: a line that brings thousands of notices a second is read a few hundred times.

use std::future::Future;
use std::io::{self, Read as _, Write as _};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::clock::SharedClock;
use crate::gathering::Gathering;

/// So many reads between two calls that find something are too many.
const FINDS_MIN: u32 = 4;
/// No rest is longer, whatever keeps the sequencer from calling.
const REST_MAX: Duration = Duration::from_millis(20);

/// Watched by the runtime, or resting.
pub(in crate::tls) struct Socket {
    state: State,
    rests: Option<Rests>,
}

enum State {
    Watched(TcpStream),
    Resting(Resting),
    /// The runtime could not let go of it, or not take it back.
    Broken,
}

struct Resting {
    tcp: std::net::TcpStream,
    /// Until when. None: it is over, and what has come is being read.
    over: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    /// Something has come.
    found: bool,
}

/// When a socket may rest.
struct Rests {
    gathering: Gathering,
    clock: SharedClock,
    /// Reads that found something since the last call, and how many calls there had been then.
    finds: u32,
    calls: u64,
}

impl Rests {
    fn found(&mut self) {
        let calls = self.gathering.calls();
        self.finds = if calls == self.calls { self.finds.saturating_add(1) } else { 1 };
        self.calls = calls;
    }

    /// A rest from now on, if one may be.
    fn begin(&self) -> Option<Pin<Box<dyn Future<Output = ()> + Send>>> {
        // In this order, or a call in between would be missed.
        let call = self.gathering.call();
        self.gathering.may_rest().then(|| {
            let (clock, last) = (self.clock.clone(), self.clock.monotonic() + REST_MAX);
            let over = async move {
                tokio::select! {
                    () = call => {}
                    () = clock.until(last) => {}
                }
            };
            Box::pin(over) as _
        })
    }
}

impl Socket {
    /// It is watched.
    pub(super) fn new(tcp: TcpStream) -> Self {
        Self { state: State::Watched(tcp), rests: None }
    }

    /// From here on it rests where it may.
    pub(super) fn may_rest(&mut self, gathering: Gathering, clock: SharedClock) {
        self.rests = Some(Rests { gathering, clock, finds: 0, calls: 0 });
    }

    /// What it brought is answered by itself: not this time.
    pub(super) fn stay_awake(&mut self) {
        self.rests.iter_mut().for_each(|rests| rests.finds = 0);
        if let State::Resting(resting) = &mut self.state {
            resting.found = false;
        }
    }

    /// Everything has been read: rests, where that is worth it and may be. False: not now.
    fn rest(&mut self) -> io::Result<bool> {
        let Some(rests) = &self.rests else { return Ok(false) };
        let worth = match &self.state {
            State::Watched(_) => rests.finds >= FINDS_MIN,
            State::Resting(resting) => resting.found,
            State::Broken => false,
        };
        let Some(over) = worth.then(|| rests.begin()).flatten() else { return Ok(false) };
        let tcp = match std::mem::replace(&mut self.state, State::Broken) {
            State::Watched(tcp) => tcp.into_std()?,
            State::Resting(resting) => resting.tcp,
            State::Broken => return Err(broken()),
        };
        self.state = State::Resting(Resting { tcp, over: Some(over), found: false });
        Ok(true)
    }

    /// What the runtime watches, from here on if it has not before. It says at once what has come meanwhile.
    fn watched(&mut self) -> io::Result<&mut TcpStream> {
        self.state = match std::mem::replace(&mut self.state, State::Broken) {
            State::Resting(resting) => {
                self.rests.iter_mut().for_each(|rests| rests.finds = 0);
                State::Watched(TcpStream::from_std(resting.tcp)?)
            }
            state => state,
        };
        match &mut self.state {
            State::Watched(tcp) => Ok(tcp),
            State::Resting(_) | State::Broken => Err(broken()),
        }
    }
}

fn broken() -> io::Error {
    io::Error::other("the connection could not be watched any more")
}

/// It has to be watched for that, or only tried again.
fn would_block(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

impl AsyncRead for Socket {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            let this = &mut *self;
            match &mut this.state {
                State::Watched(tcp) => match Pin::new(tcp).poll_read(cx, buffer) {
                    Poll::Ready(read) => {
                        this.rests.iter_mut().for_each(Rests::found);
                        return Poll::Ready(read);
                    }
                    Poll::Pending if this.rest()? => {}
                    Poll::Pending => return Poll::Pending,
                },
                State::Resting(resting) => {
                    if let Some(over) = &mut resting.over {
                        ready!(over.as_mut().poll(cx));
                        resting.over = None;
                    }
                    match resting.tcp.read(buffer.initialize_unfilled()) {
                        Ok(bytes) => {
                            resting.found = true;
                            buffer.advance(bytes);
                            return Poll::Ready(Ok(()));
                        }
                        Err(error) if would_block(&error) => {
                            if !this.rest()? {
                                this.watched()?;
                            }
                        }
                        Err(error) => return Poll::Ready(Err(error)),
                    }
                }
                State::Broken => return Poll::Ready(Err(broken())),
            }
        }
    }
}

/// Writing takes no rest; where there is no room, the socket is watched until there is.
impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.as_mut().poll_write_vectored(cx, &[io::IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if let State::Resting(resting) = &mut self.state {
            match resting.tcp.write_vectored(slices) {
                Err(error) if would_block(&error) => {}
                wrote => return Poll::Ready(wrote),
            }
        }
        Pin::new(self.watched()?).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// TCP keeps nothing back.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self.watched()?).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use futures_util::FutureExt as _;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;
    use crate::clock::SystemClock;

    /// A connection that may rest, and its other end.
    async fn pair(gathering: &Gathering) -> (Socket, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("its own");
        let (there, here) = tokio::join!(TcpStream::connect(address), listener.accept());
        let (there, (here, _)) = (there.expect("connects"), here.expect("accepts"));
        let mut here = Socket::new(here);
        here.may_rest(gathering.clone(), std::sync::Arc::new(SystemClock::new()));
        (here, there)
    }

    async fn come(here: &mut Socket, there: &mut TcpStream, byte: u8) {
        there.write_all(&[byte]).await.expect("taken");
        assert_eq!(here.read_u8().await.expect("comes"), byte);
    }

    fn finds_nothing(here: &mut Socket) -> bool {
        here.read_u8().now_or_never().is_none()
    }

    fn rests(here: &Socket) -> bool {
        matches!(here.state, State::Resting(_))
    }

    /// It has brought enough to be at rest now.
    async fn rested(gathering: &Gathering) -> (Socket, TcpStream) {
        let (mut here, mut there) = pair(gathering).await;
        gathering.wait();
        gathering.go(true);
        for nth in 1..=FINDS_MIN {
            assert!(finds_nothing(&mut here) && !rests(&here), "{nth} is not many");
            come(&mut here, &mut there, 1).await;
        }
        assert!(finds_nothing(&mut here) && rests(&here));
        (here, there)
    }

    #[tokio::test]
    async fn a_line_that_brings_much_is_read_when_it_is_called_for() {
        let gathering = Gathering::default();
        let (mut here, mut there) = rested(&gathering).await;
        for byte in 2..5 {
            let mut called = pin!(gathering.call());
            there.write_all(&[byte, byte]).await.expect("taken");
            there.flush().await.expect("sent");
            let mut read = Box::pin(here.read_u8());
            assert!(read.as_mut().now_or_never().is_none(), "it has come, and nobody looks");
            gathering.go(true);
            assert_eq!(read.await.expect("called for"), byte);
            assert_eq!(here.read_u8().await.expect("with it"), byte);
            assert!(called.as_mut().now_or_never().is_some());
            assert!(finds_nothing(&mut here) && rests(&here), "until the next call");
        }
    }

    #[tokio::test]
    async fn it_is_watched_again_when_it_may_not_rest_any_more_or_brought_nothing_or_a_call() {
        type End = fn(&Gathering);
        let nothing_more: End = Gathering::wait_no_more;
        let (may_not, next): (End, End) = (|gathering| gathering.go(false), |gathering| gathering.go(true));
        for (end, brought, call) in
            [(nothing_more, true, false), (may_not, true, false), (next, false, false), (next, true, true)]
        {
            let gathering = Gathering::default();
            let (mut here, mut there) = rested(&gathering).await;
            if brought {
                there.write_all(&[2]).await.expect("taken");
            }
            end(&gathering);
            if brought {
                assert_eq!(here.read_u8().await.expect("looked for"), 2);
            }
            if call {
                here.stay_awake();
            }
            assert!(finds_nothing(&mut here) && !rests(&here));
            come(&mut here, &mut there, 3).await;
        }
    }

    #[tokio::test]
    async fn a_sequencer_that_hangs_keeps_no_line_from_being_read() {
        let gathering = Gathering::default();
        let (mut here, mut there) = rested(&gathering).await;
        gathering.wait();
        come(&mut here, &mut there, 2).await;
    }

    #[tokio::test]
    async fn a_line_at_rest_writes_and_is_told_when_there_is_room_again() {
        let gathering = Gathering::default();
        let (mut here, mut there) = rested(&gathering).await;
        here.write_all(b"an answer").await.expect("taken");
        assert!(rests(&here), "for which it need not be watched");
        let mut answer = [0; 9];
        there.read_exact(&mut answer).await.expect("there");
        assert_eq!(&answer, b"an answer");
        let much = vec![7; 32 << 20];
        let mut all = vec![0; much.len()];
        let (wrote, read) = tokio::join!(here.write_all(&much), there.read_exact(&mut all));
        wrote.expect("taken");
        read.expect("there");
        assert!(!rests(&here) && all == much);
        here.shutdown().await.expect("ended");
        assert_eq!(there.read(&mut answer).await.expect("an end"), 0);
        drop(there);
        assert_eq!(here.read(&mut answer).await.expect("an end"), 0);
    }

    #[tokio::test]
    async fn a_line_at_rest_learns_at_the_next_call_that_its_other_end_is_gone() {
        let gathering = Gathering::default();
        let (mut here, there) = rested(&gathering).await;
        drop(there);
        let mut read = Box::pin(here.read_u8());
        assert!(read.as_mut().now_or_never().is_none());
        gathering.go(true);
        assert_eq!(read.await.expect_err("gone").kind(), io::ErrorKind::UnexpectedEof);
    }
}
