//! What the directory's proven records say, and what statement, notice and items must be by them.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::shown::{ShownItem, ShownNotice};
use crate::ack::{Acknowledgement, Item};
use crate::directory::{Agreement, Partner, RecordBody, VerifiedHead, verify_record};
use crate::envelope::{ACKNOWLEDGEMENT_TYPE, ENVELOPE, Envelope, Expect, MANIFEST_TYPE};
use crate::id::{AgreementDigest, Hash, LeafIndex, Micros, NodeId, NoticeId, Origin, PartnerId, PartnerNumber};
use crate::keyring::{TrustedKey, Usage};
use crate::manifest::{Manifest, SignedManifest, known};
use crate::proto;
use crate::receipt::retain_until;
use crate::statement::{Accepted, Acknowledged, Event, Expired};
use crate::tlog::checkpoint::VerifierKey;
use crate::tlog::entry::Salt;
use crate::tlog::items;
use crate::tlog::moved::{self, Moved};
use crate::wire;

/// What the directory says, proven record by record.
pub(super) struct Known {
    pub(super) head: VerifiedHead,
    partners: BTreeMap<PartnerNumber, Partner>,
    keys: Vec<(PartnerId, TrustedKey)>,
    pub(super) logs: Vec<VerifierKey>,
    nodes: Vec<(NodeId, Origin)>,
    groups: BTreeMap<PartnerId, Vec<PartnerId>>,
    agreements: Vec<(AgreementDigest, Agreement)>,
}

impl Known {
    pub(super) fn under(head: VerifiedHead) -> Self {
        let (partners, groups) = (BTreeMap::new(), BTreeMap::new());
        let (keys, logs, nodes, agreements) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Self { head, partners, keys, logs, nodes, groups, agreements }
    }

    pub(super) fn take(&mut self, record: &proto::RecordProof) -> Result<(), String> {
        let (body, leaf_data) = verify_record(record, &self.head)?;
        match body {
            RecordBody::Partner(partner) => {
                self.partners.insert(partner.number, partner);
            }
            RecordBody::Key(partner, key) => self.keys.push((partner, key)),
            RecordBody::Node(node) => {
                self.logs.extend(VerifierKey::of_log(&node.log_origin, node.log_key));
                self.nodes.push((node.id, node.log_origin));
            }
            RecordBody::Agreement(agreement) => self.agreements.push((AgreementDigest(leaf_data), agreement)),
            RecordBody::Group(group) => {
                self.groups.insert(group.id, group.members);
            }
            RecordBody::PassedOver(_) => {}
        }
        Ok(())
    }

    fn partner(&self, number: PartnerNumber) -> Result<&PartnerId, String> {
        let found = self.partners.get(&number).map(|partner| &partner.id);
        found.ok_or_else(|| format!("expected a record of partner number {}, found none", number.0))
    }

    /// A partner that may act under this head.
    fn active(&self, number: PartnerNumber) -> Result<&PartnerId, String> {
        let id = self.partner(number)?;
        match self.partners.get(&number).map(|partner| partner.status) {
            Some(proto::PartnerStatus::Active) => Ok(id),
            _ => Err(format!("expected a partner that may act, found {id} suspended")),
        }
    }

    /// The originator's notices are taken at its home alone.
    pub(super) fn at_home(&self, originator: PartnerNumber, log: &Origin) -> Result<(), String> {
        let home = self.partners.get(&originator).map(|partner| &partner.home);
        let node = self.nodes.iter().find(|(_, origin)| origin == log).map(|(node, _)| node);
        if home.is_some() && home == node {
            return Ok(());
        }
        let found = home.map_or("none", |home| home.as_str());
        Err(format!("expected the originator's home to be the node with log {log}, found {found}"))
    }

    fn keys_of(&self, partner: &PartnerId) -> Vec<TrustedKey> {
        self.keys.iter().filter(|(owner, _)| owner == partner).map(|(_, key)| key.clone()).collect()
    }

