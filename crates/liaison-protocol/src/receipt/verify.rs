//! Verifying a receipt file, step by step. Each step takes what the one before has shown, and the first that fails ends it.

use std::collections::BTreeMap;
use std::fmt;

use bytes::Bytes;

use super::{EVIDENCE, EVIDENCE_VERSION, retain_until};
use crate::ack::{Acknowledgement, Item};
use crate::directory::{Agreement, Partner, RecordBody, SignedHead, VerifiedHead, verify_record};
use crate::envelope::{ACKNOWLEDGEMENT_TYPE, ENVELOPE, Envelope, Expect, MANIFEST_TYPE};
use crate::id::{AgreementDigest, Hash, LeafIndex, Micros, NoticeId, PartnerId, PartnerNumber};
use crate::keyring::{TrustedKey, Usage};
use crate::limits::RECEIPT_BYTES_MAX;
use crate::manifest::{Manifest, SignedManifest, known};
use crate::proto;
use crate::statement::{Accepted, Acknowledged, Event, Expired, HeadName, Statement};
use crate::tlog::checkpoint::{BadNote, Checkpoint, VerifierKey};
use crate::tlog::entry::{Opening, Salt};
use crate::tlog::moved::{self, Moved};
use crate::tlog::proof_file::ProofFile;
use crate::tlog::{hash, items, proof};
use crate::trust::Trust;
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
}

/// Verifies a receipt file. It needs no network, no clock and no node; without `trust` it can only say whether the file is
/// consistent in itself.
pub fn verify(file: &[u8], trust: Option<&Trust>) -> Report {
    let mut run = Run { trust, findings: Vec::new() };
    match run.all(file) {
        Ok((shown, proven)) => Report {
            findings: run.findings,
            outcome: match trust {
                Some(_) => Outcome::Verified,
                None => Outcome::NotTied(vec!["the network", "the authority's keys", "the log's key", "witnesses"]),
            },
            proven,
            statement: Some(shown.statement),
            leaf: Some(shown.leaf),
        },
        Err(Fails(step, text)) => {
            run.findings.push(Finding { step, holds: false, text });
            Report {
                findings: run.findings,
                outcome: Outcome::Failed,
                proven: Vec::new(),
                statement: None,
                leaf: None,
            }
        }
    }
}

struct Fails(Step, String);

struct Run<'t> {
    trust: Option<&'t Trust>,
    findings: Vec<Finding>,
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
    proven: Vec<String>,
}

/// What has been shown to be in the log.
struct Shown {
    statement: Statement,
    leaf: LeafIndex,
}

/// What the directory says, proven record by record.
struct Known {
    head: VerifiedHead,
    partners: BTreeMap<PartnerNumber, Partner>,
    keys: Vec<(PartnerId, TrustedKey)>,
    logs: Vec<VerifierKey>,
    agreements: Vec<(AgreementDigest, Agreement)>,
}

