//! The services as gRPC. Words of gRPC stop here: each method reads a request, asks the exchange, and writes the answer.

mod calls;
mod chunks;
mod codec;
mod convert;
mod directory;
mod exchange;
mod guard;
mod log;
mod operator;
mod status;

#[allow(clippy::all, unreachable_pub, unused_qualifications, reason = "generated from the protos")]
mod generated {
    include!("generated/liaison.v1.rs");
}

pub use codec::Request as KnownRequest;
pub use guard::{Guard, Guarded, OnLine, Room};
pub use operator::{Looking, Operator, Reloading, Status as NodeStatus};

use std::sync::Arc;

use generated::directory_service_server::DirectoryServiceServer;
use generated::exchange_service_server::ExchangeServiceServer;
use generated::log_service_server::LogServiceServer;
use generated::operator_service_server::OperatorServiceServer;
use liaison_protocol::reason::{Reason, Refusal};
use tonic::Request;
use tonic::service::RoutesBuilder;

use crate::exchange::{Caller, Exchange};
use crate::peer::Peer;
use crate::shutdown::Shutdown;

/// A request, all parts together: a megabyte of content, its manifest and the frame around them.
pub const REQUEST_BYTES_MAX: usize = 4 << 20;
/// When a caller may try again whose node stops: a restart takes about that long.
const STOPPED_FOR_MS: u32 = 1_000;
/// What the reflection service tells: everything that partners may call.
const DESCRIPTORS: &[u8] = include_bytes!("generated/descriptors.bin");

/// Everything served to partners: exchange, log, directory, health and reflection.
pub fn partner_routes(exchange: Arc<Exchange>, shutdown: &Shutdown) -> RoutesBuilder {
    let (health, healthy) = tonic_health::server::health_reporter();
    let mut routes = tonic::service::Routes::builder();
    routes.add_service(
        ExchangeServiceServer::new(exchange::Service::new(exchange.clone(), shutdown.clone()))
            .max_decoding_message_size(REQUEST_BYTES_MAX),
    );
    routes.add_service(LogServiceServer::new(log::Service::new(exchange.clone())));
    routes.add_service(DirectoryServiceServer::new(directory::Service::new(exchange)));
    routes.add_service(healthy);
    if let Ok(reflection) = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1()
    {
        routes.add_service(reflection);
    }
    drop(health);
    routes
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
        request.extensions_mut().insert(caller);
        Ok(request)
    }
}

fn caller<T>(request: &Request<T>) -> Result<Caller, tonic::Status> {
    let caller = request.extensions().get::<Caller>().cloned();
    caller.ok_or_else(|| status::of(&Refusal::new(Reason::Defect, "a call that was not admitted")))
}
