//! Statements: from fields to bytes, with the salt to the leaf, and what no statement may say.

use bytes::Bytes;
use liaison_protocol::envelope::{ACKNOWLEDGEMENT_TYPE, MANIFEST_TYPE};
use liaison_protocol::id::{AgreementDigest, Hash, LeafIndex, NoticeId, PartnerNumber};
use liaison_protocol::manifest::Manifest;
use liaison_protocol::proto::{self, ExpiredOutcome};
use liaison_protocol::receipt::retain_until;
use liaison_protocol::statement::{
    Accepted, Acknowledged, Event, Expired, HeadName, MailboxStated, Rebased, Statement,
};
use liaison_protocol::tlog::entry::{Opening, Salt};
use liaison_protocol::tlog::hash;
use liaison_protocol::tlog::items::{self, ItemTree};
use liaison_protocol::tlog::moved::{self, Moved};
use prost::Message as _;
use serde::{Deserialize, Serialize};

use super::acknowledgement::{acknowledgement, notice_at, three};
use super::manifest::full_manifest;
use super::world::{
    ABOUT, DAY, NOW, fields, first, hex, log, notice_id, plain_manifest, salt, second, signature, signed, unhex,
};
use super::{Expect, refuse};

#[derive(Serialize, Deserialize)]
pub(crate) struct Statements {
    about: String,
    cases: Vec<Case>,
    items: Vec<ItemsCase>,
}

#[derive(Serialize, Deserialize)]
struct Case {
    name: String,
    statement: String,
    salt: String,
    expect: Expect<Leaf>,
}

#[derive(Serialize, Deserialize)]
struct Leaf {
    /// As protobuf's JSON.
    statement: serde_json::Value,
    /// The log's entry, 33 bytes.
    leaf: String,
    /// RFC 6962 hash of the entry.
    leaf_hash: String,
}

/// The tree over the recipients of a notice, or over those whose time ran out.
#[derive(Serialize, Deserialize)]
struct ItemsCase {
    name: String,
    recipients: Vec<RecipientCase>,
    expired: Vec<ExpiredCase>,
    leaf_data: Vec<String>,
    paths: Vec<Vec<String>>,
    root: String,
}

#[derive(Serialize, Deserialize)]
struct RecipientCase {
    salt: String,
    number: u32,
}

#[derive(Serialize, Deserialize)]
struct ExpiredCase {
    salt: String,
    leaf_index: u64,
    notice_id: String,
    number: u32,
    outcome: i32,
}

/// The recipients of the plain manifest and of the full one, in ascending order of number, with their salts.
pub(crate) const RECIPIENTS: [u32; 2] = [2, 3];

pub(crate) fn recipient_salt(number: u32) -> Salt {
    salt(&format!("recipient {number}"))
}

pub(crate) fn recipients(numbers: &[u32]) -> ItemTree {
    ItemTree::over(numbers.iter().map(|number| items::recipient(&recipient_salt(*number), PartnerNumber(*number))))
}

/// Those whose time ran out: leaf, partner, how.
pub(crate) const EXPIRED: [(u64, u32, ExpiredOutcome); 3] = [
    (4, 3, ExpiredOutcome::TransmittedNotSigned),
    (5, 2, ExpiredOutcome::Unanswered),
    (5, 3, ExpiredOutcome::NeverTransmitted),
];

pub(crate) fn expired_salt(nth: usize) -> Salt {
    salt(&format!("expired {nth}"))
}

pub(crate) fn expired_tree() -> ItemTree {
    ItemTree::over(EXPIRED.iter().enumerate().map(|(nth, (leaf, number, outcome))| {
        items::expired(&expired_salt(nth), LeafIndex(*leaf), &notice_at(*leaf), PartnerNumber(*number), *outcome)
    }))
}

fn under_first() -> Option<HeadName> {
    Some(HeadName::from(first().head()))
}

fn statement(event: Event) -> Statement {
    Statement { observed_at: NOW, under: under_first(), event }
}

/// The plain manifest, accepted.
pub(crate) fn accepted() -> Statement {
    accepting(&plain_manifest(), &RECIPIENTS[..1])
}

pub(crate) fn accepting(manifest: &proto::Manifest, numbers: &[u32]) -> Statement {
    let payload = manifest.encode_to_vec();
    let says = Manifest::parse(payload.clone().into()).expect("a manifest");
    let agreement = first().agreements()[0].digest;
    statement(Event::Accepted(Accepted {
        notice: NoticeId(notice_id(&payload)),
        signature: Hash::of(&[&signature("arden-notice", MANIFEST_TYPE, &payload)]),
        originator: PartnerNumber(1),
        reference: says.reference,
        kind: says.kind,
        handling: says.handling,
        precedence: says.precedence,
        expires_at: says.expires_at,
        respond_by: says.respond_by,
        retain_until: retain_until(NOW, says.retention),
        relation: says.relation,
        recipients_root: recipients(numbers).root(),
        recipient_count: numbers.len() as u32,
        passed_over: 0,
        agreements: vec![agreement],
    }))
}

