//! A door with somebody behind it, a clock that is played, and an ear for the audit.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwap;
use liaison::authority::pki::{create_certificate_file, create_key_file};
use liaison::clock::Clock;
use liaison::gathering::Gathering;
use liaison::peer::{Identities, Owner, Pins};
use liaison::shutdown::Shutdown;
use liaison::tls::{Acceptor, Caller, Credentials, Door, Limits, Line, Lines};
use liaison_protocol::id::{Hash, Micros, NetworkName};
use rustls::client::ClientConnection;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::{ServerName, UnixTime};
use rustls::time_provider::TimeProvider;
use rustls::version::TLS13;
use rustls::{AlertDescription, ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_stream::StreamExt as _;
use tracing::field::{Field, Visit};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};

use super::certificate::{Ca, Leaf, node_leaf, pem};

/// Some day on which the tests play.
pub(super) const TODAY: Micros = Micros(1_795_000_000 * Micros::SECOND);

/// No step of a test takes this long unless it hangs.
const HANGS: Duration = Duration::from_secs(20);

/// Fails a test that would wait for ever.
#[allow(clippy::disallowed_methods, reason = "a net under a test, not its synchronisation")]
pub(super) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(HANGS, future).await {
        Ok(done) => done,
        Err(_) => panic!("waited in vain for {what}"),
    }
}

pub(super) fn network() -> NetworkName {
    "demo.liaison.example".parse().unwrap()
}

pub(super) fn partner(id: &str) -> Owner {
    Owner::Partner(id.parse().unwrap())
}

/// A clock that moves when it is told to.
pub(super) struct TestClock {
    wall: AtomicI64,
    monotonic: watch::Sender<Duration>,
    waiting: watch::Sender<usize>,
}

impl TestClock {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            wall: AtomicI64::new(TODAY.0),
            monotonic: watch::Sender::new(Duration::ZERO),
            waiting: watch::Sender::new(0),
        })
    }

    /// Moves the wall clock only.
    pub(super) fn set(&self, now: Micros) {
        self.wall.store(now.0, Ordering::SeqCst);
    }

    /// Lets time pass for those who wait.
    pub(super) fn pass(&self, time: Duration) {
        self.monotonic.send_modify(|now| *now += time);
    }

    /// Returns when so many wait for a time to come.
    pub(super) async fn awaited_by(&self, count: usize) {
        let mut waiting = self.waiting.subscribe();
        let reached = waiting.wait_for(|waiting| *waiting == count);
        soon("those who wait on the clock", reached).await.unwrap();
    }
}

impl Clock for TestClock {
    fn now(&self) -> Micros {
        Micros(self.wall.load(Ordering::SeqCst))
    }

    fn monotonic(&self) -> Duration {
        *self.monotonic.borrow()
    }

    fn until(&self, monotonic: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(async move {
            let _waiting = Waiting::new(&self.waiting);
            let mut now = self.monotonic.subscribe();
            now.wait_for(|now| *now >= monotonic).await.unwrap();
        })
    }
}

struct Waiting<'a>(&'a watch::Sender<usize>);

impl<'a> Waiting<'a> {
    fn new(count: &'a watch::Sender<usize>) -> Self {
        count.send_modify(|count| *count += 1);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

/// The clock as clients see it.
struct ClientTime(Arc<TestClock>);

impl TimeProvider for ClientTime {
    fn current_time(&self) -> Option<UnixTime> {
        let micros = u64::try_from(self.0.now().0).unwrap();
        Some(UnixTime::since_unix_epoch(Duration::from_micros(micros)))
    }
}

impl fmt::Debug for ClientTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientTime")
    }
}

/// A door of node hub-1, behind which everything that is said is said back. FR and KE are registered, under one authority.
pub(super) struct House {
    pub(super) clock: Arc<TestClock>,
    pub(super) authority: Ca,
    pub(super) identities: Arc<ArcSwap<Identities>>,
    pub(super) credentials: Arc<Credentials>,
    pub(super) files: Arc<CredentialFiles>,
    pub(super) address: SocketAddr,
    pub(super) lines: Lines,
    pub(super) shutdown: Shutdown,
    pub(super) audit: Audit,
    callers: mpsc::UnboundedReceiver<Caller>,
}

/// What became of an attempt to get in.
pub(super) enum Attempt {
    In(Box<TlsStream<TcpStream>>, Caller),
    Alert(AlertDescription),
    Closed,
}

impl House {
    pub(super) async fn open() -> Self {
        Self::open_with(Limits::default()).await
    }

