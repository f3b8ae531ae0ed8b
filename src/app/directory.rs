//! Files that may change while the node runs: the folder of sealed directories, and its own certificate.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use liaison_protocol::directory::Directory;
use liaison_protocol::proto::PartnerStatus;
use liaison_protocol::statement::HeadName;
use liaison_protocol::trust::Trust;
use rustls::pki_types::CertificateDer;

use super::CannotServe;
use crate::clock::SharedClock;
use crate::config::folder::open_next;
use crate::exchange::Exchange;
use crate::peer::{Identities, Identity, Owner, Peer, Pins};
use crate::shutdown::Shutdown;
use crate::state::View;
use crate::tls::{Credentials, Lines};

/// How often the folder is looked at: a new head is in force within a second.
const LOOK_EVERY: Duration = Duration::from_millis(400);

/// What the door judges certificates by, from a directory.
pub(super) fn identities(directory: &Directory) -> Identities {
    let certificates = |ders: &[bytes::Bytes]| ders.iter().map(|der| CertificateDer::from(der.to_vec())).collect();
    let partners = directory.partners().map(|partner| {
        let pins = Pins { authorities: certificates(&partner.tls_authorities), keys: partner.tls_keys.clone() };
        (Owner::Partner(partner.id.clone()), pins)
    });
    let nodes = directory.nodes().map(|node| {
        let pins = Pins { authorities: certificates(&node.tls_authorities), keys: node.tls_keys.clone() };
        (Owner::Node(node.id.clone()), pins)
    });
    let signing = directory
        .partners()
        .flat_map(|partner| directory.keys(partner.number))
        .map(|key| key.public.as_bytes().to_vec());
    Identities::new(directory.head().name().clone(), partners.chain(nodes), signing)
}

/// The directory that the log says is in force; the first one where the log has adopted none.
pub(super) fn in_force(directories: &[Arc<Directory>], view: &View) -> Result<Arc<Directory>, CannotServe> {
    let wanted = match view.head() {
        None => directories.first(),
        Some(head) => directories.iter().find(|directory| HeadName::from(directory.head()) == head),
    };
    let missing = || {
        let head = view.head().map(|head| head.version.0).unwrap_or_default();
        CannotServe::Unlisted(format!("the log has adopted version {head}, which is not in the directory folder"))
    };
    wanted.cloned().ok_or_else(missing)
}

/// Adopts, in order, whatever the folder holds beyond what is in force.
pub(super) async fn adopt_all(exchange: &Exchange, directories: &[Arc<Directory>]) -> Result<(), CannotServe> {
    let from = exchange.directories().in_force().version();
    for directory in directories.iter().filter(|directory| directory.head().version() >= from) {
        exchange.adopt(directory.clone()).await?;
    }
    Ok(())
}

/// The files, and everything that follows from them.
pub(super) struct Files {
    pub(super) folder: PathBuf,
    pub(super) trust: Trust,
    pub(super) exchange: Arc<Exchange>,
    pub(super) identities: Arc<ArcSwap<Identities>>,
    pub(super) credentials: Arc<Credentials>,
    pub(super) lines: Lines,
}

impl Files {
    /// Looks at the folder again and again, until told to stop. A file that cannot be used is reported once, and the directory in
    /// force stays.
    pub(super) async fn watch(&self, clock: &SharedClock, shutdown: &Shutdown) {
        let mut reported = String::new();
        loop {
            tokio::select! {
                () = shutdown.stopping() => return,
                () = clock.until(clock.monotonic() + LOOK_EVERY) => {}
            }
            match self.look().await {
                Ok(_) => reported.clear(),
                Err(problem) if problem == reported => {}
                Err(problem) => {
                    tracing::error!(target: "audit", event = "reload_failed", problem);
                    reported = problem;
                }
            }
        }
    }

    /// Adopts what is new; says up to which version.
    pub(super) async fn look(&self) -> Result<u64, String> {
        loop {
            let known = self.exchange.directories().in_force();
            let (folder, trust) = (self.folder.clone(), self.trust.clone());
            let from = known.clone();
            let next = tokio::task::spawn_blocking(move || open_next(&folder, Some(from.directory()), &trust));
            let next = next.await.map_err(|error| error.to_string())?.map_err(|bad| bad.to_string())?;
            let Some(next) = next else { return Ok(known.version().0) };
            self.exchange.adopt(next.clone()).await.map_err(|cannot| cannot.to_string())?;
            self.identities.store(Arc::new(identities(&next)));
            // Whoever the new head shuts out is off the line at once, streams and all.
            self.lines.end(|peer| !admissible(&next, peer));
        }
    }

    /// Everything that can be read again, one line each.
    pub(super) async fn reload(&self) -> Vec<String> {
        let directory = match self.look().await {
            Ok(version) => format!("directory: version {version} is in force"),
            Err(problem) => format!("directory: kept as it was: {problem}"),
        };
        let certificate = match self.credentials.reload() {
            Ok(true) => "certificate: the new one is in use".into(),
            Ok(false) => "certificate: unchanged".into(),
            Err(problem) => format!("certificate: kept as it was: {problem}"),
        };
        vec![directory, certificate]
    }
}

fn admissible(directory: &Directory, peer: &Peer) -> bool {
    match peer.identity() {
        Identity::Partner { partner, .. } => {
            directory.partner(partner).is_some_and(|partner| partner.status == PartnerStatus::Active)
        }
        Identity::Node(node) => directory.node(node).is_some(),
    }
}
