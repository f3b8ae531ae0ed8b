//! Why a decision is what it is: the same function asked, the same table read, and what each agreement lacks. For whoever may see the
//! whole directory; a node never answers in these words.

use liaison_protocol::directory::Partner;
use liaison_protocol::id::{AgreementDigest, Micros, NodeId, PartnerNumber};
use liaison_protocol::manifest::Manifest;
use liaison_protocol::proto::{HandlingCode, Precedence, Tlp};
use liaison_protocol::reason::Refusal;
use roaring::RoaringBitmap;

use super::{CompiledDirectory, Resolved, resolve};

/// What keeps an agreement between the right parties from covering a notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lack {
    /// It is for other kinds.
    Kind,
    /// Its ceiling for handling codes is lower.
    Handling(HandlingCode),
    /// Its ceiling for labels is lower.
    Tlp(Tlp),
    /// Its ceiling for precedences is lower.
    Precedence(Precedence),
    /// It begins then.
    NotYet(Micros),
    /// It ended then.
    NoLonger(Micros),
}

/// An agreement that lets the originator send something to a recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Which one.
    pub agreement: AgreementDigest,
    /// In force before then.
    pub until: Micros,
    /// What it lacks for this notice. Nothing: it covers it.
    pub lacks: Vec<Lack>,
}

/// The node's decision, and how each recipient stands.
#[derive(Debug)]
pub struct Explanation {
    /// What [`resolve`] says, word for word.
    pub decision: Result<Resolved, Refusal>,
    /// Everybody named one by one or through a group, the nearest agreement first; strangers are left out.
    pub recipients: Vec<(PartnerNumber, Vec<Candidate>)>,
}

/// Asks what the home of an originator would decide of a notice, and reads from the same rows why.
pub fn explain(
    caller: &Partner,
    manifest: &Manifest,
    node: &NodeId,
    directory: &CompiledDirectory,
    now: Micros,
) -> Explanation {
    let known = directory.directory();
    let named = manifest.audience.partners.iter().filter_map(|id| known.partner(id)).map(|partner| partner.number);
    let grouped = manifest.audience.groups.iter().filter(|id| known.group(id).is_some());
    let grouped = grouped.flat_map(|id| known.members(id));
    let exempted = manifest.audience.exempted.iter().filter_map(|id| known.partner(id));
    let exempted: RoaringBitmap = exempted.map(|partner| partner.number.0).chain([caller.number.0]).collect();
    let grouped = grouped.filter(|number| !exempted.contains(number.0));
    let asked: RoaringBitmap = named.chain(grouped).map(|number| number.0).collect();
    let candidates =
        |number| (PartnerNumber(number), candidates(caller, PartnerNumber(number), manifest, directory, now));
    Explanation {
        decision: resolve(caller, manifest, node, directory, now),
        recipients: asked.iter().map(candidates).collect(),
    }
}

