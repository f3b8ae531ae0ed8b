//! The smallest formats: pre-authentication encoding, key identifiers, part commitments, and the shape of an envelope.

use liaison_protocol::envelope::{Envelope, MANIFEST_TYPE, pre_authentication_encoding};
use liaison_protocol::id::Hash;
use liaison_protocol::keyring::PublicKey;
use liaison_protocol::part::{PartCommitment, Parts, commitment};
use liaison_protocol::proto::{self, PartRole};
use liaison_protocol::tlog::entry::Salt;
use serde::{Deserialize, Serialize};

use super::world::{ABOUT, envelope, hex, public, salt, unhex};
use super::{Expect, refuse};

#[derive(Serialize, Deserialize)]
pub(crate) struct Basics {
    about: String,
    encodings: Vec<Encoding>,
    keys: Vec<KeyCase>,
    commitments: Vec<Commitment>,
    parts: Vec<PartsCase>,
    envelopes: Vec<EnvelopeCase>,
}

#[derive(Serialize, Deserialize)]
struct Encoding {
    name: String,
    payload_type: String,
    payload: String,
    encoding: String,
    /// SHA-256 of the encoding.
    digest: String,
}

#[derive(Serialize, Deserialize)]
struct KeyCase {
    name: String,
    fault: Option<u32>,
    algorithm: i32,
    key: String,
    /// Accepted: the key's identifier.
    expect: Expect<String>,
}

#[derive(Serialize, Deserialize)]
struct Commitment {
    name: String,
    role: u8,
    salt: String,
    bytes: String,
    commitment: String,
}

#[derive(Serialize, Deserialize)]
struct PartsCase {
    name: String,
    fault: Option<u32>,
    commitments: Vec<Committed>,
    parts: Vec<Part>,
    expect: Expect<bool>,
}

#[derive(Clone, Serialize, Deserialize)]
struct Committed {
    role: i32,
    size: u64,
    commitment: String,
}

#[derive(Clone, Serialize, Deserialize)]
struct Part {
    salt: String,
    bytes: String,
}

#[derive(Serialize, Deserialize)]
struct EnvelopeCase {
    name: String,
    fault: Option<u32>,
    envelope: String,
    /// Accepted as a shape, of which nothing is believed: the digest of what it carries, taken as a manifest.
    expect: Expect<String>,
}

pub(crate) fn generate() -> Basics {
    Basics {
        about: ABOUT.into(),
        encodings: encodings(),
        keys: keys(),
        commitments: commitments(),
        parts: parts(),
        envelopes: envelopes(),
    }
}

fn encodings() -> Vec<Encoding> {
    let rows: &[(&str, &str, &[u8])] = &[
        ("the example of DSSE v1.0.2", "http://example.com/HelloWorld", b"hello world"),
        ("nothing at all", "", b""),
        ("a manifest that is empty", MANIFEST_TYPE, b""),
        ("lengths count bytes, not characters", "applicati\u{f6}n/x", "\u{20ac}".as_bytes()),
        ("bytes that are no text", MANIFEST_TYPE, &[0, 0xff, b' ', b'\n', 0x80]),
        ("a length of five digits", MANIFEST_TYPE, &[7; 65_536]),
    ];
    rows.iter()
        .map(|(name, payload_type, payload)| {
            let encoding = pre_authentication_encoding(payload_type, payload);
            Encoding {
                name: (*name).into(),
                payload_type: (*payload_type).into(),
                payload: hex(payload),
                digest: Hash::of(&[&encoding]).to_hex(),
                encoding: hex(&encoding),
            }
        })
        .collect()
}

