//! `liaison bench` as a program sees it: what its one object says, and that nothing of it stays behind.

mod report;

use std::process::{Command, Output};

fn bench(arguments: &[&str]) -> (Output, Vec<String>) {
    let place = tempfile::tempdir().unwrap();
    let output = liaison(&[arguments, &["--place", place.path().to_str().unwrap()]].concat());
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

/// A bench that ended well: its one object, with nothing left behind.
fn measured(arguments: &[&str]) -> serde_json::Value {
    let (output, left) = bench(arguments);
    let said = object(&output);
    assert!(output.status.success(), "{said}");
    assert_eq!(left, Vec::<String>::new());
    said
}

fn are_more_than_nothing(figures: &[&str], said: &serde_json::Value) {
    for figure in figures {
        assert!(said[figure].as_f64().is_some_and(|figure| figure > 0.0), "{figure} in {said}");
    }
}

#[test]
fn a_bench_ends_with_one_object_and_leaves_nothing_behind() {
    let arguments = ["--seconds", "1", "--connections", "1", "--recipients", "2", "--payload", "256", "--collect"];
    let said = measured(&arguments);
    let figures = [
        "accepted_per_s",
        "verifications_per_s",
        "core_share",
        "deliveries_per_s",
        "server_cpu_us_per_notice",
        "verify_us",
        "cpu_ratio",
        "p50_us",
        "p99_us",
        "disk_p50_us",
        "receipt_over_disk_p50",
        "audience_hits",
        "resident_start_kib",
        "resident_end_kib",
        "resident_peak_kib",
    ];
    are_more_than_nothing(&figures, &said);
    let accepted = said["accepted"].as_u64().unwrap();
    let checked = said["receipts_checked"].as_u64().unwrap();
    assert!(checked > 0 && checked <= accepted, "{said}");
    assert!(
        said["leaves_checked"].as_u64().unwrap() > accepted,
        "the warm-up and the directory are in the log too: {said}"
    );
    assert_eq!((&said["refused"], &said["busy"]), (&0.into(), &0.into()), "{said}");
    let looked_up = said["audience_hits"].as_u64().unwrap() + said["audience_misses"].as_u64().unwrap();
    assert_eq!(looked_up, accepted, "the audience of each is looked up once: {said}");
}

#[test]
fn an_open_loop_sends_what_its_schedule_says_and_counts_from_each_moment_of_it() {
    let said = measured(&["--seconds", "1", "--connections", "2", "--recipients", "1", "--rate", "100"]);
    assert_eq!((&said["rate"], &said["accepted"]), (&100.into(), &100.into()), "{said}");
    are_more_than_nothing(&["p50_us", "p99_us", "sent_late_p99_us", "disk_p50_us", "disk_p99_us"], &said);
    assert!(said["p99_us"].as_u64() >= said["sent_late_p50_us"].as_u64(), "a late start is part of it: {said}");
}

#[test]
fn calls_keep_a_schedule_too() {
    let said = measured(&["--seconds", "1", "--connections", "1", "--mode", "unary", "--rate", "40"]);
    assert_eq!((&said["mode"], &said["accepted"]), (&"unary".into(), &40.into()), "{said}");
}

#[test]
fn partners_that_wait_cost_memory_and_are_let_go() {
    let said = measured(&["--idle", "70"]);
    assert_eq!(said["idle"], 70, "more than a node takes from one address where nothing is said: {said}");
    are_more_than_nothing(&["kib_per_connection", "resident_start_kib", "resident_end_kib"], &said);
}

#[test]
fn whoever_overloads_a_node_is_told_when_to_come_again_and_nothing_else() {
    let said = measured(&["--seconds", "1", "--connections", "1", "--recipients", "1", "--overload"]);
    are_more_than_nothing(&["accepted", "busy", "p99_us"], &said);
    assert_eq!(said["refused"], 0, "only BUSY, and with RetryInfo: {said}");
}

#[test]
fn a_bench_that_cannot_run_says_why_before_it_begins() {
    let wrong: &[&[&str]] = &[
        &["--rate", "500", "--in-flight", "3"],
        &["--idle", "5", "--collect"],
        &["--overload", "--rate", "5"],
        &["--on", "seeded"],
    ];
    for arguments in wrong {
        let (output, left) = bench(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(
            object(&output)["error"]["message"].as_str().unwrap().contains("cannot be used with"),
            "{arguments:?}"
        );
        assert_eq!(left, Vec::<String>::new());
    }
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
    let figures = ["accepted", "receipts_checked", "ready_ms", "ready_after_kill_ms", "resident_after_kill_kib"];
    are_more_than_nothing(&figures, &said);
    let checked = said["leaves_checked"].as_u64().unwrap();
    assert!(checked > 350 + said["accepted"].as_u64().unwrap(), "what was there is checked too: {said}");
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
