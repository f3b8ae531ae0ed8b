//! The spine: what a partner can ask of a node, step by step, with no word of the wire that carries it or of the store that keeps it.

mod acknowledge;
mod collect;
mod directories;
mod editions;
mod evidence;
mod frame;
mod history;
mod log;
mod mailbox;
mod party;
mod submit;
#[cfg(test)]
pub(crate) mod tests;
mod work;

pub use acknowledge::{Acknowledged, ItemAnswer};
pub use collect::Collecting;
pub use directories::{Adopting, CannotAdopt, Directories};
pub use evidence::{Evidence, NoticeName, Outcome};
pub use frame::Frame;
pub use log::{Consistency, Inclusion};
pub use mailbox::Waiting;
pub use submit::{Judged, Submission, Taken};
pub use work::{Room, Rooms};

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use liaison_protocol::directory::Partner;
use liaison_protocol::id::{Hash, HeadVersion, LeafIndex, NodeId, Origin, PartnerId, PartnerNumber, Seq};
use liaison_protocol::keyring::{SignatureCounts, SignerTables};
use liaison_protocol::proto::{self, PartnerStatus};
use liaison_protocol::reason::{Reason, Refusal};
use liaison_protocol::tlog::entry::Opening;
use liaison_protocol::tlog::{hash, proof};

use crate::clock::{Entropy, SharedClock};
use crate::counts::Counts;
use crate::gathering::Gathering;
use crate::peer::{Identity, Peer};
use crate::policy::CompiledDirectory;
use crate::sequencer::{Busy, Pooled, Published, Sequencer, Transmitted, recovering_refusal};
use crate::state::View;
use crate::store::{ReadError, Store};

/// Answered with RESOURCE_EXHAUSTED or UNAVAILABLE: when the same bytes may pass.
const RETRY_AFTER_MS: u32 = 250;
/// Between the statement that adopts a head and its coming into force lie microseconds; whoever waits longer is told to retry.
const ADOPTION_MAX: Duration = Duration::from_secs(5);

/// Everything the spine is made of.
pub struct Parts {
    /// This node.
    pub node: NodeId,
    /// Its log.
    pub origin: Origin,
    /// Where history lies.
    pub store: Arc<dyn Store>,
    /// The way to the single writer.
    pub sequencer: Sequencer,
    /// The state it keeps.
    pub view: Arc<RwLock<View>>,
    /// The directory in force, and those before it.
    pub directories: Arc<Directories>,
    /// What has been sent to whom.
    pub transmitted: Arc<Transmitted>,
    /// What it counts.
    pub counts: Arc<Counts>,
    /// Both clocks.
    pub clock: SharedClock,
    /// For the salts of audiences.
    pub entropy: Box<dyn Entropy>,
}

/// A node's exchange.
pub struct Exchange {
    node: NodeId,
    origin: Origin,
    store: Arc<dyn Store>,
    sequencer: Sequencer,
    view: Arc<RwLock<View>>,
    directories: Arc<Directories>,
    transmitted: Arc<Transmitted>,
    counts: Arc<Counts>,
    clock: SharedClock,
    entropy: Mutex<Box<dyn Entropy>>,
    /// By key, and so untouched by a change of the directory that lists them.
    tables: SignerTables,
    /// Collect streams open now, by partner.
    streams: Mutex<BTreeMap<PartnerNumber, u32>>,
    editions: editions::Editions,
    elsewhere: party::Elsewhere,
}

/// A caller that the directory in force lists as an active partner. Only [`Exchange::admit`] makes one.
#[derive(Clone, Debug)]
pub struct Caller {
    partner: Partner,
    system: String,
    directory: Arc<CompiledDirectory>,
    rooms: Rooms,
}

impl Caller {
    /// The same, whose calls hold bytes in these rooms.
    pub fn in_rooms(self, rooms: Rooms) -> Self {
        Self { rooms, ..self }
    }

    /// Which partner.
    pub fn partner(&self) -> &PartnerId {
        &self.partner.id
    }

    /// Its number.
    pub fn number(&self) -> PartnerNumber {
        self.partner.number
    }
}

impl Exchange {
    /// Joins the parts.
    pub fn new(parts: Parts) -> Self {
        Self {
            node: parts.node,
            origin: parts.origin,
            store: parts.store,
            sequencer: parts.sequencer,
            view: parts.view,
            directories: parts.directories,
            transmitted: parts.transmitted,
            counts: parts.counts,
            clock: parts.clock,
            entropy: Mutex::new(parts.entropy),
            tables: SignerTables::default(),
            streams: Mutex::default(),
            editions: editions::Editions::default(),
            elsewhere: party::Elsewhere::default(),
        }
    }

