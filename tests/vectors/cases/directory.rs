//! Directory heads, sealed directories, and records that prove themselves alone.

use bytes::Bytes;
use liaison_protocol::directory::{AuthorityKeys, Directory, NewHead, SignedHead, join, seal, verify_record};
use liaison_protocol::envelope::{DIRECTORY_HEAD_TYPE, MANIFEST_TYPE};
use liaison_protocol::id::{Hash, HeadDigest, HeadVersion, NetworkId, PartnerNumber};
use liaison_protocol::keyring::PublicKey;
use liaison_protocol::proto;
use liaison_protocol::tlog::entry::Salt;
use prost::Message as _;
use serde::{Deserialize, Serialize};

use super::world::{
    ABOUT, NOW, authority, envelope, fields, first, first_head, founders, hex, key_id, network, public, records,
    salt, salted, sealed, second, second_head, signature, unhex,
};
use super::{Expect, refuse};

#[derive(Serialize, Deserialize)]
pub(crate) struct Directories {
    about: String,
    heads: Vec<HeadCase>,
    directories: Vec<DirectoryCase>,
    successions: Vec<Succession>,
    records: Vec<RecordCase>,
}

#[derive(Serialize, Deserialize)]
struct HeadCase {
    name: String,
    /// The keys trusted until now.
    trusted: Authority,
    /// The network it must be of; absent: any.
    network: Option<String>,
    envelope: String,
    /// Refused: a piece of what this program says, for people.
    expect: Expect<Head>,
}

#[derive(Clone, Serialize, Deserialize)]
struct Authority {
    threshold: usize,
    keys: Vec<Public>,
}

#[derive(Clone, Serialize, Deserialize)]
struct Public {
    algorithm: i32,
    key: String,
}

#[derive(Serialize, Deserialize)]
struct Head {
    digest: String,
    network: String,
    head: serde_json::Value,
}

#[derive(Serialize, Deserialize)]
struct DirectoryCase {
    name: String,
    head: String,
    records: Vec<Sealed>,
    /// Places of the records that are passed over; absent: none.
    passed_over: Option<Vec<usize>>,
    /// Accepted: the records, as protobuf's JSON.
    expect: Expect<Vec<serde_json::Value>>,
}

/// Two directories, each good in itself, signed by the founders.
#[derive(Serialize, Deserialize)]
struct Succession {
    name: String,
    before: SealedCase,
    after: SealedCase,
    /// Accepted: the version that may follow.
    expect: Expect<u64>,
}

#[derive(Clone, Serialize, Deserialize)]
struct SealedCase {
    head: String,
    records: Vec<Sealed>,
}

#[derive(Clone, Serialize, Deserialize)]
struct Sealed {
    record: String,
    salt: String,
}

#[derive(Serialize, Deserialize)]
struct RecordCase {
    name: String,
    /// The signed head; its signatures have been checked.
    head: String,
    index: u64,
    record: String,
    salt: String,
    path: Vec<String>,
    /// Accepted: the record's leaf data.
    expect: Expect<String>,
}

pub(crate) fn generate() -> Directories {
    Directories {
        about: ABOUT.into(),
        heads: heads(),
        directories: directories(),
        successions: successions(),
        records: proofs(),
    }
}

fn written(authority: &AuthorityKeys) -> Authority {
    let key = |key: &PublicKey| Public { algorithm: key.to_proto().algorithm, key: hex(key.as_bytes()) };
    Authority { threshold: authority.threshold(), keys: authority.keys().iter().map(key).collect() }
}