/// What BORELIA's word moved: all that it could.
pub(crate) const MOVED: [Moved; 3] = [
    Moved { delivery: true, decision: true },
    Moved { delivery: true, decision: true },
    Moved { delivery: true, decision: false },
];

/// BORELIA's word for three notices.
pub(crate) fn acknowledged() -> Statement {
    acknowledging(&MOVED)
}

pub(crate) fn acknowledging(moved: &[Moved; 3]) -> Statement {
    let items = three();
    let payload = acknowledgement(&items).encode_to_vec();
    let envelope = signed("borelia-acknowledgement", ACKNOWLEDGEMENT_TYPE, &payload);
    statement(Event::Acknowledged(Acknowledged {
        recipient: PartnerNumber(2),
        envelope: envelope.into(),
        root: liaison_protocol::ack::tree(&items).root(),
        count: items.len() as u32,
        moved: moved::pack(moved.iter().copied().zip(items.iter().map(liaison_protocol::ack::Item::leaf_data))),
    }))
}

/// A pass of the clock.
pub(crate) fn expired() -> Statement {
    statement(Event::Expired(Expired {
        deadline: NOW.plus(-DAY),
        root: expired_tree().root(),
        count: EXPIRED.len() as u32,
    }))
}

fn stated(after: Option<u64>, before: Option<Hash>) -> Statement {
    let ids = [plain_manifest(), full_manifest()].map(|manifest| notice_id(&manifest.encode_to_vec()));
    statement(Event::MailboxStated(MailboxStated {
        partner: PartnerNumber(2),
        log: log(),
        after: after.map(LeafIndex),
        through: LeafIndex(5),
        count: ids.len() as u64,
        root: ItemTree::over(ids).root(),
        before,
    }))
}

/// A base after six statements.
fn rebased() -> Statement {
    statement(Event::Rebased(Rebased { through: LeafIndex(5), digest: Hash::of(&[b"a salt and a view"]) }))
}

pub(crate) fn generate() -> Statements {
    Statements {
        about: ABOUT.into(),
        cases: cases(),
        items: vec![
            recipient_items("one recipient", &[2]),
            recipient_items("two recipients", &RECIPIENTS),
            recipient_items("seven recipients", &[1, 2, 3, 5, 8, 13, u32::MAX]),
            expired_items(),
        ],
    }
}

fn cases() -> Vec<Case> {
    let case = |name: &str, bytes: Bytes, expect: Option<&str>| {
        let salt = salt(&format!("statement: {name}"));
        let leaf = Opening { statement: bytes.clone(), salt }.leaf();
        Case {
            name: name.into(),
            salt: hex(&salt.0),
            expect: match expect {
                Some(word) => refuse(word),
                None => Expect::Accept(Leaf {
                    statement: fields("Statement", &bytes),
                    leaf: hex(&leaf.0),
                    leaf_hash: hash::leaf(&leaf.0).to_hex(),
                }),
            },
            statement: hex(&bytes),
        }
    };
    let opened = |before: &[u8]| Statement {
        under: None,
        ..statement(Event::LogOpened {
            reason: "a node's first log".into(),
            before: Bytes::copy_from_slice(before),
        })
    };
    let adopted = Statement { under: None, ..statement(Event::DirectoryAdopted(HeadName::from(second().head()))) };
    let digests = vec![AgreementDigest(Hash::of(&[b"0"])), AgreementDigest(Hash::of(&[b"1"]))];
    let mut many = accepting(&full_manifest(), &RECIPIENTS);
    if let Event::Accepted(accepted) = &mut many.event {
        accepted.agreements = digests;
        accepted.passed_over = 3;
    }
    let right = [
        ("LogOpened, a node's first", opened(b"")),
        ("LogOpened, after another", opened(super::tlog::last_checkpoint().as_bytes())),
        ("DirectoryAdopted", adopted),
        ("Accepted", accepted()),
        ("Accepted, with everything it can hold", many),
        ("Acknowledged", acknowledged()),
        ("Acknowledged, of which one item settled nothing", {
            let mut moved = MOVED;
            moved[1] = Moved::NOTHING;
            acknowledging(&moved)
        }),
        ("Expired", expired()),
        ("MailboxStated, the first", stated(None, None)),
        ("MailboxStated, after leaf 0", stated(Some(0), Some(Hash::of(&[b"the statement before"])))),
        ("Rebased", rebased()),
    ];
    let mut cases: Vec<_> = right.iter().map(|(name, statement)| case(name, statement.encode(), None)).collect();
    let newer: Bytes = [&accepted().encode()[..], &[0xa0, 0x06, 1]].concat().into();
    cases.push(case("Accepted, with a field that nobody knows yet", newer, None));
    cases.extend(wrong().into_iter().map(|(name, bytes, word)| case(name, bytes, Some(word))));
    cases
}

