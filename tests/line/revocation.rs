//! Rows 6 to 9: revocation lists at the door, and the operator's deny list.

use std::sync::Arc;

use liaison::peer::{BadList, DenyList, ListNumber, ListedAuthority, RevocationList, RevocationLists};
use liaison_protocol::id::Micros;
use rcgen::CrlDistributionPoint;
use rustls::AlertDescription as Alert;

use super::certificate::*;
use super::support::*;

/// What an authority publishes, believed today.
fn believed(authority: &Ca, list: &List) -> Arc<RevocationList> {
    Arc::new(RevocationList::read(&authority.publish(list), &authority.listed(), TODAY).unwrap())
}

impl House {
    /// These authorities need lists, and these are in force.
    fn lists(&self, authorities: &[&Ca], lists: impl IntoIterator<Item = Arc<RevocationList>>) {
        let authorities = authorities.iter().map(|authority| authority.listed().key());
        let lists = Arc::new(RevocationLists::new(authorities, lists));
        self.identities.store(Arc::new(registered(&self.authority, &[], &[]).with_lists(lists)));
    }
}

#[tokio::test]
async fn fault_06_a_revoked_certificate_is_refused_by_the_number_of_its_list() {
    let mut house = House::open().await;
    let (bad, good) = (house.authority.leaf(&of_partner("FR")), house.authority.leaf(&of_partner("FR")));
    let list = believed(&house.authority, &List::numbered(0x1a2b, &[&bad.serial()]));
    house.lists(&[&house.authority], [list]);
    let Attempt::Alert(Alert::CertificateRevoked) = house.attempt(house.client(&bad)).await else {
        panic!("not refused as revoked");
    };
    let event = house.audit.next("tls.reject").await;
    assert_eq!(event["reason"], "revoked");
    assert!(event["detail"].contains("0x1a2b"), "{event:?}");
    assert_eq!(
        event["serial"].replace(':', ""),
        bad.serial().iter().map(|b| format!("{b:02x}")).collect::<String>()
    );
    house.lets_in(&good).await;
}

#[tokio::test]
async fn fault_07_a_revoked_authority_takes_everyone_below_it_along() {
    let mut house = House::open().await;
    let (revoked, other) = (house.authority.below("Systems A"), house.authority.below("Systems B"));
    let under = |authority: &Ca| {
        let mut leaf = authority.leaf(&of_partner("FR"));
        leaf.chain.push(authority.certificate.clone());
        leaf
    };
    let (bad, good) = (under(&revoked), under(&other));
    let root = believed(&house.authority, &List::numbered(7, &[&revoked.serial()]));
    // Whether the authorities below have lists of their own or not.
    let of_revoked = believed(&revoked, &List::numbered(1, &[]));
    house.lists(&[&house.authority], [root.clone()]);
    house.refuses(&bad, "revoked_ca", Alert::CertificateRevoked).await;
    house.lets_in(&good).await;
    house.lists(&[&house.authority, &revoked], [root, of_revoked]);
    house.refuses(&bad, "revoked_ca", Alert::CertificateRevoked).await;
    house.lets_in(&good).await;
}

#[tokio::test]
async fn fault_06_a_leaf_below_an_intermediate_is_judged_by_the_intermediates_list() {
    let mut house = House::open().await;
    let below = house.authority.below("Systems");
    let leaf = |chain: &Ca| {
        let mut leaf = below.leaf(&of_partner("FR"));
        leaf.chain.push(chain.certificate.clone());
        leaf
    };
    let (bad, good) = (leaf(&below), leaf(&below));
    let list = believed(&below, &List::numbered(1, &[&bad.serial()]));
    house.lists(&[&below], [list]);
    house.refuses(&bad, "revoked", Alert::CertificateRevoked).await;
    house.lets_in(&good).await;
}

#[tokio::test]
async fn fault_08_where_a_list_is_due_not_known_is_no_and_other_authorities_are_not_concerned() {
    use liaison::peer::{Identities, Pins};
    let mut house = House::open().await;
    let kenya = Ca::named("Authority of Kenya");
    let pins = |authority: &Ca| Pins { authorities: vec![authority.certificate.clone()], keys: Vec::new() };
    let leaf = kenya.leaf(&of_partner("KE"));
    let elsewhere = kenya.leaf_with(&of_partner("KE"), |params| {
        params.crl_distribution_points =
            vec![CrlDistributionPoint { uris: vec!["http://second.example/list".into()] }];
    });
    let fr = house.authority.leaf(&of_partner("FR"));
    let part = List { part: Some("http://first.example/list"), ..List::numbered(1, &[]) };
    let soon_over = List { ends: TODAY.plus(60 * Micros::SECOND), ..List::numbered(1, &[]) };
    let none: Vec<Arc<RevocationList>> = Vec::new();
    for (what, lists, leaf, later, reason) in [
        ("missing", none.clone(), &leaf, 0, Some("crl_missing")),
        ("good", vec![believed(&kenya, &List::numbered(1, &[]))], &leaf, 0, None),
        ("in time", vec![believed(&kenya, &soon_over)], &leaf, 59, None),
        ("stale", vec![believed(&kenya, &soon_over)], &leaf, 60, Some("crl_stale")),
        ("its place", vec![believed(&kenya, &part)], &leaf, 0, None),
        ("second place", vec![believed(&kenya, &part)], &elsewhere, 0, Some("crl_missing")),
        ("whole list, second place", vec![believed(&kenya, &List::numbered(1, &[]))], &elsewhere, 0, None),
    ] {
        let lists = RevocationLists::new([kenya.listed().key()], lists);
        let identities = Identities::new(
            network(),
            [(partner("FR"), pins(&house.authority)), (partner("KE"), pins(&kenya))],
            [],
        );
        house.identities.store(Arc::new(identities.with_lists(Arc::new(lists))));
        house.clock.set(TODAY.plus(later * Micros::SECOND));
        match reason {
            Some(reason) => house.refuses(leaf, reason, Alert::UnknownCA).await,
            None => drop(house.lets_in(leaf).await),
        }
        assert!(matches!(house.attempt(house.client(&fr)).await, Attempt::In(..)), "FR, while KE's is {what}");
    }
}

