//! What a node says while it runs: the log for operators on stderr, filtered by `RUST_LOG`, and the audit, which nothing filters.
//! Neither may hold up the traffic: both go through a bounded queue and a thread of their own.

mod audit;
pub mod events;
mod gathered;
mod sink;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::{EnvFilter, FilterExt as _, filter_fn};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

pub use audit::{Audit, TARGET};
pub use sink::Sink;

use crate::clock::SharedClock;
use crate::config::AuditTo;

/// What still waits to be written when the process ends may take this long: a blocked sink must not keep a node from stopping.
const FLUSH_MAX: Duration = Duration::from_secs(1);

/// Both ways out of the process. Dropped, it writes what still waits.
pub struct Telemetry {
    log: Arc<Sink>,
    audit: Arc<Audit>,
}

impl Telemetry {
    /// Opens the audit and listens to everything that is said in this process from now on.
    pub fn install(audit: &AuditTo, clock: SharedClock) -> io::Result<Self> {
        let log = Arc::new(Sink::start("log", sink::open(&AuditTo::Stderr)?, None)?);
        let audit = Arc::new(Audit::start(audit, clock)?);
        let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
        let lines = tracing_subscriber::fmt::layer()
            .json()
            .with_writer(ToSink(log.clone()))
            .with_filter(filter.and(filter_fn(|about| about.target() != TARGET)));
        let events = audit::Listener(audit.clone()).with_filter(filter_fn(|about| about.target() == TARGET));
        // A second subscriber in one process is refused; the first one goes on.
        let _ = tracing_subscriber::registry().with(lines).with(events).try_init();
        Ok(Self { log, audit })
    }

    /// The audit, for whoever shows how it is.
    pub fn audit(&self) -> &Arc<Audit> {
        &self.audit
    }
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        self.audit.flush(FLUSH_MAX);
        self.log.flush(FLUSH_MAX);
    }
}

/// Lines of the operators' log, each whole.
struct ToSink(Arc<Sink>);

impl<'a> MakeWriter<'a> for ToSink {
    type Writer = OneLine<'a>;

    fn make_writer(&'a self) -> OneLine<'a> {
        OneLine(&self.0)
    }
}

/// The formatter writes an event with one call.
struct OneLine<'a>(&'a Sink);

impl io::Write for OneLine<'_> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.push(line.to_vec());
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
