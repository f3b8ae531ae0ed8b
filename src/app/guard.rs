//! The guard's questions, answered by the line.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use liaison_protocol::reason::Refusal;

use crate::clock::SharedClock;
use crate::counts::{Calls, Counts};
use crate::grpc::{self, Guard, OnLine, Room, Times};
use crate::shutdown::Shutdown;
use crate::tls::{Caller, Heavy, Held};

/// How often it is looked who takes nothing.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// The guard of what partners are served.
pub(super) fn of_lines(counts: Arc<Counts>) -> Guard {
    let line_of = |extensions: &http::Extensions| {
        extensions.get::<Caller>().map(|caller| Arc::new(caller.clone()) as Arc<dyn OnLine>)
    };
    Guard::new(line_of, Arc::new(Kept(counts)))
}

/// Cuts slow readers until told to stop.
pub(super) async fn watch(guard: Guard, clock: SharedClock, shutdown: Shutdown) {
    loop {
        tokio::select! {
            () = shutdown.stopping() => return,
            () = clock.until(clock.monotonic() + LOOK_EVERY) => guard.cut_stalled(),
        }
    }
}

/// Whoever calls again within this time after its last answer learns from the node itself that it stops, and when to come back. A line
/// that closed at once would leave such a call without a reason.
const FAREWELL_MIN: Duration = Duration::from_millis(300);
/// Calls that have no answer by then are not waited for: the drain does that.
const FAREWELL_MAX: Duration = Duration::from_secs(5);
/// How often it is looked whether all calls are answered.
const FAREWELL_LOOK: Duration = Duration::from_millis(20);

/// Refuses what comes from now on, and gives those who call the time to hear it.
pub(super) async fn farewell(guard: &Guard, clock: &SharedClock) {
    guard.stop(grpc::stopping());
    let (least, most) = (clock.monotonic() + FAREWELL_MIN, clock.monotonic() + FAREWELL_MAX);
    let mut answered = least;
    while clock.monotonic() < answered.min(most) {
        clock.until(clock.monotonic() + FAREWELL_LOOK).await;
        if guard.unanswered() > 0 {
            // Whoever gets its answer now may have a next call ready.
            answered = clock.monotonic() + FAREWELL_MIN;
        }
    }
}

/// Times of calls, kept by the method's place in `METHODS`.
struct Kept(Arc<Counts>);

impl Times for Kept {
    fn method(&self, path: &str) -> usize {
        Calls::method(path)
    }

    fn answered(&self, method: usize, took: Duration) {
        self.0.calls.answered(method, took);
    }
}

impl OnLine for Caller {
    fn name(&self) -> String {
        self.peer.identity().to_string()
    }

    fn ending(&self) -> Option<Refusal> {
        Self::ending(self)
    }

    fn ended(&self) -> Pin<Box<dyn Future<Output = Refusal> + Send>> {
        Box::pin(Self::ended(self))
    }

    fn call(&self) -> Result<Box<dyn Send>, &'static str> {
        let place = self.load().call().map_err(Heavy::reason)?;
        Ok(Box::new(place))
    }

    fn room(&self) -> Box<dyn Room> {
        Box::new(self.load().hold())
    }

    fn monotonic(&self) -> Duration {
        Self::monotonic(self)
    }

    fn cut_slow_reader(&self) {
        Self::cut_slow_reader(self);
    }
}

impl Room for Held {
    fn resize(&mut self, bytes: usize) -> Result<(), &'static str> {
        Self::resize(self, bytes).map_err(Heavy::reason)
    }

    fn freed(&self) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(Self::freed(self))
    }
}