/// Heads, each with the keys that signed it in this order.
fn heads() -> Vec<HeadCase> {
    let first_payload = seal(&first_head(), &salted(&records()));
    let second_payload = seal(&second_head(), &salted(&records()));
    let by = |payload: &[u8], keys: &[&str]| signed_by(DIRECTORY_HEAD_TYPE, payload, keys);
    let case =
        |name: &str, trusted: AuthorityKeys, network: Option<NetworkId>, envelope: Vec<u8>, expect| HeadCase {
            name: name.into(),
            trusted: written(&trusted),
            network: network.map(|network| network.to_string()),
            envelope: hex(&envelope),
            expect,
        };
    let right = |name: &str, trusted, of, payload: &[u8], keys: &[&str]| {
        let expect = Expect::Accept(said(payload));
        case(name, trusted, of, by(payload, keys), expect)
    };
    let first = |name: &str, keys: &[&str], word: &str| {
        case(name, founders(), None, by(&first_payload, keys), refuse(word))
    };
    let second = |name: &str, keys: &[&str], word: &str| {
        case(name, founders(), Some(network()), by(&second_payload, keys), refuse(word))
    };
    // Signed by two founders as it should be; what it says is wrong.
    let says = |name: &str, payload: &[u8], change: &dyn Fn(&mut proto::DirectoryHead), word: &str| {
        let mut head = proto::DirectoryHead::decode(payload).expect("a head");
        change(&mut head);
        let envelope = by(&head.encode_to_vec(), &["authority-2", "authority-3"]);
        case(name, founders(), None, envelope, refuse(word))
    };
    let alone = second_head_with(authority(1, &["authority-2"]));
    let signed_twice = by(&first_payload, &["authority-1", "authority-1"]);
    let named = |key_id: &str| {
        let one = signature("authority-1", DIRECTORY_HEAD_TYPE, &first_payload);
        let two = signature("authority-2", DIRECTORY_HEAD_TYPE, &first_payload);
        envelope(DIRECTORY_HEAD_TYPE, &first_payload, &[(&one, key_id), (&two, "")])
    };
    let mut flipped = first_payload.to_vec();
    flipped[10] ^= 1;
    let stray = signature("authority-1", DIRECTORY_HEAD_TYPE, &first_payload);
    let other = signature("authority-3", DIRECTORY_HEAD_TYPE, &first_payload);
    let mut moved = second_payload[34..].to_vec();
    moved.extend_from_slice(&second_payload[..34]);
    vec![
        right(
            "the first head, by two of three; it names the network",
            founders(),
            None,
            &first_payload,
            &["authority-1", "authority-3"],
        ),
        right(
            "the first head, by all three",
            founders(),
            Some(network()),
            &first_payload,
            &["authority-3", "authority-1", "authority-2"],
        ),
        right(
            "the second head, by keys that are in the old set and in the new",
            founders(),
            Some(network()),
            &second_payload,
            &["authority-2", "authority-3"],
        ),
        right(
            "the second head, by two of the old keys and two of the new",
            founders(),
            Some(network()),
            &second_payload,
            &["authority-1", "authority-2", "authority-4"],
        ),
        right("a head that leaves one key", founders(), Some(network()), &alone, &["authority-1", "authority-2"]),
        case("no key id", founders(), None, named(""), Expect::Accept(said(&first_payload))),
        first("by one key only", &["authority-1"], "found 1"),
        first("by nobody", &[], "found 0"),
        case("by one key twice, which counts once", founders(), None, signed_twice, refuse("found 1")),
        first("a stray signature beside enough", &["authority-1", "authority-2", "stranger"], "no authority key"),
        first("a partner's key", &["authority-1", "arden-notice"], "found 1"),
        case(
            "a key id that names another key",
            founders(),
            None,
            named(&key_id("authority-2")),
            refuse("names key"),
        ),
        case("a key id that is no key id", founders(), None, named("x"), refuse("names key")),
        second("the second head by the new keys alone", &["authority-3", "authority-4"], "found 1"),
        second("the second head by the old keys alone", &["authority-1", "authority-2"], "found 1"),
        case(
            "the second head, of another network than expected",
            founders(),
            Some(NetworkId(Hash::of(&[b"another"]))),
            by(&second_payload, &["authority-2", "authority-3"]),
            refuse("expected network"),
        ),
        case(
            "the first head of another network than expected",
            founders(),
            Some(NetworkId(Hash::of(&[b"another"]))),
            by(&first_payload, &["authority-2", "authority-3"]),
            refuse("expected network"),
        ),
        case(
            "a bit of the payload flipped",
            founders(),
            None,
            envelope(DIRECTORY_HEAD_TYPE, &flipped, &[(&stray, ""), (&other, "")]),
            refuse("found 0"),
        ),
        case(
            "signed under the type of a manifest",
            founders(),
            None,
            signed_by(MANIFEST_TYPE, &first_payload, &["authority-1", "authority-2"]),
            refuse("payload type"),
        ),
        case(
            "the network not first",
            founders(),
            None,
            by(&moved, &["authority-2", "authority-3"]),
            refuse("begin with the network"),
        ),
        case(
            "the version twice",
            founders(),
            None,
            by(&[&first_payload[..], &[0x18, 1]].concat(), &["authority-2", "authority-3"]),
            refuse("stands twice"),
        ),
        case("33 signatures", founders(), None, by(&first_payload, &["authority-1"; 33]), refuse("more than 32")),
        says(
            "a first head that names a network",
            &first_payload,
            &|h| h.network = network().to_bytes(),
            "version 1",
        ),
        says(
            "a first head that names a head before it",
            &first_payload,
            &|h| h.previous = network().to_bytes(),
            "version 1",
        ),
        says("version 0", &first_payload, &|h| h.version = 0, "network"),
        says("a second head without a network", &second_payload, &|h| h.network.clear(), "network"),
        says("a second head without the head before it", &second_payload, &|h| h.previous.clear(), "version 1"),
        says(
            "a second head whose head before it has 31 bytes",
            &second_payload,
            &|h| h.previous.truncate(31),
            "previous",
        ),
        says("a threshold of 0", &second_payload, &|h| h.threshold = 0, "threshold 0"),
        says("a threshold above the number of keys", &second_payload, &|h| h.threshold = 4, "threshold 4"),
        says(
            "an authority key twice",
            &second_payload,
            &|h| {
                let key = h.authority_keys[0].clone();
                h.authority_keys.push(key);
            },
            "none twice",
        ),
        says(
            "an authority key of small order",
            &second_payload,
            &|h| h.authority_keys[0].key = vec![0; 32].into(),
            "small order",
        ),
        says(
            "17 authority keys",
            &second_payload,
            &|h| {
                h.authority_keys = vec![h.authority_keys[0].clone(); 17];
            },
            "more than 16",
        ),
        says("no must_understand", &second_payload, &|h| h.must_understand = 0, "must_understand"),
        says("needs directory format 2", &second_payload, &|h| h.must_understand = 2, "must_understand"),
        says("100,001 records", &second_payload, &|h| h.record_count = 100_001, "record_count"),
        says("a root of 31 bytes", &second_payload, &|h| h.records_root.truncate(31), "records_root"),
        says(
            "a network name in upper case",
            &second_payload,
            &|h| h.network_name = "Vectors".into(),
            "network name",
        ),
    ]
}