    /// Judges who calls, on every call, under the directory in force.
    pub fn admit(&self, peer: &Peer) -> Result<Caller, Refusal> {
        let Identity::Partner { partner, system } = peer.identity() else {
            return Err(Refusal::new(Reason::WrongRole, "the caller's certificate is a node's"));
        };
        let directory = self.directories.in_force();
        let partner = active(&directory, partner)?;
        Ok(Caller { partner, system: system.to_string(), directory, rooms: Rooms::default() })
    }

    /// Judges a caller again under the directory in force now: a stream that stays open outlives what let it in.
    fn readmit(&self, caller: &Caller) -> Result<Caller, Refusal> {
        let directory = self.directories.in_force();
        if directory.version() == caller.directory.version() {
            return Ok(caller.clone());
        }
        let partner = active(&directory, &caller.partner.id)?;
        if partner.number != caller.partner.number {
            return Err(Refusal::new(
                Reason::Unregistered,
                "the directory lists another partner under this name now",
            ));
        }
        Ok(Caller { partner, system: caller.system.clone(), directory, rooms: caller.rooms.clone() })
    }

    /// Waits until another directory than this version is in force. False: it takes too long.
    async fn adopted_after(&self, version: HeadVersion) -> bool {
        let mut changed = self.directories.changed();
        let last = self.clock.monotonic() + ADOPTION_MAX;
        tokio::select! {
            _ = changed.wait_for(|now| *now != version) => true,
            () = self.clock.until(last) => false,
        }
    }

    /// The directories, for whoever adopts and for whoever lists.
    pub fn directories(&self) -> &Arc<Directories> {
        &self.directories
    }

    /// The log's origin.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// This node.
    pub fn node(&self) -> &NodeId {
        &self.node
    }

    /// The newest published head.
    pub fn published(&self) -> Arc<Published> {
        self.sequencer.published().borrow().clone()
    }

    /// Where notices wait until the sequencer calls for them.
    pub fn gathering(&self) -> &Gathering {
        self.sequencer.gathering()
    }

    /// Proposals on their way to the log: acknowledgements and adoptions, and submissions.
    pub fn under_way(&self) -> [usize; 2] {
        self.sequencer.under_way()
    }

    /// For each partner of the directory: its number, and Collect streams open now.
    pub fn mailboxes(&self) -> Vec<(PartnerId, PartnerNumber, u32)> {
        let directory = self.directories.in_force();
        let streams = self.streams();
        let mailbox = |partner: &Partner| {
            (partner.id.clone(), partner.number, streams.get(&partner.number).copied().unwrap_or(0))
        };
        directory.directory().partners().map(mailbox).collect()
    }

    /// How signatures of notices and acknowledgements were verified.
    pub fn signatures(&self) -> SignatureCounts {
        self.tables.counts()
    }

    /// Proposals taken and not yet answered, and how many may be.
    pub fn queued(&self) -> (usize, usize) {
        self.sequencer.queued()
    }

