//! From a TCP connection to an authenticated one: TLS 1.3 only, a certificate from every client, HTTP/2 and nothing else,
//! and a full handshake each time, because a resumed session would skip the certificate.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::NoServerSessionStorage;
use rustls::time_provider::TimeProvider;
use rustls::version::TLS13;
use rustls::{Error, ServerConfig};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::credentials::Credentials;
use super::line::{self, Wire};
use super::lines::Full;
use super::verifier::{Rejected, Verifier, loggable};
use crate::clock::SharedClock;
use crate::peer::{BadPeer, Identities, Peer};

/// The only protocol spoken inside (RFC 9113, section 3.2).
const ALPN: &[u8] = b"h2";

/// Enough for what a client sends before it has read our alert; then it is cut off.
const LINGER_BYTES_MAX: u64 = 64 << 10;

/// A round trip over a satellite and some; it counts into the time for the handshake.
const LINGER_MAX: Duration = Duration::from_secs(2);

/// Makes lines out of connections, by the credentials and identities of the moment.
pub struct Acceptor {
    credentials: Arc<Credentials>,
    identities: Arc<ArcSwap<Identities>>,
    provider: Arc<CryptoProvider>,
    clock: SharedClock,
}

impl Acceptor {
    /// Both are looked at anew for each handshake, so a reload or a new directory counts from the next one.
    pub fn new(credentials: Arc<Credentials>, identities: Arc<ArcSwap<Identities>>, clock: SharedClock) -> Self {
        Self { credentials, identities, provider: Arc::new(ring::default_provider()), clock }
    }

    pub(super) fn clock(&self) -> &SharedClock {
        &self.clock
    }

    /// One handshake. The caller bounds how long it may take; who is refused has been answered with an alert, written to the
    /// audit and closed.
    pub(super) async fn accept(&self, tcp: TcpStream, address: SocketAddr) -> Option<Accepted> {
        let verifier = Verifier::new(self.identities.load_full(), self.provider.signature_verification_algorithms);
        let acceptor = TlsAcceptor::from(Arc::new(self.config(verifier.clone())));
        let stream = match acceptor.accept(line::wire(tcp)).into_fallible().await {
            Ok(stream) => stream,
            Err((error, wire)) => {
                // Before anything that the client can draw out.
                refused(error, &verifier).audit(address);
                self.linger(wire).await;
                return None;
            }
        };
        // rustls refuses other protocols by itself, but lets a client pass that names none.
        if stream.get_ref().1.alpn_protocol() != Some(ALPN) {
            Refused::Protocol("the client offers no h2".to_owned()).audit(address);
            let (mut wire, mut session) = stream.into_inner();
            session.send_close_notify();
            let mut bytes = Vec::new();
            if session.write_tls(&mut bytes).is_ok() && wire.write_all(&bytes).await.is_ok() {
                self.linger(wire).await;
            }
            return None;
        }
        let peer = verifier.verdict().and_then(Result::ok);
        Some(Accepted {
            stream,
            peer: Arc::new(peer.expect("a full handshake judged a certificate and let it pass")),
            judged_by: verifier.identities().clone(),
        })
    }

    /// Lets the alert arrive: closing with unread bytes would reset the connection, and some systems then forget what they
    /// had received.
    async fn linger(&self, mut wire: Wire) {
        if wire.shutdown().await.is_err() {
            return;
        }
        let (mut rest, mut nowhere) = (wire.take(LINGER_BYTES_MAX), tokio::io::sink());
        tokio::select! {
            // Whether the client closes or breaks off, it has had its chance to read.
            _ = tokio::io::copy(&mut rest, &mut nowhere) => {}
            () = self.clock.until(self.clock.monotonic() + LINGER_MAX) => {}
        }
    }

    /// Whether the identities have changed since a handshake began, and its peer would no longer be let in.
    pub(super) fn recheck(&self, accepted: &Accepted) -> Result<(), Refused> {
        let identities = self.identities.load_full();
        if Arc::ptr_eq(&identities, &accepted.judged_by) {
            return Ok(());
        }
        let chain = accepted.chain();
        match identities.admit(chain, self.clock.now()) {
            Ok(_) => Ok(()),
            Err(why) => Err(Rejected::new(why, &chain[0]).into()),
        }
    }

