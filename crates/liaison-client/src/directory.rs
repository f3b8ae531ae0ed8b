//! The directory as the caller may see it, each record proving itself alone: what receipts need to be complete.

use std::collections::BTreeMap;

use bytes::Bytes;
use liaison_protocol::directory::{BadDirectory, RecordBody, SignedHead, VerifiedHead, verify_record};
use liaison_protocol::id::{AgreementDigest, HeadVersion, NodeId, Origin, PartnerId, PartnerNumber};
use liaison_protocol::keyring::Usage;
use liaison_protocol::proto;
use liaison_protocol::receipt::{Receipt, Support};
use liaison_protocol::statement::{Event, Statement};
use liaison_protocol::tlog::checkpoint::{Checkpoint, SignedNote};
use liaison_protocol::trust::Trust;

use crate::{Client, ClientError};

/// Records asked for at a time.
const PAGE: i32 = 500;
/// Agreements shown in one receipt file: in base64, with everything else, they stay below the file's bound.
const AGREEMENT_BYTES_MAX: usize = 1 << 20;

/// One version of the directory, verified record by record.
#[derive(Clone, Debug)]
pub struct KnownDirectory {
    head: VerifiedHead,
    partners: BTreeMap<PartnerNumber, (PartnerId, proto::RecordProof)>,
    keys: BTreeMap<(PartnerId, u8), Vec<proto::RecordProof>>,
    agreements: BTreeMap<AgreementDigest, proto::RecordProof>,
    nodes: Vec<(Origin, proto::RecordProof)>,
    /// The home of each partner, and the log of each node.
    homes: BTreeMap<PartnerId, NodeId>,
    logs: BTreeMap<NodeId, Origin>,
    read: Vec<RecordBody>,
}

/// Usages in some order.
fn usage_key(usage: Usage) -> u8 {
    match usage {
        Usage::Notice => 1,
        Usage::Acknowledgement => 2,
    }
}

impl Client {
    /// Reads a version of the directory, 0 for the one in force, and verifies it against a trust file.
    pub async fn known_directory(&self, version: u64, trust: &Trust) -> Result<KnownDirectory, ClientError> {
        let unproven = |error: &dyn std::fmt::Display| ClientError::Unproven(error.to_string());
        let request = proto::GetHeadRequest { version };
        let answer = self.directory().get_head(request).await.map_err(|status| self.refused(&status))?;
        let head = SignedHead::parse(answer.into_inner().head).map_err(|bad| unproven(&bad))?;
        let head = head.verify(trust.authority(), Some(trust.network())).map_err(|bad| match bad {
            BadDirectory::OtherNetwork { .. } => ClientError::OtherNetwork(bad.to_string()),
            bad => unproven(&bad),
        })?;
        let mut known = KnownDirectory {
            partners: BTreeMap::new(),
            keys: BTreeMap::new(),
            agreements: BTreeMap::new(),
            nodes: Vec::new(),
            homes: BTreeMap::new(),
            logs: BTreeMap::new(),
            read: Vec::new(),
            head,
        };
        let mut request = proto::ListRecordsRequest {
            version: known.head.version().0,
            page_size: PAGE,
            page_token: String::new(),
        };
        loop {
            let answer = self.directory().list_records(request.clone()).await;
            let answer = answer.map_err(|status| self.refused(&status))?.into_inner();
            for record in answer.records {
                known.take(record).map_err(ClientError::Unproven)?;
            }
            if answer.next_page_token.is_empty() {
                return Ok(known);
            }
            request.page_token = answer.next_page_token;
        }
    }

    /// The newest signed checkpoint of the node's log.
    pub async fn checkpoint(&self) -> Result<Bytes, ClientError> {
        let answer = self.log().get_checkpoint(proto::GetCheckpointRequest {}).await;
        Ok(answer.map_err(|status| self.refused(&status))?.into_inner().checkpoint)
    }

    /// That the log grew from one size into another; 0 for the newest.
    pub async fn consistency(&self, old: u64, new: u64) -> Result<proto::GetConsistencyProofResponse, ClientError> {
        let request = proto::GetConsistencyProofRequest { old_size: old, new_size: new };
        let answer = self.log().get_consistency_proof(request).await;
        Ok(answer.map_err(|status| self.refused(&status))?.into_inner())
    }

    /// That a leaf lies in the tree of a size; 0 for the newest.
    pub async fn inclusion(&self, leaf: u64, size: u64) -> Result<proto::GetInclusionProofResponse, ClientError> {
        let request = proto::GetInclusionProofRequest { leaf_index: leaf, tree_size: size };
        let answer = self.log().get_inclusion_proof(request).await;
        Ok(answer.map_err(|status| self.refused(&status))?.into_inner())
    }
}

