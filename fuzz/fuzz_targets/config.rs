//! The node's configuration file: whatever stands in it, it is read or refused with words that name the file.
#![no_main]
#![allow(dead_code, reason = "the configuration as the node has it; the fuzzer needs less of it")]

#[path = "../../src/config/mod.rs"]
mod config;

use std::path::PathBuf;
use std::sync::LazyLock;

/// A file of this process alone; in memory where that is to be had, because it is written a million times.
static FILE: LazyLock<PathBuf> = LazyLock::new(|| {
    let memory = PathBuf::from("/dev/shm");
    let folder = if memory.is_dir() { memory } else { std::env::temp_dir() };
    folder.join(format!("liaison-fuzz-config-{}.toml", std::process::id()))
});

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    std::fs::write(&*FILE, data).expect("a file to read");
    match config::Settings::read(&FILE) {
        Ok(settings) => assert!(settings.certificate.exists() && settings.trust.exists(), "what it names is there"),
        Err(bad) => {
            assert!(!bad.problems.is_empty(), "it says what is wrong");
            assert!(bad.to_string().starts_with(&FILE.display().to_string()), "and in which file");
        }
    }
});
