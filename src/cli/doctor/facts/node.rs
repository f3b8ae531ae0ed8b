//! What an operator's machine knows of its node: before the first start from files alone, and beside a running one from both.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use liaison_client::ClientError;
use liaison_protocol::directory::Directory;
use liaison_protocol::id::{Hash, Micros};
use liaison_protocol::keyring::PublicKey;
use liaison_protocol::proto::GetStatusResponse;
use liaison_protocol::tlog::checkpoint::VerifierKey;
use liaison_protocol::trust::Trust;

use super::super::check::Code;
use super::super::pin::{self, Growth, Seen};
use super::files::{self, Certificate, Rights};
use super::wire::{self, Wire};
use super::{Fact, Missing, and, bounded};
use crate::anchor::Anchored;
use crate::app::inspect::{self, Inspected, Listed};
use crate::cli::operate;
use crate::clock::SharedClock;
use crate::config::Settings;
use crate::config::folder::open_all;
use crate::peer::DenyList;

/// Everything that is known of a node.
pub(in crate::cli::doctor) struct Node {
    /// Its configuration file.
    pub(in crate::cli::doctor) config: PathBuf,
    /// Whether it has not been started yet, or is not to be asked.
    pub(in crate::cli::doctor) pre: bool,
    pub(in crate::cli::doctor) now: Micros,
    /// Err: what is wrong with the configuration.
    pub(in crate::cli::doctor) found: Result<Found, String>,
}

/// What follows from a configuration that can be read.
pub(in crate::cli::doctor) struct Found {
    pub(in crate::cli::doctor) settings: Settings,
    /// Files it names that are not there.
    pub(in crate::cli::doctor) absent: Vec<String>,
    pub(in crate::cli::doctor) private: Vec<Rights>,
    pub(in crate::cli::doctor) public: Vec<Rights>,
    pub(in crate::cli::doctor) certificate: Certificate,
    pub(in crate::cli::doctor) log_key: Fact<PublicKey>,
    pub(in crate::cli::doctor) trust: Fact<Trust>,
    /// The newest sealed directory, of a chain that goes back to the trust file.
    pub(in crate::cli::doctor) directory: Fact<Arc<Directory>>,
    /// Entries of the deny list; None: none is configured.
    pub(in crate::cli::doctor) denied: Fact<Option<usize>>,
    pub(in crate::cli::doctor) revocation: Vec<Listed>,
    /// That the address can be listened on; before a start only.
    pub(in crate::cli::doctor) port: Fact<()>,
    pub(in crate::cli::doctor) status: Fact<GetStatusResponse>,
    pub(in crate::cli::doctor) wire: Wire,
    pub(in crate::cli::doctor) data: Data,
    pub(in crate::cli::doctor) growth: Growth,
    pub(in crate::cli::doctor) machine: Machine,
}

/// The data folder.
pub(in crate::cli::doctor) struct Data {
    pub(in crate::cli::doctor) folder: PathBuf,
    /// Whether it is there, and a folder.
    pub(in crate::cli::doctor) rights: Rights,
    /// That this user may write where it is or will be.
    pub(in crate::cli::doctor) writable: Fact<()>,
    /// Which process writes to the store.
    pub(in crate::cli::doctor) holder: Fact<Option<String>>,
    /// Whether the whole reserve lies there; before anything was stored there is none.
    pub(in crate::cli::doctor) reserve: Fact<bool>,
    /// The store's own file.
    pub(in crate::cli::doctor) store_file: Rights,
    pub(in crate::cli::doctor) store: Fact<Stored>,
    /// The checkpoint kept apart from the store, and the root over so many stored leaves.
    pub(in crate::cli::doctor) anchor: Fact<(Seen, Fact<Hash>)>,
    /// A copy of the anchor that is not whole, and how.
    pub(in crate::cli::doctor) anchor_copy: Option<String>,
    /// What a start would make of what is stored. Some: it would come up without a writer, and why.
    pub(in crate::cli::doctor) judged: Fact<Option<String>>,
}

