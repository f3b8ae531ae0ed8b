//! Running a node, and asking the one on this machine how it is.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use hyper_util::rt::TokioIo;
use liaison_client::Operator;
use liaison_protocol::directory::BadDirectory;
use liaison_protocol::id::Micros;
use liaison_protocol::proto::GetStatusResponse;
use rustix::process::{Resource, Rlimit, setrlimit};
use sd_notify::NotifyState;
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};
use tonic::transport::Endpoint;

use super::{Exit, Failure, Output, output};
use crate::app::{self, App, CannotServe, Ended};
use crate::clock::{SharedClock, SystemClock};
use crate::config::folder::BadFolder;
use crate::config::{self, AuditTo, Settings};
use crate::shutdown::{Shutdown, Stopped};
use crate::telemetry::Telemetry;

/// Run a node.
#[derive(Args)]
pub(super) struct Serve {
    /// The node's configuration.
    #[arg(long, default_value = "liaison/hub.toml", value_name = "FILE")]
    config: PathBuf,
    /// Look at everything a start looks at, say what it would say, and start nothing.
    #[arg(long)]
    check: bool,
}

/// Keys and notices are in memory, and nothing of it is written down when the process breaks. It can still be read under /proc by its
/// own user, as before (`PR_SET_DUMPABLE`): that is how its memory is measured.
fn no_core_dumps() -> std::io::Result<()> {
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    // Some systems hand dumps to a program whatever the limit: then there is no heap and no stack in them (core(5)). Where /proc
    // cannot be written, the limit is all there is.
    let _ = std::fs::write("/proc/self/coredump_filter", "0");
    Ok(())
}

impl Serve {
    pub(super) async fn run(self, output: &mut Output) -> Result<Exit, Failure> {
        let settings = Settings::read(&self.config).map_err(|bad| Failure::new(Exit::Usage, bad.to_string()))?;
        // Serving or checking, a wrong configuration is said in the same words.
        let failure = |error: CannotServe| {
            let usage = matches!(
                error,
                CannotServe::File { .. }
                    | CannotServe::Credentials { .. }
                    | CannotServe::Bind { .. }
                    | CannotServe::Directory(BadFolder::Bad { source: BadDirectory::OtherNetwork { .. }, .. })
            );
            let exit = if usage { Exit::Usage } else { Exit::Failed };
            Failure::new(exit, format!("{}: {error}", self.config.display()))
        };
        if self.check {
            return check(&settings, output).await.map_err(failure);
        }
        no_core_dumps().map_err(|error| Failure::failed(format!("the limit of core dumps: {error}")))?;
        let clock = Arc::new(SystemClock::new());
        let telemetry = Telemetry::install(&settings.audit, clock.clone()).map_err(|error| {
            let to = match &settings.audit {
                AuditTo::File(file) => file.display().to_string(),
                other => format!("{other:?}"),
            };
            Failure::new(Exit::Usage, format!("{}: audit.to: {to}: {error}", self.config.display()))
        })?;
        let failed = |error: std::io::Error| Failure::failed(format!("signals: {error}"));
        // Before the start, which may take long: whoever hangs up does not end it.
        let mut hangup = signal(SignalKind::hangup()).map_err(failed)?;
        let app = App::build(settings, clock.clone(), telemetry.audit().clone()).await.map_err(failure)?;
        let shutdown = Shutdown::new(clock.clone());
        supervised(&shutdown, clock, app.liveness());
        let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
        let (asked, reload) = (shutdown.clone(), app.reloader());
        shutdown.stage().spawn("signals", async move {
            loop {
                tokio::select! {
                    _ = terminate.recv() => break,
                    _ = interrupt.recv() => break,
                    _ = hangup.recv() => reload(),
                }
            }
            let _ = sd_notify::notify(&[NotifyState::Stopping]);
            asked.begin(Stopped::Asked);
        });
        let ended = app
            .run(shutdown, |ready| {
                output.line(format!(
                    " ✔ node {}   {}   gRPC, mutual TLS 1.3\n ✔ log  {}   {} leaves   directory version {}",
                    ready.node, ready.address, ready.origin, ready.log_size, ready.directory
                ));
                if let Some(why) = &ready.recovered.recovering {
                    output.line(format!(" ! recovering: nothing is taken and nothing is signed: {why}"));
                }
                if let Some(ops) = ready.ops {
                    output.line(format!(" ✔ ops  http://{ops}   /livez /readyz /metrics"));
                }
                output.emit(&json!({
                    "ready": true,
                    "node": ready.node.to_string(),
                    "address": ready.address.to_string(),
                    "ops": ready.ops.map(|ops| ops.to_string()),
                    "log_origin": ready.origin.to_string(),
                    "log_size": ready.log_size,
                    "directory_version": ready.directory,
                    "recovered_statements": ready.recovered.statements,
                    "recovered_unsigned": ready.recovered.unsigned,
                    "recovering": ready.recovered.recovering,
                }));
                // Whoever did not start this process does not hear it.
                let _ = sd_notify::notify(&[NotifyState::Ready]);
            })
            .await
            .map_err(failure)?;
        match ended {
            Ended::Asked => Ok(Exit::Done),
            Ended::Failed(why) => Err(Failure::failed(why)),
        }
    }
}