fn second_head_with(authority: AuthorityKeys) -> Bytes {
    let head = NewHead { authority, ..second_head() };
    seal(&head, &salted(&records()))
}

fn signed_by(payload_type: &str, payload: &[u8], keys: &[&str]) -> Vec<u8> {
    let signatures: Vec<_> = keys.iter().map(|key| (signature(key, payload_type, payload), key_id(key))).collect();
    let signatures: Vec<_> = signatures.iter().map(|(sig, id)| (sig.as_slice(), id.as_str())).collect();
    envelope(payload_type, payload, &signatures)
}

fn said(payload: &[u8]) -> Head {
    let encoding = liaison_protocol::envelope::pre_authentication_encoding(DIRECTORY_HEAD_TYPE, payload);
    let head = proto::DirectoryHead::decode(payload).expect("a head");
    let digest = Hash::of(&[&encoding]);
    Head {
        digest: format!("sha256:{}", digest.to_hex()),
        network: format!("sha256:{}", Hash::from_slice(&head.network).unwrap_or(digest).to_hex()),
        head: fields("DirectoryHead", payload),
    }
}

fn directories() -> Vec<DirectoryCase> {
    let usual = salted(&records());
    let write = |records: &[(Bytes, Salt)]| {
        let sealed = |(record, salt): &(Bytes, Salt)| Sealed { record: hex(record), salt: hex(&salt.0) };
        records.iter().map(sealed).collect::<Vec<_>>()
    };
    let signers = ["authority-1", "authority-2"];
    let (_, head) = sealed(&first_head(), &usual, &signers);
    // The head is over other records than these.
    let other = |name: &str, change: &dyn Fn(&mut Vec<Sealed>), word: &str| {
        let mut records = write(&usual);
        change(&mut records);
        DirectoryCase { name: name.into(), head: hex(&head), records, passed_over: None, expect: refuse(word) }
    };
    // The authority signed these very records, and they break a rule.
    let signed = |name: &str, change: &dyn Fn(&mut Vec<proto::Record>), word: &str| {
        let mut records = records();
        change(&mut records);
        let records = salted(&records);
        let (_, head) = sealed(&first_head(), &records, &signers);
        DirectoryCase {
            name: name.into(),
            head: hex(&head),
            records: write(&records),
            passed_over: None,
            expect: refuse(word),
        }
    };
    // One record is replaced by bytes that a newer program might write.
    let newer = |name: &str, place: usize, record: Vec<u8>, word: Option<&str>| {
        let mut records = usual.clone();
        records[place].0 = record.into();
        let (_, head) = sealed(&first_head(), &records, &signers);
        let read = records.iter().map(|(record, _)| fields("Record", record)).collect();
        DirectoryCase {
            name: name.into(),
            head: hex(&head),
            records: write(&records),
            passed_over: word.is_none().then(|| vec![place]),
            expect: word.map_or(Expect::Accept(read), refuse),
        }
    };
    // The same record, with more at the end of its body.
    let within = |place: usize, more: &[u8]| {
        let record = records()[place].encode_to_vec();
        // Tag, a length in two bytes or one, and the body.
        let start = if record[1] & 0x80 == 0 { 2 } else { 3 };
        let body = [&record[start..], more].concat();
        let mut longer = vec![record[0]];
        prost::encoding::encode_varint(body.len() as u64, &mut longer);
        [longer, body].concat()
    };
    let changed = |place: usize, change: &dyn Fn(&mut Vec<proto::Record>)| {
        let mut records = records();
        change(&mut records);
        records[place].encode_to_vec()
    };
    let read = usual.iter().map(|(record, _)| fields("Record", record)).collect();
    let mut cases = vec![
        DirectoryCase {
            name: "as it should be".into(),
            head: hex(&head),
            records: write(&usual),
            passed_over: None,
            expect: Expect::Accept(read),
        },
        newer("a body that nobody knows yet", 13, vec![0x32, 0], None),
        newer("a body that nobody knows yet, in another encoding", 13, vec![0x48, 1], None),
        newer("no body, and a field that nobody knows yet", 13, vec![0x80, 4, 1], Some("no body")),
        newer("a key with a restriction that nobody knows yet", 3, within(3, &[0x82, 1, 0]), None),
        newer("an agreement with a restriction that nobody knows yet", 13, within(13, &[0xf8, 3, 1]), None),
        newer(
            "a key for a usage that nobody knows yet, and otherwise wrong",
            3,
            changed(3, &|r| {
                let key = key(r, 3);
                (key.usage, key.public_key, key.not_after_us) = (3, None, key.not_before_us);
                key.partner = "ar".into();
            }),
            None,
        ),
        newer(
            "an agreement with a ceiling that nobody knows yet, and otherwise wrong",
            13,
            changed(13, &|r| {
                let one = agreement(r);
                (one.highest_handling, one.highest_tlp, one.until_us) = (9, 0, one.from_us);
                one.id = "a b".into();
            }),
            None,
        ),
        newer(
            "an agreement for no kind but one that nobody knows yet and 0",
            13,
            changed(13, &|r| agreement(r).kinds = vec![99, 0]),
            None,
        ),
        newer(
            "an agreement for 0 and a kind that is known",
            13,
            changed(13, &|r| agreement(r).kinds.push(0)),
            Some("kinds"),
        ),
        DirectoryCase {
            passed_over: None,
            ..newer("an agreement with a remark that nobody knows yet", 13, within(13, &[0x82, 4, 0]), None)
        },
        DirectoryCase {
            passed_over: None,
            ..newer(
                "a partner of a category that nobody knows yet",
                1,
                changed(1, &|r| partner(r, 1).category = 4),
                None,
            )
        },
        DirectoryCase {
            passed_over: None,
            ..newer(
                "a partner of a status that nobody knows yet",
                1,
                changed(1, &|r| partner(r, 1).status = 3),
                None,
            )
        },
        newer(
            "a body that nobody knows yet beside one that is known",
            13,
            [changed(13, &|_| {}), vec![0x32, 0]].concat(),
            Some("twice"),
        ),
        newer("a key for a usage that nobody knows yet", 3, changed(3, &|r| key(r, 3).usage = 3), None),
        newer(
            "a key of an algorithm that nobody knows yet",
            3,
            changed(3, &|r| {
                key(r, 3).public_key = Some(proto::PublicKey { algorithm: 3, key: vec![7; 57].into() });
            }),
            None,
        ),
        newer(
            "an agreement for kinds that nobody knows yet",
            13,
            changed(13, &|r| agreement(r).kinds = vec![98, 99]),
            None,
        ),
        newer(
            "an agreement with a ceiling that nobody knows yet",
            13,
            changed(13, &|r| agreement(r).highest_tlp = 9),
            None,
        ),
        DirectoryCase {
            passed_over: None,
            ..newer(
                "an agreement for a kind that nobody knows yet, and others",
                13,
                changed(13, &|r| agreement(r).kinds.push(99)),
                None,
            )
        },
        other("a record less", &|records| records.truncate(13), "commits to root"),
        other("a record more", &|records| records.push(records[0].clone()), "commits to root"),
        other("two records changed places", &|records| records.swap(3, 4), "commits to root"),
        other("another salt", &|records| records[5].salt = hex(&salt("another").0), "commits to root"),
        other("a salt of 31 bytes", &|records| records[5].salt.truncate(62), "32 bytes"),
        other(
            "a letter of a record changed",
            &|records| {
                records[0].record = records[0].record.replacen(&hex(b"Bureau"), &hex(b"bureau"), 1);
            },
            "commits to root",
        ),
    ];
    type Change = (&'static str, fn(&mut Vec<proto::Record>), &'static str);
    let rules: &[Change] = &[
        ("a partner twice", |r| r.push(r[0].clone()), "twice"),
        ("a partner's number twice", |r| partner(r, 1).number = 1, "stands twice"),
        ("a partner's name twice", |r| partner(r, 1).id = "ARDEN".into(), "twice"),
        ("a partner without a number", |r| partner(r, 1).number = 0, "number"),
        ("a partner without a status", |r| partner(r, 1).status = 0, "status"),
        ("a partner without a category", |r| partner(r, 1).category = 0, "category"),
        (
            "two agreements of one name",
            |r| {
                let mut other = agreement(r).clone();
                other.legal_basis.push('2');
                r.push(proto::Record { body: Some(proto::record::Body::Agreement(other)) });
            },
            "stands twice",
        ),
        ("an agreement twice", |r| r.push(r[13].clone()), "twice"),
        (
            "two logs with one key",
            |r| {
                let mut other = node(r).clone();
                (other.id, other.log_origin) = ("hub-2".into(), "hub-2.example/log".into());
                r.push(proto::Record { body: Some(proto::record::Body::Node(other)) });
            },
            "stands twice",
        ),
        ("a partner whose name for people is empty", |r| partner(r, 1).name.clear(), "name"),
        ("a partner whose name for people has a newline", |r| partner(r, 1).name.push('\n'), "name"),
        ("a partner whose home is not listed", |r| partner(r, 1).home = "hub-2".into(), "not listed"),
        ("a partner without a TLS authority", |r| partner(r, 1).tls_authorities.clear(), "tls_authorities"),
        ("a partner with a TLS key of 31 bytes", |r| partner(r, 1).tls_keys = vec![vec![0; 31].into()], "tls_keys"),
        ("a key of a partner who is not listed", |r| key(r, 3).partner = "DELMAR".into(), "not listed"),
        (
            "a key twice: one key has one use",
            |r| {
                let same = key(r, 3).public_key.clone();
                key(r, 5).public_key = same;
            },
            "one use",
        ),
        (
            "a key of small order",
            |r| key(r, 3).public_key = Some(proto::PublicKey { algorithm: 1, key: vec![0; 32].into() }),
            "small order",
        ),
        ("a key without a usage", |r| key(r, 3).usage = 0, "usage"),
        ("a key whose window is empty", |r| key(r, 3).not_after_us = key(r, 3).not_before_us, "not_after_us"),
        (
            "a log's key that also signs for a partner",
            |r| node(r).log_key = Some(public("arden-notice").to_proto()),
            "log key",
        ),
        (
            "a log's key that is not Ed25519",
            |r| node(r).log_key = Some(public("borelia-notice").to_proto()),
            "Ed25519",
        ),
        ("a log origin with a plus sign", |r| node(r).log_origin = "hub+1".into(), "log_origin"),
        ("an address with a newline", |r| node(r).addresses.push("hub-1.example:1\n".into()), "addresses"),
        ("an empty address", |r| node(r).addresses.push(String::new()), "addresses"),
        ("nine addresses", |r| node(r).addresses = vec!["hub-1.example:1".into(); 9], "more than 8"),
        (
            "two nodes with one log",
            |r| {
                let mut other = node(r).clone();
                other.id = "hub-2".into();
                r.push(proto::Record { body: Some(proto::record::Body::Node(other)) });
            },
            "stands twice",
        ),
        ("a group with a partner's name", |r| group(r).id = "ARDEN".into(), "partner's name"),
        ("a group with a member who is not listed", |r| group(r).members.push("DELMAR".into()), "not listed"),
        (
            "an agreement with a party that is not listed",
            |r| agreement(r).recipients.push("DELMAR".into()),
            "not listed",
        ),
        ("an agreement for no kind", |r| agreement(r).kinds.clear(), "no kind"),
        ("an agreement for the kind 0", |r| agreement(r).kinds.push(0), "kinds"),
        ("an agreement without a ceiling", |r| agreement(r).highest_tlp = 0, "highest_tlp"),
        ("a partner's number that the head says was never given", |r| partner(r, 1).number = 10, "never given"),
        (
            "an authority key that also signs for a partner",
            |r| key(r, 3).public_key = Some(public("authority-1").to_proto()),
            "authority key",
        ),
        (
            "a log's key that also signs for the authority",
            |r| node(r).log_key = Some(public("authority-1").to_proto()),
            "the authority",
        ),
        ("an agreement without a legal basis", |r| agreement(r).legal_basis.clear(), "legal_basis"),
        ("an agreement that ends before it begins", |r| agreement(r).until_us = agreement(r).from_us, "until_us"),
        ("a record without a body", |r| r.push(proto::Record { body: None }), "no body"),
    ];
    cases.extend(rules.iter().map(|(name, change, word)| signed(name, change, word)));
    cases
}

