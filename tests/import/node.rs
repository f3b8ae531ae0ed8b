//! The list in motion over a real node on mutual TLS, by the command that people run: what a recipient has in force is the newest
//! list, and no interruption sends anything twice.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use liaison::import::{Edition, Threshold, un_list};
use liaison_client::Delivered;
use liaison_protocol::proto;
use prost::Message as _;
use serde_json::Value;

use super::lists::{edition, list};
use super::motion::InForce;
use super::published::published;
use crate::support::*;

/// A network with a list office and a bureau, and a folder for the office's files.
struct Stage {
    network: Network,
    node: Node,
    ke: Partner,
    context: PathBuf,
    files: tempfile::TempDir,
}

impl Stage {
    async fn set() -> Self {
        let network = Network::of(&["UN", "KE"]);
        let node = network.start().await;
        let ke = network.partner("KE", &node).await;
        let context = network.context("UN", &node);
        Self { ke, context, node, network, files: tempfile::tempdir().unwrap() }
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.files.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    fn command(&self, args: &[&str], files: &[&Path]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_liaison"));
        command.args(["--output", "json", "--context"]).arg(&self.context).arg("import").args(args);
        command.args(files).args(["--to", "KE"]);
        command
    }

    /// Runs an import to its end: its exit code and its object.
    fn import(&self, args: &[&str], files: &[&Path]) -> (i32, Value) {
        let output = self.command(args, files).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let object = serde_json::from_str(text.trim()).unwrap_or_else(|_| {
            panic!("{args:?}: {text}{}", String::from_utf8_lossy(&output.stderr));
        });
        (output.status.code().unwrap(), object)
    }

    /// Sends one file: its exit code and its object.
    fn send(&self, file: &Path) -> (i32, Value) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_liaison"));
        command
            .args(["--output", "json", "--context"])
            .arg(&self.context)
            .arg("send")
            .arg(file)
            .args(["--to", "KE"]);
        let output = command.current_dir(self.files.path()).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        (output.status.code().unwrap(), serde_json::from_str(text.trim()).unwrap_or_else(|_| panic!("{text}")))
    }

    fn un_list(&self, file: &Path) -> (i32, Value) {
        self.import(&["un-list"], &[file])
    }

    fn since(&self, older: &Path, newer: &Path) -> (i32, Value) {
        self.import(&["un-list", "--since", older.to_str().unwrap()], &[newer])
    }

    fn ledger(&self) -> PathBuf {
        self.context.join("imports/un-list.ledger")
    }

    /// Everything the bureau was ever sent, folded in the order of the log.
    async fn in_force(&self) -> (InForce, usize) {
        let mut delivered = self.ke.collect().await;
        delivered.sort_by_key(Delivered::leaf);
        let mut in_force = InForce::default();
        for notice in &delivered {
            let content = proto::Content::decode(notice.parts[0].bytes.clone()).unwrap();
            in_force.take(notice.id, notice.manifest.relation.as_ref(), content);
        }
        (in_force, delivered.len())
    }

    async fn assert_in_force(&self, edition: &Edition, sent: usize) {
        let (in_force, delivered) = self.in_force().await;
        in_force.assert_is(edition, Threshold::Substance);
        assert_eq!(delivered, sent, "nothing is sent twice");
    }

    async fn end(self) {
        assert_log_is_sound(&self.ke).await;
        assert!(self.node.stop().await.success());
        drop(self.network);
    }
}

fn told(object: &Value) -> [u64; 7] {
    ["listed", "amended", "delisted", "relisted", "unchanged", "accepted", "duplicates"]
        .map(|word| object[word].as_u64().unwrap_or_else(|| panic!("{word} in {object}")))
}

