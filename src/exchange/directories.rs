//! The directory in force, those before it, and the audiences resolved under it.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use arc_swap::ArcSwap;
use liaison_protocol::directory::{Directory, Partner, Place};
use liaison_protocol::id::{Hash as Digest, HeadVersion, Micros, PartnerId, PartnerNumber};
use liaison_protocol::manifest::Manifest;
use liaison_protocol::reason::Refusal;
use liaison_protocol::statement::HeadName;
use tokio::sync::watch;

use super::{Caller, Exchange};
use crate::policy::{Audience, CompiledDirectory, RecipientSet, resolve};
use crate::sequencer::Answer;
use crate::state::Proposal;

/// Audiences remembered under one head. A miss costs tens of microseconds, so forgetting all of them at once is cheap enough.
const AUDIENCES_MAX: usize = 4_096;

/// What an audience depends on, beside the head and the clock: its digest, so that nobody fills the memory with long lists of names.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Question(Digest);

impl Question {
    fn of(originator: PartnerNumber, manifest: &Manifest) -> Self {
        let handling = &manifest.handling;
        let mut bytes = Vec::with_capacity(256);
        bytes.extend(originator.0.to_be_bytes());
        let known = [
            manifest.kind as i32,
            handling.code as i32,
            handling.source as i32,
            handling.information as i32,
            handling.tlp as i32,
            manifest.precedence as i32,
        ];
        known.iter().for_each(|value| bytes.extend(value.to_be_bytes()));
        let lists = [&manifest.audience.partners, &manifest.audience.groups, &manifest.audience.exempted];
        for list in lists {
            bytes.extend((list.len() as u64).to_be_bytes());
            for name in list {
                // Names hold no zero.
                bytes.extend_from_slice(name.as_str().as_bytes());
                bytes.push(0);
            }
        }
        Self(Digest::of(&[&bytes]))
    }
}

/// An answer, and when it stands: the wall clock may also go back.
struct Remembered {
    audience: Arc<Audience>,
    stands: Range<Micros>,
}

/// All directories this node knows.
pub struct Directories {
    in_force: ArcSwap<CompiledDirectory>,
    known: RwLock<BTreeMap<HeadVersion, Arc<Directory>>>,
    audiences: Mutex<(HeadVersion, HashMap<Question, Remembered>)>,
    changed: watch::Sender<HeadVersion>,
}

/// What adopting came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Adopting {
    /// It is in force now, and the log says so.
    Adopted,
    /// It was in force already.
    InForce,
}

/// Why a directory did not come into force.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CannotAdopt {
    /// It does not follow the one in force.
    #[error("directory {found} does not follow directory {in_force}, which is in force")]
    OutOfOrder {
        /// Its version.
        found: u64,
        /// In force.
        in_force: u64,
    },
    /// The store has no room for the statement.
    #[error("the log could not state it: the store has no room")]
    NoRoom,
    /// The store cannot be reached now.
    #[error("the log could not state it: the store cannot be reached now")]
    Away,
    /// The log could not say so.
    #[error("the log could not state it: {0}")]
    NotStated(String),
}

impl Directories {
    /// Begins with the directory in force, and those before it for what they can still prove.
    pub fn new(in_force: Arc<Directory>, before: impl IntoIterator<Item = Arc<Directory>>) -> Self {
        let version = in_force.head().version();
        let known = before.into_iter().chain([in_force.clone()]);
        Self {
            known: RwLock::new(known.map(|directory| (directory.head().version(), directory)).collect()),
            in_force: ArcSwap::from_pointee(CompiledDirectory::new(in_force)),
            audiences: Mutex::new((version, HashMap::new())),
            changed: watch::Sender::new(version),
        }
    }

    /// The directory in force, compiled.
    pub fn in_force(&self) -> Arc<CompiledDirectory> {
        self.in_force.load_full()
    }