/// The store, as far as it can be read.
pub(in crate::cli::doctor) struct Stored {
    /// The newest checkpoint in it.
    pub(in crate::cli::doctor) newest: Fact<Seen>,
    /// The root over as many stored leaves as the checkpoint that is judged says.
    pub(in crate::cli::doctor) root: Fact<Hash>,
    /// When the newest statement was made. None: its opening has been erased.
    pub(in crate::cli::doctor) stated: Fact<Option<Micros>>,
}

/// The machine.
pub(in crate::cli::doctor) struct Machine {
    /// Descriptors that a process started from here may have.
    pub(in crate::cli::doctor) descriptors_max: Fact<u64>,
    /// Lines that a node takes.
    pub(in crate::cli::doctor) connections_max: u64,
    /// Bytes free for the data folder.
    pub(in crate::cli::doctor) free: Fact<u64>,
}

/// Looks at everything.
pub(in crate::cli::doctor) async fn gather(config: &Path, pre: bool, clock: &SharedClock) -> Node {
    let read = match Settings::read(config) {
        Ok(settings) => Ok((settings, Vec::new())),
        Err(bad) => match bad.settings {
            Some(settings) => Ok((*settings, bad.problems)),
            None => Err(bad.problems.join("; ")),
        },
    };
    let found = match read {
        Ok((settings, absent)) => Ok(look(config, settings, absent, pre, clock).await),
        Err(problem) => Err(problem),
    };
    Node { config: config.into(), pre, now: clock.now(), found }
}

async fn look(config: &Path, settings: Settings, absent: Vec<String>, pre: bool, clock: &SharedClock) -> Found {
    let private = [("tls.key", &settings.key), ("log.key", &settings.log_key)];
    let public = [
        ("configuration", &config.to_path_buf()),
        ("tls.certificate", &settings.certificate),
        ("directory.trust", &settings.trust),
        ("directory.folder", &settings.directory),
    ];
    let certificate = files::certificate(&settings.certificate, &settings.key);
    let trust = files::text(&settings.trust)
        .and_then(|text| text.parse::<Trust>().map_err(|bad| Missing::Failed(bad.to_string())));
    let directory =
        trust.as_ref().map_err(|_| Missing::After(Code::D01)).and_then(|trust| newest(&settings, trust));

    let file = pin::beside(config);
    let pinned = pin::read(&file);
    let since = pinned.as_ref().ok().and_then(Option::as_ref).map_or(0, |seen| seen.checkpoint.size);
    let not_asked = || Missing::NotHere("not asked before a start");
    let status = if pre { Err(not_asked()) } else { bounded(clock, ask(&settings.operator, since)).await };
    let wire = match address(&settings, &status) {
        Ok(address) => wire::probe(&address, Some(settings.node.as_str()), &certificate, clock).await,
        Err(missing) => {
            let missing = if pre { not_asked() } else { missing };
            Wire {
                address: String::new(),
                tcp: Err(missing.clone()),
                tls: Err(missing.clone()),
                accepted: Err(missing),
            }
        }
    };
    let path = and(&status, |status| pin::path(&status.consistency));
    // The store is read after the node has been asked, so that it holds at least what the node has shown.
    let data = data(&settings, &directory, &status, pre, clock).await;
    Found {
        private: private.map(|(key, path)| files::rights(key, path)).into(),
        public: public.map(|(key, path)| files::rights(key, path)).into(),
        log_key: files::signing_key(&settings.log_key),
        port: if pre { port(settings.partners) } else { Err(Missing::NotHere("the node has it")) },
        machine: machine(&settings.data),
        growth: Growth { file, pinned, path },
        denied: denied(&settings, &directory),
        revocation: inspect::revocation_lists(&settings.revocation, clock.now()),
        settings,
        absent,
        certificate,
        trust,
        directory,
        status,
        wire,
        data,
    }
}

