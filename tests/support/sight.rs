//! What was seen in a story: every checkpoint, receipt and notice. At its end all of it must fit together.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Mutex;

use bytes::Bytes;
use liaison_client::KnownDirectory;
use liaison_protocol::id::{Hash, HeadVersion, NoticeId};
use liaison_protocol::receipt::{Outcome, Receipt, verify};
use liaison_protocol::statement::{Event, Statement};
use liaison_protocol::tlog::checkpoint::{Checkpoint, SignedNote};
use liaison_protocol::tlog::proof::is_consistent;

use super::{Partner, soon};

/// What partners have been shown.
#[derive(Default)]
pub(super) struct Sight {
    checkpoints: Mutex<HashSet<Bytes>>,
    receipts: Mutex<Vec<Receipt>>,
    notices: Mutex<HashMap<NoticeId, Bytes>>,
}

impl Sight {
    pub(super) fn checkpoint(&self, note: &Bytes) {
        self.checkpoints.lock().unwrap().insert(note.clone());
    }

    pub(super) fn receipt(&self, receipt: &Receipt) {
        self.checkpoint(&receipt.checkpoint);
        self.receipts.lock().unwrap().push(receipt.clone());
    }

    pub(super) fn notice(&self, id: NoticeId, envelope: Bytes) {
        self.notices.lock().unwrap().insert(id, envelope);
    }
}

/// Every checkpoint that anyone was shown is signed and lies on one line of growth, and every receipt verifies offline.
pub(crate) async fn assert_log_is_sound(partner: &Partner) {
    let newest = partner.checkpoint().await;
    let log = &partner.trust.policy().logs()[0];
    let mut roots = BTreeMap::<u64, Hash>::new();
    for note in partner.sight.checkpoints.lock().unwrap().iter() {
        let note = SignedNote::parse(note).unwrap();
        note.verify(log).unwrap();
        let seen = Checkpoint::parse(note.text()).unwrap();
        let first = *roots.entry(seen.size).or_insert(seen.root);
        assert_eq!(first, seen.root, "two roots of size {}", seen.size);
    }
    for (size, root) in roots {
        let proof = soon("a proof", partner.client.consistency(size, newest.size)).await.unwrap();
        let path: Vec<_> = proof.path.iter().map(|hash| Hash::from_slice(hash).unwrap()).collect();
        assert!(is_consistent(size, root, newest.size, newest.root, &path), "sizes {size} and {}", newest.size);
    }
    let receipts = std::mem::take(&mut *partner.sight.receipts.lock().unwrap());
    let mut directories = HashMap::<HeadVersion, KnownDirectory>::new();
    for receipt in receipts {
        let statement = Statement::decode(receipt.opening.statement.clone()).unwrap();
        let version = statement.under.unwrap().version;
        let directory = match directories.entry(version) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(unknown) => {
                let known = partner.client.known_directory(version.0, &partner.trust);
                unknown.insert(soon("the directory", known).await.unwrap())
            }
        };
        let notice = match &statement.event {
            Event::Accepted(accepted) => partner.sight.notices.lock().unwrap().get(&accepted.notice).cloned(),
            _ => None,
        };
        let file = directory.receipt_file(&receipt, notice).unwrap();
        let report = verify(file.as_bytes(), Some(&partner.trust));
        assert_eq!(report.outcome, Outcome::Verified, "leaf {}: {:?}", receipt.leaf.0, report.findings);
    }
}
