//! The life of a node: everything is read and bound first, then started in order, and stopped in reverse.

mod directory;
mod files;
mod guard;
pub mod inspect;
mod operator;
mod revocations;
mod watched;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwap;
use liaison_client::key_file;
use liaison_protocol::directory::Directory;
use liaison_protocol::id::{NodeId, Origin};
use liaison_protocol::tlog::checkpoint::LogKey;
use liaison_protocol::trust::Trust;

use crate::clock::{SharedClock, SystemEntropy};
use crate::config::Settings;
use crate::config::folder::{BadFolder, open_all};
use crate::exchange::{self, Directories, Exchange};
use crate::grpc;
use crate::peer::Identities;
use crate::sequencer::{self, CannotStart, Recovered, Transmitted};
use crate::shutdown::{Shutdown, Stopped};
use crate::store::sqlite::{SqliteOptions, SqliteStore};
use crate::store::{Store, WriterError};
use crate::tls::{Acceptor, BadCredentials, Credentials, Door, Limits, with_limits};

/// Calls under way when the node is told to stop may take this long; then their lines are cut.
const DRAIN_MAX: Duration = Duration::from_secs(20);
/// The last batch and the last note may take this long.
const LAST_BATCH_MAX: Duration = Duration::from_secs(30);

/// Why a node does not serve. One line, naming the file or field.
#[derive(Debug, thiserror::Error)]
pub enum CannotServe {
    /// A file cannot be used.
    #[error("{}: {problem}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        problem: String,
    },
    /// The folder of directories.
    #[error(transparent)]
    Directory(#[from] BadFolder),
    /// The directory does not fit this node.
    #[error("directory: {0}")]
    Unlisted(String),
    /// Certificate or key.
    #[error(transparent)]
    Credentials(#[from] BadCredentials),
    /// An address cannot be listened on.
    #[error("listen on {address}: {source}")]
    Bind {
        /// Which.
        address: String,
        /// Why.
        source: std::io::Error,
    },
    /// The store.
    #[error(transparent)]
    Store(#[from] WriterError),
    /// The sequencer.
    #[error(transparent)]
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

/// A node that has read and bound everything, and started nothing.
pub struct App {
    settings: Settings,
    clock: SharedClock,
    trust: Trust,
    directories: Vec<Arc<Directory>>,
    origin: Origin,
    log_key: LogKey,
    store: Arc<dyn Store>,
    identities: Arc<ArcSwap<Identities>>,
    credentials: Arc<Credentials>,
    exclusions: files::Exclusions,
    door: Door,
    operator: tokio::net::UnixListener,
}

/// What a node says when partners may call.
#[derive(Clone, Debug)]
pub struct Ready {
    /// This node.
    pub node: NodeId,
    /// Where partners connect.
    pub address: SocketAddr,
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
    pub async fn build(settings: Settings, clock: SharedClock) -> Result<Self, CannotServe> {
        let file = |path: &PathBuf| {
            let path = path.clone();
            move |problem: String| CannotServe::File { path, problem }
        };
        let text = |path: &PathBuf| std::fs::read_to_string(path).map_err(|error| file(path)(error.to_string()));
        let trust: Trust = text(&settings.trust)?.parse().map_err(|bad| file(&settings.trust)(format!("{bad}")))?;
        let directories = open_all(&settings.directory, &trust)?;
        let newest = directories.last().ok_or_else(|| {
            CannotServe::Unlisted(format!("no sealed directory in {}", settings.directory.display()))
        })?;
        let node = newest.node(&settings.node).cloned().ok_or_else(|| {
            CannotServe::Unlisted(format!("node {} is not in version {}", settings.node, newest.head().version().0))
        })?;
        let seed =
            key_file::signer(&text(&settings.log_key)?).map_err(|bad| file(&settings.log_key)(bad.to_string()))?;
        let log_key =
            LogKey::new(&node.log_origin, Arc::new(seed)).filter(|key| *key.verifier().public() == node.log_key);
        let log_key = log_key.ok_or_else(|| {
            file(&settings.log_key)(format!("is not the key that the directory lists for log {}", node.log_origin))
        })?;
        std::fs::create_dir_all(&settings.data).map_err(|error| file(&settings.data)(error.to_string()))?;
        let store = SqliteStore::open(&settings.data.join(inspect::STORE_FILE), SqliteOptions::default())?;
        let credentials = Arc::new(Credentials::load(&settings.certificate, &settings.key)?);
        let now = clock.now();
        let exclusions = files::Exclusions::read(&settings, newest.head().name(), now)?;
        let identities = exclusions.apply(directory::identities(newest));
        let identities = Arc::new(ArcSwap::from_pointee(identities));
        let acceptor = Arc::new(Acceptor::new(credentials.clone(), identities.clone(), clock.clone()));
        let bind = |address: String| move |source| CannotServe::Bind { address, source };
        let door = Door::bind(settings.partners, acceptor, Limits::default())
            .await
            .map_err(bind(settings.partners.to_string()))?;
        let operator = operator::bind(&settings.operator).map_err(bind(settings.operator.display().to_string()))?;
        Ok(Self {
            origin: node.log_origin,
            log_key,
            trust,
            directories,
            store: Arc::new(store),
            identities,
            credentials,
            exclusions,
            door,
            operator,
            clock,
            settings,
        })
    }

    /// Starts everything, says when it is ready, and serves until `shutdown` begins.
    pub async fn run(self, shutdown: Shutdown, ready: impl FnOnce(Ready)) -> Result<Ended, CannotServe> {
        let transmitted = Arc::new(Transmitted::default());
        let sequencer::Running { sequencer, view, recovered, mut stopped } = sequencer::start(sequencer::Parts {
            store: self.store.clone(),
            origin: self.origin.clone(),
            key: self.log_key,
            clock: self.clock.clone(),
            entropy: Box::new(SystemEntropy::new()),
            transmitted: transmitted.clone(),
            anchor: Some(self.settings.data.join(inspect::CHECKPOINT_FILE)),
        })
        .await?;
        let in_force = directory::in_force(
            &self.directories,
            &view.read().unwrap_or_else(std::sync::PoisonError::into_inner),
        )?;
        let directories = Arc::new(Directories::new(in_force, self.directories.iter().cloned()));
        let exchange = Arc::new(Exchange::new(exchange::Parts {
            node: self.settings.node.clone(),
            origin: self.origin.clone(),
            store: self.store,
            sequencer,
            view,
            directories,
            transmitted,
            clock: self.clock.clone(),
            entropy: Box::new(SystemEntropy::new()),
        }));
        directory::adopt_all(&exchange, &self.directories).await?;

        let bind = |source| CannotServe::Bind { address: self.settings.partners.to_string(), source };
        let address = self.door.address().map_err(bind)?;
        let lines = self.door.lines();
        let files = Arc::new(files::Files {
            folder: self.settings.directory.clone(),
            trust: self.trust,
            exchange: exchange.clone(),
            identities: self.identities,
            credentials: self.credentials,
            exclusions: Mutex::new(self.exclusions),
            lines: lines.clone(),
            clock: self.clock.clone(),
        });
        // Two stages: first nobody gets in any more and calls end, then what they needed stops.
        let (front, back) = (shutdown.stage(), shutdown.stage());
        let watch = files.clone();
        let watcher = back.clone();
        back.spawn("files", async move { watch.watch(&watcher).await });
        let console = operator::Console::new(exchange.clone(), files, lines.clone(), address, self.clock.clone());
        back.spawn("operator", operator::serve(self.operator, Arc::new(console), back.clone()));

        let routes = grpc::partner_routes(exchange.clone(), &front).routes();
        let admission = tonic::service::InterceptorLayer::new(grpc::admission(exchange.clone(), |extensions| {
            extensions.get::<crate::tls::Caller>().map(|caller| caller.peer.clone())
        }));
        let guard = guard::of_lines();
        back.spawn("guard", guard::watch(guard.clone(), self.clock.clone(), back.clone()));
        let incoming = self.door.open(&front);
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
        let published = exchange.published();
        ready(Ready {
            node: self.settings.node.clone(),
            address,
            origin: self.origin,
            log_size: published.size(),
            directory: exchange.directories().in_force().version().0,
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
        if let Err(unfinished) = front.drain(DRAIN_MAX).await {
            tracing::warn!(event = "drain", %unfinished, "cut");
            lines.end(|_| true);
        }
        if let Err(unfinished) = back.drain(DRAIN_MAX).await {
            tracing::warn!(event = "drain", %unfinished, "cut");
        }
        drop(exchange);
        let last = self.clock.monotonic() + LAST_BATCH_MAX;
        let stopped = tokio::select! {
            stopped = stopped => stopped,
            () = self.clock.until(last) => return Ok(Ended::Failed("the last batch did not finish".into())),
        };
        let _ = std::fs::remove_file(&self.settings.operator);
        match stopped {
            Ok(sequencer::Stopped::Asked) => Ok(Ended::Asked),
            other => Ok(Ended::Failed(format!("the sequencer stopped: {other:?}"))),
        }
    }
}
