//! The Python that judges from outside.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A Python in which these imports work: `LIAISON_PYTHON`, or the one that `examples/python/setup.sh target/python` made, or the
/// machine's own. None, and the reason is printed; where CI is set there must be one.
pub(crate) fn with(imports: &str) -> Option<PathBuf> {
    let made = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/python/bin/python");
    let python = match std::env::var_os("LIAISON_PYTHON") {
        Some(named) => named.into(),
        None if made.exists() => made,
        None => "python3".into(),
    };
    let asked = Command::new(&python).args(["-c", imports]).output();
    if asked.is_ok_and(|output| output.status.success()) {
        return Some(python);
    }
    let why = format!("{}: `{imports}` fails: bash examples/python/setup.sh target/python", python.display());
    assert!(std::env::var_os("CI").is_none(), "{why}");
    eprintln!("SKIPPED: {why}");
    None
}