/// What may come after the first directory, and what may not.
fn successions() -> Vec<Succession> {
    let written = |head: &NewHead, records: &[proto::Record], signers: &[&str]| {
        let records = salted(records);
        let (_, envelope) = sealed(head, &records, signers);
        let sealed = |(record, salt): &(Bytes, Salt)| Sealed { record: hex(record), salt: hex(&salt.0) };
        SealedCase { head: hex(&envelope), records: records.iter().map(sealed).collect() }
    };
    let before = written(&first_head(), &records(), &["authority-1", "authority-3"]);
    let case = |name: &str, head: NewHead, change: &dyn Fn(&mut Vec<proto::Record>), word: &str| {
        let mut records = records();
        change(&mut records);
        Succession {
            name: name.into(),
            before: before.clone(),
            after: written(&head, &records, &["authority-2", "authority-3"]),
            expect: if word.is_empty() { Expect::Accept(head.version.0) } else { refuse(word) },
        }
    };
    let newcomer = |records: &mut Vec<proto::Record>, number: u32| {
        let mut delmar = partner(records, 1).clone();
        (delmar.number, delmar.id) = (number, "DELMAR".into());
        records.push(proto::Record { body: Some(proto::record::Body::Partner(delmar)) });
    };
    let usual = second_head;
    vec![
        case("the second after the first", usual(), &|_| {}, ""),
        case(
            "a newcomer with a number that was never given",
            NewHead { next_number: PartnerNumber(11), ..usual() },
            &|r| newcomer(r, 10),
            "",
        ),
        case("a newcomer with a number that was given once", usual(), &|r| newcomer(r, 9), "given once"),
        case(
            "a newcomer with the number of another",
            usual(),
            &|r| {
                partner(r, 2).number = 9;
                newcomer(r, 3);
            },
            "number 3",
        ),
        case("a partner with another number than before", usual(), &|r| partner(r, 2).number = 9, "has number 3"),
        case("next_number falls", NewHead { next_number: PartnerNumber(9), ..usual() }, &|_| {}, "next_number"),
        case(
            "a version is left out",
            NewHead { version: HeadVersion(3), ..usual() },
            &|_| {},
            "expected version 2",
        ),
        case(
            "it names another head before it",
            NewHead { previous: Some(HeadDigest(Hash::of(&[b"another"]))), ..usual() },
            &|_| {},
            "the head before it",
        ),
    ]
}

