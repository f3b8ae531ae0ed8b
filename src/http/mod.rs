//! The ops port: what monitoring asks of a node. Plain HTTP on a port of its own, closed to other machines unless the configuration
//! says otherwise; it shows numbers and states, never a notice, a key or a person, and changes nothing.

mod health;
pub mod metrics;
mod places;
mod process;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use liaison_protocol::id::Micros;
use tokio::net::{TcpListener, TcpStream};

use crate::clock::SharedClock;
use crate::counts::Counts;
use crate::exchange::Exchange;
use crate::shutdown::Shutdown;
use crate::telemetry::Audit;

use places::Places;

pub use health::{Facts, Unready, unready};

/// A scraper, its twin and an operator's browser; more than this are nobody's, and the oldest of them gives way.
const CONNECTIONS_MAX: usize = 32;
/// One request and its answer. Whoever takes longer is cut off.
const REQUEST_MAX: Duration = Duration::from_secs(10);
/// How long nothing is accepted when the machine is short of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(250);

/// What is asked of the process around the exchange.
pub trait Process: Send + Sync + 'static {
    /// The end of the certificate that handshakes show now.
    fn certificate_valid_until(&self) -> Micros;
    /// Whether nobody new can come because that end has passed.
    fn certificate_is_over(&self, now: Micros) -> bool;
    /// Lines open now.
    fn connections(&self) -> usize;
}

/// What the ops port reads once the node serves.
pub struct Serving {
    /// The spine.
    pub exchange: Arc<Exchange>,
    /// The process around it.
    pub process: Arc<dyn Process>,
}

/// What the ops port reads. It answers from the first moment: while a node starts and while it stops, that is what it says.
pub struct Ops {
    counts: Arc<Counts>,
    audit: Arc<Audit>,
    clock: SharedClock,
    /// Both clocks when this was made.
    started: (Micros, Duration),
    serving: ArcSwapOption<Serving>,
    draining: AtomicBool,
}

impl Ops {
    /// For a node that starts.
    pub fn new(counts: Arc<Counts>, audit: Arc<Audit>, clock: SharedClock) -> Arc<Self> {
        let started = (clock.now(), clock.monotonic());
        let draining = AtomicBool::new(false);
        Arc::new(Self { counts, audit, clock, started, serving: ArcSwapOption::empty(), draining })
    }

    /// Partners are served from now on.
    pub fn serving(&self, serving: Serving) {
        self.serving.store(Some(Arc::new(serving)));
    }

    /// The node has been asked to stop.
    pub fn draining(&self) {
        self.draining.store(true, Relaxed);
    }

    /// Nobody is served any more, and what served is let go.
    pub fn stopped(&self) {
        self.serving.store(None);
    }

    /// Whether a restart would not help: the single writer comes round.
    pub fn is_live(&self) -> bool {
        health::stalled(&self.facts()).is_none()
    }

    /// Whether nothing stands against its being ready.
    pub fn is_ready(&self) -> bool {
        unready(&self.facts()).is_empty()
    }

    fn facts(&self) -> Facts {
        let serving = self.serving.load_full();
        let (now, monotonic) = (self.clock.now(), self.clock.monotonic());
        Facts {
            serving: serving.is_some(),
            draining: self.draining.load(Relaxed),
            certificate_over: serving.is_some_and(|serving| serving.process.certificate_is_over(now)),
            writer_silent: self.counts.turned.age(monotonic),
            store_full: self.counts.store_full.is_set(),
            no_reserve: self.counts.no_reserve.is_set(),
            store_away: self.counts.store_away.is_set(),
            recovering: self.counts.recovering.is_set(),
            clocks_apart: self.counts.clocks_apart.is_set(),
            audit_losing: self.audit.is_losing(),
            files_stalled: self.counts.files_stalled.is_set(),
        }
    }
}

/// Answers on a bound port until `shutdown`'s stage stops.
pub async fn serve(listener: TcpListener, ops: Arc<Ops>, shutdown: Shutdown) {
    let clock = ops.clock.clone();
    let router = Router::new()
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics_page))
        .with_state(ops);
    let places = Places::default();
    loop {
        let accepted = tokio::select! {
            biased;
            () = shutdown.stopping() => return,
            accepted = listener.accept() => accepted,
        };
        let Ok((tcp, _)) = accepted else {
            clock.until(clock.monotonic() + ACCEPT_PAUSE).await;
            continue;
        };
        let (router, clock, place) = (router.clone(), clock.clone(), places.enter(CONNECTIONS_MAX));
        shutdown.spawn_for_caller("ops request", async move {
            tokio::select! {
                () = place.lost() => {}
                () = answer(tcp, router) => {}
                () = clock.until(clock.monotonic() + REQUEST_MAX) => {}
            }
        });
    }
}

async fn answer(tcp: TcpStream, router: Router) {
    let service = TowerToHyperService::new(router);
    // One request a connection: a place is held for as long as an answer takes.
    let connection =
        hyper::server::conn::http1::Builder::new().keep_alive(false).serve_connection(TokioIo::new(tcp), service);
    if let Err(error) = connection.await {
        tracing::debug!(%error, "an ops request broke off");
    }
}

fn plain(status: StatusCode, text: String) -> Response {
    (status, [(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response()
}

/// Whether restarting would help: the single writer comes round.
async fn livez(State(ops): State<Arc<Ops>>) -> Response {
    let facts = ops.facts();
    match health::stalled(&facts) {
        None => plain(StatusCode::OK, "live\n".into()),
        Some(why) => plain(StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")),
    }
}

/// Whether partners are served as they should be; if not, why, one reason a line.
async fn readyz(State(ops): State<Arc<Ops>>) -> Response {
    let reasons = unready(&ops.facts());
    if reasons.is_empty() {
        return plain(StatusCode::OK, "ready\n".into());
    }
    plain(StatusCode::SERVICE_UNAVAILABLE, reasons.iter().map(|reason| format!("{reason}\n")).collect())
}

async fn metrics_page(State(ops): State<Arc<Ops>>) -> Response {
    match metrics::exposition(ops) {
        Ok(text) => (StatusCode::OK, [(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response(),
        Err(_) => plain(StatusCode::INTERNAL_SERVER_ERROR, "the metrics cannot be written\n".into()),
    }
}
