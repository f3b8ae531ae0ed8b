//! Rows 11 and 25: a client that dials, and who else may answer. What it has to say is said to its node or to nobody.

use std::sync::Arc;

use liaison::peer::Identity;
use liaison_client::{Client, Endpoint};
use liaison_protocol::id::Micros;
use rcgen::{CertificateParams, ExtendedKeyUsagePurpose as Usage};
use rustls::ServerConfig;
use rustls::crypto::ring::default_provider;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::certificate::*;
use super::support::*;

/// The client judges by the machine's clock, so these certificates hold for a lifetime.
fn for_a_lifetime(params: &mut CertificateParams) {
    valid(params, Micros(0), Micros(4_000_000_000 * Micros::SECOND));
}

fn server(authority: &Ca, identity: &Identity, change: impl FnOnce(&mut CertificateParams)) -> Leaf {
    authority.leaf_with(identity, |params| {
        for_a_lifetime(params);
        params.subject_alt_names.push(dns("hub-1"));
        change(params);
    })
}

/// Answers one connection with this certificate; says how many bytes of calls it was told.
async fn answers(listener: &TcpListener, leaf: &Leaf) -> usize {
    let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(leaf.chain.clone(), leaf.key_der())
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let (tcp, _) = listener.accept().await.unwrap();
    let mut told = [0; 1_024];
    match TlsAcceptor::from(Arc::new(config)).accept(tcp).await {
        Ok(mut line) => {
            // An empty SETTINGS frame: a client waits for the first word of whoever let it in.
            let _ = line.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).await;
            line.read(&mut told).await.unwrap_or(0)
        }
        Err(_) => 0,
    }
}

#[tokio::test]
async fn fault_11_and_25_a_client_tells_nothing_to_anybody_but_the_node_it_means() {
    let (authority, attacker) = (Ca::named("Authority"), Ca::named("Authority"));
    let (hub, site, fr) = (of_node("hub-1"), of_node("site-1"), of_partner("FR"));
    let serves = |params: &mut CertificateParams| params.extended_key_usages.push(Usage::ServerAuth);
    let renamed = |uris: Vec<&str>| {
        server(&authority, &hub, |params| {
            params.subject_alt_names = uris.into_iter().map(uri).chain([dns("hub-1")]).collect();
        })
    };
    let caller = authority.leaf_with(&fr, for_a_lifetime);
    let ours = "spiffe://demo.liaison.example/node/hub-1";
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    for (who, leaf, is_it) in [
        ("the node", server(&authority, &hub, |_| {}), true),
        ("somebody to whom the name was made to lead", server(&attacker, &hub, |_| {}), false),
        ("a partner", server(&authority, &fr, |_| {}), false),
        ("a partner whose certificate may answer by mistake", server(&authority, &fr, serves), false),
        ("another node, under the node's name", server(&authority, &site, |_| {}), false),
        ("another node", authority.leaf_with(&site, for_a_lifetime), false),
        ("the node of another network", renamed(vec!["spiffe://other.example/node/hub-1"]), false),
        ("somebody with two identities", renamed(vec![ours, "spiffe://demo.liaison.example/node/site-1"]), false),
        ("somebody without one", renamed(vec![]), false),
        ("a server of something else", renamed(vec!["https://hub-1/"]), false),
    ] {
        let endpoint = Endpoint {
            address: listener.local_addr().unwrap().to_string(),
            server_name: Some("hub-1".into()),
            node: Some("hub-1".parse().unwrap()),
            authority_pem: pem(&authority.certificate),
            certificate_pem: pem(&caller.chain[0]),
            key_pem: caller.key.serialize_pem(),
        };
        let (told, dialled) =
            soon("a dial", async { tokio::join!(answers(&listener, &leaf), Client::connect(&endpoint)) }).await;
        assert_eq!(dialled.is_ok(), is_it, "{who}: {:?}", dialled.err());
        assert_eq!(told > 0, is_it, "{who} was told {told} bytes");
    }
}