fn partner(records: &mut [proto::Record], nth: usize) -> &mut proto::Partner {
    match &mut records[nth].body {
        Some(proto::record::Body::Partner(partner)) => partner,
        _ => panic!("record {nth} is a partner"),
    }
}

fn key(records: &mut [proto::Record], nth: usize) -> &mut proto::PartnerKey {
    match &mut records[nth].body {
        Some(proto::record::Body::Key(key)) => key,
        _ => panic!("record {nth} is a key"),
    }
}

fn node(records: &mut [proto::Record]) -> &mut proto::Node {
    match &mut records[11].body {
        Some(proto::record::Body::Node(node)) => node,
        _ => panic!("record 11 is the node"),
    }
}

fn group(records: &mut [proto::Record]) -> &mut proto::Group {
    match &mut records[12].body {
        Some(proto::record::Body::Group(group)) => group,
        _ => panic!("record 12 is the group"),
    }
}

fn agreement(records: &mut [proto::Record]) -> &mut proto::Agreement {
    match &mut records[13].body {
        Some(proto::record::Body::Agreement(agreement)) => agreement,
        _ => panic!("record 13 is the agreement"),
    }
}

fn proofs() -> Vec<RecordCase> {
    let directory = first();
    let proof = |place: usize| directory.prove(place).expect("a record of the directory");
    let case = |name: &str, proof: &proto::RecordProof, expect| RecordCase {
        name: name.into(),
        head: hex(directory.head().envelope()),
        index: proof.index,
        record: hex(&proof.record),
        salt: hex(&proof.salt),
        path: proof.path.iter().map(|hash| hex(hash)).collect(),
        expect,
    };
    let right = |place: usize| {
        let proof = proof(place);
        let salt = Salt::from_slice(&proof.salt).expect("32 bytes");
        let data = liaison_protocol::tlog::items::record(&salt, &proof.record);
        case(&format!("record {place}"), &proof, Expect::Accept(data.to_hex()))
    };
    let wrong = |name: &str, change: &dyn Fn(&mut proto::RecordProof), word: &str| {
        let mut proof = proof(3);
        change(&mut proof);
        case(name, &proof, refuse(word))
    };
    let of_another_head = RecordCase {
        head: hex(second().head().envelope()),
        ..case("a record of the directory before", &proof(3), refuse("records root"))
    };
    let mut cases: Vec<_> = [0, 3, 11, 13].map(right).into();
    cases.extend([
        of_another_head,
        wrong("another salt", &|p| p.salt = salt("another").to_bytes(), "records root"),
        wrong("a salt of 31 bytes", &|p| p.salt.truncate(31), "32 bytes"),
        wrong("another index", &|p| p.index = 2, "records root"),
        wrong("an index outside the directory", &|p| p.index = 14, "wrong length"),
        wrong("another record", &|p| p.record = proof(4).record, "records root"),
        wrong("a hash less", &|p| p.path.truncate(3), "wrong length"),
        wrong("a hash more", &|p| p.path.push(vec![0; 32].into()), "wrong length"),
        wrong("a hash of 31 bytes", &|p| p.path[0].truncate(31), "32 bytes"),
        wrong("two hashes changed places", &|p| p.path.swap(0, 1), "records root"),
    ]);
    cases
}

