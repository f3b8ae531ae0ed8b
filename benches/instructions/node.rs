//! A node without a line and without a disk, whose sequencer runs on the caller's thread.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{BufMut as _, Bytes, BytesMut};
use http_body::{Body as _, Frame};
use liaison::authority::pki::{Authority, Validity};
use liaison::clock::Entropy;
use liaison::exchange::{self, Caller, Directories, Exchange};
use liaison::grpc;
use liaison::peer::Peer;
use liaison::sequencer::{self, Answer, Running, Transmitted};
use liaison::shutdown::Shutdown;
use liaison::state::Proposal;
use liaison::store::memory::MemoryStore;
use liaison_protocol::tlog::checkpoint::LogKey;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use tokio::sync::watch;
use tonic::body::Body;
use tonic::service::Routes;
use tower::Service as _;

use crate::traffic::ORIGINATORS;
use crate::world::{FAR, PlayedClock, START, World, log_signer};

const SUBMIT_STREAM: &str = "/liaison.v1.ExchangeService/SubmitStream";

pub(crate) struct Node {
    world: World,
    exchange: Arc<Exchange>,
    running: Running,
    routes: Routes,
    callers: Vec<(&'static str, Caller)>,
}

impl Node {
    /// A node and the future that is its sequencer: whoever waits for the one must poll the other.
    pub(crate) async fn start(world: World) -> (Self, impl Future<Output = ()>) {
        let (store, clock) = (Arc::new(MemoryStore::new()), PlayedClock::new());
        let (transmitted, counts) = (Arc::<Transmitted>::default(), Arc::default());
        let parts = sequencer::Parts {
            store: store.clone(),
            origin: world.origin.clone(),
            key: LogKey::new(&world.origin, Arc::new(log_signer())).expect("Ed25519"),
            clock: clock.clone(),
            entropy: Box::new(Numbered(0)),
            transmitted: transmitted.clone(),
            counts: Arc::clone(&counts),
            anchor: crate::anchor::Anchored::Nowhere,
            rebase_after: sequencer::REBASE_AFTER,
        };
        let (running, run) = sequencer::recover(parts).await.expect("a store without a history");
        let exchange = Arc::new(Exchange::new(exchange::Parts {
            node: world.hub.clone(),
            origin: world.origin.clone(),
            store,
            sequencer: running.sequencer.clone(),
            view: running.view.clone(),
            directories: Arc::new(Directories::new(world.opened.clone(), [])),
            transmitted,
            counts,
            clock: clock.clone(),
            entropy: Box::new(Numbered(0)),
        }));
        let routes = grpc::partner_routes(exchange.clone(), watch::channel(true).1, &Shutdown::new(clock)).routes();
        let callers = callers(&world, &exchange);
        (Self { world, exchange, running, routes, callers }, run)
    }

    /// States that the world's directory is in force.
    pub(crate) async fn adopt(&self) {
        let answers = self.running.sequencer.append(vec![Proposal::Adopt(self.world.head())]).await;
        assert!(matches!(answers.as_deref(), Ok([Answer::Stated(_)])), "{answers:?}");
    }

    /// Leaves under the newest checkpoint.
    pub(crate) fn size(&self) -> u64 {
        self.exchange.published().size()
    }

    /// Submits on one stream, and reads its answers to the end. Returns how many bytes they had.
    pub(crate) async fn submit(&self, from: &str, requests: &[Bytes]) -> usize {
        let (_, caller) = self.callers.iter().find(|(originator, _)| *originator == from).expect("an originator");
        let mut request = http::Request::post(SUBMIT_STREAM)
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(Body::new(Messages(requests.iter().cloned().collect())))
            .expect("a request");
        request.extensions_mut().insert(caller.clone());
        let mut routes = self.routes.clone();
        let mut body = routes.call(request).await.expect("routes never fail").into_body();
        let (mut bytes, mut status) = (0, None);
        while let Some(frame) = std::future::poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
            let frame = frame.expect("no line, no error");
            bytes += frame.data_ref().map_or(0, Bytes::len);
            status = frame.trailers_ref().and_then(|trailers| trailers.get("grpc-status").cloned()).or(status);
        }
        assert_eq!(status.expect("it ends with a status"), "0");
        bytes
    }
}

/// Salts that cost nothing, so that they are not counted; no two are alike.
struct Numbered(u64);

impl Entropy for Numbered {
    fn fill(&mut self, bytes: &mut [u8]) {
        self.0 += 1;
        let number = self.0.to_be_bytes();
        let length = number.len().min(bytes.len());
        bytes[..length].copy_from_slice(&number[..length]);
    }
}

/// The originators, admitted by their certificates.
fn callers(world: &World, exchange: &Exchange) -> Vec<(&'static str, Caller)> {
    let network = world.opened.head().name().clone();
    let validity = Validity { not_before: START, not_after: FAR };
    let authority = Authority::create("for counting", START, FAR).expect("an authority");
    let admit = |from: &'static str| {
        let (partner, system) = (from.parse().expect("a partner"), "main".parse().expect("a system"));
        let issued = authority.issue_partner(&network, &partner, &system, validity).expect("a certificate");
        let leaf = CertificateDer::from_pem_slice(issued.certificate_pem().as_bytes()).expect("a certificate");
        let peer = Peer::from_verified_chain(&[leaf], &network).expect("a partner's certificate");
        (from, exchange.admit(&peer).expect("listed"))
    };
    ORIGINATORS.into_iter().map(admit).collect()
}

/// Messages of a stream that are all there, each behind its length (gRPC over HTTP/2, "Length-Prefixed-Message").
struct Messages(VecDeque<Bytes>);

impl http_body::Body for Messages {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let framed = |message: Bytes| {
            let mut bytes = BytesMut::with_capacity(5 + message.len());
            bytes.put_u8(0);
            bytes.put_u32(u32::try_from(message.len()).expect("small"));
            bytes.put(message);
            Ok(Frame::data(bytes.freeze()))
        };
        Poll::Ready(self.0.pop_front().map(framed))
    }
}