fn keys() -> Vec<KeyCase> {
    let listed = |name: &str| {
        let key = public(name);
        KeyCase {
            name: name.into(),
            fault: None,
            algorithm: key.to_proto().algorithm,
            key: hex(key.as_bytes()),
            expect: Expect::Accept(key.id().to_string()),
        }
    };
    let refused = |name: &str, algorithm: i32, key: &[u8], word: &str| KeyCase {
        name: name.into(),
        fault: Some(33),
        algorithm,
        key: hex(key),
        expect: refuse(word),
    };
    let small = |name: &str, key: &str| refused(name, 1, &unhex(key), "SmallOrder");
    let twice = |name: &str, key: &str| refused(name, 1, &unhex(key), "Point");
    let p256 = public("borelia-notice").as_bytes().to_vec();
    let mut beside = p256.clone();
    beside[64] ^= 1;
    let mut hybrid = p256.clone();
    hybrid[0] = 6;
    let mut compressed = p256[..33].to_vec();
    compressed[0] = 2 + (p256[64] & 1);
    vec![
        listed("arden-notice"),
        listed("authority-1"),
        listed("hub-1-log"),
        listed("borelia-notice"),
        small("order 1", "0100000000000000000000000000000000000000000000000000000000000000"),
        small("order 2", "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
        small("order 4", "0000000000000000000000000000000000000000000000000000000000000000"),
        small("order 4, other sign", "0000000000000000000000000000000000000000000000000000000000000080"),
        small("order 8", "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"),
        small("order 8, other sign", "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85"),
        small("order 8, other", "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"),
        small("order 8, other, other sign", "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa"),
        twice(
            "y is 1 and x, which is 0, negative",
            "0100000000000000000000000000000000000000000000000000000000000080",
        ),
        twice("y is p", "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
        twice("y is p + 1", "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
        twice("y is p + 3, of full order", "f0ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
        twice("no point has y = 2", "0200000000000000000000000000000000000000000000000000000000000000"),
        refused("Ed25519 of 31 bytes", 1, &[3; 31], "Length"),
        refused("Ed25519 of 33 bytes", 1, &[3; 33], "Length"),
        refused("beside the curve P-256", 2, &beside, "Point"),
        refused("P-256 in hybrid form", 2, &hybrid, "Point"),
        refused("P-256 compressed", 2, &compressed, "Length"),
        refused("P-256 at infinity", 2, &[0], "Length"),
        refused("P-256 taken for Ed25519", 1, &p256, "Length"),
        refused("an algorithm that is absent", 0, &[3; 32], "Algorithm"),
        refused("an algorithm that is unknown", 3, &[3; 32], "Algorithm"),
    ]
}

fn commitments() -> Vec<Commitment> {
    let rows: &[(&str, PartRole, &[u8])] = &[
        ("content", PartRole::Content, b"a made-up notice"),
        ("an attachment", PartRole::Attachment, b"a made-up notice"),
        ("an officer", PartRole::Officer, b"Inspector Vector"),
        ("empty content", PartRole::Content, b""),
        ("70,000 bytes", PartRole::Attachment, &[0xab; 70_000]),
    ];
    rows.iter()
        .enumerate()
        .map(|(nth, (name, role, bytes))| {
            let salt = salt(&format!("part {nth}"));
            Commitment {
                name: (*name).into(),
                role: *role as u8,
                salt: hex(&salt.0),
                bytes: hex(bytes),
                commitment: commitment(*role, &salt, bytes).to_hex(),
            }
        })
        .collect()
}

fn parts() -> Vec<PartsCase> {
    let bytes: [&[u8]; 2] = [b"a made-up notice", b"a made-up photograph"];
    let roles = [PartRole::Content, PartRole::Attachment];
    let part = |nth: usize| Part { salt: hex(&salt(&format!("part {nth}")).0), bytes: hex(bytes[nth]) };
    let committed = |nth: usize| Committed {
        role: roles[nth] as i32,
        size: bytes[nth].len() as u64,
        commitment: commitment(roles[nth], &salt(&format!("part {nth}")), bytes[nth]).to_hex(),
    };
    let both = || (vec![committed(0), committed(1)], vec![part(0), part(1)]);
    let case = |name: &str, expect: Expect<bool>, change: &dyn Fn(&mut Vec<Committed>, &mut Vec<Part>)| {
        let (mut commitments, mut parts) = both();
        change(&mut commitments, &mut parts);
        PartsCase {
            name: name.into(),
            fault: matches!(expect, Expect::Refuse(_)).then_some(49),
            commitments,
            parts,
            expect,
        }
    };
    let mismatch = || refuse("PART_MISMATCH");
    vec![
        case("two parts that open their commitments", Expect::Accept(true), &|_, _| {}),
        case("one part too few", mismatch(), &|_, parts| parts.truncate(1)),
        case("one part too many", mismatch(), &|_, parts| parts.push(part(0))),
        case("in another order", mismatch(), &|_, parts| parts.reverse()),
        case("another salt", mismatch(), &|_, parts| parts[0].salt = hex(&salt("another").0)),
        case("a salt of 31 bytes", refuse("FIELD_INVALID"), &|_, parts| {
            parts[0].salt.truncate(62);
        }),
        case("another byte", mismatch(), &|_, parts| parts[0].bytes = hex(b"a made-up Notice")),
        case("one byte less", mismatch(), &|_, parts| parts[0].bytes = hex(b"a made-up notic")),
        case("another role", mismatch(), &|commitments, _| commitments[0].role = 2),
        case("another size in the manifest", mismatch(), &|commitments, _| commitments[0].size = 17),
        case("more than 1 MiB in all", refuse("TOO_LARGE"), &|_, parts| {
            parts[0].bytes = hex(&[0; 1 << 20]);
        }),
    ]
}

fn envelopes() -> Vec<EnvelopeCase> {
    let payload = b"\x0a\x00payload";
    let good = envelope(MANIFEST_TYPE, payload, &[(&[1; 64], "")]);
    let digest =
        |payload: &[u8]| Expect::Accept(Hash::of(&[&pre_authentication_encoding(MANIFEST_TYPE, payload)]).to_hex());
    let with = |more: &[u8]| [good.as_slice(), more].concat();
    let rows: Vec<(&str, u32, Vec<u8>, Expect<String>)> = vec![
        ("as it should be", 0, good.clone(), digest(payload)),
        ("empty", 0, vec![], digest(b"")),
        (
            "fields in another order",
            38,
            {
                let (head, tail) = good.split_at(2 + payload.len());
                [tail, head].concat()
            },
            digest(payload),
        ),
        ("an unknown field", 38, with(&[0x7a, 3, 1, 2, 3]), digest(payload)),
        ("a length longer than needed", 38, [&[0x0a, 0x82, 0x80, 0x00][..], &[1, 2]].concat(), digest(&[1, 2])),
        ("32 signatures", 0, envelope(MANIFEST_TYPE, payload, &[(&[1][..], ""); 32]), digest(payload)),
        ("33 signatures", 37, envelope(MANIFEST_TYPE, payload, &[(&[1][..], ""); 33]), refuse("SIGNATURE_COUNT")),
        ("1,000 signatures", 37, with(&[0x1a, 0].repeat(1_000)), refuse("SIGNATURE_COUNT")),
        ("a million signatures", 40, with(&[0x1a, 0].repeat(1_000_000)), refuse("TOO_LARGE")),
        ("the payload twice", 39, with(&[0x0a, 1, 7]), refuse("MALFORMED")),
        ("the payload type twice", 39, with(&[0x12, 1, b'x']), refuse("MALFORMED")),
        ("ends in the middle", 39, good[..good.len() - 1].to_vec(), refuse("MALFORMED")),
        ("declares 4 GiB", 42, vec![0x0a, 0x80, 0x80, 0x80, 0x80, 0x10], refuse("MALFORMED")),
        ("the payload as a number", 39, vec![0x08, 1], refuse("MALFORMED")),
        (
            "a payload type that is not UTF-8",
            39,
            with(&[]).iter().map(|b| if *b == b'v' { 0xff } else { *b }).collect(),
            refuse("MALFORMED"),
        ),
        ("a group", 40, with(&[0x7b, 0x7c]), refuse("MALFORMED")),
        ("30,000 groups one in another", 40, with(&[0x7b].repeat(30_000)), refuse("MALFORMED")),
        ("field number 0", 39, with(&[0x02, 0]), refuse("MALFORMED")),
        (
            "a number of eleven bytes",
            39,
            with(&[0x78, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1]),
            refuse("MALFORMED"),
        ),
        ("a payload type of 128 bytes", 0, envelope(&"x".repeat(128), payload, &[]), digest(payload)),
        ("a payload type of 129 bytes", 42, envelope(&"x".repeat(129), payload, &[]), refuse("FIELD_INVALID")),
        ("68 KiB", 0, envelope("", &vec![0; (68 << 10) - 4], &[]), digest(&vec![0; (68 << 10) - 4])),
        ("68 KiB and a byte", 42, envelope("", &vec![0; (68 << 10) - 3], &[]), refuse("TOO_LARGE")),
    ];
    rows.into_iter()
        .map(|(name, fault, envelope, expect)| EnvelopeCase {
            name: name.into(),
            fault: (fault > 0).then_some(fault),
            envelope: hex(&envelope),
            expect,
        })
        .collect()
}

#[test]
fn encodings_keys_parts_and_envelopes_are_judged_as_the_vectors_say() {
    let basics: Basics = crate::vectors::read("basics.json");
    for case in basics.encodings {
        let encoding = pre_authentication_encoding(&case.payload_type, &unhex(&case.payload));
        assert_eq!(hex(&encoding), case.encoding, "{}", case.name);
        assert_eq!(Hash::of(&[&encoding]).to_hex(), case.digest, "{}", case.name);
    }
    for case in basics.keys {
        let key = proto::PublicKey { algorithm: case.algorithm, key: unhex(&case.key).into() };
        match (PublicKey::parse(&key), case.expect) {
            (Ok(key), Expect::Accept(id)) => assert_eq!(key.id().to_string(), id, "{}", case.name),
            (Err(bad), Expect::Refuse(word)) => {
                assert_eq!(format!("{bad:?}"), word, "{}", case.name)
            }
            (found, _) => panic!("{}: {found:?}", case.name),
        }
    }
    for case in basics.commitments {
        let role = PartRole::try_from(i32::from(case.role)).expect("a role");
        let salt = Salt::from_slice(&unhex(&case.salt)).expect("32 bytes");
        let found = commitment(role, &salt, &unhex(&case.bytes));
        assert_eq!(found.to_hex(), case.commitment, "{}", case.name);
    }
    for case in basics.parts {
        let commitments: Vec<_> = case
            .commitments
            .iter()
            .map(|committed| PartCommitment {
                role: PartRole::try_from(committed.role).expect("a role"),
                media_type: "text/plain".into(),
                size: committed.size,
                commitment: Hash::from_hex(&committed.commitment).expect("32 bytes"),
                plaintext_commitment: None,
            })
            .collect();
        let parts = case
            .parts
            .iter()
            .map(|part| proto::Part { salt: unhex(&part.salt).into(), bytes: unhex(&part.bytes).into() });
        match (Parts::open(&commitments, parts.collect()), case.expect) {
            (Ok(_), Expect::Accept(_)) => {}
            (Err(refusal), Expect::Refuse(word)) => {
                assert_eq!(refusal.reason.word(), word, "{}", case.name);
            }
            (found, _) => panic!("{}: {found:?}", case.name),
        }
    }
    for case in basics.envelopes {
        match (Envelope::parse(unhex(&case.envelope).into()), case.expect) {
            (Ok(envelope), Expect::Accept(digest)) => {
                assert_eq!(envelope.digest(MANIFEST_TYPE).to_hex(), digest, "{}", case.name);
            }
            (Err(refusal), Expect::Refuse(word)) => {
                assert_eq!(refusal.reason.word(), word, "{}", case.name);
            }
            (found, _) => panic!("{}: {found:?}", case.name),
        }
    }
}