fn newest(settings: &Settings, trust: &Trust) -> Fact<Arc<Directory>> {
    if !settings.directory.exists() {
        return Err(Missing::After(Code::F02));
    }
    let all = open_all(&settings.directory, trust).map_err(|bad| Missing::Failed(bad.to_string()))?;
    let none = || Missing::Failed(format!("{}: holds no sealed directory", settings.directory.display()));
    all.last().cloned().ok_or_else(none)
}

fn denied(settings: &Settings, directory: &Fact<Arc<Directory>>) -> Fact<Option<usize>> {
    let Some(file) = &settings.denied else { return Ok(None) };
    let directory = directory.as_ref().map_err(|_| Missing::After(Code::D02))?;
    let list = DenyList::parse(&files::text(file)?, directory.head().name());
    list.map(|list| Some(list.len())).map_err(|bad| Missing::Failed(format!("{}: {bad}", file.display())))
}

async fn ask(socket: &Path, since: u64) -> Fact<GetStatusResponse> {
    let silent = |error: &dyn std::fmt::Display| Missing::Failed(format!("{}: {error}", socket.display()));
    let operator = operate::operator(socket).await.map_err(|error| silent(&error))?;
    operator.status(since).await.map_err(|error: ClientError| silent(&error))
}

/// Where the node listens: as it says itself, else as its file says. An address that means all of them is reached by the loopback.
fn address(settings: &Settings, status: &Fact<GetStatusResponse>) -> Fact<String> {
    let bound = status.as_ref().ok().and_then(|status| status.listen.parse().ok());
    let mut address: SocketAddr = bound.unwrap_or(settings.partners);
    if address.port() == 0 {
        return Err(Missing::After(Code::C08));
    }
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    Ok(address.to_string())
}

fn port(address: SocketAddr) -> Fact<()> {
    TcpListener::bind(address).map(drop).map_err(|error| Missing::Failed(format!("{address}: {error}")))
}

async fn data(
    settings: &Settings,
    directory: &Fact<Arc<Directory>>,
    status: &Fact<GetStatusResponse>,
    pre: bool,
    clock: &SharedClock,
) -> Data {
    let folder = settings.data.clone();
    let rights = files::rights("node.data", &folder);
    let place = if folder.exists() { folder.as_path() } else { folder.parent().unwrap_or(Path::new("/")) };
    let place = if place == Path::new("") { Path::new(".") } else { place };
    let access = rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK;
    let writable = match place.is_dir() {
        true => rustix::fs::access(place, access)
            .map_err(|error| Missing::Failed(format!("{}: {error}", place.display()))),
        false => Err(Missing::Failed(format!("{}: is not a folder", place.display()))),
    };
    let nothing = || Missing::NotHere("nothing has been stored yet");
    let store_file = folder.join(inspect::STORE_FILE);
    let reserve = match store_file.exists() {
        true => Ok(inspect::reserve_is_whole(&folder)),
        false => Err(nothing()),
    };
    // Read before the store: the node writes it after the store, so what it says must be there.
    let anchored = anchored(settings, directory);
    let opened = bounded(clock, async {
        let opened = Inspected::open(&folder).await.map_err(|error| Missing::Failed(error.to_string()))?;
        opened.ok_or_else(nothing)
    });
    let opened = opened.await;
    let anchor = match (and(&anchored, checkpoint_of), &opened) {
        (Ok(seen), Ok(store)) => {
            let root = root(store, seen.checkpoint.size, clock).await;
            Ok((seen, root))
        }
        // A checkpoint was signed, and there is no store that it could be of.
        (Ok(seen), Err(Missing::NotHere(_))) => Ok((seen, Err(Missing::Failed("the store is gone".into())))),
        (Ok(_), Err(_)) => Err(Missing::After(Code::S02)),
        (Err(missing), _) => Err(missing),
    };
    let holder = inspect::holder(&folder).map_err(|error| Missing::Failed(error.to_string()));
    let judged = match &holder {
        Ok(Some(_)) => Err(Missing::NotHere("a node is running on it")),
        _ if !pre => Err(Missing::NotHere("asked before a start only")),
        _ => bounded(clock, judged(settings, directory, &anchored)).await,
    };
    let store = match &opened {
        Ok(store) => Ok(stored(store, status, clock).await),
        Err(missing) => Err(missing.clone()),
    };
    Data {
        rights,
        writable,
        holder,
        reserve,
        store_file: files::rights("the store", &store_file),
        store,
        anchor,
        anchor_copy: anchored.ok().and_then(|anchored| match anchored {
            Anchored::Here(anchor) => anchor.bad_copy().map(|(path, how)| format!("{} {how}", path.display())),
            Anchored::Nowhere | Anchored::Damaged(_) => None,
        }),
        judged,
        folder,
    }
}