#[test]
fn fault_08_a_list_is_believed_when_its_authority_signed_it_and_its_time_is_now() {
    let authority = Ca::named("Authority");
    let (namesake, other) = (Ca::named("Authority"), Ca::named("Other"));
    let good = authority.publish(&List::numbered(1, &[&[1, 2, 3]]));
    let dated = |from: i64, until: i64| {
        let (begins, ends) = (TODAY.plus(from * Micros::SECOND), TODAY.plus(until * Micros::SECOND));
        authority.publish(&List { begins, ends, ..List::numbered(1, &[]) })
    };
    let read = |der: &[u8]| RevocationList::read(der, &authority.listed(), TODAY).map(|list| list.number().clone());
    assert_eq!(read(&good), Ok(ListNumber::new(&[1])));
    assert_eq!(read(&namesake.publish(&List::numbered(1, &[]))), Err(BadList::Forged));
    assert_eq!(read(&other.publish(&List::numbered(1, &[]))), Err(BadList::OtherAuthority));
    assert_eq!(read(&dated(301, 900)), Err(BadList::Early));
    assert_eq!(read(&dated(299, 900)), Ok(ListNumber::new(&[1])));
    assert_eq!(read(&dated(-900, 0)), Err(BadList::Stale));
    assert_eq!(read(&dated(-900, 1)), Ok(ListNumber::new(&[1])));
    // Every bit of it counts.
    for nth in 0..good.len() {
        let mut bad = good.clone();
        bad[nth] ^= 0x20;
        let refused = read(&bad).expect_err("a flipped bit");
        assert_eq!(refused.reason(), "crl_bad", "byte {nth}: {refused}");
    }
    for cut in 0..good.len() {
        assert!(matches!(read(&good[..cut]), Err(BadList::Malformed(_))), "cut to {cut}");
    }
    let large =
        List { revoked: (0..60_000_u32).map(|nth| nth.to_be_bytes().to_vec()).collect(), ..List::numbered(1, &[]) };
    assert!(matches!(read(&authority.publish(&large)), Err(BadList::Malformed(_))));
}

#[test]
fn fault_09_a_list_that_crashed_parsers_is_only_a_bad_list() {
    let authority = Ca::named("Authority");
    let good = authority.publish(&List { part: Some("http://a.example/"), ..List::numbered(1, &[]) });
    // Instead of "about leaves only" (81 01 ff): some reasons only, and the set of reasons is an empty bit string.
    let at = good.windows(3).rposition(|bytes| bytes == [0x81, 0x01, 0xff]).unwrap();
    for empty in [[0x83, 0x01, 0x00], [0x83, 0x01, 0x07], [0x83, 0x01, 0xff]] {
        let mut bad = good.clone();
        bad[at..at + 3].copy_from_slice(&empty);
        let refused = RevocationList::read(&bad, &authority.listed(), TODAY).unwrap_err();
        assert!(matches!(refused, BadList::Malformed(_)), "{empty:?}: {refused}");
    }
}

#[test]
fn who_may_not_sign_lists_is_no_authority_for_them() {
    let silent = Ca::with("Silent", |params| params.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign]);
    let leaf = silent.leaf(&of_partner("FR"));
    for certificate in [silent.certificate, leaf.chain[0].clone(), b"junk".to_vec().into()] {
        assert!(ListedAuthority::new(certificate).is_err());
    }
}

#[tokio::test]
async fn whom_the_operator_denies_stays_outside_and_nobody_else() {
    let mut house = House::open().await;
    let below = house.authority.below("Systems");
    let fr = house.authority.leaf(&of_partner("FR"));
    let ke = house.authority.leaf(&of_partner("KE"));
    let mut under = below.leaf(&of_partner("KE"));
    under.chain.push(below.certificate.clone());
    let key_of = |certificate: &[u8]| {
        let (_, parsed) = x509_parser::parse_x509_certificate(certificate).unwrap();
        liaison_protocol::id::Hash::of(&[parsed.public_key().raw]).to_hex()
    };
    for (entry, denied) in [
        (String::new(), vec![]),
        (format!("sha256:{} # lost", fr.key_hash().to_hex()), vec![&fr]),
        ("spiffe://demo.liaison.example/partner/fr/ops-1".into(), vec![&fr]),
        ("spiffe://demo.liaison.example/partner/fr/ops-2".into(), vec![]),
        ("spiffe://demo.liaison.example/partner/ke".into(), vec![&ke, &under]),
        (format!("sha256:{}", key_of(&below.certificate)), vec![&under]),
    ] {
        let list = DenyList::parse(&entry, &network()).unwrap();
        let identities = registered(&house.authority, &[], &[]).denying(Arc::new(list));
        house.identities.store(Arc::new(identities));
        for leaf in [&fr, &ke, &under] {
            if denied.iter().any(|denied| std::ptr::eq(*denied, leaf)) {
                house.refuses(leaf, "denied", Alert::AccessDenied).await;
            } else {
                house.lets_in(leaf).await;
            }
        }
    }
}
