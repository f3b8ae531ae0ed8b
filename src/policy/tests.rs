//! The decision as a table: what an originator writes, under which agreements, and whom it reaches.

use liaison_client::sign::Draft;
use liaison_protocol::id::Micros;
use liaison_protocol::proto::{self, HandlingCode, Kind, Precedence, Tlp};
use liaison_protocol::reason::{Reason, Refusal};
use proptest::prelude::*;

use super::{Resolved, resolve};
use crate::world::{FAR, HUB, Plan, SITE, START, World, agreement, audience, named};

/// FR reaches DE, IT, ES and the foreign-homed JP; G has members of all sorts; only US holds an agreement with US.
fn world() -> World {
    Plan::of(&["FR", "DE", "IT", "ES", "US"])
        .partner("JP", SITE)
        .group("G", &["FR", "DE", "IT", "US", "JP"])
        .group("STRANGERS", &["US"])
        .agreement(agreement("A-1", &["FR"], &["FR", "DE", "IT", "JP"]))
        .agreement(proto::Agreement {
            highest_handling: HandlingCode::H1.into(),
            highest_tlp: Tlp::Amber.into(),
            highest_precedence: Precedence::Priority.into(),
            from_us: START.0,
            until_us: START.plus(Micros::HOUR).0,
            ..agreement("A-2", &["FR"], &["ES"])
        })
        .agreement(agreement("A-3", &["US"], &["G"]))
        .open()
}

fn resolved(world: &World, draft: Draft, now: Micros) -> Result<Resolved, Refusal> {
    let from = draft.originator.to_string();
    let manifest = world.verified(&world.signed(draft), &from);
    resolve(world.partner(&from), manifest.manifest(), &world.hub, &world.directory, now)
}

fn draft(world: &World, partners: &[&str], groups: &[&str], exempted: &[&str]) -> Draft {
    Draft { audience: audience(partners, groups, exempted), ..world.draft("FR", "FR/2026/1", &[]) }
}

