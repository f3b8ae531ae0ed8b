//! Rows 16 to 18, judged by the rule that runs inside each handshake: names outside of an authority's, weak keys and signatures, and
//! chains made to be expensive. What they cost is measured on this thread alone.

use liaison::peer::{Authority, BadAuthority, BadPeer, Identities, Pins};
use liaison_protocol::id::Micros;
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, ExtendedKeyUsagePurpose as Usage, GeneralSubtree, IsCa,
    KeyPair, KeyUsagePurpose, NameConstraints, PublicKeyData, SigningKey as _,
};
use rustls::pki_types::CertificateDer;

use super::certificate::*;
use super::support::*;

/// Who is registered under these authorities: FR and site-1.
fn under(authorities: &[&Ca]) -> Identities {
    let pins = || Pins {
        authorities: authorities.iter().map(|authority| authority.certificate.clone()).collect(),
        keys: Vec::new(),
    };
    Identities::new(network(), [(partner("FR"), pins()), (of_node("site-1").owner(), pins())], [])
}

fn constrained(permitted: Vec<GeneralSubtree>, excluded: Vec<GeneralSubtree>) -> Ca {
    Ca::with("Narrow authority", |params| {
        params.name_constraints =
            Some(NameConstraints { permitted_subtrees: permitted, excluded_subtrees: excluded });
    })
}

/// An authority that may issue under this one host in URIs only; rcgen knows no such constraint.
fn constrained_to_uris(host: &str) -> Ca {
    let tagged = |tag: u8, inside: &[u8]| [&[tag, u8::try_from(inside.len()).unwrap()][..], inside].concat();
    let subtree = tagged(0x30, &tagged(0x86, host.as_bytes()));
    let constraints = tagged(0x30, &tagged(0xa0, &subtree));
    Ca::with("Narrow authority", |params| {
        let mut extension = CustomExtension::from_oid_content(&[2, 5, 29, 30], constraints);
        extension.set_criticality(true);
        params.custom_extensions.push(extension);
    })
}

#[test]
fn fault_16_names_outside_of_an_authoritys_are_refused_whatever_their_kind() {
    let dns_tree = |name: &str| GeneralSubtree::DnsName(name.into());
    let named = |authority: &Ca, names: &[&str]| {
        let names: Vec<_> = names.iter().map(|name| dns(name)).collect();
        authority.leaf_with(&of_node("site-1"), |params: &mut CertificateParams| {
            params.subject_alt_names.extend(names);
        })
    };
    let permits = constrained(vec![dns_tree("ke.example")], vec![]);
    let excludes = constrained(vec![], vec![dns_tree("fr.example")]);
    let elsewhere = constrained_to_uris("other.example");
    for (what, authority, names, expected) in [
        ("inside", &permits, &["site-1.ke.example"][..], None),
        ("outside", &permits, &["site-1.fr.example"], Some("name_constraint")),
        ("one inside, one outside", &permits, &["a.ke.example", "a.fr.example"], Some("name_constraint")),
        ("that ends alike", &permits, &["site-1.evilke.example"], Some("name_constraint")),
        ("a wildcard", &permits, &["*.ke.example"], Some("ambiguous_identity")),
        ("not excluded", &excludes, &["site-1.ke.example"], None),
        ("excluded", &excludes, &["site-1.fr.example"], Some("name_constraint")),
        ("a URI of another host", &elsewhere, &[], Some("name_constraint")),
    ] {
        let leaf = named(authority, names);
        let judged = under(&[authority]).admit(&leaf.chain, TODAY);
        assert_eq!(judged.err().map(|bad| bad.reason()), expected, "{what}");
    }
}

