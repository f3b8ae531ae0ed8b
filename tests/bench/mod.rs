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

fn liaison(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_liaison"))
        .args(["--output", "json", "bench"])
        .args(arguments)
        .output()
        .unwrap()
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

#[test]
fn a_seeded_network_goes_on_where_it_was_and_is_measured_on_and_kept() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("seeded");
    let folder = folder.to_str().unwrap();
    let seed = |entries: &str, waiting: &str| {
        let options = ["--connections", "1", "--recipients", "2", "--payload", "64", "--place", folder];
        object(&liaison(&[&["seed", "--entries", entries, "--waiting", waiting][..], &options].concat()))
    };
    assert_eq!(seed("300", "0")["entries"], 300);
    let said = seed("350", "20");
    assert_eq!((&said["entries"], &said["written"]), (&350.into(), &50.into()), "{said}");
    let said = object(&liaison(&["--on", folder, "--seconds", "1", "--connections", "9"]));
    for figure in ["accepted", "receipts_checked", "ready_ms", "ready_after_kill_ms", "resident_after_kill_kib"] {
        assert!(said[figure].as_f64().is_some_and(|figure| figure > 0.0), "{figure} in {said}");
    }
    assert_eq!((&said["connections"], &said["recipients"], &said["refused"]), (&1.into(), &2.into(), &0.into()));
    // What was measured is part of its history now.
    let more = seed("20", "0");
    assert_eq!(more["written"], 0, "{more}");
    assert!(more["entries"].as_u64().unwrap() > 350 + said["accepted"].as_u64().unwrap(), "{more}");
}

#[test]
fn a_folder_without_a_network_for_measuring_is_named() {
    let place = tempfile::tempdir().unwrap();
    let output = liaison(&["--on", place.path().to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(3));
    assert!(object(&output)["error"]["message"].as_str().unwrap().contains("no network for measuring"));
}
