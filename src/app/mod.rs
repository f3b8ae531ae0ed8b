//! The life of a node: everything is read and bound first, then started in order, and stopped in reverse.

mod check;
mod directory;
mod files;
mod guard;
mod history;
pub mod inside;
pub mod inspect;
mod operator;
mod ops;
mod revocations;
mod spine;

pub use check::{Checked, check};
pub use history::make_anchor;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwap;
use futures_util::StreamExt as _;
use liaison_client::key_file;
use liaison_protocol::directory::Directory;
use liaison_protocol::id::{NodeId, Origin};
use liaison_protocol::tlog::checkpoint::LogKey;
use liaison_protocol::trust::Trust;
use tokio::sync::{Notify, watch};

use crate::anchor::Anchored;
use crate::clock::SharedClock;
use crate::config::folder::{BadFolder, open_all};
use crate::config::{Settings, regular};
use crate::counts::Counts;
use crate::exchange;
use crate::grpc;
use crate::http::{self, Ops};
use crate::peer::{BadPeer, Identities, Identity};
use crate::sequencer::{self, CannotStart, Recovered};
use crate::shutdown::{Shutdown, Stopped};
use crate::store::{Store, WriterError};
use crate::telemetry::Audit;
use crate::tls::{Acceptor, BadCredentials, Credentials, Door, Limits, with_limits};
use spine::Spine;

/// Calls under way when the node is told to stop may take this long; then each is told that the node stops.
const CALLS_MAX: Duration = Duration::from_secs(12);
/// Whoever has not taken that by then has its line cut. With `CALLS_MAX` and the farewell this stays below 20 seconds.
const CUT_AFTER: Duration = Duration::from_secs(3);
/// What the calls needed may take this long to end.
const DRAIN_MAX: Duration = Duration::from_secs(20);
/// The last batch and the last note may take this long.
const LAST_BATCH_MAX: Duration = Duration::from_secs(30);

/// A trust file has at most 256 lines.
const TRUST_BYTES_MAX: u64 = 1 << 20;

/// How often it is asked whether the node is ready: a balancer hears of a change within a second.
const READY_EVERY: Duration = Duration::from_millis(400);

/// An answer to monitoring may take this long when everything else has ended.
const ASKED_MAX: Duration = Duration::from_secs(1);