fn trusted(authority: &Authority) -> AuthorityKeys {
    let key = |key: &Public| {
        let key = proto::PublicKey { algorithm: key.algorithm, key: unhex(&key.key).into() };
        PublicKey::parse(&key).expect("a key")
    };
    AuthorityKeys::new(authority.threshold, authority.keys.iter().map(key).collect()).expect("k of n")
}

#[test]
fn heads_are_judged_as_the_vectors_say() {
    let file: Directories = crate::vectors::read("directory.json");
    for case in &file.heads {
        let name = &case.name;
        let network = case.network.as_ref().map(|network| network.parse().expect("a network"));
        let found = SignedHead::parse(unhex(&case.envelope).into())
            .and_then(|head| head.verify(&trusted(&case.trusted), network));
        match (found, &case.expect) {
            (Ok(head), Expect::Accept(said)) => {
                assert_eq!(head.digest().to_string(), said.digest, "{name}");
                assert_eq!(head.network().to_string(), said.network, "{name}");
                assert_eq!(Some(head.version()), said.head["version"].as_u64().map(HeadVersion), "{name}");
                assert_eq!(head.issued_at().since(NOW) % super::world::DAY, 0, "{name}");
            }
            (Err(bad), Expect::Refuse(word)) => {
                assert!(bad.to_string().contains(word.as_str()), "{name}: {bad}");
            }
            (found, _) => panic!("{name}: {found:?}"),
        }
    }
}

