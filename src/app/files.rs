//! Files that may change while the node runs: sealed directories, its certificate, revocation lists and the deny list. What follows
//! from a change is one thing: who may come in is compiled anew, and everyone inside is judged again.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use liaison_protocol::id::{Micros, NetworkName};
use liaison_protocol::reason::{Reason, Refusal};
use liaison_protocol::trust::Trust;
use rustls::pki_types::CertificateDer;
use tokio::sync::Notify;

use super::CannotServe;
use super::directory::identities;
use super::revocations::Revocations;
use super::watched::Watched;
use crate::clock::SharedClock;
use crate::config::Settings;
use crate::config::folder::open_next;
use crate::exchange::Exchange;
use crate::peer::{DenyList, Identities, Identity, Peer, RevocationLists};
use crate::shutdown::Shutdown;
use crate::tls::{Credentials, Lines};

/// How often files are looked at: what is new counts within a second.
const LOOK_EVERY: Duration = Duration::from_millis(400);

/// Ten thousand entries with a comment each.
const DENY_LIST_BYTES_MAX: u64 = 4 << 20;

/// What shuts somebody out beside the directory, as it was last read.
pub(super) struct Exclusions {
    network: NetworkName,
    deny_file: Option<PathBuf>,
    denied: Arc<DenyList>,
    revocations: Revocations,
    lists: Arc<RevocationLists>,
    certificate_files: Watched,
    list_files: Watched,
    deny_files: Watched,
}

impl Exclusions {
    /// Reads them for the first time. A deny list that cannot be read keeps the node from starting: it would let in whom it should
    /// not. A revocation list that cannot be read shuts out those of its authority, and nobody else.
    pub(super) fn read(settings: &Settings, network: &NetworkName, now: Micros) -> Result<Self, CannotServe> {
        let mut revocations = Revocations::open(&settings.revocation, &settings.data)?;
        revocations.read(now);
        let mut exclusions = Self {
            network: network.clone(),
            deny_file: settings.denied.clone(),
            denied: Arc::default(),
            lists: Arc::new(revocations.lists()),
            certificate_files: Watched::new([settings.certificate.clone(), settings.key.clone()]),
            list_files: Watched::new(revocations.paths()),
            deny_files: Watched::new(settings.denied.clone()),
            revocations,
        };
        exclusions.read_denied().map_err(|(path, problem)| CannotServe::File {
            key: "tls.denied",
            path,
            problem,
        })?;
        // What has just been read is nothing new to the first look.
        exclusions.list_files.has_changed();
        exclusions.deny_files.has_changed();
        exclusions.certificate_files.has_changed();
        Ok(exclusions)
    }

    /// Whether a start would take what the configuration names; nothing is remembered of it.
    pub(super) fn check(settings: &Settings, network: &NetworkName) -> Result<(), CannotServe> {
        Revocations::open(&settings.revocation, &settings.data)?;
        let Some(path) = &settings.denied else { return Ok(()) };
        let bad = |problem| CannotServe::File { key: "tls.denied", path: path.clone(), problem };
        read_deny_list(path, network).map(drop).map_err(bad)
    }

    /// Identities, less those who are shut out.
    pub(super) fn apply(&self, identities: Identities) -> Identities {
        identities.with_lists(self.lists.clone()).denying(self.denied.clone())
    }

    fn read_denied(&mut self) -> Result<bool, (PathBuf, String)> {
        let Some(path) = self.deny_file.clone() else { return Ok(false) };
        let list = read_deny_list(&path, &self.network).map_err(|problem| (path, problem))?;
        let changed = list != *self.denied;
        self.denied = Arc::new(list);
        Ok(changed)
    }

    /// Reads the deny list again; a bad one changes nothing.
    fn reread_denied(&mut self) -> Result<bool, String> {
        let read = self.read_denied().map_err(|(path, problem)| format!("{}: {problem}", path.display()));
        match &read {
            Ok(true) => {
                tracing::warn!(target: "audit", event = "deny_list.loaded", entries = self.denied.len());
            }
            Ok(false) => {}
            Err(problem) => tracing::error!(target: "audit", event = "deny_list.refused", problem),
        }
        read
    }

