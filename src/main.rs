//! The `liaison` command: one binary for operators, partners and auditors.

use std::process::ExitCode;

/// A notice is a dozen short-lived pieces that one thread makes and another frees, which is what this allocator is made for.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    liaison::cli::main()
}
