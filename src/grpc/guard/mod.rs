//! Stands between the line and the services: how much one partner may have under way, who is told that its line ends, and who takes
//! nothing of what it asked for. It knows no method and no message, so nothing that is served can be forgotten here.

mod incoming;
mod outgoing;
mod spoken;

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use liaison_protocol::reason::{Reason, Refusal};
use tonic::body::Body;
use tower::{Layer, Service};

use super::status;
use crate::exchange::Rooms;
use incoming::Incoming;
use outgoing::Outgoing;

/// When a caller that has too much under way may try again.
const RETRY_AFTER_MS: u32 = 1_000;

/// A system may be busy for a while with what it was given. Whoever takes none of 64 KiB for so long would not notice if it were
/// somebody else's turn.
const STALL_MAX: Duration = Duration::from_secs(300);

/// What the guard asks of the line that a call came over.
pub trait OnLine: Send + Sync + 'static {
    /// Who is on it, for the log.
    fn name(&self) -> String;
    /// Why it is ending, if it is.
    fn ending(&self) -> Option<Refusal>;
    /// Returns when it begins to end.
    fn ended(&self) -> Pin<Box<dyn Future<Output = Refusal> + Send>>;
    /// A place for a call among those of the same partner, given back when dropped. Err: the limit's name.
    fn call(&self) -> Result<Box<dyn Send>, &'static str>;
    /// Room for bytes that are held for this partner: none yet.
    fn room(&self) -> Box<dyn Room>;
    /// Time that never goes back.
    fn monotonic(&self) -> Duration;
    /// Breaks it: its other end takes nothing.
    fn cut_slow_reader(&self);
}

/// Bytes held for a partner; given back when dropped.
pub trait Room: Send {
    /// Holds so many from now on. Err: the limit's name, and as many as before.
    fn resize(&mut self, bytes: usize) -> Result<(), &'static str>;
    /// Returns when somebody has given bytes back after this was asked.
    fn freed(&self) -> Pin<Box<dyn Future<Output = ()> + Send>>;
}

/// Who keeps how long calls take. The guard knows no method, so a method is a number to it.
pub trait Times: Send + Sync + 'static {
    /// The number of the method that a path names.
    fn method(&self, path: &str) -> usize;
    /// A call of this method was answered: a unary one whole, a stream by its beginning.
    fn answered(&self, method: usize, took: Duration);
}

/// Bytes that a service holds while it works.
struct Working(Box<dyn Room>);

impl crate::exchange::Room for Working {
    fn resize(&mut self, bytes: usize) -> Result<(), &'static str> {
        self.0.resize(bytes)
    }
}

/// The guard of a server: a layer outside of everything else.
#[derive(Clone)]
pub struct Guard {
    line_of: fn(&http::Extensions) -> Option<Arc<dyn OnLine>>,
    times: Arc<dyn Times>,
    answers: Arc<Answers>,
}

impl Guard {
    /// `line_of` finds the line of a call.
    pub fn new(line_of: fn(&http::Extensions) -> Option<Arc<dyn OnLine>>, times: Arc<dyn Times>) -> Self {
        Self { line_of, times, answers: Arc::default() }
    }

    /// Refuses every call from now on with this. Calls under way go on.
    pub fn stop(&self, why: Refusal) {
        let _ = self.answers.stopping.set(why);
    }

    /// Calls that wait for the beginning of their answer.
    pub fn unanswered(&self) -> usize {
        self.answers.unanswered.load(Relaxed)
    }

    /// Breaks the lines of those who have taken nothing for too long. To be called again and again: what is not taken wakes nobody.
    pub fn cut_stalled(&self) {
        let open: Vec<_> = self.answers.open().values().cloned().collect();
        for progress in open {
            let now = progress.line.monotonic();
            let since = progress.handed_since();
            if since.is_some_and(|since| now.saturating_sub(since) >= STALL_MAX) {
                progress.line.cut_slow_reader();
            }
        }
    }
}

impl<S> Layer<S> for Guard {
    type Service = Guarded<S>;

    fn layer(&self, inner: S) -> Guarded<S> {
        Guarded { inner, guard: self.clone() }
    }
}

/// A service behind the guard.
#[derive(Clone)]
pub struct Guarded<S> {
    inner: S,
    guard: Guard,
}