impl KnownDirectory {
    fn take(&mut self, record: proto::RecordProof) -> Result<(), String> {
        let (body, digest) = verify_record(&record, &self.head)?;
        self.read.push(body.clone());
        match body {
            RecordBody::Partner(partner) => {
                self.homes.insert(partner.id.clone(), partner.home);
                self.partners.insert(partner.number, (partner.id, record));
            }
            RecordBody::Key(partner, key) => {
                self.keys.entry((partner, usage_key(key.usage))).or_default().push(record);
            }
            RecordBody::Node(node) => {
                self.logs.insert(node.id, node.log_origin.clone());
                self.nodes.push((node.log_origin, record));
            }
            RecordBody::Agreement(_) => {
                self.agreements.insert(AgreementDigest(digest), record);
            }
            RecordBody::Group(_) | RecordBody::PassedOver(_) => {}
        }
        Ok(())
    }

    /// The signed head.
    pub fn head(&self) -> &VerifiedHead {
        &self.head
    }

    /// A partner's identifier.
    pub fn partner(&self, number: PartnerNumber) -> Option<&PartnerId> {
        self.partners.get(&number).map(|(id, _)| id)
    }

    /// A partner's number.
    pub fn number(&self, id: &PartnerId) -> Option<PartnerNumber> {
        self.partners.iter().find(|(_, (known, _))| known == id).map(|(number, _)| *number)
    }

    /// All partners that the caller may see.
    pub fn partners(&self) -> impl Iterator<Item = &PartnerId> {
        self.partners.values().map(|(id, _)| id)
    }

    /// The logs of its nodes.
    pub fn logs(&self) -> impl Iterator<Item = &Origin> {
        self.nodes.iter().map(|(origin, _)| origin)
    }

    /// The log of a partner's home: whose positions it signs for.
    pub fn home_log(&self, partner: &PartnerId) -> Option<&Origin> {
        self.logs.get(self.homes.get(partner)?)
    }

    /// Every record that the caller may see, read.
    pub fn records(&self) -> &[RecordBody] {
        &self.read
    }

    /// What a receipt file needs beside the receipt. The notice goes with a receipt of acceptance.
    pub fn support(&self, receipt: &Receipt, notice: Option<Bytes>) -> Result<Support, ClientError> {
        let statement = Statement::decode(receipt.opening.statement.clone())?;
        let named = statement.under.map(|head| head.version);
        if named != Some(self.head.version()) {
            return Err(ClientError::Unproven(format!(
                "the statement names directory version {}, this is {}",
                named.unwrap_or(HeadVersion(0)).0,
                self.head.version().0
            )));
        }
        let (numbers, signer) = match &statement.event {
            Event::Accepted(accepted) => (vec![accepted.originator], Some((accepted.originator, Usage::Notice))),
            Event::Acknowledged(acknowledged) => {
                (vec![acknowledged.recipient], Some((acknowledged.recipient, Usage::Acknowledgement)))
            }
            _ => (Vec::new(), None),
        };
        let shown = receipt.items.iter().filter_map(|item| match item.item.as_ref()? {
            proto::item_proof::Item::Recipient(item) => Some(PartnerNumber(item.number)),
            proto::item_proof::Item::Expired(item) => Some(PartnerNumber(item.recipient)),
            proto::item_proof::Item::Acknowledged(_) => None,
        });
        let mut wanted: Vec<_> = numbers.into_iter().chain(shown).collect();
        wanted.sort_unstable();
        wanted.dedup();
        let note = SignedNote::parse(&receipt.checkpoint).map_err(|bad| ClientError::Unproven(bad.to_string()))?;
        let checkpoint = Checkpoint::parse(note.text()).map_err(|bad| ClientError::Unproven(bad.to_string()))?;
        // The node whose log this is, and no other: receipts do not grow with the network.
        let nodes = self.nodes.iter().filter(|(origin, _)| *origin == checkpoint.origin);
        let mut records: Vec<_> = nodes.map(|(_, record)| record.clone()).collect();
        for number in wanted {
            let (_, record) = self.partners.get(&number).ok_or_else(|| {
                ClientError::Unproven(format!("partner number {} is not in the directory", number.0))
            })?;
            records.push(record.clone());
        }
        if let Some((number, usage)) = signer
            && let Some(id) = self.partner(number)
        {
            records.extend(self.keys.get(&(id.clone(), usage_key(usage))).into_iter().flatten().cloned());
        }
        if let Event::Accepted(accepted) = &statement.event {
            let used = accepted.agreements.iter().filter_map(|digest| self.agreements.get(digest)).cloned();
            let mut bytes = 0;
            records.extend(used.take_while(|proof| {
                bytes += proof.record.len();
                bytes <= AGREEMENT_BYTES_MAX
            }));
        }
        Ok(Support { notice, directory_head: self.head.envelope().clone(), records })
    }

    /// Writes a complete receipt file.
    pub fn receipt_file(&self, receipt: &Receipt, notice: Option<Bytes>) -> Result<String, ClientError> {
        let support = self.support(receipt, notice)?;
        receipt.to_file(&support).map_err(|error| ClientError::Unproven(error.to_string()))
    }
}
