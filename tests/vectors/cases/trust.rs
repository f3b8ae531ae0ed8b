//! Trust files, right and wrong, and what policies find on notes.

use liaison_protocol::tlog::checkpoint::{SignedNote, VerifierKey};
use liaison_protocol::trust::{self, Trust};
use serde::{Deserialize, Serialize};

use super::tlog::{checkpoint, cosign, log_vkey, witness};
use super::world::{self, ABOUT, NOW, founders, hex, network};
use super::{Expect, refuse};

#[derive(Serialize, Deserialize)]
pub(crate) struct TrustFiles {
    about: String,
    files: Vec<TrustCase>,
    /// What policies find on notes.
    policies: Vec<PolicyCase>,
}

#[derive(Serialize, Deserialize)]
struct TrustCase {
    name: String,
    text: String,
    /// Refused: in which line, from 1; 0 for the file as a whole.
    expect: Expect<TrustPieces>,
}

#[derive(Serialize, Deserialize)]
struct TrustPieces {
    network: String,
    threshold: usize,
    authority_keys: Vec<String>,
    logs: Vec<String>,
}

#[derive(Serialize, Deserialize)]
struct PolicyCase {
    name: String,
    /// The lines of a policy.
    policy: String,
    note: String,
    /// Accepted: the names of the witnesses found, and whether they are the quorum.
    expect: Expect<(Vec<String>, bool)>,
}

pub(crate) const WITNESSES: [&str; 2] = ["witness-1", "witness-2"];

pub(crate) fn head_lines() -> String {
    let key: VerifierKey = log_vkey().parse().expect("a verifier key");
    let text = trust::to_text(network(), &founders(), &[key]);
    text.replacen("quorum none\n", "", 1)
}

/// The trust file of the vectors: no witness is asked for.
pub(crate) fn promised_trust() -> String {
    head_lines() + "quorum none\n"
}

/// And one that asks for both witnesses.
pub(crate) fn witnessed_trust() -> String {
    let [one, two] = WITNESSES.map(witness);
    format!("{}witness one {one}\nwitness two {two}\ngroup both all one two\nquorum both\n", head_lines())
}

pub(crate) fn generate() -> TrustFiles {
    TrustFiles { about: ABOUT.into(), files: trust_files(), policies: policies() }
}

