//! Acknowledgements: the items tree, and a recipient's one signature over it.

use bytes::Bytes;
use liaison_protocol::ack::{Acknowledgement, Item, VerifiedAcknowledgement, tree};
use liaison_protocol::envelope::{ACKNOWLEDGEMENT_TYPE, Expect as Expected, MANIFEST_TYPE};
use liaison_protocol::id::{Hash, LeafIndex, Micros, NoticeId};
use liaison_protocol::keyring::Usage;
use liaison_protocol::proto::{self, Verdict};
use liaison_protocol::tlog::entry::Salt;
use liaison_protocol::tlog::items;
use prost::Message as _;
use serde::{Deserialize, Serialize};

use super::world::{
    ABOUT, Key, NOW, fields, hex, keys, log, network, notice_id, plain_manifest, salt, signed, texts, unhex,
};
use super::{Expect, refuse};

#[derive(Serialize, Deserialize)]
pub(crate) struct Acknowledgements {
    about: String,
    network: String,
    now_us: i64,
    keys: Vec<Key>,
    trees: Vec<ItemsTree>,
    cases: Vec<Case>,
}

/// The tree over items in order: leaf data and path of each, and the root.
#[derive(Serialize, Deserialize)]
struct ItemsTree {
    name: String,
    items: Vec<ItemCase>,
    leaf_data: Vec<String>,
    paths: Vec<Vec<String>>,
    root: String,
}

#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct ItemCase {
    salt: String,
    leaf_index: u64,
    notice_id: String,
    verdict: i32,
    reason: String,
}

#[derive(Serialize, Deserialize)]
struct Case {
    name: String,
    fault: Option<u32>,
    /// The keys that the directory lists for the caller.
    keys: Vec<String>,
    envelope: String,
    items: Vec<ItemCase>,
    /// What was signed, as protobuf's JSON.
    expect: Expect<serde_json::Value>,
}

/// The notice that was accepted at a leaf, from 4.
pub(crate) fn notice_at(leaf: u64) -> NoticeId {
    item(leaf - 4, Verdict::Received, "").notice
}

fn item(nth: u64, verdict: Verdict, reason: &str) -> Item {
    Item {
        salt: salt(&format!("item {nth}")),
        leaf: LeafIndex(nth + 4),
        notice: match nth {
            0 => NoticeId(notice_id(&plain_manifest().encode_to_vec())),
            _ => NoticeId(Hash::of(&[b"a made-up notice ", &nth.to_be_bytes()])),
        },
        verdict,
        reason: reason.into(),
    }
}

/// What BORELIA says of three notices.
pub(crate) fn three() -> Vec<Item> {
    vec![
        item(0, Verdict::Accepted, ""),
        item(1, Verdict::Refused, "not within our mandate \u{2013} article 3"),
        item(2, Verdict::Received, ""),
    ]
}

fn written(item: &Item) -> ItemCase {
    ItemCase {
        salt: hex(&item.salt.0),
        leaf_index: item.leaf.0,
        notice_id: item.notice.to_string(),
        verdict: item.verdict.into(),
        reason: item.reason.clone(),
    }
}

/// What BORELIA signs over items.
pub(crate) fn acknowledgement(items: &[Item]) -> proto::Acknowledgement {
    proto::Acknowledgement {
        network: network().to_bytes(),
        log_origin: log().to_string(),
        recipient: "BORELIA".into(),
        system: "ops-1".into(),
        count: items.len() as u32,
        root: tree(items).root().to_bytes(),
        signed_at_us: NOW.0 - Micros::SECOND,
    }
}

pub(crate) fn generate() -> Acknowledgements {
    Acknowledgements {
        about: ABOUT.into(),
        network: network().to_string(),
        now_us: NOW.0,
        keys: keys(),
        trees: [1, 2, 3, 5, 8].map(items_tree).into(),
        cases: cases(),
    }
}

fn items_tree(count: u64) -> ItemsTree {
    let verdicts = [Verdict::Accepted, Verdict::Refused, Verdict::Received];
    let items: Vec<_> = (0..count)
        .map(|nth| {
            let verdict = verdicts[nth as usize % 3];
            item(nth, verdict, if verdict == Verdict::Refused { "no" } else { "" })
        })
        .collect();
    let tree = tree(&items);
    let path = |nth| tree.path(nth).expect("an item of the tree");
    ItemsTree {
        name: format!("{count} items"),
        leaf_data: items.iter().map(|item| item.leaf_data().to_hex()).collect(),
        paths: (0..count).map(|nth| path(nth).iter().map(|hash| hash.to_hex()).collect()).collect(),
        root: tree.root().to_hex(),
        items: items.iter().map(written).collect(),
    }
}

