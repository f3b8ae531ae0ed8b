//! A directory compiled once, at adoption: for each originator and kind the sets that each agreement opens.

use std::collections::HashMap;
use std::sync::Arc;

use liaison_protocol::directory::Directory;
use liaison_protocol::id::{AgreementDigest, HeadVersion, Micros, PartnerNumber};
use liaison_protocol::manifest::Handling;
use liaison_protocol::proto::{HandlingCode, Kind, Precedence, Tlp};
use roaring::RoaringBitmap;

/// The directory in force and what follows from it.
#[derive(Debug)]
pub struct CompiledDirectory {
    directory: Arc<Directory>,
    rows: HashMap<(PartnerNumber, Kind), Vec<Row>>,
}

/// What one agreement opens to one originator for one kind.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) recipients: Arc<RoaringBitmap>,
    pub(super) from: Micros,
    pub(super) until: Micros,
    pub(super) agreement: AgreementDigest,
    handling: HandlingCode,
    tlp: Tlp,
    precedence: Precedence,
}

impl Row {
    /// Whether handling and precedence stay below this agreement's ceilings.
    pub(super) fn admits(&self, handling: &Handling, precedence: Precedence) -> bool {
        handling.code as i32 <= self.handling as i32
            && handling.tlp as i32 <= self.tlp as i32
            && precedence as i32 <= self.precedence as i32
    }
}

impl CompiledDirectory {
    /// Compiles a directory.
    pub fn new(directory: Arc<Directory>) -> Self {
        let mut rows: HashMap<_, Vec<Row>> = HashMap::new();
        for agreement in directory.agreements() {
            let set = |parties: &[_]| -> RoaringBitmap {
                parties.iter().flat_map(|party| directory.members(party)).map(|number| number.0).collect()
            };
            let recipients = Arc::new(set(&agreement.recipients));
            for originator in set(&agreement.originators) {
                for kind in &agreement.kinds {
                    rows.entry((PartnerNumber(originator), *kind)).or_default().push(Row {
                        recipients: recipients.clone(),
                        from: agreement.from,
                        until: agreement.until,
                        agreement: agreement.digest,
                        handling: agreement.highest_handling,
                        tlp: agreement.highest_tlp,
                        precedence: agreement.highest_precedence,
                    });
                }
            }
        }
        Self { directory, rows }
    }

    /// The directory itself.
    pub fn directory(&self) -> &Directory {
        &self.directory
    }

    /// The head's version.
    pub fn version(&self) -> HeadVersion {
        self.directory.head().version()
    }

    pub(super) fn rows(&self, originator: PartnerNumber, kind: Kind) -> &[Row] {
        self.rows.get(&(originator, kind)).map(Vec::as_slice).unwrap_or_default()
    }
}