async fn check(settings: &Settings, output: &mut Output) -> Result<Exit, CannotServe> {
    let checked = app::check(settings).await?;
    output.set("recovering", checked.recovering.clone());
    if let Some(why) = &checked.recovering {
        output.line(format!(" ✘ {}   a start would take nothing and sign nothing: {why}", settings.file.display()));
        output.line(format!(" Next:  liaison doctor --config {}", settings.file.display()));
        return Ok(Exit::Failed);
    }
    output.line(format!(" ✔ {}   directory version {}", settings.file.display(), checked.directory));
    if checked.running {
        output.line(" ! a node with this configuration is running: its ports and its store were not tried");
    } else {
        output.line(format!(" Next:  liaison serve --config {}", settings.file.display()));
    }
    output.set("configuration", settings.file.display().to_string());
    output.set("directory_version", checked.directory);
    output.set("running", checked.running);
    Ok(Exit::Done)
}

/// Tells whoever started this process, if it asked to be told, that a restart would not help (systemd's watchdog).
fn supervised(shutdown: &Shutdown, clock: SharedClock, is_live: impl Fn() -> bool + Send + Sync + 'static) {
    let Some(patience) = sd_notify::watchdog_enabled() else { return };
    let stage = shutdown.stage();
    let stopping = stage.clone();
    stage.spawn("watchdog", async move {
        while !stopping.is_stopping() {
            if is_live() {
                let _ = sd_notify::notify(&[NotifyState::Watchdog]);
            }
            clock.until(clock.monotonic() + patience / 3).await;
        }
    });
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
        let socket =
            config::operator_socket(&self.config).map_err(|bad| Failure::new(Exit::Usage, bad.to_string()))?;
        operator(&socket).await.map_err(|_| {
            Failure::new(Exit::Unavailable, format!("no node answers at {}", socket.display()))
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
        if let serde_json::Value::Object(object) = to_json(&status) {
            object.into_iter().for_each(|(key, value)| output.set(&key, value));
        }
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

fn to_json(status: &GetStatusResponse) -> serde_json::Value {
    let mailboxes: Vec<_> = status
        .mailboxes
        .iter()
        .map(|mailbox| json!({"partner": mailbox.partner, "waiting": mailbox.waiting, "streams": mailbox.streams}))
        .collect();
    json!({
        "node": status.node,
        "version": status.version,
        "uptime_s": status.uptime_s,
        "connections": status.connections,
        "log_origin": status.log_origin,
        "log_size": status.log_size,
        "directory_version": status.directory_version,
        "directory_renew_by": output::time(Micros(status.directory_renew_by_us)),
        "mailboxes": mailboxes,
    })
}

/// How the node with this configuration is, as one object; why it does not say, in a sentence.
pub(super) async fn status_of(config: &Path) -> Result<serde_json::Value, String> {
    let local = Local { config: config.into() };
    let operator = local.operator().await.map_err(|failure| failure.message)?;
    operator.status(0).await.map(|status| to_json(&status)).map_err(|error| error.to_string())
}
