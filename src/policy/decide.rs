//! The decision: whom a notice may reach. Errors name only what the caller wrote, so that probing reveals neither memberships
//! nor the agreements of others.

use std::collections::BTreeSet;
use std::sync::Arc;

use liaison_protocol::directory::Partner;
use liaison_protocol::id::{AgreementDigest, HeadVersion, Micros, NodeId, PartnerId};
use liaison_protocol::limits::AGREEMENTS_MAX;
use liaison_protocol::manifest::{Manifest, VerifiedManifest};
use liaison_protocol::part::Parts;
use liaison_protocol::reason::{Reason, Refusal};
use roaring::RoaringBitmap;

use super::{Audience, CompiledDirectory};

/// A notice that may be taken: verified, its parts opened, its audience resolved. Only [`authorise`] makes one.
#[derive(Debug)]
pub struct Permit {
    manifest: VerifiedManifest,
    parts: Parts,
    audience: Arc<Audience>,
    originator: liaison_protocol::id::PartnerNumber,
    judged_under: HeadVersion,
}

impl Permit {
    /// What the originator signed.
    pub fn manifest(&self) -> &VerifiedManifest {
        &self.manifest
    }

    /// The parts beside it.
    pub fn parts(&self) -> &Parts {
        &self.parts
    }

    /// Whom it reaches.
    pub fn audience(&self) -> &Arc<Audience> {
        &self.audience
    }

    /// Who signed it.
    pub fn originator(&self) -> liaison_protocol::id::PartnerNumber {
        self.originator
    }

    /// The directory version it was judged under.
    pub fn judged_under(&self) -> HeadVersion {
        self.judged_under
    }
}

/// Permits a notice. The caller is a registered, active partner; `audience` gives the resolved audience, from a cache or anew.
pub fn authorise(
    caller: &Partner,
    manifest: VerifiedManifest,
    parts: Parts,
    node: &NodeId,
    directory: &CompiledDirectory,
    audience: impl FnOnce(&Manifest) -> Result<Arc<Audience>, Refusal>,
) -> Result<Permit, Refusal> {
    let named = &manifest.manifest().originator;
    if *named != caller.id {
        return Err(Refusal::new(
            Reason::SenderMismatch,
            format!("originator: the notice names {named}, the caller is {}", caller.id),
        ));
    }
    if caller.home != *node {
        return Err(Refusal::new(Reason::NotHome, format!("the home of {} is node {}", caller.id, caller.home))
            .with("home", &caller.home));
    }
    let audience = audience(manifest.manifest())?;
    Ok(Permit { manifest, parts, audience, originator: caller.number, judged_under: directory.version() })
}

/// An audience as sets, before its recipients are salted.
#[derive(Debug, PartialEq)]
pub struct Resolved {
    /// The recipients' numbers.
    pub members: RoaringBitmap,
    /// Members of named groups that no agreement covers.
    pub passed_over: u32,
    /// The agreements used.
    pub agreements: Vec<AgreementDigest>,
    /// The same question has had the same answer since then, under the same directory.
    pub since: Micros,
    /// And has it until before then.
    pub until: Micros,
}

/// Resolves an audience. A partner named one by one who is not covered refuses the whole notice; of a group the covered members
/// are reached and the others counted.
pub fn resolve(
    caller: &Partner,
    manifest: &Manifest,
    node: &NodeId,
    directory: &CompiledDirectory,
    now: Micros,
) -> Result<Resolved, Refusal> {
    let rows = directory.rows(caller.number, manifest.kind);
    let admitted: Vec<_> = rows.iter().filter(|row| row.admits(&manifest.handling, manifest.precedence)).collect();
    let in_force = || admitted.iter().filter(|row| row.outside(now).is_none());
    let mut reachable = in_force().fold(RoaringBitmap::new(), |set, row| set | &*row.recipients);
    reachable.remove(caller.number.0);

    let mut members = RoaringBitmap::new();
    for id in &manifest.audience.partners {
        // A stranger and a partner out of reach get the same answer.
        let partner = directory.directory().partner(id).filter(|partner| reachable.contains(partner.number.0));
        let partner = partner.ok_or_else(|| not_covered("partners", id))?;
        if partner.home != *node {
            return Err(Refusal::new(Reason::NoRoute, format!("audience.partners: {id} has another home"))
                .with("recipient", id));
        }
        members.insert(partner.number.0);
    }
    let exempted: RoaringBitmap = manifest
        .audience
        .exempted
        .iter()
        .filter_map(|id| directory.directory().partner(id))
        .map(|partner| partner.number.0)
        .collect();
    let mut passed_over = RoaringBitmap::new();
    for id in &manifest.audience.groups {
        let wanted: RoaringBitmap = match directory.directory().group(id) {
            Some(_) => directory.directory().members(id).into_iter().map(|number| number.0).collect(),
            None => RoaringBitmap::new(),
        };
        let wanted = wanted - RoaringBitmap::from_iter([caller.number.0]);
        let home_here = |number: &u32| {
            let partner = directory.directory().numbered(liaison_protocol::id::PartnerNumber(*number));
            partner.is_some_and(|partner| partner.home == *node)
        };
        let covered: RoaringBitmap = (&wanted & &reachable).iter().filter(home_here).collect();
        if covered.is_empty() {
            return Err(not_covered("groups", id));
        }
        // An exempted partner whom nothing covers is counted like the others: the count must not tell who is in the group.
        passed_over |= wanted - &covered;
        members |= covered - &exempted;
    }
    if members.is_empty() {
        return Err(Refusal::new(Reason::NobodyToReach, "audience: nobody remains"));
    }
    let agreements: BTreeSet<_> =
        in_force().filter(|row| !row.recipients.is_disjoint(&members)).map(|row| row.agreement).collect();
    if agreements.len() > AGREEMENTS_MAX {
        let text = format!("audience: needs {} agreements, at most {AGREEMENTS_MAX}", agreements.len());
        return Err(Refusal::new(Reason::TooLarge, text));
    }
    let edges = || admitted.iter().flat_map(|row| [row.from, row.until]);
    Ok(Resolved {
        passed_over: u32::try_from(passed_over.len()).unwrap_or(u32::MAX),
        agreements: agreements.into_iter().collect(),
        since: edges().filter(|edge| *edge <= now).max().unwrap_or(Micros(i64::MIN)),
        until: edges().filter(|edge| *edge > now).min().unwrap_or(Micros(i64::MAX)),
        members,
    })
}

fn not_covered(list: &str, id: &PartnerId) -> Refusal {
    Refusal::new(
        Reason::NotCovered,
        format!("audience.{list}: no agreement in force covers {id} for this kind, handling and precedence"),
    )
    .with("recipient", id)
}
