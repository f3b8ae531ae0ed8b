//! Whole receipt files, and each once more with one thing wrong.

use bytes::Bytes;
use liaison_protocol::directory::Directory;
use liaison_protocol::envelope::{ACKNOWLEDGEMENT_TYPE, MANIFEST_TYPE};
use liaison_protocol::id::{Hash, Micros, NoticeId};
use liaison_protocol::proto::{self, item_proof::Item as Shown};
use liaison_protocol::receipt::{self, Outcome};
use liaison_protocol::statement::{Event, HeadName, Statement};
use liaison_protocol::tlog::checkpoint::{SignedNote, VerifierKey};
use liaison_protocol::tlog::entry::{Opening, Salt};
use liaison_protocol::tlog::hash;
use liaison_protocol::tlog::moved::Moved;
use liaison_protocol::tlog::proof_file::ProofFile;
use liaison_protocol::tlog::tree::Tree;
use liaison_protocol::trust::{self, Trust};
use prost::Message as _;
use serde::{Deserialize, Serialize};

use super::acknowledgement::{acknowledgement, notice_at, three};
use super::manifest::full_manifest;
use super::statement::{
    EXPIRED, MOVED, RECIPIENTS, accepting, acknowledged, acknowledging, expired, expired_salt, expired_tree,
    recipient_salt, recipients,
};
use super::tlog::{checkpoint, cosign, leaf, log_vkey, witness};
use super::trust::{WITNESSES, head_lines, promised_trust, witnessed_trust};
use super::world::{
    ABOUT, LOG, NOW, authority, first, founders, key_id, network, plain_manifest, salt, second, signature, signed,
};
use super::{Expect, refuse, world};

#[derive(Serialize, Deserialize)]
pub(crate) struct Receipts {
    about: String,
    /// Trust files by name.
    trust: std::collections::BTreeMap<String, String>,
    cases: Vec<Case>,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct Case {
    pub(crate) name: String,
    fault: Option<u32>,
    /// Which trust file; absent: none.
    trust: Option<String>,
    pub(crate) receipt: String,
    /// Accepted: what is proven, in sentences. Refused: the step that fails.
    expect: Expect<Vec<String>>,
}

/// A receipt before it is written: every piece can still be made wrong.
struct Pieces {
    statement: Bytes,
    salt: Salt,
    index: u64,
    size: u64,
    path: Option<Vec<Hash>>,
    items: Vec<proto::ItemProof>,
    notice: Bytes,
    head: Bytes,
    records: Vec<proto::RecordProof>,
    witnesses: Vec<&'static str>,
    version: u32,
}

/// Where the statement of a receipt lies in its log of 11 leaves.
const INDEX: u64 = 6;

fn prove(directory: &Directory, places: &[usize]) -> Vec<proto::RecordProof> {
    places.iter().map(|place| directory.prove(*place).expect("a record of the directory")).collect()
}

/// ARDEN's notice to BORELIA and CALDORA, accepted.
fn acceptance() -> Pieces {
    let manifest = plain_manifest();
    let tree = recipients(&RECIPIENTS);
    let items = RECIPIENTS.iter().enumerate().map(|(nth, number)| {
        let item = proto::RecipientItem { salt: recipient_salt(*number).to_bytes(), number: *number };
        shown(nth as u64, &tree, Shown::Recipient(item))
    });
    Pieces {
        statement: accepting(&manifest, &RECIPIENTS).encode(),
        salt: salt("receipt"),
        index: INDEX,
        size: 11,
        path: None,
        items: items.take(1).collect(),
        notice: signed("arden-notice", MANIFEST_TYPE, &manifest.encode_to_vec()).into(),
        head: first().head().envelope().clone(),
        records: prove(first(), &[0, 1, 3, 11]),
        witnesses: vec![],
        version: 1,
    }
}

fn shown(nth: u64, tree: &liaison_protocol::tlog::items::ItemTree, item: Shown) -> proto::ItemProof {
    let path = tree.path(nth).expect("an item of the tree");
    proto::ItemProof { index: nth, path: path.into_iter().map(Hash::to_bytes).collect(), item: Some(item) }
}

/// BORELIA's word for three notices; the second item is shown.
fn word() -> Pieces {
    let items = three();
    let tree = liaison_protocol::ack::tree(&items);
    Pieces {
        statement: acknowledged().encode(),
        items: vec![shown(1, &tree, Shown::Acknowledged(items[1].to_proto()))],
        notice: Bytes::new(),
        records: prove(first(), &[1, 6, 11]),
        ..acceptance()
    }
}

/// The same word, of which each item moved what is said here; one item is shown.
fn word_that_moved(moved: &[Moved; 3], nth: usize) -> Pieces {
    let items = three();
    let tree = liaison_protocol::ack::tree(&items);
    Pieces {
        statement: acknowledging(moved).encode(),
        items: vec![shown(nth as u64, &tree, Shown::Acknowledged(items[nth].to_proto()))],
        ..word()
    }
}

/// The plain notice with another audience, accepted for BORELIA and CALDORA, of whom BORELIA is shown.
fn addressed(partners: &[&str], groups: &[&str], exempted: &[&str]) -> Pieces {
    let mut manifest = plain_manifest();
    manifest.audience = Some(proto::Audience {
        partners: world::texts(partners),
        groups: world::texts(groups),
        exempted: world::texts(exempted),
    });
    Pieces {
        statement: accepting(&manifest, &RECIPIENTS).encode(),
        notice: signed("arden-notice", MANIFEST_TYPE, &manifest.encode_to_vec()).into(),
        ..acceptance()
    }
}

/// A pass of the clock; the third item is shown.
fn pass() -> Pieces {
    let (leaf_index, recipient, outcome) = EXPIRED[2];
    let item = proto::ExpiredItem {
        salt: expired_salt(2).to_bytes(),
        leaf_index,
        recipient,
        outcome: outcome.into(),
        notice_id: notice_at(leaf_index).to_bytes(),
    };
    Pieces {
        statement: expired().encode(),
        items: vec![shown(2, &expired_tree(), Shown::Expired(item))],
        notice: Bytes::new(),
        records: prove(first(), &[2, 11]),
        ..acceptance()
    }
}

impl Pieces {
    /// The log as it would be with this statement in it.
    fn tree(&self) -> Tree {
        let opening = Opening { statement: self.statement.clone(), salt: self.salt };
        let mut tree = Tree::default();
        for nth in 0..self.size {
            let entry = if nth == INDEX { opening.leaf() } else { leaf(nth) };
            tree.append(hash::leaf(&entry.0));
        }
        tree
    }

