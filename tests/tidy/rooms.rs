//! The house: which room may use which. The table is the rule; changing it is a decision, not a fix.

use std::path::{Path, PathBuf};

/// What a room may use beside `liaison-protocol` and itself.
struct Room {
    name: &'static str,
    may_use: &'static [&'static str],
    tokio: Tokio,
}

/// How much of tokio a room may use.
#[derive(PartialEq)]
enum Tokio {
    Not,
    SyncOnly,
    All,
}

const ROOMS: &[Room] = &[
    Room { name: "anchor", may_use: &[], tokio: Tokio::Not },
    Room { name: "clock", may_use: &[], tokio: Tokio::All },
    // The one place that reports damage in the store, and what callers are answered then.
    Room { name: "integrity", may_use: &[], tokio: Tokio::Not },
    Room { name: "counts", may_use: &["integrity"], tokio: Tokio::Not },
    Room { name: "telemetry", may_use: &["clock", "config"], tokio: Tokio::Not },
    Room { name: "shutdown", may_use: &["clock"], tokio: Tokio::All },
    // When the lines are read and the streams go: docs/decisions/0011.
    Room { name: "gathering", may_use: &[], tokio: Tokio::SyncOnly },
    Room {
        name: "world",
        may_use: &[
            "anchor",
            "clock",
            "policy",
            "state",
            "store",
            "sequencer",
            "exchange",
            "peer",
            "counts",
            "gathering",
        ],
        tokio: Tokio::All,
    },
    Room { name: "config", may_use: &[], tokio: Tokio::Not },
    Room { name: "peer", may_use: &[], tokio: Tokio::Not },
    Room { name: "policy", may_use: &["peer"], tokio: Tokio::Not },
    Room { name: "state", may_use: &["policy"], tokio: Tokio::Not },
    Room { name: "import", may_use: &[], tokio: Tokio::Not },
    Room { name: "store", may_use: &[], tokio: Tokio::SyncOnly },
    Room {
        name: "sequencer",
        may_use: &["anchor", "state", "store", "clock", "shutdown", "policy", "counts", "gathering"],
        tokio: Tokio::All,
    },
    Room {
        name: "exchange",
        may_use: &["peer", "policy", "state", "store", "sequencer", "clock", "counts", "gathering"],
        tokio: Tokio::All,
    },
    Room { name: "tls", may_use: &["peer", "config", "shutdown", "clock", "gathering"], tokio: Tokio::All },
    Room { name: "grpc", may_use: &["exchange", "peer", "shutdown", "gathering"], tokio: Tokio::All },
    Room {
        name: "http",
        may_use: &["exchange", "peer", "shutdown", "clock", "counts", "telemetry"],
        tokio: Tokio::All,
    },
    // It tells what a directory means by the node's own table and decision: docs/decisions/0006.
    Room { name: "authority", may_use: &["config", "peer", "clock", "policy"], tokio: Tokio::Not },
    Room {
        name: "app",
        may_use: &[
            "anchor",
            "clock",
            "shutdown",
            "config",
            "peer",
            "policy",
            "state",
            "store",
            "sequencer",
            "exchange",
            "tls",
            "grpc",
            "http",
            "counts",
            "telemetry",
        ],
        tokio: Tokio::All,
    },
    Room {
        name: "cli",
        may_use: &["anchor", "authority", "import", "app", "config", "clock", "shutdown", "peer", "telemetry"],
        tokio: Tokio::All,
    },
];

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn files_of(room: &str) -> Vec<PathBuf> {
    let mut files = vec![source().join(format!("{room}.rs"))];
    let mut folders = vec![source().join(room)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten() {
            let path = entry.expect("readable").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files.push(path);
            }
        }
    }
    files.retain(|path| path.exists() && path.extension().is_some_and(|extension| extension == "rs"));
    files
}

/// The code of a file without its tests and comments: tests stand last, and may use what they need.
fn code(path: &Path) -> Vec<(usize, String)> {
    let text = std::fs::read_to_string(path).expect("readable");
    let test_file =
        path.components().any(|part| matches!(part.as_os_str().to_str(), Some("tests.rs" | "tests" | "contract")));
    let lines = text.lines().enumerate().take_while(|(_, line)| !test_file && *line != "#[cfg(test)]");
    lines
        .filter(|(_, line)| !line.trim_start().starts_with("//"))
        .map(|(nth, line)| (nth + 1, line.into()))
        .collect()
}

/// Names that follow `crate::` in a line.
fn used(line: &str) -> Vec<String> {
    let word = |rest: &str| rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    line.split("crate::").skip(1).map(word).collect()
}

#[test]
fn every_room_uses_only_the_rooms_it_may() {
    let mut wrong = Vec::new();
    for room in ROOMS {
        for file in files_of(room.name) {
            for (number, line) in code(&file) {
                for other in used(&line) {
                    let known = ROOMS.iter().any(|room| room.name == other);
                    if known && other != room.name && !room.may_use.contains(&other.as_str()) {
                        wrong.push(format!("{}:{number}: {} may not use {other}", file.display(), room.name));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn pure_rooms_know_no_tokio_and_the_store_only_its_channels() {
    let mut wrong = Vec::new();
    for room in ROOMS {
        for file in files_of(room.name) {
            for (number, line) in code(&file) {
                let other_tokio = line.contains("tokio") && !line.contains("tokio::sync");
                let found = match room.tokio {
                    Tokio::Not => line.contains("tokio::"),
                    Tokio::SyncOnly => other_tokio,
                    Tokio::All => false,
                };
                if found {
                    wrong.push(format!("{}:{number}: {}", file.display(), line.trim()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn deciding_and_folding_never_wait() {
    for room in ["state", "policy", "import", "peer"] {
        for file in files_of(room) {
            let waits = code(&file).into_iter().find(|(_, line)| line.contains(".await"));
            assert_eq!(waits, None, "{}", file.display());
        }
    }
}

#[test]
fn every_room_of_the_source_stands_in_the_table() {
    for entry in std::fs::read_dir(source()).expect("src is there") {
        let path = entry.expect("readable").path();
        let name = path.file_stem().and_then(|name| name.to_str()).unwrap_or_default().to_string();
        let known = ROOMS.iter().any(|room| room.name == name) || ["lib", "main"].contains(&name.as_str());
        assert!(known, "{name} is a room without a rule");
    }
}

#[test]
fn words_of_the_wire_stop_at_grpc_and_words_of_the_store_at_store() {
    for room in ["policy", "state", "sequencer", "exchange"] {
        for file in files_of(room) {
            for (number, line) in code(&file) {
                let foreign = ["tonic::", "rusqlite", "SELECT "].iter().find(|word| line.contains(**word));
                assert_eq!(foreign, None, "{}:{number}: {line}", file.display());
            }
        }
    }
}
