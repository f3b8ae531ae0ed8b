//! Every check, by a directory in which one thing is wrong.

use std::collections::BTreeSet;

use bytes::Bytes;
use liaison_protocol::directory::AuthorityKeys;
use liaison_protocol::id::Micros;
use liaison_protocol::proto::{KeyUsage, PartnerStatus, record::Body};
use liaison_protocol::signer::{Ed25519Signer, Signer as _};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use super::{Check, Finding, Level, lint};
use crate::authority::edition::Edition;
use crate::authority::pki::Authority;
use crate::world::{FAR, Plan, SITE, START, World, agreement};

/// Within the time in which an end is told beforehand.
const SOON: Micros = Micros(START.0 + 29 * Micros::DAY);

/// An authority's certificate (DER) that ends then.
fn certificate(until: Micros) -> Bytes {
    let authority = Authority::create("Test", START.plus(-Micros::DAY), until).expect("a certificate");
    let der = CertificateDer::from_pem_slice(authority.certificate_pem().as_bytes()).expect("PEM");
    Bytes::copy_from_slice(&der)
}

/// Nothing is wrong with it, but that one key signs alone. Its agreement and certificates outlast its head.
fn sound() -> Plan {
    let (certificate, beyond) = (certificate(FAR.plus(365 * Micros::DAY)), FAR.plus(365 * Micros::DAY));
    let plan =
        Plan::of(&["FR", "DE", "IT"]).group("G", &["FR", "DE", "IT"]).agreement(agreement("A-1", &["G"], &["G"]));
    plan.changed(|body| match body {
        Body::Partner(partner) => partner.tls_authorities = vec![certificate.clone()],
        Body::Node(node) => {
            node.tls_authorities = vec![certificate.clone()];
            node.addresses = vec!["hub.example:7443".into()];
        }
        Body::Key(key) => key.not_after_us = beyond.0,
        Body::Agreement(agreement) => agreement.until_us = beyond.0,
        Body::Group(_) => {}
    })
}

/// And without the node that has no partners.
fn hub_only(plan: Plan) -> Plan {
    plan.without(|body| matches!(body, Body::Node(node) if node.id == SITE))
}

fn found(world: &World, now: Micros) -> Vec<Finding> {
    lint(&Edition::signed(world.opened.clone()), now)
}

fn codes(findings: &[Finding]) -> BTreeSet<&'static str> {
    findings.iter().map(|finding| finding.check.code()).collect()
}

#[test]
fn a_sound_directory_has_one_finding_which_is_its_single_key() {
    assert_eq!(codes(&found(&hub_only(sound()).open(), START)), [Check::ThresholdOfOne.code()].into());
}

