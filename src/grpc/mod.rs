//! The services as gRPC. Words of gRPC stop here: each method reads a request, asks the exchange, and writes the answer.

mod calls;
mod chunks;
mod codec;
mod convert;
mod directory;
mod exchange;
mod guard;
mod health;
mod log;
mod operator;
mod status;

#[allow(clippy::all, unreachable_pub, unused_qualifications, reason = "generated from the protos")]
mod generated {
    include!("generated/liaison.v1.rs");
}

pub use codec::Request as KnownRequest;
pub use guard::{Guard, Guarded, OnLine, Room, Times};
pub use operator::{Looking, Operator, Reloading, Status as NodeStatus};

use std::sync::Arc;

use generated::directory_service_server::DirectoryServiceServer;
use generated::exchange_service_server::ExchangeServiceServer;
use generated::log_service_server::LogServiceServer;
use generated::operator_service_server::OperatorServiceServer;
use liaison_protocol::reason::{Reason, Refusal};
use tokio::sync::watch;
use tonic::Request;
use tonic::service::RoutesBuilder;
use tonic_health::pb::health_server::HealthServer;

use crate::exchange::{Caller, Exchange, Rooms};
use crate::peer::Peer;
use crate::shutdown::Shutdown;

/// A request, all parts together: a megabyte of content, its manifest and the frame around them.
pub const REQUEST_BYTES_MAX: usize = 4 << 20;
/// When a caller may try again whose node stops: a restart takes about that long.
const STOPPED_FOR_MS: u32 = 1_000;
/// A page of an answer that could be longer. Clients take 4 MiB unless they are told otherwise; a last element may be as large as a
/// record or a statement with its items.
const PAGE_BYTES_MAX: usize = 3 << 20;
/// What the reflection service lists: everything that partners may call, and the messages in the details of a status.
const SETS: [&[u8]; 5] = [
    include_bytes!("generated/served.bin"),
    tonic_health::pb::FILE_DESCRIPTOR_SET,
    tonic_types::pb::FILE_DESCRIPTOR_SET,
    tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
    tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET,
];

/// Everything served to partners: exchange, log, directory, health and reflection. `ready`: whether the node is.
pub fn partner_routes(exchange: Arc<Exchange>, ready: watch::Receiver<bool>, shutdown: &Shutdown) -> RoutesBuilder {
    let mut routes = tonic::service::Routes::builder();
    routes.add_service(
        ExchangeServiceServer::new(exchange::Service::new(exchange.clone(), shutdown.clone()))
            .max_decoding_message_size(REQUEST_BYTES_MAX),
    );
    routes.add_service(LogServiceServer::new(log::Service::new(exchange.clone())));
    routes.add_service(DirectoryServiceServer::new(directory::Service::new(exchange)));
    routes.add_service(HealthServer::new(health::Service::new(ready, shutdown.clone())));
    let unreadable = "the generated descriptors are read by the tests of the tree";
    routes.add_service(reflection().build_v1().expect(unreadable));
    // Older tools know no other.
    routes.add_service(reflection().build_v1alpha().expect(unreadable));
    routes
}

/// A reflection service over [`SETS`], of which each of its versions makes its own.
fn reflection() -> tonic_reflection::server::Builder<'static> {
    let builder = tonic_reflection::server::Builder::configure().include_reflection_service(false);
    SETS.into_iter().fold(builder, |builder, set| builder.register_encoded_file_descriptor_set(set))
}

/// What calls are told that come, or would wait for ever, when the node stops.
pub fn stopping() -> Refusal {
    Refusal::new(Reason::ShuttingDown, "the node is stopping").retry_after_ms(STOPPED_FOR_MS)
}

/// What the node's own operator reaches, on a local socket.
pub fn operator_routes(operator: Arc<dyn Operator>) -> RoutesBuilder {
    let mut routes = tonic::service::Routes::builder();
    routes.add_service(OperatorServiceServer::new(operator::Service::new(operator)));
    routes
}

/// Judges every call before any service sees it, whatever the method. `peer_of` finds who is on the line.
pub fn admission(
    exchange: Arc<Exchange>,
    peer_of: fn(&tonic::Extensions) -> Option<Arc<Peer>>,
) -> impl Fn(Request<()>) -> Result<Request<()>, tonic::Status> + Clone + Send + Sync + 'static {
    move |mut request| {
        let peer = peer_of(request.extensions());
        let peer = peer.ok_or_else(|| status::of(&Refusal::new(Reason::Defect, "a call without a peer")))?;
        let caller = exchange.admit(&peer).map_err(|refusal| {
            tracing::warn!(target: "audit", event = "call.refused", reason = refusal.reason.word(), identity = %peer.identity());
            status::of(&refusal)
        })?;
        let rooms = request.extensions().get::<Rooms>().cloned().unwrap_or_default();
        request.extensions_mut().insert(caller.in_rooms(rooms));
        Ok(request)
    }
}

fn caller<T>(request: &Request<T>) -> Result<Caller, tonic::Status> {
    let caller = request.extensions().get::<Caller>().cloned();
    caller.ok_or_else(|| status::of(&Refusal::new(Reason::Defect, "a call that was not admitted")))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use prost_reflect::DescriptorPool;

    use super::*;

    #[test]
    fn what_reflection_lists_is_what_partners_are_served_and_all_that_it_names_is_there() {
        reflection().build_v1().expect("complete");
        reflection().build_v1alpha().expect("complete");
        let mut pool = DescriptorPool::new();
        for set in SETS {
            // Files name others of any set, and are there when theirs is added.
            pool.decode_file_descriptor_set(set).expect("what a file names is there");
        }
        let services: BTreeSet<_> = pool.services().map(|service| service.full_name().to_owned()).collect();
        let served = [
            "grpc.health.v1.Health",
            "grpc.reflection.v1.ServerReflection",
            "grpc.reflection.v1alpha.ServerReflection",
            "liaison.v1.DirectoryService",
            "liaison.v1.ExchangeService",
            "liaison.v1.LogService",
        ];
        assert_eq!(services, served.map(str::to_owned).into());
        for message in ["ErrorInfo", "BadRequest", "PreconditionFailure", "RetryInfo", "Status"] {
            assert!(pool.get_message_by_name(&format!("google.rpc.{message}")).is_some(), "{message}");
        }
        assert!(pool.get_message_by_name("liaison.v1.GetStatusResponse").is_none(), "the operator's alone");
    }
}
