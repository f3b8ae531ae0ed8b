//! Stored bytes that are not what was written. Whoever finds some reports them here, and gets the one answer that callers are given:
//! DATA_LOSS STORED_DAMAGE. Each damage is audited once, however often it is met.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

use liaison_protocol::id::LeafIndex;
use liaison_protocol::reason::{Reason, Refusal};

/// Damages remembered as audited, about 100 bytes each. A disk that has more is beyond repair, and its operator knows by then; they are
/// counted still.
const AUDITED_MAX: usize = 4_096;

/// What is known to be damaged since the start.
#[derive(Debug, Default)]
pub struct Integrity {
    audited: Mutex<BTreeSet<(Option<LeafIndex>, String)>>,
    found: AtomicU64,
}

impl Integrity {
    /// Reports damage: of the statement or notice of one leaf, or of no leaf that is known. Gives what callers are answered.
    pub fn damaged(&self, leaf: Option<LeafIndex>, what: &str) -> Refusal {
        self.report(leaf, what);
        let text = match leaf {
            Some(leaf) => format!("what is stored of leaf {} is damaged: {what}", leaf.0),
            None => format!("what is stored is damaged: {what}"),
        };
        let refusal = Refusal::new(Reason::StoredDamage, text);
        match leaf {
            Some(leaf) => refusal.with("leaf_index", leaf.0),
            None => refusal,
        }
    }

    /// Reports damage that nobody waits to hear of. False: it had been reported before.
    pub fn report(&self, leaf: Option<LeafIndex>, what: &str) -> bool {
        let mut audited = self.audited.lock().unwrap_or_else(PoisonError::into_inner);
        if audited.len() >= AUDITED_MAX || !audited.insert((leaf, what.to_owned())) {
            return false;
        }
        drop(audited);
        self.found.fetch_add(1, Relaxed);
        let leaf = leaf.map(|leaf| leaf.0);
        tracing::error!(target: "audit", event = "integrity", leaf, what);
        true
    }

    /// Different damages reported since the start.
    pub fn found(&self) -> u64 {
        self.found.load(Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_damage_is_reported_once_and_every_caller_is_answered() {
        let integrity = Integrity::default();
        for _ in 0..3 {
            for (leaf, what) in [(Some(LeafIndex(7)), "envelope"), (Some(LeafIndex(8)), "envelope"), (None, "tile")]
            {
                assert_eq!(integrity.damaged(leaf, what).reason, Reason::StoredDamage);
            }
        }
        assert_eq!(integrity.found(), 3);
    }
}