    fn write(&self) -> String {
        let tree = self.tree();
        let note = self
            .witnesses
            .iter()
            .fold(checkpoint(self.size, tree.root()), |note, name| cosign(&note, name, NOW.plus(Micros::SECOND)));
        let path = tree.inclusion(INDEX).expect("a leaf of the tree");
        self.over(&note, self.path.clone().unwrap_or(path))
    }

    /// The file under a checkpoint.
    fn over(&self, note: &str, path: Vec<Hash>) -> String {
        let evidence = proto::Evidence {
            version: self.version,
            statement: self.statement.clone(),
            salt: self.salt.to_bytes(),
            items: self.items.clone(),
            notice: self.notice.clone(),
            directory_head: self.head.clone(),
            records: self.records.clone(),
        };
        ProofFile {
            extra: evidence.encode_to_vec(),
            index: self.index,
            path,
            checkpoint: SignedNote::parse(note.as_bytes()).expect("a note"),
        }
        .to_string()
    }

    fn notice_id(&self) -> NoticeId {
        let envelope = proto::Envelope::decode(self.notice.clone()).expect("an envelope");
        NoticeId(world::notice_id(&envelope.payload))
    }

    fn restate(&mut self, change: impl FnOnce(&mut Statement)) {
        let mut statement = Statement::decode(self.statement.clone()).expect("a statement");
        change(&mut statement);
        self.statement = statement.encode();
    }

