//! Manifests in their envelopes: what a node accepts as signed by a partner, and every way of being wrong that needs no state.

use bytes::Bytes;
use liaison_protocol::envelope::{ACKNOWLEDGEMENT_TYPE, Expect as Expected, MANIFEST_TYPE};
use liaison_protocol::id::{Hash, Micros, NetworkId};
use liaison_protocol::keyring::{SignerTables, Usage};
use liaison_protocol::limits::{AGE_MAX_US, AHEAD_MAX_US, LIFETIME_MAX_US, MANIFEST_BYTES_MAX};
use liaison_protocol::manifest::SignedManifest;
use liaison_protocol::proto;
use prost::Message as _;
use serde::{Deserialize, Serialize};

use super::world::{
    ABOUT, Key, NOW, commitment, envelope, fields, hex, key_id, keys, network, notice_id, plain_manifest,
    signature, signed, texts, unhex,
};
use super::{Expect, refuse};

#[derive(Serialize, Deserialize)]
pub(crate) struct Manifests {
    about: String,
    network: String,
    now_us: i64,
    keys: Vec<Key>,
    cases: Vec<Case>,
}

#[derive(Clone, Serialize, Deserialize)]
struct Case {
    name: String,
    fault: Option<u32>,
    /// The keys that the directory lists for the caller.
    keys: Vec<String>,
    envelope: String,
    /// When it arrives; otherwise `now_us`.
    at_us: Option<i64>,
    /// What its first home says of its times at that moment; absent: nothing against them.
    in_time: Option<String>,
    expect: Expect<Accepted>,
}

#[derive(Clone, Serialize, Deserialize)]
struct Accepted {
    notice_id: String,
    /// Name of the key that signed.
    signer: String,
    /// SHA-256 of the signature.
    signature_digest: String,
    /// What the payload says, as protobuf's JSON with the numbers of enumerations.
    manifest: Option<serde_json::Value>,
}

/// By borelia-notice over `borelia_manifest` (RFC 6979): r and s.
const ECDSA_R: &str = "32fbd8ea98e8c4a24f9dc20334d4019970f38b6d1e9a4aa6f633d82686d46c05";
const ECDSA_S: &str = "65144afcdad4b898eb2e7e3dcf06879b5e513129b7283f0f9c2aae4737768402";
/// The order of P-256's group.
const P256_ORDER: &str = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
/// The order of Ed25519's group, little-endian.
const ED25519_ORDER: &str = "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010";
/// By the holder of arden-notice over the plain manifest: R is the neutral point, S = k·a.
const SMALL_ORDER_R: &str = "0100000000000000000000000000000000000000000000000000000000000000 \
df14c5dcfe7682e5c41f1f15596989c0e415b9883ee95f72bea86fe3de191b07";
/// By the holder of arden-notice over the plain manifest: R = r·B + a point of order 8, S = r + k·a.
const LOW_ORDER_RESIDUE: &str = "d10b1c35fd2fac31caf89719f072116506d6a7cc88ece0ce8cd0d1bf2f58203e \
989abdbf69e37a86a4f0439b12c5771e250cd0bf4890a2c2cb851f602daa8303";

pub(crate) fn generate() -> Manifests {
    let mut cases = accepted();
    cases.extend(signatures());
    cases.extend(times());
    cases.extend(bytes());
    cases.extend(wrong_fields());
    Manifests { about: ABOUT.into(), network: network().to_string(), now_us: NOW.0, keys: keys(), cases }
}

const ARDEN: [&str; 5] = ["arden-acknowledgement", "arden-denied", "arden-notice", "arden-old", "arden-new"];

fn accept(key: &str, payload: &[u8], signature: &[u8]) -> Expect<Accepted> {
    Expect::Accept(Accepted {
        notice_id: format!("sha256:{}", notice_id(payload).to_hex()),
        signer: key.into(),
        signature_digest: Hash::of(&[signature]).to_hex(),
        manifest: None,
    })
}

fn case(name: &str, fault: u32, envelope: &[u8], expect: Expect<Accepted>) -> Case {
    Case {
        name: name.into(),
        fault: (fault > 0).then_some(fault),
        keys: texts(&ARDEN),
        envelope: hex(envelope),
        at_us: None,
        in_time: None,
        expect,
    }
}