fn file_of(head: &str, records: &[Sealed]) -> proto::SealedDirectory {
    let record = |sealed: &Sealed| proto::SealedRecord {
        record: unhex(&sealed.record).into(),
        salt: unhex(&sealed.salt).into(),
    };
    proto::SealedDirectory { head: unhex(head).into(), records: records.iter().map(record).collect() }
}

#[test]
fn a_directory_follows_another_as_the_vectors_say() {
    let file: Directories = crate::vectors::read("directory.json");
    for case in &file.successions {
        let name = &case.name;
        let open = |sealed: &SealedCase| {
            let bytes = file_of(&sealed.head, &sealed.records).encode_to_vec();
            Directory::open(bytes.into(), &founders(), None).expect("good in itself")
        };
        let (before, after) = (open(&case.before), open(&case.after));
        before.follows(None).expect("the first");
        match (after.follows(Some(&before)), &case.expect) {
            (Ok(()), Expect::Accept(version)) => assert_eq!(after.head().version().0, *version, "{name}"),
            (Err(bad), Expect::Refuse(word)) => assert!(bad.to_string().contains(word.as_str()), "{name}: {bad}"),
            (found, _) => panic!("{name}: {found:?}"),
        }
    }
}

#[test]
fn directories_and_records_are_judged_as_the_vectors_say() {
    let file: Directories = crate::vectors::read("directory.json");
    for case in &file.directories {
        let name = &case.name;
        let sealed = file_of(&case.head, &case.records);
        match (Directory::open(sealed.encode_to_vec().into(), &founders(), None), &case.expect) {
            (Ok(directory), Expect::Accept(records)) => {
                assert_eq!(directory.len(), records.len(), "{name}");
                let passed_over: Vec<_> = directory.passed_over().iter().map(|(place, _)| *place).collect();
                assert_eq!(passed_over, case.passed_over.clone().unwrap_or_default(), "{name}");
                let again: Vec<_> = sealed
                    .records
                    .iter()
                    .map(|record| (record.record.clone(), Salt::from_slice(&record.salt).expect("32 bytes")))
                    .collect();
                assert_eq!(join(sealed.head.clone(), &again), sealed.encode_to_vec(), "{name}");
            }
            (Err(bad), Expect::Refuse(word)) => {
                assert!(bad.to_string().contains(word.as_str()), "{name}: {bad}");
            }
            (found, _) => panic!("{name}: {found:?}"),
        }
    }
    for case in &file.records {
        let name = &case.name;
        let head = SignedHead::parse(unhex(&case.head).into())
            .and_then(|head| head.verify(&founders(), None))
            .expect("a head of the founders");
        let proof = proto::RecordProof {
            index: case.index,
            record: unhex(&case.record).into(),
            salt: unhex(&case.salt).into(),
            path: case.path.iter().map(|hash| unhex(hash).into()).collect(),
        };
        match (verify_record(&proof, &head), &case.expect) {
            (Ok((_, data)), Expect::Accept(expected)) => {
                assert_eq!(data.to_hex(), *expected, "{name}")
            }
            (Err(problem), Expect::Refuse(word)) => {
                assert!(problem.contains(word.as_str()), "{name}: {problem}")
            }
            (found, _) => panic!("{name}: {found:?}"),
        }
    }
}