#[test]
fn whom_an_audience_reaches() {
    let world = world();
    // partners, groups, exempted → reached, passed over, agreements
    type Row<'a> = (&'a [&'a str], &'a [&'a str], &'a [&'a str], &'a [&'a str], u32, &'a [&'a str]);
    let rows: &[Row<'_>] = &[
        (&["DE"], &[], &[], &["DE"], 0, &["A-1"]),
        (&["DE", "DE"], &[], &[], &["DE"], 0, &["A-1"]),
        (&["DE", "ES"], &[], &[], &["DE", "ES"], 0, &["A-1", "A-2"]),
        // The originator is in the group and in its own agreement; US is not covered, JP has another home.
        (&[], &["G"], &[], &["DE", "IT"], 2, &["A-1"]),
        (&["ES"], &["G"], &[], &["DE", "IT", "ES"], 2, &["A-1", "A-2"]),
        (&[], &["G"], &["DE"], &["IT"], 2, &["A-1"]),
        // Whether one is exempted whom no agreement covers must not show, or it would tell who is in the group.
        (&[], &["G"], &["US"], &["DE", "IT"], 2, &["A-1"]),
        (&[], &["G"], &["ES", "NOBODY"], &["DE", "IT"], 2, &["A-1"]),
        // Exempted from groups, and yet named one by one.
        (&["DE"], &["G"], &["DE", "IT"], &["DE"], 2, &["A-1"]),
    ];
    for (partners, groups, exempted, reached, passed_over, agreements) in rows {
        let found = resolved(&world, draft(&world, partners, groups, exempted), START);
        let found = found.unwrap_or_else(|refusal| panic!("{partners:?} {groups:?} {exempted:?}: {refusal:?}"));
        let members: Vec<_> = reached.iter().map(|id| world.partner(id).number.0).collect();
        assert_eq!(found.members, members.into_iter().collect(), "{partners:?} {groups:?} {exempted:?}");
        assert_eq!(found.passed_over, *passed_over, "{partners:?} {groups:?} {exempted:?}");
        let used = world.opened.agreements().iter().filter(|used| agreements.contains(&used.id.as_str()));
        let mut used: Vec<_> = used.map(|used| used.digest).collect();
        used.sort_unstable();
        assert_eq!(found.agreements, used, "{partners:?} {groups:?} {exempted:?}");
    }
}

#[test]
fn fault_57_one_partner_not_covered_refuses_all_and_only_that_one_is_named() {
    let world = world();
    type Row<'a> = (&'a [&'a str], &'a [&'a str], &'a [&'a str], Reason, Option<&'a str>);
    let rows: &[Row<'_>] = &[
        (&["DE", "US", "IT"], &[], &[], Reason::NotCovered, Some("US")),
        (&["DE", "NOBODY"], &[], &[], Reason::NotCovered, Some("NOBODY")),
        (&["FR"], &[], &[], Reason::NotCovered, Some("FR")),
        // A group is no partner, and a partner no group.
        (&["G"], &[], &[], Reason::NotCovered, Some("G")),
        (&[], &["DE"], &[], Reason::NotCovered, Some("DE")),
        (&["DE"], &["STRANGERS"], &[], Reason::NotCovered, Some("STRANGERS")),
        (&["DE"], &["NOGROUP"], &[], Reason::NotCovered, Some("NOGROUP")),
        (&["DE", "JP"], &[], &[], Reason::NoRoute, Some("JP")),
        (&[], &["G"], &["DE", "IT"], Reason::NobodyToReach, None),
    ];
    for (partners, groups, exempted, reason, names) in rows {
        let refusal = resolved(&world, draft(&world, partners, groups, exempted), START).expect_err("refused");
        assert_eq!(refusal.reason, *reason, "{partners:?} {groups:?}");
        assert_eq!(named(&refusal).get("recipient").map(String::as_str), *names, "{partners:?} {groups:?}");
    }
}

#[test]
fn fault_56_and_109_a_stranger_and_a_partner_out_of_reach_get_the_same_answer() {
    let world = world();
    let said = |partners: &[&str], groups: &[&str], name: &str| {
        let refusal = resolved(&world, draft(&world, partners, groups, &[]), START).expect_err("refused");
        (refusal.reason, refusal.message.replace(name, "X"))
    };
    assert_eq!(said(&["US"], &[], "US"), said(&["NOBODY"], &[], "NOBODY"));
    assert_eq!(said(&[], &["STRANGERS"], "STRANGERS"), said(&[], &["NOGROUP"], "NOGROUP"));
}

#[test]
fn a_notice_stays_below_every_ceiling_and_within_its_window() {
    let world = world();
    let changed = |change: &dyn Fn(&mut Draft)| {
        let mut draft = draft(&world, &["ES"], &[], &[]);
        change(&mut draft);
        draft
    };
    type Change<'a> = &'a dyn Fn(&mut Draft);
    let rows: &[(&str, Change<'_>, i64, bool)] = &[
        ("as it is", &|_| {}, 0, true),
        ("handling at the ceiling", &|draft| draft.handling.code = HandlingCode::H1, 0, true),
        ("handling above it", &|draft| draft.handling.code = HandlingCode::H2, 0, false),
        ("label at the ceiling", &|draft| draft.handling.tlp = Tlp::Amber, 0, true),
        ("label above it", &|draft| draft.handling.tlp = Tlp::AmberStrict, 0, false),
        ("precedence at the ceiling", &|draft| draft.precedence = Precedence::Priority, 0, true),
        ("precedence above it", &|draft| draft.precedence = Precedence::Immediate, 0, false),
        ("another kind", &|draft| draft.kind = Kind::Silver, 0, false),
        ("the moment before it", &|_| {}, -1, false),
        ("its last moment", &|_| {}, Micros::HOUR - 1, true),
        ("the moment it ends", &|_| {}, Micros::HOUR, false),
    ];
    for (name, change, after, covered) in rows {
        let found = resolved(&world, changed(change), START.plus(*after));
        assert_eq!(
            found.map_err(|refusal| refusal.reason).err(),
            (!covered).then_some(Reason::NotCovered),
            "{name}"
        );
    }
}

#[test]
fn two_agreements_do_not_add_up_to_one() {
    // One allows the precedence, the other the handling: neither allows both.
    let world = Plan::of(&["FR", "DE"])
        .agreement(proto::Agreement {
            highest_handling: HandlingCode::H0.into(),
            ..agreement("URGENT", &["FR"], &["DE"])
        })
        .agreement(proto::Agreement {
            highest_precedence: Precedence::Routine.into(),
            ..agreement("SECRET", &["FR"], &["DE"])
        })
        .open();
    let mut draft = draft(&world, &["DE"], &[], &[]);
    draft.precedence = Precedence::Flash;
    draft.handling.code = HandlingCode::H2;
    assert_eq!(resolved(&world, draft, START).expect_err("refused").reason, Reason::NotCovered);
}

#[test]
fn an_agreement_covers_groups_on_both_sides_and_never_the_way_back() {
    let world = Plan::of(&["FR", "DE", "IT"])
        .group("WEST", &["FR", "DE"])
        .group("SOUTH", &["IT", "FR"])
        .agreement(agreement("A-1", &["WEST"], &["SOUTH"]))
        .open();
    let reaches = |from: &str, to: &str| resolved(&world, world.draft(from, "X/1", &[to]), START).is_ok();
    assert!(reaches("FR", "IT") && reaches("DE", "IT") && reaches("DE", "FR"));
    assert!(!reaches("IT", "FR") && !reaches("FR", "DE") && !reaches("FR", "FR"));
}

#[test]
fn who_calls_signs_and_lives_here_or_nothing_is_permitted() {
    let world =
        Plan::of(&["FR", "DE"]).partner("JP", SITE).agreement(agreement("A-1", &["FR", "JP"], &["DE"])).open();
    let judge = |caller: &str, from: &str| {
        let notice = world.signed(world.draft(from, "X/1", &["DE"]));
        let manifest = world.verified(&notice, from);
        let parts = liaison_protocol::part::Parts::open(&manifest.manifest().parts, notice.parts).expect("opens");
        super::authorise(world.partner(caller), manifest, parts, &world.hub, &world.directory, |_| {
            Err(Refusal::new(Reason::Defect, "asked for the audience"))
        })
        .expect_err("refused")
    };
    assert_eq!(judge("DE", "FR").reason, Reason::SenderMismatch);
    let refusal = judge("JP", "JP");
    assert_eq!(refusal.reason, Reason::NotHome);
    assert_eq!(named(&refusal)["home"], SITE);
    assert_eq!(judge("FR", "FR").reason, Reason::Defect);
    assert_eq!(world.hub.as_str(), HUB);
}

#[test]
fn a_statement_never_names_more_agreements_than_can_be_read_back() {
    let many = liaison_protocol::limits::AGREEMENTS_MAX + 1;
    let recipients: Vec<_> = (0..many).map(|nth| format!("R{nth}")).collect();
    let mut plan = Plan::of(&["FR"]);
    for (nth, recipient) in recipients.iter().enumerate() {
        plan = plan.partner(recipient, HUB).agreement(agreement(&format!("A-{nth}"), &["FR"], &[recipient]));
    }
    let names: Vec<_> = recipients.iter().map(String::as_str).collect();
    for (nth, members) in names.chunks(1_000).enumerate() {
        plan = plan.group(&format!("G{nth}"), members);
    }
    let groups: Vec<_> = (0..many.div_ceil(1_000)).map(|nth| format!("G{nth}")).collect();
    let world = plan.open();
    let all: Vec<_> = groups.iter().map(String::as_str).collect();
    let refusal = resolved(&world, draft(&world, &[], &all, &[]), START).expect_err("refused");
    assert_eq!(refusal.reason, Reason::TooLarge);
    let found = resolved(&world, draft(&world, &[], &all[1..], &[]), START).expect("one group fewer");
    assert_eq!(found.agreements.len(), many - 1_000);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_same_question_has_the_same_answer_for_as_long_as_it_is_said_to(
        windows in prop::collection::vec((0_i64..40, 1_i64..40, 0_usize..4, any::<bool>()), 1..6),
        asked in 0_i64..60,
        other in 0_i64..80,
    ) {
        let names = ["DE", "IT", "ES", "G"];
        let mut plan = Plan::of(&["FR", "DE", "IT", "ES"]).group("G", &["DE", "IT"]);
        for (nth, (from, length, to, open)) in windows.iter().enumerate() {
            plan = plan.agreement(proto::Agreement {
                from_us: START.plus(*from).0,
                until_us: if *open { FAR.0 } else { START.plus(from + length).0 },
                ..agreement(&format!("A-{nth}"), &["FR"], &[names[*to]])
            });
        }
        let world = plan.open();
        let ask = |at: i64| resolved(&world, draft(&world, &[], &["G"], &[]), START.plus(at));
        if let Ok(first) = ask(asked) {
            prop_assert!(first.since <= START.plus(asked) && START.plus(asked) < first.until);
            if (first.since..first.until).contains(&START.plus(other)) {
                prop_assert_eq!(ask(other).expect("the same answer"), first);
            } else {
                // And no shorter than it could be: at its end something in the table changes.
                let mut edges = windows.iter().flat_map(|(from, length, ..)| [*from, from + length]);
                let edge = edges.any(|edge| [first.since, first.until].contains(&START.plus(edge)));
                prop_assert!(edge, "nothing changes at either end");
            }
        }
    }
}