    /// A configuration for one handshake; building it costs microseconds beside the signature's hundred.
    fn config(&self, verifier: Arc<Verifier>) -> ServerConfig {
        let time = Arc::new(Time(self.clock.clone()));
        let mut config = ServerConfig::builder_with_details(self.provider.clone(), time)
            .with_protocol_versions(&[&TLS13])
            .expect("ring has cipher suites for TLS 1.3")
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(self.credentials.clone());
        config.alpn_protocols = vec![ALPN.to_vec()];
        // A resumed session proves possession of a secret from an earlier one and shows no certificate: whoever was revoked
        // since, or holds a stolen ticket, would come back in.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        config.max_early_data_size = 0;
        config
    }
}

/// A handshake that came to its end.
pub(super) struct Accepted {
    pub(super) stream: TlsStream<Wire>,
    pub(super) peer: Arc<Peer>,
    judged_by: Arc<Identities>,
}

impl Accepted {
    /// What the client showed, leaf first.
    pub(super) fn chain(&self) -> &[CertificateDer<'static>] {
        self.stream.get_ref().1.peer_certificates().expect("a full handshake shows a certificate")
    }
}

/// Why there is no line.
#[derive(Debug)]
pub(super) enum Refused {
    NoCertificate,
    Certificate(Box<Rejected>),
    /// Not the protocol that is spoken here.
    Protocol(String),
    /// Too many connections already.
    Full(Full),
    /// Nothing came.
    Silent,
    /// The handshake took too long.
    Slow,
    /// The connection broke: nobody to blame, nothing to audit.
    Gone(io::Error),
}

impl From<Rejected> for Refused {
    fn from(rejected: Rejected) -> Self {
        Self::Certificate(Box::new(rejected))
    }
}

impl Refused {
    /// Writes the audit event: `tls.reject` for what was wrong, `conn.limited` for what was too much.
    pub(super) fn audit(&self, address: SocketAddr) {
        match self {
            Self::NoCertificate => tracing::warn!(
                target: "audit",
                event = "tls.reject",
                reason = BadPeer::NoCertificate.reason(),
                peer_address = %address,
            ),
            Self::Certificate(rejected) => tracing::warn!(
                target: "audit",
                event = "tls.reject",
                reason = rejected.why.reason(),
                detail = %rejected.why,
                peer_address = %address,
                certificate_sha256 = ?rejected.certificate,
                serial = rejected.serial,
                issuer = rejected.issuer,
            ),
            Self::Protocol(detail) => tracing::warn!(
                target: "audit",
                event = "tls.reject",
                reason = "protocol",
                detail = loggable(detail),
                peer_address = %address,
            ),
            Self::Full(full) => limited(full.reason(), address),
            Self::Silent => limited("silent", address),
            Self::Slow => limited("slow_handshake", address),
            Self::Gone(error) => tracing::debug!(
                event = "tls.gone",
                peer_address = %address,
                %error,
            ),
        }
    }
}

fn limited(reason: &'static str, address: SocketAddr) {
    tracing::warn!(
        target: "audit",
        event = "conn.limited",
        reason,
        peer_address = %address,
    );
}

fn refused(error: io::Error, verifier: &Verifier) -> Refused {
    if let Some(Err(rejected)) = verifier.verdict() {
        return rejected.into();
    }
    match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
        Some(Error::NoCertificatesPresented) => Refused::NoCertificate,
        Some(error) => Refused::Protocol(error.to_string()),
        None => Refused::Gone(error),
    }
}

/// The time that certificates are judged at.
struct Time(SharedClock);

impl TimeProvider for Time {
    fn current_time(&self) -> Option<UnixTime> {
        let micros = u64::try_from(self.0.now().0).ok()?;
        Some(UnixTime::since_unix_epoch(Duration::from_micros(micros)))
    }
}

impl fmt::Debug for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Time")
    }
}
