//! Row 21: TLS 1.3 with HTTP/2 inside, and nothing else.

use rustls::crypto::ring::default_provider;
use rustls::version::TLS12;
use rustls::{AlertDescription as Alert, ClientConfig, RootCertStore};
use std::sync::Arc;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::certificate::*;
use super::support::*;

#[tokio::test]
async fn fault_21_tls_1_2_is_not_spoken() {
    let mut house = House::open().await;
    let leaf = house.authority.leaf(&of_partner("FR"));
    let mut roots = RootCertStore::empty();
    roots.add(house.authority.certificate.clone()).unwrap();
    let mut client = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(&[&TLS12])
        .unwrap()
        .with_root_certificates(roots)
        .with_client_auth_cert(leaf.chain.clone(), leaf.key_der())
        .unwrap();
    client.alpn_protocols = vec![b"h2".to_vec()];
    let attempt = house.attempt(client).await;
    assert!(matches!(attempt, Attempt::Alert(Alert::ProtocolVersion)));
    assert_eq!(house.audit.next("tls.reject").await["reason"], "protocol");
}

#[tokio::test]
async fn fault_21_a_client_that_names_no_protocol_is_closed() {
    let mut house = House::open().await;
    let leaf = house.authority.leaf(&of_partner("FR"));
    let mut client = house.client(&leaf);
    client.alpn_protocols.clear();
    assert!(matches!(house.attempt(client).await, Attempt::Closed));
    assert_eq!(house.audit.next("tls.reject").await["reason"], "protocol");
}

#[tokio::test]
async fn fault_21_http_1_1_is_not_spoken() {
    let mut house = House::open().await;
    let leaf = house.authority.leaf(&of_partner("FR"));
    let mut client = house.client(&leaf);
    client.alpn_protocols = vec![b"http/1.1".to_vec()];
    let attempt = house.attempt(client).await;
    assert!(matches!(attempt, Attempt::Alert(Alert::NoApplicationProtocol)));
    assert_eq!(house.audit.next("tls.reject").await["reason"], "protocol");
}

#[tokio::test]
async fn fault_21_what_is_not_tls_is_closed_and_stays_on_one_line_of_the_log() {
    let mut house = House::open().await;
    let mut tcp = TcpStream::connect(house.address).await.unwrap();
    tcp.write_all(b"GET / HTTP/1.1\r\nevent=forged\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    soon("the door to close", tcp.read_to_end(&mut answer)).await.unwrap();
    // It is on record while the client still holds on.
    let event = house.audit.next("tls.reject").await;
    assert_eq!(event["reason"], "protocol");
    assert!(!event["detail"].contains('\n'), "{event:?}");
}
