//! Verifying a receipt file, step by step. Each step takes what the one before has shown, and the first that fails ends it.

mod known;
mod shown;
mod time;

use std::fmt;

use bytes::Bytes;

use self::known::{Known, canonical};
pub use self::shown::{Party, Shown, ShownItem, ShownNotice};
pub use self::time::Time;
use super::{EVIDENCE, EVIDENCE_VERSION};
use crate::directory::SignedHead;
use crate::id::{LeafIndex, Micros, NetworkId, PartnerId};
use crate::limits::RECEIPT_BYTES_MAX;
use crate::manifest::Manifest;
use crate::proto;
use crate::statement::{Event, HeadName, Statement};
use crate::tlog::checkpoint::{Checkpoint, VerifierKey};
use crate::tlog::entry::{Opening, Salt};
use crate::tlog::proof_file::ProofFile;
use crate::tlog::{hash, proof};
use crate::trust::{NotOfLog, Trust};
use crate::wire;

/// The steps, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// The file is a receipt, in its one form.
    File,
    /// Statement and salt open a leaf that lies in the tree.
    Inclusion,
    /// The log, and enough witnesses, signed that tree.
    Checkpoint,
    /// The authority signed the directory head that the statement names, and it lists the records shown.
    Directory,
    /// The originator signed this notice, or the recipient this acknowledgement.
    Signature,
    /// The statement commits to the items shown.
    Items,
}

impl Step {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::File, Self::Inclusion, Self::Checkpoint, Self::Directory, Self::Signature, Self::Items];

    /// Its number for people, from 1.
    pub fn number(self) -> usize {
        self as usize + 1
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::File => "file",
            Self::Inclusion => "inclusion",
            Self::Checkpoint => "checkpoint",
            Self::Directory => "directory",
            Self::Signature => "signature",
            Self::Items => "items",
        })
    }
}

/// What one step showed, or what it expected and found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Which step.
    pub step: Step,
    /// Whether it holds.
    pub holds: bool,
    /// In a sentence.
    pub text: String,
}

/// How it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Everything holds, and is tied to the authority and log that the trust file names.
    Verified,
    /// Consistent in itself, and not tied to any authority: these were not checked.
    NotTied(Vec<&'static str>),
    /// A step does not hold.
    Failed,
}

/// All that verifying found.
#[derive(Clone, Debug)]
pub struct Report {
    /// Step by step, up to the first that does not hold.
    pub findings: Vec<Finding>,
    /// How it ended.
    pub outcome: Outcome,
    /// What is proven, in sentences. Empty unless every step holds.
    pub proven: Vec<String>,
    /// The statement, where every step holds.
    pub statement: Option<Statement>,
    /// Its place in the log.
    pub leaf: Option<LeafIndex>,
    /// The network that the receipt is of, where it fails because the trust file is of another one.
    pub other_network: Option<NetworkId>,
    /// The same as `proven`, for programs. None unless every step holds.
    pub shown: Option<Shown>,
}

/// Verifies a receipt file. It needs no network, no clock and no node; without `trust` it can only say whether the file is
/// consistent in itself.
pub fn verify(file: &[u8], trust: Option<&Trust>) -> Report {
    let mut run = Run { trust, findings: Vec::new(), other_network: None };
    match run.all(file) {
        Ok((statement, shown, proven)) => Report {
            findings: run.findings,
            outcome: match trust {
                Some(_) => Outcome::Verified,
                None => Outcome::NotTied(vec!["the network", "the authority's keys", "the log's key", "witnesses"]),
            },
            proven,
            statement: Some(statement),
            leaf: Some(shown.leaf),
            other_network: None,
            shown: Some(shown),
        },
        Err(Fails(step, text)) => {
            run.findings.push(Finding { step, holds: false, text });
            Report {
                findings: run.findings,
                outcome: Outcome::Failed,
                proven: Vec::new(),
                statement: None,
                leaf: None,
                other_network: run.other_network,
                shown: None,
            }
        }
    }
}

struct Fails(Step, String);

struct Run<'t> {
    trust: Option<&'t Trust>,
    findings: Vec<Finding>,
    other_network: Option<NetworkId>,
}

/// What the file says, read and not believed.
struct Read {
    proof: ProofFile,
    evidence: proto::Evidence,
    statement: Statement,
    opening: Opening,
    checkpoint: Checkpoint,
}

