//! A listener with its acceptor: TCP in, authenticated lines out. It never stops listening because of what one client does
//! or because the machine is short of something.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::Stream;
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::mpsc;

use super::acceptor::{Accepted, Acceptor, Refused};
use super::line::{Caller, Ending, Line};
use super::lines::{Entered, Limits, Lines, Slot};
use crate::gathering::Gathering;
use crate::shutdown::Shutdown;

/// Lines that wait to be served. They are taken within microseconds; a longer queue would hide a server that hangs.
const WAITING_LINES_MAX: usize = 16;

/// How long nothing is accepted when the machine is short of descriptors or memory. Those who connect wait in the kernel's
/// queue; a shorter pause would burn the processor that is needed to get out of the shortage.
const ACCEPT_PAUSE: Duration = Duration::from_millis(250);

/// Connections that the system holds until they are accepted.
const BACKLOG: u32 = 1_024;

/// An address that is this process's. Until it is opened, whoever connects is refused.
pub struct Door {
    socket: TcpSocket,
    acceptor: Arc<Acceptor>,
    lines: Lines,
}

impl Door {
    /// Takes the address, and does not listen yet: a client that connected now would wait for a node that may never serve.
    pub fn bind(address: SocketAddr, acceptor: Arc<Acceptor>, limits: Limits) -> io::Result<Self> {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        Ok(Self { socket, acceptor, lines: Lines::new(limits) })
    }

    /// Where it listens, with the port the system chose when none was asked for.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Its connections: to count, and to end those of a peer.
    pub fn lines(&self) -> Lines {
        self.lines.clone()
    }

    /// Begins to listen and to accept; lines rest as `gathering` says. Dropping what is returned closes the listener, as does the end of `shutdown`'s stage; lines stay open.
    pub fn open(self, shutdown: &Shutdown, gathering: &Gathering) -> io::Result<Incoming> {
        let (sender, waiting) = mpsc::channel(WAITING_LINES_MAX);
        let stage = shutdown.clone();
        let Self { socket, acceptor, lines } = self;
        let listener = socket.listen(BACKLOG)?;
        let entrance = Entrance { acceptor, lines, gathering: gathering.clone() };
        shutdown.spawn("door", async move {
            tokio::select! {
                biased;
                () = stage.stopping() => {}
                () = sender.closed() => {}
                () = accept_for_ever(|| listener.accept(), &entrance, &sender, &stage) => {}
            }
        });
        Ok(Incoming { lines: waiting })
    }
}

/// Lines as they come: what `tonic::transport::Server::serve_with_incoming_shutdown` takes. Never an error: a client that
/// fails is that client's affair.
pub struct Incoming {
    lines: mpsc::Receiver<Line>,
}

impl Stream for Incoming {
    type Item = io::Result<Line>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.lines.poll_recv(cx).map(|line| line.map(Ok))
    }
}

/// What every connection of a door goes through.
#[derive(Clone)]
struct Entrance {
    acceptor: Arc<Acceptor>,
    lines: Lines,
    gathering: Gathering,
}

/// Handshakes run in tasks of their own: a slow client holds its own place and nobody's turn.
async fn accept_for_ever<F>(
    accept: impl Fn() -> F,
    entrance: &Entrance,
    sender: &mpsc::Sender<Line>,
    shutdown: &Shutdown,
) where
    F: Future<Output = io::Result<(TcpStream, SocketAddr)>>,
{
    let clock = entrance.acceptor.clock();
    loop {
        match accept().await {
            Ok((tcp, address)) => match entrance.lines.enter(address) {
                Ok(Entered { slot, shown_out }) => {
                    if let Some((full, other)) = shown_out {
                        Refused::Full(full).audit(other);
                    }
                    let (entrance, sender, stage) = (entrance.clone(), sender.clone(), shutdown.clone());
                    shutdown.spawn_for_caller("handshake", async move {
                        tokio::select! {
                            biased;
                            () = stage.stopping() => {}
                            () = entrance.receive(tcp, address, slot, &sender) => {}
                        }
                    });
                }
                Err(full) => Refused::Full(full).audit(address),
            },
            Err(error) if is_the_clients(&error) => {}
            Err(error) => {
                tracing::error!(target: "audit", event = "fd_limit", %error);
                clock.until(clock.monotonic() + ACCEPT_PAUSE).await;
            }
        }
    }
}

/// A client that broke off before it was accepted. Whatever else `accept` reports is a shortage of this machine.
fn is_the_clients(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::Interrupted
    )
}

impl Entrance {
    async fn receive(self, tcp: TcpStream, address: SocketAddr, slot: Slot, sender: &mpsc::Sender<Line>) {
        // Answers are small and waited for. Where it cannot be set, the handshake fails as well.
        let _ = tcp.set_nodelay(true);
        let clock = self.acceptor.clock();
        let last = clock.monotonic() + self.lines.limits().handshake;
        let accepted = tokio::select! {
            biased;
            // In the log where it was decided.
            () = slot.shown_out() => return,
            accepted = self.accept(tcp, address, &slot) => accepted,
            () = clock.until(last) => return Refused::Slow.audit(address),
        };
        let Some(accepted) = accepted else { return };
        match self.line(accepted, address, slot) {
            // Nobody takes lines any more when the node stops; the line then closes with this task.
            Ok(line) => drop(sender.send(line).await),
            Err(refused) => refused.audit(address),
        }
    }