/// A public key nobody here can use.
struct Foreign(Vec<u8>, &'static rcgen::SignatureAlgorithm);

impl PublicKeyData for Foreign {
    fn der_bytes(&self) -> &[u8] {
        &self.0
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        self.1
    }
}

/// Replaces bytes inside DER, and puts the lengths around them right.
fn rewritten(der: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    if der.is_empty() {
        return Vec::new();
    }
    let short = usize::from(der[1] & 0x7f);
    let (head, length) = match der[1] {
        0..0x80 => (2, short),
        _ => (2 + short, der[2..2 + short].iter().fold(0, |length, byte| length << 8 | usize::from(*byte))),
    };
    let (this, rest) = (&der[..head + length], &der[head + length..]);
    let content = match this[0] & 0x20 {
        0 => this[head..].to_vec(),
        _ => rewritten(&this[head..], from, to),
    };
    let this = if this == from { to.to_vec() } else { encoded(this[0], &content) };
    [this, rewritten(rest, from, to)].concat()
}

fn encoded(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    let length = &length[length.iter().take_while(|byte| **byte == 0).count()..];
    let head = match content.len() {
        0..0x80 => vec![tag, u8::try_from(content.len()).unwrap()],
        _ => [&[tag, 0x80 | u8::try_from(length.len()).unwrap()][..], length].concat(),
    };
    [head, content.to_vec()].concat()
}

/// A certificate with other bytes in it, rightly signed all the same.
fn resigned(leaf: &CertificateDer<'_>, authority: &KeyPair, from: &[u8], to: &[u8]) -> CertificateDer<'static> {
    let other = rewritten(leaf, from, to);
    let (_, parsed) = x509_parser::parse_x509_certificate(&other).unwrap();
    let tbs = parsed.tbs_certificate.as_ref().to_vec();
    let signature = encoded(0x03, &[&[0][..], &authority.sign(&tbs).unwrap()].concat());
    let algorithm = &content_of(&other)[tbs.len()..];
    let algorithm = &algorithm[..2 + usize::from(algorithm[1])];
    encoded(0x30, &[&tbs, algorithm, &signature].concat()).into()
}

/// What a DER value holds.
fn content_of(der: &[u8]) -> &[u8] {
    let head = if der[1] < 0x80 { 2 } else { 2 + usize::from(der[1] & 0x7f) };
    &der[head..]
}

#[test]
fn fault_17_weak_keys_and_signatures_are_refused_though_their_authority_signed_them() {
    const P256: &[u8] = &[6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
    const SECP256K1: &[u8] = &[6, 5, 0x2b, 0x81, 4, 0, 10];
    const SHA256: &[u8] = &[6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2];
    const SHA1: &[u8] = &[6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 1];
    let authority = Ca::named("Authority");
    let identities = under(&[&authority]);
    let good = authority.leaf(&of_partner("FR")).chain.remove(0);
    let same = resigned(&good, authority.key(), P256, P256);
    assert!(identities.admit(&[same], TODAY).is_ok(), "made anew as it was, it is good");
    // A modulus of 1024 bits and the exponent 65537, as PKCS #1 writes them.
    let modulus = encoded(2, &[&[0, 0xc1][..], &[0x5b; 127]].concat());
    let rsa = encoded(0x30, &[&modulus[..], &[2, 3, 1, 0, 1]].concat());
    let rsa = authority.certify(&profile(&of_partner("FR")), &Foreign(rsa, &rcgen::PKCS_RSA_SHA256));
    for (what, certificate) in [
        ("RSA with 1024 bits", rsa),
        ("secp256k1", resigned(&good, authority.key(), P256, SECP256K1)),
        ("SHA-1", resigned(&good, authority.key(), SHA256, SHA1)),
    ] {
        assert_eq!(identities.admit(&[certificate], TODAY), Err(BadPeer::WeakKey), "{what}");
    }
}

/// An authority of a key whose curve is P-521, which nobody here can make: its certificate names one, and nobody signed it.
fn p521(authority: &Ca) -> CertificateDer<'static> {
    const P256: &[u8] = &[6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
    const P521: &[u8] = &[6, 5, 0x2b, 0x81, 4, 0, 35];
    let point = [&[4][..], &[7; 132]].concat();
    let old = encoded(3, &[&[0][..], authority.key().public_key_raw()].concat());
    let new = encoded(3, &[&[0][..], &point].concat());
    rewritten(&rewritten(&authority.certificate, P256, P521), &old, &new).into()
}

/// An RSA key of so many bits, as PKCS #1 writes it. Nobody holds it.
fn rsa(bits: usize, exponent: &[u8]) -> Foreign {
    let modulus = encoded(2, &[&[0, 0xc1][..], &vec![0x5b; bits / 8 - 1]].concat());
    Foreign(encoded(0x30, &[&modulus[..], &encoded(2, exponent)].concat()), &rcgen::PKCS_RSA_SHA256)
}

fn authority_params(change: impl FnOnce(&mut CertificateParams)) -> CertificateParams {
    let mut params = profile(&of_partner("FR"));
    params.subject_alt_names.clear();
    params.extended_key_usages.clear();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    change(&mut params);
    params
}

/// What a directory may not pin: refused when it is signed, and believed by no node that has it all the same.
fn unusable_authorities() -> Vec<(&'static str, CertificateDer<'static>, BadAuthority)> {
    let good = Ca::named("Good");
    let certified = |change: fn(&mut CertificateParams)| Ca::with("Bad", change).certificate;
    let with_key = |key: &Foreign| good.certify(&authority_params(|_| {}), key);
    let trailing: Vec<u8> = [&good.certificate[..], &[0]].concat();
    vec![
        ("CA:false", certified(|params| params.is_ca = IsCa::ExplicitNoCa), BadAuthority::NoAuthority),
        ("no basic constraints", certified(|params| params.is_ca = IsCa::NoCa), BadAuthority::NoAuthority),
        (
            "no keyCertSign",
            certified(|params| {
                params.key_usages = vec![KeyUsagePurpose::CrlSign, KeyUsagePurpose::DigitalSignature]
            }),
            BadAuthority::MayNotIssue,
        ),
        ("no key usage", certified(|params| params.key_usages.clear()), BadAuthority::MayNotIssue),
        ("P-521", p521(&good), BadAuthority::UnusableKey),
        ("RSA with 1024 bits", with_key(&rsa(1024, &[1, 0, 1])), BadAuthority::UnusableKey),
        ("RSA with 2040 bits", with_key(&rsa(2040, &[1, 0, 1])), BadAuthority::UnusableKey),
        ("RSA with exponent 3", with_key(&rsa(2048, &[3])), BadAuthority::UnusableKey),
        ("RSA with an even exponent", with_key(&rsa(2048, &[1, 0, 2])), BadAuthority::UnusableKey),
        ("RSA with 16384 bits", with_key(&rsa(16384, &[1, 0, 1])), BadAuthority::UnusableKey),
        ("something after it", trailing.into(), BadAuthority::Unreadable),
        ("nothing", Vec::new().into(), BadAuthority::Unreadable),
    ]
}

#[test]
fn fault_10_what_is_no_authority_cannot_be_pinned() {
    for (what, certificate, why) in unusable_authorities() {
        assert_eq!(Authority::read(&certificate).err(), Some(why), "{what}");
    }
    let good = Ca::named("Good");
    let p384 = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
    let ed25519 = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    let of_key = |key: &KeyPair| authority_params(|_| {}).self_signed(key).unwrap().into();
    for (what, certificate) in [
        ("P-256", good.certificate.clone()),
        ("P-384", of_key(&p384)),
        ("Ed25519", of_key(&ed25519)),
        ("RSA with 2048 bits", good.certify(&authority_params(|_| {}), &rsa(2048, &[1, 0, 1]))),
        ("RSA with 4096 bits", good.certify(&authority_params(|_| {}), &rsa(4096, &[1, 0, 1]))),
    ] {
        assert!(Authority::read(&certificate).is_ok(), "{what}");
    }
}

#[test]
fn fault_10_nobody_is_believed_because_of_an_authority_that_may_not_issue() {
    // Pinned all the same, by whoever signed a directory with another tool.
    let bad: [fn(&mut CertificateParams); 4] = [
        |params| params.is_ca = IsCa::ExplicitNoCa,
        |params| params.is_ca = IsCa::NoCa,
        |params| params.key_usages = vec![KeyUsagePurpose::CrlSign],
        |params| params.key_usages.clear(),
    ];
    for (nth, change) in bad.into_iter().enumerate() {
        let pinned = Ca::with("Bad", change);
        let leaf = pinned.leaf(&of_partner("FR"));
        assert_eq!(under(&[&pinned]).admit(&leaf.chain, TODAY), Err(BadPeer::UnknownIssuer), "{nth}");
        // It takes nothing from those beside it.
        let good = Ca::named("Good");
        assert!(under(&[&pinned, &good]).admit(&good.leaf(&of_partner("FR")).chain, TODAY).is_ok(), "{nth}");
        // And between a good authority and a leaf.
        let root = Ca::named("Root");
        let between = root.below_with("Bad", change);
        let mut leaf = between.leaf(&of_partner("FR"));
        leaf.chain.push(between.certificate.clone());
        let refused = under(&[&root]).admit(&leaf.chain, TODAY).unwrap_err();
        assert_eq!(refused.reason(), "bad_chain", "{nth}: {refused}");
    }
}

#[test]
fn fault_10_an_authority_has_as_many_below_it_as_it_says() {
    for (most, below, holds) in
        [(None, 2, true), (Some(0), 0, true), (Some(0), 1, false), (Some(1), 1, true), (Some(1), 2, false)]
    {
        let root = Ca::with("Root", |params| {
            params.is_ca = IsCa::Ca(most.map_or(BasicConstraints::Unconstrained, BasicConstraints::Constrained));
        });
        let (mut lowest, mut above) = (None::<Ca>, Vec::new());
        for nth in 0..below {
            let next = lowest.as_ref().unwrap_or(&root).below(&format!("Level {nth}"));
            above.insert(0, next.certificate.clone());
            lowest = Some(next);
        }
        let mut leaf = lowest.as_ref().unwrap_or(&root).leaf(&of_partner("FR"));
        leaf.chain.extend(above);
        let judged = under(&[&root]).admit(&leaf.chain, TODAY);
        let expected = (!holds).then_some(BadPeer::BadChain("an authority may not have authorities below it"));
        assert_eq!(judged.err(), expected, "{below} below {most:?}");
    }
}

#[test]
fn fault_10_a_pinned_authority_vouches_for_nobody_before_its_first_second_and_after_its_last() {
    let (first, last) = (TODAY, TODAY.plus(10 * Micros::SECOND));
    let pinned = Ca::with("Short", |params| valid(params, first, last));
    let leaf = pinned.leaf(&of_partner("FR"));
    for (now, expected) in [
        (first.plus(-1), Some("not_yet_valid")),
        (first, None),
        (last.plus(Micros::SECOND - 1), None),
        (last.plus(Micros::SECOND), Some("expired")),
    ] {
        let judged = under(&[&pinned]).admit(&leaf.chain, now);
        assert_eq!(judged.err().map(|bad| bad.reason()), expected, "at {now:?}");
    }
    // An authority renewed with its old key is pinned beside the old one, in whatever order.
    let renewed = pinned.renewed("Short");
    for both in [[&pinned, &renewed], [&renewed, &pinned]] {
        assert!(under(&both).admit(&leaf.chain, last.plus(Micros::HOUR)).is_ok());
    }
}

#[test]
fn fault_10_a_leaf_signs_handshakes_and_issues_nothing() {
    use KeyUsagePurpose::{CrlSign, DigitalSignature, KeyAgreement, KeyCertSign, KeyEncipherment};
    let authority = Ca::named("Authority");
    for (usages, holds) in [
        (vec![DigitalSignature], true),
        (vec![DigitalSignature, KeyEncipherment], true),
        (vec![DigitalSignature, KeyAgreement], true),
        (vec![], false),
        (vec![KeyEncipherment], false),
        (vec![KeyAgreement], false),
        (vec![DigitalSignature, KeyCertSign], false),
        (vec![DigitalSignature, CrlSign], false),
    ] {
        let leaf = authority.leaf_with(&of_partner("FR"), |params| params.key_usages.clone_from(&usages));
        let judged = under(&[&authority]).admit(&leaf.chain, TODAY);
        assert_eq!(judged.err(), (!holds).then_some(BadPeer::WrongKeyUsage), "{usages:?}");
    }
}

/// Processor time of this thread, in milliseconds.
fn processor_ms() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    text.split(' ').next().unwrap().parse::<f64>().unwrap() / 1e6
}

#[test]
fn fault_18_a_pathological_chain_is_refused_within_50_ms_of_processor_time() {
    // Many authorities of one name are pinned, and the chain brings more of them: each might be the way up.
    let roots: Vec<_> = (0..32).map(|_| Ca::named("Same name")).collect();
    let strangers: Vec<_> = (0..3).map(|_| Ca::named("Same name").below("Same name")).collect();
    let pinned: Vec<&Ca> = roots.iter().collect();
    let with = |mut leaf: Leaf, above: Vec<CertificateDer<'static>>| {
        leaf.chain.extend(above);
        leaf.chain
    };
    let same_name = with(
        strangers[0].leaf(&of_partner("FR")),
        strangers.iter().map(|stranger| stranger.certificate.clone()).collect(),
    );
    let mut deep = Ca::named("Root");
    let mut above = Vec::new();
    for nth in 0..29 {
        deep = deep.below(&format!("Level {nth}"));
        above.insert(0, deep.certificate.clone());
    }
    let deep = with(deep.leaf(&of_partner("FR")), above);
    let large = roots[0].leaf_with(&of_partner("FR"), |params| {
        params.custom_extensions.push(CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 9], vec![0; 50_000]));
    });
    let many_names = roots[0].leaf_with(&of_partner("FR"), |params| {
        params.extended_key_usages = vec![Usage::ClientAuth];
        params.subject_alt_names.extend((0..200).map(|nth| dns(&format!("{nth}.example"))));
    });
    let identities = under(&pinned);
    for (what, chain, expected) in [
        ("same names", same_name, &["unknown_issuer", "chain_too_complex"][..]),
        ("depth 30", deep, &["chain_too_complex"]),
        ("50 kB", large.chain, &["chain_too_complex"]),
        ("200 names", many_names.chain, &["ambiguous_identity"]),
    ] {
        let before = processor_ms();
        let refused = identities.admit(&chain, TODAY).expect_err(what);
        let took = processor_ms() - before;
        println!("{what}: {} in {took:.2} ms", refused.reason());
        assert!(expected.contains(&refused.reason()), "{what}: {refused}");
        assert!(took < 50.0, "{what} took {took} ms");
    }
}