fn trust_files() -> Vec<TrustCase> {
    let good = promised_trust();
    let witnessed = witnessed_trust();
    let pieces = || TrustPieces {
        network: network().to_string(),
        threshold: 2,
        authority_keys: founders().keys().iter().map(|key| key.id().to_string()).collect(),
        logs: vec![log_vkey()],
    };
    let read = |name: &str, text: String| TrustCase { name: name.into(), text, expect: Expect::Accept(pieces()) };
    let wrong = |name: &str, line: usize, text: String| TrustCase {
        name: name.into(),
        text,
        expect: refuse(&line.to_string()),
    };
    let mut first_key = good.lines().nth(2).expect("a key").to_string();
    let without = |start: &str| -> String {
        good.lines().filter(|line| !line.starts_with(start)).flat_map(|line| [line, "\n"]).collect()
    };
    let ecdsa = hex(world::public("borelia-notice").as_bytes());
    let duplicate = format!("{good}{first_key}\n");
    first_key.push('\n');
    let [one, two] = WITNESSES.map(witness);
    vec![
        read("as it should be", good.clone()),
        read("with witnesses", witnessed.clone()),
        read(
            "with comments, tabs, empty lines and a URL",
            format!(
                "# pinned by hand\n\n \t#\n{}",
                good.replacen("log ", "\tlog\t ", 1).replacen("\nquorum", " https://hub-1.example/log\nquorum", 1)
            ),
        ),
        read("without its last newline", good.trim_end().into()),
        TrustCase {
            name: "an authority key of ECDSA P-256, and no log".into(),
            text: format!("network {}\nthreshold 1\nauthority ecdsa-p256:{ecdsa}\nquorum none\n", network()),
            expect: Expect::Accept(TrustPieces {
                threshold: 1,
                authority_keys: vec![world::public("borelia-notice").id().to_string()],
                logs: vec![],
                ..pieces()
            }),
        },
        wrong("no network", 0, without("network")),
        wrong("no threshold", 0, without("threshold")),
        wrong("no authority", 0, without("authority")),
        wrong("no quorum", 0, without("quorum")),
        wrong("nothing", 0, String::new()),
        wrong("the network twice", 8, format!("{good}network {}\n", network())),
        wrong("the threshold twice", 8, format!("{good}threshold 1\n")),
        wrong("the quorum twice", 8, format!("{good}quorum none\n")),
        wrong("an authority key twice", 0, duplicate),
        wrong("a log's key twice", 8, format!("{good}log {}\n", log_vkey())),
        wrong("a threshold of 0", 0, good.replacen("threshold 2", "threshold 0", 1)),
        wrong("a threshold above the number of keys", 0, good.replacen("threshold 2", "threshold 4", 1)),
        wrong("a threshold in words", 2, good.replacen("threshold 2", "threshold two", 1)),
        wrong("a threshold with a plus before", 2, good.replacen("threshold 2", "threshold +2", 1)),
        wrong("the network without its algorithm", 1, good.replacen("sha256:", "", 1)),
        wrong(
            "the network in upper case",
            1,
            good.replacen(&network().0.to_hex(), &network().0.to_hex().to_uppercase(), 1),
        ),
        wrong("an authority key without its algorithm", 3, good.replacen("ed25519:", "", 1)),
        wrong("an authority key of an unknown algorithm", 3, good.replacen("ed25519:", "rsa:", 1)),
        wrong(
            "an authority key of 31 bytes",
            3,
            good.replacen(&first_key, &format!("{}\n", &first_key[..first_key.len() - 3]), 1),
        ),
        wrong(
            "an authority key with a plus among its digits",
            3,
            good.replacen("ed25519:", "ed25519:+", 1).replacen(&first_key[18..], &first_key[19..], 1),
        ),
        wrong(
            "an authority key in upper case",
            3,
            good.replacen(&first_key[18..], &first_key[18..].to_uppercase(), 1),
        ),
        wrong(
            "an authority key of small order",
            3,
            good.replacen(&first_key, &format!("authority ed25519:{}\n", "00".repeat(32)), 1),
        ),
        wrong("a log with a witness's key", 8, format!("{good}log {one}\n")),
        wrong("a witness with a log's key", 8, format!("{good}witness one {}\n", log_vkey())),
        wrong("a log's key whose hash is another", 6, good.replacen("hub-1", "hub-2", 1)),
        wrong("a word that nobody knows", 8, format!("{good}trust everybody\n")),
        wrong("a line of one word", 8, format!("{good}log\n")),
        wrong("carriage returns", 1, good.replace('\n', "\r\n")),
        wrong("NUL in a comment", 8, format!("{good}# \0\n")),
        wrong(
            "a witness's key twice",
            8,
            format!(
                "{}witness other {one}\nquorum none\n",
                &witnessed[..witnessed.find("witness two").expect("a line")]
            ),
        ),
        wrong("a witness's name twice", 8, witnessed.replacen("witness two", "witness one", 1)),
        wrong("a witness called none", 7, witnessed.replacen("witness one", "witness none", 1)),
        wrong("a group with a stranger", 9, witnessed.replacen("all one two", "all one three", 1)),
        wrong("a group with one member twice", 9, witnessed.replacen("all one two", "all one one", 1)),
        wrong("a group that asks for more than it has", 9, witnessed.replacen("all one two", "3 one two", 1)),
        wrong("a group that asks for nobody", 9, witnessed.replacen("all one two", "0 one two", 1)),
        wrong("a group that asks for some", 9, witnessed.replacen("all one two", "some one two", 1)),
        wrong("a group without members", 9, witnessed.replacen("all one two", "all", 1)),
        wrong(
            "a group before its members",
            7,
            format!("{}group both all one two\nwitness one {one}\nwitness two {two}\nquorum both\n", head_lines()),
        ),
        wrong("a quorum that is not defined", 10, witnessed.replacen("quorum both", "quorum all", 1)),
        wrong("more than 256 lines", 257, format!("{good}{}", "#\n".repeat(250))),
    ]
}

