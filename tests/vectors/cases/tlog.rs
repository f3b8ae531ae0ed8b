//! The log: roots, inclusion, consistency, and C2SP's texts around them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use liaison_protocol::id::{Hash, Micros};
use liaison_protocol::signer::Signer as _;
use liaison_protocol::tlog::checkpoint::{Checkpoint, LogKey, SignedNote, VerifierKey};
use liaison_protocol::tlog::cosignature;
use liaison_protocol::tlog::entry::Leaf;
use liaison_protocol::tlog::proof_file::ProofFile;
use liaison_protocol::tlog::tree::Tree;
use liaison_protocol::tlog::{hash, proof};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

use super::world::{ABOUT, LOG, NOW, hex, log, public, signer, unhex};
use super::{Expect, refuse};

#[derive(Serialize, Deserialize)]
pub(crate) struct Tlog {
    about: String,
    /// How the entries of these trees are made.
    entries: String,
    roots: Vec<Root>,
    inclusions: Vec<Inclusion>,
    consistencies: Vec<Consistency>,
    vkeys: Vec<Vkey>,
    notes: Vec<Note>,
    proofs: Vec<Proof>,
}

#[derive(Serialize, Deserialize)]
struct Root {
    size: u64,
    root: String,
}

#[derive(Clone, Serialize, Deserialize)]
struct Inclusion {
    why: Option<String>,
    size: u64,
    index: u64,
    leaf_hash: String,
    path: Vec<String>,
    root: String,
    holds: bool,
}

#[derive(Clone, Serialize, Deserialize)]
struct Consistency {
    why: Option<String>,
    old_size: u64,
    old_root: String,
    new_size: u64,
    new_root: String,
    path: Vec<String>,
    holds: bool,
}

#[derive(Serialize, Deserialize)]
struct Vkey {
    name: String,
    vkey: String,
    expect: Expect<VkeyPieces>,
}

#[derive(Serialize, Deserialize)]
struct VkeyPieces {
    key_name: String,
    signature_type: u8,
    key: String,
}

#[derive(Serialize, Deserialize)]
struct Note {
    name: String,
    note: String,
    /// Of the log or of a witness; the signature type says which.
    vkey: String,
    expect: Expect<NotePieces>,
}

#[derive(Serialize, Deserialize)]
struct NotePieces {
    origin: String,
    size: u64,
    root: String,
    /// When a witness cosigned.
    cosigned_at_s: Option<i64>,
}

#[derive(Serialize, Deserialize)]
struct Proof {
    name: String,
    proof: String,
    expect: Expect<ProofPieces>,
}

#[derive(Serialize, Deserialize)]
struct ProofPieces {
    extra: String,
    index: u64,
    path: Vec<String>,
}

pub(crate) fn leaf(nth: u64) -> Leaf {
    let mut leaf = [1; 33];
    leaf[1..].copy_from_slice(Hash::of(&[b"a made-up entry ", &nth.to_be_bytes()]).as_ref());
    Leaf(leaf)
}

pub(crate) fn tree(size: u64) -> Tree {
    let mut tree = Tree::default();
    (0..size).for_each(|nth| tree.append(hash::leaf(&leaf(nth).0)));
    tree
}

fn texts(path: &[Hash]) -> Vec<String> {
    path.iter().map(|hash| hash.to_hex()).collect()
}

pub(crate) fn generate() -> Tlog {
    let sizes = (0..=17).chain([31, 32, 33, 63, 64, 65, 100, 255, 256, 257, 600]);
    Tlog {
        about: ABOUT.into(),
        entries: "entry N is 0x01 | SHA-256(\"a made-up entry \" | N, 8 bytes big-endian)".into(),
        roots: sizes.map(|size| Root { size, root: tree(size).root().to_hex() }).collect(),
        inclusions: inclusions(),
        consistencies: consistencies(),
        vkeys: vkeys(),
        notes: notes(),
        proofs: proofs(),
    }
}

