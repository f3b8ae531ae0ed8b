//! The directory in force: what the door judges certificates by, and catching up with the folder of sealed ones at the start.

use std::sync::Arc;
use std::time::Duration;

use liaison_protocol::directory::Directory;
use liaison_protocol::statement::HeadName;
use rustls::pki_types::CertificateDer;

use super::CannotServe;
use crate::clock::SharedClock;
use crate::exchange::{CannotAdopt, Exchange};
use crate::peer::{Identities, Owner, Pins};
use crate::state::View;

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

/// The directory that the log says is in force. Where the log has adopted none, the first one, which it adopts next; a node that
/// is recovering adopts none, and judges by the newest.
pub(super) fn in_force(
    directories: &[Arc<Directory>],
    view: &View,
    recovering: bool,
) -> Result<Arc<Directory>, CannotServe> {
    let wanted = match view.head() {
        None if recovering => directories.last(),
        None => directories.first(),
        Some(head) => directories.iter().find(|directory| HeadName::from(directory.head()) == head),
    };
    let missing = || {
        let head = view.head().map(|head| head.version.0).unwrap_or_default();
        CannotServe::Unlisted(format!("the log has adopted version {head}, which is not in the directory folder"))
    };
    wanted.cloned().ok_or_else(missing)
}

/// A store that is away is asked again after so long.
const AWAY_PAUSE: Duration = Duration::from_secs(1);

/// Adopts, in order, whatever the folder holds beyond what is in force.
pub(super) async fn adopt_all(
    exchange: &Exchange,
    directories: &[Arc<Directory>],
    clock: &SharedClock,
) -> Result<(), CannotServe> {
    let from = exchange.directories().in_force().version();
    for directory in directories.iter().filter(|directory| directory.head().version() >= from) {
        loop {
            match exchange.adopt(directory.clone()).await {
                Err(CannotAdopt::Away) => clock.until(clock.monotonic() + AWAY_PAUSE).await,
                // The one in force goes on, and a node that runs looks at the folder again and again.
                Err(full @ CannotAdopt::NoRoom) if directory.head().version() > from => {
                    tracing::error!(target: "audit", event = "reload_failed", problem = %full);
                    return Ok(());
                }
                adopted => {
                    adopted?;
                    break;
                }
            }
        }
    }
    Ok(())
}