    /// Changes the bytes of the statement, of which an `Accepted` is part.
    fn reword(&mut self, change: impl FnOnce(&mut liaison_protocol::statement::Accepted)) {
        self.restate(|statement| {
            if let Event::Accepted(accepted) = &mut statement.event {
                change(accepted);
            }
        });
    }
}

/// The receipts that verify: of acceptance, of acknowledgement, and of acceptance with both cosignatures.
pub(crate) fn right() -> [(String, String); 3] {
    let witnessed = Pieces { witnesses: WITNESSES.into(), ..acceptance() };
    [
        (acceptance().write(), promised_trust()),
        (word().write(), promised_trust()),
        (witnessed.write(), witnessed_trust()),
    ]
}

pub(crate) fn generate() -> Receipts {
    let [one, two] = WITNESSES.map(witness);
    let any =
        format!("{}witness one {one}\nwitness two {two}\ngroup either any one two\nquorum either\n", head_lines());
    let other_log: VerifierKey = {
        let origin = LOG.parse().expect("an origin");
        VerifierKey::of_log(&origin, world::public("stranger")).expect("Ed25519")
    };
    let strangers = authority(2, &["stranger", "authority-1", "authority-4"]);
    let log: VerifierKey = log_vkey().parse().expect("a verifier key");
    let trust = [
        ("promised", promised_trust()),
        ("witnessed", witnessed_trust()),
        ("either", any),
        ("no log", trust::to_text(network(), &founders(), &[])),
        ("other log key", trust::to_text(network(), &founders(), std::slice::from_ref(&other_log))),
        ("two log keys", trust::to_text(network(), &founders(), &[other_log, log.clone()])),
        ("other authority", trust::to_text(network(), &strangers, std::slice::from_ref(&log))),
        (
            "other network",
            trust::to_text(liaison_protocol::id::NetworkId(Hash::of(&[b"another"])), &founders(), &[log]),
        ),
    ];
    let mut cases = right_cases();
    cases.extend(wrong_files());
    cases.extend(wrong_logs());
    cases.extend(wrong_directories());
    cases.extend(wrong_signatures());
    cases.extend(wrong_items());
    Receipts { about: ABOUT.into(), trust: trust.map(|(name, text)| (name.to_string(), text)).into(), cases }
}

fn case(name: &str, trust: &str, receipt: String, expect: Expect<Vec<String>>) -> Case {
    Case { name: name.into(), fault: None, trust: (!trust.is_empty()).then(|| trust.into()), receipt, expect }
}

fn right_cases() -> Vec<Case> {
    let says = |lines: &[&str]| Expect::Accept(world::texts(lines));
    let id = world::notice_id(&plain_manifest().encode_to_vec()).to_hex();
    let sent = format!("ARDEN sent the notice AR/2026/000812 (sha256:{id}).");
    let accepted_at = "hub-1.example/log accepted it at 2026-11-23T12:00:00.000000Z by its own clock.";
    let acceptance_says = says(&[&sent, accepted_at, "It is for BORELIA."]);
    let word_of = |item: &str| {
        says(&[
            "BORELIA signed at 2026-11-23T11:59:59.000000Z by its own clock.",
            "hub-1.example/log had that word at 2026-11-23T12:00:00.000000Z by its own.",
            item,
        ])
    };
    let word_says = word_of(&format!("BORELIA: REFUSED for {}, leaf 5.", three()[1].notice));
    let pass_says = says(&[
        "hub-1.example/log stated whose time had run out by 2026-11-22T12:00:00.000000Z.",
        &format!("CALDORA: NEVER_TRANSMITTED for {}, leaf 5.", notice_at(5)),
    ]);
    let late = |nth: usize, moved: Moved| {
        let mut all = MOVED;
        all[nth] = moved;
        word_that_moved(&all, nth).write()
    };
    let under_agreement = Pieces { records: prove(first(), &[0, 1, 3, 11, 13]), ..acceptance() };
    let mut untimely = acceptance();
    let later = NOW.plus(4 * world::DAY);
    untimely.restate(|statement| {
        statement.observed_at = later;
        if let Event::Accepted(accepted) = &mut statement.event {
            accepted.retain_until = accepted.retain_until.plus(4 * world::DAY);
        }
    });
    let through = addressed(&[], &["NORTH"], &[]);
    let member = Pieces { records: prove(first(), &[0, 1, 3, 11, 12]), ..addressed(&[], &["NORTH"], &[]) };
    let member_says = {
        let sent = format!("ARDEN sent the notice AR/2026/000812 ({}).", member.notice_id());
        says(&[&sent, accepted_at, "It is for BORELIA, a member of NORTH."])
    };
    let through_says = {
        let sent = format!("ARDEN sent the notice AR/2026/000812 ({}).", through.notice_id());
        says(&[&sent, accepted_at, "It is for BORELIA, whom the node counts to NORTH."])
    };
    let [(acceptance_file, _), (word_file, _), (witnessed_file, _)] = right();
    let shown_none = Pieces { items: vec![], ..acceptance() };
    let mut both = addressed(&["CALDORA", "BORELIA"], &[], &[]);
    let both_sent = format!("ARDEN sent the notice AR/2026/000812 ({}).", both.notice_id());
    both.records.extend(prove(first(), &[2]));
    let tree = recipients(&RECIPIENTS);
    let item = proto::RecipientItem { salt: recipient_salt(3).to_bytes(), number: 3 };
    both.items.push(shown(1, &tree, Shown::Recipient(item)));
    let mut unnamed = acceptance();
    let plain = plain_manifest().encode_to_vec();
    let sig = signature("arden-notice", MANIFEST_TYPE, &plain);
    unnamed.notice = world::envelope(MANIFEST_TYPE, &plain, &[(&sig, "")]).into();
    vec![
        case("acceptance", "promised", acceptance_file.clone(), acceptance_says.clone()),
        case(
            "acceptance, with two keys of the log in the trust file, one of which signed",
            "two log keys",
            acceptance_file.clone(),
            acceptance_says.clone(),
        ),
        case(
            "acceptance, with no trust file: consistent in itself, and tied to nobody",
            "",
            acceptance_file.clone(),
            acceptance_says.clone(),
        ),
        case(
            "acceptance, cosigned by both witnesses",
            "witnessed",
            witnessed_file.clone(),
            acceptance_says.clone(),
        ),
        case(
            "acceptance, cosigned by more than are asked for",
            "promised",
            witnessed_file.clone(),
            acceptance_says.clone(),
        ),
        case("acceptance, cosigned, and either is enough", "either", witnessed_file, acceptance_says.clone()),
        case(
            "acceptance, with an envelope that names no key",
            "promised",
            unnamed.write(),
            acceptance_says.clone(),
        ),
        case("acceptance, with no recipient shown", "promised", shown_none.write(), says(&[&sent, accepted_at])),
        case(
            "acceptance, with both recipients shown",
            "promised",
            both.write(),
            says(&[&both_sent, accepted_at, "It is for BORELIA.", "It is for CALDORA."]),
        ),
        case("acceptance, of a notice for a group", "promised", through.write(), through_says),
        case("acceptance, of a notice for a group that is shown", "promised", member.write(), member_says),
        case(
            "acceptance, under a checkpoint by another key of the log than its head lists",
            "two log keys",
            {
                let mut later = acceptance();
                under(&mut later, &rekeyed(), &[0, 1, 3, 11]);
                later.write()
            },
            acceptance_says.clone(),
        ),
        case(
            "acceptance, with the agreement that let it pass",
            "promised",
            under_agreement.write(),
            says(&[
                &sent,
                accepted_at,
                "The node names agreement 2026/north, in force then: A made-up treaty, article 1",
                "It is for BORELIA.",
            ]),
        ),
        case(
            "acceptance, when by the node's clock it was too old",
            "promised",
            untimely.write(),
            says(&[
                &sent,
                "hub-1.example/log accepted it at 2026-11-27T12:00:00.000000Z by its own clock.",
                "By that clock it was not in time: issued_at_us: 96 h ago, at most 72.",
                "It is for BORELIA.",
            ]),
        ),
        case(
            "acknowledgement, of which this item settled nothing",
            "promised",
            late(1, Moved::NOTHING),
            word_of(&format!("BORELIA: REFUSED for {}, leaf 5 (settled nothing).", notice_at(5))),
        ),
        case(
            "acknowledgement, of which this item handed over and was too late to decide",
            "promised",
            late(0, Moved { delivery: true, decision: false }),
            word_of(&format!("BORELIA: ACCEPTED for {}, leaf 4 (handed over; too late to decide).", notice_at(4))),
        ),
        case(
            "acknowledgement, of which this item decided what had been handed over",
            "promised",
            late(0, Moved { delivery: false, decision: true }),
            word_of(&format!("BORELIA: ACCEPTED for {}, leaf 4.", notice_at(4))),
        ),
        case("acknowledgement", "promised", word_file, word_says.clone()),
        case("acknowledgement, under the second directory head", "promised", second_word().write(), word_says),
        case("a pass of the clock", "promised", pass().write(), pass_says),
        Case {
            fault: Some(35),
            ..case(
                "acceptance by a key that the next head denies: what was accepted in time stays provable",
                "promised",
                acceptance_file,
                says(&[&sent, accepted_at, "It is for BORELIA."]),
            )
        },
    ]
}

/// The second directory, with other records.
fn second_with(change: impl FnOnce(&mut Vec<proto::Record>)) -> Directory {
    let mut records = world::records();
    change(&mut records);
    let (file, _) = world::sealed(&world::second_head(), &world::salted(&records), &["authority-2", "authority-3"]);
    Directory::open(file, &founders(), Some(network())).expect("a directory")
}

/// The second directory, in which the log has another key.
fn rekeyed() -> Directory {
    second_with(|records| {
        if let Some(proto::record::Body::Node(node)) = &mut records[11].body {
            node.log_key = Some(world::public("stranger").to_proto());
        }
    })
}

fn of_partner(records: &mut [proto::Record], nth: usize) -> &mut proto::Partner {
    match &mut records[nth].body {
        Some(proto::record::Body::Partner(partner)) => partner,
        _ => panic!("record {nth} is a partner"),
    }
}

/// The same statement, made under another head of which these records are shown.
fn under(pieces: &mut Pieces, directory: &Directory, places: &[usize]) {
    pieces.restate(|statement| statement.under = Some(HeadName::from(directory.head())));
    pieces.head = directory.head().envelope().clone();
    pieces.records = prove(directory, places);
}

fn second_word() -> Pieces {
    let mut pieces = word();
    pieces.restate(|statement| statement.under = Some(HeadName::from(second().head())));
    pieces.head = second().head().envelope().clone();
    pieces.records = prove(&second(), &[1, 6, 11]);
    pieces
}

fn wrong(name: &str, step: &str, pieces: Pieces, change: impl FnOnce(&mut Pieces)) -> Case {
    let mut pieces = pieces;
    change(&mut pieces);
    case(name, "promised", pieces.write(), refuse(step))
}

fn wrong_files() -> Vec<Case> {
    let good = acceptance().write();
    let text = |name: &str, receipt: String| case(name, "promised", receipt, refuse("file"));
    let evidence = |name: &str, change: &dyn Fn(&mut Vec<u8>)| {
        let mut file = ProofFile::parse(&good).expect("a proof");
        change(&mut file.extra);
        text(name, file.to_string())
    };
    let of = |name: &str, change: fn(&mut Pieces)| wrong(name, "file", acceptance(), change);
    vec![
        text("nothing", String::new()),
        text("no evidence", {
            let mut file = ProofFile::parse(&good).expect("a proof");
            file.extra.clear();
            file.to_string()
        }),
        text("carriage returns", good.replace('\n', "\r\n")),
        text(
            "two empty lines before the checkpoint",
            good.replacen(&format!("\n\n{LOG}"), &format!("\n\n\n{LOG}"), 1),
        ),
        text("a line more", format!("{good}\n")),
        text("an index with a zero before", good.replacen("index 6", "index 06", 1)),
        text("a checkpoint with a line of extensions", good.replacen("\n11\n", "\n11\nmore\n", 1)),
        evidence("evidence with a field that nobody knows", &|extra| extra.extend([0x7a, 0])),
        evidence("evidence that writes a number longer than needed", &|extra| {
            extra.splice(1..2, [0x81, 0x00]);
        }),
        evidence("evidence that ends in the middle", &|extra| {
            extra.pop();
        }),
        of("evidence of version 2", |p| p.version = 2),
        of("evidence without a version", |p| p.version = 0),
        of("a statement that is none", |p| p.statement = Bytes::from_static(b"statement")),
        of("a statement that needs version 2", |p| {
            let mut statement = proto::Statement::decode(p.statement.clone()).expect("decodes");
            statement.must_understand = 2;
            p.statement = statement.encode_to_vec().into();
        }),
    ]
}

fn wrong_logs() -> Vec<Case> {
    let (promised, witnessed) = ("promised", "witnessed");
    let good = acceptance();
    let root = good.tree().root();
    let path = good.tree().inclusion(INDEX).expect("a leaf of the tree");
    // The proof fits the checkpoint; something else is wrong.
    let fake = |name: &str, trust: &str, step: &str, note: String| {
        case(name, trust, good.over(&note, path.clone()), refuse(step))
    };
    let note = checkpoint(11, root);
    let cosigned = |names: &[&str]| names.iter().fold(note.clone(), |note, name| cosign(&note, name, NOW));
    let swapped = {
        let mut line = cosigned(&["witness-1", "witness-2"]);
        let other = cosign(&checkpoint(11, Hash::of(&[b"another root"])), "witness-2", NOW);
        line.truncate(line.trim_end().rfind('\n').expect("lines") + 1);
        line + other.trim_end().rsplit_once('\n').expect("lines").1 + "\n"
    };
    let otherwise = |name: &str, change: fn(&mut Pieces)| {
        // A checkpoint of the right tree, over which the file shows something else.
        let mut pieces = acceptance();
        change(&mut pieces);
        let path = pieces.path.clone().unwrap_or(path.clone());
        case(name, promised, pieces.over(&note, path), refuse("inclusion"))
    };
    let mut cases = vec![
        otherwise("another salt", |p| p.salt = salt("another")),
        otherwise("another statement", |p| p.reword(|accepted| accepted.passed_over = 1)),
        otherwise("another index", |p| p.index = 7),
        otherwise("an index outside the tree", |p| p.index = 11),
        otherwise("a hash less", |p| p.path = p.tree().inclusion(INDEX).map(|path| path[1..].to_vec())),
        otherwise("a hash more", |p| {
            p.path = p.tree().inclusion(INDEX).map(|path| [&path[..], &[Hash([0; 32])]].concat());
        }),
        fake("a checkpoint of another root", promised, "inclusion", checkpoint(11, Hash::of(&[b"another root"]))),
        fake("a checkpoint of another size", promised, "inclusion", checkpoint(17, root)),
        fake("a checkpoint that the log did not sign", promised, "checkpoint", {
            let other = checkpoint(12, root);
            let signature = other.rsplit_once("\n\n").expect("a note").1.to_string();
            format!("{}\n\n{signature}", note.rsplit_once("\n\n").expect("a note").0)
        }),
        fake("a checkpoint of a log that is not trusted", promised, "checkpoint", note.replace("hub-1", "hub-2")),
        fake("no log in the trust file", "no log", "checkpoint", note.clone()),
        fake("another key for the log in the trust file", "other log key", "checkpoint", note.clone()),
        fake("no cosignature where both witnesses are asked for", witnessed, "checkpoint", note.clone()),
        fake(
            "one cosignature where both witnesses are asked for",
            witnessed,
            "checkpoint",
            cosigned(&["witness-2"]),
        ),
        fake("a witness that nobody asked for", witnessed, "checkpoint", cosigned(&["witness-1", "witness-3"])),
        fake("a cosignature over another checkpoint", witnessed, "checkpoint", swapped.clone()),
        fake("a cosignature over another checkpoint, where the other is enough", "either", "checkpoint", swapped),
        fake("with no trust file, a checkpoint that the listed log did not sign", "", "checkpoint", {
            let other = checkpoint(12, root);
            let signature = other.rsplit_once("\n\n").expect("a note").1.to_string();
            format!("{}\n\n{signature}", note.rsplit_once("\n\n").expect("a note").0)
        }),
    ];
    for (name, trust) in [
        ("another authority in the trust file", "other authority"),
        ("another network in the trust file", "other network"),
    ] {
        cases.push(case(name, trust, good.write(), refuse("directory")));
    }
    cases
}

fn wrong_directories() -> Vec<Case> {
    let of = |name: &str, change: fn(&mut Pieces)| wrong(name, "directory", acceptance(), change);
    vec![
        of("no directory head", |p| p.head.clear()),
        of("the next directory head", |p| p.head = second().head().envelope().clone()),
        of("a head that one key signed", |p| {
            let mut head = proto::Envelope::decode(p.head.clone()).expect("decodes");
            head.signatures.truncate(1);
            p.head = head.encode_to_vec().into();
        }),
        of("a head with a field that nobody knows in its envelope", |p| {
            p.head = [&p.head[..], &[0x7a, 0]].concat().into();
        }),
        of("a head whose key id names another key", |p| {
            let mut head = proto::Envelope::decode(p.head.clone()).expect("decodes");
            head.signatures[0].keyid = key_id("authority-2");
            p.head = head.encode_to_vec().into();
        }),
        of("a statement that names no head", |p| p.restate(|statement| statement.under = None)),
        of("a record of the next directory", |p| p.records[2] = prove(&second(), &[3]).remove(0)),
        of("a record with another salt", |p| p.records[0].salt = salt("another").to_bytes()),
        of("a record at another place", |p| p.records[0].index = 1),
        of("no record of the node", |p| p.records.truncate(3)),
    ]
}

fn wrong_signatures() -> Vec<Case> {
    let of = |name: &str, change: fn(&mut Pieces)| wrong(name, "signature", acceptance(), change);
    let says = |name: &str, change: fn(&mut liaison_protocol::statement::Accepted)| {
        wrong(name, "signature", acceptance(), |p| p.reword(change))
    };
    let ack = |name: &str, change: fn(&mut Pieces)| wrong(name, "signature", word(), change);
    let under_another = |name: &str, pieces: Pieces, places: &[usize], change: fn(&mut Vec<proto::Record>)| {
        let mut pieces = pieces;
        under(&mut pieces, &second_with(change), places);
        wrong(name, "signature", pieces, |_| {})
    };
    vec![
        under_another("the originator is suspended", acceptance(), &[0, 1, 3, 11], |records| {
            of_partner(records, 0).status = proto::PartnerStatus::Suspended.into();
        }),
        under_another(
            "the originator has a status that nobody knows yet",
            acceptance(),
            &[0, 1, 3, 11],
            |records| {
                of_partner(records, 0).status = 3;
            },
        ),
        under_another("the recipient who signed is suspended", word(), &[1, 6, 11], |records| {
            of_partner(records, 1).status = proto::PartnerStatus::Suspended.into();
        }),
        under_another("the originator's home is another node", acceptance(), &[0, 1, 3, 11], |records| {
            let mut other = records[11].clone();
            if let Some(proto::record::Body::Node(node)) = &mut other.body {
                (node.id, node.log_origin) = ("hub-2".into(), "hub-2.example/log".into());
                node.log_key = Some(world::public("stranger").to_proto());
            }
            records.push(other);
            of_partner(records, 0).home = "hub-2".into();
        }),
        {
            let mut pieces = acceptance();
            let directory = second_with(|records| {
                if let Some(proto::record::Body::Agreement(one)) = &mut records[13].body {
                    one.kinds = vec![proto::Kind::Blue.into()];
                }
            });
            under(&mut pieces, &directory, &[0, 1, 3, 11, 13]);
            pieces.reword(|accepted| accepted.agreements = vec![directory.agreements()[0].digest]);
            wrong("an agreement that does not cover the notice", "signature", pieces, |_| {})
        },
        of("no notice", |p| p.notice.clear()),
        of("another notice", |p| {
            p.notice = signed("arden-notice", MANIFEST_TYPE, &full_manifest().encode_to_vec()).into();
        }),
        of("another signature than the one accepted", |p| {
            p.notice = signed("arden-old", MANIFEST_TYPE, &plain_manifest().encode_to_vec()).into();
        }),
        of("a notice that a stranger signed", |p| {
            p.notice = signed("stranger", MANIFEST_TYPE, &plain_manifest().encode_to_vec()).into();
        }),
        of("a notice whose key id names another key", |p| {
            let mut notice = proto::Envelope::decode(p.notice.clone()).expect("decodes");
            notice.signatures[0].keyid = key_id("borelia-notice");
            p.notice = notice.encode_to_vec().into();
        }),
        of("a notice with a field that nobody knows in its envelope", |p| {
            p.notice = [&p.notice[..], &[0x7a, 0]].concat().into();
        }),
        of("no record of the originator", |p| {
            p.records.remove(0);
        }),
        of("no record of the key that signed", |p| {
            p.records.remove(2);
        }),
        of("a key that was denied under the head that the statement names", |p| {
            p.restate(|statement| statement.under = Some(HeadName::from(second().head())));
            p.head = second().head().envelope().clone();
            p.records = prove(&second(), &[0, 1, 3, 11]);
        }),
        of("accepted after the key's window", |p| {
            p.restate(|statement| statement.observed_at = NOW.plus(366 * world::DAY));
        }),
        says("the statement says another originator", |a| a.originator.0 = 2),
        says("the statement says another reference", |a| a.reference = "AR/2026/1".parse().expect("a reference")),
        says("the statement says another kind", |a| a.kind = proto::Kind::Blue),
        says("the statement says another handling", |a| a.handling.tlp = proto::Tlp::Clear),
        says("the statement says another precedence", |a| a.precedence = proto::Precedence::Flash),
        says("the statement says another expiry", |a| a.expires_at.0 += 1),
        says("the statement says another respond_by", |a| a.respond_by = proto::RespondBy::OneHour),
        says("the statement keeps the content for less", |a| a.retain_until.0 -= 1),
        says("the statement says another signature", |a| a.signature = Hash([0; 32])),
        ack("a notice beside an acknowledgement", |p| p.notice = acceptance().notice),
        ack("an acknowledgement that another partner signed", |p| {
            let payload = acknowledgement(&three()).encode_to_vec();
            resign(p, signed("caldora-acknowledgement", ACKNOWLEDGEMENT_TYPE, &payload));
        }),
        ack("an acknowledgement for another log", |p| {
            let mut other = acknowledgement(&three());
            other.log_origin = "hub-2.example/log".into();
            resign(p, signed("borelia-acknowledgement", ACKNOWLEDGEMENT_TYPE, &other.encode_to_vec()));
        }),
        ack("an acknowledgement in the name of another recipient", |p| {
            let mut other = acknowledgement(&three());
            other.recipient = "CALDORA".into();
            resign(p, signed("borelia-acknowledgement", ACKNOWLEDGEMENT_TYPE, &other.encode_to_vec()));
        }),
        ack("an acknowledgement of another root than the statement's", |p| {
            let other = acknowledgement(&three()[..2]);
            resign(p, signed("borelia-acknowledgement", ACKNOWLEDGEMENT_TYPE, &other.encode_to_vec()));
        }),
        ack("an acknowledgement without the key that signed", |p| {
            p.records.remove(1);
        }),
    ]
}

fn resign(pieces: &mut Pieces, envelope: Vec<u8>) {
    pieces.restate(|statement| {
        if let Event::Acknowledged(acknowledged) = &mut statement.event {
            acknowledged.envelope = envelope.into();
        }
    });
}

fn wrong_items() -> Vec<Case> {
    let of = |name: &str, change: fn(&mut Pieces)| wrong(name, "items", acceptance(), change);
    let ack = |name: &str, change: fn(&mut proto::AcknowledgedItem)| {
        wrong(name, "items", word(), |p| {
            if let Some(Shown::Acknowledged(item)) = &mut p.items[0].item {
                change(item);
            }
        })
    };
    let expired = |name: &str, change: fn(&mut proto::ExpiredItem)| {
        wrong(name, "items", pass(), |p| {
            if let Some(Shown::Expired(item)) = &mut p.items[0].item {
                change(item);
            }
        })
    };
    vec![
        of("a recipient with another salt", |p| {
            let item = proto::RecipientItem { salt: salt("another").to_bytes(), number: 2 };
            p.items[0].item = Some(Shown::Recipient(item));
        }),
        of("another recipient", |p| {
            let item = proto::RecipientItem { salt: recipient_salt(2).to_bytes(), number: 1 };
            p.items[0].item = Some(Shown::Recipient(item));
        }),
        of("a recipient at another place", |p| p.items[0].index = 1),
        of("a recipient with a path too short", |p| p.items[0].path.clear()),
        wrong("a recipient whom the notice does not name", "items", addressed(&["CALDORA"], &[], &[]), |_| {}),
        wrong("a recipient whom the notice exempts", "items", addressed(&[], &["NORTH"], &["BORELIA"]), |_| {}),
        wrong(
            "an item that says RECEIVED and decided",
            "items",
            word_that_moved(&[MOVED[0], MOVED[1], Moved { delivery: true, decision: true }], 2),
            |_| {},
        ),
        wrong(
            "a recipient who is in none of the groups, which are shown",
            "items",
            {
                let mut pieces = addressed(&[], &["NORTH"], &[]);
                let directory = second_with(|records| {
                    if let Some(proto::record::Body::Group(group)) = &mut records[12].body {
                        group.members = world::texts(&["CALDORA"]);
                    }
                });
                under(&mut pieces, &directory, &[0, 1, 3, 11, 12]);
                pieces
            },
            |_| {},
        ),
        of("a recipient of whom there is no record", |p| {
            p.records.remove(1);
        }),
        of("an item that says nothing", |p| p.items[0].item = None),
        of("an item of another kind", |p| p.items = word().items),
        ack("another verdict", |item| {
            item.verdict = proto::Verdict::Accepted.into();
            item.reason.clear();
        }),
        ack("another reason", |item| item.reason = "another".into()),
        ack("another leaf", |item| item.leaf_index += 1),
        ack("another acknowledged notice", |item| item.notice_id = vec![0; 32].into()),
        ack("a verdict that nobody knows", |item| item.verdict = 9),
        expired("another outcome", |item| item.outcome = proto::ExpiredOutcome::NotSigned.into()),
        expired("another leaf whose time ran out", |item| item.leaf_index += 1),
        expired("another notice whose time ran out", |item| item.notice_id = notice_at(4).to_bytes()),
        expired("a notice of 31 bytes whose time ran out", |item| item.notice_id.truncate(31)),
        wrong("an outcome that nobody knows, which the node committed to as none", "items", pass(), |p| {
            let salt = expired_salt(0);
            let data = liaison_protocol::tlog::items::expired(
                &salt,
                liaison_protocol::id::LeafIndex(4),
                &notice_at(4),
                liaison_protocol::id::PartnerNumber(3),
                proto::ExpiredOutcome::Unspecified,
            );
            let tree = liaison_protocol::tlog::items::ItemTree::over([data]);
            p.restate(|statement| {
                if let Event::Expired(expired) = &mut statement.event {
                    (expired.root, expired.count) = (tree.root(), 1);
                }
            });
            let item = proto::ExpiredItem {
                salt: salt.to_bytes(),
                leaf_index: 4,
                recipient: 3,
                outcome: 9,
                notice_id: notice_at(4).to_bytes(),
            };
            p.items = vec![shown(0, &tree, Shown::Expired(item))];
        }),
    ]
}

#[test]
fn receipts_are_judged_as_the_vectors_say() {
    let file: Receipts = crate::vectors::read("receipt.json");
    for case in &file.cases {
        let name = &case.name;
        let trust = case.trust.as_ref().map(|trust| -> Trust { file.trust[trust].parse().expect("a trust file") });
        let report = receipt::verify(case.receipt.as_bytes(), trust.as_ref());
        let failed = report.findings.iter().find(|finding| !finding.holds);
        match &case.expect {
            Expect::Accept(proven) => {
                assert_eq!(failed, None, "{name}");
                assert_eq!(report.proven, *proven, "{name}");
                assert_eq!(report.outcome == Outcome::Verified, trust.is_some(), "{name}");
            }
            Expect::Refuse(step) => {
                assert_eq!(report.outcome, Outcome::Failed, "{name}");
                let found = failed.map(|finding| finding.step.to_string());
                assert_eq!(found.as_ref(), Some(step), "{name}: {failed:?}");
            }
        }
    }
}