fn inclusion(size: u64, index: u64) -> Inclusion {
    let tree = tree(size);
    Inclusion {
        why: None,
        size,
        index,
        leaf_hash: hash::leaf(&leaf(index).0).to_hex(),
        path: texts(&tree.inclusion(index).expect("a leaf of the tree")),
        root: tree.root().to_hex(),
        holds: true,
    }
}

fn inclusions() -> Vec<Inclusion> {
    let small = (1..=9).flat_map(|size| (0..size).map(move |index| (size, index)));
    let large =
        [(33, 0), (33, 31), (33, 32), (64, 17), (65, 64), (100, 99), (257, 0), (257, 255), (257, 256), (600, 511)];
    let mut inclusions: Vec<_> = small.chain(large).map(|(size, index)| inclusion(size, index)).collect();
    let wrong = |why: &str, change: &dyn Fn(&mut Inclusion)| {
        let mut inclusion = inclusion(13, 9);
        change(&mut inclusion);
        Inclusion { why: Some(why.into()), holds: false, ..inclusion }
    };
    inclusions.extend([
        wrong("another leaf", &|i| i.leaf_hash = hash::leaf(&leaf(8).0).to_hex()),
        wrong("another index", &|i| i.index = 8),
        wrong("an index that is the size", &|i| i.index = 13),
        wrong("an index beyond the size", &|i| i.index = u64::MAX),
        wrong("another root", &|i| i.root = tree(12).root().to_hex()),
        wrong("a larger size", &|i| i.size = 17),
        wrong("a smaller size", &|i| i.size = 10),
        wrong("size 0", &|i| i.size = 0),
        wrong("a hash less", &|i| {
            i.path.pop();
        }),
        wrong("a hash less, the sibling", &|i| {
            i.path.remove(0);
        }),
        wrong("a hash more", &|i| i.path.push(Hash::of(&[b"more"]).to_hex())),
        wrong("no path", &|i| i.path.clear()),
        wrong("the path turned round", &|i| i.path.reverse()),
        wrong("a bit of the path flipped", &|i| i.path[1] = flipped(&i.path[1])),
    ]);
    inclusions
}

fn flipped(text: &str) -> String {
    let mut hash = Hash::from_hex(text).expect("a hash");
    hash.0[7] ^= 8;
    hash.to_hex()
}

fn consistency(old: u64, new: u64) -> Consistency {
    let whole = tree(new);
    let path: Vec<_> = proof::consistency(old, new)
        .iter()
        .map(|range| whole.subtree(range).expect("a subtree of the tree"))
        .collect();
    Consistency {
        why: None,
        old_size: old,
        old_root: tree(old).root().to_hex(),
        new_size: new,
        new_root: whole.root().to_hex(),
        path: texts(&path),
        holds: true,
    }
}

fn consistencies() -> Vec<Consistency> {
    let small = (1..=8).flat_map(|new| (1..=new).map(move |old| (old, new)));
    let large = [(1, 100), (32, 33), (33, 64), (64, 65), (63, 257), (256, 257), (255, 600), (600, 600)];
    let mut all: Vec<_> = small.chain(large).map(|(old, new)| consistency(old, new)).collect();
    let wrong = |why: &str, (old, new): (u64, u64), change: &dyn Fn(&mut Consistency)| {
        let mut consistency = consistency(old, new);
        change(&mut consistency);
        Consistency { why: Some(why.into()), holds: false, ..consistency }
    };
    all.extend([
        wrong("another old root", (6, 13), &|c| c.old_root = tree(5).root().to_hex()),
        wrong("another new root", (6, 13), &|c| c.new_root = tree(12).root().to_hex()),
        wrong("a fork: the same size, another root", (13, 13), &|c| c.new_root = tree(12).root().to_hex()),
        wrong("the same size, and a path", (13, 13), &|c| c.path.push(Hash::of(&[b"more"]).to_hex())),
        wrong("a hash less", (6, 13), &|c| {
            c.path.pop();
        }),
        wrong("a hash more", (6, 13), &|c| c.path.push(Hash::of(&[b"more"]).to_hex())),
        wrong("no path", (6, 13), &|c| c.path.clear()),
        wrong("no path, from a power of two", (8, 13), &|c| c.path.clear()),
        wrong("a bit of the path flipped", (6, 13), &|c| c.path[2] = flipped(&c.path[2])),
        wrong("the tree shrank", (6, 13), &|c| {
            std::mem::swap(&mut c.old_size, &mut c.new_size);
            std::mem::swap(&mut c.old_root, &mut c.new_root);
        }),
        wrong("from size 0, which proves nothing", (1, 13), &|c| c.old_size = 0),
        wrong("another old size", (6, 13), &|c| c.old_size = 7),
        wrong("another new size", (6, 13), &|c| c.new_size = 25),
    ]);
    all
}