/// A payload that arden-notice signed as it should, accepted.
fn good(name: &str, fault: u32, payload: &[u8]) -> Case {
    let signature = signature("arden-notice", MANIFEST_TYPE, payload);
    let envelope = signed("arden-notice", MANIFEST_TYPE, payload);
    case(name, fault, &envelope, accept("arden-notice", payload, &signature))
}

/// A payload that arden-notice signed as it should, refused for what it says.
fn bad(name: &str, fault: u32, payload: &[u8], word: &str) -> Case {
    case(name, fault, &signed("arden-notice", MANIFEST_TYPE, payload), refuse(word))
}

fn with_fields(mut case: Case, payload: &[u8]) -> Case {
    if let Expect::Accept(accepted) = &mut case.expect {
        accepted.manifest = Some(fields("Manifest", payload));
    }
    case
}

/// The plain manifest, changed.
fn changed(change: impl FnOnce(&mut proto::Manifest)) -> Vec<u8> {
    let mut manifest = plain_manifest();
    change(&mut manifest);
    manifest.encode_to_vec()
}

fn audience(manifest: &mut proto::Manifest) -> &mut proto::Audience {
    manifest.audience.get_or_insert_default()
}

fn handling(manifest: &mut proto::Manifest) -> &mut proto::Handling {
    manifest.handling.get_or_insert_default()
}

/// Everything that a manifest can hold.
pub(crate) fn full_manifest() -> proto::Manifest {
    let mut manifest = plain_manifest();
    manifest.reference = "AR/2026/000813".into();
    manifest.kind = proto::Kind::Diffusion.into();
    *audience(&mut manifest) =
        proto::Audience { partners: texts(&["CALDORA"]), groups: texts(&["NORTH"]), exempted: texts(&["BORELIA"]) };
    handling(&mut manifest).code = proto::HandlingCode::H3.into();
    handling(&mut manifest).restriction = "Ask before use in court \u{2013} \u{e9}crire d\u{2019}abord".into();
    manifest.precedence = proto::Precedence::Flash.into();
    manifest.relation = Some(proto::Relation {
        r#type: proto::RelationType::Amends.into(),
        notice_id: notice_id(&plain_manifest().encode_to_vec()).to_bytes(),
        reference: "AR/2026/000812".into(),
    });
    let sealed = proto::PartCommitment {
        plaintext_commitment: Hash::of(&[b"a commitment to the plaintext"]).to_bytes(),
        ..commitment(proto::PartRole::Attachment, "part 1", b"a made-up photograph")
    };
    manifest.parts.push(sealed);
    manifest.parts.push(commitment(proto::PartRole::Officer, "part 2", b"Inspector Vector"));
    manifest
}

/// What BORELIA signs with its ECDSA key.
fn borelia_manifest() -> Vec<u8> {
    changed(|manifest| {
        manifest.originator = "BORELIA".into();
        manifest.reference = "BO/2026/000001".into();
        audience(manifest).partners = texts(&["CALDORA"]);
    })
}