impl Run<'_> {
    fn holds(&mut self, step: Step, text: impl Into<String>) {
        self.findings.push(Finding { step, holds: true, text: text.into() });
    }

    fn all(&mut self, file: &[u8]) -> Result<(Shown, Vec<String>), Fails> {
        let read = self.file(file)?;
        self.inclusion(&read)?;
        let log = match self.trust {
            Some(trust) => Some(self.checkpoint(&read, trust)?),
            None => None,
        };
        let known = self.directory(&read, log.as_deref())?;
        let Signed { manifest, mut proven } = self.signature(&read, &known)?;
        proven.extend(self.items(&read, &known, manifest.as_ref())?);
        Ok((Shown { statement: read.statement, leaf: LeafIndex(read.proof.index) }, proven))
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

    /// With a trust file the log's keys come from there, and from nowhere else. A log whose key was changed has several, under one
    /// name; those that signed are handed on.
    fn checkpoint(&mut self, read: &Read, trust: &Trust) -> Result<Vec<VerifierKey>, Fails> {
        let fails = |text: String| Fails(Step::Checkpoint, text);
        let origin = read.checkpoint.origin.as_str();
        let (mut signed, mut unsigned) = (Vec::new(), None);
        for log in trust.policy().logs().iter().filter(|log| log.name() == origin) {
            match read.proof.checkpoint.verify(log) {
                Ok(()) => signed.push(log.clone()),
                Err(missing @ BadNote::NotSigned(_)) => unsigned = Some(missing),
                Err(bad) => return Err(fails(format!("expected a signature by {origin}, found {bad}"))),
            }
        }
        if signed.is_empty() {
            let names: Vec<_> = trust.policy().logs().iter().map(VerifierKey::name).collect();
            return Err(fails(match unsigned {
                Some(missing) => format!("expected a signature by {origin}, found {missing}"),
                None => format!("expected a log of the trust file ({}), found {origin}", names.join(", ")),
            }));
        }
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
        Ok(signed)
    }

    fn directory(&mut self, read: &Read, signed: Option<&[VerifierKey]>) -> Result<Known, Fails> {
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
        match signed {
            Some(signed) if !signed.contains(listed) => {
                let signed: Vec<_> = signed.iter().map(VerifierKey::to_string).collect();
                return Err(fails(format!(
                    "expected log key {}, found {listed} in the directory",
                    signed.join(" or ")
                )));
            }
            Some(_) => {}
            None => {
                read.proof.checkpoint.verify(listed).map_err(|bad| {
                    Fails(Step::Checkpoint, format!("expected a signature by {origin}, found {bad}"))
                })?;
                self.holds(
                    Step::Checkpoint,
                    format!("signed by {origin}, with the key that the receipt's own directory lists"),
                );
            }
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
                let mut proven = vec![
                    format!("{originator} sent the notice {} ({}).", manifest.reference, accepted.notice),
                    format!("{origin} accepted it at {} by its own clock.", Time(read.statement.observed_at)),
                ];
                // A node whose clocks disagree goes by the other one; so this is shown, and does not fail.
                if let Err(refusal) = manifest.in_time(read.statement.observed_at) {
                    proven.push(format!("By that clock it was not in time: {}.", refusal.message));
                }
                proven.extend(known.agreements_of(accepted));
                Ok(Signed { manifest: Some(manifest), proven })
            }
            other => {
                if !read.evidence.notice.is_empty() {
                    return Err(fails("expected no notice beside this statement, found one".into()));
                }
                match other {
                    Event::Acknowledged(acknowledged) => {
                        let (recipient, signed_at) = known.acknowledgement(acknowledged, read).map_err(fails)?;
                        self.holds(
                            Step::Signature,
                            format!("{recipient} signed for {} notices", acknowledged.count),
                        );
                        let proven = vec![
                            format!("{recipient} signed at {} by its own clock.", Time(signed_at)),
                            format!("{origin} had that word at {} by its own.", Time(read.statement.observed_at)),
                        ];
                        Ok(Signed { manifest: None, proven })
                    }
                    _ => {
                        self.holds(Step::Signature, "stated by the node alone");
                        let proven = vec![format!("{origin} stated {}.", read.statement.event_name())];
                        Ok(Signed { manifest: None, proven })
                    }
                }
            }
        }
    }

    fn items(&mut self, read: &Read, known: &Known, manifest: Option<&Manifest>) -> Result<Vec<String>, Fails> {
        let fails = |text: String| Fails(Step::Items, text);
        let mut proven = Vec::new();
        for item in &read.evidence.items {
            proven.push(known.item(&read.statement.event, item, manifest).map_err(fails)?);
        }
        self.holds(Step::Items, format!("{} shown, all committed to by the statement", read.evidence.items.len()));
        Ok(proven)
    }
}

impl Known {
    fn under(head: VerifiedHead) -> Self {
        let (partners, keys, logs, agreements) = (BTreeMap::new(), Vec::new(), Vec::new(), Vec::new());
        Self { head, partners, keys, logs, agreements }
    }

    fn take(&mut self, record: &proto::RecordProof) -> Result<(), String> {
        let (body, leaf_data) = verify_record(record, &self.head)?;
        match body {
            RecordBody::Partner(partner) => {
                self.partners.insert(partner.number, partner);
            }
            RecordBody::Key(partner, key) => self.keys.push((partner, key)),
            RecordBody::Node(node) => self.logs.extend(VerifierKey::of_log(&node.log_origin, node.log_key)),
            RecordBody::Agreement(agreement) => self.agreements.push((AgreementDigest(leaf_data), agreement)),
            RecordBody::Group(_) | RecordBody::PassedOver(_) => {}
        }
        Ok(())
    }

    fn partner(&self, number: PartnerNumber) -> Result<&PartnerId, String> {
        let found = self.partners.get(&number).map(|partner| &partner.id);
        found.ok_or_else(|| format!("expected a record of partner number {}, found none", number.0))
    }

    fn keys_of(&self, partner: &PartnerId) -> Vec<TrustedKey> {
        self.keys.iter().filter(|(owner, _)| owner == partner).map(|(_, key)| key.clone()).collect()
    }