fn wrong() -> Vec<(&'static str, Bytes, &'static str)> {
    type Change = (&'static str, Statement, fn(&mut proto::Statement));
    let rows: Vec<Change> = vec![
        ("no version", accepted(), |s| s.version = 0),
        ("no must_understand", accepted(), |s| s.must_understand = 0),
        ("needs version 2", accepted(), |s| s.must_understand = 2),
        ("no event", accepted(), |s| s.event = None),
        ("a head in force whose digest has 31 bytes", accepted(), |s| {
            s.under.get_or_insert_default().digest.truncate(31);
        }),
        ("a NoticeId of 31 bytes", accepted(), |s| of(s).notice_id.truncate(31)),
        ("a signature digest of 33 bytes", accepted(), |s| of(s).signature_digest = vec![0; 33].into()),
        ("an unknown kind", accepted(), |s| of(s).kind = 18),
        ("no precedence", accepted(), |s| of(s).precedence = 0),
        ("no respond_by", accepted(), |s| of(s).respond_by = 0),
        ("no handling", accepted(), |s| of(s).handling = None),
        ("a reference with a newline", accepted(), |s| of(s).reference.push('\n')),
        ("a recipients root of 31 bytes", accepted(), |s| of(s).recipients_root.truncate(31)),
        ("an agreement digest of 31 bytes", accepted(), |s| of(s).agreements[0].truncate(31)),
        ("an items root of 31 bytes", acknowledged(), |s| word(s).root.truncate(31)),
        ("counts no item", acknowledged(), |s| word(s).count = 0),
        ("counts 4,097 items", acknowledged(), |s| word(s).count = 4_097),
        ("an envelope of 68 KiB and a byte", acknowledged(), |s| word(s).envelope = vec![0; (68 << 10) + 1].into()),
        ("what items moved in two bytes for three items", acknowledged(), |s| {
            let said = word(s);
            said.moved = [&said.moved[..], &[0]].concat().into();
        }),
        ("nothing said of what items moved", acknowledged(), |s| word(s).moved.clear()),
        ("a bit behind those of the last item", acknowledged(), |s| {
            let said = word(s);
            said.moved = vec![said.moved[0] | 0x40].into();
        }),
        ("nobody's time ran out", expired(), |s| {
            s.event = Some(proto::statement::Event::Expired(proto::Expired {
                root: vec![0; 32].into(),
                ..Default::default()
            }));
        }),
        ("a base whose digest has 31 bytes", rebased(), |s| {
            if let Some(proto::statement::Event::Rebased(rebased)) = &mut s.event {
                rebased.digest.truncate(31);
            }
        }),
        ("a log opened for a reason with a newline", accepted(), |s| opened(s, "one\ntwo")),
        ("a log opened for no reason", accepted(), |s| opened(s, "")),
        ("a log opened for a reason of 257 bytes", accepted(), |s| opened(s, &"x".repeat(257))),
    ];
    let mut wrong: Vec<(_, Bytes, _)> = rows
        .into_iter()
        .map(|(name, statement, change)| {
            let mut statement = proto::Statement::decode(statement.encode()).expect("decodes");
            change(&mut statement);
            (name, statement.encode_to_vec().into(), "FIELD_INVALID")
        })
        .collect();
    let bytes = accepted().encode();
    let with = |more: &[u8]| Bytes::from([&bytes[..], more].concat());
    wrong.extend([
        ("the version twice", with(&[0x08, 1]), "MALFORMED"),
        ("two events", with(&[0x72, 0]), "MALFORMED"),
        ("the same event twice", with(&[0x62, 0]), "MALFORMED"),
        ("ends in the middle", bytes.slice(..bytes.len() - 1), "MALFORMED"),
        (
            "an event that nobody knows yet, and nothing else",
            Bytes::from_static(&[8, 1, 16, 1, 0x8a, 1, 0]),
            "MALFORMED",
        ),
        ("an event that nobody knows yet beside one that is known", with(&[0x8a, 1, 0]), "MALFORMED"),
        ("the last number that is kept for events", with(&[0xf8, 3, 0]), "MALFORMED"),
        (
            "no event, and a field that nobody knows yet",
            Bytes::from_static(&[8, 1, 16, 1, 0x80, 4, 0]),
            "FIELD_INVALID",
        ),
        ("nothing", Bytes::new(), "FIELD_INVALID"),
    ]);
    wrong
}

fn of(statement: &mut proto::Statement) -> &mut proto::Accepted {
    match &mut statement.event {
        Some(proto::statement::Event::Accepted(accepted)) => accepted,
        _ => panic!("an Accepted"),
    }
}

fn word(statement: &mut proto::Statement) -> &mut proto::Acknowledged {
    match &mut statement.event {
        Some(proto::statement::Event::Acknowledged(acknowledged)) => acknowledged,
        _ => panic!("an Acknowledged"),
    }
}

fn opened(statement: &mut proto::Statement, reason: &str) {
    statement.event =
        Some(proto::statement::Event::LogOpened(proto::LogOpened { reason: reason.into(), before: Bytes::new() }));
}

fn paths(tree: &ItemTree, count: usize) -> Vec<Vec<String>> {
    let path = |nth| tree.path(nth as u64).expect("an item of the tree");
    (0..count).map(|nth| path(nth).iter().map(|hash| hash.to_hex()).collect()).collect()
}

fn recipient_items(name: &str, numbers: &[u32]) -> ItemsCase {
    let tree = recipients(numbers);
    let data = |number: &u32| items::recipient(&recipient_salt(*number), PartnerNumber(*number)).to_hex();
    ItemsCase {
        name: name.into(),
        recipients: numbers
            .iter()
            .map(|number| RecipientCase { salt: hex(&recipient_salt(*number).0), number: *number })
            .collect(),
        expired: vec![],
        leaf_data: numbers.iter().map(data).collect(),
        paths: paths(&tree, numbers.len()),
        root: tree.root().to_hex(),
    }
}

fn expired_items() -> ItemsCase {
    let tree = expired_tree();
    let case = |(nth, (leaf, number, outcome)): (usize, &(u64, u32, ExpiredOutcome))| ExpiredCase {
        salt: hex(&expired_salt(nth).0),
        leaf_index: *leaf,
        notice_id: notice_at(*leaf).to_string(),
        number: *number,
        outcome: *outcome as i32,
    };
    let expired: Vec<_> = EXPIRED.iter().enumerate().map(case).collect();
    ItemsCase {
        name: "three whose time ran out".into(),
        recipients: vec![],
        leaf_data: expired.iter().map(|item| expired_data(item).to_hex()).collect(),
        expired,
        paths: paths(&tree, EXPIRED.len()),
        root: tree.root().to_hex(),
    }
}

fn expired_data(item: &ExpiredCase) -> Hash {
    let salt = Salt::from_slice(&unhex(&item.salt)).expect("32 bytes");
    let outcome = ExpiredOutcome::try_from(item.outcome).expect("an outcome");
    let notice: NoticeId = item.notice_id.parse().expect("a NoticeId");
    items::expired(&salt, LeafIndex(item.leaf_index), &notice, PartnerNumber(item.number), outcome)
}

#[test]
fn statements_are_read_written_and_opened_as_the_vectors_say() {
    let file: Statements = crate::vectors::read("statement.json");
    for case in &file.cases {
        let name = &case.name;
        let bytes = Bytes::from(unhex(&case.statement));
        match (Statement::decode(bytes.clone()), &case.expect) {
            (Ok(read), Expect::Accept(expected)) => {
                let salt = Salt::from_slice(&unhex(&case.salt)).expect("32 bytes");
                let leaf = Opening { statement: bytes.clone(), salt }.leaf();
                assert_eq!(hex(&leaf.0), expected.leaf, "{name}");
                assert_eq!(hash::leaf(&leaf.0).to_hex(), expected.leaf_hash, "{name}");
                assert_eq!(fields("Statement", &read.encode()), expected.statement, "{name}");
                assert_eq!(fields("Statement", &bytes), expected.statement, "{name}");
            }
            (Err(refusal), Expect::Refuse(word)) => {
                assert_eq!(refusal.reason.word(), word, "{name}: {refusal}");
            }
            (found, _) => panic!("{name}: {found:?}"),
        }
    }
}

#[test]
fn recipients_and_those_whose_time_ran_out_are_hashed_as_the_vectors_say() {
    let file: Statements = crate::vectors::read("statement.json");
    for case in &file.items {
        let name = &case.name;
        let recipient = |item: &RecipientCase| {
            let salt = Salt::from_slice(&unhex(&item.salt)).expect("32 bytes");
            items::recipient(&salt, PartnerNumber(item.number))
        };
        let data: Vec<_> =
            case.recipients.iter().map(recipient).chain(case.expired.iter().map(expired_data)).collect();
        let found: Vec<_> = data.iter().map(|data| data.to_hex()).collect();
        assert_eq!(found, case.leaf_data, "{name}");
        for (nth, data) in data.iter().enumerate() {
            let path: Vec<_> = case.paths[nth].iter().filter_map(|hash| Hash::from_hex(hash)).collect();
            let root = items::root_of(*data, nth as u64, found.len() as u64, &path);
            assert_eq!(root.map(Hash::to_hex).as_ref(), Some(&case.root), "{name}");
        }
    }
}