/// A witness's key: its name, and signature type 0x04.
pub(crate) fn witness(name: &str) -> String {
    vkey(&format!("{name}.example"), 4, public(name).as_bytes())
}

fn vkey(name: &str, signature_type: u8, key: &[u8]) -> String {
    let digest = Hash::of(&[name.as_bytes(), b"\n", &[signature_type], key]);
    let key = STANDARD.encode([&[signature_type], key].concat());
    format!("{name}+{}+{key}", &digest.to_hex()[..8])
}

pub(crate) fn log_vkey() -> String {
    vkey(LOG, 1, public("hub-1-log").as_bytes())
}

fn vkeys() -> Vec<Vkey> {
    let key = public("hub-1-log").as_bytes().to_vec();
    let good = log_vkey();
    let read = |name: &str, text: String, key_name: &str, signature_type: u8, key: &str| Vkey {
        name: name.into(),
        vkey: text,
        expect: Expect::Accept(VkeyPieces {
            key_name: key_name.into(),
            signature_type,
            key: hex(public(key).as_bytes()),
        }),
    };
    let wrong = |name: &str, vkey: String| Vkey { name: name.into(), vkey, expect: refuse("BadNote") };
    vec![
        read("of a log", good.clone(), LOG, 1, "hub-1-log"),
        read("of a witness", witness("witness-1"), "witness-1.example", 4, "witness-1"),
        read("a name that is not ASCII", vkey("z\u{fc}ge/l\u{f6}g", 1, &key), "z\u{fc}ge/l\u{f6}g", 1, "hub-1-log"),
        wrong("another name", good.replacen("hub-1", "hub-2", 1)),
        wrong("the hash in upper case", {
            let pieces: Vec<_> = good.splitn(3, '+').collect();
            format!("{}+{}+{}", pieces[0], pieces[1].to_uppercase(), pieces[2])
        }),
        wrong("no name", vkey("", 1, &key)),
        wrong("a name with a space", vkey("hub 1", 1, &key)),
        wrong("a name with a no-break space", vkey("hub\u{a0}1", 1, &key)),
        wrong("an unknown signature type", vkey(LOG, 2, &key)),
        wrong("a key of 31 bytes", vkey(LOG, 1, &key[..31])),
        wrong("a key of small order", vkey(LOG, 1, &[0; 32])),
        wrong("base64 cut short", good[..good.len() - 1].into()),
        wrong("two pieces", good.rsplit_once('+').expect("three").0.into()),
        wrong("nothing", String::new()),
    ]
}

/// A checkpoint signed by the log.
pub(crate) fn checkpoint(size: u64, root: Hash) -> String {
    let key = LogKey::new(&log(), Arc::new(signer("hub-1-log"))).expect("Ed25519");
    let note = Checkpoint { origin: log(), size, root }.sign(&key).expect("signs");
    String::from_utf8(note.to_vec()).expect("a note is UTF-8")
}

/// The last checkpoint of a log before this one.
pub(crate) fn last_checkpoint() -> String {
    checkpoint(13, tree(13).root())
}

