//! Test vectors: what is right and what is wrong, for everything that is signed or hashed. They are written by
//! `LIAISON_GENERATE=1 cargo test --test suite vectors`, and otherwise compared byte for byte; every one is then checked through
//! the public interface of liaison-protocol, and once more by a script that shares no code with it.

mod cases;
mod judges;
mod mutations;
mod page;

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/vectors")
}

/// One file of vectors as it lies in the repository.
fn read<T: serde::de::DeserializeOwned>(name: &str) -> T {
    let text = std::fs::read_to_string(folder().join(name)).expect("the vectors are there");
    serde_json::from_str(&text).expect("the vectors are JSON of this shape")
}

/// Whatever else the build turns on, a file has one form: names first, then the other keys by the alphabet.
fn write(value: &Value, indent: usize, text: &mut String) {
    const FIRST: [&str; 4] = ["about", "name", "fault", "why"];
    let line = |text: &mut String, indent: usize| {
        text.push('\n');
        text.extend(std::iter::repeat_n(' ', indent));
    };
    match value {
        Value::Object(object) => {
            let mut entries: Vec<_> = object.iter().filter(|(_, value)| !value.is_null()).collect();
            entries.sort_by_key(|(key, _)| {
                let place = FIRST.iter().position(|first| first == key);
                (place.unwrap_or(FIRST.len()), *key)
            });
            text.push('{');
            for (nth, (key, value)) in entries.into_iter().enumerate() {
                text.push_str(if nth > 0 { "," } else { "" });
                line(text, indent + 1);
                text.push_str(&Value::from(key.as_str()).to_string());
                text.push_str(": ");
                write(value, indent + 1, text);
            }
            line(text, indent);
            text.push('}');
        }
        Value::Array(array) if array.iter().any(Value::is_object) => {
            text.push('[');
            for (nth, value) in array.iter().enumerate() {
                text.push_str(if nth > 0 { "," } else { "" });
                line(text, indent + 1);
                write(value, indent + 1, text);
            }
            line(text, indent);
            text.push(']');
        }
        other => text.push_str(&other.to_string()),
    }
}

#[test]
fn the_vectors_are_what_the_generator_makes() {
    for (name, value) in cases::generate() {
        let mut text = String::new();
        write(&value, 0, &mut text);
        text.push('\n');
        let file = folder().join(name);
        if std::env::var_os("LIAISON_GENERATE").is_some() {
            std::fs::write(&file, &text).expect("writable");
        }
        assert!(
            std::fs::read_to_string(&file).unwrap_or_default() == text,
            "{name} is not what the generator makes: LIAISON_GENERATE=1 cargo test --test suite vectors"
        );
    }
}

#[test]
fn a_script_that_shares_no_code_with_us_agrees_on_every_vector() {
    let Some(python) = crate::support::python::with("import cryptography") else { return };
    let output = Command::new(&python).arg(folder().join("check.py")).output().expect("python starts");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
}
