//! Who gets in: rows 1 to 5, 10, 12 to 14 and 16 to 18.

use liaison_protocol::id::Micros;
use rcgen::{
    CertificateParams, CustomExtension, DnType, ExtendedKeyUsagePurpose as Usage, GeneralSubtree, KeyPair,
    KeyUsagePurpose, NameConstraints, PKCS_ECDSA_P384_SHA384, PKCS_ED25519, SanType,
};
use rustls::AlertDescription as Alert;
use std::sync::Arc;

use super::certificate::*;
use super::support::*;
use liaison::peer::{Identities, Owner, Pins};

#[tokio::test]
async fn partners_and_nodes_get_in_under_the_name_in_their_certificate() {
    let mut house = House::open().await;
    for identity in [of_partner("FR"), of_partner("KE"), of_node("site-1")] {
        let leaf = house.authority.leaf(&identity);
        let (_line, caller) = house.lets_in(&leaf).await;
        assert_eq!(*caller.peer.identity(), identity);
        assert_eq!(caller.peer.key(), leaf.key_hash());
    }
}

#[tokio::test]
async fn fault_01_a_certificate_ends_with_its_last_second() {
    let mut house = House::open().await;
    let last = TODAY.plus(600 * Micros::SECOND);
    let leaf = house.authority.leaf_with(&of_partner("FR"), |params| {
        valid(params, TODAY, last);
    });
    house.clock.set(last.plus(Micros::SECOND - 1));
    house.lets_in(&leaf).await;
    house.clock.set(last.plus(Micros::SECOND));
    house.refuses(&leaf, "expired", Alert::CertificateExpired).await;
}

#[tokio::test]
async fn fault_02_a_certificate_begins_with_its_first_second() {
    let mut house = House::open().await;
    let first = TODAY.plus(600 * Micros::SECOND);
    let leaf = house.authority.leaf_with(&of_partner("FR"), |params| {
        valid(params, first, first.plus(Micros::DAY));
    });
    house.clock.set(first.plus(-1));
    house.refuses(&leaf, "not_yet_valid", Alert::CertificateExpired).await;
    house.clock.set(first);
    house.lets_in(&leaf).await;
}

#[tokio::test]
async fn fault_03_another_root_with_the_same_names_vouches_for_nobody() {
    let mut house = House::open().await;
    let other = Ca::named("Authority of the demo network");
    for identity in [of_partner("FR"), of_partner("ZZ")] {
        let leaf = other.leaf(&identity);
        house.refuses(&leaf, "unknown_issuer", Alert::UnknownCA).await;
    }
}

#[tokio::test]
async fn fault_03_the_authority_of_one_partner_cannot_speak_for_another() {
    let mut house = House::open().await;
    let kenya = Ca::named("Authority of Kenya");
    let pins = |authority: &Ca| Pins { authorities: vec![authority.certificate.clone()], keys: Vec::new() };
    let identities =
        Identities::new(network(), [(partner("FR"), pins(&house.authority)), (partner("KE"), pins(&kenya))], []);
    house.identities.store(Arc::new(identities));
    house.lets_in(&kenya.leaf(&of_partner("KE"))).await;
    let forged = kenya.leaf(&of_partner("FR"));
    house.refuses(&forged, "unknown_issuer", Alert::UnknownCA).await;
}

#[tokio::test]
async fn fault_04_a_certificate_without_its_way_up_is_refused() {
    let mut house = House::open().await;
    let key = KeyPair::generate().unwrap();
    let certificate = profile(&of_partner("FR")).self_signed(&key).unwrap();
    let alone = Leaf { chain: vec![certificate.into()], key: Arc::new(key) };
    house.refuses(&alone, "unknown_issuer", Alert::UnknownCA).await;

    let intermediate = house.authority.below("Authority for systems");
    let mut leaf = intermediate.leaf(&of_partner("FR"));
    house.refuses(&leaf, "unknown_issuer", Alert::UnknownCA).await;
    leaf.chain.push(intermediate.certificate.clone());
    house.lets_in(&leaf).await;
}

