//! What shuts somebody out beside the directory, and the node's own certificate: looked at together, each by itself, so that a file
//! which cannot be read holds up no other.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use liaison_protocol::id::{Micros, NetworkName};
use liaison_protocol::text::of_people;

use super::look::{LOOK_MAX, Look, Stalled};
use super::watched::{Reader, Watched};
use crate::anchor::Anchor;
use crate::app::CannotServe;
use crate::app::revocations::Revocations;
use crate::clock::SharedClock;
use crate::config::{Settings, regular};
use crate::peer::{DenyList, Identities, RevocationLists};
use crate::tls::{BadCredentials, Credentials};

/// Ten thousand entries with a comment each.
const DENY_LIST_BYTES_MAX: u64 = 4 << 20;

/// What shuts somebody out beside the directory, as it was last read.
pub(in crate::app) struct Exclusions {
    network: NetworkName,
    clock: SharedClock,
    read: Reader,
    certificate: Certificate,
    deny: Option<Deny>,
    denied: Arc<DenyList>,
    revocations: Revocations,
    lists: Arc<RevocationLists>,
}

/// The node's own certificate and key.
struct Certificate {
    credentials: Arc<Credentials>,
    watched: Arc<Mutex<Watched>>,
    look: Look<Option<Result<bool, BadCredentials>>>,
}

/// The node's own deny list.
struct Deny {
    path: PathBuf,
    watched: Arc<Mutex<Watched>>,
    look: Look<Option<Result<DenyList, String>>>,
}

/// What a look came to.
#[derive(Debug, Default)]
pub(in crate::app) struct Looked {
    /// Whether others are shut out than before.
    pub(in crate::app) changed: bool,
    /// What became of each thing that was read, one line each.
    pub(in crate::app) outcomes: Vec<String>,
}

impl Exclusions {
    /// Reads them for the first time. A deny list that cannot be read keeps the node from starting: it would let in whom it should
    /// not. A revocation list that cannot be read shuts out those of its authority, and nobody else.
    pub(in crate::app) fn read(
        settings: &Settings,
        anchor: Option<&Arc<Anchor>>,
        network: &NetworkName,
        credentials: Arc<Credentials>,
        clock: SharedClock,
    ) -> Result<Self, CannotServe> {
        Self::read_by(settings, anchor, network, credentials, clock, regular::read)
    }

    fn read_by(
        settings: &Settings,
        anchor: Option<&Arc<Anchor>>,
        network: &NetworkName,
        credentials: Arc<Credentials>,
        clock: SharedClock,
        read: Reader,
    ) -> Result<Self, CannotServe> {
        let revocations = Revocations::open(&settings.revocation, anchor.cloned(), read)?;
        let pair = [settings.certificate.clone(), settings.key.clone()];
        let deny = settings.denied.clone().map(|path| Deny {
            watched: Arc::new(Mutex::new(Watched::with([path.clone()], read))),
            look: Look::at(path.clone()),
            path,
        });
        let mut exclusions = Self {
            network: network.clone(),
            read,
            certificate: Certificate {
                credentials,
                watched: Arc::new(Mutex::new(Watched::new(pair))),
                look: Look::at(settings.certificate.clone()),
            },
            deny,
            denied: Arc::default(),
            lists: Arc::new(revocations.lists()),
            revocations,
            clock,
        };
        // The pair in use has just been read: it is nothing new to the first look.
        let watched = exclusions.certificate.watched.clone();
        exclusions.certificate.look.begin(move || {
            has_changed(&watched);
            None
        });
        exclusions.revocations.begin(true);
        let wait = exclusions.wait();
        let _ = exclusions.certificate.look.end(wait());
        let _ = exclusions.revocations.end(&wait);
        exclusions.judge_lists(exclusions.clock.now());
        if let Some(deny) = &mut exclusions.deny {
            deny.begin(true, &exclusions.network, read);
            let path = deny.path.clone();
            let bad = |problem| CannotServe::File { key: "tls.denied", path, problem };
            match deny.look.end(wait()) {
                Ok(Some(Ok(list))) => exclusions.denied = Arc::new(list),
                Ok(Some(Err(problem))) => return Err(bad(problem)),
                Ok(None) => {}
                Err(stalled) => return Err(bad(stalled.to_string())),
            }
        }
        Ok(exclusions)
    }

    /// Whether a start would take what the configuration names; nothing is remembered of it.
    pub(in crate::app) fn check(
        settings: &Settings,
        anchor: Option<&Arc<Anchor>>,
        network: &NetworkName,
    ) -> Result<(), CannotServe> {
        Revocations::open(&settings.revocation, anchor.cloned(), regular::read)?;
        let Some(path) = &settings.denied else { return Ok(()) };
        let bad = |problem| CannotServe::File { key: "tls.denied", path: path.clone(), problem };
        read_deny_list(path, network, regular::read).map(drop).map_err(bad)
    }