    /// The notice is the one accepted, its originator's key signed it, and the statement repeats what it says.
    fn notice(
        &self,
        accepted: &Accepted,
        envelope: &Bytes,
        at: Micros,
    ) -> Result<(Manifest, PartnerId, String), String> {
        let parsed = Envelope::parse(envelope.clone());
        let parsed =
            parsed.map_err(|refusal| format!("expected the notice in its envelope: {}", refusal.message))?;
        let found = NoticeId(parsed.digest(MANIFEST_TYPE));
        if found != accepted.notice {
            return Err(format!("expected notice {}, found {found}", accepted.notice));
        }
        let originator = self.partner(accepted.originator)?;
        let keys = self.keys_of(originator);
        let expect =
            Expect { network: self.head.network(), payload_type: MANIFEST_TYPE, usage: Usage::Notice, keys: &keys };
        let verified = SignedManifest::parse(envelope.clone())
            .and_then(|signed| signed.verify(&expect, at))
            .map_err(|refusal| format!("expected a signature by {originator}: {}", refusal.message))?;
        if verified.signature_digest() != accepted.signature {
            return Err(format!(
                "expected the signature with digest {}, found {}",
                accepted.signature.to_hex(),
                verified.signature_digest().to_hex()
            ));
        }
        honest_key_id(envelope, verified.signer().0)?;
        let manifest = verified.manifest();
        if let Some(field) = differs(accepted, manifest, originator, at) {
            return Err(format!("expected the statement to repeat the notice, found another {field}"));
        }
        Ok((manifest.clone(), originator.clone(), verified.signer().to_string()))
    }

    fn acknowledgement(&self, acknowledged: &Acknowledged, read: &Read) -> Result<(PartnerId, Micros), String> {
        let recipient = self.partner(acknowledged.recipient)?;
        let keys = self.keys_of(recipient);
        let expect = Expect {
            network: self.head.network(),
            payload_type: ACKNOWLEDGEMENT_TYPE,
            usage: Usage::Acknowledgement,
            keys: &keys,
        };
        let proven = Envelope::parse(acknowledged.envelope.clone())
            .and_then(|envelope| envelope.verify(&expect, read.statement.observed_at))
            .map_err(|refusal| format!("expected a signature by {recipient}: {}", refusal.message))?;
        let signed = Acknowledgement::parse(proven.payload().clone())
            .map_err(|refusal| format!("expected an acknowledgement: {}", refusal.message))?;
        let same = signed.root == acknowledged.root
            && signed.count == acknowledged.count
            && signed.recipient == *recipient
            && signed.log_origin == read.checkpoint.origin;
        if same {
            Ok((recipient.clone(), signed.signed_at))
        } else {
            Err("expected the statement to repeat what was signed, found otherwise".into())
        }
    }

    /// The agreements that are shown and were used, in words.
    fn agreements_of(&self, accepted: &Accepted) -> impl Iterator<Item = String> {
        let used = self.agreements.iter().filter(|(digest, _)| accepted.agreements.contains(digest));
        used.map(|(_, agreement)| format!("Agreement {} let it pass: {}", agreement.id, agreement.legal_basis))
    }

    fn item(&self, event: &Event, item: &proto::ItemProof, manifest: Option<&Manifest>) -> Result<String, String> {
        use proto::item_proof::Item as Shown;
        let path = items::hashes(&item.path).ok_or("expected hashes of 32 bytes in an item's path")?;
        let salt = |bytes: &Bytes| Salt::from_slice(bytes).ok_or("expected an item's salt of 32 bytes");
        let (data, root, count, text) = match (event, item.item.as_ref()) {
            (Event::Accepted(accepted), Some(Shown::Recipient(shown))) => {
                let number = PartnerNumber(shown.number);
                let data = items::recipient(&salt(&shown.salt)?, number);
                let text = addressed(self.partner(number)?, manifest)?;
                (data, accepted.recipients_root, accepted.recipient_count, text)
            }
            (
                Event::Acknowledged(Acknowledged { recipient, root, count, moved, .. }),
                Some(Shown::Acknowledged(shown)),
            ) => {
                let read = Item::read(shown, 0)
                    .map_err(|refusal| format!("expected an acknowledged item: {}", refusal.message))?;
                let partner = self.partner(*recipient)?;
                let data = read.leaf_data();
                let moved = moved::unpack(moved, item.index, &data).ok_or("an item's place is beyond the last")?;
                let text = format!(
                    "{partner}: {} for {}, leaf {}{}.",
                    shown.verdict().as_str_name().trim_start_matches("VERDICT_"),
                    read.notice,
                    read.leaf.0,
                    effect(read.verdict, moved)?
                );
                (data, *root, *count, text)
            }
            (Event::Expired(Expired { root, count, .. }), Some(Shown::Expired(shown))) => {
                let number = PartnerNumber(shown.recipient);
                let outcome = known(shown.outcome(), "outcome")
                    .map_err(|refusal| format!("expected an expired item: {}", refusal.message))?;
                let leaf = LeafIndex(shown.leaf_index);
                let notice = NoticeId::from_slice(&shown.notice_id)
                    .ok_or("expected an expired item's notice of 32 bytes")?;
                let data = items::expired(&salt(&shown.salt)?, leaf, &notice, number, outcome);
                let partner = self.partner(number)?;
                let text = format!(
                    "{partner}: {} for {notice}, leaf {}.",
                    outcome.as_str_name().trim_start_matches("EXPIRED_OUTCOME_"),
                    shown.leaf_index
                );
                (data, *root, *count, text)
            }
            _ => return Err("expected items of the statement's own kind, found another".into()),
        };
        let found = items::root_of(data, item.index, u64::from(count), &path)
            .ok_or("an item's path has the wrong length for its place")?;
        if found == root {
            Ok(text)
        } else {
            Err(format!("expected items root {}, found {}", root.to_hex(), found.to_hex()))
        }
    }
}