#[tokio::test]
async fn fault_05_nobody_gets_in_without_a_certificate() {
    let mut house = House::open().await;
    let client = house.client_that(|builder| builder.with_no_client_auth());
    let Attempt::Alert(Alert::CertificateRequired) = house.attempt(client).await else {
        panic!("not refused for want of a certificate");
    };
    let event = house.audit.next("tls.reject").await;
    assert_eq!(event["reason"], "no_certificate");
}

#[tokio::test]
async fn fault_10_a_certificate_made_for_something_else_is_refused() {
    let mut house = House::open().await;
    for (identity, usages) in [
        (of_partner("FR"), vec![]),
        (of_partner("FR"), vec![Usage::Any]),
        (of_partner("FR"), vec![Usage::ClientAuth, Usage::Any]),
        (of_partner("FR"), vec![Usage::ServerAuth]),
        (of_partner("FR"), vec![Usage::ClientAuth, Usage::ServerAuth]),
        (of_partner("FR"), vec![Usage::ClientAuth, Usage::EmailProtection]),
        (of_partner("FR"), vec![Usage::ClientAuth, Usage::Other(vec![1, 3, 6, 1, 4, 1, 9])]),
        (of_node("site-1"), vec![Usage::ClientAuth]),
        (of_node("site-1"), vec![Usage::ServerAuth]),
    ] {
        let leaf = house.authority.leaf_with(&identity, |params| {
            params.extended_key_usages = usages;
        });
        house.refuses(&leaf, "wrong_eku", Alert::UnsupportedCertificate).await;
    }
}

#[tokio::test]
async fn fault_10_a_leaf_whose_key_is_not_for_signatures_is_refused() {
    let mut house = House::open().await;
    for usages in [vec![], vec![KeyUsagePurpose::KeyAgreement]] {
        let leaf = house.authority.leaf_with(&of_partner("FR"), |params| params.key_usages = usages);
        house.refuses(&leaf, "wrong_key_usage", Alert::UnsupportedCertificate).await;
    }
}

#[tokio::test]
async fn fault_10_a_key_that_signs_notices_is_refused_on_the_line() {
    let mut house = House::open().await;
    let leaf = house.authority.leaf(&of_partner("FR"));
    house.lets_in(&leaf).await;
    let signing = leaf.key.public_key_raw().to_vec();
    let identities = registered(&house.authority, &[], &[signing]);
    house.identities.store(Arc::new(identities));
    house.refuses(&leaf, "wrong_eku", Alert::AccessDenied).await;
}

#[tokio::test]
async fn fault_12_a_certificate_that_names_not_exactly_one_party_names_nobody() {
    let mut house = House::open().await;
    let fr = "spiffe://demo.liaison.example/partner/fr/ops-1";
    let ke = "spiffe://demo.liaison.example/partner/ke/ops-1";
    let node = "spiffe://demo.liaison.example/node/site-1";
    let address = || SanType::IpAddress([127, 0, 0, 1].into());
    let client = || vec![Usage::ClientAuth];
    let both = || vec![Usage::ClientAuth, Usage::ServerAuth];
    for (names, usages) in [
        (vec![], client()),
        (vec![address()], client()),
        (vec![dns("fr.example.int")], client()),
        (vec![uri(fr), uri(ke)], client()),
        (vec![uri(fr), uri(fr)], client()),
        (vec![uri(fr), dns("fr.example.int")], client()),
        (vec![uri(fr), dns("*.example.int")], client()),
        (vec![uri(fr), address()], client()),
        (vec![uri(fr), SanType::Rfc822Name("fr@example.int".try_into().unwrap())], client()),
        (vec![uri("spiffe://demo.liaison.example/partner/*/ops-1")], client()),
        (vec![uri("spiffe://demo.liaison.example/partner/FR/ops-1")], client()),
        (vec![uri("https://fr.example.int/")], client()),
        (vec![uri(node), uri(fr)], both()),
        (vec![uri(node), dns("*.example.int")], both()),
    ] {
        let leaf = house.authority.leaf_with(&of_partner("FR"), |params| {
            params.subject_alt_names = names;
            params.extended_key_usages = usages;
        });
        house.refuses(&leaf, "ambiguous_identity", Alert::BadCertificate).await;
    }
}