    /// The notice is the one accepted, its originator's key signed it, and the statement repeats what it says.
    pub(super) fn notice(
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
        let originator = self.active(accepted.originator)?;
        let keys = self.keys_of(originator);
        let expect = Expect {
            network: self.head.network(),
            payload_type: MANIFEST_TYPE,
            usage: Usage::Notice,
            keys: &keys,
            tables: None,
        };
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

    pub(super) fn acknowledgement(
        &self,
        acknowledged: &Acknowledged,
        log: &Origin,
        at: Micros,
    ) -> Result<(PartnerId, Micros), String> {
        let recipient = self.active(acknowledged.recipient)?;
        let keys = self.keys_of(recipient);
        let expect = Expect {
            network: self.head.network(),
            payload_type: ACKNOWLEDGEMENT_TYPE,
            usage: Usage::Acknowledgement,
            keys: &keys,
            tables: None,
        };
        let proven = Envelope::parse(acknowledged.envelope.clone())
            .and_then(|envelope| envelope.verify(&expect, at))
            .map_err(|refusal| format!("expected a signature by {recipient}: {}", refusal.message))?;
        let signed = Acknowledgement::parse(proven.payload().clone())
            .map_err(|refusal| format!("expected an acknowledgement: {}", refusal.message))?;
        let same = signed.root == acknowledged.root
            && signed.count == acknowledged.count
            && signed.recipient == *recipient
            && signed.log_origin == *log;
        if same {
            Ok((recipient.clone(), signed.signed_at))
        } else {
            Err("expected the statement to repeat what was signed, found otherwise".into())
        }
    }

    /// What the agreements used say, of those that are shown. One that does not cover the notice cannot have let it pass.
    /// With each, whether it was in force by the node's clock.
    pub(super) fn agreements_of(&self, accepted: &Accepted, at: Micros) -> Result<Vec<(bool, String)>, String> {
        let used = self.agreements.iter().filter(|(digest, _)| accepted.agreements.contains(digest));
        used.map(|(_, agreement)| covers(agreement, accepted, at)).collect()
    }

    /// Whether the notice is for a partner that the node says it is for: named, or in a group and not exempted.
    fn addressed(&self, partner: &PartnerId, manifest: Option<&Manifest>) -> Result<String, String> {
        let audience = &manifest.ok_or("expected the notice beside its recipients, found none")?.audience;
        if audience.partners.contains(partner) {
            return Ok(format!("It is for {partner}."));
        }
        let otherwise = || Err(format!("expected a recipient that the notice names, found {partner}"));
        if audience.exempted.contains(partner) || audience.groups.is_empty() {
            return otherwise();
        }
        let shown = |group: &PartnerId| self.groups.get(group);
        if let Some(group) =
            audience.groups.iter().find(|group| shown(group).is_some_and(|of| of.contains(partner)))
        {
            return Ok(format!("It is for {partner}, a member of {group}."));
        }
        if audience.groups.iter().all(|group| shown(group).is_some()) {
            return otherwise();
        }
        let groups: Vec<_> = audience.groups.iter().map(PartnerId::as_str).collect();
        Ok(format!("It is for {partner}, whom the node counts to {}.", groups.join(" or ")))
    }

    pub(super) fn item(
        &self,
        event: &Event,
        item: &proto::ItemProof,
        manifest: Option<&Manifest>,
    ) -> Result<ShownItem, String> {
        use proto::item_proof::Item as Shown;
        let path = items::hashes(&item.path).ok_or("expected hashes of 32 bytes in an item's path")?;
        let salt = |bytes: &Bytes| Salt::from_slice(bytes).ok_or("expected an item's salt of 32 bytes");
        let (data, root, count, shown) = match (event, item.item.as_ref()) {
            (Event::Accepted(accepted), Some(Shown::Recipient(shown))) => {
                let number = PartnerNumber(shown.number);
                let data = items::recipient(&salt(&shown.salt)?, number);
                let partner = self.partner(number)?;
                let text = self.addressed(partner, manifest)?;
                let shown = ShownItem { partner: partner.clone(), outcome: None, text };
                (data, accepted.recipients_root, accepted.recipient_count, shown)
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
                let word = shown.verdict().as_str_name().trim_start_matches("VERDICT_");
                let effect = effect(read.verdict, moved)?;
                let text = format!("{partner}: {word} for {}, leaf {}{effect}.", read.notice, read.leaf.0);
                (data, *root, *count, outcome(partner, word, read.notice, read.leaf, text))
            }
            (Event::Expired(Expired { root, count, .. }), Some(Shown::Expired(shown))) => {
                let number = PartnerNumber(shown.recipient);
                let came = known(shown.outcome(), "outcome")
                    .map_err(|refusal| format!("expected an expired item: {}", refusal.message))?;
                let leaf = LeafIndex(shown.leaf_index);
                let notice = NoticeId::from_slice(&shown.notice_id)
                    .ok_or("expected an expired item's notice of 32 bytes")?;
                let data = items::expired(&salt(&shown.salt)?, leaf, &notice, number, came);
                let partner = self.partner(number)?;
                let word = came.as_str_name().trim_start_matches("EXPIRED_OUTCOME_");
                let text = format!("{partner}: {word} for {notice}, leaf {}.", leaf.0);
                (data, *root, *count, outcome(partner, word, notice, leaf, text))
            }
            _ => return Err("expected items of the statement's own kind, found another".into()),
        };
        let found = items::root_of(data, item.index, u64::from(count), &path)
            .ok_or("an item's path has the wrong length for its place")?;
        if found == root {
            Ok(shown)
        } else {
            Err(format!("expected items root {}, found {}", root.to_hex(), found.to_hex()))
        }
    }
}

fn outcome(partner: &PartnerId, word: &'static str, id: NoticeId, leaf: LeafIndex, text: String) -> ShownItem {
    let notice = ShownNotice { id, leaf, reference: None };
    ShownItem { partner: partner.clone(), outcome: Some((word, notice)), text }
}

/// What an agreement says of a notice that it let pass. Its window is shown: a node whose clocks disagree goes by either.
fn covers(agreement: &Agreement, accepted: &Accepted, at: Micros) -> Result<(bool, String), String> {
    let within = agreement.kinds.contains(&accepted.kind)
        && accepted.handling.code <= agreement.highest_handling
        && accepted.handling.tlp <= agreement.highest_tlp
        && accepted.precedence <= agreement.highest_precedence;
    if !within {
        return Err(format!("expected agreement {} to cover the notice, found that it does not", agreement.id));
    }
    let Agreement { id, from, until, legal_basis, .. } = agreement;
    let in_force = (*from..*until).contains(&at);
    let when = if in_force { "in force then" } else { "not in force by that clock" };
    Ok((in_force, format!("The node names agreement {id}, {when}: {legal_basis}")))
}

/// What an item did, in words, where it is not just what its verdict says.
fn effect(verdict: proto::Verdict, moved: Moved) -> Result<&'static str, String> {
    let decides = verdict != proto::Verdict::Received;
    match (decides, moved.delivery, moved.decision) {
        (false, _, true) => Err("expected RECEIVED to decide nothing, found that it decided".into()),
        (_, false, false) => Ok(" (settled nothing)"),
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

pub(super) fn canonical(envelope: &Bytes) -> Result<proto::Envelope, String> {
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