fn accepted() -> Vec<Case> {
    let plain = plain_manifest().encode_to_vec();
    let full = full_manifest().encode_to_vec();
    let sig = signature("arden-notice", MANIFEST_TYPE, &plain);
    let ok = || accept("arden-notice", &plain, &sig);
    let usual = signed("arden-notice", MANIFEST_TYPE, &plain);
    let (payload_field, rest) = usual.split_at(3 + plain.len());
    let named = |key_id: &str| envelope(MANIFEST_TYPE, &plain, &[(&sig, key_id)]);
    vec![
        with_fields(good("as it should be", 0, &plain), &plain),
        with_fields(good("with everything a manifest can hold", 0, &full), &full),
        case("no key id", 32, &named(""), ok()),
        case(
            "the key id of another partner's key, which does not decide",
            32,
            &named(&key_id("borelia-notice")),
            ok(),
        ),
        case("a key id that is no key id, which does not decide", 32, &named("\u{202e}nobody"), ok()),
        case("the envelope's fields in another order", 38, &[rest, payload_field].concat(), ok()),
        case("a field of the envelope that nobody knows yet", 38, &[&usual[..], &[0x7a, 1, 7]].concat(), ok()),
        good("a field of the manifest that nobody knows yet", 38, &[&plain[..], &[0xfa, 0x06, 2, 1, 2]].concat()),
        good("a field of the manifest that nobody knows yet, before the reference", 38, &{
            let (network, rest) = plain.split_at(34);
            [network, &[0xf8, 0x06, 1], rest].concat()
        }),
        good("the manifest's fields in another order behind the network", 38, &{
            let (network, rest) = plain.split_at(34);
            let (version, rest) = rest.split_at(2);
            [network, rest, version].concat()
        }),
        good("a directory version written longer than needed", 38, &{
            let (network, rest) = plain.split_at(34);
            [network, &[0x10, 0x81, 0x80, 0x00], &rest[2..]].concat()
        }),
        good("1,024 partners named one by one", 0, &changed(|m| audience(m).partners = texts(&["BORELIA"; 1_024]))),
        good(
            "1,000 parts",
            0,
            &changed(|m| {
                let part = proto::PartCommitment {
                    commitment: vec![7; 32].into(),
                    media_type: "a/b".into(),
                    ..m.parts[0].clone()
                };
                m.parts = vec![part; 1_000];
            }),
        ),
        good("64 KiB", 42, &padded(MANIFEST_BYTES_MAX)),
        good("one lifetime of five years", 48, &changed(|m| m.expires_at_us = m.issued_at_us + LIFETIME_MAX_US)),
        good(
            "originator BORELIA, signed by ARDEN: proven to be ARDEN's, and a node then answers SENDER_MISMATCH",
            26,
            &changed(|m| m.originator = "BORELIA".into()),
        ),
    ]
}

/// A manifest of a size, filled with a field that nobody knows.
fn padded(size: usize) -> Vec<u8> {
    let plain = plain_manifest().encode_to_vec();
    // Two bytes of tag and three of length.
    let fill = size - plain.len() - 5;
    let length = [fill as u8 | 0x80, (fill >> 7) as u8 | 0x80, (fill >> 14) as u8];
    [&plain[..], &[0xfa, 0x06], &length, &vec![0; fill]].concat()
}

