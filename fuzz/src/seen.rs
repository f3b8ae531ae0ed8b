//! The repository's own test vectors: the only receipts in the world that their trust file has reason to believe.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use liaison_protocol::receipt::{Outcome, verify};
use liaison_protocol::tlog::checkpoint::SignedNote;
use liaison_protocol::trust::Trust;
use serde_json::Value;

pub(crate) static VECTORS: LazyLock<Vectors> = LazyLock::new(Vectors::read);

pub(crate) struct Vectors {
    /// What the receipts are verified against.
    pub(crate) trust: Trust,
    /// Every sentence that one of them proves.
    pub(crate) proven: BTreeSet<String>,
    /// A checkpoint with a cosignature or two.
    pub(crate) note: SignedNote,
}

impl Vectors {
    fn read() -> Self {
        let file: Value = serde_json::from_str(include_str!("../../tests/vectors/receipt.json")).expect("JSON");
        let trust = file["trust"]["promised"].as_str().expect("a trust file that asks for no witness");
        let trust: Trust = trust.parse().expect("a trust file");
        let cases = file["cases"].as_array().expect("cases");
        let receipts = cases.iter().filter_map(|case| case["receipt"].as_str());
        let reports = receipts.map(|receipt| verify(receipt.as_bytes(), Some(&trust)));
        let proven = reports.filter(|report| report.outcome == Outcome::Verified).flat_map(|report| report.proven);
        let proven: BTreeSet<_> = proven.collect();
        assert!(!proven.is_empty(), "some of the vectors verify");
        let policies: Value = serde_json::from_str(include_str!("../../tests/vectors/trust.json")).expect("JSON");
        let note = policies["policies"][0]["note"].as_str().expect("a note");
        Self { note: SignedNote::parse(note.as_bytes()).expect("a note"), proven, trust }
    }
}
