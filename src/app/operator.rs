//! The operator's socket: a file that only the node's own user can open.

use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use liaison_protocol::id::Hash;
use liaison_protocol::proto::MailboxStatus;
use tokio::net::UnixListener;
use tokio_stream::wrappers::UnixListenerStream;

use super::files::Files;
use crate::clock::SharedClock;
use crate::config::Settings;
use crate::exchange::Exchange;
use crate::grpc::{self, Looking, NodeStatus, Operator, Reloading};
use crate::peer::Owner;
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
    listen: SocketAddr,
    clock: SharedClock,
    settings: Settings,
    started: Duration,
}

impl Console {
    pub(super) fn new(
        exchange: Arc<Exchange>,
        files: Arc<Files>,
        lines: Lines,
        listen: SocketAddr,
        clock: SharedClock,
        settings: Settings,
    ) -> Self {
        let started = clock.monotonic();
        Self { exchange, files, lines, listen, clock, settings, started }
    }
}

impl Operator for Console {
    fn status(&self, since_size: u64) -> Looking {
        let directory = self.exchange.directories().in_force();
        let (limits, by_owner) = (*self.lines.limits(), self.lines.by_owner());
        let (queued, queued_max) = self.exchange.queued();
        let (descriptors, descriptors_max) = descriptors().unwrap_or_default();
        let mut status = NodeStatus {
            node: self.exchange.node().to_string(),
            uptime_s: self.clock.monotonic().saturating_sub(self.started).as_secs(),
            log_origin: self.exchange.origin().to_string(),
            directory_version: directory.version().0,
            directory_renew_by_us: directory.directory().head().renew_by().0,
            connections: small(self.lines.open()),
            listen: self.listen.to_string(),
            connections_max: small(limits.connections),
            handshakes: small(self.lines.handshakes()),
            handshakes_max: small(limits.handshakes),
            connections_per_partner_max: small(limits.connections_per_owner),
            queued: queued as u64,
            queued_max: queued_max as u64,
            descriptors,
            descriptors_max,
            ..NodeStatus::default()
        };
        let exchange = self.exchange.clone();
        Box::pin(async move {
            for (partner, number, streams) in exchange.mailboxes() {
                let waiting = exchange.waiting(number).await.unwrap_or_default();
                let connections = by_owner.get(&Owner::Partner(partner.clone())).copied().unwrap_or(0);
                status.mailboxes.push(MailboxStatus {
                    partner: partner.to_string(),
                    waiting: waiting.notices,
                    streams,
                    urgent: waiting.urgent,
                    oldest_at_us: waiting.oldest.map_or(0, |at| at.0),
                    connections: small(connections),
                });
            }
            let proven = exchange.consistency(since_size, 0).await;
            // A size that the log never had, or has no more, proves nothing; the checkpoint says how many leaves there are.
            let (published, path) = match proven {
                Ok(proof) if since_size > 0 => (proof.published, proof.path),
                _ => (exchange.published(), Vec::new()),
            };
            status.log_size = published.size();
            status.checkpoint = published.checkpoint.clone();
            status.consistency = path.into_iter().map(Hash::to_bytes).collect();
            status
        })
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

fn small(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// File descriptors of this process, open and at most. None: the system does not say.
fn descriptors() -> Option<(u64, u64)> {
    let open = std::fs::read_dir("/proc/self/fd").ok()?.count() as u64;
    let limits = std::fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    Some((open, line.split_whitespace().next()?.parse().unwrap_or(u64::MAX)))
}