    /// Identities, less those who are shut out.
    pub(in crate::app) fn apply(&self, identities: Identities) -> Identities {
        identities.with_lists(self.lists.clone()).denying(self.denied.clone())
    }

    /// Reads what has changed; `all`: also what has not. What is wrong with it is in the audit, and changes nothing.
    pub(in crate::app) fn look(&mut self, all: bool, now: Micros) -> Looked {
        self.certificate.begin(all, now);
        self.revocations.begin(all);
        if let Some(deny) = &mut self.deny {
            deny.begin(all, &self.network, self.read);
        }
        let wait = self.wait();
        let mut looked = Looked::default();
        match self.certificate.look.end(wait()) {
            Ok(None) => {}
            Ok(Some(Ok(true))) => looked.outcomes.push("certificate: the new one is in use".into()),
            Ok(Some(Ok(false))) => looked.outcomes.push("certificate: unchanged".into()),
            Ok(Some(Err(bad))) => looked.kept("certificate", &bad.to_string()),
            Err(stalled) => looked.kept("certificate", &stalled.to_string()),
        }
        if !self.revocations.is_empty() {
            let (any, stalled) = self.revocations.end(&wait);
            let mut problems: Vec<_> = stalled.iter().map(Stalled::to_string).collect();
            if any {
                let read = self.judge_lists(now);
                looked.changed |= read.0;
                problems.extend(read.1);
            }
            match problems.is_empty() {
                true => looked.outcomes.push(format!("revocation lists: {} in force", self.lists.len())),
                false => looked.kept("revocation lists", &problems.join("; ")),
            }
        }
        if let Some(deny) = &mut self.deny {
            match deny.look.end(wait()) {
                Ok(None) => {}
                Ok(Some(Ok(list))) => {
                    if list != *self.denied {
                        looked.changed = true;
                        self.denied = Arc::new(list);
                        tracing::warn!(target: "audit", event = "deny_list.loaded", entries = self.denied.len());
                    }
                    looked.outcomes.push(format!("deny list: {} denied", self.denied.len()));
                }
                Ok(Some(Err(problem))) => {
                    let problem = format!("{}: {problem}", deny.path.display());
                    tracing::error!(target: "audit", event = "deny_list.refused", problem);
                    looked.kept("deny list", &problem);
                }
                Err(stalled) => looked.kept("deny list", &stalled.to_string()),
            }
        }
        looked
    }

    /// Whether something that is to be looked at does not answer.
    pub(in crate::app) fn are_stalled(&self) -> bool {
        let denied = self.deny.as_ref().is_some_and(|deny| deny.look.is_stalled());
        self.certificate.look.is_stalled() || denied || self.revocations.is_stalled()
    }

    /// Says once of each revocation list that it is about to be over, and once that it is.
    pub(in crate::app) fn alarm(&mut self, now: Micros) {
        self.revocations.alarm(now);
    }

    /// How long the rest of one round may take, from now on.
    fn wait(&self) -> impl Fn() -> Duration + use<> {
        let clock = self.clock.clone();
        let last = clock.monotonic() + LOOK_MAX;
        move || last.saturating_sub(clock.monotonic())
    }

    fn judge_lists(&mut self, now: Micros) -> (bool, Vec<String>) {
        let read = self.revocations.read(now);
        if read.changed {
            self.lists = Arc::new(self.revocations.lists());
        }
        (read.changed, read.problems)
    }
}

impl Looked {
    fn kept(&mut self, what: &str, problem: &str) {
        self.outcomes.push(format!("{what}: kept as it was: {problem}"));
    }
}

impl Certificate {
    fn begin(&mut self, all: bool, now: Micros) {
        let (watched, credentials) = (self.watched.clone(), self.credentials.clone());
        self.look.begin(move || (has_changed(&watched) || all).then(|| credentials.reload(now)));
    }
}

impl Deny {
    fn begin(&mut self, all: bool, network: &NetworkName, read: Reader) {
        let (path, watched, network) = (self.path.clone(), self.watched.clone(), network.clone());
        self.look.begin(move || (has_changed(&watched) || all).then(|| read_deny_list(&path, &network, read)));
    }
}

/// Only one look at a time asks it.
fn has_changed(watched: &Mutex<Watched>) -> bool {
    watched.lock().unwrap_or_else(PoisonError::into_inner).has_changed()
}

