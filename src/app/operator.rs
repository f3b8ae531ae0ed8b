//! The operator's socket: a file that only the node's own user can open.

use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::UnixListener;
use tokio_stream::wrappers::UnixListenerStream;

use super::files::Files;
use crate::clock::SharedClock;
use crate::config::Settings;
use crate::exchange::Exchange;
use crate::grpc::{self, NodeStatus, Operator, Reloading};
use crate::shutdown::Shutdown;
use crate::tls::Lines;

/// Binds the socket anew. A file left behind by a crash is in nobody's use; one that somebody answers on is another node's.
pub(super) fn bind(path: &Path) -> io::Result<UnixListener> {
    if std::os::unix::net::UnixStream::connect(path).is_ok() {
        return Err(io::Error::new(io::ErrorKind::AddrInUse, "another node answers on it"));
    }
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

pub(super) async fn serve(listener: UnixListener, operator: Arc<dyn Operator>, shutdown: Shutdown) {
    let routes = grpc::operator_routes(operator).routes();
    let server = tonic::transport::Server::builder().add_routes(routes);
    let incoming = UnixListenerStream::new(listener);
    if let Err(error) =
        server.serve_with_incoming_shutdown(incoming, async move { shutdown.stopping().await }).await
    {
        tracing::error!(%error, "the operator's socket closed");
    }
}

/// What the operator sees.
pub(super) struct Console {
    exchange: Arc<Exchange>,
    files: Arc<Files>,
    lines: Lines,
    clock: SharedClock,
    settings: Settings,
    started: Duration,
}

impl Console {
    pub(super) fn new(
        exchange: Arc<Exchange>,
        files: Arc<Files>,
        lines: Lines,
        clock: SharedClock,
        settings: Settings,
    ) -> Self {
        let started = clock.monotonic();
        Self { exchange, files, lines, clock, settings, started }
    }
}

impl Operator for Console {
    fn status(&self) -> NodeStatus {
        let directory = self.exchange.directories().in_force();
        let mailboxes = self.exchange.mailboxes().into_iter();
        NodeStatus {
            node: self.exchange.node().to_string(),
            uptime_s: self.clock.monotonic().saturating_sub(self.started).as_secs(),
            log_origin: self.exchange.origin().to_string(),
            log_size: self.exchange.published().size(),
            directory_version: directory.version().0,
            directory_renew_by_us: directory.directory().head().renew_by().0,
            mailboxes: mailboxes
                .map(|(partner, waiting, streams)| (partner.to_string(), waiting, streams))
                .collect(),
            connections: u32::try_from(self.lines.open()).unwrap_or(u32::MAX),
        }
    }

    fn reload(&self) -> Reloading {
        let (files, settings) = (self.files.clone(), self.settings.clone());
        Box::pin(async move {
            let mut outcomes = vec![configuration(&settings)];
            outcomes.extend(files.reload().await);
            outcomes
        })
    }
}

/// The configuration itself is in force from start to stop; a reload says whether the next start would take it.
fn configuration(in_force: &Settings) -> String {
    match Settings::read(&in_force.file) {
        Ok(found) if found == *in_force => "configuration: unchanged".into(),
        Ok(_) => "configuration: changed, and in force after a restart".into(),
        Err(problem) => {
            tracing::error!(target: "audit", event = "reload_failed", %problem);
            format!("configuration: kept as it was: {problem}")
        }
    }
}