fn policies() -> Vec<PolicyCase> {
    let [one, two] = WITNESSES.map(witness);
    let three = witness("witness-3");
    let base = format!("witness one {one}\nwitness two {two}\nwitness three {three}\n");
    let note = checkpoint(13, super::tlog::tree(13).root());
    let by_one = cosign(&note, "witness-1", NOW);
    let by_two = cosign(&by_one, "witness-2", NOW);
    let spoiled = {
        let line = by_two.rsplit_once('\n').and_then(|(text, _)| text.rsplit_once(' ')).expect("a line");
        let other = cosign(&checkpoint(12, super::tlog::tree(12).root()), "witness-2", NOW);
        let other = other.trim_end().rsplit_once(' ').expect("a line").1.to_string();
        format!("{} {other}\n", line.0)
    };
    let case = |name: &str, lines: &str, note: &str, witnesses: &[&str], quorum: bool| PolicyCase {
        name: name.into(),
        policy: format!("{base}{lines}\n"),
        note: note.into(),
        expect: Expect::Accept((world::texts(witnesses), quorum)),
    };
    vec![
        case("no quorum is asked for", "quorum none", &note, &[], true),
        case("no quorum is asked for, and two cosigned", "quorum none", &by_two, &["one", "two"], true),
        case("one witness is asked for", "quorum one", &by_one, &["one"], true),
        case("another witness is asked for", "quorum two", &by_one, &["one"], false),
        case("two of three", "group g 2 one two three\nquorum g", &by_two, &["one", "two"], true),
        case("one of two of three", "group g 2 one two three\nquorum g", &by_one, &["one"], false),
        case("any of three", "group g any one two three\nquorum g", &by_one, &["one"], true),
        case("all of three", "group g all one two three\nquorum g", &by_two, &["one", "two"], false),
        case(
            "groups of groups",
            "group g any two three\ngroup h all one g\nquorum h",
            &by_two,
            &["one", "two"],
            true,
        ),
        case(
            "groups of groups, one short",
            "group g any two three\ngroup h all one g\nquorum h",
            &by_one,
            &["one"],
            false,
        ),
        PolicyCase {
            expect: refuse("BadNote"),
            ..case(
                "a cosignature that names a known witness and is not its spoils the note",
                "quorum one",
                &spoiled,
                &[],
                false,
            )
        },
    ]
}

#[test]
fn trust_files_are_judged_as_the_vectors_say() {
    let file: TrustFiles = crate::vectors::read("trust.json");
    for case in &file.files {
        let name = &case.name;
        match (case.text.parse::<Trust>(), &case.expect) {
            (Ok(trust), Expect::Accept(pieces)) => {
                assert_eq!(trust.network().to_string(), pieces.network, "{name}");
                assert_eq!(trust.authority().threshold(), pieces.threshold, "{name}");
                let keys: Vec<_> = trust.authority().keys().iter().map(|key| key.id().to_string()).collect();
                assert_eq!(keys, pieces.authority_keys, "{name}");
                let logs: Vec<_> = trust.policy().logs().iter().map(ToString::to_string).collect();
                assert_eq!(logs, pieces.logs, "{name}");
            }
            (Err(bad), Expect::Refuse(line)) => {
                assert_eq!(bad.line.to_string(), *line, "{name}: {bad}")
            }
            (found, _) => panic!("{name}: {found:?}"),
        }
    }
    for case in &file.policies {
        let name = &case.name;
        let trust: Trust = format!("{}{}", head_lines(), case.policy).parse().expect("a trust file");
        let note = SignedNote::parse(case.note.as_bytes()).expect("a note");
        match (trust.policy().witnessed(&note), &case.expect) {
            (Ok(found), Expect::Accept((witnesses, quorum))) => {
                let names: Vec<_> = found.witnesses.iter().map(|(name, _)| name.clone()).collect();
                assert_eq!((&names, found.quorum), (witnesses, *quorum), "{name}");
            }
            (Err(_), Expect::Refuse(_)) => {}
            (found, _) => panic!("{name}: {found:?}"),
        }
    }
}