fn anchored(settings: &Settings, directory: &Fact<Arc<Directory>>) -> Fact<Anchored> {
    let directory = directory.as_ref().map_err(|_| Missing::After(Code::D02))?;
    let node = directory.node(&settings.node).ok_or(Missing::After(Code::D04))?;
    Anchored::open(&settings.anchor, &node.log_origin).map_err(|bad| Missing::Failed(bad.to_string()))
}

fn checkpoint_of(anchored: &Anchored) -> Fact<Seen> {
    match anchored {
        Anchored::Here(anchor) => match anchor.content().checkpoint {
            Some(note) => {
                Seen::parse(&note).map_err(|bad| Missing::Failed(format!("{}: {bad}", anchor.path().display())))
            }
            None => Err(Missing::NotHere("nothing has been signed yet")),
        },
        Anchored::Damaged(how) => Err(Missing::Failed(how.clone())),
        Anchored::Nowhere => Err(Missing::NotHere("it keeps none")),
    }
}

/// The start's own judgement, read-only.
async fn judged(
    settings: &Settings,
    directory: &Fact<Arc<Directory>>,
    anchored: &Fact<Anchored>,
) -> Fact<Option<String>> {
    let anchored = anchored.as_ref().map_err(|_| Missing::After(Code::L03))?;
    let directory = directory.as_ref().map_err(|_| Missing::After(Code::D02))?;
    let node = directory.node(&settings.node).ok_or(Missing::After(Code::D04))?;
    let key = VerifierKey::of_log(&node.log_origin, node.log_key.clone()).ok_or(Missing::After(Code::D04))?;
    inspect::judged(settings, anchored, &node.log_origin, &key).await.map_err(Missing::Failed)
}

async fn root(store: &Inspected, size: u64, clock: &SharedClock) -> Fact<Hash> {
    bounded(clock, async { store.root(size).await.map_err(Missing::Failed) }).await
}

async fn stored(store: &Inspected, status: &Fact<GetStatusResponse>, clock: &SharedClock) -> Stored {
    let newest = Seen::parse(&store.note).map_err(Missing::Failed);
    let size = match status {
        Ok(status) => status.log_size,
        Err(_) => store.size(),
    };
    let stated = bounded(clock, async { store.newest().await.map_err(Missing::Failed) }).await;
    Stored { newest, root: root(store, size, clock).await, stated }
}

fn machine(data: &Path) -> Machine {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let place = data.ancestors().find(|place| place.exists()).unwrap_or(Path::new("."));
    let free = rustix::fs::statvfs(place).map(|disk| disk.f_bavail.saturating_mul(disk.f_frsize));
    Machine {
        // None is no limit.
        descriptors_max: Ok(limit.current.unwrap_or(u64::MAX)),
        connections_max: inspect::connections_max() as u64,
        free: free.map_err(|error| Missing::Failed(format!("{}: {error}", place.display()))),
    }
}