#[test]
fn each_check_finds_what_it_is_for_and_nothing_else() {
    type Alter = fn(&mut Body);
    let rows: &[(&[Check], Alter)] = &[
        (&[Check::HomeWithoutAddress], |body| {
            if let Body::Node(node) = body {
                node.addresses.clear();
            }
        }),
        (&[Check::CertificateUnreadable], |body| {
            if let Body::Partner(partner) = body {
                partner.tls_authorities.push(Bytes::from_static(b"no certificate"));
            }
        }),
        (&[Check::CertificateEnding], |body| {
            if let Body::Node(node) = body {
                node.tls_authorities = vec![certificate(SOON)];
            }
        }),
        (&[Check::NobodyMaySend], |body| {
            if let Body::Agreement(agreement) = body {
                agreement.recipients = vec!["DE".into(), "IT".into()];
            }
        }),
        // Whom only a suspended partner may write to hears from nobody.
        (&[Check::NobodyMaySend, Check::MaySendNothing], |body| match body {
            Body::Partner(partner) if partner.id == "FR" => partner.status = PartnerStatus::Suspended.into(),
            Body::Agreement(agreement) => agreement.originators = vec!["FR".into()],
            _ => {}
        }),
        (&[Check::MaySendNothing], |body| {
            if let Body::Agreement(agreement) = body {
                agreement.originators = vec!["FR".into(), "DE".into()];
            }
        }),
        (&[Check::NoNoticeKey], |body| match body {
            Body::Key(key) if key.partner == "DE" && key.usage() == KeyUsage::Notice => key.denied = true,
            _ => {}
        }),
        (&[Check::NoAcknowledgementKey], |body| match body {
            Body::Key(key) if key.partner == "DE" && key.usage() == KeyUsage::Acknowledgement => {
                (key.not_before_us, key.not_after_us) = (START.plus(1).0, FAR.plus(365 * Micros::DAY).0);
            }
            _ => {}
        }),
        (&[Check::RecordPassedOver, Check::NoNoticeKey], |body| match body {
            Body::Key(key) if key.partner == "DE" && key.usage() == KeyUsage::Notice => key.usage = 99,
            _ => {}
        }),
        (&[Check::KeyEnding], |body| match body {
            Body::Key(key) if key.partner == "DE" => key.not_after_us = SOON.0,
            _ => {}
        }),
        (&[Check::GroupUnused], |body| {
            if let Body::Agreement(agreement) = body {
                let both = vec!["FR".to_string(), "DE".into(), "IT".into()];
                (agreement.originators, agreement.recipients) = (both.clone(), both);
            }
        }),
        (&[Check::AgreementLapsing], |body| {
            if let Body::Agreement(agreement) = body {
                agreement.until_us = SOON.0;
            }
        }),
        (&[Check::AgreementLapsed, Check::NobodyMaySend, Check::MaySendNothing], |body| {
            if let Body::Agreement(agreement) = body {
                agreement.until_us = START.0;
            }
        }),
        (&[Check::AgreementIdle, Check::GroupEmpty, Check::NobodyMaySend, Check::MaySendNothing], |body| {
            if let Body::Group(group) = body {
                group.members.clear();
            }
        }),
    ];
    let mut seen = BTreeSet::new();
    for (nth, (expected, alter)) in rows.iter().enumerate() {
        let findings = found(&hub_only(sound()).changed(alter).open(), START);
        let expected = expected.iter().chain(&[Check::ThresholdOfOne]).map(|check| check.code()).collect();
        assert_eq!(codes(&findings), expected, "row {nth}: {findings:#?}");
        seen.extend(codes(&findings));
    }
    seen.extend(codes(&found(&sound().open(), START)));
    seen.extend(codes(&found(&hub_only(sound()).open(), FAR.plus(-Micros::DAY))));
    seen.extend(codes(&found(&hub_only(sound()).open(), FAR.plus(1))));
    let two = [1, 2].map(|seed| Ed25519Signer::from_seed(&[seed; 32]).public().clone());
    let two = AuthorityKeys::new(2, two.to_vec()).expect("two of two");
    let all = Edition::signed(sound().open().opened.clone()).with_authority(two);
    seen.extend(codes(&lint(&all, START)));
    let all: BTreeSet<_> = Check::ALL.iter().map(|check| check.code()).collect();
    assert_eq!(seen, all, "every check is shown by something");
}

#[test]
fn a_head_is_told_to_be_renewed_a_week_before_it_is_due() {
    let world = hub_only(sound()).open();
    let rows = [
        (FAR.plus(-8 * Micros::DAY), None),
        (FAR.plus(-6 * Micros::DAY), Some(Check::HeadRenewalDue)),
        (FAR, Some(Check::HeadRenewalDue)),
        (FAR.plus(1), Some(Check::HeadOverdue)),
    ];
    for (at, check) in rows {
        let findings = found(&world, at);
        let head = findings.iter().find(|finding| finding.subject == "head").map(|finding| finding.check);
        assert_eq!(head, check, "{at:?}");
    }
}

#[test]
fn a_key_with_a_successor_in_time_is_not_told_and_one_with_a_gap_is() {
    for (begins, told) in [(SOON, false), (SOON.plus(1), true)] {
        let next = |body: &mut Body| match body {
            // The acknowledgement key becomes the second notice key: it begins when the first ends, or too late.
            Body::Key(key) if key.partner == "DE" && key.usage() == KeyUsage::Acknowledgement => {
                (key.usage, key.not_before_us) = (KeyUsage::Notice.into(), begins.0);
            }
            Body::Key(key) if key.partner == "DE" => key.not_after_us = SOON.0,
            _ => {}
        };
        let findings = found(&hub_only(sound()).changed(next).open(), START);
        assert_eq!(codes(&findings).contains(Check::KeyEnding.code()), told, "{findings:#?}");
    }
}

#[test]
fn codes_are_given_once_and_warnings_come_first() {
    let codes: BTreeSet<_> = Check::ALL.iter().map(|check| check.code()).collect();
    let words: BTreeSet<_> = Check::ALL.iter().map(|check| check.word()).collect();
    assert_eq!((codes.len(), words.len()), (Check::ALL.len(), Check::ALL.len()));
    let levels: Vec<_> = found(&sound().open(), FAR.plus(1)).iter().map(|finding| finding.check.level()).collect();
    assert!(levels.is_sorted() && levels.contains(&Level::Note), "{levels:?}");
}

#[test]
fn the_page_lists_the_checks_as_they_are() {
    let page = include_str!("../../../docs/DIRECTORY.md");
    let rows = Check::ALL.iter().map(|check| {
        let level = if check.level() == Level::Warning { "warning" } else { "note" };
        format!("| {} | {} | {level} | {} |", check.code(), check.word(), check.meaning())
    });
    let expected: Vec<_> = rows.collect();
    let found: Vec<_> = page.lines().filter(|line| line.starts_with("| N")).collect();
    assert_eq!(found, expected);
}
