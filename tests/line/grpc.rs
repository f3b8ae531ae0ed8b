//! gRPC over the door: handlers see who calls, and streams break when their line is ended.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use liaison::gathering::Gathering;
use liaison::tls::{Caller, Limits, with_limits};
use liaison_protocol::id::Micros;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Identity, Server};
use tonic::{Request, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use super::certificate::*;
use super::support::*;

/// tonic's own client judges by the machine's clock, so these certificates hold for a lifetime.
fn for_a_lifetime(params: &mut rcgen::CertificateParams) {
    valid(params, Micros(0), Micros(4_000_000_000 * Micros::SECOND));
}

#[tokio::test]
async fn fault_20_handlers_see_the_peer_and_its_streams_end_with_its_line() {
    // Given a door with the health service behind it,
    let (door, house) = House::build(Limits::default()).await;
    house.files.write(&house.authority.leaf_with(&of_node("hub-1"), |params| {
        for_a_lifetime(params);
        params.subject_alt_names.push(dns("hub-1.example.int"));
    }));
    house.credentials.reload(TODAY).unwrap();
    let seen = Arc::new(Mutex::new(None));
    let sees = seen.clone();
    let (_reporter, health) = tonic_health::server::health_reporter();
    let health = InterceptedService::new(health, move |request: Request<()>| {
        let caller = request.extensions().get::<Caller>().cloned();
        *sees.lock().unwrap() = Some(caller.ok_or_else(|| Status::internal("no caller"))?);
        Ok(request)
    });
    let (incoming, stage) = (door.open(&house.shutdown, &Gathering::default()).unwrap(), house.shutdown.clone());
    house.shutdown.spawn("grpc", async move {
        with_limits(Server::builder())
            .add_service(health)
            .serve_with_incoming_shutdown(incoming, stage.stopping())
            .await
            .unwrap();
    });

    // when a partner calls and watches,
    let leaf = house.authority.leaf_with(&of_partner("FR"), for_a_lifetime);
    let identity = Identity::from_pem(pem(&leaf.chain[0]), leaf.key.serialize_pem());
    let tls = ClientTlsConfig::new()
        .domain_name("hub-1.example.int")
        .ca_certificate(Certificate::from_pem(pem(&house.authority.certificate)))
        .identity(identity);
    let channel = Channel::from_shared(format!("https://{}", house.address)).unwrap().tls_config(tls).unwrap();
    let channel = soon("the channel", channel.connect()).await.unwrap();
    let mut client = HealthClient::new(channel);
    let service = String::new();
    let watching = client.watch(HealthCheckRequest { service });
    let mut watching = soon("the stream", watching).await.unwrap().into_inner();
    let first = soon("its first message", watching.message()).await;
    assert!(first.unwrap().is_some());

    // then the handler knows who calls,
    let caller = seen.lock().unwrap().take().unwrap();
    assert_eq!(*caller.peer.identity(), of_partner("FR"));
    assert!(caller.address.ip().is_loopback());

    // and the stream breaks when the line is ended, so that the server can stop.
    assert_eq!(house.lines.end(|peer| peer == &*caller.peer), 1);
    let broken = soon("the end of the stream", watching.message()).await;
    assert!(broken.is_err());
    drop((client, watching));
    let drained = house.shutdown.drain(Duration::from_secs(10));
    assert_eq!(soon("the drain", drained).await, Ok(()));
}