    pub(super) async fn open_with(limits: Limits) -> Self {
        let (door, mut house) = Self::build(limits).await;
        let mut incoming = door.open(&house.shutdown, &Gathering::default()).unwrap();
        let (sender, callers) = mpsc::unbounded_channel();
        house.callers = callers;
        let shutdown = house.shutdown.clone();
        house.shutdown.spawn("house", async move {
            while let Some(line) = incoming.next().await {
                let line = line.unwrap();
                let _ = sender.send(line.caller().clone());
                shutdown.spawn_for_caller("echo", echo(line));
            }
        });
        house
    }

    /// A door nobody has opened yet.
    pub(super) async fn build(limits: Limits) -> (Door, Self) {
        let audit = Audit::begin();
        let clock = TestClock::new();
        let authority = Ca::named("Authority of the demo network");
        let files = Arc::new(CredentialFiles::new());
        files.write(&node_leaf(&authority));
        let credentials = Arc::new(files.load().unwrap());
        let identities = Arc::new(ArcSwap::from_pointee(registered(&authority, &[], &[])));
        let acceptor = Acceptor::new(credentials.clone(), identities.clone(), clock.clone());
        let address = "127.0.0.1:0".parse().unwrap();
        let door = Door::bind(address, Arc::new(acceptor), limits).unwrap();
        let house = Self {
            address: door.address().unwrap(),
            lines: door.lines(),
            shutdown: Shutdown::new(clock.clone()),
            callers: mpsc::unbounded_channel().1,
            clock,
            authority,
            identities,
            credentials,
            files,
            audit,
        };
        (door, house)
    }

    /// A client as it should be.
    pub(super) fn client(&self, leaf: &Leaf) -> ClientConfig {
        self.client_that(|builder| builder.with_client_auth_cert(leaf.chain.clone(), leaf.key_der()).unwrap())
    }

    pub(super) fn client_that(
        &self,
        build: impl FnOnce(rustls::ConfigBuilder<ClientConfig, rustls::client::WantsClientCert>) -> ClientConfig,
    ) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.certificate.clone()).unwrap();
        let provider = Arc::new(default_provider());
        let builder = ClientConfig::builder_with_details(provider, self.client_time())
            .with_protocol_versions(&[&TLS13])
            .unwrap()
            .with_root_certificates(roots);
        let mut config = build(builder);
        config.alpn_protocols = vec![b"h2".to_vec()];
        config
    }

    /// The played clock, for TLS.
    pub(super) fn client_time(&self) -> Arc<dyn TimeProvider> {
        Arc::new(ClientTime(self.clock.clone()))
    }

    /// Connects, and waits until it is clear whether the door let it in.
    pub(super) async fn attempt(&mut self, config: impl Into<Arc<ClientConfig>>) -> Attempt {
        let tcp = TcpStream::connect(self.address).await.unwrap();
        self.attempt_over(tcp, config).await
    }

    pub(super) async fn attempt_over(&mut self, tcp: TcpStream, config: impl Into<Arc<ClientConfig>>) -> Attempt {
        match soon("a handshake", connect(tcp, config)).await {
            Ok(line) => {
                let caller = soon("the other side of the door", self.callers.recv()).await;
                Attempt::In(Box::new(line), caller.unwrap())
            }
            Err(error) => {
                let alert = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
                match alert {
                    Some(rustls::Error::AlertReceived(alert)) => Attempt::Alert(*alert),
                    _ => Attempt::Closed,
                }
            }
        }
    }

    /// Returns when its connections are so.
    pub(super) async fn lines_are(&self, so: impl Fn(&Lines) -> bool) {
        let looking = async {
            while !so(&self.lines) {
                tokio::task::yield_now().await;
            }
        };
        soon("its connections", looking).await;
    }

    /// The client gets in.
    pub(super) async fn lets_in(&mut self, leaf: &Leaf) -> (TlsStream<TcpStream>, Caller) {
        match self.attempt(self.client(leaf)).await {
            Attempt::In(line, caller) => (*line, caller),
            Attempt::Alert(alert) => panic!("refused with {alert:?}"),
            Attempt::Closed => panic!("closed"),
        }
    }

    /// The client is answered with an alert, and the audit names the certificate and the reason.
    pub(super) async fn refuses(&mut self, leaf: &Leaf, reason: &str, alert: AlertDescription) {
        match self.attempt(self.client(leaf)).await {
            Attempt::In(_, caller) => panic!("{} was let in", caller.peer.identity()),
            Attempt::Alert(received) => assert_eq!(received, alert, "for {reason}"),
            Attempt::Closed => panic!("closed without an alert for {reason}"),
        }
        let event = self.audit.next("tls.reject").await;
        assert_eq!(event["reason"], reason, "{event:?}");
        let certificate = Hash::of(&[&leaf.chain[0]]).to_hex();
        assert_eq!(event["certificate_sha256"], certificate);
        assert!(event["peer_address"].starts_with("127.0.0.1:"));
    }
}

