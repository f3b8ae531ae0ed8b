//! `grpc.health.v1.Health`: whether this node is ready, for the node as a whole and for each of its services.

use std::pin::Pin;

use futures_util::stream::{self, Stream};
use tokio::sync::watch;
use tonic::{Request, Response, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_server::Health;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

use super::generated::directory_service_server::SERVICE_NAME as DIRECTORY;
use super::generated::exchange_service_server::SERVICE_NAME as EXCHANGE;
use super::generated::log_service_server::SERVICE_NAME as LOG;
use crate::shutdown::Shutdown;

/// What can be asked about. A node that is not ready may still answer some calls; which of them is for `/readyz` to say, and a
/// balancer should look elsewhere.
const SERVICES: [&str; 4] = ["", EXCHANGE, LOG, DIRECTORY];

pub(super) struct Service {
    ready: watch::Receiver<bool>,
    shutdown: Shutdown,
}

impl Service {
    /// Whoever watches is told when `shutdown`'s stage stops, and the stream ends.
    pub(super) fn new(ready: watch::Receiver<bool>, shutdown: Shutdown) -> Self {
        Self { ready, shutdown }
    }
}

fn status(ready: bool) -> HealthCheckResponse {
    let status = if ready { ServingStatus::Serving } else { ServingStatus::NotServing };
    HealthCheckResponse { status: status.into() }
}

/// What a watcher was told last.
enum Told {
    Nothing,
    Ready(bool),
    /// The node stops.
    Last,
}

#[tonic::async_trait]
impl Health for Service {
    async fn check(&self, request: Request<HealthCheckRequest>) -> Result<Response<HealthCheckResponse>, Status> {
        if !SERVICES.contains(&request.get_ref().service.as_str()) {
            // As the health protocol has it: no reason of ours stands in it.
            return Err(Status::not_found("no such service"));
        }
        let ready = *self.ready.borrow() && !self.shutdown.is_stopping();
        Ok(Response::new(status(ready)))
    }

    type WatchStream = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

    async fn watch(&self, request: Request<HealthCheckRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let known = SERVICES.contains(&request.get_ref().service.as_str());
        let shutdown = self.shutdown.clone();
        let stopping = Box::pin(async move { shutdown.stopping().await });
        let watched = (self.ready.clone(), stopping, Told::Nothing);
        let changes = stream::unfold(watched, move |(mut ready, mut stopping, told)| async move {
            let next = match told {
                Told::Nothing => Some(*ready.borrow_and_update()),
                Told::Last => return None,
                Told::Ready(before) => tokio::select! {
                    biased;
                    () = &mut stopping => None,
                    changed = ready.wait_for(|ready| known && *ready != before) => changed.ok().map(|ready| *ready),
                },
            };
            let Some(said) = next else { return Some((Ok(status(false)), (ready, stopping, Told::Last))) };
            let unknown = HealthCheckResponse { status: ServingStatus::ServiceUnknown.into() };
            let response = if known { status(said) } else { unknown };
            Some((Ok(response), (ready, stopping, Told::Ready(said))))
        });
        Ok(Response::new(Box::pin(changes)))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use futures_util::{FutureExt as _, StreamExt as _};
    use tonic::Code;

    use super::*;
    use crate::clock::SystemClock;

    fn about(service: &str) -> Request<HealthCheckRequest> {
        Request::new(HealthCheckRequest { service: service.into() })
    }

    #[tokio::test]
    async fn health_follows_readiness_by_service_name_and_a_watch_ends_with_the_node() {
        let (ready, reads) = watch::channel(false);
        let shutdown = Shutdown::new(Arc::new(SystemClock::new()));
        let service = Service::new(reads, shutdown.clone());
        let check = async |name: &str| service.check(about(name)).await.map(|answer| answer.into_inner().status());
        for (now, said) in [(false, ServingStatus::NotServing), (true, ServingStatus::Serving)] {
            ready.send_replace(now);
            for name in SERVICES {
                assert_eq!(check(name).await.unwrap(), said, "{name}");
            }
        }
        for name in ["liaison.v1.OperatorService", "liaison", "*"] {
            assert_eq!(check(name).await.unwrap_err().code(), Code::NotFound, "{name}");
        }

        let mut watched = Vec::new();
        for name in [EXCHANGE, "liaison.v1.OperatorService"] {
            watched.push(service.watch(about(name)).await.unwrap().into_inner());
        }
        let mut said = || {
            watched
                .iter_mut()
                .map(|watch| watch.next().now_or_never().map(|said| said.map(|said| said.unwrap().status())))
                .collect::<Vec<_>>()
        };
        assert_eq!(said(), [Some(Some(ServingStatus::Serving)), Some(Some(ServingStatus::ServiceUnknown))]);
        assert_eq!(said(), [None, None], "nothing has changed");
        ready.send_replace(false);
        assert_eq!(said(), [Some(Some(ServingStatus::NotServing)), None]);
        ready.send_replace(true);
        assert_eq!(said(), [Some(Some(ServingStatus::Serving)), None]);
        shutdown.drain(Duration::ZERO).await.unwrap();
        assert_eq!(said(), [Some(Some(ServingStatus::NotServing)); 2]);
        assert_eq!(said(), [Some(None), Some(None)], "a stop waits for no watcher");
        assert_eq!(check("").await.unwrap(), ServingStatus::NotServing);
    }
}
