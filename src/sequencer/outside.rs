//! What deciding must be told from outside the view: what names were given to, fresh salts, what was ever sent.

use std::collections::HashMap;

use liaison_protocol::id::{NoticeId, PartnerNumber, Reference, Seq};
use liaison_protocol::proto::ExpiredOutcome;
use liaison_protocol::tlog::entry::Salt;

use super::Parts;
use crate::state::{Outside, Proposal};
use crate::store::Name;

/// Names with what they were given to, as the store knows them.
pub(super) type Known = HashMap<Name, (Seq, NoticeId)>;

pub(super) struct FromStore<'a> {
    pub(super) known: &'a Known,
    pub(super) parts: &'a mut Parts,
    pub(super) since: Seq,
}

impl Outside for FromStore<'_> {
    fn known(&self, originator: PartnerNumber, reference: &Reference) -> Option<(Seq, NoticeId)> {
        self.known.get(&(originator, reference.clone())).copied()
    }

    fn salt(&mut self) -> Salt {
        let mut salt = [0; 32];
        self.parts.entropy.fill(&mut salt);
        Salt(salt)
    }

    fn unsigned(&self, seq: Seq, recipient: PartnerNumber) -> ExpiredOutcome {
        self.parts.transmitted.outcome(seq, recipient, self.since)
    }
}

/// Every name that deciding may ask for: of each notice, and of the one it is bound to.
pub(super) fn names(proposals: &[Proposal]) -> Vec<Name> {
    let of = |proposal: &Proposal| match proposal {
        Proposal::Submit(permit) => {
            let manifest = permit.manifest().manifest();
            let related = manifest.relation.as_ref().map(|relation| relation.reference.clone());
            let references = [Some(manifest.reference.clone()), related];
            references.into_iter().flatten().map(|reference| (permit.originator(), reference)).collect()
        }
        _ => Vec::new(),
    };
    let mut names: Vec<_> = proposals.iter().flat_map(of).collect();
    names.sort_unstable();
    names.dedup();
    names
}
