//! One module a file of vectors: `generate` makes it from the world in `world.rs`, and a test checks what lies in the repository.

mod acknowledgement;
mod basics;
mod directory;
mod manifest;
pub(super) mod receipt;
pub(super) mod statement;
pub(super) mod tlog;
pub(super) mod trust;
pub(super) mod world;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Every file, by name.
pub(super) fn generate() -> Vec<(&'static str, Value)> {
    let json = |value: Result<Value, serde_json::Error>| value.expect("vectors are JSON");
    vec![
        ("basics.json", json(serde_json::to_value(basics::generate()))),
        ("manifest.json", json(serde_json::to_value(manifest::generate()))),
        ("acknowledgement.json", json(serde_json::to_value(acknowledgement::generate()))),
        ("directory.json", json(serde_json::to_value(directory::generate()))),
        ("statement.json", json(serde_json::to_value(statement::generate()))),
        ("tlog.json", json(serde_json::to_value(tlog::generate()))),
        ("trust.json", json(serde_json::to_value(trust::generate()))),
        ("receipt.json", json(serde_json::to_value(receipt::generate()))),
    ]
}

/// What must come of a vector.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Expect<T> {
    /// Accepted, and this is what it is.
    Accept(T),
    /// Refused with this word: a reason of docs/ERRORS.md where the protocol names one.
    Refuse(String),
}

pub(super) fn refuse<T>(word: &str) -> Expect<T> {
    Expect::Refuse(word.into())
}
