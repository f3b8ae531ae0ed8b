//! Files that may change while the node runs: sealed directories, its certificate, revocation lists and the deny list. What follows
//! from a change is one thing: who may come in is compiled anew, and everyone inside is judged again.

mod exclusions;
pub(super) mod look;
pub(super) mod watched;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use liaison_protocol::directory::Directory;
use liaison_protocol::id::Micros;
use liaison_protocol::reason::{Reason, Refusal};
use liaison_protocol::trust::Trust;
use rustls::pki_types::CertificateDer;
use tokio::sync::Notify;

pub(super) use exclusions::Exclusions;
use look::{LOOK_MAX, Look};

use super::directory::identities;
use crate::clock::SharedClock;
use crate::config::folder::{BadFolder, open_next};
use crate::counts::Counts;
use crate::exchange::Exchange;
use crate::peer::{Identities, Identity, Peer};
use crate::policy::CompiledDirectory;
use crate::shutdown::Shutdown;
use crate::tls::{Credentials, Lines};

/// How often files are looked at: what is new counts within a second.
const LOOK_EVERY: Duration = Duration::from_millis(400);

/// The files, and everything that follows from them.
pub(super) struct Files {
    pub(super) folder: PathBuf,
    pub(super) next_directory: NextDirectory,
    pub(super) trust: Trust,
    pub(super) exchange: Arc<Exchange>,
    pub(super) identities: Arc<ArcSwap<Identities>>,
    pub(super) credentials: Arc<Credentials>,
    pub(super) exclusions: Mutex<Exclusions>,
    pub(super) lines: Lines,
    pub(super) counts: Arc<Counts>,
    pub(super) clock: SharedClock,
}

/// Looks for the directory that follows the one in force.
pub(super) struct NextDirectory(Mutex<Look<Result<Option<Arc<Directory>>, BadFolder>>>);

impl NextDirectory {
    pub(super) fn at(folder: PathBuf) -> Self {
        Self(Mutex::new(Look::at(folder)))
    }
}

impl Files {
    /// Looks again and again, until told to stop. A directory that cannot be used is reported once, and the one in force stays.
    pub(super) async fn watch(self: Arc<Self>, shutdown: &Shutdown) {
        let mut reported = String::new();
        loop {
            tokio::select! {
                () = shutdown.stopping() => return,
                () = self.clock.until(self.clock.monotonic() + LOOK_EVERY) => {}
            }
            match self.look_at_directory().await {
                Ok(_) => reported.clear(),
                Err(problem) if problem == reported => {}
                Err(problem) => {
                    tracing::error!(target: "audit", event = "reload_failed", problem);
                    reported = problem;
                }
            }
            let files = self.clone();
            let looked = tokio::task::spawn_blocking(move || files.look_at_exclusions()).await;
            if let Err(error) = looked {
                tracing::error!(target: "audit", event = "reload_failed", problem = %error);
            }
        }
    }

    /// Adopts what is new; says up to which version.
    async fn look_at_directory(self: &Arc<Self>) -> Result<u64, String> {
        loop {
            let known = self.exchange.directories().in_force();
            let (files, from) = (self.clone(), known.clone());
            let next = tokio::task::spawn_blocking(move || files.next_directory(from));
            let next = next.await.map_err(|error| error.to_string())??;
            let Some(next) = next else { return Ok(known.version().0) };
            self.exchange.adopt(next).await.map_err(|cannot| cannot.to_string())?;
            let files = self.clone();
            let judged = tokio::task::spawn_blocking(move || files.compile_and_judge(&files.exclusions()));
            judged.await.map_err(|error| error.to_string())?;
        }
    }

    fn next_directory(&self, from: Arc<CompiledDirectory>) -> Result<Option<Arc<Directory>>, String> {
        let mut look = self.next_directory.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (folder, trust) = (self.folder.clone(), self.trust.clone());
        look.begin(move || open_next(&folder, Some(from.directory()), &trust));
        look.end(LOOK_MAX).map_err(|stalled| stalled.to_string())?.map_err(|bad| bad.to_string())
    }

    /// What has changed on disk beside the directory, and whose certificate has come to its end.
    fn look_at_exclusions(&self) {
        let now = self.clock.now();
        let mut exclusions = self.exclusions();
        let looked = exclusions.look(false, now);
        let directory_hangs = self.next_directory.0.lock().unwrap_or_else(PoisonError::into_inner).is_stalled();
        self.counts.files_stalled.set(directory_hangs || exclusions.are_stalled());
        self.credentials.alarm(now);
        exclusions.alarm(now);
        if looked.changed {
            self.compile_and_judge(&exclusions);
        }
        drop(exclusions);
        self.lines.rejudge(|peer, _| {
            // A certificate is good to the end of its last second.
            let over = peer.valid_until().plus(Micros::SECOND) <= now;
            if over { Err(revoked("the certificate of this line has ended", "expired")) } else { Ok(()) }
        });
    }

    /// In this order: a handshake that ends in between judges itself again.
    fn compile_and_judge(&self, exclusions: &Exclusions) {
        let directory = self.exchange.directories().in_force();
        let identities = Arc::new(exclusions.apply(identities(directory.directory())));
        self.identities.store(identities.clone());
        let now = self.clock.now();
        self.lines.rejudge(|peer, chain| self.judge(&identities, peer, chain, now));
    }

    fn judge(
        &self,
        identities: &Identities,
        peer: &Peer,
        chain: &[CertificateDer<'static>],
        now: Micros,
    ) -> Result<(), Refusal> {
        if let Err(why) = identities.admit(chain, now)
            && why.ends_open_lines()
        {
            return Err(revoked(&why.to_string(), why.reason()));
        }
        match peer.identity() {
            Identity::Partner { .. } => self.exchange.admit(peer).map(|_| ()),
            Identity::Node(_) if identities.is_registered(&peer.identity().owner()) => Ok(()),
            Identity::Node(_) => Err(Refusal::new(Reason::Unregistered, "the directory does not list the caller")),
        }
    }

    fn exclusions(&self) -> std::sync::MutexGuard<'_, Exclusions> {
        self.exclusions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads everything again whenever somebody asks who waits for no answer: a signal.
    pub(super) async fn reload_when_asked(self: Arc<Self>, asked: Arc<Notify>, shutdown: Shutdown) {
        loop {
            tokio::select! {
                () = asked.notified() => {}
                () = shutdown.stopping() => return,
            }
            for outcome in self.clone().reload().await {
                tracing::info!(event = "reload", outcome);
            }
        }
    }

    /// Everything that can be read again, one line each.
    pub(super) async fn reload(self: Arc<Self>) -> Vec<String> {
        let directory = match self.look_at_directory().await {
            Ok(version) => format!("directory: version {version} is in force"),
            Err(problem) => format!("directory: kept as it was: {problem}"),
        };
        let mut outcomes = vec![directory];
        let rest = tokio::task::spawn_blocking(move || self.reload_exclusions());
        outcomes.extend(rest.await.unwrap_or_else(|error| vec![format!("files: kept as they were: {error}")]));
        outcomes
    }

    fn reload_exclusions(&self) -> Vec<String> {
        let mut exclusions = self.exclusions();
        let looked = exclusions.look(true, self.clock.now());
        if looked.changed {
            self.compile_and_judge(&exclusions);
        }
        looked.outcomes
    }
}

fn revoked(why: &str, word: &'static str) -> Refusal {
    Refusal::new(Reason::Revoked, why).with("detail", word)
}
