//! The Python that judges from outside.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// What `examples/python/requirements.txt` brings.
const MODULES: &str = "import cryptography, grpc, grpc_tools";

/// A Python in which these imports work: `LIAISON_PYTHON`, or one that `examples/python/setup.sh` makes in `target/python` where none
/// is there yet. None, and the reason is printed past the harness, which keeps what a passing test prints to itself; where
/// `LIAISON_PYTHON` or `CI` is set there must be one.
pub(crate) fn with(imports: &str) -> Option<PathBuf> {
    let named = std::env::var_os("LIAISON_PYTHON").map(PathBuf::from);
    let must = named.is_some() || std::env::var_os("CI").is_some();
    let found = match named {
        Some(named) => works(&named, imports).map(|()| named),
        None => made().and_then(|made| works(&made, imports).map(|()| made)),
    };
    found
        .map_err(|why| {
            assert!(!must, "{why}");
            // Not by a macro: the harness would keep it.
            let _ = writeln!(std::io::stderr(), "SKIPPED, no Python for it: {why}");
        })
        .ok()
}

/// The one in `target/python`, made by the first test that asks.
fn made() -> Result<PathBuf, String> {
    static MADE: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let make = || {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let python = root.join("target/python/bin/python");
        if works(&python, MODULES).is_ok() {
            return Ok(python);
        }
        let mut setup = Command::new("bash");
        setup.current_dir(root).args(["examples/python/setup.sh", "target/python"]);
        let output = setup.output().map_err(|error| format!("bash: {error}"))?;
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        if output.status.success() {
            Ok(python)
        } else {
            Err(format!("examples/python/setup.sh target/python: {said}"))
        }
    };
    MADE.get_or_init(make).clone()
}

fn works(python: &Path, imports: &str) -> Result<(), String> {
    let asked = Command::new(python).args(["-c", imports]).output();
    if asked.is_ok_and(|output| output.status.success()) {
        return Ok(());
    }
    Err(format!("{}: `{imports}` fails", python.display()))
}