/// Handshakes, and reads back what it says: only then has the door judged the client's certificate.
pub(super) async fn connect<T: AsyncRead + AsyncWrite + Unpin>(
    tcp: T,
    config: impl Into<Arc<ClientConfig>>,
) -> std::io::Result<TlsStream<T>> {
    let name = ServerName::try_from("hub-1.example.int").unwrap();
    let connector = TlsConnector::from(config.into());
    let mut line = connector.connect(name, tcp).await?;
    say(&mut line).await?;
    Ok(line)
}

/// Says as many bytes as HTTP/2 begins with, and hears them again.
pub(super) async fn say(line: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> std::io::Result<()> {
    let mut heard = [0; 24];
    line.write_all(&[7; 24]).await?;
    line.flush().await?;
    line.read_exact(&mut heard).await?;
    assert_eq!(heard, [7; 24]);
    Ok(())
}

async fn echo(mut line: Line) {
    let mut bytes = [0; 256];
    while let Ok(count @ 1..) = line.read(&mut bytes).await {
        if line.write_all(&bytes[..count]).await.is_err() || line.flush().await.is_err() {
            return;
        }
    }
}

/// FR and KE under one authority, with these pinned keys for FR and these signing keys registered.
pub(super) fn registered(authority: &Ca, fr_keys: &[Hash], signing: &[Vec<u8>]) -> Identities {
    let pins = |keys: &[Hash]| Pins { authorities: vec![authority.certificate.clone()], keys: keys.to_vec() };
    Identities::new(
        network(),
        [
            (partner("FR"), pins(fr_keys)),
            (partner("KE"), pins(&[])),
            (Owner::Node("site-1".parse().unwrap()), pins(&[])),
        ],
        signing.to_vec(),
    )
}

/// A certificate and a key on disk.
pub(super) struct CredentialFiles {
    pub(super) certificate: PathBuf,
    pub(super) key: PathBuf,
    _folder: tempfile::TempDir,
}

impl CredentialFiles {
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { certificate: folder.path().join("node.pem"), key: folder.path().join("node.key"), _folder: folder }
    }

    pub(super) fn load(&self) -> Result<Credentials, liaison::tls::BadCredentials> {
        Credentials::load(&self.certificate, &self.key)
    }

    pub(super) fn write(&self, leaf: &Leaf) {
        let _ = std::fs::remove_file(&self.certificate);
        let _ = std::fs::remove_file(&self.key);
        create_certificate_file(&self.certificate, &pem(&leaf.chain[0])).unwrap();
        create_key_file(&self.key, &leaf.key.serialize_pem()).unwrap();
    }
}

/// The leaf a server showed.
pub(super) fn shown(connection: &ClientConnection) -> Hash {
    Hash::of(&[&connection.peer_certificates().unwrap()[0]])
}

/// What was written to the audit, on this thread, since this began.
pub(super) struct Audit {
    events: mpsc::UnboundedReceiver<Event>,
    _guard: tracing::subscriber::DefaultGuard,
}

pub(super) type Event = HashMap<String, String>;

impl Audit {
    fn begin() -> Self {
        let (sender, events) = mpsc::unbounded_channel();
        let layer = Collect(Mutex::new(sender));
        let subscriber = tracing_subscriber::registry().with(layer);
        Self { events, _guard: tracing::subscriber::set_default(subscriber) }
    }

    /// Whether nothing was written that has not been read.
    pub(super) fn is_silent(&mut self) -> bool {
        self.events.try_recv().is_err()
    }

    /// The next event of this name; others are passed over.
    pub(super) async fn next(&mut self, name: &str) -> Event {
        let next = async {
            loop {
                let event = self.events.recv().await.unwrap();
                if event["event"] == name {
                    return event;
                }
            }
        };
        soon(name, next).await
    }
}

struct Collect(Mutex<mpsc::UnboundedSender<Event>>);

impl<S: tracing::Subscriber> Layer<S> for Collect {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() == "audit" {
            let mut fields = Fields(Event::new());
            event.record(&mut fields);
            let _ = self.0.lock().unwrap().send(fields.0);
        }
    }
}

struct Fields(Event);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name().to_owned(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().to_owned(), value.to_owned());
    }
}