/// What signatures have shown.
struct Signed {
    /// Of an accepted notice.
    manifest: Option<Manifest>,
    parties: Vec<(Party, PartnerId)>,
    moments: Vec<(&'static str, Micros)>,
    proven: Vec<String>,
    warnings: Vec<String>,
}

impl Run<'_> {
    fn holds(&mut self, step: Step, text: impl Into<String>) {
        self.findings.push(Finding { step, holds: true, text: text.into() });
    }

    fn all(&mut self, file: &[u8]) -> Result<(Statement, Shown, Vec<String>), Fails> {
        let read = self.file(file)?;
        self.inclusion(&read)?;
        if let Some(trust) = self.trust {
            self.checkpoint(&read, trust).map_err(|fails| self.of_other_network(&read, fails))?;
        }
        let known = self.directory(&read).map_err(|fails| self.of_other_network(&read, fails))?;
        let mut signed = self.signature(&read, &known)?;
        let items = self.items(&read, &known, signed.manifest.as_ref())?;
        for item in &items {
            signed.proven.push(item.text.clone());
            let recipient = (Party::Recipient, item.partner.clone());
            if !signed.parties.contains(&recipient) {
                signed.parties.push(recipient);
            }
        }
        let overdue = Self::overdue(&read, &known);
        signed.proven.extend(overdue.clone());
        signed.warnings.extend(overdue);
        let leaf = LeafIndex(read.proof.index);
        let shown = Shown {
            event: read.statement.event_name(),
            log: read.checkpoint.origin.clone(),
            leaf,
            network: known.head.network(),
            directory_version: known.head.version(),
            notice: about(&read.statement, signed.manifest.as_ref(), leaf, &items),
            parties: signed.parties,
            moments: signed.moments,
            items,
            warnings: signed.warnings,
        };
        Ok((read.statement, shown, signed.proven))
    }

    fn file(&mut self, file: &[u8]) -> Result<Read, Fails> {
        let fails = |text: String| Fails(Step::File, text);
        if file.len() > RECEIPT_BYTES_MAX {
            return Err(fails(format!("expected at most {RECEIPT_BYTES_MAX} bytes, found {}", file.len())));
        }
        let text = std::str::from_utf8(file).map_err(|_| fails("expected UTF-8, found other bytes".into()))?;
        let proof = ProofFile::parse(text).map_err(|bad| fails(format!("expected a receipt: {bad}")))?;
        let evidence: proto::Evidence = wire::decode_canonical(Bytes::copy_from_slice(&proof.extra), &EVIDENCE)
            .map_err(|malformed| fails(format!("expected evidence in the extra line: {malformed}")))?;
        if evidence.version != EVIDENCE_VERSION {
            return Err(fails(format!("expected evidence version 1, found {}", evidence.version)));
        }
        let salt = Salt::from_slice(&evidence.salt)
            .ok_or_else(|| fails(format!("expected a salt of 32 bytes, found {}", evidence.salt.len())))?;
        let opening = Opening { statement: evidence.statement.clone(), salt };
        let statement = Statement::decode(evidence.statement.clone())
            .map_err(|refusal| fails(format!("expected a statement: {}", refusal.message)))?;
        let checkpoint = Checkpoint::parse(proof.checkpoint.text())
            .map_err(|bad| fails(format!("expected a checkpoint: {bad}")))?;
        self.holds(Step::File, format!("receipt format 1, {}", statement.event_name()));
        Ok(Read { proof, evidence, statement, opening, checkpoint })
    }

    fn inclusion(&mut self, read: &Read) -> Result<(), Fails> {
        let Checkpoint { size, root, .. } = read.checkpoint;
        let leaf = hash::leaf(&read.opening.leaf().0);
        let index = read.proof.index;
        let found = proof::root_of_inclusion(leaf, index, size, &read.proof.path).ok_or_else(|| {
            let path = read.proof.path.len();
            Fails(
                Step::Inclusion,
                format!("leaf {index} cannot have a path of {path} hashes in a tree of size {size}"),
            )
        })?;
        if found != root {
            return Err(Fails(
                Step::Inclusion,
                format!("expected root {}, found {} (leaf {index}, size {size})", root.to_hex(), found.to_hex()),
            ));
        }
        self.holds(Step::Inclusion, format!("leaf {index} is in the tree of size {size}"));
        Ok(())
    }