    fn streams(&self) -> std::sync::MutexGuard<'_, BTreeMap<PartnerNumber, u32>> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn view(&self) -> RwLockReadGuard<'_, View> {
        self.view.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is not here may have been here, while the node's store is not what was signed.
    fn perhaps_lost(&self, refusal: Refusal) -> Refusal {
        let absent = matches!(refusal.reason, Reason::NotFound | Reason::IndexOutOfRange);
        if absent && self.counts.recovering.is_set() { recovering_refusal() } else { refusal }
    }

    fn salt(&self) -> [u8; 32] {
        let mut bytes = [0; 32];
        self.entropy.lock().unwrap_or_else(PoisonError::into_inner).fill(&mut bytes);
        bytes
    }

    /// A published head that covers a statement.
    async fn covering(&self, seq: Seq) -> Result<Arc<Published>, Refusal> {
        let mut published = self.sequencer.published();
        let covers = published.wait_for(|published| published.next > seq).await;
        covers.map(|published| published.clone()).map_err(|_| busy(Busy::Stopped))
    }

    /// Puts proven statements under one checkpoint.
    async fn receipts(
        &self,
        published: &Published,
        receipts: Vec<history::Shown>,
    ) -> Result<proto::Receipts, Refusal> {
        let (checkpoint, proven) = self.proven(published, receipts).await?;
        let proven = proven.into_iter().collect::<Result<_, _>>()?;
        Ok(crate::sequencer::pool(checkpoint, proven))
    }

    /// Proves statements under one checkpoint, each by itself: one that is damaged keeps no other from being proven.
    async fn proven(
        &self,
        published: &Published,
        receipts: Vec<history::Shown>,
    ) -> Result<(bytes::Bytes, Vec<Result<Pooled, Refusal>>), Refusal> {
        let newest = receipts.iter().map(|shown| shown.seq).max();
        // A statement can be read from the store a moment before its checkpoint is published.
        let published = match newest {
            Some(newest) if newest >= published.next => &*self.covering(newest).await?,
            _ => published,
        };
        let mut pooled = Vec::with_capacity(receipts.len());
        for history::Shown { seq, opening, items } in receipts {
            let leaf = published.leaf(seq);
            let edge = published.tree.inclusion(leaf.0).filter(|_| {
                published.tree.node(proof::Node { height: 0, index: leaf.0 }) == Some(hash::leaf(&opening.leaf().0))
            });
            let path = match edge {
                // The edge's root was computed twice before it was signed, and this is made of the same nodes.
                Some(path) => Ok(path),
                None => self.stored_path(published, leaf, &opening).await,
            };
            match path {
                Ok(path) => pooled.push(Ok(Pooled { leaf, opening, path, items })),
                Err(refusal) if refusal.reason == Reason::StoredDamage => pooled.push(Err(refusal)),
                Err(refusal) => return Err(refusal),
            }
        }
        Ok((published.checkpoint.clone(), pooled))
    }

    /// An inclusion path with nodes from stored tiles, which are believed once they give the root that was signed.
    async fn stored_path(
        &self,
        published: &Published,
        leaf: LeafIndex,
        opening: &Opening,
    ) -> Result<Vec<Hash>, Refusal> {
        let data = hash::leaf(&opening.leaf().0);
        let ranges = proof::inclusion(leaf.0, published.size());
        let leads_to_root = |path: &[Hash]| {
            proof::root_of_inclusion(data, leaf.0, published.size(), path) == Some(published.tree.root())
        };
        let path = self.sound_path(published, &ranges, leads_to_root).await?;
        path.ok_or_else(|| self.damaged(Some(leaf), "it does not lead to the root that was signed"))
    }

    /// Damage was met: it is audited once, and this is what callers are answered.
    fn damaged(&self, leaf: Option<LeafIndex>, what: &str) -> Refusal {
        self.counts.integrity.damaged(leaf, what)
    }

    /// Why a read of one statement, or of no one in particular, gave nothing.
    fn unreadable(&self, leaf: Option<LeafIndex>, error: ReadError) -> Refusal {
        match error {
            ReadError::Damaged(what) => self.damaged(leaf, &what),
            ReadError::Busy(what) | ReadError::Unavailable(what) => {
                tracing::error!(what, "the store cannot be read");
                Refusal::new(Reason::StoreUnavailable, "the store cannot be read now")
                    .retry_after_ms(RETRY_AFTER_MS)
            }
        }
    }

    /// Where a statement lies in the log.
    fn leaf(&self, seq: Seq) -> LeafIndex {
        LeafIndex(seq.0.saturating_sub(self.published().base.0))
    }
}

/// The partner, if a directory lists it as active.
fn active(directory: &CompiledDirectory, id: &PartnerId) -> Result<Partner, Refusal> {
    let Some(partner) = directory.directory().partner(id).cloned() else {
        return Err(Refusal::new(Reason::Unregistered, "the directory does not list the caller"));
    };
    if partner.status != PartnerStatus::Active {
        return Err(Refusal::new(Reason::Suspended, "the directory lists the caller as suspended"));
    }
    Ok(partner)
}

/// Nothing happened for want of room, which somebody must make.
fn full() -> Refusal {
    Refusal::new(Reason::StoreFull, "the store has no room").retry_after_ms(10 * RETRY_AFTER_MS)
}

/// Nothing happened, because the store cannot be reached.
fn away() -> Refusal {
    Refusal::new(Reason::StoreUnavailable, "the store cannot be reached now; nothing was taken")
        .retry_after_ms(4 * RETRY_AFTER_MS)
}

/// It may have happened: the same bytes find out.
fn unknown() -> Refusal {
    Refusal::new(Reason::EvidenceUnavailable, "it is not known whether it was taken").retry_after_ms(RETRY_AFTER_MS)
}

fn busy(busy: Busy) -> Refusal {
    match busy {
        Busy::Full => Refusal::new(Reason::Busy, "more is under way than this node takes"),
        Busy::Stopped => Refusal::new(Reason::EvidenceUnavailable, "the log cannot be signed now"),
    }
    .retry_after_ms(RETRY_AFTER_MS)
}