/// Adds a witness's cosignature (C2SP tlog-cosignature, cosignature/v1).
pub(crate) fn cosign(note: &str, name: &str, at: Micros) -> String {
    let text = format!("{}\n", note.rsplit_once("\n\n").expect("a note").0);
    let seconds = at.0 / Micros::SECOND;
    let message = format!("cosignature/v1\ntime {seconds}\n{text}");
    let signature = signer(name).sign(message.as_bytes()).expect("signs");
    let key: VerifierKey = witness(name).parse().expect("a verifier key");
    let line = [&key.key_hash()[..], &seconds.to_be_bytes(), &signature].concat();
    format!("{note}\u{2014} {}.example {}\n", name, STANDARD.encode(line))
}

/// A note over any text, signed by a key under a name.
fn signed_note(text: &str, name: &str, key: &str) -> String {
    let vkey: VerifierKey = vkey(name, 1, public(key).as_bytes()).parse().expect("a verifier key");
    let signature = signer(key).sign(text.as_bytes()).expect("signs");
    let line = STANDARD.encode([&vkey.key_hash()[..], &signature].concat());
    format!("{text}\n\u{2014} {name} {line}\n")
}

fn notes() -> Vec<Note> {
    let good = last_checkpoint();
    let cosigned = cosign(&good, "witness-1", NOW);
    let root = STANDARD.encode(tree(13).root());
    let pieces = |cosigned_at_s| {
        Expect::Accept(NotePieces { origin: LOG.into(), size: 13, root: tree(13).root().to_hex(), cosigned_at_s })
    };
    let note =
        |name: &str, note: &str, vkey: String, expect| Note { name: name.into(), note: note.into(), vkey, expect };
    let wrong = |name: &str, text: String| note(name, &text, log_vkey(), refuse("BadNote"));
    let text = |name: &str, text: String| wrong(name, signed_note(&text, LOG, "hub-1-log"));
    let seconds = NOW.0 / Micros::SECOND;
    let later = {
        // The time in the line is not the one that was signed.
        let (head, line) = cosigned.trim_end().rsplit_once(' ').expect("a line");
        let mut bytes = STANDARD.decode(line).expect("base64");
        bytes[11] ^= 1;
        format!("{head} {}\n", STANDARD.encode(bytes))
    };
    let spoiled = {
        let (head, line) = good.trim_end().rsplit_once(' ').expect("a line");
        let mut bytes = STANDARD.decode(line).expect("base64");
        bytes[40] ^= 1;
        (head.to_string(), STANDARD.encode(bytes))
    };
    vec![
        note("signed by its log", &good, log_vkey(), pieces(None)),
        note("and cosigned", &cosigned, log_vkey(), pieces(None)),
        note("the cosignature of the witness", &cosigned, witness("witness-1"), pieces(Some(seconds))),
        note(
            "the cosignature of one of two",
            &cosign(&cosigned, "witness-2", NOW.plus(Micros::HOUR)),
            witness("witness-2"),
            pieces(Some(seconds + 3_600)),
        ),
        note("no cosignature by this witness", &cosigned, witness("witness-2"), refuse("BadNote")),
        note("a cosignature whose time was changed", &later, witness("witness-1"), refuse("BadNote")),
        note(
            "a cosignature over another checkpoint",
            &cosigned.replacen("\n13\n", "\n14\n", 1),
            witness("witness-1"),
            refuse("BadNote"),
        ),
        note(
            "the log's own signature is no cosignature",
            &good,
            vkey(LOG, 4, public("hub-1-log").as_bytes()),
            refuse("BadNote"),
        ),
        note("an unknown signature beside, which is ignored", &signed_beside(&good), log_vkey(), pieces(None)),
        wrong("signed by another key under the log's name", signed_note(&body(13, &root), LOG, "stranger")),
        wrong(
            "signed by the log's key under another name",
            signed_note(&body(13, &root), "hub-2.example/log", "hub-1-log"),
        ),
        wrong("a signature that names the log's key and is not its", format!("{} {}\n", spoiled.0, spoiled.1)),
        wrong(
            "the same behind one that is right",
            format!("{good}{} {}\n", spoiled.0.rsplit_once('\n').expect("lines").1, spoiled.1),
        ),
        wrong("another size", good.replacen("\n13\n", "\n14\n", 1)),
        wrong("no signature", good.rsplit_once('\u{2014}').expect("a signature").0.into()),
        wrong("no last newline", good.trim_end().into()),
        wrong("a newline more", format!("{good}\n")),
        wrong("a hyphen for the dash", good.replace('\u{2014}', "-")),
        wrong("carriage returns", good.replace('\n', "\r\n")),
        wrong("a tab in it", good.replacen("\n13", "\n\t13", 1)),
        text("a size with a zero before", body_text("013", &root)),
        text("a size with a plus before", body_text("+13", &root)),
        text("a size that is too large", body_text("18446744073709551616", &root)),
        text("no size", format!("{LOG}\n\n{root}\n")),
        text("a root of 31 bytes", body(13, &STANDARD.encode([7; 31]))),
        text("a root without its padding", body(13, root.trim_end_matches('='))),
        text("a line of extensions, which no log of ours writes", format!("{}extension\n", body(13, &root))),
        text("two lines", format!("{LOG}\n13\n")),
        wrong("32 KiB of signatures", format!("{good}{}", good.rsplit_once("\n\n").expect("a note").1.repeat(330))),
    ]
}

