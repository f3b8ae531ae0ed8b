//! Running a node, and asking the one on this machine how it is.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use hyper_util::rt::TokioIo;
use liaison_client::Operator;
use liaison_protocol::id::Micros;
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};
use tonic::transport::Endpoint;

use super::{Exit, Failure, Output, output};
use crate::app::{App, CannotServe, Ended};
use crate::clock::SystemClock;
use crate::config::Settings;
use crate::shutdown::{Shutdown, Stopped};

/// Run a node.
#[derive(Args)]
pub(super) struct Serve {
    /// The node's configuration.
    #[arg(long, default_value = "liaison/hub.toml", value_name = "FILE")]
    config: PathBuf,
}

impl Serve {
    pub(super) async fn run(self, output: &mut Output) -> Result<Exit, Failure> {
        log_to_stderr();
        let settings = Settings::read(&self.config).map_err(|bad| Failure::new(Exit::Usage, bad.to_string()))?;
        let clock = Arc::new(SystemClock::new());
        let failure = |error: CannotServe| Failure::failed(error.to_string());
        let app = App::build(settings, clock.clone()).await.map_err(failure)?;
        let shutdown = Shutdown::new(clock);
        let failed = |error: std::io::Error| Failure::failed(format!("signals: {error}"));
        let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
        let asked = shutdown.clone();
        shutdown.stage().spawn("signals", async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            asked.begin(Stopped::Asked);
        });
        let ended = app
            .run(shutdown, |ready| {
                output.line(format!(
                    " ✔ node {}   {}   gRPC, mutual TLS 1.3\n ✔ log  {}   {} leaves   directory version {}",
                    ready.node, ready.address, ready.origin, ready.log_size, ready.directory
                ));
                output.emit(&json!({
                    "ready": true,
                    "node": ready.node.to_string(),
                    "address": ready.address.to_string(),
                    "log_origin": ready.origin.to_string(),
                    "log_size": ready.log_size,
                    "directory_version": ready.directory,
                    "recovered_statements": ready.recovered.statements,
                    "recovered_unsigned": ready.recovered.unsigned,
                }));
            })
            .await
            .map_err(failure)?;
        match ended {
            Ended::Asked => Ok(Exit::Done),
            Ended::Failed(why) => Err(Failure::failed(why)),
        }
    }
}

/// Events go to stderr, one line each; which ones is a filter in `RUST_LOG`.
fn log_to_stderr() {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    // A second subscriber in one process is refused; the first one goes on.
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).json().try_init();
}

/// A line to the operator's socket of a node of this machine.
pub(super) async fn operator(socket: &Path) -> Result<Operator, std::io::Error> {
    // Tried first, because the transport's own error does not say what the system said.
    drop(tokio::net::UnixStream::connect(socket).await?);
    let path = socket.to_owned();
    let endpoint = Endpoint::from_static("http://operator.invalid");
    let channel = endpoint.connect_with_connector(tower::service_fn(move |_| {
        let path = path.clone();
        async move { tokio::net::UnixStream::connect(path).await.map(TokioIo::new) }
    }));
    Ok(Operator::over(&socket.display().to_string(), channel.await.map_err(std::io::Error::other)?))
}

/// A node of this machine.
#[derive(Args)]
pub(super) struct Local {
    /// The node's configuration.
    #[arg(long, default_value = "liaison/hub.toml", value_name = "FILE")]
    config: PathBuf,
}

impl Local {
    async fn operator(&self) -> Result<Operator, Failure> {
        let settings = Settings::read(&self.config).map_err(|bad| Failure::new(Exit::Usage, bad.to_string()))?;
        operator(&settings.operator).await.map_err(|_| {
            Failure::new(Exit::Unavailable, format!("no node answers at {}", settings.operator.display()))
                .next(format!("liaison serve --config {}", self.config.display()))
        })
    }

    pub(super) async fn status(self, output: &mut Output) -> Result<Exit, Failure> {
        let status = self.operator().await?.status(0).await?;
        let due = Micros(status.directory_renew_by_us);
        output.line(format!(
            " node       {} {}   up {} s   {} connections",
            status.node, status.version, status.uptime_s, status.connections
        ));
        output.line(format!(" log        {}   {} leaves", status.log_origin, status.log_size));
        output.line(format!(" directory  version {}   renew by {}", status.directory_version, output::time(due)));
        for mailbox in &status.mailboxes {
            output.line(format!(
                " mailbox    {:<12} {:>6} waiting   {} streams",
                mailbox.partner, mailbox.waiting, mailbox.streams
            ));
        }
        output.set("node", status.node);
        output.set("version", status.version);
        output.set("uptime_s", status.uptime_s);
        output.set("connections", status.connections);
        output.set("log_origin", status.log_origin);
        output.set("log_size", status.log_size);
        output.set("directory_version", status.directory_version);
        output.set("directory_renew_by", output::time(due));
        let mailboxes: Vec<_> = status
            .mailboxes
            .iter()
            .map(|mailbox| json!({"partner": mailbox.partner, "waiting": mailbox.waiting, "streams": mailbox.streams}))
            .collect();
        output.set("mailboxes", mailboxes);
        Ok(Exit::Done)
    }

    pub(super) async fn reload(self, output: &mut Output) -> Result<Exit, Failure> {
        let outcomes = self.operator().await?.reload().await?;
        let kept = outcomes.iter().any(|outcome| outcome.contains("kept as it was"));
        outcomes.iter().for_each(|outcome| output.line(format!(" {outcome}")));
        output.set("outcomes", outcomes);
        Ok(if kept { Exit::Failed } else { Exit::Done })
    }
}