/// Why a node does not serve. One line, naming the key of the configuration and the file.
#[derive(Debug, thiserror::Error)]
pub enum CannotServe {
    /// A file cannot be used.
    #[error("{key}: {}: {problem}", path.display())]
    File {
        /// The key of the configuration that names it.
        key: &'static str,
        /// Which.
        path: PathBuf,
        /// Why.
        problem: String,
    },
    /// The folder of directories.
    #[error("directory.folder: {0}")]
    Directory(#[from] BadFolder),
    /// The directory does not fit this node.
    #[error("directory.folder: {0}")]
    Unlisted(String),
    /// Certificate or key.
    #[error("{key}: {source}")]
    Credentials {
        /// Which of them.
        key: &'static str,
        /// Why.
        source: BadCredentials,
    },
    /// An address cannot be listened on.
    #[error("{key}: {address}: {source}")]
    Bind {
        /// The key of the configuration that names it.
        key: &'static str,
        /// Which.
        address: String,
        /// Why.
        source: std::io::Error,
    },
    /// The store.
    #[error("node.data: {0}")]
    Store(#[from] WriterError),
    /// The sequencer.
    #[error("node.data: {0}")]
    Sequencer(#[from] CannotStart),
    /// The log could not state the directory in force.
    #[error("{0}")]
    Adopt(#[from] exchange::CannotAdopt),
}

/// How serving ended.
#[derive(Debug)]
pub enum Ended {
    /// Asked to, and everything taken is committed, signed and answered.
    Asked,
    /// It had to; the process exits non-zero.
    Failed(String),
}

/// Everything that a start reads and nothing changes by: what `serve --check` looks at too.
struct Read {
    trust: Trust,
    directories: Vec<Arc<Directory>>,
    origin: Origin,
    log_key: LogKey,
    credentials: Arc<Credentials>,
}

impl Read {
    fn all(settings: &Settings) -> Result<Self, CannotServe> {
        let file = |key, path: &PathBuf| {
            let path = path.clone();
            move |problem: String| CannotServe::File { key, path: path.clone(), problem }
        };
        let bad_trust = file("directory.trust", &settings.trust);
        let trust =
            regular::read(&settings.trust, TRUST_BYTES_MAX).map_err(|error| bad_trust(error.to_string()))?;
        let trust = Trust::from_file(&trust).map_err(|bad| bad_trust(bad.to_string()))?;
        let directories = open_all(&settings.directory, &trust)?;
        let newest = directories.last().ok_or_else(|| {
            CannotServe::Unlisted(format!("no sealed directory in {}", settings.directory.display()))
        })?;
        let node = newest.node(&settings.node).cloned().ok_or_else(|| {
            CannotServe::Unlisted(format!("node {} is not in version {}", settings.node, newest.head().version().0))
        })?;
        let bad_key = file("log.key", &settings.log_key);
        let seed = check::private_text(&settings.log_key).map_err(&bad_key)?;
        let seed = key_file::signer(&seed).map_err(|bad| bad_key(bad.to_string()))?;
        let log_key =
            LogKey::new(&node.log_origin, Arc::new(seed)).filter(|key| *key.verifier().public() == node.log_key);
        let log_key = log_key.ok_or_else(|| {
            bad_key(format!("is not the key that the directory lists for log {}", node.log_origin))
        })?;
        let credentials = Credentials::load(&settings.certificate, &settings.key).map_err(|source| {
            let of_key = source.to_string().starts_with(&settings.key.display().to_string());
            CannotServe::Credentials { key: if of_key { "tls.key" } else { "tls.certificate" }, source }
        })?;
        own_certificate(settings, newest, &credentials).map_err(file("tls.certificate", &settings.certificate))?;
        Ok(Self { trust, directories, origin: node.log_origin, log_key, credentials: Arc::new(credentials) })
    }

    fn newest(&self) -> &Directory {
        self.directories.last().expect("there is one, or reading failed")
    }
}

/// The node's own certificate is judged as the directory has others judge it: with one that is damaged, or issued by somebody else,
/// a node would start and nobody could connect. Its time is no reason here: readiness and alarms speak of that, and `liaison doctor` of
/// its name.
fn own_certificate(settings: &Settings, newest: &Directory, credentials: &Credentials) -> Result<(), String> {
    match directory::identities(newest).admit(&credentials.chain(), credentials.valid_until()) {
        Ok(peer) if matches!(peer.identity(), Identity::Node(_)) => Ok(()),
        Ok(_) => Err("it is a partner's certificate, and no client takes it for a node's".into()),
        Err(BadPeer::Expired { .. } | BadPeer::NotYetValid { .. }) => Ok(()),
        Err(bad) => Err(format!("{bad}; next: liaison doctor --pre --config {}", settings.file.display())),
    }
}

/// A node that has read and bound everything, and started nothing.
pub struct App {
    settings: Settings,
    clock: SharedClock,
    read: Read,
    anchor: Anchored,
    store: Arc<dyn Store>,
    identities: Arc<ArcSwap<Identities>>,
    exclusions: files::Exclusions,
    door: Door,
    ops: Arc<Ops>,
    ops_port: Option<tokio::net::TcpListener>,
    counts: Arc<Counts>,
    asked_to_reload: Arc<Notify>,
}

/// What a node says when partners may call.
#[derive(Clone, Debug)]
pub struct Ready {
    /// This node.
    pub node: NodeId,
    /// Where partners connect.
    pub address: SocketAddr,
    /// Where monitoring asks.
    pub ops: Option<SocketAddr>,
    /// Its log.
    pub origin: Origin,
    /// Leaves under the newest checkpoint.
    pub log_size: u64,
    /// Directory head in force.
    pub directory: u64,
    /// What the start found.
    pub recovered: Recovered,
}

impl App {
    /// Reads every file and binds every address.
    pub async fn build(settings: Settings, clock: SharedClock, audit: Arc<Audit>) -> Result<Self, CannotServe> {
        let read = Read::all(&settings)?;
        let data = |error: std::io::Error| CannotServe::File {
            key: "node.data",
            path: settings.data.clone(),
            problem: error.to_string(),
        };
        std::fs::create_dir_all(&settings.data).map_err(data)?;
        let anchor = history::anchor(&settings, &read.origin)?;
        let network = read.newest().head().name();
        let exclusions =
            files::Exclusions::read(&settings, anchor.whole(), network, read.credentials.clone(), clock.clone())?;
        let identities = exclusions.apply(directory::identities(read.newest()));
        let identities = Arc::new(ArcSwap::from_pointee(identities));
        let acceptor = Arc::new(Acceptor::new(read.credentials.clone(), identities.clone(), clock.clone()));
        let bind = |key, address: String| move |source| CannotServe::Bind { key, address, source };
        let per_address = settings.connections_per_address.map(|most| usize::from(most.get()));
        let limits = Limits::default();
        let limits =
            Limits { connections_per_address: per_address.unwrap_or(limits.connections_per_address), ..limits };
        let door = Door::bind(settings.partners, acceptor, limits)
            .map_err(bind("listen.partners", settings.partners.to_string()))?;
        let ops_port = match settings.ops {
            Some(address) => {
                let bound = tokio::net::TcpListener::bind(address).await;
                Some(bound.map_err(bind("ops.listen", address.to_string()))?)
            }
            None => None,
        };
        let store = history::open(&settings, &anchor, &clock).await?;
        let counts = Arc::new(Counts::default());
        Ok(Self {
            ops: Ops::new(counts.clone(), audit, clock.clone()),
            read,
            anchor,
            store,
            identities,
            exclusions,
            door,
            ops_port,
            counts,
            asked_to_reload: Arc::default(),
            clock,
            settings,
        })
    }

    /// Whether a restart would not help, for whoever watches over the process.
    pub fn liveness(&self) -> impl Fn() -> bool + Send + Sync + 'static {
        let ops = self.ops.clone();
        move || ops.is_live()
    }

    /// Has everything read again that may change while the node runs, as soon as it does run.
    pub fn reloader(&self) -> impl Fn() + Send + Sync + 'static {
        let asked = self.asked_to_reload.clone();
        move || asked.notify_one()
    }

    /// Starts everything, says when it is ready, and serves until `shutdown` begins.
    pub async fn run(self, shutdown: Shutdown, ready: impl FnOnce(Ready)) -> Result<Ended, CannotServe> {
        // From the first moment somebody can ask how far the start has come, and to the last how far the stop has.
        let asked = shutdown.stage();
        let unbound = |source| CannotServe::Bind { key: "ops.listen", address: "its port".into(), source };
        let ops_address = self.ops_port.as_ref().map(|port| port.local_addr()).transpose().map_err(unbound)?;
        if let Some(port) = self.ops_port {
            asked.spawn("ops", http::serve(port, self.ops.clone(), asked.clone()));
        }
        let Read { trust, directories: known, origin, log_key, credentials } = self.read;
        let starting = Spine::start(spine::Parts {
            settings: &self.settings,
            anchor: self.anchor,
            store: self.store,
            directories: &known,
            origin: origin.clone(),
            log_key,
            counts: self.counts.clone(),
            clock: self.clock.clone(),
        });
        let Spine { exchange, recovered, mut stopped } = tokio::select! {
            spine = starting => spine?,
            // A start that waits for its store ends as soon as it is asked to.
            why = shutdown.begun() => {
                let _ = std::fs::remove_file(&self.settings.operator);
                return Ok(match why {
                    Stopped::Asked => Ended::Asked,
                    other => Ended::Failed(format!("{other:?}")),
                });
            }
        };

        // What is stored has been judged, and nobody else writes: now there is something to ask for.
        let socket = operator::bind(&self.settings.operator).map_err(|source| CannotServe::Bind {
            key: "listen.operator",
            address: self.settings.operator.display().to_string(),
            source,
        })?;
        let bind = |source| CannotServe::Bind {
            key: "listen.partners",
            address: self.settings.partners.to_string(),
            source,
        };
        let address = self.door.address().map_err(bind)?;
        let lines = self.door.lines();
        let files = Arc::new(files::Files {
            folder: self.settings.directory.clone(),
            next_directory: files::NextDirectory::at(self.settings.directory.clone()),
            trust,
            exchange: exchange.clone(),
            identities: self.identities,
            credentials: credentials.clone(),
            exclusions: Mutex::new(self.exclusions),
            lines: lines.clone(),
            counts: self.counts.clone(),
            clock: self.clock.clone(),
        });
        // Two stages: first nobody gets in any more and calls end, then what they needed stops.
        let (front, back) = (shutdown.stage(), shutdown.stage());
        let watch = files.clone();
        let watcher = back.clone();
        back.spawn("files", async move { watch.watch(&watcher).await });
        back.spawn("reload", files.clone().reload_when_asked(self.asked_to_reload, back.clone()));
        let console = operator::Console::new(
            exchange.clone(),
            files,
            lines.clone(),
            address,
            self.clock.clone(),
            self.settings.clone(),
        );
        back.spawn("operator", operator::serve(socket, Arc::new(console), back.clone()));

        let (ready_or_not, is_ready) = watch::channel(false);
        let routes = grpc::partner_routes(exchange.clone(), is_ready, &front).routes();
        let admission = tonic::service::InterceptorLayer::new(grpc::admission(exchange.clone(), |extensions| {
            extensions.get::<crate::tls::Caller>().map(|caller| caller.peer.clone())
        }));
        let guard = guard::of_lines(self.counts.clone());
        back.spawn("guard", guard::watch(guard.clone(), self.clock.clone(), back.clone()));
        let at_the_end = guard.clone();
        let counts = self.counts.clone();
        let incoming =
            self.door.open(&front, exchange.gathering()).map_err(bind)?.inspect(move |_| counts.lines.add(1));
        let stopping = front.clone();
        front.spawn("grpc", async move {
            let server =
                with_limits(tonic::transport::Server::builder()).layer(guard).layer(admission).add_routes(routes);
            if let Err(error) =
                server.serve_with_incoming_shutdown(incoming, async move { stopping.stopping().await }).await
            {
                tracing::error!(%error, "serving ended");
            }
        });
        let process = Arc::new(ops::Process { credentials, lines: lines.clone() });
        self.ops.serving(http::Serving { exchange: exchange.clone(), process });
        ready_or_not.send_replace(self.ops.is_ready());
        front.spawn("health", health(self.ops.clone(), ready_or_not, self.clock.clone(), front.clone()));
        let published = exchange.published();
        let directory = exchange.directories().in_force().version().0;
        tracing::info!(
            target: "audit",
            event = "node.started",
            node = %self.settings.node,
            version = env!("CARGO_PKG_VERSION"),
            log_size = published.size(),
            directory,
        );
        ready(Ready {
            node: self.settings.node.clone(),
            address,
            ops: ops_address,
            origin,
            log_size: published.size(),
            directory,
            recovered,
        });
        let why = tokio::select! {
            why = shutdown.begun() => match why {
                Stopped::Asked => None,
                other => Some(format!("{other:?}")),
            },
            sequencer = &mut stopped => Some(format!("the sequencer stopped: {sequencer:?}")),
        };
        if let Some(why) = why {
            // Nothing may be acknowledged after this: no drain, the process ends.
            tracing::error!(target: "audit", event = "storage.fatal", why);
            return Ok(Ended::Failed(why));
        }
        self.ops.draining();
        if lines.open() > 0 {
            guard::farewell(&at_the_end, &self.clock).await;
        }
        if front.drain(CALLS_MAX).await.is_err() {
            lines.part(&grpc::stopping());
            if let Err(unfinished) = front.drain(CUT_AFTER).await {
                tracing::warn!(target: "audit", event = "drain", %unfinished);
                lines.end(|_| true);
            }
        }
        if let Err(unfinished) = back.drain(DRAIN_MAX).await {
            tracing::warn!(target: "audit", event = "drain", %unfinished);
        }
        let log_size = exchange.published().size();
        self.ops.stopped();
        drop(exchange);
        let last = self.clock.monotonic() + LAST_BATCH_MAX;
        let stopped = tokio::select! {
            stopped = stopped => stopped,
            () = self.clock.until(last) => return Ok(Ended::Failed("the last batch did not finish".into())),
        };
        let _ = std::fs::remove_file(&self.settings.operator);
        // Nothing is cut off that matters: whoever asks now learns that the port is closed.
        let _ = asked.drain(ASKED_MAX).await;
        match stopped {
            Ok(sequencer::Stopped::Asked) => {
                tracing::info!(target: "audit", event = "node.stopped", log_size);
                Ok(Ended::Asked)
            }
            other => Ok(Ended::Failed(format!("the sequencer stopped: {other:?}"))),
        }
    }
}

/// Lets the health service know whether the node is ready, until its stage stops.
async fn health(ops: Arc<Ops>, ready: watch::Sender<bool>, clock: SharedClock, shutdown: Shutdown) {
    loop {
        tokio::select! {
            () = shutdown.stopping() => return,
            () = clock.until(clock.monotonic() + READY_EVERY) => {}
        }
        let now = ops.is_ready();
        ready.send_if_modified(|before| std::mem::replace(before, now) != now);
    }
}