/// Whether the notice is for a partner that the node says it is for: named, or in a group and not exempted. Who is in a group was the
/// directory's to say.
fn addressed(partner: &PartnerId, manifest: Option<&Manifest>) -> Result<String, String> {
    let audience = &manifest.ok_or("expected the notice beside its recipients, found none")?.audience;
    if audience.partners.contains(partner) {
        return Ok(format!("It is for {partner}."));
    }
    if audience.exempted.contains(partner) || audience.groups.is_empty() {
        return Err(format!("expected a recipient that the notice names, found {partner}"));
    }
    let groups: Vec<_> = audience.groups.iter().map(PartnerId::as_str).collect();
    Ok(format!("It is for {partner}, through {}.", groups.join(" or ")))
}

/// What an item did, in words, where it is not just what its verdict says.
fn effect(verdict: proto::Verdict, moved: Moved) -> Result<&'static str, String> {
    let decides = verdict != proto::Verdict::Received;
    match (decides, moved.delivery, moved.decision) {
        (false, _, true) => Err("expected RECEIVED to decide nothing, found that it decided".into()),
        (_, false, false) => Ok(" (settled nothing: said before, or too late)"),
        (true, true, false) => Ok(" (handed over; too late to decide)"),
        _ => Ok(""),
    }
}

/// The first field in which a statement differs from the notice it accepted.
fn differs(accepted: &Accepted, manifest: &Manifest, originator: &PartnerId, at: Micros) -> Option<&'static str> {
    let rows = [
        ("originator", manifest.originator == *originator),
        ("reference", manifest.reference == accepted.reference),
        ("kind", manifest.kind == accepted.kind),
        ("handling", manifest.handling == accepted.handling),
        ("precedence", manifest.precedence == accepted.precedence),
        ("expires_at", manifest.expires_at == accepted.expires_at),
        ("respond_by", manifest.respond_by == accepted.respond_by),
        ("retain_until", retain_until(at, manifest.retention) == accepted.retain_until),
        ("relation", manifest.relation == accepted.relation),
    ];
    rows.iter().find(|(_, same)| !same).map(|(field, _)| *field)
}

fn canonical(envelope: &Bytes) -> Result<proto::Envelope, String> {
    wire::decode_canonical(envelope.clone(), &ENVELOPE).map_err(|malformed| malformed.to_string())
}

/// In a receipt the hint must be true or absent, so that every byte of the file counts.
fn honest_key_id(envelope: &Bytes, signer: Hash) -> Result<(), String> {
    let envelope = canonical(envelope)?;
    let hint = envelope.signatures.first().map(|signature| signature.keyid.as_str()).unwrap_or_default();
    if hint.is_empty() || hint == signer.to_hex() {
        return Ok(());
    }
    Err(format!("expected key id {}, found {}", signer.to_hex(), hint.escape_default()))
}

/// A moment in UTC, RFC 3339 with microseconds.
struct Time(Micros);

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = self.0.0.rem_euclid(Micros::SECOND);
        let seconds = self.0.0.div_euclid(Micros::SECOND);
        let (days, rest) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
        let (year, month, day) = civil(days);
        let (hour, minute, second) = (rest / 3_600, rest / 60 % 60, rest % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z")
    }
}

/// Days since 1970-01-01 as a date of the proleptic Gregorian calendar: years begin in March, eras have 146,097 days.
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let (month, carry) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (year_of_era + era * 400 + carry, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_as_rfc_3339() {
        let rows = [
            (0, "1970-01-01T00:00:00.000000Z"),
            (951_782_400_000_001, "2000-02-29T00:00:00.000001Z"),
            (1_795_391_999_999_999, "2026-11-22T23:59:59.999999Z"),
        ];
        for (micros, text) in rows {
            assert_eq!(Time(Micros(micros)).to_string(), text);
        }
    }
}
