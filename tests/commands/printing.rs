//! What a command prints may find no place, or nobody who reads it. That changes neither what it does nor what its exit code tells.

use std::fs::{File, OpenOptions};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::{Network, pause, until};

/// Where results go that cannot go anywhere.
#[derive(Clone, Copy, Debug)]
enum Out {
    Full,
    Closed,
    /// Nobody reads results or talk.
    NothingAtAll,
}

impl Out {
    fn stdio(self) -> (Stdio, Stdio) {
        let full = || Stdio::from(OpenOptions::new().write(true).open("/dev/full").unwrap());
        let closed = || {
            let (reader, writer) = std::io::pipe().unwrap();
            drop(reader);
            Stdio::from(writer)
        };
        match self {
            Self::Full => (full(), Stdio::piped()),
            Self::Closed => (closed(), Stdio::piped()),
            Self::NothingAtAll => (full(), closed()),
        }
    }
}

/// Runs a command with its results going nowhere; its exit code and what it said on stderr.
fn unprinted(out: Out, args: &[&str], folder: &Path) -> (Option<i32>, String) {
    let (stdout, stderr) = out.stdio();
    let mut command = Command::new(env!("CARGO_BIN_EXE_liaison"));
    let child = command.args(args).current_dir(folder).env("LIAISON_CONTEXT", "").stdin(Stdio::null());
    let output = child.stdout(stdout).stderr(stderr).output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

const OUTS: [Out; 3] = [Out::Full, Out::Closed, Out::NothingAtAll];

#[tokio::test]
async fn results_that_cannot_be_printed_change_neither_what_a_command_does_nor_its_exit_code() {
    let network = Network::of(&["FR", "KE"]);
    let node = network.start().await;
    let (fr, ke) = (network.context("FR", &node), network.context("KE", &node));
    let (fr, ke) = (fr.to_str().unwrap(), ke.to_str().unwrap());
    let here = network.path(".");
    std::fs::write(network.path("red.json"), r#"{"text": {"subject": "s", "body": "b"}}"#).unwrap();
    std::fs::write(network.path("bad.receipt"), "no receipt\n").unwrap();
    // The last argument is a new one each time where a command makes something.
    let rows: [(&[&str], i32); 33] = [
        (&["-c", fr, "send", "red.json", "--to", "KE", "--save", "N.receipt", "--reference", "FR/N"], 0),
        (&["-c", ke, "inbox"], 0),
        (&["-c", ke, "ack", "FR/N"], 0),
        (&["-c", ke, "ack", "FR/none"], 3),
        (&["-c", fr, "show", "FR/N"], 0),
        (&["-c", fr, "show", "FR/none"], 3),
        (&["-c", fr, "trace", "FR/N", "--save", "N.receipts"], 0),
        (&["-c", fr, "log", "checkpoint"], 0),
        (&["-c", fr, "log", "follow", "--once", "--pin", "N.pin"], 0),
        (&["-c", fr, "doctor"], 0),
        (&["-c", "nobody", "inbox"], 2),
        (&["verify", "--trust", "network.trust", "N.receipt"], 0),
        (&["verify", "N.receipt"], 7),
        (&["verify", "bad.receipt"], 7),
        (&["verify", "none.receipt"], 1),
        (&["init", "--folder", "N.network"], 0),
        (&["partner", "add", "BR", "--folder", "N.network"], 0),
        (&["certificate", "node", "hub-1", "--folder", "N.network"], 0),
        (&["directory", "sign", "--folder", "N.network"], 0),
        (&["directory", "show", "--folder", "N.network"], 0),
        (&["directory", "diff", "--folder", "N.network"], 0),
        (&["directory", "lint", "--folder", "N.network"], 1),
        (&["serve", "--check", "--config", "N.network/hub.toml"], 0),
        (&["status", "--config", "hub.toml"], 0),
        (&["reload", "--config", "hub.toml"], 0),
        (&["support-bundle", "--config", "hub.toml", "--yes", "--to", "N.tar"], 0),
        (&["completions", "bash"], 0),
        (&["man", "N.man"], 0),
        (&["errors", "list"], 0),
        (&["errors", "lookup", "NONE"], 3),
        (&["--help"], 0),
        (&["--version"], 0),
        (&["no-such-command"], 2),
    ];
    let mut nth = 0;
    for out in OUTS {
        for output in ["human", "json"] {
            nth += 1;
            for (args, expected) in rows {
                let args: Vec<String> = args.iter().map(|arg| arg.replace("N.", &format!("{nth}."))).collect();
                let args =
                    args.iter().map(|arg| arg.strip_suffix("/N").map_or(arg.clone(), |of| format!("{of}/{nth}")));
                let args: Vec<String> = args.chain(["--output".into(), output.into()]).collect();
                let args: Vec<&str> = args.iter().map(String::as_str).collect();
                let (exit, said) = unprinted(out, &args, &here);
                assert_eq!(exit, Some(expected), "{out:?} {args:?}: {said}");
                assert!(!said.contains("panicked"), "{out:?} {args:?}: {said}");
            }
        }
        let about = |file: &str| network.path(&format!("{nth}.{file}"));
        assert!(about("receipt").exists() && about("tar").exists() && about("man").join("liaison.1").exists());
    }
    // What was sent was sent, and what was signed for was signed for.
    for nth in 1..=nth {
        let (exit, said, _) = network.as_partner("FR", &node, &["trace", &format!("FR/{nth}")]);
        assert!(exit == 0 && said.contains("HANDED_OVER"), "{said}");
    }
    assert!(node.stop().await.success());
}

#[test]
fn a_full_disk_is_told_on_stderr_and_a_reader_that_left_is_not() {
    let here = std::env::temp_dir();
    let (_, said) = unprinted(Out::Full, &["errors", "list"], &here);
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.contains("cannot be printed") && said.contains("No space left"), "{said}");
    assert_eq!(unprinted(Out::Closed, &["errors", "list"], &here), (Some(0), String::new()));
}

#[tokio::test]
async fn a_command_that_follows_ends_when_its_reader_has_left() {
    let network = Network::of(&["FR", "KE"]);
    let node = network.start().await;
    let (fr, ke) = (network.context("FR", &node), network.context("KE", &node));
    let follow = |context: &Path, args: &[&str]| {
        let (stdout, stderr) = Out::Closed.stdio();
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_liaison"));
        command.arg("-c").arg(context).args(args).stdout(stdout).stderr(stderr).kill_on_drop(true).spawn().unwrap()
    };
    let mut inbox = follow(&ke, &["inbox", "--follow"]);
    let mut log = follow(&fr, &["log", "follow", "--every", "10ms"]);
    let partner = network.partner("FR", &node).await;
    let mut nth = 0;
    let both = until("both to end", || {
        nth += 1;
        let notice = partner.notice(&format!("FR/{nth}"), &["KE"]);
        let (ended, partner) = ((inbox.try_wait().unwrap(), log.try_wait().unwrap()), &partner);
        async move {
            partner.submit(&notice).await.unwrap();
            pause().await;
            Some((ended.0?, ended.1?))
        }
    })
    .await;
    assert!(both.0.success() && both.1.success(), "{both:?}");
    assert!(node.stop().await.success());
}

#[tokio::test]
async fn a_node_serves_though_its_output_is_full_and_reads_its_files_again_when_it_is_hung_up() {
    let network = Network::of(&["FR"]);
    network.configure("listen", "operator = \"here.sock\"");
    let log = File::create(network.path("hub.log")).unwrap();
    let serve = |stdout: Stdio, stderr: Stdio| {
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_liaison"));
        let command = command.args(["serve", "--config"]).arg(network.path("hub.toml")).kill_on_drop(true);
        command.stdout(stdout).stderr(stderr).spawn().unwrap()
    };
    let status = || async {
        pause().await;
        let (exit, said, _) = network.operator(&["status", "--output", "json"]);
        (exit == 0).then(|| serde_json::from_str::<serde_json::Value>(&said).unwrap())
    };
    let (full, _) = Out::Full.stdio();
    let mut node = serve(full, log.into());
    until("the node to serve", status).await;
    let signal = |node: &tokio::process::Child, name: &str| {
        let id = node.id().unwrap().to_string();
        assert!(Command::new("kill").args([name, &id]).status().unwrap().success());
    };
    network.enrol("KE");
    signal(&node, "-HUP");
    until("the new directory", || async { status().await.filter(|said| said["directory_version"] == 3) }).await;
    signal(&node, "-TERM");
    assert_eq!(node.wait().await.unwrap().code(), Some(0));
    // Nobody reads anything: neither the results nor the log.
    let (full, closed) = Out::NothingAtAll.stdio();
    let mut node = serve(full, closed);
    until("the node to serve", status).await;
    signal(&node, "-HUP");
    signal(&node, "-TERM");
    assert_eq!(node.wait().await.unwrap().code(), Some(0));
}
