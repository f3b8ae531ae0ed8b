//! `liaison bench report`: the table, and how it compares with an earlier one.

use super::{are_more_than_nothing, bench, measured, object};

const ONE_ROUND: &[&str] = &["report", "--runs", "1", "--seconds", "1"];

fn report(arguments: &[&str]) -> serde_json::Value {
    measured(&[ONE_ROUND, arguments].concat())
}

#[test]
fn a_report_has_a_row_for_what_was_asked_and_a_later_one_says_what_has_changed() {
    let said = report(&["--rows", "cpu"]);
    let rows = said["rows"].as_array().unwrap();
    assert!(rows.iter().all(|row| row["row"] == "cpu"), "{said}");
    let ratio = rows.iter().find(|row| row["figure"] == "cpu_saturated").unwrap();
    assert!(ratio["value"].as_f64().unwrap() > 0.0 && ratio["met"].is_boolean(), "{said}");
    assert_eq!((&ratio["required"], &ratio["goal"]), (&"≤ 1.7".into(), &"≤ 1.5".into()));
    assert!(said["core_share"].as_f64().is_some_and(|share| share > 0.0), "{said}");
    assert_eq!(said["commands"]["cpu"][0], "liaison bench --in-flight 256 --seconds 1");

    // As if that day it had cost the tenth of it.
    let mut earlier = said.clone();
    earlier["figures"]["cpu_saturated"] = (ratio["value"].as_f64().unwrap() / 10.0).into();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("earlier.json");
    std::fs::write(&file, earlier.to_string()).unwrap();
    let said = report(&["--rows", "cpu", "--compare", file.to_str().unwrap()]);
    let changes = said["changes"].as_array().unwrap();
    let change = changes.iter().find(|change| change["figure"] == "cpu_saturated").unwrap();
    assert_eq!(change["marked"], true, "{said}");
    assert!(change["percent"].as_f64().unwrap() > 15.0, "{said}");
}

#[test]
fn a_row_whose_other_half_was_not_measured_is_left_out_with_a_word() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("peers.json");
    std::fs::write(&file, r#"{"nats": {"confirmed_per_s": 10}}"#).unwrap();
    let said = report(&["--rows", "rabbitmq,nats", "--peers", file.to_str().unwrap()]);
    let [rabbitmq, nats] = said["rows"].as_array().unwrap().as_slice() else { panic!("{said}") };
    assert!(rabbitmq["left_out"].as_str().unwrap().contains("RabbitMQ"), "{said}");
    assert_eq!(nats["figure"], "accepted_over_nats", "{said}");
    assert!(nats["value"].as_f64().unwrap() > 0.0, "{said}");
}

#[test]
fn rows_about_a_long_history_seed_it_and_judge_it_only_at_its_full_size() {
    let said = report(&["--rows", "backlog,entries", "--waiting", "200", "--entries", "500"]);
    let figures = ["backlog_mib", "backlog_ready_ms", "entries_ratio", "entries_long_per_s", "entries_short_per_s"];
    are_more_than_nothing(&figures, &said["figures"]);
    assert_eq!(
        (&said["figures"]["backlog_waiting"], &said["figures"]["entries_long"]),
        (&200.0.into(), &500.0.into())
    );
    let rows = said["rows"].as_array().unwrap();
    assert!(rows.iter().all(|row| row["met"].is_null() && row["goal_met"].is_null()), "{said}");
    let seed = "liaison bench seed --entries 10200 --waiting 200 --place FOLDER";
    let on = "liaison bench --rate 100 --seconds 1 --on FOLDER";
    assert_eq!(said["commands"]["backlog"], serde_json::json!([seed, on]));
}

#[test]
fn a_file_that_is_no_report_is_named_before_anything_is_measured() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("nothing.json");
    std::fs::write(&file, "{}").unwrap();
    let file = file.to_str().unwrap();
    std::fs::write(folder.path().join("peers.json"), r#"{"nats": {"confirmed_per_s": 0}}"#).unwrap();
    let peers = folder.path().join("peers.json");
    for (option, file) in [("--compare", file), ("--peers", peers.to_str().unwrap())] {
        let (output, left) = bench(&["report", option, file]);
        assert_eq!(output.status.code(), Some(2), "{option}");
        assert!(object(&output)["error"]["message"].as_str().unwrap().contains(file), "{option}");
        assert_eq!(left, Vec::<String>::new());
    }
}