fn signatures() -> Vec<Case> {
    let plain = plain_manifest().encode_to_vec();
    let full = full_manifest().encode_to_vec();
    let sig = signature("arden-notice", MANIFEST_TYPE, &plain);
    let with = |sig: &[u8]| envelope(MANIFEST_TYPE, &plain, &[(sig, "")]);
    let typed = |payload_type: &str| envelope(payload_type, &plain, &[(&sig, "")]);
    let wrong = |name: &str, fault: u32, envelope: &[u8]| case(name, fault, envelope, refuse("BAD_SIGNATURE"));
    let shape = |name: &str, fault: u32, envelope: &[u8]| case(name, fault, envelope, refuse("SIGNATURE_SHAPE"));
    let count = |name: &str, sigs: &[(&[u8], &str)]| {
        case(name, 37, &envelope(MANIFEST_TYPE, &plain, sigs), refuse("SIGNATURE_COUNT"))
    };
    let mut flipped = plain.clone();
    flipped[40] ^= 1;
    let mut flipped_signature = sig.clone();
    flipped_signature[3] ^= 0x10;
    let shifted = (format!("{MANIFEST_TYPE}\n"), plain[1..].to_vec());
    let mut cases = vec![
        wrong("signed by another partner's key", 27, &signed("caldora-acknowledgement", MANIFEST_TYPE, &plain)),
        wrong("signed by a key that nobody listed", 27, &signed("stranger", MANIFEST_TYPE, &plain)),
        case("no signature", 28, &with(&[]), refuse("SIGNATURE_MISSING")),
        shape("a signature of 63 bytes", 28, &with(&sig[..63])),
        shape("a signature of 65 bytes", 28, &with(&[&sig[..], &[0]].concat())),
        wrong("a bit of the payload flipped", 29, &envelope(MANIFEST_TYPE, &flipped, &[(&sig, "")])),
        wrong("the payload of another notice", 29, &envelope(MANIFEST_TYPE, &full, &[(&sig, "")])),
        wrong("a bit of the signature flipped", 29, &with(&flipped_signature)),
        wrong("a signature of zeros", 29, &with(&[0; 64])),
        wrong("the payload type of an acknowledgement", 30, &typed(ACKNOWLEDGEMENT_TYPE)),
        wrong("the payload type in other case", 30, &typed(&MANIFEST_TYPE.replace("vnd", "VND"))),
        wrong(
            "the payload's first byte moved to the payload type",
            30,
            &envelope(&shifted.0, &shifted.1, &[(&sig, "")]),
        ),
        wrong("no payload type", 30, &typed("")),
        case(
            "signed under the type of an acknowledgement",
            31,
            &signed("arden-notice", ACKNOWLEDGEMENT_TYPE, &plain),
            refuse("UNKNOWN_PAYLOAD_TYPE"),
        ),
        case("signed under no type", 31, &signed("arden-notice", "", &plain), refuse("UNKNOWN_PAYLOAD_TYPE")),
        case(
            "signed under a newer type",
            31,
            &signed("arden-notice", &MANIFEST_TYPE.replace("v1", "v2"), &plain),
            refuse("UNKNOWN_PAYLOAD_TYPE"),
        ),
        wrong("Ed25519 with S + L", 33, &with(&plus_order(&sig))),
        wrong("Ed25519 with a small-order R", 33, &with(&unhex(SMALL_ORDER_R))),
        wrong("Ed25519 with a low-order residue in R", 33, &with(&unhex(LOW_ORDER_RESIDUE))),
        wrong(
            "signed by a key that is for acknowledgements",
            36,
            &signed("arden-acknowledgement", MANIFEST_TYPE, &plain),
        ),
        count("zero signatures", &[]),
        count("the same signature twice", &[(&sig, ""), (&sig, "")]),
        count("1,000 signatures", &[(&sig[..1], ""); 1_000]),
        case("a denied key", 35, &signed("arden-denied", MANIFEST_TYPE, &plain), refuse("KEY_NOT_IN_FORCE")),
        case(
            "a key at the end of its window",
            35,
            &signed("arden-old", MANIFEST_TYPE, &plain),
            refuse("KEY_NOT_IN_FORCE"),
        ),
        case(
            "a key before its window",
            35,
            &signed("arden-new", MANIFEST_TYPE, &plain),
            refuse("KEY_NOT_IN_FORCE"),
        ),
    ];
    let unlisted = wrong("a partner for which no key is listed", 27, &with(&sig));
    cases.push(Case { keys: vec![], ..unlisted });
    let last =
        case("a key in the last microsecond of its window", 35, &signed("arden-old", MANIFEST_TYPE, &plain), {
            accept("arden-old", &plain, &signature("arden-old", MANIFEST_TYPE, &plain))
        });
    cases.push(Case { at_us: Some(NOW.0 - 1), ..last });
    cases.extend(ecdsa());
    cases
}

/// S + L for an Ed25519 signature: the same signature to whoever does not look closely.
fn plus_order(signature: &[u8]) -> Vec<u8> {
    let mut sum = signature.to_vec();
    let mut carry = 0;
    for (byte, order) in sum[32..].iter_mut().zip(unhex(ED25519_ORDER)) {
        let total = u16::from(*byte) + u16::from(order) + carry;
        (*byte, carry) = (total as u8, total >> 8);
    }
    sum
}

