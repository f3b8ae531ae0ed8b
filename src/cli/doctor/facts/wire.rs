//! The line to a node, step by step: name, TCP, TLS, and whether the node lets the caller in. Nothing but an empty greeting of HTTP/2
//! is sent over it, so that whoever answers may be looked at before he is believed.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring::default_provider, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, PeerIncompatible, SignatureScheme};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::super::check::Code;
use super::files::Certificate;
use super::{Fact, Missing, bounded};
use crate::clock::SharedClock;

/// What an HTTP/2 client begins with: the preface and empty settings (RFC 9113, sections 3.4 and 6.5).
const GREETING: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// What the line came to.
pub(in crate::cli::doctor) struct Wire {
    /// `host:port`, as tried.
    pub(in crate::cli::doctor) address: String,
    /// Who answered on TCP, and after how long.
    pub(in crate::cli::doctor) tcp: Fact<(SocketAddr, Duration)>,
    pub(in crate::cli::doctor) tls: Fact<Tls>,
    /// That the node went on talking after it had seen the caller's certificate.
    pub(in crate::cli::doctor) accepted: Fact<()>,
}

/// A handshake that ended.
pub(in crate::cli::doctor) struct Tls {
    pub(in crate::cli::doctor) group: String,
    /// What was agreed on by ALPN.
    pub(in crate::cli::doctor) protocol: Option<Vec<u8>>,
    /// What the other end showed, leaf first. It holds the leaf's key; nothing else has been checked.
    pub(in crate::cli::doctor) chain: Vec<CertificateDer<'static>>,
}

/// Tries the line to `host:port` under a name, with a certificate where there is one.
pub(in crate::cli::doctor) async fn probe(
    address: &str,
    server_name: Option<&str>,
    own: &Certificate,
    clock: &SharedClock,
) -> Wire {
    let began = clock.monotonic();
    let connect = async {
        let stream = TcpStream::connect(address).await.map_err(|error| failed(address, &error))?;
        let peer = stream.peer_addr().map_err(|error| failed(address, &error))?;
        Ok((stream, peer))
    };
    let connected = bounded(clock, connect).await;
    let took = clock.monotonic().saturating_sub(began);
    let mut wire = Wire {
        address: address.into(),
        tcp: connected.as_ref().map(|(_, peer)| (*peer, took)).map_err(Clone::clone),
        tls: Err(Missing::After(Code::C01)),
        accepted: Err(Missing::After(Code::C02)),
    };
    let Ok((stream, _)) = connected else { return wire };
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    let mut stream = match bounded(clock, handshake(stream, server_name.unwrap_or(host), own)).await {
        Ok(stream) => stream,
        Err(missing) => {
            wire.tls = Err(missing);
            return wire;
        }
    };
    let (_, session) = stream.get_ref();
    wire.tls = Ok(Tls {
        group: session
            .negotiated_key_exchange_group()
            .map(|group| format!("{:?}", group.name()))
            .unwrap_or_default(),
        protocol: session.alpn_protocol().map(<[u8]>::to_vec),
        chain: session.peer_certificates().unwrap_or_default().iter().map(|der| der.clone().into_owned()).collect(),
    });
    // In TLS 1.3 the client is done before the server has judged its certificate: the verdict is the next thing that comes.
    wire.accepted = match own.key {
        Some(_) => bounded(clock, greet(&mut stream)).await,
        None => Err(Missing::After(Code::K01)),
    };
    wire
}

fn failed(at: &str, error: &dyn std::fmt::Display) -> Missing {
    Missing::Failed(format!("{at}: {error}"))
}

async fn handshake(stream: TcpStream, name: &str, own: &Certificate) -> Fact<TlsStream<TcpStream>> {
    let provider = Arc::new(default_provider());
    let any = Arc::new(AnyCertificate(provider.clone()));
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|error| failed("TLS", &error))?
        .dangerous()
        .with_custom_certificate_verifier(any);
    let mut config = match (&own.chain, &own.key) {
        (Ok(chain), Some(key)) => builder
            .with_client_auth_cert(chain.clone(), key.clone_key())
            .map_err(|error| failed("own certificate", &error))?,
        _ => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    config.resumption = rustls::client::Resumption::disabled();
    let name = ServerName::try_from(name.to_owned()).map_err(|error| failed(name, &error))?;
    TlsConnector::from(Arc::new(config)).connect(name, stream).await.map_err(|error| failed("handshake", &error))
}

async fn greet(stream: &mut TlsStream<TcpStream>) -> Fact<()> {
    let mut first = [0; 9];
    let greeted = async {
        stream.write_all(GREETING).await?;
        stream.flush().await?;
        stream.read(&mut first).await
    };
    match greeted.await {
        Ok(0) => Err(Missing::Failed("the node closed the line without a word".into())),
        Ok(_) => {
            // Whether the other end hears that we leave changes nothing.
            let _ = stream.shutdown().await;
            Ok(())
        }
        Err(error) => Err(Missing::Failed(error.to_string())),
    }
}

/// Believes any certificate whose key the other end holds. Who it is gets judged afterwards, by name and by issuer, each with a
/// finding of its own; a handshake that simply failed would not say which.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(PeerIncompatible::Tls12NotOfferedOrEnabled.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, leaf, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