    /// A receipt of another network fails at its log or at its directory, and nobody need have changed anything.
    fn of_other_network(&mut self, read: &Read, Fails(step, text): Fails) -> Fails {
        let claimed = SignedHead::claimed_network(read.evidence.directory_head.clone());
        let Some((trust, claimed)) = self.trust.zip(claimed).filter(|(trust, own)| trust.network() != *own) else {
            return Fails(step, text);
        };
        self.other_network = Some(claimed);
        let expected = trust.network();
        Fails(
            step,
            format!("expected a receipt of network {expected}, as the trust file says, found one of {claimed}"),
        )
    }

    /// With a trust file the log's keys come from there, and from nowhere else.
    fn checkpoint(&mut self, read: &Read, trust: &Trust) -> Result<(), Fails> {
        let fails = |text: String| Fails(Step::Checkpoint, text);
        let origin = &read.checkpoint.origin;
        trust.policy().signed_by(origin, &read.proof.checkpoint, None).map_err(|not| match not {
            NotOfLog::Unknown => {
                let names: Vec<_> = trust.policy().logs().iter().map(VerifierKey::name).collect();
                fails(format!("expected a log of the trust file ({}), found {origin}", names.join(", ")))
            }
            NotOfLog::Bad(bad) => fails(format!("expected a signature by {origin}, found {bad}")),
        })?;
        let witnessed = trust
            .policy()
            .witnessed(&read.proof.checkpoint)
            .map_err(|bad| fails(format!("expected cosignatures by witnesses, found {bad}")))?;
        if !witnessed.quorum {
            let found: Vec<_> = witnessed.witnesses.iter().map(|(name, _)| name.as_str()).collect();
            return Err(fails(format!(
                "expected the quorum of the trust file, found cosignatures by [{}]",
                found.join(", ")
            )));
        }
        let grade = if witnessed.asked { "witnessed" } else { "promised: the trust file asks for no witness" };
        self.holds(Step::Checkpoint, format!("signed by {origin}; {grade}"));
        Ok(())
    }

    fn directory(&mut self, read: &Read) -> Result<Known, Fails> {
        let fails = |text: String| Fails(Step::Directory, text);
        let evidence = &read.evidence;
        let head = SignedHead::parse(evidence.directory_head.clone())
            .map_err(|bad| fails(format!("expected a signed head, found {bad}")))?;
        canonical(&evidence.directory_head).map_err(|text| fails(format!("directory head: {text}")))?;
        let head = match self.trust {
            Some(trust) => head.verify(trust.authority(), Some(trust.network())),
            None => head.claimed_authority().and_then(|own| head.verify(&own, None)),
        }
        .map_err(|bad| fails(format!("expected the authority's signed head: {bad}")))?;
        let expected = HeadName::from(&head);
        if read.statement.under != Some(expected) {
            let found = read.statement.under.map(|name| name.digest.to_string()).unwrap_or_else(|| "none".into());
            return Err(fails(format!(
                "expected the head that the statement names, {found}; found {}",
                expected.digest
            )));
        }
        let mut known = Known::under(head);
        for record in &evidence.records {
            known.take(record).map_err(fails)?;
        }
        let origin = read.checkpoint.origin.as_str();
        let listed = known
            .logs
            .iter()
            .find(|listed| listed.name() == origin)
            .ok_or_else(|| fails(format!("expected a record of the node whose log is {origin}, found none")))?;
        // With a trust file the log's keys are pinned there: a receipt may lie under a later checkpoint than this head knew a key for.
        if self.trust.is_none() {
            read.proof
                .checkpoint
                .verify(listed)
                .map_err(|bad| Fails(Step::Checkpoint, format!("expected a signature by {origin}, found {bad}")))?;
            self.holds(
                Step::Checkpoint,
                format!("signed by {origin}, with the key that the receipt's own directory lists"),
            );
        }
        let version = known.head.version().0;
        self.holds(
            Step::Directory,
            format!(
                "directory head {version} of network {}, {} records",
                known.head.network(),
                evidence.records.len()
            ),
        );
        Ok(known)
    }