fn ecdsa() -> Vec<Case> {
    let payload = borelia_manifest();
    let (r, s) = (unhex(ECDSA_R), unhex(ECDSA_S));
    let mut other_s = unhex(P256_ORDER);
    let mut borrow = 0;
    for (byte, s) in other_s.iter_mut().zip(&s).rev() {
        let difference = i16::from(*byte) - i16::from(*s) - borrow;
        (*byte, borrow) = (difference as u8, i16::from(difference < 0));
    }
    let der = |s: &[u8]| sequence(&[integer(&r), integer(s)].concat());
    let by = |sig: &[u8]| envelope(MANIFEST_TYPE, &payload, &[(sig, &key_id("borelia-notice"))]);
    let ok = |sig: &[u8]| accept("borelia-notice", &payload, sig);
    let both = [integer(&r), integer(&s)].concat();
    let padded = sequence(&[vec![2, 33, 0], r.clone(), integer(&s)].concat());
    let long = [&[0x30, 0x81, both.len() as u8], &both[..]].concat();
    let endless = [&[0x30, 0x80], &both[..], &[0, 0]].concat();
    let mut negative = r.clone();
    negative[0] |= 0x80;
    let negative = sequence(&[vec![2, 32], negative, integer(&s)].concat());
    let mut other_r = r.clone();
    other_r[31] ^= 1;
    let rows: Vec<(&str, Vec<u8>, Expect<Accepted>)> = vec![
        ("ECDSA", der(&s), ok(&der(&s))),
        ("ECDSA with the other S: the same NoticeId", der(&other_s), ok(&der(&other_s))),
        ("ECDSA in BER, with a long length", long, refuse("SIGNATURE_SHAPE")),
        ("ECDSA in BER, of indefinite length", endless, refuse("SIGNATURE_SHAPE")),
        ("ECDSA with a zero before r", padded, refuse("SIGNATURE_SHAPE")),
        ("ECDSA with a negative r", negative, refuse("SIGNATURE_SHAPE")),
        ("ECDSA with a byte behind", [der(&s), vec![0]].concat(), refuse("SIGNATURE_SHAPE")),
        ("ECDSA as raw r and s", [r.clone(), s.clone()].concat(), refuse("SIGNATURE_SHAPE")),
        (
            "ECDSA with an r of 2^256",
            {
                let r = [&[2, 33, 1][..], &[0; 32]].concat();
                sequence(&[r, integer(&s)].concat())
            },
            refuse("SIGNATURE_SHAPE"),
        ),
        ("ECDSA with r zero", sequence(&[vec![2, 1, 0], integer(&s)].concat()), refuse("SIGNATURE_SHAPE")),
        ("ECDSA with another r", sequence(&[integer(&other_r), integer(&s)].concat()), refuse("BAD_SIGNATURE")),
    ];
    rows.into_iter()
        .map(|(name, sig, expect)| Case { keys: texts(&["borelia-notice"]), ..case(name, 34, &by(&sig), expect) })
        .collect()
}

fn sequence(content: &[u8]) -> Vec<u8> {
    [&[0x30, content.len() as u8], content].concat()
}

/// A positive number of 32 bytes in DER.
fn integer(number: &[u8]) -> Vec<u8> {
    let first = number.iter().position(|byte| *byte != 0).unwrap_or(31);
    let digits = &number[first..];
    let sign: &[u8] = if digits[0] & 0x80 != 0 { &[0] } else { &[] };
    [&[2, (sign.len() + digits.len()) as u8], sign, digits].concat()
}

fn times() -> Vec<Case> {
    let times = |name: &str, fault: u32, at: i64, word: &str| {
        let plain = plain_manifest().encode_to_vec();
        Case { at_us: Some(at), in_time: (!word.is_empty()).then(|| word.into()), ..good(name, fault, &plain) }
    };
    let (issued, expires) = (plain_manifest().issued_at_us, plain_manifest().expires_at_us);
    vec![
        times("five minutes ahead of the node's clock", 47, issued - AHEAD_MAX_US, ""),
        times("a microsecond more than five minutes ahead", 47, issued - AHEAD_MAX_US - 1, "FUTURE_DATED"),
        times("72 hours old", 46, issued + AGE_MAX_US, ""),
        times("a microsecond more than 72 hours old", 46, issued + AGE_MAX_US + 1, "TOO_OLD"),
        times("first seen when it expires: too old comes first", 48, expires, "TOO_OLD"),
        {
            let brief = changed(|m| m.expires_at_us = m.issued_at_us + 3_600 * Micros::SECOND);
            Case {
                at_us: Some(issued + 3_600 * Micros::SECOND),
                in_time: Some("EXPIRED".into()),
                ..good("first seen in the microsecond in which it expires", 48, &brief)
            }
        },
    ]
}