    /// A directory by its version.
    pub fn version(&self, version: HeadVersion) -> Option<Arc<Directory>> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).get(&version).cloned()
    }

    /// Changes with every adoption.
    pub fn changed(&self) -> watch::Receiver<HeadVersion> {
        self.changed.subscribe()
    }

    /// Only forward: whoever was held up with an older one changes nothing. False: it was in force already, or had been.
    fn put_in_force(&self, directory: Arc<Directory>) -> bool {
        let version = directory.head().version();
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if self.in_force.load().version() >= version {
            return false;
        }
        known.insert(version, directory.clone());
        self.in_force.store(Arc::new(CompiledDirectory::new(directory)));
        self.changed.send_replace(version);
        true
    }

    fn remembered(&self, version: HeadVersion, question: &Question, now: Micros) -> Option<Arc<Audience>> {
        let audiences = self.audiences.lock().unwrap_or_else(PoisonError::into_inner);
        let found =
            audiences.1.get(question).filter(|found| audiences.0 == version && found.stands.contains(&now))?;
        Some(found.audience.clone())
    }

    fn remember(&self, version: HeadVersion, question: Question, remembered: Remembered) {
        let mut audiences = self.audiences.lock().unwrap_or_else(PoisonError::into_inner);
        if audiences.0 != version || audiences.1.len() >= AUDIENCES_MAX {
            *audiences = (version, HashMap::new());
        }
        audiences.1.insert(question, remembered);
    }
}

impl Exchange {
    /// Brings the next directory into force: stated first, judged by afterwards. It has been verified against the authority keys
    /// of the one before.
    pub async fn adopt(&self, directory: Arc<Directory>) -> Result<Adopting, CannotAdopt> {
        let name = HeadName::from(directory.head());
        let answers = self.sequencer.append(vec![Proposal::Adopt(name)]).await;
        let answer = answers.map_err(|busy| CannotAdopt::NotStated(busy.to_string()))?.pop();
        match answer {
            // Whoever had it stated may have gone before putting it in force.
            Some(Answer::Stated(_) | Answer::Already(_)) => {
                if !self.directories.put_in_force(directory) {
                    return Ok(Adopting::InForce);
                }
                tracing::info!(target: "audit", event = "policy.loaded", version = name.version.0);
                Ok(Adopting::Adopted)
            }
            Some(Answer::Refused(_)) => Err(CannotAdopt::OutOfOrder {
                found: name.version.0,
                in_force: self.directories.in_force().version().0,
            }),
            Some(Answer::NoRoom) => Err(CannotAdopt::NoRoom),
            Some(Answer::Away) => Err(CannotAdopt::Away),
            Some(Answer::Unknown | Answer::Stale) | None => {
                Err(CannotAdopt::NotStated("it is not known whether it was stated".into()))
            }
        }
    }

    /// The audience of a notice: remembered, or resolved and salted anew.
    pub(super) fn audience(
        &self,
        caller: &Partner,
        manifest: &Manifest,
        directory: &CompiledDirectory,
        now: Micros,
    ) -> Result<Arc<Audience>, Refusal> {
        let question = Question::of(caller.number, manifest);
        if let Some(audience) = self.directories.remembered(directory.version(), &question, now) {
            self.counts.audiences_remembered.add(1);
            return Ok(audience);
        }
        self.counts.audiences_resolved.add(1);
        let resolved = resolve(caller, manifest, &self.node, directory, now)?;
        let audience = Arc::new(Audience {
            set: Arc::new(RecipientSet::new(self.salt(), resolved.members)),
            passed_over: resolved.passed_over,
            agreements: resolved.agreements,
        });
        let remembered = Remembered { audience: audience.clone(), stands: resolved.since..resolved.until };
        self.directories.remember(directory.version(), question, remembered);
        Ok(audience)
    }
}

impl Exchange {
    /// Places of the records that a caller may see: partners, keys and nodes; the groups it is in; the agreements it is a party of.
    pub fn visible_records(&self, caller: &Caller, directory: &Directory) -> Vec<usize> {
        let me = caller.partner.number;
        let is_me = |party: &PartnerId| directory.members(party).contains(&me);
        let partners = directory.partners().map(|partner| Place::Partner(partner.number));
        let keys =
            directory.partners().flat_map(|partner| directory.keys(partner.number)).map(|key| Place::Key(key.id));
        let nodes = directory.nodes().map(|node| Place::Node(node.id.clone()));
        let groups =
            directory.groups().filter(|group| is_me(&group.id)).map(|group| Place::Group(group.id.clone()));
        let agreements = directory
            .agreements()
            .iter()
            .filter(|agreement| agreement.originators.iter().chain(&agreement.recipients).any(is_me))
            .map(|agreement| Place::Agreement(agreement.digest));
        let mut places: Vec<_> = partners
            .chain(keys)
            .chain(nodes)
            .chain(groups)
            .chain(agreements)
            .filter_map(|place| directory.place(&place))
            .collect();
        places.sort_unstable();
        places
    }
}
