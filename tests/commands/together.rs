//! Many people at one network's folder at the same time.

use std::process::{Command, Stdio};

use serde_json::Value;

const PARTNERS: [&str; 8] = ["FR", "KE", "BR", "DE", "IT", "ES", "NG", "JP"];

fn liaison(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_liaison"));
    command.args(args).args(["--output", "json"]).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

#[test]
fn partners_enrolled_at_once_are_all_enrolled_each_with_its_own_number() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("n");
    let path = path.to_str().unwrap();
    assert!(liaison(&["init", "--folder", path]).status().unwrap().success());
    let all = PARTNERS.map(|partner| liaison(&["partner", "add", partner, "--folder", path]).spawn().unwrap());
    for child in all {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    }
    let shown = liaison(&["directory", "show", "--folder", path]).output().unwrap();
    let shown: Value = serde_json::from_slice(&shown.stdout).unwrap();
    // One version for the network, and one for each partner: none was lost, and none was signed twice.
    assert_eq!(shown["version"], 1 + PARTNERS.len());
    let partners = shown["partners"].as_array().unwrap();
    let mut numbers: Vec<_> = partners.iter().map(|partner| partner["number"].as_u64().unwrap()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=PARTNERS.len() as u64).collect::<Vec<_>>());
    let diff = liaison(&["directory", "diff", "--folder", path]).output().unwrap();
    let diff: Value = serde_json::from_slice(&diff.stdout).unwrap();
    assert_eq!(diff["changes"], Value::Array(Vec::new()), "directory.toml says what was signed last");
}
