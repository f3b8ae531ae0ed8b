//! Every field of every record, changed: no change passes unseen, and each is told in its own words.

use bytes::Bytes;
use liaison_protocol::directory::AuthorityKeys;
use liaison_protocol::id::{Hash, Micros};
use liaison_protocol::proto::{self, HandlingCode, Kind, Precedence, Tlp, record::Body};
use liaison_protocol::signer::{Ed25519Signer, Signer as _};

use super::{Change, diff};
use crate::authority::edition::Edition;
use crate::world::{Plan, SITE, START, World, agreement};

fn world() -> World {
    Plan::of(&["FR", "DE", "IT"]).group("G", &["FR", "DE"]).agreement(agreement("A-1", &["FR"], &["DE"])).open()
}

fn between(old: &World, new: &World) -> Vec<Change> {
    diff(&Edition::signed(old.opened.clone()), &Edition::signed(new.opened.clone()), START)
}

/// All changes but that of the version.
fn told(change: impl FnOnce(Plan) -> Plan) -> Vec<Change> {
    let old = world();
    let mut changes = between(&old, &old.next(change));
    assert_eq!(changes.remove(0).text, "head version is now 2, was 1");
    changes
}

fn key(seed: u8) -> proto::PublicKey {
    Ed25519Signer::from_seed(&[seed; 32]).public().to_proto()
}

#[test]
fn what_did_not_change_is_not_told() {
    assert_eq!(told(|plan| plan), []);
    let world = world();
    assert_eq!(between(&world, &world), []);
}

#[test]
fn every_field_of_a_record_that_changes_is_told() {
    type Alter = fn(&mut Body);
    let rows: &[(&str, &str, Alter)] = &[
        ("partner_suspended", "partner DE is suspended: it may call nothing, its mailbox is kept", |body| {
            de(body, |de| de.status = proto::PartnerStatus::Suspended.into());
        }),
        ("partner_moved", "partner DE moves home from hub-1 to site-1", |body| {
            de(body, |de| de.home = SITE.into());
        }),
        ("partner_renamed", "partner DE name is now Bureau, was Bureau DE", |body| {
            de(body, |de| de.name = "Bureau".into());
        }),
        ("partner_number", "partner DE number is now 9, was 2", |body| {
            de(body, |de| de.number = 9);
        }),
        ("partner_category", "partner DE category is now private-entity, was national-central-bureau", |body| {
            de(body, |de| de.category = proto::PartnerCategory::PrivateEntity.into());
        }),
        ("tls_authority_added", "partner DE takes certificates issued by 3e23e8160039", |body| {
            de(body, |de| de.tls_authorities.push(Bytes::from_static(b"b")));
        }),
        ("tls_key_pinned", "partner DE may use TLS key 010101010101", |body| {
            de(body, |de| de.tls_keys.push(Hash([1; 32]).to_bytes()));
        }),
        ("key_denied", "partner DE may not use notice key", |body| {
            de_key(body, |key| key.denied = true);
        }),
        ("key_window", "from 2026-01-01 until", |body| {
            de_key(body, |key| key.not_before_us = START.0);
        }),
        ("key_window", "until 2026-01-02, was from", |body| {
            de_key(body, |key| key.not_after_us = START.plus(Micros::DAY).0);
        }),
        ("key_usage", "is now acknowledgement, was notice", |body| {
            de_key(body, |key| key.usage = proto::KeyUsage::Acknowledgement.into());
        }),
        ("key_added", "partner DE gains notice key", |body| {
            de_key(body, |changed| changed.public_key = Some(key(7)));
        }),
        ("node_log_origin", "node site-1 log is now other.example/log, was site-1.example/log", |body| {
            site(body, |site| site.log_origin = "other.example/log".into());
        }),
        ("node_log_key", "node site-1 log key is now", |body| {
            site(body, |site| site.log_key = Some(key(8)));
        }),
        ("node_address_added", "node site-1 is also reached at site:1", |body| {
            site(body, |site| site.addresses.push("site:1".into()));
        }),
        ("tls_key_pinned", "node site-1 may use TLS key 020202020202", |body| {
            site(body, |site| site.tls_keys.push(Hash([2; 32]).to_bytes()));
        }),
        ("tls_authority_removed", "node site-1 no longer takes certificates issued by", |body| {
            site(body, |site| site.tls_authorities = vec![Bytes::from_static(b"b")]);
        }),
        ("member_joined", "group G is joined by IT", |body| {
            group(body, |group| group.members.push("IT".into()));
        }),
        ("member_left", "group G is left by FR", |body| {
            group(body, |group| group.members.retain(|member| member != "FR"));
        }),
        ("originator_added", "agreement A-1 gains originator IT", |body| {
            a_1(body, |agreement| agreement.originators.push("IT".into()));
        }),
        ("recipient_added", "agreement A-1 gains recipient IT", |body| {
            a_1(body, |agreement| agreement.recipients.push("IT".into()));
        }),
        ("kind_added", "agreement A-1 gains kind un-special", |body| {
            a_1(body, |agreement| agreement.kinds.push(Kind::UnSpecial.into()));
        }),
        ("handling_ceiling", "agreement A-1 highest handling is now h1, was h3", |body| {
            a_1(body, |agreement| agreement.highest_handling = HandlingCode::H1.into());
        }),
        ("tlp_ceiling", "agreement A-1 highest TLP label is now amber-strict, was red", |body| {
            a_1(body, |agreement| agreement.highest_tlp = Tlp::AmberStrict.into());
        }),
        ("precedence_ceiling", "agreement A-1 highest precedence is now routine, was flash", |body| {
            a_1(body, |agreement| agreement.highest_precedence = Precedence::Routine.into());
        }),
        ("agreement_from", "agreement A-1 begin is now 2026-01-01, was 2025-12-31", |body| {
            a_1(body, |agreement| agreement.from_us = START.0);
        }),
        ("agreement_until", "agreement A-1 end is now 2026-01-02, was", |body| {
            a_1(body, |agreement| agreement.until_us = START.plus(Micros::DAY).0);
        }),
        ("legal_basis", "agreement A-1 legal basis is now a treaty, was for tests", |body| {
            a_1(body, |agreement| agreement.legal_basis = "a treaty".into());
        }),
        ("reach_gained", "partner IT may now send to DE", |body| {
            a_1(body, |agreement| agreement.originators.push("IT".into()));
        }),
        ("reach_lost", "partner FR may no longer send anything to DE", |body| {
            a_1(body, |agreement| agreement.recipients = vec!["IT".into()]);
        }),
    ];
    for (code, text, alter) in rows {
        let changes = told(|plan| plan.changed(alter));
        let found = changes.iter().any(|change| change.code == *code && change.text.contains(text));
        assert!(found, "{code}: {text}\n{changes:#?}");
    }
}

