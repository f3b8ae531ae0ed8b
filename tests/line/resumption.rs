//! Row 19: a session of before gets nobody in today.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustls::client::{ClientSessionMemoryCache, ResolvesClientCert, Resumption};
use rustls::crypto::ring::default_provider;
use rustls::server::WebPkiClientVerifier;
use rustls::sign::CertifiedKey;
use rustls::{
    AlertDescription as Alert, ClientConfig, HandshakeKind, RootCertStore, ServerConfig, SignatureScheme,
};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::certificate::*;
use super::support::*;

/// Shows its certificate until it is told to hide it: what somebody has who stole a session and not the key.
#[derive(Debug)]
struct Hiding {
    certified: Arc<CertifiedKey>,
    hidden: AtomicBool,
}

impl ResolvesClientCert for Hiding {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        let shown = !self.hidden.load(Ordering::SeqCst);
        shown.then(|| self.certified.clone())
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// A client that keeps sessions and takes every ticket.
fn keeping_sessions(house: &House, leaf: &Leaf) -> (Arc<ClientConfig>, Arc<Hiding>) {
    let key = default_provider().key_provider;
    let key = key.load_private_key(leaf.key_der()).unwrap();
    let hiding = Arc::new(Hiding {
        certified: Arc::new(CertifiedKey::new(leaf.chain.clone(), key)),
        hidden: AtomicBool::new(false),
    });
    let resolver = hiding.clone();
    let mut config = house.client_that(|builder| builder.with_client_cert_resolver(resolver));
    config.resumption = Resumption::store(Arc::new(ClientSessionMemoryCache::new(32)));
    config.enable_early_data = true;
    (Arc::new(config), hiding)
}

#[tokio::test]
async fn fault_19_every_handshake_is_a_full_one() {
    let mut house = House::open().await;
    let leaf = house.authority.leaf(&of_partner("FR"));
    let (client, _) = keeping_sessions(&house, &leaf);
    for _ in 0..3 {
        let Attempt::In(line, _) = house.attempt(client.clone()).await else {
            panic!("not let in");
        };
        let connection = line.get_ref().1;
        assert_eq!(connection.handshake_kind(), Some(HandshakeKind::Full));
        assert_eq!(connection.tls13_tickets_received(), 0);
        assert!(!connection.is_early_data_accepted());
    }
}

#[tokio::test]
async fn fault_19_a_session_without_its_certificate_gets_nobody_in() {
    let mut house = House::open().await;
    let leaf = house.authority.leaf(&of_partner("FR"));
    let (client, hiding) = keeping_sessions(&house, &leaf);
    let first = house.attempt(client.clone()).await;
    assert!(matches!(first, Attempt::In(..)));
    hiding.hidden.store(true, Ordering::SeqCst);
    let second = house.attempt(client).await;
    assert!(matches!(second, Attempt::Alert(Alert::CertificateRequired)));
}

#[tokio::test]
async fn fault_19_a_session_of_before_revocation_gets_nobody_in() {
    let mut house = House::open().await;
    let leaf = house.authority.leaf(&of_partner("FR"));
    let (client, _) = keeping_sessions(&house, &leaf);
    let first = house.attempt(client.clone()).await;
    assert!(matches!(first, Attempt::In(..)));
    let new_key = house.authority.leaf(&of_partner("FR")).key_hash();
    let identities = registered(&house.authority, &[new_key], &[]);
    house.identities.store(Arc::new(identities));
    let second = house.attempt(client).await;
    assert!(matches!(second, Attempt::Alert(Alert::AccessDenied)));
}

/// Why the rows above are worth their tests: what the library does when it is not told otherwise.
#[tokio::test]
async fn fault_19_the_stock_configuration_lets_a_session_in_without_a_certificate() {
    let house = House::open().await;
    let node = node_leaf(&house.authority);
    let provider = Arc::new(default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(house.authority.certificate.clone()).unwrap();
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build().unwrap();
    // As the door does it, by the played clock; nothing else is changed.
    let time = house.client_time();
    let mut stock = ServerConfig::builder_with_details(provider, time)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier)
        .with_single_cert(node.chain.clone(), node.key_der())
        .unwrap();
    stock.alpn_protocols = vec![b"h2".to_vec()];
    let stock = TlsAcceptor::from(Arc::new(stock));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    house.shutdown.spawn("stock", async move {
        while let Ok((tcp, _)) = listener.accept().await {
            if let Ok(mut line) = stock.accept(tcp).await {
                let (mut reader, mut writer) = tokio::io::split(&mut line);
                let _ = tokio::io::copy(&mut reader, &mut writer).await;
            }
        }
    });

    let leaf = house.authority.leaf(&of_partner("FR"));
    let (client, hiding) = keeping_sessions(&house, &leaf);
    let mut kinds = Vec::new();
    for hidden in [false, true] {
        hiding.hidden.store(hidden, Ordering::SeqCst);
        let tcp = TcpStream::connect(address).await.unwrap();
        let line = soon("the stock server", connect(tcp, client.clone())).await;
        kinds.push(line.unwrap().get_ref().1.handshake_kind());
    }
    let expected = [HandshakeKind::Full, HandshakeKind::Resumed].map(Some);
    assert_eq!(kinds, expected);
}