impl<S, B> Service<http::Request<Body>> for Guarded<S>
where
    S: Service<http::Request<Body>, Response = http::Response<B>>,
    S::Future: Send + 'static,
    S::Error: Send,
    B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Response = http::Response<Body>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let refuse = |refusal: &Refusal| {
            let response = status::of(refusal).into_http();
            Box::pin(async move { Ok(response) }) as Self::Future
        };
        let Some(line) = (self.guard.line_of)(request.extensions()) else {
            return refuse(&Refusal::new(Reason::Defect, "a call without a line"));
        };
        if let Some(why) = line.ending() {
            return refuse(&why);
        }
        if let Some(why) = self.guard.answers.stopping.get() {
            return refuse(why);
        }
        if let Some(response) = spoken::refused(&request) {
            return Box::pin(async move { Ok(response) });
        }
        let place = match line.call() {
            Ok(place) => place,
            Err(limit) => return refuse(&limited(&*line, limit)),
        };
        let (method, began) = (self.guard.times.method(request.uri().path()), line.monotonic());
        let room = line.room();
        let mut request = request;
        let of_line = line.clone();
        request.extensions_mut().insert(Rooms::new(move || Box::new(Working(of_line.room()))));
        let request = request.map(|body| Body::new(Incoming::new(body, room)));
        let response = self.inner.call(request);
        let (answers, times) = (self.guard.answers.clone(), self.guard.times.clone());
        let unanswered = Unanswered::begin(&answers);
        Box::pin(async move {
            let _unanswered = unanswered;
            let response = tokio::select! {
                biased;
                why = line.ended() => return Ok(status::of(&why).into_http()),
                response = response => response?,
            };
            times.answered(method, line.monotonic().saturating_sub(began));
            if let Some(status) = status::reasoned(response.headers()) {
                return Ok(status.into_http());
            }
            Ok(response.map(|body| Body::new(Outgoing::new(body, line, place, answers))))
        })
    }
}

/// All answers under way.
#[derive(Default)]
struct Answers {
    last: AtomicU64,
    open: Mutex<HashMap<u64, Arc<Progress>>>,
    unanswered: AtomicUsize,
    /// Why no call is taken any more.
    stopping: OnceLock<Refusal>,
}

/// Counts a call until its answer begins.
struct Unanswered(Arc<Answers>);

impl Unanswered {
    fn begin(answers: &Arc<Answers>) -> Self {
        answers.unanswered.fetch_add(1, Relaxed);
        Self(answers.clone())
    }
}

impl Drop for Unanswered {
    fn drop(&mut self) {
        self.0.unanswered.fetch_sub(1, Relaxed);
    }
}

/// Whether an answer moves.
struct Progress {
    line: Arc<dyn OnLine>,
    /// When the last piece was handed over, in milliseconds and one; 0: it has been taken, or there was none.
    handed: AtomicU64,
}

impl Answers {
    fn begin(self: &Arc<Self>, line: Arc<dyn OnLine>) -> Answer {
        let progress = Arc::new(Progress { line, handed: AtomicU64::new(0) });
        let number = self.last.fetch_add(1, Relaxed);
        self.open().insert(number, progress.clone());
        Answer { answers: self.clone(), number, progress }
    }

    fn open(&self) -> std::sync::MutexGuard<'_, HashMap<u64, Arc<Progress>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What whoever has too much under way is told, and the audit.
fn limited(line: &dyn OnLine, limit: &'static str) -> Refusal {
    let identity = line.name();
    tracing::warn!(target: "audit", event = "call.limited", reason = limit, identity);
    let message = "the caller has more under way than it may";
    Refusal::new(Reason::Busy, message).with("limit", limit).retry_after_ms(RETRY_AFTER_MS)
}

/// An answer's place in the list; given back when dropped.
struct Answer {
    answers: Arc<Answers>,
    number: u64,
    progress: Arc<Progress>,
}

impl Answer {
    fn handed(&self) {
        let now = u64::try_from(self.progress.line.monotonic().as_millis()).unwrap_or(u64::MAX);
        self.progress.handed.store(now.saturating_add(1), Relaxed);
    }

    fn taken(&self) {
        self.progress.handed.store(0, Relaxed);
    }
}

impl Progress {
    fn handed_since(&self) -> Option<Duration> {
        self.handed.load(Relaxed).checked_sub(1).map(Duration::from_millis)
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.answers.open().remove(&self.number);
    }
}

#[cfg(test)]
mod tests;