/// Payloads that were signed as they should be, and are not the message they should be.
fn bytes() -> Vec<Case> {
    let plain = plain_manifest().encode_to_vec();
    let malformed = |name: &str, fault: u32, payload: &[u8]| bad(name, fault, payload, "MALFORMED");
    let with = |more: &[u8]| [&plain[..], more].concat();
    let behind_network = |more: &[u8]| [&plain[..34], more].concat();
    let other = |name: &str, fault: u32, payload: &[u8]| bad(name, fault, payload, "OTHER_NETWORK");
    let another = NetworkId(Hash::of(&[b"another network"])).to_bytes();
    let mut moved = plain[34..].to_vec();
    moved.extend_from_slice(&plain[..34]);
    vec![
        malformed("the reference twice", 39, &with(&[0x1a, 1, b'x'])),
        malformed("the kind twice, the same", 39, &with(&[0x20, 1])),
        malformed("the network twice", 39, &with(&plain[..34])),
        malformed("the audience twice", 39, &with(&[0x32, 0])),
        malformed("a part's size twice", 39, &with(&[0x72, 4, 0x18, 1, 0x18, 1])),
        malformed("ends in the middle of a field", 39, &plain[..plain.len() - 1]),
        malformed("ends in the middle of a tag", 39, &with(&[0xff])),
        malformed("the reference as a number", 39, &behind_network(&[0x18, 1])),
        malformed("the kind as bytes", 39, &behind_network(&[0x22, 1, 1])),
        malformed("issued_at as eight bytes", 39, &behind_network(&[0x49, 0, 0, 0, 0, 0, 0, 0, 0])),
        malformed("a reference that is not UTF-8", 39, &behind_network(&[0x1a, 2, 0xc3, 0x28])),
        malformed(
            "a reference with half of a pair of surrogates",
            39,
            &behind_network(&[0x1a, 3, 0xed, 0xa0, 0x80]),
        ),
        malformed("field number 0", 39, &with(&[0x00, 0])),
        malformed("a field number above 2^29 - 1", 39, &with(&[0x80, 0x80, 0x80, 0x80, 0x40, 0])),
        malformed("a part that is longer than the manifest", 39, &with(&[0x72, 0x7f])),
        malformed("10,000 groups one in another", 40, &with(&[0x7b; 10_000])),
        malformed("30,000 empty parts", 40, &behind_network(&[0x72, 0].repeat(30_000))),
        malformed("1,001 parts", 40, &behind_network(&[0x72, 0].repeat(1_001))),
        malformed("1,025 partners", 40, &changed(|m| audience(m).partners = texts(&["BORELIA"; 1_025]))),
        malformed("33 groups", 40, &changed(|m| audience(m).groups = texts(&["NORTH"; 33]))),
        malformed("1,025 exempted partners", 40, &changed(|m| audience(m).exempted = texts(&["BORELIA"; 1_025]))),
        bad("64 KiB and a byte", 42, &padded(MANIFEST_BYTES_MAX + 1), "TOO_LARGE"),
        case(
            "an envelope of 68 KiB and a byte",
            42,
            &{
                let usual = signed("arden-notice", MANIFEST_TYPE, &plain);
                let fill = (68 << 10) + 1 - usual.len() - 5;
                let length = [fill as u8 | 0x80, (fill >> 7) as u8 | 0x80, (fill >> 14) as u8];
                [&usual[..], &[0xfa, 0x06], &length, &vec![0; fill]].concat()
            },
            refuse("TOO_LARGE"),
        ),
        other("signed for another network", 0, &changed(|m| m.network = another)),
        other("no network", 41, &changed(|m| m.network = Bytes::new())),
        other("a network of 31 bytes", 41, &changed(|m| m.network.truncate(31))),
        other("the network not first", 38, &moved),
        other("the network's length written longer than needed", 38, &[&[0x0a, 0xa0, 0x00], &plain[2..]].concat()),
        other("an empty payload", 41, &[]),
    ]
}