fn cases() -> Vec<Case> {
    let items = three();
    let usual: Vec<_> = items.iter().map(written).collect();
    let case = |name: &str, fault: u32, envelope: Vec<u8>, items: Vec<ItemCase>, expect| Case {
        name: name.into(),
        fault: (fault > 0).then_some(fault),
        keys: texts(&["borelia-notice", "borelia-acknowledgement"]),
        envelope: hex(&envelope),
        items,
        expect,
    };
    let sign = |payload: &[u8]| signed("borelia-acknowledgement", ACKNOWLEDGEMENT_TYPE, payload);
    let plain = acknowledgement(&items).encode_to_vec();
    let says = |name: &str, change: &dyn Fn(&mut proto::Acknowledgement), word: &str| {
        let mut acknowledgement = acknowledgement(&items);
        change(&mut acknowledgement);
        case(name, 41, sign(&acknowledgement.encode_to_vec()), usual.clone(), refuse(word))
    };
    // The recipient signed over these very items, whose root is right; what they say is not.
    let holds = |name: &str, change: &dyn Fn(&mut Vec<ItemCase>)| {
        let mut wrong = usual.clone();
        change(&mut wrong);
        let data = wrong.iter().map(leaf_data);
        let acknowledgement = proto::Acknowledgement {
            count: wrong.len() as u32,
            root: items::ItemTree::over(data).root().to_bytes(),
            ..acknowledgement(&items)
        };
        case(name, 41, sign(&acknowledgement.encode_to_vec()), wrong, refuse("FIELD_INVALID"))
    };
    let sent = |name: &str, change: &dyn Fn(&mut Vec<ItemCase>)| {
        let mut other = usual.clone();
        change(&mut other);
        case(name, 64, sign(&plain), other, refuse("PART_MISMATCH"))
    };
    let one = vec![item(0, Verdict::Accepted, "")];
    vec![
        case(
            "three items, as it should be",
            0,
            sign(&plain),
            usual.clone(),
            Expect::Accept(fields("Acknowledgement", &plain)),
        ),
        {
            let one_signed = acknowledgement(&one).encode_to_vec();
            let expect = Expect::Accept(fields("Acknowledgement", &one_signed));
            case("one item", 0, sign(&one_signed), one.iter().map(written).collect(), expect)
        },
        {
            let twice = vec![one[0].clone(), item(0, Verdict::Received, "")];
            let twice_signed = acknowledgement(&twice).encode_to_vec();
            let expect = Expect::Accept(fields("Acknowledgement", &twice_signed));
            case("one notice twice", 66, sign(&twice_signed), twice.iter().map(written).collect(), expect)
        },
        sent("one item too few", &|items| items.truncate(2)),
        sent("one item too many", &|items| items.push(items[0].clone())),
        sent("no items", &|items| items.clear()),
        sent("in another order", &|items| items.swap(0, 1)),
        sent("another salt", &|items| items[2].salt = hex(&salt("another").0)),
        sent("another leaf index", &|items| items[0].leaf_index += 100),
        sent("another notice", &|items| items[0].notice_id = items[1].notice_id.clone()),
        sent("another verdict", &|items| items[0].verdict = Verdict::Received.into()),
        sent("another reason", &|items| items[1].reason.push('!')),
        says("another root", &|a| a.root = Hash::of(&[b"another root"]).to_bytes(), "PART_MISMATCH"),
        says("counts one more", &|a| a.count = 4, "PART_MISMATCH"),
        says("counts none", &|a| a.count = 0, "FIELD_INVALID"),
        says("counts 4,097", &|a| a.count = 4_097, "FIELD_INVALID"),
        says("a root of 31 bytes", &|a| a.root.truncate(31), "FIELD_INVALID"),
        says("no recipient", &|a| a.recipient.clear(), "FIELD_INVALID"),
        says("a system in upper case", &|a| a.system = "OPS-1".into(), "FIELD_INVALID"),
        says("a log origin with a space", &|a| a.log_origin = "hub 1".into(), "FIELD_INVALID"),
        says("no moment of signing", &|a| a.signed_at_us = 0, "FIELD_INVALID"),
        says("signed before 1970", &|a| a.signed_at_us = -1, "FIELD_INVALID"),
        says("for another network", &|a| a.network = Hash::of(&[b"another network"]).to_bytes(), "OTHER_NETWORK"),
        holds("REFUSED without a reason", &|items| items[1].reason.clear()),
        holds("a reason without REFUSED", &|items| items[0].reason = "because".into()),
        holds("a reason of 257 bytes", &|items| items[1].reason = "x".repeat(257)),
        holds("a reason with a newline", &|items| items[1].reason = "no\nleaf 9 accepted".into()),
        holds("a reason that runs from right to left", &|items| items[1].reason = "no\u{202e}yes".into()),
        holds("no verdict", &|items| items[2].verdict = 0),
        holds("an unknown verdict", &|items| items[2].verdict = 4),
        case(
            "a salt of 31 bytes",
            41,
            sign(&plain),
            {
                let mut items = usual.clone();
                items[0].salt.truncate(62);
                items
            },
            refuse("FIELD_INVALID"),
        ),
        case("the root twice", 39, sign(&[&plain[..], &[0x32, 0]].concat()), usual.clone(), refuse("MALFORMED")),
        case("the count twice", 39, sign(&[&plain[..], &[0x28, 3]].concat()), usual.clone(), refuse("MALFORMED")),
        case(
            "signed by a key that is for notices",
            36,
            signed("arden-notice", ACKNOWLEDGEMENT_TYPE, &plain),
            usual.clone(),
            refuse("BAD_SIGNATURE"),
        ),
        case(
            "signed by another partner",
            64,
            signed("caldora-acknowledgement", ACKNOWLEDGEMENT_TYPE, &plain),
            usual.clone(),
            refuse("BAD_SIGNATURE"),
        ),
        case(
            "signed under the type of a manifest",
            31,
            signed("borelia-acknowledgement", MANIFEST_TYPE, &plain),
            usual.clone(),
            refuse("UNKNOWN_PAYLOAD_TYPE"),
        ),
    ]
}