fn body(size: u64, root: &str) -> String {
    body_text(&size.to_string(), root)
}

fn body_text(size: &str, root: &str) -> String {
    format!("{LOG}\n{size}\n{root}\n")
}

fn signed_beside(note: &str) -> String {
    format!("{note}\u{2014} somebody.example {}\n", STANDARD.encode([9; 68]))
}

fn proofs() -> Vec<Proof> {
    let whole = tree(13);
    let path = whole.inclusion(9).expect("a leaf of the tree");
    let file = |extra: &[u8], index: u64, path: &[Hash]| {
        let checkpoint = SignedNote::parse(last_checkpoint().as_bytes()).expect("a note");
        ProofFile { extra: extra.to_vec(), index, path: path.to_vec(), checkpoint }.to_string()
    };
    let good = file(b"extra", 9, &path);
    let right = |name: &str, extra: &[u8], index, path: &[Hash]| Proof {
        name: name.into(),
        proof: file(extra, index, path),
        expect: Expect::Accept(ProofPieces { extra: hex(extra), index, path: texts(path) }),
    };
    let wrong = |name: &str, proof: String| Proof { name: name.into(), proof, expect: refuse("BadNote") };
    let hash = STANDARD.encode(path[0]);
    vec![
        right("with extra data", b"extra", 9, &path),
        right("without extra data", b"", 9, &path),
        right("without a path, in a tree of one leaf", b"", 0, &[]),
        wrong("another first line", good.replacen("@v1", "@v2", 1)),
        wrong("an empty extra line", good.replacen("extra ZXh0cmE=", "extra ", 1)),
        wrong("extra data without its padding", good.replacen("ZXh0cmE=", "ZXh0cmE", 1)),
        wrong("extra data with bits to spare", good.replacen("ZXh0cmE=", "ZXh0cmF=", 1)),
        wrong(
            "extra data behind the index",
            good.replacen("extra ZXh0cmE=\nindex 9\n", "index 9\nextra ZXh0cmE=\n", 1),
        ),
        wrong("an index with a zero before", good.replacen("index 9", "index 09", 1)),
        wrong("an index with a plus before", good.replacen("index 9", "index +9", 1)),
        wrong("an index below zero", good.replacen("index 9", "index -9", 1)),
        wrong("an index that is too large", good.replacen("index 9", "index 18446744073709551616", 1)),
        wrong("no index", good.replacen("index 9\n", "", 1)),
        wrong("a hash of 31 bytes", good.replacen(&hash, &STANDARD.encode([7; 31]), 1)),
        wrong("a hash without its padding", good.replacen(&hash, hash.trim_end_matches('='), 1)),
        wrong("a hash with a space behind", good.replacen(&hash, &format!("{hash} "), 1)),
        wrong("no empty line before the checkpoint", good.replacen(&format!("\n\n{LOG}"), &format!("\n{LOG}"), 1)),
        wrong("carriage returns", good.replace('\n', "\r\n")),
        wrong("a byte-order mark", format!("\u{feff}{good}")),
        wrong("no checkpoint", good.split_once("\n\n").expect("a proof").0.into()),
        wrong("nothing", String::new()),
    ]
}