fn candidates(
    caller: &Partner,
    recipient: PartnerNumber,
    manifest: &Manifest,
    directory: &CompiledDirectory,
    now: Micros,
) -> Vec<Candidate> {
    let mut found: Vec<Candidate> = Vec::new();
    // Nobody is covered by what it agreed with itself.
    let rows = directory.rows_of(caller.number).filter(|_| recipient != caller.number);
    for (kind, row) in rows.filter(|(_, row)| row.recipients.contains(recipient.0)) {
        let other_kind = (kind != manifest.kind).then_some(Lack::Kind);
        let lacks = other_kind.into_iter().chain(row.exceeded(&manifest.handling, manifest.precedence));
        let candidate = Candidate {
            agreement: row.agreement,
            until: row.until,
            lacks: lacks.chain(row.outside(now)).collect(),
        };
        match found.iter_mut().find(|known| known.agreement == row.agreement) {
            // One agreement has a row for each of its kinds, alike but for the kind.
            Some(known) if other_kind.is_none() => *known = candidate,
            Some(_) => {}
            None => found.push(candidate),
        }
    }
    found.sort_by_key(|candidate| candidate.lacks.len());
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::{FAR, Plan, START, World, agreement, audience};
    use liaison_client::sign::Draft;
    use liaison_protocol::proto::{self, Kind};
    use liaison_protocol::reason::Reason;
    use proptest::prelude::*;

    fn explained(world: &World, draft: Draft, now: Micros) -> Explanation {
        let from = draft.originator.to_string();
        let manifest = world.verified(&world.signed(draft), &from);
        explain(world.partner(&from), manifest.manifest(), &world.hub, &world.directory, now)
    }

    fn low(id: &str, to: &str) -> proto::Agreement {
        proto::Agreement {
            kinds: vec![Kind::Blue.into(), Kind::Message.into()],
            highest_handling: HandlingCode::H1.into(),
            highest_tlp: Tlp::Green.into(),
            highest_precedence: Precedence::Routine.into(),
            until_us: START.plus(Micros::HOUR).0,
            ..agreement(id, &["FR"], &[to])
        }
    }

    #[test]
    fn every_way_of_falling_short_is_named_with_the_agreements_own_bound() {
        let world = Plan::of(&["FR", "DE"]).agreement(low("A-1", "DE")).open();
        type Change<'a> = &'a dyn Fn(&mut Draft);
        let until = START.plus(Micros::HOUR);
        let rows: &[(Change<'_>, Micros, &[Lack])] = &[
            (&|_| {}, START, &[]),
            (&|draft| draft.kind = Kind::Red, START, &[Lack::Kind]),
            (&|draft| draft.handling.code = HandlingCode::H2, START, &[Lack::Handling(HandlingCode::H1)]),
            (&|draft| draft.handling.tlp = Tlp::Amber, START, &[Lack::Tlp(Tlp::Green)]),
            (&|draft| draft.precedence = Precedence::Flash, START, &[Lack::Precedence(Precedence::Routine)]),
            (&|_| {}, START.plus(-2 * Micros::DAY), &[Lack::NotYet(START.plus(-Micros::DAY))]),
            (&|_| {}, until, &[Lack::NoLonger(until)]),
            (
                &|draft| (draft.kind, draft.precedence) = (Kind::Red, Precedence::Flash),
                until,
                &[Lack::Kind, Lack::Precedence(Precedence::Routine), Lack::NoLonger(until)],
            ),
        ];
        for (nth, (change, now, lacks)) in rows.iter().enumerate() {
            let mut draft = world.draft("FR", "FR/2026/1", &["DE"]);
            change(&mut draft);
            let said = explained(&world, draft, *now);
            let [(_, candidates)] = said.recipients.as_slice() else { panic!("row {nth}: one recipient") };
            assert_eq!(
                candidates.iter().map(|found| found.lacks.as_slice()).collect::<Vec<_>>(),
                [*lacks],
                "row {nth}"
            );
            assert_eq!(said.decision.is_ok(), lacks.is_empty(), "row {nth}");
        }
    }

    #[test]
    fn the_nearest_agreement_comes_first_and_nobody_counts_who_agreed_nothing() {
        let world = Plan::of(&["FR", "DE", "IT", "US"])
            .group("G", &["FR", "DE", "IT", "US"])
            .agreement(proto::Agreement { kinds: vec![Kind::Blue.into()], ..low("A-1", "DE") })
            .agreement(agreement("A-2", &["FR"], &["DE", "IT"]))
            .open();
        let draft = Draft { audience: audience(&[], &["G"], &["IT"]), ..world.draft("FR", "FR/2026/1", &[]) };
        let said = explained(&world, draft, START);
        let known = |digest| world.opened.agreements().iter().find(|known| known.digest == digest).expect("listed");
        let named = |(number, found): &(PartnerNumber, Vec<Candidate>)| {
            let found: Vec<_> = found.iter().map(|found| known(found.agreement).id.clone()).collect();
            (world.opened.numbered(*number).expect("listed").id.to_string(), found)
        };
        let named: Vec<_> = said.recipients.iter().map(named).collect();
        assert_eq!(named, [("DE".into(), vec!["A-2".into(), "A-1".into()]), ("US".into(), vec![])]);
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn an_agreement_without_a_lack_is_found_exactly_where_the_node_permits(
            agreements in prop::collection::vec((0_usize..4, 0_usize..4, 1_i32..5, 1_i32..6, 1_i32..5, 0_i64..4), 0..6),
            (code, tlp, precedence, to, at) in (1_i32..4, 1_i32..6, 1_i32..5, 0_usize..4, 0_i64..8),
        ) {
            let names = ["FR", "DE", "IT", "G"];
            let mut plan = Plan::of(&["FR", "DE", "IT"]).group("G", &["FR", "DE"]);
            for (nth, (from, to, handling, tlp, precedence, begins)) in agreements.iter().enumerate() {
                plan = plan.agreement(proto::Agreement {
                    highest_handling: *handling,
                    highest_tlp: *tlp,
                    highest_precedence: *precedence,
                    from_us: START.plus(*begins).0,
                    until_us: if *begins == 0 { FAR.0 } else { START.plus(begins + 3).0 },
                    ..agreement(&format!("A-{nth}"), &[names[*from]], &[names[*to]])
                });
            }
            let world = plan.open();
            let mut draft = world.draft("FR", "FR/2026/1", &[]);
            draft.audience = if names[to] == "G" { audience(&[], &["G"], &[]) } else { audience(&[names[to]], &[], &[]) };
            draft.handling.code = HandlingCode::try_from(code).expect("a code");
            draft.handling.tlp = Tlp::try_from(tlp).expect("a label");
            draft.precedence = Precedence::try_from(precedence).expect("a precedence");
            let said = explained(&world, draft, START.plus(at));
            let covered = |(_, found): &(PartnerNumber, Vec<Candidate>)| found.iter().any(|found| found.lacks.is_empty());
            prop_assert_eq!(said.decision.is_ok(), said.recipients.iter().any(covered));
            if let Err(refusal) = &said.decision {
                prop_assert_eq!(refusal.reason, Reason::NotCovered);
            }
        }
    }
}