    /// Nothing is made for a connection, and nothing is held but its place, before its first byte.
    async fn accept(&self, tcp: TcpStream, address: SocketAddr, slot: &Slot) -> Option<Accepted> {
        if let Err(refused) = self.begins(&tcp, slot).await {
            refused.audit(address);
            return None;
        }
        slot.spoke();
        self.acceptor.accept(tcp, address).await
    }

    /// Waits for the first byte. Whoever sends none is first counted among the silent, and then is one no more.
    async fn begins(&self, tcp: &TcpStream, slot: &Slot) -> Result<(), Refused> {
        let (clock, limits) = (self.acceptor.clock(), self.lines.limits());
        let (begun, mut spoke) = (clock.monotonic(), pin!(first_byte(tcp)));
        tokio::select! {
            biased;
            spoke = &mut spoke => return spoke,
            () = clock.until(begun + limits.silent_after) => {}
        }
        if let Some((full, other)) = slot.fell_silent() {
            Refused::Full(full).audit(other);
        }
        tokio::select! {
            biased;
            spoke = &mut spoke => spoke,
            () = clock.until(begun + limits.first_byte) => Err(Refused::Silent),
        }
    }

    fn line(&self, accepted: Accepted, address: SocketAddr, mut slot: Slot) -> Result<Line, Refused> {
        let ending = Ending::default();
        let load = slot.open(&accepted.peer, accepted.chain(), &ending).map_err(Refused::Full)?;
        // In this order: whoever changes identities and then judges lines either finds this one in the list, or is seen here.
        self.acceptor.recheck(&accepted)?;
        let clock = self.acceptor.clock().clone();
        let caller = Caller::new(accepted.peer, address, ending, load, clock);
        Ok(Line::new(accepted.stream, caller, slot, self.lines.limits(), self.gathering.clone()))
    }
}

async fn first_byte(tcp: &TcpStream) -> Result<(), Refused> {
    match tcp.peek(&mut [0]).await {
        Ok(0) => Err(Refused::Gone(io::ErrorKind::UnexpectedEof.into())),
        Ok(_) => Ok(()),
        Err(error) => Err(Refused::Gone(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authority::pki::{Authority, Validity, create_certificate_file, create_key_file};
    use crate::clock::Clock;
    use crate::peer::Identities;
    use crate::tls::Credentials;
    use arc_swap::ArcSwap;
    use liaison_protocol::id::{Micros, NetworkName};
    use std::collections::VecDeque;
    use std::sync::Mutex;
    use tokio::io::AsyncReadExt as _;
    use tokio::net::TcpListener;

    /// Whoever waits makes the time pass.
    #[derive(Default)]
    struct Leaping(Mutex<Duration>);

    impl Clock for Leaping {
        fn now(&self) -> Micros {
            Micros(0)
        }

        fn monotonic(&self) -> Duration {
            *self.0.lock().unwrap()
        }

        fn until(&self, monotonic: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
            let mut now = self.0.lock().unwrap();
            *now = monotonic.max(*now);
            Box::pin(async {})
        }
    }

    fn entrance(clock: Arc<Leaping>) -> Entrance {
        let network: NetworkName = "demo.liaison.example".parse().unwrap();
        let (not_before, not_after) = (Micros(0), Micros(Micros::DAY));
        let validity = Validity { not_before, not_after };
        let issued = Authority::create("Test", not_before, not_after)
            .unwrap()
            .issue_node(&network, &"hub-1".parse().unwrap(), &[], &[], validity)
            .unwrap();
        let folder = tempfile::tempdir().unwrap();
        let (certificate, key) = (folder.path().join("c.pem"), folder.path().join("k.pem"));
        create_certificate_file(&certificate, issued.certificate_pem()).unwrap();
        create_key_file(&key, issued.key_pem()).unwrap();
        let credentials = Arc::new(Credentials::load(&certificate, &key).unwrap());
        let identities = Arc::new(ArcSwap::from_pointee(Identities::new(network, [], [])));
        Entrance {
            acceptor: Arc::new(Acceptor::new(credentials, identities, clock)),
            lines: Lines::new(Limits::default()),
            gathering: Gathering::default(),
        }
    }

    #[tokio::test]
    async fn fault_94_a_shortage_of_descriptors_pauses_the_door_and_does_not_close_it() {
        const EMFILE: i32 = 24;
        const ECONNABORTED: i32 = 103;
        let clock = Arc::new(Leaping::default());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let failures = Mutex::new(VecDeque::from([EMFILE, EMFILE, ECONNABORTED]));
        let (sender, _lines) = mpsc::channel(1);
        let shutdown = Shutdown::new(clock.clone());
        let entrance = entrance(clock.clone());
        let accept = || async {
            let failure = failures.lock().unwrap().pop_front();
            match failure {
                Some(code) => Err(io::Error::from_raw_os_error(code)),
                None => listener.accept().await,
            }
        };
        let mut byte = [0];
        tokio::select! {
            () = accept_for_ever(accept, &entrance, &sender, &shutdown) => {}
            // By this clock everybody is silent for too long: the client was accepted, and is closed.
            read = client.read(&mut byte) => assert_eq!(read.unwrap(), 0),
        }
        let limits = entrance.lines.limits();
        assert_eq!(clock.monotonic(), 2 * ACCEPT_PAUSE + limits.handshake + limits.first_byte);
    }
}
