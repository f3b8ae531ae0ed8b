//! `liaison bench` as a program sees it: what its one object says, and that nothing of it stays behind.

use std::process::{Command, Output};

fn bench(arguments: &[&str]) -> (Output, Vec<String>) {
    let place = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_liaison"))
        .args(["bench", "--output", "json", "--place"])
        .arg(place.path())
        .args(arguments)
        .output()
        .unwrap();
    let left = std::fs::read_dir(place.path()).unwrap();
    let left = left.map(|entry| entry.unwrap().path().display().to_string()).collect();
    (output, left)
}

fn object(output: &Output) -> serde_json::Value {
    let stdout = String::from_utf8(output.stdout.clone()).unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(stdout.lines().count(), 1, "{stdout}{stderr}");
    serde_json::from_str(&stdout).unwrap()
}

#[test]
fn a_bench_ends_with_one_object_and_leaves_nothing_behind() {
    let arguments = ["--seconds", "1", "--connections", "1", "--recipients", "2", "--payload", "256", "--collect"];
    let (output, left) = bench(&arguments);
    let said = object(&output);
    assert!(output.status.success(), "{said}");
    let figures = [
        "accepted_per_s",
        "deliveries_per_s",
        "server_cpu_us_per_notice",
        "verify_us",
        "cpu_ratio",
        "p50_us",
        "p99_us",
        "disk_p50_us",
    ];
    for figure in figures {
        assert!(said[figure].as_f64().is_some_and(|figure| figure > 0.0), "{figure} in {said}");
    }
    let checked = said["receipts_checked"].as_u64().unwrap();
    assert!(checked > 0 && checked <= said["accepted"].as_u64().unwrap(), "{said}");
    assert_eq!(said["refused"], 0, "{said}");
    assert_eq!(left, Vec::<String>::new());
}

#[test]
fn a_bench_that_cannot_run_says_why_before_it_begins() {
    let (output, left) = bench(&["--collect", "--recipients", "200"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(object(&output)["error"]["message"].as_str().unwrap().contains("--collect"));
    assert_eq!(left, Vec::<String>::new());
}
