//! A directory compiled once, at adoption: for each originator and kind the sets that each agreement opens.

use std::collections::HashMap;
use std::sync::Arc;

use liaison_protocol::directory::Directory;
use liaison_protocol::id::{AgreementDigest, HeadVersion, Micros, PartnerNumber};
use liaison_protocol::manifest::Handling;
use liaison_protocol::proto::{HandlingCode, Kind, Precedence, Tlp};
use roaring::RoaringBitmap;

use super::Lack;

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
        self.exceeded(handling, precedence).next().is_none()
    }

    /// The ceilings that handling and precedence go through.
    pub(super) fn exceeded(&self, handling: &Handling, precedence: Precedence) -> impl Iterator<Item = Lack> {
        let handling_lacks = (handling.code as i32 > self.handling as i32).then_some(Lack::Handling(self.handling));
        let tlp_lacks = (handling.tlp as i32 > self.tlp as i32).then_some(Lack::Tlp(self.tlp));
        let precedence_lacks =
            (precedence as i32 > self.precedence as i32).then_some(Lack::Precedence(self.precedence));
        [handling_lacks, tlp_lacks, precedence_lacks].into_iter().flatten()
    }

    /// On which side of its window a moment lies; None within it.
    pub(super) fn outside(&self, now: Micros) -> Option<Lack> {
        if now < self.from {
            Some(Lack::NotYet(self.from))
        } else if now >= self.until {
            Some(Lack::NoLonger(self.until))
        } else {
            None
        }
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

    /// Whom an originator may send something to at a moment: every kind together, itself left out.
    pub fn reach(&self, originator: PartnerNumber, now: Micros) -> RoaringBitmap {
        let in_force = self.rows_of(originator).map(|(_, row)| row).filter(|row| row.outside(now).is_none());
        let mut reach = in_force.fold(RoaringBitmap::new(), |set, row| set | &*row.recipients);
        reach.remove(originator.0);
        reach
    }

    /// All that agreements open to an originator, kind by kind in the order of their numbers.
    pub(super) fn rows_of(&self, originator: PartnerNumber) -> impl Iterator<Item = (Kind, &Row)> {
        let kinds = (1..).map_while(|kind| Kind::try_from(kind).ok());
        kinds.flat_map(move |kind| self.rows(originator, kind).iter().map(move |row| (kind, row)))
    }

    pub(super) fn rows(&self, originator: PartnerNumber, kind: Kind) -> &[Row] {
        self.rows.get(&(originator, kind)).map(Vec::as_slice).unwrap_or_default()
    }
}