/// The leaf data of an item that may say what no item may say.
fn leaf_data(item: &ItemCase) -> Hash {
    let salt = Salt::from_slice(&unhex(&item.salt)).expect("32 bytes");
    let notice: NoticeId = item.notice_id.parse().expect("a NoticeId");
    Hash::of(&[
        b"liaison-acknowledged-item-v1",
        &salt.0,
        &item.leaf_index.to_be_bytes(),
        notice.0.as_ref(),
        &[item.verdict as u8],
        &(item.reason.len() as u16).to_be_bytes(),
        item.reason.as_bytes(),
    ])
}

fn sent(item: &ItemCase) -> proto::AcknowledgedItem {
    let notice: NoticeId = item.notice_id.parse().expect("a NoticeId");
    proto::AcknowledgedItem {
        salt: unhex(&item.salt).into(),
        leaf_index: item.leaf_index,
        notice_id: notice.to_bytes(),
        verdict: item.verdict,
        reason: item.reason.clone(),
    }
}

#[test]
fn acknowledgements_are_judged_as_the_vectors_say() {
    let file: Acknowledgements = crate::vectors::read("acknowledgement.json");
    for case in &file.trees {
        let read = |(nth, item): (usize, &ItemCase)| Item::read(&sent(item), nth).expect("an item");
        let items: Vec<_> = case.items.iter().enumerate().map(read).collect();
        assert_eq!(tree(&items).root().to_hex(), case.root, "{}", case.name);
        for (nth, item) in items.iter().enumerate() {
            assert_eq!(item.leaf_data().to_hex(), case.leaf_data[nth], "{}", case.name);
            let path: Vec<_> = case.paths[nth].iter().filter_map(|hash| Hash::from_hex(hash)).collect();
            let root = items::root_of(item.leaf_data(), nth as u64, items.len() as u64, &path);
            assert_eq!(root.map(Hash::to_hex).as_ref(), Some(&case.root), "{}", case.name);
        }
    }
    for case in &file.cases {
        let name = &case.name;
        let keys: Vec<_> = file.keys.iter().filter(|key| case.keys.contains(&key.name)).map(Key::trusted).collect();
        let expect = Expected {
            network: file.network.parse().expect("a network"),
            payload_type: ACKNOWLEDGEMENT_TYPE,
            usage: Usage::Acknowledgement,
            keys: &keys,
            tables: None,
        };
        let items: Vec<_> = case.items.iter().map(sent).collect();
        let envelope = Bytes::from(unhex(&case.envelope));
        match (VerifiedAcknowledgement::verify(envelope, &items, &expect, Micros(file.now_us)), &case.expect) {
            (Ok(verified), Expect::Accept(said)) => {
                assert_eq!(verified.items().len(), items.len(), "{name}");
                assert_eq!(said["recipient"], verified.signed().recipient.as_str(), "{name}");
                let again = Acknowledgement::encode(verified.signed());
                assert_eq!(fields("Acknowledgement", &again), *said, "{name}");
            }
            (Err(refusal), Expect::Refuse(word)) => {
                assert_eq!(refusal.reason.word(), word, "{name}: {refusal}");
            }
            (found, _) => panic!("{name}: {found:?}"),
        }
    }
}