#[tokio::test]
async fn fault_12_an_identity_of_another_network_is_refused() {
    let mut house = House::open().await;
    let leaf = house.authority.leaf_with(&of_partner("FR"), |params| {
        params.subject_alt_names = vec![uri("spiffe://other.example/partner/fr/ops-1")];
    });
    house.refuses(&leaf, "other_network", Alert::BadCertificate).await;
}

#[tokio::test]
async fn fault_13_the_common_name_never_decides() {
    let mut house = House::open().await;
    for common_name in ["KE", "spiffe://demo.liaison.example/partner/ke/ops-1"] {
        let leaf = house.authority.leaf_with(&of_partner("FR"), |params| {
            params.distinguished_name.push(DnType::CommonName, common_name);
        });
        let (_line, caller) = house.lets_in(&leaf).await;
        assert_eq!(*caller.peer.identity(), of_partner("FR"));
    }
}

#[tokio::test]
async fn fault_14_who_is_not_registered_gets_in_to_be_told_so() {
    let mut house = House::open().await;
    let leaf = house.authority.leaf(&of_partner("ZZ"));
    let (_line, caller) = house.lets_in(&leaf).await;
    assert_eq!(*caller.peer.identity(), of_partner("ZZ"));
    let owner: Owner = caller.peer.identity().owner();
    assert!(!house.identities.load().is_registered(&owner));
}

#[tokio::test]
async fn only_a_pinned_key_gets_in_where_keys_are_pinned() {
    let mut house = House::open().await;
    let pinned = house.authority.leaf(&of_partner("FR"));
    let other = house.authority.leaf(&of_partner("FR"));
    let identities = registered(&house.authority, &[pinned.key_hash()], &[]);
    house.identities.store(Arc::new(identities));
    house.lets_in(&pinned).await;
    house.refuses(&other, "key_not_pinned", Alert::AccessDenied).await;
}

#[tokio::test]
async fn fault_16_an_authority_cannot_issue_outside_its_names() {
    let mut house = House::open().await;
    let narrow = Ca::with("Authority of Kenya", |params| {
        params.name_constraints = Some(NameConstraints {
            permitted_subtrees: vec![GeneralSubtree::DnsName("ke.example".into())],
            excluded_subtrees: Vec::new(),
        });
    });
    let pins = Pins { authorities: vec![narrow.certificate.clone()], keys: Vec::new() };
    let owner = of_node("site-1").owner();
    let identities = Identities::new(network(), [(owner, pins)], []);
    house.identities.store(Arc::new(identities));
    let named = |name| {
        narrow.leaf_with(&of_node("site-1"), |params: &mut CertificateParams| {
            params.subject_alt_names.push(dns(name));
        })
    };
    house.lets_in(&named("site-1.ke.example")).await;
    house.refuses(&named("site-1.fr.example"), "name_constraint", Alert::BadCertificate).await;
}

#[tokio::test]
async fn fault_17_keys_of_other_kinds_are_refused() {
    let mut house = House::open().await;
    for algorithm in [&PKCS_ECDSA_P384_SHA384, &PKCS_ED25519] {
        let key = KeyPair::generate_for(algorithm).unwrap();
        let leaf = house.authority.issue(&profile(&of_partner("FR")), key);
        house.refuses(&leaf, "weak_key", Alert::BadCertificate).await;
    }
}

#[tokio::test]
async fn fault_18_a_chain_that_is_too_long_or_too_large_is_not_even_parsed() {
    let mut house = House::open().await;
    let large = house.authority.leaf_with(&of_partner("FR"), |params| {
        let ballast = CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 9], vec![0; 50_000]);
        params.custom_extensions.push(ballast);
    });
    house.refuses(&large, "chain_too_complex", Alert::BadCertificate).await;

    let mut authority = house.authority.below("Same name");
    let mut chain = vec![authority.certificate.clone()];
    for _ in 0..3 {
        authority = authority.below("Same name");
        chain.insert(0, authority.certificate.clone());
    }
    let mut long = authority.leaf(&of_partner("FR"));
    long.chain.extend(chain);
    house.refuses(&long, "chain_too_complex", Alert::BadCertificate).await;
}