#[test]
fn what_comes_and_goes_is_told_with_what_it_was() {
    let come = told(|plan| {
        plan.partner("ES", SITE).group("H", &["ES"]).agreement(agreement("A-2", &["ES"], &["FR", "G"]))
    });
    let texts = |changes: &[Change]| changes.iter().map(|change| change.text.clone()).collect::<Vec<_>>();
    let come = texts(&come);
    for said in [
        "partner ES added: number 4, Bureau ES, home site-1",
        "group H added: ES",
        "agreement A-2 added: ES → FR, G, red message, until 2036-01-09",
        "partner ES may now send to DE, FR",
    ] {
        assert!(come.contains(&said.into()), "{said}\n{come:#?}");
    }
    assert!(come.iter().any(|text| text.starts_with("partner ES gains acknowledgement key ")), "{come:#?}");

    let gone = told(|plan| {
        plan.without(|body| match body {
            Body::Partner(partner) => partner.id == "IT",
            Body::Key(key) => key.partner == "IT",
            Body::Agreement(_) | Body::Group(_) => true,
            Body::Node(node) => node.id == SITE,
        })
    });
    let gone = texts(&gone);
    for said in [
        "node site-1 removed: log site-1.example/log",
        "partner IT removed: Bureau IT; its number 3 is never given again",
        "group G removed: FR, DE",
        "agreement A-1 removed: FR → DE, red message, until 2036-01-09",
        "partner FR may no longer send anything to DE",
    ] {
        assert!(gone.contains(&said.into()), "{said}\n{gone:#?}");
    }
}

#[test]
fn a_change_of_who_signs_is_told() {
    let world = world();
    let edition = || Edition::signed(world.opened.clone());
    let keys = |seeds: &[u8], threshold| {
        let keys = seeds.iter().map(|seed| Ed25519Signer::from_seed(&[*seed; 32]).public().clone()).collect();
        AuthorityKeys::new(threshold, keys).expect("a sound set")
    };
    let (old, new) = (edition().with_authority(keys(&[1], 1)), edition().with_authority(keys(&[2, 3], 2)));
    let codes: Vec<_> = diff(&old, &new, START).into_iter().map(|change| change.code).collect();
    let expected = ["authority_threshold", "authority_key_added", "authority_key_added", "authority_key_removed"];
    assert_eq!(codes, expected);
}

fn de(body: &mut Body, change: impl FnOnce(&mut proto::Partner)) {
    match body {
        Body::Partner(partner) if partner.id == "DE" => change(partner),
        _ => {}
    }
}

/// The notice key of DE.
fn de_key(body: &mut Body, change: impl FnOnce(&mut proto::PartnerKey)) {
    match body {
        Body::Key(key) if key.partner == "DE" && key.usage() == proto::KeyUsage::Notice => change(key),
        _ => {}
    }
}

fn site(body: &mut Body, change: impl FnOnce(&mut proto::Node)) {
    match body {
        Body::Node(node) if node.id == SITE => change(node),
        _ => {}
    }
}

fn group(body: &mut Body, change: impl FnOnce(&mut proto::Group)) {
    if let Body::Group(group) = body {
        change(group);
    }
}

fn a_1(body: &mut Body, change: impl FnOnce(&mut proto::Agreement)) {
    if let Body::Agreement(agreement) = body {
        change(agreement);
    }
}