/// Payloads that were signed as they should be, and say what no manifest may say.
fn wrong_fields() -> Vec<Case> {
    type Change = fn(&mut proto::Manifest);
    let absent: &[(&str, Change)] = &[
        ("no directory version", |m| m.directory_version = 0),
        ("no reference", |m| m.reference.clear()),
        ("no kind", |m| m.kind = 0),
        ("no originator", |m| m.originator.clear()),
        ("no audience", |m| m.audience = None),
        ("an audience of nobody", |m| *audience(m) = proto::Audience::default()),
        ("an audience of exempted partners only", |m| {
            *audience(m) = proto::Audience { exempted: texts(&["BORELIA"]), ..Default::default() };
        }),
        ("no handling", |m| m.handling = None),
        ("no handling code", |m| handling(m).code = 0),
        ("no evaluation of the source", |m| handling(m).source = 0),
        ("no evaluation of the information", |m| handling(m).information = 0),
        ("no label", |m| handling(m).tlp = 0),
        ("no precedence", |m| m.precedence = 0),
        ("no issued_at", |m| m.issued_at_us = 0),
        ("no expires_at", |m| m.expires_at_us = 0),
        ("no respond_by", |m| m.respond_by = 0),
        ("no retention", |m| m.retention = 0),
        ("no parts", |m| m.parts.clear()),
        ("a part without a role", |m| m.parts[0].role = 0),
        ("a part without a media type", |m| m.parts[0].media_type.clear()),
        ("a part without a commitment", |m| m.parts[0].commitment.clear()),
        ("an empty relation", |m| m.relation = Some(proto::Relation::default())),
    ];
    let unknown: &[(&str, Change)] = &[
        ("an unknown kind", |m| m.kind = 18),
        ("a negative kind", |m| m.kind = -1),
        ("an unknown handling code", |m| handling(m).code = 5),
        ("an unknown evaluation of the source", |m| handling(m).source = 5),
        ("an unknown evaluation of the information", |m| handling(m).information = 5),
        ("an unknown label", |m| handling(m).tlp = 6),
        ("an unknown precedence", |m| m.precedence = 5),
        ("an unknown respond_by", |m| m.respond_by = 6),
        ("an unknown retention", |m| m.retention = 5),
        ("an unknown role", |m| m.parts[0].role = 4),
        ("an unknown relation", |m| relation(m).r#type = 5),
    ];
    let shapes: &[(&str, Change)] = &[
        ("a reference with a newline", |m| m.reference.push('\n')),
        ("a reference with NUL", |m| m.reference.push('\0')),
        ("a reference that runs from right to left", |m| m.reference.push('\u{202e}')),
        ("a reference of 65 characters", |m| m.reference = "x".repeat(65)),
        ("an originator in lower case", |m| m.originator = "arden".into()),
        ("an originator of 33 characters", |m| m.originator = "A".repeat(33)),
        ("an originator in Cyrillic letters that look Latin", |m| m.originator = "\u{410}RDEN".into()),
        ("a partner with a space", |m| audience(m).partners = texts(&["BORELIA "])),
        ("an empty partner", |m| audience(m).partners.push(String::new())),
        ("a group with a dot", |m| audience(m).groups = texts(&["N.ORTH"])),
        ("an exempted partner with a comma", |m| audience(m).exempted = texts(&["A,B"])),
        ("H3 without a restriction", |m| handling(m).code = 4),
        ("a restriction without H3", |m| handling(m).restriction = "no".into()),
        ("a restriction of 1,025 bytes", |m| restrict(m, &"x".repeat(1_025))),
        ("a restriction with a newline", |m| restrict(m, "one\ntwo")),
        ("a restriction with NUL", |m| restrict(m, "one\0two")),
        ("a restriction with DELETE", |m| restrict(m, "one\u{7f}two")),
        ("a restriction with NEL", |m| restrict(m, "one\u{85}two")),
        ("a restriction with a line separator", |m| restrict(m, "one\u{2028}two")),
        ("a restriction that runs from right to left", |m| restrict(m, "one\u{202e}two")),
        ("a restriction with a right-to-left mark", |m| restrict(m, "one\u{200f}two")),
        ("a restriction with an isolate", |m| restrict(m, "one\u{2066}two")),
        ("a restriction with an Arabic letter mark", |m| restrict(m, "one\u{61c}two")),
        ("issued before 1970", |m| m.issued_at_us = -1),
        ("expires when it is issued", |m| m.expires_at_us = m.issued_at_us),
        ("expires before it is issued", |m| m.expires_at_us = m.issued_at_us - 1),
        ("a lifetime of five years and a microsecond", |m| {
            m.expires_at_us = m.issued_at_us + LIFETIME_MAX_US + 1;
        }),
        ("expires at the end of time", |m| m.expires_at_us = i64::MAX),
        ("a media type without a slash", |m| m.parts[0].media_type = "text".into()),
        ("a media type with a space", |m| m.parts[0].media_type = "text/plain; x".into()),
        ("a media type of 128 bytes", |m| m.parts[0].media_type = format!("a/{}", "b".repeat(126))),
        ("a commitment of 31 bytes", |m| m.parts[0].commitment.truncate(31)),
        ("a commitment to the plaintext of 5 bytes", |m| {
            m.parts[0].plaintext_commitment = Bytes::from_static(b"12345")
        }),
        ("a relation to a NoticeId of 31 bytes", |m| relation(m).notice_id.truncate(31)),
        ("a relation without a reference", |m| relation(m).reference.clear()),
    ];
    let rows = absent.iter().chain(unknown).chain(shapes);
    rows.map(|(name, change)| bad(name, 41, &changed(change), "FIELD_INVALID")).collect()
}

fn relation(manifest: &mut proto::Manifest) -> &mut proto::Relation {
    manifest.relation = full_manifest().relation;
    manifest.relation.get_or_insert_default()
}

fn restrict(manifest: &mut proto::Manifest, restriction: &str) {
    handling(manifest).code = proto::HandlingCode::H3.into();
    handling(manifest).restriction = restriction.into();
}

#[test]
fn manifests_are_judged_as_the_vectors_say() {
    let file: Manifests = crate::vectors::read("manifest.json");
    let listed = |name: &String| {
        let key = file.keys.iter().find(|key| key.name == *name);
        key.expect("a key of the file").trusted()
    };
    for case in &file.cases {
        let name = &case.name;
        let keys: Vec<_> = case.keys.iter().map(listed).collect();
        let expect = Expected {
            network: file.network.parse().expect("a network"),
            payload_type: MANIFEST_TYPE,
            usage: Usage::Notice,
            keys: &keys,
            tables: None,
        };
        let at = Micros(case.at_us.unwrap_or(file.now_us));
        let sent = Bytes::from(unhex(&case.envelope));
        let found = SignedManifest::parse(sent.clone()).and_then(|signed| signed.verify(&expect, at));
        match (found, &case.expect) {
            (Ok(verified), Expect::Accept(accepted)) => {
                assert_eq!(verified.id().to_string(), accepted.notice_id, "{name}");
                assert_eq!(verified.signature_digest().to_hex(), accepted.signature_digest, "{name}");
                assert_eq!(verified.signer(), listed(&accepted.signer).id, "{name}");
                assert_eq!(verified.envelope(), &sent, "{name}: bytes stay as they came");
                let in_time = verified.manifest().in_time(at).err();
                let word = in_time.map(|refusal| refusal.reason.word().to_string());
                assert_eq!(word, case.in_time, "{name}");
            }
            (Err(refusal), Expect::Refuse(word)) => {
                assert_eq!(refusal.reason.word(), word, "{name}: {refusal}");
            }
            (found, _) => panic!("{name}: {found:?}"),
        }
    }
}

#[test]
fn manifests_that_came_together_are_judged_as_each_alone_with_tables_and_without() {
    let file: Manifests = crate::vectors::read("manifest.json");
    let now = Micros(file.now_us);
    let sent = || file.cases.iter().map(|case| Bytes::from(unhex(&case.envelope)));
    let mut lists: Vec<_> = file.cases.iter().map(|case| &case.keys).collect();
    lists.sort();
    lists.dedup();
    let tables = SignerTables::default();
    let (mut accepted, mut refused) = (0, 0);
    for list in lists {
        let keys: Vec<_> =
            file.keys.iter().filter(|key| list.contains(&key.name)).map(|key| key.trusted()).collect();
        let network = file.network.parse().expect("a network");
        let alone =
            Expected { network, payload_type: MANIFEST_TYPE, usage: Usage::Notice, keys: &keys, tables: None };
        let alone: Vec<_> =
            sent().map(|sent| SignedManifest::parse(sent).and_then(|signed| signed.verify(&alone, now))).collect();
        accepted += alone.iter().filter(|found| found.is_ok()).count();
        refused += alone.iter().filter(|found| found.is_err()).count();
        for tables in [None, Some(&tables)] {
            let expect =
                Expected { network, payload_type: MANIFEST_TYPE, usage: Usage::Notice, keys: &keys, tables };
            let together = SignedManifest::verify_all(sent(), &expect, now);
            for ((together, alone), case) in together.iter().zip(&alone).zip(&file.cases) {
                assert_eq!(format!("{together:?}"), format!("{alone:?}"), "{}", case.name);
            }
        }
    }
    assert!(accepted > 20 && refused > 20, "{accepted} accepted, {refused} refused");
    assert!(tables.counts().tables > 0, "{:?}", tables.counts());
}
