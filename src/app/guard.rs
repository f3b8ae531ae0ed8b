//! The guard's questions, answered by the line.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use liaison_protocol::reason::Refusal;

use crate::clock::SharedClock;
use crate::grpc::{Guard, OnLine, Room};
use crate::shutdown::Shutdown;
use crate::tls::{Caller, Heavy, Held};

/// How often it is looked who takes nothing.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// The guard of what partners are served.
pub(super) fn of_lines() -> Guard {
    Guard::new(|extensions| extensions.get::<Caller>().map(|caller| Arc::new(caller.clone()) as Arc<dyn OnLine>))
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