const JANUARY: (&str, &[(&str, &str)]) = (
    "2026-01-01T00:00:00Z",
    &[
        ("UTi.001", "<FIRST_NAME>ALI EXAMPLE</FIRST_NAME>"),
        ("LPi.001", "<FIRST_NAME>EVE SPECIMEN</FIRST_NAME>"),
        ("ATe.001", "<FIRST_NAME>PAPER GUILD</FIRST_NAME>"),
    ],
);
const FEBRUARY: (&str, &[(&str, &str)]) = (
    "2026-02-01T00:00:00Z",
    &[
        ("ATe.001", "<FIRST_NAME>PAPER GUILD</FIRST_NAME>"),
        ("LPi.001", "<FIRST_NAME>EVE SPECIMEN</FIRST_NAME><TITLE><VALUE>Dr.</VALUE></TITLE>"),
        ("UTi.002", "<FIRST_NAME>NEW NOBODY</FIRST_NAME>"),
    ],
);
const MARCH: (&str, &[(&str, &str)]) = (
    "2026-03-01T00:00:00Z",
    &[
        ("UTi.001", "<FIRST_NAME>ALI EXAMPLE</FIRST_NAME>"),
        ("LPi.001", "<FIRST_NAME>EVE SPECIMEN</FIRST_NAME><TITLE><VALUE>Dr.</VALUE></TITLE>"),
        ("UTi.002", "<FIRST_NAME>NEW NOBODY</FIRST_NAME>"),
        ("ATe.001", "<FIRST_NAME>PAPER GUILD</FIRST_NAME>"),
    ],
);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recipient_has_in_force_what_the_newest_list_has_and_nothing_comes_twice() {
    let stage = Stage::set().await;
    let [january, february, march] = [("january.xml", JANUARY), ("february.xml", FEBRUARY), ("march.xml", MARCH)]
        .map(|(name, (generated, records))| stage.file(name, &list(generated, records)));

    let (exit, first) = stage.un_list(&january);
    assert_eq!((exit, told(&first)), (0, [3, 0, 0, 0, 0, 3, 0]));
    let (exit, again) = stage.un_list(&january);
    assert_eq!((exit, told(&again)), (0, [0, 0, 0, 0, 3, 0, 0]));
    stage.assert_in_force(&edition(JANUARY.0, JANUARY.1), 3).await;

    let (exit, refused) = stage.un_list(&february);
    assert_eq!(
        (exit, refused["error"]["next"].as_str()),
        (5, Some("--since FILE, with the list of 2026-01-01T00:00:00Z"))
    );
    let before_the_step = std::fs::read(stage.ledger()).unwrap();
    let (exit, step) = stage.since(&january, &february);
    assert_eq!((exit, told(&step)), (0, [1, 1, 1, 0, 1, 3, 0]));
    stage.assert_in_force(&edition(FEBRUARY.0, FEBRUARY.1), 6).await;

    // Killed between the node's answer and the ledger's line: the ledger is as it was before the step.
    std::fs::write(stage.ledger(), before_the_step).unwrap();
    let (exit, step) = stage.since(&january, &february);
    assert_eq!((exit, told(&step)), (0, [1, 1, 1, 0, 1, 0, 3]), "the node says that it has all three");
    stage.assert_in_force(&edition(FEBRUARY.0, FEBRUARY.1), 6).await;

    // Who was sent a notice has to be sent its withdrawal, too.
    let since = february.to_str().unwrap();
    let (exit, refused) = stage.import(&["un-list", "--group", "MEMBERS", "--since", since], &[&march]);
    let expected = "notices of this list went to KE, and these would go to KE, group MEMBERS";
    assert_eq!((exit, refused["error"]["message"].as_str()), (5, Some(expected)));

    let (exit, step) = stage.since(&february, &march);
    assert_eq!((exit, told(&step)), (0, [0, 0, 0, 1, 3, 1, 0]));
    stage.assert_in_force(&edition(MARCH.0, MARCH.1), 7).await;
    let (exit, again) = stage.since(&february, &march);
    assert_eq!((exit, told(&again)), (0, [0, 0, 0, 0, 4, 0, 0]));
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_ledger_is_asked_back_from_the_node_or_the_command_to_run_first_is_named() {
    let stage = Stage::set().await;
    let [january, february, march] = [("january.xml", JANUARY), ("february.xml", FEBRUARY), ("march.xml", MARCH)]
        .map(|(name, (generated, records))| stage.file(name, &list(generated, records)));
    let (exit, refused) = stage.since(&january, &february);
    assert_eq!(exit, 3, "{refused}");
    let next = refused["error"]["next"].as_str().unwrap();
    assert_eq!(next, format!("liaison import un-list {} --group MEMBERS, then this again", january.display()));

    assert_eq!(stage.un_list(&january).0, 0);
    std::fs::remove_file(stage.ledger()).unwrap();
    let (exit, step) = stage.since(&january, &february);
    assert_eq!((exit, told(&step)), (0, [1, 1, 1, 0, 1, 3, 0]), "the relations name what the lost ledger named");
    stage.assert_in_force(&edition(FEBRUARY.0, FEBRUARY.1), 6).await;

    // What was not sent on the older file's own day cannot be asked for by its reference.
    std::fs::remove_file(stage.ledger()).unwrap();
    let (exit, refused) = stage.since(&february, &march);
    assert_eq!(exit, 3);
    assert!(refused["error"]["message"].as_str().unwrap().contains("1 of 3 subjects, first ATe.001"), "{refused}");

    stage.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_node_has_and_the_ledger_does_not_is_learned_and_amended() {
    let stage = Stage::set().await;
    let february = stage.file("february.xml", &list(FEBRUARY.0, FEBRUARY.1));
    assert_eq!(stage.un_list(&february).0, 0);
    std::fs::remove_file(stage.ledger()).unwrap();
    // Another edition of the same day gives the same references to other contents.
    let records = [FEBRUARY.1[0], ("LPi.001", "<FIRST_NAME>EVE OTHER</FIRST_NAME>"), FEBRUARY.1[2]];
    let noon = stage.file("noon.xml", &list("2026-02-01T12:00:00Z", &records));
    let (exit, refused) = stage.un_list(&noon);
    assert_eq!(
        (exit, refused["error"]["next"].as_str()),
        (5, Some("--since FILE, with the list that was sent last"))
    );
    let (exit, step) = stage.since(&february, &noon);
    assert_eq!((exit, told(&step)), (0, [0, 1, 0, 0, 2, 1, 0]));
    stage.assert_in_force(&edition("2026-02-01T12:00:00Z", &records), 4).await;
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_importer_that_is_killed_at_work_is_finished_by_the_same_command() {
    let stage = Stage::set().await;
    let key = |nth: usize| format!("{}i.{nth:03}", ["UT", "LP", "AT"][nth % 3]);
    let records: Vec<_> =
        (0..700).map(|nth| (key(nth), format!("<FIRST_NAME>NOBODY {nth}</FIRST_NAME>"))).collect();
    let records: Vec<_> = records.iter().map(|(key, inside)| (key.as_str(), inside.as_str())).collect();
    let file = stage.file("long.xml", &list(JANUARY.0, &records));
    let mut importer =
        stage.command(&["un-list"], &[&file]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let ledger = stage.ledger();
    until("the first lines of the ledger", async || ledger.exists().then_some(())).await;
    importer.kill().unwrap();
    importer.wait().unwrap();
    let (exit, rest) = stage.un_list(&file);
    let [listed, .., unchanged, accepted, duplicates] = told(&rest);
    assert_eq!((exit, listed + unchanged, accepted + duplicates), (0, 700, listed));
    assert!(unchanged >= 256, "what the ledger had is not even asked for: {rest}");
    stage.assert_in_force(&edition(JANUARY.0, &records), 700).await;
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_one_importer_writes_a_ledger_at_a_time() {
    let stage = Stage::set().await;
    let file = stage.file("january.xml", &list(JANUARY.0, JANUARY.1));
    assert_eq!(stage.un_list(&file).0, 0);
    let lock = std::fs::File::open(stage.ledger().with_extension("lock")).unwrap();
    lock.lock().unwrap();
    let (exit, refused) = stage.un_list(&file);
    assert_eq!(exit, 5);
    assert!(refused["error"]["message"].as_str().unwrap().ends_with("another import is writing it"), "{refused}");
    drop(lock);
    assert_eq!(stage.un_list(&file).0, 0);
    stage.end().await;
}

/// Whatever the file: what could be understood in two ways, or says nothing, is refused before anybody is called.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_not_certainly_a_notice_is_not_sent() {
    let stage = Stage::set().await;
    let twice = r#"{"text": {"subject": "a", "body": "b", "subject": "c"}}"#;
    for (name, text, problem) in [
        ("empty.json", "", "the file is empty"),
        ("blank.json", " \n", "it is empty"),
        ("nothing.json", "{}", "nothing is said"),
        ("NOTHING.JSON", "{}", "nothing is said"),
        ("twice.json", twice, "text/subject at byte 50: stands there twice"),
        (
            "gender.json",
            r#"{"person": {"gender": 99, "titles": ["Dr."]}}"#,
            "person/gender at byte 22: expected one of",
        ),
        (
            "unknown.json",
            r#"{"text": {"subject": "a"}, "colour": "red"}"#,
            "colour at byte 37: Content has no such field",
        ),
        ("more.json", r#"{"text": {"subject": "a"}} {"text": {"subject": "b"}}"#, "at byte 27"),
        ("empty.txt", "", "the file is empty"),
        ("empty.pdf", "", "the file is empty"),
        ("empty", "", "the file is empty"),
    ] {
        let (exit, refused) = stage.send(&stage.file(name, text));
        let message = refused["error"]["message"].as_str().unwrap_or_default();
        assert_eq!((exit, message.contains(problem), message.contains(name)), (2, true, true), "{name}: {refused}");
    }
    let windows = stage.files.path().join("windows.txt");
    std::fs::write(&windows, b"caf\xe9").unwrap();
    let (exit, refused) = stage.send(&windows);
    assert_eq!(exit, 2, "it would be sent as text in UTF-8, which it is not: {refused}");
    let (exit, sent) = stage.send(&stage.file("bom.json", "\u{feff}{\"text\": {\"subject\": \"a\"}}\r\n"));
    assert_eq!(exit, 0, "{sent}");
    assert_eq!(stage.ke.collect().await.len(), 1, "nothing but the last was sent");
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn interpols_notices_reach_a_recipient_once_and_amended() {
    let stage = Stage::set().await;
    let red = include_str!("../fixtures/interpol/red.json");
    let files = [
        stage.file("red.json", red),
        stage.file("yellow.json", include_str!("../fixtures/interpol/yellow.json")),
        stage.file("page.json", include_str!("../fixtures/interpol/red-page.json")),
    ];
    let files: Vec<&Path> = files.iter().map(PathBuf::as_path).collect();
    let (exit, first) = stage.import(&["interpol"], &files);
    assert_eq!((exit, told(&first)), (0, [2, 0, 0, 0, 0, 2, 0]));
    assert_eq!((&first["pages"][0]["incomplete"], &first["summaries_left_out"]), (&Value::Bool(true), &1.into()));
    assert_eq!(told(&stage.import(&["interpol"], &files).1), [0, 0, 0, 0, 2, 0, 0]);

    // Without its ledger, too: a reference without a date is found again, and what has changed since amends it.
    std::fs::remove_file(stage.context.join("imports/interpol.ledger")).unwrap();
    let changed = stage.file("red.json", &red.replace("Perjury", "Perjury at sea"));
    let (exit, step) = stage.import(&["interpol"], &[&changed]);
    assert_eq!((exit, step["accepted"].as_u64(), step["duplicates"].as_u64()), (0, Some(1), Some(0)), "{step}");
    let (in_force, delivered) = {
        let mut all = stage.ke.collect().await;
        all.sort_by_key(Delivered::leaf);
        (all.last().unwrap().manifest.relation.clone(), all.len())
    };
    assert_eq!(delivered, 3);
    assert_eq!(in_force.map(|relation| relation.reference.to_string()), Some("INTERPOL/red/2099-114539".into()));
    stage.end().await;
}

/// The real list, where somebody has it: a thousand notices, and two dates after them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_dates_of_the_real_list_are_sent_over_a_real_node() {
    let dates =
        ["un-consolidated-2025-12-10.xml", "un-consolidated-2026-02-27.xml", "un-consolidated-2026-05-08.xml"];
    let published = published();
    let lists: Vec<_> = published.iter().filter(|(name, _)| dates.contains(&name.as_str())).collect();
    let [december, february, may] = lists.as_slice() else {
        println!("skipped: the dates are not there");
        return;
    };
    let stage = Stage::set().await;
    let file = |(name, bytes): &(String, Vec<u8>)| {
        let path = stage.files.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    };
    let [december, february, may] =
        [december, february, may].map(|list| (file(list), Edition::from(&un_list::read(&list.1).unwrap())));
    assert_eq!(told(&stage.un_list(&december.0).1)[..6], [999, 0, 0, 0, 0, 999]);
    stage.assert_in_force(&december.1, 999).await;
    assert_eq!(told(&stage.since(&december.0, &february.0).1)[..6], [4, 0, 0, 0, 999, 4]);
    stage.assert_in_force(&february.1, 1_003).await;
    assert_eq!(told(&stage.since(&february.0, &may.0).1)[..6], [7, 29, 1, 0, 973, 37]);
    stage.assert_in_force(&may.1, 1_040).await;
    assert_eq!(told(&stage.since(&february.0, &may.0).1), [0, 0, 0, 0, 1_009, 0, 0]);
    stage.assert_in_force(&may.1, 1_040).await;
    assert!(stage.node.stop().await.success());
}