    fn signature(&mut self, read: &Read, known: &Known) -> Result<Signed, Fails> {
        let fails = |text: String| Fails(Step::Signature, text);
        let origin = &read.checkpoint.origin;
        match &read.statement.event {
            Event::Accepted(accepted) => {
                let (manifest, originator, key) =
                    known.notice(accepted, &read.evidence.notice, read.statement.observed_at).map_err(fails)?;
                self.holds(Step::Signature, format!("{originator} signed the notice with key {key}"));
                let observed_at = read.statement.observed_at;
                let mut proven = vec![
                    format!("{originator} sent the notice {} ({}).", manifest.reference, accepted.notice),
                    format!("{origin} accepted it at {} by its own clock.", Time(read.statement.observed_at)),
                ];
                known.at_home(accepted.originator, origin).map_err(fails)?;
                // A node whose clocks disagree goes by the other one; so this is shown, and does not fail.
                let late = manifest.in_time(observed_at).err();
                let mut warnings: Vec<_> = late
                    .map(|refusal| format!("By that clock it was not in time: {}.", refusal.message))
                    .into_iter()
                    .collect();
                proven.extend(warnings.iter().cloned());
                for (in_force, sentence) in known.agreements_of(accepted, observed_at).map_err(fails)? {
                    warnings.extend((!in_force).then(|| sentence.clone()));
                    proven.push(sentence);
                }
                let moments = vec![
                    ("issued_at", manifest.issued_at),
                    ("accepted_at", observed_at),
                    ("expires_at", manifest.expires_at),
                    ("retain_until", accepted.retain_until),
                ];
                let parties = vec![(Party::Originator, originator)];
                Ok(Signed { manifest: Some(manifest), parties, moments, proven, warnings })
            }
            other => {
                if !read.evidence.notice.is_empty() {
                    return Err(fails("expected no notice beside this statement, found one".into()));
                }
                match other {
                    Event::Acknowledged(acknowledged) => {
                        let (recipient, signed_at) = known
                            .acknowledgement(acknowledged, origin, read.statement.observed_at)
                            .map_err(fails)?;
                        self.holds(Step::Signature, format!("{recipient} signed for {} items", acknowledged.count));
                        let proven = vec![
                            format!("{recipient} signed at {} by its own clock.", Time(signed_at)),
                            format!("{origin} had that word at {} by its own.", Time(read.statement.observed_at)),
                        ];
                        let parties = vec![(Party::Recipient, recipient)];
                        let moments =
                            vec![("signed_at", signed_at), ("acknowledged_at", read.statement.observed_at)];
                        Ok(Signed { manifest: None, parties, moments, proven, warnings: Vec::new() })
                    }
                    _ => {
                        self.holds(Step::Signature, "stated by the node alone");
                        let proven = vec![match other {
                            Event::Expired(expired) => {
                                format!("{origin} stated whose time had run out by {}.", Time(expired.deadline))
                            }
                            _ => format!("{origin} stated {}.", read.statement.event_name()),
                        }];
                        let mut moments = vec![("stated_at", read.statement.observed_at)];
                        if let Event::Expired(expired) = other {
                            moments.push(("deadline", expired.deadline));
                        }
                        Ok(Signed { manifest: None, parties: Vec::new(), moments, proven, warnings: Vec::new() })
                    }
                }
            }
        }
    }

    /// An old directory stops nothing; whoever judges a receipt may want to know.
    fn overdue(read: &Read, known: &Known) -> Option<String> {
        let due = known.head.renew_by();
        (read.statement.observed_at > due)
            .then(|| format!("The directory in force then was to be renewed by {}.", Time(due)))
    }

    fn items(&mut self, read: &Read, known: &Known, manifest: Option<&Manifest>) -> Result<Vec<ShownItem>, Fails> {
        let fails = |text: String| Fails(Step::Items, text);
        let mut items = Vec::new();
        for item in &read.evidence.items {
            items.push(known.item(&read.statement.event, item, manifest).map_err(fails)?);
        }
        self.holds(Step::Items, format!("{} shown, all committed to by the statement", read.evidence.items.len()));
        Ok(items)
    }
}

/// The one notice that a receipt is about, if it is one.
fn about(
    statement: &Statement,
    manifest: Option<&Manifest>,
    leaf: LeafIndex,
    items: &[ShownItem],
) -> Option<ShownNotice> {
    if let Event::Accepted(accepted) = &statement.event {
        let reference = manifest.map(|manifest| manifest.reference.clone());
        return Some(ShownNotice { id: accepted.notice, leaf, reference });
    }
    let mut notices = items.iter().filter_map(|item| item.outcome.as_ref()).map(|(_, notice)| notice);
    let first = notices.next()?;
    notices.all(|other| other == first).then(|| first.clone())
}