    fn reread_lists(&mut self, now: Micros) -> (bool, Vec<String>) {
        let read = self.revocations.read(now);
        if read.changed {
            self.lists = Arc::new(self.revocations.lists());
        }
        (read.changed, read.problems)
    }
}

fn read_deny_list(path: &Path, network: &NetworkName) -> Result<DenyList, String> {
    use std::io::Read as _;
    let mut text = String::new();
    let file = std::fs::File::open(path).map(|file| file.take(DENY_LIST_BYTES_MAX + 1));
    let read = file.and_then(|mut file| file.read_to_string(&mut text)).map_err(|error| error.to_string())?;
    match read as u64 {
        DENY_LIST_BYTES_MAX.. => Err(format!("larger than {DENY_LIST_BYTES_MAX} bytes")),
        _ => DenyList::parse(&text, network).map_err(|bad| bad.to_string()),
    }
}

/// The files, and everything that follows from them.
pub(super) struct Files {
    pub(super) folder: PathBuf,
    pub(super) trust: Trust,
    pub(super) exchange: Arc<Exchange>,
    pub(super) identities: Arc<ArcSwap<Identities>>,
    pub(super) credentials: Arc<Credentials>,
    pub(super) exclusions: Mutex<Exclusions>,
    pub(super) lines: Lines,
    pub(super) clock: SharedClock,
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
            let (folder, trust) = (self.folder.clone(), self.trust.clone());
            let from = known.clone();
            let next = tokio::task::spawn_blocking(move || open_next(&folder, Some(from.directory()), &trust));
            let next = next.await.map_err(|error| error.to_string())?.map_err(|bad| bad.to_string())?;
            let Some(next) = next else { return Ok(known.version().0) };
            self.exchange.adopt(next).await.map_err(|cannot| cannot.to_string())?;
            let files = self.clone();
            let judged = tokio::task::spawn_blocking(move || files.compile_and_judge(&files.exclusions()));
            judged.await.map_err(|error| error.to_string())?;
        }
    }

    /// What has changed on disk beside the directory, and whose certificate has come to its end.
    fn look_at_exclusions(&self) {
        let now = self.clock.now();
        let mut exclusions = self.exclusions();
        if exclusions.certificate_files.has_changed() {
            // What is wrong with them is in the audit.
            let _ = self.credentials.reload(now);
        }
        self.credentials.alarm(now);
        let lists = exclusions.list_files.has_changed() && exclusions.reread_lists(now).0;
        let denied = exclusions.deny_files.has_changed() && exclusions.reread_denied().unwrap_or(false);
        exclusions.revocations.alarm(now);
        if lists || denied {
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
        let now = self.clock.now();
        let mut outcomes = vec![match self.credentials.reload(now) {
            Ok(true) => "certificate: the new one is in use".into(),
            Ok(false) => "certificate: unchanged".into(),
            Err(problem) => format!("certificate: kept as it was: {problem}"),
        }];
        let mut exclusions = self.exclusions();
        let mut changed = false;
        if !exclusions.revocations.paths().is_empty() {
            let (new, problems) = exclusions.reread_lists(now);
            changed |= new;
            outcomes.push(match problems.is_empty() {
                true => format!("revocation lists: {} in force", exclusions.lists.len()),
                false => format!("revocation lists: kept as it was: {}", problems.join("; ")),
            });
        }
        if exclusions.deny_file.is_some() {
            outcomes.push(match exclusions.reread_denied() {
                Ok(new) => {
                    changed |= new;
                    format!("deny list: {} denied", exclusions.denied.len())
                }
                Err(problem) => format!("deny list: kept as it was: {problem}"),
            });
        }
        if changed {
            self.compile_and_judge(&exclusions);
        }
        outcomes
    }
}

fn revoked(why: &str, word: &'static str) -> Refusal {
    Refusal::new(Reason::Revoked, why).with("detail", word)
}
