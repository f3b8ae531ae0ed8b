//! The repository's own test vectors: the only receipts in the world that their trust file has reason to believe.

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};

use liaison_protocol::envelope::{Envelope, MANIFEST_TYPE};
use liaison_protocol::id::{LeafIndex, NoticeId, Origin, PartnerNumber};
use liaison_protocol::proto;
use liaison_protocol::proto::item_proof::Item;
use liaison_protocol::receipt::{Consigned, Consignments, Outcome, verify};
use liaison_protocol::tlog::checkpoint::SignedNote;
use liaison_protocol::tlog::proof_file::ProofFile;
use liaison_protocol::trust::Trust;
use prost::Message as _;
use serde_json::Value;

pub(crate) static VECTORS: LazyLock<Vectors> = LazyLock::new(Vectors::read);

pub(crate) struct Vectors {
    /// What the receipts are verified against.
    pub(crate) trust: Trust,
    /// Every sentence that one of them proves.
    pub(crate) proven: BTreeSet<String>,
    /// Every notice that one of them consigns to a recipient whom it shows alone, and to whom.
    pub(crate) consigned: Vec<(PartnerNumber, Consigned)>,
    /// A checkpoint with a cosignature or two.
    pub(crate) note: SignedNote,
}

impl Vectors {
    fn read() -> Self {
        let file: Value = serde_json::from_str(include_str!("../../tests/vectors/receipt.json")).expect("JSON");
        let trust = file["trust"]["promised"].as_str().expect("a trust file that asks for no witness");
        let trust: Trust = trust.parse().expect("a trust file");
        let cases = file["cases"].as_array().expect("cases");
        let receipts = || cases.iter().filter_map(|case| case["receipt"].as_str());
        let reports = receipts().map(|receipt| verify(receipt.as_bytes(), Some(&trust)));
        let proven = reports.filter(|report| report.outcome == Outcome::Verified).flat_map(|report| report.proven);
        let proven: BTreeSet<_> = proven.collect();
        assert!(!proven.is_empty(), "some of the vectors verify");
        let consigned: Vec<_> = receipts().filter_map(|receipt| consigned(receipt, &trust)).collect();
        assert!(!consigned.is_empty(), "some of the vectors consign");
        let policies: Value = serde_json::from_str(include_str!("../../tests/vectors/trust.json")).expect("JSON");
        let note = policies["policies"][0]["note"].as_str().expect("a note");
        Self { note: SignedNote::parse(note.as_bytes()).expect("a note"), proven, consigned, trust }
    }

    /// Each recipient of a vector's notice.
    pub(crate) fn recipients(&self) -> BTreeSet<PartnerNumber> {
        self.consigned.iter().map(|(recipient, _)| *recipient).collect()
    }
}

/// What one recipient believes of answers that its log gives.
pub(crate) fn believes(trust: &Trust, recipient: PartnerNumber) -> Consignments {
    let log: Origin = "hub-1.example/log".parse().expect("the vectors' log");
    Consignments::new(trust.policy().clone(), log, recipient, Arc::default())
}

/// A receipt of acceptance as its recipient collects it (so does `seeds.py` put it together), and what that proves.
fn consigned(receipt: &str, trust: &Trust) -> Option<(PartnerNumber, Consigned)> {
    let file = ProofFile::parse(receipt).ok()?;
    let proto::Evidence { statement, salt, items, notice, .. } = proto::Evidence::decode(&*file.extra).ok()?;
    let [proto::ItemProof { item: Some(Item::Recipient(own)), .. }] = items.as_slice() else { return None };
    let recipient = PartnerNumber(own.number);
    let digest = Envelope::parse(notice.clone()).ok()?.digest(MANIFEST_TYPE);
    let shown = proto::Receipt {
        leaf_index: file.index,
        statement,
        salt,
        path: (0..).take(file.path.len()).collect(),
        items: Vec::new(),
        shared_items: vec![0],
    };
    let receipts = proto::Receipts {
        checkpoint: file.checkpoint.to_string().into(),
        hashes: file.path.iter().flat_map(|hash| hash.0).collect(),
        receipts: vec![shown],
        items,
    };
    let deliveries = vec![proto::Delivery { envelope: notice, parts: Vec::new() }];
    let answer = proto::CollectResponse { deliveries, receipts: Some(receipts), ..Default::default() };
    let found = believes(trust, recipient).check(&answer.encode_to_vec()).ok()?;
    assert_eq!(found, [Consigned { leaf: LeafIndex(file.index), notice: NoticeId(digest) }]);
    Some((recipient, found[0]))
}