fn read_deny_list(path: &Path, network: &NetworkName, read: Reader) -> Result<DenyList, String> {
    let bytes = read(path, DENY_LIST_BYTES_MAX).map_err(|error| error.to_string())?;
    let text = of_people(&bytes).map_err(|not| not.to_string())?;
    DenyList::parse(&text, network).map_err(|bad| bad.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authority::pki::{Authority, Validity, create_certificate_file, create_key_file};
    use crate::clock::{Clock as _, SystemClock};
    use crate::config::{AuditTo, Revocation};

    /// Opens as everybody does, and so hangs at a pipe as at a mount that is gone.
    fn hanging(path: &Path, _: u64) -> std::io::Result<Vec<u8>> {
        std::fs::read(path)
    }

    fn pipe(path: &Path) {
        let _ = std::fs::remove_file(path);
        assert!(std::process::Command::new("mkfifo").arg(path).status().unwrap().success());
    }

    fn settings(folder: &Path, network: &NetworkName, now: Micros) -> Settings {
        let at = |name: &str| folder.join(name);
        let (not_before, not_after) = (now.plus(-Micros::HOUR), now.plus(Micros::DAY));
        let authority = Authority::create("Test", not_before, not_after).unwrap();
        let validity = Validity { not_before, not_after };
        let issued = authority.issue_node(network, &"hub-1".parse().unwrap(), &[], &[], validity).unwrap();
        create_certificate_file(&at("c.pem"), issued.certificate_pem()).unwrap();
        create_key_file(&at("k.pem"), issued.key_pem()).unwrap();
        create_certificate_file(&at("ca.pem"), authority.certificate_pem()).unwrap();
        std::fs::write(at("denied"), "# nobody\n").unwrap();
        std::fs::write(at("one.crl"), "no list").unwrap();
        std::fs::write(at("two.crl"), "no list either").unwrap();
        Settings {
            file: at("hub.toml"),
            node: "hub-1".parse().unwrap(),
            data: folder.into(),
            partners: "127.0.0.1:0".parse().unwrap(),
            connections_per_address: None,
            operator: at("operator.sock"),
            certificate: at("c.pem"),
            key: at("k.pem"),
            log_key: at("log.key"),
            anchor: at("anchor"),
            directory: folder.into(),
            trust: at("trust"),
            denied: Some(at("denied")),
            revocation: vec![Revocation { authority: at("ca.pem"), lists: vec![at("one.crl"), at("two.crl")] }],
            ops: None,
            audit: AuditTo::Stderr,
        }
    }

    #[test]
    fn fault_20_a_file_that_hangs_holds_up_no_other_and_counts_again_once_it_answers() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let network: NetworkName = "demo.liaison.example".parse().unwrap();
        let clock = Arc::new(SystemClock::new());
        let now = clock.now();
        let settings = settings(folder.path(), &network, now);
        let credentials = Arc::new(Credentials::load(&settings.certificate, &settings.key).unwrap());
        let read = Exclusions::read_by(&settings, None, &network, credentials, clock, hanging);
        let mut exclusions = read.map_err(|error| error.to_string()).unwrap();
        assert!(!exclusions.are_stalled());
        assert!(!exclusions.look(false, now).changed);

        pipe(&at("one.crl"));
        std::fs::write(at("denied"), "spiffe://demo.liaison.example/partner/ke\n").unwrap();
        std::fs::write(at("two.crl"), "still no list").unwrap();
        let looked = exclusions.look(false, now);
        assert!(looked.changed && exclusions.denied.len() == 1, "{looked:?}");
        assert!(exclusions.are_stalled(), "{looked:?}");
        let said = looked.outcomes.join("\n");
        assert!(said.contains("one.crl: the file system does not answer") && said.contains("two.crl"), "{said}");

        // It is not asked again, and others still are.
        std::fs::write(at("denied"), "# nobody again\n").unwrap();
        let looked = exclusions.look(false, now);
        assert!(looked.changed && exclusions.denied.is_empty() && exclusions.are_stalled(), "{looked:?}");
        let looked = exclusions.look(true, now);
        assert!(looked.outcomes.iter().any(|line| line == "certificate: unchanged"), "{looked:?}");

        // Who reads the pipe gets its end, and then a file lies there.
        drop(std::fs::OpenOptions::new().write(true).open(at("one.crl")).unwrap());
        std::fs::remove_file(at("one.crl")).unwrap();
        std::fs::write(at("one.crl"), "a third that is none").unwrap();
        while exclusions.are_stalled() {
            let _ = exclusions.look(false, now);
        }
        let looked = exclusions.look(true, now);
        assert!(looked.outcomes.iter().all(|line| !line.contains("does not answer")), "{looked:?}");
    }

    #[test]
    fn the_end_of_a_process_waits_for_no_look() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pipe");
        pipe(&file);
        let runtime = tokio::runtime::Builder::new_multi_thread().build().unwrap();
        let looked = runtime.block_on(async {
            let looking = tokio::task::spawn_blocking(move || {
                let mut look = Look::at(file.clone());
                look.begin(move || hanging(&file, 0));
                look.end(Duration::ZERO).map(drop)
            });
            looking.await.unwrap()
        });
        assert!(looked.is_err(), "it hangs");
        // This would wait for whatever the runtime has begun.
        drop(runtime);
    }
}