fn hashes(path: &[String]) -> Vec<Hash> {
    path.iter().map(|hash| Hash::from_hex(hash).expect("a hash")).collect()
}

fn one_hash(text: &str) -> Hash {
    Hash::from_hex(text).expect("a hash")
}

#[test]
fn trees_and_their_proofs_are_judged_as_the_vectors_say() {
    let file: Tlog = crate::vectors::read("tlog.json");
    for case in &file.roots {
        assert_eq!(tree(case.size).root().to_hex(), case.root, "size {}", case.size);
    }
    for case in &file.inclusions {
        let path = hashes(&case.path);
        let found = proof::root_of_inclusion(one_hash(&case.leaf_hash), case.index, case.size, &path);
        assert_eq!(found == Some(one_hash(&case.root)), case.holds, "{:?}", case.why);
    }
    for case in &file.consistencies {
        let (old, new) = (one_hash(&case.old_root), one_hash(&case.new_root));
        let found = proof::is_consistent(case.old_size, old, case.new_size, new, &hashes(&case.path));
        assert_eq!(found, case.holds, "{:?} {} {}", case.why, case.old_size, case.new_size);
    }
}

#[test]
fn keys_notes_and_proof_files_are_judged_as_the_vectors_say() {
    let file: Tlog = crate::vectors::read("tlog.json");
    for case in &file.vkeys {
        match (case.vkey.parse::<VerifierKey>(), &case.expect) {
            (Ok(key), Expect::Accept(pieces)) => {
                assert_eq!(key.name(), pieces.key_name);
                assert_eq!(key.signature_type(), pieces.signature_type);
                assert_eq!(hex(key.public().as_bytes()), pieces.key);
                assert_eq!(key.to_string(), case.vkey);
            }
            (Err(_), Expect::Refuse(_)) => {}
            (found, _) => panic!("{}: {found:?}", case.name),
        }
    }
    for case in &file.notes {
        let name = &case.name;
        let key: VerifierKey = case.vkey.parse().expect("a verifier key");
        let found = SignedNote::parse(case.note.as_bytes()).and_then(|note| {
            let at = match key.signature_type() {
                4 => Some(cosignature::verify(&note, &key)?.0 / Micros::SECOND),
                _ => note.verify(&key).map(|()| None)?,
            };
            Checkpoint::parse(note.text()).map(|checkpoint| (checkpoint, at))
        });
        match (found, &case.expect) {
            (Ok((checkpoint, at)), Expect::Accept(pieces)) => {
                assert_eq!(checkpoint.origin.as_str(), pieces.origin, "{name}");
                assert_eq!(checkpoint.size, pieces.size, "{name}");
                assert_eq!(checkpoint.root.to_hex(), pieces.root, "{name}");
                assert_eq!(at, pieces.cosigned_at_s, "{name}");
            }
            (Err(_), Expect::Refuse(_)) => {}
            (found, _) => panic!("{name}: {found:?}"),
        }
    }
    for case in &file.proofs {
        match (ProofFile::parse(&case.proof), &case.expect) {
            (Ok(proof), Expect::Accept(pieces)) => {
                assert_eq!(proof.extra, unhex(&pieces.extra), "{}", case.name);
                assert_eq!(proof.index, pieces.index, "{}", case.name);
                assert_eq!(texts(&proof.path), pieces.path, "{}", case.name);
                assert_eq!(proof.to_string(), case.proof, "{}", case.name);
            }
            (Err(_), Expect::Refuse(_)) => {}
            (found, _) => panic!("{}: {found:?}", case.name),
        }
    }
}
