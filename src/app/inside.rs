//! A node without doors: the sequencer, the exchange and the store that serve partners, called from within this process. Whatever
//! is written through it is judged, decided and committed as if it had come over a line.

use std::sync::Arc;

use liaison_client::Signed;
use liaison_client::sign::SignedNotice;
use liaison_protocol::ack::Item;
use liaison_protocol::id::{LeafIndex, NetworkName};
use liaison_protocol::reason::Refusal;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use tokio::sync::oneshot;

use super::spine::{self, Spine};
use super::{CannotServe, Read, history};
use crate::clock::SharedClock;
use crate::config::Settings;
use crate::counts::Counts;
use crate::exchange::{Caller, Exchange, ItemAnswer, Submission, Taken};
use crate::peer::Peer;
use crate::sequencer::Stopped;

/// A node that only this process can call.
pub struct Inside {
    exchange: Arc<Exchange>,
    network: NetworkName,
    stopped: oneshot::Receiver<Stopped>,
}

/// A partner that the directory in force lists.
#[derive(Clone, Debug)]
pub struct Insider(Caller);

/// Why something was not taken.
#[derive(Debug, thiserror::Error)]
pub enum NotTaken {
    /// The certificate names nobody.
    #[error("the partner's certificate: {0}")]
    Certificate(String),
    /// Refused, as over a line.
    #[error("refused: {}", .0.message)]
    Refused(Refusal),
    /// The sequencer did not end well.
    #[error("the sequencer stopped: {0}")]
    Stopped(String),
}

impl From<Refusal> for NotTaken {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl Inside {
    /// Starts as `serve` does, with no port and no socket. A node that runs on the same store is in the way.
    pub async fn start(settings: &Settings, clock: SharedClock) -> Result<Self, CannotServe> {
        let read = Read::all(settings)?;
        let network = read.newest().head().name().clone();
        let anchor = history::anchor(settings, &read.origin)?;
        let store = history::open(settings, &anchor, &clock).await?;
        let Spine { exchange, stopped, .. } = Spine::start(spine::Parts {
            settings,
            anchor,
            store,
            directories: &read.directories,
            origin: read.origin,
            log_key: read.log_key,
            counts: Arc::new(Counts::default()),
            clock,
        })
        .await?;
        Ok(Self { exchange, network, stopped })
    }

    /// Leaves under the newest checkpoint.
    pub fn size(&self) -> u64 {
        self.exchange.published().size()
    }

    /// The partner that a certificate chain (PEM) names. Whoever calls this has the partner's keys in hand: there is no handshake.
    pub fn admit(&self, certificate_pem: &str) -> Result<Insider, NotTaken> {
        let bad = |problem: &dyn std::fmt::Display| NotTaken::Certificate(problem.to_string());
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(certificate_pem.as_bytes()).collect();
        let chain = chain.map_err(|error| bad(&error))?;
        let peer = Peer::from_verified_chain(&chain, &self.network).map_err(|error| bad(&error))?;
        Ok(Insider(self.exchange.admit(&peer)?))
    }

    /// Submits a chunk; gives where each of its notices lies. One that is refused refuses the chunk.
    pub async fn submit(&self, by: &Insider, notices: &[SignedNotice]) -> Result<Vec<LeafIndex>, NotTaken> {
        let submission =
            |notice: &SignedNotice| Submission { envelope: notice.envelope.clone(), parts: notice.parts.clone() };
        let (taken, receipts) = self.exchange.submit(&by.0, notices.iter().map(submission).collect()).await;
        let leaf = |taken| match taken {
            Taken::Receipt { nth, .. } => Ok(LeafIndex(receipts.receipts[nth].leaf_index)),
            Taken::Refused(refusal) => Err(NotTaken::Refused(refusal)),
        };
        taken.into_iter().map(leaf).collect()
    }

    /// Hands in a recipient's signed word. An item that is refused refuses it.
    pub async fn acknowledge(&self, by: &Insider, signed: &Signed) -> Result<(), NotTaken> {
        let items: Vec<_> = signed.items().iter().map(Item::to_proto).collect();
        let acknowledged = self.exchange.acknowledge(&by.0, signed.envelope().clone(), &items).await?;
        let refused = acknowledged.answers.into_iter().find_map(|answer| match answer {
            ItemAnswer::Refused(refusal) => Some(refusal),
            ItemAnswer::Receipt { .. } => None,
        });
        refused.map_or(Ok(()), |refusal| Err(refusal.into()))
    }

    /// Stops once everything taken is committed and signed, and the last note is stored.
    pub async fn stop(self) -> Result<(), NotTaken> {
        drop(self.exchange);
        match self.stopped.await {
            Ok(Stopped::Asked) => Ok(()),
            other => Err(NotTaken::Stopped(format!("{other:?}"))),
        }
    }
}
